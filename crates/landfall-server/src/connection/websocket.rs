//! A WebSocket as the stream of bytes that it carries: MQTT, which does not care for its messages.
//!
//! Both ends are here: what a server agrees on, and what a client asks for.
//!
//! Source: docs/protocol/device-api.md §3.5: a packet may span frames, and a frame may hold several.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf as _, Bytes};
use futures_core::Stream as _;
use futures_sink::Sink as _;
use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use landfall_core::error::Error;
use landfall_wire::message::{Reply, Request};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error as Fault, Message};

/// What the key of a handshake is hashed with (RFC 6455 §1.3).
const MARK: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// The one version there is.
const VERSION: &str = "13";
/// What is carried here.
const MQTT: &str = "mqtt";
/// Buffers of a connection, in bytes: what idles shall cost little.
const BUFFER: usize = 512;
/// Largest message, in bytes. Clients send a packet in one; a larger one is a packet that MQTT refuses too.
const LARGEST_MESSAGE: usize = 512 * 1024;

/// Whether the request asks to leave HTTP for a WebSocket.
pub fn is_asked(head: &Request) -> bool {
    head.header("upgrade")
        .is_some_and(|upgrade| upgrade.eq_ignore_ascii_case("websocket"))
}

/// Agrees on a WebSocket that carries MQTT, on whatever path. The subprotocol is repeated as it was spelt:
/// one client asks for it in capitals and compares.
///
/// # Errors
/// What the request lacks.
pub fn agree(head: &Request) -> Result<Reply, Error> {
    let lacks = |what: &str| Err(Error::Unreadable(what.to_owned()));
    if head.method != http::Method::GET {
        return Err(Error::MethodNotAllowed);
    }
    if head.header("sec-websocket-version").map(str::trim) != Some(VERSION) {
        return lacks("A WebSocket is opened with Sec-WebSocket-Version: 13.");
    }
    let Some(key) = head.header("sec-websocket-key").map(str::trim) else {
        return lacks("A WebSocket is opened with a Sec-WebSocket-Key.");
    };
    let offered = head.headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    let mut offered = offered
        .filter_map(|offered| offered.to_str().ok())
        .flat_map(|offered| offered.split(','));
    let Some(protocol) = offered.find(|offered| offered.trim().eq_ignore_ascii_case(MQTT)) else {
        return lacks(
            "The WebSockets of this server carry MQTT: send Sec-WebSocket-Protocol: mqtt.",
        );
    };
    let mut headers = HeaderMap::new();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    for (name, value) in [
        (SEC_WEBSOCKET_ACCEPT, accept(key).as_str()),
        (SEC_WEBSOCKET_PROTOCOL, protocol.trim()),
    ] {
        headers.insert(
            name,
            HeaderValue::from_str(value)
                .map_err(|_| Error::Unreadable("The subprotocol is none.".to_owned()))?,
        );
    }
    Ok(Reply {
        status: StatusCode::SWITCHING_PROTOCOLS,
        headers,
        body: Vec::new(),
    })
}

/// Path that clients of the cloud service open.
const PATH: &str = "/$iothub/websocket";

/// Asks for a WebSocket that carries MQTT, with a `key` that was drawn for it alone.
pub fn ask(key: &[u8; 16]) -> Request {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        (CONNECTION, HeaderValue::from_static("Upgrade")),
        (UPGRADE, HeaderValue::from_static("websocket")),
        (SEC_WEBSOCKET_VERSION, HeaderValue::from_static(VERSION)),
        (SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(MQTT)),
    ] {
        headers.insert(name, value);
    }
    if let Ok(key) = HeaderValue::from_str(&STANDARD.encode(key)) {
        headers.insert(SEC_WEBSOCKET_KEY, key);
    }
    Request {
        method: http::Method::GET,
        path: PATH.to_owned(),
        query: None,
        headers,
        body: Vec::new(),
    }
}

/// Whether a server agreed to what was asked with `key`; that its status is 101 is seen already.
pub fn is_agreed(key: &[u8; 16], headers: &HeaderMap) -> bool {
    let is = |name: http::HeaderName, wanted: &str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.is_some_and(|value| value.trim().eq_ignore_ascii_case(wanted))
    };
    // The proof is one of letter and case.
    let proof = accept(&STANDARD.encode(key));
    is(UPGRADE, "websocket")
        && is(SEC_WEBSOCKET_PROTOCOL, MQTT)
        && headers
            .get(SEC_WEBSOCKET_ACCEPT)
            .is_some_and(|seen| seen.as_bytes() == proof.as_bytes())
}

/// Proves that the key was read (RFC 6455 §4.2.2).
fn accept(key: &str) -> String {
    let mut hash = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY);
    hash.update(key.as_bytes());
    hash.update(MARK);
    STANDARD.encode(hash.finish())
}

/// The bytes that a WebSocket carries.
pub struct Carried<S> {
    socket: WebSocketStream<S>,
    /// What of the last message was not read yet.
    rest: Bytes,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Carried<S> {
    /// Takes over a stream on which this end, a server, agreed on a WebSocket.
    pub async fn new(stream: S) -> Self {
        Self::of(stream, Role::Server).await
    }

    /// Takes over a stream on which a server agreed on a WebSocket with this end.
    pub async fn asked(stream: S) -> Self {
        Self::of(stream, Role::Client).await
    }

    async fn of(stream: S, role: Role) -> Self {
        let bounds = WebSocketConfig::default()
            .read_buffer_size(BUFFER)
            .write_buffer_size(0)
            .max_write_buffer_size(2 * LARGEST_MESSAGE)
            .max_message_size(Some(LARGEST_MESSAGE))
            .max_frame_size(Some(LARGEST_MESSAGE));
        Carried {
            socket: WebSocketStream::from_raw_socket(stream, role, Some(bounds)).await,
            rest: Bytes::new(),
        }
    }
}

/// A WebSocket's fault as one of a stream.
fn failed(fault: Fault) -> io::Error {
    match fault {
        Fault::Io(error) => error,
        other => io::Error::new(io::ErrorKind::InvalidData, other.to_string()),
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Carried<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.rest.is_empty() {
            let next = ready!(Pin::new(&mut self.socket).poll_next(context));
            match next {
                Some(Ok(Message::Binary(bytes))) => self.rest = bytes,
                Some(Ok(Message::Text(_))) => {
                    return Poll::Ready(Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        "the WebSocket carries text, MQTT is bytes",
                    )));
                }
                // Pings are answered by the library.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(
                    Ok(Message::Close(_)) | Err(Fault::ConnectionClosed | Fault::AlreadyClosed),
                )
                | None => {
                    return Poll::Ready(Ok(()));
                }
                Some(Err(fault)) => return Poll::Ready(Err(failed(fault))),
            }
        }
        let length = self.rest.len().min(buffer.remaining());
        buffer.put_slice(self.rest.get(..length).unwrap_or_default());
        self.rest.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Carried<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(Pin::new(&mut self.socket).poll_ready(context)).map_err(failed)?;
        let length = bytes.len().min(LARGEST_MESSAGE);
        let message = bytes.get(..length).unwrap_or_default();
        let message = Message::Binary(Bytes::copy_from_slice(message));
        Pin::new(&mut self.socket)
            .start_send(message)
            .map_err(failed)?;
        Poll::Ready(Ok(length))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket)
            .poll_flush(context)
            .map_err(failed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match ready!(Pin::new(&mut self.socket).poll_close(context)) {
            Ok(()) | Err(Fault::ConnectionClosed | Fault::AlreadyClosed) => Poll::Ready(Ok(())),
            Err(fault) => Poll::Ready(Err(failed(fault))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    fn asked(pairs: &[(&'static str, &str)]) -> Request {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_str(value).expect("a value"));
        }
        Request {
            method: http::Method::GET,
            path: "/$iothub/websocket".to_owned(),
            query: None,
            headers,
            body: Vec::new(),
        }
    }

    const KEY: (&str, &str) = ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");

    #[test]
    fn the_subprotocol_is_repeated_as_it_was_spelt() {
        for (offered, agreed) in [
            ("mqtt", "mqtt"),
            ("MQTT", "MQTT"),
            ("amqp, Mqtt , x", "Mqtt"),
        ] {
            let head = asked(&[
                ("upgrade", "WebSocket"),
                KEY,
                ("sec-websocket-version", "13"),
                ("sec-websocket-protocol", offered),
                ("sec-websocket-extensions", "permessage-deflate"),
            ]);
            assert!(is_asked(&head));
            let reply = agree(&head).expect(offered);
            assert_eq!(reply.status, StatusCode::SWITCHING_PROTOCOLS);
            let header = |name: http::HeaderName| reply.headers.get(name).cloned();
            assert_eq!(
                header(SEC_WEBSOCKET_PROTOCOL),
                HeaderValue::from_str(agreed).ok()
            );
            // The example of RFC 6455 §1.3.
            let accepted = HeaderValue::from_static("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
            assert_eq!(header(SEC_WEBSOCKET_ACCEPT), Some(accepted));
            assert_eq!(header(http::header::SEC_WEBSOCKET_EXTENSIONS), None);
        }
    }

    #[test]
    fn a_client_takes_only_what_answers_its_own_key() {
        let (key, other) = ([7; 16], [8; 16]);
        let agreed = agree(&ask(&key)).expect("agreed").headers;
        assert!(is_agreed(&key, &agreed));
        assert!(!is_agreed(&other, &agreed));
        for name in [UPGRADE, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_ACCEPT] {
            let mut lacking = agreed.clone();
            lacking.remove(&name);
            assert!(!is_agreed(&key, &lacking), "{name}");
        }
    }

    #[test]
    fn what_is_missing_is_told() {
        let version = ("sec-websocket-version", "13");
        for (pairs, word) in [
            (vec![KEY, ("sec-websocket-protocol", "mqtt")], "Version"),
            (
                vec![
                    KEY,
                    ("sec-websocket-version", "8"),
                    ("sec-websocket-protocol", "mqtt"),
                ],
                "Version",
            ),
            (vec![version, ("sec-websocket-protocol", "mqtt")], "Key"),
            (vec![version, KEY], "Protocol"),
            (
                vec![version, KEY, ("sec-websocket-protocol", "AMQPWSB10")],
                "Protocol",
            ),
        ] {
            let told = agree(&asked(&pairs)).expect_err(word).to_string();
            assert!(told.contains(word), "{told}");
        }
        assert!(!is_asked(&asked(&[("upgrade", "h2c")])));
    }

    #[tokio::test]
    async fn bytes_pass_however_they_are_framed() {
        let (near, far) = tokio::io::duplex(64);
        let mut server = Carried::new(near).await;
        let mut client = Carried::asked(far).await;
        let sent: Vec<u8> = (0..=255).cycle().take(10_000).collect();
        let echo = async {
            let mut seen = vec![0; sent.len()];
            server.read_exact(&mut seen).await.expect("all of it");
            for part in seen.chunks(999) {
                server.write_all(part).await.expect("written");
            }
            server.flush().await.expect("flushed");
            server.shutdown().await.expect("closed");
        };
        let ask = async {
            for part in sent.chunks(7) {
                client.write_all(part).await.expect("written");
            }
            client.flush().await.expect("flushed");
            let mut back = Vec::new();
            client.read_to_end(&mut back).await.expect("to the end");
            back
        };
        let ((), back) = tokio::join!(echo, ask);
        assert!(back == sent);
    }

    #[tokio::test]
    async fn text_is_no_mqtt() {
        let (near, far) = tokio::io::duplex(64);
        let mut server = Carried::new(near).await;
        let mut client = WebSocketStream::from_raw_socket(far, Role::Client, None).await;
        let text = Message::Text("hello".into());
        std::future::poll_fn(|context| Pin::new(&mut client).poll_ready(context))
            .await
            .expect("ready");
        Pin::new(&mut client).start_send(text).expect("sent");
        std::future::poll_fn(|context| Pin::new(&mut client).poll_flush(context))
            .await
            .expect("flushed");
        let read = server.read(&mut [0; 8]).await;
        assert_eq!(
            read.map_err(|error| error.kind()),
            Err(io::ErrorKind::InvalidData)
        );
    }
}
