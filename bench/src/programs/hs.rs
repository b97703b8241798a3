//! The least that a TLS server can do for a connection: finish the handshake, write one byte, close.
//! What the other references accept connections with stands here too.

use std::future::Future;
use std::sync::Arc;

use landfall_bench::identity;
use landfall_server::tls::{AnyClient, provider};
use rustls::ServerConfig;
use rustls::server::NoServerSessionStorage;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Serves until it is stopped; `ask` asks clients for a certificate, and checks that they hold its key.
///
/// # Errors
/// When there is no port or no certificate.
pub fn run(ask: bool) -> anyhow::Result<()> {
    serve(settings(ask)?, |mut stream| async move {
        stream.write_all(b"1").await?;
        stream.shutdown().await?;
        Ok(())
    })
}

/// TLS without resumption.
///
/// # Errors
/// When there is no certificate.
pub fn settings(ask: bool) -> anyhow::Result<ServerConfig> {
    let provider = provider();
    let verifier = Arc::new(AnyClient::new(&provider));
    let builder = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?;
    let builder = if ask {
        builder.with_client_cert_verifier(verifier)
    } else {
        builder.with_no_client_auth()
    };
    let mut settings = builder.with_cert_resolver(identity::shown()?);
    settings.session_storage = Arc::new(NoServerSessionStorage {});
    settings.send_tls13_tickets = 0;
    Ok(settings)
}

/// Prints the port, then hands every TLS connection to `each`.
///
/// # Errors
/// When there is no port.
pub fn serve<F, E>(settings: ServerConfig, each: E) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
    E: Fn(TlsStream<TcpStream>) -> F + Clone + Send + Sync + 'static,
{
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async move {
        let tls = TlsAcceptor::from(Arc::new(settings));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?.port());
        loop {
            let (stream, _) = listener.accept().await?;
            let (tls, each) = (tls.clone(), each.clone());
            tokio::spawn(async move {
                stream.set_nodelay(true)?;
                each(tls.accept(stream).await?).await
            });
        }
    })
}
