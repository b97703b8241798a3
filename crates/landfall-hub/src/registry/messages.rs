//! Messages from the cloud, as operators queue them for a device or module and empty its queue, and as those take
//! them that need no session; and what the latter send.

use landfall_core::store::CommitError;

use super::Registry;
use crate::endpoint::Endpoint;
use crate::error::HubError;
use crate::event::HubEvent;
use crate::message::{CloudMessage, LOCKED_FOR, Lock, Settlement};
use crate::relay::Notice;
use crate::store::{HubAnswer, HubStore, HubWrite};

impl<S: HubStore> Registry<'_, S> {
    /// Queues a message, and gives its number.
    ///
    /// # Errors
    /// `DeviceNotFound`; `ModuleNotFound`; `QueueFull` when as many wait as may.
    pub async fn send_message(
        &self,
        endpoint: &Endpoint,
        message: CloudMessage,
    ) -> Result<i64, HubError> {
        let write = HubWrite::Enqueue(self.hub.clone(), endpoint.clone(), Box::new(message));
        let notice = (endpoint.clone(), Notice::Messages);
        let writes = self.told_elsewhere(Some(&notice), vec![write]);
        for answer in self.settle(endpoint, writes).await? {
            if let HubAnswer::Enqueued(sequence) = answer {
                self.tell(Some(&notice));
                return Ok(sequence);
            }
        }
        Err(HubError::Internal(
            "a queued message got no number".to_owned(),
        ))
    }

    /// Keeps what an endpoint that needs no session sent, all of it or nothing.
    ///
    /// # Errors
    /// `DeviceNotFound`; `ModuleNotFound`.
    pub async fn keep_events(
        &self,
        endpoint: &Endpoint,
        events: Vec<HubEvent>,
    ) -> Result<(), HubError> {
        let events = events
            .into_iter()
            .map(|event| HubWrite::AppendEvent(self.hub.clone(), Box::new(event)));
        let writes = events.chain([self.visit(endpoint)]);
        self.settle(endpoint, writes.collect()).await.map(drop)
    }

    /// Takes the first message that waits for an endpoint and locks it; none when none waits.
    ///
    /// # Errors
    /// `DeviceNotFound`; `ModuleNotFound`.
    pub async fn take_message(
        &self,
        endpoint: &Endpoint,
    ) -> Result<Option<Box<CloudMessage>>, HubError> {
        let until = self.now.plus(LOCKED_FOR);
        let lock = HubWrite::Lock(self.hub.clone(), endpoint.clone(), self.now, until);
        let answers = self
            .settle(endpoint, vec![lock, self.visit(endpoint)])
            .await?;
        Ok(answers.into_iter().find_map(|answer| match answer {
            HubAnswer::Locked(locked) => locked,
            _ => None,
        }))
    }

    /// Says what became of a message that its endpoint took.
    ///
    /// # Errors
    /// `LockLost`; `DeviceNotFound`; `ModuleNotFound`.
    pub async fn settle_message(
        &self,
        endpoint: &Endpoint,
        lock: Lock,
        settlement: Settlement,
    ) -> Result<(), HubError> {
        let (hub, of) = (self.hub.clone(), endpoint.clone());
        let settle = HubWrite::Settle(hub, of, lock, settlement, self.now);
        let writes = vec![settle, self.visit(endpoint)];
        self.settle(endpoint, writes).await.map(drop)
    }

    fn visit(&self, endpoint: &Endpoint) -> HubWrite {
        HubWrite::NoteVisit(self.hub.clone(), endpoint.clone(), self.now)
    }

    /// Empties the queue of a device or module, and says how many messages waited in it.
    ///
    /// # Errors
    /// `DeviceNotFound`; `ModuleNotFound`.
    pub async fn purge_messages(&self, endpoint: &Endpoint) -> Result<usize, HubError> {
        // One that is not there has no queue to be emptied.
        self.twin_of(endpoint).await?;
        let write = HubWrite::Purge(self.hub.clone(), endpoint.clone(), self.now);
        let answers = self.settle(endpoint, vec![write]).await?;
        let purged = answers.into_iter().find_map(|answer| match answer {
            HubAnswer::Purged(purged) => Some(purged),
            _ => None,
        });
        Ok(purged.unwrap_or_default())
    }

    async fn settle(
        &self,
        endpoint: &Endpoint,
        writes: Vec<HubWrite>,
    ) -> Result<Vec<HubAnswer>, HubError> {
        match self.store.carry_out(self.change(writes)).await {
            Ok(answers) => Ok(answers),
            Err(CommitError::Full(_)) => Err(HubError::QueueFull(endpoint.clone())),
            Err(CommitError::Unavailable(cause)) => Err(HubError::Unavailable(cause)),
            // Nothing else that is written here depends on a state.
            Err(CommitError::Changed(_)) => Err(HubError::LockLost),
            Err(CommitError::Absent(_) | CommitError::Exists(_)) => {
                // It says which of the two is not there.
                self.twin_of(endpoint).await?;
                Err(HubError::DeviceNotFound(endpoint.device.clone()))
            }
        }
    }
}
