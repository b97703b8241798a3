//! Twins of devices and modules, as operators change them.

use landfall_core::id::{DeviceId, ModuleId};

use super::modules::spoken;
use super::{ATTEMPTS, IfMatch, Plan, Registry, overtaken};
use crate::device::{Device, Module};
use crate::error::HubError;
use crate::store::{HubExpect, HubStore, HubWrite};
use crate::twin::{TwinChange, TwinVerb};

impl<S: HubStore> Registry<'_, S> {
    /// Changes a device's twin; gives the device with it.
    ///
    /// # Errors
    /// `DeviceNotFound`; `PreconditionFailed`; `ArgumentInvalid` or `TooLarge` past a limit.
    pub async fn change_twin(
        &self,
        id: &DeviceId,
        verb: TwinVerb,
        change: &TwinChange,
        if_match: &IfMatch,
    ) -> Result<Device, HubError> {
        for _ in 0..ATTEMPTS {
            let plan = self.plan_change_twin(id, verb, change, if_match).await?;
            if let Some(device) = self.attempt(plan).await? {
                return Ok(device);
            }
        }
        Err(overtaken())
    }

    /// Changes a module's twin; gives the module with it.
    ///
    /// # Errors
    /// `DeviceNotFound`; `ModuleNotFound`; `PreconditionFailed`; `ArgumentInvalid` or `TooLarge`
    /// past a limit.
    pub async fn change_module_twin(
        &self,
        device: &DeviceId,
        id: &ModuleId,
        verb: TwinVerb,
        change: &TwinChange,
        if_match: &IfMatch,
    ) -> Result<Module, HubError> {
        for _ in 0..ATTEMPTS {
            let plan = self
                .plan_change_module_twin(device, id, verb, change, if_match)
                .await?;
            if let Some(module) = self.attempt(plan).await? {
                return Ok(module);
            }
        }
        Err(overtaken())
    }

    pub(super) async fn plan_change_twin(
        &self,
        id: &DeviceId,
        verb: TwinVerb,
        change: &TwinChange,
        if_match: &IfMatch,
    ) -> Result<Plan<Device>, HubError> {
        let mut device = self.device(id).await?;
        if_match.check(&device.twin.etag, || format!("The twin of device {id}"))?;
        let revision = device.revision;
        let mut writes = Vec::new();
        if let Some(twin) = device.twin.changed(verb, change, self.now)? {
            device.twin = twin;
            device.revision += 1;
            writes.push(HubWrite::PutDevice(
                self.hub.clone(),
                Box::new(device.clone()),
                HubExpect::Revision(revision),
            ));
        }
        Ok(Plan {
            writes,
            result: device,
        })
    }

    pub(super) async fn plan_change_module_twin(
        &self,
        device: &DeviceId,
        id: &ModuleId,
        verb: TwinVerb,
        change: &TwinChange,
        if_match: &IfMatch,
    ) -> Result<Plan<Module>, HubError> {
        let mut module = self.module(device, id).await?;
        if_match.check(&module.twin.etag, || {
            format!("The twin of {}", spoken(&module))
        })?;
        let revision = module.revision;
        let mut writes = Vec::new();
        if let Some(twin) = module.twin.changed(verb, change, self.now)? {
            module.twin = twin;
            module.revision += 1;
            writes.push(HubWrite::PutModule(
                self.hub.clone(),
                Box::new(module.clone()),
                HubExpect::Revision(revision),
            ));
        }
        Ok(Plan {
            writes,
            result: module,
        })
    }
}
