//! Evidence against the enrollment groups of a service. Called by the driver when the registration id
//! has no individual enrollment.

use std::sync::Arc;

use super::{Claim, Diagnosis, Proof, Refusal, Trust, Verdict, device_id_from, tpm_not_served};
use crate::attestation::symmetric_key::diagnosis::Suspect;
use crate::attestation::{AttestationKind, AttestationMechanism, Attested, symmetric_key, x509};
use crate::enrollment::EnrollmentGroup;
use crate::error::Error;
use crate::id::EnrollmentGroupId;
use crate::linked_hub::HubCredential;
use crate::registration::{EnrollmentRef, Registration};
use crate::sas::SasToken;
use crate::secret::KeyPair;
use crate::trace::Finding;

/// Most groups whose keys a wrong signature is diagnosed against.
const MOST_SUSPECTS: usize = 256;

/// Finds the group that lets this device in, when it has no individual enrollment.
///
/// A device that registered before is held against its own group first, so that the number of groups
/// does not matter to it.
///
/// # Errors
/// A refusal when no group matches, or when the id belongs to another group's device.
pub fn by_group(
    claim: Claim<'_>,
    proof: &Proof<'_>,
    trust: &Trust,
    registration: Option<&Registration>,
    require_verified_chain: bool,
) -> Result<Verdict, Refusal> {
    let (group, credential, kind, note) = if let Some(token) = proof.token {
        if let Some(verdict) = by_own_group(claim, proof, trust, registration) {
            return Ok(verdict);
        }
        let (group, keys, note) = group_by_token(claim, token, trust)?;
        (
            group,
            HubCredential::Keys(keys),
            AttestationKind::SymmetricKey,
            note,
        )
    } else if let Some(leaf) = proof.chain.first() {
        let found = x509::find_group(
            &proof.chain,
            trust.anchors(),
            trust.verified(),
            claim.registration_id,
            claim.now,
            require_verified_chain,
        )
        .map_err(|finding| Refusal::of(x509::name_missing_references(finding, trust.gone())))?;
        let group = trust
            .group(&found.group)
            .ok_or_else(|| Refusal::of(group_gone()))?;
        let note = format!(
            "enrollment group '{}', chain {}",
            group.id,
            found.path.join(" <- ")
        );
        (
            group,
            x509::hub_credential(leaf),
            AttestationKind::X509,
            note,
        )
    } else {
        return Err(tpm_not_served());
    };
    refuse_takeover(&group, registration)?;
    Ok(Verdict {
        attested: Attested {
            enrollment: EnrollmentRef::Group(group.id.clone()),
            kind,
            credential,
        },
        terms: group.terms.clone(),
        device_id: device_id_from(claim.registration_id)?,
        note,
    })
}

/// Holds a returning device's token against the keys of its own group alone; `None` when they did not
/// make it, or the device has no such group. Cheap, however many groups there are.
pub fn by_own_group(
    claim: Claim<'_>,
    proof: &Proof<'_>,
    trust: &Trust,
    registration: Option<&Registration>,
) -> Option<Verdict> {
    by_this_group(claim, proof, &*trust.group(known_group(registration)?)?)
}

/// The same for who read the device's own group: [`known_group`] says which.
pub fn by_this_group(
    claim: Claim<'_>,
    proof: &Proof<'_>,
    group: &EnrollmentGroup,
) -> Option<Verdict> {
    let derived = signed_by(group, claim, proof.token?)?;
    Some(Verdict {
        attested: Attested {
            enrollment: EnrollmentRef::Group(group.id.clone()),
            kind: AttestationKind::SymmetricKey,
            credential: HubCredential::Keys(derived),
        },
        terms: group.terms.clone(),
        device_id: device_id_from(claim.registration_id).ok()?,
        note: format!(
            "enrollment group '{}' as before, derived symmetric key",
            group.id
        ),
    })
}

/// The group that the device came through before.
pub fn known_group(registration: Option<&Registration>) -> Option<&EnrollmentGroupId> {
    registration.and_then(|before| match &before.enrollment {
        EnrollmentRef::Group(id) => Some(id),
        EnrollmentRef::Individual => None,
    })
}

fn signed_by(group: &EnrollmentGroup, claim: Claim<'_>, token: &SasToken) -> Option<KeyPair> {
    match &group.attestation {
        AttestationMechanism::SymmetricKey(keys) => {
            symmetric_key::signed_by_group(token, keys, claim.registration_id)
        }
        _ => None,
    }
}

fn group_by_token(
    claim: Claim<'_>,
    token: &SasToken,
    trust: &Trust,
) -> Result<(Arc<EnrollmentGroup>, KeyPair, String), Refusal> {
    let groups = trust.symmetric();
    let search = trust.keyring().search(token, claim.registration_id);
    search
        .place
        .and_then(|place| {
            let group = groups.get(place)?;
            let note = format!(
                "enrollment group '{}', derived symmetric key, found as {} of {} group(s)",
                group.id,
                place + 1,
                groups.len()
            );
            Some((Arc::clone(group), signed_by(group, claim, token)?, note))
        })
        .ok_or_else(|| no_group_signed(claim, token, trust))
}

fn no_group_signed(claim: Claim<'_>, token: &SasToken, trust: &Trust) -> Refusal {
    let groups = trust.symmetric();
    if groups.is_empty() {
        return Refusal::of(Finding::new(
            "enrollment.none",
            format!(
                "an individual enrollment '{}', or an enrollment group with symmetric keys",
                claim.registration_id
            ),
            "neither exists in this provisioning service",
            format!(
                "Create one: `landfall enrollment create --eid {}`.",
                claim.registration_id
            ),
        ));
    }
    let suspects = groups
        .iter()
        .take(MOST_SUSPECTS)
        .filter_map(|group| match &group.attestation {
            AttestationMechanism::SymmetricKey(keys) => {
                Some(Suspect::Group(group.id.to_string(), keys.clone()))
            }
            _ => None,
        })
        .collect();
    Refusal {
        public: Error::Unauthorized,
        finding: Box::new(symmetric_key::wrong_signature(&format!(
            "the key that one of {} enrollment group(s) gives for '{}' (it has no individual enrollment)",
            groups.len(),
            claim.registration_id
        ))),
        diagnosis: Some(Box::new(Diagnosis {
            token: token.clone(),
            registration_id: claim.registration_id.clone(),
            suspects,
        })),
    }
}

/// Refuses a device whose id already belongs to another group: whoever holds one group's key or CA
/// can make a credential for any id.
///
/// Source: docs/protocol/x509.md §2 [I].
fn refuse_takeover(
    group: &EnrollmentGroup,
    registration: Option<&Registration>,
) -> Result<(), Refusal> {
    // A record without an assignment is nobody's device: the key of a disabled group must not be
    // enough to reserve ids.
    let held = registration.filter(|before| before.assignment.is_some());
    match held.map(|before| &before.enrollment) {
        Some(EnrollmentRef::Group(before)) if *before != group.id => {
            Err(Refusal::of(Finding::new(
                "enrollment.other_group",
                format!("a registration through enrollment group '{before}', as before"),
                format!("a credential of enrollment group '{}'", group.id),
                "If the device really moved to another group, delete its record first: `landfall registration delete ID`.",
            )))
        }
        _ => Ok(()),
    }
}

fn group_gone() -> Finding {
    Finding::new(
        "enrollment.gone",
        "the enrollment group that the chain leads to",
        "it was deleted just now",
        "Create the group again, or register with another credential.",
    )
}
