//! Both ends of a connection: a listener that tells what it saw, and the clients that try it.

use std::future::Future;
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use landfall_core::certificate::{Certificate, CertificateError};
use landfall_core::clock::Timestamp;
use landfall_server::dev_ca::{self, PemPair};
use landfall_server::tls::{self, ServerIdentity};
use rustls::client::ResolvesClientCert;
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, HandshakeKind, ProtocolVersion, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// The time now, for certificates that must be valid in a client's eyes.
#[expect(
    clippy::disallowed_methods,
    reason = "real clients read the real clock"
)]
pub(super) fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Timestamp::from_unix_seconds(
        i64::try_from(since.expect("after 1970").as_secs()).expect("before the end of time"),
    )
}

/// Gives up on what hangs.
#[expect(clippy::disallowed_methods, reason = "a test that hangs must fail")]
pub(super) async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), work)
        .await
        .expect("done within a minute")
}

/// What the server saw of one connection whose handshake was done.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) version: ProtocolVersion,
    pub(super) kind: HandshakeKind,
    pub(super) chain: Vec<Result<Certificate, CertificateError>>,
}

impl Seen {
    /// The SHA-256 thumbprints of the chain, which must be readable throughout.
    pub(super) fn thumbprints(&self) -> Vec<String> {
        self.chain
            .iter()
            .map(|link| link.as_ref().expect("a readable link").sha256_hex())
            .collect()
    }
}

/// A listener on loopback with the server's own TLS settings.
pub(super) struct Server {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    pub(super) identity: Arc<ServerIdentity>,
    pub(super) ca: PemPair,
    pub(super) port: u16,
}

impl Server {
    pub(super) async fn start() -> Self {
        let ca = dev_ca::make_ca([1; 16], now()).expect("a CA");
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let issued =
            dev_ca::issue_server_certificate(&ca, &names, [2; 16], now()).expect("a certificate");
        let key = tls::certified_key(&issued.certificate, &issued.key).expect("a pair");
        let identity = ServerIdentity::new(vec![Arc::new(key)]);
        let config = tls::server_config(Arc::clone(&identity)).expect("settings");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        Server {
            port: listener.local_addr().expect("an address").port(),
            listener,
            acceptor: TlsAcceptor::from(Arc::new(config)),
            identity,
            ca,
        }
    }

    /// Serves one connection: a greeting, and the end.
    pub(super) async fn serve_one(&self) -> Result<Seen, String> {
        let (socket, _) = self.listener.accept().await.expect("a connection");
        let mut stream = self
            .acceptor
            .accept(socket)
            .await
            .map_err(|error| error.to_string())?;
        let connection = stream.get_ref().1;
        let seen = Seen {
            version: connection.protocol_version().expect("a version"),
            kind: connection.handshake_kind().expect("a handshake"),
            chain: tls::peer_chain(connection, &tls::Issuers::default()),
        };
        // The client may be gone already; what the server saw is all that counts.
        let _ = stream.write_all(b"hello from the server\n").await;
        let _ = stream.shutdown().await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
        Ok(seen)
    }

    /// Connects with `openssl s_client` and gives what both sides saw.
    pub(super) async fn met_by_openssl(
        &self,
        arguments: &[&str],
    ) -> (Result<Seen, String>, Output) {
        let client = tokio::process::Command::new("openssl")
            .args(["s_client", "-connect", &format!("127.0.0.1:{}", self.port)])
            .args(["-ign_eof", "-cipher", "DEFAULT:@SECLEVEL=0"])
            .args(arguments)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let (seen, output) = soon(async { tokio::join!(self.serve_one(), client) }).await;
        (seen, output.expect("openssl runs"))
    }

    /// Connects with a rustls client and gives what both sides saw.
    pub(super) async fn met_by_rustls(
        &self,
        config: &Arc<ClientConfig>,
    ) -> (Result<Seen, String>, Result<HandshakeKind, String>) {
        let client = async {
            let socket = TcpStream::connect(("127.0.0.1", self.port))
                .await
                .map_err(|error| error.to_string())?;
            let name = ServerName::try_from("localhost").expect("a name");
            let mut stream = TlsConnector::from(Arc::clone(config))
                .connect(name, socket)
                .await
                .map_err(|error| error.to_string())?;
            // In TLS 1.3 a refusal arrives at the first read, after the client's own handshake.
            let mut greeting = Vec::new();
            stream
                .read_to_end(&mut greeting)
                .await
                .map_err(|error| error.to_string())?;
            assert_eq!(greeting, b"hello from the server\n");
            Ok(stream.get_ref().1.handshake_kind().expect("a handshake"))
        };
        soon(async { tokio::join!(self.serve_one(), client) }).await
    }

    /// A rustls client of one TLS version that trusts this server's CA.
    pub(super) fn client(
        &self,
        version: &'static rustls::SupportedProtocolVersion,
        certificate: Option<Arc<dyn ResolvesClientCert>>,
    ) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(self.ca.certificate.as_bytes());
        roots.add(root.expect("a certificate")).expect("a root");
        let builder = ClientConfig::builder_with_provider(tls::provider())
            .with_protocol_versions(&[version])
            .expect("a version")
            .with_root_certificates(roots);
        Arc::new(match certificate {
            Some(certificate) => builder.with_client_cert_resolver(certificate),
            None => builder.with_no_client_auth(),
        })
    }
}
