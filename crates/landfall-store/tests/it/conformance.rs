//! The store port's promise, kept by both engines.

use std::sync::atomic::{AtomicUsize, Ordering};

use landfall_core::conformance::store_suite;

use crate::fixture::{Drawn, open};
use crate::postgres;

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_keeps_the_promise_of_the_store_port() {
    for server in postgres::servers() {
        let opened = AtomicUsize::new(0);
        let fresh = || async {
            opened.fetch_add(1, Ordering::Relaxed);
            let database = postgres::fresh(&server).await;
            postgres::open(&database).await.expect("opens")
        };
        store_suite(fresh, &Drawn).await;
        assert!(opened.load(Ordering::Relaxed) > 10);
    }
}
