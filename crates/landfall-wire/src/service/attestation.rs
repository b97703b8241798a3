//! The attestation mechanism of an enrollment as JSON, in both directions.

use landfall_core::administration::attestation::{AttestationRequest, SlotRequest, SlotsRequest};
use landfall_core::attestation::{AttestationMechanism, Slots, TpmAttestation, X509Attestation};
use landfall_core::certificate::{Certificate, CertificateInfo};
use landfall_core::error::Error;
use landfall_core::id::CertificateName;
use landfall_core::secret::SymmetricKey;
use serde_json::{Map, Value, json};

use super::invalid_id;
use crate::fields::Members;

/// Whether symmetric keys are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrets {
    /// They are left out, as in every ordinary read.
    Hidden,
    /// They are shown, to the one call that asks for them.
    Shown,
}

/// The type of an attestation mechanism as bodies name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    None,
    SymmetricKey,
    X509,
    Tpm,
}

const TYPES: [(&str, Type); 4] = [
    ("symmetricKey", Type::SymmetricKey),
    ("x509", Type::X509),
    ("tpm", Type::Tpm),
    ("none", Type::None),
];

/// Reads the `attestation` member of an enrollment.
///
/// Source: docs/protocol/service-api.md §3.4, §6 [S, C].
///
/// # Errors
/// [`Error::Invalid`] naming the member that is missing, does not belong, or cannot be read. A key
/// is never repeated.
pub(crate) fn parse(enrollment: &Members<'_>) -> Result<AttestationRequest, Error> {
    let attestation = enrollment
        .object("attestation")?
        .ok_or_else(|| enrollment.wrong("attestation", "is required"))?;
    let kind = attestation
        .word("type", &TYPES)?
        .ok_or_else(|| attestation.wrong("type", "is required"))?;
    for (member, owner) in TYPES {
        if owner != kind && owner != Type::None && attestation.value(member).is_some() {
            return Err(attestation.wrong(member, "does not belong to the type of the attestation"));
        }
    }
    match kind {
        Type::None => Err(attestation.wrong("type", "must be symmetricKey, x509 or tpm")),
        Type::SymmetricKey => match attestation.object("symmetricKey")? {
            None => Ok(AttestationRequest::SymmetricKey {
                primary: None,
                secondary: None,
            }),
            Some(keys) => Ok(AttestationRequest::SymmetricKey {
                primary: key(&keys, "primaryKey")?,
                secondary: key(&keys, "secondaryKey")?,
            }),
        },
        Type::Tpm => {
            let tpm = attestation
                .object("tpm")?
                .ok_or_else(|| attestation.wrong("tpm", "is required"))?;
            Ok(AttestationRequest::Tpm(TpmAttestation {
                endorsement_key: tpm.required_text("endorsementKey")?.to_owned(),
                storage_root_key: tpm.text("storageRootKey")?.map(str::to_owned),
            }))
        }
        Type::X509 => {
            let x509 = attestation
                .object("x509")?
                .ok_or_else(|| attestation.wrong("x509", "is required"))?;
            parse_x509(&x509)
        }
    }
}

fn parse_x509(x509: &Members<'_>) -> Result<AttestationRequest, Error> {
    let client = x509.object("clientCertificates")?;
    let signing = x509.object("signingCertificates")?;
    let references = x509.object("caReferences")?;
    match (client, signing, references) {
        (Some(slots), None, None) => {
            parse_slots(&slots).map(AttestationRequest::ClientCertificates)
        }
        (None, Some(slots), None) => {
            parse_slots(&slots).map(AttestationRequest::SigningCertificates)
        }
        (None, None, Some(names)) => {
            let name = |member| -> Result<Option<CertificateName>, Error> {
                let text: Option<&str> = names.text(member)?;
                text.map(|text| CertificateName::parse(text).map_err(invalid_id))
                    .transpose()
            };
            Slots::new(name("primary")?, name("secondary")?)
                .map(AttestationRequest::CaReferences)
                .ok_or_else(|| x509.wrong("caReferences", "needs a primary or a secondary"))
        }
        (None, None, None) => Err(Error::Invalid(
            "attestation.x509 needs clientCertificates, signingCertificates or caReferences."
                .to_owned(),
        )),
        (_, _, _) => Err(Error::Invalid(
            "attestation.x509 takes only one of clientCertificates, signingCertificates and \
             caReferences."
                .to_owned(),
        )),
    }
}

fn parse_slots(slots: &Members<'_>) -> Result<SlotsRequest, Error> {
    let slot = |member| {
        let Some(slot) = slots.object(member)? else {
            return Ok(SlotRequest::Empty);
        };
        match slot.text("certificate")? {
            Some(text) => Certificate::from_text(text)
                .map(SlotRequest::Given)
                .map_err(|error| Error::Invalid(format!("{}: {error}.", slot.name("certificate")))),
            None if slot.value("info").is_some() => Ok(SlotRequest::Kept),
            None => Ok(SlotRequest::Empty),
        }
    };
    Ok(SlotsRequest {
        primary: slot("primary")?,
        secondary: slot("secondary")?,
    })
}

fn key(keys: &Members<'_>, member: &str) -> Result<Option<SymmetricKey>, Error> {
    keys.text(member)?
        .map(SymmetricKey::from_base64)
        .transpose()
        .map_err(|error| Error::Invalid(format!("{}: {error}.", keys.name(member))))
}

/// An attestation mechanism as JSON. Certificates are shown by what they say, never as text.
///
/// Source: docs/protocol/service-api.md §3.4, §4.3 [C].
pub fn attestation_json(mechanism: &AttestationMechanism, secrets: Secrets) -> Value {
    match mechanism {
        AttestationMechanism::SymmetricKey(keys) => match secrets {
            Secrets::Hidden => json!({"type": "symmetricKey"}),
            Secrets::Shown => json!({
                "type": "symmetricKey",
                "symmetricKey": {
                    "primaryKey": *keys.primary.to_base64(),
                    "secondaryKey": *keys.secondary.to_base64(),
                },
            }),
        },
        AttestationMechanism::Tpm(keys) => {
            let mut tpm = Map::new();
            tpm.insert(
                "endorsementKey".to_owned(),
                keys.endorsement_key.as_str().into(),
            );
            if let Some(key) = &keys.storage_root_key {
                tpm.insert("storageRootKey".to_owned(), key.as_str().into());
            }
            json!({"type": "tpm", "tpm": tpm})
        }
        AttestationMechanism::X509(x509) => {
            let (form, slots) = match x509 {
                X509Attestation::Client(slots) => ("clientCertificates", slots_json(slots)),
                X509Attestation::Signing(slots) => ("signingCertificates", slots_json(slots)),
                X509Attestation::CaReference(names) => (
                    "caReferences",
                    filled(names, |name| Value::from(name.as_str())),
                ),
            };
            json!({"type": "x509", "x509": {form: slots}})
        }
    }
}

fn slots_json(slots: &Slots<Certificate>) -> Value {
    filled(
        slots,
        |certificate| json!({"info": info_json(&certificate.info())}),
    )
}

fn filled<T>(slots: &Slots<T>, show: impl Fn(&T) -> Value) -> Value {
    let mut members = Map::new();
    for (name, slot) in [("primary", &slots.primary), ("secondary", &slots.secondary)] {
        if let Some(item) = slot {
            members.insert(name.to_owned(), show(item));
        }
    }
    Value::Object(members)
}

/// What is shown of a certificate. All eight members are always there: clients require them.
///
/// Source: docs/protocol/service-api.md §3.4 [C].
pub fn info_json(info: &CertificateInfo) -> Value {
    json!({
        "subjectName": info.subject_name,
        "sha1Thumbprint": info.sha1_thumbprint,
        "sha256Thumbprint": info.sha256_thumbprint,
        "issuerName": info.issuer_name,
        "notBeforeUtc": info.not_before.to_wire_seconds(),
        "notAfterUtc": info.not_after.to_wire_seconds(),
        "serialNumber": info.serial_number,
        "version": info.version,
    })
}
