//! The one writer: many callers' changes in one durable commit.
//!
//! A thread takes what is queued, up to [`MOST`] changes, gives each a savepoint under one lock,
//! commits, and only then answers. A change that is refused leaves nothing behind and harms no
//! other. When the commit itself fails, every change of the group is answered `Unavailable`, and
//! the next group begins on a fresh connection.

mod apply;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Receiver;

use landfall_core::clock::Timestamp;
use landfall_core::store::{Change, CommitError, Write};
use landfall_core::trace::DecisionTrace;
use landfall_hub::store::HubWrite;
use tokio::sync::oneshot::Sender;

use crate::dialect::{Durability, Fault, Session, Sqlite};
use crate::enrollments::{self, Many, Outcomes};
use crate::secret::Sealer;
use crate::{audit, operations, traces};

/// Most requests in one commit.
const MOST: usize = 64;

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

/// The writer's thread owns this.
pub(crate) struct Writer {
    path: PathBuf,
    /// What every session of this writer promises.
    durability: Durability,
    session: Option<Session>,
    sealer: Arc<Sealer>,
    commits: Arc<AtomicU64>,
    traces_kept: Option<i64>,
    since_checkpoint: usize,
}

/// An answer that waits for the commit.
enum Answer {
    Many(
        Sender<Result<Outcomes, CommitError>>,
        Result<Outcomes, CommitError>,
    ),
    Done(Sender<Result<(), CommitError>>, Result<(), CommitError>),
    Purged(
        Sender<Result<usize, CommitError>>,
        Result<usize, CommitError>,
    ),
}

impl Answer {
    // A caller that went away needs no answer.
    fn give(self) {
        match self {
            Answer::Done(to, result) => drop(to.send(result)),
            Answer::Purged(to, result) => drop(to.send(result)),
            Answer::Many(to, result) => drop(to.send(result)),
        }
    }

    fn give_error(self, error: &CommitError) {
        match self {
            // What was refused on its own grounds stays refused.
            Answer::Done(to, Err(refused)) => drop(to.send(Err(refused))),
            Answer::Done(to, Ok(())) => drop(to.send(Err(error.clone()))),
            Answer::Purged(to, _) => drop(to.send(Err(error.clone()))),
            Answer::Many(to, _) => drop(to.send(Err(error.clone()))),
        }
    }
}

impl Writer {
    /// Takes over an open connection.
    pub(crate) fn new(
        (path, durability): (PathBuf, Durability),
        session: Session,
        sealer: Arc<Sealer>,
        commits: Arc<AtomicU64>,
    ) -> Self {
        Writer {
            path,
            durability,
            session: Some(session),
            sealer,
            commits,
            traces_kept: None,
            since_checkpoint: 0,
        }
    }

    /// Works until told to close, or until nobody is left to ask.
    pub(crate) fn run(mut self, requests: &Receiver<Request>) {
        let mut closing = None;
        while closing.is_none()
            && let Ok(first) = requests.recv()
        {
            let mut group = Vec::new();
            let mut apart = Vec::new();
            let mut next = Some(first);
            while let Some(request) = next {
                match request {
                    Request::Close(answer) => {
                        closing = Some(answer);
                        break;
                    }
                    request @ Request::Traces { .. } => apart.push(request),
                    request => group.push(request),
                }
                next = (group.len() < MOST)
                    .then(|| requests.try_recv().ok())
                    .flatten();
            }
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

    /// Carries out one group: every request in a savepoint of its own, one commit, then the answers.
    fn commit(&mut self, group: Vec<Request>) {
        let begun = self.connect().and_then(Session::begin);
        let Some(session) = self.session.as_ref().filter(|_| begun.is_ok()) else {
            let error = begun.err().map_or_else(closed, Fault::into_commit_error);
            self.session = None;
            return refuse(group, &error);
        };
        if group.iter().any(removes_traces) {
            self.traces_kept = None;
        }
        let mut answers = Vec::with_capacity(group.len());
        for request in group {
            answers.extend(attempt(session, &self.sealer, request));
        }
        // A grave error in the midst of the group has undone all of it.
        let outcome = if session.in_group() {
            session.commit()
        } else {
            Err(Fault::Database("the group of writes was undone".to_owned()))
        };
        match outcome {
            Ok(()) => {
                self.commits.fetch_add(1, Ordering::Relaxed);
                answers.into_iter().for_each(Answer::give);
            }
            Err(fault) => {
                session.abandon();
                self.session = None;
                let error = fault.into_commit_error();
                tracing::error!(cause = %error, "a group of writes failed; nothing of it was kept");
                answers
                    .into_iter()
                    .for_each(|answer| answer.give_error(&error));
            }
        }
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
        let kept = self.traces_kept.take();
        let outcome = self.connect().and_then(|session| {
            session.lazily(|| traces::keep(session, &traces, oldest, most, kept))
        });
        let outcome = match outcome {
            Ok(kept) => {
                self.traces_kept = Some(kept);
                Ok(())
            }
            Err(fault) => {
                self.session = None;
                Err(fault.into_commit_error())
            }
        };
        // A caller that went away needs no answer.
        let _ = answer.send(outcome);
    }

    fn connect(&mut self) -> Result<&Session, Fault> {
        let session = match self.session.take() {
            Some(session) => session,
            None => Sqlite::writing(&self.path, self.durability)?,
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

/// How many requests one counts for, by what it adds to the write-ahead log.
fn weight(request: &Request) -> usize {
    match request {
        Request::Many(many, _) => 1 + many.len() / ROWS_PER_REQUEST,
        _ => 1,
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

/// Carries out one request inside the group.
fn attempt(session: &Session, sealer: &Sealer, request: Request) -> Option<Answer> {
    match request {
        Request::Change(change, answer) => {
            let outcome = one(session, || apply::change(session, sealer, &change));
            Some(Answer::Done(answer, outcome))
        }
        Request::Many(many, answer) => {
            let outcome = one(session, || enrollments::put_many(session, sealer, &many));
            Some(Answer::Many(answer, outcome))
        }
        Request::Ready(now, answer) => {
            let outcome = one(session, || apply::sign_of_life(session, now));
            Some(Answer::Done(answer, outcome))
        }
        Request::Purge {
            before,
            limit,
            answer,
        } => {
            let outcome = one(session, || operations::purge(session, before, limit));
            Some(Answer::Purged(answer, outcome))
        }
        Request::PurgeAudit {
            before,
            limit,
            answer,
        } => {
            let outcome = one(session, || audit::purge(session, before, limit));
            Some(Answer::Purged(answer, outcome))
        }
        Request::Traces { .. } | Request::Close(_) => None,
    }
}

fn one<T>(session: &Session, work: impl FnOnce() -> Result<T, Fault>) -> Result<T, CommitError> {
    if !session.in_group() {
        return Err(CommitError::Unavailable(
            "an earlier write of the same group failed".to_owned(),
        ));
    }
    session
        .whole_or_not_at_all(work)
        .map_err(Fault::into_commit_error)
}

fn refuse(group: Vec<Request>, error: &CommitError) {
    tracing::error!(cause = %error, "a group of writes could not begin");
    for request in group {
        // Callers that went away need no answer.
        match request {
            Request::Change(_, answer)
            | Request::Ready(_, answer)
            | Request::Traces { answer, .. } => {
                let _ = answer.send(Err(error.clone()));
            }
            Request::Purge { answer, .. } | Request::PurgeAudit { answer, .. } => {
                let _ = answer.send(Err(error.clone()));
            }
            Request::Many(_, answer) => {
                let _ = answer.send(Err(error.clone()));
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
