//! The writer's connection to its database, and the lease that it holds there.

use crate::dialect::{Fault, Place, Pool, Session, Source, Turn};
use crate::lease::Lease;
use crate::secret::Sealer;

/// How often the database is asked whether it kept a group, when the answer to its commit was lost.
const QUESTIONS: u32 = 8;

/// The connection and the lease, opened when they are needed.
pub(crate) struct Connection {
    source: Source,
    node: String,
    /// The connections that read, where the database counts all of them.
    readers: Option<Pool>,
    session: Option<Session>,
    lease: Option<Lease>,
    /// The file that was opened first: no other is written to later.
    place: Option<Place>,
    /// Whether the last group could not be written, for a reason that may last: nobody waits for its end.
    hindered: bool,
    /// Whether the log was told that the lease cannot be renewed.
    told: bool,
}

impl Connection {
    /// Takes over an open session.
    pub(crate) fn new(
        source: Source,
        node: String,
        readers: Option<Pool>,
        session: Session,
    ) -> Self {
        Connection {
            source,
            node,
            readers,
            place: session.place().cloned(),
            session: Some(session),
            lease: None,
            hindered: false,
            told: false,
        }
    }

    /// Whether other servers may write into the database too.
    pub(super) fn is_shared(&self) -> bool {
        self.source.is_shared()
    }

    /// The session, opened anew when it was lost.
    pub(super) fn session(&mut self) -> Result<&Session, Fault> {
        let session = self.take()?;
        Ok(self.session.insert(session))
    }

    /// Takes the session out, opened anew when it was lost.
    fn take(&mut self) -> Result<Session, Fault> {
        match self.session.take() {
            Some(session) => Ok(session),
            None => self.opened_anew(),
        }
    }

    /// Of a database that has no connection left the readers give up theirs.
    fn opened_anew(&self) -> Result<Session, Fault> {
        // Opening would make a file where there is none.
        if let Some(place) = &self.place {
            place.holds()?;
        }
        let opened = self.source.writing(&self.node);
        if let Some(readers) = &self.readers {
            readers.make_room(matches!(opened, Err(Fault::Crowded(_))));
        }
        let session = opened?;
        session.be_patient(!self.hindered)?;
        Ok(session)
    }

    /// Begins a group of writes, under the lease where there is one.
    pub(super) fn begin(&mut self, turn: Turn) -> Result<&Session, Fault> {
        self.hold_a_lease()?;
        let session = self.take()?;
        let session = self.session.insert(session);
        session.begin(turn)?;
        if let Some(lease) = &mut self.lease {
            lease.hold(session)?;
        }
        Ok(session)
    }

    /// Takes a lease, where servers share the database and this one has none.
    pub(super) fn hold_a_lease(&mut self) -> Result<(), Fault> {
        if self.is_shared() && self.lease.is_none() {
            let node = self.node.clone();
            self.lease = Some(Lease::take(self.session()?, &node)?);
        }
        Ok(())
    }

    /// Undoes what was begun, and goes on with the same session.
    pub(super) fn undo(&mut self) {
        if let Some(session) = &self.session {
            session.abandon();
        }
    }

    /// What a failure leaves: after a collision the same session, else none; after the end of the lease
    /// another lease.
    pub(super) fn failed(&mut self, fault: &Fault) {
        match fault {
            Fault::Again(_) | Fault::Ended => self.undo(),
            _ => self.session = None,
        }
        self.hindered |= matches!(fault, Fault::Hindered(..));
        if let Fault::Ended = fault {
            tracing::warn!(
                "another server has taken over from this one, which was not heard of for seconds"
            );
            self.lease = None;
        }
    }

    /// What a group that was written leaves: whoever comes next waits a while again. That there is room in
    /// PostgreSQL only a sign of life has `proved`: other groups may find what little they need.
    pub(super) fn went_well(&mut self, proved: bool) {
        let over = self.hindered && (proved || !self.is_shared());
        if let (true, Some(session)) = (over, &self.session) {
            self.hindered = session.be_patient(true).is_err();
        }
        self.is_back();
    }

    /// Tells the log that what it was told of is over.
    fn is_back(&mut self) {
        if std::mem::take(&mut self.told) {
            tracing::info!("the database is back");
        }
    }

    /// Renews the lease while nothing is committed; false when the database does not take it.
    pub(super) fn renew(&mut self) -> bool {
        let renewed = self.hold_a_lease().and_then(|()| {
            let lease = self.lease.take();
            let renewed = match (&lease, self.session()) {
                (Some(lease), Ok(session)) => lease.renew(session),
                (_, session) => session.map(drop),
            };
            self.lease = lease;
            renewed
        });
        match renewed {
            Ok(()) => {
                self.is_back();
                true
            }
            Err(fault) => {
                // Once: who asks for something meanwhile has lines of its own.
                if !self.told && !matches!(fault, Fault::Again(_) | Fault::Ended) {
                    self.told = true;
                    tracing::error!(cause = %fault.with_remedy(), "the database does not let this server renew its lease");
                }
                self.failed(&fault);
                matches!(fault, Fault::Again(_) | Fault::Ended)
            }
        }
    }

    /// Whether the last group was committed, when the answer to that was lost; nothing when the database
    /// does not say in time.
    pub(super) fn came_about(&mut self, sealer: &Sealer) -> Option<bool> {
        let lease = self.lease.take()?;
        let mut told = None;
        for question in 1..=QUESTIONS {
            let asked = self.session().and_then(|session| lease.came_about(session));
            match asked {
                Ok(came_about) => {
                    told = Some(came_about);
                    break;
                }
                Err(fault) => {
                    tracing::warn!(cause = %fault, "it is not known yet whether a group of writes was kept");
                    self.failed(&fault);
                }
            }
            self.pause(question + 5, sealer);
        }
        self.lease = Some(lease);
        told
    }

    /// Waits before another try.
    pub(super) fn pause(&self, tries: u32, sealer: &Sealer) {
        self.source.pause(tries, sealer);
    }

    /// See [`Session::checkpoint`].
    pub(super) fn checkpoint(&mut self, wholly: bool) -> Result<(), Fault> {
        match &self.session {
            Some(session) => session.checkpoint(wholly),
            None if self.is_shared() => Ok(()),
            None => self.session()?.checkpoint(wholly),
        }
    }

    /// Lets go of lease and session.
    pub(super) fn close(&mut self) {
        if let (Some(lease), Some(session)) = (self.lease.take(), &self.session) {
            // Otherwise it ends by itself.
            let _ = lease.release(session);
        }
        self.session = None;
    }
}
