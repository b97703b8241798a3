//! The promise of the identity registry, as a suite that every store's tests run.
//!
//! [`registry_suite`] and [`session_suite`] are called by the tests of `landfall-store` with a store of theirs. Each
//! part works on hubs of its own, so a store may hold other records; events are purged of all hubs. A broken promise panics.

mod audit;
mod bulk;
mod devices;
mod events;
mod hubs;
mod messages;
mod modules;
mod notices;
mod placement;
mod sessions;
mod twins;

use std::sync::Arc;

use landfall_core::clock::{Clock, Entropy};
use landfall_core::document::{Json, JsonObject, parse};
use landfall_core::id::{DeviceId, HubHostName, ModuleId};
use landfall_core::store::{Change, CommitError};

use crate::device::{Device, Hub};
use crate::error::HubError;
use crate::policy::default_policies;
use crate::registry::identity::DeviceRequest;
use crate::registry::{EmbeddedHubs, IfMatch, Registry};
use crate::relay::Nobody;
use crate::store::{HubExpect, HubStore, HubWrite};
use crate::twin::{TwinChange, TwinContent};

/// Runs every check of the registry on `store`.
pub async fn registry_suite<S: HubStore>(
    store: Arc<S>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
) {
    let house = |name: &'static str| House::found(&store, &clock, &entropy, name);
    devices::run(&house("devices.conformance.hub").await).await;
    modules::run(&house("modules.conformance.hub").await).await;
    twins::run(&house("twins.conformance.hub").await).await;
    bulk::run(&house("bulk.conformance.hub").await).await;
    hubs::run(&house("hubs.conformance.hub").await).await;
    let (here, there) = (
        house("here.conformance.hub").await,
        house("there.conformance.hub").await,
    );
    placement::run(&here, &there).await;
    audit::run(&house("audit.conformance.hub").await).await;
}

/// Runs every check of what sessions of devices keep, on `store`.
pub async fn session_suite<S: HubStore>(
    store: Arc<S>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
) {
    let house = |name: &'static str| House::found(&store, &clock, &entropy, name);
    let (here, there) = (
        house("events.conformance.hub").await,
        house("more-events.conformance.hub").await,
    );
    events::run(&here, &there).await;
    messages::run(&house("messages.conformance.hub").await).await;
    sessions::run(&house("sessions.conformance.hub").await).await;
    notices::run(&house("notices.conformance.hub").await).await;
}

/// A hub of one part of the suite.
struct House<S> {
    store: Arc<S>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    hub: HubHostName,
}

impl<S: HubStore> House<S> {
    async fn found(
        store: &Arc<S>,
        clock: &Arc<dyn Clock>,
        entropy: &Arc<dyn Entropy>,
        name: &str,
    ) -> Self {
        let hub = HubHostName::parse(name).expect("a host name");
        let house = House {
            store: Arc::clone(store),
            clock: Arc::clone(clock),
            entropy: Arc::clone(entropy),
            hub: hub.clone(),
        };
        let record = Hub {
            host_name: hub,
            policies: default_policies(&**entropy),
            created: clock.now(),
            revision: 0,
        };
        let write = HubWrite::PutHub(Box::new(record), HubExpect::Absent);
        house.commit(vec![write]).await.expect("a new hub");
        house
    }

    fn registry(&self) -> Registry<'_, S> {
        let (now, entropy) = (self.clock.now(), &*self.entropy);
        Registry::new(&*self.store, &self.hub, now, entropy, &Nobody)
    }

    fn embedded(&self) -> EmbeddedHubs<S> {
        EmbeddedHubs::new(
            Arc::clone(&self.store),
            Arc::clone(&self.clock),
            Arc::clone(&self.entropy),
        )
    }

    async fn commit(&self, writes: Vec<HubWrite>) -> Result<(), CommitError> {
        let mut results = self.store.commit(vec![Change::of_hub(writes)]).await;
        results.pop().expect("one answer for one change")
    }

    /// Makes a device with every default, and gives it as it is stored.
    async fn device(&self, id: &str) -> Device {
        let made = self
            .registry()
            .create_device(&plain(id), &TwinContent::default())
            .await
            .expect("a new device");
        self.numbered(made).await
    }

    /// The device as it was made, with the revision that only the store knows.
    async fn numbered(&self, made: Device) -> Device {
        let revision = self.stored(made.id.as_str()).await.revision;
        Device { revision, ..made }
    }

    async fn stored(&self, id: &str) -> Device {
        self.registry()
            .device(&device_id(id))
            .await
            .expect("a device that is there")
    }
}

fn device_id(text: &str) -> DeviceId {
    DeviceId::parse(text).expect("a device id")
}

fn module_id(text: &str) -> ModuleId {
    ModuleId::parse(text).expect("a module id")
}

fn plain(id: &str) -> DeviceRequest {
    DeviceRequest::plain(device_id(id))
}

fn object(text: &str) -> JsonObject {
    match parse(text).expect("JSON") {
        Json::Object(members) => members,
        other => unreachable!("not an object: {other}"),
    }
}

fn desired(text: &str) -> TwinChange {
    TwinChange {
        tags: None,
        desired: Some(object(text)),
    }
}

fn tags(text: &str) -> TwinChange {
    TwinChange {
        tags: Some(object(text)),
        desired: None,
    }
}

fn stale<T: std::fmt::Debug>(result: Result<T, HubError>) {
    assert!(
        matches!(result, Err(HubError::PreconditionFailed(_))),
        "{result:?}"
    );
}

/// An etag that no record has.
fn other_etag() -> IfMatch {
    IfMatch::Etag(landfall_core::id::Etag::parse("b3RoZXI=").expect("an etag"))
}
