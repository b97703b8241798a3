//! SQLite's side of the dialect: how a connection is opened (`opening`), how a statement runs, how work is
//! grouped and what an error means (`hindrance`). Used by `dialect` alone; only it names the driver.

mod hindrance;
mod opening;
mod place;

use std::time::Duration;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ToSql};

pub(crate) use self::place::Place;
use super::{Durability, Fault, Row, Value};

/// How long a group of writes waits for another program to let go of the database.
const PATIENCE: Duration = Duration::from_secs(2);

/// The same after a group that waited for nothing.
const IMPATIENCE: Duration = Duration::from_millis(50);

/// One connection to SQLite.
#[derive(Debug)]
pub(crate) struct Sqlite {
    connection: Connection,
    durability: Durability,
    /// The file, where it may be taken away while it is open.
    place: Option<Place>,
}

impl Sqlite {
    /// See [`Session::execute`](super::Session::execute).
    pub(super) fn execute(&self, sql: &str, values: &[Value<'_>]) -> Result<usize, Fault> {
        let mut statement = self.connection.prepare_cached(sql)?;
        Ok(statement.execute(rusqlite::params_from_iter(values))?)
    }

    /// See [`Session::execute_script`](super::Session::execute_script).
    pub(super) fn execute_script(&self, sql: &str) -> Result<(), Fault> {
        Ok(self.connection.execute_batch(sql)?)
    }

    /// See [`Session::first`](super::Session::first).
    pub(super) fn first<T>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        decode: impl FnOnce(&Row<'_>) -> Result<T, Fault>,
    ) -> Result<Option<T>, Fault> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(rusqlite::params_from_iter(values))?;
        rows.next()?
            .map(|row| decode(&Row::Sqlite(row)))
            .transpose()
    }

    /// See [`Session::stream`](super::Session::stream).
    pub(super) fn stream<E: From<Fault>>(
        &self,
        sql: &str,
        mut each: impl FnMut(&Row<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut statement = self.connection.prepare(sql).map_err(Fault::from)?;
        let mut rows = statement.query([]).map_err(Fault::from)?;
        while let Some(row) = rows.next().map_err(Fault::from)? {
            each(&Row::Sqlite(row))?;
        }
        Ok(())
    }

    /// See [`Session::every`](super::Session::every).
    pub(super) fn every<T>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        decode: impl Fn(&Row<'_>) -> Result<T, Fault>,
    ) -> Result<Vec<T>, Fault> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(rusqlite::params_from_iter(values))?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(decode(&Row::Sqlite(row))?);
        }
        Ok(found)
    }

    /// Begins a group of writes, if its database is still where the next start looks for it.
    pub(super) fn begin(&self) -> Result<(), Fault> {
        if let Some(place) = &self.place {
            place.holds()?;
        }
        self.execute("BEGIN IMMEDIATE", &[]).map(drop)
    }

    /// Says how long groups of writes wait for another program: a while, or next to nothing.
    pub(super) fn be_patient(&self, patient: bool) -> Result<(), Fault> {
        let span = if patient { PATIENCE } else { IMPATIENCE };
        Ok(self.connection.busy_timeout(span)?)
    }

    /// The file that was opened.
    pub(super) fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }

    /// True between the beginning of a group and its end. A grave error ends the group by itself.
    pub(super) fn in_group(&self) -> bool {
        !self.connection.is_autocommit()
    }

    /// Lets the next commits reach the disk with the first durable one after them.
    pub(super) fn relax(&self) -> Result<(), Fault> {
        match self.durability {
            Durability::Disk => self.execute_script("PRAGMA synchronous = NORMAL"),
            Durability::Process => Ok(()),
        }
    }

    /// Lets commits from now on wait for as much as this connection promises.
    pub(super) fn durably(&self) -> Result<(), Fault> {
        self.execute_script(match self.durability {
            Durability::Disk => "PRAGMA synchronous = FULL",
            Durability::Process => "PRAGMA synchronous = OFF",
        })
    }

    /// Moves the write-ahead log into the database; `wholly` also empties the log.
    pub(super) fn checkpoint(&self, wholly: bool) -> Result<(), Fault> {
        let sql = if wholly {
            "PRAGMA wal_checkpoint(TRUNCATE)"
        } else {
            "PRAGMA wal_checkpoint(PASSIVE)"
        };
        self.first(sql, &[], |_| Ok(())).map(drop)
    }
}

/// A text column of a row.
pub(super) fn text<'r>(row: &'r rusqlite::Row<'r>, column: usize) -> Result<&'r str, Fault> {
    let value = row.get_ref(column)?;
    value.as_str().map_err(|error| misread(column, &error))
}

/// A number column of a row.
pub(super) fn integer(row: &rusqlite::Row<'_>, column: usize) -> Result<i64, Fault> {
    let value = row.get_ref(column)?;
    value.as_i64().map_err(|error| misread(column, &error))
}

/// A bytes column of a row, which may be empty.
pub(super) fn bytes<'r>(
    row: &'r rusqlite::Row<'r>,
    column: usize,
) -> Result<Option<&'r [u8]>, Fault> {
    let value = row.get_ref(column)?;
    value
        .as_blob_or_null()
        .map_err(|error| misread(column, &error))
}

fn misread(column: usize, error: &rusqlite::types::FromSqlError) -> Fault {
    Fault::Record(format!("column {column}: {error}"))
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error() {
            Some(code) if code.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY => {
                Fault::Orphan
            }
            Some(code) => match hindrance::remedy(code.code) {
                Some(remedy) => Fault::Hindered(error.to_string(), remedy),
                None => Fault::Database(error.to_string()),
            },
            None => Fault::Database(error.to_string()),
        }
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
