//! What a provisioning service trusts, gathered once per version of its groups and CA certificates.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use super::keyring::Keyring;
use crate::attestation::x509::{Anchor, AnchorSource, Reference};
use crate::attestation::{AttestationMechanism, Slots, X509Attestation};
use crate::certificate::Certificate;
use crate::certificate::ca::CaCertificate;
use crate::enrollment::{EnrollmentGroup, ProvisioningStatus};
use crate::id::{CertificateName, EnrollmentGroupId};

/// Groups and CA certificates of one provisioning service, arranged for matching devices.
#[derive(Debug, Default)]
pub struct Trust {
    groups: HashMap<EnrollmentGroupId, Arc<EnrollmentGroup>>,
    symmetric: Vec<Arc<EnrollmentGroup>>,
    /// The keys of `symmetric`, made ready by the first search.
    keyring: OnceLock<Keyring>,
    anchors: Vec<Anchor>,
    gone: Vec<(EnrollmentGroupId, CertificateName)>,
    verified: Vec<Certificate>,
    authorities: HashMap<CertificateName, CaCertificate>,
}

impl Trust {
    /// Gathers what the service trusts.
    pub fn new(groups: Vec<EnrollmentGroup>, certificates: Vec<CaCertificate>) -> Self {
        let authorities: HashMap<_, _> = certificates
            .into_iter()
            .map(|certificate| (certificate.name.clone(), certificate))
            .collect();
        let mut groups: Vec<_> = groups.into_iter().map(Arc::new).collect();
        // A certificate on a disabled group is blocked, even if an enabled group holds it too: the
        // first anchor decides, so the disabled ones go first.
        groups.sort_by_key(|group| {
            (
                group.terms.status == ProvisioningStatus::Enabled,
                group.id.key().to_owned(),
            )
        });
        let mut symmetric: Vec<_> = groups
            .iter()
            .filter(|group| matches!(group.attestation, AttestationMechanism::SymmetricKey(_)))
            .cloned()
            .collect();
        // An enabled group goes before a disabled one with the same key.
        symmetric.sort_by_key(|group| group.terms.status == ProvisioningStatus::Disabled);
        Trust {
            anchors: groups
                .iter()
                .flat_map(|group| anchors_of(group, &authorities))
                .collect(),
            gone: groups
                .iter()
                .flat_map(|group| gone_from(group, &authorities))
                .collect(),
            verified: authorities
                .values()
                .filter(|authority| authority.verified)
                .map(|authority| authority.certificate.clone())
                .collect(),
            groups: groups
                .into_iter()
                .map(|group| (group.id.clone(), group))
                .collect(),
            symmetric,
            keyring: OnceLock::new(),
            authorities,
        }
    }

    /// A group by its name.
    pub fn group(&self, id: &EnrollmentGroupId) -> Option<Arc<EnrollmentGroup>> {
        self.groups.get(id).cloned()
    }

    /// All groups with symmetric keys, enabled ones first.
    pub fn symmetric(&self) -> &[Arc<EnrollmentGroup>] {
        &self.symmetric
    }

    /// The keys of [`Trust::symmetric`], in that order. Made ready when they are first asked for: a
    /// service whose devices show certificates, or were here before, never needs them.
    pub(super) fn keyring(&self) -> &Keyring {
        self.keyring
            .get_or_init(|| Keyring::new(self.symmetric.iter().map(|group| &**group)))
    }

    /// Whether a token was ever held against all groups.
    #[cfg(test)]
    pub(super) fn was_searched(&self) -> bool {
        self.keyring.get().is_some()
    }

    /// The certificates that lead to a group.
    pub fn anchors(&self) -> &[Anchor] {
        &self.anchors
    }

    /// The CA certificates whose possession was proved.
    pub fn verified(&self) -> &[Certificate] {
        &self.verified
    }

    /// The uploaded CA certificates, verified or not.
    pub fn authorities(&self) -> impl Iterator<Item = &CaCertificate> {
        self.authorities.values()
    }

    /// The groups that name a CA certificate which is not uploaded any more, with its name.
    pub fn gone(&self) -> &[(EnrollmentGroupId, CertificateName)] {
        &self.gone
    }

    /// The CA certificates that an individual enrollment names, whether uploaded still or not.
    pub fn references(&self, names: &Slots<CertificateName>) -> Vec<Reference> {
        names
            .iter()
            .map(|name| {
                let authority = self.authorities.get(name);
                Reference {
                    name: name.clone(),
                    certificate: authority.map(|authority| authority.certificate.clone()),
                    verified: authority.is_some_and(|authority| authority.verified),
                }
            })
            .collect()
    }
}

fn gone_from(
    group: &EnrollmentGroup,
    authorities: &HashMap<CertificateName, CaCertificate>,
) -> Vec<(EnrollmentGroupId, CertificateName)> {
    match &group.attestation {
        AttestationMechanism::X509(X509Attestation::CaReference(names)) => names
            .iter()
            .filter(|name| !authorities.contains_key(*name))
            .map(|name| (group.id.clone(), name.clone()))
            .collect(),
        _ => Vec::new(),
    }
}

fn anchors_of(
    group: &EnrollmentGroup,
    authorities: &HashMap<CertificateName, CaCertificate>,
) -> Vec<Anchor> {
    let anchor = |certificate: &Certificate, source| Anchor {
        certificate: certificate.clone(),
        group: group.id.clone(),
        source,
    };
    match &group.attestation {
        AttestationMechanism::X509(X509Attestation::Signing(slots)) => slots
            .iter()
            .map(|body| anchor(body, AnchorSource::SigningCertificate))
            .collect(),
        AttestationMechanism::X509(X509Attestation::CaReference(names)) => names
            .iter()
            .filter_map(|name| authorities.get(name))
            .map(|authority| {
                let source = AnchorSource::CaReference {
                    name: authority.name.clone(),
                    verified: authority.verified,
                };
                anchor(&authority.certificate, source)
            })
            .collect(),
        _ => Vec::new(),
    }
}
