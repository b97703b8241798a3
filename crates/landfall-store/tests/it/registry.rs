//! The hub's identity registry on both engines.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use landfall_core::clock::{Clock, Entropy, Timestamp};
use landfall_hub::conformance::registry_suite;
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

#[tokio::test]
async fn sqlite_keeps_the_promise_of_the_identity_registry() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock: Arc<dyn Clock> = Arc::new(Noon);
    let entropy: Arc<dyn Entropy> = Arc::new(Counting(AtomicU64::new(1)));
    let store = SqlStore::sqlite(
        folder.path().join("landfall.db"),
        SealingKey::generate(&*entropy),
        Arc::clone(&clock),
        Arc::clone(&entropy),
    )
    .expect("a store");
    registry_suite(Arc::new(store), clock, entropy).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_keeps_the_promise_of_the_identity_registry() {
    for server in postgres::servers() {
        let clock: Arc<dyn Clock> = Arc::new(Noon);
        let entropy: Arc<dyn Entropy> = Arc::new(Counting(AtomicU64::new(1)));
        let database = postgres::fresh(&server).await;
        let store = SqlStore::postgres(
            PostgresUrl::parse(&database).expect("a URL"),
            SealingKey::generate(&*entropy),
            Arc::clone(&clock),
            Arc::clone(&entropy),
        )
        .await
        .expect("a store");
        registry_suite(Arc::new(store), clock, entropy).await;
    }
}
