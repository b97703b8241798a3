//! Rules of twins that hold wherever a twin is written: limits, and the merge of a patch.
//!
//! Enrollments check their initial twins here, the hub checks its twins; versions, metadata and
//! etags are the hub's own (`landfall-hub/twin.rs`).

mod glance;

use crate::document::{Document, Json, JsonObject};
use crate::enrollment::InitialTwin;
use crate::secret::repeated;

/// The parts of a twin, each with a size of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// What only operators see.
    Tags,
    /// What the device is asked to become.
    Desired,
    /// What the device says it is.
    Reported,
}

impl Section {
    /// The way to the section in a twin document.
    pub fn path(self) -> &'static str {
        match self {
            Section::Tags => "tags",
            Section::Desired => "properties.desired",
            Section::Reported => "properties.reported",
        }
    }

    /// The most bytes the section may hold, counted by [`size`].
    ///
    /// Source: docs/protocol/hub-api.md §1.6 [D].
    pub fn limit(self) -> usize {
        match self {
            Section::Tags => 8 * 1024,
            Section::Desired | Section::Reported => 32 * 1024,
        }
    }
}

/// How many objects and arrays may stand inside each other below a section.
///
/// Source: docs/protocol/hub-api.md §1.6 [D].
pub const DEEPEST: usize = 10;
/// The longest key, in bytes of UTF-8.
pub const LONGEST_KEY: usize = 1024;
/// The longest text, in bytes of UTF-8.
pub const LONGEST_TEXT: usize = 4096;
/// The integer farthest from zero.
pub const LARGEST_INTEGER: u64 = 1 << 52;

/// Which limit of twins a document breaks, and where. `Display` is what the caller may read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TwinError {
    /// The section is something else than an object.
    #[error("'{0}' must be a JSON object")]
    NotAnObject(String),
    /// A key is empty or holds what no key may hold.
    #[error(
        "the key '{key}' in '{path}' is not valid: a key is not empty and holds no control character, '.', '$' or space"
    )]
    Key {
        /// The object that holds the key.
        path: String,
        /// The key, cut to a length that fits a message.
        key: String,
    },
    /// A key is too long.
    #[error("a key in '{path}' is {length} bytes long; the limit is {LONGEST_KEY} bytes")]
    KeyLength {
        /// The object that holds the key.
        path: String,
        /// Its length in bytes.
        length: usize,
    },
    /// Objects nest too deeply.
    #[error("'{path}' nests deeper than {DEEPEST} levels")]
    Depth {
        /// The first value that lies too deep.
        path: String,
    },
    /// A text is too long.
    #[error("the text at '{path}' is {length} bytes long; the limit is {LONGEST_TEXT} bytes")]
    Text {
        /// Where it stands.
        path: String,
        /// Its length in bytes.
        length: usize,
    },
    /// An integer is too large.
    #[error("the integer at '{path}' lies outside -{LARGEST_INTEGER} to {LARGEST_INTEGER}")]
    Integer {
        /// Where it stands.
        path: String,
    },
    /// The section is too large.
    #[error("'{path}' holds {size} bytes; the limit is {limit} bytes")]
    Size {
        /// The section.
        path: &'static str,
        /// What it holds.
        size: usize,
        /// What it may hold.
        limit: usize,
    },
}

/// Holds a section against every limit; nulls count as absent.
///
/// # Errors
/// The first [`TwinError`] in document order, the size last.
pub fn check(section: Section, members: &JsonObject) -> Result<(), TwinError> {
    check_form(section, members)?;
    check_size(section, members)
}

/// Holds a patch or a section against the limits of form: keys, depth, texts, integers.
///
/// # Errors
/// The first [`TwinError`] in document order.
pub fn check_form(section: Section, members: &JsonObject) -> Result<(), TwinError> {
    let mut path = section.path().to_owned();
    object_form(&mut path, 0, members)
}

/// Holds a section against its size.
///
/// # Errors
/// [`TwinError::Size`].
pub fn check_size(section: Section, members: &JsonObject) -> Result<(), TwinError> {
    let size = object_size(members);
    if size > section.limit() {
        return Err(TwinError::Size {
            path: section.path(),
            size,
            limit: section.limit(),
        });
    }
    Ok(())
}

/// Holds both parts of an initial twin against the limits. A part that is `null` counts as absent.
///
/// # Errors
/// The first [`TwinError`], tags before desired properties.
pub fn check_initial(twin: &InitialTwin) -> Result<(), TwinError> {
    for (section, document) in [
        (Section::Tags, &twin.tags),
        (Section::Desired, &twin.desired),
    ] {
        if let Some(document) = document.as_ref()
            && !glance::keeps_limits(section, document)
        {
            checked(section, document)?;
        }
    }
    Ok(())
}

/// The members of one part of an initial twin, checked, without nulls.
///
/// # Errors
/// [`TwinError`] when the part is no object or breaks a limit.
pub fn initial_section(
    section: Section,
    document: Option<&Document>,
) -> Result<JsonObject, TwinError> {
    let mut clean = JsonObject::new();
    if let Some(document) = document {
        merge(&mut clean, &checked(section, document)?);
    }
    Ok(clean)
}

/// The members of a part, checked; those of one that is `null` are none.
fn checked(section: Section, document: &Document) -> Result<JsonObject, TwinError> {
    if document.is_null() {
        return Ok(JsonObject::new());
    }
    let members = document
        .to_object()
        .ok_or_else(|| TwinError::NotAnObject(section.path().to_owned()))?;
    check(section, &members)?;
    Ok(members)
}

/// Merges a patch into an object: null deletes, objects merge, arrays and scalars replace.
///
/// Source: docs/protocol/hub-api.md §1.6 [D]; the rules are those of RFC 7396.
pub fn merge(target: &mut JsonObject, patch: &JsonObject) {
    for (key, change) in patch {
        match change {
            Json::Null => {
                target.shift_remove(key);
            }
            Json::Object(inner) => {
                let slot = target.entry(key.clone()).or_insert(Json::Null);
                if !slot.is_object() {
                    *slot = Json::Object(JsonObject::new());
                }
                if let Json::Object(members) = slot {
                    merge(members, inner);
                }
            }
            other => {
                target.insert(key.clone(), other.clone());
            }
        }
    }
}

/// What a value counts towards its section's limit: keys and texts by their UTF-8 bytes, numbers
/// 8, booleans 4, null nothing.
///
/// Source: docs/protocol/hub-api.md §1.6 [D].
pub fn size(value: &Json) -> usize {
    match value {
        Json::Null => 0,
        Json::Bool(_) => 4,
        Json::Number(_) => 8,
        Json::String(text) => text.len(),
        Json::Array(items) => items.iter().map(size).sum(),
        Json::Object(members) => object_size(members),
    }
}

fn object_size(members: &JsonObject) -> usize {
    members
        .iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(key, value)| key.len() + size(value))
        .sum()
}

/// `path` is one buffer that grows and shrinks on the way; it is cloned into errors only.
fn object_form(path: &mut String, depth: usize, members: &JsonObject) -> Result<(), TwinError> {
    for (key, value) in members {
        key_form(path, key)?;
        let parent = path.len();
        path.push('.');
        path.push_str(key);
        value_form(path, depth + 1, value)?;
        path.truncate(parent);
    }
    Ok(())
}

fn value_form(path: &mut String, depth: usize, value: &Json) -> Result<(), TwinError> {
    match value {
        Json::Object(_) | Json::Array(_) if depth > DEEPEST => {
            Err(TwinError::Depth { path: shown(path) })
        }
        Json::Object(members) => object_form(path, depth, members),
        Json::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                let parent = path.len();
                path.push_str(&format!("[{index}]"));
                value_form(path, depth + 1, item)?;
                path.truncate(parent);
            }
            Ok(())
        }
        Json::String(text) if text.len() > LONGEST_TEXT => Err(TwinError::Text {
            path: shown(path),
            length: text.len(),
        }),
        Json::Number(number) => {
            let too_large = match (number.as_i64(), number.as_u64()) {
                (Some(signed), _) => signed.unsigned_abs() > LARGEST_INTEGER,
                (None, Some(unsigned)) => unsigned > LARGEST_INTEGER,
                (None, None) => false,
            };
            if too_large {
                Err(TwinError::Integer { path: shown(path) })
            } else {
                Ok(())
            }
        }
        Json::Null | Json::Bool(_) | Json::String(_) => Ok(()),
    }
}

fn key_form(path: &str, key: &str) -> Result<(), TwinError> {
    if key.len() > LONGEST_KEY {
        return Err(TwinError::KeyLength {
            path: shown(path),
            length: key.len(),
        });
    }
    if key.is_empty() || key.contains(|c: char| c.is_control() || matches!(c, '.' | '$' | ' ')) {
        return Err(TwinError::Key {
            path: shown(path),
            key: shown(key),
        });
    }
    Ok(())
}

/// A path or key as it fits a message.
fn shown(text: &str) -> String {
    repeated(text, 200)
}

#[cfg(test)]
mod tests;
