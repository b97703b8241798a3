//! Records as audit entries keep them: keys and codes taken out, long documents left out.
//!
//! A record that went through here is safe to keep in the open and to show to whoever may read the
//! audit trail. Hub records do the same in `landfall-hub/src/audit.rs`.

use crate::attestation::AttestationMechanism;
use crate::certificate::ca::CaCertificate;
use crate::document::Document;
use crate::enrollment::{EnrollmentGroup, EnrollmentTerms, IndividualEnrollment};
use crate::registration::Registration;
use crate::secret::KeyPair;
use crate::service::{AccessPolicy, ProvisioningService};

/// Longest document that an entry keeps whole, in bytes.
pub const LONGEST_DOCUMENT: usize = 8 * 1024;

/// What stands where a secret part of a webhook's address was.
const HIDDEN: &str = "(hidden)";

/// A record without its secrets. Key pairs in it are [`KeyPair::hidden`].
#[derive(Debug, Clone, PartialEq)]
pub enum Record<H> {
    /// A provisioning service, with its policies.
    Service(Box<ProvisioningService>),
    /// A policy of a provisioning service.
    Policy(Box<AccessPolicy>),
    /// An individual enrollment.
    Individual(Box<IndividualEnrollment>),
    /// An enrollment group.
    Group(Box<EnrollmentGroup>),
    /// A CA certificate.
    Certificate(Box<CaCertificate>),
    /// A registration, without the payload that its device was given.
    Registration(Box<Registration>),
    /// A record of an embedded hub.
    Hub(H),
}

impl<H> Record<H> {
    /// A service without its policies' keys.
    pub fn service(service: &ProvisioningService) -> Self {
        let mut service = service.clone();
        for policy in &mut service.policies {
            policy.keys = KeyPair::hidden();
        }
        Record::Service(Box::new(service))
    }

    /// A policy without its keys.
    pub fn policy(policy: &AccessPolicy) -> Self {
        Record::Policy(Box::new(AccessPolicy {
            keys: KeyPair::hidden(),
            ..policy.clone()
        }))
    }

    /// An individual enrollment without keys and webhook codes.
    pub fn individual(enrollment: &IndividualEnrollment) -> Self {
        let mut enrollment = enrollment.clone();
        hide_keys(&mut enrollment.attestation);
        bound_terms(&mut enrollment.terms);
        bound(enrollment.device_information.as_mut());
        Record::Individual(Box::new(enrollment))
    }

    /// A group without keys and webhook codes.
    pub fn group(group: &EnrollmentGroup) -> Self {
        let mut group = group.clone();
        hide_keys(&mut group.attestation);
        bound_terms(&mut group.terms);
        Record::Group(Box::new(group))
    }

    /// A CA certificate without its verification code.
    pub fn certificate(certificate: &CaCertificate) -> Self {
        Record::Certificate(Box::new(CaCertificate {
            verification_code: None,
            ..certificate.clone()
        }))
    }

    /// A registration without its payload.
    pub fn registration(registration: &Registration) -> Self {
        Record::Registration(Box::new(Registration {
            payload: None,
            ..registration.clone()
        }))
    }
}

fn hide_keys(mechanism: &mut AttestationMechanism) {
    if let AttestationMechanism::SymmetricKey(keys) = mechanism {
        *keys = KeyPair::hidden();
    }
}

fn bound_terms(terms: &mut EnrollmentTerms) {
    if let Some(twin) = &mut terms.initial_twin {
        bound(twin.tags.as_mut());
        bound(twin.desired.as_mut());
    }
    if let Some(webhook) = &mut terms.custom_allocation {
        webhook.webhook_url = shown_address(&webhook.webhook_url);
    }
}

fn bound(document: Option<&mut Document>) {
    if let Some(document) = document {
        *document = document.at_most(LONGEST_DOCUMENT);
    }
}

/// An address without what may be a secret in it: user, password, query and fragment.
fn shown_address(url: &str) -> String {
    let (path, rest) = match url.find(['?', '#']) {
        Some(at) => url.split_at(at),
        None => (url, ""),
    };
    let (scheme, after) = match path.find("://") {
        Some(at) => path.split_at(at + 3),
        None => ("", path),
    };
    let (authority, below) = match after.find('/') {
        Some(at) => after.split_at(at),
        None => (after, ""),
    };
    let host = match authority.rsplit_once('@') {
        Some((_, host)) => format!("{HIDDEN}@{host}"),
        None => authority.to_owned(),
    };
    let rest = rest.chars().next().map(|mark| format!("{mark}{HIDDEN}"));
    format!("{scheme}{host}{below}{}", rest.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_parts_of_an_address_are_not_shown() {
        for (address, shown) in [
            ("https://f.example/api/x", "https://f.example/api/x"),
            (
                "https://f.example/api?code=hush",
                "https://f.example/api?(hidden)",
            ),
            ("https://f.example?code=a#b?c", "https://f.example?(hidden)"),
            ("https://f.example/#hush", "https://f.example/#(hidden)"),
            (
                "https://me:hush@f.example:8443/a@b",
                "https://(hidden)@f.example:8443/a@b",
            ),
            ("me:hush@f.example/?", "(hidden)@f.example/?(hidden)"),
            ("", ""),
        ] {
            assert_eq!(shown_address(address), shown, "{address}");
        }
    }
}
