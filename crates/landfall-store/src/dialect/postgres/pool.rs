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
        let asked = patience::within(PATIENCE, async {
            // What depends on the query has too many forms to keep them all prepared.
            let statement = match &read.sql {
                std::borrow::Cow::Borrowed(fixed) => client.prepare_cached(fixed).await?,
                std::borrow::Cow::Owned(made) => client.prepare(made).await?,
            };
            client.query(&statement, &parameters(&read.values)).await
        })
        .await;
        if asked.is_err() {
            // It is not given back.
            drop(Object::take(client));
        }
        asked
    }

    /// Closes all that are open; whatever is asked afterwards is refused.
    pub(crate) fn close(&self) {
        self.0.close();
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
