//! Devices and modules as records. Keys are sealed apart; the twin's tags stand in a column.

use landfall_core::document::Document;
use landfall_core::id::{DeviceId, Etag, ModuleId};
use landfall_core::secret::KeyPair;
use landfall_hub::device::{Device, DeviceAuthentication, DeviceStatus, Module, Presence};
use landfall_hub::twin::{Twin, TwinSection};
use serde::{Deserialize, Serialize};

use crate::dialect::Fault;
use crate::record::{AsText, Embedded, KeysRecord, Micros, Version};

#[derive(Debug, Serialize, Deserialize)]
enum AuthenticationRecord {
    Sas,
    SelfSigned(Option<String>, Option<String>),
    CertificateAuthority,
    None,
}

impl From<&DeviceAuthentication> for AuthenticationRecord {
    fn from(authentication: &DeviceAuthentication) -> Self {
        match authentication {
            DeviceAuthentication::Sas(_) => AuthenticationRecord::Sas,
            DeviceAuthentication::SelfSigned { primary, secondary } => {
                AuthenticationRecord::SelfSigned(primary.clone(), secondary.clone())
            }
            DeviceAuthentication::CertificateAuthority => {
                AuthenticationRecord::CertificateAuthority
            }
            DeviceAuthentication::None => AuthenticationRecord::None,
        }
    }
}

impl AuthenticationRecord {
    fn read(self, keys: Option<KeysRecord>) -> Result<DeviceAuthentication, Fault> {
        Ok(match self {
            AuthenticationRecord::Sas => DeviceAuthentication::Sas(
                keys.ok_or_else(|| Fault::Record("a device has lost its keys".to_owned()))?
                    .into(),
            ),
            AuthenticationRecord::SelfSigned(primary, secondary) => {
                DeviceAuthentication::SelfSigned { primary, secondary }
            }
            AuthenticationRecord::CertificateAuthority => {
                DeviceAuthentication::CertificateAuthority
            }
            AuthenticationRecord::None => DeviceAuthentication::None,
        })
    }
}

/// What must be sealed of a device or module; `None` when nothing.
pub(super) fn secrets(authentication: &DeviceAuthentication) -> Option<KeysRecord> {
    match authentication {
        DeviceAuthentication::Sas(keys) => Some(keys.into()),
        _ => None,
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct SectionRecord {
    properties: Embedded,
    metadata: Embedded,
    version: i64,
}

impl SectionRecord {
    fn of(section: &TwinSection) -> Result<Self, Fault> {
        Ok(SectionRecord {
            properties: Embedded::of(&section.properties)?,
            metadata: Embedded::of(&section.metadata)?,
            version: section.version,
        })
    }

    fn read(&self) -> TwinSection {
        TwinSection {
            properties: self.properties.document(),
            metadata: self.metadata.document(),
            version: self.version,
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct TwinRecord {
    desired: SectionRecord,
    reported: SectionRecord,
    version: i64,
    etag: AsText<Etag>,
}

impl TwinRecord {
    fn of(twin: &Twin) -> Result<Self, Fault> {
        Ok(TwinRecord {
            desired: SectionRecord::of(&twin.desired)?,
            reported: SectionRecord::of(&twin.reported)?,
            version: twin.version,
            etag: AsText(twin.etag.clone()),
        })
    }

    fn read(self, tags: &str) -> Twin {
        Twin {
            tags: Document::kept(tags),
            desired: self.desired.read(),
            reported: self.reported.read(),
            version: self.version,
            etag: self.etag.0,
        }
    }
}

/// A device, without its id, revision, tags and keys.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct DeviceRecord {
    v: Version,
    generation_id: String,
    etag: AsText<Etag>,
    status: AsText<DeviceStatus>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status_reason: Option<String>,
    status_updated: Micros,
    authentication: AuthenticationRecord,
    iot_edge: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    device_scope: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    parent_scopes: Vec<String>,
    twin: TwinRecord,
    created: Micros,
}

impl DeviceRecord {
    pub(super) fn of(device: &Device) -> Result<Self, Fault> {
        Ok(DeviceRecord {
            v: Version,
            generation_id: device.generation_id.clone(),
            etag: AsText(device.etag.clone()),
            status: AsText(device.status),
            status_reason: device.status_reason.clone(),
            status_updated: device.status_updated.into(),
            authentication: (&device.authentication).into(),
            iot_edge: device.iot_edge,
            device_scope: device.device_scope.clone(),
            parent_scopes: device.parent_scopes.clone(),
            twin: TwinRecord::of(&device.twin)?,
            created: device.created.into(),
        })
    }

    pub(super) fn read(
        self,
        id: DeviceId,
        revision: i64,
        tags: &str,
        keys: Option<KeysRecord>,
    ) -> Result<Device, Fault> {
        Ok(Device {
            id,
            generation_id: self.generation_id,
            etag: self.etag.0,
            status: self.status.0,
            status_reason: self.status_reason,
            status_updated: self.status_updated.into(),
            authentication: self.authentication.read(keys)?,
            iot_edge: self.iot_edge,
            device_scope: self.device_scope,
            parent_scopes: self.parent_scopes,
            twin: self.twin.read(tags),
            presence: Presence::default(),
            created: self.created.into(),
            revision,
        })
    }
}

/// A module, without its ids, revision, tags and keys.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ModuleRecord {
    v: Version,
    generation_id: String,
    etag: AsText<Etag>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    managed_by: Option<String>,
    authentication: AuthenticationRecord,
    twin: TwinRecord,
    created: Micros,
}

impl ModuleRecord {
    pub(super) fn of(module: &Module) -> Result<Self, Fault> {
        Ok(ModuleRecord {
            v: Version,
            generation_id: module.generation_id.clone(),
            etag: AsText(module.etag.clone()),
            managed_by: module.managed_by.clone(),
            authentication: (&module.authentication).into(),
            twin: TwinRecord::of(&module.twin)?,
            created: module.created.into(),
        })
    }

    pub(super) fn read(
        self,
        ids: (DeviceId, ModuleId),
        revision: i64,
        tags: &str,
        keys: Option<KeysRecord>,
    ) -> Result<Module, Fault> {
        Ok(Module {
            device_id: ids.0,
            id: ids.1,
            generation_id: self.generation_id,
            etag: self.etag.0,
            managed_by: self.managed_by,
            authentication: self.authentication.read(keys)?,
            twin: self.twin.read(tags),
            presence: Presence::default(),
            created: self.created.into(),
            revision,
        })
    }
}

/// A device with its id and tags, without its keys.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WholeDevice {
    id: AsText<DeviceId>,
    tags: Embedded,
    device: DeviceRecord,
}

impl WholeDevice {
    /// Writes everything down but keys and revision.
    pub(crate) fn of(device: &Device) -> Result<Self, Fault> {
        Ok(WholeDevice {
            id: AsText(device.id.clone()),
            tags: Embedded::of(&device.twin.tags)?,
            device: DeviceRecord::of(device)?,
        })
    }

    /// Reads it back; keys are [`KeyPair::hidden`].
    pub(crate) fn read(self) -> Result<Device, Fault> {
        let tags = self.tags.document();
        self.device
            .read(self.id.0, 0, tags.as_str(), Some(hidden()))
    }
}

/// A module with its ids and tags, without its keys.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WholeModule {
    device: AsText<DeviceId>,
    id: AsText<ModuleId>,
    tags: Embedded,
    module: ModuleRecord,
}

impl WholeModule {
    /// Writes everything down but keys and revision.
    pub(crate) fn of(module: &Module) -> Result<Self, Fault> {
        Ok(WholeModule {
            device: AsText(module.device_id.clone()),
            id: AsText(module.id.clone()),
            tags: Embedded::of(&module.twin.tags)?,
            module: ModuleRecord::of(module)?,
        })
    }

    /// Reads it back; keys are [`KeyPair::hidden`].
    pub(crate) fn read(self) -> Result<Module, Fault> {
        let (ids, tags) = ((self.device.0, self.id.0), self.tags.document());
        self.module.read(ids, 0, tags.as_str(), Some(hidden()))
    }
}

fn hidden() -> KeysRecord {
    (&KeyPair::hidden()).into()
}
