//! The service API on a SQLite store: all operations, as clients call them.

use http::Method;
use landfall_core::attestation::AttestationKind;
use landfall_core::document::Document;
use landfall_core::id::{DeviceId, EnrollmentGroupId, Etag, RegistrationId};
use landfall_core::registration::{
    Assignment, EnrollmentRef, Registration, RegistrationStatus, Substatus,
};
use landfall_core::store::{Expect, Store, Write};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, date_time_ymd};
use serde_json::{Value, json};

use crate::bench::{Bench, HOST, hub, id_scope, now};

fn individual(id: &str) -> Value {
    json!({"registrationId": id, "attestation": {"type": "symmetricKey"}})
}

fn group(id: &str) -> Value {
    json!({"enrollmentGroupId": id, "attestation": {"type": "symmetricKey"}})
}

fn pem(name: &str, ca: bool) -> String {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2099, 1, 1);
    if ca {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    let key = KeyPair::generate().expect("a key");
    params.self_signed(&key).expect("a certificate").pem()
}

async fn registered(bench: &Bench, id: &str, enrollment: EnrollmentRef) {
    let registration = Registration {
        registration_id: RegistrationId::parse(id).expect("valid"),
        enrollment,
        kind: AttestationKind::SymmetricKey,
        status: RegistrationStatus::Assigned,
        assignment: Some(Assignment {
            hub: hub("hub.a"),
            device_id: DeviceId::parse(id).expect("valid"),
            substatus: Substatus::InitialAssignment,
        }),
        payload: None,
        etag: Etag::draw(&*bench.backend.entropy),
        created: now(bench),
        updated: now(bench),
    };
    bench
        .write(Write::PutRegistration(
            id_scope("0neA"),
            Box::new(registration),
            Expect::Absent,
        ))
        .await;
}

#[tokio::test]
async fn an_enrollment_lives_from_put_to_delete() {
    let bench = Bench::new().await;
    let path = "/enrollments/dev-1";
    let made = bench
        .call(Method::PUT, path, &[], individual("dev-1"))
        .await;
    assert_eq!(made.status, 200);
    assert_eq!(made.body["attestation"], json!({"type": "symmetricKey"}));
    assert_eq!(made.body["provisioningStatus"], "enabled");
    assert_eq!(made.body["capabilities"], json!({"iotEdge": false}));
    assert!(made.body.get("allocationPolicy").is_none());
    assert_eq!(
        made.header("etag"),
        Some(format!("\"{}\"", made.etag()).as_str())
    );

    let read = bench
        .call(Method::GET, "/enrollments/DEV-1", &[], Value::Null)
        .await;
    assert_eq!((read.status, &read.body), (200, &made.body));

    let gone = bench.call(Method::DELETE, path, &[], Value::Null).await;
    assert_eq!((gone.status, &gone.body), (204, &Value::Null));
    for method in [Method::GET, Method::DELETE] {
        let missing = bench.call(method, path, &[], Value::Null).await;
        assert_eq!(missing.refusal(), (404, 404_201));
        assert_eq!(missing.body["message"], "Enrollment 'dev-1' not found.");
    }
}

#[tokio::test]
async fn generated_keys_are_shown_by_one_call_only_and_kept_by_updates() {
    let bench = Bench::new().await;
    bench
        .call(Method::PUT, "/enrollments/dev-1", &[], individual("dev-1"))
        .await;
    let path = "/enrollments/dev-1/attestationmechanism";
    let shown = bench.call(Method::POST, path, &[], Value::Null).await;
    assert_eq!(shown.status, 200);
    let primary = shown.body["symmetricKey"]["primaryKey"]
        .as_str()
        .expect("a key");
    // 64 bytes are 88 characters of base64.
    assert_eq!(primary.len(), 88);
    assert_ne!(shown.body["symmetricKey"]["secondaryKey"], primary);

    let read = bench
        .call(Method::GET, "/enrollments/dev-1", &[], Value::Null)
        .await;
    let mut changed = read.body.clone();
    changed["provisioningStatus"] = "disabled".into();
    let put = bench
        .call(Method::PUT, "/enrollments/dev-1", &[], changed)
        .await;
    assert_eq!(put.status, 200);
    assert_eq!(put.body["provisioningStatus"], "disabled");
    assert_eq!(
        put.body["createdDateTimeUtc"],
        read.body["createdDateTimeUtc"]
    );
    assert_ne!(put.etag(), read.etag());
    let again = bench.call(Method::POST, path, &[], Value::Null).await;
    assert_eq!(again.body, shown.body);
}

#[tokio::test]
async fn etags_guard_every_write() {
    let bench = Bench::new().await;
    let path = "/enrollments/dev-1";
    let first = bench
        .call(Method::PUT, path, &[], individual("dev-1"))
        .await
        .etag();
    let call = |method: Method, if_match: Option<String>, body: Value| {
        let bench = &bench;
        async move {
            let headers: Vec<(&str, &str)> = if_match
                .iter()
                .map(|value| ("if-match", value.as_str()))
                .collect();
            bench.call(method, path, &headers, body).await
        }
    };

    let body = individual("dev-1");
    let conflict = call(Method::PUT, None, body.clone()).await;
    assert_eq!(conflict.refusal(), (409, 409_201));
    assert_eq!(
        conflict.body["message"],
        "Enrollment 'dev-1' already exists."
    );

    let second = call(Method::PUT, Some(format!("\"{first}\"")), body.clone()).await;
    assert_eq!(second.status, 200);
    let stale = call(Method::PUT, Some(first.clone()), body.clone()).await;
    assert_eq!(stale.refusal(), (412, 412_002));
    let third = call(Method::PUT, Some("\"*\"".into()), body.clone()).await;
    assert_eq!(third.status, 200);

    let mut marked = body.clone();
    marked["etag"] = second.etag().into();
    assert_eq!(
        call(Method::PUT, None, marked.clone()).await.refusal(),
        (412, 412_002)
    );
    marked["etag"] = third.etag().into();
    let fourth = call(Method::PUT, None, marked).await;
    assert_eq!(fourth.status, 200);

    let refused = call(Method::DELETE, Some(first), Value::Null).await;
    assert_eq!(refused.refusal(), (412, 412_002));
    let malformed = call(Method::DELETE, Some("two words".into()), Value::Null).await;
    assert_eq!(malformed.refusal(), (400, 400_004));
    let gone = call(Method::DELETE, Some(fourth.etag()), Value::Null).await;
    assert_eq!(gone.status, 204);
    assert_eq!(
        call(Method::PUT, Some("*".into()), body).await.refusal(),
        (412, 412_002)
    );
}

#[tokio::test]
async fn of_two_creations_at_the_same_time_one_is_refused() {
    let bench = Bench::new().await;
    let put = || bench.call(Method::PUT, "/enrollments/dev-1", &[], individual("dev-1"));
    let (one, two) = tokio::join!(put(), put());
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
}

#[tokio::test]
async fn updates_of_whatever_is_there_overtake_each_other_and_all_succeed() {
    let bench = Bench::new().await;
    let path = "/enrollments/dev-1";
    bench
        .call(Method::PUT, path, &[], individual("dev-1"))
        .await;
    let put = || bench.call(Method::PUT, path, &[("if-match", "*")], individual("dev-1"));
    let (one, two, three) = tokio::join!(put(), put(), put());
    assert_eq!([one.status, two.status, three.status], [200; 3]);
}

#[tokio::test]
async fn a_group_lives_like_an_enrollment_and_keeps_its_registrations_when_it_goes() {
    let bench = Bench::new().await;
    let made = bench
        .call(Method::PUT, "/enrollmentGroups/grp", &[], group("grp"))
        .await;
    assert_eq!(made.status, 200);
    assert_eq!(made.body["enrollmentGroupId"], "grp");
    // Node spells the segment in lower case.
    let shown = bench
        .call(
            Method::POST,
            "/enrollmentgroups/grp/attestationmechanism",
            &[],
            Value::Null,
        )
        .await;
    assert!(shown.body["symmetricKey"]["primaryKey"].is_string());

    let by_group = EnrollmentRef::Group(EnrollmentGroupId::parse("grp").expect("valid"));
    for id in ["dev-1", "dev-2", "dev-3"] {
        registered(&bench, id, by_group.clone()).await;
    }
    let size = ("x-ms-max-item-count", "2");
    let path = "/registrations/GRP/query";
    let page = bench
        .call(Method::POST, path, &[size], json!({"query": "* "}))
        .await;
    assert_eq!(page.status, 200);
    assert_eq!(page.header("x-ms-item-type"), Some("deviceRegistration"));
    assert_eq!(page.body.as_array().map(Vec::len), Some(2));
    let next = page.header("x-ms-continuation").expect("more");
    let rest = bench
        .call(
            Method::POST,
            path,
            &[("x-ms-continuation", next)],
            Value::Null,
        )
        .await;
    assert_eq!(rest.body[0]["registrationId"], "dev-3");
    assert_eq!(rest.header("x-ms-continuation"), None);

    let gone = bench
        .call(Method::DELETE, "/enrollmentGroups/grp", &[], Value::Null)
        .await;
    assert_eq!(gone.status, 204);
    let missing = bench
        .call(Method::GET, "/enrollmentGroups/grp", &[], Value::Null)
        .await;
    assert_eq!(missing.refusal(), (404, 404_202));
    assert_eq!(
        bench
            .call(Method::POST, path, &[], Value::Null)
            .await
            .refusal(),
        (404, 404_202)
    );
    let kept = bench
        .call(Method::GET, "/registrations/dev-1", &[], Value::Null)
        .await;
    assert_eq!(kept.status, 200);
}

#[tokio::test]
async fn a_registration_is_read_and_deleted_by_its_id() {
    let bench = Bench::new().await;
    bench
        .call(Method::PUT, "/enrollments/dev-1", &[], individual("dev-1"))
        .await;
    registered(&bench, "dev-1", EnrollmentRef::Individual).await;
    let state = bench
        .call(Method::GET, "/registrations/dev-1", &[], Value::Null)
        .await;
    assert_eq!(state.status, 200);
    assert_eq!(state.body["status"], "assigned");
    assert_eq!(state.body["assignedHub"], "hub.a");
    assert_eq!(state.body["substatus"], "initialAssignment");
    assert!(state.body.get("symmetricKey").is_none());
    let enrollment = bench
        .call(Method::GET, "/enrollments/dev-1", &[], Value::Null)
        .await;
    assert_eq!(enrollment.body["registrationState"], state.body);

    let path = "/registrations/dev-1";
    let stale = bench
        .call(Method::DELETE, path, &[("if-match", "old")], Value::Null)
        .await;
    assert_eq!(stale.refusal(), (412, 412_002));
    let etag = state.etag();
    let gone = bench
        .call(Method::DELETE, path, &[("if-match", &etag)], Value::Null)
        .await;
    assert_eq!(gone.status, 204);
    assert_eq!(
        bench
            .call(Method::GET, path, &[], Value::Null)
            .await
            .refusal(),
        (404, 404_201)
    );
    let enrollment = bench
        .call(Method::GET, "/enrollments/dev-1", &[], Value::Null)
        .await;
    assert!(enrollment.body.get("registrationState").is_none());
}

#[tokio::test]
async fn deleting_an_enrollment_takes_its_registration_along() {
    let bench = Bench::new().await;
    bench
        .call(Method::PUT, "/enrollments/dev-1", &[], individual("dev-1"))
        .await;
    registered(&bench, "dev-1", EnrollmentRef::Individual).await;
    bench
        .call(Method::DELETE, "/enrollments/dev-1", &[], Value::Null)
        .await;
    let state = bench
        .call(Method::GET, "/registrations/dev-1", &[], Value::Null)
        .await;
    assert_eq!(state.refusal(), (404, 404_201));
}

#[tokio::test]
async fn every_operation_takes_its_right() {
    let bench = Bench::new().await;
    bench
        .call(Method::PUT, "/enrollments/dev-1", &[], individual("dev-1"))
        .await;
    bench
        .call(Method::PUT, "/enrollmentGroups/grp", &[], group("grp"))
        .await;
    registered(&bench, "dev-1", EnrollmentRef::Individual).await;
    let holders = [
        ("reader", 3),
        ("writer", 5),
        ("statusreader", 7),
        ("statuswriter", 9),
    ];
    let bulk = json!({"mode": "update", "enrollments": [individual("dev-1")]});
    let groups = json!({"mode": "update", "enrollmentGroups": [group("grp")]});
    for (method, path, body, allowed) in [
        (
            Method::GET,
            "/enrollments/dev-1",
            Value::Null,
            [true, true, false, false],
        ),
        (
            Method::GET,
            "/enrollmentGroups/grp",
            Value::Null,
            [true, true, false, false],
        ),
        (
            Method::POST,
            "/enrollments/query",
            Value::Null,
            [true, true, false, false],
        ),
        (
            Method::POST,
            "/enrollmentGroups/query",
            Value::Null,
            [true, true, false, false],
        ),
        (
            Method::POST,
            "/enrollments/",
            bulk,
            [false, true, false, false],
        ),
        (
            Method::POST,
            "/enrollmentGroups",
            groups,
            [false, true, false, false],
        ),
        (
            Method::PUT,
            "/enrollments/dev-1",
            individual("dev-1"),
            [false, true, false, false],
        ),
        (
            Method::PUT,
            "/enrollmentGroups/grp",
            group("grp"),
            [false, true, false, false],
        ),
        (
            Method::POST,
            "/enrollments/dev-1/attestationmechanism",
            Value::Null,
            [false, true, false, false],
        ),
        (
            Method::POST,
            "/enrollmentGroups/grp/attestationmechanism",
            Value::Null,
            [false, true, false, false],
        ),
        (
            Method::GET,
            "/registrations/dev-1",
            Value::Null,
            [false, false, true, true],
        ),
        (
            Method::POST,
            "/registrations/grp/query",
            Value::Null,
            [false, false, true, true],
        ),
        (
            Method::DELETE,
            "/registrations/dev-1",
            Value::Null,
            [false, false, false, true],
        ),
        (
            Method::DELETE,
            "/enrollments/dev-1",
            Value::Null,
            [false, true, false, false],
        ),
        (
            Method::DELETE,
            "/enrollmentGroups/grp",
            Value::Null,
            [false, true, false, false],
        ),
    ] {
        for ((policy, byte), allowed) in holders.into_iter().zip(allowed) {
            let headers: &[(&str, &str)] = if method == Method::PUT {
                &[("if-match", "*")]
            } else {
                &[]
            };
            let answer = bench
                .call_as(policy, byte, method.clone(), path, headers, body.clone())
                .await;
            if allowed {
                assert!(answer.status < 300, "{policy} {method} {path}: {answer:?}");
            } else {
                assert_eq!(answer.refusal(), (401, 401_003), "{policy} {method} {path}");
            }
        }
    }
}

#[tokio::test]
async fn callers_that_prove_nothing_are_refused_alike() {
    let bench = Bench::new().await;
    let owner = "provisioningserviceowner";
    for token in [
        None,
        Some("Bearer abc".to_owned()),
        Some("SharedAccessSignature sr=x".to_owned()),
        Some(bench.signed(HOST, owner, 77, 3600)),
        Some(bench.signed(HOST, "nobody", 1, 3600)),
        Some(bench.signed("other.test", owner, 1, 3600)),
        Some(bench.signed(HOST, owner, 1, -301)),
    ] {
        let headers: Vec<(&str, &str)> = token
            .iter()
            .map(|token| ("authorization", token.as_str()))
            .collect();
        let answer = bench
            .send(Method::GET, "/enrollments/dev-1", &headers, Vec::new())
            .await;
        assert_eq!(answer.refusal(), (401, 401_002), "{token:?}");
        assert_eq!(answer.body["message"], "Unauthorized");
    }
    let far = bench.signed("dps.test:8443", owner, 2, 31_536_000);
    let answer = bench
        .send(
            Method::GET,
            "/enrollments/dev-1",
            &[("authorization", &far)],
            Vec::new(),
        )
        .await;
    assert_eq!(answer.refusal(), (404, 404_201));
}

#[tokio::test]
async fn services_that_share_a_host_never_see_each_others_records() {
    let bench = Bench::new().await;
    bench
        .call(Method::PUT, "/enrollments/dev-1", &[], individual("dev-1"))
        .await;
    let owner = "provisioningserviceowner";
    let other = bench
        .call_as(
            owner,
            101,
            Method::GET,
            "/enrollments/dev-1",
            &[],
            Value::Null,
        )
        .await;
    assert_eq!(other.refusal(), (404, 404_201));
    let made = bench
        .call_as(
            owner,
            102,
            Method::PUT,
            "/enrollments/dev-1",
            &[],
            individual("dev-1"),
        )
        .await;
    assert_eq!(made.status, 200);
    bench
        .call(Method::DELETE, "/enrollments/dev-1", &[], Value::Null)
        .await;
    let kept = bench
        .call_as(
            owner,
            101,
            Method::GET,
            "/enrollments/dev-1",
            &[],
            Value::Null,
        )
        .await;
    assert_eq!(kept.status, 200);
}

#[tokio::test]
async fn version_method_and_body_are_judged_after_the_caller() {
    let bench = Bench::new().await;
    let call = |method, path, body| bench.call(method, path, &[], body);
    for path in [
        "/enrollments/dev-1?",
        "/enrollments/dev-1?api-version=latest",
    ] {
        assert_eq!(
            call(Method::GET, path, Value::Null).await.refusal(),
            (400, 400_001)
        );
    }
    for (method, path, allowed) in [
        (Method::GET, "/enrollments", "POST"),
        (Method::POST, "/enrollments/dev-1", "GET, PUT, DELETE"),
        (
            Method::PATCH,
            "/enrollments/query",
            "GET, PUT, DELETE, POST",
        ),
        (
            Method::GET,
            "/enrollments/dev-1/attestationmechanism",
            "POST",
        ),
        (Method::PUT, "/registrations/dev-1", "GET, DELETE"),
        (Method::GET, "/registrations/grp/query", "POST"),
    ] {
        let answer = call(method, path, Value::Null).await;
        assert_eq!(answer.refusal(), (405, 405_000), "{path}");
        assert_eq!(answer.header("allow"), Some(allowed));
    }
    let bad_id = call(Method::GET, "/enrollments/dev%201", Value::Null).await;
    assert_eq!(bad_id.refusal(), (400, 400_004));

    let token = bench.signed(HOST, "provisioningserviceowner", 1, 3600);
    let headers = [("authorization", token.as_str())];
    for body in [&b""[..], b"{", b"[]", b"\xff\xfe"] {
        let answer = bench
            .send(Method::PUT, "/enrollments/dev-1", &headers, body.to_vec())
            .await;
        assert_eq!(answer.refusal(), (400, 400_000));
    }
    let mut large = individual("dev-1");
    large["optionalDeviceInformation"] = json!({"x": "y".repeat(100_000)});
    let answer = call(Method::PUT, "/enrollments/dev-1", large).await;
    assert_eq!(answer.refusal(), (400, 400_004));
}

#[tokio::test]
async fn rules_that_need_the_service_are_kept() {
    let bench = Bench::new().await;
    for (over, message) in [
        (
            json!({"iotHubs": ["hub.c"]}),
            "IoT hub 'hub.c' is not linked to the provisioning service.",
        ),
        (
            json!({"iotHubHostName": "hub.c"}),
            "IoT hub 'hub.c' is not linked to the provisioning service.",
        ),
        (
            json!({"allocationPolicy": "static"}),
            "Exactly one IoT hub is required when the allocation policy is 'static'.",
        ),
        (
            json!({"allocationPolicy": "Custom"}),
            "A customAllocationDefinition is required when the allocation policy is 'custom'.",
        ),
        (
            json!({"attestation": {"type": "x509", "x509": {"caReferences": {"primary": "root"}}}}),
            "CA certificate 'root' is not uploaded to the provisioning service.",
        ),
    ] {
        let mut body = individual("dev-1");
        for (name, value) in over.as_object().expect("an object") {
            body[name] = value.clone();
        }
        let answer = bench
            .call(Method::PUT, "/enrollments/dev-1", &[], body)
            .await;
        assert_eq!(answer.refusal(), (400, 400_004));
        assert_eq!(answer.body["message"], message);
    }
    let mut body = individual("dev-1");
    body["iotHubHostName"] = "hub.b".into();
    let made = bench
        .call(Method::PUT, "/enrollments/dev-1", &[], body)
        .await;
    assert_eq!(made.body["allocationPolicy"], "static");
    assert_eq!(made.body["iotHubs"], json!(["hub.b"]));
    assert_eq!(made.body["iotHubHostName"], "hub.b");
}

#[tokio::test]
async fn twins_tags_and_information_come_back_as_they_went() {
    let bench = Bench::new().await;
    let mut body = individual("dev-1");
    body["optionalDeviceInformation"] = json!({"räck": 7, "count": null});
    body["initialTwin"] = json!({
        "tags": {"environment": "test", "version": null},
        "properties": {"desired": {"interval": 5}},
    });
    body["deviceId"] = "Own-Name".into();
    body["capabilities"] = json!({"iotEdge": true});
    let made = bench
        .call(Method::PUT, "/enrollments/dev-1", &[], body.clone())
        .await;
    assert_eq!(made.status, 200);
    for member in [
        "optionalDeviceInformation",
        "initialTwin",
        "deviceId",
        "capabilities",
    ] {
        assert_eq!(made.body[member], body[member], "{member}");
    }
}

#[tokio::test]
async fn one_identity_belongs_to_one_enrollment() {
    let bench = Bench::new().await;
    let certificate = pem("dev-1", false);
    let attestations = [
        json!({"type": "x509", "x509": {"clientCertificates": {"primary": {"certificate": certificate}}}}),
        json!({"type": "tpm", "tpm": {"endorsementKey": "RUs="}}),
    ];
    for (index, attestation) in attestations.into_iter().enumerate() {
        let put = |id: String| {
            let body = json!({"registrationId": id, "attestation": attestation});
            let path = format!("/enrollments/{id}");
            let bench = &bench;
            async move { bench.call(Method::PUT, &path, &[], body).await }
        };
        assert_eq!(put(format!("one-{index}")).await.status, 200);
        let refused = put(format!("two-{index}")).await;
        assert_eq!(refused.refusal(), (409, 409_201));
        assert_eq!(
            refused.body["message"],
            "An individual enrollment with the same certificate or endorsement key already exists."
        );
    }
}

#[tokio::test]
async fn a_certificate_is_kept_when_its_slot_comes_back_with_info_only() {
    let bench = Bench::new().await;
    let body = json!({"enrollmentGroupId": "grp", "attestation": {"type": "x509", "x509": {
        "signingCertificates": {"primary": {"certificate": pem("Intermediate", true)}},
    }}});
    let made = bench
        .call(Method::PUT, "/enrollmentGroups/grp", &[], body)
        .await;
    assert_eq!(made.status, 200);
    let info = &made.body["attestation"]["x509"]["signingCertificates"]["primary"]["info"];
    assert_eq!(info["subjectName"], "CN=Intermediate");
    assert!(!made.body.to_string().contains("BEGIN"));
    let again = bench
        .call(Method::PUT, "/enrollmentGroups/grp", &[], made.body.clone())
        .await;
    assert_eq!(again.status, 200);
    assert_eq!(again.body["attestation"], made.body["attestation"]);

    let leaf = json!({"enrollmentGroupId": "g2", "attestation": {"type": "x509", "x509": {
        "signingCertificates": {"primary": {"certificate": pem("leaf", false)}},
    }}});
    let refused = bench
        .call(Method::PUT, "/enrollmentGroups/g2", &[], leaf)
        .await;
    assert_eq!(refused.refusal(), (400, 400_004));
}

#[tokio::test]
async fn bulk_does_what_it_can_and_names_what_it_cannot() {
    let bench = Bench::new().await;
    let bulk = |mode: &str, items: Vec<Value>| {
        let body = json!({"mode": mode, "enrollments": items});
        let bench = &bench;
        async move { bench.call(Method::POST, "/enrollments/", &[], body).await }
    };
    let codes = |answer: &crate::bench::Answer| -> Vec<(String, u64)> {
        assert_eq!(answer.status, 200);
        let errors = answer.body["errors"].as_array().expect("a list");
        assert_eq!(answer.body["isSuccessful"], errors.is_empty());
        errors
            .iter()
            .map(|error| {
                assert!(
                    error["errorStatus"]
                        .as_str()
                        .is_some_and(|text| !text.is_empty())
                );
                let id = error["registrationId"].as_str().expect("an id").to_owned();
                (id, error["errorCode"].as_u64().expect("a number"))
            })
            .collect()
    };

    let one = || individual("dev-1");
    let made = bulk("create", vec![one(), individual("dev-2")]).await;
    assert_eq!(made.body, json!({"isSuccessful": true, "errors": []}));

    let broken = json!({"registrationId": "dev-4", "attestation": {"type": "none"}});
    let mixed = bulk(
        "create",
        vec![one(), individual("dev-3"), individual("DEV-3"), broken],
    )
    .await;
    assert_eq!(
        codes(&mixed),
        [
            ("dev-1".to_owned(), 409_201),
            ("DEV-3".to_owned(), 409_201),
            ("dev-4".to_owned(), 400_004)
        ]
    );

    let updated = bulk("update", vec![one(), individual("none"), one()]).await;
    assert_eq!(codes(&updated), [("none".to_owned(), 404_201)]);

    let etag = bench
        .call(Method::GET, "/enrollments/dev-1", &[], Value::Null)
        .await
        .etag();
    let mut current = one();
    current["etag"] = etag.into();
    let mut stale = individual("dev-2");
    stale["etag"] = "old".into();
    let matched = bulk(
        "updateIfMatchETag",
        vec![current, stale.clone(), individual("dev-3")],
    )
    .await;
    assert_eq!(
        codes(&matched),
        [("dev-2".to_owned(), 412_002), ("dev-3".to_owned(), 400_004)]
    );

    let deleted = bulk(
        "delete",
        vec![
            json!({"registrationId": "dev-1"}),
            stale,
            json!({"registrationId": "none"}),
        ],
    )
    .await;
    assert_eq!(
        codes(&deleted),
        [("dev-2".to_owned(), 412_002), ("none".to_owned(), 404_201)]
    );
    let gone = bench
        .call(Method::GET, "/enrollments/dev-1", &[], Value::Null)
        .await;
    assert_eq!(gone.status, 404);
}

#[tokio::test]
async fn bulk_takes_one_to_ten_items() {
    let bench = Bench::new().await;
    for count in [0, 11] {
        let items: Vec<Value> = (0..count).map(|n| group(&format!("g{n}"))).collect();
        let body = json!({"mode": "create", "enrollmentGroups": items});
        let answer = bench
            .call(Method::POST, "/enrollmentGroups", &[], body)
            .await;
        assert_eq!(answer.refusal(), (400, 400_004));
        assert_eq!(
            answer.body["message"],
            format!("A bulk operation takes 1 to 10 items, not {count}.")
        );
    }
    let none = bench
        .call(Method::GET, "/enrollmentGroups/g0", &[], Value::Null)
        .await;
    assert_eq!(none.status, 404);
}

#[tokio::test]
async fn a_query_gives_page_after_page_until_there_is_no_more() {
    let bench = Bench::new().await;
    for n in 0..25 {
        let id = format!("dev-{n:02}");
        let mut body = individual(&id);
        if n % 5 == 0 {
            body["provisioningStatus"] = "disabled".into();
        }
        bench
            .call(Method::PUT, &format!("/enrollments/{id}"), &[], body)
            .await;
    }
    // The az tool sends the printed form of a Python object and means everything.
    let query = json!({"query": "{'additional_properties': {}, 'query': 'SELECT *'}"});
    let mut seen = Vec::new();
    let mut continuation: Option<String> = None;
    let mut sizes = ["10", "7", "100"].into_iter();
    loop {
        let size = sizes.next().expect("three pages");
        let mut headers = vec![("x-ms-max-item-count", size)];
        if let Some(token) = &continuation {
            headers.push(("x-ms-continuation", token));
        }
        let page = bench
            .call(Method::POST, "/enrollments/query", &headers, query.clone())
            .await;
        assert_eq!(page.status, 200);
        assert_eq!(page.header("x-ms-item-type"), Some("enrollment"));
        assert_eq!(page.header("x-ms-max-item-count"), Some(size));
        for item in page.body.as_array().expect("a list") {
            seen.push(item["registrationId"].as_str().expect("an id").to_owned());
        }
        continuation = page.header("x-ms-continuation").map(str::to_owned);
        if continuation.is_none() {
            break;
        }
    }
    let wanted: Vec<String> = (0..25).map(|n| format!("dev-{n:02}")).collect();
    assert_eq!(seen, wanted);

    let filtered =
        json!({"query": "SELECT * FROM enrollments WHERE provisioningStatus = 'disabled'"});
    let size = ("x-ms-max-item-count", "5");
    let page = bench
        .call(Method::POST, "/enrollments/query", &[size], filtered)
        .await;
    assert_eq!(page.body.as_array().map(Vec::len), Some(5));
    assert_eq!(page.header("x-ms-continuation"), None);
}

#[tokio::test]
async fn a_query_sees_the_registration_state() {
    let bench = Bench::new().await;
    for id in ["dev-1", "dev-2"] {
        bench
            .call(
                Method::PUT,
                &format!("/enrollments/{id}"),
                &[],
                individual(id),
            )
            .await;
    }
    registered(&bench, "dev-2", EnrollmentRef::Individual).await;
    let query = json!({"query": "SELECT * WHERE registrationState.status = 'assigned'"});
    let page = bench
        .call(Method::POST, "/enrollments/query", &[], query)
        .await;
    assert_eq!(page.body.as_array().map(Vec::len), Some(1));
    assert_eq!(page.body[0]["registrationState"]["assignedHub"], "hub.a");
}

#[tokio::test]
async fn a_query_that_cannot_be_understood_is_refused() {
    let bench = Bench::new().await;
    let path = "/enrollments/query";
    for (headers, body) in [
        (vec![("x-ms-continuation", "made-up")], Value::Null),
        (vec![("x-ms-max-item-count", "many")], Value::Null),
        (vec![], json!({"query": "SELECT * WHERE a = "})),
        (vec![], json!({"query": 1})),
    ] {
        let answer = bench.call(Method::POST, path, &headers, body).await;
        assert_eq!(answer.refusal(), (400, 400_004));
    }
}

#[tokio::test]
async fn an_enrollment_may_be_called_query() {
    let bench = Bench::new().await;
    let path = "/enrollments/query";
    let made = bench
        .call(Method::PUT, path, &[], individual("query"))
        .await;
    assert_eq!(made.status, 200);
    let read = bench.call(Method::GET, path, &[], Value::Null).await;
    assert_eq!(read.body["registrationId"], "query");
    let page = bench.call(Method::POST, path, &[], Value::Null).await;
    assert_eq!(page.body.as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_long_scan_gives_a_short_page_and_goes_on() {
    let bench = Bench::new().await;
    let first = bench
        .call(Method::PUT, "/enrollments/a-0", &[], individual("a-0"))
        .await;
    assert_eq!(first.status, 200);
    let scope = id_scope("0neA");
    let id = |text: &str| RegistrationId::parse(text).expect("valid");
    let store = &bench.backend.store;
    let template = store.individual(&scope, &id("a-0")).await.expect("read");
    let template = template.expect("there");
    let mut writes: Vec<Write> = (0..5_050)
        .map(|n| {
            let mut copy = template.clone();
            copy.registration_id = id(&format!("dev-{n:04}"));
            Write::PutIndividual(scope.clone(), Box::new(copy), Expect::Absent)
        })
        .collect();
    let mut last = template.clone();
    last.registration_id = id("z-9");
    last.device_information = Document::parse(r#"{"rack":7}"#).ok();
    writes.push(Write::PutIndividual(scope, Box::new(last), Expect::Absent));
    bench.write_all(writes).await;

    let query = json!({"query": "SELECT * WHERE optionalDeviceInformation.rack = 7"});
    let path = "/enrollments/query";
    let short = bench.call(Method::POST, path, &[], query.clone()).await;
    assert_eq!(short.body, json!([]));
    let next = short.header("x-ms-continuation").expect("more");
    let rest = bench
        .call(Method::POST, path, &[("x-ms-continuation", next)], query)
        .await;
    assert_eq!(rest.body[0]["registrationId"], "z-9");
    assert_eq!(rest.header("x-ms-continuation"), None);
}
