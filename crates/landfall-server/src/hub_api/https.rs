//! The hub API over HTTPS, for operators: identities, twins, bulk, query, statistics; what devices ask for
//! themselves is `device`'s.
//!
//! Called by the listener with a request that was read whole and the route it named.

mod device;

use http::Method;
use landfall_core::audit::Origin;
use landfall_core::clock::Timestamp;
use landfall_core::id::{DeviceId, HubHostName, ModuleId};
use landfall_hub::device::Hub;
use landfall_hub::endpoint::Endpoint;
use landfall_hub::error::HubError;
use landfall_hub::policy::Permissions;
use landfall_hub::registry::{IfMatch, MOST_LISTED_DEVICES, Registry};
use landfall_hub::store::HubStore;
use landfall_hub::twin::{TwinContent, TwinVerb};
use landfall_wire::fault;
use landfall_wire::hub::{
    AuthenticationWords, bulk_items, cloud_message, device_request, if_match, method_call,
    method_reply, module_request, purged, queued, read_json, reply, twin_change,
};
use landfall_wire::message::{Reply, Request};
use landfall_wire::route::HubRoute;

use super::mqtt::HubDevices;
use super::{Caller, query, report};
use crate::backend::Backend;
use crate::listener::Chain;
use crate::relay::Relay;

/// Answers one call of the hub API on the hub that it is for. `hubs` are all that this server
/// embeds.
pub async fn answer<S: HubStore>(
    devices: &HubDevices<S>,
    hubs: &[Hub],
    chain: &Chain,
    request: &Request,
    route: &HubRoute,
    origin: &Origin,
) -> Reply {
    let (now, tracking) = (origin.at, &origin.tracking_id);
    let call = device::Call {
        devices,
        hubs,
        chain,
        request,
        origin,
    };
    let reply = match answered(&call, route).await {
        Ok(reply) => reply,
        Err(error) => {
            report(&error, tracking);
            fault::hub::reply(&error, tracking, now)
        }
    };
    reply.with_header("x-ms-request-id", tracking.as_str())
}

/// Answers whoever asks for itself, or an operator.
async fn answered<S: HubStore>(
    call: &device::Call<'_, S>,
    route: &HubRoute,
) -> Result<Reply, HubError> {
    if let Some(endpoint) = device::endpoint(route, &call.request.method) {
        return call.answer(&endpoint?, route).await;
    }
    if let Some(device) = device::own_modules(route, call.request) {
        return own_modules(call, &device?, route).await;
    }
    operator(call, route).await
}

/// Answers an edge device that keeps its own modules.
///
/// Source: docs/protocol/hub-api.md §2.3 [S].
async fn own_modules<S: HubStore>(
    call: &device::Call<'_, S>,
    device: &Endpoint,
    route: &HubRoute,
) -> Result<Reply, HubError> {
    let hub = call.admitted(device).await?;
    permission(route, &call.request.method).ok_or(HubError::MethodNotAllowed)?;
    let version = api_version(call.request)?;
    let asked = Asked::of(call, hub, call.registry(hub), &version);
    match route {
        HubRoute::Modules(id) => asked.modules(id).await,
        HubRoute::Module(id, module) => asked.module(id, module).await,
        _ => Err(HubError::MethodNotAllowed),
    }
}

/// Finds the hub, checks the operator, then does what the route and the method say.
async fn operator<S: HubStore>(
    call: &device::Call<'_, S>,
    route: &HubRoute,
) -> Result<Reply, HubError> {
    let (request, origin) = (call.request, call.origin);
    let backend = &call.devices.backend;
    let now = origin.at;
    let caller = Caller::identify(call.hubs, request)?;
    let needed = permission(route, &request.method);
    let may = caller.may(needed.unwrap_or(Permissions::from_bits(0)), now);
    let actor = match (may, route) {
        // Who may stand in for any device may do what an edge device does.
        (Err(refused), HubRoute::Modules(_) | HubRoute::Module(..)) => caller
            .may(Permissions::DEVICE_CONNECT, now)
            .map_err(|_| refused)?,
        (may, _) => may?,
    };
    let version = api_version(request)?;
    if matches!(route, HubRoute::NotServed) {
        return Err(HubError::NotServed(format!(
            "{} {}",
            request.method, request.path
        )));
    }
    if needed.is_none() {
        return Err(HubError::MethodNotAllowed);
    }
    let registry = call.registry(caller.hub).by(origin.author(actor));
    let asked = Asked::of(call, caller.hub, registry, &version);
    match route {
        HubRoute::Query if request.method == Method::POST => {
            query::answer(backend, caller.hub, request).await
        }
        HubRoute::Query => asked.device("query").await,
        HubRoute::Devices => asked.devices().await,
        HubRoute::Device(id) => asked.device(id).await,
        HubRoute::Modules(id) => asked.modules(id).await,
        HubRoute::Module(id, module) => asked.module(id, module).await,
        HubRoute::Twin(id) => asked.twin(id).await,
        HubRoute::ModuleTwin(id, module) => asked.module_twin(id, module).await,
        HubRoute::Messages(id) => asked.send_message(id).await,
        HubRoute::Commands(id) => asked.purge(id).await,
        HubRoute::Method(id, module) => asked.method(id, module.as_deref()).await,
        HubRoute::DeviceStatistics => {
            let counts = asked.registry.device_counts().await?;
            Ok(reply::device_statistics(&counts))
        }
        HubRoute::ServiceStatistics => {
            let hub = &caller.hub.host_name;
            let connected = backend.store.connected_devices(hub).await?;
            Ok(reply::service_statistics(connected))
        }
        // Those of devices were answered before.
        HubRoute::NotServed
        | HubRoute::Events(..)
        | HubRoute::Message(..)
        | HubRoute::Abandon(..) => Err(HubError::MethodNotAllowed),
    }
}

/// What a call needs of its caller; `None` when the path does not know the method.
///
/// Source: docs/protocol/hub-api.md §1.1, §1.2 [D].
fn permission(route: &HubRoute, method: &Method) -> Option<Permissions> {
    const READ: Permissions = Permissions::REGISTRY_READ;
    const WRITE: Permissions = Permissions::REGISTRY_WRITE;
    const SERVICE: Permissions = Permissions::SERVICE_CONNECT;
    match (route, method.as_str()) {
        (HubRoute::Query, "POST") => Some(SERVICE),
        (HubRoute::Devices, "POST") => Some(WRITE),
        (HubRoute::Device(_) | HubRoute::Query | HubRoute::Module(..), "PUT" | "DELETE") => {
            Some(WRITE)
        }
        (
            HubRoute::Devices
            | HubRoute::Device(_)
            | HubRoute::Query
            | HubRoute::Modules(_)
            | HubRoute::Module(..)
            | HubRoute::DeviceStatistics
            | HubRoute::ServiceStatistics,
            "GET",
        ) => Some(READ),
        (HubRoute::Twin(_) | HubRoute::ModuleTwin(..), "GET" | "PATCH" | "PUT")
        | (HubRoute::Method(..) | HubRoute::Messages(_), "POST")
        | (HubRoute::Commands(_), "DELETE") => Some(SERVICE),
        _ => None,
    }
}

/// The api version: any date is served, with or without `-preview`.
///
/// Source: docs/protocol/hub-api.md §0 rule 8 [S].
fn api_version(request: &Request) -> Result<String, HubError> {
    let version = request
        .parameter("api-version")
        .ok_or_else(|| HubError::ApiVersion("The api-version is missing".to_owned()))?;
    let date = version.strip_suffix("-preview").unwrap_or(&version);
    let well_formed = date.len() == 10
        && date.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    if well_formed {
        Ok(version)
    } else {
        Err(HubError::ApiVersion(
            "The api-version is not of the form 2021-04-12".to_owned(),
        ))
    }
}

/// A call whose caller may make it.
struct Asked<'a, S> {
    now: Timestamp,
    backend: &'a Backend<S>,
    relay: &'a Relay,
    hub: &'a HubHostName,
    registry: Registry<'a, S>,
    request: &'a Request,
    words: AuthenticationWords,
}

impl<'a, S: HubStore> Asked<'a, S> {
    fn of(
        call: &device::Call<'a, S>,
        hub: &'a Hub,
        registry: Registry<'a, S>,
        version: &str,
    ) -> Self {
        Asked {
            now: call.origin.at,
            backend: &call.devices.backend,
            relay: &call.devices.relay,
            hub: &hub.host_name,
            registry,
            request: call.request,
            words: AuthenticationWords::of_version(version),
        }
    }

    async fn devices(&self) -> Result<Reply, HubError> {
        if self.request.method == Method::POST {
            let items = bulk_items(&read_json(&self.request.body)?)?;
            return Ok(reply::bulk(&self.registry.bulk(&items).await?));
        }
        let top = top(self.request.parameter("top").as_deref())?;
        Ok(reply::devices(&self.registry.devices(top).await?))
    }

    async fn device(&self, id: &str) -> Result<Reply, HubError> {
        let id = DeviceId::parse(id)?;
        match self.request.method {
            Method::PUT => {
                let asked = device_request(id, &read_json(&self.request.body)?)?;
                let device = match self.if_match()? {
                    Some(known) => self.registry.update_device(&asked, &known).await?,
                    None => {
                        let empty = TwinContent::default();
                        self.registry.create_device(&asked, &empty).await?
                    }
                };
                Ok(reply::device(&device))
            }
            Method::DELETE => {
                self.registry.delete_device(&id, &self.known()?).await?;
                Ok(reply::removed())
            }
            _ => Ok(reply::device(&self.registry.device(&id).await?)),
        }
    }

    async fn modules(&self, id: &str) -> Result<Reply, HubError> {
        let modules = self.registry.modules_of(&DeviceId::parse(id)?).await?;
        Ok(reply::modules(&modules, self.words))
    }

    async fn module(&self, id: &str, module: &str) -> Result<Reply, HubError> {
        let (id, module) = (DeviceId::parse(id)?, ModuleId::parse(module)?);
        match self.request.method {
            Method::PUT => {
                let asked = module_request(id, module, &read_json(&self.request.body)?)?;
                let module = match self.if_match()? {
                    Some(known) => self.registry.update_module(&asked, &known).await?,
                    None => {
                        let empty = TwinContent::default();
                        self.registry.create_module(&asked, &empty).await?
                    }
                };
                Ok(reply::module(&module, self.words))
            }
            Method::DELETE => {
                let known = self.known()?;
                self.registry.delete_module(&id, &module, &known).await?;
                Ok(reply::removed())
            }
            _ => {
                let module = self.registry.module(&id, &module).await?;
                Ok(reply::module(&module, self.words))
            }
        }
    }

    async fn twin(&self, id: &str) -> Result<Reply, HubError> {
        let id = DeviceId::parse(id)?;
        let device = match self.verb() {
            None => self.registry.device(&id).await?,
            Some(verb) => {
                let change = twin_change(verb, &read_json(&self.request.body)?)?;
                let known = self.known()?;
                self.registry
                    .change_twin(&id, verb, &change, &known)
                    .await?
            }
        };
        Ok(reply::twin(&device))
    }

    async fn module_twin(&self, id: &str, module: &str) -> Result<Reply, HubError> {
        let (id, module) = (DeviceId::parse(id)?, ModuleId::parse(module)?);
        let module = match self.verb() {
            None => self.registry.module(&id, &module).await?,
            Some(verb) => {
                let change = twin_change(verb, &read_json(&self.request.body)?)?;
                let known = self.known()?;
                self.registry
                    .change_module_twin(&id, &module, verb, &change, &known)
                    .await?
            }
        };
        let device = self.registry.device(&id).await?;
        Ok(reply::module_twin(Some(&device), &module))
    }

    /// Queues a message for a device.
    async fn send_message(&self, id: &str) -> Result<Reply, HubError> {
        let message = cloud_message(&read_json(&self.request.body)?, self.now)?;
        let endpoint = Endpoint::device(DeviceId::parse(id)?);
        let sequence = self.registry.send_message(&endpoint, message).await?;
        Ok(queued(sequence))
    }

    /// Empties a device's queue.
    async fn purge(&self, id: &str) -> Result<Reply, HubError> {
        let endpoint = Endpoint::device(DeviceId::parse(id)?);
        let count = self.registry.purge_messages(&endpoint).await?;
        Ok(purged(&endpoint, count))
    }

    /// Lets a connected device or module carry out a method, and gives what came of it.
    async fn method(&self, id: &str, module: Option<&str>) -> Result<Reply, HubError> {
        let call = method_call(&read_json(&self.request.body)?)?;
        let endpoint = Endpoint {
            device: DeviceId::parse(id)?,
            module: module.map(ModuleId::parse).transpose()?,
        };
        // One that is not there is told from one that is not connected.
        self.registry.twin_of(&endpoint).await?;
        let reached = self.relay.reach(self.backend, self.hub, &endpoint, call);
        let (status, payload) = reached.await?;
        Ok(method_reply(status, &payload))
    }

    /// How the method changes a twin; `None` when it only reads.
    fn verb(&self) -> Option<TwinVerb> {
        match self.request.method {
            Method::PATCH => Some(TwinVerb::Patch),
            Method::PUT => Some(TwinVerb::Replace),
            _ => None,
        }
    }

    fn if_match(&self) -> Result<Option<IfMatch>, HubError> {
        if_match(self.request.header("if-match"))
    }

    /// The state the caller wants to change; any, when it does not say.
    fn known(&self) -> Result<IfMatch, HubError> {
        Ok(self.if_match()?.unwrap_or(IfMatch::Any))
    }
}

/// How many devices a listing is to give.
fn top(parameter: Option<&str>) -> Result<usize, HubError> {
    match parameter {
        None | Some("") => Ok(MOST_LISTED_DEVICES),
        Some(text) => {
            text.parse().ok().filter(|top| *top > 0).ok_or_else(|| {
                HubError::ArgumentInvalid("'top' must be a number from 1".to_owned())
            })
        }
    }
}

#[cfg(test)]
mod tests;
