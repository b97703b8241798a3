//! An HTTP server that says `hello`: bare, on the engine that Landfall uses, and through everything
//! that Landfall does for each request before a face is asked.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use landfall_bench::identity;
use landfall_core::error::Error;
use landfall_server::connection::Link;
use landfall_server::listener::{self, Arriving, Chain, Faces, Limits, Slots, Streamed, Unread};
use landfall_server::{stop, tls};
use landfall_wire::message::{Reply, Request};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;

use super::hs;

const HELLO: &[u8] = b"hello";

/// Serves the bare one until it is stopped.
///
/// # Errors
/// When there is no port or no certificate.
pub fn bare() -> anyhow::Result<()> {
    hs::serve(hs::settings(false)?, |stream| async move {
        let service = service_fn(|_: hyper::Request<Incoming>| async {
            Ok::<_, std::convert::Infallible>(hyper::Response::new(Full::new(Bytes::from_static(
                HELLO,
            ))))
        });
        http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service)
            .await?;
        Ok(())
    })
}

/// A face that answers everything alike.
struct Hello;

impl Faces for Hello {
    async fn body_limit(&self, _: &Request) -> usize {
        1024
    }

    fn streams(&self, _: &Request) -> bool {
        false
    }

    async fn answer_stream(&self, _: SocketAddr, _: Request, _: Arriving) -> Streamed {
        Reply::empty(StatusCode::NOT_FOUND).into()
    }

    fn unreadable_head(&self, _: SocketAddr) -> Reply {
        Reply::empty(StatusCode::BAD_REQUEST)
    }

    async fn answer_mqtt<T: AsyncRead + AsyncWrite + Unpin + Send>(&self, _: T, _: &Link) {}

    fn refuse_websocket(&self, _: SocketAddr, _: &Request, _: &Error) -> Reply {
        Reply::empty(StatusCode::BAD_REQUEST)
    }

    async fn answer(&self, _: SocketAddr, _: Chain, _: Request, _: Option<Unread>) -> Reply {
        let mut reply = Reply::empty(StatusCode::OK);
        reply.body = HELLO.to_vec();
        reply
    }
}

/// Serves through Landfall's listener until it is stopped.
///
/// # Errors
/// When there is no port or no certificate.
pub fn ours() -> anyhow::Result<()> {
    let settings = tls::server_config(identity::shown()?)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async move {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?.port());
        let (_never, stop) = stop::channel();
        let acceptor = TlsAcceptor::from(Arc::new(settings));
        let slots = Slots::new(Limits::default());
        listener::serve(listener, acceptor, Arc::new(Hello), slots, stop).await;
        Ok(())
    })
}
