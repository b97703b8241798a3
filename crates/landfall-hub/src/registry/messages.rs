//! Messages from the cloud, as operators queue them for a device or module and empty its queue.

use landfall_core::store::CommitError;

use super::Registry;
use crate::endpoint::Endpoint;
use crate::error::HubError;
use crate::message::CloudMessage;
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
        for answer in self.settle(endpoint, write).await? {
            if let HubAnswer::Enqueued(sequence) = answer {
                return Ok(sequence);
            }
        }
        Err(HubError::Internal(
            "a queued message got no number".to_owned(),
        ))
    }

    /// Empties the queue of a device or module, and says how many messages waited in it.
    ///
    /// # Errors
    /// `DeviceNotFound`; `ModuleNotFound`.
    pub async fn purge_messages(&self, endpoint: &Endpoint) -> Result<usize, HubError> {
        // One that is not there has no queue to be emptied.
        self.twin_of(endpoint).await?;
        let write = HubWrite::Purge(self.hub.clone(), endpoint.clone(), self.now);
        let answers = self.settle(endpoint, write).await?;
        let purged = answers.into_iter().find_map(|answer| match answer {
            HubAnswer::Purged(purged) => Some(purged),
            _ => None,
        });
        Ok(purged.unwrap_or_default())
    }

    async fn settle(
        &self,
        endpoint: &Endpoint,
        write: HubWrite,
    ) -> Result<Vec<HubAnswer>, HubError> {
        match self.store.carry_out(self.change(vec![write])).await {
            Ok(answers) => Ok(answers),
            Err(CommitError::Full(_)) => Err(HubError::QueueFull(endpoint.clone())),
            Err(CommitError::Unavailable(cause)) => Err(HubError::Unavailable(cause)),
            Err(CommitError::Absent(_) | CommitError::Exists(_) | CommitError::Changed(_)) => {
                // It says which of the two is not there.
                self.twin_of(endpoint).await?;
                Err(HubError::DeviceNotFound(endpoint.device.clone()))
            }
        }
    }
}
