//! How a device proves itself: the mechanism on the enrollment, the evidence it shows, and the
//! proof that the two were held against each other.

pub mod symmetric_key;
pub mod x509;

use crate::certificate::Certificate;
use crate::id::CertificateName;
use crate::linked_hub::HubCredential;
use crate::registration::EnrollmentRef;
use crate::sas::{SasError, SasToken};
use crate::secret::KeyPair;

/// The way in that an enrollment offers.
#[derive(Debug, Clone, PartialEq)]
pub enum AttestationMechanism {
    /// A shared key; for groups the key from which each device's key is derived.
    SymmetricKey(KeyPair),
    /// A certificate.
    X509(X509Attestation),
    /// A TPM, by its endorsement key. Stored and read here; attempting one is refused.
    Tpm(TpmAttestation),
}

impl AttestationMechanism {
    /// The name of the mechanism as the service API spells it.
    pub fn kind(&self) -> AttestationKind {
        match self {
            AttestationMechanism::SymmetricKey(_) => AttestationKind::SymmetricKey,
            AttestationMechanism::X509(_) => AttestationKind::X509,
            AttestationMechanism::Tpm(_) => AttestationKind::Tpm,
        }
    }
}

/// The kinds of attestation mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttestationKind {
    /// A shared key.
    SymmetricKey,
    /// A certificate.
    X509,
    /// A TPM.
    Tpm,
}

impl AttestationKind {
    /// The word for it in messages to people.
    pub fn spoken(self) -> &'static str {
        match self {
            AttestationKind::SymmetricKey => "symmetric key",
            AttestationKind::X509 => "X.509",
            AttestationKind::Tpm => "TPM",
        }
    }
}

/// A primary and a secondary slot of which at least one is filled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slots<T> {
    /// The first slot.
    pub primary: Option<T>,
    /// The second slot; equally valid.
    pub secondary: Option<T>,
}

impl<T> Slots<T> {
    /// Fills the slots; `None` when both would be empty.
    pub fn new(primary: Option<T>, secondary: Option<T>) -> Option<Self> {
        (primary.is_some() || secondary.is_some()).then_some(Slots { primary, secondary })
    }

    /// What the slots hold, the primary first.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.primary.iter().chain(self.secondary.iter())
    }
}

/// The three forms of X.509 attestation.
#[derive(Debug, Clone, PartialEq)]
pub enum X509Attestation {
    /// The device's own certificate (individual enrollments).
    Client(Slots<Certificate>),
    /// A CA certificate put into the group itself, trusted by that upload.
    Signing(Slots<Certificate>),
    /// The name of an uploaded CA certificate, trusted once its possession is proved.
    CaReference(Slots<CertificateName>),
}

/// The public keys of a TPM, base64 as received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TpmAttestation {
    /// The endorsement key, a TPM2B_PUBLIC.
    pub endorsement_key: String,
    /// The storage root key, once known.
    pub storage_root_key: Option<String>,
}

/// What a device shows of itself with one request.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// The token it sent, or why it could not be read.
    pub token: Option<Result<SasToken, SasError>>,
    /// The chain of its TLS session, leaf first, exactly as it was sent. The leaf's key was proved
    /// in the handshake. A link that does not parse is kept as the error.
    pub chain: Vec<Result<Certificate, crate::certificate::CertificateError>>,
    /// The TPM keys it sent.
    pub tpm: Option<TpmAttestation>,
}

/// The proof that evidence was held against the enrollment in force. Only
/// [`crate::authentication`] makes one.
#[derive(Debug, Clone)]
pub struct Attested {
    pub(crate) enrollment: EnrollmentRef,
    pub(crate) kind: AttestationKind,
    pub(crate) credential: HubCredential,
}

impl Attested {
    /// The enrollment that let the device in.
    pub fn enrollment(&self) -> &EnrollmentRef {
        &self.enrollment
    }

    /// How the device proved itself.
    pub fn kind(&self) -> AttestationKind {
        self.kind
    }

    /// What the hub will ask of the device.
    pub fn credential(&self) -> &HubCredential {
        &self.credential
    }
}
