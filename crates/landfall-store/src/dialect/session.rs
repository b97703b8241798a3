//! One connection of either engine, and what can be done with it. The subject files and the writer are given
//! a [`Session`] and do not know which engine is behind it.

use super::{Fault, Read, Row, Sqlite, Value};
use crate::secret::Sealer;

/// One connection.
#[derive(Debug)]
pub(crate) enum Session {
    /// To a SQLite file.
    Sqlite(Sqlite),
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
        match self {
            Session::Sqlite(sqlite) => sqlite.execute(sql, values),
        }
    }

    /// Runs several statements without values.
    pub(crate) fn execute_script(&self, sql: &str) -> Result<(), Fault> {
        match self {
            Session::Sqlite(sqlite) => sqlite.execute_script(sql),
        }
    }

    /// The first row of a statement's answer.
    pub(crate) fn first<T>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        decode: impl FnOnce(&Row<'_>) -> Result<T, Fault>,
    ) -> Result<Option<T>, Fault> {
        match self {
            Session::Sqlite(sqlite) => sqlite.first(sql, values, decode),
        }
    }

    /// Hands each row of a statement's answer to `each`, one at a time.
    pub(crate) fn stream<E: From<Fault>>(
        &self,
        sql: &str,
        each: impl FnMut(&Row<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        match self {
            Session::Sqlite(sqlite) => sqlite.stream(sql, each),
        }
    }

    /// All rows of a statement's answer.
    pub(crate) fn every<T>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        decode: impl Fn(&Row<'_>) -> Result<T, Fault>,
    ) -> Result<Vec<T>, Fault> {
        match self {
            Session::Sqlite(sqlite) => sqlite.every(sql, values, decode),
        }
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
        match self {
            Session::Sqlite(sqlite) => sqlite.in_group(),
        }
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
        let Session::Sqlite(sqlite) = self;
        sqlite.relax()?;
        let outcome = self.begin().and_then(|()| {
            let outcome = work();
            match &outcome {
                Ok(_) => self.commit()?,
                Err(_) => self.abandon(),
            }
            outcome
        });
        self.abandon();
        sqlite.durably()?;
        outcome
    }

    /// Moves SQLite's write-ahead log into the database; `wholly` also empties the log.
    pub(crate) fn checkpoint(&self, wholly: bool) -> Result<(), Fault> {
        match self {
            Session::Sqlite(sqlite) => sqlite.checkpoint(wholly),
        }
    }
}
