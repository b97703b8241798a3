//! X.509 attestation, refusal by refusal; `webpki` gives a second opinion.

use super::*;
use crate::certificate::forge::*;
use crate::id::{CertificateName, EnrollmentGroupId};

mod chains;
mod differential;
mod individual;
mod inspection;

fn id(text: &str) -> RegistrationId {
    RegistrationId::parse(text).expect("a registration id")
}

/// A group whose own certificate this is.
fn group(name: &str, made: &Made) -> Anchor {
    Anchor {
        certificate: made.certificate.clone(),
        group: EnrollmentGroupId::parse(name).expect("a group id"),
        source: AnchorSource::SigningCertificate,
    }
}

/// A group that names this uploaded certificate.
fn group_by_reference(name: &str, made: &Made, verified: bool) -> Anchor {
    Anchor {
        source: AnchorSource::CaReference {
            name: CertificateName::parse("ca1").expect("a name"),
            verified,
        },
        ..group(name, made)
    }
}

/// The chain as a device sends it.
fn chain(made: &[&Made]) -> Vec<Certificate> {
    made.iter().map(|made| made.certificate.clone()).collect()
}

fn find(chain: &[Certificate], anchors: &[Anchor]) -> Result<GroupMatch, Finding> {
    let found = find_group(chain, anchors, &[], &id("dev1"), now(), false);
    let inspection = inspect_group(chain, anchors, &[], &id("dev1"), now(), false);
    agree(found.as_ref().map(drop), &inspection);
    found
}

/// Checks that judge and inspection tell the same story of the same chain.
fn agree(judged: Result<(), &Finding>, inspection: &Inspection) {
    let failed: Vec<&str> = inspection
        .links
        .iter()
        .flat_map(|link| &link.checks)
        .filter(|checked| checked.finding.is_some())
        .map(|checked| checked.check)
        .collect();
    match judged {
        Ok(()) => assert_eq!(
            inspection.links.first().and_then(Link::finding),
            None,
            "let in, and the leaf failed"
        ),
        // Where a way ends is said of the chain, not of a link.
        Err(finding) => assert!(
            failed.contains(&finding.check)
                || matches!(
                    finding.check,
                    "x509.no_certificate"
                        | "x509.chain"
                        | "x509.ca_not_verified"
                        | "x509.chain_too_long"
                ),
            "refused for {}, and the links failed {failed:?}",
            finding.check
        ),
    }
}

/// The check that refuses the chain.
fn refused(chain: &[Certificate], anchors: &[Anchor]) -> &'static str {
    find(chain, anchors).expect_err("a refusal").check
}
