//! Devices: hub-api.md §1.2, §1.3, §1.5.

use super::*;
use crate::device::{DeviceAuthentication, DeviceStatus};
use crate::registry::AuthenticationRequest;

pub(super) async fn run<S: HubStore>(house: &House<S>) {
    a_device_without_keys_gets_two_and_reads_back_as_it_was_made(house).await;
    a_second_device_of_the_same_name_is_refused_and_case_tells_names_apart(house).await;
    one_key_alone_is_refused(house).await;
    an_update_keeps_generation_twin_and_keys_and_moves_the_etag(house).await;
    etags_guard_updates_and_deletes(house).await;
    a_twin_change_does_not_break_an_identity_etag(house).await;
    a_device_made_again_has_another_generation(house).await;
    an_edge_device_has_its_scope_and_its_two_modules(house).await;
    listings_and_counts_agree(house).await;
}

async fn a_device_without_keys_gets_two_and_reads_back_as_it_was_made<S: HubStore>(
    house: &House<S>,
) {
    let made = house.device("keys").await;
    let DeviceAuthentication::Sas(keys) = &made.authentication else {
        unreachable!("keys are the default");
    };
    assert_eq!(keys.primary.bytes().len(), 32);
    assert_eq!(keys.secondary.bytes().len(), 32);
    assert!(!keys.primary.same_as(&keys.secondary));
    assert_eq!(made.status, DeviceStatus::Enabled);
    assert_eq!(house.stored("keys").await, made);
}

async fn a_second_device_of_the_same_name_is_refused_and_case_tells_names_apart<S: HubStore>(
    house: &House<S>,
) {
    let made = house.device("Twice").await;
    let again = house
        .registry()
        .create_device(&plain("Twice"), &TwinContent::default())
        .await;
    assert_eq!(again, Err(HubError::DeviceExists(device_id("Twice"))));
    assert_eq!(house.stored("Twice").await, made);
    house.device("twice").await;
}

async fn one_key_alone_is_refused<S: HubStore>(house: &House<S>) {
    let request = DeviceRequest {
        authentication: Some(AuthenticationRequest::Sas {
            primary: Some(landfall_core::secret::SymmetricKey::draw(
                &*house.entropy,
                32,
            )),
            secondary: None,
        }),
        ..plain("one-key")
    };
    let result = house
        .registry()
        .create_device(&request, &TwinContent::default())
        .await;
    assert!(matches!(result, Err(HubError::ArgumentInvalid(_))));
    let missing = house.registry().device(&device_id("one-key")).await;
    assert_eq!(missing, Err(HubError::DeviceNotFound(device_id("one-key"))));
}

async fn an_update_keeps_generation_twin_and_keys_and_moves_the_etag<S: HubStore>(
    house: &House<S>,
) {
    let before = house.device("update").await;
    let request = DeviceRequest {
        status: Some(DeviceStatus::Disabled),
        status_reason: Some("lost".to_owned()),
        ..plain("update")
    };
    let after = house
        .registry()
        .update_device(&request, &IfMatch::Any)
        .await
        .expect("an update");
    assert_eq!(after.status, DeviceStatus::Disabled);
    assert_eq!(after.status_reason.as_deref(), Some("lost"));
    assert_eq!(after.generation_id, before.generation_id);
    assert_eq!(after.authentication, before.authentication);
    assert_eq!(after.twin, before.twin);
    assert_ne!(after.etag, before.etag);
    assert_eq!(house.stored("update").await, after);
    let missing = house
        .registry()
        .update_device(&plain("nobody"), &IfMatch::Any)
        .await;
    assert_eq!(missing, Err(HubError::DeviceNotFound(device_id("nobody"))));
}

async fn etags_guard_updates_and_deletes<S: HubStore>(house: &House<S>) {
    let registry = house.registry();
    let first = house.device("guarded").await;
    let known = IfMatch::Etag(first.etag.clone());
    stale(
        registry
            .update_device(&plain("guarded"), &other_etag())
            .await,
    );
    registry
        .update_device(&plain("guarded"), &known)
        .await
        .expect("the state that is known");
    stale(registry.update_device(&plain("guarded"), &known).await);
    stale(registry.delete_device(&first.id, &known).await);
    registry
        .delete_device(&first.id, &IfMatch::Any)
        .await
        .expect("a device that is there");
    assert_eq!(
        registry.delete_device(&first.id, &IfMatch::Any).await,
        Err(HubError::DeviceNotFound(first.id.clone()))
    );
}

async fn a_twin_change_does_not_break_an_identity_etag<S: HubStore>(house: &House<S>) {
    let registry = house.registry();
    let made = house.device("two-etags").await;
    registry
        .change_twin(
            &made.id,
            crate::twin::TwinVerb::Patch,
            &tags(r#"{"a":1}"#),
            &IfMatch::Any,
        )
        .await
        .expect("a change");
    let updated = registry
        .update_device(&plain("two-etags"), &IfMatch::Etag(made.etag))
        .await
        .expect("the identity has not changed");
    assert_eq!(updated.twin.tags.as_str(), r#"{"a":1}"#);
}

async fn a_device_made_again_has_another_generation<S: HubStore>(house: &House<S>) {
    let first = house.device("reborn").await;
    let registry = house.registry();
    registry
        .change_twin(
            &first.id,
            crate::twin::TwinVerb::Patch,
            &tags(r#"{"old":true}"#),
            &IfMatch::Any,
        )
        .await
        .expect("a change");
    registry
        .delete_device(&first.id, &IfMatch::Any)
        .await
        .expect("a device that is there");
    let second = house.device("reborn").await;
    assert_ne!(first.generation_id, second.generation_id);
    assert_eq!(second.twin.tags.as_str(), "{}");
}

async fn an_edge_device_has_its_scope_and_its_two_modules<S: HubStore>(house: &House<S>) {
    let registry = house.registry();
    let edge = |id: &str| DeviceRequest {
        iot_edge: Some(true),
        ..plain(id)
    };
    let made = registry
        .create_device(&edge("edge1"), &TwinContent::default())
        .await
        .expect("an edge device");
    let scope = made.device_scope.clone().expect("a scope");
    assert!(scope.starts_with("ms-azure-iot-edge://edge1-"), "{scope}");
    let names = async |id: &DeviceId| -> Vec<String> {
        let modules = registry.modules_of(id).await.expect("modules");
        assert!(
            modules
                .iter()
                .all(|module| module.authentication == DeviceAuthentication::None)
        );
        modules.iter().map(|module| module.id.to_string()).collect()
    };
    assert_eq!(names(&made.id).await, ["$edgeAgent", "$edgeHub"]);

    let refused = DeviceRequest {
        device_scope: Some("ms-azure-iot-edge://other-1".to_owned()),
        ..edge("edge1")
    };
    assert!(matches!(
        registry.update_device(&refused, &IfMatch::Any).await,
        Err(HubError::ArgumentInvalid(_))
    ));

    let leaf = house.device("leaf").await;
    assert!(
        registry
            .modules_of(&leaf.id)
            .await
            .expect("none")
            .is_empty()
    );
    let flipped = registry
        .update_device(&edge("leaf"), &IfMatch::Any)
        .await
        .expect("a leaf may become an edge device");
    assert!(flipped.iot_edge && flipped.device_scope.is_some());
    assert_eq!(names(&leaf.id).await, ["$edgeAgent", "$edgeHub"]);
    registry
        .update_device(&edge("leaf"), &IfMatch::Any)
        .await
        .expect("asking again changes nothing");
    assert_eq!(names(&leaf.id).await, ["$edgeAgent", "$edgeHub"]);

    registry
        .delete_device(&made.id, &IfMatch::Any)
        .await
        .expect("a device that is there");
    assert_eq!(
        registry.modules_of(&made.id).await,
        Err(HubError::DeviceNotFound(made.id.clone()))
    );
}

async fn listings_and_counts_agree<S: HubStore>(house: &House<S>) {
    let registry = house.registry();
    let all = registry.devices(1000).await.expect("a listing");
    let ids: Vec<&str> = all.iter().map(|device| device.id.as_str()).collect();
    let mut sorted = ids.clone();
    sorted.sort_unstable();
    assert_eq!(ids, sorted);
    let counts = registry.device_counts().await.expect("counts");
    let disabled = all
        .iter()
        .filter(|device| device.status == DeviceStatus::Disabled)
        .count();
    assert_eq!(counts.total, u64::try_from(all.len()).expect("small"));
    assert_eq!(counts.disabled, u64::try_from(disabled).expect("small"));
    assert_eq!(counts.enabled, counts.total - counts.disabled);
    assert!(disabled > 0);
    let two = registry.devices(2).await.expect("a listing");
    assert_eq!(two.as_slice(), &all[..2]);
}
