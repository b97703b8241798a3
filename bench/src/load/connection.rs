//! One TLS connection with as much HTTP/1.1 as a client needs that knows its server.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::identity::NAME;

/// The largest answer that is read.
const LARGEST: usize = 64 * 1024;

/// An open connection.
pub(super) struct Connection {
    stream: TlsStream<TcpStream>,
    received: Vec<u8>,
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
        })
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
            let read = self.stream.read_buf(&mut self.received).await?;
            ensure!(read > 0, "the connection ended before the answer");
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
