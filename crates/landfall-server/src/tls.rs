//! The server's side of TLS: 1.2 and 1.3, any client certificate with real proof of its key, no
//! resumption. Whether a certificate entitles anybody to anything is decided later, per request.
//!
//! Source: docs/protocol/x509.md §1.

mod any_client;

use std::sync::Arc;

use arc_swap::ArcSwap;
use landfall_core::certificate::{Certificate, CertificateError};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, ServerConnection};

pub use any_client::AnyClient;

/// Why a server identity cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The certificate file holds no readable chain.
    #[error("the server certificate cannot be read: {0}")]
    Chain(String),
    /// The key file holds no readable key.
    #[error("the server key cannot be read: {0}")]
    Key(String),
    /// Key and certificate do not belong together, or the key is of a kind that TLS cannot use.
    #[error("the server key does not go with the server certificate: {0}")]
    Pair(String),
}

/// The provider of all cryptography in TLS.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// Reads a chain and its key from PEM text.
///
/// # Errors
/// [`IdentityError`] when one of them cannot be read or they do not belong together.
pub fn certified_key(chain: &str, key: &str) -> Result<CertifiedKey, IdentityError> {
    let chain = CertificateDer::pem_slice_iter(chain.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| IdentityError::Chain(error.to_string()))?;
    if chain.is_empty() {
        return Err(IdentityError::Chain(
            "there is no certificate in it".to_owned(),
        ));
    }
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
        .map_err(|error| IdentityError::Key(error.to_string()))?;
    CertifiedKey::from_der(chain, key, &provider())
        .map_err(|error| IdentityError::Pair(error.to_string()))
}

/// The certificates the server shows; may be exchanged while it runs. The first whose key the
/// client can check is shown.
#[derive(Debug)]
pub struct ServerIdentity {
    keys: ArcSwap<Vec<Arc<CertifiedKey>>>,
}

impl ServerIdentity {
    /// An identity of these keys, in order of preference.
    pub fn new(keys: Vec<CertifiedKey>) -> Arc<Self> {
        Arc::new(ServerIdentity {
            keys: ArcSwap::from_pointee(arced(keys)),
        })
    }

    /// Shows these from the next handshake on.
    pub fn exchange(&self, keys: Vec<CertifiedKey>) {
        self.keys.store(Arc::new(arced(keys)));
    }
}

fn arced(keys: Vec<CertifiedKey>) -> Vec<Arc<CertifiedKey>> {
    keys.into_iter().map(Arc::new).collect()
}

impl ResolvesServerCert for ServerIdentity {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let keys = self.keys.load();
        keys.iter()
            .find(|key| key.key.choose_scheme(hello.signature_schemes()).is_some())
            .or_else(|| keys.first())
            .cloned()
    }
}

/// The TLS settings of every device and operator port.
///
/// # Errors
/// When the provider offers neither TLS 1.2 nor 1.3, which is a fault of the build.
pub fn server_config(identity: Arc<ServerIdentity>) -> Result<ServerConfig, rustls::Error> {
    let provider = provider();
    let verifier = AnyClient::new(&provider);
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_cert_resolver(identity);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // A resumed session would show the certificate of another handshake, without new proof.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// The chain the client showed, leaf first, exactly as it was sent. Empty when it showed none.
pub fn peer_chain(connection: &ServerConnection) -> Vec<Result<Certificate, CertificateError>> {
    connection
        .peer_certificates()
        .unwrap_or_default()
        .iter()
        .map(|link| Certificate::from_der(link.as_ref()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dev_ca::{PemPair, issue_server_certificate, make_ca};
    use landfall_core::clock::Timestamp;

    fn pair() -> PemPair {
        let now = Timestamp::parse("2040-06-01T00:00:00Z").expect("a time");
        let ca = make_ca([1; 16], now).expect("a CA");
        issue_server_certificate(&ca, &["localhost".to_owned()], [2; 16], now).expect("a pair")
    }

    #[test]
    fn sessions_are_never_kept_nor_ticketed() {
        let pair = pair();
        let key = certified_key(&pair.certificate, &pair.key).expect("a pair");
        let config = server_config(ServerIdentity::new(vec![key])).expect("settings");
        assert!(!config.ticketer.enabled());
        assert!(!config.session_storage.can_cache());
        assert_eq!(config.send_tls13_tickets, 0);
        assert_eq!(config.max_early_data_size, 0);
    }

    #[test]
    fn keys_that_do_not_go_with_their_certificate_are_refused() {
        let (one, other) = (pair(), pair());
        assert!(certified_key(&one.certificate, &one.key).is_ok());
        for (chain, key, refused) in [
            (&one.certificate, &*other.key, "Pair"),
            (&String::new(), &*one.key, "Chain"),
            (&one.key, &*one.key, "Chain"),
            (&one.certificate, &one.certificate, "Key"),
        ] {
            let error = certified_key(chain, key).expect_err(refused);
            assert!(format!("{error:?}").starts_with(refused), "{error:?}");
        }
    }
}
