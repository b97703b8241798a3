//! Bodies that are not whole: a request's that is read while it arrives, a reply's that is written
//! while it is made. Neither is ever held as a whole, so neither has a largest size.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use landfall_wire::message::Reply;
use tokio::sync::mpsc;

use crate::stop::Stop;
use crate::time;

/// The body of a request, piece by piece.
pub struct Arriving {
    body: Incoming,
    within: Duration,
    stop: Stop,
}

/// Why the rest of a body does not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    /// It broke off, or nothing of it came for too long.
    Incomplete,
    /// The server stops: what was taken in is settled, and nothing more is taken.
    Stopping,
}

impl Arriving {
    /// Reads `body`, of which something must arrive `within` each such span, until `stop` is given.
    pub(super) fn new(body: Incoming, within: Duration, stop: Stop) -> Self {
        Arriving { body, within, stop }
    }

    /// The server's end, for what is written while nothing more is read.
    pub fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// The next piece; `None` at the end. Nothing is lost when this is dropped before it is ready.
    ///
    /// # Errors
    /// [`Gone`] when the rest does not come.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Gone> {
        loop {
            let frame = tokio::select! {
                biased;
                () = self.stop.given() => return Err(Gone::Stopping),
                frame = time::timeout(self.within, self.body.frame()) => frame,
            };
            match frame {
                Ok(Some(Ok(frame))) => {
                    // Trailers say nothing here.
                    if let Ok(piece) = frame.into_data() {
                        return Ok(Some(piece));
                    }
                }
                Ok(None) => return Ok(None),
                Ok(Some(Err(_))) | Err(_) => return Err(Gone::Incomplete),
            }
        }
    }
}

/// A reply whose body may come after its head, piece by piece.
#[derive(Debug)]
pub struct Streamed {
    /// The head, and the body when that is whole.
    pub reply: Reply,
    /// The pieces of a body that is not.
    pub rest: Option<mpsc::Receiver<Bytes>>,
}

impl From<Reply> for Streamed {
    fn from(reply: Reply) -> Self {
        Streamed { reply, rest: None }
    }
}

/// The body of a reply as it is written.
pub(super) enum Outgoing {
    /// Known as a whole.
    Whole(Full<Bytes>),
    /// Made while it is written.
    Pieces(mpsc::Receiver<Bytes>),
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Outgoing::Whole(body) => Pin::new(body).poll_frame(context),
            Outgoing::Pieces(pieces) => pieces
                .poll_recv(context)
                .map(|piece| piece.map(|piece| Ok(Frame::data(piece)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Outgoing::Whole(body) => body.is_end_stream(),
            Outgoing::Pieces(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Outgoing::Whole(body) => body.size_hint(),
            Outgoing::Pieces(_) => SizeHint::default(),
        }
    }
}
