//! What the subject files say to a database, whichever it is: what to ask ([`Read`]) and what to write, in
//! SQL that SQLite and PostgreSQL both speak (docs/decisions/0002-one-sql-text.md). What a [`Session`]
//! can do stands in `session`; how each engine does it, in the module of its name.
//!
//! Placeholders are `$1..$n`, first used in ascending order, since SQLite numbers them by first use.

mod postgres;
mod session;
mod sqlite;

use std::borrow::Cow;

use self::postgres::hindrance;
pub(crate) use self::postgres::{Alarm, Columns, Pool, Postgres, patience};
pub use self::postgres::{PostgresUrl, UrlError};
pub(crate) use self::session::{Session, Source};
pub(crate) use self::sqlite::{Place, Sqlite};
use crate::secret::Sealer;
use landfall_core::store::CommitError;

/// Why something asked of the database did not come about.
#[derive(Debug)]
pub(crate) enum Fault {
    /// A guard or an expectation does not hold.
    Refused(CommitError),
    /// The record that this one belongs to is not there.
    Orphan,
    /// The database cannot do it now.
    Database(String),
    /// The same, with what an operator can do about it.
    Hindered(String, &'static str),
    /// Another came in between: the whole group is to be done again.
    Again(String),
    /// The connection is lost, or its database takes no writes any more.
    Lost(String),
    /// The database has no connection left for this server.
    Crowded(String),
    /// Another server has ended this one's lease.
    Ended,
    /// A record or its sealed part cannot be read or made.
    Record(String),
}

impl Fault {
    /// Names the record whose absence made an orphan.
    pub(crate) fn orphan_of(self, parent: impl FnOnce() -> String) -> Self {
        match self {
            Fault::Orphan => Fault::Refused(CommitError::Absent(parent())),
            other => other,
        }
    }

    /// The fault as the caller of a commit reads it.
    pub(crate) fn into_commit_error(self) -> CommitError {
        match self {
            Fault::Refused(error) => error,
            Fault::Orphan => CommitError::Absent("the record that this one belongs to".to_owned()),
            other => CommitError::Unavailable(other.with_remedy()),
        }
    }

    /// What an operator can do about it, where that is known.
    pub(crate) fn remedy(&self) -> Option<&'static str> {
        match self {
            Fault::Hindered(_, remedy) => Some(remedy),
            Fault::Lost(_) => Some(hindrance::AWAY),
            Fault::Crowded(_) => Some(hindrance::CROWDED),
            _ => None,
        }
    }

    /// The fault as operators read it, in the log and where they ask whether the server can serve.
    pub(crate) fn with_remedy(&self) -> String {
        match self {
            Fault::Lost(cause) => format!("{cause}: {}", hindrance::AWAY),
            Fault::Crowded(cause) => format!("{cause}: {}", hindrance::CROWDED),
            other => other.to_string(),
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Fault::Refused(error) => error.fmt(f),
            Fault::Orphan => f.write_str("the record that this one belongs to is not there"),
            Fault::Ended => {
                f.write_str("another server took over, since this one was not heard of")
            }
            Fault::Hindered(cause, remedy) => write!(f, "{cause}: {remedy}"),
            Fault::Database(cause)
            | Fault::Again(cause)
            | Fault::Lost(cause)
            | Fault::Crowded(cause)
            | Fault::Record(cause) => f.write_str(cause),
        }
    }
}

/// A value that a statement is given.
pub(crate) enum Value<'a> {
    /// A text.
    Text(Cow<'a, str>),
    /// A whole number, a time in microseconds, or 0 and 1 for a condition.
    Integer(i64),
    /// Bytes, or none in a column that may be empty.
    Bytes(Option<Cow<'a, [u8]>>),
}

impl Value<'_> {
    /// The text that it is; empty for anything else.
    pub(crate) fn words(&self) -> &str {
        match self {
            Value::Text(text) => text,
            Value::Integer(_) | Value::Bytes(_) => "",
        }
    }

    fn into_owned(self) -> Value<'static> {
        match self {
            Value::Text(text) => Value::Text(Cow::Owned(text.into_owned())),
            Value::Integer(number) => Value::Integer(number),
            Value::Bytes(bytes) => Value::Bytes(bytes.map(|bytes| Cow::Owned(bytes.into_owned()))),
        }
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Value::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Value::Text(Cow::Owned(text))
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Value::Integer(number)
    }
}

impl From<Vec<u8>> for Value<'_> {
    fn from(bytes: Vec<u8>) -> Self {
        Value::Bytes(Some(Cow::Owned(bytes)))
    }
}

impl From<Option<Vec<u8>>> for Value<'_> {
    fn from(bytes: Option<Vec<u8>>) -> Self {
        Value::Bytes(bytes.map(Cow::Owned))
    }
}

impl<'a> From<Option<&'a [u8]>> for Value<'a> {
    fn from(bytes: Option<&'a [u8]>) -> Self {
        Value::Bytes(bytes.map(Cow::Borrowed))
    }
}

/// Builds a statement whose text depends on what is asked; numbers its placeholders in order.
#[derive(Default)]
pub(crate) struct Text<'a> {
    sql: String,
    values: Vec<Value<'a>>,
}

impl<'a> Text<'a> {
    /// Adds text as it is.
    pub(crate) fn say(&mut self, sql: &str) {
        self.sql.push_str(sql);
    }

    /// Adds text, and a placeholder for `value` after it.
    pub(crate) fn bind(&mut self, sql: &str, value: impl Into<Value<'a>>) {
        self.values.push(value.into());
        self.sql.push_str(sql);
        self.sql.push('$');
        self.sql.push_str(&self.values.len().to_string());
    }

    /// The read that this text asks for.
    pub(crate) fn read<T>(self, decode: Decode<T>) -> Read<'a, T> {
        Read {
            sql: Cow::Owned(self.sql),
            values: self.values,
            decode,
        }
    }
}

/// Makes a value of a row; sealed parts are opened.
pub(crate) type Decode<T> = fn(&Row<'_>, &Sealer) -> Result<T, Fault>;

/// A question to the database: text, values, and what a row of the answer means.
pub(crate) struct Read<'a, T> {
    sql: Cow<'static, str>,
    values: Vec<Value<'a>>,
    decode: Decode<T>,
}

impl<'a, T> Read<'a, T> {
    /// A read with a fixed text.
    pub(crate) fn new(sql: &'static str, values: Vec<Value<'a>>, decode: Decode<T>) -> Self {
        Read {
            sql: Cow::Borrowed(sql),
            values,
            decode,
        }
    }

    /// What a row of the answer means.
    pub(crate) fn decode(&self, row: &Row<'_>, sealer: &Sealer) -> Result<T, Fault> {
        (self.decode)(row, sealer)
    }

    /// The same read, holding what it refers to.
    pub(crate) fn into_owned(self) -> Read<'static, T> {
        Read {
            sql: self.sql,
            values: self.values.into_iter().map(Value::into_owned).collect(),
            decode: self.decode,
        }
    }
}

/// A row of an answer; columns count from 0.
pub(crate) enum Row<'r> {
    /// Of SQLite.
    Sqlite(&'r rusqlite::Row<'r>),
    /// Of PostgreSQL.
    Postgres(&'r tokio_postgres::Row),
}

impl Row<'_> {
    /// A text column.
    pub(crate) fn text(&self, column: usize) -> Result<&str, Fault> {
        match self {
            Row::Sqlite(row) => sqlite::text(row, column),
            Row::Postgres(row) => postgres::text(row, column),
        }
    }

    /// A number column.
    pub(crate) fn integer(&self, column: usize) -> Result<i64, Fault> {
        match self {
            Row::Sqlite(row) => sqlite::integer(row, column),
            Row::Postgres(row) => postgres::integer(row, column),
        }
    }

    /// A bytes column that may be empty.
    pub(crate) fn bytes(&self, column: usize) -> Result<Option<&[u8]>, Fault> {
        match self {
            Row::Sqlite(row) => sqlite::bytes(row, column),
            Row::Postgres(row) => postgres::bytes(row, column),
        }
    }
}

/// Beside whom a group of writes is carried out, where several servers share a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Beside others of its kind: it writes only over rows that it has read.
    Shared,
    /// Beside others of either kind, and after whoever numbers what it adds: nobody sees a number before a
    /// smaller one.
    Numbering,
    /// Alone: what it decides rests on rows that others may write, or on there being none.
    Alone,
}

/// What an acknowledged change outlives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// A power cut: commits wait for the disk.
    Disk,
    /// The process, however it ends, and not the machine: nobody waits for the disk.
    Process,
}

#[cfg(test)]
mod tests;
