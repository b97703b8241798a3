//! Databases of PostgreSQL for these tests; `starting` has the servers.

#![expect(
    clippy::expect_used,
    reason = "a server that does not answer ends the test"
)]

mod starting;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use landfall_store::secret::SealingKey;
use landfall_store::{OpenError, PostgresUrl, SqlStore};

pub(crate) use self::starting::servers;
use crate::fixture::{Drawn, Ticking, sealing_key};

/// Runs statements on a server, past the store.
pub(crate) async fn run(url: &str, sql: &str) {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls)
        .await
        .expect("connected");
    let connection = tokio::spawn(connection);
    client.batch_execute(sql).await.expect("done");
    drop(client);
    let _ = connection.await;
}

/// The number that a query gives.
pub(crate) async fn number(url: &str, sql: &str) -> i64 {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls)
        .await
        .expect("a connection");
    tokio::spawn(connection);
    let row = client.query_one(sql, &[]).await.expect("a row");
    row.get(0)
}

/// A database of its own on a server: a schema that nobody else uses.
pub(crate) async fn fresh(server: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let schema = format!("of_{}_{number}", std::process::id());
    run(
        server,
        &format!("DROP SCHEMA IF EXISTS {schema} CASCADE; CREATE SCHEMA {schema}"),
    )
    .await;
    let sign = if server.contains('?') { '&' } else { '?' };
    format!("{server}{sign}options=-csearch_path%3D{schema}")
}

pub(crate) async fn open(url: &str) -> Result<SqlStore, OpenError> {
    open_with(url, sealing_key()).await
}

pub(crate) async fn open_with(url: &str, key: SealingKey) -> Result<SqlStore, OpenError> {
    SqlStore::postgres(
        PostgresUrl::parse(url).expect("a URL"),
        key,
        Arc::new(Ticking::default()),
        Arc::new(Drawn),
    )
    .await
}
