//! Rules about the text of source files: what may be named where.

use super::Finding;
use super::rust_text::{RustText, words};
use super::tree::{File, Tree};

/// Files that are allowed to read the clock, sleep and draw randomness.
const TIME_FILES: [&str; 3] = [
    "crates/landfall-server/src/time.rs",
    "crates/landfall-agent/src/time.rs",
    // The bounds of waiting for a database.
    "crates/landfall-store/src/dialect/postgres/patience.rs",
];

/// Statements that only a database understands. `SELECT` alone is not one: the public query
/// language begins with it too.
const STATEMENTS: [&str; 14] = [
    "INSERT INTO",
    "INSERT OR",
    "DELETE FROM",
    "CREATE TABLE",
    "CREATE INDEX",
    "CREATE UNIQUE INDEX",
    "CREATE TRIGGER",
    "ALTER TABLE",
    "DROP TABLE",
    "PRAGMA ",
    "BEGIN IMMEDIATE",
    "ON CONFLICT",
    "SAVEPOINT ",
    "RETURNING ",
];

/// Files, without their ending, and the folders of their parts, that may name error statuses: the
/// table itself, the client half that reads them, and the admin listener, which is no part of the
/// public protocol.
const MAY_NAME_STATUSES: [&str; 3] = [
    "crates/landfall-wire/src/fault",
    "crates/landfall-wire/src/client",
    "crates/landfall-server/src/admin",
];

/// Checks every source file.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.files() {
        if file.is("rs") {
            let read = RustText::read(&file.text);
            opening(file, &mut findings);
            forbidden_words(file, &read, &mut findings);
            clock(file, &read, &mut findings);
            json(file, &read, &mut findings);
            sql(file, &read, &mut findings);
            numbers(file, &read, &mut findings);
        } else if file.is("sql") {
            if !in_store(file) {
                findings.push(Finding::new(
                    &file.path,
                    1,
                    "SQL outside landfall-store",
                    "move it there",
                ));
            }
        } else if ["py", "js", "mjs", "sh", "toml", "yml"]
            .iter()
            .any(|extension| file.is(extension))
        {
            marks(file, &mut findings);
        }
    }
    findings
}

fn in_store(file: &File) -> bool {
    file.path.starts_with("crates/landfall-store/")
}

/// True for files that hold tests only.
fn all_tests(file: &File) -> bool {
    file.path.ends_with("/tests.rs")
        || file.path.contains("/tests/")
        || file.path.ends_with("/conformance.rs")
        || file.path.contains("/conformance/")
}

fn product(file: &File) -> bool {
    file.path.starts_with("crates/") && !all_tests(file)
}

/// Every file says first what lives in it.
fn opening(file: &File, findings: &mut Vec<Finding>) {
    if !file.text.trim_start().starts_with("//!") {
        findings.push(Finding::new(
            &file.path,
            1,
            "the file does not open with `//!`",
            "say what lives here, what does not, and who calls it",
        ));
    }
}

/// `unsafe`, `#[allow]` and marks of unfinished work.
fn forbidden_words(file: &File, read: &RustText, findings: &mut Vec<Finding>) {
    for (index, code) in read.code.iter().enumerate() {
        let line = index + 1;
        if words(code).any(|word| word == "unsafe") {
            findings.push(Finding::new(
                &file.path,
                line,
                "unsafe code",
                "do without it",
            ));
        }
        let dense: String = code.chars().filter(|c| !c.is_whitespace()).collect();
        if ["#[allow(", "#![allow("]
            .iter()
            .any(|mark| dense.contains(mark))
        {
            findings.push(Finding::new(
                &file.path,
                line,
                "a lint is switched off for good",
                "use `#[expect(…, reason = \"…\")]`, which tells when it is no longer needed",
            ));
        }
        if ["todo!", "unimplemented!"]
            .iter()
            .any(|mark| dense.contains(mark))
        {
            findings.push(Finding::new(
                &file.path,
                line,
                "unfinished code",
                "finish it or leave it out",
            ));
        }
    }
    for (line, comment) in &read.comments {
        unfinished(file, *line, comment, findings);
    }
}

fn marks(file: &File, findings: &mut Vec<Finding>) {
    for (index, line) in file.text.lines().enumerate() {
        unfinished(file, index + 1, line, findings);
    }
}

fn unfinished(file: &File, line: usize, text: &str, findings: &mut Vec<Finding>) {
    if words(text).any(|word| matches!(word, "TODO" | "FIXME" | "XXX")) {
        findings.push(Finding::new(
            &file.path,
            line,
            "a mark of unfinished work",
            "finish it, or write an issue and take the mark out",
        ));
    }
}

/// Only the time files may ask the machine for time, sleep or chance: clippy forbids the calls,
/// and this keeps anyone else from silencing clippy.
fn clock(file: &File, read: &RustText, findings: &mut Vec<Finding>) {
    if !product(file) || TIME_FILES.contains(&file.path.as_str()) {
        return;
    }
    for (line, code) in read.product_code() {
        if words(code).any(|word| word == "disallowed_methods") {
            findings.push(Finding::new(
                &file.path,
                line,
                "the rule against clocks, sleep and randomness is switched off here",
                "take a `Clock`, an `Entropy` or a `Timestamp` as an argument",
            ));
        }
    }
}

/// JSON is an opaque document below the wire.
fn json(file: &File, read: &RustText, findings: &mut Vec<Finding>) {
    let core = file.path.starts_with("crates/landfall-core/src/");
    let hub = file.path.starts_with("crates/landfall-hub/");
    if !core && !hub || file.path == "crates/landfall-core/src/document.rs" {
        return;
    }
    for (index, code) in read.code.iter().enumerate() {
        if words(code).any(|word| word == "serde_json") {
            findings.push(Finding::new(
                &file.path,
                index + 1,
                "a JSON library below the wire",
                "use `landfall_core::document`",
            ));
        }
    }
}

/// SQL stands in the store only, and its placeholders ascend.
fn sql(file: &File, read: &RustText, findings: &mut Vec<Finding>) {
    for (line, literal) in &read.strings {
        if in_store(file) {
            if let Some(order) = placeholders_out_of_order(literal) {
                findings.push(Finding::new(
                    &file.path,
                    *line,
                    format!("placeholders are first used in the order {order}"),
                    "number them as they appear: SQLite numbers by first use, PostgreSQL by name",
                ));
            }
        } else if product(file) && is_sql(literal) {
            findings.push(Finding::new(
                &file.path,
                *line,
                "SQL outside landfall-store",
                "add a method to the store's port and write the statement there",
            ));
        }
    }
}

fn is_sql(literal: &str) -> bool {
    let updates = literal.contains("UPDATE ") && literal.contains(" SET ");
    let selects = literal.contains("SELECT ") && (literal.contains("$1") || literal.contains("?1"));
    updates || selects || STATEMENTS.iter().any(|word| literal.contains(word))
}

/// The numbers of `$n` in order of first use, when that order does not ascend, or when a whole
/// statement does not count from 1 without a gap.
fn placeholders_out_of_order(literal: &str) -> Option<String> {
    let mut first: Vec<u32> = Vec::new();
    for part in literal.split('$').skip(1) {
        let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
        if let Ok(number) = digits.parse()
            && !first.contains(&number)
        {
            first.push(number);
        }
    }
    let ascending = first.is_sorted();
    let statement = ["SELECT ", "INSERT ", "UPDATE ", "DELETE "]
        .iter()
        .any(|verb| literal.trim_start().starts_with(verb));
    let gapless = first
        .iter()
        .zip(1..)
        .all(|(number, place)| *number == place);
    (!ascending || statement && !gapless).then(|| {
        let order: Vec<String> = first.iter().map(|number| format!("${number}")).collect();
        order.join(" ")
    })
}

/// Error statuses and error numbers have one table.
fn numbers(file: &File, read: &RustText, findings: &mut Vec<Finding>) {
    let exempt = MAY_NAME_STATUSES.iter().any(|room| {
        file.path == format!("{room}.rs") || file.path.starts_with(&format!("{room}/"))
    });
    if !product(file) || exempt {
        return;
    }
    for (line, code) in read.product_code() {
        let number = words(code).find(|word| is_error_number(word));
        let status = code
            .split("StatusCode::")
            .skip(1)
            .filter_map(|rest| words(rest).next())
            .find(|name| ERROR_STATUSES.contains(name));
        if let Some(what) = number.or(status) {
            findings.push(Finding::new(
                &file.path,
                line,
                format!("`{what}`: an error's status or number outside the fault table"),
                "return a typed error and give its variant a row in landfall-wire/src/fault.rs",
            ));
        }
    }
}

/// Status names of 4xx and 5xx that the `http` crate gives and this project could meet.
const ERROR_STATUSES: [&str; 15] = [
    "BAD_REQUEST",
    "UNAUTHORIZED",
    "FORBIDDEN",
    "NOT_FOUND",
    "METHOD_NOT_ALLOWED",
    "REQUEST_TIMEOUT",
    "CONFLICT",
    "PRECONDITION_FAILED",
    "PAYLOAD_TOO_LARGE",
    "UNSUPPORTED_MEDIA_TYPE",
    "TOO_MANY_REQUESTS",
    "INTERNAL_SERVER_ERROR",
    "NOT_IMPLEMENTED",
    "BAD_GATEWAY",
    "SERVICE_UNAVAILABLE",
];

/// A number of six digits whose first three are an error status.
fn is_error_number(word: &str) -> bool {
    let digits: String = word.chars().filter(|c| *c != '_').collect();
    digits.len() == 6
        && digits.bytes().all(|b| b.is_ascii_digit())
        && (digits.starts_with("40")
            || digits.starts_with("41")
            || digits.starts_with("429")
            || digits.starts_with("50"))
}

#[cfg(test)]
mod tests;
