//! The walk from a leaf to a stored certificate: linear, decided by signatures, and bounded.
//!
//! Names only propose an issuer, key identifiers only order the proposals; the signature decides.
//! Trust comes from stored certificates alone, compared by their whole DER.
//! Source: docs/protocol/x509.md §2.3.

mod stops;

use super::checks::FirstFailure;
use super::issuer;
use crate::certificate::{Certificate, SignatureFault, signature};
use crate::clock::Timestamp;
use crate::id::CertificateName;
use crate::trace::Finding;

/// Most steps from the leaf upwards.
const DEEPEST: usize = 10;

/// Most certificates of one name that are tried for one step.
const MOST_NAMESAKES: usize = 8;

/// Most signature checks in one walk.
const SIGNATURES: usize = 32;

/// A stored certificate that leads to an enrollment.
pub(super) struct Stored<'a> {
    pub(super) certificate: &'a Certificate,
    /// The name of the CA certificate when its possession was not proved; such a one is a hint only.
    pub(super) unverified: Option<&'a CertificateName>,
}

/// What a proposed issuer is worth, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    /// A trusted certificate of an enrollment, by its place among the stored ones.
    Anchor(usize),
    /// A verified CA certificate.
    Verified,
    /// A certificate that an enrollment names, whose possession was not proved.
    Unverified(usize),
    /// The device sent it.
    Presented,
}

/// How a search from one certificate upwards ended.
enum End {
    /// At the stored certificate of this place.
    Anchor(usize),
    /// At a verified CA certificate.
    Verified,
    /// Nowhere; another way may still be tried.
    Nowhere(Finding),
    /// Nowhere, and nothing else may be tried.
    Refused(Finding),
}

/// What a climb looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Goal {
    Anchor,
    Verified,
}

/// One walk, with what it has used up.
pub(super) struct Climb<'a> {
    presented: &'a [Certificate],
    stored: &'a [Stored<'a>],
    verified: &'a [Certificate],
    now: Timestamp,
    /// The way so far, leaf first.
    way: Vec<&'a Certificate>,
    used: Vec<&'a Certificate>,
    signatures_left: usize,
    /// The first unverified certificate that issued a link.
    unverified: Option<usize>,
    /// The proposals that were met, when somebody watches.
    steps: Option<Vec<Step<'a>>>,
}

/// A certificate that was proposed as the issuer of another, as a watched climb met it.
pub(super) struct Step<'a> {
    /// The way up to the one whose issuer was sought, leaf first.
    pub(super) below: Vec<&'a Certificate>,
    /// The proposed issuer.
    pub(super) issuer: &'a Certificate,
    /// Whether it is trusted by itself.
    pub(super) trusted: bool,
    /// Why it is not the issuer, or why its signature does not count.
    pub(super) fault: Option<Finding>,
}

impl<'a> Climb<'a> {
    pub(super) fn new(
        leaf: &'a Certificate,
        presented: &'a [Certificate],
        stored: &'a [Stored<'a>],
        verified: &'a [Certificate],
        now: Timestamp,
    ) -> Self {
        Climb {
            presented,
            stored,
            verified,
            now,
            way: vec![leaf],
            used: vec![leaf],
            signatures_left: SIGNATURES,
            unverified: None,
            steps: None,
        }
    }

    /// The same walk, keeping what it meets.
    pub(super) fn watched(mut self) -> Self {
        self.steps = Some(Vec::new());
        self
    }

    /// What a watched walk met.
    pub(super) fn into_steps(self) -> Vec<Step<'a>> {
        self.steps.unwrap_or_default()
    }

    /// The subjects on the way, the leaf's first.
    pub(super) fn subjects(&self) -> Vec<String> {
        self.way
            .iter()
            .map(|certificate| certificate.subject_name().to_owned())
            .collect()
    }

    /// Climbs to the first trusted certificate of an enrollment and gives its place.
    pub(super) fn reach_anchor(&mut self) -> Result<usize, Finding> {
        match self.up(Goal::Anchor) {
            End::Anchor(place) => Ok(place),
            End::Verified => Err(self.stop()),
            End::Nowhere(finding) => Err(self.not_verified().unwrap_or(finding)),
            End::Refused(finding) => Err(finding),
        }
    }

    /// Climbs on from a trusted certificate until a verified one is reached.
    pub(super) fn reach_verified(&mut self) -> Result<(), Finding> {
        let top = self.way.last().copied();
        if top.is_some_and(|top| self.verified.contains(top)) {
            return Ok(());
        }
        let name = top.map(|top| top.subject_name().to_owned());
        match self.up(Goal::Verified) {
            End::Verified => Ok(()),
            End::Anchor(_) => Err(self.stop()),
            End::Nowhere(finding) | End::Refused(finding) => Err(Finding::new(
                "x509.chain_not_verified",
                "a chain to a verified CA certificate: this service asks it of every group",
                format!(
                    "the group's certificate '{}' is not verified, and above it: {}",
                    name.unwrap_or_default(),
                    finding.seen
                ),
                "verify the group's certificate or a CA above it and let the device send all \
                 between; or do not ask for verified chains in this service",
            )),
        }
    }

    /// One step: proposes issuers of the last certificate, and goes on from the one that signed.
    fn up(&mut self, goal: Goal) -> End {
        let Some(current) = self.way.last().copied() else {
            return End::Nowhere(self.stop());
        };
        if self.way.len() > DEEPEST {
            return End::Refused(stops::too_much(format!("more than {DEEPEST} steps")));
        }
        let (proposals, left_out) = self.namesakes(current);
        let proposed = proposals.len();
        let mut first = None;
        let mut mismatches = 0;
        let mut anchor_broke_a_rule = false;
        for (standing, proposal) in proposals {
            let anchor = matches!(standing, Standing::Anchor(_)) && goal == Goal::Anchor;
            if anchor_broke_a_rule && !anchor {
                break;
            }
            let trusted = matches!(standing, Standing::Anchor(_) | Standing::Verified);
            let signed = self.signed(current, proposal);
            if signed != Err(None) {
                self.keep(proposal, trusted, signed.err().flatten());
            }
            match signed {
                Ok(()) => {}
                Err(Some(SignatureFault::Mismatch)) => {
                    mismatches += 1;
                    continue;
                }
                Err(Some(fault)) => {
                    first.get_or_insert_with(|| stops::weak(current, proposal, fault));
                    continue;
                }
                Err(None) => {
                    return End::Refused(stops::too_much(format!(
                        "more than {SIGNATURES} signatures"
                    )));
                }
            }
            let checked = issuer::check(proposal, &self.way, trusted, self.now, &mut FirstFailure);
            if let Err(finding) = checked {
                anchor_broke_a_rule |= anchor;
                first.get_or_insert(finding);
                continue;
            }
            self.used.push(proposal);
            self.way.push(proposal);
            match (standing, goal) {
                (Standing::Anchor(place), Goal::Anchor) => return End::Anchor(place),
                (_, Goal::Verified) if self.verified.contains(proposal) => return End::Verified,
                (Standing::Unverified(place), _) => {
                    self.unverified.get_or_insert(place);
                }
                _ => {}
            }
            match self.up(goal) {
                End::Nowhere(finding) => {
                    first.get_or_insert(finding);
                    self.way.pop();
                }
                end => return end,
            }
        }
        match first {
            Some(finding) if anchor_broke_a_rule => End::Refused(finding),
            Some(finding) => End::Nowhere(finding),
            None if mismatches > 0 => End::Nowhere(stops::forged(current, proposed + left_out)),
            None => End::Nowhere(self.stop()),
        }
    }

    /// The certificates that could have issued `current` by name, the weightiest first, and how
    /// many more there are than are tried.
    fn namesakes(&self, current: &Certificate) -> (Vec<(Standing, &'a Certificate)>, usize) {
        let stored = self.stored.iter().enumerate().map(|(place, stored)| {
            let standing = match stored.unverified {
                None => Standing::Anchor(place),
                Some(_) => Standing::Unverified(place),
            };
            (standing, stored.certificate)
        });
        let verified = self.verified.iter().map(|c| (Standing::Verified, c));
        let presented = self.presented.iter().map(|c| (Standing::Presented, c));
        let mut all: Vec<(Standing, &'a Certificate)> = stored
            .chain(verified)
            .chain(presented)
            .filter(|(_, c)| c.subject_dn_raw() == current.issuer_dn_raw())
            .filter(|(_, c)| !self.used.contains(c))
            .collect();
        all.sort_by_key(|(standing, _)| *standing);
        let mut proposals: Vec<(Standing, &'a Certificate)> = Vec::new();
        for (standing, certificate) in all {
            if !proposals.iter().any(|(_, known)| *known == certificate) {
                proposals.push((standing, certificate));
            }
        }
        proposals.sort_by_key(|(standing, c)| (!hinted(current, c), *standing));
        let left_out = proposals.len().saturating_sub(MOST_NAMESAKES);
        proposals.truncate(MOST_NAMESAKES);
        proposals.sort_by_key(|(standing, _)| *standing);
        (proposals, left_out)
    }

    /// Checks one signature within the budget; `Err(None)` when the budget is used up.
    fn signed(
        &mut self,
        current: &Certificate,
        issuer: &Certificate,
    ) -> Result<(), Option<SignatureFault>> {
        self.signatures_left = self.signatures_left.checked_sub(1).ok_or(None)?;
        signature::verify(current, issuer).map_err(Some)
    }

    /// Keeps a proposal for whoever watches.
    fn keep(&mut self, issuer: &'a Certificate, trusted: bool, fault: Option<SignatureFault>) {
        let Some(steps) = &mut self.steps else {
            return;
        };
        let fault = self
            .way
            .last()
            .zip(fault)
            .map(|(current, fault)| match fault {
                SignatureFault::Mismatch => stops::forged(current, 1),
                weak => stops::weak(current, issuer, weak),
            });
        steps.push(Step {
            below: self.way.clone(),
            issuer,
            trusted,
            fault,
        });
    }

    fn not_verified(&self) -> Option<Finding> {
        let stored = self.stored.get(self.unverified?)?;
        Some(stops::not_verified(stored.unverified?, stored.certificate))
    }

    fn stop(&self) -> Finding {
        stops::at(&self.way, self.presented.len() + 1)
    }
}

/// Whether the key identifiers agree that `issuer` may have issued `current`.
fn hinted(current: &Certificate, issuer: &Certificate) -> bool {
    let wanted = &current.facts().authority_key_id;
    wanted.is_some() && *wanted == issuer.facts().subject_key_id
}
