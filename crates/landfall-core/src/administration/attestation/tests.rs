//! How an operator's attestation becomes a stored one, and what is refused.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair as MadeKey, date_time_ymd};

use super::*;
use crate::secret::KeyPair;

const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

/// Gives the bytes 1, 1, 1, … then 2, 2, 2, …, one number for each draw.
#[derive(Default)]
struct Counted(std::sync::atomic::AtomicU8);

impl Entropy for Counted {
    fn fill(&self, buffer: &mut [u8]) {
        let draw = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
        buffer.fill(draw);
    }
}

fn made(ca: bool, from: i32, until: i32) -> Certificate {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "dev-1");
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(until, 1, 1);
    if ca {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    let key = MadeKey::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("a certificate");
    Certificate::from_der(certificate.der()).expect("read")
}

fn key(byte: u8) -> SymmetricKey {
    SymmetricKey::from_bytes(vec![byte; 32])
}

fn admit(
    request: &AttestationRequest,
    audience: Audience,
    stored: Option<&AttestationMechanism>,
) -> Result<AttestationMechanism, Error> {
    request.admit(audience, stored, NOW, &Counted::default())
}

fn message(request: &AttestationRequest, audience: Audience) -> String {
    match admit(request, audience, None) {
        Err(Error::Invalid(message)) => message,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

fn slots(primary: SlotRequest, secondary: SlotRequest) -> SlotsRequest {
    SlotsRequest { primary, secondary }
}

fn client(primary: SlotRequest, secondary: SlotRequest) -> AttestationRequest {
    AttestationRequest::ClientCertificates(slots(primary, secondary))
}

#[test]
fn keys_that_are_not_given_are_drawn_with_64_bytes_each() {
    let request = AttestationRequest::SymmetricKey {
        primary: None,
        secondary: None,
    };
    let Ok(AttestationMechanism::SymmetricKey(keys)) = admit(&request, Audience::Individual, None)
    else {
        panic!("a symmetric key")
    };
    assert_eq!(keys.primary.bytes(), [1; 64]);
    assert_eq!(keys.secondary.bytes(), [2; 64]);
}

#[test]
fn an_update_keeps_each_key_that_is_not_given() {
    let stored = AttestationMechanism::SymmetricKey(KeyPair {
        primary: key(7),
        secondary: key(8),
    });
    let request = AttestationRequest::SymmetricKey {
        primary: Some(key(9)),
        secondary: None,
    };
    assert_eq!(
        admit(&request, Audience::Group, Some(&stored)),
        Ok(AttestationMechanism::SymmetricKey(KeyPair {
            primary: key(9),
            secondary: key(8),
        }))
    );
}

#[test]
fn a_change_of_type_draws_new_keys() {
    let stored = AttestationMechanism::Tpm(TpmAttestation {
        endorsement_key: "RUs=".into(),
        storage_root_key: None,
    });
    let request = AttestationRequest::SymmetricKey {
        primary: None,
        secondary: None,
    };
    let Ok(AttestationMechanism::SymmetricKey(keys)) =
        admit(&request, Audience::Individual, Some(&stored))
    else {
        panic!("a symmetric key")
    };
    assert_eq!(keys.primary.bytes().len(), 64);
}

#[test]
fn each_mechanism_belongs_to_its_kind_of_enrollment() {
    let tpm = AttestationRequest::Tpm(TpmAttestation {
        endorsement_key: "RUs=".into(),
        storage_root_key: None,
    });
    assert_eq!(
        message(&tpm, Audience::Group),
        "TPM attestation is for individual enrollments only."
    );
    let given = || SlotRequest::Given(made(true, 2020, 2099));
    assert_eq!(
        message(&client(given(), SlotRequest::Empty), Audience::Group),
        "clientCertificates are for individual enrollments; an enrollment group takes \
         signingCertificates or caReferences."
    );
    let signing = AttestationRequest::SigningCertificates(slots(given(), SlotRequest::Empty));
    assert_eq!(
        message(&signing, Audience::Individual),
        "signingCertificates are for enrollment groups; an individual enrollment takes \
         clientCertificates or caReferences."
    );
    assert!(admit(&signing, Audience::Group, None).is_ok());
}

#[test]
fn tpm_keys_are_base64_and_stored_in_one_spelling() {
    let tpm = |endorsement: &str, root: Option<&str>| {
        AttestationRequest::Tpm(TpmAttestation {
            endorsement_key: endorsement.into(),
            storage_root_key: root.map(str::to_owned),
        })
    };
    assert_eq!(
        admit(&tpm(" RUs=\n", Some("U1JL")), Audience::Individual, None),
        Ok(AttestationMechanism::Tpm(TpmAttestation {
            endorsement_key: "RUs=".into(),
            storage_root_key: Some("U1JL".into()),
        }))
    );
    assert_eq!(
        message(&tpm("*", None), Audience::Individual),
        "attestation.tpm.endorsementKey is not base64."
    );
    assert_eq!(
        message(&tpm("RUs=", Some("*")), Audience::Individual),
        "attestation.tpm.storageRootKey is not base64."
    );
}

#[test]
fn a_certificate_outside_its_validity_is_refused_in_its_slot() {
    let old = client(
        SlotRequest::Given(made(false, 2000, 2001)),
        SlotRequest::Empty,
    );
    assert_eq!(
        message(&old, Audience::Individual),
        "clientCertificates.primary expired at 2001-01-01T00:00:00Z."
    );
    let young = client(
        SlotRequest::Given(made(false, 2020, 2099)),
        SlotRequest::Given(made(false, 2098, 2099)),
    );
    assert_eq!(
        message(&young, Audience::Individual),
        "clientCertificates.secondary is not valid before 2098-01-01T00:00:00Z."
    );
}

#[test]
fn a_signing_certificate_must_be_a_cas() {
    let signing = AttestationRequest::SigningCertificates(slots(
        SlotRequest::Given(made(false, 2020, 2099)),
        SlotRequest::Empty,
    ));
    assert_eq!(
        message(&signing, Audience::Group),
        "signingCertificates.primary: the certificate is not a CA's: its basic constraints do \
         not say CA:TRUE."
    );
}

#[test]
fn at_least_one_slot_is_filled() {
    let empty = client(SlotRequest::Empty, SlotRequest::Empty);
    assert_eq!(
        message(&empty, Audience::Individual),
        "clientCertificates needs a primary or a secondary."
    );
}

#[test]
fn a_slot_that_comes_with_info_only_keeps_its_certificate() {
    let stored = made(false, 2000, 2001);
    let mechanism = AttestationMechanism::X509(X509Attestation::Client(Slots {
        primary: Some(stored.clone()),
        secondary: None,
    }));
    let new = made(false, 2020, 2099);
    let request = client(SlotRequest::Kept, SlotRequest::Given(new.clone()));
    // What is stored was judged when it came; it may have expired since.
    assert_eq!(
        admit(&request, Audience::Individual, Some(&mechanism)),
        Ok(AttestationMechanism::X509(X509Attestation::Client(Slots {
            primary: Some(stored),
            secondary: Some(new),
        })))
    );
    assert_eq!(
        message(&request, Audience::Individual),
        "clientCertificates.primary has no certificate, and none is stored that could be kept."
    );
}
