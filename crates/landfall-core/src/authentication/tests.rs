//! Which enrollment decides, and what each refusal says.

use super::*;
use crate::attestation::{AttestationKind, AttestationMechanism};
use crate::enrollment::{DeviceCapabilities, EnrollmentGroup, IndividualEnrollment};
use crate::id::{EnrollmentGroupId, Etag, HubHostName};
use crate::linked_hub::HubCredential;
use crate::registration::{Assignment, EnrollmentRef, Registration, RegistrationStatus, Substatus};
use crate::sas;
use crate::secret::{KeyPair, SymmetricKey};

mod inspection;

pub(super) fn keys(seed: u8) -> KeyPair {
    KeyPair {
        primary: SymmetricKey::from_bytes(vec![seed; 64]),
        secondary: SymmetricKey::from_bytes(vec![seed + 1; 64]),
    }
}

fn terms(status: ProvisioningStatus) -> EnrollmentTerms {
    EnrollmentTerms {
        status,
        reprovision: None,
        allocation: None,
        hubs: Vec::new(),
        legacy_hub: None,
        custom_allocation: None,
        capabilities: DeviceCapabilities::default(),
        initial_twin: None,
        extra: Vec::new(),
        etag: Etag::parse("e").expect("an etag"),
        created: Timestamp::from_unix_seconds(0),
        updated: Timestamp::from_unix_seconds(0),
    }
}

pub(super) fn group(id: &str, seed: u8, status: ProvisioningStatus) -> EnrollmentGroup {
    EnrollmentGroup {
        id: EnrollmentGroupId::parse(id).expect("an id"),
        attestation: AttestationMechanism::SymmetricKey(keys(seed)),
        terms: terms(status),
    }
}

struct Case {
    scope: IdScope,
    id: RegistrationId,
    now: Timestamp,
}

impl Case {
    fn new(id: &str) -> Self {
        Case {
            scope: IdScope::parse("0ne00ABC123").expect("a scope"),
            id: RegistrationId::parse(id).expect("an id"),
            now: Timestamp::from_unix_seconds(2_000_000_000),
        }
    }

    fn claim(&self) -> Claim<'_> {
        Claim {
            scope: &self.scope,
            registration_id: &self.id,
            now: self.now,
        }
    }

    fn token(&self, key: &SymmetricKey, seconds: i64) -> Evidence {
        self.token_for(
            &format!("{}/registrations/{}", self.scope, self.id),
            key,
            seconds,
        )
    }

    fn token_for(&self, resource: &str, key: &SymmetricKey, seconds: i64) -> Evidence {
        let expiry = Timestamp::from_unix_seconds(self.now.unix_seconds() + seconds);
        Evidence {
            token: Some(SasToken::parse(&sas::sign(
                resource,
                key,
                Some("registration"),
                expiry,
            ))),
            ..Evidence::default()
        }
    }

    fn individual(
        &self,
        evidence: &Evidence,
        status: ProvisioningStatus,
    ) -> Result<Verdict, Refusal> {
        let enrollment = IndividualEnrollment {
            registration_id: self.id.clone(),
            device_id: Some(DeviceId::parse("Own-Name").expect("an id")),
            device_information: None,
            attestation: AttestationMechanism::SymmetricKey(keys(1)),
            terms: terms(status),
        };
        let proof = read(self.claim(), evidence)?;
        by_individual(self.claim(), &proof, &enrollment, &Trust::default())
    }

    /// What the device has from an earlier registration through `group`.
    fn registered_through(&self, group: &str) -> Registration {
        Registration {
            registration_id: self.id.clone(),
            enrollment: EnrollmentRef::Group(EnrollmentGroupId::parse(group).expect("an id")),
            kind: AttestationKind::SymmetricKey,
            status: RegistrationStatus::Assigned,
            assignment: Some(Assignment {
                hub: HubHostName::parse("hub.a").expect("a hub"),
                device_id: DeviceId::parse(self.id.as_str()).expect("an id"),
                substatus: Substatus::InitialAssignment,
            }),
            payload: None,
            etag: Etag::parse("e").expect("an etag"),
            created: self.now,
            updated: self.now,
        }
    }

    fn grouped(
        &self,
        evidence: &Evidence,
        groups: Vec<EnrollmentGroup>,
        before: Option<&str>,
    ) -> Result<Verdict, Refusal> {
        let before = before.map(|group| self.registered_through(group));
        let proof = read(self.claim(), evidence)?;
        let trust = Trust::new(groups, Vec::new());
        by_group(self.claim(), &proof, &trust, before.as_ref(), false)
    }
}

fn check<T>(result: Result<T, Refusal>) -> &'static str {
    result.err().expect("refused").finding.check
}

#[test]
fn both_keys_of_an_individual_enrollment_open() {
    let case = Case::new("Dev-1");
    for key in [keys(1).primary, keys(1).secondary] {
        let verdict = case
            .individual(&case.token(&key, 60), ProvisioningStatus::Enabled)
            .expect("let in");
        assert_eq!(verdict.attested.credential(), &HubCredential::Keys(keys(1)));
        assert_eq!(verdict.device_id.as_str(), "Own-Name");
    }
}

#[test]
fn the_scope_in_a_token_may_be_lower_cased() {
    let case = Case::new("Dev-1");
    let evidence = case.token_for("0ne00abc123/registrations/dev-1", &keys(1).primary, 30);
    assert!(
        case.individual(&evidence, ProvisioningStatus::Enabled)
            .is_ok()
    );
}

#[test]
fn each_claim_of_a_token_is_checked() {
    let case = Case::new("dev-1");
    let key = keys(1).primary;
    let refused =
        |evidence: &Evidence| check(case.individual(evidence, ProvisioningStatus::Enabled));
    assert_eq!(
        refused(&case.token_for("0ne00ABC123/registrations/dev-2", &key, 60)),
        "sas.resource"
    );
    assert_eq!(
        refused(&case.token_for("hub.example/devices/dev-1", &key, 60)),
        "sas.resource"
    );
    assert_eq!(refused(&case.token(&key, -301)), "sas.expired");
    assert_eq!(refused(&case.token(&keys(9).primary, 60)), "sas.signature");
    assert_eq!(refused(&Evidence::default()), "evidence.none");
    let form = Evidence {
        token: Some(SasToken::parse("Bearer x")),
        ..Evidence::default()
    };
    assert_eq!(refused(&form), "sas.form");
    let resource = "0ne00ABC123/registrations/dev-1";
    let text = sas::sign(
        resource,
        &key,
        Some("owner"),
        Timestamp::from_unix_seconds(2_000_000_060),
    );
    let policy = Evidence {
        token: Some(SasToken::parse(&text)),
        ..Evidence::default()
    };
    assert_eq!(refused(&policy), "sas.key_name");
}

#[test]
fn an_expired_token_says_how_far_the_clock_is_behind() {
    let case = Case::new("dev-1");
    let late = case.token(&keys(1).primary, -(2 * 3600 + 3 * 60));
    let refusal = case
        .individual(&late, ProvisioningStatus::Enabled)
        .expect_err("refused");
    assert!(
        refusal.finding.seen.contains("2 h 3 min"),
        "{}",
        refusal.finding.seen
    );
}

#[test]
fn a_token_within_the_leeway_opens() {
    let case = Case::new("dev-1");
    assert!(
        case.individual(
            &case.token(&keys(1).primary, -299),
            ProvisioningStatus::Enabled
        )
        .is_ok()
    );
}

#[test]
fn derived_keys_open_the_group_in_either_spelling_of_the_id() {
    let case = Case::new("Dev-1");
    let groups = || {
        vec![
            group("a", 10, ProvisioningStatus::Enabled),
            group("b", 20, ProvisioningStatus::Enabled),
        ]
    };
    for spelling in ["Dev-1", "dev-1"] {
        let device = keys(20).derive(spelling);
        let verdict = case
            .grouped(&case.token(&device.secondary, 60), groups(), None)
            .expect("let in");
        assert_eq!(verdict.attested.credential(), &HubCredential::Keys(device));
        assert_eq!(verdict.device_id.as_str(), "Dev-1");
    }
}

#[test]
fn the_group_key_itself_is_refused_and_handed_to_diagnosis() {
    let case = Case::new("dev-1");
    let groups = vec![group("a", 10, ProvisioningStatus::Enabled)];
    let refusal = case
        .grouped(&case.token(&keys(10).primary, 60), groups, None)
        .expect_err("refused");
    let diagnosis = refusal.diagnosis.expect("a wrong signature is looked into");
    let found = symmetric_key::diagnosis::diagnose(
        &diagnosis.token,
        &diagnosis.registration_id,
        &diagnosis.suspects,
    );
    assert_eq!(
        found.map(|finding| finding.check),
        Some("sas.group_key_itself")
    );
    assert_eq!(refusal.public, Error::Unauthorized);
}

#[test]
fn a_disabled_group_is_told_apart_from_none() {
    let case = Case::new("dev-1");
    let evidence = case.token(&keys(10).derive("dev-1").primary, 60);
    let groups = vec![group("a", 10, ProvisioningStatus::Disabled)];
    assert!(
        !case
            .grouped(&evidence, groups, None)
            .expect("known")
            .enabled()
    );
    assert_eq!(
        check(case.grouped(&evidence, Vec::new(), None)),
        "enrollment.none"
    );
}

#[test]
fn an_id_of_another_groups_device_is_not_taken_over() {
    let case = Case::new("dev-1");
    let evidence = case.token(&keys(10).derive("dev-1").primary, 60);
    let groups = || {
        vec![
            group("a", 10, ProvisioningStatus::Enabled),
            group("b", 20, ProvisioningStatus::Enabled),
        ]
    };
    assert_eq!(
        check(case.grouped(&evidence, groups(), Some("b"))),
        "enrollment.other_group"
    );
    assert!(case.grouped(&evidence, groups(), Some("a")).is_ok());
}

#[test]
fn a_record_without_an_assignment_reserves_no_id() {
    let case = Case::new("dev-1");
    let evidence = case.token(&keys(10).derive("dev-1").primary, 60);
    let proof = read(case.claim(), &evidence).expect("well formed");
    let trust = Trust::new(
        vec![group("a", 10, ProvisioningStatus::Enabled)],
        Vec::new(),
    );
    let mut before = case.registered_through("b");
    before.assignment = None;
    assert!(by_group(case.claim(), &proof, &trust, Some(&before), false).is_ok());
}

#[test]
fn a_returning_device_is_known_by_its_own_group_alone() {
    let case = Case::new("dev-1");
    let (own, other) = (keys(10).derive("dev-1"), keys(20).derive("dev-1"));
    let groups = vec![
        group("a", 10, ProvisioningStatus::Enabled),
        group("b", 20, ProvisioningStatus::Enabled),
    ];
    let trust = Trust::new(groups, Vec::new());
    let seen = |key: &SymmetricKey, before: Option<&Registration>| {
        let evidence = case.token(key, 60);
        let proof = read(case.claim(), &evidence).expect("well formed");
        by_own_group(case.claim(), &proof, &trust, before)
            .map(|verdict| verdict.attested.enrollment().clone())
    };
    let before = case.registered_through("a");
    let through_a = Some(before.enrollment.clone());
    assert_eq!(seen(&own.primary, Some(&before)), through_a);
    assert_eq!(seen(&own.secondary, Some(&before)), through_a);
    let evidence = case.token(&own.primary, 60);
    let proof = read(case.claim(), &evidence).expect("well formed");
    let verdict = by_group(case.claim(), &proof, &trust, Some(&before), false).expect("let in");
    assert_eq!(
        verdict.note,
        "enrollment group 'a' as before, derived symmetric key"
    );
    assert!(
        !trust.was_searched(),
        "no other group's key was even made ready"
    );
    assert!(by_group(case.claim(), &proof, &trust, None, false).is_ok());
    assert!(trust.was_searched());
    assert_eq!(seen(&other.primary, Some(&before)), None);
    assert_eq!(seen(&own.primary, None), None);
    let gone = case.registered_through("deleted");
    assert_eq!(seen(&own.primary, Some(&gone)), None);
}

#[test]
fn tpm_evidence_is_refused_in_so_many_words() {
    let case = Case::new("dev-1");
    let evidence = Evidence {
        tpm: Some(crate::attestation::TpmAttestation {
            endorsement_key: "AA==".into(),
            storage_root_key: None,
        }),
        ..Evidence::default()
    };
    let refusal = case
        .grouped(&evidence, Vec::new(), None)
        .expect_err("refused");
    assert_eq!(refusal.finding.check, "tpm.not_served");
    assert!(refusal.public.to_string().contains("TPM"));
    assert_eq!(
        check(case.individual(&evidence, ProvisioningStatus::Enabled)),
        "enrollment.mechanism"
    );
}
