//! Hostile senders of bodies that are read while they arrive: at the listener, and at the import route.

use std::sync::Arc;

use serde_json::json;

use super::peer::{Dev, Door};
use super::{Fragile, limits, typed};

const HEAD: &str = "POST /stream HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
const CHUNKED: &str = "Transfer-Encoding: chunked\r\n\r\n";

#[tokio::test]
async fn a_stream_that_breaks_off_or_falls_silent_ends_as_incomplete() {
    let door = Door::open(Arc::new(Fragile), limits()).await;
    for (rest, read, end) in [
        (
            format!("{CHUNKED}4\r\nfour\r\n3\r\nand\r\n0\r\n\r\n"),
            7,
            "whole",
        ),
        ("Content-Length: 4\r\n\r\nfour".to_owned(), 4, "whole"),
        ("\r\n".to_owned(), 0, "whole"),
        // Silence after a piece, within a piece, and before the first.
        (format!("{CHUNKED}4\r\nfour\r\n"), 4, "incomplete"),
        ("Content-Length: 9\r\n\r\nfour".to_owned(), 4, "incomplete"),
        (CHUNKED.to_owned(), 0, "incomplete"),
        // No chunk at all.
        (
            format!("{CHUNKED}4\r\nfour\r\nzz\r\nand\r\n"),
            4,
            "incomplete",
        ),
    ] {
        let told = door.ask(&format!("{HEAD}{rest}")).await;
        assert_eq!(
            (told.status, told.json),
            (200, json!({"read": read, "end": end})),
            "{rest}"
        );
    }
    let larger = "x".repeat(200 * 1024);
    let told = door
        .ask(&format!(
            "{HEAD}Content-Length: {}\r\n\r\n{larger}",
            larger.len()
        ))
        .await;
    assert_eq!(
        told.json,
        json!({"read": larger.len(), "end": "whole"}),
        "a stream has no largest size"
    );
}

#[tokio::test]
async fn a_sender_that_leaves_in_its_stream_holds_no_slot() {
    let door = Door::open(Arc::new(Fragile), limits()).await;
    let mut leaves = door.connect().await;
    leaves.write(&format!("{HEAD}{CHUNKED}4\r\nfour\r\n")).await;
    assert!(door.settles_at(1).await);
    drop(leaves);
    assert!(door.settles_at(0).await);
}

fn record(name: &str) -> String {
    let key =
        "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2traw==";
    let keys = json!({"primaryKey": key, "secondaryKey": key});
    let attestation = json!({"type": "symmetricKey", "symmetricKey": keys});
    let record = json!({"registrationId": name, "attestation": attestation});
    json!({"kind": "enrollment", "record": record}).to_string()
}

const IMPORT: &str = "/landfall/enrollments/import";

#[tokio::test]
async fn an_import_is_for_proven_operators_and_by_post() {
    let dev = Dev::start().await;
    let (service, hub, control) = dev.credentials();
    let line = record("stranger");
    for credential in ["", &*hub, &service.replace("sig=", "sig=A"), "Bearer x"] {
        let told = dev.ask("POST", IMPORT, credential, &line).await;
        assert_eq!((told.status, typed(&told)), (401, 401_002), "{credential}");
    }
    let told = dev.ask("GET", IMPORT, &service, "").await;
    assert_eq!((told.status, told.header("allow")), (405, Some("POST")));
    let told = dev
        .ask(
            "POST",
            &format!("{IMPORT}?onConflict=guess"),
            &service,
            &line,
        )
        .await;
    assert_eq!((told.status, typed(&told)), (400, 400_004), "{told:?}");
    let path = "/enrollments/stranger?api-version=2021-10-01";
    assert_eq!(dev.ask("GET", path, &service, "").await.status, 404);
    // A stranger's endless stream is not read to its end.
    let endless = format!("POST {IMPORT} HTTP/1.1\r\nHost: localhost\r\n{CHUNKED}4\r\nfour\r\n");
    assert_eq!(dev.tell(&endless).await.status, 401);
    let told = dev
        .tell(&importing(
            &control,
            &format!("Content-Length: {}\r\n\r\n{line}", line.len()),
        ))
        .await;
    assert_eq!(told.lines.last().expect("progress")["created"], 1);
}

/// The head of an import, and what follows it.
fn importing(credential: &str, rest: &str) -> String {
    format!(
        "POST {IMPORT} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {credential}\r\nConnection: close\r\n{rest}"
    )
}

#[tokio::test]
async fn an_import_that_breaks_off_keeps_its_whole_lines_and_no_half_one() {
    let dev = Dev::start().await;
    let (service, ..) = dev.credentials();
    let there = async |name: &str| {
        let path = format!("/enrollments/{name}?api-version=2021-10-01");
        dev.ask("GET", &path, &service, "").await.status == 200
    };
    let (whole, half) = (record("whole"), record("half"));
    let pieces = format!("{whole}\n{half}");
    let told = dev
        .tell(&importing(
            &service,
            &format!("{CHUNKED}{:x}\r\n{pieces}\r\nzz\r\n", pieces.len()),
        ))
        .await;
    let last = told.lines.last().expect("progress");
    assert_eq!(
        (&last["created"], &last["end"]),
        (&json!(1), &json!("incomplete"))
    );
    assert!(there("whole").await && !there("half").await);

    // A sender that leaves, and one that reads nothing of what it is told.
    let mut leaves = dev.peer().await;
    let line = format!("{}\n", record("left"));
    leaves
        .write(&importing(
            &service,
            &format!("{CHUNKED}{:x}\r\n{line}\r\n", line.len()),
        ))
        .await;
    while !there("left").await {}
    drop(leaves);

    // A line of a megabyte, bytes that are no text, and nothing at all cost themselves only.
    let lines = format!(
        "{}\n\u{0}\u{1}\n\n{}\n{}",
        "x".repeat(1 << 20),
        "[".repeat(5000),
        record("after")
    );
    let told = dev
        .tell(&importing(
            &service,
            &format!("Content-Length: {}\r\n\r\n{lines}", lines.len()),
        ))
        .await;
    let refused: Vec<_> = told
        .lines
        .iter()
        .filter_map(|line| line["line"].as_u64())
        .collect();
    assert_eq!(refused, [1, 2, 4], "{told:?}");
    let last = told.lines.last().expect("progress");
    assert_eq!(
        (&last["created"], &last["end"]),
        (&json!(1), &json!("whole"))
    );
    assert!(there("after").await);

    // A stop ends what still arrives, and says so.
    let mut stays = dev.peer().await;
    let line = format!("{}\n", record("last"));
    let begun = format!("{CHUNKED}{:x}\r\n{line}\r\n", line.len());
    stays.write(&importing(&service, &begun)).await;
    while !there("last").await {}
    dev.stop();
    let told = stays.ask("").await;
    let last = told.lines.last().expect("progress");
    assert_eq!(
        (&last["created"], &last["end"]),
        (&json!(1), &json!("stopping"))
    );
}
