//! Query text cut into tokens. Knows quotes, escapes, numbers and double brackets; no grammar.

use landfall_core::secret::repeated;

use super::{LONGEST_QUERY, QueryTextError};

/// One token, with the place where it stands in the text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token<'t> {
    /// What it is.
    pub kind: Kind<'t>,
    /// The text of the token as it was written.
    pub written: &'t str,
    /// Where it begins, in bytes.
    start: usize,
}

/// What a token is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind<'t> {
    /// A bare word: a keyword, a name or a part of a path.
    Word,
    /// `[[name]]`: always a name, whatever it holds.
    Name(&'t str),
    /// A quoted text, its escapes resolved.
    Text(String),
    /// A number.
    Number(f64),
    /// A sign such as `<=` or `(`.
    Sign(&'static str),
    /// The end of the text.
    End,
}

/// Every sign of the language, longer ones before their beginnings.
const SIGNS: [&str; 17] = [
    "<=", ">=", "<>", "!=", "<", ">", "=", "(", ")", "[", "]", ",", ".", "*", "+", "-", "/",
];

/// Cuts a text into its tokens, the last of which is [`Kind::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, QueryTextError> {
    if text.len() > LONGEST_QUERY {
        return Err(QueryTextError::Whole(format!(
            "The query is longer than {LONGEST_QUERY} bytes."
        )));
    }
    let mut tokens = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let start = text.len() - rest.len();
        let (kind, length) = next(rest).map_err(|(length, why)| {
            let token = Token {
                kind: Kind::End,
                written: rest.get(..length).unwrap_or(rest),
                start,
            };
            refuse(text, &token, why)
        })?;
        let (written, after) = rest.split_at(length);
        let ended = kind == Kind::End;
        tokens.push(Token {
            kind,
            written,
            start,
        });
        if ended {
            return Ok(tokens);
        }
        rest = after;
    }
}

/// The error that names `token` of `text` and says what is wrong with it.
pub(super) fn refuse(text: &str, token: &Token<'_>, expected: impl Into<String>) -> QueryTextError {
    const SHOWN: usize = 40;
    let before = text.get(..token.start).unwrap_or(text);
    QueryTextError::Token {
        position: before.chars().count() + 1,
        token: if token.written.is_empty() {
            "the end".to_owned()
        } else {
            format!("'{}'", repeated(token.written, SHOWN))
        },
        expected: expected.into(),
    }
}

/// Why no token begins here, with the length of the text to show.
type Refusal = (usize, &'static str);

/// The token at the beginning of `rest`, with its length in bytes.
fn next(rest: &str) -> Result<(Kind<'_>, usize), Refusal> {
    let Some(first) = rest.chars().next() else {
        return Ok((Kind::End, 0));
    };
    if first == '\'' || first == '"' {
        return quoted(rest, first);
    }
    if let Some(inner) = rest.strip_prefix("[[") {
        let length = inner.find("]]").ok_or((2, "']]' is missing."))?;
        let name = inner.get(..length).unwrap_or_default();
        if name.is_empty() || name.contains(char::is_control) {
            return Err((length + 4, "a name in double brackets was expected."));
        }
        return Ok((Kind::Name(name), length + 4));
    }
    if first.is_ascii_digit() {
        return number(rest);
    }
    if is_word(first) {
        let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        return Ok((Kind::Word, length));
    }
    if first == '%' {
        return Ok((Kind::Sign("%"), 1));
    }
    SIGNS
        .into_iter()
        .find(|sign| rest.starts_with(sign))
        .map(|sign| (Kind::Sign(sign), sign.len()))
        .ok_or((first.len_utf8(), "this character begins nothing."))
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

/// A number: digits, perhaps a fraction, perhaps an exponent. A word that merely begins with
/// digits, as a member name may, is a word.
fn number(rest: &str) -> Result<(Kind<'_>, usize), Refusal> {
    let bytes = rest.as_bytes();
    let digits = |from: usize| {
        let after = bytes.get(from..).unwrap_or_default();
        after.iter().take_while(|b| b.is_ascii_digit()).count()
    };
    let mut length = digits(0);
    if bytes.get(length) == Some(&b'.') && digits(length + 1) > 0 {
        length += 1 + digits(length + 1);
    }
    if matches!(bytes.get(length), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(length + 1), Some(b'+' | b'-')));
        let exponent = digits(length + 1 + sign);
        if exponent > 0 {
            length += 1 + sign + exponent;
        }
    }
    let after = rest.get(length..).unwrap_or_default();
    if after.starts_with(is_word) {
        let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        return Ok((Kind::Word, length));
    }
    rest.get(..length)
        .and_then(|digits| digits.parse::<f64>().ok())
        .filter(|number| number.is_finite())
        .map(|number| (Kind::Number(number), length))
        .ok_or((length, "the number is out of range."))
}

/// A text in single or double quotes. The quote itself is written twice or with a backslash.
fn quoted(rest: &str, quote: char) -> Result<(Kind<'_>, usize), Refusal> {
    let mut text = String::new();
    let mut chars = rest.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '\0' => return Err((at, "a text cannot hold the NUL character.")),
            '\\' => {
                let (_, escaped) = chars.next().ok_or((at, "the closing quote is missing."))?;
                match escaped {
                    '\'' | '"' | '\\' | '/' => text.push(escaped),
                    'n' => text.push('\n'),
                    'r' => text.push('\r'),
                    't' => text.push('\t'),
                    'b' => text.push('\u{8}'),
                    'f' => text.push('\u{c}'),
                    'u' => {
                        let (c, units) = escaped_character(rest.get(at..).unwrap_or_default())
                            .ok_or((at, "'\\u' was not followed by the four hexadecimal digits of a character."))?;
                        text.push(c);
                        // The backslash and the `u` of the first unit are behind us.
                        for _ in 0..units * 6 - 2 {
                            chars.next();
                        }
                    }
                    _ => return Err((at, "the backslash begins no known escape.")),
                }
            }
            c if c == quote => {
                if chars.peek().is_some_and(|(_, next)| *next == quote) {
                    chars.next();
                    text.push(quote);
                } else {
                    return Ok((Kind::Text(text), at + quote.len_utf8()));
                }
            }
            c => text.push(c),
        }
    }
    Err((rest.len(), "the closing quote is missing."))
}

/// The character that one `\uXXXX`, or a pair of them, stands for; with how many there are.
fn escaped_character(rest: &str) -> Option<(char, usize)> {
    let unit = |from: usize| {
        let digits = rest.get(from..from + 6)?.strip_prefix("\\u")?;
        let all_hex = digits.bytes().all(|b| b.is_ascii_hexdigit());
        all_hex.then(|| u16::from_str_radix(digits, 16).ok())?
    };
    let first = unit(0)?;
    let units: Vec<u16> = std::iter::once(first)
        .chain((0xd800..0xdc00).contains(&first).then(|| unit(6)).flatten())
        .collect();
    let mut decoded = char::decode_utf16(units.iter().copied());
    match (decoded.next(), decoded.next()) {
        (Some(Ok(c)), None) if c != '\0' => Some((c, units.len())),
        _ => None,
    }
}
