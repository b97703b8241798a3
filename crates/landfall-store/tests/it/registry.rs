//! The hub's identity registry, and what sessions of its devices keep, on both engines.

#![expect(
    clippy::expect_used,
    reason = "a store that cannot be made ends the test"
)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use landfall_core::clock::{Clock, Entropy, Timestamp};
use landfall_hub::conformance::{registry_suite, session_suite};
use landfall_store::secret::SealingKey;
use landfall_store::{PostgresUrl, SqlStore};

use crate::postgres;

pub(crate) struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_seconds(2_000_000_000)
    }
}

/// Never the same bytes twice, and the same in every run.
pub(crate) struct Counting(pub(crate) AtomicU64);

impl Entropy for Counting {
    fn fill(&self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(8) {
            let count = self.0.fetch_add(1, Ordering::Relaxed);
            let mixed = count.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
            chunk.copy_from_slice(&mixed[..chunk.len()]);
        }
    }
}

fn sqlite(folder: &Path) -> (Arc<SqlStore>, Arc<dyn Clock>, Arc<dyn Entropy>) {
    let clock: Arc<dyn Clock> = Arc::new(Noon);
    let entropy: Arc<dyn Entropy> = Arc::new(Counting(AtomicU64::new(1)));
    let store = SqlStore::sqlite(
        folder.join("landfall.db"),
        SealingKey::generate(&*entropy),
        Arc::clone(&clock),
        Arc::clone(&entropy),
    )
    .expect("a store");
    (Arc::new(store), clock, entropy)
}

async fn postgresql(server: &str) -> (Arc<SqlStore>, Arc<dyn Clock>, Arc<dyn Entropy>) {
    let clock: Arc<dyn Clock> = Arc::new(Noon);
    let entropy: Arc<dyn Entropy> = Arc::new(Counting(AtomicU64::new(1)));
    let database = postgres::fresh(server).await;
    let store = SqlStore::postgres(
        PostgresUrl::parse(&database).expect("a URL"),
        SealingKey::generate(&*entropy),
        Arc::clone(&clock),
        Arc::clone(&entropy),
    )
    .await
    .expect("a store");
    (Arc::new(store), clock, entropy)
}

#[tokio::test]
async fn sqlite_keeps_the_promise_of_the_identity_registry() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, clock, entropy) = sqlite(folder.path());
    registry_suite(store, clock, entropy).await;
}

#[tokio::test]
async fn sqlite_keeps_the_promise_to_sessions_of_devices() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, clock, entropy) = sqlite(folder.path());
    session_suite(store, clock, entropy).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_keeps_the_promise_of_the_identity_registry() {
    for server in postgres::servers() {
        let (store, clock, entropy) = postgresql(&server).await;
        registry_suite(store, clock, entropy).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_keeps_the_promise_to_sessions_of_devices() {
    for server in postgres::servers() {
        let (store, clock, entropy) = postgresql(&server).await;
        session_suite(store, clock, entropy).await;
    }
}
