//! Which enrollment group a presented chain belongs to, and individual enrollments by CA reference.
//!
//! Source: docs/protocol/x509.md §2.2, §2.3; docs/protocol/service-api.md §3.4, §7.

use super::checks::FirstFailure;
use super::leaf;
use super::path::{Climb, Stored};
use crate::certificate::Certificate;
use crate::clock::Timestamp;
use crate::id::{CertificateName, EnrollmentGroupId, RegistrationId};
use crate::trace::Finding;

/// How an enrollment group came by a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnchorSource {
    /// It stands in the group itself, trusted by that upload.
    SigningCertificate,
    /// The group names an uploaded CA certificate, trusted once its possession is proved.
    CaReference {
        /// The name that the group gives.
        name: CertificateName,
        /// Whether possession was proved.
        verified: bool,
    },
}

/// A certificate whose devices an enrollment group lets in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    /// The certificate.
    pub certificate: Certificate,
    /// The group.
    pub group: EnrollmentGroupId,
    /// How the group came by it.
    pub source: AnchorSource,
}

impl Anchor {
    pub(super) fn stored(&self) -> Stored<'_> {
        Stored {
            certificate: &self.certificate,
            unverified: match &self.source {
                AnchorSource::CaReference {
                    name,
                    verified: false,
                } => Some(name),
                _ => None,
            },
        }
    }
}

/// The group that a chain belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMatch {
    /// The group.
    pub group: EnrollmentGroupId,
    /// The subjects on the way, the leaf's first, the group's own certificate last.
    pub path: Vec<String>,
}

/// An uploaded CA certificate that an individual enrollment names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The name that the enrollment gives.
    pub name: CertificateName,
    /// The certificate; `None` when none of that name is uploaded any more.
    pub certificate: Option<Certificate>,
    /// Whether possession was proved.
    pub verified: bool,
}

impl Reference {
    pub(super) fn stored(&self) -> Option<Stored<'_>> {
        Some(Stored {
            certificate: self.certificate.as_ref()?,
            unverified: (!self.verified).then_some(&self.name),
        })
    }
}

/// Finds the group of a presented chain, leaf first: the first stored certificate of any group on
/// the way up decides, and presented certificates are hints that are worth nothing by themselves.
///
/// `anchors` are the certificates of all groups, disabled ones too, since a disabled group keeps
/// its devices out of the groups above. Of two groups with the same certificate the earlier wins.
/// With `require_verified_chain` the way must go on to one of `verified`.
/// Units: at most 10 steps and 32 signature checks.
///
/// # Errors
/// A [`Finding`] that names the check that fails, or where the chain stops.
pub fn find_group(
    chain: &[Certificate],
    anchors: &[Anchor],
    verified: &[Certificate],
    registration_id: &RegistrationId,
    now: Timestamp,
    require_verified_chain: bool,
) -> Result<GroupMatch, Finding> {
    let (leaf, presented) = chain.split_first().ok_or_else(super::no_certificate)?;
    leaf::check_issued(leaf, registration_id, now, &mut FirstFailure)?;
    let stored: Vec<Stored<'_>> = anchors.iter().map(Anchor::stored).collect();
    let mut climb = Climb::new(leaf, presented, &stored, verified, now);
    let found = climb.reach_anchor()?;
    let group = anchors
        .get(found)
        .map(|anchor| anchor.group.clone())
        .ok_or_else(super::no_certificate)?;
    let path = climb.subjects();
    if require_verified_chain {
        climb.reach_verified()?;
    }
    Ok(GroupMatch { group, path })
}

/// Checks a chain, leaf first, against the CA certificates that an individual enrollment names: any
/// leaf below a verified one of them is let in, if its CN is the registration id.
///
/// Gives the subjects on the way, the leaf's first.
///
/// # Errors
/// A [`Finding`] that names the check that fails, or where the chain stops.
pub fn check_individual_ca_reference(
    chain: &[Certificate],
    references: &[Reference],
    verified: &[Certificate],
    registration_id: &RegistrationId,
    now: Timestamp,
) -> Result<Vec<String>, Finding> {
    let (leaf, presented) = chain.split_first().ok_or_else(super::no_certificate)?;
    leaf::check_issued(leaf, registration_id, now, &mut FirstFailure)?;
    let stored: Vec<Stored<'_>> = references.iter().filter_map(Reference::stored).collect();
    let mut climb = Climb::new(leaf, presented, &stored, verified, now);
    match climb.reach_anchor() {
        Ok(_) => Ok(climb.subjects()),
        Err(finding) => match references
            .iter()
            .find(|reference| reference.certificate.is_none())
        {
            Some(gone) => Err(missing(finding, &gone.name, "the individual enrollment")),
            None => Err(finding),
        },
    }
}

/// Adds to a finding of [`find_group`] that groups name CA certificates which are not uploaded any
/// more: those groups let nobody in.
pub fn name_missing_references(
    finding: Finding,
    gone: &[(EnrollmentGroupId, CertificateName)],
) -> Finding {
    match gone.first() {
        Some((group, name)) if finding.check == "x509.chain" => {
            missing(finding, name, &format!("enrollment group '{group}'"))
        }
        _ => finding,
    }
}

fn missing(mut finding: Finding, name: &CertificateName, whose: &str) -> Finding {
    finding.seen.push_str(&format!(
        "; {whose} names the CA certificate '{name}', which is not uploaded (deleted?)"
    ));
    finding.fix.push_str(&format!(
        "; or upload and verify the CA certificate '{name}' again"
    ));
    finding
}
