//! The pump of an MQTT connection that this end opens: dials over TLS, straight or in a WebSocket, moves bytes
//! between the socket and `landfall_wire::mqtt::client`, and keeps its time. Called by `landfall device run`
//! and by what puts load on a server.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use landfall_wire::mqtt::client::{Client, Event, Introduction};
use landfall_wire::mqtt::session::Broken;
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::{ClientError, Endpoint, PATIENCE, secured, websocket};
use crate::time::{self, Stopwatch};

/// How much is read at once, in bytes. It lies on the stack: a connection that idles holds no buffer.
const READ: usize = 4096;

/// What carries the packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    /// The TLS session itself.
    Tls,
    /// A WebSocket within it.
    WebSocket,
}

/// A stream that carries packets.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Why no more events come.
#[derive(Debug, thiserror::Error)]
pub enum Ended {
    /// The server went without a word, which is how MQTT 3.1.1 ends a connection.
    #[error("the server closed the connection")]
    Gone,
    /// The server broke the protocol, or was silent for too long.
    #[error("the server broke the protocol: {0}")]
    Broken(Broken),
    /// The connection failed.
    #[error("the connection failed: {0}")]
    Failed(io::Error),
}

/// An MQTT connection to a server.
pub struct Connection {
    stream: Box<dyn Stream>,
    client: Client,
    watch: Stopwatch,
    /// Whether the stream was given bytes that it may still hold.
    is_unflushed: bool,
}

impl Connection {
    /// Dials an endpoint and introduces itself. Whether it is let in is the first event.
    ///
    /// # Errors
    /// [`ClientError`] when no connection comes about.
    pub async fn open(
        endpoint: &Endpoint,
        tls: &Arc<ClientConfig>,
        carrier: Carrier,
        introduction: Introduction,
    ) -> Result<Self, ClientError> {
        let dialing = async {
            let stream: Box<dyn Stream> = match carrier {
                Carrier::Tls => Box::new(secured(endpoint, tls).await?),
                Carrier::WebSocket => Box::new(websocket::open(endpoint, tls).await?),
            };
            Ok(stream)
        };
        let stream = time::timeout(PATIENCE, dialing).await;
        let stream = stream.map_err(|_| ClientError::TimedOut {
            endpoint: endpoint.clone(),
            limit: PATIENCE,
        })??;
        Ok(Connection::over(stream, introduction))
    }

    /// Speaks MQTT over a stream that is there.
    pub fn over(stream: Box<dyn Stream>, introduction: Introduction) -> Self {
        Connection {
            stream,
            client: Client::new(introduction),
            watch: Stopwatch::start(),
            is_unflushed: false,
        }
    }

    /// The connection as a value, to subscribe, publish and acknowledge. What that writes goes out by
    /// [`Connection::flush`], or before the server is waited for.
    pub fn client(&mut self) -> &mut Client {
        &mut self.client
    }

    /// The next event. Nothing is lost when this is dropped before it is ready.
    ///
    /// # Errors
    /// [`Ended`] when there is none.
    pub async fn next(&mut self) -> Result<Event, Ended> {
        loop {
            if let Some(event) = self.client.next_event().map_err(Ended::Broken)? {
                return Ok(event);
            }
            self.flush().await?;
            let left = self.client.deadline().saturating_sub(self.watch.elapsed());
            let mut buffer = [0; READ];
            match read_within(left, &mut self.stream, &mut buffer).await {
                Some(Ok(0)) => return Err(Ended::Gone),
                Some(Ok(length)) => self
                    .client
                    .receive(buffer.get(..length).unwrap_or_default()),
                Some(Err(error)) if is_abrupt(&error) => return Err(Ended::Gone),
                Some(Err(error)) => return Err(Ended::Failed(error)),
                None => self
                    .client
                    .turn(self.watch.elapsed())
                    .map_err(Ended::Broken)?,
            }
        }
    }

    /// Writes what there is to say.
    ///
    /// # Errors
    /// [`Ended`] when the server cannot be written to.
    pub async fn flush(&mut self) -> Result<(), Ended> {
        if self.client.outgoing().is_empty() && !self.is_unflushed {
            return Ok(());
        }
        while !self.client.outgoing().is_empty() {
            // What was taken leaves the buffer with it, so that nothing is written twice; and who drops this
            // before the flush finds it to be done.
            self.is_unflushed = true;
            let written = self.stream.write_buf(self.client.outgoing()).await;
            if written.map_err(Ended::Failed)? == 0 {
                return Err(Ended::Gone);
            }
        }
        *self.client.outgoing() = BytesMut::new();
        self.stream.flush().await.map_err(Ended::Failed)?;
        self.is_unflushed = false;
        self.client.written(self.watch.elapsed());
        Ok(())
    }

    /// Leaves in order.
    pub async fn close(mut self) {
        self.client.disconnect();
        // A server that takes no more hears nothing of it.
        let _ = time::timeout(PATIENCE, async {
            let _ = self.flush().await;
            let _ = self.stream.shutdown().await;
        })
        .await;
    }
}

/// What was read, unless nothing came for so long.
async fn read_within(
    limit: Duration,
    stream: &mut Box<dyn Stream>,
    buffer: &mut [u8],
) -> Option<io::Result<usize>> {
    time::timeout(limit, stream.read(buffer)).await.ok()
}

/// Whether the server went without the last word of TLS or TCP, as one does that is killed.
fn is_abrupt(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
    )
}

#[cfg(test)]
mod tests;
