//! The table of odd client certificates (x509.md §1.1), with openssl as the client.

use landfall_core::certificate::CertificateError;
use rcgen::{CertificateParams, DnType, KeyPair};
use rustls::ProtocolVersion;
use rustls_pki_types::PrivatePkcs8KeyDer;

use super::end::Server;
use super::files::Files;
use super::lying::presenting;

const VERSIONS: [(&str, ProtocolVersion); 2] = [
    ("-tls1_2", ProtocolVersion::TLSv1_2),
    ("-tls1_3", ProtocolVersion::TLSv1_3),
];

/// Asserts that `NAME.pem` finishes the handshake in both versions, and that the server sees
/// exactly it and then `above`.
async fn passes(server: &Server, files: &Files, name: &str, above: &[&str]) {
    let (leaf, key) = (
        files.path(&format!("{name}.pem")),
        files.path(&format!("{name}.key")),
    );
    let mut expected = vec![files.thumbprint(&format!("{name}.pem"))];
    let mut chain_file = String::new();
    for link in above {
        expected.push(files.thumbprint(&format!("{link}.pem")));
        chain_file.push_str(&files.read(&format!("{link}.pem")));
    }
    files.write("above.pem", &chain_file);
    let chain = files.path("above.pem");
    for (flag, version) in VERSIONS {
        let mut arguments = vec![flag, "-cert", &leaf, "-key", &key];
        if !above.is_empty() {
            arguments.extend(["-cert_chain", &chain]);
        }
        let (seen, output) = server.met_by_openssl(&arguments).await;
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let seen = seen.unwrap_or_else(|error| panic!("{name} {flag}: {error}\n{stderr}"));
        assert_eq!(seen.version, version, "{name}");
        assert_eq!(seen.thumbprints(), expected, "{name} {flag}\n{stderr}");
        assert!(
            String::from_utf8_lossy(&output.stdout).contains("hello from the server"),
            "{name} {flag}"
        );
    }
}

#[tokio::test]
async fn every_key_type_is_proved() {
    let (server, files) = (Server::start().await, Files::new());
    for (name, key) in [
        ("rsa2048", "rsa:2048"),
        ("rsa4096", "rsa:4096"),
        ("p256", "ec:P-256"),
        ("p384", "ec:P-384"),
        ("p521", "ec:P-521"),
        ("ed25519", "ed25519"),
    ] {
        files.self_signed(name, key, "");
        passes(&server, &files, name, &[]).await;
    }
}

#[tokio::test]
async fn version_1_certificates_pass() {
    let (server, files) = (Server::start().await, Files::new());
    files.self_signed("ca", "ec:P-256", "");
    files.issued("v1", "ca", None);
    assert_eq!(files.certificate("v1.pem").info().version, 1);
    passes(&server, &files, "v1", &[]).await;
}

#[tokio::test]
async fn unknown_critical_extensions_pass() {
    let (server, files) = (Server::start().await, Files::new());
    for (name, extension) in [
        ("unknown", "1.2.3.4.5=critical,DER:0500"),
        ("dice", "2.23.133.5.4.1=critical,DER:3000"),
    ] {
        files.self_signed(name, "ec:P-256", &format!("-addext {extension}"));
        passes(&server, &files, name, &[]).await;
    }
}

#[tokio::test]
async fn a_malformed_critical_alternative_name_passes() {
    let (server, files) = (Server::start().await, Files::new());
    files.self_signed(
        "devkit",
        "ec:P-256",
        "-addext subjectAltName=critical,DER:3003820561",
    );
    passes(&server, &files, "devkit", &[]).await;
}

#[tokio::test]
async fn sha1_signatures_and_negative_serials_pass_the_handshake() {
    let (server, files) = (Server::start().await, Files::new());
    files.self_signed("sha1", "rsa:2048", "-sha1");
    passes(&server, &files, "sha1", &[]).await;
    files.self_signed("negative", "ec:P-256", "-set_serial -5");
    let serial = files.certificate("negative.pem").info().serial_number;
    assert_eq!(serial, "FB");
    passes(&server, &files, "negative", &[]).await;
}

#[tokio::test]
async fn expired_certificates_pass_the_handshake() {
    let (server, files) = (Server::start().await, Files::new());
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, "expired");
    params.not_before = rcgen::date_time_ymd(2001, 1, 1);
    params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    files.write(
        "expired.pem",
        &params.self_signed(&key).expect("a certificate").pem(),
    );
    files.write("expired.key", &key.serialize_pem());
    passes(&server, &files, "expired", &[]).await;
}

#[tokio::test]
async fn chains_arrive_exactly_as_they_were_sent() {
    let (server, files) = (Server::start().await, Files::new());
    files.self_signed("root", "ec:P-384", "");
    let ca = Some("basicConstraints=critical,CA:TRUE\n");
    files.issued("intermediate", "root", ca);
    files.issued(
        "device",
        "intermediate",
        Some("basicConstraints=CA:FALSE\n"),
    );
    passes(&server, &files, "device", &[]).await;
    passes(&server, &files, "device", &["intermediate"]).await;
    passes(&server, &files, "device", &["intermediate", "root"]).await;
    passes(&server, &files, "device", &["root", "intermediate"]).await;
}

#[tokio::test]
async fn a_device_without_certificate_is_let_into_tls() {
    let server = Server::start().await;
    for (flag, version) in VERSIONS {
        let (seen, _) = server.met_by_openssl(&[flag]).await;
        let seen = seen.expect("a handshake");
        assert_eq!(seen.version, version);
        assert!(seen.chain.is_empty());
    }
}

#[tokio::test]
async fn rsa_keys_of_1024_bits_are_refused() {
    let (server, files) = (Server::start().await, Files::new());
    files.self_signed("small", "rsa:1024", "");
    let (leaf, key) = (files.path("small.pem"), files.path("small.key"));
    for (flag, _) in VERSIONS {
        let (seen, output) = server
            .met_by_openssl(&[flag, "-cert", &leaf, "-key", &key])
            .await;
        let refusal = seen.expect_err("refused");
        assert!(refusal.contains("BadSignature"), "{refusal}");
        assert!(!String::from_utf8_lossy(&output.stdout).contains("hello from"));
    }
}

#[tokio::test]
async fn tls_1_1_is_refused() {
    let server = Server::start().await;
    let (seen, output) = server.met_by_openssl(&["-tls1_1"]).await;
    let refusal = seen.expect_err("refused");
    assert!(refusal.contains("incompatible"), "{refusal}");
    assert!(!output.status.success());
}

#[tokio::test]
async fn clients_bound_to_rsa_are_served_by_an_rsa_key_exchanged_at_run_time() {
    let (server, files) = (Server::start().await, Files::new());
    let rsa_only = ["-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"];
    assert!(server.met_by_openssl(&rsa_only).await.0.is_err());
    let pair = |name: &str, kind: &str| {
        files.self_signed(name, kind, "");
        let (chain, key) = (format!("{name}.pem"), format!("{name}.key"));
        landfall_server::tls::certified_key(&files.read(&chain), &files.read(&key))
            .expect("a pair")
            .into()
    };
    let both = vec![pair("ecdsa", "ec:P-256"), pair("rsa", "rsa:2048")];
    server.identity.exchange(both);
    for (arguments, subject) in [
        (&rsa_only[..], "subject=CN = rsa"),
        (&["-tls1_2", "-sigalgs", "RSA+SHA256"], "subject=CN = rsa"),
        (
            &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"],
            "subject=CN = ecdsa",
        ),
        (
            &["-tls1_3", "-sigalgs", "rsa_pss_rsae_sha256"],
            "subject=CN = rsa",
        ),
        (
            &["-tls1_3", "-sigalgs", "ecdsa_secp256r1_sha256"],
            "subject=CN = ecdsa",
        ),
        (&["-tls1_2"], "subject=CN = ecdsa"),
        (&["-tls1_3"], "subject=CN = ecdsa"),
    ] {
        let (seen, output) = server.met_by_openssl(arguments).await;
        assert!(seen.is_ok(), "{arguments:?}");
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(stdout.contains(subject), "{stdout}");
    }
}

#[tokio::test]
async fn too_many_and_too_long_certificates_are_refused() {
    let server = Server::start().await;
    let key = KeyPair::generate().expect("a key");
    let leaf = CertificateParams::default()
        .self_signed(&key)
        .expect("a certificate");
    let pkcs8 = PrivatePkcs8KeyDer::from(key.serialized_der().to_vec());
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        for (links, fine) in [(10, true), (11, false)] {
            let chain = vec![leaf.der().clone(); links];
            let client = server.client(version, Some(presenting(chain, &pkcs8)));
            let (seen, answer) = server.met_by_rustls(&client).await;
            assert_eq!(seen.is_ok(), fine, "{seen:?}");
            assert_eq!(answer.is_ok(), fine, "{answer:?}");
        }
        let mut long = CertificateParams::default();
        long.custom_extensions = vec![rcgen::CustomExtension::from_oid_content(
            &[1, 2, 3, 4],
            vec![0; 9000],
        )];
        let long = long.self_signed(&key).expect("a certificate");
        let client = server.client(version, Some(presenting(vec![long.der().clone()], &pkcs8)));
        let refusal = server.met_by_rustls(&client).await.0.expect_err("refused");
        assert!(refusal.contains("at most 8192"), "{refusal}");
    }
}

#[tokio::test]
async fn a_link_that_does_not_parse_is_kept_as_its_error() {
    let server = Server::start().await;
    let key = KeyPair::generate().expect("a key");
    let leaf = CertificateParams::default()
        .self_signed(&key)
        .expect("a certificate");
    let pkcs8 = PrivatePkcs8KeyDer::from(key.serialized_der().to_vec());
    let mut followed = leaf.der().to_vec();
    followed.extend([0, 0]);
    let chain = vec![leaf.der().clone(), followed.into(), vec![1, 2, 3].into()];
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let client = server.client(version, Some(presenting(chain.clone(), &pkcs8)));
        let seen = server.met_by_rustls(&client).await.0.expect("a handshake");
        assert!(seen.chain[0].is_ok());
        assert_eq!(seen.chain[1], Err(CertificateError::TrailingBytes(2)));
        assert!(matches!(
            seen.chain[2],
            Err(CertificateError::Unreadable(_))
        ));
    }
}
