//! The device API's bodies in their exact forms.

use landfall_core::clock::Timestamp;
use landfall_core::enrollment::AllocationPolicy;
use landfall_core::id::{DeviceId, EnrollmentGroupId, Etag, HubHostName, IdScope, TrackingId};
use landfall_core::registration::{Assignment, RegistrationFailure, Substatus};

use landfall_core::enrollment::{DeviceCapabilities, EnrollmentTerms, ProvisioningStatus};
use landfall_core::linked_hub::HubCredential;
use landfall_core::registration::operation::Admission;

use super::*;

fn id(text: &str) -> RegistrationId {
    RegistrationId::parse(text).expect("valid")
}

fn assigned() -> Registration {
    Registration {
        registration_id: id("dev-1"),
        enrollment: EnrollmentRef::Individual,
        kind: AttestationKind::X509,
        status: RegistrationStatus::Assigned,
        assignment: Some(Assignment {
            hub: HubHostName::parse("hub.example.net").expect("valid"),
            device_id: DeviceId::parse("dev-1").expect("valid"),
            substatus: Substatus::InitialAssignment,
        }),
        payload: None,
        etag: Etag::parse("IjEi").expect("valid"),
        created: Timestamp::from_unix_micros(1_661_983_370_516_335),
        updated: Timestamp::from_unix_micros(1_661_983_370_737_067),
    }
}

fn finished(registration: Registration) -> Operation {
    Operation {
        id: OperationId::parse("5.0.a").expect("valid"),
        id_scope: IdScope::parse("0ne1").expect("valid"),
        registration_id: registration.registration_id.clone(),
        tracking_id: TrackingId::parse("t").expect("valid"),
        progress: Progress::Finished(Box::new(registration)),
        created: Timestamp::NEVER,
        updated: Timestamp::NEVER,
    }
}

fn text(reply: Reply) -> String {
    String::from_utf8(reply.body).expect("ascii")
}

#[test]
fn bodies_of_all_sdks_are_read() {
    let dev = id("dev-1");
    for body in [
        "",
        "  \n",
        "{}",
        r#"{"registrationId":"DEV-1","payload":null}"#,
    ] {
        assert_eq!(
            parse_body(body.as_bytes(), &dev),
            Ok(DeviceBody::default()),
            "{body}"
        );
    }
    let body = parse_body(
        br#"{"registrationId":"dev-1","payload":{"a":[1]},"future":1,"tpm":{"endorsementKey":"RUs=","storageRootKey":"U1JL"}}"#,
        &dev,
    )
    .expect("well formed");
    assert_eq!(
        body.payload.map(|p| p.as_str().to_owned()).as_deref(),
        Some(r#"{"a":[1]}"#)
    );
    let tpm = body.tpm.expect("there");
    assert_eq!(tpm.endorsement_key, "RUs=");
    assert_eq!(tpm.storage_root_key.as_deref(), Some("U1JL"));
}

#[test]
fn a_body_for_another_device_is_refused() {
    assert_eq!(
        parse_body(br#"{"registrationId":"dev-2"}"#, &id("dev-1")),
        Err(Error::Invalid(
            "The registrationId of the body is not the one of the path.".into()
        ))
    );
}

#[test]
fn a_signing_request_is_refused_clearly_and_broken_json_is_unreadable() {
    let dev = id("dev-1");
    let Err(Error::Invalid(message)) = parse_body(br#"{"csr":"MII="}"#, &dev) else {
        panic!("refused")
    };
    assert!(message.contains("csr"), "{message}");
    for body in [&b"{"[..], b"[]", b"\xff", b"null"] {
        assert!(matches!(parse_body(body, &dev), Err(Error::Unreadable(_))));
    }
}

#[test]
fn register_answers_202_with_the_operation_and_the_wait() {
    let reply = accepted(
        &OperationId::parse("5.0.a").expect("valid"),
        "https://localhost/0ne1/registrations/dev-1/register",
        Duration::from_secs(2),
    );
    assert_eq!(reply.status, StatusCode::ACCEPTED);
    assert_eq!(reply.headers["retry-after"], "2");
    assert_eq!(
        reply.headers["location"],
        "https://localhost/0ne1/registrations/dev-1/register"
    );
    assert_eq!(
        reply.headers["content-type"],
        "application/json; charset=utf-8"
    );
    assert_eq!(
        text(reply),
        r#"{"operationId":"5.0.a","status":"assigning"}"#
    );
}

#[test]
fn an_assigned_device_reads_exactly_the_documented_members() {
    let reply = operation(&finished(assigned()), Duration::from_secs(2));
    assert_eq!(reply.status, StatusCode::OK);
    assert!(!reply.headers.contains_key("retry-after"));
    assert_eq!(
        text(reply),
        concat!(
            r#"{"operationId":"5.0.a","status":"assigned","registrationState":{"#,
            r#""registrationId":"dev-1","createdDateTimeUtc":"2022-08-31T22:02:50.5163350Z","#,
            r#""assignedHub":"hub.example.net","deviceId":"dev-1","status":"assigned","#,
            r#""substatus":"initialAssignment","#,
            r#""lastUpdatedDateTimeUtc":"2022-08-31T22:02:50.7370670Z","etag":"IjEi","x509":{}}}"#
        )
    );
}

#[test]
fn a_group_device_reads_its_group_and_the_webhooks_payload() {
    let mut registration = assigned();
    registration.kind = AttestationKind::SymmetricKey;
    registration.enrollment = EnrollmentRef::Group(EnrollmentGroupId::parse("grp").expect("valid"));
    registration.payload = Document::parse(r#"{"from":"hook"}"#).ok();
    let state = registration_state_json(&registration, View::Device);
    assert_eq!(state["symmetricKey"], json!({"enrollmentGroupId": "grp"}));
    assert_eq!(state["payload"], json!({"from": "hook"}));
    let state = registration_state_json(&registration, View::Service);
    assert!(state.get("symmetricKey").is_none());
    assert_eq!(state["assignedHub"], "hub.example.net");
}

#[test]
fn a_failed_device_reads_number_and_message_and_no_hub() {
    let mut registration = assigned();
    registration.status = RegistrationStatus::Failed(RegistrationFailure::PolicyNotServed(
        AllocationPolicy::Custom,
    ));
    let reply = operation(&finished(registration.clone()), Duration::from_secs(2));
    assert_eq!(reply.status, StatusCode::OK);
    let body: Value = serde_json::from_slice(&reply.body).expect("json");
    assert_eq!(body["status"], "failed");
    let state = &body["registrationState"];
    assert_eq!(state["status"], "failed");
    assert_eq!(state["errorCode"], 400_206);
    assert_eq!(
        state["errorMessage"],
        "Allocation policy 'custom' is stored but not served by this build."
    );
    for absent in ["assignedHub", "deviceId", "substatus", "message"] {
        assert!(state.get(absent).is_none(), "{absent}");
    }
    let state = registration_state_json(&registration, View::Service);
    assert_eq!(state["assignedHub"], "hub.example.net");
}

#[test]
fn a_disabled_device_reads_a_filled_state() {
    let mut registration = assigned();
    registration.status = RegistrationStatus::Disabled;
    registration.assignment = None;
    let reply = operation(&finished(registration), Duration::from_secs(2));
    assert_eq!(reply.status, StatusCode::OK);
    let body: Value = serde_json::from_slice(&reply.body).expect("json");
    assert_eq!(body["status"], "disabled");
    assert_eq!(body["registrationState"]["registrationId"], "dev-1");
    assert_eq!(body["registrationState"]["status"], "disabled");
    assert_eq!(body["registrationState"]["errorCode"], 403_201);
}

#[test]
fn an_operation_that_runs_answers_202_with_the_state_that_sdks_need() {
    let mut running = finished(assigned());
    running.progress = Progress::Accepted(Box::new(Admission {
        enrollment: EnrollmentRef::Individual,
        kind: AttestationKind::X509,
        credential: HubCredential::Thumbprints {
            primary: "AB".into(),
            secondary: "AB".into(),
        },
        device_id: DeviceId::parse("dev-1").expect("valid"),
        terms: EnrollmentTerms {
            status: ProvisioningStatus::Enabled,
            reprovision: None,
            allocation: None,
            hubs: Vec::new(),
            legacy_hub: None,
            custom_allocation: None,
            capabilities: DeviceCapabilities::default(),
            initial_twin: None,
            extra: Vec::new(),
            etag: Etag::parse("e").expect("valid"),
            created: Timestamp::NEVER,
            updated: Timestamp::NEVER,
        },
        payload: None,
        before: Some(assigned()),
    }));
    let reply = operation(&running, Duration::from_secs(2));
    assert_eq!(reply.status, StatusCode::ACCEPTED);
    assert_eq!(reply.headers["retry-after"], "2");
    assert_eq!(
        text(reply),
        r#"{"operationId":"5.0.a","status":"assigning","registrationState":{"registrationId":"dev-1","status":"assigning"}}"#
    );
}
