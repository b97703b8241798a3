//! A reader over the tokens of a query, with what both dialects need of it.

use landfall_core::query::Path;

use super::QueryTextError;
use super::lexer::{Kind, Token, refuse, tokens};

/// Words that cannot stand alone as the beginning of a path; in double brackets they can.
const RESERVED: [&str; 11] = [
    "select", "from", "where", "group", "by", "as", "and", "or", "not", "in", "nin",
];

/// Deepest nesting of parentheses, negations and calls.
pub(super) const DEEPEST: usize = 64;

/// Most arithmetic signs in one query: each may be one more step on the way to a value.
pub(super) const MOST_ARITHMETIC: usize = 256;

/// A query text with the place up to which it was read.
pub(super) struct Parser<'t> {
    text: &'t str,
    tokens: Vec<Token<'t>>,
    at: usize,
    /// How deep the condition now read is nested.
    pub(super) depth: usize,
    /// How many arithmetic signs were read.
    pub(super) arithmetic: usize,
}

impl<'t> Parser<'t> {
    /// Begins at the first token.
    pub(super) fn new(text: &'t str) -> Result<Self, QueryTextError> {
        Ok(Parser {
            text,
            tokens: tokens(text)?,
            at: 0,
            depth: 0,
            arithmetic: 0,
        })
    }

    /// The next token, not yet taken.
    pub(super) fn peek(&self) -> Option<&Token<'t>> {
        self.tokens.get(self.at)
    }

    /// True when the token after the next is this sign.
    pub(super) fn then_sees(&self, sign: &str) -> bool {
        matches!(
            self.tokens.get(self.at + 1).map(|token| &token.kind),
            Some(Kind::Sign(seen)) if *seen == sign
        )
    }

    /// Steps over the next token. The end is never stepped over.
    pub(super) fn advance(&mut self) {
        if self.at + 1 < self.tokens.len() {
            self.at += 1;
        }
    }

    /// Where the reader stands, for an error that is found later.
    pub(super) fn mark(&self) -> usize {
        self.at
    }

    /// Goes back to a mark.
    pub(super) fn rewind(&mut self, mark: usize) {
        self.at = mark;
    }

    /// The error that names the next token.
    pub(super) fn unexpected(&self, expected: impl Into<String>) -> QueryTextError {
        self.unexpected_at(self.at, expected)
    }

    /// The error that names the token at a mark.
    pub(super) fn unexpected_at(&self, mark: usize, expected: impl Into<String>) -> QueryTextError {
        let expected = expected.into();
        match self.tokens.get(mark) {
            Some(token) => refuse(self.text, token, expected),
            None => QueryTextError::Whole(expected),
        }
    }

    /// True when the next token is this sign.
    pub(super) fn sees(&self, sign: &str) -> bool {
        matches!(self.peek().map(|token| &token.kind), Some(Kind::Sign(seen)) if *seen == sign)
    }

    /// Takes the next token when it is this sign.
    pub(super) fn takes(&mut self, sign: &str) -> bool {
        let seen = self.sees(sign);
        if seen {
            self.advance();
        }
        seen
    }

    /// Takes this sign.
    pub(super) fn expect(&mut self, sign: &str) -> Result<(), QueryTextError> {
        if self.takes(sign) {
            Ok(())
        } else {
            Err(self.unexpected(format!("'{sign}' was expected.")))
        }
    }

    /// True when the next token is this keyword, in any case.
    pub(super) fn sees_word(&self, word: &str) -> bool {
        matches!(
            self.peek(),
            Some(token) if token.kind == Kind::Word && token.written.eq_ignore_ascii_case(word)
        )
    }

    /// Takes the next token when it is this keyword.
    pub(super) fn takes_word(&mut self, word: &str) -> bool {
        let seen = self.sees_word(word);
        if seen {
            self.advance();
        }
        seen
    }

    /// Takes this keyword.
    pub(super) fn expect_word(&mut self, word: &str) -> Result<(), QueryTextError> {
        if self.takes_word(word) {
            Ok(())
        } else {
            Err(self.unexpected(format!("{word} was expected.")))
        }
    }

    /// True when nothing is left.
    pub(super) fn at_end(&self) -> bool {
        self.peek().is_none_or(|token| token.kind == Kind::End)
    }

    /// A path: a name, then a name after each dot. Past the first, any word is a name.
    pub(super) fn path(&mut self) -> Result<Path, QueryTextError> {
        const EXPECTED: &str = "the name of a property was expected.";
        let reserved = matches!(
            self.peek(),
            Some(token) if token.kind == Kind::Word
                && (RESERVED.iter().any(|word| token.written.eq_ignore_ascii_case(word))
                    || token.written.starts_with(|c: char| c.is_ascii_digit()))
        );
        if reserved {
            return Err(self.unexpected(EXPECTED));
        }
        let mut names = Vec::new();
        loop {
            let name = match self.peek().map(|token| (&token.kind, token.written)) {
                Some((Kind::Word, written)) => written.to_owned(),
                Some((Kind::Name(name), _)) => (*name).to_owned(),
                Some((Kind::Number(_), written))
                    if !names.is_empty() && !written.contains(['.', '+', '-']) =>
                {
                    written.to_owned()
                }
                _ => return Err(self.unexpected(EXPECTED)),
            };
            self.advance();
            names.push(name);
            if !self.takes(".") {
                return Ok(Path(names));
            }
        }
    }
}
