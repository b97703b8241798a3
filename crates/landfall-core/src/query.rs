//! Filters and pages: what a query asks of the records, independent of the text it came in.
//!
//! The text is read in `landfall-wire/query.rs`; what a filter says of one record is decided in
//! `condition`; administration and the hub's queries ask it, record by record.

mod condition;

pub use condition::number_json;

/// A way to a value inside a record, by member names as the wire spells them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path(pub Vec<String>);

/// A constant in a query.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// Any number.
    Number(f64),
    /// A quoted text.
    Text(String),
}

/// How two values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `!=`, `<>`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

/// How two numbers are made into one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arithmetic {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `%`
    Remainder,
}

/// One side of a comparison.
#[derive(Debug, Clone, PartialEq)]
pub enum Operand {
    /// A member of the record.
    Path(Path),
    /// A constant.
    Literal(Literal),
    /// Two numbers made into one; missing when a side is no number or the result is not finite.
    Arithmetic(Box<Operand>, Arithmetic, Box<Operand>),
    /// `as_number`: the number that a text spells, or the number itself; else missing.
    AsNumber(Box<Operand>),
}

/// A test of one value's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TypeTest {
    /// There is a value, be it null.
    Defined,
    /// It is null.
    Null,
    /// It is a text.
    Text,
    /// It is a number.
    Number,
    /// It is true or false.
    Bool,
    /// It is an object.
    Object,
}

/// A test of one text against another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextTest {
    /// `startswith`
    StartsWith,
    /// `endswith`
    EndsWith,
    /// `contains`
    Contains,
}

/// The condition of a query. A comparison with a missing value is false.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// No condition.
    Always,
    /// Both hold.
    And(Box<Filter>, Box<Filter>),
    /// One holds.
    Or(Box<Filter>, Box<Filter>),
    /// It does not hold.
    Not(Box<Filter>),
    /// Two values compare so.
    Compare(Operand, Comparison, Operand),
    /// The value is one of these; `true` at the end asks for none of these.
    In(Operand, Vec<Literal>, bool),
    /// The value is of this type.
    Is(TypeTest, Path),
    /// The text stands so to the other.
    Text(TextTest, Operand, Operand),
}

/// A condition that a store can answer from an index: this path equals this literal.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexedTerm {
    /// The path, for instance `provisioningStatus` or `tags.environment`.
    pub path: Path,
    /// The value it must equal.
    pub value: Literal,
}

/// A part of a listing, in key order.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page begins, when there is one. Opaque to callers.
    pub continuation: Option<String>,
}

impl Filter {
    /// The terms that every record meeting the condition meets, and that an index may answer: its
    /// equalities of a path and a constant, joined by `AND` at the top.
    ///
    /// A store may use any of them or none; [`Filter::matches`] still decides.
    pub fn indexed_terms(&self) -> Vec<IndexedTerm> {
        let mut terms = Vec::new();
        self.collect_terms(&mut terms);
        terms
    }

    fn collect_terms(&self, terms: &mut Vec<IndexedTerm>) {
        match self {
            Filter::And(left, right) => {
                left.collect_terms(terms);
                right.collect_terms(terms);
            }
            Filter::Compare(Operand::Path(path), Comparison::Equal, Operand::Literal(value))
            | Filter::Compare(Operand::Literal(value), Comparison::Equal, Operand::Path(path)) => {
                terms.push(IndexedTerm {
                    path: path.clone(),
                    value: value.clone(),
                });
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
