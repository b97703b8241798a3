//! What differs between databases: how a connection is opened (`opening`), how a statement runs, how work is
//! grouped and what an error means. Today there is SQLite; the only file that names its driver.
//!
//! The subject files say what to ask ([`Read`]) and what to write, in SQL that PostgreSQL speaks
//! too (docs/decisions/0002-one-sql-text.md): placeholders `$1..$n` first used in ascending order,
//! since SQLite numbers them by first use.

mod opening;

use std::borrow::Cow;

use landfall_core::store::CommitError;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ToSql};

use crate::secret::Sealer;

/// Why something asked of the database did not come about.
#[derive(Debug)]
pub(crate) enum Fault {
    /// A guard or an expectation does not hold.
    Refused(CommitError),
    /// The record that this one belongs to is not there.
    Orphan,
    /// The database cannot do it now.
    Database(String),
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
            Fault::Database(cause) | Fault::Record(cause) => CommitError::Unavailable(cause),
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Fault::Refused(error) => error.fmt(f),
            Fault::Orphan => f.write_str("the record that this one belongs to is not there"),
            Fault::Database(cause) | Fault::Record(cause) => f.write_str(cause),
        }
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error() {
            Some(code) if code.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY => {
                Fault::Orphan
            }
            _ => Fault::Database(error.to_string()),
        }
    }
}

/// A value that a statement is given.
#[derive(Clone)]
pub(crate) enum Value<'a> {
    /// A text.
    Text(Cow<'a, str>),
    /// A whole number, a time in microseconds, or 0 and 1 for a condition.
    Integer(i64),
    /// Bytes, or none in a column that may be empty.
    Bytes(Option<Cow<'a, [u8]>>),
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

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Integer(number) => ValueRef::Integer(*number),
            Value::Bytes(Some(bytes)) => ValueRef::Blob(bytes),
            Value::Bytes(None) => ValueRef::Null,
        }))
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
}

/// A row of an answer; columns count from 0.
pub(crate) struct Row<'r>(&'r rusqlite::Row<'r>);

impl Row<'_> {
    /// A text column.
    pub(crate) fn text(&self, column: usize) -> Result<&str, Fault> {
        self.0
            .get_ref(column)?
            .as_str()
            .map_err(|e| Fault::Record(format!("column {column}: {e}")))
    }

    /// A number column.
    pub(crate) fn integer(&self, column: usize) -> Result<i64, Fault> {
        self.0
            .get_ref(column)?
            .as_i64()
            .map_err(|e| Fault::Record(format!("column {column}: {e}")))
    }

    /// A bytes column that may be empty.
    pub(crate) fn bytes(&self, column: usize) -> Result<Option<&[u8]>, Fault> {
        self.0
            .get_ref(column)?
            .as_blob_or_null()
            .map_err(|e| Fault::Record(format!("column {column}: {e}")))
    }
}

/// What an acknowledged change outlives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// A power cut: commits wait for the disk.
    Disk,
    /// The process, however it ends, and not the machine: nobody waits for the disk.
    Process,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Session {
    connection: Connection,
    durability: Durability,
}

impl Session {
    /// Runs `work` on one moment's state, whatever is written meanwhile.
    pub(crate) fn at_one_moment<T, E: From<Fault>>(
        &self,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        self.execute("BEGIN", &[])?;
        let outcome = work();
        self.abandon();
        outcome
    }

    /// Runs a statement that gives no rows; gives how many rows it touched.
    pub(crate) fn execute(&self, sql: &str, values: &[Value<'_>]) -> Result<usize, Fault> {
        let mut statement = self.connection.prepare_cached(sql)?;
        Ok(statement.execute(rusqlite::params_from_iter(values))?)
    }

    /// Runs several statements without values.
    pub(crate) fn execute_script(&self, sql: &str) -> Result<(), Fault> {
        Ok(self.connection.execute_batch(sql)?)
    }

    /// The first row of a statement's answer.
    pub(crate) fn first<T>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        decode: impl FnOnce(&Row<'_>) -> Result<T, Fault>,
    ) -> Result<Option<T>, Fault> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(rusqlite::params_from_iter(values))?;
        rows.next()?.map(|row| decode(&Row(row))).transpose()
    }

    /// Hands each row of a statement's answer to `each`, one at a time.
    pub(crate) fn stream<E: From<Fault>>(
        &self,
        sql: &str,
        mut each: impl FnMut(&Row<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut statement = self.connection.prepare(sql).map_err(Fault::from)?;
        let mut rows = statement.query([]).map_err(Fault::from)?;
        while let Some(row) = rows.next().map_err(Fault::from)? {
            each(&Row(row))?;
        }
        Ok(())
    }

    /// All rows of a statement's answer.
    pub(crate) fn every<T>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        decode: impl Fn(&Row<'_>) -> Result<T, Fault>,
    ) -> Result<Vec<T>, Fault> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(rusqlite::params_from_iter(values))?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(decode(&Row(row))?);
        }
        Ok(found)
    }

    /// All rows of a read.
    pub(crate) fn all<T>(&self, read: &Read<'_, T>, sealer: &Sealer) -> Result<Vec<T>, Fault> {
        self.every(&read.sql, &read.values, |row| (read.decode)(row, sealer))
    }

    /// The first row of a read.
    pub(crate) fn one<T>(&self, read: &Read<'_, T>, sealer: &Sealer) -> Result<Option<T>, Fault> {
        self.first(&read.sql, &read.values, |row| (read.decode)(row, sealer))
    }

    /// Begins a group of writes and takes the write lock.
    pub(crate) fn begin(&self) -> Result<(), Fault> {
        self.execute("BEGIN IMMEDIATE", &[]).map(drop)
    }

    /// Makes the group durable.
    pub(crate) fn commit(&self) -> Result<(), Fault> {
        self.execute("COMMIT", &[]).map(drop)
    }

    /// Drops what is left of the group.
    pub(crate) fn abandon(&self) {
        if self.in_group() {
            // When even this fails the connection is dropped by its owner, which does the same.
            let _ = self.execute("ROLLBACK", &[]);
        }
    }

    /// True between `begin` and `commit`. A grave error ends the group by itself.
    pub(crate) fn in_group(&self) -> bool {
        !self.connection.is_autocommit()
    }

    /// Runs `work` so that it leaves nothing behind when it fails. When even undoing fails, the whole
    /// group is undone.
    pub(crate) fn whole_or_not_at_all<T>(
        &self,
        work: impl FnOnce() -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        self.execute("SAVEPOINT one", &[])?;
        let outcome = work();
        let undone = match &outcome {
            Err(_) if self.in_group() => self.execute("ROLLBACK TO one", &[]),
            _ => Ok(0),
        };
        let settled = match undone {
            Ok(_) if self.in_group() => self.execute("RELEASE one", &[]),
            other => other,
        };
        if let Err(fault) = settled {
            self.abandon();
            return Err(fault);
        }
        outcome
    }

    /// Runs `work` as a group of its own that reaches the disk with the next durable commit.
    pub(crate) fn lazily<T>(&self, work: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
        if self.durability == Durability::Disk {
            self.execute_script("PRAGMA synchronous = NORMAL")?;
        }
        let outcome = self.begin().and_then(|()| {
            let outcome = work();
            match &outcome {
                Ok(_) => self.commit()?,
                Err(_) => self.abandon(),
            }
            outcome
        });
        self.abandon();
        self.durably()?;
        outcome
    }

    /// What its commits promise.
    pub(crate) fn durability(&self) -> Durability {
        self.durability
    }

    /// Lets commits from now on wait for as much as this session promises.
    fn durably(&self) -> Result<(), Fault> {
        self.execute_script(match self.durability {
            Durability::Disk => "PRAGMA synchronous = FULL",
            Durability::Process => "PRAGMA synchronous = OFF",
        })
    }

    /// Moves the write-ahead log into the database; `wholly` also empties the log.
    pub(crate) fn checkpoint(&self, wholly: bool) -> Result<(), Fault> {
        let sql = if wholly {
            "PRAGMA wal_checkpoint(TRUNCATE)"
        } else {
            "PRAGMA wal_checkpoint(PASSIVE)"
        };
        self.first(sql, &[], |_| Ok(())).map(drop)
    }
}

#[cfg(test)]
mod tests;
