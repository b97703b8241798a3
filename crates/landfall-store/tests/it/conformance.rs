//! The store port's promise, kept by SQLite.

use std::sync::atomic::{AtomicUsize, Ordering};

use landfall_core::conformance::store_suite;

use crate::fixture::{Drawn, open};

#[tokio::test]
async fn sqlite_keeps_the_promise_of_the_store_port() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let opened = AtomicUsize::new(0);
    let fresh = || async {
        let n = opened.fetch_add(1, Ordering::Relaxed);
        open(&folder.path().join(format!("{n}.db"))).expect("opens")
    };
    store_suite(fresh, &Drawn).await;
    assert!(opened.load(Ordering::Relaxed) > 10);
}
