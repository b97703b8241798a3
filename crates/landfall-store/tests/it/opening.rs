//! Opening: new files, older and newer schemas, the wrong key, two at once.

#![expect(
    clippy::expect_used,
    reason = "a database that cannot be made ends the test"
)]

use std::sync::Arc;

use landfall_core::conformance::Samples;
use landfall_core::store::{Expect, Store, Write};
use landfall_store::secret::SealingKey;
use landfall_store::{OpenError, SqlStore};
use rusqlite::Connection;

use crate::fixture::{Drawn, Folder, Ticking, open, with_service, write};

fn raw(folder: &Folder) -> Connection {
    Connection::open(folder.database()).expect("SQLite opens it")
}

#[tokio::test]
async fn an_empty_file_becomes_a_database() {
    let folder = Folder::new();
    std::fs::write(folder.database(), b"").expect("written");
    folder.open().ready().await.expect("ready");
    let pragma = |name: &str| -> String {
        raw(&folder)
            .query_row(&format!("PRAGMA {name}"), [], |row| {
                row.get::<_, rusqlite::types::Value>(0)
            })
            .map(|value| format!("{value:?}"))
            .expect("a pragma")
    };
    assert_eq!(pragma("journal_mode"), "Text(\"wal\")");
    assert_eq!(pragma("page_size"), "Integer(8192)");
}

#[tokio::test]
async fn an_older_schema_is_brought_up_to_date() {
    let folder = Folder::new();
    raw(&folder)
        .execute_batch(
            "CREATE TABLE schema_versions (version INTEGER NOT NULL PRIMARY KEY,
               applied INTEGER NOT NULL) STRICT",
        )
        .expect("a database before the first step");
    let store = folder.open();
    with_service(&store).await;
    let version: i64 = raw(&folder)
        .query_row("SELECT MAX(version) FROM schema_versions", [], |row| {
            row.get(0)
        })
        .expect("a version");
    assert_eq!(version, 6);
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_left_alone() {
    let folder = Folder::new();
    folder.open().close().await;
    raw(&folder)
        .execute(
            "INSERT INTO schema_versions (version, applied) VALUES (99, 0)",
            [],
        )
        .expect("a step from the future");
    let refused = open(&folder.database()).expect_err("refused");
    assert!(
        matches!(
            refused,
            OpenError::NewerSchema {
                found: 99,
                known: 6,
                ..
            }
        ),
        "{refused:?}"
    );
    assert!(refused.to_string().contains("use the newer build"));
}

#[tokio::test]
async fn another_sealing_key_is_refused() {
    let folder = Folder::new();
    folder.open().close().await;
    let other = SealingKey::generate(&Drawn);
    let refused = SqlStore::sqlite(
        folder.database(),
        other,
        Arc::new(Ticking::default()),
        Arc::new(Drawn),
    )
    .expect_err("refused");
    assert!(
        matches!(refused, OpenError::WrongSealingKey { .. }),
        "{refused:?}"
    );
    assert!(refused.to_string().contains("sealing key does not fit"));
    folder
        .open()
        .ready()
        .await
        .expect("the right key still opens it");
}

#[test]
fn what_is_no_database_is_refused() {
    let folder = Folder::new();
    std::fs::write(folder.database(), "no database at all, ".repeat(100)).expect("written");
    let refused = open(&folder.database()).expect_err("refused");
    assert!(
        matches!(refused, OpenError::Unavailable { .. }),
        "{refused:?}"
    );
    let nowhere = folder.path().join("no-such-folder/landfall.db");
    assert!(matches!(open(&nowhere), Err(OpenError::Unavailable { .. })));
}

#[tokio::test]
async fn many_may_open_a_new_database_at_once() {
    for _ in 0..5 {
        let folder = Folder::new();
        let path = folder.database();
        let stores: Vec<SqlStore> = std::thread::scope(|scope| {
            let openers: Vec<_> = (0..6).map(|_| scope.spawn(|| open(&path))).collect();
            openers
                .into_iter()
                .map(|opener| opener.join().expect("no panic").expect("opens"))
                .collect()
        });
        let scope = with_service(&stores[0]).await;
        for (n, store) in stores.iter().enumerate() {
            let one = Samples::new(&Drawn).registration(&format!("dev-{n}"), None);
            let id = one.registration_id.clone();
            write(
                store,
                Write::PutRegistration(scope.clone(), Box::new(one), Expect::Absent),
            )
            .await
            .expect("each may write");
            for reader in &stores {
                assert!(
                    reader
                        .registration(&scope, &id)
                        .await
                        .expect("reads")
                        .is_some()
                );
            }
        }
    }
}

#[tokio::test]
async fn the_database_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Folder::new();
    let store = folder.open();
    with_service(&store).await;
    for beside in ["", "-wal", "-shm"] {
        let mut file = folder.database().into_os_string();
        file.push(beside);
        let mode = std::fs::metadata(&file)
            .expect("there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o077, 0, "{file:?} has mode {mode:o}");
    }
}
