//! The attestation mechanism as an operator asks for it, and the rules it keeps.
//!
//! A put that names the same mechanism without its secrets or certificates keeps the stored ones:
//! clients read a record, change it and write it back, and reads hide both.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::attestation::{AttestationMechanism, Slots, TpmAttestation, X509Attestation};
use crate::certificate::ca::check_upload;
use crate::certificate::{Certificate, SKEW};
use crate::clock::{Entropy, Timestamp};
use crate::error::Error;
use crate::id::CertificateName;
use crate::secret::SymmetricKey;

/// Units: bytes of a key that the service draws itself.
///
/// Source: docs/protocol/service-api.md §3.4 [D].
const DRAWN_KEY_BYTES: usize = 64;

/// Which kind of enrollment a mechanism is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// One device.
    Individual,
    /// A group.
    Group,
}

/// An attestation mechanism as it was asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum AttestationRequest {
    /// A shared key. A key that is not given is kept, or drawn.
    SymmetricKey {
        /// The first key.
        primary: Option<SymmetricKey>,
        /// The second key.
        secondary: Option<SymmetricKey>,
    },
    /// A TPM.
    Tpm(TpmAttestation),
    /// The device's own certificate.
    ClientCertificates(SlotsRequest),
    /// A CA certificate put into the group itself.
    SigningCertificates(SlotsRequest),
    /// The names of uploaded CA certificates.
    CaReferences(Slots<CertificateName>),
}

/// Two certificate slots as they were asked for.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SlotsRequest {
    /// The first slot.
    pub primary: SlotRequest,
    /// The second slot.
    pub secondary: SlotRequest,
}

/// A certificate slot as it was asked for.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum SlotRequest {
    /// Nothing stands in it.
    #[default]
    Empty,
    /// What is stored in it stays: the slot came with `info`, and no certificate.
    Kept,
    /// This certificate.
    Given(Certificate),
}

impl AttestationRequest {
    /// Holds the request against what is stored and gives the mechanism to store. References to CA
    /// certificates are not looked up here.
    ///
    /// Source: docs/protocol/service-api.md §3.4, §4.6, §6 [D, S, I].
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the rule that is broken.
    pub fn admit(
        &self,
        audience: Audience,
        stored: Option<&AttestationMechanism>,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Result<AttestationMechanism, Error> {
        match self {
            AttestationRequest::SymmetricKey { primary, secondary } => {
                let kept = match stored {
                    Some(AttestationMechanism::SymmetricKey(keys)) => Some(keys),
                    Some(AttestationMechanism::X509(_) | AttestationMechanism::Tpm(_)) | None => {
                        None
                    }
                };
                let pick = |given: &Option<SymmetricKey>, kept: Option<&SymmetricKey>| {
                    given
                        .as_ref()
                        .or(kept)
                        .cloned()
                        .unwrap_or_else(|| SymmetricKey::draw(entropy, DRAWN_KEY_BYTES))
                };
                Ok(AttestationMechanism::SymmetricKey(crate::secret::KeyPair {
                    primary: pick(primary, kept.map(|keys| &keys.primary)),
                    secondary: pick(secondary, kept.map(|keys| &keys.secondary)),
                }))
            }
            AttestationRequest::Tpm(keys) => {
                if audience == Audience::Group {
                    return Err(invalid(
                        "TPM attestation is for individual enrollments only.",
                    ));
                }
                Ok(AttestationMechanism::Tpm(TpmAttestation {
                    endorsement_key: tpm_key("endorsementKey", &keys.endorsement_key)?,
                    storage_root_key: keys
                        .storage_root_key
                        .as_deref()
                        .map(|key| tpm_key("storageRootKey", key))
                        .transpose()?,
                }))
            }
            AttestationRequest::ClientCertificates(slots) => {
                if audience == Audience::Group {
                    return Err(invalid(
                        "clientCertificates are for individual enrollments; an enrollment group \
                         takes signingCertificates or caReferences.",
                    ));
                }
                let kept = match stored {
                    Some(AttestationMechanism::X509(X509Attestation::Client(slots))) => Some(slots),
                    _ => None,
                };
                let slots = slots.admit("clientCertificates", kept, now, false)?;
                Ok(AttestationMechanism::X509(X509Attestation::Client(slots)))
            }
            AttestationRequest::SigningCertificates(slots) => {
                if audience == Audience::Individual {
                    return Err(invalid(
                        "signingCertificates are for enrollment groups; an individual enrollment \
                         takes clientCertificates or caReferences.",
                    ));
                }
                let kept = match stored {
                    Some(AttestationMechanism::X509(X509Attestation::Signing(slots))) => {
                        Some(slots)
                    }
                    _ => None,
                };
                let slots = slots.admit("signingCertificates", kept, now, true)?;
                Ok(AttestationMechanism::X509(X509Attestation::Signing(slots)))
            }
            AttestationRequest::CaReferences(names) => Ok(AttestationMechanism::X509(
                X509Attestation::CaReference(names.clone()),
            )),
        }
    }
}

impl SlotsRequest {
    fn admit(
        &self,
        form: &str,
        kept: Option<&Slots<Certificate>>,
        now: Timestamp,
        ca: bool,
    ) -> Result<Slots<Certificate>, Error> {
        let primary = self.primary.admit(
            &format!("{form}.primary"),
            kept.and_then(|slots| slots.primary.as_ref()),
            now,
            ca,
        )?;
        let secondary = self.secondary.admit(
            &format!("{form}.secondary"),
            kept.and_then(|slots| slots.secondary.as_ref()),
            now,
            ca,
        )?;
        Slots::new(primary, secondary)
            .ok_or_else(|| Error::Invalid(format!("{form} needs a primary or a secondary.")))
    }
}

impl SlotRequest {
    fn admit(
        &self,
        slot: &str,
        kept: Option<&Certificate>,
        now: Timestamp,
        ca: bool,
    ) -> Result<Option<Certificate>, Error> {
        let certificate = match self {
            SlotRequest::Empty => return Ok(None),
            SlotRequest::Kept => {
                return kept.cloned().map(Some).ok_or_else(|| {
                    Error::Invalid(format!(
                        "{slot} has no certificate, and none is stored that could be kept."
                    ))
                });
            }
            SlotRequest::Given(certificate) => certificate,
        };
        if certificate.not_after() < now {
            return Err(Error::Invalid(format!(
                "{slot} expired at {}.",
                certificate.not_after().to_wire_seconds()
            )));
        }
        if certificate.not_before() > now.plus(SKEW) {
            return Err(Error::Invalid(format!(
                "{slot} is not valid before {}.",
                certificate.not_before().to_wire_seconds()
            )));
        }
        if ca {
            check_upload(certificate, now)
                .map_err(|fault| Error::Invalid(format!("{slot}: {fault}.")))?;
        }
        Ok(Some(certificate.clone()))
    }
}

/// The one spelling of a TPM key under which equal keys are equal texts.
fn tpm_key(name: &str, text: &str) -> Result<String, Error> {
    let bytes = STANDARD
        .decode(text.trim())
        .ok()
        .filter(|bytes| !bytes.is_empty() && bytes.len() <= 4096)
        .ok_or_else(|| Error::Invalid(format!("attestation.tpm.{name} is not base64.")))?;
    Ok(STANDARD.encode(bytes))
}

fn invalid(message: &str) -> Error {
    Error::Invalid(message.to_owned())
}

#[cfg(test)]
mod tests;
