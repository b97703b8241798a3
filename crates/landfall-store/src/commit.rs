//! The one writer: many callers' changes in one durable commit.
//!
//! A thread takes what is queued, up to a bound (`gathering`), gives each a savepoint under one lock,
//! commits, and only then answers. A change that is refused leaves nothing behind and harms no
//! other. Where several servers share the database, a group that another came in between is carried out
//! again. When the commit itself fails, every change of the group is answered `Unavailable`, and the
//! next group begins on a fresh connection.

mod apply;
mod batch;
mod connection;
mod gathering;
mod request;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};

use landfall_core::store::CommitError;

pub(crate) use self::connection::Connection;
use self::gathering::{Gathered, Gathering};
use self::request::{Done, Outcome, proves_room, removes_traces, sort, turn};
pub(crate) use self::request::{Request, closed};
use crate::dialect::{Fault, Session, patience};
use crate::observer::{Again, Observed, Observer};
use crate::secret::Sealer;
use crate::{audit, enrollments, events, lease, messages, operations, relayed, sessions, traces};

/// How often a group is tried again before it is halved or given up.
const TRIES: u32 = 6;

/// After how many requests the write-ahead log is moved into the database. A registration touches
/// some eight pages, so the log stays around 64 MB.
const REQUESTS_PER_CHECKPOINT: usize = 1024;

/// How the registrations of a group are carried out, where the database can do both.
#[derive(Clone, Copy)]
enum Manner {
    /// Many at once.
    Batched,
    /// Each in a savepoint of its own.
    OneByOne,
}

/// How a group ended.
enum End {
    /// It cannot be carried out at once: somebody in it is at fault. Nothing of it was kept.
    NotSo(Fault),
    /// It is durable.
    Durable,
    /// Nothing of it was kept.
    Undone(Fault),
    /// The answer to its commit was lost.
    Unknown(Fault),
}

/// What is done about a group that was undone.
enum After {
    /// It is tried again.
    Again(Again),
    /// It is halved: where too many meet, fewer may pass.
    InHalves,
    /// Nothing more.
    GivenUp,
}

/// The writer's thread owns this.
pub(crate) struct Writer {
    connection: Connection,
    sealer: Arc<Sealer>,
    commits: Arc<AtomicU64>,
    observed: Observed,
    traces_kept: Option<i64>,
    since_checkpoint: usize,
    gathering: Gathering,
    /// Whether the last group was given up because there was no database: the next does not wait for one.
    alone: bool,
}

impl Writer {
    /// Takes over an open connection.
    pub(crate) fn new(
        connection: Connection,
        sealer: Arc<Sealer>,
        commits: Arc<AtomicU64>,
        observed: Observed,
    ) -> Self {
        Writer {
            connection,
            sealer,
            commits,
            observed,
            traces_kept: None,
            since_checkpoint: 0,
            gathering: Gathering::new(Box::new(patience::moment)),
            alone: false,
        }
    }

    /// Works until told to close, or until nobody is left to ask.
    pub(crate) fn run(mut self, requests: &Receiver<Request>) {
        let mut closing = None;
        while closing.is_none() || self.gathering.has_imports() {
            let first = if self.gathering.has_imports() {
                requests.try_recv().ok()
            } else {
                self.next(requests)
            };
            if first.is_none() && !self.gathering.has_imports() {
                break;
            }
            let first = first.filter(|_| closing.is_none());
            let gathered = self.gathering.gather(first, requests);
            self.since_checkpoint += gathered.weight();
            let Gathered {
                group,
                apart,
                closing: told,
            } = gathered;
            closing = closing.or(told);
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
        self.connection.close();
        if let Some(answer) = closing {
            // Whoever asked may have stopped waiting.
            let _ = answer.send(());
        }
    }

    /// The next request; what a lease needs while there is none is done meanwhile. Nothing when nobody is
    /// left to ask.
    fn next(&mut self, requests: &Receiver<Request>) -> Option<Request> {
        if !self.connection.is_shared() {
            return requests.recv().ok();
        }
        loop {
            match requests.recv_timeout(lease::RENEWAL) {
                Ok(request) => return Some(request),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => {
                    if !self.connection.renew() {
                        self.observed.tell(|observer| observer.gave_up(1));
                    }
                }
            }
        }
    }

    /// Carries out one group, and answers when it is durable or given up.
    fn commit(&mut self, mut group: Vec<Request>) {
        sort(&mut group);
        if group.iter().any(removes_traces) {
            self.traces_kept = None;
        }
        let many = group.len();
        self.observed.tell(|observer| observer.begins(many));
        let outcomes = self.carry_out(&group);
        self.observed.tell(Observer::ends);
        let away = |outcome: &&Outcome| matches!(outcome, Err(CommitError::Unavailable(_)));
        let given_up = outcomes.iter().filter(away).count();
        self.observed.tell(|observer| observer.gave_up(given_up));
        // Told first: who has its answer may look at what is told.
        self.observed.tell(|observer| observer.answered(many));
        for (request, outcome) in group.into_iter().zip(outcomes) {
            request.answer(outcome);
        }
    }

    /// Carries out a group; again as long as others come in between or the connection is lost, in halves
    /// when that does not help.
    fn carry_out(&mut self, group: &[Request]) -> Vec<Outcome> {
        let mut tries = 0;
        let mut manner = Manner::Batched;
        loop {
            let (outcomes, fault) = self.tried(group, &mut manner);
            let Some(fault) = fault else {
                return outcomes;
            };
            tries += 1;
            match self.after(&fault, tries, group.len()) {
                // Who collided waits for milliseconds, a database that is away is back after seconds.
                After::Again(why) => {
                    self.observed.tell(|observer| observer.tries_again(why));
                    let patience = if why == Again::Lost { tries + 5 } else { tries };
                    self.connection.pause(patience, &self.sealer);
                }
                After::InHalves => {
                    let (first, second) = group.split_at(group.len() / 2);
                    let mut outcomes = self.carry_out(first);
                    outcomes.extend(self.carry_out(second));
                    return outcomes;
                }
                After::GivenUp => return self.given_up(outcomes, group.len(), fault),
            }
        }
    }

    /// Carries out a group once, in the manner that it can be; gives what came of each, and what undid all
    /// of it.
    fn tried(&mut self, group: &[Request], manner: &mut Manner) -> (Vec<Outcome>, Option<Fault>) {
        let (mut outcomes, mut end) = self.once(group, *manner);
        if let End::NotSo(_) = end {
            *manner = Manner::OneByOne;
            (outcomes, end) = self.once(group, *manner);
        }
        let fault = match end {
            End::Durable => {
                self.committed();
                self.alone = false;
                self.connection.went_well(group.iter().any(proves_room));
                return (outcomes, None);
            }
            End::Unknown(fault) => match self.connection.came_about(&self.sealer) {
                Some(true) => {
                    self.committed();
                    return (outcomes, None);
                }
                Some(false) => fault,
                None => unsaid(&fault),
            },
            End::NotSo(fault) | End::Undone(fault) => fault,
        };
        (outcomes, Some(fault))
    }

    /// What is done about a fault that undid a group of so many, after so many tries.
    fn after(&self, fault: &Fault, tries: u32, many: usize) -> After {
        let may_wait = tries <= TRIES && !self.alone;
        match fault {
            Fault::Again(_) if tries <= TRIES => After::Again(Again::Collided),
            Fault::Again(_) if many > 1 => After::InHalves,
            Fault::Lost(cause) if may_wait => {
                tracing::warn!(%cause, "the connection to the database was lost; trying again");
                After::Again(Again::Lost)
            }
            Fault::Crowded(cause) if may_wait => {
                tracing::warn!(%cause, "the database refuses another connection; trying again");
                After::Again(Again::Lost)
            }
            _ => After::GivenUp,
        }
    }

    /// Gives a group up: what was refused on its own grounds stays refused, all else is unavailable.
    fn given_up(&mut self, mut outcomes: Vec<Outcome>, many: usize, fault: Fault) -> Vec<Outcome> {
        self.alone = matches!(fault, Fault::Lost(_) | Fault::Crowded(_));
        if let Fault::Hindered(..) = &fault {
            // On a full disk what the log holds already may be written over once it is moved.
            self.checkpoint(false);
        }
        let error = fault.into_commit_error();
        tracing::error!(cause = %error, "a group of writes failed");
        outcomes.resize_with(many, || Ok(Done::All));
        outcomes
            .into_iter()
            .map(|outcome| outcome.and(Err(error.clone())))
            .collect()
    }

    fn committed(&self) {
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.observed.tell(Observer::committed);
    }

    /// Carries out a group once: every request in a savepoint of its own, then one commit. When it fails
    /// nothing is kept, and what came of the requests before that tells only what was refused.
    fn once(&mut self, group: &[Request], manner: Manner) -> (Vec<Outcome>, End) {
        let mut outcomes = Vec::with_capacity(group.len());
        let sealer = Arc::clone(&self.sealer);
        let mut not_so = false;
        let ready = self.connection.begin(turn(group)).and_then(|session| {
            while let Some(rest) = group.get(outcomes.len()..).filter(|rest| !rest.is_empty()) {
                let many = match manner {
                    Manner::Batched => batch::length(session, rest),
                    Manner::OneByOne => 0,
                };
                if let Some(together) = rest.get(..many).filter(|many| !many.is_empty()) {
                    let done = batch::carry_out(session, &sealer, together);
                    // What a write finds out is one's own fault too: that its hub is gone, for example.
                    not_so = matches!(
                        done,
                        Err(Fault::Refused(_)
                            | Fault::Orphan
                            | Fault::Database(_)
                            | Fault::Record(_))
                    );
                    let done = done?.into_iter();
                    outcomes.extend(done.map(|outcome| outcome.map(|()| Done::All)));
                } else if let Some(one) = rest.first() {
                    outcomes.push(attempt(session, &sealer, one)?);
                }
            }
            Ok(session)
        });
        let end = match ready {
            Ok(session) => session.commit(),
            Err(fault) if not_so => {
                self.connection.undo();
                return (Vec::new(), End::NotSo(fault));
            }
            Err(fault) => {
                self.connection.failed(&fault);
                return (outcomes, End::Undone(fault));
            }
        };
        let Err(fault) = end else {
            return (outcomes, End::Durable);
        };
        self.connection.failed(&fault);
        let undone =
            matches!(fault, Fault::Again(_) | Fault::Orphan) || !self.connection.is_shared();
        let end = if undone { End::Undone } else { End::Unknown };
        (outcomes, end(fault))
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
            let kept = self.connection.session().and_then(|session| {
                session.lazily(|| traces::keep(session, &traces, oldest, most, kept))
            });
            tries += 1;
            match kept {
                Ok(kept) => {
                    self.traces_kept = Some(kept);
                    break Ok(());
                }
                Err(Fault::Again(_)) if tries <= TRIES => {
                    self.connection.pause(tries, &self.sealer);
                }
                Err(fault) => {
                    self.connection.failed(&fault);
                    break Err(fault.into_commit_error());
                }
            }
        };
        self.observed.tell(|observer| observer.answered(1));
        // A caller that went away needs no answer.
        let _ = answer.send(outcome);
    }

    fn checkpoint(&mut self, wholly: bool) {
        self.since_checkpoint = 0;
        if self.connection.is_shared() {
            // Others add to what this writer counts.
            self.traces_kept = None;
        }
        if let Err(fault) = self.connection.checkpoint(wholly) {
            // Nothing is lost: the log keeps what could not be moved.
            tracing::warn!(cause = %fault, "the write-ahead log could not be moved");
        }
    }
}

/// What is said when the database did not tell whether it kept a group, after `fault`.
fn unsaid(fault: &Fault) -> Fault {
    let cause = format!("the database did not say whether it kept the changes: {fault}");
    match fault.remedy() {
        Some(remedy) => Fault::Hindered(cause, remedy),
        None => Fault::Database(cause),
    }
}

/// Carries out one request inside the group.
///
/// # Errors
/// What undid the whole group.
fn attempt(session: &Session, sealer: &Sealer, request: &Request) -> Result<Outcome, Fault> {
    let outcome = session.whole_or_not_at_all(|| match request {
        Request::Change(change, _) => apply::change(session, sealer, change).map(|_| Done::All),
        Request::Many(many, _) => enrollments::put_many(session, sealer, many).map(Done::Each),
        Request::Ready(now, _) => apply::sign_of_life(session, *now).map(|()| Done::All),
        Request::Continue(limit, _) => lease::unfinished(session, sealer, *limit).map(Done::Found),
        Request::Purge { before, limit, .. } => {
            operations::purge(session, *before, *limit).map(Done::Removed)
        }
        Request::Ask(change, _) => apply::change(session, sealer, change).map(Done::Gave),
        Request::CloseLost { now, limit, .. } => {
            relayed::purge(session, *now, *limit)?;
            sessions::close_lost(session, *now, *limit).map(Done::Removed)
        }
        Request::TakeRelayed { now, limit, .. } => {
            relayed::take(session, *now, *limit).map(Done::Handed)
        }
        Request::PurgeMessages { now, limit, .. } => {
            messages::purge(session, *now, *limit).map(Done::Removed)
        }
        Request::PurgeEvents {
            before,
            most,
            limit,
            ..
        } => events::purge(session, *before, *most, *limit).map(Done::Removed),
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
