//! What a record lacks and whether what is stored makes up for it, when two records say the same, and what
//! is told of a write that did not happen.

use rcgen::{CertificateParams, KeyPair as MadeKey};

use super::*;
use crate::administration::attestation::SlotsRequest;
use crate::administration::terms::TermsRequest;
use crate::attestation::{Slots, TpmAttestation};
use crate::certificate::Certificate;
use crate::clock::Timestamp;
use crate::document::Document;
use crate::enrollment::{
    DeviceCapabilities, EnrollmentTerms, InitialTwin, ProvisioningStatus, ReprovisionPolicy,
};
use crate::id::{DeviceId, EnrollmentGroupId, HubHostName, RegistrationId};
use crate::secret::{KeyPair, SymmetricKey};

fn key(byte: u8) -> SymmetricKey {
    SymmetricKey::from_bytes(vec![byte; 32])
}

fn keys(byte: u8) -> AttestationMechanism {
    AttestationMechanism::SymmetricKey(KeyPair {
        primary: key(byte),
        secondary: key(byte + 1),
    })
}

fn certificate() -> Certificate {
    let made = MadeKey::generate().expect("a key");
    let params = CertificateParams::default();
    let certificate = params.self_signed(&made).expect("a certificate");
    Certificate::from_der(certificate.der()).expect("read")
}

fn import(
    attestation: AttestationRequest,
    shown: [Option<&Certificate>; 2],
) -> Import<EnrollmentGroup> {
    Import {
        request: EnrollmentRequest {
            id: EnrollmentGroupId::parse("grp").expect("an id"),
            details: (),
            attestation,
            terms: TermsRequest::default(),
            etag: None,
        },
        // Other tools write thumbprints in lower case.
        shown: shown.map(|shown| shown.map(|shown| shown.sha256_hex().to_ascii_lowercase())),
    }
}

fn slots(primary: SlotRequest, secondary: SlotRequest) -> AttestationRequest {
    AttestationRequest::SigningCertificates(SlotsRequest { primary, secondary })
}

fn signing(primary: Option<&Certificate>, secondary: Option<&Certificate>) -> AttestationMechanism {
    AttestationMechanism::X509(X509Attestation::Signing(Slots {
        primary: primary.cloned(),
        secondary: secondary.cloned(),
    }))
}

#[test]
fn a_record_without_both_keys_lacks_them_and_keeps_those_that_are_stored() {
    let asked = |primary, secondary| {
        import(
            AttestationRequest::SymmetricKey { primary, secondary },
            [None, None],
        )
    };
    assert_eq!(asked(Some(key(1)), Some(key(2))).lack(), None);
    for (lacking, which, named) in [
        (asked(None, None), LackingKeys::Both, "no key,"),
        (
            asked(Some(key(1)), None),
            LackingKeys::Secondary,
            "no secondary key,",
        ),
        (
            asked(None, Some(key(2))),
            LackingKeys::Primary,
            "no primary key,",
        ),
    ] {
        let lack = lacking.lack().expect("it lacks one");
        assert_eq!(lack, ImportRefusal::NoKey(which));
        assert!(lack.to_string().contains(named), "{lack}");
        assert!(lacking.is_kept_by(&keys(7)), "whatever keys are stored");
        assert!(!lacking.is_kept_by(&signing(Some(&certificate()), None)));
    }
}

#[test]
fn a_certificate_that_is_shown_only_is_kept_when_the_very_same_is_stored() {
    let (one, two) = (certificate(), certificate());
    let given = slots(SlotRequest::Given(one.clone()), SlotRequest::Empty);
    assert_eq!(import(given, [None, None]).lack(), None);
    let both = import(
        slots(SlotRequest::Kept, SlotRequest::Kept),
        [Some(&one), None],
    );
    let thumbprint = one.sha256_hex().to_ascii_lowercase();
    assert_eq!(
        both.lack(),
        Some(ImportRefusal::NoCertificate(format!(
            "{thumbprint} and unknown"
        )))
    );
    assert!(
        !both.is_kept_by(&signing(Some(&one), Some(&two))),
        "it does not say which the second is"
    );
    let first = import(
        slots(SlotRequest::Kept, SlotRequest::Given(two.clone())),
        [Some(&one), None],
    );
    assert!(first.is_kept_by(&signing(Some(&one), None)));
    assert!(!first.is_kept_by(&signing(Some(&two), None)), "another one");
    assert!(
        !first.is_kept_by(&signing(None, Some(&one))),
        "in another slot"
    );
    let client = X509Attestation::Client(Slots {
        primary: Some(one),
        secondary: None,
    });
    assert!(!first.is_kept_by(&AttestationMechanism::X509(client)));
    assert!(!first.is_kept_by(&keys(1)));
}

#[test]
fn endorsement_keys_and_names_of_authorities_are_never_lacking() {
    let tpm = AttestationRequest::Tpm(TpmAttestation {
        endorsement_key: "AToAAQ==".to_owned(),
        storage_root_key: None,
    });
    let tpm = import(tpm, [None, None]);
    assert_eq!(tpm.lack(), None);
    assert!(!tpm.is_kept_by(&keys(1)), "there is nothing to be kept");
}

fn device(name: &str) -> IndividualEnrollment {
    IndividualEnrollment {
        registration_id: RegistrationId::parse(name).expect("an id"),
        device_id: None,
        device_information: None,
        attestation: keys(1),
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
            etag: Etag::parse("one").expect("valid"),
            created: Timestamp::NEVER,
            updated: Timestamp::NEVER,
        },
    }
}

fn document(text: &str) -> Option<Document> {
    Some(Document::parse(text).expect("a document"))
}

#[test]
fn what_says_the_same_in_other_words_does_not_differ() {
    let one = device("dev");
    let mut same = one.clone();
    same.terms.etag = Etag::parse("two").expect("valid");
    same.terms.updated = Timestamp::from_unix_seconds(5);
    same.terms.reprovision = Some(ReprovisionPolicy::default());
    same.terms.initial_twin = Some(InitialTwin {
        tags: document("{}"),
        desired: None,
    });
    same.device_id = DeviceId::parse("dev").ok();
    same.device_information = document("{}");
    assert_eq!(differences(&one, &same), Vec::<&str>::new());

    let hub = |name: &str| HubHostName::parse(name).expect("a name");
    let (mut a, mut b) = (one.clone(), one);
    a.terms.hubs = vec![hub("a.example"), hub("B.example")];
    b.terms.hubs = vec![hub("b.example"), hub("a.example")];
    let twin = |text| {
        Some(InitialTwin {
            tags: document(text),
            desired: document("{ \"on\": true }"),
        })
    };
    a.terms.initial_twin = twin(r#"{"floor":3,"site":"x"}"#);
    b.terms.initial_twin = twin(r#"{ "site": "x", "floor": 3 }"#);
    a.terms.extra = vec![("one".into(), "1".into()), ("two".into(), "2".into())];
    b.terms.extra = vec![("two".into(), "2".into()), ("one".into(), "1".into())];
    assert_eq!(differences(&a, &b), Vec::<&str>::new());
}

#[test]
fn every_member_that_differs_is_named_once() {
    let one = device("dev");
    let differs = |change: fn(&mut IndividualEnrollment)| {
        let mut other = one.clone();
        change(&mut other);
        let there = differences(&other, &one);
        assert_eq!(differences(&one, &other), there, "either way round");
        there
    };
    assert_eq!(differs(|it| it.attestation = keys(2)), ["attestation"]);
    assert_eq!(
        differs(|it| it.terms.status = ProvisioningStatus::Disabled),
        ["provisioningStatus"]
    );
    assert_eq!(
        differs(|it| {
            it.terms.reprovision = Some(ReprovisionPolicy {
                update_hub_assignment: false,
                migrate_device_data: false,
            });
        }),
        ["reprovisionPolicy"]
    );
    assert_eq!(
        differs(|it| it.terms.hubs = vec![HubHostName::parse("a.example").expect("a name")]),
        ["iotHubs"]
    );
    assert_eq!(
        differs(|it| {
            it.terms.capabilities.iot_edge = true;
            it.terms.initial_twin = Some(InitialTwin {
                tags: document(r#"{"a":1}"#),
                desired: document(r#"{"a":1}"#),
            });
        }),
        ["capabilities", "tags", "desired"]
    );
    assert_eq!(
        differs(|it| {
            it.terms.extra = vec![("one".into(), "1".into()), ("two".into(), "2".into())];
            it.device_id = DeviceId::parse("other").ok();
            it.device_information = document(r#"{"colour":"red"}"#);
        }),
        [
            "members of newer versions",
            "deviceId",
            "optionalDeviceInformation"
        ]
    );
}

#[test]
fn only_a_store_that_cannot_write_ends_an_import() {
    assert_eq!(
        ungiven(CommitError::Unavailable("full".to_owned())),
        Err(Error::Unavailable(STORE_WAIT))
    );
    for (error, told) in [
        (CommitError::Absent("it".to_owned()), Error::ServiceNotFound),
        (
            CommitError::Exists("it".to_owned()),
            Error::Exists("it".to_owned()),
        ),
        (
            CommitError::Changed("it".to_owned()),
            Error::PreconditionFailed("it".to_owned()),
        ),
    ] {
        assert_eq!(ungiven(error), Ok(refused(ImportRefusal::Rule(told))));
    }
}
