//! CA certificates that operators upload, and how their possession is proved.
//!
//! The rules here are about the bytes and the clock; names, etags and the 25 that a service may
//! hold are checked where operators' requests are carried out.

use super::signature::{self, KeyFault, SignatureFault};
use super::{Certificate, CommonNameFault, upper_hex};
use crate::clock::{Entropy, Timestamp};
use crate::id::{CertificateName, Etag};
use crate::secret::same_bytes;

/// An uploaded CA certificate of a provisioning service.
#[derive(Debug, Clone, PartialEq)]
pub struct CaCertificate {
    /// Its name; unique in its service.
    pub name: CertificateName,
    /// The certificate itself.
    pub certificate: Certificate,
    /// Whether possession of its private key was proved, or vouched for by the operator.
    pub verified: bool,
    /// The code whose signing proves possession; one use, 48 upper-case hex digits.
    pub verification_code: Option<String>,
    /// The mark of this state; changes on upload, code and proof.
    pub etag: Etag,
    /// When it was uploaded.
    pub created: Timestamp,
    /// When it last changed.
    pub updated: Timestamp,
}

/// Why a certificate cannot be uploaded as a CA's.
///
/// Source: docs/protocol/x509.md §3 rule 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UploadFault {
    /// It is not a CA's.
    #[error("the certificate is not a CA's: its basic constraints do not say CA:TRUE")]
    NotCa,
    /// Its time is over.
    #[error("the certificate expired at {}", .0.to_wire_seconds())]
    Expired(Timestamp),
    /// Its key is too weak, or of a kind that signs nothing here.
    #[error("the certificate's key is {0}")]
    Key(KeyFault),
}

/// Checks that `certificate` may be uploaded as a CA certificate, or as a group's signing
/// certificate.
///
/// # Errors
/// [`UploadFault`] when it is no CA's, has expired, or has a weak key.
pub fn check_upload(certificate: &Certificate, now: Timestamp) -> Result<(), UploadFault> {
    if !certificate.is_ca() {
        return Err(UploadFault::NotCa);
    }
    if certificate.not_after() < now {
        return Err(UploadFault::Expired(certificate.not_after()));
    }
    signature::key_strength(certificate).map_err(UploadFault::Key)
}

/// Draws a verification code.
///
/// Shape: 48 upper-case hex digits; a tool of the C SDK insists on exactly that length.
/// Source: docs/protocol/x509.md §3 rule 2.
pub fn draw_verification_code(entropy: &dyn Entropy) -> String {
    let mut bytes = [0; 24];
    entropy.fill(&mut bytes);
    upper_hex(&bytes)
}

/// Why a certificate does not prove possession of a CA's key. No text here repeats the code.
///
/// Source: docs/protocol/x509.md §3 rule 3.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PossessionFault {
    /// No code was generated, or it was used.
    #[error("no verification code is waiting: generate one first")]
    NoCode,
    /// It is the CA certificate itself.
    #[error("this is the CA certificate itself: sign a new certificate for the code")]
    SameCertificate,
    /// The subject has no usable common name.
    #[error("{0}; it must be the verification code")]
    CommonName(CommonNameFault),
    /// The common name is something else.
    #[error("the CN is not the verification code, or is an older one")]
    OtherCode,
    /// Another CA is named as the issuer.
    #[error("the issuer is '{seen}'; it must be '{expected}'")]
    OtherIssuer {
        /// The CA's subject.
        expected: String,
        /// What the presented certificate names.
        seen: String,
    },
    /// The signature is not the CA's, or not acceptable.
    #[error("{0}")]
    Signature(SignatureFault),
    /// Its time has not come.
    #[error("it is valid only from {}", .0.to_wire_seconds())]
    NotYetValid(Timestamp),
    /// Its time is over.
    #[error("it expired at {}", .0.to_wire_seconds())]
    Expired(Timestamp),
}

/// Checks that whoever made `presented` holds the private key of `ca`.
///
/// On success the caller clears the code; on failure the code stays.
///
/// # Errors
/// [`PossessionFault`], the first rule that is broken.
pub fn verify_possession(
    ca: &CaCertificate,
    presented: &Certificate,
    now: Timestamp,
) -> Result<(), PossessionFault> {
    let code = ca
        .verification_code
        .as_deref()
        .filter(|code| !code.is_empty())
        .ok_or(PossessionFault::NoCode)?;
    if *presented == ca.certificate {
        return Err(PossessionFault::SameCertificate);
    }
    let shown = presented
        .common_name()
        .map_err(PossessionFault::CommonName)?
        .to_ascii_uppercase();
    if !same_bytes(shown.as_bytes(), code.to_ascii_uppercase().as_bytes()) {
        return Err(PossessionFault::OtherCode);
    }
    if presented.issuer_dn_raw() != ca.certificate.subject_dn_raw() {
        return Err(PossessionFault::OtherIssuer {
            expected: ca.certificate.subject_name().to_owned(),
            seen: presented.issuer_name().to_owned(),
        });
    }
    signature::verify(presented, &ca.certificate).map_err(PossessionFault::Signature)?;
    if presented.not_before() > now.plus(super::SKEW) {
        return Err(PossessionFault::NotYetValid(presented.not_before()));
    }
    if presented.not_after() < now.minus(super::SKEW) {
        return Err(PossessionFault::Expired(presented.not_after()));
    }
    Ok(())
}
