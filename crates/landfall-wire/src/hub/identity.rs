//! Device and module documents of the identity registry, as they are written.

use landfall_core::document::Json;
use landfall_hub::device::{Device, DeviceAuthentication, DeviceStatus, Module, Presence};
use serde_json::json;

/// Whether a device or module is connected.
pub(super) fn connection_state(presence: &Presence) -> &'static str {
    if presence.connected {
        "Connected"
    } else {
        "Disconnected"
    }
}

/// Which words name the ways to authenticate.
///
/// Source: docs/protocol/hub-api.md §1.4 [S].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthenticationWords {
    /// `sas`, `selfSigned`, `certificateAuthority`, `none`.
    Current,
    /// `sas`, `x509`, `none`: the IoT Edge identity service refuses a list with any other word.
    Edge2017,
}

impl AuthenticationWords {
    /// The words for callers that speak `api_version`.
    pub fn of_version(api_version: &str) -> Self {
        if api_version == "2017-11-08-preview" {
            AuthenticationWords::Edge2017
        } else {
            AuthenticationWords::Current
        }
    }

    /// The word for `authentication`.
    pub fn spell(self, authentication: &DeviceAuthentication) -> &'static str {
        match (authentication, self) {
            (DeviceAuthentication::Sas(_), _) => "sas",
            (DeviceAuthentication::None, _) => "none",
            (_, AuthenticationWords::Edge2017) => "x509",
            (DeviceAuthentication::SelfSigned { .. }, _) => "selfSigned",
            (DeviceAuthentication::CertificateAuthority, _) => "certificateAuthority",
        }
    }
}

/// The device document. It holds the device's keys.
///
/// Source: docs/protocol/hub-api.md §1.3 [S].
pub fn device_json(device: &Device) -> Json {
    let presence = &device.presence;
    let mut body = json!({
        "deviceId": device.id.as_str(),
        "generationId": device.generation_id,
        "etag": device.etag.as_str(),
        "connectionState": connection_state(presence),
        "status": status_word(device.status),
        "statusReason": device.status_reason,
        "connectionStateUpdatedTime": presence.connected_changed.to_wire_seconds(),
        "statusUpdatedTime": device.status_updated.to_wire_seconds(),
        "lastActivityTime": presence.last_activity.to_wire_seconds(),
        "cloudToDeviceMessageCount": presence.messages,
        "authentication": authentication(&device.authentication, AuthenticationWords::Current),
        "capabilities": {"iotEdge": device.iot_edge},
    });
    if let Json::Object(members) = &mut body {
        if let Some(scope) = &device.device_scope {
            members.insert("deviceScope".into(), scope.as_str().into());
        }
        if !device.parent_scopes.is_empty() {
            members.insert("parentScopes".into(), json!(device.parent_scopes));
        }
    }
    body
}

/// The module document. It holds the module's keys.
///
/// Source: docs/protocol/hub-api.md §1.4 [S].
pub fn module_json(module: &Module, words: AuthenticationWords) -> Json {
    let presence = &module.presence;
    json!({
        "moduleId": module.id.as_str(),
        "managedBy": module.managed_by,
        "deviceId": module.device_id.as_str(),
        "generationId": module.generation_id,
        "etag": module.etag.as_str(),
        "connectionState": connection_state(presence),
        "connectionStateUpdatedTime": presence.connected_changed.to_wire_seconds(),
        "lastActivityTime": presence.last_activity.to_wire_seconds(),
        "cloudToDeviceMessageCount": presence.messages,
        "authentication": authentication(&module.authentication, words),
    })
}

/// The `authentication` member.
fn authentication(authentication: &DeviceAuthentication, words: AuthenticationWords) -> Json {
    let (primary, secondary) = match authentication {
        DeviceAuthentication::Sas(keys) => (
            Some(keys.primary.to_base64()),
            Some(keys.secondary.to_base64()),
        ),
        _ => (None, None),
    };
    json!({
        "symmetricKey": {
            "primaryKey": primary.as_deref(),
            "secondaryKey": secondary.as_deref(),
        },
        "x509Thumbprint": thumbprints(authentication),
        "type": words.spell(authentication),
    })
}

/// The `x509Thumbprint` member, nulls when the device has none.
pub(super) fn thumbprints(authentication: &DeviceAuthentication) -> Json {
    let (primary, secondary) = match authentication {
        DeviceAuthentication::SelfSigned { primary, secondary } => {
            (primary.as_deref(), secondary.as_deref())
        }
        _ => (None, None),
    };
    json!({"primaryThumbprint": primary, "secondaryThumbprint": secondary})
}

/// `enabled` or `disabled`.
pub(super) fn status_word(status: DeviceStatus) -> &'static str {
    match status {
        DeviceStatus::Enabled => "enabled",
        DeviceStatus::Disabled => "disabled",
    }
}
