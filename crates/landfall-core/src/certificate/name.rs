//! Distinguished names: how they are shown, compared under constraints, and their common name.

use super::der::{self, Element};

const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];

/// Longest common name that the standard allows, in characters.
const LONGEST_COMMON_NAME: usize = 64;

/// Short forms of attribute types, as they are commonly written.
const SHORT: [(&[u8], &str); 14] = [
    (COMMON_NAME, "CN"),
    (&[0x55, 0x04, 0x04], "SN"),
    (&[0x55, 0x04, 0x05], "SERIALNUMBER"),
    (&[0x55, 0x04, 0x06], "C"),
    (&[0x55, 0x04, 0x07], "L"),
    (&[0x55, 0x04, 0x08], "S"),
    (&[0x55, 0x04, 0x09], "STREET"),
    (&[0x55, 0x04, 0x0a], "O"),
    (&[0x55, 0x04, 0x0b], "OU"),
    (&[0x55, 0x04, 0x0c], "T"),
    (&[0x55, 0x04, 0x2a], "G"),
    (&[0x55, 0x04, 0x2e], "dnQualifier"),
    (
        &[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x19],
        "DC",
    ),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x01], "E"),
];

/// Why a subject has no common name that could be a registration id.
///
/// Source: docs/protocol/x509.md §2, §5.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommonNameFault {
    /// There is none.
    #[error("the subject has no CN")]
    Missing,
    /// There are several.
    #[error("the subject has {0} CNs")]
    Repeated(usize),
    /// It is in a string type that readers understand differently.
    #[error("the CN is written as {0}; only UTF8String, PrintableString and IA5String count")]
    Encoding(&'static str),
    /// It holds a NUL character.
    #[error("the CN holds a NUL character")]
    Nul,
    /// It holds a character outside ASCII, or bytes that are no text.
    #[error("the CN holds characters outside ASCII")]
    NotAscii,
    /// It is empty.
    #[error("the CN is empty")]
    Empty,
    /// It is longer than a CN may be.
    #[error("the CN is {0} characters long; 64 are allowed")]
    Length(usize),
}

/// One attribute of a name.
#[derive(Debug, Clone, Copy)]
struct Attribute<'a> {
    kind: &'a [u8],
    value: Element<'a>,
}

/// Splits a name into its relative distinguished names; `None` when it is no name.
fn split(raw: &[u8]) -> Option<Vec<Vec<Attribute<'_>>>> {
    let mut relative_names = Vec::new();
    for set in der::only(raw, der::SEQUENCE)?.children()? {
        if set.tag != der::SET {
            return None;
        }
        let mut attributes = Vec::new();
        for pair in set.children()? {
            match (pair.tag, pair.children()?.as_slice()) {
                (der::SEQUENCE, [kind, value]) if kind.tag == der::OBJECT_IDENTIFIER => {
                    attributes.push(Attribute {
                        kind: kind.content,
                        value: *value,
                    });
                }
                _ => return None,
            }
        }
        relative_names.push(attributes);
    }
    Some(relative_names)
}

/// Reads the text of a string value, whatever its string type; `None` for other types.
fn decoded(value: &Element<'_>) -> Option<String> {
    match value.tag {
        0x0c | 0x13 | 0x16 | 0x12 | 0x1a => {
            std::str::from_utf8(value.content).ok().map(str::to_owned)
        }
        0x14 => Some(value.content.iter().map(|b| char::from(*b)).collect()),
        0x1e => {
            let units: Vec<u16> = value
                .content
                .chunks(2)
                .map(|pair| pair.iter().fold(0, |sum, b| sum << 8 | u16::from(*b)))
                .collect();
            String::from_utf16(&units).ok()
        }
        0x1c => value
            .content
            .chunks(4)
            .map(|four| char::from_u32(four.iter().fold(0, |sum, b| sum << 8 | u32::from(*b))))
            .collect(),
        _ => None,
    }
}

/// Shows a name as people write it, the most specific part first: `CN=dev1, O=Contoso`.
///
/// Shape: control characters are dropped, values with separators are quoted, and the whole is cut
/// to a length that fits a message.
pub(crate) fn shown(raw: &[u8]) -> Option<String> {
    let mut parts = Vec::new();
    for attributes in split(raw)?.iter().rev() {
        let pairs: Vec<String> = attributes.iter().map(pair).collect();
        parts.push(pairs.join(" + "));
    }
    Some(parts.join(", ").chars().take(1024).collect())
}

fn pair(attribute: &Attribute<'_>) -> String {
    let kind = SHORT
        .iter()
        .find(|(oid, _)| *oid == attribute.kind)
        .map_or_else(|| der::dotted(attribute.kind), |(_, short)| (*short).into());
    let text: String = match decoded(&attribute.value) {
        Some(text) => text.chars().filter(|c| !c.is_control()).collect(),
        None => format!("#{}", super::upper_hex(attribute.value.raw)),
    };
    let plain = !text.starts_with(' ')
        && !text.ends_with(' ')
        && !text.contains([',', '+', '"', '=', '<', '>', ';', '\\']);
    if plain {
        format!("{kind}={text}")
    } else {
        format!("{kind}=\"{}\"", text.replace('"', "\"\""))
    }
}

/// The one common name of a subject, wherever among its relative names it stands.
pub(crate) fn common_name(raw: &[u8]) -> Result<String, CommonNameFault> {
    let names = split(raw).unwrap_or_default();
    let found: Vec<&Attribute<'_>> = names
        .iter()
        .flatten()
        .filter(|attribute| attribute.kind == COMMON_NAME)
        .collect();
    let value = match found.as_slice() {
        [] => return Err(CommonNameFault::Missing),
        [one] => one.value,
        several => return Err(CommonNameFault::Repeated(several.len())),
    };
    match value.tag {
        0x0c | 0x13 | 0x16 => {}
        0x14 => return Err(CommonNameFault::Encoding("TeletexString")),
        0x1e => return Err(CommonNameFault::Encoding("BMPString")),
        0x1c => return Err(CommonNameFault::Encoding("UniversalString")),
        _ => return Err(CommonNameFault::Encoding("another type")),
    }
    if value.content.contains(&0) {
        return Err(CommonNameFault::Nul);
    }
    if !value.content.is_ascii() {
        return Err(CommonNameFault::NotAscii);
    }
    match value.content.len() {
        0 => Err(CommonNameFault::Empty),
        1..=LONGEST_COMMON_NAME => Ok(String::from_utf8_lossy(value.content).into_owned()),
        length => Err(CommonNameFault::Length(length)),
    }
}

/// A name in the form in which constraints compare: text without case and needless space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Folded(Vec<Vec<(Vec<u8>, FoldedValue)>>);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum FoldedValue {
    Text(String),
    Other(Vec<u8>),
}

impl Folded {
    /// Folds a name; `None` when it is no name.
    pub(crate) fn of(raw: &[u8]) -> Option<Self> {
        let mut folded = Vec::new();
        for attributes in split(raw)? {
            let mut values: Vec<_> = attributes
                .iter()
                .map(|attribute| (attribute.kind.to_vec(), fold(&attribute.value)))
                .collect();
            values.sort();
            folded.push(values);
        }
        Some(Folded(folded))
    }

    /// Whether this name lies in the subtree that `base` opens.
    pub(crate) fn within(&self, base: &Folded) -> bool {
        self.0.starts_with(&base.0)
    }

    /// Whether there is nothing in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn fold(value: &Element<'_>) -> FoldedValue {
    match decoded(value) {
        Some(text) => {
            let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
            FoldedValue::Text(words.join(" "))
        }
        None => FoldedValue::Other(value.raw.to_vec()),
    }
}
