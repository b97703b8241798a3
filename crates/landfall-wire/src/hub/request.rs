//! Bodies and headers of hub requests, read into what the registry is asked.

use landfall_core::document::{Json, JsonObject};
use landfall_core::id::{DeviceId, Etag, ModuleId};
use landfall_core::secret::SymmetricKey;
use landfall_hub::device::DeviceStatus;
use landfall_hub::error::HubError;
use landfall_hub::registry::identity::{DeviceRequest, ModuleRequest};
use landfall_hub::registry::{AuthenticationRequest, IfMatch};
use landfall_hub::twin::{TwinChange, TwinVerb};

use super::members::Members;
use crate::fields::{NUL, holds_nul};

/// Reads a body as JSON.
///
/// # Errors
/// `ArgumentNull` when it is empty, `Unreadable` when it is no JSON, `ArgumentInvalid` when a text in
/// it holds a NUL.
pub fn read_json(body: &[u8]) -> Result<Json, HubError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(HubError::ArgumentNull("The body is empty".to_owned()));
    }
    let value = serde_json::from_slice(body)
        .map_err(|error| HubError::Unreadable(format!("The body is not valid JSON: {error}")))?;
    if holds_nul(&value) {
        return Err(HubError::ArgumentInvalid(NUL.to_owned()));
    }
    Ok(value)
}

/// Reads an `If-Match` header: `*`, `"*"`, a quoted or a bare etag.
///
/// Source: docs/protocol/hub-api.md §1.2, §1.5 [S].
///
/// # Errors
/// `ArgumentInvalid` when the header holds no etag.
pub fn if_match(header: Option<&str>) -> Result<Option<IfMatch>, HubError> {
    let Some(header) = header else {
        return Ok(None);
    };
    match header.trim().trim_matches('"') {
        "*" => Ok(Some(IfMatch::Any)),
        _ => Etag::from_wire(header)
            .map(|etag| Some(IfMatch::Etag(etag)))
            .ok_or_else(|| {
                HubError::ArgumentInvalid("The If-Match header holds no etag".to_owned())
            }),
    }
}

/// Reads a device document that was sent to `/devices/{id}`. What only the hub says (etag,
/// generation, times, connection) is passed over, so that a document read can be sent back.
///
/// # Errors
/// `ArgumentInvalid` naming the member that is wrong.
pub fn device_request(id: DeviceId, body: &Json) -> Result<DeviceRequest, HubError> {
    let members = Members::of_body(body)?;
    same_name("deviceId", members.text("deviceId")?, id.as_str())?;
    device_members(id, &members)
}

/// Reads a module document that was sent to `/devices/{id}/modules/{module}`.
///
/// # Errors
/// `ArgumentInvalid` naming the member that is wrong.
pub fn module_request(
    device_id: DeviceId,
    id: ModuleId,
    body: &Json,
) -> Result<ModuleRequest, HubError> {
    let members = Members::of_body(body)?;
    same_name("deviceId", members.text("deviceId")?, device_id.as_str())?;
    same_name("moduleId", members.text("moduleId")?, id.as_str())?;
    module_members(device_id, id, &members)
}

/// Reads a twin document as a change. Reported properties and all that only the hub says are
/// passed over, so that a twin read can be sent back. A section that is `null` counts as absent
/// in a patch and as empty in a replacement.
///
/// # Errors
/// `ArgumentInvalid` naming the member that is wrong.
pub fn twin_change(verb: TwinVerb, body: &Json) -> Result<TwinChange, HubError> {
    let members = Members::of_body(body)?;
    let empty = |members: &Members<'_>, name: &str| {
        (verb == TwinVerb::Replace && members.is_null(name)).then(JsonObject::new)
    };
    let tags = members.object("tags")?.cloned();
    let mut change = TwinChange {
        tags: tags.or_else(|| empty(&members, "tags")),
        desired: None,
    };
    if let Some(properties) = members.members("properties")? {
        let desired = properties.object("desired")?.map(bare);
        change.desired = desired.or_else(|| empty(&properties, "desired"));
    }
    Ok(change)
}

/// A section without the members that the hub itself adds to it.
pub(super) fn bare(section: &JsonObject) -> JsonObject {
    section
        .iter()
        .filter(|(key, _)| !matches!(key.as_str(), "$metadata" | "$version"))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// Reads what device documents and bulk items say of a device.
pub(super) fn device_members(
    id: DeviceId,
    members: &Members<'_>,
) -> Result<DeviceRequest, HubError> {
    let capabilities = members.members("capabilities")?;
    Ok(DeviceRequest {
        id,
        status: members.filled("status")?.map(status).transpose()?,
        status_reason: members.filled("statusReason")?.map(str::to_owned),
        authentication: authentication(members)?,
        iot_edge: match capabilities {
            Some(capabilities) => capabilities.flag("iotEdge")?,
            None => None,
        },
        device_scope: members.filled("deviceScope")?.map(str::to_owned),
        parent_scopes: members.texts("parentScopes")?,
    })
}

/// Reads what module documents and bulk items say of a module.
pub(super) fn module_members(
    device_id: DeviceId,
    id: ModuleId,
    members: &Members<'_>,
) -> Result<ModuleRequest, HubError> {
    Ok(ModuleRequest {
        device_id,
        id,
        managed_by: members.filled("managedBy")?.map(str::to_owned),
        authentication: authentication(members)?,
    })
}

fn same_name(member: &str, said: Option<&str>, path: &str) -> Result<(), HubError> {
    match said {
        Some(said) if said != path => Err(HubError::ArgumentInvalid(format!(
            "'{member}' in the body is not the one in the path, '{path}'"
        ))),
        _ => Ok(()),
    }
}

fn status(word: &str) -> Result<DeviceStatus, HubError> {
    match word.to_ascii_lowercase().as_str() {
        "enabled" => Ok(DeviceStatus::Enabled),
        "disabled" => Ok(DeviceStatus::Disabled),
        _ => Err(HubError::ArgumentInvalid(
            "'status' must be 'enabled' or 'disabled'".to_owned(),
        )),
    }
}

/// Reads the `authentication` member. Its type may be left out; keys may be empty texts.
///
/// Source: docs/protocol/hub-api.md §1.3 [S].
fn authentication(members: &Members<'_>) -> Result<Option<AuthenticationRequest>, HubError> {
    let Some(authentication) = members.members("authentication")? else {
        return Ok(None);
    };
    let thumbprints = authentication.members("x509Thumbprint")?;
    let thumbprint = |name: &str| -> Result<Option<String>, HubError> {
        match &thumbprints {
            Some(thumbprints) => Ok(thumbprints.filled(name)?.map(str::to_owned)),
            None => Ok(None),
        }
    };
    let (primary, secondary) = (
        thumbprint("primaryThumbprint")?,
        thumbprint("secondaryThumbprint")?,
    );
    let has_thumbprint = primary.is_some() || secondary.is_some();
    let word = authentication.filled("type")?.map(str::to_ascii_lowercase);
    let kind = match word.as_deref() {
        None if has_thumbprint => "selfsigned",
        None => "sas",
        Some("x509") if has_thumbprint => "selfsigned",
        Some("x509") => "certificateauthority",
        Some(word) => word,
    };
    match kind {
        "sas" => {
            let keys = authentication.members("symmetricKey")?;
            Ok(Some(AuthenticationRequest::Sas {
                primary: key(keys.as_ref(), "primaryKey")?,
                secondary: key(keys.as_ref(), "secondaryKey")?,
            }))
        }
        "selfsigned" => Ok(Some(AuthenticationRequest::SelfSigned {
            primary,
            secondary,
        })),
        "certificateauthority" => Ok(Some(AuthenticationRequest::CertificateAuthority)),
        "none" => Ok(Some(AuthenticationRequest::None)),
        _ => Err(HubError::ArgumentInvalid(
            "'authentication.type' must be 'sas', 'selfSigned', 'certificateAuthority' or 'none'"
                .to_owned(),
        )),
    }
}

fn key(keys: Option<&Members<'_>>, name: &str) -> Result<Option<SymmetricKey>, HubError> {
    let Some(keys) = keys else { return Ok(None) };
    keys.filled(name)?
        .map(SymmetricKey::from_base64)
        .transpose()
        .map_err(|error| HubError::ArgumentInvalid(format!("'{}': {error}", keys.way(name))))
}
