//! What the writer is asked: by whom it is answered, what it weighs, and beside whom it is carried out.

use landfall_core::clock::Timestamp;
use landfall_core::registration::operation::Operation;
use landfall_core::store::{Change, CommitError, Guard, Write};
use landfall_core::trace::DecisionTrace;
use landfall_hub::relay::Relayed;
use landfall_hub::store::{HubAnswer, HubWrite};
use tokio::sync::oneshot::Sender;

use crate::dialect::Turn;
use crate::enrollments::{Many, Outcomes};

/// How many rows of an import touch as many pages as one registration does: several stand on a page.
const ROWS_PER_REQUEST: usize = 16;

/// How many bytes of messages add as much as one registration does.
const BYTES_PER_REQUEST: usize = 64 * 1024;

/// What the writer is asked to do, and where the answer goes.
pub(crate) enum Request {
    /// A change.
    Change(Box<Change<HubWrite>>, Sender<Result<(), CommitError>>),
    /// A change whose hub writes give something.
    Ask(
        Box<Change<HubWrite>>,
        Sender<Result<Vec<HubAnswer>, CommitError>>,
    ),
    /// Many enrollments that an import brings.
    Many(Box<Many>, Sender<Result<Outcomes, CommitError>>),
    /// Show that a commit is possible, by one that writes the time.
    Ready(Timestamp, Sender<Result<(), CommitError>>),
    /// Give at most so many operations that are this server's to continue.
    Continue(usize, Sender<Result<Vec<Operation>, CommitError>>),
    /// Remove finished operations.
    Purge {
        /// Those last changed before.
        before: Timestamp,
        /// At most so many.
        limit: usize,
        /// How many went.
        answer: Sender<Result<usize, CommitError>>,
    },
    /// Remove events of every hub.
    PurgeEvents {
        /// Those from before, with what stands before them.
        before: Timestamp,
        /// All but so many of the newest.
        most: u64,
        /// Of each hub at most so many.
        limit: usize,
        /// How many went.
        answer: Sender<Result<usize, CommitError>>,
    },
    /// End sessions of servers that are gone.
    CloseLost {
        /// When.
        now: Timestamp,
        /// At most so many.
        limit: usize,
        /// How many ended.
        answer: Sender<Result<usize, CommitError>>,
    },
    /// Take what another server handed to this one.
    TakeRelayed {
        /// When.
        now: Timestamp,
        /// At most so much.
        limit: usize,
        /// What it was.
        answer: Sender<Result<Vec<Relayed>, CommitError>>,
    },
    /// Remove messages that wait no longer.
    PurgeMessages {
        /// When.
        now: Timestamp,
        /// At most so many that expired, and as many that were given up.
        limit: usize,
        /// How many went.
        answer: Sender<Result<usize, CommitError>>,
    },
    /// Remove audit entries.
    PurgeAudit {
        /// Those from before.
        before: Timestamp,
        /// At most so many.
        limit: usize,
        /// How many went.
        answer: Sender<Result<usize, CommitError>>,
    },
    /// Keep traces.
    Traces {
        /// The new ones.
        traces: Vec<DecisionTrace>,
        /// Older ones go.
        oldest: Timestamp,
        /// So many stay.
        most: usize,
        /// Done, or not.
        answer: Sender<Result<(), CommitError>>,
    },
    /// Finish: nothing that comes after is carried out.
    Close(Sender<()>),
}

/// What was done of a request.
pub(super) enum Done {
    /// All that it asked.
    All,
    /// The same, and this is what hub writes gave.
    Gave(Vec<HubAnswer>),
    /// So many rows went.
    Removed(usize),
    /// Of many, what came of each.
    Each(Outcomes),
    /// These were found.
    Found(Vec<Operation>),
    /// This was handed over.
    Handed(Vec<Relayed>),
}

/// What became of a request.
pub(super) type Outcome = Result<Done, CommitError>;

impl Request {
    /// The change that is asked for, if one is.
    pub(super) fn change(&self) -> Option<&Change<HubWrite>> {
        match self {
            Request::Change(change, _) => Some(change),
            _ => None,
        }
    }

    /// The change of a device that registers and takes nothing away: it writes over no more than one record
    /// of a table.
    pub(super) fn registration(&self) -> Option<&Change<HubWrite>> {
        let change = self.change().filter(|change| is_of_a_device(change))?;
        let puts = change
            .hub_writes
            .iter()
            .all(|write| matches!(write, HubWrite::PutDevice(..)));
        let registrations = change
            .writes
            .iter()
            .filter(|write| matches!(write, Write::PutRegistration(..)));
        (puts && change.hub_writes.len() < 2 && registrations.count() < 2).then_some(change)
    }

    /// The change that does nothing but keep events.
    pub(super) fn events(&self) -> Option<&Change<HubWrite>> {
        let change = self.change()?;
        let of_events = !change.hub_writes.is_empty()
            && change.hub_writes.iter().all(is_event)
            && change.writes.is_empty()
            && change.guards.is_empty()
            && change.author.is_none();
        of_events.then_some(change)
    }

    /// Gives the caller its answer. One that went away needs none.
    pub(super) fn answer(self, outcome: Outcome) {
        match self {
            Request::Change(_, to) | Request::Ready(_, to) | Request::Traces { answer: to, .. } => {
                let _ = to.send(outcome.map(drop));
            }
            Request::Many(_, to) => {
                let _ = to.send(outcome.map(|done| match done {
                    Done::Each(outcomes) => outcomes,
                    _ => Vec::new(),
                }));
            }
            Request::Ask(_, to) => {
                let _ = to.send(outcome.map(|done| match done {
                    Done::Gave(answers) => answers,
                    _ => Vec::new(),
                }));
            }
            Request::TakeRelayed { answer: to, .. } => {
                let _ = to.send(outcome.map(|done| match done {
                    Done::Handed(relayed) => relayed,
                    _ => Vec::new(),
                }));
            }
            Request::Continue(_, to) => {
                let _ = to.send(outcome.map(|done| match done {
                    Done::Found(operations) => operations,
                    _ => Vec::new(),
                }));
            }
            Request::Purge { answer, .. }
            | Request::PurgeEvents { answer, .. }
            | Request::PurgeMessages { answer, .. }
            | Request::CloseLost { answer, .. }
            | Request::PurgeAudit { answer, .. } => {
                let _ = answer.send(outcome.map(|done| match done {
                    Done::Removed(rows) => rows,
                    _ => 0,
                }));
            }
            Request::Close(answer) => {
                let _ = answer.send(());
            }
        }
    }
}

/// True when a request may remove traces, so that they must be counted anew.
pub(super) fn removes_traces(request: &Request) -> bool {
    match request {
        Request::Change(change, _) | Request::Ask(change, _) => change
            .writes
            .iter()
            .any(|write| matches!(write, Write::DeleteService(..))),
        _ => false,
    }
}

/// True for a sign of life, which shows that more can be written.
pub(super) fn proves_room(request: &Request) -> bool {
    matches!(request, Request::Ready(..))
}

/// Beside whom a group is carried out. What devices do rests on their own rows, which the group writes
/// too, and on their enrollments, which operators change; what operators do rests on anything.
pub(super) fn turn(group: &[Request]) -> Turn {
    let of_devices = |request: &Request| match request {
        Request::Change(change, _) | Request::Ask(change, _) => is_of_a_device(change),
        Request::Many(..) => false,
        _ => true,
    };
    let numbers = |request: &Request| match request {
        Request::Change(change, _) | Request::Ask(change, _) => {
            change.hub_writes.iter().any(is_numbered)
        }
        // Each has its event.
        Request::CloseLost { .. } => true,
        _ => false,
    };
    if !group.iter().all(of_devices) {
        Turn::Alone
    } else if group.iter().any(numbers) {
        Turn::Numbering
    } else {
        Turn::Shared
    }
}

/// Puts the requests that do nothing but keep events behind the others, so that both are carried out together.
/// Where an operator takes something away it stays as it is: an event before that is kept.
pub(super) fn sort(group: &mut [Request]) {
    if turn(group) == Turn::Numbering {
        group.sort_by_key(|request| request.events().is_some());
    }
}

/// Whether a write takes a number of its hub.
fn is_numbered(write: &HubWrite) -> bool {
    matches!(write, HubWrite::AppendEvent(..) | HubWrite::Enqueue(..))
}

fn is_event(write: &HubWrite) -> bool {
    matches!(write, HubWrite::AppendEvent(..))
}

fn is_of_a_device(change: &Change<HubWrite>) -> bool {
    let guards = change
        .guards
        .iter()
        .all(|guard| matches!(guard, Guard::Individual(..) | Guard::Group(..)));
    let writes = change
        .writes
        .iter()
        .all(|write| matches!(write, Write::PutRegistration(..) | Write::PutOperation(..)));
    let hub_writes = change
        .hub_writes
        .iter()
        .all(|write| !rests_on_anything(write));
    change.author.is_none() && guards && writes && hub_writes
}

/// Whether a hub write changes what others rest on without writing it: a hub, or that a module is there.
fn rests_on_anything(write: &HubWrite) -> bool {
    matches!(
        write,
        HubWrite::PutHub(..) | HubWrite::DeleteHub(..) | HubWrite::DeleteModule(..)
    )
}

/// How many requests one counts for, by what it adds to the write-ahead log.
pub(super) fn weight(request: &Request) -> usize {
    match request {
        Request::Many(many, _) => 1 + many.len() / ROWS_PER_REQUEST,
        Request::Change(change, _) | Request::Ask(change, _) => {
            let bytes: usize = change.hub_writes.iter().map(body).sum();
            1 + bytes / BYTES_PER_REQUEST
        }
        _ => 1,
    }
}

/// How many bytes of a message a write brings.
fn body(write: &HubWrite) -> usize {
    match write {
        HubWrite::AppendEvent(_, event) => event.body.len(),
        HubWrite::Enqueue(_, _, message) => message.body.len(),
        _ => 0,
    }
}

/// The answer to whoever asks after the end.
pub(crate) fn closed() -> CommitError {
    CommitError::Unavailable("the store is closed".to_owned())
}

#[cfg(test)]
mod tests {
    use landfall_core::id::{DeviceId, HubHostName};
    use landfall_hub::endpoint::Endpoint;
    use landfall_hub::event::{EventKind, HubEvent};
    use tokio::sync::oneshot;

    use super::*;

    fn appending(sizes: &[usize]) -> Request {
        let hub = HubHostName::parse("hub.example").expect("a name");
        let writes = sizes.iter().map(|size| {
            let event = HubEvent {
                endpoint: Endpoint::device(DeviceId::parse("dev").expect("an id")),
                kind: EventKind::Telemetry,
                enqueued: Timestamp::from_unix_seconds(1),
                properties: Vec::new(),
                body: vec![0; *size],
            };
            HubWrite::AppendEvent(hub.clone(), Box::new(event))
        });
        let change = Change::of_hub(writes.collect());
        Request::Change(Box::new(change), oneshot::channel().0)
    }

    #[test]
    fn large_messages_bring_the_next_checkpoint_nearer() {
        let weights = [&[100][..], &[256 * 1024], &[200 * 1024, 200 * 1024]];
        let weights = weights.map(|sizes| weight(&appending(sizes)));
        assert_eq!(weights, [1, 5, 7]);
    }

    #[test]
    fn events_are_gathered_behind_what_else_devices_ask_and_numbered_in_turn() {
        let opening = || Request::Ready(Timestamp::from_unix_seconds(1), oneshot::channel().0);
        let mut group = vec![appending(&[1]), opening(), appending(&[2, 3]), opening()];
        assert_eq!(turn(&group), Turn::Numbering);
        sort(&mut group);
        let events: Vec<bool> = group.iter().map(|one| one.events().is_some()).collect();
        assert_eq!(events, [false, false, true, true]);
        let many = group.iter().filter_map(Request::change);
        let many: Vec<usize> = many.map(|change| change.hub_writes.len()).collect();
        assert_eq!(many, [1, 2], "in their order");
        assert_eq!(turn(&[opening()]), Turn::Shared);
    }
}
