//! Certificates and chains: no bytes break the reader, and no changed leaf is let in.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use landfall_core::attestation::x509::{Anchor, AnchorSource, find_group};
use landfall_core::certificate::Certificate;
use landfall_core::certificate::ca::check_upload;
use landfall_core::clock::Timestamp;
use landfall_core::id::{EnrollmentGroupId, RegistrationId};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// A root, an intermediate that a group trusts, and a leaf below it.
struct Family {
    root: Certificate,
    intermediate: Certificate,
    leaf: Certificate,
    now: Timestamp,
    id: RegistrationId,
    group: EnrollmentGroupId,
}

static FAMILY: LazyLock<Family> = LazyLock::new(|| {
    let params = |name: &str, ca: bool| {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2090, 1, 1);
        if ca {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        params
    };
    let key = || KeyPair::generate().expect("key");
    let read = |der: &[u8]| Certificate::from_der(der).expect("certificate");

    let (root_params, root_key) = (params("root", true), key());
    let root = root_params.self_signed(&root_key).expect("root");
    let root_issuer = Issuer::new(root_params, root_key);
    let (middle_params, middle_key) = (params("intermediate", true), key());
    let middle = middle_params
        .signed_by(&middle_key, &root_issuer)
        .expect("intermediate");
    let middle_issuer = Issuer::new(middle_params, middle_key);
    let leaf = params("dev1", false)
        .signed_by(&key(), &middle_issuer)
        .expect("leaf");
    Family {
        root: read(root.der()),
        intermediate: read(middle.der()),
        leaf: read(leaf.der()),
        now: Timestamp::from_unix_seconds(2_000_000_000),
        id: RegistrationId::parse("dev1").expect("id"),
        group: EnrollmentGroupId::parse("group").expect("id"),
    }
});

static DER: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    [&FAMILY.leaf, &FAMILY.intermediate, &FAMILY.root]
        .map(|certificate| certificate.der().to_vec())
        .to_vec()
});

fn der(bytes: &[u8]) {
    let family = &*FAMILY;
    let Ok(read) = Certificate::from_der(bytes) else {
        return;
    };
    assert_eq!(read.der(), bytes);
    let _ = (read.common_name(), read.info(), read.public_key());
    let _ = check_upload(&read, family.now);
    let anchor = |certificate: &Certificate| Anchor {
        certificate: certificate.clone(),
        group: family.group.clone(),
        source: AnchorSource::SigningCertificate,
    };
    let enter = |chain: &[Certificate], anchors: &[Anchor]| {
        let verified = [family.root.clone()];
        find_group(chain, anchors, &verified, &family.id, family.now, true)
    };
    // The read certificate as a leaf: only the real one is let in.
    let as_leaf = enter(
        &[read.clone(), family.intermediate.clone()],
        &[anchor(&family.intermediate)],
    );
    assert_eq!(
        as_leaf.is_ok(),
        read == family.leaf,
        "{bytes:02x?}: {as_leaf:?}"
    );
    // As a hint between leaf and root, and as what a group trusts: no panic, no endless walk.
    let _ = enter(
        &[family.leaf.clone(), read.clone(), read.clone()],
        &[anchor(&family.root)],
    );
    let _ = enter(std::slice::from_ref(&family.leaf), &[anchor(&read)]);
    let _ = enter(&[read.clone(), read.clone()], &[anchor(&read)]);
}

/// A CA certificate as request bodies carry it.
pub(crate) fn certificate_text() -> String {
    STANDARD.encode(FAMILY.intermediate.der())
}

static TEXT: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let one = STANDARD.encode(FAMILY.leaf.der());
    let pem = format!("-----BEGIN CERTIFICATE-----\n{one}\n-----END CERTIFICATE-----\n");
    let twice = STANDARD.encode(pem.as_bytes());
    [one, pem, twice].map(String::into_bytes).to_vec()
});

fn text(bytes: &[u8]) {
    if let Ok(file) = Certificate::chain_from_file(bytes) {
        assert!(!file.certificates.is_empty());
    }
    let text = String::from_utf8_lossy(bytes);
    match Certificate::from_text(&text) {
        Ok(read) => assert_eq!(Certificate::from_der(read.der()).ok(), Some(read)),
        Err(error) => {
            let shown = error.to_string();
            assert!(text.len() < 16 || !shown.contains(&*text), "{shown}");
        }
    }
}

#[test]
fn no_changed_certificate_is_let_in() {
    feed!(DER, der);
}

#[test]
fn no_text_breaks_the_reader_of_certificates() {
    for seed in TEXT.iter() {
        let seed = String::from_utf8_lossy(seed);
        assert!(Certificate::from_text(&seed).is_ok(), "{seed}");
    }
    feed!(TEXT, text);
}
