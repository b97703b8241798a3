//! Device and module identities, as the hub keeps them.

use landfall_core::clock::Timestamp;
use landfall_core::id::{DeviceId, Etag, HubHostName, ModuleId};
use landfall_core::secret::KeyPair;

use crate::policy::HubPolicy;
use crate::twin::Twin;

/// An embedded hub: a name and its own shared access policies.
#[derive(Debug, Clone, PartialEq)]
pub struct Hub {
    /// The host name devices and operators ask for.
    pub host_name: HubHostName,
    /// Its shared access policies.
    pub policies: Vec<HubPolicy>,
    /// When it was made.
    pub created: Timestamp,
    /// As a device's: [`Device::revision`].
    pub revision: i64,
}

impl Hub {
    /// The mark of the state of its policies; base64 of digits, as those of its devices.
    pub fn etag(&self) -> Etag {
        Etag::of_number(self.revision)
    }
}

/// A device with its twin.
#[derive(Debug, Clone, PartialEq)]
pub struct Device {
    /// Its name.
    pub id: DeviceId,
    /// Made anew with each creation, stable over updates.
    pub generation_id: String,
    /// The mark of the identity's state; base64 of digits. The twin has its own.
    pub etag: Etag,
    /// Whether it may connect.
    pub status: DeviceStatus,
    /// The operator's words for the status.
    pub status_reason: Option<String>,
    /// When the status last changed.
    pub status_updated: Timestamp,
    /// What the hub asks of it.
    pub authentication: DeviceAuthentication,
    /// Whether it is an IoT Edge device.
    pub iot_edge: bool,
    /// The scope it stands in: its own for edge devices, its parent's for leaf devices.
    pub device_scope: Option<String>,
    /// The scopes of its parents (edge devices).
    pub parent_scopes: Vec<String>,
    /// Its twin.
    pub twin: Twin,
    /// Its connection and its messages, as they were when the record was read.
    pub presence: Presence,
    /// When it was made.
    pub created: Timestamp,
    /// Grows with every write of the record, identity or twin, and never comes back with the name:
    /// the store's own guard. Zero until the store wrote it.
    pub revision: i64,
}

/// A module of a device, with its twin.
#[derive(Debug, Clone, PartialEq)]
pub struct Module {
    /// The device it belongs to.
    pub device_id: DeviceId,
    /// Its name.
    pub id: ModuleId,
    /// Made anew with each creation, stable over updates.
    pub generation_id: String,
    /// The mark of the identity's state.
    pub etag: Etag,
    /// `IotEdge` when the edge runtime owns it.
    pub managed_by: Option<String>,
    /// What the hub asks of it.
    pub authentication: DeviceAuthentication,
    /// Its twin.
    pub twin: Twin,
    /// As a device's: [`Device::presence`].
    pub presence: Presence,
    /// When it was made.
    pub created: Timestamp,
    /// As a device's: [`Device::revision`].
    pub revision: i64,
}

/// What is known of a device or module besides its record. It is read with the record; putting the record
/// changes nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Presence {
    /// Whether it has a session.
    pub connected: bool,
    /// When it last got or lost one; never before the first.
    pub connected_changed: Timestamp,
    /// When it was last heard of.
    pub last_activity: Timestamp,
    /// How many messages wait for it.
    pub messages: u64,
}

impl Default for Presence {
    /// Of an endpoint that was never there.
    fn default() -> Self {
        Presence {
            connected: false,
            connected_changed: Timestamp::NEVER,
            last_activity: Timestamp::NEVER,
            messages: 0,
        }
    }
}

/// Whether a device may connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceStatus {
    /// It may.
    #[default]
    Enabled,
    /// It may not.
    Disabled,
}

/// What the hub asks of a device or module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceAuthentication {
    /// A token signed with either key.
    Sas(KeyPair),
    /// A certificate with one of these thumbprints: 40 (SHA-1) or 64 (SHA-256) hex digits.
    SelfSigned {
        /// The first thumbprint.
        primary: Option<String>,
        /// The second thumbprint.
        secondary: Option<String>,
    },
    /// A certificate under an uploaded CA, with the device's id as common name.
    CertificateAuthority,
    /// Nothing: it cannot connect by itself (`$edgeAgent`, `$edgeHub` before the edge runs).
    None,
}
