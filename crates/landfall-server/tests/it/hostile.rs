//! Peers that mean harm or know no better: what they are told, and that everybody else is served.

mod mqtt;
mod peer;
mod streams;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use landfall_core::error::Error;
use landfall_server::connection::Link;
use landfall_server::connection::mqtt::Connection;
use landfall_server::listener::{Arriving, Chain, Faces, Gone, Limits, Streamed, Unread};
use landfall_server::metrics::label::NoHandshake;
use landfall_wire::message::{Reply, Request};
use landfall_wire::mqtt::session::{Delivery, Event};
use peer::{Dev, Door, Told};
use tokio::io::{AsyncRead, AsyncWrite};

/// Answers with the size of what it read, or at length; panics when it is asked to.
struct Fragile;

impl Faces for Fragile {
    async fn body_limit(&self, _head: &Request) -> usize {
        1024
    }

    fn unreadable_head(&self, _peer: SocketAddr) -> Reply {
        Reply::json(StatusCode::BAD_REQUEST, &"unreadable".into())
    }

    fn streams(&self, head: &Request) -> bool {
        head.path == "/stream"
    }

    async fn answer_stream(&self, _: SocketAddr, _: Request, mut body: Arriving) -> Streamed {
        let mut read = 0;
        let end = loop {
            match body.next().await {
                Ok(Some(piece)) => read += piece.len(),
                Ok(None) => break "whole",
                Err(Gone::Incomplete) => break "incomplete",
                Err(Gone::Stopping) => break "stopping",
            }
        };
        let told = serde_json::json!({"read": read, "end": end});
        Reply::json(StatusCode::OK, &told).into()
    }

    async fn answer_mqtt<T>(&self, stream: T, link: &Link)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let mut connection = Box::new(Connection::new(stream, link));
        while let Ok(event) = connection.next().await {
            match event {
                Event::Connect(_) => connection.accept(1024, false),
                Event::Message(message) => {
                    assert_ne!(&*message.topic, "panic", "asked to");
                    connection.session().publish(
                        "size".to_owned(),
                        message.payload,
                        Delivery::AtMostOnce,
                    );
                }
                _ => break,
            }
        }
        connection.close().await;
    }

    fn refuse_websocket(&self, _peer: SocketAddr, _head: &Request, _error: &Error) -> Reply {
        Reply::json(StatusCode::BAD_REQUEST, &"no websocket".into())
    }

    async fn answer(
        &self,
        _peer: SocketAddr,
        _chain: Chain,
        request: Request,
        unread: Option<Unread>,
    ) -> Reply {
        assert_ne!(request.path, "/panic", "asked to");
        if request.path == "/long" {
            return Reply::json(StatusCode::OK, &"x".repeat(1 << 20).into());
        }
        Reply::json(
            StatusCode::OK,
            &serde_json::json!({"read": request.body.len(), "unread": format!("{unread:?}")}),
        )
    }
}

fn limits() -> Limits {
    Limits {
        body: Duration::from_millis(200),
        ..Limits::default()
    }
}

#[tokio::test]
async fn a_panic_ends_its_own_connection_only() {
    let door = Door::open(Arc::new(Fragile), limits()).await;
    let mut bystander = door.connect().await;
    assert_eq!(
        bystander
            .ask("GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .status,
        200
    );
    let mut victim = door.connect().await;
    let told = victim.ask("GET /panic HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(told.status, 0, "closed without an answer");
    assert_eq!(
        bystander
            .ask("GET /b HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .status,
        200
    );
    assert_eq!(
        door.ask("GET /c HTTP/1.1\r\nHost: x\r\n\r\n").await.status,
        200
    );
    assert!(
        door.settles_at(1).await,
        "the slots of ended connections are free again"
    );
}

#[tokio::test]
async fn bodies_that_are_too_large_or_never_end_are_given_up() {
    let door = Door::open(Arc::new(Fragile), limits()).await;
    let head = "POST /a HTTP/1.1\r\nHost: x\r\n";
    for (rest, unread) in [
        ("Content-Length: 1025\r\n\r\n", "Some(TooLarge(1024))"),
        (
            "Content-Length: 99999999999\r\n\r\n",
            "Some(TooLarge(1024))",
        ),
        ("Content-Length: 10\r\n\r\nhalf", "Some(Incomplete)"),
        (
            "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
            "Some(Incomplete)",
        ),
        (
            "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
            "Some(Incomplete)",
        ),
        ("Host: y\r\nContent-Length: 0\r\n\r\n", "Some(Host)"),
    ] {
        let told = door.ask(&format!("{head}{rest}")).await;
        assert_eq!(told.json["unread"], unread, "{rest}");
        assert_eq!(told.header("connection"), Some("close"), "{rest}");
    }
    let chunked = "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nTrailer: x\r\n\r\n";
    assert_eq!(door.ask(&format!("{head}{chunked}")).await.json["read"], 2);
    assert_eq!(
        door.ask("GET /a HTTP/1.1\r\n\r\n").await.json["unread"],
        "Some(Host)"
    );
    assert_eq!(
        door.ask("GET /a HTTP/1.0\r\n\r\n").await.json["unread"],
        "None"
    );
}

#[tokio::test]
async fn a_head_that_never_ends_and_a_silent_peer_lose_their_connection() {
    let impatient = Limits {
        idle: Duration::from_secs(1),
        ..limits()
    };
    let door = Door::open(Arc::new(Fragile), impatient).await;
    for sent in ["", "GET /a HTTP/1.1\r\nHost: x\r\nX: "] {
        let told = door.ask(sent).await;
        assert!(matches!(told.status, 0 | 408), "{told:?}");
    }
    assert_eq!(
        door.ask("GET /a HTTP/1.1\r\nHost: x\r\n\r\n").await.status,
        200
    );
}

#[tokio::test]
async fn a_peer_that_never_reads_is_cut_off() {
    let door = Door::open(Arc::new(Fragile), limits()).await;
    let mut peer = door.connect().await;
    let sent = peer
        .write_until_refused("GET /long HTTP/1.1\r\nHost: x\r\n\r\n")
        .await;
    assert!(door.settles_at(0).await, "open after {sent} requests");
    assert_eq!(
        door.ask("GET /a HTTP/1.1\r\nHost: x\r\n\r\n").await.status,
        200
    );
}

#[tokio::test]
async fn who_finds_no_room_and_who_never_begins_is_counted() {
    let narrow = Limits {
        connections: 1,
        handshake: Duration::from_millis(100),
        ..limits()
    };
    let door = Door::open(Arc::new(Fragile), narrow).await;
    let inside = door.connect().await;
    assert_eq!(door.ask_plainly(b"").await, b"");
    let counts = door.counts();
    assert_eq!((counts.accepted.value(), counts.refused.value()), (1, 1));
    drop(inside);
    assert!(door.settles_at(0).await);
    assert_eq!(door.ask_plainly(b"").await, b"");
    assert_eq!((counts.accepted.value(), counts.refused.value()), (2, 1));
    assert_eq!(counts.failed.value((NoHandshake::Timeout,)), 1);
}

#[tokio::test]
async fn plain_http_on_the_tls_port_is_told_so() {
    let door = Door::open(Arc::new(Fragile), limits()).await;
    let told = door.ask_plainly(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(told.starts_with(b"HTTP/1.1 400 "), "{told:?}");
    let text = String::from_utf8(told).expect("text");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
    assert!(body.ends_with("use an https URL.\n"), "{text}");
    let length = format!("content-length: {}\r\n", body.len());
    assert!(format!("{head}\r\n").contains(&length), "{text}");
    let told = door.ask_plainly(b"\x00\x01garbage").await;
    assert!(!told.starts_with(b"HTTP"), "{told:?}");
    assert_eq!(
        door.ask("GET /a HTTP/1.1\r\nHost: x\r\n\r\n").await.status,
        200
    );
}

/// The body of a refusal names the attempt as its header does.
fn typed(told: &Told) -> u64 {
    assert_eq!(
        told.json["trackingId"].as_str(),
        told.header("x-ms-request-id"),
        "{told:?}"
    );
    told.json["errorCode"].as_u64().expect("an error number")
}

#[tokio::test]
async fn every_face_refuses_a_wrong_method_by_naming_the_right_ones() {
    let dev = Dev::start().await;
    let (service, hub, control) = dev.credentials();
    let reg = format!("/{}/registrations/d", dev.id_scope());
    for (path, credential, allow) in [
        (format!("{reg}/register"), "", "PUT"),
        (format!("{reg}/operations/o"), "", "GET"),
        (reg.clone(), "", "POST"),
        ("/enrollments/d".to_owned(), &*service, "GET, PUT, DELETE"),
        ("/devices/d".to_owned(), &*hub, "GET, PUT, DELETE"),
        ("/twins/d".to_owned(), &*hub, "GET, PATCH, PUT"),
        ("/landfall/services".to_owned(), &*control, "GET, POST"),
    ] {
        let told = dev
            .ask(
                "OPTIONS",
                &format!("{path}?api-version=2021-06-01"),
                credential,
                "",
            )
            .await;
        assert_eq!(
            (told.status, told.header("allow")),
            (405, Some(allow)),
            "{path}"
        );
        assert!(told.header("x-ms-request-id").is_some());
    }
}

#[tokio::test]
async fn large_bodies_are_read_from_proven_operators_only() {
    let dev = Dev::start().await;
    let (service, hub, _) = dev.credentials();
    let large = format!("[{}]", " ".repeat(200 * 1024));
    for (path, credential) in [("/enrollments", &service), ("/devices", &hub)] {
        let path = format!("{path}?api-version=2021-10-01");
        let stranger = dev.ask("POST", &path, "", &large).await;
        assert_eq!(stranger.status, 401, "{stranger:?}");
        let forged = credential.replace("sig=", "sig=A");
        assert_eq!(dev.ask("POST", &path, &forged, &large).await.status, 401);
        let told = dev.ask("POST", &path, credential, &large).await;
        assert!(matches!(told.status, 200 | 400), "{told:?}");
    }
    let register = format!(
        "/{}/registrations/d/register?api-version=2021-06-01",
        dev.id_scope()
    );
    let told = dev.ask("PUT", &register, "", &large).await;
    assert_eq!((told.status, typed(&told)), (413, 413_001));
    let told = dev.ask("PUT", &register, "", "{}").await;
    assert_eq!(
        (told.status, typed(&told)),
        (401, 401_002),
        "and the server lives on"
    );
}

#[tokio::test]
async fn heads_that_cannot_be_read_are_refused_like_everything_else() {
    let dev = Dev::start().await;
    for (line, headers) in [
        ("GET /", ""),
        ("GET / HTTP/1.1", "Bad Name: x\r\n"),
        (
            "GET / HTTP/1.1",
            "Content-Length: 1\r\nContent-Length: 2\r\n",
        ),
        ("PUT / HTTP/1.1", "Content-Length: -1\r\n"),
        ("GET / HTTP/1.1", &*"X: y\r\n".repeat(300)),
        (
            "GET / HTTP/1.1",
            &*format!("X: {}\r\n", "y".repeat(300_000)),
        ),
    ] {
        let told = dev
            .tell(&format!("{line}\r\nHost: x\r\n{headers}\r\n"))
            .await;
        assert_eq!(
            (told.status, typed(&told)),
            (400, 400_000),
            "{line} {headers:.20}"
        );
        assert_eq!(told.header("connection"), Some("close"));
    }
}
