//! Many changes in one call, each on its own: one that is refused leaves the others standing.

use std::collections::HashSet;

use landfall_core::audit::Author;
use landfall_core::id::{DeviceId, ModuleId};
use landfall_core::store::CommitError;

use super::identity::{DeviceRequest, ModuleRequest};
use super::{ATTEMPTS, IfMatch, Plan, Registry, devices, modules, overtaken};
use crate::error::HubError;
use crate::store::HubStore;
use crate::twin::{TwinChange, TwinContent, TwinVerb};

/// The most items of one bulk call.
///
/// Source: docs/protocol/hub-api.md §1.7 [D].
pub const MOST_BULK_ITEMS: usize = 100;

/// One item of a bulk call.
#[derive(Debug, Clone)]
pub struct BulkItem {
    /// The device it names, as spelt.
    pub device_id: String,
    /// The module it names, as spelt.
    pub module_id: Option<String>,
    /// What it asks, by its name on the wire; empty when it names nothing known.
    pub operation: &'static str,
    /// What it asks, or why it cannot be read.
    pub ask: Result<BulkAsk, HubError>,
}

/// What an item of a bulk call asks.
#[derive(Debug, Clone)]
pub enum BulkAsk {
    /// Make a device with its twin.
    CreateDevice(Box<DeviceRequest>, TwinContent),
    /// Change a device's identity.
    UpdateDevice(Box<DeviceRequest>, IfMatch),
    /// Remove a device.
    DeleteDevice(DeviceId, IfMatch),
    /// Merge into a device's twin.
    PatchTwin(DeviceId, TwinChange, IfMatch),
    /// Make a module with its twin.
    CreateModule(Box<ModuleRequest>, TwinContent),
    /// Change a module's identity.
    UpdateModule(Box<ModuleRequest>, IfMatch),
    /// Remove a module.
    DeleteModule(DeviceId, ModuleId, IfMatch),
    /// Merge into a module's twin.
    PatchModuleTwin(DeviceId, ModuleId, TwinChange, IfMatch),
}

/// An item that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BulkFailure {
    /// The device it names, as spelt.
    pub device_id: String,
    /// The module it names, as spelt.
    pub module_id: Option<String>,
    /// What it asked.
    pub operation: &'static str,
    /// Why it was refused.
    pub error: HubError,
}

impl<S: HubStore> Registry<'_, S> {
    /// Carries out each item, in order where two name the same device; gives those refused.
    ///
    /// Items that name different devices share one commit.
    ///
    /// # Errors
    /// `TooManyDevices` past [`MOST_BULK_ITEMS`]; nothing is carried out then.
    pub async fn bulk(&self, items: &[BulkItem]) -> Result<Vec<BulkFailure>, HubError> {
        if items.len() > MOST_BULK_ITEMS {
            return Err(HubError::TooManyDevices(format!(
                "A bulk call holds at most {MOST_BULK_ITEMS} items; this one holds {}",
                items.len()
            )));
        }
        // Whatever an item's change needs, it shares the call's audit entry.
        let each = Registry {
            author: self.author.as_ref().map(Author::of_bulk),
            ..*self
        };
        let mut failures = Vec::new();
        let mut named = HashSet::new();
        let mut round = Vec::new();
        for item in items {
            if !named.insert(item.device_id.as_str()) {
                each.bulk_round(std::mem::take(&mut round), &mut failures)
                    .await;
                named.clear();
                named.insert(item.device_id.as_str());
            }
            round.push(item);
        }
        each.bulk_round(round, &mut failures).await;
        Ok(failures)
    }

    /// Carries out items of which no two name the same device.
    async fn bulk_round(&self, items: Vec<&BulkItem>, failures: &mut Vec<BulkFailure>) {
        let mut planned = Vec::new();
        let mut changes = Vec::new();
        for item in items {
            match self.plan_item(item).await {
                Ok((_, plan)) if plan.writes.is_empty() => {}
                Ok((ask, plan)) => {
                    let writes = self.told_elsewhere(plan.notice.as_ref(), plan.writes);
                    planned.push((item, ask, plan.notice));
                    changes.push(self.change(writes));
                }
                Err(error) => failures.push(failure(item, error)),
            }
        }
        if changes.is_empty() {
            return;
        }
        let results = self.store.commit(changes).await;
        let mut results = results.into_iter();
        for (item, ask, notice) in planned {
            let result = results
                .next()
                .unwrap_or_else(|| Err(CommitError::Unavailable("no answer".to_owned())));
            let Err(error) = result else {
                self.tell(notice.as_ref());
                continue;
            };
            let ended = match refused(ask, error) {
                Some(error) => Err(error),
                None => self.again(ask).await,
            };
            if let Err(error) = ended {
                failures.push(failure(item, error));
            }
        }
    }

    async fn plan_item<'i>(&self, item: &'i BulkItem) -> Result<(&'i BulkAsk, Plan<()>), HubError> {
        let ask = item.ask.as_ref().map_err(Clone::clone)?;
        Ok((ask, self.plan(ask).await?))
    }

    /// Looks again at a record that had changed between reading and writing.
    async fn again(&self, ask: &BulkAsk) -> Result<(), HubError> {
        for _ in 0..ATTEMPTS {
            let plan = self.plan(ask).await?;
            let writes = self.told_elsewhere(plan.notice.as_ref(), plan.writes);
            match self.commit(writes).await {
                Ok(()) => {
                    self.tell(plan.notice.as_ref());
                    return Ok(());
                }
                Err(error) => {
                    if let Some(error) = refused(ask, error) {
                        return Err(error);
                    }
                }
            }
        }
        Err(overtaken())
    }

    async fn plan(&self, ask: &BulkAsk) -> Result<Plan<()>, HubError> {
        fn alone<T>(plan: Plan<T>) -> Plan<()> {
            Plan {
                writes: plan.writes,
                notice: plan.notice,
                result: (),
            }
        }
        const VERB: TwinVerb = TwinVerb::Patch;
        match ask {
            BulkAsk::CreateDevice(request, content) => {
                self.plan_create_device(request, content).map(alone)
            }
            BulkAsk::UpdateDevice(request, if_match) => {
                self.plan_update_device(request, if_match).await.map(alone)
            }
            BulkAsk::DeleteDevice(id, if_match) => {
                self.plan_delete_device(id, if_match).await.map(alone)
            }
            BulkAsk::PatchTwin(id, change, if_match) => self
                .plan_change_twin(id, VERB, change, if_match)
                .await
                .map(alone),
            BulkAsk::CreateModule(request, content) => {
                self.plan_create_module(request, content).await.map(alone)
            }
            BulkAsk::UpdateModule(request, if_match) => {
                self.plan_update_module(request, if_match).await.map(alone)
            }
            BulkAsk::DeleteModule(device, id, if_match) => self
                .plan_delete_module(device, id, if_match)
                .await
                .map(alone),
            BulkAsk::PatchModuleTwin(device, id, change, if_match) => self
                .plan_change_module_twin(device, id, VERB, change, if_match)
                .await
                .map(alone),
        }
    }
}

/// What a commit's error means for an item; `None` when a second look may help.
fn refused(ask: &BulkAsk, error: CommitError) -> Option<HubError> {
    match (ask, error) {
        (_, CommitError::Unavailable(cause)) => Some(HubError::Unavailable(cause)),
        (BulkAsk::CreateDevice(request, _), error) => {
            Some(devices::creation_refused(&request.id, error))
        }
        (BulkAsk::CreateModule(request, _), error) => {
            Some(modules::creation_refused(request, error))
        }
        _ => None,
    }
}

fn failure(item: &BulkItem, error: HubError) -> BulkFailure {
    BulkFailure {
        device_id: item.device_id.clone(),
        module_id: item.module_id.clone(),
        operation: item.operation,
        error,
    }
}
