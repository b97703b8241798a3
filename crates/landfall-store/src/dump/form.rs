//! The form of a backup: JSON Lines. First what it is, then a row a line, last what must have been
//! there.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write as _;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::tables::{Kind, Table};
use crate::dialect::{Fault, Row, Value};

/// What a backup calls itself.
pub(super) const FORMAT: &str = "landfall backup";

/// The version of the form that this build writes, and the newest that it reads.
pub(super) const FORMAT_VERSION: u32 = 1;

/// As much of the first line as every version of the form has.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Opening {
    pub(super) format: String,
    pub(super) format_version: u32,
}

/// The first line: what a backup is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Header {
    pub(super) format: String,
    pub(super) format_version: u32,
    /// The version of the schema that its rows are of.
    pub schema_version: i64,
    /// The version of landfall that wrote it.
    pub landfall: String,
    /// When it was begun, in the wire form.
    pub made: String,
    /// The public name of the key that sealed its secrets.
    pub sealing_key: String,
    /// The tables that were left out.
    pub left_out: Vec<String>,
}

/// The last line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Trailer {
    pub(super) end: End,
}

/// What must have been there before the last line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct End {
    /// How many rows of each table.
    pub(super) rows: BTreeMap<String, u64>,
    /// SHA-256 over every byte before the last line, in hex.
    pub(super) sha256: String,
}

/// Any line but the first.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Line {
    pub(super) table: Option<String>,
    pub(super) row: Option<Map<String, Json>>,
    pub(super) end: Option<End>,
}

/// A SHA-256 that grows line by line.
pub(super) struct Sum(digest::Context);

impl Sum {
    pub(super) fn new() -> Self {
        Sum(digest::Context::new(&digest::SHA256))
    }

    pub(super) fn add(&mut self, line: &[u8]) {
        self.0.update(line);
    }

    pub(super) fn hex(self) -> String {
        let sum = self.0.finish();
        sum.as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

impl fmt::Debug for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sum")
    }
}

/// Writes a row as its line, in place of what `line` held.
pub(super) fn write_row(
    line: &mut Vec<u8>,
    table: &Table,
    schema: i64,
    row: &Row<'_>,
) -> Result<(), Fault> {
    line.clear();
    let unwritten = |e: &dyn fmt::Display| Fault::Record(format!("a row of {}: {e}", table.name));
    // Names of tables and columns need no escape.
    let _ = write!(line, "{{\"table\":\"{}\",\"row\":{{", table.name);
    for (at, column) in table.columns(schema).enumerate() {
        let comma = if at == 0 { "" } else { "," };
        let _ = write!(line, "{comma}\"{}\":", column.name);
        match column.kind {
            Kind::Text => {
                serde_json::to_writer(&mut *line, row.text(at)?).map_err(|e| unwritten(&e))?;
            }
            Kind::Integer => {
                let _ = write!(line, "{}", row.integer(at)?);
            }
            Kind::Bytes => match row.bytes(at)? {
                None => line.extend_from_slice(b"null"),
                Some(bytes) => {
                    let _ = write!(line, "\"{}\"", STANDARD.encode(bytes));
                }
            },
        }
    }
    line.extend_from_slice(b"}}\n");
    Ok(())
}

/// Reads the columns of a row's line, in the order of the table. The reason names the column.
pub(super) fn read_row(
    table: &Table,
    schema: i64,
    mut row: Map<String, Json>,
) -> Result<Vec<Value<'static>>, String> {
    let mut values = Vec::new();
    for column in table.columns(schema) {
        let name = column.name;
        let wrong = |what: &str| format!("column {name} of table {} {what}", table.name);
        let value = row.remove(name).ok_or_else(|| wrong("is missing"))?;
        values.push(match (column.kind, value) {
            (Kind::Text, Json::String(text)) => Value::from(text),
            (Kind::Text, _) => return Err(wrong("is no text")),
            (Kind::Integer, value) => {
                Value::from(value.as_i64().ok_or_else(|| wrong("is no whole number"))?)
            }
            (Kind::Bytes, Json::Null) => Value::Bytes(None),
            (Kind::Bytes, Json::String(text)) => {
                let bytes = STANDARD.decode(text);
                Value::from(bytes.map_err(|_| wrong("is no base64"))?)
            }
            (Kind::Bytes, _) => return Err(wrong("is no base64")),
        });
    }
    match row.keys().next() {
        Some(unknown) => Err(format!(
            "table {} has no column '{}' in schema version {schema}",
            table.name,
            printable(unknown)
        )),
        None => Ok(values),
    }
}

/// A name out of a file, fit for a message.
pub(super) fn printable(name: &str) -> String {
    name.chars().take(60).filter(|c| !c.is_control()).collect()
}
