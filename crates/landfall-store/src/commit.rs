//! The one writer: many callers' changes in one durable commit.
//!
//! A thread takes what is queued, up to [`MOST`] changes, gives each a savepoint under one lock,
//! commits, and only then answers. A change that is refused leaves nothing behind and harms no
//! other. Where several servers share the database, a group that another came in between is carried out
//! again. When the commit itself fails, every change of the group is answered `Unavailable`, and the
//! next group begins on a fresh connection.

mod apply;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Receiver;

use landfall_core::clock::Timestamp;
use landfall_core::store::{Change, CommitError, Guard, Write};
use landfall_core::trace::DecisionTrace;
use landfall_hub::store::HubWrite;
use tokio::sync::oneshot::Sender;

use crate::dialect::{Fault, Session, Source, Turn};
use crate::enrollments::{self, Many, Outcomes};
use crate::secret::Sealer;
use crate::{audit, operations, traces};

/// Most requests in one commit.
const MOST: usize = 64;

/// How often a group is tried again before it is halved or given up.
const TRIES: u32 = 6;

/// After how many requests the write-ahead log is moved into the database. A registration touches
/// some eight pages, so the log stays around 64 MB.
const REQUESTS_PER_CHECKPOINT: usize = 1024;

/// How many rows of an import touch as many pages as one registration does: several stand on a page.
const ROWS_PER_REQUEST: usize = 16;

/// What the writer is asked to do, and where the answer goes.
pub(crate) enum Request {
    /// A change.
    Change(Box<Change<HubWrite>>, Sender<Result<(), CommitError>>),
    /// Many enrollments that an import brings.
    Many(Box<Many>, Sender<Result<Outcomes, CommitError>>),
    /// Show that a commit is possible, by one that writes the time.
    Ready(Timestamp, Sender<Result<(), CommitError>>),
    /// Remove finished operations.
    Purge {
        /// Those last changed before.
        before: Timestamp,
        /// At most so many.
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
enum Done {
    /// All that it asked.
    All,
    /// So many rows went.
    Removed(usize),
    /// Of many, what came of each.
    Each(Outcomes),
}

/// What became of a request.
type Outcome = Result<Done, CommitError>;

/// The writer's thread owns this.
pub(crate) struct Writer {
    source: Source,
    session: Option<Session>,
    sealer: Arc<Sealer>,
    commits: Arc<AtomicU64>,
    traces_kept: Option<i64>,
    since_checkpoint: usize,
    /// Whether the last group was given up because there was no database: the next does not wait for one.
    alone: bool,
}

impl Writer {
    /// Takes over an open connection.
    pub(crate) fn new(
        source: Source,
        session: Session,
        sealer: Arc<Sealer>,
        commits: Arc<AtomicU64>,
    ) -> Self {
        Writer {
            source,
            session: Some(session),
            sealer,
            commits,
            traces_kept: None,
            since_checkpoint: 0,
            alone: false,
        }
    }

    /// Works until told to close, or until nobody is left to ask.
    pub(crate) fn run(mut self, requests: &Receiver<Request>) {
        let mut closing = None;
        // What an import brings waits here: each group takes one, so that who waits behind an import
        // waits for one share of it.
        let mut many = VecDeque::new();
        while closing.is_none() || !many.is_empty() {
            let first = if many.is_empty() {
                requests.recv().ok()
            } else {
                requests.try_recv().ok()
            };
            if first.is_none() && many.is_empty() {
                break;
            }
            let mut group = Vec::new();
            let mut apart = Vec::new();
            let mut next = first.filter(|_| closing.is_none());
            while let Some(request) = next {
                match request {
                    Request::Close(answer) => {
                        closing = Some(answer);
                        break;
                    }
                    request @ Request::Many(..) => many.push_back(request),
                    request @ Request::Traces { .. } => apart.push(request),
                    request => group.push(request),
                }
                next = (group.len() < MOST)
                    .then(|| requests.try_recv().ok())
                    .flatten();
            }
            group.extend(many.pop_front());
            self.since_checkpoint += apart.len() + group.iter().map(weight).sum::<usize>();
            if !group.is_empty() {
                self.commit(group);
            }
            for request in apart {
                self.keep_traces(request);
            }
            if self.since_checkpoint >= REQUESTS_PER_CHECKPOINT {
                self.checkpoint(false);
            }
        }
        self.checkpoint(true);
        self.session = None;
        if let Some(answer) = closing {
            // Whoever asked may have stopped waiting.
            let _ = answer.send(());
        }
    }

    /// Carries out one group, and answers when it is durable or given up.
    fn commit(&mut self, group: Vec<Request>) {
        if group.iter().any(removes_traces) {
            self.traces_kept = None;
        }
        let outcomes = self.carry_out(&group);
        for (request, outcome) in group.into_iter().zip(outcomes) {
            request.answer(outcome);
        }
    }

    /// Carries out a group; again as long as others come in between or the connection is lost, in halves
    /// when that does not help.
    fn carry_out(&mut self, group: &[Request]) -> Vec<Outcome> {
        let mut tries = 0;
        loop {
            let (mut outcomes, fault) = match self.once(group) {
                (outcomes, Ok(())) => {
                    self.alone = false;
                    return outcomes;
                }
                (outcomes, Err(fault)) => (outcomes, fault),
            };
            tries += 1;
            match &fault {
                Fault::Again(_) if tries <= TRIES => {}
                Fault::Again(_) if group.len() > 1 => {
                    let (first, second) = group.split_at(group.len() / 2);
                    let mut outcomes = self.carry_out(first);
                    outcomes.extend(self.carry_out(second));
                    return outcomes;
                }
                Fault::Lost(cause) if tries <= TRIES && !self.alone => {
                    tracing::warn!(%cause, "the connection to the database was lost; trying again");
                }
                _ => {
                    self.alone = matches!(fault, Fault::Lost(_));
                    let error = fault.into_commit_error();
                    tracing::error!(cause = %error, "a group of writes failed; nothing of it was kept");
                    // What was refused on its own grounds stays refused.
                    outcomes.resize_with(group.len(), || Ok(Done::All));
                    return outcomes
                        .into_iter()
                        .map(|outcome| outcome.and(Err(error.clone())))
                        .collect();
                }
            }
            // Who collided waits for milliseconds, a database that is away is back after seconds.
            let away = matches!(fault, Fault::Lost(_));
            self.source
                .pause(if away { tries + 5 } else { tries }, &self.sealer);
        }
    }

    /// Carries out a group once: every request in a savepoint of its own, then one commit. When it fails
    /// nothing is kept, and what came of the requests before that tells only what was refused.
    fn once(&mut self, group: &[Request]) -> (Vec<Outcome>, Result<(), Fault>) {
        let mut outcomes = Vec::with_capacity(group.len());
        let sealer = Arc::clone(&self.sealer);
        let ended = self.connect().and_then(|session| {
            session.begin(turn(group))?;
            for request in group {
                outcomes.push(attempt(session, &sealer, request)?);
            }
            session.commit()
        });
        match &ended {
            Ok(()) => drop(self.commits.fetch_add(1, Ordering::Relaxed)),
            Err(Fault::Again(_)) => {
                if let Some(session) = &self.session {
                    session.abandon();
                }
            }
            // The next group begins on a fresh connection.
            Err(_) => self.session = None,
        }
        (outcomes, ended)
    }

    fn keep_traces(&mut self, request: Request) {
        let Request::Traces {
            traces,
            oldest,
            most,
            answer,
        } = request
        else {
            return;
        };
        let mut tries = 0;
        let outcome = loop {
            let kept = self.traces_kept.take();
            let kept = self.connect().and_then(|session| {
                session.lazily(|| traces::keep(session, &traces, oldest, most, kept))
            });
            tries += 1;
            match kept {
                Ok(kept) => {
                    // Others may add to what this writer counts.
                    self.traces_kept = Some(kept).filter(|_| !self.source.is_shared());
                    break Ok(());
                }
                Err(Fault::Again(_)) if tries <= TRIES => self.source.pause(tries, &self.sealer),
                Err(fault) => {
                    self.session = None;
                    break Err(fault.into_commit_error());
                }
            }
        };
        // A caller that went away needs no answer.
        let _ = answer.send(outcome);
    }

    fn connect(&mut self) -> Result<&Session, Fault> {
        let session = match self.session.take() {
            Some(session) => session,
            None => self.source.writing()?,
        };
        Ok(self.session.insert(session))
    }

    fn checkpoint(&mut self, wholly: bool) {
        self.since_checkpoint = 0;
        if let Some(session) = &self.session
            && let Err(fault) = session.checkpoint(wholly)
        {
            // Nothing is lost: the log keeps what could not be moved.
            tracing::warn!(cause = %fault, "the write-ahead log could not be moved");
        }
    }
}

/// True when a request may remove traces, so that they must be counted anew.
fn removes_traces(request: &Request) -> bool {
    match request {
        Request::Change(change, _) => change
            .writes
            .iter()
            .any(|write| matches!(write, Write::DeleteService(..))),
        _ => false,
    }
}

/// Beside whom a group is carried out. What devices do rests on their own rows, which the group writes
/// too, and on their enrollments, which operators change; what operators do rests on anything.
fn turn(group: &[Request]) -> Turn {
    let of_devices = |request: &Request| match request {
        Request::Change(change, _) => {
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
                .all(|write| !matches!(write, HubWrite::PutHub(..) | HubWrite::DeleteHub(..)));
            change.author.is_none() && guards && writes && hub_writes
        }
        Request::Many(..) => false,
        _ => true,
    };
    if group.iter().all(of_devices) {
        Turn::Shared
    } else {
        Turn::Alone
    }
}

/// How many requests one counts for, by what it adds to the write-ahead log.
fn weight(request: &Request) -> usize {
    match request {
        Request::Many(many, _) => 1 + many.len() / ROWS_PER_REQUEST,
        _ => 1,
    }
}

/// Carries out one request inside the group.
///
/// # Errors
/// What undid the whole group.
fn attempt(session: &Session, sealer: &Sealer, request: &Request) -> Result<Outcome, Fault> {
    let outcome = session.whole_or_not_at_all(|| match request {
        Request::Change(change, _) => apply::change(session, sealer, change).map(|()| Done::All),
        Request::Many(many, _) => enrollments::put_many(session, sealer, many).map(Done::Each),
        Request::Ready(now, _) => apply::sign_of_life(session, *now).map(|()| Done::All),
        Request::Purge { before, limit, .. } => {
            operations::purge(session, *before, *limit).map(Done::Removed)
        }
        Request::PurgeAudit { before, limit, .. } => {
            audit::purge(session, *before, *limit).map(Done::Removed)
        }
        Request::Traces { .. } | Request::Close(_) => Ok(Done::All),
    });
    match outcome {
        Err(fault) if !session.in_group() => Err(fault),
        outcome => Ok(outcome.map_err(Fault::into_commit_error)),
    }
}

impl Request {
    /// Gives the caller its answer. One that went away needs none.
    fn answer(self, outcome: Outcome) {
        match self {
            Request::Change(_, to) | Request::Ready(_, to) | Request::Traces { answer: to, .. } => {
                let _ = to.send(outcome.map(drop));
            }
            Request::Many(_, to) => {
                let _ = to.send(outcome.map(|done| match done {
                    Done::Each(outcomes) => outcomes,
                    Done::All | Done::Removed(_) => Vec::new(),
                }));
            }
            Request::Purge { answer, .. } | Request::PurgeAudit { answer, .. } => {
                let _ = answer.send(outcome.map(|done| match done {
                    Done::Removed(rows) => rows,
                    Done::All | Done::Each(_) => 0,
                }));
            }
            Request::Close(answer) => {
                let _ = answer.send(());
            }
        }
    }
}

/// The answer to whoever asks after the end.
pub(crate) fn closed() -> CommitError {
    CommitError::Unavailable("the store is closed".to_owned())
}
