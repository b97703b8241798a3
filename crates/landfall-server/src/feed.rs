//! Events of the hubs on their way to those who follow them. An event is durable before it is acknowledged or
//! shown; readers are woken, and look for themselves, so that they see those of other servers on the same
//! database too.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use landfall_core::id::{DeviceId, HubHostName};
use landfall_hub::event::EventLimit;
use landfall_hub::store::HubStore;
use landfall_wire::own::events::{ALIVE, gap, sent};
use tokio::sync::{Notify, mpsc};

use crate::backend::Backend;
use crate::stop::Stop;
use crate::time;

/// How often a reader looks that nobody woke: events of other servers arrive without a call.
const LOOK: Duration = Duration::from_secs(1);
/// How many looks in vain until a reader is shown that its connection lives.
const SILENT_LOOKS: u32 = 15;
/// What one look gives.
const AT_ONCE: EventLimit = EventLimit {
    events: 256,
    bytes: 1024 * 1024,
};
/// What may wait for a reader to take it. One that takes nothing is not read for.
pub const AHEAD: usize = 16;

/// Wakes readers. Cloning gives another handle to the same.
#[derive(Debug, Clone, Default)]
pub struct Feed(Arc<Notify>);

impl Feed {
    /// Wakes whoever follows a hub: events were kept.
    pub fn wake(&self) {
        self.0.notify_waiters();
    }
}

/// One reader: what it wants, and where it is.
pub struct Reader {
    /// Whose events.
    pub hub: HubHostName,
    /// Of one device only, and its modules.
    pub device: Option<DeviceId>,
    /// The number that it has read up to; none to begin with what comes.
    pub after: Option<i64>,
}

impl Reader {
    /// Sends what there is and what comes, until the reader goes or the server stops.
    pub async fn run<S: HubStore>(
        self,
        backend: Backend<S>,
        feed: Feed,
        tell: mpsc::Sender<Bytes>,
        mut stop: Stop,
    ) {
        tokio::select! {
            () = self.follow(backend, feed, &tell) => {}
            () = tell.closed() => {}
            () = stop.given() => {}
        }
    }

    async fn follow<S: HubStore>(
        &self,
        backend: Backend<S>,
        feed: Feed,
        tell: &mpsc::Sender<Bytes>,
    ) {
        let store = &backend.store;
        let mut after = None;
        let mut silent = 0;
        loop {
            let woken = feed.0.notified();
            let mut woken = std::pin::pin!(woken);
            // From here on no append is missed.
            woken.as_mut().enable();
            let from = match after {
                Some(after) => after,
                None => match store.event_ends(&self.hub).await {
                    Ok(ends) => {
                        let asked = self.after.unwrap_or(ends.newest);
                        let goes_on = ends.go_on_from(asked);
                        if !goes_on && !say(tell, gap(asked, ends)).await {
                            return;
                        }
                        after
                            .insert(if goes_on { asked } else { ends.oldest - 1 })
                            .to_owned()
                    }
                    // Readiness tells of a database that is away; the reader waits for it.
                    Err(_) => {
                        time::sleep(LOOK).await;
                        continue;
                    }
                },
            };
            let events = store.events_after(&self.hub, from, AT_ONCE).await;
            let events = events.unwrap_or_default();
            let last = events.last().map(|kept| kept.sequence);
            let wanted = events.iter().filter(|kept| {
                let of = &kept.event.endpoint.device;
                self.device.as_ref().is_none_or(|device| device == of)
            });
            let text: String = wanted.map(sent).collect();
            if !text.is_empty() {
                silent = 0;
                if !say(tell, text).await {
                    return;
                }
            }
            if let Some(last) = last {
                after = Some(last);
                continue;
            }
            if time::timeout(LOOK, woken).await.is_err() {
                silent += 1;
            }
            if silent >= SILENT_LOOKS {
                silent = 0;
                if !say(tell, ALIVE.to_owned()).await {
                    return;
                }
            }
        }
    }
}

async fn say(tell: &mpsc::Sender<Bytes>, text: String) -> bool {
    tell.send(Bytes::from(text)).await.is_ok()
}
