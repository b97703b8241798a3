//! The pump of an MQTT connection: reads into the session, writes what the session has to say, and gives
//! whoever judges them the events one by one. While one is judged nothing more is read: a peer that floods
//! fills its own socket.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use landfall_core::trace::Finding;
use landfall_wire::mqtt::session::{Broken, Event, Session};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};

use super::Link;
use crate::stop::Stop;
use crate::time::{self, Stopwatch};

/// How much is read at once, in bytes.
const READ: usize = 4096;

/// How long a peer may take to read what waits for it. One that takes longer is gone without a word, or never
/// reads.
const READS_WITHIN: Duration = Duration::from_secs(30);

/// How much may wait to be written while the peer is still listened to, in bytes.
const MOST_UNWRITTEN: usize = 64 * 1024;

/// An MQTT connection that is open.
pub struct Connection<S> {
    stream: S,
    session: Session,
    watch: Stopwatch,
    stop: Stop,
}

/// Why no more events come.
#[derive(Debug)]
pub enum Ended {
    /// The peer went without a word.
    Gone,
    /// The server ends.
    Stopping,
    /// The peer broke the protocol, or was silent for too long.
    Broken(Broken),
    /// The peer does not read what is sent to it.
    Stuck,
    /// The connection failed.
    Failed(io::Error),
}

/// What a peer did wrong that broke the protocol, as an operator reads it.
pub fn broken_finding(broken: &Broken) -> Finding {
    Finding::new(
        "mqtt.packet",
        "packets of MQTT 3.1.1, in its order, of QoS 0 or 1",
        broken.to_string(),
        "Use a client of MQTT 3.1.1; a body larger than limits.body_bytes is not read.",
    )
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Begins to speak MQTT over `stream`.
    pub fn new(stream: S, link: &Link) -> Self {
        Connection {
            stream,
            session: Session::new(link.patience),
            watch: Stopwatch::start(),
            stop: link.stop.clone(),
        }
    }

    /// The session, to answer an event. What that writes goes out before the peer is waited for.
    pub fn session(&mut self) -> &mut Session {
        &mut self.session
    }

    /// Lets the peer in, with packets of `largest` bytes.
    pub fn accept(&mut self, largest: usize, session_present: bool) {
        let largest = u32::try_from(largest).unwrap_or(u32::MAX);
        self.session
            .accept(largest, session_present, self.watch.elapsed());
    }

    /// Whether so much waits to be written that nothing may be added before it is.
    pub fn is_behind(&mut self) -> bool {
        self.session.outgoing().len() >= MOST_UNWRITTEN
    }

    /// The next event. What the session has to say is written before more is read, and before more is answered
    /// when it is much: few bytes can ask for many. Nothing is lost when this is dropped before it is ready.
    ///
    /// # Errors
    /// [`Ended`] when there is none; the last words are written by then.
    pub async fn next(&mut self) -> Result<Event, Ended> {
        loop {
            if self.is_behind() {
                self.flush().await?;
            }
            match self.session.next_event() {
                Ok(Some(event)) => return Ok(event),
                Ok(None) => {}
                Err(broken) => return Err(self.broken(broken).await),
            }
            self.flush().await?;
            let left = self.session.deadline().saturating_sub(self.watch.elapsed());
            let (session, watch) = (&mut self.session, &self.watch);
            let reading = read_with(&mut self.stream, |bytes| {
                session.receive(bytes, watch.elapsed());
            });
            let read = tokio::select! {
                read = time::timeout(left, reading) => read,
                () = self.stop.given() => return Err(Ended::Stopping),
            };
            match read {
                Ok(Ok(0)) => return Err(Ended::Gone),
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return Err(Ended::Failed(error)),
                Err(_) => {
                    let silent = self.session.silent();
                    return Err(self.broken(silent).await);
                }
            }
        }
    }

    /// Writes what the session has to say.
    ///
    /// # Errors
    /// [`Ended::Failed`] when the peer cannot be written to, [`Ended::Stuck`] when it does not read.
    pub async fn flush(&mut self) -> Result<(), Ended> {
        if self.session.outgoing().is_empty() {
            return Ok(());
        }
        while !self.session.outgoing().is_empty() {
            // What was taken leaves the buffer with it, so that nothing is written twice.
            let writing = self.stream.write_buf(self.session.outgoing());
            match time::timeout(READS_WITHIN, writing).await {
                Ok(Ok(0)) => return Err(Ended::Gone),
                Ok(Ok(_)) => {}
                // The stream beneath has a patience of its own.
                Ok(Err(error)) if error.kind() == io::ErrorKind::TimedOut => {
                    return Err(Ended::Stuck);
                }
                Ok(Err(error)) => return Err(Ended::Failed(error)),
                Err(_) => return Err(Ended::Stuck),
            }
        }
        *self.session.outgoing() = BytesMut::new();
        self.stream.flush().await.map_err(Ended::Failed)
    }

    /// Closes in order, so that the peer reads the last words.
    pub async fn close(mut self: Box<Self>) {
        let _ = self.flush().await;
        let _ = time::timeout(READS_WITHIN, self.stream.shutdown()).await;
    }

    async fn broken(&mut self, broken: Broken) -> Ended {
        // Whoever speaks another version is told so; a peer that is gone is not.
        let _ = self.flush().await;
        Ended::Broken(broken)
    }
}

/// Reads what there is, hands it to `take`, and gives its length. The buffer lies on the stack while there is
/// something to read and not in the future that waits for it: a connection that idles holds none.
async fn read_with<S: AsyncRead + Unpin>(
    stream: &mut S,
    mut take: impl FnMut(&[u8]),
) -> io::Result<usize> {
    poll_fn(|context| {
        let mut buffer = [0; READ];
        let mut buffer = ReadBuf::new(&mut buffer);
        ready!(Pin::new(&mut *stream).poll_read(context, &mut buffer))?;
        take(buffer.filled());
        Poll::Ready(Ok(buffer.filled().len()))
    })
    .await
}

#[cfg(test)]
mod tests {
    use landfall_wire::mqtt::session::Delivery;

    use super::*;
    use crate::metrics::label::Protocol;

    #[tokio::test]
    async fn a_peer_that_asks_for_much_and_reads_nothing_is_answered_no_further() {
        let (mut peer, stream) = tokio::io::duplex(4096);
        let (_stopper, stop) = crate::stop::channel();
        let link = Link {
            peer: ([127, 0, 0, 1], 1).into(),
            chain: Vec::new().into(),
            protocol: Protocol::Mqtt,
            patience: Duration::from_secs(10),
            stop,
        };
        let mut connection = Connection::new(stream, &link);
        let connect = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01d";
        let asks = b"\x30\x03\x00\x01a".repeat(100);
        peer.write_all(&[connect.as_slice(), &asks].concat())
            .await
            .expect("written");
        let mut answered = 0;
        loop {
            // What is not there at once is not there.
            let event = tokio::select! {
                biased;
                event = connection.next() => event.expect("an event"),
                () = std::future::ready(()) => break,
            };
            if let Event::Connect(_) = event {
                connection.accept(1024, false);
            } else {
                let body = vec![b'x'; MOST_UNWRITTEN / 2];
                let session = connection.session();
                session.publish("t".to_owned(), body, Delivery::AtMostOnce);
                answered += 1;
            }
        }
        assert!((1..5).contains(&answered), "{answered} answers wait");
        assert!(connection.session().outgoing().len() < 2 * MOST_UNWRITTEN);
    }
}
