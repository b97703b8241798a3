//! Rust source taken apart by eye, not by grammar: code, comments and string literals, each with
//! its line. Enough for rules about words; nothing here understands types.

/// A Rust file in its parts.
#[derive(Debug, Default)]
pub(super) struct RustText {
    /// The lines with comments removed and string literals emptied.
    pub code: Vec<String>,
    /// Comment texts, one per line of comment, with their line.
    pub comments: Vec<(usize, String)>,
    /// String literals, escapes not resolved, with the line they begin on.
    pub strings: Vec<(usize, String)>,
    /// The first line of the test module at the foot of the file; past the end when there is none.
    pub tests_from: usize,
}

impl RustText {
    /// Takes a file apart.
    pub fn read(text: &str) -> Self {
        let mut reader = Reader {
            rest: text,
            line: 1,
            out: RustText {
                code: vec![String::new()],
                ..RustText::default()
            },
        };
        while !reader.rest.is_empty() {
            reader.step();
        }
        let mut out = reader.out;
        out.tests_from = tests_from(&out.code);
        out
    }

    /// Code lines before the test module, with their line.
    pub fn product_code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code
            .iter()
            .enumerate()
            .map(|(index, code)| (index + 1, code.as_str()))
            .filter(|(line, _)| *line < self.tests_from)
    }
}

/// The words of a piece of code: runs of letters, digits and `_`.
pub(super) fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
}

fn tests_from(code: &[String]) -> usize {
    for (index, line) in code.iter().enumerate() {
        if line.trim() != "#[cfg(test)]" {
            continue;
        }
        let next = code
            .iter()
            .skip(index + 1)
            .map(|l| l.trim())
            .find(|l| !l.is_empty());
        if next.is_some_and(|l| l.contains("mod ") && l.ends_with('{')) {
            return index + 1;
        }
    }
    usize::MAX
}

struct Reader<'a> {
    rest: &'a str,
    line: usize,
    out: RustText,
}

impl Reader<'_> {
    fn step(&mut self) {
        if let Some(comment) = self.rest.strip_prefix("//") {
            let end = comment.find('\n').unwrap_or(comment.len());
            self.out
                .comments
                .push((self.line, comment[..end].to_owned()));
            self.rest = &comment[end..];
        } else if self.rest.starts_with("/*") {
            self.block_comment();
        } else if let Some((lead, hashes)) = string_start(self.rest, self.after_word()) {
            self.literal(lead, hashes);
        } else if self.rest.starts_with('\'') {
            let length = quoted_char(self.rest);
            self.code(length);
        } else {
            let length = self.rest.chars().next().map_or(1, char::len_utf8);
            self.code(length);
        }
    }

    /// True when the last thing read was a letter or digit, so that `r"` cannot begin here.
    fn after_word(&self) -> bool {
        self.out
            .code
            .last()
            .and_then(|line| line.chars().last())
            .is_some_and(|c| c.is_alphanumeric() || c == '_')
    }

    fn code(&mut self, length: usize) {
        for c in self.rest[..length].chars() {
            if c == '\n' {
                self.line += 1;
                self.out.code.push(String::new());
            } else if let Some(line) = self.out.code.last_mut() {
                line.push(c);
            }
        }
        self.rest = &self.rest[length..];
    }

    fn block_comment(&mut self) {
        let mut depth = 0_usize;
        let mut length = 0;
        while length < self.rest.len() {
            let here = &self.rest[length..];
            if here.starts_with("/*") {
                depth += 1;
                length += 2;
            } else if here.starts_with("*/") {
                depth -= 1;
                length += 2;
                if depth == 0 {
                    break;
                }
            } else {
                length += here.chars().next().map_or(1, char::len_utf8);
            }
        }
        let text = self.rest[..length].to_owned();
        for (index, line) in text.split('\n').enumerate() {
            self.out.comments.push((self.line + index, line.to_owned()));
        }
        self.skip_lines(&text);
        self.rest = &self.rest[length..];
    }

    fn literal(&mut self, lead: usize, hashes: Option<usize>) {
        let body = &self.rest[lead..];
        let (inside, whole) = match hashes {
            Some(hashes) => {
                let close = format!("\"{}", "#".repeat(hashes));
                let end = body.find(&close).unwrap_or(body.len());
                (end, (end + close.len()).min(body.len()))
            }
            None => {
                let end = closing_quote(body);
                (end, (end + 1).min(body.len()))
            }
        };
        let text = body[..inside].to_owned();
        self.out.strings.push((self.line, text.clone()));
        if let Some(line) = self.out.code.last_mut() {
            line.push_str("\"\"");
        }
        self.skip_lines(&text);
        self.rest = &self.rest[lead + whole..];
    }

    fn skip_lines(&mut self, text: &str) {
        for _ in text.matches('\n') {
            self.line += 1;
            self.out.code.push(String::new());
        }
    }
}

/// The length of a literal's opening, and for raw literals the number of hashes.
fn string_start(rest: &str, after_word: bool) -> Option<(usize, Option<usize>)> {
    if rest.starts_with('"') {
        return Some((1, None));
    }
    if after_word {
        return None;
    }
    for prefix in ["b", "c"] {
        if rest
            .strip_prefix(prefix)
            .is_some_and(|r| r.starts_with('"'))
        {
            return Some((2, None));
        }
    }
    for prefix in ["r", "br", "cr"] {
        let Some(after) = rest.strip_prefix(prefix) else {
            continue;
        };
        let hashes = after.len() - after.trim_start_matches('#').len();
        if after[hashes..].starts_with('"') {
            return Some((prefix.len() + hashes + 1, Some(hashes)));
        }
    }
    None
}

/// Where the quote stands that ends a plain literal.
fn closing_quote(body: &str) -> usize {
    let mut escaped = false;
    for (index, c) in body.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return index,
            _ => {}
        }
    }
    body.len()
}

/// The length of a character literal; 1 for the mark of a lifetime.
fn quoted_char(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => {
            let after = chars.next().map_or(rest.len(), |(at, c)| at + c.len_utf8());
            rest[after..]
                .find('\'')
                .map_or(rest.len(), |end| after + end + 1)
        }
        Some(_) => match chars.next() {
            Some((at, '\'')) => at + 1,
            _ => 1,
        },
        None => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_comments_and_strings_come_apart() {
        let read = RustText::read(concat!(
            "let a = \"x // no \\\" comment\"; // one\n",
            "let b = r#\"raw \" text\"#; /* two\nthree */ let c = '\"';\n",
            "fn f<'a>(x: &'a str) -> char { '\\'' } // four\n",
        ));
        let strings: Vec<_> = read.strings.iter().map(|(l, s)| (*l, s.as_str())).collect();
        assert_eq!(strings, [(1, "x // no \\\" comment"), (2, "raw \" text")]);
        let comments: Vec<_> = read.comments.iter().map(|(l, _)| *l).collect();
        assert_eq!(comments, [1, 2, 3, 4]);
        assert!(read.code[2].contains("let c = '\"';"));
        assert!(read.code[3].starts_with("fn f<'a>(x: &'a str)"));
    }

    #[test]
    fn the_test_module_at_the_foot_is_told_from_the_product() {
        let read = RustText::read("fn a() {}\n#[cfg(test)]\nmod tests {\nfn b() {}\n}\n");
        let product: Vec<_> = read.product_code().map(|(line, _)| line).collect();
        assert_eq!(product, [1]);
        let apart = RustText::read("fn a() {}\n#[cfg(test)]\nmod tests;\n");
        assert_eq!(apart.tests_from, usize::MAX);
    }
}
