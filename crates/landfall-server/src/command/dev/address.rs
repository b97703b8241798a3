//! Which address and ports a development server takes, and what it says when it cannot have them.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::Context;
use landfall_core::store::Store;
use landfall_hub::store::HubStore;
use landfall_store::SqliteStore;
use tokio::net::TcpListener;

use super::{DevOptions, names};
use crate::app::{self, Running};
use crate::backend::Backend;

/// Where official SDKs look for a service; then what a user without root may bind.
const HTTPS_PORTS: [u16; 4] = [443, 8443, 9443, 10443];
const ADMIN_PORTS: [u16; 2] = [9765, 0];

/// Takes the first port that can be bound on the address; says so when it is not the one SDKs know.
///
/// # Errors
/// When none can be bound, with the remedy.
pub fn bind_https(options: &DevOptions) -> anyhow::Result<TcpListener> {
    let bind = |port| app::bind(SocketAddr::new(options.bind, port));
    if let Some(port) = options.https_port {
        return bind(port).map_err(|error| refused(options.bind, port, &error));
    }
    let mut first_error = None;
    for port in HTTPS_PORTS {
        match bind(port) {
            Ok(socket) => {
                if let Some(error) = &first_error {
                    warn_of_other_port(options.bind, port, error);
                }
                return Ok(socket);
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

/// Opens the socket and every loopback address that a service or hub goes by.
///
/// # Errors
/// When the server is stopping, or the database cannot be read.
pub async fn open_doors(
    running: &Running,
    backend: &Backend<SqliteStore>,
    bind: IpAddr,
    socket: TcpListener,
) -> anyhow::Result<()> {
    let port = running.listen_on(socket).await?.port();
    let mut more: BTreeSet<IpAddr> = names::certified(backend, bind)
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

/// Opens the health checks.
///
/// # Errors
/// When no port can be bound for them, with the remedy.
pub async fn open_admin(running: &mut Running, options: &DevOptions) -> anyhow::Result<SocketAddr> {
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
