//! All faces of the server behind one listener: whose path is it, and who answers.

use std::net::SocketAddr;

use landfall_core::error::Error;
use landfall_core::id::TrackingId;
use landfall_core::secret::SymmetricKey;
use landfall_core::service::ProvisioningService;
use landfall_hub::registry::EmbeddedHubs;
use landfall_hub::store::HubStore;
use landfall_wire::fault;
use landfall_wire::message::{Reply, Request};
use landfall_wire::route::{self, Route};

use crate::backend::{Backend, unread};
use crate::device_api::DeviceApi;
use crate::device_api::https::{Incoming, LARGEST_BODY};
use crate::listener::{Chain, Faces, Unread};
use crate::own_api::OwnApi;
use crate::{control_api, hub_api, service_api};

/// The largest body of an operator's request, in bytes: a hub's bulk call carries 100 twins.
const LARGEST_OPERATOR_BODY: usize = 4 * 1024 * 1024;

/// Every face, over one store.
pub struct AllFaces<S: HubStore> {
    /// Store, clock and chance.
    pub backend: Backend<S>,
    /// The device API.
    pub device: DeviceApi<S, EmbeddedHubs<S>>,
    /// Landfall's own routes.
    pub own: OwnApi<S>,
    /// The bearer token of the control plane.
    pub control_token: SymmetricKey,
    /// The largest body of a device's request, in bytes.
    pub device_body: usize,
}

impl<S: HubStore> Faces for AllFaces<S> {
    fn body_limit(&self, path: &str) -> usize {
        match route::parse(path) {
            Some(Route::Hub(_) | Route::Service(_) | Route::Control(_)) => LARGEST_OPERATOR_BODY,
            Some(Route::Device(_)) => self.device_body,
            Some(Route::Own(_)) | None => LARGEST_BODY,
        }
    }

    async fn answer(
        &self,
        peer: SocketAddr,
        chain: Chain,
        request: Request,
        unread: Option<Unread>,
    ) -> Reply {
        let route = route::parse(&request.path);
        if let Some(Route::Device(route)) = &route {
            let incoming = Incoming {
                peer,
                chain: &chain,
                request: &request,
                route,
                unread,
            };
            return self.device.answer_https(incoming).await;
        }
        let tracking = TrackingId::draw(&*self.backend.entropy);
        let answered = match unread {
            Some(Unread::TooLarge(limit)) => Err(Error::TooLarge(limit)),
            Some(Unread::Incomplete) => Err(Error::Unreadable(
                "The body did not arrive whole.".to_owned(),
            )),
            None => self.operator(route, &request, &tracking).await,
        };
        let reply = answered
            .unwrap_or_else(|error| fault::reply(&error, &tracking, self.backend.clock.now()));
        tracing::info!(
            tracking_id = %tracking,
            %peer,
            status = reply.status.as_u16(),
            "{} {}: {}",
            request.method,
            request.path,
            reply.status.as_u16()
        );
        reply.with_header("x-ms-request-id", tracking.as_str())
    }
}

impl<S: HubStore> AllFaces<S> {
    async fn operator(
        &self,
        route: Option<Route>,
        request: &Request,
        tracking: &TrackingId,
    ) -> Result<Reply, Error> {
        let backend = &self.backend;
        match route {
            Some(Route::Service(route)) => {
                let services = self.services_at(&request.host()).await?;
                Ok(service_api::answer(backend, &services, request, &route, tracking).await)
            }
            Some(Route::Control(route)) => {
                let services = backend
                    .store
                    .services()
                    .await
                    .map_err(|error| unread(&error))?;
                let token = &self.control_token;
                Ok(control_api::answer(backend, &services, request, &route, token, tracking).await)
            }
            Some(Route::Hub(route)) => {
                let hubs = backend.store.hubs().await.map_err(|error| unread(&error))?;
                Ok(hub_api::https::answer(backend, &hubs, request, &route, tracking).await)
            }
            Some(Route::Own(route)) => self.own.answer(request, &route, tracking).await,
            Some(Route::Device(_)) | None => Err(Error::OtherNotFound("Path".to_owned())),
        }
    }

    /// The services that answer to this host name; all of them when none is called so, since then
    /// the caller's signature tells which one is meant.
    async fn services_at(&self, host: &str) -> Result<Vec<ProvisioningService>, Error> {
        let all = self
            .backend
            .store
            .services()
            .await
            .map_err(|error| unread(&error))?;
        let named: Vec<_> = all
            .iter()
            .filter(|service| service.host_name == host)
            .cloned()
            .collect();
        Ok(if named.is_empty() { all } else { named })
    }
}
