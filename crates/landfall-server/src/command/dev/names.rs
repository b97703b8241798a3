//! What the service and the hub of a development server are called.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use anyhow::bail;
use landfall_core::id::{HubHostName, ServiceName};
use landfall_core::service::ProvisioningService;
use landfall_core::store::Store;
use landfall_hub::device::Hub;
use landfall_hub::store::HubStore;
use landfall_store::SqliteStore;

use crate::backend::Backend;
use crate::founding::{self, Names};

/// The name of the provisioning service that the first start makes.
const FIRST_SERVICE: &str = "dev";

/// The oldest service of the data folder; the first start founds it.
pub async fn first_service(
    backend: &Backend<SqliteStore>,
    bind: IpAddr,
) -> anyhow::Result<ProvisioningService> {
    let services = backend.store.services().await?;
    if let Some(service) = services.into_iter().min_by_key(|service| service.created) {
        return Ok(service);
    }
    let host = if bind == IpAddr::V4(Ipv4Addr::LOCALHOST) {
        "localhost".to_owned()
    } else {
        bind.to_string()
    };
    let names = Names {
        service: ServiceName::parse(FIRST_SERVICE)?,
        host,
        hub: HubHostName::parse(&bind.to_string())
            .map_err(|error| anyhow::anyhow!("--bind {bind}: {error}; give an IPv4 address"))?,
    };
    Ok(founding::found(backend, names, backend.server()).await?.0)
}

/// The embedded hub that `service` assigns to.
pub async fn hub_of(
    backend: &Backend<SqliteStore>,
    service: &ProvisioningService,
) -> anyhow::Result<Hub> {
    for linked in &service.linked_hubs {
        if let Some(hub) = backend.store.hub(&linked.host_name).await? {
            return Ok(hub);
        }
    }
    bail!(
        "provisioning service '{}' has no embedded hub; begin with a fresh --data folder",
        service.name
    )
}

/// All names that services and hubs of the data folder go by, and those of this machine.
pub async fn certified(
    backend: &Backend<SqliteStore>,
    bind: IpAddr,
) -> anyhow::Result<BTreeSet<String>> {
    let mut names: BTreeSet<String> = ["localhost", "127.0.0.1", "::1"]
        .into_iter()
        .map(str::to_owned)
        .collect();
    names.insert(bind.to_string());
    names.extend(
        backend
            .store
            .services()
            .await?
            .into_iter()
            .map(|service| service.host_name),
    );
    names.extend(
        backend
            .store
            .hubs()
            .await?
            .iter()
            .map(|hub| hub.host_name.key().to_owned()),
    );
    Ok(names)
}
