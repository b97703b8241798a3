//! The client that shows a certificate whose key it does not hold.

use std::sync::Arc;

use rcgen::{
    CertificateParams, DnType, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384,
    PKCS_ECDSA_P521_SHA512, PKCS_ED25519, PKCS_RSA_SHA256, SignatureAlgorithm,
};
use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::end::Server;

/// Presents this chain and signs with this key, whether or not they belong together.
#[derive(Debug)]
struct Presents(Arc<CertifiedKey>);

impl ResolvesClientCert for Presents {
    fn resolve(
        &self,
        _root_hints: &[&[u8]],
        _schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

pub(super) fn presenting(
    chain: Vec<CertificateDer<'static>>,
    key: &PrivatePkcs8KeyDer<'_>,
) -> Arc<dyn ResolvesClientCert> {
    let key = any_supported_type(&PrivateKeyDer::Pkcs8(key.clone_key())).expect("a usable key");
    Arc::new(Presents(Arc::new(CertifiedKey::new(chain, key))))
}

const KINDS: [(&str, &SignatureAlgorithm); 5] = [
    ("RSA", &PKCS_RSA_SHA256),
    ("P-256", &PKCS_ECDSA_P256_SHA256),
    ("P-384", &PKCS_ECDSA_P384_SHA384),
    ("P-521", &PKCS_ECDSA_P521_SHA512),
    ("Ed25519", &PKCS_ED25519),
];

/// A certificate with its own key, and another key of the same kind.
struct Victim {
    kind: &'static str,
    certificate: CertificateDer<'static>,
    own: PrivatePkcs8KeyDer<'static>,
    other: PrivatePkcs8KeyDer<'static>,
}

fn victims() -> Vec<Victim> {
    let key = |algorithm| KeyPair::generate_for(algorithm).expect("a key");
    KINDS
        .into_iter()
        .map(|(kind, algorithm)| {
            let own = key(algorithm);
            let mut params = CertificateParams::default();
            params.distinguished_name.push(DnType::CommonName, "victim");
            let certificate = params.self_signed(&own).expect("a certificate");
            Victim {
                kind,
                certificate: certificate.der().clone(),
                own: PrivatePkcs8KeyDer::from(own.serialize_der()),
                other: PrivatePkcs8KeyDer::from(key(algorithm).serialize_der()),
            }
        })
        .collect()
}

#[tokio::test]
async fn the_lying_client_is_refused_with_every_pair_of_key_types() {
    let server = Server::start().await;
    let victims = victims();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        for victim in &victims {
            let chain = vec![victim.certificate.clone()];
            let honest = server.client(version, Some(presenting(chain.clone(), &victim.own)));
            let (seen, answer) = server.met_by_rustls(&honest).await;
            assert_eq!(seen.expect("a handshake").chain.len(), 1, "{}", victim.kind);
            answer.expect("an answer");
            for liar in &victims {
                let lie = server.client(version, Some(presenting(chain.clone(), &liar.other)));
                let (seen, answer) = server.met_by_rustls(&lie).await;
                let what = format!("{} signed with {} {version:?}", victim.kind, liar.kind);
                let refusal = seen.expect_err(&what);
                assert!(refusal.contains("BadSignature"), "{what}: {refusal}");
                assert!(answer.is_err(), "{what}");
            }
        }
    }
}
