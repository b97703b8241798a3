//! Peers of MQTT that mean harm or know no better, straight and in a WebSocket.

use std::sync::Arc;
use std::time::Duration;

use landfall_server::listener::Limits;

use super::peer::Door;
use super::{Fragile, limits};

/// CONNECT with an empty user name, and what a server says that lets it in.
const CONNECT: &[u8] = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01d";
const ACCEPTED: &[u8] = b"\x20\x02\x00\x00";

/// A message of QoS 0.
fn message(topic: &str, payload: &[u8]) -> Vec<u8> {
    let length = 2 + topic.len() + payload.len();
    let mut bytes = vec![0x30];
    if length >= 0x80 {
        bytes.push(u8::try_from(length % 0x80).expect("seven bits") | 0x80);
        bytes.push(u8::try_from(length / 0x80).expect("seven bits"));
    } else {
        bytes.push(u8::try_from(length).expect("seven bits"));
    }
    bytes.push(0);
    bytes.push(u8::try_from(topic.len()).expect("short"));
    bytes.extend_from_slice(topic.as_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

#[tokio::test]
async fn http_and_mqtt_share_a_port_and_are_told_apart_by_the_first_byte() {
    let door = Door::open(Arc::new(Fragile), limits()).await;
    let mut device = door.connect().await;
    assert_eq!(device.exchange(CONNECT, 4).await, ACCEPTED);
    let asked = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
    assert_eq!(door.ask(asked).await.status, 200);
    let echo = message("size", b"ok");
    assert_eq!(
        device.exchange(&message("a", b"ok"), echo.len()).await,
        echo
    );
    let farewell = device.exchange(b"\xe0\x00", 1).await;
    assert!(farewell.is_empty(), "closed without a word");
    assert!(door.settles_at(0).await);
}

#[tokio::test]
async fn what_breaks_a_connection_breaks_no_other() {
    let door = Door::open(Arc::new(Fragile), limits()).await;
    let mut bystander = door.connect().await;
    assert_eq!(bystander.exchange(CONNECT, 4).await, ACCEPTED);
    let after_connect = |bytes: &[u8]| [CONNECT, bytes].concat();
    for (bytes, told) in [
        (message("early", b""), 0),
        (after_connect(CONNECT), 4),
        (after_connect(&message("panic", b"")), 0),
        (after_connect(b"\x30\xff\xff\xff\x7f"), 4),
        (after_connect(b"\x30\x04\x00\x02\xc3\x28"), 4),
        (after_connect(b"\x34\x06\x00\x01a\x00\x01x"), 4),
        (
            b"\x10\x0e\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x01d".to_vec(),
            4,
        ),
    ] {
        let seen = door.connect().await.exchange(&bytes, usize::MAX).await;
        assert_eq!(seen.len(), told, "{bytes:x?}: {seen:x?}");
    }
    let pong = bystander.exchange(b"\xc0\x00", 2).await;
    assert_eq!(pong, b"\xd0\x00");
    assert!(door.settles_at(1).await, "their slots are free again");
}

#[tokio::test]
async fn whoever_does_not_say_who_he_is_loses_the_connection() {
    let impatient = Limits {
        handshake: Duration::from_secs(1),
        ..limits()
    };
    let door = Door::open(Arc::new(Fragile), impatient).await;
    let (head, _) = CONNECT.split_at(5);
    let seen = door.connect().await.exchange(head, 1).await;
    assert!(seen.is_empty());
    assert!(door.settles_at(0).await);
}

#[tokio::test]
async fn a_device_that_never_reads_is_cut_off() {
    let door = Door::open(Arc::new(Fragile), limits()).await;
    let mut peer = door.connect().await;
    assert_eq!(peer.exchange(CONNECT, 4).await, ACCEPTED);
    let flood: Vec<u8> = (0..1000).flat_map(|_| message("a", &[b'x'; 100])).collect();
    let flood = String::from_utf8(flood).expect("its lengths are below 128, or it is no text");
    let taken = peer.write_until_refused(&flood).await;
    assert!(taken < 100, "a server that reads on buffers without bound");
    assert!(door.settles_at(0).await);
}

#[tokio::test]
async fn a_websocket_carries_mqtt_and_nothing_else() {
    let door = Door::open(Arc::new(Fragile), limits()).await;
    let head = "GET /$iothub/websocket?x=y HTTP/1.1\r\nHost: x:443\r\nOrigin: https://x\r\nConnection: Upgrade\r\n\
        Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let mut refused = door.connect().await;
    let told = refused
        .ask(&format!("{head}Sec-WebSocket-Protocol: chat\r\n\r\n"))
        .await;
    assert_eq!(told.status, 400);
    assert_eq!(
        refused
            .ask("GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .status,
        200
    );

    let mut peer = door.connect().await;
    peer.write(&format!("{head}Sec-WebSocket-Protocol: MQTT\r\n\r\n"))
        .await;
    let mut seen = Vec::new();
    while !seen.ends_with(b"\r\n\r\n") {
        seen.extend(peer.exchange(b"", 1).await);
    }
    let answer = String::from_utf8(seen).expect("a head");
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    assert!(answer.contains("sec-websocket-protocol: MQTT"), "{answer}");
    // A mask of zeros leaves the bytes as they are; the packet lies in two frames.
    let (first, second) = CONNECT.split_at(4);
    let frame = |kind: u8, bytes: &[u8]| {
        let length = u8::try_from(bytes.len()).expect("short");
        [&[0x80 | kind, 0x80 | length, 0, 0, 0, 0], bytes].concat()
    };
    let frames = [frame(2, first), frame(2, second)].concat();
    let accepted = [&[0x82, 4], ACCEPTED].concat();
    assert_eq!(peer.exchange(&frames, accepted.len()).await, accepted);
    let pong = peer.exchange(&frame(9, b"hi"), 4).await;
    assert_eq!(pong, b"\x8a\x02hi");
    let seen = peer.exchange(&frame(1, b"text"), usize::MAX).await;
    assert!(seen.len() <= 4, "closed: {seen:x?}");
    assert!(door.settles_at(1).await);
}
