//! The CA certificates of the control plane on a SQLite store: upload, proof of possession, deletion.

use http::Method;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use serde_json::{Value, json};

use crate::bench::{Answer, Bench};

struct Authority {
    params: CertificateParams,
    key: KeyPair,
    pem: String,
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2099, 1, 1);
    params
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = params(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Authority { params, key, pem }
    }

    fn sign(&self, name: &str) -> String {
        let key = KeyPair::generate().expect("a key");
        let issuer = Issuer::from_params(&self.params, &self.key);
        let certificate = params(name).signed_by(&key, &issuer);
        certificate.expect("a certificate").pem()
    }
}

async fn call(
    bench: &Bench,
    method: Method,
    path: &str,
    if_match: Option<&str>,
    body: Value,
) -> Answer {
    let headers: Vec<(&str, &str)> = if_match.iter().map(|etag| ("if-match", *etag)).collect();
    let path = format!("0neA/certificates{path}");
    bench
        .control(&bench.token.to_base64(), method, &path, &headers, body)
        .await
}

#[tokio::test]
async fn possession_is_proved_by_signing_the_code() {
    let bench = Bench::new().await;
    let ca = Authority::new("Root");
    let body = json!({"certificate": ca.pem});
    let made = call(&bench, Method::PUT, "/root-1", None, body).await;
    assert_eq!(made.status, 200);
    assert_eq!(made.body["name"], "root-1");
    assert_eq!(made.body["properties"]["subject"], "Root");
    assert_eq!(made.body["properties"]["isVerified"], false);
    assert_eq!(made.body["properties"]["certificate"], Value::Null);
    assert_eq!(
        made.body["id"],
        "/subscriptions/s/resourceGroups/g/providers/Microsoft.Devices/provisioningServices/0neA/certificates/root-1"
    );

    let reference = json!({"enrollmentGroupId": "grp", "attestation": {"type": "x509", "x509": {
        "caReferences": {"primary": "ROOT-1"},
    }}});
    let refused = bench
        .call(Method::PUT, "/enrollmentGroups/grp", &[], reference.clone())
        .await;
    assert_eq!(
        refused.body["message"],
        "CA certificate 'ROOT-1' is not verified; prove its possession first."
    );

    let path = "/root-1/generateVerificationCode";
    let coded = call(&bench, Method::POST, path, Some(&made.etag()), Value::Null).await;
    assert_eq!(coded.status, 200);
    assert_ne!(coded.etag(), made.etag());
    let code = coded.body["properties"]["verificationCode"]
        .as_str()
        .expect("a code")
        .to_owned();
    assert_eq!(code.len(), 48);

    let etag = coded.etag();
    let other = json!({"certificate": Authority::new("Root").sign(&code)});
    let wrong = call(&bench, Method::POST, "/root-1/verify", Some(&etag), other).await;
    assert_eq!((wrong.status, &wrong.body["code"]), (400, &json!(400_309)));
    assert_eq!(wrong.body["httpStatusCode"], "BadRequest");

    let proof = json!({"certificate": ca.sign(&code)});
    let proved = call(
        &bench,
        Method::POST,
        "/root-1/verify",
        Some(&etag),
        proof.clone(),
    )
    .await;
    assert_eq!(proved.status, 200, "{proved:?}");
    assert_eq!(proved.body["properties"]["isVerified"], true);
    assert_ne!(proved.etag(), etag);
    // The code counts once.
    let again = call(&bench, Method::POST, "/root-1/verify", Some("*"), proof).await;
    assert_eq!(again.status, 400);

    let accepted = bench
        .call(Method::PUT, "/enrollmentGroups/grp", &[], reference)
        .await;
    assert_eq!(accepted.status, 200);
    // Cutting off a CA must be possible while a group names it.
    let gone = call(
        &bench,
        Method::DELETE,
        "/root-1",
        Some(&proved.etag()),
        Value::Null,
    )
    .await;
    assert_eq!((gone.status, &gone.body), (200, &Value::Null));
    let nothing = call(&bench, Method::DELETE, "/root-1", Some("*"), Value::Null).await;
    assert_eq!(nothing.status, 204);
}

#[tokio::test]
async fn what_changes_a_certificate_must_say_which_state_it_means() {
    let bench = Bench::new().await;
    let ca = Authority::new("Root");
    let body = json!({"properties": {"certificate": ca.pem, "isVerified": true}});
    let made = call(&bench, Method::PUT, "/root-1", None, body.clone()).await;
    assert_eq!(made.body["properties"]["isVerified"], true);
    let proof = json!({"certificate": ca.sign("x")});
    for (method, path, body) in [
        (Method::PUT, "/root-1", body),
        (Method::DELETE, "/root-1", Value::Null),
        (
            Method::POST,
            "/root-1/generateVerificationCode",
            Value::Null,
        ),
        (Method::POST, "/root-1/verify", proof),
    ] {
        let unsaid = call(&bench, method.clone(), path, None, body.clone()).await;
        assert_eq!(unsaid.status, 400, "{method} {path}");
        let stale = call(&bench, method.clone(), path, Some("old"), body).await;
        assert_eq!(stale.status, 412, "{method} {path}");
        assert_eq!(stale.body["httpStatusCode"], "PreconditionFailed");
    }
    let read = call(&bench, Method::GET, "/root-1", None, Value::Null).await;
    assert_eq!(read.body, made.body);
    assert_eq!(
        call(&bench, Method::GET, "/root-1", Some("old"), Value::Null)
            .await
            .status,
        412
    );
}

#[tokio::test]
async fn another_certificate_under_the_name_is_unverified_again() {
    let bench = Bench::new().await;
    let first = json!({"certificate": Authority::new("Root").pem, "isVerified": true});
    let second = json!({"certificate": Authority::new("Root 2").pem});
    let made = call(&bench, Method::PUT, "/root-1", None, first.clone()).await;
    let mut same = first.clone();
    same.as_object_mut()
        .expect("an object")
        .remove("isVerified");
    let kept = call(
        &bench,
        Method::PUT,
        "/root-1",
        Some(&made.etag()),
        same.clone(),
    )
    .await;
    assert_eq!(kept.body["properties"]["isVerified"], true);
    let replaced = call(&bench, Method::PUT, "/root-1", Some("*"), second).await;
    assert_eq!(replaced.body["properties"]["isVerified"], false);
    assert_eq!(replaced.body["properties"]["subject"], "Root 2");

    let made = call(&bench, Method::PUT, "/root-2", None, same.clone()).await;
    assert_eq!(made.status, 200);
    let twice = call(&bench, Method::PUT, "/root-3", None, same).await;
    assert_eq!(twice.status, 409);
    assert_eq!(
        twice.body["message"],
        "The same certificate under another name already exists."
    );
    let list = call(&bench, Method::GET, "", None, Value::Null).await;
    let names: Vec<&str> = list.body["value"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|item| item["name"].as_str())
        .collect();
    assert_eq!(names, ["root-1", "root-2"]);
}

#[tokio::test]
async fn uploads_that_are_no_ca_certificate_are_refused() {
    let bench = Bench::new().await;
    let leaf = Authority::new("Root").sign("leaf");
    for body in [
        json!({"certificate": leaf}),
        json!({"certificate": "not a certificate"}),
        json!({}),
    ] {
        let refused = call(&bench, Method::PUT, "/root-1", None, body).await;
        assert_eq!(refused.body["code"], 400_309);
    }
    let missing = call(&bench, Method::GET, "/root-1", None, Value::Null).await;
    assert_eq!(missing.status, 404);
    assert_eq!(
        missing.body,
        json!({"error": {"code": "ResourceNotFound", "message": "Certificate 'root-1' not found."}})
    );
}

#[tokio::test]
async fn only_the_bearer_of_the_token_comes_in() {
    let bench = Bench::new().await;
    for token in ["", "wrong", &bench.token.to_base64()[1..]] {
        let refused = bench
            .control(token, Method::GET, "0neA/certificates", &[], Value::Null)
            .await;
        assert_eq!(refused.status, 401);
        assert_eq!(refused.body["error"]["code"], "AuthenticationFailed");
        assert!(
            refused
                .header("www-authenticate")
                .is_some_and(|v| v.starts_with("Bearer"))
        );
    }
    let token = bench.token.to_base64();
    let unknown = bench
        .control(&token, Method::GET, "nobody/certificates", &[], Value::Null)
        .await;
    assert_eq!(unknown.status, 404);
    let method = bench
        .control(&token, Method::PATCH, "0neA/certificates", &[], Value::Null)
        .await;
    assert_eq!(method.status, 405);
    assert_eq!(method.header("allow"), Some("GET"));
}
