//! Modules: hub-api.md §1.2, §1.4, §1.5.

use super::*;
use crate::device::Module;
use crate::registry::identity::ModuleRequest;
use crate::registry::{AuthenticationRequest, MOST_MODULES};

pub(super) async fn run<S: HubStore>(house: &House<S>) {
    house.device("d").await;
    a_module_is_made_once_and_only_on_a_device(house).await;
    etags_guard_updates_and_deletes(house).await;
    missing_devices_and_missing_modules_are_told_apart(house).await;
    a_device_has_so_many_modules_and_no_more(house).await;
}

fn request(device: &str, id: &str) -> ModuleRequest {
    ModuleRequest {
        device_id: device_id(device),
        id: module_id(id),
        managed_by: None,
        authentication: None,
    }
}

async fn a_module_is_made_once_and_only_on_a_device<S: HubStore>(house: &House<S>) {
    let registry = house.registry();
    let empty = TwinContent::default();
    let made = registry
        .create_module(&request("d", "m"), &empty)
        .await
        .expect("a module");
    let kept = registry
        .module(&made.device_id, &made.id)
        .await
        .expect("a module that is there");
    let revision = kept.revision;
    assert_eq!(kept, Module { revision, ..made });
    assert_eq!(
        registry.create_module(&request("d", "m"), &empty).await,
        Err(HubError::ModuleExists(device_id("d"), module_id("m")))
    );
    assert_eq!(
        registry
            .create_module(&request("nobody", "m"), &empty)
            .await,
        Err(HubError::DeviceNotFound(device_id("nobody")))
    );
}

async fn etags_guard_updates_and_deletes<S: HubStore>(house: &House<S>) {
    let registry = house.registry();
    let made = registry
        .create_module(&request("d", "guarded"), &TwinContent::default())
        .await
        .expect("a module");
    let known = IfMatch::Etag(made.etag.clone());
    let change = ModuleRequest {
        managed_by: Some("IotEdge".to_owned()),
        authentication: Some(AuthenticationRequest::None),
        ..request("d", "guarded")
    };
    let after = registry
        .update_module(&change, &known)
        .await
        .expect("the state that is known");
    assert_eq!(after.managed_by.as_deref(), Some("IotEdge"));
    assert_eq!(after.generation_id, made.generation_id);
    stale(registry.update_module(&change, &known).await);
    stale(
        registry
            .delete_module(&made.device_id, &made.id, &known)
            .await,
    );
    let current = IfMatch::Etag(after.etag);
    registry
        .delete_module(&made.device_id, &made.id, &current)
        .await
        .expect("the state that is known");
}

async fn missing_devices_and_missing_modules_are_told_apart<S: HubStore>(house: &House<S>) {
    let registry = house.registry();
    assert_eq!(
        registry.module(&device_id("d"), &module_id("none")).await,
        Err(HubError::ModuleNotFound(device_id("d"), module_id("none")))
    );
    assert_eq!(
        registry.module(&device_id("none"), &module_id("m")).await,
        Err(HubError::DeviceNotFound(device_id("none")))
    );
    assert_eq!(
        registry
            .update_module(&request("d", "none"), &IfMatch::Any)
            .await,
        Err(HubError::ModuleNotFound(device_id("d"), module_id("none")))
    );
}

async fn a_device_has_so_many_modules_and_no_more<S: HubStore>(house: &House<S>) {
    house.device("full").await;
    let registry = house.registry();
    let empty = TwinContent::default();
    for number in 0..MOST_MODULES {
        registry
            .create_module(&request("full", &format!("m{number}")), &empty)
            .await
            .expect("a module within the limit");
    }
    assert_eq!(
        registry
            .create_module(&request("full", "over"), &empty)
            .await,
        Err(HubError::TooManyModules(device_id("full"), MOST_MODULES))
    );
}
