//! Rows of a comma-separated file, as records. A cell in quotes may hold line ends; a quote that is
//! never closed costs its own line and not the rest of the file. What cells mean is
//! `landfall_wire::client::table`'s.

use std::collections::VecDeque;
use std::io::{self, BufRead, Read as _};
use std::path::PathBuf;

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use landfall_wire::client::table::Columns;
use landfall_wire::route::Collection;

use super::source::{BYTE_ORDER_MARK, LINES_AT_ONCE, LONGEST_LINE, Read, pass_over, unread};
use crate::command::outcome::Failure;

/// The most lines of one row: two certificates in PEM stay well below.
const MOST_LINES: usize = 200;

/// The most cells of one row.
const MOST_CELLS: usize = 1024;

/// The largest file that a cell names.
const LARGEST_FILE: u64 = 64 * 1024;

/// A file with one row for each device, the first row naming its columns.
pub struct Table {
    lines: Ahead,
    columns: Columns,
    many: usize,
    reader: Reader,
    /// Where files lie that cells name.
    folder: PathBuf,
}

/// Lines that were read and do not belong to a row yet.
struct Ahead {
    input: Box<dyn BufRead + Send>,
    lines: VecDeque<Result<Vec<u8>, String>>,
    /// The number of the first of them.
    number: u64,
    read: u64,
}

impl Ahead {
    /// Reads on until `count` lines are there; false when there are not so many.
    fn fill(&mut self, count: usize) -> io::Result<bool> {
        while self.lines.len() < count {
            let mut line = Vec::new();
            let mut bounded = (&mut self.input).take(LONGEST_LINE);
            let length = bounded.read_until(b'\n', &mut line)? as u64;
            if length == 0 {
                return Ok(false);
            }
            self.read += length;
            if line.last() == Some(&b'\n') {
                self.lines.push_back(Ok(line));
            } else if length == LONGEST_LINE {
                self.read += pass_over(&mut self.input)?;
                self.lines
                    .push_back(Err(format!("it is longer than {LONGEST_LINE} bytes")));
            } else {
                line.push(b'\n');
                self.lines.push_back(Ok(line));
            }
        }
        Ok(true)
    }

    fn drop_first(&mut self, count: usize) {
        self.lines.drain(..count.min(self.lines.len()));
        self.number += count as u64;
    }
}

impl Table {
    /// Reads the header of `input`; files that cells name lie in `folder`.
    ///
    /// # Errors
    /// [`Failure`] when the file cannot be read or its header is none.
    pub fn open(input: Box<dyn BufRead + Send>, folder: PathBuf) -> Result<Self, Failure> {
        let no_header = |why: &str| {
            Failure::usage(
                format!("the table cannot be read: {why}"),
                "name the columns in the first row, as docs/operating/moving.md lists them",
            )
        };
        let mut lines = Ahead {
            input,
            lines: VecDeque::new(),
            number: 1,
            read: 0,
        };
        if !lines.fill(1).map_err(|error| unread(&error))? {
            return Err(no_header("it is empty"));
        }
        let header = lines.lines.pop_front().unwrap_or_else(|| Ok(Vec::new()));
        lines.number = 2;
        let header = header.map_err(|why| no_header(&why))?;
        let header = header.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&header);
        let mut reader = ReaderBuilder::new().delimiter(delimiter(header)).build();
        let cells = match cells(&mut reader, header) {
            Row::Whole(cells) => cells,
            Row::Open => return Err(no_header("a quote of its first row is not closed")),
            Row::Bad(why) => return Err(no_header(&why)),
        };
        let columns = Columns::parse(cells.iter().map(String::as_str));
        Ok(Table {
            lines,
            columns: columns.map_err(|why| no_header(&why))?,
            many: cells.len(),
            reader,
            folder,
        })
    }

    /// How much of the file was read, in bytes.
    pub fn read_so_far(&self) -> u64 {
        self.lines.read
    }

    /// The next rows, each by the number of its first line; `None` at the end.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(&mut self) -> io::Result<Option<Vec<(u64, Read)>>> {
        let mut rows = Vec::new();
        while rows.len() < LINES_AT_ONCE {
            if !self.lines.fill(1)? {
                return Ok(if rows.is_empty() { None } else { Some(rows) });
            }
            let number = self.lines.number;
            match self.row()? {
                None => {}
                Some(Err(reason)) => rows.push((number, Err(reason))),
                Some(Ok(cells)) => rows.push((number, self.record(cells))),
            }
        }
        Ok(Some(rows))
    }

    /// The row that begins with the first line; `None` when that is empty.
    fn row(&mut self) -> io::Result<Option<Result<Vec<String>, String>>> {
        let mut text = Vec::new();
        for count in 1..=MOST_LINES {
            if !self.lines.fill(count)? {
                break;
            }
            match self.lines.lines.get(count - 1) {
                Some(Ok(line)) => text.extend_from_slice(line),
                Some(Err(reason)) if count == 1 => {
                    let reason = reason.clone();
                    self.lines.drop_first(1);
                    return Ok(Some(Err(reason)));
                }
                Some(Err(_)) | None => break,
            }
            if count == 1 && text.trim_ascii().is_empty() {
                self.lines.drop_first(1);
                return Ok(None);
            }
            if text.len() as u64 > LONGEST_LINE {
                break;
            }
            match cells(&mut self.reader, &text) {
                Row::Open => {}
                Row::Whole(cells) => {
                    self.lines.drop_first(count);
                    return Ok(Some(Ok(cells)));
                }
                Row::Bad(reason) => {
                    self.lines.drop_first(count);
                    return Ok(Some(Err(reason)));
                }
            }
        }
        self.lines.drop_first(1);
        Ok(Some(Err(
            "a quote that begins in it is not closed".to_owned()
        )))
    }

    fn record(&self, mut cells: Vec<String>) -> Read {
        if cells.len() != self.many {
            let (has, wanted) = (cells.len(), self.many);
            return Err(format!(
                "it has {has} cells where the first row has {wanted}"
            ));
        }
        for cell in &mut cells {
            if let Some(name) = cell.trim().strip_prefix('@') {
                *cell = self.file(name)?;
            }
        }
        let record = self.columns.record(cells.iter().map(String::as_str))?;
        Ok((Collection::Individuals, record))
    }

    fn file(&self, name: &str) -> Result<String, String> {
        let path = self.folder.join(name);
        let shown: String = path.display().to_string().chars().take(200).collect();
        let mut bytes = Vec::new();
        let read = std::fs::File::open(&path)
            .and_then(|file| file.take(LARGEST_FILE + 1).read_to_end(&mut bytes));
        match read {
            Err(error) => Err(format!("its file {shown} cannot be read: {error}")),
            Ok(_) if bytes.len() as u64 > LARGEST_FILE => Err(format!(
                "its file {shown} is longer than {LARGEST_FILE} bytes"
            )),
            Ok(_) => String::from_utf8(bytes).map_err(|_| format!("its file {shown} is no text")),
        }
    }
}

/// What parts the cells: the sign of the usual three that the header has most of.
fn delimiter(header: &[u8]) -> u8 {
    let count = |sign: u8| header.iter().filter(|byte| **byte == sign).count();
    let signs = [b'\t', b';', b','];
    signs
        .into_iter()
        .max_by_key(|sign| count(*sign))
        .unwrap_or(b',')
}

/// What a text is.
enum Row {
    /// A row, with its cells.
    Whole(Vec<String>),
    /// The beginning of one: a quote is not closed.
    Open,
    /// None, and why.
    Bad(String),
}

/// Reads the cells of a text that ends with a line end.
fn cells(reader: &mut Reader, text: &[u8]) -> Row {
    reader.reset();
    let mut out = vec![0; text.len()];
    let mut ends = vec![0; MOST_CELLS];
    let (result, _, _, many) = reader.read_record(text, &mut out, &mut ends);
    match result {
        ReadRecordResult::InputEmpty => return Row::Open,
        ReadRecordResult::OutputEndsFull => {
            return Row::Bad(format!("it has more than {MOST_CELLS} cells"));
        }
        ReadRecordResult::OutputFull => return Row::Bad("it is no row".to_owned()),
        ReadRecordResult::Record | ReadRecordResult::End => {}
    }
    let mut begin = 0;
    let mut cells = Vec::with_capacity(many);
    for end in ends.into_iter().take(many) {
        let cell = out.get(begin..end).unwrap_or_default();
        begin = end;
        match std::str::from_utf8(cell) {
            Ok(cell) => cells.push(cell.to_owned()),
            Err(_) => return Row::Bad(format!("its cell {} is no UTF-8", cells.len() + 1)),
        }
    }
    Row::Whole(cells)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &[u8], folder: PathBuf) -> Vec<(u64, Read)> {
        let input = Box::new(io::Cursor::new(text.to_vec()));
        let mut table = Table::open(input, folder).expect("a header");
        let mut rows = Vec::new();
        while let Some(more) = table.read().expect("reads") {
            rows.extend(more);
        }
        rows
    }

    fn ids(rows: &[(u64, Read)]) -> Vec<(u64, Option<&str>)> {
        rows.iter()
            .map(|(number, read)| {
                let record = read.as_ref().ok();
                (
                    *number,
                    record.and_then(|(_, it)| it["registrationId"].as_str()),
                )
            })
            .collect()
    }

    #[test]
    fn a_bad_row_costs_only_itself() {
        let long = "x".repeat(2 << 20);
        let text = [
            "\u{feff}registrationId,tags.a\r\na,1\r\n\nb\nc,\"two\nlines\"\nd,\"never closed\ne,5\n".as_bytes(),
            b"f,\xff\n",
            long.as_bytes(),
            b"\ng,7",
        ]
        .concat();
        let read = rows(&text, PathBuf::new());
        assert_eq!(
            ids(&read),
            [
                (2, Some("a")),
                (4, None),
                (5, Some("c")),
                (7, None),
                (8, Some("e")),
                (9, None),
                (10, None),
                (11, Some("g")),
            ]
        );
        let (_, record) = read[2].1.as_ref().expect("c");
        assert_eq!(record["initialTwin"]["tags"]["a"], "two\nlines");
    }

    #[test]
    fn cells_are_parted_by_what_the_header_is_parted_by() {
        for sign in [",", ";", "\t"] {
            let text = ["registrationId,tags.a", "a,\"x,y\""].join("\n");
            let text = text.replace(',', sign);
            let read = rows(text.as_bytes(), PathBuf::new());
            let (_, record) = read[0].1.as_ref().expect("a row");
            assert_eq!(record["initialTwin"]["tags"]["a"], format!("x{sign}y"));
        }
    }

    #[test]
    fn a_cell_may_name_a_file() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("a.pem"), "PEM").expect("written");
        let text = b"registrationId,certificate\na,@a.pem\nb,@none.pem\n";
        let read = rows(text, folder.path().to_owned());
        assert_eq!(ids(&read), [(2, Some("a")), (3, None)]);
        let (_, record) = read[0].1.as_ref().expect("a row");
        let slot = record["attestation"].pointer("/x509/clientCertificates/primary/certificate");
        assert_eq!(slot.and_then(|it| it.as_str()), Some("PEM"));
    }

    #[test]
    fn a_table_without_a_header_is_refused() {
        for text in ["", "a,b\n", "\"registrationId\n", "deviceId\nd\n"] {
            let input = Box::new(io::Cursor::new(text.as_bytes().to_vec()));
            assert!(Table::open(input, PathBuf::new()).is_err(), "{text}");
        }
    }
}
