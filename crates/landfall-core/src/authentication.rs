//! Evidence plus the enrollment in force gives [`Attested`], or a refusal with its finding.
//! Individual before group; a disabled one decides as well. Pure: the driver reads the records and
//! passes them in.
//!
//! Source: docs/protocol/service-api.md §7 [D], docs/protocol/x509.md §2 [D].

mod trust;

use std::sync::Arc;

pub use trust::Trust;

use crate::attestation::symmetric_key::diagnosis::Suspect;
use crate::attestation::{
    AttestationKind, AttestationMechanism, Attested, Evidence, X509Attestation, symmetric_key, x509,
};
use crate::certificate::Certificate;
use crate::clock::Timestamp;
use crate::enrollment::{
    EnrollmentGroup, EnrollmentTerms, IndividualEnrollment, ProvisioningStatus,
};
use crate::error::Error;
use crate::id::{DeviceId, IdScope, RegistrationId};
use crate::linked_hub::HubCredential;
use crate::registration::{EnrollmentRef, Registration};
use crate::sas::SasToken;
use crate::secret::KeyPair;
use crate::trace::Finding;

/// Most groups whose keys a wrong signature is diagnosed against.
const MOST_SUSPECTS: usize = 256;

/// A device that was let in, or whose enrollment is known and disabled.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// The proof.
    pub attested: Attested,
    /// What the enrollment says of its devices.
    pub terms: EnrollmentTerms,
    /// The device's name on a hub.
    pub device_id: DeviceId,
    /// What decided, for the trace.
    pub note: String,
}

impl Verdict {
    /// Whether the enrollment lets its devices in.
    pub fn enabled(&self) -> bool {
        self.terms.status == ProvisioningStatus::Enabled
    }
}

/// A device that was not let in.
#[derive(Debug)]
pub struct Refusal {
    /// What the device may read.
    pub public: Error,
    /// What the operator may read.
    pub finding: Box<Finding>,
    /// What a worker can look into after the answer, when a signature was wrong.
    pub diagnosis: Option<Box<Diagnosis>>,
}

/// A wrong signature and whose it might have been. Held in memory only, never written.
#[derive(Debug)]
pub struct Diagnosis {
    /// The token that nobody's key made.
    pub token: SasToken,
    /// Who showed it.
    pub registration_id: RegistrationId,
    /// Whose keys it was held against.
    pub suspects: Vec<Suspect>,
}

impl Refusal {
    fn of(finding: Finding) -> Self {
        Refusal {
            public: Error::Unauthorized,
            finding: Box::new(finding),
            diagnosis: None,
        }
    }
}

/// What a device showed, read and free of contradictions, but not yet held against anything.
#[derive(Debug)]
pub struct Proof<'a> {
    token: Option<&'a SasToken>,
    chain: Vec<Certificate>,
    tpm: bool,
}

/// Who asks, and of which service.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    /// The provisioning service.
    pub scope: &'a IdScope,
    /// The registration id, as spelt in the request.
    pub registration_id: &'a RegistrationId,
    /// The time of the request.
    pub now: Timestamp,
}

/// Reads the evidence: a token's claims are checked, a chain's links must all parse.
///
/// # Errors
/// A refusal that names what is missing, malformed, expired or for somebody else.
pub fn read<'a>(claim: Claim<'_>, evidence: &'a Evidence) -> Result<Proof<'a>, Refusal> {
    let token = match &evidence.token {
        None => None,
        Some(Err(error)) => return Err(Refusal::of(symmetric_key::unreadable(*error))),
        Some(Ok(token)) => {
            symmetric_key::check_claims(token, claim.scope, claim.registration_id, claim.now)
                .map_err(Refusal::of)?;
            Some(token)
        }
    };
    let chain = evidence
        .chain
        .iter()
        .enumerate()
        .map(|(place, link)| {
            link.clone()
                .map_err(|error| Refusal::of(unreadable_link(place, &error.to_string())))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let tpm = evidence.tpm.is_some();
    if token.is_none() && chain.is_empty() && !tpm {
        return Err(Refusal::of(Finding::new(
            "evidence.none",
            "a SharedAccessSignature in the Authorization header, or a client certificate",
            "neither",
            "Send the token, or give the TLS client its certificate and key. A client whose key type the TLS session does not offer sends no certificate without saying so.",
        )));
    }
    Ok(Proof { token, chain, tpm })
}

fn unreadable_link(place: usize, error: &str) -> Finding {
    Finding::new(
        "x509.unreadable",
        "a chain of well-formed X.509 certificates",
        format!("certificate {} of the chain: {error}", place + 1),
        "Make the certificate anew; `openssl x509 -in FILE -noout -text` must read it.",
    )
}

/// Holds the proof against the individual enrollment of this registration id, which alone decides.
///
/// # Errors
/// A refusal when the evidence is of another kind than the enrollment's, or fails its check.
pub fn by_individual(
    claim: Claim<'_>,
    proof: &Proof<'_>,
    enrollment: &IndividualEnrollment,
    trust: &Trust,
) -> Result<Verdict, Refusal> {
    let credential = match &enrollment.attestation {
        AttestationMechanism::SymmetricKey(keys) => individual_keys(claim, proof, keys)?,
        AttestationMechanism::X509(x509) => individual_certificate(claim, proof, x509, trust)?,
        AttestationMechanism::Tpm(_) => return Err(tpm_not_served()),
    };
    let device_id = match &enrollment.device_id {
        Some(device_id) => device_id.clone(),
        None => device_id_from(claim.registration_id)?,
    };
    Ok(Verdict {
        attested: Attested {
            enrollment: EnrollmentRef::Individual,
            kind: enrollment.attestation.kind(),
            credential,
        },
        terms: enrollment.terms.clone(),
        device_id,
        note: format!("individual enrollment '{}'", enrollment.registration_id),
    })
}

fn individual_keys(
    claim: Claim<'_>,
    proof: &Proof<'_>,
    keys: &KeyPair,
) -> Result<HubCredential, Refusal> {
    let Some(token) = proof.token else {
        return Err(Refusal::of(other_mechanism(
            AttestationKind::SymmetricKey,
            proof,
        )));
    };
    if symmetric_key::signed_by_pair(token, keys) {
        return Ok(HubCredential::Keys(keys.clone()));
    }
    Err(Refusal {
        public: Error::Unauthorized,
        finding: Box::new(symmetric_key::wrong_signature(
            "the primary or secondary key of the individual enrollment",
        )),
        diagnosis: Some(Box::new(Diagnosis {
            token: token.clone(),
            registration_id: claim.registration_id.clone(),
            suspects: vec![Suspect::Individual(keys.clone())],
        })),
    })
}

fn individual_certificate(
    claim: Claim<'_>,
    proof: &Proof<'_>,
    attestation: &X509Attestation,
    trust: &Trust,
) -> Result<HubCredential, Refusal> {
    let Some(leaf) = proof.chain.first() else {
        return Err(Refusal::of(other_mechanism(AttestationKind::X509, proof)));
    };
    match attestation {
        X509Attestation::Client(slots) => {
            x509::check_individual(slots, leaf, claim.registration_id, claim.now)
                .map_err(Refusal::of)?;
            Ok(x509::hub_credential_of_slots(slots).unwrap_or_else(|| x509::hub_credential(leaf)))
        }
        X509Attestation::CaReference(names) => {
            x509::check_individual_ca_reference(
                &proof.chain,
                &trust.references(names),
                trust.verified(),
                claim.registration_id,
                claim.now,
            )
            .map_err(Refusal::of)?;
            Ok(x509::hub_credential(leaf))
        }
        X509Attestation::Signing(_) => Err(Refusal::of(Finding::new(
            "x509.form",
            "client certificates or CA references on an individual enrollment",
            "signing certificates",
            "Signing certificates belong to enrollment groups.",
        ))),
    }
}

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
        let (group, keys) = group_by_token(claim, token, trust, registration)?;
        let note = format!("enrollment group '{}', derived symmetric key", group.id);
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
    let group = known_group(trust, registration)?;
    let derived = signed_by(&group, claim, proof.token?)?;
    Some(Verdict {
        attested: Attested {
            enrollment: EnrollmentRef::Group(group.id.clone()),
            kind: AttestationKind::SymmetricKey,
            credential: HubCredential::Keys(derived),
        },
        terms: group.terms.clone(),
        device_id: device_id_from(claim.registration_id).ok()?,
        note: format!("enrollment group '{}', derived symmetric key", group.id),
    })
}

/// The group that the device came through before, while it exists.
fn known_group(trust: &Trust, registration: Option<&Registration>) -> Option<Arc<EnrollmentGroup>> {
    registration.and_then(|before| match &before.enrollment {
        EnrollmentRef::Group(id) => trust.group(id),
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
    registration: Option<&Registration>,
) -> Result<(Arc<EnrollmentGroup>, KeyPair), Refusal> {
    known_group(trust, registration)
        .iter()
        .chain(trust.symmetric())
        .find_map(|group| {
            signed_by(group, claim, token).map(|derived| (Arc::clone(group), derived))
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

fn device_id_from(registration_id: &RegistrationId) -> Result<DeviceId, Refusal> {
    DeviceId::parse(registration_id.as_str()).map_err(|error| {
        Refusal::of(Finding::new(
            "device_id",
            "a registration id that is a device id too",
            error.to_string(),
            "Give the enrollment a device id of its own.",
        ))
    })
}

fn other_mechanism(wanted: AttestationKind, proof: &Proof<'_>) -> Finding {
    let seen = match (proof.token, proof.chain.is_empty(), proof.tpm) {
        (Some(_), _, _) => "a token",
        (None, false, _) => "a client certificate",
        (None, true, true) => "TPM keys",
        (None, true, false) => "nothing",
    };
    Finding::new(
        "enrollment.mechanism",
        format!(
            "{} evidence, as the individual enrollment for this id asks",
            wanted.spoken()
        ),
        seen,
        "An individual enrollment alone decides for its id. Change its attestation, or delete it if the device should come in through a group.",
    )
}

fn group_gone() -> Finding {
    Finding::new(
        "enrollment.gone",
        "the enrollment group that the chain leads to",
        "it was deleted just now",
        "Create the group again, or register with another credential.",
    )
}

fn tpm_not_served() -> Refusal {
    Refusal {
        public: Error::Invalid(
            "TPM attestation is not served by this build; use a symmetric key or X.509.".to_owned(),
        ),
        finding: Box::new(Finding::new(
            "tpm.not_served",
            "symmetric key or X.509 evidence",
            "TPM attestation",
            "This build stores TPM enrollments and has no TPM attestation yet. Enroll the device with a key or a certificate.",
        )),
        diagnosis: None,
    }
}

#[cfg(test)]
mod tests;
