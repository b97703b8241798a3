//! Backup and restore: everything in the database as one file that no engine owns.
//!
//! [`backup`] writes one moment's state of a database that a server may be using; [`restore`] makes a
//! new database of it. Secrets stay sealed in between, so the file opens nothing without the sealing
//! key. The commands of the same names call these; what a line looks like is told in `form`, which
//! tables there are in `tables`.

mod form;
mod load;
mod tables;

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::path::Path;

use landfall_core::clock::Timestamp;

pub use self::form::Header;
use self::form::{End, FORMAT, FORMAT_VERSION, Sum, Trailer};
pub use self::load::{RestoreError, Restored, restore};
use self::tables::{TABLES, TRACES, Table};
use crate::dialect::{Fault, PostgresUrl, Session, Source, Sqlite};
use crate::migrate;
use crate::secret::KeyName;

/// Which database is backed up or made.
#[derive(Debug, Clone, Copy)]
pub enum Database<'a> {
    /// The SQLite file at a path.
    Sqlite(&'a Path),
    /// The PostgreSQL database of a URL. Waits for it: called on a thread that may wait, outside any runtime.
    Postgres(&'a PostgresUrl),
}

impl fmt::Display for Database<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Database::Sqlite(path) => path.display().fmt(f),
            Database::Postgres(url) => url.fmt(f),
        }
    }
}

/// A connection to PostgreSQL that copies for as long as it takes.
fn patient(url: &PostgresUrl) -> Result<Session, Fault> {
    let session = Source::Postgres(Box::new(url.clone())).writing("")?;
    session.execute_script("SET idle_in_transaction_session_timeout = 0")?;
    Ok(session)
}

/// Whether decision traces are part of a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Traces {
    /// They are.
    Kept,
    /// They are left out.
    LeftOut,
}

/// Why no backup came about.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A newer build made or changed the database.
    #[error(
        "the database {database} has schema version {found}, this build knows versions up to {known}: \
         use the newer build"
    )]
    NewerSchema {
        /// Which database.
        database: String,
        /// The version it has.
        found: i64,
        /// The newest version this build knows.
        known: i64,
    },
    /// The database cannot be read.
    #[error("the database {database} cannot be read: {cause}")]
    Unavailable {
        /// Which database.
        database: String,
        /// What the database says.
        cause: String,
    },
    /// The backup cannot be written.
    #[error("the backup cannot be written: {0}")]
    Output(io::Error),
}

/// What stops the writing midway.
enum Stop {
    Fault(Fault),
    Newer(i64),
    Output(io::Error),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Stop::Fault(fault)
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Stop::Output(error)
    }
}

/// How many rows of each table there are.
pub type Rows = BTreeMap<String, u64>;

/// What was backed up.
#[derive(Debug)]
pub struct BackedUp {
    /// What the backup is of.
    pub header: Header,
    /// How many rows of each table.
    pub rows: Rows,
}

/// Writes everything that a database holds at one moment, and says what that was.
///
/// Shape: JSON Lines; docs/operating/backup.md tells the form. The database may be in use; nothing
/// waits for this. Memory stays bounded by the largest row.
///
/// # Errors
/// [`BackupError`] when a newer build made the database, or it cannot be read, or `out` not written.
pub fn backup(
    database: Database<'_>,
    out: &mut dyn Write,
    now: Timestamp,
    landfall: &str,
    traces: Traces,
) -> Result<BackedUp, BackupError> {
    let unavailable = |fault: Fault| BackupError::Unavailable {
        database: database.to_string(),
        cause: fault.to_string(),
    };
    let session = match database {
        Database::Sqlite(path) => Sqlite::copying(path),
        Database::Postgres(url) => patient(url),
    };
    let session = session.map_err(unavailable)?;
    session
        .at_one_moment(|| write(&session, out, now, landfall, traces))
        .map_err(|stop| match stop {
            Stop::Fault(fault) => unavailable(fault),
            Stop::Output(error) => BackupError::Output(error),
            Stop::Newer(found) => BackupError::NewerSchema {
                database: database.to_string(),
                found,
                known: migrate::known(),
            },
        })
}

fn write(
    session: &Session,
    out: &mut dyn Write,
    now: Timestamp,
    landfall: &str,
    traces: Traces,
) -> Result<BackedUp, Stop> {
    let schema = migrate::version(session)?;
    if schema > migrate::known() {
        return Err(Stop::Newer(schema));
    }
    let left_out = |table: &Table| table.name == TRACES && traces == Traces::LeftOut;
    let header = Header {
        format: FORMAT.to_owned(),
        format_version: FORMAT_VERSION,
        schema_version: schema,
        landfall: landfall.to_owned(),
        made: now.to_wire_seconds(),
        sealing_key: sealing_key(session)?.to_string(),
        left_out: TABLES
            .iter()
            .filter(|table| left_out(table))
            .map(|table| table.name.to_owned())
            .collect(),
    };
    let mut sum = Sum::new();
    let mut line = Vec::new();
    put_json(&mut line, &header)?;
    sum.add(&line);
    out.write_all(&line)?;

    let mut rows = Rows::new();
    for table in TABLES.iter().filter(|table| table.is_in(schema)) {
        let mut count = 0;
        if !left_out(table) {
            session.stream(&everything_of(table, schema), |row| {
                form::write_row(&mut line, table, schema, row)?;
                sum.add(&line);
                out.write_all(&line)?;
                count += 1;
                Ok::<(), Stop>(())
            })?;
        }
        rows.insert(table.name.to_owned(), count);
    }

    let end = End {
        rows: rows.clone(),
        sha256: sum.hex(),
    };
    put_json(&mut line, &Trailer { end })?;
    out.write_all(&line)?;
    out.flush()?;
    Ok(BackedUp { header, rows })
}

fn put_json(line: &mut Vec<u8>, value: &impl serde::Serialize) -> Result<(), Stop> {
    line.clear();
    serde_json::to_writer(&mut *line, value).map_err(io::Error::from)?;
    line.push(b'\n');
    Ok(())
}

/// The name of the key that sealed what the database holds, read off what tells a wrong key.
fn sealing_key(session: &Session) -> Result<KeyName, Fault> {
    let name = session.first(
        "SELECT value FROM store_facts WHERE name = 'key check'",
        &[],
        |row| Ok(row.bytes(0)?.and_then(KeyName::of_blob)),
    )?;
    name.flatten()
        .ok_or_else(|| Fault::Record("it does not say which key sealed it".to_owned()))
}

fn everything_of(table: &Table, schema: i64) -> String {
    let names: Vec<&str> = table.columns(schema).map(|column| column.name).collect();
    let keys: Vec<&str> = names.iter().copied().take(table.keys).collect();
    format!(
        "SELECT {} FROM {} ORDER BY {}",
        names.join(", "),
        table.name,
        keys.join(", ")
    )
}
