//! The exporter against a collector on this machine that takes everything, or nothing.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use http::HeaderMap;
use landfall_core::clock::Timestamp;
use landfall_core::id::TrackingId;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::stop;

/// How many spans each call brought.
type Calls = Arc<Mutex<Vec<usize>>>;

async fn answer_all(stream: TcpStream, status: &str, calls: Calls) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            let line = line.trim().to_ascii_lowercase();
            if let Some(told) = line.strip_prefix("content-length:") {
                length = told.trim().parse().expect("a length");
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        let body = String::from_utf8(body).expect("a text");
        let spans = body.matches("spanId").count();
        calls.lock().expect("whole").push(spans);
        let reply = format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\n{{}}");
        stream.write_all(reply.as_bytes()).await?;
    }
}

async fn exporter(status: &'static str) -> (Spans, Exporter, Calls) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let listener = listener.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let calls = Calls::default();
    let told = Arc::clone(&calls);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer_all(stream, status, Arc::clone(&told)));
        }
    });
    let (spans, exporter) = Exporter::new(Collector {
        secure: false,
        host: "127.0.0.1".to_owned(),
        port,
        path: "/v1/traces".to_owned(),
        headers: HeaderMap::new(),
        ca_file: None,
        service_name: "dps".to_owned(),
    })
    .expect("an exporter");
    (spans, exporter, calls)
}

fn offer(spans: &Spans, many: usize) {
    let tracking_id = TrackingId::parse("ada7d102-449e-4031-a1e7-e60ac75804ea").expect("an id");
    for _ in 0..many {
        spans.offer(|| Span {
            tracking_id: tracking_id.clone(),
            name: "register".to_owned(),
            started: Timestamp::from_unix_seconds(1),
            lasted: Duration::from_millis(2),
            attributes: Vec::new(),
            status: 202,
            stages: Vec::new(),
        });
    }
}

#[tokio::test]
async fn a_collector_that_keeps_up_is_sent_full_calls_without_a_pause() {
    let (spans, mut exporter, calls) = exporter("200 OK").await;
    offer(&spans, 2 * BATCH + 1);
    let mut batch = Vec::new();
    let mut pauses = Vec::new();
    for _ in 0..3 {
        pauses.push(exporter.next(&mut batch).await);
    }
    assert_eq!(pauses, [Duration::ZERO, Duration::ZERO, GATHER]);
    assert_eq!(*calls.lock().expect("whole"), [BATCH, BATCH, 1]);
}

#[tokio::test]
async fn a_stop_sends_all_that_is_left() {
    let (spans, exporter, calls) = exporter("200 OK").await;
    offer(&spans, 2 * BATCH + 1);
    let (stopper, stop) = stop::channel();
    stopper.stop();
    exporter.run(stop).await;
    let sent: usize = calls.lock().expect("whole").iter().sum();
    assert_eq!(sent, 2 * BATCH + 1);
}

#[tokio::test]
async fn a_collector_that_refuses_is_told_of_once_and_no_span_forgotten() {
    let (spans, mut exporter, calls) = exporter("401 Unauthorized").await;
    let mut batch = Vec::new();
    for many in [3, 4, 5] {
        offer(&spans, many);
        assert_eq!(exporter.next(&mut batch).await, GATHER);
        assert!(batch.is_empty(), "refused spans are not sent again");
    }
    assert_eq!(*calls.lock().expect("whole"), [3, 4, 5]);
    assert_eq!(
        exporter.refused.over(),
        Some(9),
        "told of the first call only"
    );
}
