//! Traces of devices and modules that a hub turned away, and of those whose session ended for a fault of their
//! own. They stand with the provisioning service that the hub is linked to, so that its operators find them by
//! the id.

use landfall_core::id::{IdScope, TrackingId};
use landfall_core::store::Store;
use landfall_core::trace::{Finding, Stage};
use landfall_hub::store::HubStore;

use super::mqtt::HubDevices;
use crate::metrics::label::Protocol;
use crate::telemetry::Attempt;

/// What is to be kept of an attempt.
pub(super) struct Trail<'a> {
    /// The public name of the attempt.
    pub(super) tracking_id: TrackingId,
    /// What it came by.
    pub(super) protocol: Protocol,
    /// Where it came from.
    pub(super) peer: String,
    /// The hub that was meant, as its peer called it.
    pub(super) host: &'a str,
    /// Who its peer said it was.
    pub(super) id: &'a str,
    /// What was asked for.
    pub(super) action: &'a str,
}

impl<S: HubStore> HubDevices<S> {
    /// Keeps the trace of an attempt that ended by a finding.
    pub(super) async fn keep_trail(&self, trail: Trail<'_>, finding: &Finding, outcome: &str) {
        let now = self.backend.clock.now();
        let protocol = trail.protocol.word();
        let mut attempt = Attempt::begin(trail.tracking_id, protocol, trail.peer, now);
        let scope = scope_of(&*self.backend.store, trail.host).await;
        let scope = scope.as_ref().map_or("", IdScope::as_str);
        attempt.asked(trail.action, scope, trail.id);
        attempt.stop(Stage::Request, finding);
        attempt.end(outcome);
        self.traces.keep(attempt);
    }
}

/// The id scope of the service that a hub is linked to; of the only one there is when it is linked to none.
async fn scope_of<S: Store>(store: &S, host: &str) -> Option<IdScope> {
    let services = store.services().await.unwrap_or_default();
    let linked = services.iter().find(|service| {
        let mut hubs = service.linked_hubs.iter();
        hubs.any(|hub| hub.host_name.as_str().eq_ignore_ascii_case(host))
    });
    let found = linked.or(match &services[..] {
        [only] => Some(only),
        _ => None,
    });
    found.map(|service| service.id_scope.clone())
}
