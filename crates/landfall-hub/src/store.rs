//! The port through which hub records are read and written. Writes go through the same commit as
//! the provisioning service's, so that a device and its registration are written together.

use std::future::Future;

use landfall_core::clock::Timestamp;
use landfall_core::id::{DeviceId, HubHostName, ModuleId};
use landfall_core::query::IndexedTerm;
use landfall_core::store::{ReadError, Store};

use crate::audit::HubRecord;
use crate::device::{Device, Hub, Module};
use crate::event::{EventEnds, EventLimit, HubEvent, KeptEvent};

/// What a hub write expects of the record it replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HubExpect {
    /// Nothing.
    Anything,
    /// There is none.
    Absent,
    /// There is one, with this revision.
    Revision(i64),
}

/// One write of an embedded hub's records.
///
/// The stored revision of a put is one more than the revision it replaces, whatever the record says.
/// A new record's is greater than any that was ever removed: no revision comes back with a name.
#[derive(Debug, Clone)]
pub enum HubWrite {
    /// Make or replace a hub.
    PutHub(Box<Hub>, HubExpect),
    /// Remove a hub and everything in it.
    DeleteHub(HubHostName, HubExpect),
    /// Make or replace a device.
    PutDevice(HubHostName, Box<Device>, HubExpect),
    /// Remove a device and its modules.
    DeleteDevice(HubHostName, DeviceId, HubExpect),
    /// Make or replace a module. Refused when its device is not there.
    PutModule(HubHostName, Box<Module>, HubExpect),
    /// Remove a module.
    DeleteModule(HubHostName, DeviceId, ModuleId, HubExpect),
    /// Keep an event, under the hub's next sequence number. Refused when the hub is not there; whether
    /// its endpoint is there does not count.
    AppendEvent(HubHostName, Box<HubEvent>),
}

/// How many devices a hub has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeviceCounts {
    /// All.
    pub total: u64,
    /// Those that may connect.
    pub enabled: u64,
    /// Those that may not.
    pub disabled: u64,
}

/// Which devices or modules a listing gives, in ascending key order.
#[derive(Debug, Clone, Default)]
pub struct HubSelection {
    /// Conditions that an index answers (`deviceId`, `status`, `capabilities.iotEdge`, `tags.*`).
    /// A term without an index is ignored: callers filter what they get.
    pub terms: Vec<IndexedTerm>,
    /// Give devices after this id, or modules after this device id and module id.
    pub after: Option<(String, String)>,
    /// Give at most this many.
    pub limit: usize,
}

/// Reads of hub records.
pub trait HubStore: Store<HubWrite = HubWrite, HubRecord = HubRecord> {
    /// All embedded hubs, by name.
    fn hubs(&self) -> impl Future<Output = Result<Vec<Hub>, ReadError>> + Send;

    /// One embedded hub.
    fn hub(&self, hub: &HubHostName)
    -> impl Future<Output = Result<Option<Hub>, ReadError>> + Send;

    /// One device.
    fn device(
        &self,
        hub: &HubHostName,
        id: &DeviceId,
    ) -> impl Future<Output = Result<Option<Device>, ReadError>> + Send;

    /// Devices in order of their id (byte order).
    fn devices(
        &self,
        hub: &HubHostName,
        selection: &HubSelection,
    ) -> impl Future<Output = Result<Vec<Device>, ReadError>> + Send;

    /// One module.
    fn module(
        &self,
        hub: &HubHostName,
        device: &DeviceId,
        id: &ModuleId,
    ) -> impl Future<Output = Result<Option<Module>, ReadError>> + Send;

    /// All modules of a device, by id.
    fn modules_of(
        &self,
        hub: &HubHostName,
        device: &DeviceId,
    ) -> impl Future<Output = Result<Vec<Module>, ReadError>> + Send;

    /// Modules of all devices, in order of device id and module id (byte order).
    fn modules(
        &self,
        hub: &HubHostName,
        selection: &HubSelection,
    ) -> impl Future<Output = Result<Vec<Module>, ReadError>> + Send;

    /// How many devices there are.
    fn device_counts(
        &self,
        hub: &HubHostName,
    ) -> impl Future<Output = Result<DeviceCounts, ReadError>> + Send;

    /// The events that came after a sequence number, in order. At least one is given when there is one,
    /// whatever its size.
    fn events_after(
        &self,
        hub: &HubHostName,
        after: i64,
        limit: EventLimit,
    ) -> impl Future<Output = Result<Vec<KeptEvent>, ReadError>> + Send;

    /// Which events of a hub there are; those of a hub that is not there are none.
    fn event_ends(
        &self,
        hub: &HubHostName,
    ) -> impl Future<Output = Result<EventEnds, ReadError>> + Send;

    /// Drops the oldest events of every hub: those of before `before`, and all but the newest `most`. A
    /// younger one that stands before an old one goes with it, so that what is left has no gaps. Of each hub at most
    /// `limit` go at once; gives how many went.
    fn purge_events(
        &self,
        before: Timestamp,
        most: u64,
        limit: usize,
    ) -> impl Future<Output = Result<usize, ReadError>> + Send;
}
