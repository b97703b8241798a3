//! PostgreSQL's side of the dialect: one connection whose owner waits for each answer. Where the database is
//! stands in `url`, how it is reached in `connecting`, what values and errors mean in `values`, what to do about
//! errors in `hindrance`; readers share the connections of `pool`.
//!
//! The owner is a thread of its own, never a task: it waits.

mod alarm;
mod columns;
mod connecting;
pub(super) mod hindrance;
pub(crate) mod patience;
mod pool;
mod url;
mod values;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio_postgres::{Client, Statement};

pub(crate) use self::alarm::Alarm;
pub(crate) use self::columns::Columns;
pub(crate) use self::pool::Pool;
pub use self::url::{PostgresUrl, UrlError};
use self::values::parameters;
pub(super) use self::values::{bytes, integer, text};
use super::{Fault, Row, Turn, Value};

/// How long the owner waits for one answer before the connection counts as lost.
const PATIENCE: Duration = Duration::from_secs(10);

/// Most statements that are kept prepared.
const PREPARED: usize = 256;

/// How a streamed answer arrives, so that it need not fit into memory.
const FETCH: &str = "FETCH FORWARD 100 FROM every_row";

/// One connection to PostgreSQL.
pub(crate) struct Postgres {
    // Dropped before the runtime, which carries it.
    client: Client,
    runtime: Runtime,
    prepared: RefCell<HashMap<String, Statement>>,
    in_group: Cell<bool>,
    /// Whether a statement of the group failed, so that the database would undo it instead of committing.
    spoiled: Cell<bool>,
    /// Whether the last group was hindered, so that a sign of life is to prove that there is room.
    wary: Cell<bool>,
    node: String,
}

impl std::fmt::Debug for Postgres {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Postgres")
    }
}

impl Postgres {
    /// Opens a connection for a node.
    pub(crate) fn open(url: &PostgresUrl, node: &str) -> Result<Self, Fault> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| Fault::Database(e.to_string()))?;
        let tls = connecting::tls(url)?;
        let client = runtime.block_on(async {
            // Each host has its own bound.
            let (client, connection) = url.config.connect(tls).await?;
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(cause = %values::said(&error), "a connection to the database ended");
                }
            });
            let settings = format!("{}; {}", connecting::SETTINGS, connecting::WRITING);
            patience::within(PATIENCE, client.batch_execute(&settings)).await?;
            Ok::<_, Fault>(client)
        })?;
        Ok(Postgres {
            client,
            runtime,
            prepared: RefCell::default(),
            in_group: Cell::new(false),
            spoiled: Cell::new(false),
            wary: Cell::new(false),
            node: node.to_owned(),
        })
    }

    /// The node that writes here.
    pub(super) fn node(&self) -> &str {
        &self.node
    }

    /// Waits before another try: half of 2, 4, 8 … milliseconds up to two seconds, and up to half more by
    /// chance.
    pub(super) fn pause(tries: u32, chance: u8) {
        let most = 1_u64 << tries.min(11);
        let span = Duration::from_micros(most * 500 * (255 + u64::from(chance)) / 255);
        if let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
        {
            runtime.block_on(patience::pause(span));
        }
    }

    /// Waits for an answer; a failed one spoils the group.
    fn wait<T>(
        &self,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Fault> {
        let answer = self.runtime.block_on(patience::within(PATIENCE, answer));
        if answer.is_err() {
            self.spoiled.set(true);
        }
        answer
    }

    fn prepared(&self, sql: &str) -> Result<Statement, Fault> {
        if let Some(statement) = self.prepared.borrow().get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.wait(self.client.prepare(sql))?;
        let mut prepared = self.prepared.borrow_mut();
        if prepared.len() >= PREPARED {
            prepared.clear();
        }
        prepared.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    /// See [`Session::execute`](super::Session::execute).
    pub(super) fn execute(&self, sql: &str, values: &[Value<'_>]) -> Result<usize, Fault> {
        let statement = self.prepared(sql)?;
        let rows = self.wait(self.client.execute(&statement, &parameters(values)))?;
        Ok(usize::try_from(rows).unwrap_or(usize::MAX))
    }

    /// See [`Session::execute_script`](super::Session::execute_script).
    pub(super) fn execute_script(&self, sql: &str) -> Result<(), Fault> {
        self.wait(self.client.batch_execute(sql))
    }

    /// All rows of a statement's answer.
    pub(super) fn rows(
        &self,
        sql: &str,
        values: &[Value<'_>],
    ) -> Result<Vec<tokio_postgres::Row>, Fault> {
        let statement = self.prepared(sql)?;
        self.wait(self.client.query(&statement, &parameters(values)))
    }

    /// Wakes the server of another node once the group is committed.
    pub(super) fn wake(&self, node: &str) -> Result<(), Fault> {
        let values = [alarm::CHANNEL.into(), node.into()];
        self.rows("SELECT pg_notify($1, $2)", &values).map(drop)
    }

    /// All rows of the answer to a question about many rows.
    pub(super) fn rows_of(
        &self,
        sql: &str,
        columns: &Columns<'_>,
    ) -> Result<Vec<tokio_postgres::Row>, Fault> {
        let statement = self.prepared(sql)?;
        self.wait(self.client.query(&statement, &columns.parameters()))
    }

    /// See [`Session::execute_together`](super::Session::execute_together).
    pub(super) fn execute_together(
        &self,
        statements: &[(&'static str, Columns<'_>)],
    ) -> Result<(), Fault> {
        let mut sent = Vec::new();
        for (sql, columns) in statements.iter().filter(|(_, columns)| !columns.is_empty()) {
            sent.push((self.prepared(sql)?, columns.parameters()));
        }
        // Each is sent when it is first polled; the answers come in the same order.
        let mut running: Vec<_> = sent
            .iter()
            .map(|(statement, values)| Box::pin(self.client.execute(statement, values)))
            .collect();
        let mut ended: Vec<_> = running.iter().map(|_| None).collect();
        self.wait(std::future::poll_fn(|context| {
            for (one, end) in running.iter_mut().zip(&mut ended) {
                if end.is_none()
                    && let Poll::Ready(result) = one.as_mut().poll(context)
                {
                    *end = Some(result);
                }
            }
            if ended.iter().any(Option::is_none) {
                return Poll::Pending;
            }
            // The first that failed is the one to tell of: it makes the later ones fail.
            let all = ended.drain(..).flatten().map(|result| result.map(drop));
            Poll::Ready(all.collect::<Result<(), _>>())
        }))
    }

    /// See [`Session::stream`](super::Session::stream).
    pub(super) fn stream<E: From<Fault>>(
        &self,
        sql: &str,
        mut each: impl FnMut(&Row<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.execute_script(&format!("DECLARE every_row NO SCROLL CURSOR FOR {sql}"))?;
        // Prepared for this answer alone: the next has other columns.
        let fetch = self.wait(self.client.prepare(FETCH))?;
        loop {
            let rows = self.wait(self.client.query(&fetch, &[]))?;
            if rows.is_empty() {
                return Ok(self.execute_script("CLOSE every_row")?);
            }
            for row in &rows {
                each(&Row::Postgres(row))?;
            }
        }
    }

    /// True between the beginning of a group and its end.
    pub(super) fn in_group(&self) -> bool {
        self.in_group.get()
    }

    /// Begins a group of writes. The turn is taken before the first look at any row, so that the group sees
    /// all that those before it in the turn have written.
    pub(super) fn begin(&self, turn: Turn) -> Result<(), Fault> {
        self.enter(match turn {
            Turn::Shared => {
                "BEGIN ISOLATION LEVEL REPEATABLE READ;
                 LOCK TABLE schema_versions IN ROW SHARE MODE"
            }
            Turn::Numbering => {
                "BEGIN ISOLATION LEVEL REPEATABLE READ;
                 LOCK TABLE schema_versions IN ROW SHARE MODE;
                 LOCK TABLE hub_event_counts IN EXCLUSIVE MODE"
            }
            Turn::Alone => {
                "BEGIN ISOLATION LEVEL REPEATABLE READ;
                 LOCK TABLE schema_versions IN EXCLUSIVE MODE"
            }
        })
    }

    /// Begins a change of the schema. Two that make the first table at once may refuse each other; one of
    /// them finds it there at the next try.
    pub(super) fn begin_migration(&self) -> Result<(), Fault> {
        let make = || {
            self.execute_script(
                "CREATE TABLE IF NOT EXISTS schema_versions (
                    version BIGINT NOT NULL PRIMARY KEY,
                    applied BIGINT NOT NULL
                 )",
            )
        };
        make().or_else(|_| make())?;
        self.enter("BEGIN; LOCK TABLE schema_versions IN EXCLUSIVE MODE")
    }

    /// Begins to read one moment's state.
    pub(super) fn begin_reading(&self) -> Result<(), Fault> {
        self.enter("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    }

    fn enter(&self, sql: &str) -> Result<(), Fault> {
        self.spoiled.set(false);
        self.in_group.set(true);
        self.execute_script(sql)
    }

    /// Makes the group durable.
    pub(super) fn commit(&self) -> Result<(), Fault> {
        if self.spoiled.get() {
            return Err(Fault::Database(
                "a statement of the group of writes failed".to_owned(),
            ));
        }
        self.execute_script("COMMIT")?;
        self.in_group.set(false);
        Ok(())
    }

    /// Drops what is left of the group.
    pub(super) fn abandon(&self) -> Result<(), Fault> {
        self.in_group.set(false);
        self.execute_script("ROLLBACK")
    }

    /// Says whether the last group was hindered.
    pub(super) fn be_wary(&self, wary: bool) {
        self.wary.set(wary);
    }

    /// See [`Session::prove_room`](super::Session::prove_room).
    pub(super) fn prove_room(&self) -> Result<(), Fault> {
        if !self.wary.get() {
            return Ok(());
        }
        self.execute_script("SAVEPOINT room")?;
        match self.execute_script(hindrance::ROOM_PROVED) {
            // A role that may make no temporary table proves nothing, and is not to stay unready for that.
            Err(Fault::Database(_)) => {
                self.execute_script("ROLLBACK TO room")?;
                self.mend();
                Ok(())
            }
            proved => proved,
        }
    }

    /// Forgets that a statement failed: it was undone.
    pub(super) fn mend(&self) {
        self.spoiled.set(false);
    }
}
