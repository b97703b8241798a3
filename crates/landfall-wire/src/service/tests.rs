//! The service API's bodies in their exact forms.

use landfall_core::administration::attestation::{AttestationRequest, SlotRequest};
use landfall_core::administration::bulk::{BulkContent, BulkMode, BulkRefusal};
use landfall_core::administration::enrollments::EnrollmentRequest;
use landfall_core::attestation::{AttestationMechanism, Slots, TpmAttestation, X509Attestation};
use landfall_core::certificate::Certificate;
use landfall_core::clock::Timestamp;
use landfall_core::document::Document;
use landfall_core::enrollment::{
    AllocationPolicy, CustomAllocation, DeviceCapabilities, EnrollmentGroup, EnrollmentTerms,
    IndividualEnrollment, InitialTwin, ProvisioningStatus, ReprovisionPolicy,
};
use landfall_core::id::{CertificateName, DeviceId, Etag, HubHostName};
use landfall_core::secret::{KeyPair, SymmetricKey};
use serde_json::{Value, json};

use super::attestation::{Secrets, attestation_json};
use super::enrollment::{EnrollmentBody, parse_put};
use super::*;

const CA: &str = include_str!("../../tests/fixtures/ca.pem");
const DEVICE: &str = include_str!("../../tests/fixtures/device.pem");
/// 32 bytes of ones, and of twos.
const ONES: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
const TWOS: &str = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";

fn certificate(pem: &str) -> Certificate {
    Certificate::from_text(pem).expect("a certificate")
}

fn keys() -> AttestationMechanism {
    AttestationMechanism::SymmetricKey(KeyPair {
        primary: SymmetricKey::from_bytes(vec![1; 32]),
        secondary: SymmetricKey::from_bytes(vec![2; 32]),
    })
}

fn plain_terms() -> EnrollmentTerms {
    EnrollmentTerms {
        status: ProvisioningStatus::Enabled,
        reprovision: None,
        allocation: None,
        hubs: Vec::new(),
        legacy_hub: None,
        custom_allocation: None,
        capabilities: DeviceCapabilities::default(),
        initial_twin: None,
        extra: Vec::new(),
        etag: Etag::parse("IjEi").expect("valid"),
        created: Timestamp::from_unix_seconds(1_657_056_436),
        updated: Timestamp::from_unix_micros(1_657_056_436_812_323),
    }
}

fn individual(body: &Value) -> Result<EnrollmentRequest<IndividualEnrollment>, Error> {
    let id = registration_id("dev-1").expect("valid");
    parse_put(body.to_string().as_bytes(), &id)
}

fn group(body: &Value) -> Result<EnrollmentRequest<EnrollmentGroup>, Error> {
    parse_put(
        body.to_string().as_bytes(),
        &group_id("grp").expect("valid"),
    )
}

fn refusal(body: &Value) -> String {
    match individual(body) {
        Err(Error::Invalid(message)) => message,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

/// The least body, with the given members put over it.
fn body(over: Value) -> Value {
    let mut body = json!({"registrationId": "dev-1", "attestation": {"type": "symmetricKey"}});
    for (name, value) in over.as_object().expect("an object") {
        body[name] = value.clone();
    }
    body
}

fn with_attestation(attestation: Value) -> Value {
    body(json!({ "attestation": attestation }))
}

#[test]
fn every_member_of_an_individual_enrollment_is_read() {
    let request = individual(&json!({
        "registrationId": "DEV-1",
        "deviceId": "Device/No".replace('/', "-"),
        "registrationState": {"status": "assigned"},
        "optionalDeviceInformation": {"rack": 7},
        "attestation": {"type": "SymmetricKey", "symmetricKey": {"primaryKey": ONES, "secondaryKey": TWOS}},
        "capabilities": {"iotEdge": true},
        "iotHubHostName": null,
        "initialTwin": {
            "tags": {"environment": "test", "count": null},
            "properties": {"desired": {"interval": 5}, "reported": null},
        },
        "etag": "\"IjEi\"",
        "provisioningStatus": "Disabled",
        "reprovisionPolicy": {"updateHubAssignment": true, "migrateDeviceData": false},
        "createdDateTimeUtc": "never",
        "allocationPolicy": "geolatency",
        "iotHubs": ["hub.a", "hub.b"],
        "customAllocationDefinition": {"webhookUrl": "https://h/", "apiVersion": "2021-10-01"},
        "namespaceName": "name-1",
        "unknown": {},
    }))
    .expect("read");
    assert_eq!(request.id.as_str(), "DEV-1");
    assert_eq!(
        request.details.device_id.as_ref().map(DeviceId::as_str),
        Some("Device-No")
    );
    assert_eq!(
        request.attestation,
        AttestationRequest::SymmetricKey {
            primary: Some(SymmetricKey::from_bytes(vec![1; 32])),
            secondary: Some(SymmetricKey::from_bytes(vec![2; 32])),
        }
    );
    assert_eq!(request.etag, Etag::parse("IjEi").ok());
    let terms = request.terms;
    assert!(terms.capabilities.iot_edge);
    assert_eq!(terms.status, ProvisioningStatus::Disabled);
    assert_eq!(
        terms.reprovision,
        Some(ReprovisionPolicy {
            update_hub_assignment: true,
            migrate_device_data: false
        })
    );
    assert_eq!(terms.allocation, Some(AllocationPolicy::GeoLatency));
    assert_eq!(terms.hubs.len(), 2);
    assert_eq!(terms.legacy_hub, None);
    let twin = terms.initial_twin.expect("there");
    assert_eq!(
        twin.tags.map(|tags| tags.to_json()),
        Some(json!({"environment": "test", "count": null}))
    );
    assert_eq!(
        twin.desired.map(|desired| desired.to_json()),
        Some(json!({"interval": 5}))
    );
    assert_eq!(
        terms.extra,
        [("namespaceName".to_owned(), "name-1".to_owned())]
    );
}

#[test]
fn the_least_body_has_every_default() {
    let request = individual(&body(json!({}))).expect("read");
    assert_eq!(request.terms, Default::default());
    assert_eq!(
        request.attestation,
        AttestationRequest::SymmetricKey {
            primary: None,
            secondary: None
        }
    );
    let empty =
        with_attestation(json!({"type": "symmetricKey", "symmetricKey": {"primaryKey": ""}}));
    assert_eq!(individual(&empty), Ok(request));
}

#[test]
fn a_member_that_breaks_its_rule_is_named() {
    for (over, message) in [
        (
            json!({"registrationId": "dev-2"}),
            "registrationId is not the id of the path.",
        ),
        (
            json!({"registrationId": null}),
            "registrationId is required.",
        ),
        (json!({"attestation": null}), "attestation is required."),
        (json!({"attestation": {}}), "attestation.type is required."),
        (json!({"attestation": []}), "attestation must be an object."),
        (
            json!({"provisioningStatus": "on"}),
            "provisioningStatus must be one of enabled, disabled.",
        ),
        (
            json!({"allocationPolicy": "nearest"}),
            "allocationPolicy must be one of hashed, geoLatency, static, custom.",
        ),
        (
            json!({"capabilities": {}}),
            "capabilities.iotEdge is required.",
        ),
        (
            json!({"reprovisionPolicy": {"updateHubAssignment": true}}),
            "reprovisionPolicy.migrateDeviceData is required.",
        ),
        (
            json!({"reprovisionPolicy": {"updateHubAssignment": "yes"}}),
            "reprovisionPolicy.updateHubAssignment must be true or false.",
        ),
        (json!({"iotHubs": "hub.a"}), "iotHubs must be an array."),
        (
            json!({"iotHubs": [1]}),
            "iotHubs must be an array of strings.",
        ),
        (
            json!({"iotHubs": ["https://hub.a"]}),
            "hub host name 'https://hub.a' is not valid: a host name without scheme and port.",
        ),
        (
            json!({"customAllocationDefinition": {"webhookUrl": "https://h/"}}),
            "customAllocationDefinition.apiVersion is required.",
        ),
        (
            json!({"initialTwin": {"tags": 1}}),
            "initialTwin.tags must be an object.",
        ),
        (
            json!({"initialTwin": {"properties": {"desired": []}}}),
            "initialTwin.properties.desired must be an object.",
        ),
        (
            json!({"optionalDeviceInformation": "x"}),
            "optionalDeviceInformation must be an object.",
        ),
        (json!({"etag": "two words"}), "etag is not an etag."),
        (
            json!({"namespaceName": "-x-"}),
            "namespaceName must be 3 to 64 lower-case letters, digits or '-', the ends letters or digits.",
        ),
        (
            json!({"certificatePolicyName": "a_b"}),
            "certificatePolicyName must be 3 to 63 letters, digits or '-', the first no '-'.",
        ),
    ] {
        assert_eq!(refusal(&body(over)), message);
    }
    assert!(refusal(&body(json!({"deviceId": "a/b"}))).starts_with("device id 'a/b' is not valid"));
}

#[test]
fn an_attestation_that_breaks_its_rule_is_named_and_its_key_is_not() {
    let slots = json!({"primary": {"certificate": DEVICE}});
    for (attestation, message) in [
        (
            json!({"type": "password"}),
            "attestation.type must be one of symmetricKey, x509, tpm, none.",
        ),
        (
            json!({"type": "none"}),
            "attestation.type must be symmetricKey, x509 or tpm.",
        ),
        (
            json!({"type": "symmetricKey", "x509": {}}),
            "attestation.x509 does not belong to the type of the attestation.",
        ),
        (json!({"type": "tpm"}), "attestation.tpm is required."),
        (
            json!({"type": "tpm", "tpm": {}}),
            "attestation.tpm.endorsementKey is required.",
        ),
        (json!({"type": "x509"}), "attestation.x509 is required."),
        (
            json!({"type": "x509", "x509": {"clientCertificates": null}}),
            "attestation.x509 needs clientCertificates, signingCertificates or caReferences.",
        ),
        (
            json!({"type": "x509", "x509": {"clientCertificates": slots, "caReferences": {}}}),
            "attestation.x509 takes only one of clientCertificates, signingCertificates and caReferences.",
        ),
        (
            json!({"type": "x509", "x509": {"caReferences": {"primary": null}}}),
            "attestation.x509.caReferences needs a primary or a secondary.",
        ),
        (
            json!({"type": "symmetricKey", "symmetricKey": {"primaryKey": "not base64 at all"}}),
            "attestation.symmetricKey.primaryKey: the symmetric key is not base64.",
        ),
        (
            json!({"type": "symmetricKey", "symmetricKey": {"secondaryKey": "c2hvcnQ="}}),
            "attestation.symmetricKey.secondaryKey: the symmetric key is 5 bytes long; it must be 16 to 64 bytes.",
        ),
    ] {
        assert_eq!(refusal(&with_attestation(attestation)), message);
    }
    let broken =
        json!({"type": "x509", "x509": {"clientCertificates": {"primary": {"certificate": "!"}}}});
    assert!(
        refusal(&with_attestation(broken))
            .starts_with("attestation.x509.clientCertificates.primary.certificate: ")
    );
}

#[test]
fn a_certificate_is_read_in_every_text_form_and_a_slot_with_info_only_is_kept() {
    use base64::Engine as _;
    let base64 = base64::engine::general_purpose::STANDARD;
    let device = certificate(DEVICE);
    for text in [
        DEVICE.to_owned(),
        DEVICE.replace('\n', "\r\n"),
        base64.encode(device.der()),
        base64.encode(DEVICE),
    ] {
        let x509 = json!({"clientCertificates": {
            "primary": {"certificate": text},
            "secondary": {"info": {"subjectName": "CN=x"}},
        }});
        let request = individual(&with_attestation(json!({"type": "x509", "x509": x509})));
        let AttestationRequest::ClientCertificates(slots) = request.expect("read").attestation
        else {
            panic!("another form")
        };
        assert_eq!(slots.primary, SlotRequest::Given(device.clone()));
        assert_eq!(slots.secondary, SlotRequest::Kept);
    }
}

#[test]
fn a_group_is_read_by_its_own_id_and_refers_to_uploaded_certificates() {
    let request = group(&json!({
        "enrollmentGroupId": "GRP",
        "deviceId": "passed over",
        "attestation": {"type": "x509", "x509": {"caReferences": {"primary": "root-1"}}},
    }))
    .expect("read");
    assert_eq!(
        request.attestation,
        AttestationRequest::CaReferences(Slots {
            primary: CertificateName::parse("root-1").ok(),
            secondary: None
        })
    );
    assert_eq!(
        group(&json!({"registrationId": "grp"})),
        Err(Error::Invalid("enrollmentGroupId is required.".into()))
    );
}

#[test]
fn a_plain_record_is_written_without_secrets_and_without_nulls() {
    let record = IndividualEnrollment {
        registration_id: registration_id("dev-1").expect("valid"),
        device_id: None,
        device_information: None,
        attestation: keys(),
        terms: plain_terms(),
    };
    assert_eq!(
        record.render(None).to_string(),
        concat!(
            r#"{"registrationId":"dev-1","attestation":{"type":"symmetricKey"},"#,
            r#""capabilities":{"iotEdge":false},"etag":"IjEi","provisioningStatus":"enabled","#,
            r#""createdDateTimeUtc":"2022-07-05T21:27:16.0000000Z","#,
            r#""lastUpdatedDateTimeUtc":"2022-07-05T21:27:16.8123230Z"}"#
        )
    );
}

#[test]
fn a_full_record_is_written_in_the_canonical_spelling() {
    let mut terms = plain_terms();
    let hub = HubHostName::parse("hub.a").expect("valid");
    terms.status = ProvisioningStatus::Disabled;
    terms.reprovision = Some(ReprovisionPolicy::default());
    terms.allocation = Some(AllocationPolicy::GeoLatency);
    terms.hubs = vec![hub.clone()];
    terms.legacy_hub = Some(hub);
    terms.capabilities.iot_edge = true;
    terms.custom_allocation = Some(CustomAllocation {
        webhook_url: "https://h/?code=c".into(),
        api_version: "2021-10-01".into(),
    });
    terms.initial_twin = Some(InitialTwin {
        tags: Document::parse(r#"{"a":null}"#).ok(),
        desired: Document::parse(r#"{"b":1.50}"#).ok(),
    });
    terms.extra = vec![("credentialPolicyName".into(), "p".into())];
    let record = EnrollmentGroup {
        id: group_id("grp").expect("valid"),
        attestation: AttestationMechanism::X509(X509Attestation::CaReference(Slots {
            primary: CertificateName::parse("root-1").ok(),
            secondary: None,
        })),
        terms,
    };
    assert_eq!(
        record.render(None),
        json!({
            "enrollmentGroupId": "grp",
            "attestation": {"type": "x509", "x509": {"caReferences": {"primary": "root-1"}}},
            "capabilities": {"iotEdge": true},
            "iotHubHostName": "hub.a",
            "initialTwin": {"tags": {"a": null}, "properties": {"desired": {"b": 1.5}}},
            "etag": "IjEi",
            "provisioningStatus": "disabled",
            "reprovisionPolicy": {"updateHubAssignment": true, "migrateDeviceData": true},
            "createdDateTimeUtc": "2022-07-05T21:27:16.0000000Z",
            "lastUpdatedDateTimeUtc": "2022-07-05T21:27:16.8123230Z",
            "allocationPolicy": "geoLatency",
            "iotHubs": ["hub.a"],
            "customAllocationDefinition": {"webhookUrl": "https://h/?code=c", "apiVersion": "2021-10-01"},
            "credentialPolicyName": "p",
        })
    );
}

#[test]
fn certificates_are_written_as_what_they_say_and_never_as_text() {
    let client = AttestationMechanism::X509(X509Attestation::Client(Slots {
        primary: Some(certificate(DEVICE)),
        secondary: None,
    }));
    assert_eq!(
        attestation_json(&client, Secrets::Shown),
        json!({"type": "x509", "x509": {"clientCertificates": {"primary": {"info": {
            "subjectName": "CN=dev-1",
            "sha1Thumbprint": "C6B4A459BE1C8EC820AD71299AA7F30BBBF3B28B",
            "sha256Thumbprint": "B252F44FD2FD068B229BA0864674\
                                 0D455791BE371E3167783E8D7D1893389013",
            "issuerName": "CN=Fixture Root",
            "notBeforeUtc": "2020-01-01T00:00:00Z",
            "notAfterUtc": "2099-01-01T00:00:00Z",
            "serialNumber": "0A02",
            "version": 3,
        }}}}})
    );
    let signing = AttestationMechanism::X509(X509Attestation::Signing(Slots {
        primary: None,
        secondary: Some(certificate(CA)),
    }));
    let shown = attestation_json(&signing, Secrets::Hidden);
    let slots = &shown["x509"]["signingCertificates"];
    assert_eq!(slots["secondary"]["info"]["subjectName"], "CN=Fixture Root");
    assert!(slots.get("primary").is_none());
}

#[test]
fn only_the_one_call_shows_keys_and_tpm_keys_are_no_secret() {
    assert_eq!(
        attestation_json(&keys(), Secrets::Shown),
        json!({"type": "symmetricKey", "symmetricKey": {"primaryKey": ONES, "secondaryKey": TWOS}})
    );
    let tpm = AttestationMechanism::Tpm(TpmAttestation {
        endorsement_key: "RUs=".into(),
        storage_root_key: None,
    });
    assert_eq!(
        attestation_json(&tpm, Secrets::Hidden),
        json!({"type": "tpm", "tpm": {"endorsementKey": "RUs="}})
    );
}

#[test]
fn what_is_read_is_accepted_again_as_it_was() {
    let record = IndividualEnrollment {
        registration_id: registration_id("dev-1").expect("valid"),
        device_id: DeviceId::parse("d").ok(),
        device_information: None,
        attestation: AttestationMechanism::X509(X509Attestation::Client(Slots {
            primary: Some(certificate(DEVICE)),
            secondary: None,
        })),
        terms: plain_terms(),
    };
    let request = individual(&record.render(None)).expect("read");
    let AttestationRequest::ClientCertificates(slots) = request.attestation else {
        panic!("another form")
    };
    assert_eq!(slots.primary, SlotRequest::Kept);
    assert_eq!(slots.secondary, SlotRequest::Empty);
    assert_eq!(request.etag, Some(record.terms.etag));
}

#[test]
fn a_bulk_call_keeps_the_items_that_cannot_be_read_as_their_errors() {
    let call = json!({"mode": "UPDATEIFMATCHETAG", "enrollments": [
        {"registrationId": "dev-1", "etag": "e1", "attestation": {"type": "symmetricKey"}},
        {"registrationId": "dev-2"},
        {"registrationId": "bad."},
    ]});
    let (mode, items) =
        bulk::parse::<IndividualEnrollment>(call.to_string().as_bytes()).expect("read");
    assert_eq!(mode, BulkMode::UpdateIfMatchEtag);
    let [first, second, third] = items.as_slice() else {
        panic!("three items")
    };
    let Ok(BulkContent::Put(request)) = &first.content else {
        panic!("a put")
    };
    assert_eq!(request.etag, Etag::parse("e1").ok());
    assert_eq!(
        second.content,
        Err(Error::Invalid("attestation is required.".into()))
    );
    assert_eq!(third.id, "bad.");
    assert!(matches!(third.content, Err(Error::Invalid(_))));
}

#[test]
fn a_bulk_deletion_looks_at_id_and_etag_only() {
    let call = json!({"mode": "delete", "enrollmentGroups": [
        {"enrollmentGroupId": "grp", "etag": "e1", "attestation": "whatever"},
    ]});
    let (_, items) = bulk::parse::<EnrollmentGroup>(call.to_string().as_bytes()).expect("read");
    assert_eq!(
        items[0].content,
        Ok(BulkContent::Delete(
            group_id("grp").expect("valid"),
            Etag::parse("e1").ok()
        ))
    );
}

#[test]
fn a_bulk_call_that_cannot_be_understood_is_refused_whole() {
    for (call, message) in [
        (json!({"enrollments": []}), "mode is required."),
        (
            json!({"mode": "replace", "enrollments": []}),
            "mode must be one of create, update, updateIfMatchETag, delete.",
        ),
        (json!({"mode": "create"}), "enrollments is required."),
        (
            json!({"mode": "create", "enrollments": [1]}),
            "enrollments[0] must be an object.",
        ),
        (
            json!({"mode": "create", "enrollments": [{"deviceId": "d"}]}),
            "enrollments[0].registrationId is required.",
        ),
    ] {
        assert_eq!(
            bulk::parse::<IndividualEnrollment>(call.to_string().as_bytes()).err(),
            Some(Error::Invalid(message.into()))
        );
    }
}

#[test]
fn a_bulk_result_names_each_refused_item() {
    assert_eq!(
        bulk::result_json::<IndividualEnrollment>(&[]),
        json!({"isSuccessful": true, "errors": []})
    );
    let refused = BulkRefusal {
        id: "dev-1".into(),
        error: Error::Exists("Enrollment 'dev-1'".into()),
    };
    assert_eq!(
        bulk::result_json::<EnrollmentGroup>(&[refused]).to_string(),
        r#"{"isSuccessful":false,"errors":[{"enrollmentGroupId":"dev-1","errorCode":409201,"errorStatus":"Enrollment 'dev-1' already exists."}]}"#
    );
}

#[test]
fn a_query_is_any_text_and_no_body_asks_for_everything() {
    assert_eq!(parse_query(b"").as_deref(), Ok(""));
    assert_eq!(parse_query(b"{}").as_deref(), Ok(""));
    assert_eq!(
        parse_query(br#"{"query":"SELECT *"}"#).as_deref(),
        Ok("SELECT *")
    );
    assert!(matches!(
        parse_query(b"SELECT *"),
        Err(Error::Unreadable(_))
    ));
    assert!(matches!(
        parse_query(br#"{"query":1}"#),
        Err(Error::Invalid(_))
    ));
}

#[test]
fn a_body_past_the_limit_is_refused() {
    assert!(check_size(&vec![b' '; LARGEST_BODY], LARGEST_BODY).is_ok());
    assert_eq!(
        check_size(&vec![b' '; LARGEST_BODY + 1], LARGEST_BODY),
        Err(Error::Invalid(
            "The body is larger than 98304 bytes.".into()
        ))
    );
}
