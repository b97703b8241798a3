//! Whoever is told what the store does: how long its commits take and how many share one. The store itself
//! measures nothing and keeps no figures; it has no clock for that.

use std::sync::{Arc, OnceLock};

/// Is told what the store does, where it does it, and must not make it wait.
pub trait Observer: Send + Sync {
    /// A request waits for the writer.
    fn asked(&self);

    /// So many requests have their answer.
    fn answered(&self, requests: usize);

    /// The writer begins a group of so many requests. There is one writer, and one group at a time.
    fn begins(&self, requests: usize);

    /// The group that began last is durable or given up.
    fn ends(&self);

    /// One durable commit.
    fn committed(&self);

    /// A group is tried again.
    fn tries_again(&self, why: Again);

    /// So many requests were not kept, since the database did not take them: those of a group, or a renewal of the lease.
    fn gave_up(&self, requests: usize);

    /// A read found no answer.
    fn unread(&self);
}

/// Why a group of writes is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// Another server wrote the same at the same time.
    Collided,
    /// The connection to the database was lost.
    Lost,
}

/// The observer of one store, once there is one.
#[derive(Clone, Default)]
pub(crate) struct Observed(Arc<OnceLock<Arc<dyn Observer>>>);

impl Observed {
    /// Tells `observer` from now on, unless there is one already.
    pub(crate) fn by(&self, observer: Arc<dyn Observer>) {
        // The first stays: its figures would not be whole otherwise.
        let _ = self.0.set(observer);
    }

    /// Tells the observer.
    pub(crate) fn tell(&self, what: impl FnOnce(&(dyn Observer + 'static))) {
        if let Some(observer) = self.0.get() {
            what(&**observer);
        }
    }
}
