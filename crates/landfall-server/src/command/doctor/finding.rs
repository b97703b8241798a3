//! What `landfall doctor` found: of each thing that was looked at how it is, and what to do when it is not well.

use serde_json::json;

use crate::command::print::many;

/// How a thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Well.
    Fine,
    /// It could not be looked at by whoever asks.
    Unknown,
    /// A server serves, and somebody should act before it no longer does.
    Warning,
    /// A server does not start, refuses clients, or gives secrets away.
    Failure,
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Level::Fine => "ok",
            Level::Unknown => "unknown",
            Level::Warning => "warning",
            Level::Failure => "failure",
        }
    }
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at, in one word.
    pub subject: &'static str,
    /// How it is.
    pub level: Level,
    /// What was seen, in one sentence.
    pub what: String,
    /// What to do, when there is something to do.
    pub fix: Option<String>,
}

/// Everything that was found, in the order in which it was looked at.
#[derive(Debug, Default)]
pub struct Report {
    /// The findings.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Something is well.
    pub fn fine(&mut self, subject: &'static str, what: &str) {
        self.add(subject, Level::Fine, what, None);
    }

    /// Something could not be looked at.
    pub fn unknown(&mut self, subject: &'static str, what: &str, fix: &str) {
        self.add(subject, Level::Unknown, what, Some(fix));
    }

    /// Somebody should act.
    pub fn warning(&mut self, subject: &'static str, what: &str, fix: &str) {
        self.add(subject, Level::Warning, what, Some(fix));
    }

    /// Something keeps a server from serving, or gives secrets away.
    pub fn failure(&mut self, subject: &'static str, what: &str, fix: &str) {
        self.add(subject, Level::Failure, what, Some(fix));
    }

    fn add(&mut self, subject: &'static str, level: Level, what: &str, fix: Option<&str>) {
        self.findings.push(Finding {
            subject,
            level,
            what: what.to_owned(),
            fix: fix.map(str::to_owned),
        });
    }

    /// How many failures there are.
    pub fn failures(&self) -> usize {
        self.count(Level::Failure)
    }

    fn count(&self, level: Level) -> usize {
        let of_it = |finding: &&Finding| finding.level == level;
        self.findings.iter().filter(of_it).count()
    }

    /// The findings for people, a line each, and the remedy below.
    pub fn as_text(&self) -> String {
        let mut out = String::new();
        for finding in &self.findings {
            let (level, subject) = (finding.level.word(), finding.subject);
            out.push_str(&format!("{level:<8} {subject:<14} {}\n", finding.what));
            if let Some(fix) = &finding.fix {
                out.push_str(&format!("{:<23} fix: {fix}\n", ""));
            }
        }
        out.push_str(&match (self.failures(), self.count(Level::Warning)) {
            (0, 0) => "Nothing is amiss.\n".to_owned(),
            (failures, warnings) => format!(
                "{}, {}.\n",
                many(failures as u64, "failure"),
                many(warnings as u64, "warning")
            ),
        });
        out
    }

    /// The findings for programs.
    pub fn as_json(&self) -> String {
        let findings: Vec<_> = self
            .findings
            .iter()
            .map(|finding| {
                json!({
                    "subject": finding.subject,
                    "result": finding.level.word(),
                    "what": finding.what,
                    "fix": finding.fix,
                })
            })
            .collect();
        format!(
            "{:#}",
            json!({
                "failures": self.failures(),
                "warnings": self.count(Level::Warning),
                "findings": findings,
            })
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_read_lines_and_programs_json() {
        let mut report = Report::default();
        report.fine("clock", "it is noon");
        assert!(report.as_text().ends_with("Nothing is amiss.\n"));
        report.failure("port", "it is taken", "free it");
        report.warning("disk", "it is small", "make room");
        let text = report.as_text();
        assert!(
            text.contains("failure  port           it is taken\n"),
            "{text}"
        );
        assert!(text.contains("fix: free it\n"), "{text}");
        assert!(text.ends_with("1 failure, 1 warning.\n"), "{text}");
        let read: serde_json::Value = serde_json::from_str(&report.as_json()).expect("JSON");
        assert_eq!(read["failures"], 1);
        assert_eq!(read["findings"][0]["result"], "ok");
        assert_eq!(read["findings"][0]["fix"], serde_json::Value::Null);
        assert_eq!(read["findings"][1]["fix"], "free it");
    }
}
