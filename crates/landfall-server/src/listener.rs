//! Accepts connections: TCP limits, TLS with whatever client certificate; then HTTP/1.1 or, by the first
//! byte, MQTT. Turns each HTTP request into a value, asks the [`Faces`] for its reply, and writes that;
//! hands over what speaks MQTT, straight or in a WebSocket. Decides nothing else.

mod limits;
mod plain;
mod stalled;
mod streaming;
mod unheaded;

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::{TokioIo, TokioTimer};
use landfall_core::certificate::{Certificate, CertificateError};
use landfall_core::error::Error;
use landfall_wire::message::{Reply, Request};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use limits::Slot;
pub use limits::{Limits, OTHER_FILES, Slots, most_open_files};
use stalled::Stalling;
use streaming::Outgoing;
pub use streaming::{Arriving, Gone, Streamed};
use unheaded::Exchanging;

use crate::connection::Link;
use crate::connection::websocket::{self, Carried};
use crate::metrics::label::{NoHandshake, Protocol};
use crate::stop::Stop;
use crate::time::{self, Stopwatch};
use crate::tls::peer_chain;

/// The chain of a TLS session, leaf first, as it was sent.
pub type Chain = Arc<[Result<Certificate, CertificateError>]>;

/// Why a request could not be read whole. The faces give it their own form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unread {
    /// The body is larger than the limit for its path, in bytes.
    TooLarge(usize),
    /// The body did not arrive in time, or broke off.
    Incomplete,
    /// No host is named, or more than one.
    Host,
}

/// What answers requests: all faces of the server.
pub trait Faces: Send + Sync + 'static {
    /// The largest body to read for this request, in bytes. Its head is there, its body is not:
    /// whoever proves nothing need not be given much room.
    fn body_limit(&self, head: &Request) -> impl Future<Output = usize> + Send;

    /// The refusal of a request whose head could not be read; the connection ends after it.
    fn unreadable_head(&self, peer: SocketAddr) -> Reply;

    /// Whether the body of this request is handed on while it arrives, rather than as a whole.
    fn streams(&self, head: &Request) -> bool;

    /// Answers one request whose body comes piece by piece; that of `head` is empty.
    fn answer_stream(
        &self,
        peer: SocketAddr,
        head: Request,
        body: Arriving,
    ) -> impl Future<Output = Streamed> + Send;

    /// Talks MQTT with a peer, to the end of the connection.
    fn answer_mqtt<T>(&self, stream: T, link: &Link) -> impl Future<Output = ()> + Send
    where
        T: AsyncRead + AsyncWrite + Unpin + Send;

    /// What an attempt to open a WebSocket is answered that does not open one.
    fn refuse_websocket(&self, peer: SocketAddr, head: &Request, error: &Error) -> Reply;

    /// Answers one request. `unread` says that the body could not be read; the request's is empty.
    fn answer(
        &self,
        peer: SocketAddr,
        chain: Chain,
        request: Request,
        unread: Option<Unread>,
    ) -> impl Future<Output = Reply> + Send;
}

/// Accepts on `listener` until `stop` says true, then lets running requests end within `limits.drain`.
pub async fn serve<F: Faces>(
    listener: TcpListener,
    tls: TlsAcceptor,
    faces: Arc<F>,
    slots: Slots,
    mut stop: Stop,
) {
    // Every connection holds a sender; the receiver ends when the last one is gone.
    let (open, mut idle) = tokio::sync::mpsc::channel::<Infallible>(1);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.given() => break,
        };
        let (stream, peer) = match accepted {
            // An IPv4 client of an IPv6 socket is an IPv4 client.
            Ok((stream, peer)) => (
                stream,
                SocketAddr::new(peer.ip().to_canonical(), peer.port()),
            ),
            Err(error) => {
                // Out of file descriptors, most likely: others close theirs meanwhile.
                tracing::warn!(%error, "a connection could not be accepted");
                slots.counts().failures.count();
                time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Some(slot) = slots.take(peer.ip()) else {
            tracing::debug!(%peer, "connection refused: too many are open");
            slots.counts().refused.count();
            continue;
        };
        slots.counts().accepted.count();
        let (tls, faces, stop) = (tls.clone(), Arc::clone(&faces), stop.clone());
        let open = open.clone();
        tokio::spawn(async move {
            connection(stream, peer, tls, faces, &slot, stop).await;
            drop((slot, open));
        });
    }
    drop((listener, open));
    if time::timeout(slots.limits().drain, idle.recv())
        .await
        .is_err()
    {
        tracing::warn!("connections were still busy at the end and are cut");
    }
}

async fn connection<F: Faces>(
    stream: TcpStream,
    peer: SocketAddr,
    tls: TlsAcceptor,
    faces: Arc<F>,
    slot: &Slot,
    mut stop: Stop,
) {
    let (limits, counts) = (slot.limits(), slot.counts());
    // Each part of a connection's life lies in memory of its own while it lasts: what waits for years holds
    // nothing of what came before it, nor of what it is not.
    let Some(mut stream) = Box::pin(handshake(stream, peer, tls, slot)).await else {
        return;
    };
    let chain: Chain = peer_chain(stream.get_ref().1, slot.issuers()).into();
    let link = Link {
        peer,
        chain,
        protocol: Protocol::Mqtt,
        patience: limits.handshake,
        stop: stop.clone(),
    };
    match first_byte(&mut stream, limits.idle, &mut stop).await {
        Some(first) if begins_http(first) => {
            let speaking = counts.speaks(Protocol::Https);
            let conversed = converse(stream, Arc::clone(&faces), link.clone(), limits, stop);
            let upgraded = Box::pin(conversed).await;
            drop(speaking);
            if let Some(stream) = upgraded {
                let protocol = Protocol::MqttWs;
                let link = Link { protocol, ..link };
                let _speaking = counts.speaks(protocol);
                Box::pin(faces.answer_mqtt(stream, &link)).await;
            }
        }
        Some(_) => {
            let _speaking = counts.speaks(Protocol::Mqtt);
            Box::pin(faces.answer_mqtt(stream, &link)).await;
        }
        None => {
            let _ = stream.shutdown().await;
        }
    }
}

/// Whether a request of HTTP may begin so: with a method, or the empty line that some clients send before
/// one. A CONNECT of MQTT begins with 0x10, and what else begins otherwise is ended there without a word.
fn begins_http(first: u8) -> bool {
    first.is_ascii_alphabetic() || matches!(first, b'\r' | b'\n')
}

/// The first byte that the peer sends, which stays to be read; `None` when none comes.
async fn first_byte<S>(stream: &mut S, within: Duration, stop: &mut Stop) -> Option<u8>
where
    S: AsyncBufRead + Unpin,
{
    let first = async { stream.fill_buf().await.ok()?.first().copied() };
    tokio::select! {
        first = time::timeout(within, first) => first.ok().flatten(),
        () = stop.given() => None,
    }
}

/// Answers HTTP requests, until the connection ends, or leaves HTTP for a WebSocket, which is given.
async fn converse<F: Faces>(
    stream: Box<TlsStream<Stalling<TcpStream>>>,
    faces: Arc<F>,
    link: Link,
    limits: Limits,
    mut stop: Stop,
) -> Option<Carried<TokioIo<Upgraded>>> {
    let peer = link.peer;
    // What follows the answer by which the connection leaves HTTP.
    let upgraded: Arc<OnceLock<OnUpgrade>> = Arc::default();
    let service = service_fn(|mut request: hyper::Request<Incoming>| {
        let (faces, link, upgraded) = (Arc::clone(&faces), link.clone(), Arc::clone(&upgraded));
        async move {
            Ok::<_, Infallible>(if request.headers().contains_key(http::header::UPGRADE) {
                let on_upgrade = hyper::upgrade::on(&mut request);
                let response = upgrade(&*faces, &link, request, limits).await;
                if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                    let _ = upgraded.set(on_upgrade);
                }
                response
            } else {
                exchange(&*faces, &link, request, limits).await
            })
        }
    });
    let stream = {
        let faces = Arc::clone(&faces);
        Exchanging::new(stream, move || faces.unreadable_head(peer))
    };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.idle)
        .max_buf_size(limits.head)
        // Whole replies in one piece, so that a refusal of the library's own can be told.
        .writev(false)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.given() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "connection ended early");
    }
    let upgraded = Arc::into_inner(upgraded).and_then(OnceLock::into_inner);
    let stream = upgraded?.await.ok()?;
    Some(Carried::new(TokioIo::new(stream)).await)
}

/// Finishes TLS within the limit; says in the log and counts why there is none.
async fn handshake(
    stream: TcpStream,
    peer: SocketAddr,
    tls: TlsAcceptor,
    slot: &Slot,
) -> Option<Box<TlsStream<Stalling<TcpStream>>>> {
    let (limits, counts) = (slot.limits(), slot.counts());
    // Without it a TLS 1.3 answer waits for the client's delayed acknowledgement.
    let _ = stream.set_nodelay(true);
    let watch = Stopwatch::start();
    let handshake = async {
        let mut stream = stream;
        if plain::turned_away(&mut stream).await? {
            return Ok(None);
        }
        tls.accept(Stalling::new(stream, limits.body))
            .await
            .map(Some)
    };
    match time::timeout(limits.handshake, handshake).await {
        Ok(Ok(Some(stream))) => {
            counts.shook(stream.get_ref().1, watch.elapsed());
            return Some(Box::new(stream));
        }
        Ok(Ok(None)) => {
            tracing::info!(%peer, "plain HTTP on the TLS port: the client must say https://");
            counts.failed.count((NoHandshake::Plain,));
        }
        Ok(Err(error)) => {
            tracing::info!(%peer, %error, "TLS handshake failed");
            counts.broke(&error);
        }
        Err(_) => {
            tracing::info!(%peer, "TLS handshake did not end in time");
            counts.failed.count((NoHandshake::Timeout,));
        }
    }
    None
}

/// Answers a request that wants to leave HTTP: by a WebSocket, or as one that does not, when it asks for
/// something that this server does not speak.
async fn upgrade<F: Faces>(
    faces: &F,
    link: &Link,
    request: hyper::Request<Incoming>,
    limits: Limits,
) -> hyper::Response<Outgoing> {
    let head = Request {
        method: request.method().clone(),
        path: request.uri().path().to_owned(),
        query: request.uri().query().map(str::to_owned),
        headers: request.headers().clone(),
        body: Vec::new(),
    };
    if !websocket::is_asked(&head) {
        return exchange(faces, link, request, limits).await;
    }
    let reply = websocket::agree(&head)
        .unwrap_or_else(|error| faces.refuse_websocket(link.peer, &head, &error));
    respond(reply.into(), &head.host(), false)
}

async fn exchange<F: Faces>(
    faces: &F,
    link: &Link,
    request: hyper::Request<Incoming>,
    limits: Limits,
) -> hyper::Response<Outgoing> {
    let peer = link.peer;
    let (head, body) = request.into_parts();
    let mut headers = head.headers;
    // An absolute-form target names the host that was asked for (RFC 9112 §3.2.2).
    if let Some(host) = head
        .uri
        .authority()
        .and_then(|host| HeaderValue::from_str(host.as_str()).ok())
    {
        headers.insert(http::header::HOST, host);
    }
    let hosts = headers.get_all(http::header::HOST).iter().count();
    let host_is_clear = hosts == 1 || (hosts == 0 && head.version < http::Version::HTTP_11);
    let mut request = Request {
        method: head.method,
        path: head.uri.path().to_owned(),
        query: head.uri.query().map(str::to_owned),
        headers,
        body: Vec::new(),
    };
    let host = request.host();
    if host_is_clear && faces.streams(&request) {
        let body = Arriving::new(body, limits.body, link.stop.clone());
        let streamed = faces.answer_stream(peer, request, body).await;
        // Who is refused at once may still be sending: what was not read would look like a request.
        let refused = streamed.rest.is_none();
        return respond(streamed, &host, refused);
    }
    let unread = if host_is_clear {
        let limit = faces.body_limit(&request).await;
        match read(body, limit, limits.body).await {
            Ok(body) => {
                request.body = body;
                None
            }
            Err(unread) => Some(unread),
        }
    } else {
        // Which of them is meant is a guess that a proxy may make differently (RFC 9112 §3.2).
        Some(Unread::Host)
    };
    let chain = Arc::clone(&link.chain);
    let reply = faces.answer(peer, chain, request, unread).await;
    respond(reply.into(), &host, unread.is_some())
}

async fn read(body: Incoming, limit: usize, within: Duration) -> Result<Vec<u8>, Unread> {
    // What says beforehand that it is too large is not read at all.
    if body.size_hint().lower() > u64::try_from(limit).unwrap_or(u64::MAX) {
        return Err(Unread::TooLarge(limit));
    }
    match time::timeout(within, Limited::new(body, limit).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes().into()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Unread::TooLarge(limit)),
        Ok(Err(_)) | Err(_) => Err(Unread::Incomplete),
    }
}

fn respond(streamed: Streamed, host: &str, close: bool) -> hyper::Response<Outgoing> {
    let Streamed { reply, rest } = streamed;
    let mut response = hyper::Response::new(match rest {
        Some(pieces) => Outgoing::Pieces(pieces),
        None => Outgoing::Whole(Full::new(Bytes::from(reply.body))),
    });
    *response.status_mut() = reply.status;
    *response.headers_mut() = reply.headers;
    let headers = response.headers_mut();
    if names_a_site(host) {
        headers.insert(
            http::header::STRICT_TRANSPORT_SECURITY,
            HeaderValue::from_static("max-age=31536000; includeSubDomains"),
        );
    }
    headers.insert(
        HeaderName::from_static("x-content-type-options"),
        HeaderValue::from_static("nosniff"),
    );
    if close {
        headers.insert(http::header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Whether the strict transport header may be sent for this host. Never for `localhost` or an
/// address: a browser would refuse plain HTTP there from then on, to every other program.
///
/// Source: docs/protocol/device-api.md §1.5.
fn names_a_site(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    !host.is_empty()
        && host != "localhost"
        && !host.ends_with(".localhost")
        && address.parse::<std::net::IpAddr>().is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_are_never_pinned_to_this_machine() {
        for host in ["localhost", "dps.localhost", "127.0.0.1", "[::1]", ""] {
            assert!(!names_a_site(host), "{host}");
        }
        assert!(names_a_site("dps.example.net"));
    }
}
