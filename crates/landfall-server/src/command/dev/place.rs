//! Where a development server and its parts are, and how they are called by name.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use landfall_core::secret::SymmetricKey;
use landfall_core::service::{ProvisioningService, Rights};
use landfall_hub::device::Hub;
use landfall_hub::policy::Permissions;
use landfall_wire::client::connection_string::ConnectionString;

/// Where everything is.
pub struct Place {
    /// The provisioning service.
    pub service: ProvisioningService,
    /// Its embedded hub.
    pub hub: Hub,
    /// The HTTPS port of all of them.
    pub port: u16,
    /// The address that was bound first.
    pub bind: IpAddr,
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
    /// The name to reach the service by from this machine: its own when that is `localhost` or an
    /// address, else the address that was bound.
    pub fn reachable_host(&self) -> String {
        let name = &self.service.host_name;
        if name == "localhost" || is_address(name) {
            name.clone()
        } else {
            self.bind.to_string()
        }
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

/// True when the name is an address of this machine that needs no look-up.
fn is_address(name: &str) -> bool {
    name.parse::<IpAddr>().is_ok()
}
