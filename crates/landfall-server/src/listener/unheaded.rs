//! A request whose head cannot be read is refused by the HTTP library itself, with an empty body and
//! without asking anybody. Its reply is exchanged here for one in the form of all other refusals.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use landfall_wire::message::Reply;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream that exchanges the library's own refusals. It must be written in whole replies, not in
/// slices; a refusal behind other replies in one buffer goes out as it is.
pub struct Exchanging<S, F> {
    stream: S,
    refusal: F,
    /// What goes out in place of the library's refusal, and how much of it went.
    instead: Option<(Vec<u8>, usize)>,
}

impl<S, F: Fn() -> Reply> Exchanging<S, F> {
    /// Writes `refusal` where the library would write its own.
    pub fn new(stream: S, refusal: F) -> Self {
        Exchanging {
            stream,
            refusal,
            instead: None,
        }
    }
}

/// Whether these bytes are one reply that the library made: all of ours have a body, or say more in
/// their head.
fn is_the_librarys(bytes: &[u8]) -> bool {
    let head = bytes.strip_suffix(b"\r\n\r\n").unwrap_or_default();
    let Ok(head) = std::str::from_utf8(head) else {
        return false;
    };
    head.starts_with("HTTP/1.1 4")
        && head.contains("content-length: 0")
        && !head.contains("x-content-type-options")
        && !head.contains("\r\n\r\n")
}

/// The bytes of a reply after which the connection ends.
fn last_reply(reply: &Reply) -> Vec<u8> {
    let mut out = format!("HTTP/1.1 {}\r\n", reply.status).into_bytes();
    for (name, value) in &reply.headers {
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    let length = reply.body.len();
    out.extend_from_slice(
        format!("x-content-type-options: nosniff\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n")
            .as_bytes(),
    );
    out.extend_from_slice(&reply.body);
    out
}

impl<S: AsyncRead + Unpin, F: Unpin> AsyncRead for Exchanging<S, F> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin, F: Fn() -> Reply + Unpin> AsyncWrite for Exchanging<S, F> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.instead.is_none() && is_the_librarys(bytes) {
            this.instead = Some((last_reply(&(this.refusal)()), 0));
        }
        let Some((instead, gone)) = &mut this.instead else {
            return Pin::new(&mut this.stream).poll_write(context, bytes);
        };
        while let Some(rest) = instead.get(*gone..).filter(|rest| !rest.is_empty()) {
            match ready!(Pin::new(&mut this.stream).poll_write(context, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => *gone += written,
            }
        }
        this.instead = None;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
