//! The port through which hub records are read and written. Writes go through the same commit as
//! the provisioning service's, so that a device and its registration are written together.

use std::future::Future;

use landfall_core::clock::Timestamp;
use landfall_core::id::{DeviceId, HubHostName, ModuleId};
use landfall_core::query::IndexedTerm;
use landfall_core::store::{Change, CommitError, ReadError, Store};

use crate::audit::HubRecord;
use crate::device::{Device, Hub, Module};
use crate::endpoint::Endpoint;
use crate::event::{EventEnds, EventLimit, HubEvent, KeptEvent};
use crate::kept_session::{KeptSession, KeptSubscription, NewSession, Opened};
use crate::message::{CloudMessage, Lock, Settlement};
use crate::relay::{Notice, Relayed, RelayedAnswer, RelayedCall};

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
    /// Queue a message for an endpoint, under the hub's next number, whatever number it bears; gives
    /// [`HubAnswer::Enqueued`]. Refused when the endpoint is not there, and as [`CommitError::Full`] when
    /// [`MOST_QUEUED`](crate::message::MOST_QUEUED) wait for it when this one is enqueued.
    Enqueue(HubHostName, Endpoint, Box<CloudMessage>),
    /// Take a message out of the queue of an endpoint, which has it now. One that is not there is done.
    Complete(HubHostName, Endpoint, i64),
    /// Take a message out of the queue of an endpoint, which does not want it. One that is not there is done.
    Reject(HubHostName, Endpoint, i64),
    /// Count a delivery of a message. One that is not there is done.
    Delivered(HubHostName, Endpoint, i64),
    /// Lock the first message of an endpoint's queue that waits at the first of two times and is not locked, until
    /// the second, and count a delivery of it; gives [`HubAnswer::Locked`]. Refused when the endpoint is not there.
    Lock(HubHostName, Endpoint, Timestamp, Timestamp),
    /// Say at this time what became of a locked message. Refused as [`CommitError::Changed`] when the lock is over: it
    /// ended, the message was delivered again by another way, or it is gone.
    Settle(HubHostName, Endpoint, Lock, Settlement, Timestamp),
    /// Empty the queue of an endpoint; gives [`HubAnswer::Purged`] with how many waited at this time.
    Purge(HubHostName, Endpoint, Timestamp),
    /// Begin a session of an endpoint, on this server, under the next epoch; gives [`HubAnswer::Opened`]. The
    /// session before it has ended by that. Refused when the endpoint is not there.
    OpenSession(HubHostName, Endpoint, NewSession),
    /// Keep what the session with this epoch subscribed to, in place of what it had. Refused as
    /// [`CommitError::Changed`] when it is not the latest, as [`CommitError::Absent`] when there is none.
    KeepSubscriptions(HubHostName, Endpoint, i64, Vec<KeptSubscription>),
    /// Note that the endpoint of the session with this epoch was heard of. Refused likewise.
    NoteActivity(HubHostName, Endpoint, i64, Timestamp),
    /// Hand a notice to the servers that have the sessions it is for, as long as it is worth until then. Nothing
    /// is done where this server has them, or nobody.
    Tell(HubHostName, Endpoint, Notice, Timestamp),
    /// Hand a method to the server that has the session; gives [`HubAnswer::Called`].
    Call(HubHostName, Endpoint, RelayedCall, Timestamp),
    /// Hand what came of a method of an endpoint of this hub to the server of that name, which waits for it.
    Reply(HubHostName, String, RelayedAnswer, Timestamp),
    /// Note that an endpoint was heard of that needs no session for it. Refused when the endpoint is not there.
    NoteVisit(HubHostName, Endpoint, Timestamp),
    /// End the session with this epoch; one that has ended stays as it is. Refused likewise.
    CloseSession(HubHostName, Endpoint, i64, Timestamp),
}

/// What a hub write gives besides being carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HubAnswer {
    /// The number that a message got.
    Enqueued(i64),
    /// The message that was locked, as it was delivered; none when none waits.
    Locked(Option<Box<CloudMessage>>),
    /// How many waiting messages went.
    Purged(usize),
    /// What a new session is told.
    Opened(Opened),
    /// Whether another server has the session of who is called.
    Called(bool),
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

/// Reads of hub records, and writes that give something.
pub trait HubStore: Store<HubWrite = HubWrite, HubRecord = HubRecord> {
    /// Carries out one change as [`Store::commit`] does, and gives what those of its hub writes gave that give
    /// something, in their order.
    fn carry_out(
        &self,
        change: Change<HubWrite>,
    ) -> impl Future<Output = Result<Vec<HubAnswer>, CommitError>> + Send;

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

    /// The name of this server among those that share the database, as sessions bear it; empty where there is only
    /// one.
    fn node(&self) -> String;

    /// Whether something that another server handed to this one waits to be taken.
    fn is_handed_something(
        &self,
        now: Timestamp,
    ) -> impl Future<Output = Result<bool, ReadError>> + Send;

    /// Takes at most so much of what was handed to this server and is worth something at `now`, in its order.
    fn take_relayed(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Relayed>, ReadError>> + Send;

    /// Waits until another server may have handed something to this one. A wake-up may get lost: whoever waits also
    /// looks now and then. Where there is only one server this never ends.
    fn woken(&self) -> impl Future<Output = ()> + Send;

    /// The latest session of an endpoint; none before the first.
    fn session(
        &self,
        hub: &HubHostName,
        endpoint: &Endpoint,
    ) -> impl Future<Output = Result<Option<KeptSession>, ReadError>> + Send;

    /// How many devices of a hub have a session, without modules.
    fn connected_devices(
        &self,
        hub: &HubHostName,
    ) -> impl Future<Output = Result<u64, ReadError>> + Send;

    /// Ends sessions whose server has not been heard of for as long as a lease lasts, at most `limit`, and keeps the event of
    /// each; gives how many. A later epoch stands behind each, so that their server writes nothing for them any more.
    fn close_lost_sessions(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> impl Future<Output = Result<usize, ReadError>> + Send;

    /// The messages that wait for an endpoint at `now`, from the first after a number on, in order.
    fn messages(
        &self,
        hub: &HubHostName,
        endpoint: &Endpoint,
        after: i64,
        now: Timestamp,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<CloudMessage>, ReadError>> + Send;

    /// Drops messages of all hubs that wait no longer at `now`, at most `limit` of those that expired and as
    /// many of those that were delivered too often; gives how many went.
    fn purge_messages(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> impl Future<Output = Result<usize, ReadError>> + Send;

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
