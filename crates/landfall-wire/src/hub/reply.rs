//! Replies of the hub API when all went well.

use http::StatusCode;
use landfall_core::document::Json;
use landfall_core::id::Etag;
use landfall_hub::device::{Device, Module};
use landfall_hub::registry::BulkFailure;
use landfall_hub::store::DeviceCounts;
use serde_json::json;

use super::bulk::bulk_json;
use super::identity::{AuthenticationWords, device_json, module_json};
use super::twin::{module_twin_json, twin_json};
use crate::fault::hub::bulk_status;
use crate::message::Reply;

/// Gives a device.
pub fn device(device: &Device) -> Reply {
    marked(&device_json(device), &device.etag)
}

/// Gives devices, as a bare array.
pub fn devices(devices: &[Device]) -> Reply {
    Reply::json(StatusCode::OK, &devices.iter().map(device_json).collect())
}

/// Gives a module. Creating one answers 200 too: the IoT Edge identity service insists on it.
///
/// Source: docs/protocol/hub-api.md §1.2 [S].
pub fn module(module: &Module, words: AuthenticationWords) -> Reply {
    marked(&module_json(module, words), &module.etag)
}

/// Gives modules, as a bare array.
pub fn modules(modules: &[Module], words: AuthenticationWords) -> Reply {
    let modules = modules.iter().map(|module| module_json(module, words));
    Reply::json(StatusCode::OK, &modules.collect())
}

/// Gives a device's twin.
pub fn twin(device: &Device) -> Reply {
    marked(&twin_json(device), &device.twin.etag)
}

/// Gives a module's twin.
pub fn module_twin(device: Option<&Device>, module: &Module) -> Reply {
    marked(&module_twin_json(device, module), &module.twin.etag)
}

/// Says that it is removed.
pub fn removed() -> Reply {
    Reply::empty(StatusCode::NO_CONTENT)
}

/// Says how each item of a bulk call ended.
pub fn bulk(failures: &[BulkFailure]) -> Reply {
    Reply::json(bulk_status(failures.is_empty()), &bulk_json(failures))
}

/// Says how many devices there are.
pub fn device_statistics(counts: &DeviceCounts) -> Reply {
    Reply::json(
        StatusCode::OK,
        &json!({
            "totalDeviceCount": counts.total,
            "enabledDeviceCount": counts.enabled,
            "disabledDeviceCount": counts.disabled,
        }),
    )
}

/// Says how many devices are connected.
pub fn service_statistics(connected: u64) -> Reply {
    Reply::json(StatusCode::OK, &json!({"connectedDeviceCount": connected}))
}

fn marked(body: &Json, etag: &Etag) -> Reply {
    Reply::json(StatusCode::OK, body).with_header("etag", &format!("\"{etag}\""))
}
