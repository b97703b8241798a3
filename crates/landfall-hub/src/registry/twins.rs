//! Twins of devices and modules, as operators change them.

use landfall_core::document::JsonObject;
use landfall_core::id::{DeviceId, ModuleId};

use super::modules::{endpoint, spoken};
use super::{ATTEMPTS, IfMatch, Plan, Registry, overtaken};
use crate::device::{Device, Module};
use crate::endpoint::Endpoint;
use crate::error::HubError;
use crate::relay::Notice;
use crate::store::{HubExpect, HubStore, HubWrite};
use crate::twin::{Twin, TwinChange, TwinVerb, desired_notice};

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

    /// The twin of a device or module.
    ///
    /// # Errors
    /// `DeviceNotFound`; `ModuleNotFound`.
    pub async fn twin_of(&self, endpoint: &Endpoint) -> Result<Twin, HubError> {
        Ok(match &endpoint.module {
            None => self.device(&endpoint.device).await?.twin,
            Some(module) => self.module(&endpoint.device, module).await?.twin,
        })
    }

    /// Takes what a device or module reports of itself; gives the version that its reported properties
    /// have by that.
    ///
    /// # Errors
    /// `DeviceNotFound`; `ModuleNotFound`; `ArgumentInvalid` or `TooLarge` past a limit.
    pub async fn report(&self, endpoint: &Endpoint, patch: &JsonObject) -> Result<i64, HubError> {
        for _ in 0..ATTEMPTS {
            let plan = self.plan_report(endpoint, patch).await?;
            if let Some(version) = self.attempt(plan).await? {
                return Ok(version);
            }
        }
        Err(overtaken())
    }

    async fn plan_report(
        &self,
        endpoint: &Endpoint,
        patch: &JsonObject,
    ) -> Result<Plan<i64>, HubError> {
        let hub = self.hub.clone();
        let (write, version) = match &endpoint.module {
            None => {
                let mut device = self.device(&endpoint.device).await?;
                let known = HubExpect::Revision(device.revision);
                device.twin = device.twin.reported(patch, self.now)?;
                let version = device.twin.reported.version;
                (HubWrite::PutDevice(hub, Box::new(device), known), version)
            }
            Some(module) => {
                let mut module = self.module(&endpoint.device, module).await?;
                let known = HubExpect::Revision(module.revision);
                module.twin = module.twin.reported(patch, self.now)?;
                let version = module.twin.reported.version;
                (HubWrite::PutModule(hub, Box::new(module), known), version)
            }
        };
        Ok(Plan {
            writes: vec![write],
            notice: None,
            result: version,
        })
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
        let (mut writes, mut notice) = (Vec::new(), None);
        if let Some(twin) = device.twin.changed(verb, change, self.now)? {
            notice = desired(Endpoint::device(id.clone()), verb, change, &twin);
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
            notice,
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
        let (mut writes, mut notice) = (Vec::new(), None);
        if let Some(twin) = module.twin.changed(verb, change, self.now)? {
            notice = desired(endpoint(&module), verb, change, &twin);
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
            notice,
            result: module,
        })
    }
}

/// What a connected device or module is told of a change of its twin.
fn desired(
    endpoint: Endpoint,
    verb: TwinVerb,
    change: &TwinChange,
    twin: &Twin,
) -> Option<(Endpoint, Notice)> {
    let told = desired_notice(verb, change, twin)?;
    let notice = Notice::Desired(twin.desired.version, told.to_string());
    Some((endpoint, notice))
}
