//! Where enrollments come from: a service, page by page, with their keys when they are wanted; or a
//! file of lines.

use std::io::{BufRead, Read as _};

use landfall_core::document::JsonObject;
use landfall_wire::client::Pages;
use landfall_wire::client::service::{attestation_mechanism, id_member, query_enrollments};
use landfall_wire::route::Collection;
use serde_json::Value as Json;
use tokio::task::JoinSet;

use super::caller::Caller;
use super::line::{self, Line};
use super::table::Table;
use crate::command::outcome::{Exit, Failure};

/// How many calls to one service are on their way at once.
pub const AT_ONCE: usize = 4;

/// How many lines of a file are handed on together.
pub const LINES_AT_ONCE: usize = 1000;

/// The longest line that is read, in bytes: far above what a service takes.
pub const LONGEST_LINE: u64 = 1 << 20;

/// What some editors and shells put before the first line of a UTF-8 file.
pub const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// A record of a service, or why there is none where one was expected.
pub type Read = Result<(Collection, JsonObject), String>;

/// The enrollments and groups of a service.
pub struct Service {
    callers: Vec<Caller>,
    keys: bool,
    rest: Vec<(Collection, Pages)>,
}

impl Service {
    /// Reads everything that the service of `caller` holds; with `keys`, their symmetric keys too.
    pub fn new(caller: Caller, keys: bool) -> Self {
        let pages = |collection| (collection, Pages::new(None));
        Service {
            callers: vec![caller],
            keys,
            // Taken from the end.
            rest: vec![pages(Collection::Groups), pages(Collection::Individuals)],
        }
    }

    /// The next page; `None` at the end.
    ///
    /// # Errors
    /// [`Failure`] when the service refuses, or does not answer for long.
    pub async fn next(&mut self) -> Result<Option<Vec<(Collection, JsonObject)>>, Failure> {
        loop {
            let (Some((collection, pages)), Some(caller)) =
                (self.rest.last_mut(), self.callers.first_mut())
            else {
                return Ok(None);
            };
            let collection = *collection;
            if !pages.wants_more() {
                self.rest.pop();
                continue;
            }
            let query = match collection {
                Collection::Individuals => "SELECT * FROM enrollments",
                Collection::Groups => "SELECT * FROM enrollmentGroups",
            };
            let reply = caller
                .reply(|who| query_enrollments(who, collection, query, pages))
                .await?;
            pages.received(&reply)?;
            let mut records = Vec::new();
            for item in pages.take_items() {
                match item {
                    Json::Object(mut record) => {
                        line::bare(&mut record);
                        records.push(record);
                    }
                    _ => return Err(unreadable("a record of a page is no JSON object")),
                }
            }
            if self.keys {
                records = self.with_keys(collection, records).await?;
            }
            let records = records.into_iter().map(|record| (collection, record));
            return Ok(Some(records.collect()));
        }
    }

    /// Asks for the keys of each record that has some, a few at once. A record that was removed
    /// meanwhile is left out.
    async fn with_keys(
        &mut self,
        collection: Collection,
        records: Vec<JsonObject>,
    ) -> Result<Vec<JsonObject>, Failure> {
        while self.callers.len() < AT_ONCE
            && let Some(caller) = self.callers.first().map(Caller::another)
        {
            self.callers.push(caller);
        }
        let mut shares: Vec<Vec<(usize, JsonObject)>> = vec![Vec::new(); self.callers.len().max(1)];
        let many = shares.len();
        let mut done = Vec::new();
        for (at, record) in records.into_iter().enumerate() {
            match shares.get_mut(at % many) {
                Some(share) if has_keys(&record) => share.push((at, record)),
                _ => done.push((at, record)),
            }
        }
        let mut running = JoinSet::new();
        for (mut caller, share) in self.callers.drain(..).zip(shares) {
            running.spawn(async move {
                let mut filled = Vec::new();
                for (at, record) in share {
                    if let Some(record) = with_key(&mut caller, collection, record).await? {
                        filled.push((at, record));
                    }
                }
                Ok::<_, Failure>((caller, filled))
            });
        }
        while let Some(ended) = running.join_next().await {
            let (caller, filled) = ended.map_err(anyhow::Error::new)??;
            self.callers.push(caller);
            done.extend(filled);
        }
        done.sort_by_key(|(at, _)| *at);
        Ok(done.into_iter().map(|(_, record)| record).collect())
    }
}

fn has_keys(record: &JsonObject) -> bool {
    let kind = record.get("attestation").and_then(|it| it.get("type"));
    kind.and_then(Json::as_str)
        .is_some_and(|kind| kind.eq_ignore_ascii_case("symmetricKey"))
}

/// The record with the attestation mechanism that the service shows to whoever may write; `None` when
/// it is gone.
async fn with_key(
    caller: &mut Caller,
    collection: Collection,
    mut record: JsonObject,
) -> Result<Option<JsonObject>, Failure> {
    let id = record.get(id_member(collection)).and_then(Json::as_str);
    let id = id.ok_or_else(|| unreadable("a record has no id"))?;
    let found = caller
        .find(|who| attestation_mechanism(who, collection, id))
        .await?;
    Ok(found.map(|mechanism| {
        record.insert("attestation".into(), mechanism);
        record
    }))
}

fn unreadable(what: &str) -> Failure {
    Failure::new(
        Exit::Refused,
        format!("the reply cannot be read: {what}"),
        "check that the host is a provisioning service",
    )
}

/// The lines of a file.
pub struct Lines {
    input: Box<dyn BufRead + Send>,
    number: u64,
    read: u64,
}

impl Lines {
    /// Reads lines from `input`.
    pub fn new(input: Box<dyn BufRead + Send>) -> Self {
        Lines {
            input,
            number: 0,
            read: 0,
        }
    }

    /// The next lines, numbered from 1 on; `None` at the end. Notes and empty lines are passed over.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(&mut self) -> std::io::Result<Option<Vec<(u64, Read)>>> {
        let mut lines = Vec::new();
        let mut bytes = Vec::new();
        while lines.len() < LINES_AT_ONCE {
            bytes.clear();
            let mut bounded = (&mut self.input).take(LONGEST_LINE);
            let length = bounded.read_until(b'\n', &mut bytes)? as u64;
            self.read += length;
            if length == 0 {
                return Ok(if lines.is_empty() { None } else { Some(lines) });
            }
            self.number += 1;
            if self.number == 1 && bytes.starts_with(BYTE_ORDER_MARK) {
                bytes.drain(..BYTE_ORDER_MARK.len());
            }
            if bytes.last() != Some(&b'\n') && bytes.len() as u64 == LONGEST_LINE {
                self.read += pass_over(&mut self.input)?;
                lines.push((
                    self.number,
                    Err(format!("it is longer than {LONGEST_LINE} bytes")),
                ));
            } else if !bytes.trim_ascii().is_empty() {
                match line::parse(&bytes) {
                    Ok(Line::Note) => {}
                    Ok(Line::Record(collection, record)) => {
                        lines.push((self.number, Ok((collection, record))));
                    }
                    Err(reason) => lines.push((self.number, Err(reason))),
                }
            }
        }
        Ok(Some(lines))
    }
}

/// Reads on to the end of a line without keeping it; gives how many bytes that were.
pub fn pass_over(input: &mut dyn BufRead) -> std::io::Result<u64> {
    let mut passed = 0;
    loop {
        let bytes = input.fill_buf()?;
        if bytes.is_empty() {
            return Ok(passed);
        }
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let length = end.map_or(bytes.len(), |end| end + 1);
        input.consume(length);
        passed += length as u64;
        if end.is_some() {
            return Ok(passed);
        }
    }
}

/// A file that cannot be read.
pub fn unread(error: &std::io::Error) -> Failure {
    Failure::new(
        Exit::Refused,
        format!("the lines cannot be read: {error}"),
        "check the file and its disk",
    )
}

/// One of them.
pub enum Source {
    /// A file of lines.
    Lines(Lines),
    /// A file of rows.
    Table(Box<Table>),
    /// A service, and how many of its records were read.
    Service(Box<Service>, u64),
}

impl Source {
    /// How much of it was read, in bytes; of a service, nothing.
    pub fn read(&self) -> u64 {
        match self {
            Source::Lines(lines) => lines.read,
            Source::Table(table) => table.read_so_far(),
            Source::Service(..) => 0,
        }
    }

    /// The next records, numbered from 1 on; `None` at the end.
    ///
    /// # Errors
    /// [`Failure`] when the source cannot be read.
    pub async fn next(&mut self) -> Result<Option<Vec<(u64, Read)>>, Failure> {
        match self {
            Source::Lines(lines) => lines.read().map_err(|error| unread(&error)),
            Source::Table(table) => table.read().map_err(|error| unread(&error)),
            Source::Service(service, read) => {
                let page = service.next().await?;
                Ok(page.map(|page| {
                    page.into_iter()
                        .map(|record| {
                            *read += 1;
                            (*read, Ok(record))
                        })
                        .collect()
                }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_lines_cost_only_themselves() {
        let long = "x".repeat(3 << 20);
        let text = format!(
            "{{\"kind\":\"group\",\"record\":{{}}}}\n\nno JSON\n{long}\n\
             {{\"kind\":\"note\"}}\r\n{{\"kind\":\"enrollment\",\"record\":{{}}}}"
        );
        let mut lines = Lines::new(Box::new(std::io::Cursor::new(text)));
        let read = lines.read().expect("read").expect("lines");
        let numbers: Vec<(u64, bool)> = read.iter().map(|(n, it)| (*n, it.is_ok())).collect();
        assert_eq!(numbers, [(1, true), (3, false), (4, false), (6, true)]);
        assert!(lines.read().expect("read").is_none());
    }

    #[test]
    fn a_byte_order_mark_costs_no_line() {
        let text = "\u{feff}{\"kind\":\"group\",\"record\":{}}\n".repeat(2);
        let mut lines = Lines::new(Box::new(std::io::Cursor::new(text)));
        let read = lines.read().expect("read").expect("lines");
        let good: Vec<bool> = read.iter().map(|(_, it)| it.is_ok()).collect();
        assert_eq!(good, [true, false], "it stands before a file, not a line");
    }

    #[test]
    fn a_long_file_is_handed_on_in_parts() {
        let text = "{\"kind\":\"group\",\"record\":{}}\n".repeat(LINES_AT_ONCE + 5);
        let mut lines = Lines::new(Box::new(std::io::Cursor::new(text)));
        let mut many = || lines.read().expect("read").map(|lines| lines.len());
        assert_eq!(
            (many(), many(), many()),
            (Some(LINES_AT_ONCE), Some(5), None)
        );
    }
}
