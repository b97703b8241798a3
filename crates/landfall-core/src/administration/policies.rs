//! Shared access policies of a provisioning service. The rules are [`crate::policy`]'s; here they
//! meet the record.

use super::{Administration, Condition};
use crate::error::Error;
use crate::id::PolicyName;
use crate::policy::rotation::RotationRequest;
use crate::policy::{Policies, PolicyRequest};
use crate::service::{AccessPolicy, ProvisioningService, Rights};
use crate::store::Store;

impl<S: Store> Administration<'_, S> {
    /// Makes a policy, or changes one when the condition says that it is there. `caller` is what the
    /// caller may do on this service.
    ///
    /// # Errors
    /// As [`Policies::created`] and [`Policies::updated`]; [`Error::PreconditionFailed`] when the
    /// service is not in the state asked for.
    pub async fn put_policy(
        &self,
        caller: Rights,
        name: &PolicyName,
        request: &PolicyRequest<Rights>,
        condition: &Condition,
    ) -> Result<ProvisioningService, Error> {
        let standing = self.policies(caller);
        let policies = match condition {
            Condition::Unstated => standing.created(name, request, self.entropy)?,
            Condition::Present | Condition::Etag(_) => standing.updated(name, request)?,
        };
        self.replace_policies(policies, condition).await
    }

    /// Removes a policy: tokens of it open nothing from now on.
    ///
    /// # Errors
    /// As [`Policies::without`]; [`Error::PreconditionFailed`] when the service is not in the state
    /// asked for.
    pub async fn delete_policy(
        &self,
        caller: Rights,
        name: &PolicyName,
        condition: &Condition,
    ) -> Result<ProvisioningService, Error> {
        let policies = self.policies(caller).without(name)?;
        self.replace_policies(policies, condition).await
    }

    /// Rotates the keys of a policy: tokens of a key that goes open nothing from now on.
    ///
    /// # Errors
    /// As [`Policies::rotated`]; [`Error::PreconditionFailed`] when the service is not in the state
    /// asked for; [`Error::Invalid`] when nothing was said of it, since of two rotations at once the
    /// second would shut out whom the first let in.
    pub async fn rotate_policy(
        &self,
        caller: Rights,
        name: &PolicyName,
        request: &RotationRequest,
        condition: &Condition,
    ) -> Result<ProvisioningService, Error> {
        condition.required()?;
        let policies = self.policies(caller).rotated(name, request, self.entropy)?;
        self.replace_policies(policies, condition).await
    }

    fn policies(&self, caller: Rights) -> Policies<'_, AccessPolicy> {
        Policies {
            standing: &self.service.policies,
            caller,
        }
    }

    async fn replace_policies(
        &self,
        policies: Vec<AccessPolicy>,
        condition: &Condition,
    ) -> Result<ProvisioningService, Error> {
        let service = ProvisioningService {
            policies,
            ..self.service.clone()
        };
        self.replace_service(service, condition, Vec::new()).await
    }
}
