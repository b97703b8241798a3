//! What a client says when it cannot reach or trust a server.

use http::{HeaderMap, Method, StatusCode};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::tls::{ClientCertificate, Trust, settings};
use super::*;

struct Authority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().expect("key");
        let mut params = CertificateParams::new(Vec::new()).expect("params");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).expect("CA").der().clone();
        Authority {
            certificate,
            issuer: Issuer::new(params, key),
        }
    }

    fn leaf(&self, name: &str) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().expect("key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("params");
        let leaf = params.signed_by(&key, &self.issuer).expect("leaf");
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("key");
        (vec![leaf.der().clone()], key)
    }

    fn trust(&self) -> Trust {
        Trust::Certificates(vec![self.certificate.clone()])
    }
}

/// A server that is not ours: says how many connections it took, and whether a certificate was shown.
async fn responder(authority: &Authority, name: &str) -> u16 {
    let (chain, key) = authority.leaf(name);
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority.certificate.clone()).expect("root");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .allow_unauthenticated()
        .build()
        .expect("verifier");
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .expect("certificate");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let port = listener.local_addr().expect("address").port();
    tokio::spawn(async move {
        for connection in 1.. {
            let (stream, _) = listener.accept().await.expect("accept");
            let Ok(stream) = acceptor.accept(stream).await else {
                continue;
            };
            let shown = stream.get_ref().1.peer_certificates().is_some();
            let service =
                hyper::service::service_fn(move |request: http::Request<Incoming>| async move {
                    let host = request.headers()[HOST].to_str().expect("text").to_owned();
                    let target = request.uri().to_string();
                    let body = request
                        .into_body()
                        .collect()
                        .await
                        .expect("body")
                        .to_bytes();
                    let text = format!(
                        "{connection} {shown} {host} {target} {}",
                        String::from_utf8_lossy(&body)
                    );
                    Ok::<_, std::convert::Infallible>(http::Response::new(Full::new(Bytes::from(
                        text,
                    ))))
                });
            tokio::spawn(
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service),
            );
        }
    });
    port
}

fn request(body: &str) -> Request {
    Request {
        method: Method::PUT,
        path: "/a%3Ab".into(),
        query: Some("x=1".into()),
        headers: HeaderMap::new(),
        body: body.into(),
    }
}

fn client(port: u16, trust: &Trust, identity: Option<ClientCertificate>) -> Client {
    Client::new(
        Endpoint::new("localhost", port),
        settings(trust, identity).expect("settings"),
    )
}

#[tokio::test]
async fn one_connection_carries_many_calls() {
    let authority = Authority::new();
    let port = responder(&authority, "localhost").await;
    let mut client = client(port, &authority.trust(), None);
    for body in ["one", "two"] {
        let reply = client.call(request(body)).await.expect("reply");
        assert_eq!(reply.status, StatusCode::OK);
        assert_eq!(
            String::from_utf8(reply.body).expect("text"),
            format!("1 false localhost:{port} /a%3Ab?x=1 {body}")
        );
    }
}

#[tokio::test]
async fn a_client_certificate_is_shown_when_there_is_one() {
    let authority = Authority::new();
    let port = responder(&authority, "localhost").await;
    let (chain, key) = authority.leaf("device-1");
    let mut client = client(
        port,
        &authority.trust(),
        Some(ClientCertificate::new(chain, key)),
    );
    let reply = client.call(request("")).await.expect("reply");
    assert!(reply.body.starts_with(b"1 true "), "{reply:?}");
}

#[tokio::test]
async fn each_way_to_fail_is_told_apart_and_has_its_remedy() {
    let authority = Authority::new();
    let port = responder(&authority, "localhost").await;
    let unknown = client(port, &Authority::new().trust(), None)
        .call(request(""))
        .await
        .expect_err("unknown authority");
    assert!(
        matches!(unknown, ClientError::UnknownAuthority(_)),
        "{unknown}"
    );
    assert!(unknown.fix().contains("--ca FILE"));

    let port = responder(&authority, "other.example.net").await;
    let other = client(port, &authority.trust(), None)
        .call(request(""))
        .await
        .expect_err("other name");
    assert!(matches!(other, ClientError::OtherName { .. }), "{other}");
    assert!(other.fix().contains("other.example.net"), "{}", other.fix());

    let closed = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let port = closed.local_addr().expect("address").port();
    drop(closed);
    let nobody = client(port, &authority.trust(), None)
        .call(request(""))
        .await
        .expect_err("nobody");
    assert!(matches!(nobody, ClientError::Connect { .. }), "{nobody}");

    let silent = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let port = silent.local_addr().expect("address").port();
    let late = client(port, &authority.trust(), None)
        .with_limit(Duration::from_millis(100))
        .call(request(""))
        .await
        .expect_err("silent");
    assert!(matches!(late, ClientError::TimedOut { .. }), "{late}");
}

#[test]
fn a_file_without_certificates_is_refused() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("ca.pem");
    std::fs::write(&path, "nothing here").expect("written");
    let refused = settings(&Trust::File(path.clone()), None).expect_err("refused");
    assert!(refused.to_string().contains("ca.pem"), "{refused}");
    let missing = settings(&Trust::File(folder.path().join("none.pem")), None);
    assert!(missing.is_err());
}
