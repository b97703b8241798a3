//! `dev.json`: what a dev server tells programs, read by client commands to find it.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use landfall_wire::client::connection_string::{ConnectionString, host_and_port};
use serde::Deserialize;

use super::{Failure, connection_string};
use crate::client::Endpoint;

/// What a dev server writes into its data folder for programs.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DevFile {
    /// The port of every face.
    pub https_port: u16,
    /// The id scope of the first service.
    pub id_scope: String,
    service_connection_string: String,
    hub_connection_string: String,
    /// The authority that signed the server's certificate.
    pub(super) ca_file: PathBuf,
    /// That authority and the system's roots, in one file.
    pub(super) bundle_file: Option<PathBuf>,
    /// The control plane.
    pub(super) control_plane: ControlPlane,
    /// The names that the server was told to go by.
    #[serde(default)]
    hosts: Vec<String>,
    /// Where it is on this machine.
    address: Option<IpAddr>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ControlPlane {
    url: String,
    pub(super) token: String,
    pub(super) subscription: String,
    pub(super) resource_group: String,
    pub(super) name: String,
}

impl DevFile {
    /// Reads `dev.json` of a data folder; `None` when there is none.
    pub(super) fn read(folder: &Path) -> Result<Option<Self>, Failure> {
        let path = folder.join("dev.json");
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => {
                return Err(Failure::usage(
                    format!("cannot read {}: {e}", path.display()),
                    "check the folder given with --data and its permissions",
                ));
            }
        };
        let mut dev: DevFile = serde_json::from_slice(&text).map_err(|e| {
            Failure::usage(
                format!("{} is not a dev server's file: {e}", path.display()),
                "start `landfall dev` on this folder again; it writes the file anew",
            )
        })?;
        if dev.ca_file.is_relative() && !dev.ca_file.exists() {
            dev.ca_file = folder.join(&dev.ca_file);
        }
        Ok(Some(dev))
    }

    /// The endpoint, at the server's address when it is one that the server was told to go by: such a
    /// name may mean nothing on this machine.
    pub(super) fn located(&self, endpoint: Endpoint) -> Endpoint {
        let is_here = endpoint.port == self.https_port
            && self
                .hosts
                .iter()
                .any(|host| host.eq_ignore_ascii_case(&endpoint.host));
        match self.address {
            Some(address) if is_here => endpoint.at(address),
            _ => endpoint,
        }
    }

    /// The connection string of the first service.
    pub fn service(&self) -> Result<ConnectionString, Failure> {
        Ok(connection_string(&self.service_connection_string)?.completed(self.https_port))
    }

    /// The connection string of the first service's hub.
    pub fn hub(&self) -> Result<ConnectionString, Failure> {
        Ok(connection_string(&self.hub_connection_string)?.completed(self.https_port))
    }

    /// The name of the first service.
    pub fn service_name(&self) -> &str {
        &self.control_plane.name
    }
}

impl ControlPlane {
    pub(super) fn endpoint(&self) -> Result<Endpoint, Failure> {
        let url = &self.url;
        let bad = || {
            Failure::usage(
                format!("controlPlane.url of dev.json, '{url}', is not an https URL"),
                "start `landfall dev` on this folder again; it writes the file anew",
            )
        };
        let host = url.strip_prefix("https://").ok_or_else(bad)?;
        let (host, port) = host_and_port(host.trim_end_matches('/')).map_err(|_| bad())?;
        Ok(Endpoint::new(&host, port.unwrap_or(443)))
    }
}
