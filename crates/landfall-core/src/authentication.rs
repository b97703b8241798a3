//! Evidence plus the enrollment in force gives [`Attested`], or a refusal with its finding.
//! Individual before group; a disabled one decides as well. Pure: the driver reads the records and
//! passes them in.
//!
//! Source: docs/protocol/service-api.md §7 [D], docs/protocol/x509.md §2 [D].

mod group;
mod individual;
mod inspection;
mod keyring;
mod trust;

pub use group::{by_group, by_own_group, by_this_group, known_group};
pub use individual::by_individual;
pub use inspection::{Judgement, judge_chain};
pub use trust::Trust;

use crate::attestation::symmetric_key::diagnosis::Suspect;
use crate::attestation::{Attested, Evidence, symmetric_key};
use crate::certificate::Certificate;
use crate::clock::Timestamp;
use crate::enrollment::{EnrollmentTerms, ProvisioningStatus};
use crate::error::Error;
use crate::id::{DeviceId, IdScope, RegistrationId};
use crate::sas::SasToken;
use crate::trace::Finding;

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

impl Proof<'_> {
    /// Whether a token is shown: only tokens are held against every group's keys. A chain of
    /// certificates leads to its group by itself.
    pub fn shows_token(&self) -> bool {
        self.token.is_some()
    }
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
