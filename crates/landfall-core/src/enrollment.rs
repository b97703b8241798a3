//! Enrollments: the records that let devices in, one device or many.

use crate::attestation::{AttestationMechanism, X509Attestation};
use crate::clock::Timestamp;
use crate::document::Document;
use crate::id::{DeviceId, EnrollmentGroupId, Etag, HubHostName, RegistrationId};

/// Lets one device in, under one registration id.
#[derive(Debug, Clone, PartialEq)]
pub struct IndividualEnrollment {
    /// The id it is for; unique in its provisioning service.
    pub registration_id: RegistrationId,
    /// The device's name on its hub, when it shall differ from the registration id.
    pub device_id: Option<DeviceId>,
    /// A free bag of the operator's own facts about the device.
    pub device_information: Option<Document>,
    /// How the device proves itself.
    pub attestation: AttestationMechanism,
    /// What the device gets.
    pub terms: EnrollmentTerms,
}

impl IndividualEnrollment {
    /// True when its certificates are named rather than held: what is uploaded under those names
    /// then counts.
    pub fn names_authorities(&self) -> bool {
        matches!(
            self.attestation,
            AttestationMechanism::X509(X509Attestation::CaReference(_))
        )
    }
}

/// Lets many devices in, that share an attestation mechanism.
#[derive(Debug, Clone, PartialEq)]
pub struct EnrollmentGroup {
    /// Its name; unique in its provisioning service.
    pub id: EnrollmentGroupId,
    /// How its devices prove themselves.
    pub attestation: AttestationMechanism,
    /// What its devices get.
    pub terms: EnrollmentTerms,
}

/// What both kinds of enrollment say about the devices they let in.
#[derive(Debug, Clone, PartialEq)]
pub struct EnrollmentTerms {
    /// Whether it lets anyone in now.
    pub status: ProvisioningStatus,
    /// What a returning device keeps; absent means the service's own rule (migrate).
    pub reprovision: Option<ReprovisionPolicy>,
    /// Which policy picks the hub; absent means the service's default, whatever that is by then.
    pub allocation: Option<AllocationPolicy>,
    /// The hubs it may assign to; empty means all linked hubs.
    pub hubs: Vec<HubHostName>,
    /// The single target of the deprecated `iotHubHostName` form; echoed when it was set that way.
    pub legacy_hub: Option<HubHostName>,
    /// The webhook of the `custom` policy.
    pub custom_allocation: Option<CustomAllocation>,
    /// What the device may become.
    pub capabilities: DeviceCapabilities,
    /// The twin given at first assignment.
    pub initial_twin: Option<InitialTwin>,
    /// Fields of newer api versions that are stored and returned as they came, by wire name.
    pub extra: Vec<(String, String)>,
    /// The mark of this state of the record.
    pub etag: Etag,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last changed.
    pub updated: Timestamp,
}

/// Whether an enrollment lets devices in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProvisioningStatus {
    /// It does.
    #[default]
    Enabled,
    /// It keeps its devices out, whatever else would let them in.
    Disabled,
}

/// What a device keeps that registers again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReprovisionPolicy {
    /// Whether the hub is chosen anew.
    pub update_hub_assignment: bool,
    /// Whether twin and capabilities move along.
    pub migrate_device_data: bool,
}

impl Default for ReprovisionPolicy {
    /// Migrate: choose anew, and take the data along.
    fn default() -> Self {
        ReprovisionPolicy {
            update_hub_assignment: true,
            migrate_device_data: true,
        }
    }
}

/// How a hub is picked among the candidates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AllocationPolicy {
    /// By a weighted hash of the registration id.
    Hashed,
    /// By the lowest latency between device and hub.
    GeoLatency,
    /// The one hub that the enrollment names.
    Static,
    /// By the operator's webhook.
    Custom,
}

/// The operator's webhook of the `custom` policy. `Debug` hides its URL.
#[derive(Clone, PartialEq, Eq)]
pub struct CustomAllocation {
    /// Where the webhook listens; called exactly as stored. Its query string may hold a key.
    pub webhook_url: String,
    /// The api version in which the webhook reads its request.
    pub api_version: String,
}

impl std::fmt::Debug for CustomAllocation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CustomAllocation(api-version {})", self.api_version)
    }
}

/// What a device may become on its hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeviceCapabilities {
    /// It is an IoT Edge device, with `$edgeAgent` and `$edgeHub`.
    pub iot_edge: bool,
}

/// The twin given at first assignment. Both parts are JSON objects.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InitialTwin {
    /// What only operators see.
    pub tags: Option<Document>,
    /// What the device is asked to become.
    pub desired: Option<Document>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_a_webhook_is_not_printed() {
        let webhook = CustomAllocation {
            webhook_url: "https://example.org/hook?code=hush".to_owned(),
            api_version: "2021-10-01".to_owned(),
        };
        assert_eq!(
            format!("{webhook:?}"),
            "CustomAllocation(api-version 2021-10-01)"
        );
    }
}
