//! Modules: create, read, update, delete, list.

use landfall_core::id::{DeviceId, ModuleId};
use landfall_core::store::CommitError;

use super::identity::{ModuleRequest, fresh_module, updated_module};
use super::{ATTEMPTS, IfMatch, Plan, Registry, overtaken};
use crate::device::Module;
use crate::endpoint::Endpoint;
use crate::error::HubError;
use crate::relay::Notice;
use crate::store::{HubExpect, HubStore, HubWrite};
use crate::twin::TwinContent;

/// The most modules a device may have.
///
/// Source: docs/protocol/hub-api.md §5 [I].
pub const MOST_MODULES: usize = 50;

impl<S: HubStore> Registry<'_, S> {
    /// Makes a module.
    ///
    /// # Errors
    /// `DeviceNotFound`; `ModuleExists`; `TooManyModules`; `ArgumentInvalid`.
    pub async fn create_module(
        &self,
        request: &ModuleRequest,
        content: &TwinContent,
    ) -> Result<Module, HubError> {
        let plan = self.plan_create_module(request, content).await?;
        match self.commit(plan.writes).await {
            Ok(()) => Ok(plan.result),
            Err(error) => Err(creation_refused(request, error)),
        }
    }

    /// One module.
    ///
    /// # Errors
    /// `DeviceNotFound`; `ModuleNotFound`.
    pub async fn module(&self, device: &DeviceId, id: &ModuleId) -> Result<Module, HubError> {
        if let Some(module) = self.store.module(self.hub, device, id).await? {
            return Ok(module);
        }
        self.device(device).await?;
        Err(HubError::ModuleNotFound(device.clone(), id.clone()))
    }

    /// All modules of a device.
    ///
    /// # Errors
    /// `DeviceNotFound`.
    pub async fn modules_of(&self, device: &DeviceId) -> Result<Vec<Module>, HubError> {
        let modules = self.store.modules_of(self.hub, device).await?;
        if modules.is_empty() {
            self.device(device).await?;
        }
        Ok(modules)
    }

    /// Changes a module's identity. Its twin stays.
    ///
    /// # Errors
    /// `DeviceNotFound`; `ModuleNotFound`; `PreconditionFailed`; `ArgumentInvalid`.
    pub async fn update_module(
        &self,
        request: &ModuleRequest,
        if_match: &IfMatch,
    ) -> Result<Module, HubError> {
        for _ in 0..ATTEMPTS {
            let plan = self.plan_update_module(request, if_match).await?;
            if let Some(module) = self.attempt(plan).await? {
                return Ok(module);
            }
        }
        Err(overtaken())
    }

    /// Removes a module with its twin.
    ///
    /// # Errors
    /// `DeviceNotFound`; `ModuleNotFound`; `PreconditionFailed`.
    pub async fn delete_module(
        &self,
        device: &DeviceId,
        id: &ModuleId,
        if_match: &IfMatch,
    ) -> Result<(), HubError> {
        for _ in 0..ATTEMPTS {
            let plan = self.plan_delete_module(device, id, if_match).await?;
            if self.attempt(plan).await?.is_some() {
                return Ok(());
            }
        }
        Err(overtaken())
    }

    pub(super) async fn plan_create_module(
        &self,
        request: &ModuleRequest,
        content: &TwinContent,
    ) -> Result<Plan<Module>, HubError> {
        let there = self.store.modules_of(self.hub, &request.device_id).await?;
        if there.iter().any(|module| module.id == request.id) {
            return Err(HubError::ModuleExists(
                request.device_id.clone(),
                request.id.clone(),
            ));
        }
        if there.len() >= MOST_MODULES {
            return Err(HubError::TooManyModules(
                request.device_id.clone(),
                MOST_MODULES,
            ));
        }
        let module = fresh_module(request, content, self.now, self.entropy)?;
        Ok(Plan {
            writes: vec![HubWrite::PutModule(
                self.hub.clone(),
                Box::new(module.clone()),
                HubExpect::Absent,
            )],
            notice: None,
            result: module,
        })
    }

    pub(super) async fn plan_update_module(
        &self,
        request: &ModuleRequest,
        if_match: &IfMatch,
    ) -> Result<Plan<Module>, HubError> {
        let before = self.module(&request.device_id, &request.id).await?;
        if_match.check(&before.etag, || spoken(&before))?;
        let module = updated_module(&before, request, self.entropy)?;
        Ok(Plan {
            writes: vec![HubWrite::PutModule(
                self.hub.clone(),
                Box::new(module.clone()),
                HubExpect::Revision(before.revision),
            )],
            // It is let in again by what is asked of it now.
            notice: Some((endpoint(&module), Notice::Ended)),
            result: module,
        })
    }

    pub(super) async fn plan_delete_module(
        &self,
        device: &DeviceId,
        id: &ModuleId,
        if_match: &IfMatch,
    ) -> Result<Plan<()>, HubError> {
        let module = self.module(device, id).await?;
        if_match.check(&module.etag, || spoken(&module))?;
        Ok(Plan {
            writes: vec![HubWrite::DeleteModule(
                self.hub.clone(),
                device.clone(),
                id.clone(),
                HubExpect::Revision(module.revision),
            )],
            notice: Some((endpoint(&module), Notice::Ended)),
            result: (),
        })
    }
}

pub(super) fn endpoint(module: &Module) -> Endpoint {
    Endpoint {
        device: module.device_id.clone(),
        module: Some(module.id.clone()),
    }
}

/// Names a module in messages.
pub(super) fn spoken(module: &Module) -> String {
    format!("Module {} of device {}", module.id, module.device_id)
}

/// Why a module could not be made.
pub(super) fn creation_refused(request: &ModuleRequest, error: CommitError) -> HubError {
    match error {
        CommitError::Exists(_) | CommitError::Changed(_) | CommitError::Full(_) => {
            HubError::ModuleExists(request.device_id.clone(), request.id.clone())
        }
        CommitError::Absent(_) => HubError::DeviceNotFound(request.device_id.clone()),
        CommitError::Unavailable(cause) => HubError::Unavailable(cause),
    }
}
