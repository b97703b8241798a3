//! A hub's shared access policies as operators keep them: read, make, change, remove, rotate. The
//! rules are [`landfall_core::policy`]'s; here they meet the hub's record. Called by the server's own
//! routes.

use std::time::Duration;

use landfall_core::administration::Condition;
use landfall_core::audit::Author;
use landfall_core::clock::Entropy;
use landfall_core::error::Error;
use landfall_core::id::PolicyName;
use landfall_core::policy::rotation::RotationRequest;
use landfall_core::policy::{Policies, PolicyRequest};
use landfall_core::store::{Change, CommitError};

use crate::device::Hub;
use crate::policy::{HubPolicy, Permissions};
use crate::store::{HubExpect, HubStore, HubWrite};

/// How long a caller is asked to wait when the store cannot answer.
const STORE_WAIT: Duration = Duration::from_secs(1);

/// One operator's request about the policies of a hub.
pub struct HubPolicies<'a, S> {
    /// Where everything is kept.
    pub store: &'a S,
    /// The hub, as it was read.
    pub hub: &'a Hub,
    /// What the caller may do on it.
    pub caller: Permissions,
    /// Where keys come from.
    pub entropy: &'a dyn Entropy,
    /// Who asks, and answers for what changes.
    pub author: Author,
}

impl<S: HubStore> HubPolicies<'_, S> {
    /// Makes a policy, or changes one when the condition says that it is there; gives the hub as it
    /// is then.
    ///
    /// # Errors
    /// As [`Policies::created`] and [`Policies::updated`]; [`Error::PreconditionFailed`] when the hub
    /// is not in the state asked for.
    pub async fn put(
        &self,
        name: &PolicyName,
        request: &PolicyRequest<Permissions>,
        condition: &Condition,
    ) -> Result<Hub, Error> {
        let policies = match condition {
            Condition::Unstated => self.standing().created(name, request, self.entropy)?,
            Condition::Present | Condition::Etag(_) => self.standing().updated(name, request)?,
        };
        self.replace(policies, condition).await
    }

    /// Removes a policy: tokens of it open nothing from now on.
    ///
    /// # Errors
    /// As [`Policies::without`]; [`Error::PreconditionFailed`] when the hub is not in the state asked
    /// for.
    pub async fn delete(&self, name: &PolicyName, condition: &Condition) -> Result<Hub, Error> {
        let policies = self.standing().without(name)?;
        self.replace(policies, condition).await
    }

    /// Rotates the keys of a policy: tokens of a key that goes open nothing from now on.
    ///
    /// # Errors
    /// As [`Policies::rotated`]; [`Error::PreconditionFailed`] when the hub is not in the state asked
    /// for; [`Error::Invalid`] when nothing was said of it.
    pub async fn rotate(
        &self,
        name: &PolicyName,
        request: &RotationRequest,
        condition: &Condition,
    ) -> Result<Hub, Error> {
        condition.required()?;
        let policies = self.standing().rotated(name, request, self.entropy)?;
        self.replace(policies, condition).await
    }

    fn standing(&self) -> Policies<'_, HubPolicy> {
        Policies {
            standing: &self.hub.policies,
            caller: self.caller,
        }
    }

    /// Writes the policies over the state that was read, and reads them back with their new mark.
    async fn replace(&self, policies: Vec<HubPolicy>, condition: &Condition) -> Result<Hub, Error> {
        let name = &self.hub.host_name;
        let what = format!("Hub '{name}'");
        match condition {
            Condition::Etag(etag) if *etag != self.hub.etag() => {
                return Err(Error::PreconditionFailed(what));
            }
            Condition::Unstated | Condition::Present | Condition::Etag(_) => {}
        }
        let hub = Hub {
            policies,
            ..self.hub.clone()
        };
        let put = HubWrite::PutHub(Box::new(hub), HubExpect::Revision(self.hub.revision));
        let change = Change::of_hub(vec![put]).by(self.author.clone());
        let outcome = self.store.commit(vec![change]).await.pop();
        match outcome {
            Some(Ok(())) => {}
            Some(Err(CommitError::Absent(_))) => return Err(Error::OtherNotFound(what)),
            Some(Err(CommitError::Exists(_) | CommitError::Changed(_) | CommitError::Full(_))) => {
                return Err(Error::PreconditionFailed(what));
            }
            Some(Err(CommitError::Unavailable(_))) | None => {
                return Err(Error::Unavailable(STORE_WAIT));
            }
        }
        let after = self.store.hub(name).await?;
        after.ok_or(Error::OtherNotFound(what))
    }
}
