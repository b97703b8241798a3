//! What commands print: tables for people, JSON for programs, and JSON without its keys.

use std::io::{self, ErrorKind, IsTerminal as _, Write as _};
use std::sync::OnceLock;

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::Value as Json;

use super::outcome::{Exit, Failure};

/// Why something that was printed did not arrive, the first time.
static UNWRITTEN: OnceLock<io::Error> = OnceLock::new();

/// Prints a result: for programs its JSON, for people what `people` makes of it.
pub fn result(as_json: bool, value: &Json, people: impl FnOnce(&Json) -> String) {
    if as_json {
        text(&format!("{value:#}"));
    } else {
        text(&people(value));
    }
}

/// Tells people that something was done; programs read the exit code.
pub fn done(as_json: bool, sentence: &str) {
    if !as_json {
        text(sentence);
    }
}

/// Prints a text and ends its last line.
pub fn text(text: &str) {
    let mut out = io::stdout().lock();
    let written = writeln!(out, "{}", text.trim_end_matches('\n')).and_then(|()| out.flush());
    match written {
        // Whoever closed the pipe has read enough.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            let _ = UNWRITTEN.set(error);
        }
        _ => {}
    }
}

/// Tells whether everything that was printed arrived, or was not wanted.
///
/// # Errors
/// [`Failure`] when some of it did not: the disk behind standard output is full, for instance.
pub fn arrived() -> Result<(), Failure> {
    match UNWRITTEN.get() {
        None => Ok(()),
        Some(error) => Err(Failure::new(
            Exit::Refused,
            format!("cannot write to standard output: {error}"),
            "make room where the output goes, and read again what is missing there; a change that was asked for is made",
        )),
    }
}

/// Says how far a long command is, on a terminal only, in place of what it said before.
pub fn progress(text: &str) {
    if io::stderr().is_terminal() {
        eprint!("\r{text}\u{1b}[K");
    }
}

/// A text as one line of at most `longest` characters, that no terminal takes for a command.
pub fn one_line(text: &str, longest: usize) -> String {
    text.chars()
        .take(longest)
        .flat_map(|c| {
            let escaped = c.is_control().then(|| c.escape_default());
            let plain = (!c.is_control()).then_some(c);
            escaped.into_iter().flatten().chain(plain)
        })
        .collect()
}

/// A count with its noun: `1 line`, `2 lines`.
pub fn many(count: u64, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        count => format!("{count} {noun}s"),
    }
}

/// Says something on standard error, where standard output is another program's.
pub fn aside(text: &str) {
    let mut out = io::stderr().lock();
    // Whoever closed the pipe, or the terminal, has read enough.
    let _ = writeln!(out, "{}", text.trim_end_matches('\n'));
}

/// A column: its heading, and where its cell stands in a record, as a JSON pointer.
pub type Column = (&'static str, &'static str);

/// Draws one line per record, or says that there is `none`.
pub fn table(columns: &[Column], records: &[Json], none: &str) -> String {
    if records.is_empty() {
        return format!("{none}\n");
    }
    let mut table = plain();
    table.set_header(columns.iter().map(|(heading, _)| *heading));
    for record in records {
        table.add_row(columns.iter().map(|(_, pointer)| {
            let cell = record.pointer(pointer).map(plain_text).unwrap_or_default();
            if cell.is_empty() {
                "-".to_owned()
            } else {
                cell
            }
        }));
    }
    drawn(&table)
}

/// Draws one line per field that the record has: its name and its value.
pub fn sheet(fields: &[Column], record: &Json) -> String {
    let rows = fields.iter().filter_map(|(name, pointer)| {
        let value = plain_text(record.pointer(pointer)?);
        (!value.is_empty()).then(|| ((*name).to_owned(), value))
    });
    pairs(rows)
}

/// Draws names and values in two columns.
pub fn pairs(rows: impl IntoIterator<Item = (String, String)>) -> String {
    let mut table = plain();
    for (name, value) in rows {
        table.add_row([name, value]);
    }
    drawn(&table)
}

fn plain() -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    table
}

fn drawn(table: &Table) -> String {
    let mut text = String::new();
    for line in table.lines() {
        // The table pads every cell on both sides; what is left is easier to copy and to compare.
        let line = line.strip_prefix(' ').unwrap_or(&line);
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// A value as people read it: texts bare, lists joined, everything else as JSON.
pub fn plain_text(value: &Json) -> String {
    match value {
        Json::Null => String::new(),
        // Control characters of a stranger's text could move the cursor or hide a line.
        Json::String(text) => text.chars().filter(|c| !c.is_control()).collect(),
        Json::Bool(true) => "yes".into(),
        Json::Bool(false) => "no".into(),
        Json::Object(members) if members.is_empty() => String::new(),
        Json::Array(items) if items.iter().all(|item| item.is_string()) => {
            items.iter().map(plain_text).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}

/// Removes the symmetric keys of a record as the API answered it. Tags and other free documents are
/// left as they are, whatever their members are called.
pub fn without_keys(value: &mut Json) {
    match value {
        Json::Object(members) => {
            for (name, member) in members.iter_mut() {
                match (name.as_str(), member.as_object_mut()) {
                    ("symmetricKey", Some(keys)) => {
                        keys.retain(|name, _| {
                            !matches!(name.as_str(), "primaryKey" | "secondaryKey")
                        });
                    }
                    ("tags" | "properties" | "optionalDeviceInformation" | "payload", _) => {}
                    _ => without_keys(member),
                }
            }
        }
        Json::Array(items) => items.iter_mut().for_each(without_keys),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn tables_are_aligned_and_say_when_there_is_nothing() {
        let columns = [("ID", "/id"), ("STATUS", "/a/status"), ("HUBS", "/hubs")];
        let records = [
            json!({"id": "dev1", "a": {"status": "enabled"}, "hubs": ["h1", "h2"]}),
            json!({"id": "a-longer-name", "a": {}}),
        ];
        assert_eq!(
            table(&columns, &records, "none"),
            "ID             STATUS   HUBS\n\
             dev1           enabled  h1, h2\n\
             a-longer-name  -        -\n"
        );
        assert_eq!(table(&columns, &[], "No enrollments."), "No enrollments.\n");
    }

    #[test]
    fn sheets_leave_out_what_is_not_there() {
        let fields = [("Id", "/id"), ("Device id", "/deviceId"), ("Edge", "/edge")];
        assert_eq!(
            sheet(&fields, &json!({"id": "dev\u{1b}[2J1", "edge": false})),
            "Id    dev[2J1\nEdge  no\n"
        );
    }

    #[test]
    fn keys_are_removed_at_any_depth_and_tags_are_kept() {
        let mut value = json!([{"etag": "e",
            "attestation": {"type": "symmetricKey", "symmetricKey": {"primaryKey": "p", "secondaryKey": "s"}},
            "initialTwin": {"tags": {"symmetricKey": {"primaryKey": "a tag"}}}}]);
        without_keys(&mut value);
        assert_eq!(
            value,
            json!([{"etag": "e", "attestation": {"type": "symmetricKey", "symmetricKey": {}},
                "initialTwin": {"tags": {"symmetricKey": {"primaryKey": "a tag"}}}}])
        );
    }
}
