//! The routes of provisioning services: list, show, found, change, delete.

use std::collections::BTreeSet;

use http::StatusCode;
use landfall_core::administration::Administration;
use landfall_core::administration::services::ServiceUpdate;
use landfall_core::audit::{Actor, Author, Origin};
use landfall_core::error::Error;
use landfall_core::id::{HubHostName, ServiceName};
use landfall_core::linked_hub::LinkedHub;
use landfall_core::service::{ProvisioningService, Rights};
use landfall_core::store::Guard;
use landfall_hub::device::Hub;
use landfall_hub::store::{HubExpect, HubStore, HubWrite};
use landfall_wire::message::{Reply, Request};
use landfall_wire::own;
use landfall_wire::own::services::{HubLink, Removal, parse_service_change};
use serde_json::Value;

use super::caller::{Keeper, Scope};
use super::{OwnApi, says, with_keys};
use crate::backend::{shown, unread};
use crate::founding::{self, Names};
use crate::service_api::{condition, marked};

impl<S: HubStore> OwnApi<S> {
    /// Lists the services that the caller may see.
    pub(super) async fn list(&self, request: &Request) -> Result<Reply, Error> {
        let value = match self.caller(request, Rights::SERVICE_CONFIG).await? {
            Scope::All => {
                let hubs = self.hubs().await?;
                let keys = with_keys(request);
                let services = self.services().await?;
                let port = port(request);
                let one = |service| own::service(service, &hubs, port, keys);
                services.iter().map(one).collect()
            }
            Scope::One(keeper) => vec![of_its_own(request, &keeper)],
        };
        Ok(Reply::json(StatusCode::OK, &own::list(value)))
    }

    /// Shows a service.
    pub(super) async fn show(&self, request: &Request, name: &str) -> Result<Reply, Error> {
        let keeper = self
            .service_for(request, name, Rights::SERVICE_CONFIG)
            .await?;
        let service = &keeper.what;
        let body = if self.require_token(request).is_ok() {
            let hubs = self.hubs().await?;
            own::service(service, &hubs, port(request), with_keys(request))
        } else {
            of_its_own(request, &keeper)
        };
        Ok(marked(Reply::json(StatusCode::OK, &body), &service.etag))
    }

    /// Founds a service with its hub.
    pub(super) async fn found(&self, request: &Request, origin: &Origin) -> Result<Reply, Error> {
        self.require_token(request)?;
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
            check_host(host)?;
        }
        // A name is looked for and then taken: one founder at a time.
        let _turn = self.changing.lock().await;
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
        let author = origin.author(Actor::ControlToken);
        let (service, hub) = founding::found(&self.backend, names, author).await?;
        self.changes.tell().await;
        let mut body = own::service(&service, std::slice::from_ref(&hub), port(request), true);
        let names = [service.host_name.as_str(), hub.host_name.as_str()];
        own::warn(&mut body, &self.naming.remarks(&names));
        Ok(Reply::json(StatusCode::CREATED, &body))
    }

    /// Changes a service. Names and links reach beyond it, so they take the control token.
    pub(super) async fn update(
        &self,
        request: &Request,
        name: &str,
        origin: &Origin,
    ) -> Result<Reply, Error> {
        // Only who may come in waits for a turn.
        drop(self.caller(request, Rights::SERVICE_CONFIG).await?);
        let _turn = self.changing.lock().await;
        let keeper = self
            .service_for(request, name, Rights::SERVICE_CONFIG)
            .await?;
        let service = &keeper.what;
        let change = parse_service_change(&request.body)?;
        if change.host_name.is_some() || change.linked_hubs.is_some() {
            self.require_token(request)?;
        }
        let condition = condition(request)?;
        let administration = self.administration(service, origin.author(keeper.actor.clone()));
        administration.check(&condition)?;
        let host_name = match change.host_name {
            Some(host) => {
                check_host(&host)?;
                Some(self.naming.renamed(&host).await?)
            }
            None => None,
        };
        let remarks = self.naming.remarks(host_name.as_deref().as_slice());
        let (linked_hubs, hub_writes) = match &change.linked_hubs {
            Some(links) => {
                let (linked, writes) = self.linked(service, links).await?;
                (Some(linked), writes)
            }
            None => (None, Vec::new()),
        };
        let update = ServiceUpdate {
            host_name,
            allocation: change.allocation,
            require_verified_chain: change.require_verified_chain,
            linked_hubs,
        };
        let after = administration
            .update_service(update, &condition, hub_writes)
            .await?;
        self.changes.tell().await;
        let mut body = own::service(&after, &[], port(request), false);
        own::warn(&mut body, &remarks);
        Ok(marked(Reply::json(StatusCode::OK, &body), &after.etag))
    }

    /// The links that are asked for, each to an embedded hub. A hub that becomes linked is written
    /// anew, so that it is not deleted at the same time.
    async fn linked(
        &self,
        service: &ProvisioningService,
        links: &[HubLink],
    ) -> Result<(Vec<LinkedHub>, Vec<HubWrite>), Error> {
        let hubs = self.hubs().await?;
        let mut linked: Vec<LinkedHub> = Vec::new();
        let mut writes = Vec::new();
        for link in links {
            let name = &link.host_name;
            let hub = hubs
                .iter()
                .find(|hub| hub.host_name == *name)
                .ok_or_else(|| Error::Invalid(format!("Hub '{name}' is none of this server's.")))?;
            if linked.iter().any(|other| other.host_name == *name) {
                return Err(Error::Invalid(format!("Hub '{name}' is named twice.")));
            }
            let before = service.linked_hubs.iter().find(|l| l.host_name == *name);
            if before.is_none() {
                let put =
                    HubWrite::PutHub(Box::new(hub.clone()), HubExpect::Revision(hub.revision));
                writes.push(put);
            }
            let mut after = before
                .cloned()
                .unwrap_or_else(|| founding::link(hub.host_name.clone()));
            after.allocation_weight = link.allocation_weight.unwrap_or(after.allocation_weight);
            after.apply_allocation_policy = link
                .apply_allocation_policy
                .unwrap_or(after.apply_allocation_policy);
            linked.push(after);
        }
        Ok((linked, writes))
    }

    /// Deletes a service. What is in it goes only when the caller says so.
    pub(super) async fn delete(
        &self,
        request: &Request,
        name: &str,
        origin: &Origin,
    ) -> Result<Reply, Error> {
        self.require_token(request)?;
        let _turn = self.changing.lock().await;
        let keeper = self.service_for(request, name, Rights::ALL).await?;
        let service = &keeper.what;
        let condition = condition(request)?;
        let administration = self.administration(service, origin.author(keeper.actor.clone()));
        administration.check(&condition)?;

        // What goes, and may it?
        let hubs = self.hubs_of_its_own(service).await?;
        let keep_hubs = says(request, "keepHubs");
        let removal = self.removal(service, &hubs, keep_hubs).await?;
        let force = says(request, "force");
        if !force && !removal.is_empty() {
            return Err(Error::InUse(format!(
                "Provisioning service '{}' is not empty; with it would go: {}.",
                service.name,
                removal.spoken()
            )));
        }

        // Traces of attempts that have ended are to go too.
        self.traces.flush().await;
        let going: &[Hub] = if keep_hubs { &[] } else { &hubs };
        let mut guards = Vec::new();
        if !force {
            guards.push(Guard::NothingIn(service.id_scope.clone()));
            guards.extend(
                going
                    .iter()
                    .map(|hub| Guard::NoDeviceOn(hub.host_name.clone())),
            );
        }
        let writes = going
            .iter()
            .map(|hub| {
                HubWrite::DeleteHub(hub.host_name.clone(), HubExpect::Revision(hub.revision))
            })
            .collect();
        administration
            .delete_service(&condition, guards, writes)
            .await?;

        // Nothing here remembers it.
        for hub in going {
            self.embedded.forget(&hub.host_name);
        }
        let names = self.unused_names(service, going).await?;
        self.naming.freed(&names).await;
        self.changes.tell().await;
        let body = removal.json(service);
        Ok(Reply::json(StatusCode::OK, &body))
    }

    pub(super) fn administration<'a>(
        &'a self,
        service: &'a ProvisioningService,
        author: Author,
    ) -> Administration<'a, S> {
        Administration {
            store: &*self.backend.store,
            service,
            now: self.backend.clock.now(),
            entropy: &*self.backend.entropy,
            author,
        }
    }

    /// The embedded hubs that this service links and no other does.
    async fn hubs_of_its_own(&self, service: &ProvisioningService) -> Result<Vec<Hub>, Error> {
        let others: BTreeSet<HubHostName> = self
            .services()
            .await?
            .into_iter()
            .filter(|other| other.id_scope != service.id_scope)
            .flat_map(|other| other.linked_hubs)
            .map(|linked| linked.host_name)
            .collect();
        let own = |hub: &Hub| {
            let mut linked = service.linked_hubs.iter();
            linked.any(|l| l.host_name == hub.host_name) && !others.contains(&hub.host_name)
        };
        Ok(self.hubs().await?.into_iter().filter(own).collect())
    }

    async fn removal(
        &self,
        service: &ProvisioningService,
        hubs: &[Hub],
        keep_hubs: bool,
    ) -> Result<Removal, Error> {
        let store = &self.backend.store;
        let contents = store.contents(&service.id_scope).await;
        let mut removal = Removal {
            contents: contents.map_err(|error| unread(&error))?,
            hubs: Vec::new(),
            kept_hubs: Vec::new(),
        };
        for hub in hubs {
            let name = hub.host_name.clone();
            if keep_hubs {
                removal.kept_hubs.push(name);
                continue;
            }
            let counts = store.device_counts(&name).await;
            let devices = counts.map_err(|error| unread(&error))?.total;
            removal.hubs.push((name, devices));
        }
        Ok(removal)
    }

    /// Of the names that a deleted service and its hubs had, those that nothing has any more.
    async fn unused_names(
        &self,
        service: &ProvisioningService,
        hubs: &[Hub],
    ) -> Result<Vec<String>, Error> {
        let mut names: Vec<String> = hubs
            .iter()
            .map(|hub| hub.host_name.key().to_owned())
            .collect();
        names.push(service.host_name.clone());
        let (services, hubs) = (self.services().await?, self.hubs().await?);
        names.retain(|name| {
            services.iter().all(|service| service.host_name != *name)
                && hubs.iter().all(|hub| hub.host_name.key() != name)
        });
        Ok(names)
    }
}

/// A service as the holder of one of its policies sees it: the owner's connection string only with all
/// rights, the hub's never, since that is another's key.
fn of_its_own(request: &Request, keeper: &Keeper<ProvisioningService, Rights>) -> Value {
    let keys = with_keys(request) && keeper.rights == Rights::ALL;
    own::service(&keeper.what, &[], port(request), keys)
}

fn check_host(host: &str) -> Result<(), Error> {
    HubHostName::parse(host.trim())
        .map(drop)
        .map_err(|_| Error::Invalid(format!("'{}' is not a host name.", shown(host))))
}

/// The port that the caller reached the server on, for connection strings.
fn port(request: &Request) -> Option<u16> {
    let host = request.header("host")?;
    host.rsplit_once(':')?.1.parse().ok()
}
