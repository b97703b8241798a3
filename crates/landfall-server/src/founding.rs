//! Founding a provisioning service: the service itself, an embedded hub of its own, and the link
//! between the two, in one change.

use landfall_core::audit::Author;
use landfall_core::clock::Timestamp;
use landfall_core::enrollment::AllocationPolicy;
use landfall_core::error::Error;
use landfall_core::id::{Etag, HubHostName, IdScope, PolicyName, ServiceName};
use landfall_core::linked_hub::LinkedHub;
use landfall_core::service::{AccessPolicy, ProvisioningService};
use landfall_core::store::{Change, CommitError, Expect, Write};
use landfall_hub::device::Hub;
use landfall_hub::policy::default_policies;
use landfall_hub::store::{HubExpect, HubStore, HubWrite};

use crate::backend::{Backend, COME_BACK, unread};
use crate::seed::Chance;

/// The policy that every service is founded with.
pub const OWNER_POLICY: &str = "provisioningserviceowner";

/// What a new service is called.
#[derive(Debug, Clone)]
pub struct Names {
    /// The service's own name.
    pub service: ServiceName,
    /// The host name that its API answers to.
    pub host: String,
    /// The host name of its embedded hub.
    pub hub: HubHostName,
}

/// Why a hub name is of no use to devices.
///
/// Source: docs/protocol/hub-api.md §0 [S]: the C, C# and Java device SDKs split the name at its
/// first dot.
pub fn check_hub_name(name: &HubHostName) -> Result<(), Error> {
    if name.as_str().contains('.') {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "The hub host name '{name}' has no dot: the C, C# and Java device SDKs refuse such a name. Use one like hub.example.net, or an address."
    )))
}

/// The link to an embedded hub, as it is made.
pub fn link(hub: HubHostName) -> LinkedHub {
    LinkedHub {
        host_name: hub,
        allocation_weight: 1,
        apply_allocation_policy: true,
        location: "embedded".to_owned(),
    }
}

/// Founds a service with its hub, whose id scope and keys the machine draws, as [`found_by`] does.
///
/// # Errors
/// Those of [`found_by`].
pub async fn found<S: HubStore>(
    backend: &Backend<S>,
    names: Names,
    author: Author,
) -> Result<(ProvisioningService, Hub), Error> {
    found_by(backend, names, author, &Chance::Machine).await
}

/// Founds a service with its hub, whose id scope and keys come from `chance`. A hub that is there and
/// that no service links, left by one that was deleted, becomes the new service's and keeps its keys.
/// `author` answers for it.
///
/// # Errors
/// `Exists` when a service of that name is there, or a hub that another service links; `Invalid` for
/// a hub name without a dot.
pub async fn found_by<S: HubStore>(
    backend: &Backend<S>,
    names: Names,
    author: Author,
    chance: &Chance,
) -> Result<(ProvisioningService, Hub), Error> {
    check_hub_name(&names.hub)?;
    let services = backend
        .store
        .services()
        .await
        .map_err(|error| unread(&error))?;
    if services.iter().any(|service| service.name == names.service) {
        return Err(Error::Exists(format!(
            "Provisioning service '{}'",
            names.service
        )));
    }
    let left = backend
        .store
        .hub(&names.hub)
        .await
        .map_err(|error| unread(&error))?
        .filter(|hub| {
            let mut links = services.iter().flat_map(|service| &service.linked_hubs);
            !links.any(|link| link.host_name == hub.host_name)
        });
    let expect = left
        .as_ref()
        .map_or(HubExpect::Absent, |hub| HubExpect::Revision(hub.revision));
    let etag = Etag::draw(&*backend.entropy);
    let (service, drawn) = draw(names, backend.clock.now(), etag, chance)?;
    let hub = left.unwrap_or(drawn);
    let change = Change {
        writes: vec![Write::PutService(Box::new(service.clone()), Expect::Absent)],
        hub_writes: vec![HubWrite::PutHub(Box::new(hub.clone()), expect)],
        author: Some(author),
        ..Change::default()
    };
    match backend.store.commit(vec![change]).await.pop() {
        Some(Ok(())) => {
            backend.metrics.services.expect(&service);
            Ok((service, hub))
        }
        Some(Err(
            CommitError::Exists(what)
            | CommitError::Changed(what)
            | CommitError::Absent(what)
            | CommitError::Full(what),
        )) => Err(Error::Exists(what)),
        Some(Err(CommitError::Unavailable(cause))) => {
            tracing::error!(cause, "a provisioning service could not be written");
            Err(Error::Unavailable(COME_BACK))
        }
        None => Err(Error::Internal),
    }
}

fn draw(
    names: Names,
    now: Timestamp,
    etag: Etag,
    chance: &Chance,
) -> Result<(ProvisioningService, Hub), Error> {
    let chance = |what: &str| chance.of(&format!("service {}: {what}", names.service));
    let scope = IdScope::draw(&*chance("id scope"));
    let policies = vec![AccessPolicy::owner(
        PolicyName::parse(OWNER_POLICY).map_err(|_| Error::Internal)?,
        &*chance("owner policy"),
    )];
    let hub_policies = default_policies(&*chance("hub policies"));
    let hub = Hub {
        host_name: names.hub,
        policies: hub_policies,
        created: now,
        revision: 0,
    };
    let service = ProvisioningService {
        id_scope: scope,
        name: names.service,
        host_name: names.host,
        policies,
        allocation: AllocationPolicy::Hashed,
        linked_hubs: vec![link(hub.host_name.clone())],
        require_verified_chain: false,
        etag,
        trust_version: 1,
        created: now,
    };
    Ok((service, hub))
}
