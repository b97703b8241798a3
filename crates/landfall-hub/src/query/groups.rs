//! Rows added up: one total for each aggregate column of each group.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use landfall_core::document::{Json, JsonObject};
use landfall_core::query::{Operand, number_json};

use super::{Aggregate, Expression, QueryError};

/// Most groups that one query may make.
const MOST_GROUPS: usize = 10_000;

/// The groups of one query, in the order of their values.
pub(super) struct Groups<'q> {
    by: &'q [Operand],
    columns: &'q [(String, Expression)],
    found: BTreeMap<String, Vec<Cell>>,
}

/// What one column of one group has come to.
enum Cell {
    /// A value that all records of the group share.
    Shared(Option<Json>),
    Count(u64),
    Sum {
        sum: f64,
        count: u64,
        average: bool,
    },
    Extreme {
        value: Option<Json>,
        keep: Ordering,
    },
}

impl<'q> Groups<'q> {
    /// No groups yet; without `by`, the one group of all records.
    pub(super) fn new(by: &'q [Operand], columns: &'q [(String, Expression)]) -> Self {
        let mut groups = Groups {
            by,
            columns,
            found: BTreeMap::new(),
        };
        if by.is_empty() {
            groups
                .found
                .insert(String::new(), cells(columns, &Json::Null));
        }
        groups
    }

    /// Counts a record in.
    pub(super) fn add(&mut self, record: &Json) -> Result<(), QueryError> {
        let key = self.key(record);
        if !self.found.contains_key(&key) {
            if self.found.len() >= MOST_GROUPS {
                return Err(QueryError::TooManyGroups(MOST_GROUPS));
            }
            self.found.insert(key.clone(), cells(self.columns, record));
        }
        if let Some(cells) = self.found.get_mut(&key) {
            for (cell, (_, expression)) in cells.iter_mut().zip(self.columns) {
                if let Expression::Aggregate(aggregate) = expression {
                    cell.add(aggregate, record);
                }
            }
        }
        Ok(())
    }

    /// The rows, one for each group. A column without a value is left out of its row.
    pub(super) fn into_rows(self) -> impl Iterator<Item = Json> {
        let columns = self.columns;
        self.found.into_values().map(move |cells| {
            let mut row = JsonObject::new();
            for (cell, (name, _)) in cells.into_iter().zip(columns) {
                if let Some(value) = cell.into_value() {
                    row.insert(name.clone(), value);
                }
            }
            Json::Object(row)
        })
    }

    /// A text that is the same for records of one group only: each value as JSON, on a line of its
    /// own; an empty line stands for a missing value.
    fn key(&self, record: &Json) -> String {
        let mut key = String::new();
        for operand in self.by {
            if let Some(value) = operand.evaluate(record) {
                let number = value.as_f64().and_then(number_json);
                key.push_str(&number.as_ref().unwrap_or(&value).to_string());
            }
            key.push('\n');
        }
        key
    }
}

fn cells(columns: &[(String, Expression)], record: &Json) -> Vec<Cell> {
    columns
        .iter()
        .map(|(_, expression)| match expression {
            Expression::Value(operand) => {
                Cell::Shared(operand.evaluate(record).map(|value| value.into_owned()))
            }
            Expression::Aggregate(Aggregate::Count(_)) => Cell::Count(0),
            Expression::Aggregate(Aggregate::Sum(_)) => Cell::Sum {
                sum: 0.0,
                count: 0,
                average: false,
            },
            Expression::Aggregate(Aggregate::Average(_)) => Cell::Sum {
                sum: 0.0,
                count: 0,
                average: true,
            },
            Expression::Aggregate(Aggregate::Least(_)) => Cell::Extreme {
                value: None,
                keep: Ordering::Less,
            },
            Expression::Aggregate(Aggregate::Greatest(_)) => Cell::Extreme {
                value: None,
                keep: Ordering::Greater,
            },
        })
        .collect()
}

impl Cell {
    fn add(&mut self, aggregate: &Aggregate, record: &Json) {
        let operand = match aggregate {
            Aggregate::Count(operand) => operand.as_ref(),
            Aggregate::Average(operand)
            | Aggregate::Sum(operand)
            | Aggregate::Least(operand)
            | Aggregate::Greatest(operand) => Some(operand),
        };
        let value = match operand {
            Some(operand) => match operand.evaluate(record) {
                Some(value) => Some(value),
                None => return,
            },
            None => None,
        };
        match self {
            Cell::Shared(_) => {}
            Cell::Count(count) => *count += 1,
            Cell::Sum { sum, count, .. } => {
                if let Some(number) = value.and_then(|value| value.as_f64()) {
                    *sum += number;
                    *count += 1;
                }
            }
            Cell::Extreme { value: kept, keep } => {
                let Some(value) = value.filter(|value| value.is_number() || value.is_string())
                else {
                    return;
                };
                if kept
                    .as_ref()
                    .is_none_or(|kept| order(&value, kept) == *keep)
                {
                    *kept = Some(value.into_owned());
                }
            }
        }
    }

    fn into_value(self) -> Option<Json> {
        match self {
            Cell::Shared(value) | Cell::Extreme { value, .. } => value,
            Cell::Count(count) => Some(Json::from(count)),
            Cell::Sum { count: 0, .. } => None,
            Cell::Sum {
                sum,
                count,
                average: true,
            } => number_json(sum / count as f64),
            Cell::Sum { sum, .. } => number_json(sum),
        }
    }
}

/// Numbers by value, texts by code point, numbers before texts.
fn order(left: &Json, right: &Json) -> Ordering {
    match (left.as_f64(), right.as_f64()) {
        (Some(left), Some(right)) => left.total_cmp(&right),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => left.as_str().cmp(&right.as_str()),
    }
}
