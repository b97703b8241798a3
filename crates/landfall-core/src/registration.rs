//! The lasting result of registering: status, substatus, where the device was put.

pub mod operation;
pub mod reprovision;

use crate::attestation::AttestationKind;
use crate::clock::Timestamp;
use crate::document::Document;
use crate::id::{DeviceId, EnrollmentGroupId, Etag, HubHostName, RegistrationId};

/// The enrollment that let a device in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnrollmentRef {
    /// The individual enrollment with the registration's own id.
    Individual,
    /// A group.
    Group(EnrollmentGroupId),
}

impl EnrollmentRef {
    /// Names it in messages to operators.
    pub fn spoken(&self) -> String {
        match self {
            EnrollmentRef::Individual => "the individual enrollment".to_owned(),
            EnrollmentRef::Group(id) => format!("enrollment group '{id}'"),
        }
    }
}

/// What became of a registration id in its provisioning service.
#[derive(Debug, Clone, PartialEq)]
pub struct Registration {
    /// The id, as the device spelt it.
    pub registration_id: RegistrationId,
    /// The enrollment it was let in by.
    pub enrollment: EnrollmentRef,
    /// How the device proved itself.
    pub kind: AttestationKind,
    /// How it ended.
    pub status: RegistrationStatus,
    /// Where it lives; kept while a later attempt fails.
    pub assignment: Option<Assignment>,
    /// What custom allocation gave the device.
    pub payload: Option<Document>,
    /// The mark of this state.
    pub etag: Etag,
    /// When the device first registered.
    pub created: Timestamp,
    /// When the state last changed.
    pub updated: Timestamp,
}

/// Where a device lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The hub.
    pub hub: HubHostName,
    /// Its name there.
    pub device_id: DeviceId,
    /// How it came there.
    pub substatus: Substatus,
}

/// How a registration ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegistrationStatus {
    /// The device has a hub.
    Assigned,
    /// It was let in, and could not be assigned.
    Failed(RegistrationFailure),
    /// Its enrollment is disabled.
    Disabled,
}

/// Why a registration that was let in could not be assigned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegistrationFailure {
    /// No linked hub may take the device.
    NoLinkedHub,
    /// The enrollment, or an earlier registration, names a hub that is not linked.
    HubNotLinked(HubHostName),
    /// The enrollment's allocation policy is not served by this build.
    PolicyNotServed(crate::enrollment::AllocationPolicy),
    /// The `static` policy without exactly one hub.
    StaticHubMissing,
    /// The hub refused.
    HubRefused(String),
}

impl RegistrationFailure {
    /// What a device may read of it.
    pub fn public(&self) -> String {
        use crate::enrollment::AllocationPolicy::{Custom, GeoLatency, Hashed, Static};
        match self {
            RegistrationFailure::NoLinkedHub => {
                "The provisioning service has no linked hub that may take the device.".to_owned()
            }
            RegistrationFailure::HubNotLinked(hub) => {
                format!("Hub {hub} is not linked to the provisioning service.")
            }
            RegistrationFailure::PolicyNotServed(policy) => {
                let name = match policy {
                    Custom => "custom",
                    GeoLatency => "geoLatency",
                    Hashed => "hashed",
                    Static => "static",
                };
                format!("Allocation policy '{name}' is stored but not served by this build.")
            }
            RegistrationFailure::StaticHubMissing => {
                "The static allocation policy needs exactly one hub on the enrollment.".to_owned()
            }
            RegistrationFailure::HubRefused(_) => "The hub refused the device.".to_owned(),
        }
    }
}

/// How a device came to its hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Substatus {
    /// Its first assignment.
    InitialAssignment,
    /// Moved, with its data.
    DeviceDataMigrated,
    /// Moved or reset, without its data.
    DeviceDataReset,
    /// Returned to the hub it already had.
    ReprovisionedToInitialAssignment,
}
