//! X.509 attestation: whether a client certificate is entitled to a registration id.
//!
//! That the peer holds the certificate's private key was proved in the TLS handshake, for any
//! certificate at all; here the certificate is held against an individual enrollment, or its chain
//! is walked to the CA certificates of enrollment groups. [`crate::authentication`] calls this with
//! the enrollments in force; whether an enrollment is enabled is decided there.
//!
//! Source: docs/protocol/x509.md §2, docs/protocol/service-api.md §7.1.

mod checks;
mod group;
mod inspection;
mod issuer;
mod leaf;
mod name_constraints;
mod path;

#[cfg(test)]
mod tests;

use crate::attestation::Slots;
use crate::certificate::{Certificate, signature};
use crate::clock::Timestamp;
use crate::id::RegistrationId;
use crate::linked_hub::HubCredential;
use crate::trace::Finding;

pub use checks::Checked;
use checks::{Checks, FirstFailure};
pub use group::{
    Anchor, AnchorSource, GroupMatch, Reference, check_individual_ca_reference, find_group,
    name_missing_references,
};
pub use inspection::{
    Holder, Inspection, Link, inspect_group, inspect_individual, inspect_references,
    inspect_unenrolled,
};

/// Checks a leaf against the client certificates of an individual enrollment.
///
/// Equality of the whole certificate decides; no chain is built, and self-signed, CA-issued, CA:TRUE
/// and version 1 leaves are all fine.
/// Source: docs/protocol/x509.md §2.1.
///
/// # Errors
/// A [`Finding`] that names the first check that fails.
pub fn check_individual(
    slots: &Slots<Certificate>,
    leaf: &Certificate,
    registration_id: &RegistrationId,
    now: Timestamp,
) -> Result<(), Finding> {
    check_enrolled(slots, leaf, registration_id, now, &mut FirstFailure)
}

fn check_enrolled(
    slots: &Slots<Certificate>,
    leaf: &Certificate,
    registration_id: &RegistrationId,
    now: Timestamp,
    checks: &mut impl Checks,
) -> Result<(), Finding> {
    checks.take("x509.common_name", leaf::names(leaf, registration_id))?;
    checks.take("x509.thumbprint", is_enrolled(slots, leaf, registration_id))?;
    checks.take("x509.validity", leaf::valid_now(leaf, now))?;
    checks.take("x509.extended_key_usage", leaf::may_authenticate(leaf))
}

fn is_enrolled(
    slots: &Slots<Certificate>,
    leaf: &Certificate,
    registration_id: &RegistrationId,
) -> Result<(), Finding> {
    if slots.iter().any(|enrolled| enrolled == leaf) {
        Ok(())
    } else {
        Err(not_the_enrolled_one(slots, leaf, registration_id))
    }
}

/// What the hub will ask of a device that proved itself with `leaf` through a group.
///
/// Shape: both thumbprints are the leaf's, since the device has one certificate.
pub fn hub_credential(leaf: &Certificate) -> HubCredential {
    HubCredential::Thumbprints {
        primary: leaf.sha256_hex(),
        secondary: leaf.sha256_hex(),
    }
}

/// What the hub will ask of a device with an individual enrollment: either enrolled certificate.
pub fn hub_credential_of_slots(slots: &Slots<Certificate>) -> Option<HubCredential> {
    let first = slots.iter().next()?;
    let last = slots.iter().last()?;
    Some(HubCredential::Thumbprints {
        primary: first.sha256_hex(),
        secondary: last.sha256_hex(),
    })
}

/// What is to be said when a device that has to show a certificate shows none.
pub fn no_certificate() -> Finding {
    Finding::new(
        "x509.no_certificate",
        "a client certificate in the TLS session of this request",
        "the device sent none",
        "give the device its certificate and private key; some TLS clients silently send none when \
         the key type does not fit the server's list (RSA needs 2048 bits or more)",
    )
}

/// Names what is wrong when the presented leaf is none of the enrolled certificates.
fn not_the_enrolled_one(
    slots: &Slots<Certificate>,
    leaf: &Certificate,
    registration_id: &RegistrationId,
) -> Finding {
    let issuer = slots.iter().find(|enrolled| {
        enrolled.is_ca()
            && enrolled.subject_dn_raw() == leaf.issuer_dn_raw()
            && signature::verify(leaf, enrolled).is_ok()
    });
    if let Some(ca) = issuer {
        return ca_enrolled(
            ca,
            registration_id,
            format!(
                "the enrolled certificate '{}' is a CA's, and it issued the presented one '{}'",
                ca.subject_name(),
                leaf.subject_name()
            ),
        );
    }
    // A device's own self-signed certificate often says CA:TRUE as well, so the name decides.
    let foreign_ca = slots
        .iter()
        .find(|enrolled| enrolled.is_ca() && leaf::names(enrolled, registration_id).is_err());
    if let Some(ca) = foreign_ca {
        return ca_enrolled(
            ca,
            registration_id,
            format!(
                "the enrolled certificate '{}' is a CA's; the device presents '{}' with SHA-256 {}",
                ca.subject_name(),
                leaf.subject_name(),
                leaf.sha256_hex()
            ),
        );
    }
    let enrolled: Vec<String> = slots.iter().map(Certificate::sha256_hex).collect();
    let same_key = slots
        .iter()
        .any(|enrolled| enrolled.public_key() == leaf.public_key());
    Finding::new(
        "x509.thumbprint",
        format!(
            "one of the certificates enrolled for '{registration_id}', SHA-256 {}",
            enrolled.join(" or ")
        ),
        format!(
            "the device presents '{}', SHA-256 {}{}",
            leaf.subject_name(),
            leaf.sha256_hex(),
            if same_key {
                ", a renewal with the enrolled key"
            } else {
                ""
            }
        ),
        "put the presented certificate into a slot of the individual enrollment, or give the device \
         the enrolled one",
    )
}

fn ca_enrolled(ca: &Certificate, registration_id: &RegistrationId, seen: String) -> Finding {
    Finding::new(
        "x509.enrolled_certificate_is_a_ca",
        format!("the device's own certificate in the individual enrollment of '{registration_id}'"),
        seen,
        format!(
            "put the device's own certificate into the individual enrollment, or make an \
             enrollment group for '{}'",
            ca.subject_name()
        ),
    )
}
