//! What a simulated device sends: the lines of standard input, each a message.

use std::io::{self, BufRead, BufReader, Read as _};

use tokio::sync::mpsc;

use crate::command::outcome::{Exit, Failure};

/// The largest message that a hub takes, in bytes.
///
/// Source: docs/protocol/hub-api.md §2.1 [D].
const LARGEST: usize = 256 * 1024;
/// How many lines are read ahead.
const AHEAD: usize = 16;

/// A line that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Which one, from 1 on.
    pub number: u64,
    /// Its bytes, without the end of the line.
    pub text: Vec<u8>,
}

/// The lines of standard input.
pub struct Input {
    lines: mpsc::Receiver<Result<Line, Failure>>,
    is_over: bool,
}

impl Input {
    /// Begins to read, on a thread of its own: a terminal gives its lines when it likes, and no process waits
    /// for one that it does not want any more.
    pub fn read() -> Self {
        let (sender, lines) = mpsc::channel(AHEAD);
        std::thread::spawn(move || {
            let mut source = BufReader::new(io::stdin());
            let mut number = 0;
            while let Some(line) = next(&mut source, &mut number).transpose() {
                let is_last = line.is_err();
                if sender.blocking_send(line).is_err() || is_last {
                    return;
                }
            }
        });
        Input {
            lines,
            is_over: false,
        }
    }

    /// Whether nothing more comes.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// The next line; `None` at the end.
    ///
    /// # Errors
    /// [`Failure`] when it cannot be read, or is no message.
    pub async fn next(&mut self) -> Result<Option<Line>, Failure> {
        let line = self.lines.recv().await.transpose()?;
        self.is_over = line.is_none();
        Ok(line)
    }
}

/// The next line that is not empty.
fn next(source: &mut impl BufRead, number: &mut u64) -> Result<Option<Line>, Failure> {
    loop {
        let mut text = Vec::new();
        let most = LARGEST as u64 + 2;
        let read = source.take(most).read_until(b'\n', &mut text);
        let length = read.map_err(|error| {
            Failure::new(
                Exit::Refused,
                format!("cannot read standard input: {error}"),
                "see what writes there",
            )
        })?;
        if length == 0 {
            return Ok(None);
        }
        *number += 1;
        while matches!(text.last(), Some(b'\n' | b'\r')) {
            text.pop();
        }
        if text.len() > LARGEST {
            return Err(Failure::usage(
                format!("line {number} is larger than a message may be: {LARGEST} bytes"),
                "send less at once",
            ));
        }
        if !text.is_empty() {
            let number = *number;
            return Ok(Some(Line { number, text }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(mut text: &[u8]) -> Vec<Result<Line, Failure>> {
        let mut number = 0;
        std::iter::from_fn(|| next(&mut text, &mut number).transpose())
            .take(5)
            .collect()
    }

    #[test]
    fn each_line_is_a_message_and_empty_ones_are_none() {
        let line = |number, text: &[u8]| {
            Ok(Line {
                number,
                text: text.to_vec(),
            })
        };
        assert_eq!(
            lines(b"a\r\n\n \xff\nlast"),
            [line(1, b"a"), line(3, b" \xff"), line(4, b"last")]
        );
        assert_eq!(lines(b""), []);
    }

    #[test]
    fn a_line_may_be_as_large_as_a_message() {
        let mut text = vec![b'x'; LARGEST];
        text.push(b'\n');
        let read = lines(&text);
        assert_eq!(read.len(), 1);
        assert!(read.iter().all(|line| {
            let line = line.as_ref().expect("a line");
            line.text.len() == LARGEST
        }));
        text.insert(0, b'x');
        let refused = lines(&text).remove(0).expect_err("too large");
        assert!(refused.what.starts_with("line 1 is larger"), "{refused:?}");
    }
}
