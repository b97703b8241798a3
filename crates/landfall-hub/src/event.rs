//! What happened at a hub, for whoever follows it: messages that devices sent, and their comings and
//! goings. An event is kept under a number that the store gives it, so that a reader knows where it
//! stopped. How events arrive and how they are read by others is not told here.

use landfall_core::clock::Timestamp;

use crate::endpoint::Endpoint;

/// The largest message of a device, in bytes, without what it says of itself.
///
/// Source: docs/protocol/hub-api.md §2.1 [D].
pub const LARGEST_EVENT: usize = 256 * 1024;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubEvent {
    /// Whom it is about: for telemetry, who sent it.
    pub endpoint: Endpoint,
    /// What it is.
    pub kind: EventKind,
    /// When the hub took it.
    pub enqueued: Timestamp,
    /// Names and values as they were decoded, in the order of the sender; a name may stand without a value.
    pub properties: Vec<(String, Option<String>)>,
    /// The sender's bytes, or the document that tells what happened.
    pub body: Vec<u8>,
}

/// What an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// A message that the endpoint sent.
    Telemetry,
    /// The endpoint connected.
    DeviceConnected,
    /// The endpoint's connection ended.
    DeviceDisconnected,
}

/// An event as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptEvent {
    /// Its number among the events of its hub. The first is 1, each is one more than the one before, and none is
    /// ever given twice.
    pub sequence: i64,
    /// The event.
    pub event: HubEvent,
}

/// Which events there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventEnds {
    /// The number of the oldest that is kept; when none is, that of the one that comes next.
    pub oldest: i64,
    /// The number of the newest there ever was; 0 before the first.
    pub newest: i64,
}

impl EventEnds {
    /// Whether a reader that has read up to `after` can go on without missing anything.
    pub fn go_on_from(&self, after: i64) -> bool {
        after >= self.oldest - 1 && after <= self.newest
    }
}

/// How much a read of events gives at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventLimit {
    /// So many events.
    pub events: usize,
    /// So many bytes of bodies and properties: the last event that is given is the one that reaches it.
    pub bytes: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_who_missed_events_is_told_from_one_who_did_not() {
        let ends = EventEnds {
            oldest: 5,
            newest: 9,
        };
        let told: Vec<bool> = [3, 4, 9, 10].map(|after| ends.go_on_from(after)).to_vec();
        assert_eq!(told, [false, true, true, false]);
        let nothing = EventEnds {
            oldest: 10,
            newest: 9,
        };
        assert!(nothing.go_on_from(9) && !nothing.go_on_from(8));
        let untouched = EventEnds {
            oldest: 1,
            newest: 0,
        };
        assert!(untouched.go_on_from(0));
    }
}
