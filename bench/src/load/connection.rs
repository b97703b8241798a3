//! One TLS connection with as much HTTP/1.1 as a client needs that knows its server, and what carries MQTT.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::packet::Packet;
use super::websocket;
use crate::identity::NAME;

/// The largest answer that is read.
const LARGEST: usize = 64 * 1024;

/// An open connection.
pub(super) struct Connection {
    stream: TlsStream<TcpStream>,
    received: Vec<u8>,
    /// What came in frames that are not whole yet, of a connection that is a WebSocket.
    framed: Option<Vec<u8>>,
    /// Which of the peers speaks by it, of those that go on and on.
    pub(super) peer: usize,
}

/// An answer, as far as it matters here.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: String,
}

impl Connection {
    /// Connects, and finishes the handshake.
    pub(super) async fn open(at: SocketAddr, settings: Arc<ClientConfig>) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(at).await.context("cannot connect")?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from(NAME)?;
        let stream = TlsConnector::from(settings).connect(name, stream).await;
        Ok(Connection {
            stream: stream.context("no TLS session")?,
            received: Vec::new(),
            framed: None,
            peer: 0,
        })
    }

    /// Makes a WebSocket of it, which carries MQTT.
    pub(super) async fn open_websocket(&mut self) -> anyhow::Result<()> {
        let opening = websocket::OPENING.as_bytes();
        self.stream.write_all(opening).await.context("not sent")?;
        while !self.received.ends_with(b"\r\n\r\n") {
            self.read().await?;
        }
        let answer = String::from_utf8_lossy(&self.received);
        let agreed = answer.starts_with("HTTP/1.1 101 ");
        ensure!(
            agreed,
            "no WebSocket: {}",
            answer.lines().next().unwrap_or_default()
        );
        self.received.clear();
        self.framed = Some(Vec::new());
        Ok(())
    }

    /// Sends a packet.
    pub(super) async fn send(&mut self, packet: &[u8]) -> anyhow::Result<()> {
        let sent = match &self.framed {
            Some(_) => self.stream.write_all(&websocket::frame(packet)).await,
            None => self.stream.write_all(packet).await,
        };
        sent.context("not sent")
    }

    /// The next packet that comes.
    pub(super) async fn packet(&mut self) -> anyhow::Result<Packet> {
        loop {
            if let Some(packet) = Packet::take(&mut self.received) {
                return Ok(packet);
            }
            ensure!(self.received.len() < LARGEST, "the packet is too long");
            self.read().await?;
        }
    }

    /// Reads what there is, or waits for some.
    async fn read(&mut self) -> anyhow::Result<()> {
        let into = self.framed.as_mut().unwrap_or(&mut self.received);
        let read = self.stream.read_buf(into).await?;
        ensure!(read > 0, "the connection ended before the answer");
        if let Some(framed) = &mut self.framed {
            websocket::unframe(framed, &mut self.received)?;
        }
        Ok(())
    }

    /// Gives back the memory of buffers: the connection will be silent.
    pub(super) fn rest(&mut self) {
        self.received = Vec::new();
        self.framed = self.framed.take().map(|_| Vec::new());
    }

    /// Waits for the one byte that some servers say.
    pub(super) async fn byte(&mut self) -> anyhow::Result<()> {
        self.stream.read_u8().await.context("no byte")?;
        Ok(())
    }

    /// Sends a request and reads its answer.
    pub(super) async fn exchange(&mut self, request: &[u8]) -> anyhow::Result<Answer> {
        self.stream.write_all(request).await.context("not sent")?;
        self.received.clear();
        loop {
            if let Some((answer, length)) = whole(&self.received)? {
                ensure!(
                    length == self.received.len(),
                    "more came than was asked for"
                );
                return Ok(answer);
            }
            ensure!(self.received.len() < LARGEST, "the answer is too long");
            self.read().await?;
        }
    }

    /// Ends the connection, and waits until the server has ended it too: then it has seen all of it.
    pub(super) async fn close(&mut self) -> anyhow::Result<()> {
        self.stream.shutdown().await.context("not closed")?;
        let mut rest = [0; 64];
        // A server that cuts the connection is done with it as well.
        while self.stream.read(&mut rest).await.is_ok_and(|read| read > 0) {}
        Ok(())
    }
}

/// The answer and its length, once it is there whole.
fn whole(received: &[u8]) -> anyhow::Result<Option<(Answer, usize)>> {
    let Some(end) = received.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = std::str::from_utf8(received.get(..end).unwrap_or_default())?;
    let status = head.split(' ').nth(1).context("no status")?.parse()?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse::<usize>())
    });
    let Some(length) = length.transpose()? else {
        bail!("an answer without content-length");
    };
    let body = received.get(end + 4..).unwrap_or_default();
    match body.get(..length) {
        Some(body) => {
            let body = std::str::from_utf8(body)?.to_owned();
            Ok(Some((Answer { status, body }, end + 4 + length)))
        }
        None => Ok(None),
    }
}
