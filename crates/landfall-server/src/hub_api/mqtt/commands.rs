//! Messages from the cloud on their way to a device: taken from its queue in order, a few at a time, and taken
//! out of it once the device has them.

use std::num::NonZeroU16;

use landfall_hub::store::{HubStore, HubWrite};
use landfall_wire::mqtt::hub::{Subscription, command_topic};
use landfall_wire::mqtt::session::Delivery;
use tokio::io::{AsyncRead, AsyncWrite};

use super::session::Session;
use super::{Away, HubDevices};
use crate::connection::mqtt::Connection;

/// Most messages that one device has not acknowledged.
const AHEAD: usize = 8;

impl<S: HubStore> HubDevices<S> {
    /// Sends what waits for a device that listens, as far as it keeps up. Each counts as a delivery before it
    /// goes: one that ends its device every time is given up in the end.
    pub(super) async fn deliver<T>(
        &self,
        connection: &mut Connection<T>,
        session: &mut Session,
    ) -> Result<(), Away>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        while let Some(delivery) = session.delivery(Subscription::Commands)
            && session.sent.len() < AHEAD
        {
            let (hub, endpoint) = (&session.hub, &session.endpoint);
            let now = self.backend.clock.now();
            let room = AHEAD - session.sent.len();
            let store = &self.backend.store;
            let waiting = store
                .messages(hub, endpoint, session.last_sent, now, room)
                .await;
            // A database that is away is told of elsewhere; what waits, waits on.
            let Ok(waiting) = waiting else { return Ok(()) };
            if waiting.is_empty() {
                return Ok(());
            }
            // Without an acknowledgement a message is done by being sent.
            let counted = |sequence| match delivery {
                Delivery::AtLeastOnce => {
                    HubWrite::Delivered(hub.clone(), endpoint.clone(), sequence)
                }
                Delivery::AtMostOnce => HubWrite::Complete(hub.clone(), endpoint.clone(), sequence),
            };
            let writes = waiting.iter().map(|message| counted(message.sequence));
            self.write(writes.collect()).await?;
            for message in waiting {
                let topic = command_topic(&session.endpoint, &message);
                session.last_sent = message.sequence;
                let sent = connection.session().publish(topic, message.body, delivery);
                if let Some(packet_id) = sent {
                    session.sent.insert(packet_id, message.sequence);
                }
            }
        }
        Ok(())
    }

    /// Takes a message out of the queue that its device has; says whether it was one.
    pub(super) async fn complete(
        &self,
        session: &mut Session,
        packet_id: NonZeroU16,
    ) -> Result<bool, Away> {
        let Some(sequence) = session.sent.remove(&packet_id) else {
            return Ok(false);
        };
        let (hub, endpoint) = (session.hub.clone(), session.endpoint.clone());
        self.write(vec![HubWrite::Complete(hub, endpoint, sequence)])
            .await?;
        Ok(true)
    }
}
