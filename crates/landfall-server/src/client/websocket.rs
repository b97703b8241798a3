//! Opens a WebSocket that carries MQTT: asks for it over HTTPS, and takes over the stream.

use bytes::Bytes;
use http::StatusCode;
use http_body_util::Full;
use hyper::client::conn::http1::handshake;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use landfall_core::clock::Entropy as _;
use rustls::ClientConfig;
use std::sync::Arc;

use super::{ClientError, Endpoint, broken, secured, send};
use crate::connection::websocket::{Carried, ask, is_agreed};
use crate::time::SystemEntropy;

/// Opens a WebSocket to an endpoint.
pub(super) async fn open(
    endpoint: &Endpoint,
    tls: &Arc<ClientConfig>,
) -> Result<Carried<TokioIo<Upgraded>>, ClientError> {
    let stream = secured(endpoint, tls).await?;
    let (mut sender, connection) = handshake::<_, Full<Bytes>>(TokioIo::new(stream))
        .await
        .map_err(|cause| broken(endpoint, cause))?;
    // Ends when the stream is taken over, or the sender is dropped.
    tokio::spawn(connection.with_upgrades());
    let mut key = [0; 16];
    SystemEntropy.fill(&mut key);
    let reply = send(&mut sender, endpoint, ask(&key)).await?;
    let agreed =
        reply.status() == StatusCode::SWITCHING_PROTOCOLS && is_agreed(&key, reply.headers());
    if !agreed {
        return Err(ClientError::NoWebSocket {
            endpoint: endpoint.clone(),
            status: reply.status(),
        });
    }
    let stream = hyper::upgrade::on(reply)
        .await
        .map_err(|cause| broken(endpoint, cause))?;
    Ok(Carried::asked(TokioIo::new(stream)).await)
}
