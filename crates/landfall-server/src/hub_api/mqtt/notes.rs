//! Why sessions end, and who is turned away: told to operators, in traces for what a peer did wrong and in the log
//! for all else.

use landfall_core::id::TrackingId;
use landfall_core::trace::Finding;
use landfall_hub::event::LARGEST_EVENT;
use landfall_hub::store::HubStore;
use landfall_wire::mqtt::session::Broken;

use super::session::Session;
use super::{Away, HubDevices};
use crate::connection::Link;
use crate::connection::mqtt::{Ended, broken_finding};
use crate::hub_api::trail::Trail;

impl<S: HubStore> HubDevices<S> {
    /// Says why a session ended: what its peer did wrong in a trace, all else in the log.
    pub(super) async fn note(&self, away: &Away, session: &Session, link: &Link) {
        let peer = link.peer;
        let id = session.endpoint.to_string();
        let host = session.hub.as_str();
        match away {
            Away::Topic(topic) => {
                let seen: String = topic.escape_debug().take(128).collect();
                let finding = Finding::new(
                    "hub.topic",
                    "the topics that the hub has for this device or module",
                    seen,
                    "Compare with docs/protocol/hub-api.md §2.1: ids are told by case, and a device has none of another's topics.",
                );
                self.trace(
                    link,
                    host,
                    &id,
                    &finding,
                    "a topic that the hub does not have",
                )
                .await;
            }
            Away::TooLarge(size) => {
                let finding = Finding::new(
                    "hub.message_size",
                    format!("messages of {LARGEST_EVENT} bytes at most"),
                    format!("one of {size} bytes"),
                    "Send less at once, or in several messages.",
                );
                self.trace(link, host, &id, &finding, "a message that is too large")
                    .await;
            }
            Away::NotKept(error) => {
                tracing::error!(%peer, device = %id, %error, "session ended: what it sent could not be kept, and was not acknowledged");
            }
            Away::Ended(Ended::Broken(broken @ Broken::Silent(_))) => {
                tracing::info!(%peer, device = %id, "session ended: {broken}");
            }
            Away::Ended(Ended::Broken(broken)) => {
                self.trace(
                    link,
                    host,
                    &id,
                    &broken_finding(broken),
                    &broken.to_string(),
                )
                .await;
            }
            Away::Ended(Ended::Stuck) => {
                tracing::info!(%peer, device = %id, "session ended: it does not read what is sent to it");
            }
            Away::Ended(Ended::Failed(error)) => {
                tracing::debug!(%peer, device = %id, %error, "session broke off");
            }
            Away::Ended(Ended::Gone | Ended::Stopping) => {}
            Away::Expired => {
                tracing::info!(%peer, device = %id, "session ended: its token expired");
            }
            Away::Dismissed(why) => {
                tracing::info!(%peer, device = %id, "session ended: {}", why.words());
            }
        }
    }

    /// Keeps the trace of a peer that was turned away, or whose session ended for a fault of its own.
    pub(super) async fn trace(
        &self,
        link: &Link,
        host: &str,
        client_id: &str,
        finding: &Finding,
        outcome: &str,
    ) {
        let now = self.backend.clock.now();
        let trail = Trail {
            tracking_id: TrackingId::draw(now, &*self.backend.entropy),
            protocol: link.protocol,
            peer: link.peer.to_string(),
            host,
            id: client_id,
            action: "connect to the hub",
        };
        let outcome = format!("connection closed: {outcome}");
        self.keep_trail(trail, finding, &outcome).await;
    }
}
