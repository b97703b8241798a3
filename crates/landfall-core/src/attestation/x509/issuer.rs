//! What is asked of every certificate that issued another one on the way to an anchor.
//!
//! Source: docs/protocol/x509.md §2.3.

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
) -> Result<(), Finding> {
    let facts = issuer.facts();
    let name = issuer.subject_name();
    // Is it a CA at all, for chains this long, and now?
    if facts.version != 3 {
        return Err(Finding::new(
            "x509.issuer_version",
            "an issuer of X.509 version 3: earlier ones cannot say that they are CAs",
            format!("'{name}' is version {}", facts.version),
            "issue the CA certificate as version 3 with basicConstraints = CA:TRUE",
        ));
    }
    let Field::Present(basic) = &facts.basic_constraints else {
        return Err(not_a_ca(name));
    };
    if !basic.ca {
        return Err(not_a_ca(name));
    }
    match &facts.key_usage {
        Field::Absent => {}
        Field::Present(usage) if usage.certificate_sign => {}
        Field::Present(_) | Field::Malformed => {
            return Err(Finding::new(
                "x509.issuer_key_usage",
                "an issuer whose key usage, when present, has keyCertSign",
                format!("the key usage of '{name}' has not"),
                "issue the CA certificate with keyUsage = keyCertSign",
            ));
        }
    }
    check_length(issuer, basic.path_length, below)?;
    leaf::in_time(issuer, now).map_err(|seen| {
        Finding::new(
            "x509.issuer_validity",
            "every CA certificate of the chain is valid now, the trusted one too",
            format!("'{name}': {seen}"),
            "renew the CA certificate and put the new one beside the old, then move the devices",
        )
    })?;
    // Does it hold anything that forbids this use, or that is not understood here?
    if !anchor && matches!(facts.client_use, Field::Present(false) | Field::Malformed) {
        return Err(Finding::new(
            "x509.issuer_extended_key_usage",
            "an intermediate whose extended key usages, when present, include clientAuth",
            format!("'{name}' is for other uses"),
            "issue the intermediate without extendedKeyUsage, or with clientAuth in it",
        ));
    }
    if let Some(repeated) = &facts.repeated_extension {
        return Err(leaf::extension_twice(issuer, repeated));
    }
    if let Some(unknown) = facts
        .critical
        .iter()
        .find(|oid| !KNOWN_CRITICAL.contains(&oid.as_str()))
    {
        return Err(Finding::new(
            "x509.issuer_critical_extension",
            "no critical extension in a CA certificate but those understood here",
            format!("'{name}' has {unknown}"),
            "issue the CA certificate with that extension not critical",
        ));
    }
    name_constraints::check(issuer, below)
}

fn not_a_ca(name: &str) -> Finding {
    Finding::new(
        "x509.issuer_is_no_ca",
        "an issuer whose basic constraints say CA:TRUE",
        format!("'{name}' does not say so"),
        "sign device certificates with a CA certificate only",
    )
}

fn check_length(
    issuer: &Certificate,
    allowed: Option<u32>,
    below: &[&Certificate],
) -> Result<(), Finding> {
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
