//! Preconditions of puts and deletes.

use super::*;
use crate::clock::Timestamp;
use crate::enrollment::{DeviceCapabilities, EnrollmentGroup, EnrollmentTerms, ProvisioningStatus};
use crate::id::EnrollmentGroupId;
use crate::secret::{KeyPair, SymmetricKey};

fn etag(text: &str) -> Etag {
    Etag::parse(text).expect("valid")
}

fn stored() -> EnrollmentGroup {
    let key = SymmetricKey::from_bytes(vec![1; 32]);
    EnrollmentGroup {
        id: EnrollmentGroupId::parse("grp").expect("valid"),
        attestation: AttestationMechanism::SymmetricKey(KeyPair {
            primary: key.clone(),
            secondary: key,
        }),
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
            etag: etag("now"),
            created: Timestamp::NEVER,
            updated: Timestamp::NEVER,
        },
    }
}

fn ask(there: bool, condition: Condition, body: Option<&str>) -> Result<Expect, Error> {
    let record = stored();
    expected(
        there.then_some(&record),
        &condition,
        body.map(etag).as_ref(),
        &|| Error::PreconditionFailed("gone".into()),
    )
}

#[test]
fn a_put_that_says_nothing_makes_a_record_and_replaces_none() {
    assert_eq!(ask(false, Condition::Unstated, None), Ok(Expect::Absent));
    assert_eq!(
        ask(true, Condition::Unstated, None),
        Err(Error::Exists("Enrollment group 'grp'".into()))
    );
}

#[test]
fn the_etag_of_the_body_counts_only_without_the_header() {
    let now = Ok(Expect::Etag(etag("now")));
    let changed = Err(Error::PreconditionFailed("Enrollment group 'grp'".into()));
    assert_eq!(ask(true, Condition::Unstated, Some("now")), now);
    assert_eq!(ask(true, Condition::Unstated, Some("old")), changed);
    assert_eq!(ask(true, Condition::Present, Some("old")), now);
    assert_eq!(ask(true, Condition::Etag(etag("now")), Some("old")), now);
    assert_eq!(
        ask(true, Condition::Etag(etag("old")), Some("now")),
        changed
    );
}

#[test]
fn a_condition_on_a_missing_record_fails() {
    let gone = Err(Error::PreconditionFailed("gone".into()));
    assert_eq!(ask(false, Condition::Present, None), gone);
    assert_eq!(ask(false, Condition::Etag(etag("now")), None), gone);
    assert_eq!(ask(false, Condition::Unstated, Some("now")), gone);
}
