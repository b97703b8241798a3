//! `landfall dev`: everything on this machine, with nothing installed. Ready means that a simulated
//! device was provisioned through the server's own public port.

mod place;
mod ready;
mod self_check;

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use landfall_core::clock::Clock;
use landfall_core::id::{HubHostName, ServiceName};
use landfall_core::service::ProvisioningService;
use landfall_core::store::Store;
use landfall_hub::device::Hub;
use landfall_hub::store::HubStore;
use tokio_rustls::TlsAcceptor;

use crate::app::{Running, Settings};
use crate::backend::Backend;
use crate::data_folder::DataFolder;
use crate::dev_identity::DevIdentity;
use crate::founding::{self, Names};
use crate::own_api::Naming;
use crate::own_api::naming::Loopback;
use crate::time::{Stopwatch, SystemClock, SystemEntropy};
use crate::{signals, tls};

/// Where official SDKs look for a service; then what a user without root may bind.
const HTTPS_PORTS: [u16; 4] = [443, 8443, 9443, 10443];
const ADMIN_PORTS: [u16; 2] = [9765, 0];
/// The name of the provisioning service that the first start makes.
const FIRST_SERVICE: &str = "dev";

/// Options of `landfall dev`.
#[derive(Debug, Clone, Args)]
pub struct DevOptions {
    /// The data folder: database, keys, development certificates.
    #[arg(
        long,
        value_name = "DIR",
        env = "LANDFALL_DATA",
        default_value = "./landfall-data"
    )]
    pub data: PathBuf,
    /// The loopback address to serve on; the embedded hub has this name. With the default the
    /// provisioning service is called `localhost`.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1")]
    pub bind: IpAddr,
    /// The HTTPS port. Official SDKs know only 443; without this option, 8443 and more are tried
    /// when 443 cannot be bound.
    #[arg(long, value_name = "N")]
    pub https_port: Option<u16>,
    /// The port of the health checks, in plain HTTP on the same address.
    #[arg(long, value_name = "N")]
    pub admin_port: Option<u16>,
    /// What devices are told to wait between polls, in seconds.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=300))]
    pub retry_after: u64,
    /// Which log messages to print, for instance `info` or `landfall=debug`.
    #[arg(
        long,
        value_name = "FILTER",
        env = "LANDFALL_LOG",
        default_value = "warn"
    )]
    pub log: String,
}

/// Runs until Ctrl-C or SIGTERM.
///
/// # Errors
/// What kept the server from starting, with its remedy.
pub async fn run(options: DevOptions) -> anyhow::Result<()> {
    let watch = Stopwatch::start();
    signals::log(&options.log, signals::LogFormat::Text)?;
    let mut stop = signals::Stop::listen()?;
    let folder = Arc::new(DataFolder::open(&options.data)?);
    let database = folder.file("landfall.db");
    let sealing_key = folder.sealing_key(Path::new("sealing.key"), &database, &SystemEntropy)?;
    let backend = Backend::sqlite(database, sealing_key)?;
    let service = first_service(&backend, options.bind).await?;
    let identity = Arc::new(DevIdentity::open(
        Arc::clone(&folder),
        Arc::new(SystemClock),
        Arc::new(SystemEntropy),
        certified_names(&backend, options.bind).await?,
    )?);
    let control_token = folder.control_token(Path::new("control.token"), &SystemEntropy)?;
    let settings = Settings {
        retry_after: Duration::from_secs(options.retry_after),
        ..Settings::default()
    };
    let acceptor = TlsAcceptor::from(Arc::new(tls::server_config(identity.shown())?));

    let port = choose_port(&options)?;
    let naming_identity = Arc::clone(&identity);
    let mut running = Running::start(
        backend.clone(),
        Arc::clone(&folder),
        acceptor,
        control_token.clone(),
        move |doors| Naming::Loopback(Loopback::new(naming_identity, doors, port)),
        &settings,
    );
    let doors = open_doors(&running, &backend, options.bind, port).await;
    let started = match doors {
        Ok(()) => {
            start(
                &options,
                &mut running,
                &backend,
                &service,
                &folder,
                &identity,
                port,
            )
            .await
        }
        Err(error) => Err(error),
    };
    let ready = match started {
        Ok(ready) => ready,
        Err(error) => {
            running.stop().await;
            return Err(error);
        }
    };
    ready.print(watch.elapsed());
    let reason = stop.wait().await;
    println!("\n{reason}: stopping; running requests end first.");
    // Programs read it to find a server that runs: it must not outlive one.
    let _ = std::fs::remove_file(folder.file("dev.json"));
    running.stop().await;
    println!(
        "Stopped. Nothing that was accepted is lost; the data is in {}.",
        folder.path().display()
    );
    Ok(())
}

/// Health checks, self-check and `dev.json`: what stands between listening and ready.
async fn start(
    options: &DevOptions,
    running: &mut Running,
    backend: &Backend<landfall_store::SqliteStore>,
    service: &ProvisioningService,
    folder: &DataFolder,
    identity: &DevIdentity,
    port: u16,
) -> anyhow::Result<ready::Ready> {
    let admin = open_admin(running, options).await?;
    let hub = hub_of(backend, service).await?;
    let control_token = folder.control_token(Path::new("control.token"), &SystemEntropy)?;
    let place = place::Place {
        service: service.clone(),
        hub,
        port,
        bind: options.bind,
        admin,
        control_token,
        ca_file: identity.ca_file(),
        bundle_file: identity.bundle_file(),
    };
    let road = self_check::run(&place, &SystemClock).await.context(
        "the server listens, and the simulated device that it provisions through its own port was not assigned",
    )?;
    let trial = ready::Trial::draw(&place, &SystemClock, &SystemEntropy);
    let ready = ready::Ready {
        place,
        road,
        folder: folder.path().to_owned(),
        trial,
    };
    folder.write("dev.json", ready.json().as_bytes(), true)?;
    Ok(ready)
}

/// The oldest service of the data folder; the first start founds it.
async fn first_service(
    backend: &Backend<landfall_store::SqliteStore>,
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

async fn hub_of(
    backend: &Backend<landfall_store::SqliteStore>,
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
async fn certified_names(
    backend: &Backend<landfall_store::SqliteStore>,
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

/// The first port that can be bound on the address; says so when it is not the one SDKs know.
fn choose_port(options: &DevOptions) -> anyhow::Result<u16> {
    let try_bind =
        |port| std::net::TcpListener::bind(SocketAddr::new(options.bind, port)).map(drop);
    if let Some(port) = options.https_port {
        try_bind(port).map_err(|error| refused(options.bind, port, &error))?;
        return Ok(port);
    }
    let mut first_error = None;
    for port in HTTPS_PORTS {
        match try_bind(port) {
            Ok(()) => {
                if let Some(error) = &first_error {
                    warn_of_other_port(options.bind, port, error);
                }
                return Ok(port);
            }
            Err(error) => {
                first_error.get_or_insert(error);
            }
        }
    }
    let error = first_error.unwrap_or_else(|| io::Error::other("no port was tried"));
    Err(refused(options.bind, HTTPS_PORTS[0], &error))
}

fn warn_of_other_port(bind: IpAddr, port: u16, error: &io::Error) {
    eprintln!("warning: port 443 on {bind} cannot be bound ({error}); serving on {port} instead.");
    eprintln!(
        "         curl, the az CLI and the Python service SDKs follow a port in the name; the device SDKs and the Node and C# service SDKs know only 443."
    );
    if error.kind() == io::ErrorKind::PermissionDenied {
        eprintln!("  fix:   sudo sysctl net.ipv4.ip_unprivileged_port_start=443");
    } else {
        eprintln!(
            "  fix:   stop what holds the port, or serve on another loopback address: --bind 127.0.0.3"
        );
    }
}

fn warn_of_closed_door(address: IpAddr, port: u16, error: &io::Error) {
    eprintln!(
        "warning: port {port} on {address} cannot be bound ({error}): what goes by that address here is out of reach.\n  \
         fix:   see what holds it (`ss -ltnp`), stop that, and start again"
    );
}

fn refused(bind: IpAddr, port: u16, error: &io::Error) -> anyhow::Error {
    let remedy = match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "use a port above 1023 (--https-port), or allow low ports: sudo sysctl net.ipv4.ip_unprivileged_port_start=443"
        }
        io::ErrorKind::AddrInUse => {
            "stop what holds the port, or serve on another loopback address: --bind 127.0.0.3"
        }
        _ => "name an address of this machine with --bind",
    };
    anyhow::anyhow!("cannot listen on {bind} port {port}: {error}: {remedy}")
}

/// Opens the bound address and every loopback address that a service or hub goes by.
async fn open_doors(
    running: &Running,
    backend: &Backend<landfall_store::SqliteStore>,
    bind: IpAddr,
    port: u16,
) -> anyhow::Result<()> {
    let first = SocketAddr::new(bind, port);
    running
        .listen(first)
        .await
        .map_err(|error| refused(bind, port, &error))?;
    let mut more: BTreeSet<IpAddr> = certified_names(backend, bind)
        .await?
        .iter()
        .filter_map(|name| name.parse().ok())
        .filter(IpAddr::is_loopback)
        .collect();
    more.remove(&bind);
    if bind != IpAddr::V4(Ipv4Addr::LOCALHOST) {
        // Another landfall may serve there: only names of this data folder are opened.
        let recorded: BTreeSet<String> = backend
            .store
            .services()
            .await?
            .into_iter()
            .map(|service| service.host_name)
            .chain(
                backend
                    .store
                    .hubs()
                    .await?
                    .into_iter()
                    .map(|hub| hub.host_name.key().to_owned()),
            )
            .collect();
        more.retain(|address| recorded.contains(&address.to_string()));
    }
    for address in more {
        if let Err(error) = running.listen(SocketAddr::new(address, port)).await
            && address != IpAddr::V6(Ipv6Addr::LOCALHOST)
        {
            // One further service out of reach is no reason to keep all others down.
            warn_of_closed_door(address, port, &error);
        }
    }
    Ok(())
}

async fn open_admin(running: &mut Running, options: &DevOptions) -> anyhow::Result<SocketAddr> {
    let ports = match &options.admin_port {
        Some(port) => std::slice::from_ref(port),
        None => &ADMIN_PORTS[..],
    };
    let mut last = None;
    for port in ports {
        match running
            .listen_admin(SocketAddr::new(options.bind, *port))
            .await
        {
            Ok(bound) => return Ok(bound),
            Err(error) => last = Some((*port, error)),
        }
    }
    let (port, error) = last.context("no admin port was tried")?;
    Err(refused(options.bind, port, &error))
}

/// The time, for whoever signs tokens here.
fn soon(clock: &dyn Clock, span: Duration) -> landfall_core::clock::Timestamp {
    clock.now().plus(span)
}
