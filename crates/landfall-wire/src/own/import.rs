//! An import as lines, in both directions: the records that a caller sends, and what it is told of
//! them while they arrive. How bytes become lines is `lines`; what a line means is here.
//!
//! Called by the server's import route, and by the command line, which reads what is told.

mod lines;
mod swift;
mod told;

use landfall_core::administration::import::{Import, ImportRecord, Manner, OnConflict};
use landfall_core::error::Error;
use serde_json::{Map, Value};

use crate::fields::{Members, NUL, holds_nul};
use crate::message::Request;
use crate::route::Collection;
use crate::service::LARGEST_BODY;
use crate::service::enrollment::{EnrollmentBody, parse_object_of};

pub use self::lines::{Batch, Cutter};
pub use self::told::{End, Progress, RefusedLine, Told, Why};

/// The longest line, in bytes: the largest record, and what stands around it.
pub const LONGEST_LINE: usize = LARGEST_BODY + 1024;

/// Most characters of an id that a refusal repeats.
const LONGEST_ID: usize = 140;

const MANNERS: [(&str, OnConflict); 3] = [
    ("fail", OnConflict::Fail),
    ("skip", OnConflict::Skip),
    ("replace", OnConflict::Replace),
];

/// The word that says what happens to what is there already.
pub(crate) fn word(on_conflict: OnConflict) -> &'static str {
    let known = MANNERS.iter().find(|(_, it)| *it == on_conflict);
    known.map_or("fail", |(word, _)| word)
}

/// Reads how a caller wants its records imported.
///
/// # Errors
/// [`Error::Invalid`] for a parameter that is none of the words it may be.
pub fn manner(request: &Request) -> Result<Manner, Error> {
    let on_conflict = match request.parameter("onConflict") {
        None => OnConflict::default(),
        Some(word) => MANNERS
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(&word))
            .map(|(_, it)| *it)
            .ok_or_else(|| invalid("onConflict must be one of fail, skip, replace."))?,
    };
    let dry_run = match request.parameter("dryRun").as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(invalid("dryRun must be true or false.")),
    };
    Ok(Manner {
        on_conflict,
        dry_run,
    })
}

fn invalid(rule: &str) -> Error {
    Error::Invalid(rule.to_owned())
}

/// The word by which lines and refusals call a kind of record.
pub fn noun(collection: Collection) -> &'static str {
    match collection {
        Collection::Individuals => "enrollment",
        Collection::Groups => "group",
    }
}

/// What a line is.
#[derive(Debug, Clone, PartialEq)]
pub enum Line {
    /// A record, with its kind and its id for whoever is told of it.
    Record(Collection, String, ImportRecord),
    /// Nothing to import: an empty line, or what an export says for people.
    Nothing,
}

/// Why a line is no record. It never repeats what stands there, save the id: that may be a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLine {
    /// The kind and id, as far as they can be read.
    pub record: Option<(Collection, String)>,
    /// Why.
    pub reason: String,
}

impl BadLine {
    fn unread(reason: impl Into<String>) -> Self {
        BadLine {
            record: None,
            reason: reason.into(),
        }
    }
}

/// Reads a line: `{"kind":"enrollment"|"group","record":{…}}`.
///
/// # Errors
/// [`BadLine`] when it is none, or its record breaks a rule of the service API.
pub fn parse(line: &[u8]) -> Result<Line, BadLine> {
    match swift::parse(line) {
        Some(line) => Ok(line),
        None => at_length(line),
    }
}

/// Reads any line, by its tree.
fn at_length(line: &[u8]) -> Result<Line, BadLine> {
    if line.trim_ascii().is_empty() {
        return Ok(Line::Nothing);
    }
    let value: Value = serde_json::from_slice(line).map_err(|error| {
        let column = error.column();
        BadLine::unread(format!(
            "it is no JSON: it cannot be read from column {column} on"
        ))
    })?;
    let Value::Object(line) = value else {
        return Err(BadLine::unread("it is no JSON object"));
    };
    let collection = match line.get("kind").and_then(Value::as_str) {
        Some("enrollment") => Collection::Individuals,
        Some("group") => Collection::Groups,
        Some("note") => return Ok(Line::Nothing),
        Some(_) => {
            return Err(BadLine::unread(
                "its kind is none of enrollment, group and note",
            ));
        }
        None => return Err(BadLine::unread("it has no kind")),
    };
    let Some(Value::Object(record)) = line.get("record") else {
        return Err(BadLine::unread("its record is no JSON object"));
    };
    let id = shown_id(collection, record);
    let parsed = match collection {
        Collection::Individuals => import_of(record).map(ImportRecord::Individual),
        Collection::Groups => import_of(record).map(ImportRecord::Group),
    };
    match parsed {
        Ok(parsed) => Ok(Line::Record(collection, id, parsed)),
        Err(error) => Err(BadLine {
            record: (!id.is_empty()).then_some((collection, id)),
            reason: error.to_string(),
        }),
    }
}

/// The id of a record as a refusal repeats it; empty when there is none.
fn shown_id(collection: Collection, record: &Map<String, Value>) -> String {
    let member = crate::client::service::id_member(collection);
    let id = record.get(member).and_then(Value::as_str);
    id.unwrap_or_default().chars().take(LONGEST_ID).collect()
}

fn import_of<E: EnrollmentBody>(record: &Map<String, Value>) -> Result<Box<Import<E>>, Error> {
    if record
        .iter()
        .any(|(name, value)| name.contains('\0') || holds_nul(value))
    {
        return Err(invalid(NUL));
    }
    let request = match record.get("etag") {
        // The mark of another service's state, whatever it looks like.
        Some(_) => {
            let mut bare = record.clone();
            bare.remove("etag");
            parse_object_of(&bare)?
        }
        None => parse_object_of(record)?,
    };
    Ok(Box::new(Import {
        request,
        shown: shown_certificates(record).unwrap_or_default(),
    }))
}

/// The thumbprints of certificates that the slots of an X.509 attestation show.
fn shown_certificates(record: &Map<String, Value>) -> Option<[Option<String>; 2]> {
    let attestation = record.get("attestation")?.as_object()?;
    let x509 = Members::of(attestation).value("x509")?.as_object()?;
    let slots = ["clientCertificates", "signingCertificates"]
        .into_iter()
        .find_map(|form| x509.get(form)?.as_object())?;
    let thumbprint = |slot: &str| {
        let text = slots.get(slot)?.pointer("/info/sha256Thumbprint")?;
        text.as_str().map(str::to_ascii_uppercase)
    };
    Some([thumbprint("primary"), thumbprint("secondary")])
}

#[cfg(test)]
mod tests;
