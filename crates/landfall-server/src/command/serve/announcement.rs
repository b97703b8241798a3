//! `server.json`: by what client commands on this machine find a server that is kept. It holds no
//! secret; it names the file that does, which the server's user alone can read.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;

use super::doors::Doors;
use crate::config::Settings;
use crate::control_names::{RESOURCE_GROUP, SUBSCRIPTION};
use crate::data_folder::{DataFolder, DataFolderError, SERVER_FILE};

/// What there is to tell; see the module.
pub struct Announcement {
    folder: Arc<DataFolder>,
    addresses: Vec<SocketAddr>,
    admin: SocketAddr,
    token_file: PathBuf,
    ca_file: Option<PathBuf>,
}

impl Announcement {
    /// Gathers it.
    pub fn new(folder: Arc<DataFolder>, settings: &Settings, doors: &Doors) -> Self {
        // Programs read these from anywhere.
        let absolute = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
        Announcement {
            folder,
            addresses: doors.https.iter().flat_map(reachable).collect(),
            admin: doors.admin,
            token_file: absolute(&settings.control_token_file),
            ca_file: settings.https.ca_file.as_ref().map(absolute),
        }
    }

    /// Writes the file, with the certificates that are shown now.
    ///
    /// # Errors
    /// [`DataFolderError`] when it cannot be written.
    pub fn write(&self, certificates_sha256: &[String]) -> Result<(), DataFolderError> {
        let first = self.addresses.first();
        let document = json!({
            "pid": std::process::id(),
            "httpsPort": first.map(SocketAddr::port),
            "addresses": self.addresses,
            "adminUrl": format!("http://{}", self.admin),
            "caFile": self.ca_file,
            "certificatesSha256": certificates_sha256,
            "controlPlane": {
                "url": first.map(|address| format!("https://{address}")),
                "tokenFile": self.token_file,
                "subscription": SUBSCRIPTION,
                "resourceGroup": RESOURCE_GROUP,
            },
        });
        let text = format!("{document:#}\n");
        self.folder.write(SERVER_FILE, text.as_bytes(), false)?;
        Ok(())
    }

    /// Removes it: it must not outlive the server.
    pub fn remove(&self) {
        let _ = std::fs::remove_file(self.folder.file(SERVER_FILE));
    }
}

/// Where a program on this machine reaches a socket that is bound to this address.
fn reachable(address: &SocketAddr) -> Vec<SocketAddr> {
    let at = |ip: IpAddr| SocketAddr::new(ip, address.port());
    let (ipv4, ipv6) = (
        at(Ipv4Addr::LOCALHOST.into()),
        at(Ipv6Addr::LOCALHOST.into()),
    );
    match address.ip() {
        ip if !ip.is_unspecified() => vec![*address],
        IpAddr::V4(_) => vec![ipv4],
        // It may take IPv4 along, and the machine may have no IPv6 loopback.
        IpAddr::V6(_) => vec![ipv6, ipv4],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_socket_is_reached_from_this_machine_by_some_address() {
        let reached = |text: &str| {
            let address = text.parse().expect("an address");
            let all = reachable(&address).into_iter();
            all.map(|address| address.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(reached("192.0.2.1:443"), ["192.0.2.1:443"]);
        assert_eq!(reached("0.0.0.0:443"), ["127.0.0.1:443"]);
        assert_eq!(reached("[::]:8443"), ["[::1]:8443", "127.0.0.1:8443"]);
    }
}
