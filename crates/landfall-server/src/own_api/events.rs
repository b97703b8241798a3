//! The stream of a hub's events: who may read it, from where on, and of whom.

use bytes::Bytes;
use http::StatusCode;
use landfall_core::error::Error;
use landfall_core::id::DeviceId;
use landfall_hub::policy::Permissions;
use landfall_hub::store::HubStore;
use landfall_wire::message::{Reply, Request};
use tokio::sync::mpsc;

use super::OwnApi;
use crate::feed::{AHEAD, Reader};
use crate::listener::Streamed;
use crate::stop::Stop;

impl<S: HubStore> OwnApi<S> {
    /// Begins to send the events of a hub: those after `after` (or after the last that an event source has
    /// seen), or those that come.
    ///
    /// # Errors
    /// What the caller may read, when it may not follow the hub or asks for what makes no sense.
    pub async fn follow(
        &self,
        request: &Request,
        host: &str,
        stop: Stop,
    ) -> Result<Streamed, Error> {
        if request.method != http::Method::GET {
            return Err(Error::MethodNotAllowed);
        }
        let needed = Permissions::SERVICE_CONNECT;
        let hub = self.hub_with(request, host, needed).await?.what;
        let seen = request.header("last-event-id").map(str::to_owned);
        let after = match request.parameter("after").or(seen) {
            None => None,
            Some(text) => Some(
                text.parse::<i64>()
                    .ok()
                    .filter(|after| *after >= 0)
                    .ok_or_else(|| {
                        Error::Invalid("'after' must be the number of an event, or 0".to_owned())
                    })?,
            ),
        };
        let device = request.parameter("deviceId").map(|id| DeviceId::parse(&id));
        let device = device
            .transpose()
            .map_err(|error| Error::Invalid(error.to_string()))?;
        let reader = Reader {
            hub: hub.host_name,
            device,
            after,
        };
        let (tell, told) = mpsc::channel::<Bytes>(AHEAD);
        tokio::spawn(reader.run(self.backend.clone(), self.feed.clone(), tell, stop));
        let reply = Reply::empty(StatusCode::OK)
            .with_header("content-type", "text/event-stream")
            .with_header("cache-control", "no-cache");
        Ok(Streamed {
            reply,
            rest: Some(told),
        })
    }
}
