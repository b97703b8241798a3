//! Hubs themselves: their revisions, their policies, and their end.

use landfall_core::administration::Condition;
use landfall_core::audit::Author;
use landfall_core::error::Error;
use landfall_core::id::PolicyName;
use landfall_core::policy::PolicyRequest;
use landfall_core::policy::rotation::RotationRequest;
use landfall_core::store::{Change, CommitError, Guard};

use super::House;
use crate::device::Hub;
use crate::policies::HubPolicies;
use crate::policy::Permissions;
use crate::store::{HubExpect, HubStore, HubWrite};

pub(super) async fn run<S: HubStore>(house: &House<S>) {
    policies_change_in_the_state_that_was_read(house).await;
    a_hub_ends_in_the_state_that_was_read(house).await;
}

impl<S: HubStore> House<S> {
    async fn hub(&self) -> Hub {
        let hub = self.store.hub(&self.hub).await.expect("readable");
        hub.expect("a hub that is there")
    }

    fn policies<'a>(&'a self, hub: &'a Hub) -> HubPolicies<'a, S> {
        HubPolicies {
            store: &*self.store,
            hub,
            caller: Permissions::ALL,
            entropy: &*self.entropy,
            author: Author::server(self.clock.now(), &*self.entropy),
        }
    }
}

async fn policies_change_in_the_state_that_was_read<S: HubStore>(house: &House<S>) {
    let before = house.hub().await;
    let name = PolicyName::parse("reader").expect("a name");
    let request = PolicyRequest {
        rights: Some(Permissions::REGISTRY_READ),
        primary: None,
        secondary: None,
    };
    let made = house
        .policies(&before)
        .put(&name, &request, &Condition::Unstated)
        .await
        .expect("made");
    assert_eq!(made.revision, before.revision + 1);
    assert_ne!(made.etag(), before.etag());
    assert_eq!(house.hub().await, made);

    // Whoever read the hub before sees that it has changed, and so does whoever names that state.
    let rotation = RotationRequest::default();
    let known = Condition::Etag(before.etag());
    for stale in [
        house
            .policies(&before)
            .delete(&name, &Condition::Unstated)
            .await,
        house.policies(&made).delete(&name, &known).await,
        house.policies(&made).rotate(&name, &rotation, &known).await,
    ] {
        assert!(
            matches!(
                stale,
                Err(Error::OtherNotFound(_) | Error::PreconditionFailed(_))
            ),
            "{stale:?}"
        );
    }
    let owner = PolicyName::parse("iothubowner").expect("a name");
    let raced = house
        .policies(&before)
        .rotate(&owner, &rotation, &Condition::Present)
        .await;
    assert!(
        matches!(raced, Err(Error::PreconditionFailed(_))),
        "{raced:?}"
    );
    let rotated = house
        .policies(&made)
        .rotate(&owner, &rotation, &Condition::Etag(made.etag()))
        .await
        .expect("rotated");
    let keys = |hub: &Hub| {
        let policy = hub.policies.iter().find(|policy| policy.name == owner);
        policy.expect("the owner").keys.clone()
    };
    assert_eq!(keys(&rotated).secondary, keys(&made).primary);
    assert_ne!(keys(&rotated).primary, keys(&made).primary);
}

async fn a_hub_ends_in_the_state_that_was_read<S: HubStore>(house: &House<S>) {
    house.device("dev").await;
    let before = house.hub().await;
    let end = |expect, guards| Change {
        guards,
        ..Change::of_hub(vec![HubWrite::DeleteHub(house.hub.clone(), expect)])
    };
    let commit = async |change| {
        let mut answers = house.store.commit(vec![change]).await;
        answers.pop().expect("one answer for one change")
    };
    let known = HubExpect::Revision(before.revision);
    let empty = vec![Guard::NoDeviceOn(house.hub.clone())];
    let refused = commit(end(known, empty.clone())).await;
    assert!(
        matches!(refused, Err(CommitError::Exists(_))),
        "{refused:?}"
    );
    let other = HubExpect::Revision(before.revision + 1);
    let refused = commit(end(other, Vec::new())).await;
    assert!(
        matches!(refused, Err(CommitError::Changed(_))),
        "{refused:?}"
    );
    assert_eq!(house.hub().await, before);
    assert_eq!(commit(end(known, Vec::new())).await, Ok(()));
    assert_eq!(house.store.hub(&house.hub).await, Ok(None));
    let refused = commit(end(known, empty)).await;
    assert!(
        matches!(refused, Err(CommitError::Absent(_))),
        "{refused:?}"
    );

    // One of its name has neither its devices nor its revisions.
    let put = HubWrite::PutHub(Box::new(before.clone()), HubExpect::Absent);
    house.commit(vec![put]).await.expect("a new hub");
    assert!(house.hub().await.revision > before.revision);
    let counts = house.store.device_counts(&house.hub).await;
    assert_eq!(counts.map(|counts| counts.total), Ok(0));
}
