//! What is asked of every certificate that issued another one on the way to an anchor.
//!
//! Source: docs/protocol/x509.md §2.3.

use super::checks::Checks;
use super::{leaf, name_constraints};
use crate::certificate::{Certificate, Field};
use crate::clock::Timestamp;
use crate::trace::Finding;

/// Critical extensions that are understood in an issuer.
const KNOWN_CRITICAL: [&str; 5] = [
    "2.5.29.19",
    "2.5.29.15",
    "2.5.29.37",
    "2.5.29.17",
    "2.5.29.30",
];

/// Checks that `issuer` may have issued the last of `below`, the way so far, leaf first.
///
/// The extended key usages of an `anchor` are not looked at: the operator who uploaded it vouches
/// for its use.
pub(super) fn check(
    issuer: &Certificate,
    below: &[&Certificate],
    anchor: bool,
    now: Timestamp,
    checks: &mut impl Checks,
) -> Result<(), Finding> {
    // Is it a CA at all, for chains this long, and now?
    checks.take("x509.issuer_version", has_version(issuer))?;
    checks.take("x509.issuer_is_no_ca", is_a_ca(issuer))?;
    checks.take("x509.issuer_key_usage", may_sign(issuer))?;
    checks.take("x509.path_length", has_length(issuer, below))?;
    checks.take("x509.issuer_validity", valid_now(issuer, now))?;
    // Does it hold anything that forbids this use, or that is not understood here?
    if !anchor {
        checks.take("x509.issuer_extended_key_usage", may_be_for_clients(issuer))?;
    }
    checks.take("x509.repeated_extension", leaf::has_no_repetition(issuer))?;
    checks.take("x509.issuer_critical_extension", is_understood(issuer))?;
    checks.take(
        "x509.name_constraints",
        name_constraints::check(issuer, below),
    )
}

fn has_version(issuer: &Certificate) -> Result<(), Finding> {
    let version = issuer.facts().version;
    if version == 3 {
        return Ok(());
    }
    Err(Finding::new(
        "x509.issuer_version",
        "an issuer of X.509 version 3: earlier ones cannot say that they are CAs",
        format!("'{}' is version {version}", issuer.subject_name()),
        "issue the CA certificate as version 3 with basicConstraints = CA:TRUE",
    ))
}

fn is_a_ca(issuer: &Certificate) -> Result<(), Finding> {
    if issuer.is_ca() {
        return Ok(());
    }
    Err(Finding::new(
        "x509.issuer_is_no_ca",
        "an issuer whose basic constraints say CA:TRUE",
        format!("'{}' does not say so", issuer.subject_name()),
        "sign device certificates with a CA certificate only",
    ))
}

fn may_sign(issuer: &Certificate) -> Result<(), Finding> {
    match &issuer.facts().key_usage {
        Field::Absent => Ok(()),
        Field::Present(usage) if usage.certificate_sign => Ok(()),
        Field::Present(_) | Field::Malformed => Err(Finding::new(
            "x509.issuer_key_usage",
            "an issuer whose key usage, when present, has keyCertSign",
            format!("the key usage of '{}' has not", issuer.subject_name()),
            "issue the CA certificate with keyUsage = keyCertSign",
        )),
    }
}

fn valid_now(issuer: &Certificate, now: Timestamp) -> Result<(), Finding> {
    leaf::in_time(issuer, now).map_err(|seen| {
        Finding::new(
            "x509.issuer_validity",
            "every CA certificate of the chain is valid now, the trusted one too",
            format!("'{}': {seen}", issuer.subject_name()),
            "renew the CA certificate and put the new one beside the old, then move the devices",
        )
    })
}

fn may_be_for_clients(issuer: &Certificate) -> Result<(), Finding> {
    match issuer.facts().client_use {
        Field::Absent | Field::Present(true) => Ok(()),
        Field::Present(false) | Field::Malformed => Err(Finding::new(
            "x509.issuer_extended_key_usage",
            "an intermediate whose extended key usages, when present, include clientAuth",
            format!("'{}' is for other uses", issuer.subject_name()),
            "issue the intermediate without extendedKeyUsage, or with clientAuth in it",
        )),
    }
}

fn is_understood(issuer: &Certificate) -> Result<(), Finding> {
    let critical = &issuer.facts().critical;
    match critical
        .iter()
        .find(|oid| !KNOWN_CRITICAL.contains(&oid.as_str()))
    {
        Some(unknown) => Err(Finding::new(
            "x509.issuer_critical_extension",
            "no critical extension in a CA certificate but those understood here",
            format!("'{}' has {unknown}", issuer.subject_name()),
            "issue the CA certificate with that extension not critical",
        )),
        None => Ok(()),
    }
}

fn has_length(issuer: &Certificate, below: &[&Certificate]) -> Result<(), Finding> {
    let allowed = match &issuer.facts().basic_constraints {
        Field::Present(basic) => basic.path_length,
        Field::Absent | Field::Malformed => None,
    };
    let between = below
        .iter()
        .skip(1)
        .filter(|certificate| !certificate.is_self_issued())
        .count();
    match allowed {
        Some(allowed) if between > usize::try_from(allowed).unwrap_or(usize::MAX) => {
            Err(Finding::new(
                "x509.path_length",
                format!(
                    "at most {allowed} intermediates below '{}'",
                    issuer.subject_name()
                ),
                format!("{between} intermediates"),
                "issue the upper CA certificate with a larger pathlen, or the devices' certificates \
                 from a CA nearer to it",
            ))
        }
        _ => Ok(()),
    }
}
