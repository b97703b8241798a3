//! A provisioning service's own record: its settings, its links, its end. Founding one is the
//! server's, since names and hubs come into it.

use super::{Administration, Condition, refused};
use crate::enrollment::AllocationPolicy;
use crate::error::Error;
use crate::id::{Etag, ServiceName};
use crate::linked_hub::LinkedHub;
use crate::service::ProvisioningService;
use crate::store::{Change, CommitError, Expect, Guard, Store, Write};

/// What of a service is to be changed. What is not said stays.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ServiceUpdate {
    /// See [`ProvisioningService::host_name`].
    pub host_name: Option<String>,
    /// See [`ProvisioningService::allocation`].
    pub allocation: Option<AllocationPolicy>,
    /// See [`ProvisioningService::require_verified_chain`].
    pub require_verified_chain: Option<bool>,
    /// See [`ProvisioningService::linked_hubs`].
    pub linked_hubs: Option<Vec<LinkedHub>>,
}

pub(super) fn spoken(name: &ServiceName) -> String {
    format!("Provisioning service '{name}'")
}

impl<S: Store> Administration<'_, S> {
    /// Changes the service's settings. `hub_writes` are committed with it.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a broken rule, [`Error::PreconditionFailed`] when the service is not in
    /// the state asked for.
    pub async fn update_service(
        &self,
        update: ServiceUpdate,
        condition: &Condition,
        hub_writes: Vec<S::HubWrite>,
    ) -> Result<ProvisioningService, Error> {
        if update.allocation == Some(AllocationPolicy::Custom) {
            return Err(Error::Invalid(
                "The allocation policy of a service cannot be 'custom', which names a webhook: set it in an enrollment."
                    .to_owned(),
            ));
        }
        if update.linked_hubs.as_ref().is_some_and(Vec::is_empty) {
            return Err(Error::Invalid(
                "A service keeps at least one linked hub; link another one first.".to_owned(),
            ));
        }
        let mut service = self.service.clone();
        service.host_name = update.host_name.unwrap_or(service.host_name);
        service.allocation = update.allocation.unwrap_or(service.allocation);
        service.require_verified_chain = update
            .require_verified_chain
            .unwrap_or(service.require_verified_chain);
        service.linked_hubs = update.linked_hubs.unwrap_or(service.linked_hubs);
        self.replace_service(service, condition, hub_writes).await
    }

    /// Removes the service and everything in it, and with it what `hub_writes` remove. `guards` say
    /// what must not be there.
    ///
    /// # Errors
    /// [`Error::InUse`] when a guard does not hold, [`Error::PreconditionFailed`] when the service is
    /// not in the state asked for.
    pub async fn delete_service(
        &self,
        condition: &Condition,
        guards: Vec<Guard>,
        hub_writes: Vec<S::HubWrite>,
    ) -> Result<(), Error> {
        let expect = self.expect_service(condition)?;
        let change = Change {
            guards,
            hub_writes,
            ..Change::of(Write::DeleteService(self.scope().clone(), expect))
        };
        let what = spoken(&self.service.name);
        match self.commit(change).await {
            Ok(()) => Ok(()),
            Err(CommitError::Exists(holds)) => Err(Error::InUse(format!(
                "{what} is not empty: {holds} was made meanwhile."
            ))),
            Err(error) => Err(refused(error, &what, Error::OtherNotFound(what.clone()))),
        }
    }

    /// Holds the condition against the service as it was read.
    ///
    /// # Errors
    /// [`Error::PreconditionFailed`] when it is in another state.
    pub fn check(&self, condition: &Condition) -> Result<(), Error> {
        self.expect_service(condition).map(drop)
    }

    /// What a write expects of the service's record: the state that was read, if the caller means it.
    pub(super) fn expect_service(&self, condition: &Condition) -> Result<Expect, Error> {
        match condition {
            Condition::Etag(etag) if *etag != self.service.etag => {
                Err(Error::PreconditionFailed(spoken(&self.service.name)))
            }
            Condition::Unstated | Condition::Present | Condition::Etag(_) => {
                Ok(Expect::Etag(self.service.etag.clone()))
            }
        }
    }

    /// Writes a changed service over the state it was read in.
    pub(super) async fn replace_service(
        &self,
        mut service: ProvisioningService,
        condition: &Condition,
        hub_writes: Vec<S::HubWrite>,
    ) -> Result<ProvisioningService, Error> {
        let expect = self.expect_service(condition)?;
        service.etag = Etag::draw(self.entropy);
        let change = Change {
            hub_writes,
            ..Change::of(Write::PutService(Box::new(service.clone()), expect))
        };
        let what = spoken(&service.name);
        match self.commit(change).await {
            Ok(()) => Ok(service),
            Err(error) => Err(refused(error, &what, Error::OtherNotFound(what.clone()))),
        }
    }
}
