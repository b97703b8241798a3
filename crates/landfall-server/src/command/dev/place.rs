//! Where a development server and its parts are, and how they are called by name.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use landfall_core::secret::SymmetricKey;
use landfall_core::service::{ProvisioningService, Rights};
use landfall_hub::device::Hub;
use landfall_hub::policy::Permissions;
use landfall_wire::client::connection_string::ConnectionString;

use crate::client::Endpoint;

/// Where everything is.
#[derive(Clone)]
pub struct Place {
    /// The provisioning service.
    pub service: ProvisioningService,
    /// Its embedded hub.
    pub hub: Hub,
    /// The HTTPS port of all of them.
    pub port: u16,
    /// The port that SDKs find MQTT at, or that one.
    pub mqtt_port: u16,
    /// The address that was bound first.
    pub bind: IpAddr,
    /// The names that the server was told to go by.
    pub hosts: Vec<String>,
    /// Where the health checks are.
    pub admin: SocketAddr,
    /// The bearer token of the control plane.
    pub control_token: SymmetricKey,
    /// The development CA's certificate.
    pub ca_file: PathBuf,
    /// That certificate and the system's roots, in one file.
    pub bundle_file: PathBuf,
}

impl Place {
    /// Where the server is on this machine.
    pub fn address(&self) -> IpAddr {
        match self.bind {
            IpAddr::V4(bind) if bind.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(bind) if bind.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            bind => bind,
        }
    }

    /// How a client of this machine reaches one of the server's names. The bound address, loopback
    /// ones and `localhost` are where they are; any other name, and the address of another machine,
    /// may mean nothing here, or somebody else.
    pub fn endpoint(&self, name: &str) -> Endpoint {
        let endpoint = Endpoint::new(name, self.port);
        if leads_here(name, self.bind) {
            endpoint
        } else {
            endpoint.at(self.address())
        }
    }

    /// The base of the health checks' URLs.
    pub fn admin_url(&self) -> String {
        let admin = match self.admin.ip().is_unspecified() {
            true => SocketAddr::new(self.address(), self.admin.port()),
            false => self.admin,
        };
        format!("http://{admin}")
    }

    /// What tells curl where a name is that this machine need not know.
    pub fn resolved_for_curl(&self) -> String {
        let name = &self.service.host_name;
        if needs_no_look_up(name) {
            return String::new();
        }
        let address = match self.address() {
            IpAddr::V6(address) => format!("[{address}]"),
            IpAddr::V4(address) => address.to_string(),
        };
        format!(" --resolve {name}:{}:{address}", self.port)
    }

    /// The connection string of the service's owner.
    pub fn service_connection_string(&self) -> String {
        self.service
            .policies
            .iter()
            .find(|policy| policy.rights == Rights::ALL)
            .map_or_else(String::new, |policy| {
                self.connection_string(
                    &self.service.host_name,
                    policy.name.as_str(),
                    &policy.keys.primary,
                )
            })
    }

    /// The connection string of the hub's owner.
    pub fn hub_connection_string(&self) -> String {
        self.hub
            .policies
            .iter()
            .find(|policy| policy.permissions == Permissions::ALL)
            .map_or_else(String::new, |policy| {
                self.connection_string(
                    self.hub.host_name.as_str(),
                    policy.name.as_str(),
                    &policy.keys.primary,
                )
            })
    }

    fn connection_string(&self, host: &str, policy: &str, key: &SymmetricKey) -> String {
        let port = (self.port != 443).then_some(self.port);
        ConnectionString::new(host, port, policy, key.clone()).to_text()
    }

    /// The base of every URL of the service.
    pub fn url(&self) -> String {
        match self.port {
            443 => format!("https://{}", self.service.host_name),
            port => format!("https://{}:{port}", self.service.host_name),
        }
    }
}

/// Whether every machine knows where the name leads.
pub fn needs_no_look_up(name: &str) -> bool {
    name == "localhost" || name.parse::<IpAddr>().is_ok()
}

/// Whether the name leads to this machine whoever looks it up.
fn leads_here(name: &str, bind: IpAddr) -> bool {
    let address = name.parse::<IpAddr>();
    name == "localhost" || address.is_ok_and(|address| address.is_loopback() || address == bind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_another_machine_is_never_dialled() {
        let bind = IpAddr::from([192, 0, 2, 1]);
        for name in ["localhost", "127.0.0.9", "::1", "192.0.2.1"] {
            assert!(leads_here(name, bind), "{name}");
        }
        for name in ["192.0.2.2", "0.0.0.0", "2001:db8::1", "dps.test"] {
            assert!(!leads_here(name, bind), "{name}");
        }
    }
}
