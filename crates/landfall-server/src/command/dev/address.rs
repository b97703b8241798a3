//! Which address and ports a development server takes, and what it says when it cannot have them.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use anyhow::Context;
use landfall_store::SqlStore;
use tokio::net::TcpListener;

use super::{names, ready};
use crate::app::{self, Running};
use crate::backend::Backend;
use crate::command::print;

/// Where official SDKs look for a service; then what a user without root may bind.
const HTTPS_PORTS: [u16; 4] = [443, 8443, 9443, 10443];
/// Where official SDKs look for MQTT. Every port of the server takes it; they ask at no other.
const MQTT_PORT: u16 = 8883;
const ADMIN_PORTS: [u16; 2] = [9765, 0];

/// Where to serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bind {
    /// On this address.
    To(IpAddr),
    /// On a loopback address where no other program has the port.
    Auto,
}

impl FromStr for Bind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "auto" {
            return Ok(Bind::Auto);
        }
        let address = text.parse().map(Bind::To);
        address.map_err(|_| "not an IP address, and not `auto`".to_owned())
    }
}

impl Bind {
    /// The addresses to try, in order. A folder that was made for an address keeps to it, since its
    /// hub goes by that.
    fn candidates(self, made_for: Option<IpAddr>) -> Vec<IpAddr> {
        match (self, made_for) {
            (Bind::To(address), _) | (Bind::Auto, Some(address)) => vec![address],
            (Bind::Auto, None) => {
                let more = (1..=254).map(|last| Ipv4Addr::new(127, 0, 2, last));
                let all = std::iter::once(Ipv4Addr::LOCALHOST).chain(more);
                all.map(IpAddr::V4).collect()
            }
        }
    }
}

/// Takes the first port that can be bound on the address; says so when it is not the one SDKs know.
///
/// # Errors
/// When none can be bound, with the remedy.
pub fn bind_https(
    bind: Bind,
    https_port: Option<u16>,
    made_for: Option<IpAddr>,
) -> anyhow::Result<TcpListener> {
    let ports = match &https_port {
        Some(port) => std::slice::from_ref(port),
        None => &HTTPS_PORTS[..],
    };
    let mut first = None;
    for port in ports {
        for address in bind.candidates(made_for) {
            match app::bind(SocketAddr::new(address, *port)) {
                Ok(socket) => {
                    if let Some((_, _, error)) = &first
                        && https_port.is_none()
                        && *port != HTTPS_PORTS[0]
                    {
                        warn_of_other_port(address, *port, error);
                    }
                    return Ok(socket);
                }
                Err(error) => {
                    let is_denied = error.kind() == io::ErrorKind::PermissionDenied;
                    first.get_or_insert((address, *port, error));
                    if is_denied {
                        // No other address has this port for this user.
                        break;
                    }
                }
            }
        }
    }
    let (address, port, error) = first.context("no address was tried")?;
    Err(refused(address, port, &error))
}

/// Takes the port that SDKs know for MQTT, or the one that was asked for. Without a wish it may be out of
/// reach: that is said, and the HTTPS port takes MQTT as well. A server on just any HTTPS port takes none
/// that another may look for.
///
/// # Errors
/// When the port that was asked for cannot be bound, with the remedy.
pub fn bind_mqtt(
    https: SocketAddr,
    https_port: Option<u16>,
    mqtt_port: Option<u16>,
) -> anyhow::Result<Option<TcpListener>> {
    if mqtt_port.is_none() && https_port == Some(0) {
        return Ok(None);
    }
    let address = SocketAddr::new(https.ip(), mqtt_port.unwrap_or(MQTT_PORT));
    match app::bind(address) {
        Ok(socket) => Ok(Some(socket)),
        Err(error) if mqtt_port.is_some() => Err(refused(address.ip(), address.port(), &error)),
        Err(error) => {
            print::aside(&format!(
                "warning: port {MQTT_PORT} on {} cannot be bound ({error}): clients whose MQTT port is fixed do not find this server; port {} takes MQTT too.\n  \
                 fix:   stop what holds the port, or serve on another loopback address: --bind auto",
                address.ip(),
                https.port()
            ));
            Ok(None)
        }
    }
}

/// Says that whoever reaches this machine reaches the server, when that is so.
pub fn warn_of_the_network(address: IpAddr) {
    if !address.is_loopback() {
        eprintln!(
            "warning: serving on {address}, which other machines may reach: this is a development server, whose keys lie open in its data folder.\n  \
             fix:   serve on a loopback address (--bind), or keep the port from others (a firewall, a container's own network)"
        );
    }
}

/// Says which of the server's names do not lead to it from this machine.
pub fn warn_of_astray(names: &[(String, Option<IpAddr>)], address: IpAddr) {
    for (name, place) in names {
        let place = match place {
            Some(place) => format!("to {place}, which is not this server,"),
            None => "nowhere".to_owned(),
        };
        let fix = match name.parse::<IpAddr>() {
            Ok(_) => format!("--bind {name}, or --bind 0.0.0.0"),
            Err(_) => format!("echo '{address} {name}' | sudo tee -a /etc/hosts"),
        };
        print::aside(&format!(
            "warning: {name} leads {place} on this machine. Containers may know better (a network alias); for programs here\n  \
             fix:   {fix}"
        ));
    }
}

fn warn_of_other_port(bind: IpAddr, port: u16, error: &io::Error) {
    eprintln!("warning: port 443 on {bind} cannot be bound ({error}); serving on {port} instead.");
    eprintln!(
        "         curl, browsers, the az CLI and the Python service SDKs follow a port in the name; the Node and Java service SDKs and most device SDKs do not."
    );
    if error.kind() == io::ErrorKind::PermissionDenied {
        eprintln!(
            "  fix:   sudo sysctl net.ipv4.ip_unprivileged_port_start=443   (for all programs, until the next boot)"
        );
        let own = std::env::current_exe().unwrap_or_else(|_| "landfall".into());
        eprintln!(
            "  or:    sudo setcap cap_net_bind_service=+ep {}   (for this executable)",
            ready::pasted(&own)
        );
    } else {
        eprintln!(
            "  fix:   stop what holds the port, or serve on another loopback address: --bind auto"
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
            "stop what holds the port, or serve on another loopback address: --bind auto"
        }
        _ => "name an address of this machine with --bind",
    };
    anyhow::anyhow!("cannot listen on {bind} port {port}: {error}: {remedy}")
}

/// Opens the sockets and every loopback address that a service or hub goes by.
///
/// # Errors
/// When the server is stopping, or the database cannot be read.
pub async fn open_doors(
    running: &Running,
    backend: &Backend<SqlStore>,
    socket: TcpListener,
    mqtt: Option<TcpListener>,
) -> anyhow::Result<()> {
    let first = running.listen_on(socket).await?;
    let bind = first.ip();
    let mut ports = vec![first.port()];
    if let Some(socket) = mqtt {
        ports.push(running.listen_on(socket).await?.port());
    }
    let recorded = names::recorded(backend).await?;
    let mut more: BTreeSet<IpAddr> = recorded
        .iter()
        .filter_map(|name| name.parse().ok())
        .filter(IpAddr::is_loopback)
        .collect();
    if bind == IpAddr::V4(Ipv4Addr::LOCALHOST) {
        // `localhost` may lead there. Beside another address it may be another landfall's.
        more.insert(Ipv6Addr::LOCALHOST.into());
    }
    more.remove(&bind);
    // Whoever serves on every address serves on these.
    more.retain(|address| !bind.is_unspecified() || address.is_ipv4() != bind.is_ipv4());
    for address in more {
        for port in &ports {
            if let Err(error) = running.listen(SocketAddr::new(address, *port)).await
                && address != IpAddr::V6(Ipv6Addr::LOCALHOST)
            {
                // One further service out of reach is no reason to keep all others down.
                warn_of_closed_door(address, *port, &error);
            }
        }
    }
    Ok(())
}

/// Opens the health checks.
///
/// # Errors
/// When no port can be bound for them, with the remedy.
pub async fn open_admin(
    running: &mut Running,
    bind: IpAddr,
    port: Option<u16>,
) -> anyhow::Result<SocketAddr> {
    let ports = match &port {
        Some(port) => std::slice::from_ref(port),
        None => &ADMIN_PORTS[..],
    };
    let mut last = None;
    for port in ports {
        match running.listen_admin(SocketAddr::new(bind, *port)).await {
            Ok(bound) => return Ok(bound),
            Err(error) => last = Some((*port, error)),
        }
    }
    let (port, error) = last.context("no admin port was tried")?;
    Err(refused(bind, port, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_looked_for_only_where_none_is_settled() {
        let fixed: IpAddr = "127.0.0.3".parse().expect("an address");
        assert_eq!("127.0.0.3".parse(), Ok(Bind::To(fixed)));
        assert_eq!("auto".parse(), Ok(Bind::Auto));
        assert!("localhost".parse::<Bind>().is_err());
        let other = Some(Ipv4Addr::LOCALHOST.into());
        assert_eq!(Bind::To(fixed).candidates(other), [fixed]);
        assert_eq!(Bind::Auto.candidates(Some(fixed)), [fixed]);
        let free = Bind::Auto.candidates(None);
        assert_eq!(free.first(), other.as_ref());
        assert!(free.len() > 100 && free.iter().all(IpAddr::is_loopback));
    }

    #[tokio::test]
    async fn the_next_address_is_taken_where_the_first_is_not_free() {
        let held = app::bind((Ipv4Addr::LOCALHOST, 0).into()).expect("bound");
        let port = held.local_addr().expect("an address").port();
        let other = bind_https(Bind::Auto, Some(port), None).expect("bound");
        let other = other.local_addr().expect("an address");
        assert_eq!(other.port(), port);
        assert_ne!(other.ip(), IpAddr::V4(Ipv4Addr::LOCALHOST));
        let here = Bind::To(Ipv4Addr::LOCALHOST.into());
        let told = bind_https(here, Some(port), None).expect_err("refused");
        assert!(told.to_string().contains("--bind auto"), "{told}");
    }
}
