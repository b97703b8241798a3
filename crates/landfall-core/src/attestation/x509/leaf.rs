//! What is asked of the certificate that a device shows for itself.
//!
//! Source: docs/protocol/x509.md §2, §2.1, §2.3.

use super::checks::Checks;
use crate::certificate::{Certificate, Field, SKEW};
use crate::clock::{Timestamp, spoken};
use crate::id::RegistrationId;
use crate::trace::Finding;

/// Critical extensions that are understood in a leaf, the last one being DICE's.
const KNOWN_CRITICAL: [&str; 5] = [
    "2.5.29.19",
    "2.5.29.15",
    "2.5.29.37",
    "2.5.29.17",
    "2.23.133.5.4.1",
];

/// The subject's one common name is the registration id, case aside.
pub(super) fn names(leaf: &Certificate, registration_id: &RegistrationId) -> Result<(), Finding> {
    let expected = format!("exactly one CN in the leaf's subject, equal to '{registration_id}'");
    match leaf.common_name() {
        Ok(name) if name.eq_ignore_ascii_case(registration_id.as_str()) => Ok(()),
        Ok(name) => Err(Finding::new(
            "x509.common_name",
            expected,
            format!(
                "leaf CN `{}` is not registration id `{registration_id}`",
                name.escape_default()
            ),
            "register under the certificate's CN, or issue a certificate whose CN is the \
             registration id",
        )),
        Err(fault) => Err(Finding::new(
            "x509.common_name",
            expected,
            format!("{fault} (subject '{}')", leaf.subject_name()),
            "issue a certificate whose subject has one CN, the registration id, as UTF8String or \
             PrintableString",
        )),
    }
}

/// What is to be said of a leaf whose subject gives no registration id at all.
pub(super) fn names_no_id(leaf: &Certificate) -> Finding {
    let seen = match leaf.common_name() {
        Ok(name) => RegistrationId::parse(&name)
            .err()
            .map_or_else(String::new, |error| error.to_string()),
        Err(fault) => format!("{fault} (subject '{}')", leaf.subject_name()),
    };
    Finding::new(
        "x509.common_name",
        "exactly one CN in the leaf's subject, which can be a registration id",
        seen,
        "issue a certificate whose subject has one CN, the registration id, as UTF8String or \
         PrintableString",
    )
}

/// The leaf's validity period includes now, give or take the skew of clocks.
pub(super) fn valid_now(leaf: &Certificate, now: Timestamp) -> Result<(), Finding> {
    in_time(leaf, now).map_err(|seen| {
        Finding::new(
            "x509.validity",
            format!("the leaf '{}' is valid now", leaf.subject_name()),
            seen,
            "renew the device's certificate; if it looks valid to you, compare the server's clock",
        )
    })
}

/// Whether a validity period includes now; if not, in words by how much it misses.
pub(super) fn in_time(certificate: &Certificate, now: Timestamp) -> Result<(), String> {
    let (from, to) = (certificate.not_before(), certificate.not_after());
    if from > now.plus(SKEW) {
        return Err(format!(
            "it is valid only from {}, in {}",
            from.to_wire_seconds(),
            spoken(from.since(now))
        ));
    }
    if to < now.minus(SKEW) {
        return Err(format!(
            "it expired at {}, {} ago",
            to.to_wire_seconds(),
            spoken(now.since(to))
        ));
    }
    Ok(())
}

/// The extended key usages, when there are any, let a client authenticate.
pub(super) fn may_authenticate(leaf: &Certificate) -> Result<(), Finding> {
    let seen = match leaf.facts().client_use {
        Field::Absent | Field::Present(true) => return Ok(()),
        Field::Present(false) => "they allow other uses only",
        Field::Malformed => "the extension cannot be read",
    };
    Err(Finding::new(
        "x509.extended_key_usage",
        "extended key usages, when present, with clientAuth or anyExtendedKeyUsage",
        format!("in '{}' {seen}", leaf.subject_name()),
        "issue the device's certificate with extendedKeyUsage = clientAuth, or without that \
         extension",
    ))
}

/// All that is asked of a leaf that proves itself through a CA.
pub(super) fn check_issued(
    leaf: &Certificate,
    registration_id: &RegistrationId,
    now: Timestamp,
    checks: &mut impl Checks,
) -> Result<(), Finding> {
    checks.take("x509.common_name", names(leaf, registration_id))?;
    checks.take("x509.validity", valid_now(leaf, now))?;
    checks.take("x509.leaf_is_a_ca", is_no_ca(leaf))?;
    checks.take("x509.key_usage", may_sign_handshakes(leaf))?;
    checks.take("x509.extended_key_usage", may_authenticate(leaf))?;
    checks.take("x509.version", has_version(leaf))?;
    checks.take("x509.repeated_extension", has_no_repetition(leaf))?;
    checks.take("x509.critical_extension", is_understood(leaf))
}

fn is_no_ca(leaf: &Certificate) -> Result<(), Finding> {
    let seen = match &leaf.facts().basic_constraints {
        Field::Absent => return Ok(()),
        Field::Present(basic) if !basic.ca => return Ok(()),
        Field::Present(_) => "its basic constraints say CA:TRUE",
        Field::Malformed => "its basic constraints cannot be read",
    };
    Err(Finding::new(
        "x509.leaf_is_a_ca",
        "a device certificate: a CA may not act as a device of a group",
        format!("'{}': {seen}", leaf.subject_name()),
        "issue the device's certificate with basicConstraints = CA:FALSE; a self-signed one \
         belongs into an individual enrollment",
    ))
}

fn may_sign_handshakes(leaf: &Certificate) -> Result<(), Finding> {
    let seen = match &leaf.facts().key_usage {
        Field::Absent => return Ok(()),
        Field::Present(usage) if usage.digital_signature => return Ok(()),
        Field::Present(_) => "it allows other uses only",
        Field::Malformed => "it cannot be read",
    };
    Err(Finding::new(
        "x509.key_usage",
        "key usage, when present, with digitalSignature",
        format!("in '{}' {seen}", leaf.subject_name()),
        "issue the device's certificate with keyUsage = digitalSignature, or without that extension",
    ))
}

fn has_version(leaf: &Certificate) -> Result<(), Finding> {
    if leaf.facts().version != 2 {
        return Ok(());
    }
    Err(Finding::new(
        "x509.version",
        "a leaf of X.509 version 1 or 3",
        format!("'{}' is version 2", leaf.subject_name()),
        "issue the device's certificate as version 3",
    ))
}

/// No extension stands in the certificate twice.
pub(super) fn has_no_repetition(certificate: &Certificate) -> Result<(), Finding> {
    match &certificate.facts().repeated_extension {
        None => Ok(()),
        Some(oid) => Err(Finding::new(
            "x509.repeated_extension",
            "each extension once",
            format!("'{}' has {oid} twice", certificate.subject_name()),
            "issue the certificate with each extension once",
        )),
    }
}

fn is_understood(leaf: &Certificate) -> Result<(), Finding> {
    let critical = &leaf.facts().critical;
    match critical
        .iter()
        .find(|oid| !KNOWN_CRITICAL.contains(&oid.as_str()))
    {
        Some(unknown) => Err(Finding::new(
            "x509.critical_extension",
            "no critical extension but those understood here",
            format!("'{}' has {unknown}", leaf.subject_name()),
            "issue the certificate with that extension not critical, or enroll the device \
             individually",
        )),
        None => Ok(()),
    }
}
