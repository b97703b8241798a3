//! Landfall's own routes: provisioning services with their policies, imports, the reason for every
//! answer, and who changed what. Who may call them is `caller`'s. Listed in docs/divergences.md.

mod audit;
mod caller;
pub mod changes;
mod events;
mod import;
mod inspection;
pub mod naming;
mod policies;
mod services;

use http::{Method, StatusCode};
use landfall_core::audit::Origin;
use landfall_core::error::Error;
use landfall_core::id::{IdScope, TrackingId};
use landfall_core::secret::SymmetricKey;
use landfall_core::service::{ProvisioningService, Rights};
use landfall_core::trace::DecisionTrace;
use landfall_hub::device::Hub;
use landfall_hub::registry::EmbeddedHubs;
use landfall_hub::store::HubStore;
use landfall_wire::message::{Reply, Request};
use landfall_wire::own;
use landfall_wire::route::OwnRoute;

use caller::Scope;
pub use changes::Changes;
pub use naming::Naming;

use crate::backend::{Backend, shown, unread};
use crate::feed::Feed;
use crate::telemetry::Traces;

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
    /// What the registration driver knows of embedded hubs.
    pub embedded: EmbeddedHubs<S>,
    /// The turn to change what there is of services, hubs and policies.
    pub changing: tokio::sync::Mutex<()>,
    /// Who is told of such changes.
    pub changes: Changes,
    /// What wakes those who follow a hub.
    pub feed: Feed,
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
            (OwnRoute::Services, &Method::GET) => self.list(request).await,
            (OwnRoute::Services, &Method::POST) => self.found(request, origin).await,
            (OwnRoute::Service(name), &Method::GET) => self.show(request, name).await,
            (OwnRoute::Service(name), &Method::PATCH) => self.update(request, name, origin).await,
            (OwnRoute::Service(name), &Method::DELETE) => self.delete(request, name, origin).await,
            (OwnRoute::Policies(holder), &Method::GET) => self.policies(request, holder).await,
            (OwnRoute::Policy(holder, name), _) => {
                self.policy(request, holder, name, false, origin).await
            }
            (OwnRoute::PolicyRotation(holder, name), _) => {
                self.policy(request, holder, name, true, origin).await
            }
            (OwnRoute::Audit, &Method::GET) => self.audit(request).await,
            (OwnRoute::Trace(id), &Method::GET) => {
                let right = Rights::REGISTRATION_STATUS_READ;
                let scope = self.caller(request, right).await?;
                self.trace(id, &scope).await
            }
            (OwnRoute::RegistrationTraces(id), &Method::GET) => {
                let right = Rights::REGISTRATION_STATUS_READ;
                let scope = self.caller(request, right).await?;
                self.traces_of(request, id, &scope).await
            }
            (OwnRoute::Inspection(id), &Method::POST) => self.inspect(request, id).await,
            _ => Err(Error::MethodNotAllowed),
        }
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
            Scope::One(keeper) => vec![keeper.what.id_scope.clone()],
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
            Scope::One(keeper) => {
                let owner = known
                    .iter()
                    .find(|known| trace.id_scope.as_ref() == Some(&known.id_scope));
                owner.is_none_or(|owner| owner.id_scope == keeper.what.id_scope)
            }
        }
    }
}

fn with_keys(request: &Request) -> bool {
    says(request, "keys")
}

/// Whether a parameter of the request says yes.
fn says(request: &Request, parameter: &str) -> bool {
    request
        .parameter(parameter)
        .is_some_and(|text| text.eq_ignore_ascii_case("true"))
}
