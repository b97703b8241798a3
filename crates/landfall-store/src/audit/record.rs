//! Audit entries as records. They hold records in the form of their own subjects, without what is
//! sealed there: nothing in an entry is a secret.

use std::net::IpAddr;

use landfall_core::audit::difference::Difference;
use landfall_core::audit::record::Record;
use landfall_core::audit::{Action, Actor, AuditEntry, Author, Kind, Origin, Place};
use landfall_core::clock::Timestamp;
use landfall_core::id::{DeviceId, Etag, HubHostName, IdScope, ModuleId, PolicyName, TrackingId};
use landfall_core::secret::KeyPair;
use landfall_core::service::{AccessPolicy, Rights};
use landfall_hub::audit::{HubRecord, TwinRecord};
use landfall_hub::policy::{HubPolicy, Permissions};
use serde::{Deserialize, Serialize};

use crate::certificates::WholeCertificate;
use crate::devices::{WholeDevice, WholeModule};
use crate::dialect::Fault;
use crate::enrollments::{GroupRecord, IndividualRecord};
use crate::hubs::WholeHub;
use crate::record::{AsText, Embedded, Version};
use crate::registrations::RegistrationRecord;
use crate::services::WholeService;

/// What an entry keeps besides its columns.
#[derive(Serialize, Deserialize)]
pub(super) struct EntryRecord {
    v: Version,
    actor: ActorRecord,
    place: PlaceRecord,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<StateRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<StateRecord>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    changed_secrets: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    taken_along: Vec<(AsText<Kind>, u64)>,
    #[serde(default)]
    bulk: bool,
}

/// What an entry keeps in columns.
pub(super) struct Columns {
    pub(super) at: Timestamp,
    pub(super) address: Option<IpAddr>,
    pub(super) tracking_id: TrackingId,
    pub(super) action: Action,
    pub(super) kind: Kind,
    pub(super) subjects: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
enum ActorRecord {
    ServicePolicy(AsText<IdScope>, AsText<PolicyName>),
    HubPolicy(AsText<HubHostName>, AsText<PolicyName>),
    ControlToken,
    Server,
}

#[derive(Debug, Serialize, Deserialize)]
enum PlaceRecord {
    Service(AsText<IdScope>),
    Hub(AsText<HubHostName>),
}

/// A state of a record.
#[derive(Serialize, Deserialize)]
enum StateRecord {
    Service(WholeService),
    Policy(AsText<PolicyName>, u8),
    Individual(Box<IndividualRecord>),
    Group(Box<GroupRecord>),
    Certificate(WholeCertificate),
    Registration(Box<RegistrationRecord>),
    Hub(WholeHub),
    HubPolicy(AsText<PolicyName>, u8),
    Device(Box<WholeDevice>),
    Module(Box<WholeModule>),
    Twin(TwinState),
}

#[derive(Debug, Serialize, Deserialize)]
struct TwinState {
    device: AsText<DeviceId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    module: Option<AsText<ModuleId>>,
    tags: Embedded,
    desired: Embedded,
    version: i64,
    etag: AsText<Etag>,
}

impl EntryRecord {
    /// Writes down what does not stand in columns.
    pub(super) fn of(
        author: &Author,
        place: &Place,
        what: &Difference<HubRecord>,
    ) -> Result<Self, Fault> {
        let state =
            |state: &Option<Record<HubRecord>>| state.as_ref().map(StateRecord::of).transpose();
        Ok(EntryRecord {
            v: Version,
            actor: (&author.actor).into(),
            place: place.into(),
            before: state(&what.before)?,
            after: state(&what.after)?,
            changed_secrets: what.changed_secrets.clone(),
            taken_along: what
                .taken_along
                .iter()
                .map(|(kind, count)| (AsText(*kind), *count))
                .collect(),
            bulk: author.bulk,
        })
    }

    /// Adds to what is counted.
    pub(super) fn add(&mut self, counts: &[(Kind, u64)]) {
        for (kind, count) in counts {
            match self
                .taken_along
                .iter_mut()
                .find(|(known, _)| known.0 == *kind)
            {
                Some((_, sum)) => *sum = sum.saturating_add(*count),
                None => self.taken_along.push((AsText(*kind), *count)),
            }
        }
    }

    /// Reads the entry back, with what stood in columns.
    pub(super) fn read(self, columns: Columns) -> Result<AuditEntry<HubRecord>, Fault> {
        let state = |state: Option<StateRecord>| state.map(StateRecord::read).transpose();
        Ok(AuditEntry {
            author: Author {
                actor: self.actor.into(),
                origin: Origin {
                    at: columns.at,
                    address: columns.address,
                    tracking_id: columns.tracking_id,
                },
                bulk: self.bulk,
            },
            place: self.place.into(),
            what: Difference {
                action: columns.action,
                kind: columns.kind,
                before: state(self.before)?,
                after: state(self.after)?,
                changed_secrets: self.changed_secrets,
                taken_along: self
                    .taken_along
                    .into_iter()
                    .map(|(kind, count)| (kind.0, count))
                    .collect(),
            },
            subjects: columns.subjects,
        })
    }
}

impl From<&Actor> for ActorRecord {
    fn from(actor: &Actor) -> Self {
        match actor {
            Actor::ServicePolicy(scope, policy) => {
                ActorRecord::ServicePolicy(AsText(scope.clone()), AsText(policy.clone()))
            }
            Actor::HubPolicy(hub, policy) => {
                ActorRecord::HubPolicy(AsText(hub.clone()), AsText(policy.clone()))
            }
            Actor::ControlToken => ActorRecord::ControlToken,
            Actor::Server => ActorRecord::Server,
        }
    }
}

impl From<ActorRecord> for Actor {
    fn from(record: ActorRecord) -> Self {
        match record {
            ActorRecord::ServicePolicy(scope, policy) => Actor::ServicePolicy(scope.0, policy.0),
            ActorRecord::HubPolicy(hub, policy) => Actor::HubPolicy(hub.0, policy.0),
            ActorRecord::ControlToken => Actor::ControlToken,
            ActorRecord::Server => Actor::Server,
        }
    }
}

impl From<&Place> for PlaceRecord {
    fn from(place: &Place) -> Self {
        match place {
            Place::Service(scope) => PlaceRecord::Service(AsText(scope.clone())),
            Place::Hub(hub) => PlaceRecord::Hub(AsText(hub.clone())),
        }
    }
}

impl From<PlaceRecord> for Place {
    fn from(record: PlaceRecord) -> Self {
        match record {
            PlaceRecord::Service(scope) => Place::Service(scope.0),
            PlaceRecord::Hub(hub) => Place::Hub(hub.0),
        }
    }
}

impl StateRecord {
    fn of(record: &Record<HubRecord>) -> Result<Self, Fault> {
        Ok(match record {
            Record::Service(service) => StateRecord::Service(WholeService::of(service)),
            Record::Policy(policy) => {
                StateRecord::Policy(AsText(policy.name.clone()), policy.rights.bits())
            }
            Record::Individual(enrollment) => {
                StateRecord::Individual(Box::new(IndividualRecord::whole(enrollment)?))
            }
            Record::Group(group) => StateRecord::Group(Box::new(GroupRecord::whole(group)?)),
            Record::Certificate(ca) => StateRecord::Certificate(WholeCertificate::of(ca)),
            Record::Registration(registration) => {
                StateRecord::Registration(Box::new(RegistrationRecord::whole(registration)?))
            }
            Record::Hub(HubRecord::Hub(hub)) => StateRecord::Hub(WholeHub::of(hub)),
            Record::Hub(HubRecord::Policy(policy)) => {
                StateRecord::HubPolicy(AsText(policy.name.clone()), policy.permissions.bits())
            }
            Record::Hub(HubRecord::Device(device)) => {
                StateRecord::Device(Box::new(WholeDevice::of(device)?))
            }
            Record::Hub(HubRecord::Module(module)) => {
                StateRecord::Module(Box::new(WholeModule::of(module)?))
            }
            Record::Hub(HubRecord::Twin(twin)) => StateRecord::Twin(TwinState {
                device: AsText(twin.device_id.clone()),
                module: twin.module_id.clone().map(AsText),
                tags: Embedded::of(&twin.tags)?,
                desired: Embedded::of(&twin.desired)?,
                version: twin.version,
                etag: AsText(twin.etag.clone()),
            }),
        })
    }

    fn read(self) -> Result<Record<HubRecord>, Fault> {
        let keys = KeyPair::hidden;
        Ok(match self {
            StateRecord::Service(service) => Record::Service(Box::new(service.read())),
            StateRecord::Policy(name, rights) => Record::Policy(Box::new(AccessPolicy {
                name: name.0,
                keys: keys(),
                rights: Rights::from_bits(rights),
            })),
            StateRecord::Individual(enrollment) => {
                Record::Individual(Box::new(enrollment.read_whole()?))
            }
            StateRecord::Group(group) => Record::Group(Box::new(group.read_whole()?)),
            StateRecord::Certificate(ca) => Record::Certificate(Box::new(ca.read()?)),
            StateRecord::Registration(registration) => {
                Record::Registration(Box::new(registration.read_whole()?))
            }
            StateRecord::Hub(hub) => Record::Hub(HubRecord::Hub(Box::new(hub.read()))),
            StateRecord::HubPolicy(name, permissions) => {
                Record::Hub(HubRecord::Policy(Box::new(HubPolicy {
                    name: name.0,
                    keys: keys(),
                    permissions: Permissions::from_bits(permissions),
                })))
            }
            StateRecord::Device(device) => Record::Hub(HubRecord::Device(Box::new(device.read()?))),
            StateRecord::Module(module) => Record::Hub(HubRecord::Module(Box::new(module.read()?))),
            StateRecord::Twin(twin) => Record::Hub(HubRecord::Twin(Box::new(twin.read()))),
        })
    }
}

impl TwinState {
    fn read(self) -> TwinRecord {
        TwinRecord {
            device_id: self.device.0,
            module_id: self.module.map(|module| module.0),
            tags: self.tags.document(),
            desired: self.desired.document(),
            version: self.version,
            etag: self.etag.0,
        }
    }
}
