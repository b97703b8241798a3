//! How identities are made and changed: defaults, etags, generation ids, scopes, edge modules.
//!
//! Pure: takes what an operator asks and what is there, gives the record to write.
//! Source of every default: docs/protocol/hub-api.md §1.3 and §1.4.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use landfall_core::clock::{Entropy, Timestamp};
use landfall_core::id::{DeviceId, Etag, ModuleId};

use super::authentication::{AuthenticationRequest, settle};
use crate::device::{Device, DeviceStatus, Module, Presence};
use crate::error::HubError;
use crate::twin::{Twin, TwinContent};

/// The longest status reason, in characters.
const LONGEST_REASON: usize = 128;
/// The longest scope, in bytes.
const LONGEST_SCOPE: usize = 256;
/// The modules that every edge device has.
const EDGE_MODULES: [&str; 2] = ["$edgeAgent", "$edgeHub"];

/// What an operator asks a device to be. What is absent gets its default, or stays as it is.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceRequest {
    /// Its name.
    pub id: DeviceId,
    /// Whether it may connect.
    pub status: Option<DeviceStatus>,
    /// The operator's words for the status.
    pub status_reason: Option<String>,
    /// What the hub shall ask of it.
    pub authentication: Option<AuthenticationRequest>,
    /// Whether it is an IoT Edge device.
    pub iot_edge: Option<bool>,
    /// The scope it stands in.
    pub device_scope: Option<String>,
    /// The scopes of its parents.
    pub parent_scopes: Option<Vec<String>>,
}

impl DeviceRequest {
    /// Asks for a device with every default.
    pub fn plain(id: DeviceId) -> Self {
        DeviceRequest {
            id,
            status: None,
            status_reason: None,
            authentication: None,
            iot_edge: None,
            device_scope: None,
            parent_scopes: None,
        }
    }
}

/// What an operator asks a module to be.
#[derive(Debug, Clone, PartialEq)]
pub struct ModuleRequest {
    /// The device it belongs to.
    pub device_id: DeviceId,
    /// Its name.
    pub id: ModuleId,
    /// Who manages it.
    pub managed_by: Option<String>,
    /// What the hub shall ask of it.
    pub authentication: Option<AuthenticationRequest>,
}

/// A new device with the content of its twin.
///
/// # Errors
/// [`HubError::ArgumentInvalid`] when the request breaks a rule of identities.
pub fn fresh_device(
    request: &DeviceRequest,
    content: &TwinContent,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Result<Device, HubError> {
    check_texts(request)?;
    let iot_edge = request.iot_edge.unwrap_or_default();
    let device_scope = if iot_edge {
        Some(own_scope(request, now)?)
    } else {
        request.device_scope.clone()
    };
    Ok(Device {
        id: request.id.clone(),
        generation_id: draw_generation(now, entropy),
        etag: draw_etag(entropy),
        status: request.status.unwrap_or_default(),
        status_reason: request.status_reason.clone(),
        status_updated: Timestamp::NEVER,
        authentication: settle(request.authentication.as_ref(), None, entropy)?,
        iot_edge,
        device_scope,
        parent_scopes: request.parent_scopes.clone().unwrap_or_default(),
        twin: Twin::fresh(content, now),
        presence: Presence::default(),
        created: now,
        // The store gives the first one.
        revision: 0,
    })
}

/// The device after an operator's update. Its twin and generation stay.
///
/// # Errors
/// [`HubError::ArgumentInvalid`] when the request breaks a rule of identities.
pub fn updated_device(
    before: &Device,
    request: &DeviceRequest,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Result<Device, HubError> {
    check_texts(request)?;
    let mut device = before.clone();
    if let Some(status) = request.status.filter(|status| *status != before.status) {
        device.status = status;
        device.status_updated = now;
    }
    device.status_reason.clone_from(&request.status_reason);
    device.authentication = settle(
        request.authentication.as_ref(),
        Some(&before.authentication),
        entropy,
    )?;
    device.iot_edge = request.iot_edge.unwrap_or(before.iot_edge);
    device.device_scope = match (before.iot_edge, device.iot_edge) {
        (true, true) => {
            let asked = request.device_scope.as_ref();
            if asked.is_some() && asked != before.device_scope.as_ref() {
                return Err(HubError::ArgumentInvalid(format!(
                    "The deviceScope of IoT Edge device '{}' cannot be changed",
                    before.id
                )));
            }
            before.device_scope.clone()
        }
        (false, true) => Some(own_scope(
            &DeviceRequest {
                // The scope it had was its parent's.
                device_scope: None,
                ..request.clone()
            },
            now,
        )?),
        // Its own scope ends with the role.
        (true, false) => request
            .device_scope
            .clone()
            .filter(|scope| Some(scope) != before.device_scope.as_ref()),
        (false, false) => request
            .device_scope
            .clone()
            .or_else(|| before.device_scope.clone()),
    };
    if let Some(scopes) = &request.parent_scopes {
        device.parent_scopes.clone_from(scopes);
    }
    device.etag = draw_etag(entropy);
    device.revision += 1;
    Ok(device)
}

/// A new module with an empty twin, or one with the content given.
///
/// # Errors
/// [`HubError::ArgumentInvalid`] when the request breaks a rule of identities.
pub fn fresh_module(
    request: &ModuleRequest,
    content: &TwinContent,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Result<Module, HubError> {
    check_length("managedBy", request.managed_by.as_deref(), LONGEST_REASON)?;
    Ok(Module {
        device_id: request.device_id.clone(),
        id: request.id.clone(),
        generation_id: draw_generation(now, entropy),
        etag: draw_etag(entropy),
        managed_by: request.managed_by.clone(),
        authentication: settle(request.authentication.as_ref(), None, entropy)?,
        twin: Twin::fresh(content, now),
        presence: Presence::default(),
        created: now,
        // The store gives the first one.
        revision: 0,
    })
}

/// The module after an operator's update. Its twin and generation stay.
///
/// # Errors
/// [`HubError::ArgumentInvalid`] when the request breaks a rule of identities.
pub fn updated_module(
    before: &Module,
    request: &ModuleRequest,
    entropy: &dyn Entropy,
) -> Result<Module, HubError> {
    check_length("managedBy", request.managed_by.as_deref(), LONGEST_REASON)?;
    let mut module = before.clone();
    if request.managed_by.is_some() {
        module.managed_by.clone_from(&request.managed_by);
    }
    module.authentication = settle(
        request.authentication.as_ref(),
        Some(&before.authentication),
        entropy,
    )?;
    module.etag = draw_etag(entropy);
    module.revision += 1;
    Ok(module)
}

/// The modules that an edge device is made with: empty twins, and no way to connect until the
/// edge runtime gives them one.
///
/// Source: docs/protocol/hub-api.md §1.3 [D for existence, I for `none`].
pub fn edge_modules(device: &DeviceId, now: Timestamp, entropy: &dyn Entropy) -> Vec<Module> {
    EDGE_MODULES
        .into_iter()
        .filter_map(|name| {
            let request = ModuleRequest {
                device_id: device.clone(),
                id: ModuleId::parse(name).ok()?,
                managed_by: Some("IotEdge".to_owned()),
                authentication: Some(AuthenticationRequest::None),
            };
            fresh_module(&request, &TwinContent::default(), now, entropy).ok()
        })
        .collect()
}

/// A new identity etag: base64 of digits.
///
/// Source: docs/protocol/hub-api.md §1.5 [S].
#[expect(
    clippy::expect_used,
    reason = "base64 of a few digits is a short visible text, which every etag may be"
)]
fn draw_etag(entropy: &dyn Entropy) -> Etag {
    let digits = (draw(entropy) % 10_000_000_000).to_string();
    Etag::parse(&STANDARD.encode(digits)).expect("base64 is an etag")
}

fn check_texts(request: &DeviceRequest) -> Result<(), HubError> {
    check_length(
        "statusReason",
        request.status_reason.as_deref(),
        LONGEST_REASON,
    )?;
    check_length(
        "deviceScope",
        request.device_scope.as_deref(),
        LONGEST_SCOPE,
    )?;
    for scope in request.parent_scopes.iter().flatten() {
        check_length("parentScopes", Some(scope), LONGEST_SCOPE)?;
    }
    Ok(())
}

fn check_length(what: &str, text: Option<&str>, most: usize) -> Result<(), HubError> {
    match text {
        Some(text) if text.chars().count() > most => Err(HubError::ArgumentInvalid(format!(
            "'{what}' is longer than {most} characters"
        ))),
        Some(text) if text.contains('\0') => Err(HubError::ArgumentInvalid(format!(
            "'{what}' holds a NUL character"
        ))),
        _ => Ok(()),
    }
}

/// The scope of a new edge device. A scope given must be its own from an earlier life, so that its
/// children find it again.
///
/// Source: docs/protocol/hub-api.md §1.3 [I].
fn own_scope(request: &DeviceRequest, now: Timestamp) -> Result<String, HubError> {
    let prefix = format!("ms-azure-iot-edge://{}-", request.id);
    match &request.device_scope {
        None => Ok(format!("{prefix}{}", ticks(now))),
        Some(scope)
            if scope.strip_prefix(&prefix).is_some_and(|ticks| {
                !ticks.is_empty() && ticks.bytes().all(|b| b.is_ascii_digit())
            }) =>
        {
            Ok(scope.clone())
        }
        Some(_) => Err(HubError::ArgumentInvalid(format!(
            "The deviceScope of an IoT Edge device is made by the hub; that of device '{}' would \
             begin with '{prefix}'",
            request.id
        ))),
    }
}

/// A generation id: digits that say the second and end in chance, so that an identity made again
/// within the same tick still differs.
fn draw_generation(now: Timestamp, entropy: &dyn Entropy) -> String {
    const SECOND: i64 = 10_000_000;
    let whole = ticks(now) / SECOND * SECOND;
    let chance = i64::try_from(draw(entropy) % 10_000_000).unwrap_or_default();
    (whole + chance).to_string()
}

/// Tenths of microseconds since the year 1, as hub ids count time.
fn ticks(now: Timestamp) -> i64 {
    now.since(Timestamp::NEVER)
        .as_micros()
        .saturating_mul(10)
        .try_into()
        .unwrap_or(i64::MAX)
}

fn draw(entropy: &dyn Entropy) -> u64 {
    let mut bytes = [0_u8; 8];
    entropy.fill(&mut bytes);
    u64::from_be_bytes(bytes)
}
