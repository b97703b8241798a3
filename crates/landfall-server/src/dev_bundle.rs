//! The bundle of a development server: its CA and the roots that this machine trusts, in one text.
//! For programs whose setting replaces their roots instead of adding to them. Written by
//! [`crate::dev_identity`].

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use landfall_core::certificate::Certificate;
use rustls_pki_types::CertificateDer;

use crate::dev_ca::CA_NAME;

/// Where systems keep their roots as one file.
const PLACES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The text of a bundle: `ca` as it is, then `roots`.
pub fn text(ca: &str, roots: &[CertificateDer<'_>]) -> String {
    let mut out = ca.trim_end().to_owned();
    out.push('\n');
    for root in roots {
        pem(&mut out, root);
    }
    out
}

/// The roots that this machine trusts, development CAs left out; empty when it has none.
///
/// `SSL_CERT_FILE` and `SSL_CERT_DIR` count, unless they lead to a bundle of a development server: a
/// bundle that is made of itself would keep what the machine has long dropped.
pub fn system_roots() -> Vec<CertificateDer<'static>> {
    let mut roots = rustls_native_certs::load_native_certs().certs;
    if roots.is_empty() || roots.iter().any(|root| is_development_ca(root)) {
        let place = PLACES.iter().map(Path::new).find(|place| place.is_file());
        roots = rustls_native_certs::load_certs_from_paths(place, None).certs;
    }
    roots.retain(|root| !is_development_ca(root));
    roots
}

fn is_development_ca(der: &CertificateDer<'_>) -> bool {
    Certificate::from_der(der).is_ok_and(|certificate| {
        certificate
            .common_name()
            .is_ok_and(|name| name.starts_with(CA_NAME))
    })
}

/// Adds a certificate as PEM text.
pub fn pem(out: &mut String, der: &[u8]) {
    out.push_str("-----BEGIN CERTIFICATE-----\n");
    for (at, letter) in STANDARD.encode(der).chars().enumerate() {
        if at > 0 && at % 64 == 0 {
            out.push('\n');
        }
        out.push(letter);
    }
    out.push_str("\n-----END CERTIFICATE-----\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dev_ca::make_ca;
    use landfall_core::clock::Timestamp;
    use rustls_pki_types::pem::PemObject as _;

    fn read(text: &str) -> Vec<CertificateDer<'static>> {
        CertificateDer::pem_slice_iter(text.as_bytes())
            .collect::<Result<_, _>>()
            .expect("PEM")
    }

    #[test]
    fn a_bundle_holds_the_ca_first_and_then_every_root_unchanged() {
        let now = Timestamp::parse("2040-06-01T00:00:00Z").expect("a time");
        let ca = make_ca([1; 16], now).expect("a CA").certificate;
        let key = rcgen::KeyPair::generate().expect("a key");
        let root = rcgen::CertificateParams::new(Vec::new())
            .and_then(|params| params.self_signed(&key))
            .expect("a root");
        let text = text(ca.trim_end(), std::slice::from_ref(root.der()));
        assert_eq!(read(&text), [read(&ca), vec![root.der().clone()]].concat());
        assert!(text.lines().all(|line| line.len() <= 64), "{text}");
    }

    #[test]
    fn development_cas_are_told_from_other_roots() {
        let now = Timestamp::parse("2040-06-01T00:00:00Z").expect("a time");
        let ca = make_ca([1; 16], now).expect("a CA").certificate;
        assert!(is_development_ca(&read(&ca)[0]));
        let key = rcgen::KeyPair::generate().expect("a key");
        let other = rcgen::CertificateParams::new(Vec::new())
            .and_then(|params| params.self_signed(&key))
            .expect("a root");
        assert!(!is_development_ca(other.der()));
        assert!(system_roots().iter().all(|root| !is_development_ca(root)));
    }
}
