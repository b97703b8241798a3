//! The least that can be done with a fleet of enrollments, as the product does it in its database: the
//! same settings, as many rows in a commit as one of its batches has, and checkpoints as often. Both print
//! how many they loaded and the nanoseconds of processor time that took.
//!
//! `load FILE DATABASE` puts the lines of a file into a table of id and line. `reload FROM DATABASE` puts
//! the rows that a server wrote into tables as it has them, with their indexes.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use landfall_server::time::thread_cpu;
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

/// Rows in one commit.
const PER_COMMIT: usize = 1000;
/// Commits from one checkpoint to the next.
const PER_CHECKPOINT: usize = 16;
/// What stands before the id of each line.
const BEFORE_ID: &str = "{\"kind\":\"enrollment\",\"record\":{\"registrationId\":\"";
/// The tables that an import writes, and how often a device stands in each.
const TABLES: [(&str, usize); 2] = [("individual_enrollments", 1), ("enrollment_tags", 3)];

/// Loads the lines of a file.
///
/// # Errors
/// When one of the two cannot be read or written.
pub fn load(file: &str, database: &str) -> anyhow::Result<()> {
    let mut load = Load::into(database)?;
    load.connection.execute_batch(
        "CREATE TABLE plain (id TEXT NOT NULL PRIMARY KEY, line TEXT NOT NULL) STRICT",
    )?;
    let before = thread_cpu();
    let mut lines = BufReader::with_capacity(1 << 18, File::open(file)?);
    let (mut line, mut count) = (String::new(), 0_usize);
    while lines.read_line(&mut line)? > 0 {
        let rest = line.strip_prefix(BEFORE_ID).context("another line")?;
        let (id, _) = rest.split_once('"').context("no id")?;
        load.begin(PER_COMMIT)?;
        load.connection
            .prepare_cached("INSERT INTO plain (id, line) VALUES (?1, ?2)")?
            .execute([id, &line])?;
        line.clear();
        count += 1;
        load.end()?;
    }
    load.finish()?;
    println!("{count} {}", (thread_cpu() - before).as_nanos());
    Ok(())
}

/// Loads the rows that a server wrote; reading them is not counted.
///
/// # Errors
/// When one of the two cannot be read or written.
pub fn reload(from: &str, database: &str) -> anyhow::Result<()> {
    let source = Connection::open(from)?;
    let mut load = Load::into(database)?;
    let mut schema = source.prepare(
        "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL
         AND tbl_name IN ('services', 'individual_enrollments', 'enrollment_tags') ORDER BY rowid",
    )?;
    let statements = schema.query_map([], |row| row.get::<_, String>(0))?;
    for statement in statements {
        load.connection.execute_batch(&statement?)?;
    }
    let path = database.replace('\'', "''");
    drop(schema);
    source.execute_batch(&format!(
        "ATTACH '{path}' AS target; INSERT INTO target.services SELECT * FROM services; DETACH target"
    ))?;
    let (mut count, mut spent) = (0, Duration::ZERO);
    for (table, each) in TABLES {
        let mut read = source.prepare(&format!("SELECT * FROM {table}"))?;
        let columns = read.column_count();
        let marks: Vec<String> = (1..=columns).map(|n| format!("?{n}")).collect();
        let insert = format!("INSERT INTO {table} VALUES ({})", marks.join(", "));
        let mut rows = read.query([])?;
        loop {
            let mut some: Vec<Vec<Value>> = Vec::with_capacity(PER_COMMIT);
            while some.len() < PER_COMMIT
                && let Some(row) = rows.next()?
            {
                some.push(
                    (0..columns)
                        .map(|at| row.get(at))
                        .collect::<Result<_, _>>()?,
                );
            }
            if some.is_empty() {
                break;
            }
            let before = thread_cpu();
            for row in &some {
                load.begin(PER_COMMIT * each)?;
                load.connection
                    .prepare_cached(&insert)?
                    .execute(params_from_iter(row))?;
                load.end()?;
            }
            spent += thread_cpu() - before;
            count += if each == 1 { some.len() } else { 0 };
        }
    }
    let before = thread_cpu();
    load.finish()?;
    println!("{count} {}", (spent + thread_cpu() - before).as_nanos());
    Ok(())
}

/// A database that is being loaded.
struct Load {
    connection: Connection,
    /// Rows that may still come into the open commit, and commits until the next checkpoint.
    room: usize,
    commits: usize,
}

impl Load {
    /// Begins with a new database.
    fn into(database: &str) -> anyhow::Result<Self> {
        for suffix in ["", "-wal", "-shm"] {
            let old = format!("{database}{suffix}");
            if Path::new(&old).exists() {
                std::fs::remove_file(&old)?;
            }
        }
        let connection = Connection::open(database)?;
        connection.execute_batch(
            "PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
             PRAGMA foreign_keys = ON; PRAGMA mmap_size = 1073741824; PRAGMA cache_size = -16000; \
             PRAGMA temp_store = MEMORY; PRAGMA wal_autocheckpoint = 0; \
             PRAGMA journal_size_limit = 67108864",
        )?;
        Ok(Load {
            connection,
            room: 0,
            commits: 0,
        })
    }

    /// Before a row: begins a commit of so many when none is open.
    fn begin(&mut self, rows: usize) -> anyhow::Result<()> {
        if self.room == 0 {
            self.connection.execute_batch("BEGIN IMMEDIATE")?;
            self.room = rows;
        }
        Ok(())
    }

    /// After a row: commits when the commit is full.
    fn end(&mut self) -> anyhow::Result<()> {
        self.room -= 1;
        if self.room == 0 {
            self.connection.execute_batch("COMMIT")?;
            self.commits += 1;
            if self.commits.is_multiple_of(PER_CHECKPOINT) {
                self.checkpoint("PASSIVE")?;
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> anyhow::Result<()> {
        if self.room > 0 {
            self.connection.execute_batch("COMMIT")?;
        }
        self.checkpoint("TRUNCATE")
    }

    fn checkpoint(&self, manner: &str) -> anyhow::Result<()> {
        let sql = format!("PRAGMA wal_checkpoint({manner})");
        Ok(self.connection.query_row(&sql, [], |_| Ok(()))?)
    }
}
