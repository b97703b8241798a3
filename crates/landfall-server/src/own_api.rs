//! Landfall's own routes: provisioning services, and the reason for every answer.
//! Listed in docs/divergences.md.

pub mod naming;

use http::{Method, StatusCode};
use landfall_core::audit::{Actor, Author, Origin};
use landfall_core::error::Error;
use landfall_core::id::{HubHostName, IdScope, ServiceName, TrackingId};
use landfall_core::secret::SymmetricKey;
use landfall_core::service::{ProvisioningService, Rights};
use landfall_core::trace::DecisionTrace;
use landfall_hub::device::Hub;
use landfall_hub::store::HubStore;
use landfall_wire::message::{Reply, Request};
use landfall_wire::own;
use landfall_wire::route::OwnRoute;

pub use naming::Naming;

use crate::backend::{Backend, unread};
use crate::founding::{self, Names};
use crate::telemetry::Traces;
use crate::{control_api, service_api};

/// Most traces that one call gives.
const MOST_TRACES: usize = 100;

/// What the own routes work on.
pub struct OwnApi<S> {
    /// Store, clock and chance.
    pub backend: Backend<S>,
    /// The queue to wait for before reading a trace.
    pub traces: Traces,
    /// The bearer token of the control plane.
    pub control_token: SymmetricKey,
    /// How new services get their host names.
    pub naming: Naming,
    /// The turn to found a service.
    pub founding: tokio::sync::Mutex<()>,
}

/// Whose records a caller may see.
enum Scope {
    /// The holder of the control token: all.
    All,
    /// The holder of a service's policy: that service's.
    One(Box<ProvisioningService>),
}

impl<S: HubStore> OwnApi<S> {
    /// Answers one request.
    ///
    /// # Errors
    /// What the caller may read.
    pub async fn answer(
        &self,
        request: &Request,
        route: &OwnRoute,
        origin: &Origin,
    ) -> Result<Reply, Error> {
        match (route, &request.method) {
            (OwnRoute::Services, &Method::GET) => {
                self.require_token(request)?;
                self.list(request).await
            }
            (OwnRoute::Services, &Method::POST) => {
                self.require_token(request)?;
                let author = origin.author(Actor::ControlToken);
                self.found(request, author).await
            }
            (OwnRoute::Service(name), &Method::GET) => {
                self.require_token(request)?;
                self.show(request, name).await
            }
            (OwnRoute::Trace(id), &Method::GET) => {
                let scope = self.reader(request).await?;
                self.trace(id, &scope).await
            }
            (OwnRoute::RegistrationTraces(id), &Method::GET) => {
                let scope = self.reader(request).await?;
                self.traces_of(request, id, &scope).await
            }
            _ => Err(Error::MethodNotAllowed),
        }
    }

    async fn list(&self, request: &Request) -> Result<Reply, Error> {
        let services = self.services().await?;
        let hubs = self.hubs().await?;
        let value: Vec<_> = services
            .iter()
            .map(|service| own::service(service, &hubs, self.port(request), with_keys(request)))
            .collect();
        Ok(Reply::json(StatusCode::OK, &own::list(value)))
    }

    async fn show(&self, request: &Request, name: &str) -> Result<Reply, Error> {
        let not_found = || Error::OtherNotFound(format!("Provisioning service '{name}'"));
        let name = ServiceName::parse(name).map_err(|_| not_found())?;
        let services = self.services().await?;
        let service = services
            .iter()
            .find(|service| service.name == name)
            .ok_or_else(not_found)?;
        let hubs = self.hubs().await?;
        let body = own::service(service, &hubs, self.port(request), with_keys(request));
        Ok(Reply::json(StatusCode::OK, &body))
    }

    async fn found(&self, request: &Request, author: Author) -> Result<Reply, Error> {
        let wanted = own::parse_new_service(&request.body)?;
        let service =
            ServiceName::parse(&wanted.name).map_err(|error| Error::Invalid(error.to_string()))?;
        let hub = wanted
            .hub_host_name
            .as_deref()
            .map(HubHostName::parse)
            .transpose()
            .map_err(|error| Error::Invalid(error.to_string()))?;
        if let Some(hub) = &hub {
            founding::check_hub_name(hub)?;
        }
        if let Some(host) = &wanted.host_name {
            HubHostName::parse(host.trim())
                .map_err(|_| Error::Invalid(format!("'{}' is not a host name.", shown(host))))?;
        }
        // A name is looked for and then taken: one founder at a time.
        let _turn = self.founding.lock().await;
        let services = self.services().await?;
        if services.iter().any(|other| other.name == service) {
            return Err(Error::Exists(format!("Provisioning service '{service}'")));
        }
        let taken = services
            .iter()
            .map(|service| service.host_name.clone())
            .chain(
                self.hubs()
                    .await?
                    .iter()
                    .map(|hub| hub.host_name.key().to_owned()),
            )
            .collect();
        let (host, hub) = self.naming.choose(wanted.host_name, hub, taken).await?;
        let names = Names { service, host, hub };
        let (service, hub) = founding::found(&self.backend, names, author).await?;
        let body = own::service(&service, &[hub], self.port(request), true);
        Ok(Reply::json(StatusCode::CREATED, &body))
    }

    async fn trace(&self, id: &str, scope: &Scope) -> Result<Reply, Error> {
        let not_found = || Error::OtherNotFound(format!("Decision trace '{}'", shown(id)));
        let id = TrackingId::parse(id).map_err(|_| not_found())?;
        self.traces.flush().await;
        let trace = self
            .backend
            .store
            .trace(&id)
            .await
            .map_err(|error| unread(&error))?;
        let known = self.services().await?;
        let trace = trace
            .filter(|trace| scope.may_see(trace, &known))
            .ok_or_else(not_found)?;
        Ok(Reply::json(StatusCode::OK, &own::trace(&trace)))
    }

    async fn traces_of(&self, request: &Request, id: &str, scope: &Scope) -> Result<Reply, Error> {
        let top = request
            .parameter("top")
            .and_then(|top| top.parse().ok())
            .unwrap_or(10);
        let top = usize::clamp(top, 1, MOST_TRACES);
        self.traces.flush().await;
        let scopes: Vec<IdScope> = match scope {
            Scope::One(service) => vec![service.id_scope.clone()],
            Scope::All => self
                .services()
                .await?
                .into_iter()
                .map(|service| service.id_scope)
                .collect(),
        };
        let mut traces = Vec::new();
        for scope in &scopes {
            let of_scope = self.backend.store.traces_of(scope, id, top).await;
            traces.extend(of_scope.map_err(|error| unread(&error))?);
        }
        traces.sort_by_key(|trace| std::cmp::Reverse(trace.started));
        let value = traces.iter().take(top).map(own::trace).collect();
        Ok(Reply::json(StatusCode::OK, &own::list(value)))
    }

    /// The holder of the control token, or of a service's policy with the right to read registrations.
    async fn reader(&self, request: &Request) -> Result<Scope, Error> {
        if self.require_token(request).is_ok() {
            return Ok(Scope::All);
        }
        let services = self.services().await?;
        let now = self.backend.clock.now();
        let service =
            service_api::authorize(&services, request, Rights::REGISTRATION_STATUS_READ, now)?;
        Ok(Scope::One(Box::new(service.clone())))
    }

    fn require_token(&self, request: &Request) -> Result<(), Error> {
        if control_api::bears(request, &self.control_token) {
            Ok(())
        } else {
            Err(Error::Unauthorized)
        }
    }

    /// The port that the caller reached the server on, for connection strings.
    fn port(&self, request: &Request) -> Option<u16> {
        let host = request.header("host")?;
        host.rsplit_once(':')?.1.parse().ok()
    }

    async fn services(&self) -> Result<Vec<ProvisioningService>, Error> {
        self.backend
            .store
            .services()
            .await
            .map_err(|error| unread(&error))
    }

    async fn hubs(&self) -> Result<Vec<Hub>, Error> {
        self.backend
            .store
            .hubs()
            .await
            .map_err(|error| unread(&error))
    }
}

impl Scope {
    /// A trace is seen by its service's operators. One whose id scope no service has belongs to
    /// nobody: whoever was told its tracking id may read it.
    fn may_see(&self, trace: &DecisionTrace, known: &[ProvisioningService]) -> bool {
        match self {
            Scope::All => true,
            Scope::One(service) => {
                let owner = known
                    .iter()
                    .find(|known| trace.id_scope.as_ref() == Some(&known.id_scope));
                owner.is_none_or(|owner| owner.id_scope == service.id_scope)
            }
        }
    }
}

fn with_keys(request: &Request) -> bool {
    request
        .parameter("keys")
        .is_some_and(|keys| keys.eq_ignore_ascii_case("true"))
}

fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(64).collect()
}
