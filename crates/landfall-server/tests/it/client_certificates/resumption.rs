//! Every connection is a full handshake with its own proof (x509.md §1.3).

use std::process::Stdio;

use rcgen::{CertificateParams, KeyPair};
use rustls::HandshakeKind;
use rustls_pki_types::PrivatePkcs8KeyDer;

use super::end::{Server, soon};
use super::files::Files;
use super::lying::presenting;

#[tokio::test]
async fn a_client_that_would_resume_makes_a_full_handshake_each_time() {
    let server = Server::start().await;
    let key = KeyPair::generate().expect("a key");
    let leaf = CertificateParams::default()
        .self_signed(&key)
        .expect("a certificate");
    let pkcs8 = PrivatePkcs8KeyDer::from(key.serialize_der());
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let certificate = presenting(vec![leaf.der().clone()], &pkcs8);
        let client = server.client(version, Some(certificate));
        for _ in 0..3 {
            let (seen, answer) = server.met_by_rustls(&client).await;
            let seen = seen.expect("a handshake");
            assert_ne!(seen.kind, HandshakeKind::Resumed);
            assert_eq!(seen.chain.len(), 1);
            assert_ne!(answer.expect("an answer"), HandshakeKind::Resumed);
        }
    }
}

#[tokio::test]
async fn openssl_gets_no_session_that_it_could_take_up_again() {
    let (server, files) = (Server::start().await, Files::new());
    files.self_signed("dev1", "ec:P-256", "");
    let (leaf, key) = (files.path("dev1.pem"), files.path("dev1.key"));
    for version in ["-tls1_2", "-tls1_3"] {
        let kept = files.path(&format!("session{version}"));
        let first = ["-cert", &leaf, "-key", &key, "-sess_out", &kept, version];
        let (seen, output) = server.met_by_openssl(&first).await;
        assert!(seen.is_ok());
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(!text.contains("session ticket"), "{text}");
        if std::path::Path::new(&kept).exists() {
            // Without the certificate: a resumed session would still show it.
            let second = ["-sess_in", &kept, version];
            let (seen, output) = server.met_by_openssl(&second).await;
            assert!(seen.expect("a handshake").chain.is_empty());
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(!text.contains("Reused,"), "{text}");
        }
    }
}

#[tokio::test]
async fn openssl_reconnects_anew_each_time() {
    let server = Server::start().await;
    let client = tokio::process::Command::new("openssl")
        .args([
            "s_client",
            "-connect",
            &format!("127.0.0.1:{}", server.port),
        ])
        .args(["-tls1_2", "-reconnect"])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let serve = async {
        for _ in 0..6 {
            let seen = server.serve_one().await.expect("a handshake");
            assert_ne!(seen.kind, HandshakeKind::Resumed);
        }
    };
    let ((), output) = soon(async { tokio::join!(serve, client) }).await;
    let text = String::from_utf8_lossy(&output.expect("openssl runs").stdout).into_owned();
    assert_eq!(text.matches("New, TLSv1.2").count(), 6, "{text}");
    assert!(!text.contains("Reused,"), "{text}");
}
