//! Linked hubs, hub credentials and placements as records: parts of a service and of an operation.

use landfall_core::enrollment::{DeviceCapabilities, InitialTwin};
use landfall_core::id::{DeviceId, HubHostName};
use landfall_core::linked_hub::{HubCredential, LinkedHub, Manner, Placement};
use serde::{Deserialize, Serialize};

use crate::dialect::Fault;
use crate::record::{AsText, Embedded, KeysRecord, present};

/// A linked hub, inside its service's record.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct LinkedHubRecord {
    host_name: AsText<HubHostName>,
    weight: u16,
    apply_policy: bool,
    location: String,
}

impl From<&LinkedHub> for LinkedHubRecord {
    fn from(hub: &LinkedHub) -> Self {
        LinkedHubRecord {
            host_name: AsText(hub.host_name.clone()),
            weight: hub.allocation_weight,
            apply_policy: hub.apply_allocation_policy,
            location: hub.location.clone(),
        }
    }
}

impl From<LinkedHubRecord> for LinkedHub {
    fn from(record: LinkedHubRecord) -> Self {
        LinkedHub {
            host_name: record.host_name.0,
            allocation_weight: record.weight,
            apply_allocation_policy: record.apply_policy,
            location: record.location,
        }
    }
}

/// What the hub will ask of a device; only ever inside a sealed record.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum CredentialRecord {
    Keys(KeysRecord),
    Thumbprints { primary: String, secondary: String },
}

impl From<&HubCredential> for CredentialRecord {
    fn from(credential: &HubCredential) -> Self {
        match credential {
            HubCredential::Keys(keys) => CredentialRecord::Keys(keys.into()),
            HubCredential::Thumbprints { primary, secondary } => CredentialRecord::Thumbprints {
                primary: primary.clone(),
                secondary: secondary.clone(),
            },
        }
    }
}

impl From<CredentialRecord> for HubCredential {
    fn from(record: CredentialRecord) -> Self {
        match record {
            CredentialRecord::Keys(keys) => HubCredential::Keys(keys.into()),
            CredentialRecord::Thumbprints { primary, secondary } => {
                HubCredential::Thumbprints { primary, secondary }
            }
        }
    }
}

/// An initial twin.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct InitialTwinRecord {
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    tags: Option<Embedded>,
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    desired: Option<Embedded>,
}

impl InitialTwinRecord {
    /// Writes a twin down; `tags` may be kept elsewhere.
    pub(crate) fn of(twin: &InitialTwin, with_tags: bool) -> Result<Self, Fault> {
        Ok(InitialTwinRecord {
            tags: Embedded::maybe(twin.tags.as_ref().filter(|_| with_tags))?,
            desired: Embedded::maybe(twin.desired.as_ref())?,
        })
    }

    /// Reads the twin back.
    pub(crate) fn read(&self) -> InitialTwin {
        InitialTwin {
            tags: self.tags.as_ref().map(Embedded::document),
            desired: self.desired.as_ref().map(Embedded::document),
        }
    }
}

/// A hub and a device's name on it.
type Place = (AsText<HubHostName>, AsText<DeviceId>);

#[derive(Debug, Serialize, Deserialize)]
enum MannerRecord {
    Create,
    Keep,
    Reset,
    Migrate(Place),
    Move(Place),
}

/// A placement, inside an unfinished operation.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PlacementRecord {
    hub: AsText<HubHostName>,
    device_id: AsText<DeviceId>,
    credential: CredentialRecord,
    iot_edge: bool,
    initial_twin: InitialTwinRecord,
    manner: MannerRecord,
}

impl PlacementRecord {
    /// Writes a placement down.
    pub(crate) fn of(placement: &Placement) -> Result<Self, Fault> {
        let place =
            |from: &(HubHostName, DeviceId)| (AsText(from.0.clone()), AsText(from.1.clone()));
        Ok(PlacementRecord {
            hub: AsText(placement.hub.clone()),
            device_id: AsText(placement.device_id.clone()),
            credential: (&placement.credential).into(),
            iot_edge: placement.capabilities.iot_edge,
            initial_twin: InitialTwinRecord::of(&placement.initial_twin, true)?,
            manner: match &placement.manner {
                Manner::Create => MannerRecord::Create,
                Manner::Keep => MannerRecord::Keep,
                Manner::Reset => MannerRecord::Reset,
                Manner::Migrate { from } => MannerRecord::Migrate(place(from)),
                Manner::Move { from } => MannerRecord::Move(place(from)),
            },
        })
    }

    /// Reads the placement back.
    pub(crate) fn read(self) -> Placement {
        let place = |from: Place| (from.0.0, from.1.0);
        Placement {
            hub: self.hub.0,
            device_id: self.device_id.0,
            credential: self.credential.into(),
            capabilities: DeviceCapabilities {
                iot_edge: self.iot_edge,
            },
            initial_twin: self.initial_twin.read(),
            manner: match self.manner {
                MannerRecord::Create => Manner::Create,
                MannerRecord::Keep => Manner::Keep,
                MannerRecord::Reset => Manner::Reset,
                MannerRecord::Migrate(from) => Manner::Migrate { from: place(from) },
                MannerRecord::Move(from) => Manner::Move { from: place(from) },
            },
        }
    }
}
