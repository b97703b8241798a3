//! What became of each line, and how that is told.

use std::io::Write as _;

use landfall_wire::own::import::Progress;
use landfall_wire::route::Collection;
use serde_json::{Value as Json, json};

use super::line::noun;
use crate::command::print;

use crate::command::new_file::NewFile;
use crate::command::outcome::Failure;

/// How many failed lines are told on the terminal.
const MOST_TOLD: usize = 20;

/// How many failed lines are kept to be told at all. All of them stand in a report.
const MOST_KEPT: usize = 1000;

/// What became of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was made.
    Created,
    /// It replaced what was there.
    Replaced,
    /// The same was there.
    Unchanged,
    /// Something else was there and was left.
    Skipped,
    /// It is not in; why.
    Failed(String),
}

/// A line that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedLine {
    /// Its number.
    pub line: u64,
    /// The kind and id of its record, when it has one.
    pub record: Option<(Collection, String)>,
    /// Why.
    pub reason: String,
}

impl FailedLine {
    fn text(&self) -> String {
        let text = match &self.record {
            Some((collection, id)) => {
                let id: String = id.chars().take(140).collect();
                format!(
                    "line {} ({} {id}): {}",
                    self.line,
                    noun(*collection),
                    self.reason
                )
            }
            None => format!("line {}: {}", self.line, self.reason),
        };
        print::plain_text(&Json::String(text))
    }

    /// The line as programs read it.
    pub fn json(&self) -> Json {
        let (kind, id) = match &self.record {
            Some((collection, id)) => (Some(noun(*collection)), Some(id)),
            None => (None, None),
        };
        json!({ "line": self.line, "kind": kind, "id": id, "reason": self.reason })
    }
}

/// Whether a text is a failed line as programs read it.
pub fn is_failed_line(text: &str) -> bool {
    let line = serde_json::from_str::<Json>(text).ok();
    line.is_some_and(|line| line["line"].is_u64() && line["reason"].is_string())
}

/// What became of all lines.
#[derive(Default)]
pub struct Tally {
    created: u64,
    replaced: u64,
    unchanged: u64,
    skipped: u64,
    many_failed: u64,
    /// The first of them.
    failed: Vec<FailedLine>,
    report: Option<NewFile>,
    unwritten: Option<Failure>,
}

impl Tally {
    /// A tally whose failed lines also go into a report.
    pub fn reporting(report: Option<NewFile>) -> Self {
        Tally {
            report,
            ..Tally::default()
        }
    }

    /// Counts what became of one line.
    pub fn count(&mut self, line: u64, record: Option<(Collection, String)>, outcome: Outcome) {
        match outcome {
            Outcome::Created => self.created += 1,
            Outcome::Replaced => self.replaced += 1,
            Outcome::Unchanged => self.unchanged += 1,
            Outcome::Skipped => self.skipped += 1,
            Outcome::Failed(reason) => self.fail(FailedLine {
                line,
                record,
                reason,
            }),
        }
    }

    /// Counts a failed line, and writes it into the report.
    pub fn fail(&mut self, failed: FailedLine) {
        self.many_failed += 1;
        if let Some(report) = &mut self.report
            && let Err(error) = writeln!(report, "{}", failed.json())
            && self.unwritten.is_none()
        {
            self.unwritten = Some(report.unwritten(&error));
        }
        if self.failed.len() < MOST_KEPT {
            self.failed.push(failed);
        }
    }

    /// Counts what became of many lines that did not fail.
    pub fn add(&mut self, progress: &Progress) {
        self.created += progress.created;
        self.replaced += progress.replaced;
        self.unchanged += progress.unchanged;
        self.skipped += progress.skipped;
    }

    /// Ends the report.
    ///
    /// # Errors
    /// [`Failure`] when it could not be written.
    pub fn finish(&mut self) -> Result<(), Failure> {
        match (self.unwritten.take(), self.report.take()) {
            (Some(failure), _) => Err(failure),
            (None, Some(report)) => report.finish().map(drop),
            (None, None) => Ok(()),
        }
    }

    /// How many lines failed.
    pub fn many_failed(&self) -> u64 {
        self.many_failed
    }

    /// How many lines were settled.
    pub fn settled(&self) -> u64 {
        self.in_place() + self.skipped + self.many_failed
    }

    /// How many lines are in the service as they say.
    pub fn in_place(&self) -> u64 {
        self.created + self.replaced + self.unchanged
    }

    /// The lines that failed, in order: of very many, the first.
    pub fn failed(&mut self) -> &[FailedLine] {
        self.failed.sort_by_key(|failed| failed.line);
        &self.failed
    }

    /// The sentence for people.
    pub fn text(&self, dry_run: bool) -> String {
        let would = if dry_run { "would be " } else { "" };
        format!(
            "{}: {} {would}created, {} {would}replaced, {} unchanged, {} skipped, {} failed.",
            print::many(self.settled(), "line"),
            self.created,
            self.replaced,
            self.unchanged,
            self.skipped,
            self.many_failed
        )
    }

    /// The first failed lines, for people.
    pub fn failures_text(&mut self) -> String {
        let many = self.many_failed;
        let failed = self.failed();
        let mut text: String = failed
            .iter()
            .take(MOST_TOLD)
            .map(|failed| failed.text() + "\n")
            .collect();
        if many > MOST_TOLD as u64 {
            let rest = many - MOST_TOLD as u64;
            text.push_str(&format!("and {rest} more: --report FILE lists all\n"));
        }
        text
    }

    /// All of it as programs read it.
    pub fn json(&mut self) -> Json {
        let failed: Vec<Json> = self.failed().iter().map(FailedLine::json).collect();
        json!({
            "created": self.created,
            "replaced": self.replaced,
            "unchanged": self.unchanged,
            "skipped": self.skipped,
            "failed": failed,
            "failedLines": self.many_failed,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_and_failures_told_in_order() {
        let mut tally = Tally::default();
        let record = |id: &str| Some((Collection::Groups, id.to_owned()));
        tally.count(9, record("g\u{1b}[2J9"), Outcome::Failed("no \rkey".into()));
        tally.count(2, None, Outcome::Failed("no JSON".into()));
        tally.count(3, record("c"), Outcome::Created);
        tally.count(4, record("u"), Outcome::Unchanged);
        tally.count(5, record("s"), Outcome::Skipped);
        tally.count(6, record("r"), Outcome::Replaced);
        assert_eq!((tally.settled(), tally.in_place()), (6, 3));
        assert_eq!(
            tally.failures_text(),
            "line 2: no JSON\nline 9 (group g[2J9): no key\n"
        );
        assert!(tally.text(true).contains("1 would be created"));
        assert_eq!(tally.json()["failed"][0]["line"], 2);
        assert!(is_failed_line(&tally.failed()[0].json().to_string()));
        assert!(!is_failed_line("{\"kind\":\"note\"}") && !is_failed_line(""));
        for line in 0..40 {
            tally.count(line, None, Outcome::Failed("again".into()));
        }
        assert!(
            tally
                .failures_text()
                .ends_with("and 22 more: --report FILE lists all\n")
        );
    }
}
