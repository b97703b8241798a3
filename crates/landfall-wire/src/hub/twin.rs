//! Twin documents, of devices and of modules.

use landfall_core::clock::Timestamp;
use landfall_core::document::{Json, JsonObject};
use landfall_core::id::Etag;
use landfall_hub::device::{Device, DeviceAuthentication, DeviceStatus, Module, Presence};
use landfall_hub::error::HubError;
use landfall_hub::twin::{Twin, TwinSection};
use serde_json::json;

use super::identity::{AuthenticationWords, connection_state, status_word, thumbprints};
use super::request::{bare, read_json};

/// The twin document of a device, as reads, queries and changes of it give it. It holds no keys.
///
/// Source: docs/protocol/hub-api.md §1.6 [D].
pub fn twin_json(device: &Device) -> Json {
    let mut body = JsonObject::new();
    put(&mut body, "deviceId", device.id.as_str());
    facts(
        &mut body,
        Facts {
            twin: &device.twin,
            identity_etag: &device.etag,
            owner: Some(device),
            presence: &device.presence,
            authentication: &device.authentication,
        },
    );
    put(
        &mut body,
        "capabilities",
        json!({"iotEdge": device.iot_edge}),
    );
    if let Some(scope) = &device.device_scope {
        put(&mut body, "deviceScope", scope.as_str());
    }
    if !device.parent_scopes.is_empty() {
        put(&mut body, "parentScopes", json!(device.parent_scopes));
    }
    Json::Object(body)
}

/// The twin document of a module. `device` is the device it belongs to, whose status it shows;
/// without it the module is shown as enabled.
///
/// Source: docs/protocol/hub-api.md §1.6 [D].
pub fn module_twin_json(device: Option<&Device>, module: &Module) -> Json {
    let mut body = JsonObject::new();
    put(&mut body, "deviceId", module.device_id.as_str());
    put(&mut body, "moduleId", module.id.as_str());
    facts(
        &mut body,
        Facts {
            twin: &module.twin,
            identity_etag: &module.etag,
            owner: device,
            presence: &module.presence,
            authentication: &module.authentication,
        },
    );
    Json::Object(body)
}

/// The twin as its own device or module reads it: without tags, and without metadata.
///
/// Source: docs/protocol/hub-api.md §2.1 [D].
pub fn own_twin_json(twin: &Twin) -> Json {
    json!({
        "desired": twin.desired.versioned(),
        "reported": twin.reported.versioned(),
    })
}

/// Reads what a device or module reports of itself.
///
/// # Errors
/// `ArgumentNull`, `Unreadable` or `ArgumentInvalid` when it is no JSON object.
pub fn reported_patch(body: &[u8]) -> Result<JsonObject, HubError> {
    match read_json(body)? {
        Json::Object(members) => Ok(bare(&members)),
        _ => Err(HubError::ArgumentInvalid(
            "Reported properties must be a JSON object".to_owned(),
        )),
    }
}

/// What the twin documents of devices and modules have in common.
struct Facts<'a> {
    twin: &'a Twin,
    identity_etag: &'a Etag,
    owner: Option<&'a Device>,
    presence: &'a Presence,
    authentication: &'a DeviceAuthentication,
}

fn facts(body: &mut JsonObject, facts: Facts<'_>) {
    put(body, "etag", facts.twin.etag.as_str());
    put(body, "deviceEtag", facts.identity_etag.as_str());
    let status = facts.owner.map_or(DeviceStatus::Enabled, |d| d.status);
    put(body, "status", status_word(status));
    if let Some(reason) = facts.owner.and_then(|d| d.status_reason.as_deref()) {
        put(body, "statusReason", reason);
    }
    let status_updated = facts.owner.map_or(Timestamp::NEVER, |d| d.status_updated);
    put(body, "statusUpdateTime", status_updated.to_wire_seconds());
    put(body, "connectionState", connection_state(facts.presence));
    let last_activity = facts.presence.last_activity.to_wire_seconds();
    put(body, "lastActivityTime", last_activity);
    put(body, "cloudToDeviceMessageCount", facts.presence.messages);
    let words = AuthenticationWords::Current;
    put(
        body,
        "authenticationType",
        words.spell(facts.authentication),
    );
    put(body, "x509Thumbprint", thumbprints(facts.authentication));
    put(body, "modelId", "");
    put(body, "version", facts.twin.version);
    put(body, "tags", facts.twin.tags.to_json());
    put(
        body,
        "properties",
        json!({
            "desired": section(&facts.twin.desired),
            "reported": section(&facts.twin.reported),
        }),
    );
}

/// A section's properties with `$metadata` and `$version`.
fn section(section: &TwinSection) -> Json {
    let mut members = section.properties.to_object().unwrap_or_default();
    put(&mut members, "$metadata", section.metadata.to_json());
    put(&mut members, "$version", section.version);
    Json::Object(members)
}

fn put(body: &mut JsonObject, name: &str, value: impl Into<Json>) {
    body.insert(name.to_owned(), value.into());
}
