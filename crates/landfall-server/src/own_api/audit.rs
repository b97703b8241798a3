//! The audit trail over HTTPS: whose entries a caller may see, and which it asked for.

use http::StatusCode;
use landfall_core::administration::audit::audit_page;
use landfall_core::audit::Place;
use landfall_core::error::Error;
use landfall_core::id::IdScope;
use landfall_core::service::{ProvisioningService, Rights};
use landfall_hub::store::HubStore;
use landfall_wire::message::{Reply, Request};
use landfall_wire::own::audit::{Asked, as_id_scope, page, parse_search};

use super::OwnApi;
use super::caller::Scope;
use crate::backend::{shown, unread};

/// How many entries one call looks at. A page may come back short, or empty, with a continuation.
const MOST_LOOKED_AT: usize = 10_000;

impl<S: HubStore> OwnApi<S> {
    /// Answers a listing of the audit trail.
    pub(super) async fn audit(&self, request: &Request) -> Result<Reply, Error> {
        let auditor = self.caller(request, Rights::SERVICE_CONFIG).await?;
        let services = self.services().await?;
        let mut asked = parse_search(request)?;
        asked.search.place = auditor.place(&asked, &services)?;
        let found = audit_page(&*self.backend.store, &asked.search, MOST_LOOKED_AT).await;
        let found = found.map_err(|error| unread(&error))?;
        let body = page(&found, &services);
        Ok(Reply::json(StatusCode::OK, &body))
    }
}

impl Scope {
    /// Where the entries stand that are asked for and that the caller may see.
    fn place(
        &self,
        asked: &Asked,
        services: &[ProvisioningService],
    ) -> Result<Option<Place>, Error> {
        let named = asked.service.as_deref();
        let named = named.map(|name| scope_of(name, services)).transpose()?;
        match self {
            Scope::All => Ok(named
                .map(Place::Service)
                .or_else(|| asked.hub.clone().map(Place::Hub))),
            Scope::One(_) if asked.hub.is_some() => Err(Error::Invalid(
                "The entries of a hub are read with the control token.".to_owned(),
            )),
            Scope::One(own) => match named {
                Some(other) if other != own.what.id_scope => Err(not_found(&asked.service)),
                Some(_) | None => Ok(Some(Place::Service(own.what.id_scope.clone()))),
            },
        }
    }
}

/// The id scope of a service of today, by name or id scope, or of one that is gone, by id scope.
fn scope_of(name: &str, services: &[ProvisioningService]) -> Result<IdScope, Error> {
    let service = services.iter().find(|service| {
        let names = [service.name.key(), service.id_scope.key()];
        names.iter().any(|known| known.eq_ignore_ascii_case(name))
    });
    service
        .map(|service| service.id_scope.clone())
        .or_else(|| as_id_scope(name))
        .ok_or_else(|| not_found(&Some(name.to_owned())))
}

fn not_found(name: &Option<String>) -> Error {
    let name = shown(name.as_deref().unwrap_or_default());
    Error::OtherNotFound(format!("Provisioning service '{name}'"))
}
