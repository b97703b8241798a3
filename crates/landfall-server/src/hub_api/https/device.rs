//! What devices and modules ask for themselves over HTTPS, with their own credential: they send messages, take
//! those from the cloud, and an edge device keeps its modules.
//!
//! Source: docs/protocol/hub-api.md §2.3.

use http::Method;
use landfall_core::audit::Origin;
use landfall_core::id::{DeviceId, ModuleId};
use landfall_core::sas::SasToken;
use landfall_hub::access::endpoint::{Proof, Refusal};
use landfall_hub::access::resource_host;
use landfall_hub::device::Hub;
use landfall_hub::endpoint::Endpoint;
use landfall_hub::error::HubError;
use landfall_hub::message::Settlement;
use landfall_hub::policy::Permissions;
use landfall_hub::registry::Registry;
use landfall_hub::store::HubStore;
use landfall_wire::hub::over_https::{done, events, lock, taken};
use landfall_wire::message::{Reply, Request};
use landfall_wire::route::HubRoute;

use super::api_version;
use crate::hub_api::mqtt::HubDevices;
use crate::hub_api::trail::Trail;
use crate::hub_api::{Caller, admission, pick};
use crate::listener::Chain;
use crate::metrics::label::Protocol;

/// What a caller is told that is not let in: no more than a stranger may know.
const UNPROVED: &str = "the device or module did not prove that it may do this";

/// What a device or module may ask for.
enum Wish {
    /// Messages are sent.
    Send,
    /// The next message from the cloud is wanted.
    Take,
    /// What became of the message with this lock token.
    Settle(String, Settlement),
}

/// A call of the hub API, with all that is known of whoever makes it.
pub(super) struct Call<'a, S> {
    pub(super) devices: &'a HubDevices<S>,
    pub(super) hubs: &'a [Hub],
    pub(super) chain: &'a Chain,
    pub(super) request: &'a Request,
    pub(super) origin: &'a Origin,
}

/// Whether a route is for devices and modules alone, and which of them it names. The method is judged when it
/// is answered.
pub(super) fn endpoint(route: &HubRoute, method: &Method) -> Option<Result<Endpoint, HubError>> {
    let (id, module) = match route {
        HubRoute::Events(id, module) => (id, module.as_deref()),
        HubRoute::Message(id, _) | HubRoute::Abandon(id, _) => (id, None),
        HubRoute::Messages(id) if method == Method::GET => (id, None),
        _ => return None,
    };
    Some(named(id, module))
}

/// The device that a call about its modules is by, when it shows a device's credential: a token that names no
/// policy, or no token and a certificate.
pub(super) fn own_modules(
    route: &HubRoute,
    request: &Request,
) -> Option<Result<Endpoint, HubError>> {
    let (HubRoute::Modules(id) | HubRoute::Module(id, _)) = route else {
        return None;
    };
    let by_itself = match request.header("authorization").map(SasToken::parse) {
        Some(Ok(token)) => token.key_name().is_none(),
        Some(Err(_)) => false,
        None => true,
    };
    by_itself.then(|| named(id, None))
}

fn named(id: &str, module: Option<&str>) -> Result<Endpoint, HubError> {
    Ok(Endpoint {
        device: DeviceId::parse(id)?,
        module: module.map(ModuleId::parse).transpose()?,
    })
}

fn wish(route: &HubRoute, request: &Request) -> Option<Wish> {
    let wish = match (route, &request.method) {
        (HubRoute::Events(..), &Method::POST) => Wish::Send,
        (HubRoute::Messages(_), &Method::GET) => Wish::Take,
        (HubRoute::Message(_, token), &Method::DELETE) => {
            let settlement = match request.parameter("reject") {
                Some(_) => Settlement::Reject,
                None => Settlement::Complete,
            };
            Wish::Settle(token.clone(), settlement)
        }
        (HubRoute::Abandon(_, token), &Method::POST) => {
            Wish::Settle(token.clone(), Settlement::Abandon)
        }
        _ => return None,
    };
    Some(wish)
}

impl<'a, S: HubStore> Call<'a, S> {
    /// Does what an endpoint asks for itself.
    pub(super) async fn answer(
        &self,
        endpoint: &Endpoint,
        route: &HubRoute,
    ) -> Result<Reply, HubError> {
        let wish = wish(route, self.request).ok_or(HubError::MethodNotAllowed)?;
        let hub = self.admitted(endpoint).await?;
        api_version(self.request)?;
        let registry = self.registry(hub);
        match wish {
            Wish::Send => {
                let events = events(self.request, endpoint, self.origin.at)?;
                registry.keep_events(endpoint, events).await?;
                self.devices.feed.wake();
                Ok(done())
            }
            Wish::Take => {
                let message = registry.take_message(endpoint).await?;
                Ok(message.map_or_else(done, |message| taken(endpoint, &message)))
            }
            Wish::Settle(token, settlement) => {
                let lock = lock(&token)?;
                registry.settle_message(endpoint, lock, settlement).await?;
                Ok(done())
            }
        }
    }

    /// The records of a hub, as whoever asks for itself changes them: no operator answers for it.
    pub(super) fn registry(&self, hub: &'a Hub) -> Registry<'a, S> {
        let (backend, now) = (&self.devices.backend, self.origin.at);
        let (name, relay) = (&hub.host_name, &*self.devices.relay);
        Registry::new(&*backend.store, name, now, &*backend.entropy, relay)
    }

    /// The hub that is meant, when it lets the endpoint in. Why not stands in a trace.
    pub(super) async fn admitted(&self, endpoint: &Endpoint) -> Result<&'a Hub, HubError> {
        let host = self.request.host();
        let token = self.request.header("authorization").map(SasToken::parse);
        let made_for = match &token {
            Some(Ok(token)) => Some(resource_host(token)),
            Some(Err(_)) | None => None,
        };
        let hub = pick(self.hubs, &host, made_for.as_deref()).ok_or(HubError::HubNotFound)?;
        let proof = Proof {
            token,
            certificate: self.chain.first().and_then(|leaf| leaf.as_ref().ok()),
        };
        let store = &*self.devices.backend.store;
        let admitted =
            admission::admitted(store, hub, endpoint, &host, &proof, self.origin.at).await?;
        match admitted {
            Ok(_) => Ok(hub),
            Err(Refusal::NotThere) if self.stands_in_for_any() => {
                // It says which of the two is not there.
                self.registry(hub).twin_of(endpoint).await?;
                Ok(hub)
            }
            Err(refusal) => {
                self.trace(hub, endpoint, &refusal).await;
                Err(HubError::Unauthorized(UNPROVED.to_owned()))
            }
        }
    }

    /// Whether the caller holds a policy for devices.
    fn stands_in_for_any(&self) -> bool {
        let caller = Caller::identify(self.hubs, self.request);
        caller.is_ok_and(|caller| {
            let needed = Permissions::DEVICE_CONNECT;
            caller.may(needed, self.origin.at).is_ok()
        })
    }

    async fn trace(&self, hub: &Hub, endpoint: &Endpoint, refusal: &Refusal) {
        let peer = self.origin.address.map(|address| address.to_string());
        let trail = Trail {
            tracking_id: self.origin.tracking_id.clone(),
            protocol: Protocol::Https,
            peer: peer.unwrap_or_default(),
            host: hub.host_name.as_str(),
            id: &endpoint.to_string(),
            action: &format!("{} on the hub", self.request.method),
        };
        let finding = admission::finding(refusal);
        self.devices.keep_trail(trail, &finding, "401").await;
    }
}
