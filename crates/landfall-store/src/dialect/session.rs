//! One connection of either engine, and what can be done with it. The subject files and the writer are given
//! a [`Session`] and do not know which engine is behind it.

use std::fmt;
use std::path::PathBuf;

use super::{
    Columns, Durability, Fault, Place, Postgres, PostgresUrl, Read, Row, Sqlite, Turn, Value,
};
use crate::secret::Sealer;

/// Where the database is.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// In a SQLite file.
    Sqlite(PathBuf, Durability),
    /// In PostgreSQL.
    Postgres(Box<PostgresUrl>),
}

impl Source {
    /// Opens a connection that writes for a node.
    pub(crate) fn writing(&self, node: &str) -> Result<Session, Fault> {
        match self {
            Source::Sqlite(path, durability) => Sqlite::writing(path, *durability),
            Source::Postgres(url) => {
                Postgres::open(url, node).map(|open| Session::Postgres(Box::new(open)))
            }
        }
    }
}

impl Source {
    /// Whether other servers may write into the database too.
    pub(crate) fn is_shared(&self) -> bool {
        matches!(self, Source::Postgres(_))
    }

    /// Waits before a group is tried again: longer each time, and each waits differently.
    pub(crate) fn pause(&self, tries: u32, sealer: &Sealer) {
        if let Source::Postgres(_) = self {
            Postgres::pause(tries, sealer.chance());
        }
    }
}

/// The database, as messages name it.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Sqlite(path, _) => path.display().fmt(f),
            Source::Postgres(url) => url.fmt(f),
        }
    }
}

/// One connection.
#[derive(Debug)]
pub(crate) enum Session {
    /// To a SQLite file.
    Sqlite(Sqlite),
    /// To a PostgreSQL database.
    Postgres(Box<Postgres>),
}

impl Session {
    /// Runs `work` on one moment's state, whatever is written meanwhile.
    pub(crate) fn at_one_moment<T, E: From<Fault>>(
        &self,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        match self {
            Session::Sqlite(sqlite) => sqlite.execute("BEGIN", &[]).map(drop)?,
            Session::Postgres(postgres) => postgres.begin_reading()?,
        }
        let outcome = work();
        self.abandon();
        outcome
    }

    /// Runs a statement that gives no rows; gives how many rows it touched.
    pub(crate) fn execute(&self, sql: &str, values: &[Value<'_>]) -> Result<usize, Fault> {
        match self {
            Session::Sqlite(sqlite) => sqlite.execute(sql, values),
            Session::Postgres(postgres) => postgres.execute(sql, values),
        }
    }

    /// Runs several statements without values.
    pub(crate) fn execute_script(&self, sql: &str) -> Result<(), Fault> {
        match self {
            Session::Sqlite(sqlite) => sqlite.execute_script(sql),
            Session::Postgres(postgres) => postgres.execute_script(sql),
        }
    }

    /// Runs a statement that steers a group.
    fn control(&self, sql: &'static str) -> Result<(), Fault> {
        match self {
            Session::Sqlite(sqlite) => sqlite.execute(sql, &[]).map(drop),
            Session::Postgres(postgres) => postgres.execute_script(sql),
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
            Session::Postgres(postgres) => {
                let rows = postgres.rows(sql, values)?;
                let first = rows.first();
                first.map(|row| decode(&Row::Postgres(row))).transpose()
            }
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
            Session::Postgres(postgres) => postgres.stream(sql, each),
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
            Session::Postgres(postgres) => {
                let rows = postgres.rows(sql, values)?;
                rows.iter().map(|row| decode(&Row::Postgres(row))).collect()
            }
        }
    }

    /// Hands each row of the answer to a question about many rows to `each`. Only PostgreSQL takes many.
    pub(crate) fn every_of(
        &self,
        sql: &str,
        columns: &Columns<'_>,
        mut each: impl FnMut(&Row<'_>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        match self {
            Session::Sqlite(_) => Err(Fault::Database("SQLite takes one row".to_owned())),
            Session::Postgres(postgres) => {
                let rows = postgres.rows_of(sql, columns)?;
                rows.iter().try_for_each(|row| each(&Row::Postgres(row)))
            }
        }
    }

    /// Runs statements for many rows each, one after the other, with one wait for all. Those without a row
    /// are left out. Only PostgreSQL takes many.
    pub(crate) fn execute_together(
        &self,
        statements: &[(&'static str, Columns<'_>)],
    ) -> Result<(), Fault> {
        match self {
            Session::Sqlite(_) => Err(Fault::Database("SQLite takes one row".to_owned())),
            Session::Postgres(postgres) => postgres.execute_together(statements),
        }
    }

    /// The node that writes here; empty where there is only one.
    pub(crate) fn node(&self) -> &str {
        match self {
            Session::Sqlite(_) => "",
            Session::Postgres(postgres) => postgres.node(),
        }
    }

    /// Wakes the server of another node once the group is committed; where there is only one there is none.
    pub(crate) fn wake(&self, node: &str) -> Result<(), Fault> {
        match self {
            Session::Sqlite(_) => Ok(()),
            Session::Postgres(postgres) => postgres.wake(node),
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

    /// The first row of a read, made into something else than the read makes of it.
    pub(crate) fn first_of<T, U>(
        &self,
        read: &Read<'_, T>,
        decode: impl FnOnce(&Row<'_>) -> Result<U, Fault>,
    ) -> Result<Option<U>, Fault> {
        self.first(&read.sql, &read.values, decode)
    }

    /// Begins a group of writes. SQLite has one turn, and whoever writes has it alone.
    pub(crate) fn begin(&self, turn: Turn) -> Result<(), Fault> {
        match self {
            Session::Sqlite(sqlite) => sqlite.begin(),
            Session::Postgres(postgres) => postgres.begin(turn),
        }
    }

    /// Says whether the last group went well. When it did not, SQLite waits no longer for another program that
    /// holds the file for itself, and PostgreSQL is asked for room by whoever proves it.
    pub(crate) fn be_patient(&self, patient: bool) -> Result<(), Fault> {
        match self {
            Session::Sqlite(sqlite) => sqlite.be_patient(patient),
            Session::Postgres(postgres) => {
                postgres.be_wary(!patient);
                Ok(())
            }
        }
    }

    /// Inside a group, shows that there is room for more than what others left over, where the last group was
    /// hindered. A write into SQLite's log shows it by itself.
    pub(crate) fn prove_room(&self) -> Result<(), Fault> {
        match self {
            Session::Sqlite(_) => Ok(()),
            Session::Postgres(postgres) => postgres.prove_room(),
        }
    }

    /// The file that was opened, where it is one.
    pub(crate) fn place(&self) -> Option<&Place> {
        match self {
            Session::Sqlite(sqlite) => sqlite.place(),
            Session::Postgres(_) => None,
        }
    }

    /// Begins a change of the schema, with the table of its versions in place; of two that want to, one
    /// waits. Groups of writes wait too.
    pub(crate) fn begin_migration(&self) -> Result<(), Fault> {
        match self {
            Session::Sqlite(sqlite) => {
                self.control("BEGIN IMMEDIATE")?;
                sqlite.execute_script(
                    "CREATE TABLE IF NOT EXISTS schema_versions (
                        version INTEGER NOT NULL PRIMARY KEY,
                        applied INTEGER NOT NULL
                     ) STRICT",
                )
            }
            Session::Postgres(postgres) => postgres.begin_migration(),
        }
    }

    /// Makes the group durable.
    pub(crate) fn commit(&self) -> Result<(), Fault> {
        match self {
            Session::Sqlite(sqlite) => sqlite.execute("COMMIT", &[]).map(drop),
            Session::Postgres(postgres) => postgres.commit(),
        }
    }

    /// Drops what is left of the group.
    pub(crate) fn abandon(&self) {
        if self.in_group() {
            // When even this fails the connection is dropped by its owner, which does the same.
            let _ = match self {
                Session::Sqlite(sqlite) => sqlite.execute("ROLLBACK", &[]).map(drop),
                Session::Postgres(postgres) => postgres.abandon(),
            };
        }
    }

    /// True between `begin` and `commit`. A grave error ends the group by itself.
    pub(crate) fn in_group(&self) -> bool {
        match self {
            Session::Sqlite(sqlite) => sqlite.in_group(),
            Session::Postgres(postgres) => postgres.in_group(),
        }
    }

    /// Runs `work` so that it leaves nothing behind when it fails. When even undoing fails, or the whole
    /// group is to be done again, the whole group is undone.
    pub(crate) fn whole_or_not_at_all<T>(
        &self,
        work: impl FnOnce() -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        self.control("SAVEPOINT one")?;
        let outcome = work();
        let of_all = match &outcome {
            Err(Fault::Again(_) | Fault::Lost(_)) => true,
            // Of SQLite another may still find room.
            Err(Fault::Hindered(..)) => matches!(self, Session::Postgres(_)),
            _ => false,
        };
        if of_all {
            self.abandon();
        }
        let undone = match &outcome {
            Err(_) if self.in_group() => self.control("ROLLBACK TO one"),
            _ => Ok(()),
        };
        let settled = match undone {
            Ok(()) if self.in_group() => self.control("RELEASE one"),
            other => other,
        };
        if let Err(fault) = settled {
            self.abandon();
            return Err(fault);
        }
        if let Session::Postgres(postgres) = self {
            postgres.mend();
        }
        outcome
    }

    /// Runs `work` as a group of its own that reaches the disk with the next durable commit.
    pub(crate) fn lazily<T>(&self, work: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
        if let Session::Sqlite(sqlite) = self {
            sqlite.relax()?;
        }
        let outcome = self.begin(Turn::Shared).and_then(|()| {
            if let Session::Postgres(postgres) = self {
                postgres.execute_script("SET LOCAL synchronous_commit = off")?;
            }
            let outcome = work();
            match &outcome {
                Ok(_) => self.commit()?,
                Err(_) => self.abandon(),
            }
            outcome
        });
        self.abandon();
        if let Session::Sqlite(sqlite) = self {
            sqlite.durably()?;
        }
        outcome
    }

    /// Moves SQLite's write-ahead log into the database; `wholly` also empties the log.
    pub(crate) fn checkpoint(&self, wholly: bool) -> Result<(), Fault> {
        match self {
            Session::Sqlite(sqlite) => sqlite.checkpoint(wholly),
            Session::Postgres(_) => Ok(()),
        }
    }
}
