//! The connections that read, shared by all callers and bounded in number. Used by the store's ports.
//!
//! A database may have fewer connections to give than the bound. Then readers share those that there are,
//! and when the writer is refused one, it gets one of theirs: a server that only reads is of no use.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use deadpool_postgres::{
    Hook, HookError, Manager, ManagerConfig, Object, PoolError, RecyclingMethod, Runtime,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_postgres::Row as PostgresRow;

use super::url::PostgresUrl;
use super::values::parameters;
use super::{connecting, patience};
use crate::dialect::{Fault, Read, Row};
use crate::secret::Sealer;

/// Most connections that read.
const CONNECTIONS: usize = 8;

/// How long a caller waits for a connection that others use.
const WAIT: Duration = Duration::from_secs(5);

/// The pause before the last seat is tried again.
const AGAIN: Duration = Duration::from_millis(50);

/// How long a seat stays empty whose connection the database refused.
const EMPTY: Duration = Duration::from_secs(5);

/// How long a new connection may take, all hosts together.
const CREATE: Duration = Duration::from_secs(10);

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The connections that read.
#[derive(Clone)]
pub(crate) struct Pool {
    shared: deadpool_postgres::Pool,
    /// Who reads has a seat, in the order of asking; one that the database has no connection for stays empty
    /// for a while, so that nobody waits in vain.
    seats: Arc<Semaphore>,
    empty: Arc<AtomicUsize>,
    /// Whether the writer waits for a connection that the database refuses it.
    writer_waits: Arc<AtomicBool>,
}

/// A connection in use.
struct Seated {
    client: Object,
    seat: OwnedSemaphorePermit,
}

impl Pool {
    /// Makes ready; connections are opened when they are needed.
    pub(crate) fn new(url: &PostgresUrl) -> Result<Self, Fault> {
        let manager = Manager::from_config(
            url.config.clone(),
            connecting::tls(url)?,
            ManagerConfig {
                recycling_method: RecyclingMethod::Fast,
            },
        );
        let told = Hook::async_fn(|client, _| {
            Box::pin(async move {
                let settings = format!(
                    "{}; SET default_transaction_read_only = on; SET statement_timeout = '30s'",
                    connecting::SETTINGS
                );
                let told = client.batch_execute(&settings).await;
                told.map_err(HookError::Backend)
            })
        });
        deadpool_postgres::Pool::builder(manager)
            .max_size(CONNECTIONS)
            .wait_timeout(Some(WAIT))
            .create_timeout(Some(CREATE))
            .runtime(Runtime::Tokio1)
            .post_create(told)
            .build()
            .map(|shared| Pool {
                shared,
                seats: Arc::new(Semaphore::new(CONNECTIONS)),
                empty: Arc::default(),
                writer_waits: Arc::default(),
            })
            .map_err(|error| Fault::Database(error.to_string()))
    }

    /// The first row of a read.
    pub(crate) async fn one<T>(
        &self,
        read: &Read<'_, T>,
        sealer: &Sealer,
    ) -> Result<Option<T>, Fault> {
        let rows = self.rows(read).await?;
        let first = rows.first();
        first
            .map(|row| (read.decode)(&Row::Postgres(row), sealer))
            .transpose()
    }

    /// All rows of a read.
    pub(crate) async fn all<T>(
        &self,
        read: &Read<'_, T>,
        sealer: &Sealer,
    ) -> Result<Vec<T>, Fault> {
        let rows = self.rows(read).await?;
        rows.iter()
            .map(|row| (read.decode)(&Row::Postgres(row), sealer))
            .collect()
    }

    /// Asks several questions, with one wait for all answers.
    pub(crate) async fn together<A, B, C, D>(
        &self,
        first: &Read<'_, A>,
        second: &Read<'_, B>,
        third: &Read<'_, C>,
        fourth: Option<&Read<'_, D>>,
    ) -> Result<Together, Fault> {
        let ask = || async {
            let seated = self.take().await?;
            let client = &seated.client;
            let asked = patience::within(PATIENCE, async {
                let fourth = async {
                    match fourth {
                        Some(fourth) => answer(client, fourth).await,
                        None => Ok(Vec::new()),
                    }
                };
                tokio::try_join!(
                    answer(client, first),
                    answer(client, second),
                    answer(client, third),
                    fourth
                )
            })
            .await;
            self.give_back(seated, asked)
        };
        let (first, second, third, fourth) = match ask().await {
            Err(Fault::Lost(_)) => {
                self.shared.retain(|_, _| false);
                ask().await?
            }
            answers => answers?,
        };
        Ok(Together([first, second, third, fourth]))
    }

    /// Asks; a second time when the connection was lost, since one that lay idle may have been lost long
    /// ago, and a question changes nothing. Those that lie idle beside it are not trusted either.
    async fn rows<T>(&self, read: &Read<'_, T>) -> Result<Vec<PostgresRow>, Fault> {
        match self.ask(read).await {
            Err(Fault::Lost(_)) => {
                self.shared.retain(|_, _| false);
                self.ask(read).await
            }
            answer => answer,
        }
    }

    async fn ask<T>(&self, read: &Read<'_, T>) -> Result<Vec<PostgresRow>, Fault> {
        let seated = self.take().await?;
        let asked = patience::within(PATIENCE, answer(&seated.client, read)).await;
        self.give_back(seated, asked)
    }

    /// Gives connection and seat back; not a connection that failed, nor one that the writer needs.
    fn give_back<T>(&self, seated: Seated, asked: Result<T, Fault>) -> Result<T, Fault> {
        let Seated { client, seat } = seated;
        let last = match self.writer_is_waiting() {
            true => self.leave_empty(seat),
            false => Some(seat),
        };
        if asked.is_err() || last.is_none() {
            drop(Object::take(client));
        } else {
            // Before the seat, so that whoever is next finds it.
            drop(client);
        }
        drop(last);
        asked
    }

    /// A seat, and a connection that lies idle or is made.
    async fn take(&self) -> Result<Seated, Fault> {
        let mut why = "no connection to the database became free in time".to_owned();
        let taken = patience::bounded(WAIT + CREATE, async {
            loop {
                let seat = patience::bounded(WAIT, Arc::clone(&self.seats).acquire_owned()).await?;
                let Ok(seat) = seat else {
                    return Some(Err(closed()));
                };
                // Whatever the database has free is the writer's, as long as it waits.
                while self.writer_is_waiting() && self.shared.status().available == 0 {
                    patience::pause(AGAIN).await;
                }
                match self.shared.get().await.map_err(unconnected) {
                    Err(Fault::Crowded(told)) => why = told,
                    outcome => return Some(outcome.map(|client| Seated { client, seat })),
                }
                if let Some(last) = self.leave_empty(seat) {
                    patience::pause(AGAIN).await;
                    drop(last);
                }
            }
        });
        taken
            .await
            .flatten()
            .unwrap_or_else(|| Err(Fault::Crowded(why)))
    }

    /// Leaves a seat empty for a while; gives it back when it is the last.
    fn leave_empty(&self, seat: OwnedSemaphorePermit) -> Option<OwnedSemaphorePermit> {
        let more = |empty: usize| (empty + 1 < CONNECTIONS).then_some(empty + 1);
        let left = self
            .empty
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        if left.is_err() {
            return Some(seat);
        }
        let empty = Arc::clone(&self.empty);
        tokio::spawn(async move {
            patience::pause(EMPTY).await;
            empty.fetch_sub(1, Ordering::Relaxed);
            drop(seat);
        });
        None
    }

    /// Tells whether the writer waits for a connection that the database refuses it. As long as it does,
    /// connections are closed here instead of being kept, except for one.
    pub(crate) fn make_room(&self, writer_waits: bool) {
        self.writer_waits.store(writer_waits, Ordering::Relaxed);
        if writer_waits {
            let mut spare = self.shared.status().size.saturating_sub(1);
            self.shared.retain(|_, _| {
                let is_kept = spare == 0;
                spare = spare.saturating_sub(1);
                is_kept
            });
        }
    }

    /// Whether the writer waits for a connection that the database refuses it.
    pub(super) fn writer_is_waiting(&self) -> bool {
        self.writer_waits.load(Ordering::Relaxed)
    }

    /// Closes all that are open; whatever is asked afterwards is refused.
    pub(crate) fn close(&self) {
        self.seats.close();
        self.shared.close();
    }
}

async fn answer<T>(
    client: &Object,
    read: &Read<'_, T>,
) -> Result<Vec<PostgresRow>, tokio_postgres::Error> {
    // What depends on the query has too many forms to keep them all prepared.
    let statement = match &read.sql {
        std::borrow::Cow::Borrowed(fixed) => client.prepare_cached(fixed).await?,
        std::borrow::Cow::Owned(made) => client.prepare(made).await?,
    };
    client.query(&statement, &parameters(&read.values)).await
}

/// The answers to several questions, in their order.
pub(crate) struct Together([Vec<PostgresRow>; 4]);

impl Together {
    /// The first row of an answer.
    pub(crate) fn first<T>(
        &self,
        question: usize,
        decode: impl FnOnce(&Row<'_>) -> Result<T, Fault>,
    ) -> Result<Option<T>, Fault> {
        let row = self.0.get(question).and_then(|rows| rows.first());
        row.map(|row| decode(&Row::Postgres(row))).transpose()
    }
}

fn unconnected(error: PoolError) -> Fault {
    match error {
        PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => {
            error.into()
        }
        PoolError::Closed => closed(),
        PoolError::Timeout(_) => {
            Fault::Database("no connection to the database became free in time".to_owned())
        }
        other => Fault::Database(other.to_string()),
    }
}

fn closed() -> Fault {
    Fault::Database("the store is closed".to_owned())
}
