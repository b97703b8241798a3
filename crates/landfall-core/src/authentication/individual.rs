//! Evidence against the individual enrollment of its registration id. Called by the driver when there
//! is one: it alone decides.

use super::{Claim, Diagnosis, Proof, Refusal, Trust, Verdict, device_id_from, tpm_not_served};
use crate::attestation::symmetric_key::diagnosis::Suspect;
use crate::attestation::{
    AttestationKind, AttestationMechanism, Attested, X509Attestation, symmetric_key, x509,
};
use crate::enrollment::IndividualEnrollment;
use crate::error::Error;
use crate::linked_hub::HubCredential;
use crate::registration::EnrollmentRef;
use crate::secret::KeyPair;
use crate::trace::Finding;

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
