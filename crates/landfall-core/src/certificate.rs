//! Certificates as they are read, and the CA certificates that operators upload.
//!
//! A [`Certificate`] is one well-formed X.509 certificate, read once; whether it may do anything is
//! judged elsewhere: [`crate::attestation::x509`] for devices, [`ca`] for uploads.

pub mod ca;
pub(crate) mod der;
mod facts;
pub(crate) mod name;
pub(crate) mod signature;
mod text;

#[cfg(test)]
pub(crate) mod forge;
#[cfg(test)]
mod tests;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_lc_rs::digest;

use crate::clock::Timestamp;

pub(crate) use facts::{Facts, Field};
pub use facts::{PublicKey, public_key};
pub use name::CommonNameFault;
pub use signature::{KeyFault, SignatureFault};

/// Longest certificate that is read, in bytes of DER.
///
/// Source: docs/protocol/x509.md §1.2.
pub const LONGEST: usize = 8 * 1024;

/// How far a device's and a server's clock may lie apart before a validity period counts as missed.
///
/// Source: docs/protocol/x509.md §2.1.
pub const SKEW: Duration = Duration::from_secs(300);

/// Why a text or byte string is not one certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// There is nothing.
    #[error("the certificate is empty")]
    Empty,
    /// The text is neither PEM nor base64.
    #[error("the certificate is neither PEM nor base64")]
    NotText,
    /// A PEM block has no end, or its body is not base64.
    #[error("the PEM block of the certificate is damaged")]
    BrokenPem,
    /// The text is a private key, or holds one.
    #[error("this holds a private key: give the certificate alone, and treat that key as exposed")]
    PrivateKey,
    /// A certificate of a file that holds several cannot be read.
    #[error("certificate {0} of the file: {1}")]
    OfFile(usize, Box<CertificateError>),
    /// The PEM holds something else.
    #[error("this PEM holds no certificate (it holds '{0}')")]
    NoCertificate(String),
    /// The PEM holds a chain.
    #[error("this holds {0} certificates: give one")]
    Several(usize),
    /// Something follows the certificate.
    #[error("{0} bytes follow the certificate: give one certificate and nothing else")]
    TrailingBytes(usize),
    /// It is longer than any certificate that is read.
    #[error("the certificate is {0} bytes long; at most 8192 bytes of DER are read")]
    TooLarge(usize),
    /// The file is longer than any that is read.
    #[error("the file is {0} bytes long; at most 1048576 bytes of PEM are read")]
    FileTooLarge(usize),
    /// It does not parse.
    #[error("the certificate cannot be read: {0}")]
    Unreadable(String),
}

/// One well-formed X.509 certificate. Equal when the DER bytes are.
#[derive(Clone)]
pub struct Certificate(Arc<Read>);

struct Read {
    der: Box<[u8]>,
    sha256: [u8; 32],
    facts: Facts,
    /// The SHA-256 of the certificate whose key was found to have made the signature: to find it again costs
    /// what half a registration does, and a device's chain is looked at for every poll.
    signed_by: OnceLock<[u8; 32]>,
}

impl Certificate {
    /// Reads a certificate from DER.
    ///
    /// # Errors
    /// [`CertificateError`] when the bytes are not one certificate and nothing else.
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        if der.is_empty() {
            return Err(CertificateError::Empty);
        }
        if der.len() > LONGEST {
            return Err(CertificateError::TooLarge(der.len()));
        }
        let facts = Facts::read(der)?;
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(digest::digest(&digest::SHA256, der).as_ref());
        Ok(Certificate(Arc::new(Read {
            der: der.into(),
            sha256,
            facts,
            signed_by: OnceLock::new(),
        })))
    }

    /// Reads a certificate from any text form that tools produce: PEM, the base64 of the DER, or
    /// the base64 of a PEM file; with any line ends and surrounding space.
    ///
    /// Source: docs/protocol/service-api.md §3.4 [R].
    ///
    /// # Errors
    /// [`CertificateError`] when the text is not one certificate. No error repeats the text.
    pub fn from_text(text: &str) -> Result<Self, CertificateError> {
        text::read(text)
    }

    /// Reads all certificates of a file, in their order: PEM with any number of them, the base64 forms
    /// of [`Certificate::from_text`], or the DER of one.
    ///
    /// # Errors
    /// [`CertificateError`] when there is none, or one that cannot be read. No error repeats the file.
    pub fn chain_from_file(bytes: &[u8]) -> Result<CertificateFile, CertificateError> {
        text::read_file(bytes)
    }

    /// The certificate's bytes.
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    /// SHA-256 of the DER.
    pub fn sha256(&self) -> &[u8; 32] {
        &self.0.sha256
    }

    /// SHA-256 of the DER, as 64 upper-case hex digits: the thumbprint that hubs compare.
    pub fn sha256_hex(&self) -> String {
        upper_hex(&self.0.sha256)
    }

    /// The subject's distinguished name, as it was encoded.
    pub fn subject_dn_raw(&self) -> &[u8] {
        &self.facts().subject.raw
    }

    /// The issuer's distinguished name, as it was encoded.
    pub fn issuer_dn_raw(&self) -> &[u8] {
        &self.facts().issuer.raw
    }

    /// The subject, as people read it: `CN=dev1`.
    pub fn subject_name(&self) -> &str {
        &self.facts().subject.shown
    }

    /// The issuer, as people read it.
    pub fn issuer_name(&self) -> &str {
        &self.facts().issuer.shown
    }

    /// The one common name of the subject.
    ///
    /// # Errors
    /// [`CommonNameFault`] when there is none, or none that can be compared safely.
    pub fn common_name(&self) -> Result<String, CommonNameFault> {
        self.facts().common_name.clone()
    }

    /// Start of validity.
    pub fn not_before(&self) -> Timestamp {
        self.facts().not_before
    }

    /// End of validity; this moment still belongs to it.
    pub fn not_after(&self) -> Timestamp {
        self.facts().not_after
    }

    /// Whether the certificate says that it is a CA's.
    pub fn is_ca(&self) -> bool {
        matches!(&self.facts().basic_constraints, Field::Present(basic) if basic.ca)
    }

    /// The public key.
    pub fn public_key(&self) -> PublicKey<'_> {
        PublicKey {
            algorithm: &self.facts().key_algorithm,
            bits: &self.facts().key_bits,
        }
    }

    /// Checks that `issuer`'s key made the signature on this certificate. Says nothing about
    /// whether the issuer may issue, or is trusted.
    ///
    /// # Errors
    /// [`SignatureFault`] when it did not, or with an algorithm that is not accepted.
    pub fn signed_by(&self, issuer: &Certificate) -> Result<(), SignatureFault> {
        signature::verify(self, issuer)
    }

    /// What the service API shows of it.
    pub fn info(&self) -> CertificateInfo {
        let facts = self.facts();
        let sha1 = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, self.der());
        CertificateInfo {
            subject_name: facts.subject.shown.clone(),
            sha1_thumbprint: upper_hex(sha1.as_ref()),
            sha256_thumbprint: self.sha256_hex(),
            issuer_name: facts.issuer.shown.clone(),
            not_before: facts.not_before,
            not_after: facts.not_after,
            serial_number: upper_hex(&facts.serial),
            version: facts.version,
        }
    }

    /// What it says of its key and of its uses.
    pub fn profile(&self) -> CertificateProfile {
        let facts = self.facts();
        CertificateProfile {
            key: signature::key_words(self),
            is_ca: self.is_ca(),
            path_length: match &facts.basic_constraints {
                Field::Present(basic) => basic.path_length,
                Field::Absent | Field::Malformed => None,
            },
            extended_key_usages: facts.extended_uses.clone(),
        }
    }

    pub(crate) fn facts(&self) -> &Facts {
        &self.0.facts
    }

    /// Whether issuer and subject are the same name.
    pub(crate) fn is_self_issued(&self) -> bool {
        self.subject_dn_raw() == self.issuer_dn_raw()
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.0.der == other.0.der
    }
}

impl Eq for Certificate {}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Certificate({}, {})",
            self.subject_name(),
            self.sha256_hex()
        )
    }
}

/// The certificates of a file, and what stands beside them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFile {
    /// The certificates, in the order of the file.
    pub certificates: Vec<Certificate>,
    /// Whether the file is the DER of one certificate, not text.
    pub is_der: bool,
    /// Whether it holds a private key too.
    pub holds_private_key: bool,
}

/// What the service API shows of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateInfo {
    /// The subject, as a distinguished name: `CN=dev1`.
    pub subject_name: String,
    /// SHA-1 of the DER, upper-case hex. Shown only; it decides nothing.
    pub sha1_thumbprint: String,
    /// SHA-256 of the DER, upper-case hex.
    pub sha256_thumbprint: String,
    /// The issuer, as a distinguished name.
    pub issuer_name: String,
    /// Start of validity.
    pub not_before: Timestamp,
    /// End of validity.
    pub not_after: Timestamp,
    /// Serial number, hex.
    pub serial_number: String,
    /// 1, 2 or 3.
    pub version: u32,
}

/// What a certificate says of its key and of its uses, for people who inspect it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateProfile {
    /// The kind of its key: `RSA 2048`, `P-256`.
    pub key: String,
    /// Whether it says that it is a CA's.
    pub is_ca: bool,
    /// How many intermediates may stand below it, when it says so.
    pub path_length: Option<u32>,
    /// The names of its extended key usages; empty when it has none.
    pub extended_key_usages: Vec<String>,
}

/// Writes bytes as upper-case hex digits.
pub(crate) fn upper_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}
