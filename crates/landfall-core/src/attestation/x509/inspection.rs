//! What each certificate of a chain is worth in its place, check by check, for an operator who asks
//! before a device does. The checks and the walk are the judge's own; whether the device is let in is
//! the judge's to say, in [`crate::authentication`].

mod hints;

use super::checks::{Checked, EveryCheck};
use super::group::{Anchor, AnchorSource, Reference};
use super::path::{Climb, Step, Stored};
use super::{check_enrolled, issuer, leaf};
use crate::attestation::Slots;
use crate::certificate::{Certificate, signature};
use crate::clock::Timestamp;
use crate::id::{CertificateName, EnrollmentGroupId, RegistrationId};
use crate::trace::Finding;

/// The check of a leaf's key, which TLS makes before anybody asks what the certificate is worth.
const KEY: &str = "x509.key";

/// The check that a leaf is the enrolled one.
const THUMBPRINT: &str = "x509.thumbprint";

/// The check that the way from one certificate to the next is a signature.
const SIGNATURE: &str = "x509.issuer_signature";

/// Who holds a certificate of the chain on the server's side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// It stands in an enrollment group.
    Group(EnrollmentGroupId),
    /// It is uploaded under this name, and possession of its key was proved.
    Verified(Option<CertificateName>),
    /// It is uploaded under this name, and nobody proved anything yet.
    Unverified(CertificateName),
}

/// One certificate of a chain, in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The certificate.
    pub certificate: Certificate,
    /// Its place in what the device sends, counted from 0; `None` for one that only the server has.
    pub sent: Option<usize>,
    /// Who holds it on the server's side.
    pub holder: Option<Holder>,
    /// Its checks in their order; none when nobody had to look at it.
    pub checks: Vec<Checked>,
}

impl Link {
    /// The first check that it failed.
    pub fn finding(&self) -> Option<&Finding> {
        self.checks
            .iter()
            .find_map(|checked| checked.finding.as_ref())
    }
}

/// A chain, link by link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// What was sent, in its order, then what the server added.
    pub links: Vec<Link>,
    /// What is no check and still tells a mistake, a sentence each.
    pub hints: Vec<String>,
}

impl Inspection {
    /// The first check that any link failed.
    pub fn finding(&self) -> Option<&Finding> {
        self.links.iter().find_map(Link::finding)
    }

    /// Why TLS would not take the leaf's key.
    pub fn key_finding(&self) -> Option<&Finding> {
        let leaf = self.links.first()?.finding()?;
        (leaf.check == KEY).then_some(leaf)
    }
}

/// What the server has for the way up.
#[derive(Clone, Copy)]
struct Known<'a> {
    stored: &'a [Stored<'a>],
    holders: &'a [(&'a Certificate, Holder)],
    verified: &'a [Certificate],
}

/// Inspects a chain, leaf first, against the client certificates of an individual enrollment. Only the
/// leaf counts there.
pub fn inspect_individual(
    chain: &[Certificate],
    slots: &Slots<Certificate>,
    registration_id: &RegistrationId,
    now: Timestamp,
) -> Inspection {
    let mut links = links_of(chain);
    if let Some((first, leaf)) = links.first_mut().zip(chain.first()) {
        let mut checks = with_key_checked(leaf);
        // An inspection's checks never end early.
        let _ = check_enrolled(slots, leaf, registration_id, now, &mut checks);
        first.checks = checks.0;
    }
    let mut hints = hints::of(chain, Some(registration_id));
    if chain.len() > 1 {
        hints.push(
            "An individual enrollment looks at the first certificate alone; the others are ignored."
                .to_owned(),
        );
    }
    Inspection { links, hints }
}

/// Inspects a chain, leaf first, against the enrollment groups of a service, as
/// [`super::find_group`] judges it.
pub fn inspect_group(
    chain: &[Certificate],
    anchors: &[Anchor],
    verified: &[Certificate],
    registration_id: &RegistrationId,
    now: Timestamp,
    require_verified_chain: bool,
) -> Inspection {
    let stored: Vec<Stored<'_>> = anchors.iter().map(Anchor::stored).collect();
    let holders: Vec<_> = anchors
        .iter()
        .map(|anchor| {
            let holder = match &anchor.source {
                AnchorSource::CaReference {
                    name,
                    verified: false,
                } => Holder::Unverified(name.clone()),
                _ => Holder::Group(anchor.group.clone()),
            };
            (&anchor.certificate, holder)
        })
        .collect();
    let known = Known {
        stored: &stored,
        holders: &holders,
        verified,
    };
    inspect_issued(
        chain,
        known,
        Some(registration_id),
        now,
        require_verified_chain,
    )
}

/// Inspects a chain, leaf first, against the CA certificates that an individual enrollment names, as
/// [`super::check_individual_ca_reference`] judges it.
pub fn inspect_references(
    chain: &[Certificate],
    references: &[Reference],
    verified: &[Certificate],
    registration_id: &RegistrationId,
    now: Timestamp,
) -> Inspection {
    let stored: Vec<Stored<'_>> = references.iter().filter_map(Reference::stored).collect();
    let holders: Vec<_> = references
        .iter()
        .filter_map(|reference| {
            let name = reference.name.clone();
            let holder = if reference.verified {
                Holder::Verified(Some(name))
            } else {
                Holder::Unverified(name)
            };
            Some((reference.certificate.as_ref()?, holder))
        })
        .collect();
    let known = Known {
        stored: &stored,
        holders: &holders,
        verified,
    };
    inspect_issued(chain, known, Some(registration_id), now, false)
}

/// Inspects a chain, leaf first, by itself: what would keep it out whatever the enrollment is. A single
/// self-signed certificate is taken for one that is enrolled individually.
///
/// Without a registration id the leaf's CN is taken for it.
pub fn inspect_unenrolled(
    chain: &[Certificate],
    registration_id: Option<&RegistrationId>,
    now: Timestamp,
) -> Inspection {
    match chain {
        [only] if only.is_self_issued() => {
            let Some(slots) = Slots::new(Some(only.clone()), None) else {
                return Inspection {
                    links: Vec::new(),
                    hints: Vec::new(),
                };
            };
            match registration_id.cloned().or_else(|| id_of(only)) {
                Some(id) => {
                    let mut inspection = inspect_individual(chain, &slots, &id, now);
                    for link in &mut inspection.links {
                        // It was held against itself.
                        link.checks.retain(|checked| checked.check != THUMBPRINT);
                    }
                    inspection
                }
                None => inspect_issued(chain, Known::nothing(), None, now, false),
            }
        }
        _ => inspect_issued(chain, Known::nothing(), registration_id, now, false),
    }
}

impl Known<'_> {
    fn nothing() -> Self {
        Known {
            stored: &[],
            holders: &[],
            verified: &[],
        }
    }

    fn holder(&self, certificate: &Certificate) -> Option<Holder> {
        let held = self.holders.iter().find(|(held, _)| *held == certificate);
        let verified = || {
            self.verified
                .contains(certificate)
                .then_some(Holder::Verified(None))
        };
        held.map(|(_, holder)| holder.clone()).or_else(verified)
    }
}

fn inspect_issued(
    chain: &[Certificate],
    known: Known<'_>,
    registration_id: Option<&RegistrationId>,
    now: Timestamp,
    require_verified_chain: bool,
) -> Inspection {
    let mut links = links_of(chain);
    let Some((leaf, presented)) = chain.split_first() else {
        return Inspection {
            links,
            hints: Vec::new(),
        };
    };
    // The leaf by itself.
    let mut checks = with_key_checked(leaf);
    let own_id = id_of(leaf);
    match registration_id.or(own_id.as_ref()) {
        Some(id) => {
            // An inspection's checks never end early.
            let _ = leaf::check_issued(leaf, id, now, &mut checks);
        }
        None => {
            let finding = Some(leaf::names_no_id(leaf));
            checks.0.push(Checked::new("x509.common_name", finding));
        }
    }
    if let Some(first) = links.first_mut() {
        first.checks = checks.0;
    }
    // The way up, as far as it goes.
    let mut climb = Climb::new(leaf, presented, known.stored, known.verified, now).watched();
    if climb.reach_anchor().is_ok() && require_verified_chain {
        let _ = climb.reach_verified();
    }
    let steps = climb.into_steps();
    for step in &steps {
        if step.fault.is_none() || steps.iter().all(|other| !other.excuses(step)) {
            enter(&mut links, step, now);
        }
    }
    for link in &mut links {
        link.holder = known.holder(&link.certificate);
    }
    Inspection {
        links,
        hints: hints::of(chain, registration_id),
    }
}

impl Step<'_> {
    /// Whether it is no fault of `other` that it did not sign: this one did, or the certificate is a
    /// root, and `other` is nobody's that the device sent with it.
    fn excuses(&self, other: &Step<'_>) -> bool {
        let another_signed = self.fault.is_none() && self.below == other.below;
        let root = other.below.last().is_some_and(|top| top.is_self_issued());
        another_signed || (root && !other.trusted)
    }
}

/// Enters what a proposed issuer is worth; what was entered before stands.
fn enter(links: &mut Vec<Link>, step: &Step<'_>, now: Timestamp) {
    let mut checks = EveryCheck(vec![Checked::new(SIGNATURE, step.fault.clone())]);
    if step.fault.is_none() {
        // An inspection's checks never end early.
        let _ = issuer::check(step.issuer, &step.below, step.trusted, now, &mut checks);
    }
    match links
        .iter_mut()
        .find(|link| link.certificate == *step.issuer)
    {
        Some(link) if link.checks.is_empty() => link.checks = checks.0,
        Some(_) => {}
        None => links.push(Link {
            certificate: step.issuer.clone(),
            sent: None,
            holder: None,
            checks: checks.0,
        }),
    }
}

fn links_of(chain: &[Certificate]) -> Vec<Link> {
    chain
        .iter()
        .enumerate()
        .map(|(place, certificate)| Link {
            certificate: certificate.clone(),
            sent: Some(place),
            holder: None,
            checks: Vec::new(),
        })
        .collect()
}

fn with_key_checked(leaf: &Certificate) -> EveryCheck {
    let finding = signature::key_strength(leaf).err().map(|fault| {
        Finding::new(
            KEY,
            "a key that the server's TLS takes: RSA of 2048 to 8192 bits, P-256, P-384, P-521 or Ed25519",
            format!("the key of '{}' is {fault}", leaf.subject_name()),
            "give the device a new key and a certificate for it",
        )
    });
    EveryCheck(vec![Checked {
        check: KEY,
        finding,
    }])
}

fn id_of(leaf: &Certificate) -> Option<RegistrationId> {
    RegistrationId::parse(&leaf.common_name().ok()?).ok()
}
