//! What is told of a PostgreSQL database without using it. SQLite's part is tested beside the code.

#![expect(
    clippy::expect_used,
    reason = "what a test asks of its surroundings either comes about or ends the test"
)]

use std::sync::Arc;

use landfall_core::clock::Timestamp;
use landfall_store::PostgresUrl;
use landfall_store::examination::{Examination, known_schema};

use crate::fixture::{Drawn, sealing_key};
use crate::postgres::{fresh, open, servers};

/// Whatever is told, on a thread that may wait.
async fn told<T: Send + 'static>(
    url: &str,
    ask: impl FnOnce(Examination) -> T + Send + 'static,
) -> T {
    let url = PostgresUrl::parse(url).expect("a URL");
    let asked =
        tokio::task::spawn_blocking(move || ask(Examination::connect(&url).expect("connected")));
    asked.await.expect("told")
}

#[tokio::test]
async fn a_postgresql_database_is_told_of_before_and_while_a_store_uses_it() {
    for server in servers() {
        let url = fresh(&server).await;
        assert_eq!(
            told(&url, |seen| seen.schema()).await,
            Ok(0),
            "an empty one"
        );
        let store = open(&url).await.expect("opened");
        told(&url, |seen| {
            assert_eq!(seen.schema(), Ok(known_schema()));
            assert!(
                seen.engine()
                    .is_ok_and(|engine| engine.starts_with("PostgreSQL 1"))
            );
            assert_eq!(seen.journal(), Ok(None));
            assert_eq!(seen.names(), Ok(Vec::new()));
            assert!(seen.newest().is_ok_and(|newest| newest.is_some()));
            assert_eq!(seen.fits(&sealing_key(), Arc::new(Drawn)), Ok(Some(true)));
            let state = seen.server().expect("read").expect("a server");
            assert!(state.takes_writes && state.waits_for_the_disk, "{state:?}");
            assert!(
                state.now > Timestamp::from_unix_seconds(1_700_000_000),
                "{state:?}"
            );
            let (open, most) = state.connections;
            assert!(0 < open && open <= most, "{state:?}");
        })
        .await;
        store.close().await;
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_without_its_password() {
    let url = PostgresUrl::parse("postgresql://me:hush@/nowhere?host=/nonexistent").expect("a URL");
    let asked = tokio::task::spawn_blocking(move || Examination::connect(&url).err());
    let error = asked.await.expect("told").expect("refused");
    assert!(!error.to_string().contains("hush"), "{error}");
}
