//! The short way through a line that holds an individual enrollment. Its documents, which are most of
//! it, go from text to text and never become trees. Whatever is unusual takes the long way of `import`,
//! which alone says what is wrong: a line that comes through here comes to the same there.

mod walk;

use landfall_core::administration::import::{Import, ImportRecord};
use landfall_core::document::Document;
use landfall_core::enrollment::{IndividualEnrollment, InitialTwin};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use self::walk::Walk;
use super::{Line, import_of, shown_id};
use crate::route::Collection;

/// Reads a line; nothing when it is to go the long way.
pub(super) fn parse(line: &[u8]) -> Option<Line> {
    // Once for whether it is JSON at all; what comes after walks along a text that is.
    let text: &RawValue = serde_json::from_slice(line).ok()?;
    let mut line = Walk::into(text.get())?;
    if line.member()? != Some("kind") || line.value()? != "\"enrollment\"" {
        return None;
    }
    if line.member()? != Some("record") {
        return None;
    }
    line.enter()?;
    let parsed = enrollment(&mut line);
    // What comes behind may say all of it anew.
    parsed.filter(|_| matches!(line.member(), Some(None)))
}

/// The record that the walk has stepped into.
fn enrollment(record: &mut Walk<'_>) -> Option<Line> {
    let (mut small, mut twin, mut information) = (Map::new(), None, None);
    // Of two members of one name the later one counts.
    while let Some(name) = record.member()? {
        match name {
            "initialTwin" => twin = initial_twin(record)?,
            "optionalDeviceInformation" => information = Some(document(record)?),
            _ => {
                let value: Value = serde_json::from_str(record.value()?).ok()?;
                small.insert(name.to_owned(), value);
            }
        }
    }
    let id = shown_id(Collection::Individuals, &small);
    let mut import: Box<Import<IndividualEnrollment>> = import_of(&small).ok()?;
    import.request.terms.initial_twin = twin;
    import.request.details.device_information = information;
    let record = ImportRecord::Individual(import);
    Some(Line::Record(Collection::Individuals, id, record))
}

/// The initial twin, if it says anything; nothing at all when it is to go the long way.
fn initial_twin(walk: &mut Walk<'_>) -> Option<Option<InitialTwin>> {
    let mut twin = InitialTwin::default();
    walk.enter()?;
    while let Some(name) = walk.member()? {
        match name {
            "tags" => twin.tags = Some(document(walk)?),
            "properties" => {
                twin.desired = None;
                walk.enter()?;
                while let Some(name) = walk.member()? {
                    if name != "desired" {
                        return None;
                    }
                    twin.desired = Some(document(walk)?);
                }
            }
            _ => return None,
        }
    }
    Some((twin != InitialTwin::default()).then_some(twin))
}

/// An object as the document that its tree would be written as.
fn document(walk: &mut Walk<'_>) -> Option<Document> {
    walk.compact().map(|text| Document::kept(&text))
}

#[cfg(test)]
mod tests;
