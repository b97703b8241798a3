//! Calls a server over HTTPS, or a collector of traces over HTTP: carries [`Request`]s there and [`Reply`]s back.
//!
//! One connection is kept per [`Client`]. What the bytes mean is `landfall_wire::client`'s business;
//! which roots are trusted is the caller's, by [`tls`]. MQTT is spoken in [`mqtt`]; how a device registers
//! over either stands in [`registration`]. Called by the client commands and by dev's self-check.

pub mod mqtt;
pub mod registration;
pub mod tls;
mod websocket;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST, HeaderValue};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use landfall_wire::message::{Reply, Request};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::time::timeout;

/// The largest reply that is read. A page of 1000 records stays well below.
const LARGEST_REPLY: usize = 64 * 1024 * 1024;

/// How long connecting, and then each call, may take.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A host and the port to reach it on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The host name or address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Where to connect to in place of what the host resolves to.
    through: Vec<SocketAddr>,
}

impl Endpoint {
    /// Names an endpoint.
    pub fn new(host: &str, port: u16) -> Self {
        Endpoint {
            host: host.to_owned(),
            port,
            through: Vec::new(),
        }
    }

    /// The same endpoint, at an address that is known. It is still asked for by its name.
    pub fn at(self, address: IpAddr) -> Self {
        let known = SocketAddr::new(address, self.port);
        self.through(&[known])
    }

    /// The same, reached by the first of these addresses that takes connections.
    pub fn through(mut self, addresses: &[SocketAddr]) -> Self {
        self.through = addresses.to_vec();
        self
    }

    /// The addresses that it leads to: those that are known, else what the host resolves to.
    ///
    /// # Errors
    /// [`ClientError::Connect`] when the host cannot be resolved.
    pub async fn addresses(&self) -> Result<Vec<SocketAddr>, ClientError> {
        if !self.through.is_empty() {
            return Ok(self.through.clone());
        }
        let resolved = tokio::net::lookup_host((self.host.as_str(), self.port)).await;
        let resolved = resolved.map_err(|cause| ClientError::Connect {
            endpoint: self.clone(),
            cause,
        })?;
        Ok(resolved.collect())
    }

    /// The value of the `Host` header: without the port when it is 443.
    fn authority(&self) -> String {
        let host = if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        };
        match self.port {
            443 => host,
            port => format!("{host}:{port}"),
        }
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Why a call brought no reply.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody answers there.
    #[error("cannot connect to {endpoint}: {cause}")]
    Connect {
        /// Where to.
        endpoint: Endpoint,
        /// What the machine said.
        cause: io::Error,
    },
    /// The host is no name and no address.
    #[error("'{0}' is not a host name or an address")]
    Name(String),
    /// The server's certificate names other hosts.
    #[error("the server at {endpoint} shows a certificate for other names: {presented}")]
    OtherName {
        /// Where to.
        endpoint: Endpoint,
        /// The names in the certificate.
        presented: String,
    },
    /// The server's certificate comes from an authority that is not trusted here.
    #[error("the server at {0} shows a certificate of an authority that is not trusted")]
    UnknownAuthority(Endpoint),
    /// The server's certificate is out of its time.
    #[error("the server at {0} shows a certificate that is expired or not yet valid")]
    OutOfTime(Endpoint),
    /// The TLS session failed otherwise.
    #[error("no TLS session with {endpoint}: {cause}")]
    Tls {
        /// Where to.
        endpoint: Endpoint,
        /// What went wrong.
        cause: io::Error,
    },
    /// The server speaks HTTP, and opens no WebSocket.
    #[error("the server at {endpoint} opens no WebSocket that carries MQTT: it answered {status}")]
    NoWebSocket {
        /// Where to.
        endpoint: Endpoint,
        /// What it answered.
        status: http::StatusCode,
    },
    /// It took too long.
    #[error("{endpoint} did not answer within {} s", limit.as_secs())]
    TimedOut {
        /// Where to.
        endpoint: Endpoint,
        /// The limit.
        limit: Duration,
    },
    /// The connection broke, or what came is no HTTP.
    #[error("the connection to {endpoint} failed: {cause}")]
    Broken {
        /// Where to.
        endpoint: Endpoint,
        /// What went wrong.
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl ClientError {
    /// What the operator can do about it.
    pub fn fix(&self) -> String {
        match self {
            ClientError::Connect { endpoint, .. } => format!(
                "check that the server runs and listens on {endpoint} (for a server on this machine: `landfall dev` or `landfall serve`)"
            ),
            ClientError::Name(_) => "correct the HostName of the connection string".into(),
            ClientError::OtherName { presented, .. } => format!(
                "use a connection string whose HostName is one of the certificate's names ({presented}), \
                 or give the server a certificate for this name"
            ),
            ClientError::UnknownAuthority(_) => {
                "pass the authority's certificate with --ca FILE (of a dev server: ca.pem in its data folder)"
                    .into()
            }
            ClientError::OutOfTime(_) => {
                "check this machine's clock; if it is right, renew the server's certificate".into()
            }
            ClientError::Tls { .. } => "check that this port speaks TLS".into(),
            ClientError::NoWebSocket { .. } => {
                "check that the host is a Landfall server and nothing stands before it that strips WebSockets; or take MQTT without them"
                    .into()
            }
            ClientError::TimedOut { .. } => {
                "check the network on the way and the server's load, then try again".into()
            }
            ClientError::Broken { .. } => "see the server's log, then try again".into(),
        }
    }

    fn of_tls(endpoint: &Endpoint, cause: io::Error) -> Self {
        use rustls::CertificateError as Bad;
        let endpoint = endpoint.clone();
        let found = cause
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<rustls::Error>());
        let Some(rustls::Error::InvalidCertificate(bad)) = found else {
            return ClientError::Tls { endpoint, cause };
        };
        match bad {
            Bad::NotValidForName => ClientError::OtherName {
                endpoint,
                presented: "none that can be read".into(),
            },
            Bad::NotValidForNameContext { presented, .. } => ClientError::OtherName {
                endpoint,
                presented: presented.join(", "),
            },
            // An authority of the same name with another key: a dev server's that was made anew.
            Bad::UnknownIssuer | Bad::BadSignature => ClientError::UnknownAuthority(endpoint),
            Bad::Expired
            | Bad::ExpiredContext { .. }
            | Bad::NotValidYet
            | Bad::NotValidYetContext { .. } => ClientError::OutOfTime(endpoint),
            _ => ClientError::Tls { endpoint, cause },
        }
    }
}

/// One connection to one server, made at the first call and made again when the server closed it.
pub struct Client {
    endpoint: Endpoint,
    tls: Option<Arc<ClientConfig>>,
    limit: Duration,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Client {
    /// Makes a client; nothing is sent yet.
    pub fn new(endpoint: Endpoint, tls: Arc<ClientConfig>) -> Self {
        Client {
            endpoint,
            tls: Some(tls),
            limit: PATIENCE,
            sender: None,
        }
    }

    /// Makes a client without TLS, for what has none: a collector of traces on this machine.
    pub fn plain(endpoint: Endpoint) -> Self {
        Client {
            endpoint,
            tls: None,
            limit: PATIENCE,
            sender: None,
        }
    }

    /// The same client with another limit for connecting, and for each call.
    pub fn with_limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Where this client calls.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Sends a request and reads the whole reply. `Host` and `Content-Length` are filled in.
    ///
    /// # Errors
    /// [`ClientError`] when no reply came. A refusal by the server is a reply.
    pub async fn call(&mut self, request: Request) -> Result<Reply, ClientError> {
        let late = |endpoint: &Endpoint, limit| ClientError::TimedOut {
            endpoint: endpoint.clone(),
            limit,
        };
        let kept = self.sender.take().filter(|sender| !sender.is_closed());
        let mut sender = match kept {
            Some(sender) => sender,
            None => timeout(self.limit, connect(&self.endpoint, self.tls.as_ref()))
                .await
                .map_err(|_| late(&self.endpoint, self.limit))??,
        };
        let reply = timeout(self.limit, exchange(&mut sender, &self.endpoint, request))
            .await
            .map_err(|_| late(&self.endpoint, self.limit))??;
        self.sender = Some(sender);
        Ok(reply)
    }
}

/// A reply whose body is read while it comes.
pub struct Coming {
    endpoint: Endpoint,
    body: Incoming,
    // The connection lasts as long as this does.
    _sender: SendRequest<Full<Bytes>>,
}

impl Coming {
    /// The next piece of the body; `None` at its end.
    ///
    /// # Errors
    /// [`ClientError::Broken`] when the connection breaks.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        while let Some(frame) = self.body.frame().await {
            let frame = frame.map_err(|cause| broken(&self.endpoint, cause))?;
            if let Ok(piece) = frame.into_data() {
                return Ok(Some(piece));
            }
        }
        Ok(None)
    }
}

impl Client {
    /// Sends a request whose reply never ends by itself; a refusal, which does, is a reply as any other.
    ///
    /// # Errors
    /// [`ClientError`] when no reply came.
    pub async fn follow(&self, request: Request) -> Result<Result<Coming, Reply>, ClientError> {
        let late = |_| ClientError::TimedOut {
            endpoint: self.endpoint.clone(),
            limit: self.limit,
        };
        let answered = timeout(self.limit, async {
            let mut sender = connect(&self.endpoint, self.tls.as_ref()).await?;
            let incoming = send(&mut sender, &self.endpoint, request).await?;
            Ok::<_, ClientError>((sender, incoming))
        });
        let (sender, incoming) = answered.await.map_err(late)??;
        if incoming.status().is_success() {
            return Ok(Ok(Coming {
                endpoint: self.endpoint.clone(),
                body: incoming.into_body(),
                _sender: sender,
            }));
        }
        let reply = timeout(self.limit, whole(&self.endpoint, incoming)).await;
        Ok(Err(reply.map_err(late)??))
    }
}

async fn connect(
    endpoint: &Endpoint,
    tls: Option<&Arc<ClientConfig>>,
) -> Result<SendRequest<Full<Bytes>>, ClientError> {
    match tls {
        Some(tls) => speak(endpoint, secured(endpoint, tls).await?).await,
        None => speak(endpoint, dialed(endpoint).await?).await,
    }
}

/// A connection to an endpoint, without TLS.
async fn dialed(endpoint: &Endpoint) -> Result<TcpStream, ClientError> {
    let connected = match endpoint.through.as_slice() {
        [] => TcpStream::connect((endpoint.host.as_str(), endpoint.port)).await,
        addresses => TcpStream::connect(addresses).await,
    };
    let stream = connected.map_err(|cause| ClientError::Connect {
        endpoint: endpoint.clone(),
        cause,
    })?;
    // What is sent is one small write; waiting for more only adds delay. Failing to say so is harmless.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

/// A TLS session with an endpoint.
async fn secured(
    endpoint: &Endpoint,
    tls: &Arc<ClientConfig>,
) -> Result<TlsStream<TcpStream>, ClientError> {
    let name = ServerName::try_from(endpoint.host.clone())
        .map_err(|_| ClientError::Name(endpoint.host.clone()))?;
    let stream = dialed(endpoint).await?;
    TlsConnector::from(Arc::clone(tls))
        .connect(name, stream)
        .await
        .map_err(|cause| ClientError::of_tls(endpoint, cause))
}

/// Begins HTTP on a stream.
async fn speak(
    endpoint: &Endpoint,
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) -> Result<SendRequest<Full<Bytes>>, ClientError> {
    let (sender, connection) = handshake(TokioIo::new(stream))
        .await
        .map_err(|cause| broken(endpoint, cause))?;
    // Ends by itself when the sender is dropped; its error reaches the caller through the sender.
    tokio::spawn(connection);
    Ok(sender)
}

async fn exchange(
    sender: &mut SendRequest<Full<Bytes>>,
    endpoint: &Endpoint,
    request: Request,
) -> Result<Reply, ClientError> {
    let incoming = send(sender, endpoint, request).await?;
    whole(endpoint, incoming).await
}

/// Sends a request, and gives the reply once its head is there.
async fn send(
    sender: &mut SendRequest<Full<Bytes>>,
    endpoint: &Endpoint,
    request: Request,
) -> Result<http::Response<Incoming>, ClientError> {
    sender
        .ready()
        .await
        .map_err(|cause| broken(endpoint, cause))?;
    let target = match &request.query {
        Some(query) => format!("{}?{query}", request.path),
        None => request.path,
    };
    let mut outgoing = http::Request::new(Full::new(Bytes::from(request.body)));
    *outgoing.method_mut() = request.method;
    *outgoing.uri_mut() = target.parse().map_err(|cause| broken(endpoint, cause))?;
    *outgoing.headers_mut() = request.headers;
    let length = hyper::body::Body::size_hint(outgoing.body()).lower();
    let headers = outgoing.headers_mut();
    if !headers.contains_key(HOST) {
        let host = HeaderValue::from_str(&endpoint.authority())
            .map_err(|_| ClientError::Name(endpoint.host.clone()))?;
        headers.insert(HOST, host);
    }
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));

    sender
        .send_request(outgoing)
        .await
        .map_err(|cause| broken(endpoint, cause))
}

/// Reads the rest of a reply.
async fn whole(
    endpoint: &Endpoint,
    incoming: http::Response<Incoming>,
) -> Result<Reply, ClientError> {
    let (head, body) = incoming.into_parts();
    let body = Limited::new(body, LARGEST_REPLY)
        .collect()
        .await
        .map_err(|cause| ClientError::Broken {
            endpoint: endpoint.clone(),
            cause,
        })?;
    Ok(Reply {
        status: head.status,
        headers: head.headers,
        body: body.to_bytes().to_vec(),
    })
}

fn broken(
    endpoint: &Endpoint,
    cause: impl std::error::Error + Send + Sync + 'static,
) -> ClientError {
    ClientError::Broken {
        endpoint: endpoint.clone(),
        cause: Box::new(cause),
    }
}

#[cfg(test)]
mod tests;
