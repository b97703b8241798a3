//! The identity registry of a hub: devices, modules and their twins, for operators and for the
//! provisioning service.
//!
//! Called by the server's `hub_api` (one method per call of the hub API) and, through
//! [`EmbeddedHubs`], by the registration driver. A change is read, computed and
//! committed with the revision that was read; when someone else was faster, it is read again.

mod authentication;
mod bulk;
mod devices;
pub mod identity;
mod messages;
mod modules;
mod placement;
mod twins;

use landfall_core::audit::Author;
use landfall_core::clock::{Entropy, Timestamp};
use landfall_core::id::{Etag, HubHostName};
use landfall_core::store::{Change, CommitError};

pub use authentication::AuthenticationRequest;
pub use bulk::{BulkAsk, BulkFailure, BulkItem, MOST_BULK_ITEMS};
pub use devices::MOST_LISTED_DEVICES;
pub use modules::MOST_MODULES;
pub use placement::EmbeddedHubs;

use crate::endpoint::Endpoint;
use crate::error::HubError;
use crate::relay::{Notice, RELAYED_FOR, Relay};
use crate::store::{HubStore, HubWrite};

/// How often a change looks again when others are faster.
const ATTEMPTS: usize = 8;

/// One hub's registry at one moment: what a request works with.
pub struct Registry<'a, S> {
    store: &'a S,
    hub: &'a HubHostName,
    now: Timestamp,
    entropy: &'a dyn Entropy,
    relay: &'a dyn Relay,
    author: Option<Author>,
}

/// Which state of a record a caller wants to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IfMatch {
    /// Whatever it is, as long as it is there.
    Any,
    /// The one with this etag.
    Etag(Etag),
}

impl IfMatch {
    /// Holds the state a caller knows against the record's.
    fn check(&self, etag: &Etag, what: impl FnOnce() -> String) -> Result<(), HubError> {
        match self {
            IfMatch::Etag(known) if known != etag => Err(HubError::PreconditionFailed(what())),
            IfMatch::Any | IfMatch::Etag(_) => Ok(()),
        }
    }
}

/// What a change writes, who is to hear of it once it is durable, and what it leaves.
struct Plan<T> {
    writes: Vec<HubWrite>,
    notice: Option<(Endpoint, Notice)>,
    result: T,
}

impl<'a, S: HubStore> Registry<'a, S> {
    /// The registry of `hub` at `now`. What it changes is told through `relay`.
    pub fn new(
        store: &'a S,
        hub: &'a HubHostName,
        now: Timestamp,
        entropy: &'a dyn Entropy,
        relay: &'a dyn Relay,
    ) -> Self {
        Registry {
            store,
            hub,
            now,
            entropy,
            relay,
            author: None,
        }
    }

    /// This registry, for changes that `author` answers for. Without one, they are a device's.
    pub fn by(mut self, author: Author) -> Self {
        self.author = Some(author);
        self
    }

    /// Commits writes as one change. Nothing to write is done at once.
    async fn commit(&self, writes: Vec<HubWrite>) -> Result<(), CommitError> {
        if writes.is_empty() {
            return Ok(());
        }
        self.store
            .commit(vec![self.change(writes)])
            .await
            .pop()
            .unwrap_or_else(|| Err(CommitError::Unavailable("no answer".to_owned())))
    }

    fn change(&self, writes: Vec<HubWrite>) -> Change<HubWrite> {
        Change {
            author: self.author.clone(),
            ..Change::of_hub(writes)
        }
    }

    /// Writes with what makes other servers tell their sessions. That stands first: whom it is for must still be
    /// there.
    fn told_elsewhere(
        &self,
        notice: Option<&(Endpoint, Notice)>,
        mut writes: Vec<HubWrite>,
    ) -> Vec<HubWrite> {
        if let Some((endpoint, notice)) = notice
            && !writes.is_empty()
            && !self.store.node().is_empty()
        {
            let until = self.now.plus(RELAYED_FOR);
            let tell = HubWrite::Tell(self.hub.clone(), endpoint.clone(), notice.clone(), until);
            writes.insert(0, tell);
        }
        writes
    }

    /// Tells who is connected to this server of what was done.
    fn tell(&self, notice: Option<&(Endpoint, Notice)>) {
        if let Some((endpoint, notice)) = notice {
            self.relay.tell(self.hub, endpoint, notice);
        }
    }

    /// Carries out a plan; `None` when a record was no longer as the plan had read it.
    async fn attempt<T>(&self, plan: Plan<T>) -> Result<Option<T>, HubError> {
        let writes = self.told_elsewhere(plan.notice.as_ref(), plan.writes);
        match self.commit(writes).await {
            Ok(()) => {
                self.tell(plan.notice.as_ref());
                Ok(Some(plan.result))
            }
            Err(CommitError::Unavailable(cause)) => Err(HubError::Unavailable(cause)),
            Err(
                CommitError::Exists(_)
                | CommitError::Absent(_)
                | CommitError::Changed(_)
                | CommitError::Full(_),
            ) => Ok(None),
        }
    }
}

/// Others were faster every time.
fn overtaken() -> HubError {
    HubError::Unavailable(format!("overtaken by other changes {ATTEMPTS} times"))
}
