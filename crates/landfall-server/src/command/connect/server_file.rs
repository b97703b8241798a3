//! What a running server tells programs by a file of its data folder, read by client commands to find
//! it: `dev.json` of a dev server, with keys; `server.json` of one that is kept, without any.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use landfall_wire::client::connection_string::{ConnectionString, host_and_port};
use serde::Deserialize;

use super::{Failure, connection_string};
use crate::client::Endpoint;
use crate::client::tls::Trust;
use crate::command::outcome::Exit;
use crate::data_folder::ANNOUNCEMENTS;

/// What is done by whoever may not read a file of the data folder.
const AS_ITS_USER: &str =
    "run this command as the server's user, such as `sudo -u landfall landfall …`, or as root";

/// What a running server says of itself.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerFile {
    /// The port of every face.
    pub https_port: u16,
    /// The port of MQTT beside it; a server that is kept tells it by its addresses.
    pub mqtt_port: Option<u16>,
    /// The id scope of the first service; a server that is kept names no service.
    pub id_scope: Option<String>,
    service_connection_string: Option<String>,
    hub_connection_string: Option<String>,
    /// The authority that signed the server's certificate, when it is not a public one.
    pub(super) ca_file: Option<PathBuf>,
    /// That authority and the system's, in one file.
    pub(super) bundle_file: Option<PathBuf>,
    /// The certificates that the server shows; on this machine that is proof enough.
    #[serde(default)]
    certificates_sha256: Vec<String>,
    /// Where a server that is kept is reached from this machine, whatever its names resolve to.
    #[serde(default)]
    addresses: Vec<SocketAddr>,
    /// The names that a dev server was told to go by.
    #[serde(default)]
    hosts: Vec<String>,
    /// Where a dev server is on this machine.
    address: Option<IpAddr>,
    /// The control plane.
    pub(super) control_plane: ControlPlane,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ControlPlane {
    url: String,
    token: Option<String>,
    token_file: Option<PathBuf>,
    pub(super) subscription: String,
    pub(super) resource_group: String,
    #[serde(default)]
    pub(super) name: String,
}

impl ServerFile {
    /// Reads the file of a data folder; `None` when no server runs on it.
    pub(super) fn read(folder: &Path) -> Result<Option<Self>, Failure> {
        for name in ANNOUNCEMENTS {
            let path = folder.join(name);
            match std::fs::read(&path) {
                Ok(text) => return Self::parse(folder, &path, &text).map(Some),
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(unreadable(&path, &e)),
            }
        }
        Ok(None)
    }

    fn parse(folder: &Path, path: &Path, text: &[u8]) -> Result<Self, Failure> {
        let mut file: ServerFile = serde_json::from_slice(text).map_err(|e| {
            Failure::usage(
                // Its own text may repeat a key that stands where something else belongs.
                format!(
                    "{} is not a running server's file: line {}, column {}",
                    path.display(),
                    e.line(),
                    e.column()
                ),
                "start the server on this folder again; it writes the file anew",
            )
        })?;
        for path in [&mut file.ca_file, &mut file.bundle_file] {
            if let Some(path) = path
                && path.is_relative()
                && !path.exists()
            {
                *path = folder.join(&*path);
            }
        }
        Ok(file)
    }

    /// The connection string of the first service, where the file holds one.
    pub fn service(&self) -> Result<Option<ConnectionString>, Failure> {
        self.completed(self.service_connection_string.as_deref())
    }

    /// The connection string of the first service's hub, where the file holds one.
    pub fn hub(&self) -> Result<Option<ConnectionString>, Failure> {
        self.completed(self.hub_connection_string.as_deref())
    }

    fn completed(&self, text: Option<&str>) -> Result<Option<ConnectionString>, Failure> {
        let string = text.map(connection_string).transpose()?;
        Ok(string.map(|string| string.completed(self.https_port)))
    }

    /// The endpoint, at the server's address when it is this server's for certain: its names may mean
    /// nothing on this machine. `by_hand` says that the caller chose the endpoint.
    pub(super) fn located(&self, endpoint: Endpoint, by_hand: bool) -> Endpoint {
        let is_here = [Some(self.https_port), self.mqtt_port].contains(&Some(endpoint.port))
            && self
                .hosts
                .iter()
                .any(|host| host.eq_ignore_ascii_case(&endpoint.host));
        match self.address {
            Some(address) if is_here => endpoint.at(address),
            _ if !by_hand => {
                let at_its_port = |address: &&SocketAddr| address.port() == endpoint.port;
                let same: Vec<_> = self.addresses.iter().filter(at_its_port).copied().collect();
                // Every port takes every protocol.
                let some = if same.is_empty() {
                    &self.addresses
                } else {
                    &same
                };
                endpoint.through(some)
            }
            _ => endpoint,
        }
    }

    /// Whom a command trusts that calls this server and no other.
    pub(super) fn trust(&self) -> Trust {
        match &self.ca_file {
            _ if !self.certificates_sha256.is_empty() => {
                Trust::Shown(self.certificates_sha256.clone())
            }
            Some(file) => Trust::File(file.clone()),
            None => Trust::System,
        }
    }
}

impl ControlPlane {
    pub(super) fn endpoint(&self) -> Result<Endpoint, Failure> {
        let url = &self.url;
        let bad = || {
            Failure::usage(
                format!("controlPlane.url of the server's file, '{url}', is not an https URL"),
                "start the server on this folder again; it writes the file anew",
            )
        };
        let host = url.strip_prefix("https://").ok_or_else(bad)?;
        let (host, port) = host_and_port(host.trim_end_matches('/')).map_err(|_| bad())?;
        Ok(Endpoint::new(&host, port.unwrap_or(443)))
    }

    /// The control token: of the file itself, or of the file that it names.
    pub(super) fn token(&self) -> Result<String, Failure> {
        match (&self.token, &self.token_file) {
            (Some(token), _) => Ok(token.clone()),
            (None, Some(path)) => std::fs::read_to_string(path)
                .map(|token| token.trim().to_owned())
                .map_err(|e| unreadable(path, &e)),
            (None, None) => Err(Failure::usage(
                "the server's file names no control token",
                "pass it with --control-token",
            )),
        }
    }
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    let what = format!("cannot read {}: {error}", path.display());
    if error.kind() == io::ErrorKind::PermissionDenied {
        return Failure::new(Exit::NotAuthorized, what, AS_ITS_USER);
    }
    Failure::usage(what, "check the folder given with --data")
}
