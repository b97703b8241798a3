//! What a returning device keeps, takes along or loses.
//!
//! Source: docs/protocol/service-api.md §8.4 [D], docs/protocol/hub-api.md §1.10 [I].

use crate::enrollment::ReprovisionPolicy;
use crate::id::{DeviceId, HubHostName};
use crate::linked_hub::Manner;
use crate::registration::{Assignment, Substatus};

/// The newest device api version whose callers keep their hub when no policy is stored.
///
/// Source: docs/protocol/service-api.md §8.4 [D].
const LAST_STICKY_API_VERSION: &str = "2018-04-01";

/// The policy in force: the stored one, else what the caller's api version means.
pub fn policy_in_force(stored: Option<ReprovisionPolicy>, api_version: &str) -> ReprovisionPolicy {
    let date = api_version.get(..10).unwrap_or(api_version);
    match stored {
        Some(policy) => policy,
        None if date <= LAST_STICKY_API_VERSION => ReprovisionPolicy {
            update_hub_assignment: false,
            migrate_device_data: false,
        },
        None => ReprovisionPolicy::default(),
    }
}

/// How to place a device on `hub` that had `before`, and the substatus it will read.
pub fn manner(
    before: Option<&Assignment>,
    policy: ReprovisionPolicy,
    hub: &HubHostName,
    device_id: &DeviceId,
) -> (Manner, Substatus) {
    let Some(before) = before else {
        return (Manner::Create, Substatus::InitialAssignment);
    };
    let stays = before.hub == *hub && before.device_id == *device_id;
    let from = (before.hub.clone(), before.device_id.clone());
    match (
        stays,
        policy.update_hub_assignment,
        policy.migrate_device_data,
    ) {
        (true, true, false) => (Manner::Reset, Substatus::DeviceDataReset),
        (true, _, _) => (Manner::Keep, Substatus::ReprovisionedToInitialAssignment),
        (false, _, true) => (Manner::Migrate { from }, Substatus::DeviceDataMigrated),
        (false, _, false) => (Manner::Move { from }, Substatus::DeviceDataReset),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hub: &str, device: &str) -> Assignment {
        Assignment {
            hub: HubHostName::parse(hub).expect("a name"),
            device_id: DeviceId::parse(device).expect("an id"),
            substatus: Substatus::InitialAssignment,
        }
    }

    fn outcome(
        before: Option<&Assignment>,
        update: bool,
        migrate: bool,
        hub: &str,
    ) -> (Manner, Substatus) {
        let policy = ReprovisionPolicy {
            update_hub_assignment: update,
            migrate_device_data: migrate,
        };
        let place = at(hub, "d");
        manner(before, policy, &place.hub, &place.device_id)
    }

    #[test]
    fn first_time_is_an_initial_assignment() {
        assert_eq!(
            outcome(None, true, true, "a.x"),
            (Manner::Create, Substatus::InitialAssignment)
        );
    }

    #[test]
    fn returning_device_keeps_its_hub_when_policy_says_so() {
        let before = at("a.x", "d");
        let kept = (Manner::Keep, Substatus::ReprovisionedToInitialAssignment);
        assert_eq!(outcome(Some(&before), true, true, "a.x"), kept);
        assert_eq!(outcome(Some(&before), false, false, "a.x"), kept);
    }

    #[test]
    fn reset_begins_anew_on_the_same_hub() {
        let before = at("a.x", "d");
        assert_eq!(
            outcome(Some(&before), true, false, "a.x"),
            (Manner::Reset, Substatus::DeviceDataReset)
        );
    }

    #[test]
    fn another_hub_gets_the_data_or_a_fresh_start() {
        let before = at("a.x", "d");
        let from = (before.hub.clone(), before.device_id.clone());
        assert_eq!(
            outcome(Some(&before), true, true, "b.x"),
            (
                Manner::Migrate { from: from.clone() },
                Substatus::DeviceDataMigrated
            )
        );
        assert_eq!(
            outcome(Some(&before), true, false, "b.x"),
            (Manner::Move { from }, Substatus::DeviceDataReset)
        );
    }

    #[test]
    fn callers_of_old_api_versions_keep_their_hub_unless_a_policy_is_stored() {
        assert!(!policy_in_force(None, "2018-04-01").update_hub_assignment);
        assert!(policy_in_force(None, "2018-09-01-preview").update_hub_assignment);
        assert!(
            policy_in_force(Some(ReprovisionPolicy::default()), "2017-11-15").update_hub_assignment
        );
    }
}
