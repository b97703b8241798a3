//! How a connection is opened: for writing, for reading, and for loading a new database.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::hindrance;
use crate::dialect::{Durability, Fault, Place, Session, Sqlite};

/// How long a connection that is opened waits for another process to let go of the database.
const PATIENCE: Duration = Duration::from_secs(5);

impl Sqlite {
    /// Opens the one connection that writes, and makes the database when there is none.
    pub(crate) fn writing(path: &Path, durability: Durability) -> Result<Session, Fault> {
        let connection = Connection::open_with_flags(
            path,
            OpenFlags::SQLITE_OPEN_READ_WRITE
                | OpenFlags::SQLITE_OPEN_CREATE
                | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        // Where a file may not be written SQLite opens it for reading, and says so at the first write only.
        if connection.is_readonly("main")? {
            return Err(hindrance::read_only());
        }
        connection.busy_timeout(PATIENCE)?;
        connection.execute_batch(match durability {
            Durability::Disk => "PRAGMA page_size = 8192",
            // Switching to the log would wait for the disk otherwise.
            Durability::Process => "PRAGMA page_size = 8192; PRAGMA synchronous = OFF",
        })?;
        join_write_ahead_log(&connection)?;
        // Checkpoints are the writer's own step, after its callers have their answers.
        connection.execute_batch(
            "PRAGMA foreign_keys = ON; PRAGMA mmap_size = 1073741824;
             PRAGMA cache_size = -16000; PRAGMA wal_autocheckpoint = 0;
             PRAGMA journal_size_limit = 67108864; PRAGMA temp_store = MEMORY",
        )?;
        one_plan_for_all_values(&connection)?;
        connection.set_prepared_statement_cache_capacity(128);
        let sqlite = Sqlite {
            connection,
            durability,
            place: Some(Place::of(path)?),
        };
        sqlite.durably()?;
        Ok(Session::Sqlite(sqlite))
    }

    /// Opens a connection that only reads.
    pub(crate) fn reading(path: &Path) -> Result<Session, Fault> {
        // A read-only handle could not recover the write-ahead log after a crash.
        let connection = Connection::open_with_flags(
            path,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        connection.busy_timeout(PATIENCE)?;
        connection.execute_batch(
            "PRAGMA query_only = ON; PRAGMA mmap_size = 1073741824; PRAGMA cache_size = -1000;
             PRAGMA temp_store = MEMORY",
        )?;
        one_plan_for_all_values(&connection)?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(Session::Sqlite(Sqlite {
            connection,
            durability: Durability::Disk,
            place: None,
        }))
    }

    /// Opens a connection that reads everything once, and so keeps none of it in memory.
    pub(crate) fn copying(path: &Path) -> Result<Session, Fault> {
        let session = Sqlite::reading(path)?;
        session.execute_script("PRAGMA mmap_size = 0")?;
        Ok(session)
    }

    /// Opens a new database that is loaded from one end to the other, and thrown away when that fails:
    /// nothing of it is durable before the file itself is made so.
    pub(crate) fn loading(path: &Path) -> Result<Session, Fault> {
        let connection = Connection::open_with_flags(
            path,
            OpenFlags::SQLITE_OPEN_READ_WRITE
                | OpenFlags::SQLITE_OPEN_CREATE
                | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        connection.execute_batch(
            "PRAGMA page_size = 8192; PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF;
             PRAGMA foreign_keys = ON; PRAGMA cache_size = -16000; PRAGMA temp_store = MEMORY",
        )?;
        Ok(Session::Sqlite(Sqlite {
            connection,
            durability: Durability::Process,
            place: None,
        }))
    }
}

/// Keeps a statement's plan whatever values are bound to it. Without this SQLite may plan a statement anew with
/// each value, to choose by what it knows of the table: that cost a registration a third of what it takes.
fn one_plan_for_all_values(connection: &Connection) -> Result<(), Fault> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

/// Switches to the write-ahead log. Two that open a new database at once may both try: the switch
/// itself does not wait for the other, taking the write lock does.
fn join_write_ahead_log(connection: &Connection) -> Result<(), Fault> {
    let mut last = Fault::Database("the write-ahead log cannot be switched on".to_owned());
    for _ in 0..20 {
        let mode: rusqlite::Result<String> =
            connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0));
        match mode {
            Ok(mode) if mode.eq_ignore_ascii_case("wal") => return Ok(()),
            Ok(mode) => last = Fault::Database(format!("the journal stays in mode '{mode}'")),
            Err(e) if busy(&e) => last = e.into(),
            Err(e) => return Err(e.into()),
        }
        match connection.execute_batch("BEGIN IMMEDIATE; COMMIT") {
            Err(e) if !busy(&e) => return Err(e.into()),
            _ => {}
        }
    }
    Err(last)
}

fn busy(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}
