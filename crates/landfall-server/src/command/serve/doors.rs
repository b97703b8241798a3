//! The sockets of `landfall serve`: those that a service manager handed over, else those that the
//! configuration names.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tokio::net::TcpListener;

use crate::app::{Running, bind, bind_ipv6_alone};
use crate::command::outcome::{Exit, Failure};
use crate::config::Settings;
use crate::systemd::{Handed, HandedError};

/// Where a server listens.
#[derive(Debug)]
pub struct Doors {
    /// For devices and operators.
    pub https: Vec<SocketAddr>,
    /// For health and readiness.
    pub admin: SocketAddr,
}

/// Opens all of them but the last: health and readiness answer from the socket that is given back, once
/// whoever asks for them finds the server.
///
/// # Errors
/// [`Failure`] naming the address that cannot be served.
pub async fn open(
    running: &Running,
    settings: &Settings,
    handed: Handed,
) -> Result<(Doors, TcpListener), Failure> {
    let mut https = Vec::new();
    if handed.https.is_empty() {
        for address in &settings.https.listen {
            let socket = bound(*address, &settings.https.listen);
            let socket = socket.map_err(|error| refused(*address, &error))?;
            https.push(opened(running, socket).await?);
        }
    } else {
        for socket in handed.https {
            https.push(opened(running, socket).await?);
        }
        tracing::info!(listen = ?https, "sockets were handed over; https.listen is not bound");
    }
    let admin = match handed.admin {
        Some(socket) => {
            let address = socket.local_addr().map_err(anyhow::Error::new)?;
            if !address.ip().is_loopback() {
                return Err(Failure::new(
                    Exit::Refused,
                    format!(
                        "the socket handed over for health and readiness listens on {address}, which is no loopback address; it answers without TLS"
                    ),
                    "say ListenStream=127.0.0.1:9080 in the socket unit of the name admin",
                ));
            }
            Ok(socket)
        }
        None => TcpListener::bind(settings.admin_listen).await,
    };
    let socket = admin.map_err(|error| refused(settings.admin_listen, &error))?;
    let admin = socket.local_addr().map_err(anyhow::Error::new)?;
    Ok((Doors { https, admin }, socket))
}

async fn opened(running: &Running, socket: TcpListener) -> Result<SocketAddr, Failure> {
    let address = running.listen_on(socket).await;
    Ok(address.map_err(anyhow::Error::new)?)
}

/// All IPv6 addresses take IPv4 along, unless the configuration names all IPv4 addresses too.
fn bound(address: SocketAddr, all: &[SocketAddr]) -> io::Result<TcpListener> {
    let every_ipv4 = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), address.port());
    if address.is_ipv6() && all.contains(&every_ipv4) {
        bind_ipv6_alone(address)
    } else {
        bind(address)
    }
}

fn refused(address: SocketAddr, error: &io::Error) -> Failure {
    Failure::new(
        Exit::Refused,
        format!("cannot listen on {address}: {error}"),
        remedy(address, error),
    )
}

/// What to do about an address that cannot be listened on.
pub fn remedy(address: SocketAddr, error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "let the service bind low ports: AmbientCapabilities=CAP_NET_BIND_SERVICE in its systemd unit, a systemd socket unit that opens the port for it, `setcap cap_net_bind_service=+ep` on the binary, or `sysctl net.ipv4.ip_unprivileged_port_start=443`. Official SDKs know no other port than 443"
        }
        io::ErrorKind::AddrInUse => {
            "stop what holds the port (`ss -ltnp`), or serve on another address of this machine"
        }
        _ if address.is_ipv6() && address.ip().is_unspecified() => {
            "on a machine without IPv6, name 0.0.0.0:443 in https.listen"
        }
        _ => "name an address of this machine in https.listen",
    }
}

impl From<HandedError> for Failure {
    fn from(error: HandedError) -> Self {
        Failure::new(Exit::Refused, error.to_string(), error.fix())
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn all_ipv6_addresses_take_ipv4_along_unless_it_is_named_too() {
        let every_ipv6: SocketAddr = "[::]:0".parse().expect("an address");
        let Ok(both) = bound(every_ipv6, &[every_ipv6]) else {
            // A machine without IPv6 shows nothing here.
            assert!(std::net::TcpListener::bind("[::1]:0").is_err());
            return;
        };
        let port = both.local_addr().expect("bound").port();
        let called = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("reached by IPv4");
        let (_, peer) = both.accept().await.expect("accepted");
        assert_eq!(peer.port(), called.local_addr().expect("bound").port());
        drop((both, called));
        let every_ipv4: SocketAddr = "0.0.0.0:0".parse().expect("an address");
        let ipv4 = bound(every_ipv4, &[every_ipv4]).expect("bound");
        let port = ipv4.local_addr().expect("bound").port();
        let all = [
            (Ipv4Addr::UNSPECIFIED, port).into(),
            SocketAddr::new(every_ipv6.ip(), port),
        ];
        bound(all[1], &all).expect("beside IPv4");
    }
}
