//! Placements of the provisioning service: hub-api.md §1.10.

use landfall_core::document::Document;
use landfall_core::enrollment::{DeviceCapabilities, InitialTwin};
use landfall_core::linked_hub::{
    HubCredential, HubRegistry, Manner, Placed, Placement, PlacementError,
};
use landfall_core::secret::KeyPair;

use super::*;
use crate::device::{DeviceAuthentication, DeviceStatus};
use crate::registry::identity::ModuleRequest;
use crate::twin::TwinVerb;

pub(super) async fn run<S: HubStore>(here: &House<S>, there: &House<S>) {
    a_first_assignment_makes_the_device_in_one_write(here).await;
    a_certificate_becomes_its_thumbprints(here).await;
    an_edge_device_comes_with_its_modules(here).await;
    a_device_that_is_there_is_taken_over_and_keeps_its_twin(here).await;
    keeping_writes_only_what_differs(here).await;
    a_reset_leaves_nothing_of_before(here).await;
    a_migrated_device_takes_its_twin_along(here, there).await;
    a_moved_device_starts_anew(here, there).await;
    of_two_racing_placements_one_wins(here).await;
    of_racing_placements_in_one_commit_one_wins(here).await;
    a_placement_whose_hub_is_gone_harms_no_other(here).await;
    hubs_and_twins_that_cannot_be_are_refused(here).await;
}

fn keys<S>(house: &House<S>) -> HubCredential {
    HubCredential::Keys(KeyPair::draw(&*house.entropy, 32))
}

fn placement<S>(house: &House<S>, id: &str, manner: Manner) -> Placement {
    Placement {
        hub: house.hub.clone(),
        device_id: device_id(id),
        credential: keys(house),
        capabilities: DeviceCapabilities { iot_edge: false },
        initial_twin: InitialTwin {
            tags: Some(Document::parse(r#"{"environment":"test"}"#).expect("JSON")),
            desired: Some(Document::parse(r#"{"interval":5}"#).expect("JSON")),
        },
        manner,
    }
}

/// The writes of a placement.
async fn writes<S: HubStore>(house: &House<S>, placement: &Placement) -> Vec<HubWrite> {
    match house.embedded().place(placement).await {
        Ok(Placed::Writes(writes)) => writes,
        other => unreachable!("an embedded hub answers with writes: {other:?}"),
    }
}

/// Carries out a placement; gives the device.
async fn placed<S: HubStore>(house: &House<S>, placement: &Placement) -> Device {
    let writes = writes(house, placement).await;
    if !writes.is_empty() {
        house.commit(writes).await.expect("nobody else writes");
    }
    house.stored(placement.device_id.as_str()).await
}

fn asks_for(device: &Device, credential: &HubCredential) -> bool {
    match (&device.authentication, credential) {
        (DeviceAuthentication::Sas(there), HubCredential::Keys(keys)) => there == keys,
        (
            DeviceAuthentication::SelfSigned {
                primary: Some(p),
                secondary: Some(s),
            },
            HubCredential::Thumbprints { primary, secondary },
        ) => p == primary && s == secondary,
        _ => false,
    }
}

async fn a_first_assignment_makes_the_device_in_one_write<S: HubStore>(house: &House<S>) {
    let placement = placement(house, "first", Manner::Create);
    let writes = writes(house, &placement).await;
    assert!(matches!(
        writes.as_slice(),
        [HubWrite::PutDevice(_, _, HubExpect::Absent)]
    ));
    let device = placed(house, &placement).await;
    assert!(asks_for(&device, &placement.credential));
    assert_eq!(device.twin.tags.as_str(), r#"{"environment":"test"}"#);
    assert_eq!(device.twin.desired.properties.as_str(), r#"{"interval":5}"#);
    assert_eq!(device.twin.desired.version, 1);
    assert_eq!(device.status, DeviceStatus::Enabled);
}

async fn a_certificate_becomes_its_thumbprints<S: HubStore>(house: &House<S>) {
    let placement = Placement {
        credential: HubCredential::Thumbprints {
            primary: "AB".repeat(32),
            secondary: "AB".repeat(32),
        },
        ..placement(house, "x509", Manner::Create)
    };
    let device = placed(house, &placement).await;
    assert!(asks_for(&device, &placement.credential));
    assert!(writes(house, &placement).await.is_empty());
}

async fn an_edge_device_comes_with_its_modules<S: HubStore>(house: &House<S>) {
    let placement = Placement {
        capabilities: DeviceCapabilities { iot_edge: true },
        ..placement(house, "edge", Manner::Create)
    };
    let device = placed(house, &placement).await;
    assert!(device.iot_edge && device.device_scope.is_some());
    let modules = house.registry().modules_of(&device.id).await;
    assert_eq!(modules.expect("modules").len(), 2);
}

async fn a_device_that_is_there_is_taken_over_and_keeps_its_twin<S: HubStore>(house: &House<S>) {
    let before = house.device("taken").await;
    let patch = tags(r#"{"owner":"someone"}"#);
    let before = house
        .registry()
        .change_twin(&before.id, TwinVerb::Patch, &patch, &IfMatch::Any)
        .await
        .expect("a patch");
    let placement = Placement {
        capabilities: DeviceCapabilities { iot_edge: true },
        ..placement(house, "taken", Manner::Create)
    };
    let after = placed(house, &placement).await;
    assert_eq!(after.twin, before.twin);
    assert_eq!(after.generation_id, before.generation_id);
    assert!(asks_for(&after, &placement.credential));
    assert!(after.iot_edge);
    let modules = house.registry().modules_of(&after.id).await;
    assert_eq!(modules.expect("modules").len(), 2);
}

async fn keeping_writes_only_what_differs<S: HubStore>(house: &House<S>) {
    let first = placement(house, "kept", Manner::Create);
    let before = placed(house, &first).await;
    let mut again = Placement {
        manner: Manner::Keep,
        ..first
    };
    assert!(writes(house, &again).await.is_empty());
    again.credential = keys(house);
    let after = placed(house, &again).await;
    assert!(asks_for(&after, &again.credential));
    assert_eq!(after.twin, before.twin);
    assert_ne!(after.etag, before.etag);

    house
        .registry()
        .delete_device(&after.id, &IfMatch::Any)
        .await
        .expect("a device that is there");
    let made_anew = placed(house, &again).await;
    assert_eq!(made_anew.twin.tags.as_str(), r#"{"environment":"test"}"#);
}

async fn a_reset_leaves_nothing_of_before<S: HubStore>(house: &House<S>) {
    let before = placed(house, &placement(house, "reset", Manner::Create)).await;
    let registry = house.registry();
    let request = ModuleRequest {
        device_id: before.id.clone(),
        id: module_id("m"),
        managed_by: None,
        authentication: None,
    };
    registry
        .create_module(&request, &TwinContent::default())
        .await
        .expect("a module");
    registry
        .change_twin(
            &before.id,
            TwinVerb::Patch,
            &tags(r#"{"extra":1}"#),
            &IfMatch::Any,
        )
        .await
        .expect("a patch");
    let reset = placement(house, "reset", Manner::Reset);
    let after = placed(house, &reset).await;
    assert_eq!(after.twin.tags.as_str(), r#"{"environment":"test"}"#);
    assert_eq!(after.twin.desired.version, 1);
    assert_ne!(after.generation_id, before.generation_id);
    assert!(asks_for(&after, &reset.credential));
    assert_eq!(registry.modules_of(&after.id).await, Ok(Vec::new()));
    assert!(after.revision > before.revision);
}

async fn a_migrated_device_takes_its_twin_along<S: HubStore>(here: &House<S>, there: &House<S>) {
    let old = placed(here, &placement(here, "traveller", Manner::Create)).await;
    here.registry()
        .change_twin(
            &old.id,
            TwinVerb::Patch,
            &tags(r#"{"extra":1}"#),
            &IfMatch::Any,
        )
        .await
        .expect("a patch");
    let bar = DeviceRequest {
        status: Some(DeviceStatus::Disabled),
        ..plain("traveller")
    };
    here.registry()
        .update_device(&bar, &IfMatch::Any)
        .await
        .expect("an update");
    let from = (here.hub.clone(), old.id.clone());
    let move_there = placement(there, "traveller", Manner::Migrate { from });
    let arrived = placed(there, &move_there).await;
    assert_eq!(
        arrived.twin.tags.as_str(),
        r#"{"environment":"test","extra":1}"#
    );
    assert_eq!(arrived.status, DeviceStatus::Disabled);
    assert!(asks_for(&arrived, &move_there.credential));
    let gone = here.registry().device(&old.id).await;
    assert_eq!(gone, Err(HubError::DeviceNotFound(old.id)));
}

async fn a_moved_device_starts_anew<S: HubStore>(here: &House<S>, there: &House<S>) {
    let old = placed(here, &placement(here, "mover", Manner::Create)).await;
    here.registry()
        .change_twin(
            &old.id,
            TwinVerb::Patch,
            &tags(r#"{"extra":1}"#),
            &IfMatch::Any,
        )
        .await
        .expect("a patch");
    let from = (here.hub.clone(), old.id.clone());
    let arrived = placed(there, &placement(there, "mover", Manner::Move { from })).await;
    assert_eq!(arrived.twin.tags.as_str(), r#"{"environment":"test"}"#);
    let gone = here.registry().device(&old.id).await;
    assert_eq!(gone, Err(HubError::DeviceNotFound(old.id)));
}

async fn of_two_racing_placements_one_wins<S: HubStore>(house: &House<S>) {
    for (manner, id) in [
        (Manner::Create, "race-create"),
        (Manner::Keep, "race-keep"),
        (Manner::Reset, "race-reset"),
    ] {
        if manner != Manner::Create {
            house.device(id).await;
        }
        let first = writes(house, &placement(house, id, manner.clone())).await;
        let second = writes(house, &placement(house, id, manner.clone())).await;
        assert_eq!(house.commit(first).await, Ok(()), "{manner:?}");
        assert!(
            matches!(
                house.commit(second).await,
                Err(CommitError::Exists(_) | CommitError::Changed(_))
            ),
            "{manner:?}"
        );
    }
}

async fn of_racing_placements_in_one_commit_one_wins<S: HubStore>(house: &House<S>) {
    for (manner, id) in [
        (Manner::Create, "crowd-create"),
        (Manner::Reset, "crowd-reset"),
    ] {
        if manner != Manner::Create {
            house.device(id).await;
        }
        let mut changes = Vec::new();
        for _ in 0..24 {
            let placement = placement(house, id, manner.clone());
            changes.push(Change::of_hub(writes(house, &placement).await));
        }
        let answers = house.store.commit(changes).await;
        let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
        assert_eq!(won.len(), 1, "{manner:?}");
        for answer in lost {
            assert!(
                matches!(
                    answer,
                    Err(CommitError::Exists(_) | CommitError::Changed(_))
                ),
                "{manner:?}: {answer:?}"
            );
        }
    }
}

async fn a_placement_whose_hub_is_gone_harms_no_other<S: HubStore>(house: &House<S>) {
    let gone = HubHostName::parse("gone.conformance.hub").expect("a name");
    let is_lost = |n: usize| n % 8 == 3;
    let mut changes = Vec::new();
    // Many, so that most share a commit with one that is lost.
    for n in 0..32 {
        let placement = placement(house, &format!("beside-{n}"), Manner::Create);
        let mut writes = writes(house, &placement).await;
        for write in &mut writes {
            if let HubWrite::PutDevice(hub, ..) = write
                && is_lost(n)
            {
                *hub = gone.clone();
            }
        }
        changes.push(Change::of_hub(writes));
    }
    let answers = house.store.commit(changes).await;
    for (n, answer) in answers.into_iter().enumerate() {
        if is_lost(n) {
            assert!(
                matches!(answer, Err(CommitError::Absent(_))),
                "{n}: {answer:?}"
            );
        } else {
            assert_eq!(answer, Ok(()), "{n}");
            house.stored(&format!("beside-{n}")).await;
        }
    }
}

async fn hubs_and_twins_that_cannot_be_are_refused<S: HubStore>(house: &House<S>) {
    let nowhere = HubHostName::parse("nowhere.conformance.hub").expect("a name");
    let lost = Placement {
        hub: nowhere.clone(),
        ..placement(house, "lost", Manner::Create)
    };
    assert!(matches!(
        house.embedded().place(&lost).await,
        Err(PlacementError::UnknownHub(hub)) if hub == nowhere
    ));
    let mut bad = placement(house, "bad", Manner::Create);
    bad.initial_twin.tags = Some(Document::parse(r#"{"a.b":1}"#).expect("JSON"));
    assert!(matches!(
        house.embedded().place(&bad).await,
        Err(PlacementError::Refused(reason)) if reason.contains("a.b")
    ));
}
