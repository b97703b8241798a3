//! The connections that read, shared by all callers and bounded in number. Used by the store's ports.

use std::time::Duration;

use deadpool_postgres::{
    Hook, HookError, Manager, ManagerConfig, Object, PoolError, RecyclingMethod, Runtime,
};
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

/// How long a new connection may take, all hosts together.
const CREATE: Duration = Duration::from_secs(10);

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The connections that read.
pub(crate) struct Pool(deadpool_postgres::Pool);

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
            .map(Pool)
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
            let client = self.0.get().await.map_err(unconnected)?;
            let asked = patience::within(PATIENCE, async {
                let fourth = async {
                    match fourth {
                        Some(fourth) => answer(&client, fourth).await,
                        None => Ok(Vec::new()),
                    }
                };
                tokio::try_join!(
                    answer(&client, first),
                    answer(&client, second),
                    answer(&client, third),
                    fourth
                )
            })
            .await;
            given_back(client, asked)
        };
        let (first, second, third, fourth) = match ask().await {
            Err(Fault::Lost(_)) => ask().await?,
            answers => answers?,
        };
        Ok(Together([first, second, third, fourth]))
    }

    /// Asks; a second time when the connection was lost, since one that lay idle may have been lost long
    /// ago, and a question changes nothing.
    async fn rows<T>(&self, read: &Read<'_, T>) -> Result<Vec<PostgresRow>, Fault> {
        match self.ask(read).await {
            Err(Fault::Lost(_)) => self.ask(read).await,
            answer => answer,
        }
    }

    async fn ask<T>(&self, read: &Read<'_, T>) -> Result<Vec<PostgresRow>, Fault> {
        let client = self.0.get().await.map_err(unconnected)?;
        let asked = patience::within(PATIENCE, answer(&client, read)).await;
        given_back(client, asked)
    }

    /// Closes all that are open; whatever is asked afterwards is refused.
    pub(crate) fn close(&self) {
        self.0.close();
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

/// Gives a connection back, unless it failed.
fn given_back<T>(client: Object, asked: Result<T, Fault>) -> Result<T, Fault> {
    if asked.is_err() {
        drop(Object::take(client));
    }
    asked
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
        PoolError::Closed => Fault::Database("the store is closed".to_owned()),
        PoolError::Timeout(_) => {
            Fault::Database("no connection to the database became free in time".to_owned())
        }
        other => Fault::Database(other.to_string()),
    }
}
