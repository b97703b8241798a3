//! Devices: create, read, update, delete, list, count.

use landfall_core::id::DeviceId;
use landfall_core::store::CommitError;

use super::identity::{DeviceRequest, edge_modules, fresh_device, updated_device};
use super::{ATTEMPTS, IfMatch, Plan, Registry, overtaken};
use crate::device::{Device, Module};
use crate::endpoint::Endpoint;
use crate::error::HubError;
use crate::relay::Notice;
use crate::store::{DeviceCounts, HubExpect, HubSelection, HubStore, HubWrite};
use crate::twin::TwinContent;

/// The most devices one listing gives.
///
/// Source: docs/protocol/hub-api.md §1.2 [D].
pub const MOST_LISTED_DEVICES: usize = 1000;

impl<S: HubStore> Registry<'_, S> {
    /// Makes a device; with it `$edgeAgent` and `$edgeHub` when it is an edge device.
    ///
    /// # Errors
    /// `DeviceExists`; `ArgumentInvalid` when the request breaks a rule.
    pub async fn create_device(
        &self,
        request: &DeviceRequest,
        content: &TwinContent,
    ) -> Result<Device, HubError> {
        let plan = self.plan_create_device(request, content)?;
        match self.commit(plan.writes).await {
            Ok(()) => Ok(plan.result),
            Err(error) => Err(creation_refused(&request.id, error)),
        }
    }

    /// One device.
    ///
    /// # Errors
    /// `DeviceNotFound`.
    pub async fn device(&self, id: &DeviceId) -> Result<Device, HubError> {
        self.store
            .device(self.hub, id)
            .await?
            .ok_or_else(|| HubError::DeviceNotFound(id.clone()))
    }

    /// Changes a device's identity. Its twin stays.
    ///
    /// # Errors
    /// `DeviceNotFound`; `PreconditionFailed`; `ArgumentInvalid` when the request breaks a rule.
    pub async fn update_device(
        &self,
        request: &DeviceRequest,
        if_match: &IfMatch,
    ) -> Result<Device, HubError> {
        for _ in 0..ATTEMPTS {
            let plan = self.plan_update_device(request, if_match).await?;
            if let Some(device) = self.attempt(plan).await? {
                return Ok(device);
            }
        }
        Err(overtaken())
    }

    /// Removes a device with its twin and its modules.
    ///
    /// # Errors
    /// `DeviceNotFound`; `PreconditionFailed`.
    pub async fn delete_device(&self, id: &DeviceId, if_match: &IfMatch) -> Result<(), HubError> {
        for _ in 0..ATTEMPTS {
            let plan = self.plan_delete_device(id, if_match).await?;
            if self.attempt(plan).await?.is_some() {
                return Ok(());
            }
        }
        Err(overtaken())
    }

    /// The first devices by id, at most `top` and never more than [`MOST_LISTED_DEVICES`].
    ///
    /// # Errors
    /// `Unavailable` when the store cannot be read.
    pub async fn devices(&self, top: usize) -> Result<Vec<Device>, HubError> {
        let selection = HubSelection {
            limit: top.min(MOST_LISTED_DEVICES),
            ..HubSelection::default()
        };
        Ok(self.store.devices(self.hub, &selection).await?)
    }

    /// How many devices there are.
    ///
    /// # Errors
    /// `Unavailable` when the store cannot be read.
    pub async fn device_counts(&self) -> Result<DeviceCounts, HubError> {
        Ok(self.store.device_counts(self.hub).await?)
    }

    pub(super) fn plan_create_device(
        &self,
        request: &DeviceRequest,
        content: &TwinContent,
    ) -> Result<Plan<Device>, HubError> {
        let device = fresh_device(request, content, self.now, self.entropy)?;
        let mut writes = vec![HubWrite::PutDevice(
            self.hub.clone(),
            Box::new(device.clone()),
            HubExpect::Absent,
        )];
        if device.iot_edge {
            writes.extend(self.put_edge_modules(&device.id, &[]));
        }
        Ok(Plan {
            writes,
            notice: None,
            result: device,
        })
    }

    pub(super) async fn plan_update_device(
        &self,
        request: &DeviceRequest,
        if_match: &IfMatch,
    ) -> Result<Plan<Device>, HubError> {
        let before = self.device(&request.id).await?;
        if_match.check(&before.etag, || format!("Device {}", before.id))?;
        let device = updated_device(&before, request, self.now, self.entropy)?;
        let mut writes = vec![HubWrite::PutDevice(
            self.hub.clone(),
            Box::new(device.clone()),
            HubExpect::Revision(before.revision),
        )];
        if device.iot_edge && !before.iot_edge {
            let there = self.store.modules_of(self.hub, &device.id).await?;
            writes.extend(self.put_edge_modules(&device.id, &there));
        }
        // It is let in again by what is asked of it now.
        let ended = (Endpoint::device(device.id.clone()), Notice::Ended);
        Ok(Plan {
            writes,
            notice: Some(ended),
            result: device,
        })
    }

    pub(super) async fn plan_delete_device(
        &self,
        id: &DeviceId,
        if_match: &IfMatch,
    ) -> Result<Plan<()>, HubError> {
        let device = self.device(id).await?;
        if_match.check(&device.etag, || format!("Device {id}"))?;
        Ok(Plan {
            writes: vec![HubWrite::DeleteDevice(
                self.hub.clone(),
                id.clone(),
                HubExpect::Revision(device.revision),
            )],
            notice: Some((Endpoint::device(id.clone()), Notice::Ended)),
            result: (),
        })
    }

    /// Makes those edge modules that are not there.
    pub(super) fn put_edge_modules(&self, device: &DeviceId, there: &[Module]) -> Vec<HubWrite> {
        edge_modules(device, self.now, self.entropy)
            .into_iter()
            .filter(|module| there.iter().all(|known| known.id != module.id))
            .map(|module| {
                HubWrite::PutModule(self.hub.clone(), Box::new(module), HubExpect::Absent)
            })
            .collect()
    }
}

/// Why a device could not be made.
pub(super) fn creation_refused(id: &DeviceId, error: CommitError) -> HubError {
    match error {
        CommitError::Exists(_) | CommitError::Changed(_) | CommitError::Full(_) => {
            HubError::DeviceExists(id.clone())
        }
        CommitError::Absent(_) => HubError::HubNotFound,
        CommitError::Unavailable(cause) => HubError::Unavailable(cause),
    }
}
