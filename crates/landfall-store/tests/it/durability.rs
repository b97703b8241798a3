//! Acknowledged means durable, and many changes share a commit.

use std::io::{BufRead, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::sync::Arc;

use landfall_core::conformance::Samples;
use landfall_core::id::RegistrationId;
use landfall_core::store::{Change, CommitError, Expect, Store, Write};

use crate::fixture::{Drawn, Folder, open, with_service, write};

/// Where a child process of [`what_was_acknowledged_survives_a_kill`] finds its database.
const CHILD: &str = "LANDFALL_STORE_TEST_DATABASE";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_callers_share_few_commits() {
    let folder = Folder::new();
    let store = Arc::new(folder.open());
    let scope = with_service(&store).await;
    let before = store.commits();
    let mut callers = tokio::task::JoinSet::new();
    for n in 0..512 {
        let (store, scope) = (Arc::clone(&store), scope.clone());
        callers.spawn(async move {
            let registration = Samples::new(&Drawn).registration(&format!("dev-{n}"), None);
            write(
                &store,
                Write::PutRegistration(scope, Box::new(registration), Expect::Absent),
            )
            .await
        });
    }
    let answers = callers.join_all().await;
    assert_eq!(answers, vec![Ok(()); 512]);
    let commits = store.commits() - before;
    assert!(commits <= 128, "{commits} commits for 512 changes");
    assert!(commits >= 512 / 64, "no commit holds more than 64");
}

#[tokio::test]
async fn everything_is_there_after_reopening() {
    let folder = Folder::new();
    let samples = Samples::new(&Drawn);
    let enrollment = samples.individual("Dev");
    let store = folder.open();
    let scope = with_service(&store).await;
    let service = store.service(&scope).await;
    write(
        &store,
        Write::PutIndividual(scope.clone(), Box::new(enrollment.clone()), Expect::Absent),
    )
    .await
    .expect("kept");
    store.close().await;
    let log = folder.path().join("landfall.db-wal");
    assert!(
        !log.exists() || std::fs::metadata(&log).expect("a file").len() == 0,
        "a closed store leaves no log to recover"
    );
    let store = folder.open();
    assert_eq!(store.service(&scope).await, service);
    let kept = store.individual(&scope, &enrollment.registration_id).await;
    assert_eq!(kept, Ok(Some(enrollment)));
}

#[tokio::test]
async fn closing_finishes_what_is_queued_and_refuses_what_comes_after() {
    let folder = Folder::new();
    let store = Arc::new(folder.open());
    let scope = with_service(&store).await;
    let put = |n: usize| {
        let registration = Samples::new(&Drawn).registration(&format!("dev-{n}"), None);
        Change::of(Write::PutRegistration(
            scope.clone(),
            Box::new(registration),
            Expect::Absent,
        ))
    };
    let changes = (0..300).map(put).collect();
    let (answers, ()) = tokio::join!(store.commit(changes), store.close());
    assert_eq!(answers, vec![Ok(()); 300]);
    let late = store.commit(vec![put(300)]).await;
    assert!(
        matches!(late[..], [Err(CommitError::Unavailable(_))]),
        "{late:?}"
    );
    assert!(store.ready().await.is_err());
    let store = folder.open();
    for n in [0, 150, 299] {
        let id = RegistrationId::parse(&format!("dev-{n}")).expect("an id");
        assert!(
            store
                .registration(&scope, &id)
                .await
                .expect("reads")
                .is_some()
        );
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    let folder = Folder::new();
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args([
            "--exact",
            "durability::callers_side_by_side_are_all_told_that_theirs_is_kept",
            "--nocapture",
        ])
        .env(CHILD, folder.database())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a child");
    let mut acknowledged = Vec::new();
    let output = BufReader::new(child.stdout.take().expect("its output"));
    for line in output.lines() {
        let line = line.expect("text");
        if let Some(id) = line.strip_prefix("kept ") {
            acknowledged.push(id.to_owned());
        }
        // The child goes on writing while this reads: it dies in the midst of its work.
        if acknowledged.len() == 400 {
            child.kill().expect("killed");
        }
    }
    child.wait().expect("its end");
    assert!(acknowledged.len() >= 400, "{}", acknowledged.len());
    let store = folder.open();
    let scope = with_service(&store).await;
    for id in acknowledged {
        let id = RegistrationId::parse(&id).expect("an id");
        let kept = store.registration(&scope, &id).await.expect("reads");
        assert!(kept.is_some(), "{id} was acknowledged and is lost");
    }
    store.ready().await.expect("it goes on");
}

/// By itself, a few writes of each caller. As the child of [`what_was_acknowledged_survives_a_kill`],
/// it never ends by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_side_by_side_are_all_told_that_theirs_is_kept() {
    let folder = Folder::new();
    let endless = std::env::var_os(CHILD);
    let writes = if endless.is_some() { usize::MAX } else { 8 };
    let path = endless.map_or_else(|| folder.database(), Into::into);
    let store = Arc::new(open(&path).expect("opens"));
    let scope = with_service(&store).await;
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..32 {
        let (store, scope) = (Arc::clone(&store), scope.clone());
        callers.spawn(async move {
            for n in 0..writes {
                let id = format!("dev-{caller}-{n}");
                let registration = Samples::new(&Drawn).registration(&id, None);
                let put =
                    Write::PutRegistration(scope.clone(), Box::new(registration), Expect::Absent);
                write(&store, put).await.expect("kept");
                // One write, so that lines of several callers do not mix.
                std::io::stdout()
                    .write_all(format!("kept {id}\n").as_bytes())
                    .expect("said");
            }
        });
    }
    callers.join_all().await;
    for caller in 0..32 {
        let id = RegistrationId::parse(&format!("dev-{caller}-{}", writes - 1)).expect("an id");
        let kept = store.registration(&scope, &id).await.expect("reads");
        assert!(kept.is_some(), "{id}");
    }
}
