//! What a filter says of one record: where values are found and how they compare. Never fails: a
//! condition that makes no sense for a record does not hold for it.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::{Arithmetic, Comparison, Filter, Literal, Operand, Path, TextTest, TypeTest};
use crate::document::Json;

/// A value of a record or of the query, looked at without a copy where there is one to look at.
#[derive(Clone, Copy)]
enum Value<'a> {
    Null,
    Bool(bool),
    Number(f64),
    Text(&'a str),
    /// An object or an array: equal to its like, without order.
    Tree(&'a Json),
}

impl Filter {
    /// True when `row`, a record as its API shows it, meets the condition.
    ///
    /// A comparison with a missing value is false, and so its `NOT` is true. Numbers compare as
    /// numbers, texts by code point; values of two types are unequal and have no order.
    pub fn matches(&self, row: &Json) -> bool {
        match self {
            Filter::Always => true,
            Filter::And(left, right) => left.matches(row) && right.matches(row),
            Filter::Or(left, right) => left.matches(row) || right.matches(row),
            Filter::Not(inner) => !inner.matches(row),
            Filter::Compare(left, how, right) => match (left.value(row), right.value(row)) {
                (Some(left), Some(right)) => left.compares(*how, right),
                _ => false,
            },
            Filter::In(operand, literals, negated) => operand.value(row).is_some_and(|value| {
                let listed = literals.iter().any(|one| value.equals(one.value()));
                listed != *negated
            }),
            Filter::Is(test, path) => path.find(row).is_some_and(|value| test.holds(value)),
            Filter::Text(test, left, right) => match (left.value(row), right.value(row)) {
                (Some(Value::Text(text)), Some(Value::Text(part))) => test.holds(text, part),
                _ => false,
            },
        }
    }
}

impl Path {
    /// The value that the path leads to in `row`; `None` when a member on the way is missing.
    pub fn find<'a>(&self, row: &'a Json) -> Option<&'a Json> {
        self.0.iter().try_fold(row, |at, name| at.get(name))
    }
}

impl Operand {
    /// The value of the operand for `row`, as JSON; `None` when it is missing.
    pub fn evaluate<'a>(&'a self, row: &'a Json) -> Option<Cow<'a, Json>> {
        if let Operand::Path(path) = self {
            return path.find(row).map(Cow::Borrowed);
        }
        let json = match self.value(row)? {
            Value::Null => Json::Null,
            Value::Bool(truth) => Json::from(truth),
            Value::Number(number) => number_json(number)?,
            Value::Text(text) => Json::from(text),
            Value::Tree(tree) => tree.clone(),
        };
        Some(Cow::Owned(json))
    }

    fn value<'a>(&'a self, row: &'a Json) -> Option<Value<'a>> {
        match self {
            Operand::Path(path) => path.find(row).map(Value::of),
            Operand::Literal(literal) => Some(literal.value()),
            Operand::Arithmetic(left, how, right) => {
                let (Value::Number(left), Value::Number(right)) =
                    (left.value(row)?, right.value(row)?)
                else {
                    return None;
                };
                let number = how.of(left, right);
                number.is_finite().then_some(Value::Number(number))
            }
            Operand::AsNumber(inner) => match inner.value(row)? {
                Value::Number(number) => Some(Value::Number(number)),
                Value::Text(text) => text
                    .trim()
                    .parse::<f64>()
                    .ok()
                    .filter(|number| number.is_finite())
                    .map(Value::Number),
                _ => None,
            },
        }
    }
}

/// The JSON form of a number: without a fraction when it has none and a double holds it exactly.
/// `None` for what JSON cannot write.
pub fn number_json(number: f64) -> Option<Json> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() <= EXACT {
        return Some(Json::from(number as i64));
    }
    number.is_finite().then(|| Json::from(number))
}

impl Arithmetic {
    fn of(self, left: f64, right: f64) -> f64 {
        match self {
            Arithmetic::Add => left + right,
            Arithmetic::Subtract => left - right,
            Arithmetic::Multiply => left * right,
            Arithmetic::Divide => left / right,
            Arithmetic::Remainder => left % right,
        }
    }
}

impl Literal {
    fn value(&self) -> Value<'_> {
        match self {
            Literal::Null => Value::Null,
            Literal::Bool(truth) => Value::Bool(*truth),
            Literal::Number(number) => Value::Number(*number),
            Literal::Text(text) => Value::Text(text),
        }
    }
}

impl TypeTest {
    fn holds(self, value: &Json) -> bool {
        match self {
            TypeTest::Defined => true,
            TypeTest::Null => value.is_null(),
            TypeTest::Text => value.is_string(),
            TypeTest::Number => value.is_number(),
            TypeTest::Bool => value.is_boolean(),
            TypeTest::Object => value.is_object(),
        }
    }
}

impl TextTest {
    fn holds(self, text: &str, part: &str) -> bool {
        match self {
            TextTest::StartsWith => text.starts_with(part),
            TextTest::EndsWith => text.ends_with(part),
            TextTest::Contains => text.contains(part),
        }
    }
}

impl<'a> Value<'a> {
    fn of(json: &'a Json) -> Self {
        match json {
            Json::Null => Value::Null,
            Json::Bool(truth) => Value::Bool(*truth),
            Json::Number(number) => number.as_f64().map_or(Value::Tree(json), Value::Number),
            Json::String(text) => Value::Text(text),
            Json::Array(_) | Json::Object(_) => Value::Tree(json),
        }
    }

    fn equals(self, other: Value<'_>) -> bool {
        match (self, other) {
            (Value::Null, Value::Null) => true,
            (Value::Bool(left), Value::Bool(right)) => left == right,
            (Value::Number(left), Value::Number(right)) => left == right,
            (Value::Text(left), Value::Text(right)) => left == right,
            (Value::Tree(left), Value::Tree(right)) => left == right,
            _ => false,
        }
    }

    fn order(self, other: Value<'_>) -> Option<Ordering> {
        match (self, other) {
            (Value::Number(left), Value::Number(right)) => left.partial_cmp(&right),
            (Value::Text(left), Value::Text(right)) => Some(left.cmp(right)),
            _ => None,
        }
    }

    fn compares(self, how: Comparison, other: Value<'_>) -> bool {
        match how {
            Comparison::Equal => self.equals(other),
            Comparison::NotEqual => !self.equals(other),
            Comparison::Less => self.order(other).is_some_and(Ordering::is_lt),
            Comparison::LessOrEqual => self.order(other).is_some_and(Ordering::is_le),
            Comparison::Greater => self.order(other).is_some_and(Ordering::is_gt),
            Comparison::GreaterOrEqual => self.order(other).is_some_and(Ordering::is_ge),
        }
    }
}
