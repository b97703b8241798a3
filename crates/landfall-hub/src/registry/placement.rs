//! How the provisioning service's devices come to live on embedded hubs.
//!
//! Fulfils [`HubRegistry`] for hubs in the same store: a placement is answered with the writes that
//! bring it about, which the registration driver commits together with the registration. Each write
//! expects the record as it was read, so of two racing registrations one is refused and looks again.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock};

use landfall_core::clock::{Clock, Entropy, Timestamp};
use landfall_core::id::{DeviceId, HubHostName};
use landfall_core::linked_hub::{
    HubCredential, HubRegistry, Manner, Placed, Placement, PlacementError,
};
use landfall_core::store::ReadError;

use super::identity::{DeviceRequest, fresh_device, updated_device};
use super::{AuthenticationRequest, Registry};
use crate::device::{Device, DeviceAuthentication, DeviceStatus};
use crate::error::HubError;
use crate::relay::Nobody;
use crate::store::{HubExpect, HubStore, HubWrite};
use crate::twin::TwinContent;

/// The embedded hubs, as the registration driver sees them. Clones share what they know.
pub struct EmbeddedHubs<S> {
    store: Arc<S>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    /// Hubs that were found in the store, so that a registration need not ask for its hub again.
    known: Arc<RwLock<HashSet<HubHostName>>>,
}

impl<S> EmbeddedHubs<S> {
    /// The hubs in `store`.
    pub fn new(store: Arc<S>, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        EmbeddedHubs {
            store,
            clock,
            entropy,
            known: Arc::default(),
        }
    }
}

impl<S> Clone for EmbeddedHubs<S> {
    fn clone(&self) -> Self {
        EmbeddedHubs {
            store: Arc::clone(&self.store),
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
            known: Arc::clone(&self.known),
        }
    }
}

impl<S: HubStore> HubRegistry for EmbeddedHubs<S> {
    type Write = HubWrite;

    async fn place(&self, placement: &Placement) -> Result<Placed<HubWrite>, PlacementError> {
        self.check_hub(&placement.hub).await?;
        let now = self.clock.now();
        let settler = Settler {
            // A device that is placed connects anew.
            registry: Registry::new(&*self.store, &placement.hub, now, &*self.entropy, &Nobody),
            placement,
            now,
            entropy: &*self.entropy,
        };
        settler.writes().await.map(Placed::Writes)
    }
}

impl<S: HubStore> EmbeddedHubs<S> {
    /// Forgets a hub that was removed: registrations look for it anew.
    pub fn forget(&self, hub: &HubHostName) {
        self.known
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(hub);
    }

    async fn check_hub(&self, hub: &HubHostName) -> Result<(), PlacementError> {
        let known = self
            .known
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(hub);
        if known {
            return Ok(());
        }
        if self.store.hub(hub).await.map_err(unreadable)?.is_none() {
            return Err(PlacementError::UnknownHub(hub.clone()));
        }
        self.known
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(hub.clone());
        Ok(())
    }
}

/// One placement being worked out.
struct Settler<'a, S> {
    registry: Registry<'a, S>,
    placement: &'a Placement,
    now: Timestamp,
    entropy: &'a dyn Entropy,
}

impl<S: HubStore> Settler<'_, S> {
    /// What brings the placement about.
    ///
    /// Source: docs/protocol/hub-api.md §1.10 [S, I].
    async fn writes(&self) -> Result<Vec<HubWrite>, PlacementError> {
        let placement = self.placement;
        let here = self
            .registry
            .store
            .device(&placement.hub, &placement.device_id)
            .await
            .map_err(unreadable)?;
        let home = |from: &(HubHostName, DeviceId)| {
            from.0 == placement.hub && from.1 == placement.device_id
        };
        match &placement.manner {
            Manner::Create | Manner::Keep => self.keep(here).await,
            Manner::Migrate { from } if home(from) => self.keep(here).await,
            Manner::Reset => self.anew(here).await,
            Manner::Move { from } if home(from) => self.anew(here).await,
            Manner::Migrate { from } => self.migrate(here, from).await,
            Manner::Move { from } => {
                let mut writes = self.anew(here).await?;
                writes.extend(self.leave(from).await?);
                Ok(writes)
            }
        }
    }

    /// A device that is there keeps its twin and gets credential and capabilities; one that is
    /// not is made.
    async fn keep(&self, here: Option<Device>) -> Result<Vec<HubWrite>, PlacementError> {
        let Some(before) = here else {
            return self.anew(None).await;
        };
        let iot_edge = self.placement.capabilities.iot_edge;
        if same_credential(&before.authentication, &self.placement.credential)
            && before.iot_edge == iot_edge
        {
            return Ok(Vec::new());
        }
        let request = DeviceRequest {
            iot_edge: Some(iot_edge),
            authentication: Some(asked(&self.placement.credential)),
            status_reason: before.status_reason.clone(),
            ..DeviceRequest::plain(before.id.clone())
        };
        let device = updated_device(&before, &request, self.now, self.entropy).map_err(refused)?;
        let mut writes = vec![self.put(device, HubExpect::Revision(before.revision))];
        if iot_edge && !before.iot_edge {
            let there = self
                .registry
                .store
                .modules_of(&self.placement.hub, &before.id)
                .await
                .map_err(unreadable)?;
            writes.extend(self.registry.put_edge_modules(&before.id, &there));
        }
        Ok(writes)
    }

    /// A device as if it had never been there, with the enrollment's twin.
    async fn anew(&self, here: Option<Device>) -> Result<Vec<HubWrite>, PlacementError> {
        let content = TwinContent::initial(&self.placement.initial_twin)
            .map_err(|error| PlacementError::Refused(format!("the initial twin: {error}")))?;
        let device = self.fresh(&content, self.placement.capabilities.iot_edge)?;
        self.put_anew(here, device).await
    }

    /// The device of another hub with its twin, its capabilities and its status.
    async fn migrate(
        &self,
        here: Option<Device>,
        from: &(HubHostName, DeviceId),
    ) -> Result<Vec<HubWrite>, PlacementError> {
        let Some(old) = self
            .registry
            .store
            .device(&from.0, &from.1)
            .await
            .map_err(unreadable)?
        else {
            return self.keep(here).await;
        };
        let mut device = self.fresh(&TwinContent::of(&old.twin), old.iot_edge)?;
        // A device that an operator barred stays barred.
        if old.status == DeviceStatus::Disabled {
            device.status = old.status;
            device.status_reason.clone_from(&old.status_reason);
            device.status_updated = old.status_updated;
        }
        let mut writes = self.put_anew(here, device).await?;
        writes.push(HubWrite::DeleteDevice(
            from.0.clone(),
            from.1.clone(),
            HubExpect::Revision(old.revision),
        ));
        Ok(writes)
    }

    /// Removes the device from the hub that it leaves.
    async fn leave(
        &self,
        from: &(HubHostName, DeviceId),
    ) -> Result<Option<HubWrite>, PlacementError> {
        let old = self
            .registry
            .store
            .device(&from.0, &from.1)
            .await
            .map_err(unreadable)?;
        Ok(old.map(|old| {
            HubWrite::DeleteDevice(
                from.0.clone(),
                from.1.clone(),
                HubExpect::Revision(old.revision),
            )
        }))
    }

    /// Writes a fresh device in the place of what is there, modules included. The old record is
    /// replaced rather than removed, so that its revision keeps growing and guards the next write.
    async fn put_anew(
        &self,
        here: Option<Device>,
        device: Device,
    ) -> Result<Vec<HubWrite>, PlacementError> {
        let hub = &self.placement.hub;
        let (expect, modules) = match &here {
            None => (HubExpect::Absent, Vec::new()),
            Some(before) => {
                let modules = self
                    .registry
                    .store
                    .modules_of(hub, &before.id)
                    .await
                    .map_err(unreadable)?;
                (HubExpect::Revision(before.revision), modules)
            }
        };
        let (id, iot_edge) = (device.id.clone(), device.iot_edge);
        let mut writes = vec![self.put(device, expect)];
        writes.extend(modules.into_iter().map(|module| {
            HubWrite::DeleteModule(
                hub.clone(),
                id.clone(),
                module.id,
                HubExpect::Revision(module.revision),
            )
        }));
        if iot_edge {
            writes.extend(self.registry.put_edge_modules(&id, &[]));
        }
        Ok(writes)
    }

    fn fresh(&self, content: &TwinContent, iot_edge: bool) -> Result<Device, PlacementError> {
        let request = DeviceRequest {
            iot_edge: Some(iot_edge),
            authentication: Some(asked(&self.placement.credential)),
            ..DeviceRequest::plain(self.placement.device_id.clone())
        };
        fresh_device(&request, content, self.now, self.entropy).map_err(refused)
    }

    fn put(&self, mut device: Device, expect: HubExpect) -> HubWrite {
        if let HubExpect::Revision(revision) = expect {
            device.revision = revision + 1;
        }
        HubWrite::PutDevice(self.placement.hub.clone(), Box::new(device), expect)
    }
}

/// What the hub shall ask of a device with this credential.
///
/// Source: docs/protocol/hub-api.md §1.10 [D].
fn asked(credential: &HubCredential) -> AuthenticationRequest {
    match credential {
        HubCredential::Keys(keys) => AuthenticationRequest::Sas {
            primary: Some(keys.primary.clone()),
            secondary: Some(keys.secondary.clone()),
        },
        HubCredential::Thumbprints { primary, secondary } => AuthenticationRequest::SelfSigned {
            primary: Some(primary.clone()),
            secondary: Some(secondary.clone()),
        },
    }
}

fn same_credential(there: &DeviceAuthentication, credential: &HubCredential) -> bool {
    match (there, credential) {
        (DeviceAuthentication::Sas(there), HubCredential::Keys(keys)) => {
            there.primary.same_as(&keys.primary) & there.secondary.same_as(&keys.secondary)
        }
        (
            DeviceAuthentication::SelfSigned {
                primary: Some(there_primary),
                secondary: Some(there_secondary),
            },
            HubCredential::Thumbprints { primary, secondary },
        ) => {
            there_primary.eq_ignore_ascii_case(primary)
                && there_secondary.eq_ignore_ascii_case(secondary)
        }
        _ => false,
    }
}

fn unreadable(error: ReadError) -> PlacementError {
    PlacementError::Unavailable(error.0)
}

fn refused(error: HubError) -> PlacementError {
    match error {
        HubError::Unavailable(cause) => PlacementError::Unavailable(cause),
        other => PlacementError::Refused(other.to_string()),
    }
}
