//! The bulk body: import records in, the result of each call out.

use landfall_core::document::Json;
use landfall_core::id::{DeviceId, Etag, ModuleId};
use landfall_hub::error::HubError;
use landfall_hub::registry::{BulkAsk, BulkFailure, BulkItem, IfMatch};
use landfall_hub::twin::{TwinChange, TwinContent, TwinVerb};
use serde_json::json;

use super::members::Members;
use super::request::{bare, device_members, module_members, twin_change};
use crate::fault::hub::error_name;

/// Reads an array of import records. A record that cannot be read is an item that is refused, so
/// that it does not keep the others back.
///
/// Source: docs/protocol/hub-api.md §1.3, §1.7 [S].
///
/// # Errors
/// `ArgumentInvalid` when the body is no array.
pub fn bulk_items(body: &Json) -> Result<Vec<BulkItem>, HubError> {
    let records = body.as_array().ok_or_else(|| {
        HubError::ArgumentInvalid("The body must be a JSON array of devices".to_owned())
    })?;
    Ok(records.iter().map(bulk_item).collect())
}

/// The result of a bulk call.
///
/// Source: docs/protocol/hub-api.md §1.7 [S]; `errorCode` is the name, which every SDK reads.
pub fn bulk_json(failures: &[BulkFailure]) -> Json {
    let errors: Vec<Json> = failures.iter().map(failure_json).collect();
    json!({
        "isSuccessful": failures.is_empty(),
        "errors": errors,
        "warnings": [],
    })
}

fn failure_json(failure: &BulkFailure) -> Json {
    let mut item = json!({"deviceId": failure.device_id});
    if let Json::Object(members) = &mut item {
        if let Some(module) = &failure.module_id {
            members.insert("moduleId".into(), module.as_str().into());
        }
        members.insert("errorCode".into(), error_name(&failure.error).into());
        members.insert("errorStatus".into(), failure.error.to_string().into());
        if !failure.operation.is_empty() {
            members.insert("operation".into(), failure.operation.into());
        }
    }
    item
}

fn bulk_item(record: &Json) -> BulkItem {
    let name = |name: &str| record.get(name).and_then(Json::as_str);
    let device_id = name("id").or_else(|| name("deviceId")).unwrap_or_default();
    let (operation, ask) = match mode(name("importMode")) {
        Ok(mode) => (mode.word(), ask(mode, record)),
        Err(error) => ("", Err(error)),
    };
    BulkItem {
        device_id: device_id.chars().take(256).collect(),
        module_id: name("moduleId")
            .filter(|id| !id.is_empty())
            .map(|id| id.chars().take(256).collect()),
        operation,
        ask,
    }
}

/// What an import record asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Create,
    Update,
    UpdateIfMatch,
    Delete,
    DeleteIfMatch,
    UpdateTwin,
    UpdateTwinIfMatch,
}

impl Mode {
    const ALL: [Mode; 7] = [
        Mode::Create,
        Mode::Update,
        Mode::UpdateIfMatch,
        Mode::Delete,
        Mode::DeleteIfMatch,
        Mode::UpdateTwin,
        Mode::UpdateTwinIfMatch,
    ];

    fn word(self) -> &'static str {
        match self {
            Mode::Create => "create",
            Mode::Update => "update",
            Mode::UpdateIfMatch => "updateIfMatchETag",
            Mode::Delete => "delete",
            Mode::DeleteIfMatch => "deleteIfMatchETag",
            Mode::UpdateTwin => "updateTwin",
            Mode::UpdateTwinIfMatch => "updateTwinIfMatchETag",
        }
    }
}

/// A record without mode asks to create.
fn mode(word: Option<&str>) -> Result<Mode, HubError> {
    let Some(word) = word else {
        return Ok(Mode::Create);
    };
    Mode::ALL
        .into_iter()
        .find(|mode| mode.word().eq_ignore_ascii_case(word))
        .ok_or_else(|| {
            let known = Mode::ALL.map(Mode::word).join(", ");
            HubError::ArgumentInvalid(format!("'importMode' must be one of {known}"))
        })
}

fn ask(mode: Mode, record: &Json) -> Result<BulkAsk, HubError> {
    let members = Members::of_body(record)?;
    let id = match members.text("id")? {
        Some(id) => id,
        None => members
            .text("deviceId")?
            .ok_or_else(|| HubError::ArgumentNull("'id' is missing".to_owned()))?,
    };
    let id = DeviceId::parse(id)?;
    let module = members.filled("moduleId")?;
    let module = module.map(ModuleId::parse).transpose()?;
    let if_match = match mode {
        Mode::UpdateIfMatch | Mode::DeleteIfMatch => etag(&members, &["eTag", "etag"])?,
        Mode::UpdateTwinIfMatch => etag(&members, &["twinETag", "twinEtag"])?,
        Mode::Create | Mode::Update | Mode::Delete | Mode::UpdateTwin => IfMatch::Any,
    };
    match (mode, module) {
        (Mode::Create, None) => Ok(BulkAsk::CreateDevice(
            Box::new(device_members(id, &members)?),
            content(record, &members)?,
        )),
        (Mode::Create, Some(module)) => Ok(BulkAsk::CreateModule(
            Box::new(module_members(id, module, &members)?),
            content(record, &members)?,
        )),
        (Mode::Update | Mode::UpdateIfMatch, None) => Ok(BulkAsk::UpdateDevice(
            Box::new(device_members(id, &members)?),
            if_match,
        )),
        (Mode::Update | Mode::UpdateIfMatch, Some(module)) => Ok(BulkAsk::UpdateModule(
            Box::new(module_members(id, module, &members)?),
            if_match,
        )),
        (Mode::Delete | Mode::DeleteIfMatch, None) => Ok(BulkAsk::DeleteDevice(id, if_match)),
        (Mode::Delete | Mode::DeleteIfMatch, Some(module)) => {
            Ok(BulkAsk::DeleteModule(id, module, if_match))
        }
        (Mode::UpdateTwin | Mode::UpdateTwinIfMatch, None) => {
            Ok(BulkAsk::PatchTwin(id, patch(record)?, if_match))
        }
        (Mode::UpdateTwin | Mode::UpdateTwinIfMatch, Some(module)) => Ok(BulkAsk::PatchModuleTwin(
            id,
            module,
            patch(record)?,
            if_match,
        )),
    }
}

fn patch(record: &Json) -> Result<TwinChange, HubError> {
    twin_change(TwinVerb::Patch, record)
}

/// The twin that a record brings along.
fn content(record: &Json, members: &Members<'_>) -> Result<TwinContent, HubError> {
    let reported = match members.members("properties")? {
        Some(properties) => properties.object("reported")?.map(bare),
        None => None,
    };
    Ok(TwinContent::checked(patch(record)?, reported)?)
}

fn etag(members: &Members<'_>, names: &[&str]) -> Result<IfMatch, HubError> {
    for name in names {
        match members.filled(name)? {
            Some("*" | "\"*\"") => return Ok(IfMatch::Any),
            Some(text) => {
                return Etag::from_wire(text)
                    .map(IfMatch::Etag)
                    .ok_or_else(|| HubError::ArgumentInvalid(format!("'{name}' is no etag")));
            }
            None => {}
        }
    }
    let name = names.first().copied().unwrap_or_default();
    Err(HubError::ArgumentNull(format!("'{name}' is missing")))
}
