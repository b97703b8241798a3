//! What the service and the hub of a development server are called, at its first start and later.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use anyhow::{Context as _, bail};
use landfall_core::id::{Etag, HubHostName, ServiceName};
use landfall_core::service::ProvisioningService;
use landfall_core::store::{Change, Expect, Store, Write};
use landfall_hub::device::Hub;
use landfall_hub::store::HubStore;
use landfall_store::SqlStore;
use rustls_pki_types::ServerName;

use super::place::needs_no_look_up;
use crate::backend::Backend;
use crate::founding::{self, Names};
use crate::seed::Chance;
use crate::time;

/// The name of the provisioning service that the first start makes.
const FIRST_SERVICE: &str = "dev";
/// How long a name may take to be looked up before it counts as unknown.
const LOOK_UP: Duration = Duration::from_secs(1);

/// Reads the names that the server shall go by, in lower case.
///
/// # Errors
/// For one that is no host name, or that devices could not use as a hub's.
pub fn announced(hosts: &[String]) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for host in hosts {
        let name = HubHostName::parse(&host.to_ascii_lowercase())
            .map_err(|error| anyhow::anyhow!("--host '{host}': {error}"))?;
        if let Err(error) = founding::check_hub_name(&name) {
            bail!("--host '{host}': {error}");
        }
        if ServerName::try_from(name.as_str()).is_err() {
            bail!(
                "--host '{host}': no TLS client can ask for such a name: give labels of letters, digits and hyphens with single dots between them, such as dps.test"
            );
        }
        let name = name.as_str().to_owned();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

/// The oldest service of the data folder, with its hub; the first start founds them, a later one
/// with another first name renames the service.
///
/// # Errors
/// When the names do not go with the address or with the hub that the folder has.
pub async fn first_service(
    backend: &Backend<SqlStore>,
    bind: IpAddr,
    hosts: &[String],
    chance: &Chance,
) -> anyhow::Result<(ProvisioningService, Hub)> {
    if bind.is_unspecified() && hosts.is_empty() {
        bail!(
            "--bind {bind} serves on every address of this machine, and devices are told a hub by name: give the name they reach it by with --host, for instance --host dps.test"
        );
    }
    let services = backend.store.services().await?;
    let Some(service) = services.into_iter().min_by_key(|service| service.created) else {
        let names = first_names(bind, hosts)?;
        let author = backend.server();
        return Ok(founding::found_by(backend, names, author, chance).await?);
    };
    let hub = hub_of(backend, &service).await?;
    let Some(first) = hosts.first() else {
        return Ok((service, hub));
    };
    if !hosts.iter().any(|host| host == hub.host_name.key()) {
        bail!(
            "the hub of this data folder is called {hub}, which devices may have been told: give --host {hub} after the other names; or begin with a new --data folder or --ephemeral; or add a service beside it while the server runs: `landfall service create NAME --host {first} --hub-host {first}`",
            hub = hub.host_name
        );
    }
    let service = if service.host_name == *first {
        service
    } else {
        renamed(backend, service, first).await?
    };
    Ok((service, hub))
}

fn first_names(bind: IpAddr, hosts: &[String]) -> anyhow::Result<Names> {
    let (host, hub) = match hosts.first() {
        Some(first) => (first.clone(), first.clone()),
        None if bind == IpAddr::V4(Ipv4Addr::LOCALHOST) => {
            ("localhost".to_owned(), bind.to_string())
        }
        None => (bind.to_string(), bind.to_string()),
    };
    Ok(Names {
        service: ServiceName::parse(FIRST_SERVICE)?,
        host,
        hub: HubHostName::parse(&hub).map_err(|error| {
            anyhow::anyhow!("--bind {bind}: {error}; give an IPv4 address, or a name with --host")
        })?,
    })
}

async fn renamed(
    backend: &Backend<SqlStore>,
    service: ProvisioningService,
    host: &str,
) -> anyhow::Result<ProvisioningService> {
    let expect = Expect::Etag(service.etag.clone());
    let service = ProvisioningService {
        host_name: host.to_owned(),
        etag: Etag::draw(&*backend.entropy),
        ..service
    };
    let write = Write::PutService(Box::new(service.clone()), expect);
    let change = Change::of(write).by(backend.server());
    for outcome in backend.store.commit(vec![change]).await {
        outcome.with_context(|| format!("the service could not be given the name {host}"))?;
    }
    Ok(service)
}

/// The address that the first service's hub has for a name; none when it has another, or there is none.
pub async fn made_for(backend: &Backend<SqlStore>) -> anyhow::Result<Option<IpAddr>> {
    let services = backend.store.services().await?;
    let first = services.iter().min_by_key(|service| service.created);
    let hub = first.and_then(|service| service.linked_hubs.first());
    Ok(hub.and_then(|hub| hub.host_name.as_str().parse().ok()))
}

/// The embedded hub that `service` assigns to.
pub async fn hub_of(
    backend: &Backend<SqlStore>,
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

/// The names that services and hubs of the data folder go by.
pub async fn recorded(backend: &Backend<SqlStore>) -> anyhow::Result<BTreeSet<String>> {
    let services = backend.store.services().await?;
    let hubs = backend.store.hubs().await?;
    let services = services.into_iter().map(|service| service.host_name);
    let hubs = hubs.iter().map(|hub| hub.host_name.key().to_owned());
    Ok(services.chain(hubs).collect())
}

/// All names that the certificate must hold: those of the data folder, those that were given, and
/// those of this machine.
pub async fn certified(
    backend: &Backend<SqlStore>,
    bind: IpAddr,
    hosts: &[String],
) -> anyhow::Result<BTreeSet<String>> {
    let mut names = recorded(backend).await?;
    names.extend(["localhost", "127.0.0.1", "::1"].map(str::to_owned));
    names.extend(hosts.iter().cloned());
    if !bind.is_unspecified() {
        names.insert(bind.to_string());
    }
    Ok(names)
}

/// The names that need a look-up, which this machine may know or not: those that were given, and those
/// that the data folder has from earlier.
pub async fn to_be_looked_up(
    backend: &Backend<SqlStore>,
    hosts: Vec<String>,
) -> anyhow::Result<Vec<String>> {
    let recorded = recorded(backend).await?;
    let earlier: Vec<_> = recorded
        .into_iter()
        .filter(|name| !needs_no_look_up(name) && !hosts.contains(name))
        .collect();
    Ok([hosts, earlier].concat())
}

/// The names that do not lead to the server from this machine, each with where it leads instead, when
/// it leads anywhere. Containers may know better.
pub async fn astray(hosts: Vec<String>, bind: IpAddr) -> Vec<(String, Option<IpAddr>)> {
    let mut astray = Vec::new();
    for host in hosts {
        let found = match host.parse() {
            Ok(address) => vec![address],
            Err(_) => looked_up(&host).await,
        };
        if !found.iter().any(|address| leads_here(*address, bind)) {
            astray.push((host, found.first().copied()));
        }
    }
    astray
}

async fn looked_up(host: &str) -> Vec<IpAddr> {
    let found = time::timeout(LOOK_UP, tokio::net::lookup_host((host, 443))).await;
    let found = found.ok().and_then(Result::ok).into_iter().flatten();
    found.map(|found| found.ip()).collect()
}

/// Whether a server that is bound to `bind` is at `address`: this machine's, when it is bound to all.
fn leads_here(address: IpAddr, bind: IpAddr) -> bool {
    if bind.is_unspecified() {
        return std::net::TcpListener::bind((address, 0)).is_ok();
    }
    address == bind
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(hosts: &[&str]) -> Result<Vec<String>, String> {
        let hosts: Vec<_> = hosts.iter().map(|host| (*host).to_owned()).collect();
        announced(&hosts).map_err(|error| error.to_string())
    }

    #[test]
    fn a_name_without_a_dot_is_refused_with_the_reason() {
        let told = names(&["dps.test", "landfall"]).expect_err("refused");
        assert!(
            told.contains("'landfall'") && told.contains("no dot"),
            "{told}"
        );
        assert!(names(&["https://dps.test"]).is_err());
        assert!(names(&["dps.test:443"]).is_err());
        let told = names(&["dps..test"]).expect_err("refused");
        assert!(told.contains("single dots"), "{told}");
        assert_eq!(
            names(&["DPS.test", "10.0.0.7", "dps.test"]),
            Ok(vec!["dps.test".to_owned(), "10.0.0.7".to_owned()])
        );
    }

    #[test]
    fn the_first_name_is_the_services_and_the_hubs() {
        let named = |bind: &str, hosts: &[&str]| {
            let hosts: Vec<_> = hosts.iter().map(|host| (*host).to_owned()).collect();
            let names = first_names(bind.parse().expect("an address"), &hosts);
            names.ok().map(|names| (names.host, names.hub.to_string()))
        };
        let pair = |host: &str, hub: &str| Some((host.to_owned(), hub.to_owned()));
        assert_eq!(named("127.0.0.1", &[]), pair("localhost", "127.0.0.1"));
        assert_eq!(named("127.0.0.3", &[]), pair("127.0.0.3", "127.0.0.3"));
        assert_eq!(named("::1", &[]), None);
        for bind in ["127.0.0.1", "0.0.0.0", "::1"] {
            assert_eq!(named(bind, &["a.test", "b.test"]), pair("a.test", "a.test"));
        }
    }

    #[tokio::test]
    async fn names_that_lead_elsewhere_or_nowhere_are_told() {
        let told = async |hosts: &[&str], bind: &str| {
            let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
            astray(hosts, bind.parse().expect("an address")).await
        };
        let address = |text: &str| text.parse::<IpAddr>().ok();
        let hosts = ["127.0.0.9", "nobody.invalid"];
        let nobody = ("nobody.invalid".to_owned(), None);
        assert_eq!(told(&hosts, "127.0.0.9").await, vec![nobody.clone()]);
        let elsewhere = ("127.0.0.9".to_owned(), address("127.0.0.9"));
        assert_eq!(told(&hosts, "127.0.0.1").await, [elsewhere, nobody.clone()]);
        assert_eq!(told(&hosts, "0.0.0.0").await, [nobody]);
        let away = ("192.0.2.1".to_owned(), address("192.0.2.1"));
        assert_eq!(told(&["192.0.2.1"], "0.0.0.0").await, [away]);
    }
}
