//! Chains judged before a device shows them: the road's own verdict, and its reasons.

use super::*;
use crate::attestation::x509::Holder;
use crate::attestation::{Slots, X509Attestation};
use crate::certificate::Certificate;
use crate::certificate::ca::CaCertificate;
use crate::certificate::forge::{self, Forge, Made, sequence, tlv};
use crate::id::CertificateName;

fn case() -> Case {
    Case {
        now: forge::now(),
        ..Case::new("dev1")
    }
}

fn chain(made: &[&Made]) -> Vec<Certificate> {
    made.iter().map(|made| made.certificate.clone()).collect()
}

fn authority(name: &str, made: &Made, verified: bool) -> CaCertificate {
    CaCertificate {
        name: CertificateName::parse(name).expect("a name"),
        certificate: made.certificate.clone(),
        verified,
        verification_code: None,
        etag: Etag::parse("e").expect("an etag"),
        created: Timestamp::from_unix_seconds(0),
        updated: Timestamp::from_unix_seconds(0),
    }
}

fn group_of(name: &str, status: ProvisioningStatus) -> EnrollmentGroup {
    let names = Slots::new(CertificateName::parse(name).ok(), None).expect("a slot");
    EnrollmentGroup {
        id: EnrollmentGroupId::parse("g").expect("an id"),
        attestation: AttestationMechanism::X509(X509Attestation::CaReference(names)),
        terms: terms(status),
    }
}

fn individual(attestation: AttestationMechanism) -> IndividualEnrollment {
    IndividualEnrollment {
        registration_id: RegistrationId::parse("dev1").expect("an id"),
        device_id: None,
        device_information: None,
        attestation,
        terms: terms(ProvisioningStatus::Enabled),
    }
}

#[test]
fn the_verdict_on_a_chain_is_the_one_that_the_device_would_get() {
    let case = case();
    let root = Forge::ca("root").self_signed();
    let leaf = Forge::leaf("dev1").issued_by(&root);
    let trust = |status, verified| {
        let authorities = vec![authority("factory", &root, verified)];
        Trust::new(vec![group_of("factory", status)], authorities)
    };
    let judge = |trust: &Trust, before: Option<&Registration>| {
        judge_chain(case.claim(), &chain(&[&leaf]), None, trust, before, false)
    };
    let good = judge(&trust(ProvisioningStatus::Enabled, true), None);
    assert_eq!(good.finding(), None);
    assert!(good.verdict.expect("let in").enabled());
    let disabled = judge(&trust(ProvisioningStatus::Disabled, true), None);
    assert!(!disabled.verdict.expect("known").enabled());
    let unproved = judge(&trust(ProvisioningStatus::Enabled, false), None);
    let finding = unproved.finding().expect("a finding");
    assert_eq!(finding.check, "x509.ca_not_verified");
    let elsewhere = case.registered_through("other");
    let moved = judge(&trust(ProvisioningStatus::Enabled, true), Some(&elsewhere));
    let finding = moved.finding().expect("a finding");
    assert_eq!(finding.check, "enrollment.other_group");
    assert_eq!(moved.inspection.finding(), None, "the chain itself is fine");
}

#[test]
fn an_individual_enrollment_decides_alone_and_a_key_that_tls_refuses_before_it() {
    let case = case();
    let judge = |made: &Made, attestation| {
        let enrollment = individual(attestation);
        let trust = Trust::default();
        let sent = chain(&[made]);
        judge_chain(case.claim(), &sent, Some(&enrollment), &trust, None, false)
    };
    let own = |made: &Made| {
        let slots = Slots::new(Some(made.certificate.clone()), None).expect("a slot");
        AttestationMechanism::X509(X509Attestation::Client(slots))
    };
    let leaf = Forge::leaf("dev1").self_signed();
    assert_eq!(judge(&leaf, own(&leaf)).finding(), None);
    let keyed = judge(&leaf, AttestationMechanism::SymmetricKey(keys(1)));
    let finding = keyed.finding().expect("a finding");
    assert_eq!(finding.check, "enrollment.mechanism");
    // Secp256k1: a curve that no TLS session here offers.
    let mut odd = Forge::leaf("dev1");
    odd.public_key = Some(sequence(&[
        sequence(&[
            tlv(0x06, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01]),
            tlv(0x06, &[0x2b, 0x81, 0x04, 0x00, 0x0a]),
        ]),
        tlv(0x03, &[0x00, 0x04]),
    ]));
    let odd = odd.self_signed();
    let refused = judge(&odd, own(&odd));
    assert!(refused.verdict.is_ok(), "nothing but TLS minds");
    assert_eq!(refused.finding().map(|f| f.check), Some("x509.key"));
}

#[test]
fn holders_have_names_and_a_key_in_two_authorities_is_told() {
    let case = case();
    let root = Forge::ca("root").self_signed();
    let middle = Forge::ca("middle").issued_by(&root);
    let leaf = Forge::leaf("dev1").issued_by(&middle);
    let twin_key = rcgen::KeyPair::try_from(root.key.serialized_der()).expect("a key");
    let twin = Forge::ca("twin").issued_with(twin_key, &root);
    let trust = Trust::new(
        vec![group_of("root", ProvisioningStatus::Enabled)],
        vec![
            authority("root", &root, true),
            authority("middle", &middle, true),
            authority("twin", &twin, false),
        ],
    );
    let sent = chain(&[&leaf]);
    let judgement = judge_chain(case.claim(), &sent, None, &trust, None, false);
    assert_eq!(judgement.finding(), None);
    let holders: Vec<_> = judgement
        .inspection
        .links
        .iter()
        .map(|link| &link.holder)
        .collect();
    let middle = CertificateName::parse("middle").ok();
    assert_eq!(holders[1], &Some(Holder::Verified(middle)));
    let hints = judgement.inspection.hints;
    assert_eq!(hints.len(), 1, "{hints:?}");
    assert!(
        hints[0].contains("'CN=root'") && hints[0].contains("'twin'"),
        "{hints:?}"
    );
}
