//! The hub's query language, read strictly: a typing error that found every device would be worse
//! than a refusal.

use landfall_core::query::Filter;
use landfall_hub::query::{Aggregate, Expression, Query, Select, Source};

use super::QueryTextError;
use super::lexer::Kind;
use super::parser::Parser;

/// Largest `TOP`: whole numbers up to here are exact.
const LARGEST_TOP: f64 = 9_007_199_254_740_992.0;

/// Reads a query of the hub.
///
/// Source: docs/protocol/hub-api.md §1.8 [D].
///
/// # Errors
/// [`QueryTextError`] naming the token at which understanding ended, or the contradiction.
pub fn parse_hub_query(text: &str) -> Result<Query, QueryTextError> {
    let mut parser = Parser::new(text)?;
    parser.expect_word("SELECT")?;
    let top = parser.top()?;
    let select = parser.select_list()?;
    parser.expect_word("FROM")?;
    let source = parser.source()?;
    let filter = if parser.takes_word("WHERE") {
        parser.condition()?
    } else {
        Filter::Always
    };
    let mut group_by = Vec::new();
    if parser.takes_word("GROUP") {
        parser.expect_word("BY")?;
        group_by.push(parser.value()?);
        while parser.takes(",") {
            group_by.push(parser.value()?);
        }
    }
    if !parser.at_end() {
        return Err(parser.unexpected("an operator, WHERE, GROUP BY or the end was expected."));
    }
    Query::new(select, source, filter, group_by, top)
        .map_err(|error| QueryTextError::Whole(error.to_string()))
}

impl Parser<'_> {
    /// `TOP n`, when it is there. `top` without a number is the name of a column.
    fn top(&mut self) -> Result<Option<u64>, QueryTextError> {
        if !self.sees_word("TOP") || self.then_sees(",") {
            return Ok(None);
        }
        let mark = self.mark();
        self.advance();
        match self.peek().map(|token| &token.kind) {
            Some(Kind::Number(number))
                if number.fract() == 0.0 && (1.0..=LARGEST_TOP).contains(number) =>
            {
                let top = *number as u64;
                self.advance();
                Ok(Some(top))
            }
            Some(Kind::Number(_)) => {
                Err(self.unexpected("a whole number of at least 1 was expected after TOP."))
            }
            _ => {
                self.rewind(mark);
                Ok(None)
            }
        }
    }

    fn select_list(&mut self) -> Result<Select, QueryTextError> {
        if self.takes("*") {
            return Ok(Select::Everything);
        }
        let mut columns = Vec::new();
        loop {
            let expression = match self.aggregate()? {
                Some(aggregate) => Expression::Aggregate(aggregate),
                None => Expression::Value(self.value()?),
            };
            let alias = if self.takes_word("AS") {
                Some(self.alias()?)
            } else {
                None
            };
            columns.push((expression, alias));
            if !self.takes(",") {
                return Ok(Select::Columns(columns));
            }
        }
    }

    fn aggregate(&mut self) -> Result<Option<Aggregate>, QueryTextError> {
        const NAMES: [&str; 5] = ["COUNT", "AVG", "SUM", "MIN", "MAX"];
        let name = NAMES.into_iter().find(|name| self.sees_word(name));
        let Some(name) = name.filter(|_| self.then_sees("(")) else {
            return Ok(None);
        };
        self.advance();
        self.advance();
        let of_rows = name == "COUNT" && (self.takes("*") || self.sees(")"));
        let aggregate = if of_rows {
            Aggregate::Count(None)
        } else {
            let operand = self.value()?;
            match name {
                "COUNT" => Aggregate::Count(Some(operand)),
                "AVG" => Aggregate::Average(operand),
                "SUM" => Aggregate::Sum(operand),
                "MIN" => Aggregate::Least(operand),
                _ => Aggregate::Greatest(operand),
            }
        };
        self.expect(")")?;
        Ok(Some(aggregate))
    }

    fn alias(&mut self) -> Result<String, QueryTextError> {
        let alias = match self.peek().map(|token| (&token.kind, token.written)) {
            Some((Kind::Word, written)) => written.to_owned(),
            Some((Kind::Name(name), _)) => (*name).to_owned(),
            Some((Kind::Text(text), _)) => text.clone(),
            _ => return Err(self.unexpected("a name was expected after AS.")),
        };
        self.advance();
        Ok(alias)
    }

    fn source(&mut self) -> Result<Source, QueryTextError> {
        let mark = self.mark();
        let source = self.path()?.0.join(".").to_ascii_lowercase();
        match source.as_str() {
            "devices" => Ok(Source::Devices),
            "devices.modules" => Ok(Source::Modules),
            "devices.jobs" => {
                Err(self.unexpected_at(mark, "this hub keeps no jobs that could be asked for."))
            }
            _ => Err(self.unexpected_at(mark, "devices or devices.modules was expected.")),
        }
    }
}
