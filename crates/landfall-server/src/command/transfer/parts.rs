//! A source cut into parts that are sent whole: a few thousand lines, each with its number in the
//! source, so that what is told of it can be told by that.

use std::io::{self, BufRead, Read as _};

use landfall_wire::own::import::{RefusedLine, Why};

use super::fit::Fit;
use super::line;
use super::source::{BYTE_ORDER_MARK, LONGEST_LINE, Source, pass_over};
use crate::command::outcome::Failure;

/// Lines and bytes from which on a part is sent.
const MOST_LINES: usize = 4000;
const MOST_BYTES: usize = 4 << 20;

/// Lines that are sent together.
#[derive(Debug, Default)]
pub struct Part {
    /// The lines, each with its end.
    pub bytes: Vec<u8>,
    /// The number in the source of each line.
    pub lines: Vec<u64>,
    /// Lines that are not sent, and why.
    pub bad: Vec<RefusedLine>,
    /// How much of the source was read when the part was cut, in bytes.
    pub read: u64,
}

impl Part {
    fn is_full(&self) -> bool {
        self.lines.len() + self.bad.len() >= MOST_LINES || self.bytes.len() >= MOST_BYTES
    }

    fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.bad.is_empty()
    }

    fn refuse(&mut self, line: u64, reason: String) {
        self.bad.push(RefusedLine {
            line,
            record: None,
            why: Why::Invalid,
            reason,
        });
    }
}

/// Where parts come from.
pub enum Parts {
    /// Lines that are sent as they are.
    AsTheyAre(Untouched),
    /// Records that are made fit first.
    Fitted(Box<Source>, Fit),
}

/// A file of lines that nothing has to be done to.
pub struct Untouched {
    input: Box<dyn BufRead + Send>,
    number: u64,
    read: u64,
}

impl Untouched {
    /// Reads lines from `input`.
    pub fn new(input: Box<dyn BufRead + Send>) -> Self {
        Untouched {
            input,
            number: 0,
            read: 0,
        }
    }

    fn next(&mut self) -> io::Result<Option<Part>> {
        let mut part = Part::default();
        while !part.is_full() {
            let begin = part.bytes.len();
            let mut bounded = (&mut self.input).take(LONGEST_LINE);
            let length = bounded.read_until(b'\n', &mut part.bytes)?;
            if length == 0 {
                break;
            }
            self.number += 1;
            self.read += length as u64;
            let line = part.bytes.get(begin..).unwrap_or_default();
            let ends = line.ends_with(b"\n");
            if !ends && length as u64 == LONGEST_LINE {
                part.bytes.truncate(begin);
                self.read += pass_over(&mut self.input)?;
                part.refuse(
                    self.number,
                    format!("it is longer than {LONGEST_LINE} bytes"),
                );
                continue;
            }
            if self.number == 1 && line.starts_with(BYTE_ORDER_MARK) {
                part.bytes.drain(begin..begin + BYTE_ORDER_MARK.len());
            }
            let line = part.bytes.get(begin..).unwrap_or_default();
            if line.trim_ascii().is_empty() {
                part.bytes.truncate(begin);
                continue;
            }
            if !ends {
                part.bytes.push(b'\n');
            }
            part.lines.push(self.number);
        }
        part.read = self.read;
        Ok(if part.is_empty() { None } else { Some(part) })
    }
}

impl Parts {
    /// The next part; `None` at the end.
    ///
    /// # Errors
    /// [`Failure`] when the source cannot be read.
    pub async fn next(&mut self) -> Result<Option<Part>, Failure> {
        match self {
            Parts::AsTheyAre(lines) => lines.next().map_err(|error| super::source::unread(&error)),
            Parts::Fitted(source, fit) => {
                let Some(records) = source.next().await? else {
                    return Ok(None);
                };
                let mut part = Part {
                    read: source.read(),
                    ..Part::default()
                };
                for (number, read) in records {
                    let fitted = read.and_then(|(collection, record)| fit.item(collection, record));
                    match fitted {
                        Ok(item) => {
                            let text = line::text(item.collection, &item.record);
                            part.bytes.extend_from_slice(text.as_bytes());
                            part.bytes.push(b'\n');
                            part.lines.push(number);
                        }
                        Err(reason) => part.refuse(number, reason),
                    }
                }
                Ok(Some(part))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: impl Into<Vec<u8>>) -> Vec<Part> {
        let mut lines = Untouched::new(Box::new(io::Cursor::new(text.into())));
        std::iter::from_fn(|| lines.next().expect("reads")).collect()
    }

    #[test]
    fn lines_are_sent_as_they_are_with_their_numbers() {
        let long = "x".repeat(3 << 20);
        let text = format!("\u{feff}one\r\n\n{long}\n  \ntwo");
        let parts = parts(text.clone());
        let [part] = parts.as_slice() else {
            panic!("{} parts", parts.len());
        };
        assert_eq!(part.bytes, b"one\r\ntwo\n");
        assert_eq!(part.lines, [1, 5]);
        assert_eq!(part.bad.iter().map(|bad| bad.line).collect::<Vec<_>>(), [3]);
        assert_eq!(part.read, text.len() as u64);
    }

    #[test]
    fn a_part_has_a_bound_and_nothing_is_lost_between_two() {
        let many = parts("x\n".repeat(MOST_LINES + 3));
        assert_eq!(
            many.iter().map(|part| part.lines.len()).collect::<Vec<_>>(),
            [MOST_LINES, 3]
        );
        let line = "x".repeat(1 << 19) + "\n";
        let many = parts(line.repeat(20));
        assert!(
            many.len() > 1
                && many
                    .iter()
                    .all(|part| part.bytes.len() <= MOST_BYTES + line.len())
        );
        assert_eq!(
            many.iter().map(|part| part.bytes.len()).sum::<usize>(),
            20 * line.len()
        );
        let bad = format!("{}\n", "x".repeat(1 << 20)).repeat(3);
        assert_eq!(
            parts(bad).iter().map(|part| part.bad.len()).sum::<usize>(),
            3
        );
    }
}
