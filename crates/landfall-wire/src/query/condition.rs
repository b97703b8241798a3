//! The grammar of conditions, one for both dialects.
//!
//! ```text
//! condition  = and { OR and }          and   = not { AND not }          not = [ NOT ] comparison
//! comparison = sum [ sign sum | [ NOT ] IN list | NIN list ]
//! sum        = product { (+ | -) product }     product = factor { (* | / | %) factor }
//! factor     = - factor | ( condition ) | call | path | literal
//! ```
//! Parentheses hold a condition or a value; which of the two is known only when they close, so one
//! reading serves both and [`Read`] says what came out.

use landfall_core::query::{Arithmetic, Comparison, Filter, Literal, Operand, TextTest, TypeTest};

use super::QueryTextError;
use super::lexer::Kind;
use super::parser::{DEEPEST, MOST_ARITHMETIC, Parser};

/// Most values in the list of an `IN`.
const LONGEST_LIST: usize = 1000;

/// What a part of a condition turned out to be.
enum Read {
    Condition(Filter),
    Value(Operand),
}

/// How two conditions are joined.
type Join = fn(Box<Filter>, Box<Filter>) -> Filter;

impl Parser<'_> {
    /// Reads a condition, up to the first token that does not belong to it.
    pub(super) fn condition(&mut self) -> Result<Filter, QueryTextError> {
        let mark = self.mark();
        let read = self.alternatives()?;
        self.truth(read, mark)
    }

    /// Reads a value: a path, a literal, or arithmetic over them.
    pub(super) fn value(&mut self) -> Result<Operand, QueryTextError> {
        let mark = self.mark();
        match self.sum()? {
            Read::Value(operand) => Ok(operand),
            Read::Condition(_) => Err(self.unexpected_at(mark, "a value was expected.")),
        }
    }

    fn alternatives(&mut self) -> Result<Read, QueryTextError> {
        self.joined("OR", Filter::Or, Self::conjunction)
    }

    fn conjunction(&mut self) -> Result<Read, QueryTextError> {
        self.joined("AND", Filter::And, Self::negation)
    }

    /// One part, or several joined by `word`. Many parts make a balanced tree, so that a long
    /// chain is no deep one.
    fn joined(
        &mut self,
        word: &str,
        join: Join,
        part: fn(&mut Self) -> Result<Read, QueryTextError>,
    ) -> Result<Read, QueryTextError> {
        let mark = self.mark();
        let first = part(self)?;
        if !self.sees_word(word) {
            return Ok(first);
        }
        let mut parts = vec![self.truth(first, mark)?];
        while self.takes_word(word) {
            let mark = self.mark();
            let next = part(self)?;
            parts.push(self.truth(next, mark)?);
        }
        while parts.len() > 1 {
            let mut halved = Vec::with_capacity(parts.len().div_ceil(2));
            let mut pairs = parts.into_iter();
            while let Some(left) = pairs.next() {
                halved.push(match pairs.next() {
                    Some(right) => join(Box::new(left), Box::new(right)),
                    None => left,
                });
            }
            parts = halved;
        }
        Ok(Read::Condition(parts.pop().unwrap_or(Filter::Always)))
    }

    fn negation(&mut self) -> Result<Read, QueryTextError> {
        if !self.takes_word("NOT") {
            return self.comparison();
        }
        let mark = self.mark();
        let inner = self.deeper(Self::negation)?;
        let inner = self.truth(inner, mark)?;
        Ok(Read::Condition(Filter::Not(Box::new(inner))))
    }

    fn comparison(&mut self) -> Result<Read, QueryTextError> {
        let mark = self.mark();
        let left = self.sum()?;
        if let Some(negated) = self.membership()? {
            let Read::Value(operand) = left else {
                return Err(self.unexpected_at(mark, "a value was expected before IN."));
            };
            return Ok(Read::Condition(Filter::In(operand, self.list()?, negated)));
        }
        let Some(how) = self.comparison_sign() else {
            return Ok(left);
        };
        self.advance();
        let right_mark = self.mark();
        let right = self.sum()?;
        match (left, right) {
            (Read::Value(left), Read::Value(right)) => {
                Ok(Read::Condition(Filter::Compare(left, how, right)))
            }
            (Read::Condition(test), Read::Value(Operand::Literal(Literal::Bool(truth))))
            | (Read::Value(Operand::Literal(Literal::Bool(truth))), Read::Condition(test))
                if matches!(how, Comparison::Equal | Comparison::NotEqual) =>
            {
                let holds = truth == (how == Comparison::Equal);
                Ok(Read::Condition(if holds {
                    test
                } else {
                    Filter::Not(Box::new(test))
                }))
            }
            (Read::Value(_), Read::Condition(_)) => {
                Err(self.unexpected_at(right_mark, "a value was expected."))
            }
            (Read::Condition(_), _) => {
                Err(self.unexpected_at(mark, "a condition compares only with true or false."))
            }
        }
    }

    fn comparison_sign(&self) -> Option<Comparison> {
        let Some(Kind::Sign(sign)) = self.peek().map(|token| &token.kind) else {
            return None;
        };
        Some(match *sign {
            "=" => Comparison::Equal,
            "!=" | "<>" => Comparison::NotEqual,
            "<" => Comparison::Less,
            "<=" => Comparison::LessOrEqual,
            ">" => Comparison::Greater,
            ">=" => Comparison::GreaterOrEqual,
            _ => return None,
        })
    }

    /// `IN`, `NIN` or `NOT IN`: whether the value must not be in the list that follows.
    fn membership(&mut self) -> Result<Option<bool>, QueryTextError> {
        if self.takes_word("IN") {
            return Ok(Some(false));
        }
        if self.takes_word("NIN") {
            return Ok(Some(true));
        }
        if self.takes_word("NOT") {
            self.expect_word("IN")?;
            return Ok(Some(true));
        }
        Ok(None)
    }

    /// `[a, b]`; parentheses are taken too, as other SQL writes them.
    fn list(&mut self) -> Result<Vec<Literal>, QueryTextError> {
        let closing = if self.takes("(") {
            ")"
        } else {
            self.expect("[")?;
            "]"
        };
        let mut list = Vec::new();
        if self.takes(closing) {
            return Ok(list);
        }
        loop {
            if list.len() == LONGEST_LIST {
                return Err(self.unexpected(format!("a list holds at most {LONGEST_LIST} values.")));
            }
            let negative = self.takes("-");
            match (self.literal(), negative) {
                (Some(Literal::Number(number)), true) => list.push(Literal::Number(-number)),
                (Some(literal), false) => list.push(literal),
                _ => return Err(self.unexpected("a literal was expected.")),
            }
            self.advance();
            if !self.takes(",") {
                self.expect(closing)?;
                return Ok(list);
            }
        }
    }

    fn sum(&mut self) -> Result<Read, QueryTextError> {
        self.calculated(
            &[("+", Arithmetic::Add), ("-", Arithmetic::Subtract)],
            Self::product,
        )
    }

    fn product(&mut self) -> Result<Read, QueryTextError> {
        self.calculated(
            &[
                ("*", Arithmetic::Multiply),
                ("/", Arithmetic::Divide),
                ("%", Arithmetic::Remainder),
            ],
            Self::factor,
        )
    }

    fn calculated(
        &mut self,
        signs: &[(&str, Arithmetic)],
        part: fn(&mut Self) -> Result<Read, QueryTextError>,
    ) -> Result<Read, QueryTextError> {
        let mut mark = self.mark();
        let mut left = part(self)?;
        while let Some((_, how)) = signs.iter().find(|(sign, _)| self.sees(sign)) {
            self.arithmetic += 1;
            if self.arithmetic > MOST_ARITHMETIC {
                return Err(self.unexpected(format!(
                    "a query holds at most {MOST_ARITHMETIC} arithmetic signs."
                )));
            }
            self.advance();
            let first = self.number(left, mark)?;
            mark = self.mark();
            let second = part(self)?;
            let second = self.number(second, mark)?;
            left = Read::Value(Operand::Arithmetic(Box::new(first), *how, Box::new(second)));
        }
        Ok(left)
    }

    fn factor(&mut self) -> Result<Read, QueryTextError> {
        if self.takes("-") {
            let mark = self.mark();
            let inner = self.deeper(Self::factor)?;
            return Ok(Read::Value(match self.number(inner, mark)? {
                Operand::Literal(Literal::Number(number)) => {
                    Operand::Literal(Literal::Number(-number))
                }
                operand => Operand::Arithmetic(
                    Box::new(Operand::Literal(Literal::Number(0.0))),
                    Arithmetic::Subtract,
                    Box::new(operand),
                ),
            }));
        }
        if self.takes("(") {
            let inner = self.deeper(Self::alternatives)?;
            self.expect(")")?;
            return Ok(inner);
        }
        if let Some(literal) = self.literal() {
            self.advance();
            return Ok(Read::Value(Operand::Literal(literal)));
        }
        let mark = self.mark();
        let path = self.path()?;
        if !self.takes("(") {
            return Ok(Read::Value(Operand::Path(path)));
        }
        let name = match path.0.as_slice() {
            [name] => name.to_ascii_lowercase(),
            _ => String::new(),
        };
        let read = self.deeper(|parser| parser.call(&name, mark))?;
        self.expect(")")?;
        Ok(read)
    }

    /// What stands in the parentheses of a function.
    fn call(&mut self, name: &str, mark: usize) -> Result<Read, QueryTextError> {
        let type_test = match name {
            "is_defined" => Some(TypeTest::Defined),
            "is_null" => Some(TypeTest::Null),
            "is_string" => Some(TypeTest::Text),
            "is_number" => Some(TypeTest::Number),
            "is_bool" | "is_boolean" => Some(TypeTest::Bool),
            "is_object" => Some(TypeTest::Object),
            _ => None,
        };
        if let Some(test) = type_test {
            return Ok(Read::Condition(Filter::Is(test, self.path()?)));
        }
        let text_test = match name {
            "startswith" | "starts_with" => Some(TextTest::StartsWith),
            "endswith" | "ends_with" => Some(TextTest::EndsWith),
            "contains" => Some(TextTest::Contains),
            _ => None,
        };
        if let Some(test) = text_test {
            let text = self.value()?;
            self.expect(",")?;
            let part = self.value()?;
            return Ok(Read::Condition(Filter::Text(test, text, part)));
        }
        match name {
            "as_number" => Ok(Read::Value(Operand::AsNumber(Box::new(self.value()?)))),
            "count" | "avg" | "sum" | "min" | "max" => {
                Err(self.unexpected_at(mark, "an aggregate stands only in the list after SELECT."))
            }
            _ => Err(self.unexpected_at(mark, "there is no function of this name.")),
        }
    }

    /// The literal that comes next, not yet taken.
    fn literal(&self) -> Option<Literal> {
        let token = self.peek()?;
        match &token.kind {
            Kind::Text(text) => Some(Literal::Text(text.clone())),
            Kind::Number(number) => Some(Literal::Number(*number)),
            Kind::Word => ["null", "true", "false"]
                .iter()
                .position(|word| token.written.eq_ignore_ascii_case(word))
                .map(|which| match which {
                    0 => Literal::Null,
                    which => Literal::Bool(which == 1),
                }),
            _ => None,
        }
    }

    /// Reads one level deeper, within the bound.
    fn deeper<T>(
        &mut self,
        part: impl FnOnce(&mut Self) -> Result<T, QueryTextError>,
    ) -> Result<T, QueryTextError> {
        if self.depth == DEEPEST {
            return Err(self.unexpected(format!("a query nests at most {DEEPEST} deep.")));
        }
        self.depth += 1;
        let read = part(self);
        self.depth -= 1;
        read
    }

    /// What was read, as a condition: a bare property must be true.
    fn truth(&self, read: Read, mark: usize) -> Result<Filter, QueryTextError> {
        match read {
            Read::Condition(filter) => Ok(filter),
            Read::Value(operand @ (Operand::Path(_) | Operand::Literal(Literal::Bool(_)))) => {
                Ok(Filter::Compare(
                    operand,
                    Comparison::Equal,
                    Operand::Literal(Literal::Bool(true)),
                ))
            }
            Read::Value(_) => {
                Err(self.unexpected_at(mark, "a condition was expected, not a mere value."))
            }
        }
    }

    /// What was read, as a side of arithmetic.
    fn number(&self, read: Read, mark: usize) -> Result<Operand, QueryTextError> {
        match read {
            Read::Value(
                operand @ (Operand::Path(_)
                | Operand::Arithmetic(..)
                | Operand::AsNumber(_)
                | Operand::Literal(Literal::Number(_))),
            ) => Ok(operand),
            _ => Err(self.unexpected_at(mark, "a number or a property was expected.")),
        }
    }
}
