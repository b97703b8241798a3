//! How a new provisioning service and its hub get their host names: given by the operator, or, on a
//! development machine, the next free loopback address, bound and certified at once.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use landfall_core::error::Error;
use landfall_core::id::HubHostName;
use tokio::sync::{Mutex, mpsc};

use crate::app::{Door, Listen, listen};
use crate::backend::COME_BACK;
use crate::dev_identity::DevIdentity;
use crate::serve_identity;
use crate::tls::ServerIdentity;

/// Where host names of new services come from.
pub enum Naming {
    /// The operator must give both; the certificates are the operator's too.
    Given(Arc<ServerIdentity>),
    /// A development machine: what is not given is the next free loopback address.
    Loopback(Loopback),
}

/// Loopback addresses of a development machine.
pub struct Loopback {
    identity: Arc<DevIdentity>,
    doors: mpsc::Sender<Listen>,
    /// The server's first door.
    first: SocketAddr,
    /// The port that SDKs know for MQTT, when the server has it.
    mqtt_port: Option<u16>,
    turn: Mutex<()>,
    /// Addresses of services and hubs that were deleted: their doors stand open still.
    freed: Mutex<BTreeSet<Ipv4Addr>>,
}

impl Loopback {
    /// Hands out addresses that are opened through `doors`, at the port of the `first` one and at that
    /// of MQTT, and named by `identity`.
    pub fn new(
        identity: Arc<DevIdentity>,
        doors: mpsc::Sender<Listen>,
        first: SocketAddr,
        mqtt_port: Option<u16>,
    ) -> Self {
        Loopback {
            identity,
            doors,
            first,
            mqtt_port,
            turn: Mutex::new(()),
            freed: Mutex::default(),
        }
    }

    /// Gives an address that a deleted service or hub left, else opens the next free one.
    async fn vacant(&self, taken: &BTreeSet<String>) -> Result<Ipv4Addr, Error> {
        let mut freed = self.freed.lock().await;
        freed.retain(|address| !taken.contains(&address.to_string()));
        if let Some(address) = freed.pop_first() {
            return Ok(address);
        }
        drop(freed);
        self.next_free(taken).await
    }

    /// Opens the first address of this server's block that neither a record nor another program uses.
    async fn next_free(&self, taken: &BTreeSet<String>) -> Result<Ipv4Addr, Error> {
        let [_, middle, third, _] = block(self.first.ip()).octets();
        for last in 2..=254 {
            let address = Ipv4Addr::new(127, middle, third, last);
            if taken.contains(&address.to_string()) {
                continue;
            }
            if self.first.ip() == IpAddr::V4(Ipv4Addr::UNSPECIFIED) {
                return Ok(address);
            }
            let door = Door::At(SocketAddr::new(IpAddr::V4(address), self.first.port()));
            if listen(&self.doors, door).await.is_ok() {
                self.open_for_mqtt(address).await;
                return Ok(address);
            }
        }
        Err(Error::Invalid(
            "No loopback address of this server's block is free; give --host and --hub-host."
                .to_owned(),
        ))
    }

    /// Opens the port of MQTT, where the server has one. The other takes MQTT too, so that the address
    /// serves without it.
    async fn open_for_mqtt(&self, address: Ipv4Addr) {
        let Some(port) = self.mqtt_port else { return };
        let address = SocketAddr::new(IpAddr::V4(address), port);
        if let Err(error) = listen(&self.doors, Door::At(address)).await {
            tracing::warn!(%error, "clients whose MQTT port is fixed do not find {address}");
        }
    }
}

/// The addresses that a server takes for further services: 127.0.0.0/24, or one of its own when it
/// was put beside another (127.0.0.3 has 127.3.0.0/24). One that starts later finds its own free.
fn block(first: IpAddr) -> Ipv4Addr {
    match first {
        IpAddr::V4(first) if first.is_loopback() && first != Ipv4Addr::LOCALHOST => {
            let [_, _, third, last] = first.octets();
            Ipv4Addr::new(127, last, third, 0)
        }
        _ => Ipv4Addr::new(127, 0, 0, 0),
    }
}

impl Naming {
    /// The host names of a new service and its hub. `taken` are the names in use, lower case.
    ///
    /// # Errors
    /// `Invalid` when a name must be given and is not, or when no address is free.
    pub async fn choose(
        &self,
        host: Option<String>,
        hub: Option<HubHostName>,
        taken: BTreeSet<String>,
    ) -> Result<(String, HubHostName), Error> {
        let host = host.map(|host| host.trim().to_ascii_lowercase());
        match (self, host, hub) {
            (_, Some(host), Some(hub)) => {
                if let Naming::Loopback(loopback) = self {
                    loopback.certify(&[&host, hub.as_str()])?;
                }
                Ok((host, hub))
            }
            (Naming::Given(_), _, _) => Err(Error::Invalid(
                "Give the service's host name (--host) and its hub's (--hub-host): names that devices and operators resolve to this server and that its certificate holds.".to_owned(),
            )),
            (Naming::Loopback(loopback), host, hub) => {
                let _turn = loopback.turn.lock().await;
                let address = loopback.vacant(&taken).await?.to_string();
                let host = host.unwrap_or_else(|| address.clone());
                let hub = match hub {
                    Some(hub) => hub,
                    None => HubHostName::parse(&address).map_err(|error| Error::Invalid(error.to_string()))?,
                };
                loopback.certify(&[&address, &host, hub.as_str()])?;
                Ok((host, hub))
            }
        }
    }
}

impl Naming {
    /// What the operator is to know of names that were given: those that no certificate holds. They are
    /// taken all the same, since a certificate may follow its service.
    pub fn remarks(&self, names: &[&str]) -> Vec<String> {
        let Naming::Given(identity) = self else {
            return Vec::new();
        };
        let uncertified: Vec<String> = names
            .iter()
            .filter(|name| !identity.carries(name))
            .map(|name| serve_identity::uncertified(name))
            .collect();
        for remark in &uncertified {
            tracing::warn!("{remark}");
        }
        uncertified
    }

    /// The host name that an existing service is to be called by from now on; a development machine
    /// certifies it, and opens it when it is a loopback address.
    ///
    /// # Errors
    /// `Invalid` when the address cannot be opened, `Unavailable` when the name cannot be certified.
    pub async fn renamed(&self, host: &str) -> Result<String, Error> {
        let host = host.trim().to_ascii_lowercase();
        let Naming::Loopback(loopback) = self else {
            return Ok(host);
        };
        loopback.certify(&[&host])?;
        let address = host.parse::<IpAddr>().ok().filter(IpAddr::is_loopback);
        if let Some(address) = address {
            let door = Door::At(SocketAddr::new(address, loopback.first.port()));
            match listen(&loopback.doors, door).await {
                Ok(_) => {}
                // Most often its door stands open already.
                Err(error) if error.kind() == ErrorKind::AddrInUse => {}
                Err(error) => {
                    return Err(Error::Invalid(format!(
                        "The address {address} cannot be listened on: {error}."
                    )));
                }
            }
        }
        Ok(host)
    }

    /// Takes back the names of what was deleted: a loopback address goes to the next that needs one.
    pub async fn freed(&self, names: &[String]) {
        let Naming::Loopback(loopback) = self else {
            return;
        };
        let addresses = names
            .iter()
            .filter_map(|name| name.parse::<Ipv4Addr>().ok());
        let mut freed = loopback.freed.lock().await;
        freed.extend(addresses.filter(Ipv4Addr::is_loopback));
    }
}

impl Loopback {
    fn certify(&self, names: &[&str]) -> Result<(), Error> {
        self.identity.add_names(names).map_err(|error| {
            tracing::error!(%error, "the server certificate could not be renewed for a new name");
            Error::Unavailable(COME_BACK)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_side_by_side_have_blocks_of_their_own() {
        for (first, wanted) in [
            ("127.0.0.1", "127.0.0.0"),
            ("127.0.0.3", "127.3.0.0"),
            ("127.0.2.3", "127.3.2.0"),
            ("0.0.0.0", "127.0.0.0"),
            ("::1", "127.0.0.0"),
        ] {
            let first = first.parse().expect("an address");
            assert_eq!(block(first).to_string(), wanted);
        }
    }
}
