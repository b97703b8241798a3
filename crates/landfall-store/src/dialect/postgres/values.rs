//! Values and errors as PostgreSQL's driver has them.

use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;

use super::hindrance;
use crate::dialect::{Fault, Value};

/// Values as the driver takes them.
pub(super) fn parameters<'a>(values: &'a [Value<'_>]) -> Vec<&'a (dyn ToSql + Sync)> {
    let each = values.iter().map(|value| match value {
        Value::Text(text) => text as &(dyn ToSql + Sync),
        Value::Integer(number) => number,
        Value::Bytes(bytes) => bytes,
    });
    each.collect()
}

/// A text column of a row.
pub(in crate::dialect) fn text(row: &tokio_postgres::Row, column: usize) -> Result<&str, Fault> {
    row.try_get(column).map_err(|error| misread(column, &error))
}

/// A number column of a row.
pub(in crate::dialect) fn integer(row: &tokio_postgres::Row, column: usize) -> Result<i64, Fault> {
    row.try_get(column).map_err(|error| misread(column, &error))
}

/// A bytes column of a row, which may be empty.
pub(in crate::dialect) fn bytes(
    row: &tokio_postgres::Row,
    column: usize,
) -> Result<Option<&[u8]>, Fault> {
    row.try_get(column).map_err(|error| misread(column, &error))
}

fn misread(column: usize, error: &tokio_postgres::Error) -> Fault {
    Fault::Record(format!("column {column}: {}", said(error)))
}

impl From<tokio_postgres::Error> for Fault {
    fn from(error: tokio_postgres::Error) -> Self {
        let told = said(&error);
        let Some(code) = error.code() else {
            // What did not come from the database came from the way to it, or from a value that no
            // column takes.
            return if error.is_closed() || is_of_the_way(&error) {
                Fault::Lost(told)
            } else {
                Fault::Database(told)
            };
        };
        match code {
            &SqlState::T_R_SERIALIZATION_FAILURE | &SqlState::T_R_DEADLOCK_DETECTED => {
                Fault::Again(told)
            }
            &SqlState::FOREIGN_KEY_VIOLATION => Fault::Orphan,
            &SqlState::TOO_MANY_CONNECTIONS => Fault::Crowded(told),
            // Another may take writes by now.
            &SqlState::READ_ONLY_SQL_TRANSACTION
            | &SqlState::ADMIN_SHUTDOWN
            | &SqlState::CRASH_SHUTDOWN
            | &SqlState::CANNOT_CONNECT_NOW
            | &SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT => Fault::Lost(told),
            code if code.code().starts_with("08") => Fault::Lost(told),
            code => match (hindrance::of_everybody(code), hindrance::of_one(code)) {
                (Some(remedy), _) => Fault::Hindered(told, remedy),
                (None, Some(remedy)) => Fault::Database(format!("{told}: {remedy}")),
                (None, None) => Fault::Database(told),
            },
        }
    }
}

fn is_of_the_way(error: &tokio_postgres::Error) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(one) = cause {
        if one.is::<std::io::Error>() {
            return true;
        }
        cause = one.source();
    }
    false
}

/// What an error says, with its causes. Details of the database are left out: they repeat keys of rows.
pub(super) fn said(error: &tokio_postgres::Error) -> String {
    if let Some(told) = error.as_db_error() {
        return format!("{} (SQLSTATE {})", told.message(), told.code().code());
    }
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(one) = cause {
        text.push_str(": ");
        text.push_str(&one.to_string());
        cause = one.source();
    }
    text
}
