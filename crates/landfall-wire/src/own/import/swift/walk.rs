//! A walk along a text that is JSON for certain, without a tree: from member to member, and over whole
//! values. What it does not like it does not explain: it ends, and the text is read in another way.

use std::borrow::Cow;

use serde_json::Value;

/// Deepest object that is compacted. Where the parser gives up lies far below.
const DEEPEST: usize = 32;
/// Most members of one object that are looked through for one that is named twice.
const MOST_MEMBERS: usize = 64;

/// Where in the text it is.
pub(super) struct Walk<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Walk<'a> {
    /// Begins in the object that a text is.
    pub(super) fn into(text: &'a str) -> Option<Self> {
        let mut walk = Walk { text, at: 0 };
        walk.enter().map(|()| walk)
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn pass_space(&mut self) {
        while matches!(self.byte(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Steps into an object; not into anything else.
    pub(super) fn enter(&mut self) -> Option<()> {
        self.pass_space();
        (self.byte()? == b'{').then(|| self.at += 1)
    }

    /// The name of the next member, whose value comes next; none at the end of the object, which it
    /// leaves. Not a name with an escape.
    pub(super) fn member(&mut self) -> Option<Option<&'a str>> {
        loop {
            self.pass_space();
            match self.byte()? {
                b',' => self.at += 1,
                b'}' => {
                    self.at += 1;
                    return Some(None);
                }
                _ => break,
            }
        }
        let begin = self.at + 1;
        let escaped = self.pass_string()?;
        let name = self.text.get(begin..self.at - 1)?;
        self.pass_space();
        // The colon.
        self.at += 1;
        (!escaped).then_some(Some(name))
    }

    /// Passes a string; gives whether there is an escape in it.
    fn pass_string(&mut self) -> Option<bool> {
        let mut escaped = false;
        self.at += 1;
        loop {
            match self.byte()? {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    self.at += 2;
                }
                _ => self.at += 1,
            }
        }
        self.at += 1;
        Some(escaped)
    }

    /// Passes a value; gives its text.
    pub(super) fn value(&mut self) -> Option<&'a str> {
        self.pass_space();
        let (begin, mut open) = (self.at, 0_usize);
        loop {
            match self.byte()? {
                b'"' => {
                    self.pass_string()?;
                    if open == 0 {
                        break;
                    }
                    continue;
                }
                b'{' | b'[' => open += 1,
                b'}' | b']' if open == 1 => {
                    self.at += 1;
                    break;
                }
                b'}' | b']' if open > 1 => open -= 1,
                b',' | b'}' | b' ' | b'\t' | b'\n' | b'\r' if open == 0 => break,
                _ => {}
            }
            self.at += 1;
        }
        self.text.get(begin..self.at)
    }

    /// Passes an object; gives it as the parser's tree of it would be written, which most are already.
    pub(super) fn compact(&mut self) -> Option<Cow<'a, str>> {
        self.pass_space();
        if self.byte()? != b'{' {
            return None;
        }
        let compactor = Compactor {
            begin: self.at,
            from: self.at,
            out: String::new(),
            walk: self,
            open: Vec::new(),
            keys: Vec::new(),
        };
        compactor.run()
    }
}

/// An object that is being written anew.
struct Compactor<'w, 'a> {
    walk: &'w mut Walk<'a>,
    begin: usize,
    /// Where the part begins that is not written yet.
    from: usize,
    out: String,
    /// Of each open bracket, whether it is an object's, and how many keys there were before it.
    open: Vec<(bool, usize)>,
    /// The keys of all open objects, in their quotes.
    keys: Vec<&'a str>,
}

impl<'a> Compactor<'_, 'a> {
    fn run(mut self) -> Option<Cow<'a, str>> {
        let mut is_key = false;
        loop {
            let (at, byte) = (self.walk.at, self.walk.byte()?);
            match byte {
                b' ' | b'\t' | b'\n' | b'\r' => self.replace(at, at + 1, ""),
                b'{' | b'[' => {
                    is_key = byte == b'{';
                    self.open.push((is_key, self.keys.len()));
                    if self.open.len() > DEEPEST {
                        return None;
                    }
                }
                b'}' | b']' => {
                    let (_, keys) = self.open.pop()?;
                    self.keys.truncate(keys);
                    is_key = false;
                    if self.open.is_empty() {
                        self.walk.at += 1;
                        if self.from == self.begin {
                            return self.walk.text.get(self.begin..=at).map(Cow::Borrowed);
                        }
                        self.replace(at + 1, at + 1, "");
                        return Some(Cow::Owned(self.out));
                    }
                }
                b',' => is_key = self.open.last()?.0,
                b':' => is_key = false,
                b'"' => {
                    self.string(is_key)?;
                    continue;
                }
                b'-' | b'0'..=b'9' => {
                    self.number()?;
                    continue;
                }
                _ => {}
            }
            self.walk.at += 1;
        }
    }

    /// Writes what is not written yet up to `begin`, then `text` for what stands there up to `end`.
    fn replace(&mut self, begin: usize, end: usize, text: &str) {
        let before = self.walk.text.get(self.from..begin);
        self.out.push_str(before.unwrap_or_default());
        self.out.push_str(text);
        self.from = end;
    }

    fn string(&mut self, is_key: bool) -> Option<()> {
        let begin = self.walk.at;
        let escaped = self.walk.pass_string()?;
        let end = self.walk.at;
        let quoted = self.walk.text.get(begin..end)?;
        if is_key {
            let before = self.open.last()?.1;
            let others = self.keys.get(before..)?;
            if escaped || others.len() >= MOST_MEMBERS || others.contains(&quoted) {
                return None;
            }
            self.keys.push(quoted);
        } else if escaped {
            let meant: String = serde_json::from_str(quoted).ok()?;
            if meant.contains('\0') {
                return None;
            }
            self.replace(begin, end, &serde_json::to_string(&meant).ok()?);
        }
        Some(())
    }

    fn number(&mut self) -> Option<()> {
        let begin = self.walk.at;
        while matches!(
            self.walk.byte(),
            Some(b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')
        ) {
            self.walk.at += 1;
        }
        let end = self.walk.at;
        let number = self.walk.text.get(begin..end)?;
        // Small whole numbers are written as they are read.
        if number.len() > 15 || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            let read: Value = serde_json::from_str(number).ok()?;
            self.replace(begin, end, &read.to_string());
        }
        Some(())
    }
}
