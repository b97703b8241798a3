//! A disk that takes no more: nothing half-written, and recovery without a restart.
//!
//! The child runs under a limit on file size that the kernel enforces, which the parent lifts.

use std::io::{BufRead, BufReader, Write as _};
use std::process::{Command, Stdio};

use landfall_core::conformance::Samples;
use landfall_core::id::RegistrationId;
use landfall_core::store::{Change, CommitError, Expect, Store, Write};

use crate::fixture::{Drawn, Folder, open, with_service};

const CHILD: &str = "LANDFALL_STORE_TEST_FULL_DISK";

#[tokio::test]
async fn a_full_disk_is_said_and_outlived() {
    let folder = Folder::new();
    // 4 MB in blocks of 512 bytes; a write past the limit must fail instead of killing.
    let mut child = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -S -f 8192; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().expect("this test"))
        .args([
            "--exact",
            "disk::every_answer_of_a_full_disk_is_kept_or_refused",
            "--nocapture",
        ])
        .env(CHILD, folder.database())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a child");
    let (mut kept, mut refused) = (Vec::new(), Vec::new());
    let mut input = child.stdin.take().expect("its input");
    let output = BufReader::new(child.stdout.take().expect("its output"));
    for line in output.lines() {
        let line = line.expect("text");
        if let Some(id) = line.strip_prefix("kept ") {
            kept.push(id.to_owned());
        } else if let Some(id) = line.strip_prefix("refused ") {
            refused.push(id.to_owned());
        } else if line.ends_with("full") {
            let lifted = Command::new("prlimit")
                .args(["--fsize=unlimited:", "--pid", &child.id().to_string()])
                .status()
                .expect("prlimit runs");
            assert!(lifted.success());
            input.write_all(b"go on\n").expect("told");
        }
    }
    assert!(child.wait().expect("its end").success());
    assert!(kept.len() > 64, "{}", kept.len());
    assert!(!refused.is_empty());
    assert!(kept.iter().any(|id| id == "after"));
    let store = folder.open();
    let scope = with_service(&store).await;
    let there = async |id: &String| {
        let id = RegistrationId::parse(id).expect("an id");
        store
            .registration(&scope, &id)
            .await
            .expect("reads")
            .is_some()
    };
    for id in &kept {
        assert!(there(id).await, "{id} was acknowledged and is lost");
    }
    for id in &refused {
        assert!(!there(id).await, "{id} was refused and is there");
    }
}

#[tokio::test]
async fn a_database_that_is_not_in_its_place_takes_no_writes_until_it_is_back() {
    let folder = Folder::new();
    let store = open(&folder.database()).expect("opens");
    let scope = with_service(&store).await;
    let put = |id: &str| {
        let registration = Samples::new(&Drawn).registration(id, None);
        Change::of(Write::PutRegistration(
            scope.clone(),
            Box::new(registration),
            Expect::Absent,
        ))
    };
    let away = folder.path().join("away.db");
    std::fs::rename(folder.database(), &away).expect("moved");
    for _ in 0..2 {
        let refused = store.commit(vec![put("lost")]).await;
        assert!(
            matches!(&refused[..], [Err(CommitError::Unavailable(cause))] if cause.contains("cannot be reached")),
            "{refused:?}"
        );
    }
    assert!(!folder.database().exists(), "another one was made");
    std::fs::copy(&away, folder.database()).expect("copied");
    let ready = store.ready().await.expect_err("another file");
    assert!(ready.0.contains("another file stands at"), "{ready}");
    std::fs::rename(&away, folder.database()).expect("back");
    assert_eq!(store.commit(vec![put("kept")]).await, [Ok(())]);
    store.ready().await.expect("ready again");
}

/// By itself, a roomy disk: everything is kept. As the child of
/// [`a_full_disk_is_said_and_outlived`], until the disk is full, and again when it is not.
#[tokio::test]
async fn every_answer_of_a_full_disk_is_kept_or_refused() {
    let folder = Folder::new();
    let limited = std::env::var_os(CHILD);
    let path = limited
        .clone()
        .map_or_else(|| folder.database(), Into::into);
    let store = open(&path).expect("opens");
    let scope = with_service(&store).await;
    let samples = Samples::new(&Drawn);
    let put = |id: &str| {
        let mut registration = samples.registration(id, None);
        let payload = format!("\"{}\"", "x".repeat(2000));
        registration.payload = landfall_core::document::Document::parse(&payload).ok();
        Change::of(Write::PutRegistration(
            scope.clone(),
            Box::new(registration),
            Expect::Absent,
        ))
    };
    let say = |text: String| std::io::stdout().write_all(text.as_bytes()).expect("said");
    let (mut refusals, mut ready) = (0, true);
    let batches = if limited.is_some() { 200 } else { 2 };
    for batch in 0..batches {
        let ids: Vec<String> = (0..40).map(|n| format!("dev-{batch}-{n}")).collect();
        let answers = store.commit(ids.iter().map(|id| put(id)).collect()).await;
        for (id, answer) in ids.iter().zip(answers) {
            match answer {
                Ok(()) => say(format!("kept {id}\n")),
                Err(CommitError::Unavailable(_)) => {
                    refusals += 1;
                    say(format!("refused {id}\n"));
                }
                Err(other) => panic!("{other}"),
            }
        }
        // Where forty find no room, the check of one page still may, and so may the next forty once
        // the log was moved into the database: go on until nothing fits anywhere.
        for _ in 0..40 {
            ready = ready && (refusals == 0 || store.ready().await.is_ok());
        }
        if !ready {
            break;
        }
    }
    if limited.is_none() {
        assert_eq!(refusals, 0, "there is room for everything");
        return store.ready().await.expect("ready");
    }
    assert!(!ready, "the limit was never reached");
    assert!(store.service(&scope).await.expect("reads go on").is_some());
    say("full\n".to_owned());
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).expect("told");
    assert_eq!(store.commit(vec![put("after")]).await, [Ok(())]);
    say("kept after\n".to_owned());
    store.ready().await.expect("ready again");
    store.close().await;
}
