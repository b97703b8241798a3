//! X.509 attestation, refusal by refusal; `webpki` gives a second opinion.

use super::*;
use crate::certificate::forge::*;
use crate::id::{CertificateName, EnrollmentGroupId};

mod chains;
mod differential;
mod individual;

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
    find_group(chain, anchors, &[], &id("dev1"), now(), false)
}

/// The check that refuses the chain.
fn refused(chain: &[Certificate], anchors: &[Anchor]) -> &'static str {
    find(chain, anchors).expect_err("a refusal").check
}
