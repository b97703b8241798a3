//! What a write changed: the record before and after, as an audit entry keeps them, and the names of
//! the secrets that changed.
//!
//! Called by the store for every write that has an author, with the records as they were and are.
//! Hub records do the same in `landfall-hub/src/audit.rs`.

use super::record::Record;
use super::{Action, Kind};
use crate::attestation::AttestationMechanism;
use crate::certificate::ca::CaCertificate;
use crate::enrollment::{EnrollmentGroup, EnrollmentTerms, IndividualEnrollment};
use crate::policy::Policy;
use crate::registration::Registration;
use crate::secret::KeyPair;
use crate::service::ProvisioningService;

/// What a write did to one record.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference<H> {
    /// What was done.
    pub action: Action,
    /// What kind of record it is.
    pub kind: Kind,
    /// The record before; none when it was made.
    pub before: Option<Record<H>>,
    /// The record after; none when it was removed.
    pub after: Option<Record<H>>,
    /// The secrets that are others now, by their names on the wire. A new record's are not named.
    pub changed_secrets: Vec<String>,
    /// How many records of other kinds went with a removed one, where it may have many; or how many
    /// records of this kind an import brought, which are not named.
    pub taken_along: Vec<(Kind, u64)>,
}

/// The id of a record, and what was done to it.
pub type Named<H> = (String, Difference<H>);

impl<H> Difference<H> {
    /// The difference between two states of a record; `None` when there was and is none.
    pub fn between(
        kind: Kind,
        before: Option<Record<H>>,
        after: Option<Record<H>>,
    ) -> Option<Self> {
        let action = match (&before, &after) {
            (None, None) => return None,
            (None, Some(_)) => Action::Create,
            (Some(_), Some(_)) => Action::Update,
            (Some(_), None) => Action::Delete,
        };
        Some(Difference {
            action,
            kind,
            before,
            after,
            changed_secrets: Vec::new(),
            taken_along: Vec::new(),
        })
    }

    /// This difference, with these changed secrets.
    pub fn with_secrets(self, changed_secrets: Vec<String>) -> Self {
        Difference {
            changed_secrets,
            ..self
        }
    }
}

/// What changed of a service. Policies of a service that stays have differences of their own.
pub fn of_service<H>(
    before: Option<&ProvisioningService>,
    after: Option<&ProvisioningService>,
) -> Vec<Named<H>> {
    let policies = match (before, after) {
        (Some(before), Some(after)) => {
            of_policies(&before.policies, &after.policies, Record::policy)
        }
        _ => Vec::new(),
    };
    // A put that changes nothing is told as one of the service.
    let told = policies.is_empty() || !same_settings(before, after);
    let whole = before.or(after).filter(|_| told).and_then(|service| {
        let states = (before.map(Record::service), after.map(Record::service));
        let what = Difference::between(Kind::Service, states.0, states.1)?;
        Some((service.name.to_string(), what))
    });
    whole.into_iter().chain(policies).collect()
}

/// Whether two states of a service differ in nothing but policies and what every write changes.
fn same_settings(
    before: Option<&ProvisioningService>,
    after: Option<&ProvisioningService>,
) -> bool {
    before.zip(after).is_some_and(|(before, after)| {
        let before = ProvisioningService {
            policies: after.policies.clone(),
            etag: after.etag.clone(),
            trust_version: after.trust_version,
            ..before.clone()
        };
        before == *after
    })
}

/// What changed of the policies of a service or hub; `record` takes their keys out.
pub fn of_policies<P: Policy + PartialEq, H>(
    before: &[P],
    after: &[P],
    record: fn(&P) -> Record<H>,
) -> Vec<Named<H>> {
    pairs(before, after, |policy| policy.name().key())
        .into_iter()
        .filter(|(before, after)| before != after)
        .filter_map(|(before, after)| {
            let name = before.or(after)?.name().to_string();
            let secrets = changed_keys(before.map(P::keys), after.map(P::keys));
            let states = (before.map(record), after.map(record));
            let what = Difference::between(Kind::Policy, states.0, states.1)?;
            Some((name, what.with_secrets(secrets)))
        })
        .collect()
}

/// An item of a list before and after a change.
type Pair<'a, T> = (Option<&'a T>, Option<&'a T>);

/// What stands under the same key in two lists, in the order of the first, then of the second.
fn pairs<'a, T>(before: &'a [T], after: &'a [T], key: impl Fn(&T) -> &str) -> Vec<Pair<'a, T>> {
    let in_after = |one: &T| after.iter().find(|other| key(other) == key(one));
    let kept = before.iter().map(|one| (Some(one), in_after(one)));
    let made = after
        .iter()
        .filter(|one| before.iter().all(|other| key(other) != key(one)))
        .map(|one| (None, Some(one)));
    kept.chain(made).collect()
}

/// What changed of an individual enrollment.
pub fn of_individual<H>(
    before: Option<&IndividualEnrollment>,
    after: Option<&IndividualEnrollment>,
) -> Option<Named<H>> {
    let id = before.or(after)?.registration_id.to_string();
    let secrets = changed_in_enrollment(
        before.map(|e| (&e.attestation, &e.terms)),
        after.map(|e| (&e.attestation, &e.terms)),
    );
    let states = (
        before.map(Record::individual),
        after.map(Record::individual),
    );
    let what = Difference::between(Kind::Enrollment, states.0, states.1)?;
    Some((id, what.with_secrets(secrets)))
}

/// What changed of an enrollment group.
pub fn of_group<H>(
    before: Option<&EnrollmentGroup>,
    after: Option<&EnrollmentGroup>,
) -> Option<Named<H>> {
    let id = before.or(after)?.id.to_string();
    let secrets = changed_in_enrollment(
        before.map(|e| (&e.attestation, &e.terms)),
        after.map(|e| (&e.attestation, &e.terms)),
    );
    let states = (before.map(Record::group), after.map(Record::group));
    let what = Difference::between(Kind::Group, states.0, states.1)?;
    Some((id, what.with_secrets(secrets)))
}

/// What changed of a CA certificate.
pub fn of_certificate<H>(
    before: Option<&CaCertificate>,
    after: Option<&CaCertificate>,
) -> Option<Named<H>> {
    let name = before.or(after)?.name.to_string();
    let code = before
        .zip(after)
        .filter(|(before, after)| before.verification_code != after.verification_code);
    let states = (
        before.map(Record::certificate),
        after.map(Record::certificate),
    );
    let what = Difference::between(Kind::Certificate, states.0, states.1)?;
    let secrets = code.map(|_| "verificationCode".to_owned());
    Some((name, what.with_secrets(secrets.into_iter().collect())))
}

/// What changed of a registration.
pub fn of_registration<H>(
    before: Option<&Registration>,
    after: Option<&Registration>,
) -> Option<Named<H>> {
    let id = before.or(after)?.registration_id.to_string();
    let states = (
        before.map(Record::registration),
        after.map(Record::registration),
    );
    let what = Difference::between(Kind::Registration, states.0, states.1)?;
    Some((id, what))
}

/// The names of the keys that are others now; none when a pair was or is missing.
pub fn changed_keys(before: Option<&KeyPair>, after: Option<&KeyPair>) -> Vec<String> {
    let Some((before, after)) = before.zip(after) else {
        return Vec::new();
    };
    [
        ("primaryKey", before.primary != after.primary),
        ("secondaryKey", before.secondary != after.secondary),
    ]
    .into_iter()
    .filter(|(_, changed)| *changed)
    .map(|(name, _)| name.to_owned())
    .collect()
}

/// The parts of an enrollment that hold secrets.
type Parts<'a> = (&'a AttestationMechanism, &'a EnrollmentTerms);

fn changed_in_enrollment(before: Option<Parts<'_>>, after: Option<Parts<'_>>) -> Vec<String> {
    let mut changed = changed_keys(before.and_then(keys), after.and_then(keys));
    let addresses = before.and_then(webhook).zip(after.and_then(webhook));
    if addresses.is_some_and(|(before, after)| before != after) {
        changed.push("webhookUrl".to_owned());
    }
    changed
}

fn keys<'a>(parts: Parts<'a>) -> Option<&'a KeyPair> {
    match parts.0 {
        AttestationMechanism::SymmetricKey(keys) => Some(keys),
        AttestationMechanism::X509(_) | AttestationMechanism::Tpm(_) => None,
    }
}

fn webhook<'a>(parts: Parts<'a>) -> Option<&'a str> {
    let webhook = parts.1.custom_allocation.as_ref()?;
    Some(&webhook.webhook_url)
}
