//! The rows of a registration in SQLite by the least that writes them: the statements that the layer runs, on
//! one connection, with nothing between them. The tables and the rows themselves are those of a database that
//! Landfall wrote.

use std::path::Path;

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

/// What a registration reads first: group, individual enrollment, earlier registration, device, highest revision.
const READS: [(&str, &[usize]); 5] = [
    (
        "SELECT etag, tags FROM enrollment_groups WHERE scope = ?1 AND key = ?2",
        &[0, 2],
    ),
    (
        "SELECT etag, tags FROM individual_enrollments WHERE scope = ?1 AND key = ?2",
        &[0, 1],
    ),
    (
        "SELECT etag FROM registrations WHERE scope = ?1 AND key = ?2",
        &[0, 1],
    ),
    (
        "SELECT revision, tags FROM devices WHERE hub = ?1 AND device = ?2",
        &[3, 1],
    ),
    (
        "SELECT value FROM store_facts WHERE name = 'highest removed revision'",
        &[],
    ),
];

/// A connection that writes.
pub struct Bare {
    connection: Connection,
    registration: String,
    operation: String,
    device: String,
    trace: String,
}

impl Bare {
    /// A new database at `to` with the tables of `source`, and with its services, hubs and groups.
    ///
    /// # Errors
    /// When one cannot be read or the other not be written.
    pub fn like(source: &Connection, to: &Path) -> anyhow::Result<Self> {
        let connection = Connection::open(to)?;
        connection.execute_batch(
            "PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
             PRAGMA foreign_keys = ON; PRAGMA mmap_size = 1073741824; PRAGMA cache_size = -16000; \
             PRAGMA temp_store = MEMORY",
        )?;
        let mut schema = source.prepare(
            "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY rowid",
        )?;
        let statements = schema.query_map([], |row| row.get::<_, String>(0))?;
        for statement in statements {
            connection.execute_batch(&statement?)?;
        }
        for table in ["services", "hubs", "enrollment_groups"] {
            let insert = insert(source, table)?;
            for row in rows(source, table)? {
                connection.execute(&insert, params_from_iter(row))?;
            }
        }
        Ok(Bare {
            registration: insert(source, "registrations")?,
            operation: insert(source, "operations")?,
            device: insert(source, "devices")?,
            trace: insert(source, "traces")?,
            connection,
        })
    }

    /// Begins a commit.
    ///
    /// # Errors
    /// When the database refuses, as of the others.
    pub fn begin(&self) -> rusqlite::Result<()> {
        self.run("BEGIN IMMEDIATE", &[])
    }

    /// Ends a commit: it is on the disk.
    ///
    /// # Errors
    /// As [`Bare::begin`].
    pub fn commit(&self) -> rusqlite::Result<()> {
        self.run("COMMIT", &[])
    }

    /// Reads and writes what one registration of a group's device does.
    ///
    /// # Errors
    /// As [`Bare::begin`].
    pub fn register(
        &self,
        group: &Value,
        registration: &[Value],
        operation: &[Value],
        device: &[Value],
    ) -> rusqlite::Result<()> {
        let known = [
            registration.first(),
            registration.get(1),
            Some(group),
            device.first(),
        ];
        for (read, which) in READS {
            let given = which
                .iter()
                .filter_map(|at| known.get(*at).copied().flatten());
            let mut read = self.connection.prepare_cached(read)?;
            let mut found = read.query(params_from_iter(given))?;
            std::hint::black_box(found.next()?.is_some());
        }
        self.run(&self.registration, registration)?;
        self.run(&self.operation, operation)?;
        self.run(&self.device, device)
    }

    /// Writes a decision trace that was not there.
    ///
    /// # Errors
    /// As [`Bare::begin`].
    pub fn trace(&self, trace: &[Value]) -> rusqlite::Result<()> {
        let id = trace.get(..1).unwrap_or_default();
        self.run("DELETE FROM traces WHERE tracking_id = ?1", id)?;
        self.run(&self.trace, trace)
    }

    fn run(&self, statement: &str, row: &[Value]) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare_cached(statement)?;
        statement.execute(params_from_iter(row)).map(drop)
    }
}

/// All rows of a table.
///
/// # Errors
/// When they cannot be read.
pub fn rows(source: &Connection, table: &str) -> rusqlite::Result<Vec<Vec<Value>>> {
    let mut read = source.prepare(&format!("SELECT * FROM {table}"))?;
    let columns = read.column_count();
    read.query_map([], |row| (0..columns).map(|at| row.get(at)).collect())?
        .collect()
}

/// The statement that puts a row into a table.
fn insert(source: &Connection, table: &str) -> rusqlite::Result<String> {
    let columns = source
        .prepare(&format!("SELECT * FROM {table}"))?
        .column_count();
    let marks: Vec<String> = (1..=columns).map(|n| format!("?{n}")).collect();
    Ok(format!("INSERT INTO {table} VALUES ({})", marks.join(", ")))
}
