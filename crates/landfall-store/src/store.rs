//! The store: what the ports (`port`) ask is answered by whoever reads (`readers`) or by the one writer
//! (`commit`). How a store is opened stands in `open`.

mod in_force;
mod open;
mod port;
mod readers;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;

use landfall_core::clock::Clock;
use landfall_core::store::{CommitError, ReadError};
use tokio::sync::oneshot;

pub use self::open::OpenError;
pub(crate) use self::open::{check_key, keep_private, key_opens};
use self::readers::Readers;
use crate::commit::{Request, closed};
use crate::dialect::{Alarm, Read, Source};
use crate::observer::{Observed, Observer};
use crate::services;

/// Everything, in one database of either engine.
///
/// Dropping it finishes what is queued in the background; [`SqlStore::close`] waits for that.
pub struct SqlStore {
    source: Source,
    /// The name of this run among the servers that share the database; empty where there is only one.
    node: String,
    readers: Readers,
    /// Where several servers share the database.
    alarm: Option<Alarm>,
    services: services::Remembered,
    requests: Sender<Request>,
    commits: Arc<AtomicU64>,
    observed: Observed,
    clock: Arc<dyn Clock>,
}

impl SqlStore {
    /// Carries out what is queued and lets go of the database. Whatever is asked afterwards is answered
    /// `Unavailable`.
    pub async fn close(&self) {
        let (answer, answered) = oneshot::channel();
        if self.requests.send(Request::Close(answer)).is_ok() {
            // The writer's end is as good as its answer.
            let _ = answered.await;
        }
        self.readers.close();
    }

    /// Tells `observer` from now on what the store does; the first that is given stays.
    pub fn observe(&self, observer: Arc<dyn Observer>) {
        self.observed.by(observer);
    }

    /// How many durable commits there were since opening: far fewer than changes under load.
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Asks the writer and waits for its answer.
    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, CommitError>>) -> Request,
    ) -> Result<T, CommitError> {
        let (answer, answered) = oneshot::channel();
        if !self.queue(request(answer)) {
            return Err(closed());
        }
        answered.await.unwrap_or_else(|_| Err(self.unanswered()))
    }

    /// What is said of a request that the writer dropped at its end.
    fn unanswered(&self) -> CommitError {
        self.observed.tell(|observer| observer.answered(1));
        closed()
    }

    /// Hands a request to the writer, unless that is gone.
    fn queue(&self, request: Request) -> bool {
        self.observed.tell(Observer::asked);
        let queued = self.requests.send(request).is_ok();
        if !queued {
            self.observed.tell(|observer| observer.answered(1));
        }
        queued
    }

    /// The first row of a read of a few rows.
    async fn one<T>(&self, read: &Read<'_, T>) -> Result<Option<T>, ReadError> {
        let found = self.readers.one(read).await;
        self.observed_read(found)
    }

    /// All rows of a read.
    async fn all<T: Send + 'static>(&self, read: Read<'_, T>) -> Result<Vec<T>, ReadError> {
        let found = self.readers.all(read).await;
        self.observed_read(found)
    }

    fn observed_read<T>(&self, found: Result<T, ReadError>) -> Result<T, ReadError> {
        if found.is_err() {
            self.observed.tell(Observer::unread);
        }
        found
    }
}

impl std::fmt::Debug for SqlStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SqlStore({})", self.source)
    }
}
