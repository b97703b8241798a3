//! Lines out of bytes, as they arrive: each with its number, none longer than may be, in batches
//! that are cut off when they are large enough. What a line means is not known here.

use std::io::BufRead as _;

use super::LONGEST_LINE;

/// Lines and bytes from which on a batch is full. A device that registers during an import waits for the
/// rows of one.
const MOST_LINES: usize = 250;
const MOST_BYTES: usize = 512 << 10;

/// What some editors and shells put before the first line of a UTF-8 file.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Cuts what arrives into batches of lines. Holds at most a full batch, what one call of
/// [`Cutter::feed`] brought, and one line.
#[derive(Debug, Default)]
pub struct Cutter {
    batch: Batch,
    /// The line that has no end yet.
    open: Vec<u8>,
    /// Whether the open line is too long already; then nothing of it is kept.
    too_long: bool,
    /// The number of the last line that has an end.
    number: u64,
}

/// Whole lines.
#[derive(Debug, Default)]
pub struct Batch {
    text: Vec<u8>,
    /// The number of each line, and where it ends in the text; none for one that is too long.
    ends: Vec<(u64, Option<usize>)>,
}

impl Cutter {
    /// Takes in bytes.
    pub fn feed(&mut self, mut bytes: &[u8]) {
        loop {
            let whole = bytes;
            // The library's own search for a byte, which is quicker than a loop. It cannot fail.
            let length = bytes.skip_until(b'\n').unwrap_or_default();
            let line = whole.get(..length).unwrap_or_default();
            let Some(line) = line.strip_suffix(b"\n") else {
                return self.take_in(line);
            };
            self.take_in(line);
            self.end_line();
        }
    }

    /// Ends the last line, which need not have an end of its own.
    pub fn finish(&mut self) {
        if self.too_long || !self.open.is_empty() {
            self.end_line();
        }
    }

    /// Whether the batch is large enough to be cut off.
    pub fn is_full(&self) -> bool {
        self.batch.ends.len() >= MOST_LINES || self.batch.text.len() >= MOST_BYTES
    }

    /// Whether there is no whole line.
    pub fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// Cuts off the batch.
    pub fn cut(&mut self) -> Batch {
        std::mem::take(&mut self.batch)
    }

    fn take_in(&mut self, part: &[u8]) {
        if self.open.len() + part.len() > LONGEST_LINE {
            self.too_long = true;
            self.open.clear();
        }
        if !self.too_long {
            self.open.extend_from_slice(part);
        }
    }

    fn end_line(&mut self) {
        self.number += 1;
        let line = match self.open.strip_prefix(BYTE_ORDER_MARK) {
            Some(rest) if self.number == 1 => rest,
            _ => &self.open,
        };
        let end = if self.too_long {
            None
        } else {
            self.batch.text.extend_from_slice(line);
            Some(self.batch.text.len())
        };
        self.batch.ends.push((self.number, end));
        self.open.clear();
        self.too_long = false;
    }
}

impl Batch {
    /// Whether there is no line.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The number of the last line.
    pub fn last(&self) -> u64 {
        self.ends.last().map_or(0, |(number, _)| *number)
    }

    /// The lines with their numbers; none in place of one that is too long.
    pub fn lines(&self) -> impl Iterator<Item = (u64, Option<&[u8]>)> {
        let mut begin = 0;
        self.ends.iter().map(move |(number, end)| {
            let line = end.map(|end| {
                let line = self.text.get(begin..end).unwrap_or_default();
                begin = end;
                line
            });
            (*number, line)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(parts: &[&[u8]]) -> Vec<(u64, Option<Vec<u8>>)> {
        let mut cutter = Cutter::default();
        parts.iter().for_each(|part| cutter.feed(part));
        cutter.finish();
        let batch = cutter.cut();
        let lines = batch.lines();
        lines
            .map(|(number, line)| (number, line.map(<[u8]>::to_vec)))
            .collect()
    }

    fn line(number: u64, text: &str) -> (u64, Option<Vec<u8>>) {
        (number, Some(text.as_bytes().to_vec()))
    }

    #[test]
    fn lines_are_the_same_wherever_the_bytes_are_parted() {
        let whole = "\u{feff}one\r\n\ntwo\nthree".as_bytes();
        let wanted = [
            line(1, "one\r"),
            line(2, ""),
            line(3, "two"),
            line(4, "three"),
        ];
        assert_eq!(cut(&[whole]), wanted);
        for at in 0..=whole.len() {
            let (a, b) = whole.split_at(at);
            assert_eq!(cut(&[a, b]), wanted, "{at}");
        }
        assert_eq!(cut(&[b"one\n"]), [line(1, "one")]);
        assert_eq!(cut(&[]), []);
    }

    #[test]
    fn a_line_that_is_too_long_costs_only_itself_and_is_not_kept() {
        let long = vec![b'x'; LONGEST_LINE + 1];
        let (a, b) = long.split_at(7);
        assert_eq!(
            cut(&[b"one\n", a, b, b, b"\ntwo\n"]),
            [line(1, "one"), (2, None), line(3, "two")]
        );
        let mut cutter = Cutter::default();
        for _ in 0..100 {
            cutter.feed(&long);
        }
        assert!(cutter.open.capacity() <= 2 * LONGEST_LINE);
        assert_eq!(cut(&[&long]), [(1, None)]);
        let longest = vec![b'x'; LONGEST_LINE];
        assert_eq!(cut(&[&longest]), [(1, Some(longest.clone()))]);
    }

    #[test]
    fn a_batch_is_full_by_lines_or_by_bytes() {
        let mut cutter = Cutter::default();
        cutter.feed(&b"x\n".repeat(MOST_LINES - 1));
        assert!(!cutter.is_full());
        cutter.feed(b"x\nopen");
        assert!(cutter.is_full());
        let batch = cutter.cut();
        assert_eq!((batch.last(), cutter.is_full()), (MOST_LINES as u64, false));
        cutter.feed(b" line\n");
        let batch = cutter.cut();
        let lines: Vec<_> = batch.lines().collect();
        assert_eq!(lines, [(MOST_LINES as u64 + 1, Some(&b"open line"[..]))]);
        let line = [&[b'x'; LONGEST_LINE][..], b"\n"].concat();
        for _ in 0..MOST_BYTES / LONGEST_LINE + 1 {
            cutter.feed(&line);
        }
        assert!(cutter.is_full());
    }
}
