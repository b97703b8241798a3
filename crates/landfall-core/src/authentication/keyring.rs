//! The keys of every group of a service, ready to be held against a token: nothing in a token says
//! which group its key came from. What is found here is checked once more by who asks, with the
//! group's own record.

use crate::attestation::AttestationMechanism;
use crate::enrollment::EnrollmentGroup;
use crate::id::RegistrationId;
use crate::sas::SasToken;
use crate::secret::prepared::{PaddedText, PreparedKey};

/// The keys of groups in the order in which they are tried: 128 bytes for each group.
pub(super) struct Keyring(Vec<[PreparedKey; 2]>);

/// What a search came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Search {
    /// The place of the first group with a key that made the token.
    pub(super) place: Option<usize>,
    /// How many signatures were made to find it.
    pub(super) signatures: usize,
}

impl Keyring {
    /// Makes the keys of `groups` ready. Groups without keys are not to be among them: they would hold
    /// a place that opens nothing.
    pub(super) fn new<'g>(groups: impl Iterator<Item = &'g EnrollmentGroup>) -> Self {
        let ready = |group: &EnrollmentGroup| match &group.attestation {
            AttestationMechanism::SymmetricKey(keys) => {
                [&keys.primary, &keys.secondary].map(|key| PreparedKey::new(key.bytes()))
            }
            _ => [(); 2].map(|()| PreparedKey::new(&[])),
        };
        Keyring(groups.map(ready).collect())
    }

    /// Holds a token against each group's keys, as [`crate::attestation::symmetric_key`] does against
    /// one group's: the id as the device spells it, then in lower case.
    pub(super) fn search(&self, token: &SasToken, registration_id: &RegistrationId) -> Search {
        let text = PaddedText::new(token.signed_text());
        let spelt = PaddedText::new(registration_id.as_str().as_bytes());
        let lower = (registration_id.as_str() != registration_id.key())
            .then(|| PaddedText::new(registration_id.key().as_bytes()));
        let mut signatures = 0;
        let place = self.0.iter().position(|pair| {
            std::iter::once(&spelt).chain(&lower).any(|id| {
                signatures += 4;
                // Both are tried whatever the first says, so that the time does not tell which it was.
                let [primary, secondary] = pair.each_ref().map(|key| {
                    let device = key.sign(id);
                    token.bears(&PreparedKey::new(&*device).sign(&text))
                });
                primary | secondary
            })
        });
        Search { place, signatures }
    }
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keyring({} groups, hidden)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authentication::tests::{group, keys};
    use crate::clock::Timestamp;
    use crate::enrollment::ProvisioningStatus::Enabled;
    use crate::sas::sign;
    use crate::secret::SymmetricKey;

    fn search(count: u8, id: &str, key: &SymmetricKey) -> Search {
        let groups: Vec<_> = (0..count)
            .map(|n| group(&format!("g-{n}"), 2 * n + 1, Enabled))
            .collect();
        let until = Timestamp::from_unix_seconds(2_000_000_000);
        let token = sign(&format!("0ne/registrations/{id}"), key, None, until);
        let token = SasToken::parse(&token).expect("a token");
        let id = RegistrationId::parse(id).expect("an id");
        Keyring::new(groups.iter()).search(&token, &id)
    }

    #[test]
    fn a_search_makes_two_signatures_for_each_key_until_it_finds_the_group() {
        let first = keys(1).derive("dev-1");
        let last = keys(99).derive("dev-1");
        let found = |place, signatures| Search { place, signatures };
        assert_eq!(search(50, "dev-1", &first.primary), found(Some(0), 4));
        assert_eq!(search(50, "dev-1", &first.secondary), found(Some(0), 4));
        assert_eq!(search(50, "dev-1", &last.secondary), found(Some(49), 200));
        assert_eq!(search(49, "dev-1", &last.secondary), found(None, 196));
        assert_eq!(search(0, "dev-1", &first.primary), found(None, 0));
    }

    #[test]
    fn an_id_with_capitals_is_tried_in_lower_case_too() {
        let lower = keys(99).derive("dev-1").primary;
        let spelt = keys(99).derive("Dev-1").primary;
        let place = |key| search(50, "Dev-1", key).place;
        assert_eq!((place(&lower), place(&spelt)), (Some(49), Some(49)));
        assert_eq!(search(49, "Dev-1", &lower).signatures, 2 * 196);
        let other = keys(99).derive("DEV-1").primary;
        assert_eq!(place(&other), None);
    }
}
