//! The names that a CA is allowed to issue for, held against the certificates below it.
//!
//! Directory names are compared with every subject below; DNS names and addresses with the
//! alternative names there, so that a leaf with a CN alone is untouched by them. Constraints in
//! forms that nobody evaluates here refuse the chain when they are critical.
//! Source: docs/protocol/x509.md §2.3.

use crate::certificate::name::Folded;
use crate::certificate::{Certificate, der};
use crate::trace::Finding;

/// A subtree of names of one form.
#[derive(Debug, PartialEq, Eq)]
enum Subtree {
    Directory(Folded),
    Dns(String),
    Address(Vec<u8>),
    Unevaluated,
}

/// A name that a certificate claims.
#[derive(Debug, PartialEq, Eq)]
enum Claim {
    Directory(Folded),
    Dns(String),
    Address(Vec<u8>),
}

#[derive(Debug, Default)]
struct Constraints {
    permitted: Vec<Subtree>,
    excluded: Vec<Subtree>,
}

/// Checks the certificates below `issuer`, leaf first, against its name constraints.
pub(super) fn check(issuer: &Certificate, below: &[&Certificate]) -> Result<(), Finding> {
    let Some((value, critical)) = &issuer.facts().name_constraints else {
        return Ok(());
    };
    let constraints = parse(value)
        .ok_or_else(|| refusal(issuer, "its name constraints cannot be read".to_owned()))?;
    let mut subtrees = constraints.permitted.iter().chain(&constraints.excluded);
    if *critical && subtrees.any(|subtree| *subtree == Subtree::Unevaluated) {
        return Err(refusal(
            issuer,
            "its critical name constraints use a form that is not evaluated here".to_owned(),
        ));
    }
    for (position, certificate) in below.iter().enumerate() {
        // RFC 5280 §4.2.1.9: a CA's renewal of its own certificate is exempt, a leaf never is.
        if position > 0 && certificate.is_self_issued() {
            continue;
        }
        let claims = claims(certificate).ok_or_else(|| {
            refusal(
                issuer,
                format!(
                    "the alternative names of '{}' cannot be read",
                    certificate.subject_name()
                ),
            )
        })?;
        if !claims.iter().all(|claim| constraints.allow(claim)) {
            return Err(refusal(
                issuer,
                format!(
                    "'{}' lies outside its name constraints",
                    certificate.subject_name()
                ),
            ));
        }
    }
    Ok(())
}

fn refusal(issuer: &Certificate, seen: String) -> Finding {
    Finding::new(
        "x509.name_constraints",
        format!(
            "names that the CA '{}' may issue for",
            issuer.subject_name()
        ),
        seen,
        "issue the device's certificate with a subject inside the CA's name constraints, or from \
         another CA",
    )
}

impl Constraints {
    fn allow(&self, claim: &Claim) -> bool {
        let excluded = self
            .excluded
            .iter()
            .any(|subtree| covers(subtree, claim) == Some(true));
        let mut verdicts = self
            .permitted
            .iter()
            .filter_map(|subtree| covers(subtree, claim))
            .peekable();
        let free = verdicts.peek().is_none();
        !excluded && (free || verdicts.any(|inside| inside))
    }
}

/// Whether `claim` lies in `subtree`; `None` when the forms differ.
fn covers(subtree: &Subtree, claim: &Claim) -> Option<bool> {
    match (subtree, claim) {
        (Subtree::Directory(base), Claim::Directory(name)) => Some(name.within(base)),
        (Subtree::Dns(base), Claim::Dns(name)) => {
            let base = base.strip_prefix('.').unwrap_or(base);
            Some(match name.strip_suffix(base) {
                Some(before) => base.is_empty() || before.is_empty() || before.ends_with('.'),
                None => false,
            })
        }
        (Subtree::Address(base), Claim::Address(address)) => {
            let (network, mask) = base.split_at_checked(base.len() / 2)?;
            Some(
                network.len() == address.len()
                    && address
                        .iter()
                        .zip(network.iter().zip(mask))
                        .all(|(octet, (network, mask))| octet & mask == network & mask),
            )
        }
        _ => None,
    }
}

/// The names that a certificate claims: its subject, when it has one, and its alternative names.
fn claims(certificate: &Certificate) -> Option<Vec<Claim>> {
    let subject = Folded::of(certificate.subject_dn_raw())?;
    let mut claims = Vec::new();
    if !subject.is_empty() {
        claims.push(Claim::Directory(subject));
    }
    if let Some(value) = &certificate.facts().alternative_names {
        for name in der::only(value, der::SEQUENCE)?.children()? {
            match name.tag {
                0x82 => claims.push(Claim::Dns(ascii_lower(name.content)?)),
                0x87 => claims.push(Claim::Address(name.content.to_vec())),
                0xa4 => claims.push(Claim::Directory(Folded::of(name.content)?)),
                _ => {}
            }
        }
    }
    Some(claims)
}

fn parse(value: &[u8]) -> Option<Constraints> {
    let mut constraints = Constraints::default();
    for side in der::only(value, der::SEQUENCE)?.children()? {
        let subtrees = match side.tag {
            0xa0 => &mut constraints.permitted,
            0xa1 => &mut constraints.excluded,
            _ => return None,
        };
        for subtree in side.children()? {
            let parts = subtree.children()?;
            let (base, bounds) = parts.split_first()?;
            subtrees.push(match base.tag {
                _ if !bounds.is_empty() => Subtree::Unevaluated,
                0x82 => Subtree::Dns(ascii_lower(base.content)?),
                0x87 if matches!(base.content.len(), 8 | 32) => {
                    Subtree::Address(base.content.to_vec())
                }
                0xa4 => Subtree::Directory(Folded::of(base.content)?),
                _ => Subtree::Unevaluated,
            });
        }
    }
    Some(constraints)
}

fn ascii_lower(content: &[u8]) -> Option<String> {
    content
        .is_ascii()
        .then(|| String::from_utf8_lossy(content).to_ascii_lowercase())
}
