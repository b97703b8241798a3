//! The server's side of TLS: 1.2 and 1.3, any client certificate with real proof of its key, no
//! resumption. Whether a certificate entitles anybody to anything is decided later, per request.
//!
//! Source: docs/protocol/x509.md §1.

mod any_client;
mod certified;
mod issuers;
#[cfg(test)]
pub(crate) mod test_chains;

use std::sync::Arc;

use arc_swap::ArcSwap;
use landfall_core::certificate::{Certificate, CertificateError};
use landfall_core::clock::Timestamp;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, ServerConnection, SignatureScheme};

pub use any_client::AnyClient;
pub use certified::{IdentityError, Judged, carries, certificates, certified_key, judged};
pub use issuers::Issuers;

/// The provider of all cryptography in TLS.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// The certificates the server shows; may be exchanged while it runs. Shown is the first that carries
/// the name the client asks for, of those whose key it can check; else the first that it can check.
#[derive(Debug)]
pub struct ServerIdentity {
    keys: ArcSwap<Vec<Arc<CertifiedKey>>>,
}

impl ServerIdentity {
    /// An identity of these keys, in order of preference.
    pub fn new(keys: Vec<Arc<CertifiedKey>>) -> Arc<Self> {
        Arc::new(ServerIdentity {
            keys: ArcSwap::from_pointee(keys),
        })
    }

    /// Shows these from the next handshake on.
    pub fn exchange(&self, keys: Vec<Arc<CertifiedKey>>) {
        self.keys.store(Arc::new(keys));
    }

    /// Whether one of the certificates carries this name.
    pub fn carries(&self, name: &str) -> bool {
        self.keys.load().iter().any(|key| carries(key, name))
    }

    /// When the first of the certificates ends, those of their chains included.
    pub fn ends(&self) -> Option<Timestamp> {
        let keys = self.keys.load();
        let links = keys.iter().flat_map(|key| &key.cert);
        links
            .filter_map(|link| Certificate::from_der(link.as_ref()).ok())
            .map(|link| link.not_after())
            .min()
    }

    /// The certificate for a client that asks for `name` and can check keys of `schemes`.
    fn choose(&self, name: Option<&str>, schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let keys = self.keys.load();
        if let [only] = keys.as_slice() {
            return Some(Arc::clone(only));
        }
        // For TLS 1.2 the library has taken out the schemes that no cipher suite of the client goes with.
        let can_check = |key: &&Arc<CertifiedKey>| key.key.choose_scheme(schemes).is_some();
        let asked_for = |key: &&Arc<CertifiedKey>| name.is_some_and(|name| carries(key, name));
        keys.iter()
            .filter(can_check)
            .find(asked_for)
            .or_else(|| keys.iter().find(can_check))
            .or_else(|| keys.first())
            .cloned()
    }
}

impl ResolvesServerCert for ServerIdentity {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(hello.server_name(), hello.signature_schemes())
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
pub fn peer_chain(
    connection: &ServerConnection,
    issuers: &Issuers,
) -> Vec<Result<Certificate, CertificateError>> {
    let shown = connection.peer_certificates().unwrap_or_default();
    let read = |(place, link): (usize, &CertificateDer<'_>)| match place {
        0 => Certificate::from_der(link.as_ref()),
        _ => issuers.read(link.as_ref()),
    };
    shown.iter().enumerate().map(read).collect()
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{PrivateKeyDer, ServerName};
    use rustls::{ClientConfig, ClientConnection};

    use super::*;
    use crate::client::tls::{ClientCertificate, Trust, settings};
    use crate::dev_ca::{PemPair, issue_server_certificate, make_ca};
    use crate::tls::test_chains::{Ca, ecdsa, rsa};

    fn pair() -> PemPair {
        let now = Timestamp::parse("2040-06-01T00:00:00Z").expect("a time");
        let ca = make_ca([1; 16], now).expect("a CA");
        issue_server_certificate(&ca, &["localhost".to_owned()], [2; 16], now).expect("a pair")
    }

    #[test]
    fn sessions_are_never_kept_nor_ticketed() {
        let pair = pair();
        let key = certified_key(&pair.certificate, &pair.key).expect("a pair");
        let config = server_config(ServerIdentity::new(vec![Arc::new(key)])).expect("settings");
        assert!(!config.ticketer.enabled());
        assert!(!config.session_storage.can_cache());
        assert_eq!(config.send_tls13_tickets, 0);
        assert_eq!(config.max_early_data_size, 0);
    }

    /// A client's chain as the server has it after a handshake in memory.
    fn chain_of_a_connection(
        server: &Arc<ServerConfig>,
        client: &Arc<ClientConfig>,
        issuers: &Issuers,
    ) -> Vec<Certificate> {
        let name = ServerName::try_from("localhost").expect("a name");
        let mut client = ClientConnection::new(Arc::clone(client), name).expect("a client");
        let mut server = ServerConnection::new(Arc::clone(server)).expect("a server");
        while client.is_handshaking() || server.is_handshaking() {
            let mut sent = Vec::new();
            while client.wants_write() {
                client.write_tls(&mut sent).expect("written");
            }
            server.read_tls(&mut &sent[..]).expect("read");
            server.process_new_packets().expect("a handshake");
            sent.clear();
            while server.wants_write() {
                server.write_tls(&mut sent).expect("written");
            }
            client.read_tls(&mut &sent[..]).expect("read");
            client.process_new_packets().expect("a handshake");
        }
        let chain = peer_chain(&server, issuers).into_iter();
        chain.map(|link| link.expect("a certificate")).collect()
    }

    #[test]
    fn links_above_the_leaf_are_read_once_for_all_connections_and_leaves_are_not_kept() {
        let pair = pair();
        let key = certified_key(&pair.certificate, &pair.key).expect("a pair");
        let shown = Certificate::from_der(&key.cert[0]).expect("a certificate");
        let server = server_config(ServerIdentity::new(vec![Arc::new(key)])).expect("settings");
        let between = Ca::root("root").below("between");
        let device = between.issue(&["dev"], &ecdsa(), test_chains::now());
        let chain = device.certificate.clone() + &between.pem();
        let chain = CertificateDer::pem_slice_iter(chain.as_bytes());
        let identity = ClientCertificate::new(
            chain.map(|link| link.expect("a link")).collect(),
            PrivateKeyDer::from_pem_slice(device.key.as_bytes()).expect("a key"),
        );
        let trust = Trust::Shown(vec![shown.sha256_hex()]);
        let client = settings(&trust, Some(identity)).expect("settings");

        let (server, issuers) = (Arc::new(server), Issuers::default());
        let chains = [(); 2].map(|()| chain_of_a_connection(&server, &client, &issuers));
        let places = |place: usize| chains.each_ref().map(|chain| chain[place].der().as_ptr());
        let ([leaf, other_leaf], [link, same_link]) = (places(0), places(1));
        assert_eq!(link, same_link);
        assert_ne!(leaf, other_leaf);
        assert_eq!(chains[0], chains[1]);
    }

    #[test]
    fn the_end_is_that_of_the_certificate_that_ends_first() {
        let ca = Ca::root("root");
        let from = |days: u32| {
            let from = test_chains::now().plus(test_chains::DAY * days);
            let pair = ca.issue(&["a.test"], &ecdsa(), from);
            Arc::new(certified_key(&pair.certificate, &pair.key).expect("a pair"))
        };
        let identity = ServerIdentity::new(vec![from(2), from(1), from(3)]);
        let first = test_chains::now().plus(test_chains::DAY * 91);
        assert_eq!(identity.ends(), Some(first));
        assert_eq!(ServerIdentity::new(Vec::new()).ends(), None);
    }

    #[test]
    fn the_certificate_goes_by_the_name_asked_for_and_then_by_what_the_client_can() {
        let ca = Ca::root("root");
        let pair = |name: &str, key: &rcgen::KeyPair| {
            let pair = ca.issue(&[name], key, test_chains::now());
            Arc::new(certified_key(&pair.certificate, &pair.key).expect("a pair"))
        };
        let (a, b) = (pair("a.test", &ecdsa()), pair("b.test", &ecdsa()));
        let (old_a, old_b) = (pair("a.test", &rsa()), pair("b.test", &rsa()));
        let all = [&a, &b, &old_a, &old_b].map(Arc::clone).to_vec();
        let identity = ServerIdentity::new(all);
        let new = [SignatureScheme::ECDSA_NISTP256_SHA256];
        let old = [SignatureScheme::RSA_PSS_SHA256];
        let both = [new[0], old[0]];
        for (name, schemes, expected) in [
            (Some("a.test"), &both[..], &a),
            (Some("b.test"), &both[..], &b),
            (Some("b.test"), &old[..], &old_b),
            (Some("b.test"), &new[..], &b),
            (Some("c.test"), &old[..], &old_a),
            (None, &both[..], &a),
            (None, &old[..], &old_a),
            (Some("b.test"), &[][..], &a),
        ] {
            let chosen = identity.choose(name, schemes).expect("one");
            assert!(Arc::ptr_eq(&chosen, expected), "{name:?} {schemes:?}");
        }
        assert!(identity.carries("b.test") && !identity.carries("c.test"));
    }
}
