//! Twins: hub-api.md §1.6.

use super::*;
use crate::registry::identity::ModuleRequest;
use crate::twin::TwinVerb;

pub(super) async fn run<S: HubStore>(house: &House<S>) {
    a_patch_merges_and_a_replacement_replaces(house).await;
    etags_guard_twins(house).await;
    a_refused_change_leaves_the_twin_as_it_was(house).await;
    modules_have_twins_of_their_own(house).await;
    a_slow_writer_does_not_undo_a_faster_one(house).await;
}

async fn a_patch_merges_and_a_replacement_replaces<S: HubStore>(house: &House<S>) {
    let registry = house.registry();
    let id = house.device("merge").await.id;
    let change = TwinChange {
        tags: Some(object(r#"{"environment":"test","owner":{"name":"Grüße"}}"#)),
        desired: Some(object(r#"{"a":{"x":1,"y":2}}"#)),
    };
    let first = registry
        .change_twin(&id, TwinVerb::Patch, &change, &IfMatch::Any)
        .await
        .expect("a patch");
    assert_eq!(first.twin.desired.version, 2);
    let second = registry
        .change_twin(
            &id,
            TwinVerb::Patch,
            &desired(r#"{"a":{"x":null},"b":[1,{"c":null}]}"#),
            &IfMatch::Any,
        )
        .await
        .expect("a patch");
    assert_eq!(
        second.twin.desired.properties.as_str(),
        r#"{"a":{"y":2},"b":[1,{"c":null}]}"#
    );
    assert_eq!(second.twin.tags, first.twin.tags);
    assert_eq!(second.twin.desired.version, 3);
    assert_eq!(second.etag, first.etag);
    let third = registry
        .change_twin(
            &id,
            TwinVerb::Replace,
            &tags(r#"{"only":1}"#),
            &IfMatch::Any,
        )
        .await
        .expect("a replacement");
    assert_eq!(third.twin.tags.as_str(), r#"{"only":1}"#);
    assert_eq!(third.twin.desired, second.twin.desired);
    assert_eq!(house.stored("merge").await, third);
}

async fn etags_guard_twins<S: HubStore>(house: &House<S>) {
    let registry = house.registry();
    let made = house.device("guarded").await;
    let known = IfMatch::Etag(made.twin.etag.clone());
    let change = tags(r#"{"a":1}"#);
    let patch = TwinVerb::Patch;
    stale(
        registry
            .change_twin(&made.id, patch, &change, &other_etag())
            .await,
    );
    registry
        .change_twin(&made.id, patch, &change, &known)
        .await
        .expect("the state that is known");
    stale(registry.change_twin(&made.id, patch, &change, &known).await);
    let nobody = device_id("nobody");
    assert_eq!(
        registry
            .change_twin(&nobody, patch, &change, &IfMatch::Any)
            .await,
        Err(HubError::DeviceNotFound(nobody))
    );
}

async fn a_refused_change_leaves_the_twin_as_it_was<S: HubStore>(house: &House<S>) {
    let registry = house.registry();
    let made = house.device("limits").await;
    let large = format!(r#"{{"a":"{0}","b":"{0}","c":"{0}"}}"#, "x".repeat(4000));
    let refused = registry
        .change_twin(&made.id, TwinVerb::Patch, &tags(&large), &IfMatch::Any)
        .await;
    assert!(matches!(refused, Err(HubError::TooLarge(_))), "{refused:?}");
    let refused = registry
        .change_twin(
            &made.id,
            TwinVerb::Replace,
            &desired(r#"{"a b":1}"#),
            &IfMatch::Any,
        )
        .await;
    assert!(matches!(refused, Err(HubError::ArgumentInvalid(_))));
    assert_eq!(house.stored("limits").await, made);
}

async fn modules_have_twins_of_their_own<S: HubStore>(house: &House<S>) {
    let registry = house.registry();
    let device = house.device("with-module").await;
    let request = ModuleRequest {
        device_id: device.id.clone(),
        id: module_id("m"),
        managed_by: None,
        authentication: None,
    };
    let module = registry
        .create_module(&request, &TwinContent::default())
        .await
        .expect("a module");
    let known = IfMatch::Etag(module.twin.etag.clone());
    let changed = registry
        .change_module_twin(
            &device.id,
            &module.id,
            TwinVerb::Patch,
            &desired(r#"{"rate":1}"#),
            &known,
        )
        .await
        .expect("a patch");
    assert_eq!(changed.twin.desired.properties.as_str(), r#"{"rate":1}"#);
    assert_eq!(changed.etag, module.etag);
    assert_eq!(registry.module(&device.id, &module.id).await, Ok(changed));
    assert_eq!(house.stored("with-module").await.twin, device.twin);
}

async fn a_slow_writer_does_not_undo_a_faster_one<S: HubStore>(house: &House<S>) {
    let slow = house.device("race").await;
    house
        .registry()
        .change_twin(
            &slow.id,
            TwinVerb::Patch,
            &tags(r#"{"fast":1}"#),
            &IfMatch::Any,
        )
        .await
        .expect("a patch");
    let expect = HubExpect::Revision(slow.revision);
    let write = HubWrite::PutDevice(house.hub.clone(), Box::new(slow), expect);
    assert!(matches!(
        house.commit(vec![write]).await,
        Err(CommitError::Changed(_))
    ));
    assert_eq!(
        house.stored("race").await.twin.tags.as_str(),
        r#"{"fast":1}"#
    );
}
