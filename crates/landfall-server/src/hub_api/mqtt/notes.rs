//! Why sessions end, and who is turned away: told to operators, in traces for what a peer did wrong and in the log
//! for all else.

use landfall_core::id::TrackingId;
use landfall_core::trace::{Finding, Stage};
use landfall_hub::endpoint::Endpoint;
use landfall_hub::event::LARGEST_EVENT;
use landfall_hub::store::HubStore;

use super::{Away, HubDevices};
use crate::connection::Link;
use crate::connection::mqtt::Ended;
use crate::telemetry::Attempt;

impl<S: HubStore> HubDevices<S> {
    /// Says why a session ended: what its peer did wrong in a trace, all else in the log.
    pub(super) fn note(&self, away: &Away, endpoint: &Endpoint, link: &Link) {
        let peer = link.peer;
        let id = endpoint.to_string();
        match away {
            Away::Topic(topic) => {
                let seen: String = topic.escape_debug().take(128).collect();
                let finding = Finding::new(
                    "hub.topic",
                    "the topics that the hub has for this device or module",
                    seen,
                    "Compare with docs/protocol/hub-api.md §2.1: ids are told by case, and a device has none of another's topics.",
                );
                self.trace(link, &id, &finding, "a topic that the hub does not have");
            }
            Away::TooLarge(size) => {
                let finding = Finding::new(
                    "hub.message_size",
                    format!("messages of {LARGEST_EVENT} bytes at most"),
                    format!("one of {size} bytes"),
                    "Send less at once, or in several messages.",
                );
                self.trace(link, &id, &finding, "a message that is too large");
            }
            Away::NotKept(error) => {
                tracing::error!(%peer, device = %id, %error, "session ended: what it sent could not be kept, and was not acknowledged");
            }
            Away::Ended(Ended::Broken(broken)) => {
                tracing::info!(%peer, device = %id, "session ended: {broken}");
            }
            Away::Ended(Ended::Failed(error)) => {
                tracing::debug!(%peer, device = %id, %error, "session broke off");
            }
            Away::Ended(Ended::Gone | Ended::Stopping) => {}
            Away::Expired => {
                tracing::info!(%peer, device = %id, "session ended: its token expired");
            }
            Away::Dismissed => {
                tracing::info!(%peer, device = %id, "session ended: another connection has its place, it was changed or removed, or it did not read");
            }
        }
    }

    /// Keeps the trace of a peer that was turned away, or whose session ended for a fault of its own.
    pub(super) fn trace(&self, link: &Link, client_id: &str, finding: &Finding, outcome: &str) {
        let now = self.backend.clock.now();
        let tracking_id = TrackingId::draw(now, &*self.backend.entropy);
        let mut attempt = Attempt::begin(
            tracking_id,
            link.protocol.word(),
            link.peer.to_string(),
            now,
        );
        attempt.asked("connect to the hub", "", client_id);
        attempt.stop(Stage::Request, finding);
        attempt.end(format!("connection closed: {outcome}"));
        self.traces.keep(attempt);
    }
}
