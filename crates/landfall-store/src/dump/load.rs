//! Restoring: a new database of a backup, that is there when everything in it was seen to be right. A SQLite
//! file is built aside and then put in its place; in PostgreSQL all is one transaction.

use std::fs::{self, File};
use std::io::{self, BufRead, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use landfall_core::clock::{Clock, Entropy};

use super::form::{self, End, FORMAT, FORMAT_VERSION, Header, Line, Opening, Sum, printable};
use super::tables::{TABLES, Table};
use super::{Database, Rows};
use crate::dialect::{Fault, PostgresUrl, Session, Sqlite, Turn, Value};
use crate::migrate::{self, MigrateError};
use crate::secret::{Sealer, SealingKey};
use crate::store::{check_key, keep_private};

/// How many rows are written in one group.
const ROWS_PER_GROUP: u64 = 5_000;

/// The longest line that is read, in bytes. The largest records are far below.
const LONGEST_LINE: u64 = 64 * 1024 * 1024;

/// Why a backup does not become a database. Nothing is left of the attempt.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// There is a database already.
    #[error("{0} is there already")]
    Occupied(PathBuf),
    /// The PostgreSQL database holds something already.
    #[error("the database {0} is not empty")]
    NotEmpty(String),
    /// It is something else.
    #[error("this is no backup of landfall: its first line does not say so")]
    NoBackup,
    /// It has a form that only a newer build reads.
    #[error("the backup has format version {found}, this build reads versions up to {known}")]
    NewerFormat {
        /// The version it has.
        found: u32,
        /// The newest version this build reads.
        known: u32,
    },
    /// It is of a schema that a newer build made.
    #[error("the backup has schema version {found}, this build knows versions up to {known}")]
    NewerSchema {
        /// The version it has.
        found: i64,
        /// The newest version this build knows.
        known: i64,
    },
    /// A line is not what it should be.
    #[error("line {line} of the backup: {what}")]
    Line {
        /// Which line, from 1 on.
        line: u64,
        /// What is wrong with it.
        what: String,
    },
    /// It ends too early.
    #[error("the backup ends after line {0} without its last line: it was cut off")]
    Cut(u64),
    /// It is not what was written.
    #[error("the backup is damaged: {0}")]
    Damaged(String),
    /// The sealing key is not the one its secrets were sealed with.
    #[error("the backup was sealed with key {sealed_with}, and the sealing key given is {given}")]
    WrongSealingKey {
        /// The name of the key that sealed it.
        sealed_with: String,
        /// The name of the key given.
        given: String,
    },
    /// The backup cannot be read.
    #[error("the backup cannot be read: {0}")]
    Input(io::Error),
    /// The new database cannot be made.
    #[error("the database {database} cannot be made: {cause}")]
    Database {
        /// The file it is built in, or the PostgreSQL database.
        database: String,
        /// What the system or the database says.
        cause: String,
    },
}

/// What was restored.
#[derive(Debug)]
pub struct Restored {
    /// What the backup is of.
    pub header: Header,
    /// How many rows of each table.
    pub rows: Rows,
    /// The version of the schema that the database has now.
    pub schema: i64,
}

/// Makes a database of a backup. A SQLite file is built as its path with `.restoring` behind it, and gets
/// its name when every row, count and checksum is right and the sealing key opens what was sealed. A
/// PostgreSQL database must be there and empty.
///
/// The caller makes sure that nobody else works on the folder.
///
/// # Errors
/// [`RestoreError`]; then nothing is left of the attempt.
pub fn restore(
    input: &mut dyn BufRead,
    database: Database<'_>,
    sealing_key: &SealingKey,
    clock: &dyn Clock,
    entropy: Arc<dyn Entropy>,
) -> Result<Restored, RestoreError> {
    if let Database::Sqlite(path) = database {
        for suffix in ["", "-wal", "-shm", "-journal"] {
            let there = beside(path, suffix);
            if there.exists() {
                return Err(RestoreError::Occupied(there));
            }
        }
    }
    let mut lines = Lines::new(input);
    let header = read_header(&mut lines)?;
    let name = match database {
        Database::Sqlite(path) => beside(path, ".restoring").display().to_string(),
        Database::Postgres(url) => url.to_string(),
    };
    let sealer = Sealer::new(sealing_key, entropy).map_err(|fault| unmade(&name, &fault))?;
    let given = sealing_key.name().to_string();
    if given != header.sealing_key {
        return Err(RestoreError::WrongSealingKey {
            sealed_with: printable(&header.sealing_key),
            given,
        });
    }
    let build = Build {
        name: &name,
        sealer: &sealer,
        clock,
    };
    let rows = match database {
        Database::Sqlite(path) => build.file(path, &mut lines, &header),
        Database::Postgres(url) => build.at(url, &mut lines, &header),
    }?;
    Ok(Restored {
        header,
        rows,
        schema: migrate::known(),
    })
}

fn unmade(database: &str, cause: &dyn std::fmt::Display) -> RestoreError {
    RestoreError::Database {
        database: database.to_owned(),
        cause: cause.to_string(),
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn clear(draft: &Path) -> io::Result<()> {
    for suffix in ["", "-journal", "-wal", "-shm"] {
        match fs::remove_file(beside(draft, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Gives the finished database its name, durably.
fn put_in_place(draft: &Path, path: &Path) -> io::Result<()> {
    File::open(draft)?.sync_all()?;
    fs::rename(draft, path)?;
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

/// The lines of a backup, counted and summed.
struct Lines<'a> {
    input: &'a mut dyn BufRead,
    line: Vec<u8>,
    number: u64,
}

impl<'a> Lines<'a> {
    fn new(input: &'a mut dyn BufRead) -> Self {
        Lines {
            input,
            line: Vec::new(),
            number: 0,
        }
    }

    /// The next line with its end; `None` when there is none, or its end is missing.
    fn next(&mut self) -> Result<Option<&[u8]>, RestoreError> {
        self.line.clear();
        let mut bounded = (&mut *self.input).take(LONGEST_LINE);
        bounded
            .read_until(b'\n', &mut self.line)
            .map_err(RestoreError::Input)?;
        let ended = self.line.last() == Some(&b'\n');
        let longest = self.line.len() as u64 == LONGEST_LINE;
        if !ended && !longest {
            return Ok(None);
        }
        self.number += 1;
        if !ended {
            return Err(self.wrong(format!("it is longer than {LONGEST_LINE} bytes")));
        }
        Ok(Some(&self.line))
    }

    fn wrong(&self, what: impl Into<String>) -> RestoreError {
        RestoreError::Line {
            line: self.number,
            what: what.into(),
        }
    }
}

fn read_header(lines: &mut Lines<'_>) -> Result<Header, RestoreError> {
    let line = lines.next()?.ok_or(RestoreError::NoBackup)?;
    let opening: Opening = serde_json::from_slice(line).map_err(|_| RestoreError::NoBackup)?;
    if opening.format != FORMAT {
        return Err(RestoreError::NoBackup);
    }
    if opening.format_version > FORMAT_VERSION {
        return Err(RestoreError::NewerFormat {
            found: opening.format_version,
            known: FORMAT_VERSION,
        });
    }
    let header: Result<Header, _> = serde_json::from_slice(line);
    let header = header.map_err(|_| lines.wrong("it does not say all that a first line says"))?;
    if header.schema_version > migrate::known() {
        return Err(RestoreError::NewerSchema {
            found: header.schema_version,
            known: migrate::known(),
        });
    }
    if header.schema_version < 1 {
        return Err(lines.wrong("there is no such schema version"));
    }
    Ok(header)
}

/// One attempt to build the new database.
struct Build<'a> {
    name: &'a str,
    sealer: &'a Sealer,
    clock: &'a dyn Clock,
}

impl Build<'_> {
    /// Builds a SQLite file.
    fn file(
        &self,
        path: &Path,
        lines: &mut Lines<'_>,
        header: &Header,
    ) -> Result<Rows, RestoreError> {
        let draft = beside(path, ".restoring");
        // What an interrupted attempt left.
        clear(&draft).map_err(|error| self.impossible(&error))?;
        let built = self.draft(&draft, lines, header).and_then(|rows| {
            put_in_place(&draft, path).map_err(|error| self.impossible(&error))?;
            Ok(rows)
        });
        if built.is_err() {
            // The error that ended the attempt is the one to tell.
            let _ = clear(&draft);
        }
        built
    }

    fn draft(
        &self,
        draft: &Path,
        lines: &mut Lines<'_>,
        header: &Header,
    ) -> Result<Rows, RestoreError> {
        keep_private(draft).map_err(|error| self.impossible(&error))?;
        let session = Sqlite::loading(draft).map_err(|fault| self.impossible(&fault))?;
        migrate::migrate_to(header.schema_version, &session, self.clock.now(), || Ok(()))
            .map_err(|error| self.unmigrated(error))?;
        session
            .begin(Turn::Alone)
            .map_err(|fault| self.impossible(&fault))?;
        let rows = self.load(&session, lines, header, Some(ROWS_PER_GROUP))?;
        session.commit().map_err(|fault| self.impossible(&fault))?;
        let mut misfit = None;
        migrate::migrate(&session, self.clock.now(), || {
            misfit = check_key(&session, self.sealer)?;
            Ok(())
        })
        .map_err(|error| self.unmigrated(error))?;
        match misfit {
            Some(cause) => Err(RestoreError::Damaged(cause)),
            None => Ok(rows),
        }
    }

    /// Fills a PostgreSQL database, schema and all, in one transaction.
    fn at(
        &self,
        url: &PostgresUrl,
        lines: &mut Lines<'_>,
        header: &Header,
    ) -> Result<Rows, RestoreError> {
        let impossible = |fault: Fault| self.impossible(&fault);
        let session = super::patient(url).map_err(impossible)?;
        session.begin_migration().map_err(impossible)?;
        if migrate::version(&session).map_err(impossible)? > 0 {
            session.abandon();
            return Err(RestoreError::NotEmpty(self.name.to_owned()));
        }
        let steps = |wanted| {
            migrate::within(wanted, &session, self.clock.now())
                .map_err(|error| self.unmigrated(error))
        };
        let built = steps(header.schema_version)
            .and_then(|_| self.load(&session, lines, header, None))
            .and_then(|rows| {
                steps(migrate::known())?;
                match check_key(&session, self.sealer).map_err(impossible)? {
                    Some(cause) => Err(RestoreError::Damaged(cause)),
                    None => session.commit().map_err(impossible).map(|()| rows),
                }
            });
        session.abandon();
        built
    }

    /// Loads every row into a group that has begun, with a commit after so many rows; gives how many there
    /// were when they are those that the last line tells of.
    fn load(
        &self,
        session: &Session,
        lines: &mut Lines<'_>,
        header: &Header,
        group: Option<u64>,
    ) -> Result<Rows, RestoreError> {
        let schema = header.schema_version;
        let tables: Vec<Loaded> = TABLES
            .iter()
            .filter(|table| table.is_in(schema))
            .map(|table| Loaded::new(table, schema))
            .collect();
        let mut rows: Rows = tables
            .iter()
            .map(|loaded| (loaded.table.name.to_owned(), 0))
            .collect();
        let mut sum = Sum::new();
        sum.add(&lines.line);
        let mut in_group = 0;
        loop {
            let Some(bytes) = lines.next()? else {
                return Err(RestoreError::Cut(lines.number));
            };
            let line: Result<Line, _> = serde_json::from_slice(bytes);
            let line = line.map_err(|e| {
                // What the parser says may repeat the line; where it stopped is enough.
                lines.wrong(format!("it cannot be read from column {} on", e.column()))
            })?;
            let (name, row) = match line {
                Line {
                    table: Some(table),
                    row: Some(row),
                    end: None,
                } => (table, row),
                Line {
                    table: None,
                    row: None,
                    end: Some(end),
                } => {
                    if lines.next()?.is_some() || !lines.line.is_empty() {
                        return Err(lines.wrong("there is more after the last line"));
                    }
                    compare(&rows, &end, sum.hex())?;
                    return Ok(rows);
                }
                _ => return Err(lines.wrong("it is neither a row nor the end")),
            };
            sum.add(&lines.line);
            let values = match tables.iter().find(|loaded| loaded.table.name == name) {
                Some(loaded) => {
                    form::read_row(loaded.table, schema, row).map(|values| (loaded, values))
                }
                None => Err(format!(
                    "schema version {schema} has no table '{}'",
                    printable(&name)
                )),
            };
            let (loaded, values) = values.map_err(|what| lines.wrong(what))?;
            loaded
                .insert(session, &values)
                .map_err(|fault| lines.wrong(format!("it cannot be loaded: {fault}")))?;
            if let Some(count) = rows.get_mut(&name) {
                *count += 1;
            }
            in_group += 1;
            if Some(in_group) == group {
                in_group = 0;
                session
                    .commit()
                    .and_then(|()| session.begin(Turn::Alone))
                    .map_err(|fault| self.impossible(&fault))?;
            }
        }
    }

    fn impossible(&self, cause: &dyn std::fmt::Display) -> RestoreError {
        unmade(self.name, cause)
    }

    fn unmigrated(&self, error: MigrateError) -> RestoreError {
        match error {
            MigrateError::Newer { found, known } => RestoreError::NewerSchema { found, known },
            MigrateError::Fault(fault) => self.impossible(&fault),
        }
    }
}

/// A table that is being loaded, and the statement that does it.
struct Loaded {
    table: &'static Table,
    insert: String,
}

impl Loaded {
    fn new(table: &'static Table, schema: i64) -> Self {
        let names: Vec<&str> = table.columns(schema).map(|column| column.name).collect();
        let marks: Vec<String> = (1..=names.len()).map(|at| format!("${at}")).collect();
        Loaded {
            table,
            insert: format!(
                "INSERT INTO {} ({}) VALUES ({})",
                table.name,
                names.join(", "),
                marks.join(", ")
            ),
        }
    }

    fn insert(&self, session: &Session, values: &[Value<'_>]) -> Result<(), Fault> {
        session.execute(&self.insert, values).map(drop)
    }
}

/// Holds what was loaded to what the last line says was written.
fn compare(rows: &Rows, end: &End, sum: String) -> Result<(), RestoreError> {
    for (table, written) in &end.rows {
        let loaded = rows.get(table).copied().unwrap_or(0);
        if loaded != *written {
            return Err(RestoreError::Damaged(format!(
                "{written} rows of table {} were written, and {loaded} are there",
                printable(table)
            )));
        }
    }
    if sum != end.sha256 {
        return Err(RestoreError::Damaged(
            "its checksum is not the one in its last line".to_owned(),
        ));
    }
    Ok(())
}
