//! The identity of a development server: its CA, its certificate, and the names it carries. Made
//! and renewed in the data folder; a new name is certified at once.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use landfall_core::clock::{Clock, Entropy};
use zeroize::Zeroizing;

use crate::data_folder::{DataFolder, DataFolderError};
use crate::dev_ca::{DevCaError, PemPair, issue_server_certificate, make_ca, serves_on};
use crate::tls::{IdentityError, ServerIdentity, certified_key};

const CA: &str = "ca.pem";
const CA_KEY: &str = "ca-key.pem";
const SERVER: &str = "server.pem";
const SERVER_KEY: &str = "server-key.pem";
/// The names the server certificate was made for, one a line.
const SERVER_NAMES: &str = "server.names";

/// Why the development identity cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum DevIdentityError {
    /// A file of the data folder.
    #[error(transparent)]
    Folder(#[from] DataFolderError),
    /// The CA.
    #[error("{0}: remove ca.pem and ca-key.pem from the data folder to begin with a new one")]
    Ca(#[from] DevCaError),
    /// The certificate that was made cannot be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

/// The identity; see the module.
pub struct DevIdentity {
    folder: Arc<DataFolder>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    names: Mutex<BTreeSet<String>>,
    shown: Arc<ServerIdentity>,
}

impl DevIdentity {
    /// Opens the identity of `folder` so that it carries `names`, making CA and certificate where
    /// they are missing, expired, or without a name.
    ///
    /// # Errors
    /// [`DevIdentityError`] when the folder cannot be used or the CA in it is broken.
    pub fn open(
        folder: Arc<DataFolder>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        names: impl IntoIterator<Item = String>,
    ) -> Result<Self, DevIdentityError> {
        let mut identity = DevIdentity {
            folder,
            clock,
            entropy,
            names: Mutex::new(names.into_iter().collect()),
            shown: ServerIdentity::new(Vec::new()),
        };
        let names = identity.names();
        let kept = (
            identity.folder.read(SERVER)?,
            identity.folder.read(SERVER_KEY)?,
            identity.folder.read(SERVER_NAMES)?,
        );
        let pair = match kept {
            (Some(chain), Some(key), Some(made_for)) => {
                let made_for: Vec<String> = made_for.lines().map(str::to_owned).collect();
                let serves = identity.folder.read(CA)?.is_some()
                    && serves_on(&chain, &names, &made_for, identity.clock.now());
                if serves {
                    PemPair {
                        certificate: chain.to_string(),
                        key: Zeroizing::new(key.to_string()),
                    }
                } else {
                    identity.issue(&names)?
                }
            }
            _ => identity.issue(&names)?,
        };
        identity.shown = ServerIdentity::new(vec![certified_key(&pair.certificate, &pair.key)?]);
        Ok(identity)
    }

    /// What the listeners show.
    pub fn shown(&self) -> Arc<ServerIdentity> {
        Arc::clone(&self.shown)
    }

    /// Certifies more names; shown from the next handshake on.
    ///
    /// # Errors
    /// [`DevIdentityError`] when the certificate cannot be made or written.
    pub fn add_names(&self, more: &[&str]) -> Result<(), DevIdentityError> {
        let wanted: BTreeSet<String> = {
            let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
            names
                .iter()
                .cloned()
                .chain(more.iter().map(|name| name.to_ascii_lowercase()))
                .collect()
        };
        let list: Vec<String> = wanted.iter().cloned().collect();
        let pair = self.issue(&list)?;
        self.shown
            .exchange(vec![certified_key(&pair.certificate, &pair.key)?]);
        *self.names.lock().unwrap_or_else(PoisonError::into_inner) = wanted;
        Ok(())
    }

    /// The CA's certificate file, for clients.
    pub fn ca_file(&self) -> std::path::PathBuf {
        self.folder.file(CA)
    }

    fn names(&self) -> Vec<String> {
        self.names
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .cloned()
            .collect()
    }

    fn issue(&self, names: &[String]) -> Result<PemPair, DevIdentityError> {
        let ca = self.ca()?;
        let pair = issue_server_certificate(&ca, names, self.serial(), self.clock.now())?;
        self.folder.write(SERVER_KEY, pair.key.as_bytes(), true)?;
        self.folder
            .write(SERVER, pair.certificate.as_bytes(), false)?;
        self.folder
            .write(SERVER_NAMES, names.join("\n").as_bytes(), false)?;
        Ok(pair)
    }

    fn ca(&self) -> Result<PemPair, DevIdentityError> {
        if let (Some(certificate), Some(key)) = (self.folder.read(CA)?, self.folder.read(CA_KEY)?) {
            return Ok(PemPair {
                certificate: certificate.to_string(),
                key,
            });
        }
        let ca = make_ca(self.serial(), self.clock.now())?;
        self.folder.write(CA_KEY, ca.key.as_bytes(), true)?;
        self.folder.write(CA, ca.certificate.as_bytes(), false)?;
        Ok(ca)
    }

    fn serial(&self) -> [u8; 16] {
        let mut serial = [0; 16];
        self.entropy.fill(&mut serial);
        serial
    }
}
