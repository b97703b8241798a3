//! What the sender of an import is told while it sends, one JSON object a line.
//!
//! Shape: `{"line":7,"kind":"enrollment","id":"dev7","why":"differs","reason":"…"}` for a line that
//! is not in; `{"settled":1000,"created":998,"replaced":0,"unchanged":1,"skipped":0,"refused":1}`
//! when all lines up to the thousandth are settled, for good; the last one of these has `end`.

use landfall_core::administration::import::{ImportRefusal, Settled};
use serde_json::{Map, Value, json};

use super::{BadLine, noun};
use crate::route::Collection;

/// One thing that is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// A line is not in.
    Refused(RefusedLine),
    /// How far it is.
    Progress(Progress),
}

/// A line that is not in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedLine {
    /// Its number, from 1 on.
    pub line: u64,
    /// The kind and id of its record, as far as they can be read.
    pub record: Option<(Collection, String)>,
    /// Which sort of reason.
    pub why: Why,
    /// The reason.
    pub reason: String,
}

/// The sorts of reasons for which a line is not in: what its sender may do differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It is no line of an import, or its record breaks a rule.
    Invalid,
    /// It lacks a key, or both.
    NoKey,
    /// It does not hold the certificate that it shows.
    NoCertificate,
    /// Something else is there.
    Differs,
}

const WHYS: [(&str, Why); 4] = [
    ("invalid", Why::Invalid),
    ("noKey", Why::NoKey),
    ("noCertificate", Why::NoCertificate),
    ("differs", Why::Differs),
];

/// How far an import is: what became of all lines up to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// The number of the last line of which it and all before are settled.
    pub settled: u64,
    /// Records that were made.
    pub created: u64,
    /// Records that replaced others.
    pub replaced: u64,
    /// Records that were there.
    pub unchanged: u64,
    /// Records that were left as they were.
    pub skipped: u64,
    /// Lines that are not in.
    pub refused: u64,
    /// How it ended, when it did.
    pub end: Option<End>,
}

/// How an import ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// All lines that were sent are settled.
    Whole,
    /// What was to come did not arrive.
    Incomplete,
    /// The server stops.
    Stopping,
    /// The store cannot write now.
    Unavailable,
}

const ENDS: [(&str, End); 4] = [
    ("whole", End::Whole),
    ("incomplete", End::Incomplete),
    ("stopping", End::Stopping),
    ("unavailable", End::Unavailable),
];

impl Progress {
    /// Counts what became of one record.
    pub fn count(&mut self, settled: &Settled) {
        match settled {
            Settled::Created => self.created += 1,
            Settled::Replaced => self.replaced += 1,
            Settled::Unchanged => self.unchanged += 1,
            Settled::Skipped => self.skipped += 1,
            Settled::Refused(_) => self.refused += 1,
        }
    }
}

impl RefusedLine {
    /// A line that is no record.
    pub fn bad(line: u64, bad: BadLine) -> Self {
        RefusedLine {
            line,
            record: bad.record,
            why: Why::Invalid,
            reason: bad.reason,
        }
    }

    /// A line whose record was refused.
    pub fn of(line: u64, record: (Collection, String), refusal: &ImportRefusal) -> Self {
        RefusedLine {
            line,
            record: Some(record),
            why: match refusal {
                ImportRefusal::NoKey(_) => Why::NoKey,
                ImportRefusal::NoCertificate(_) => Why::NoCertificate,
                ImportRefusal::Differs(_) => Why::Differs,
                ImportRefusal::Rule(_) => Why::Invalid,
            },
            reason: refusal.to_string(),
        }
    }
}

impl Told {
    /// The line that tells it, with its end.
    pub fn text(&self) -> String {
        let value = match self {
            Told::Refused(refused) => {
                let mut out = Map::new();
                out.insert("line".to_owned(), refused.line.into());
                if let Some((collection, id)) = &refused.record {
                    out.insert("kind".to_owned(), noun(*collection).into());
                    out.insert("id".to_owned(), id.as_str().into());
                }
                let why = WHYS.iter().find(|(_, why)| *why == refused.why);
                out.insert("why".to_owned(), why.map_or("", |(word, _)| word).into());
                out.insert("reason".to_owned(), refused.reason.as_str().into());
                Value::Object(out)
            }
            Told::Progress(progress) => {
                let mut out = json!({
                    "settled": progress.settled,
                    "created": progress.created,
                    "replaced": progress.replaced,
                    "unchanged": progress.unchanged,
                    "skipped": progress.skipped,
                    "refused": progress.refused,
                });
                let end = ENDS.iter().find(|(_, end)| Some(*end) == progress.end);
                if let Some((word, _)) = end {
                    out["end"] = (*word).into();
                }
                out
            }
        };
        format!("{value}\n")
    }

    /// Reads a line back; `None` when it is none of these.
    pub fn parse(line: &[u8]) -> Option<Told> {
        let value: Value = serde_json::from_slice(line).ok()?;
        let number = |name: &str| value.get(name).and_then(Value::as_u64);
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        if let Some(settled) = number("settled") {
            let end = text("end").and_then(|word| ENDS.iter().find(|(name, _)| *name == word));
            return Some(Told::Progress(Progress {
                settled,
                created: number("created")?,
                replaced: number("replaced")?,
                unchanged: number("unchanged")?,
                skipped: number("skipped")?,
                refused: number("refused")?,
                end: end.map(|(_, end)| *end),
            }));
        }
        let collection = match text("kind") {
            Some("enrollment") => Some(Collection::Individuals),
            Some("group") => Some(Collection::Groups),
            _ => None,
        };
        let why = WHYS.iter().find(|(word, _)| Some(*word) == text("why"));
        Some(Told::Refused(RefusedLine {
            line: number("line")?,
            record: collection.zip(text("id").map(str::to_owned)),
            why: why.map_or(Why::Invalid, |(_, why)| *why),
            reason: text("reason")?.to_owned(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_reads_back() {
        let refused = RefusedLine {
            line: 7,
            record: Some((Collection::Groups, "g".to_owned())),
            why: Why::Differs,
            reason: "it is \"there\"".to_owned(),
        };
        let nameless = RefusedLine {
            record: None,
            why: Why::Invalid,
            ..refused.clone()
        };
        let progress = Progress {
            settled: 9,
            created: 1,
            replaced: 2,
            unchanged: 3,
            skipped: 2,
            refused: 1,
            end: None,
        };
        let told = [
            Told::Refused(refused),
            Told::Refused(nameless),
            Told::Progress(progress),
        ];
        let ends = ENDS.map(|(_, end)| {
            Told::Progress(Progress {
                end: Some(end),
                ..progress
            })
        });
        for told in told.into_iter().chain(ends) {
            let text = told.text();
            assert_eq!(Told::parse(text.as_bytes()), Some(told), "{text}");
        }
        for none in ["", "{}", "[]", "{\"settled\":1}", "{\"line\":1}"] {
            assert_eq!(Told::parse(none.as_bytes()), None, "{none}");
        }
    }
}
