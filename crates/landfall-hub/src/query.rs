//! The hub's queries: what may be asked of twins, as values that hold no contradiction.
//!
//! The text is read in `landfall-wire/query.rs`, which ends in [`Query::new`]. `scan` answers a
//! query page by page over the [`HubStore`](crate::store::HubStore) port; `groups` adds rows up;
//! `position` is the mark at which a next page begins.

use landfall_core::document::{Json, JsonObject};
use landfall_core::query::{Filter, Operand, Path};
use landfall_core::store::ReadError;

use crate::error::HubError;

mod groups;
mod position;
mod scan;

pub use position::Position;
pub use scan::{DEFAULT_PAGE, LARGEST_PAGE, PageRequest, Rendering, answer};

/// Most columns, and most terms of a `GROUP BY`, that a query may have.
pub const MOST_COLUMNS: usize = 64;

/// The records that a query asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// `devices`
    Devices,
    /// `devices.modules`
    Modules,
}

/// What a query asks of the records that meet its condition, as it was written.
#[derive(Debug, Clone, PartialEq)]
pub enum Select {
    /// `*`
    Everything,
    /// A list of expressions, each with its `AS`.
    Columns(Vec<(Expression, Option<String>)>),
}

/// One entry of a select list.
#[derive(Debug, Clone, PartialEq)]
pub enum Expression {
    /// A value of each record.
    Value(Operand),
    /// A value made of many records.
    Aggregate(Aggregate),
}

/// A value made of many records. Records where the operand is missing do not count.
#[derive(Debug, Clone, PartialEq)]
pub enum Aggregate {
    /// `COUNT()`: how many records; `COUNT(x)`: in how many of them `x` is there.
    Count(Option<Operand>),
    /// `AVG`, of the numbers.
    Average(Operand),
    /// `SUM`, of the numbers.
    Sum(Operand),
    /// `MIN`, of numbers and texts; a number comes before a text.
    Least(Operand),
    /// `MAX`, of numbers and texts.
    Greatest(Operand),
}

/// Why a query was not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// The parts of the query contradict each other.
    #[error("{0}")]
    Contradiction(String),
    /// The continuation is not one that this query was given.
    #[error("The continuation token was not given by this hub for this query.")]
    Continuation,
    /// There are too many groups to keep.
    #[error("The query makes more than {0} groups.")]
    TooManyGroups(usize),
    /// The records cannot be read now. For the log only.
    #[error(transparent)]
    Store(#[from] ReadError),
}

impl From<QueryError> for HubError {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::Store(error) => error.into(),
            QueryError::Contradiction(_)
            | QueryError::Continuation
            | QueryError::TooManyGroups(_) => HubError::ArgumentInvalid(error.to_string()),
        }
    }
}

/// A query that can be answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    source: Source,
    filter: Filter,
    top: Option<u64>,
    answer: Answer,
}

/// What a query gives.
#[derive(Debug, Clone, PartialEq)]
enum Answer {
    /// Each record as it is.
    Twins,
    /// Some values of each record, by name.
    Values(Vec<(String, Operand)>),
    /// One row for each group of records.
    Groups(Vec<Operand>, Vec<(String, Expression)>),
}

impl Query {
    /// Puts a query together.
    ///
    /// A column without `AS` takes the last name of its path; one without a path is called `$1`,
    /// `$2` and so on by its place.
    /// Source: docs/protocol/hub-api.md §1.8 [D]; the names of columns without `AS` [I].
    ///
    /// # Errors
    /// [`QueryError::Contradiction`] when two columns have one name, a grouped query asks for a
    /// value that it does not group by, or there are too many columns.
    pub fn new(
        select: Select,
        source: Source,
        filter: Filter,
        group_by: Vec<Operand>,
        top: Option<u64>,
    ) -> Result<Self, QueryError> {
        let refuse = |text: String| Err(QueryError::Contradiction(text));
        let answer = match select {
            Select::Everything if group_by.is_empty() => Answer::Twins,
            Select::Everything => {
                return refuse("SELECT * cannot stand with GROUP BY: name the columns.".into());
            }
            Select::Columns(columns) => {
                if columns.len() > MOST_COLUMNS || group_by.len() > MOST_COLUMNS {
                    return refuse(format!("A query has at most {MOST_COLUMNS} columns."));
                }
                let columns = named(columns)?;
                let values: Option<Vec<_>> = columns
                    .iter()
                    .map(|(name, expression)| match expression {
                        Expression::Value(operand) => Some((name.clone(), operand.clone())),
                        Expression::Aggregate(_) => None,
                    })
                    .collect();
                match values {
                    Some(values) if group_by.is_empty() => Answer::Values(values),
                    _ => Answer::Groups(group_by, columns),
                }
            }
        };
        if let Answer::Groups(by, columns) = &answer {
            let stray = columns.iter().find(|(_, expression)| {
                matches!(expression, Expression::Value(operand) if !by.contains(operand))
            });
            if let Some((name, _)) = stray {
                return refuse(format!(
                    "The column '{name}' is neither an aggregate nor part of GROUP BY."
                ));
            }
        }
        Ok(Query {
            source,
            filter,
            top,
            answer,
        })
    }

    /// True when the rows are twins as they are, not values taken from them.
    pub fn gives_twins(&self) -> bool {
        self.answer == Answer::Twins
    }

    /// True when the answer needs every record that meets the condition, however small the page.
    pub fn is_aggregate(&self) -> bool {
        matches!(self.answer, Answer::Groups(..))
    }

    /// The records asked for.
    pub fn source(&self) -> Source {
        self.source
    }

    /// The condition.
    pub fn filter(&self) -> &Filter {
        &self.filter
    }

    /// The row that an ungrouped query gives for one record.
    fn row(&self, record: Json) -> Json {
        match &self.answer {
            Answer::Values(columns) => {
                let mut row = JsonObject::new();
                for (name, operand) in columns {
                    if let Some(value) = operand.evaluate(&record) {
                        row.insert(name.clone(), value.into_owned());
                    }
                }
                Json::Object(row)
            }
            Answer::Twins | Answer::Groups(..) => record,
        }
    }
}

/// Gives every column its name, and makes sure that no two share one.
fn named(
    columns: Vec<(Expression, Option<String>)>,
) -> Result<Vec<(String, Expression)>, QueryError> {
    let mut out: Vec<(String, Expression)> = Vec::with_capacity(columns.len());
    for (place, (expression, alias)) in columns.into_iter().enumerate() {
        let name = alias.unwrap_or_else(|| match &expression {
            Expression::Value(Operand::Path(Path(names))) => {
                names.last().cloned().unwrap_or_default()
            }
            _ => format!("${}", place + 1),
        });
        if out.iter().any(|(taken, _)| *taken == name) {
            return Err(QueryError::Contradiction(format!(
                "Two columns are called '{name}': give one another name with AS."
            )));
        }
        out.push((name, expression));
    }
    Ok(out)
}

#[cfg(test)]
mod tests;
