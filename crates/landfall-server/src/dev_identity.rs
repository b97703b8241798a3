//! The identity of a development server: its CA, its certificate, and the names it carries. Made
//! and renewed in the data folder; a new name is certified at once.

pub mod renewal;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use landfall_core::certificate::Certificate;
use landfall_core::clock::{Clock, Entropy, Timestamp};
use zeroize::Zeroizing;

use crate::data_folder::{DataFolder, DataFolderError};
use crate::dev_bundle;
use crate::dev_ca::{
    DevCaError, PemPair, ends_of, is_due, issue_server_certificate, make_ca, make_ca_of,
};
use crate::seed::Seed;
use crate::tls::{IdentityError, ServerIdentity, certified_key};

/// Where a certificate ends in PEM text.
const END: &str = "-----END CERTIFICATE-----";
const CA: &str = "ca.pem";
const BUNDLE: &str = "bundle.pem";
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
    #[error(
        "{0}: restore ca.pem and ca-key.pem from a backup, or remove both from the data folder to begin with a new CA, which every client must then be given"
    )]
    Ca(#[from] DevCaError),
    /// One half of the CA is missing: with a new one, every client that trusts the old would fail.
    #[error(
        "{present} is there but {missing} is not: restore {missing} from a backup, or remove {present} too to begin with a new CA, which every client must then be given"
    )]
    HalfCa {
        /// The file that is there.
        present: PathBuf,
        /// The file that is not.
        missing: PathBuf,
    },
    /// The time of the CA is over.
    #[error(
        "the development CA {file} ended on {ended}, and every client refuses what it signed: remove it and ca-key.pem from the data folder to begin with a new CA, which every client must then be given. If that day is not past, set the clock of this machine"
    )]
    CaEnded {
        /// Its certificate.
        file: PathBuf,
        /// When.
        ended: String,
    },
    /// The certificate that was made cannot be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

/// The identity; see the module.
pub struct DevIdentity {
    folder: Arc<DataFolder>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    certified: Mutex<Certified>,
    shown: Arc<ServerIdentity>,
}

/// What the certificate in force holds.
struct Certified {
    names: BTreeSet<String>,
    ends: Timestamp,
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
        let identity = DevIdentity {
            folder,
            clock,
            entropy,
            certified: Mutex::new(Certified {
                names: names.into_iter().collect(),
                ends: Timestamp::NEVER,
            }),
            shown: ServerIdentity::new(Vec::new()),
        };
        let ca_ends = identity.ca_ends()?;
        if ca_ends < identity.clock.now() {
            return Err(DevIdentityError::CaEnded {
                file: identity.ca_file(),
                ended: ca_ends.to_rfc1123(),
            });
        }
        let mut certified = identity.certified();
        let pair = match identity.serving(&certified.names)? {
            Some(pair) => pair,
            None => identity.issue(&certified.names)?,
        };
        identity.show(&pair, &mut certified)?;
        drop(certified);
        identity.write_bundle()?;
        Ok(identity)
    }

    /// Makes the CA that a seed fixes, in a folder that has none and whose clients trust none yet.
    ///
    /// # Errors
    /// [`DevIdentityError`] when it cannot be made or written.
    pub fn found_ca(folder: &DataFolder, seed: &Seed) -> Result<(), DevIdentityError> {
        if [CA, SERVER].iter().any(|name| folder.file(name).exists()) {
            return Ok(());
        }
        let ca = make_ca_of(&seed.stream("certificate authority"))?;
        folder.write(CA_KEY, ca.key.as_bytes(), true)?;
        folder.write(CA, ca.certificate.as_bytes(), false)?;
        Ok(())
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
        // Held to the end: of two who add names, the second must see those of the first.
        let mut certified = self.certified();
        let more = more.iter().map(|name| name.to_ascii_lowercase());
        let wanted = certified.names.iter().cloned().chain(more).collect();
        let pair = self.issue(&wanted)?;
        self.show(&pair, &mut certified)?;
        certified.names = wanted;
        Ok(())
    }

    /// Makes the certificate anew, with all its names, when its end is near; shown from the next
    /// handshake on. Gives whether it did.
    ///
    /// # Errors
    /// [`DevIdentityError`] when the certificate cannot be made or written.
    pub fn renew(&self) -> Result<bool, DevIdentityError> {
        let mut certified = self.certified();
        if !is_due(certified.ends, self.ca_ends()?, self.clock.now()) {
            return Ok(false);
        }
        let pair = self.issue(&certified.names)?;
        self.show(&pair, &mut certified)?;
        Ok(true)
    }

    /// The CA's certificate file, for clients.
    pub fn ca_file(&self) -> PathBuf {
        self.folder.file(CA)
    }

    /// The file of the CA and the system's roots, for clients that take one file for all.
    pub fn bundle_file(&self) -> PathBuf {
        self.folder.file(BUNDLE)
    }

    /// The CA's certificate, for whoever hands it out.
    ///
    /// # Errors
    /// [`DevIdentityError`] when it cannot be read or made.
    pub fn ca_text(&self) -> Result<String, DevIdentityError> {
        match self.folder.read(CA)? {
            Some(certificate) => Ok(certificate.to_string()),
            None => Ok(self.ca()?.certificate),
        }
    }

    fn ca_ends(&self) -> Result<Timestamp, DevIdentityError> {
        // What cannot be read is found out when it is to sign.
        Ok(ends_of(&self.ca_text()?).unwrap_or(Timestamp::from_unix_micros(i64::MAX)))
    }

    fn certified(&self) -> MutexGuard<'_, Certified> {
        self.certified
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows a pair from the next handshake on.
    fn show(&self, pair: &PemPair, certified: &mut Certified) -> Result<(), DevIdentityError> {
        let key = certified_key(&pair.certificate, &pair.key)?;
        self.shown.exchange(vec![Arc::new(key)]);
        certified.ends = ends_of(&pair.certificate).unwrap_or(Timestamp::NEVER);
        Ok(())
    }

    /// The pair that an earlier start left, when it can serve on.
    fn serving(&self, names: &BTreeSet<String>) -> Result<Option<PemPair>, DevIdentityError> {
        let (Some(chain), Some(key), Some(made_for)) = (
            self.kept(SERVER)?,
            self.kept(SERVER_KEY)?,
            self.kept(SERVER_NAMES)?,
        ) else {
            return Ok(None);
        };
        let made_for: BTreeSet<&str> = made_for.lines().collect();
        let Some(ends) = ends_of(&chain) else {
            return Ok(None);
        };
        let now = self.clock.now();
        let serves = self.of_our_ca(&chain)?
            && names.iter().all(|name| made_for.contains(name.as_str()))
            && ends > now
            && !is_due(ends, self.ca_ends()?, now)
            && certified_key(&chain, &key).is_ok();
        Ok(serves.then(|| PemPair {
            certificate: chain.to_string(),
            key: Zeroizing::new(key.to_string()),
        }))
    }

    /// Writes the bundle where it differs from what it should be.
    fn write_bundle(&self) -> Result<(), DevIdentityError> {
        let roots = dev_bundle::system_roots();
        let text = dev_bundle::text(&self.ca_text()?, &roots);
        if self.kept(BUNDLE)?.is_some_and(|kept| *kept == text) {
            return Ok(());
        }
        self.folder.write(BUNDLE, text.as_bytes(), false)?;
        if roots.is_empty() {
            tracing::warn!(
                "this machine has no list of trusted roots, so {} holds the development CA alone: programs that are given it reach this server and no public one. Install the roots (package ca-certificates) and start again.",
                self.bundle_file().display()
            );
        }
        Ok(())
    }

    fn issue(&self, names: &BTreeSet<String>) -> Result<PemPair, DevIdentityError> {
        let ca = self.ca()?;
        let names: Vec<String> = names.iter().cloned().collect();
        let pair = issue_server_certificate(&ca, &names, self.serial(), self.clock.now())?;
        self.folder.write(SERVER_KEY, pair.key.as_bytes(), true)?;
        self.folder
            .write(SERVER, pair.certificate.as_bytes(), false)?;
        self.folder
            .write(SERVER_NAMES, names.join("\n").as_bytes(), false)?;
        Ok(pair)
    }

    /// Whether the CA that clients are given signed this chain's first certificate. Another CA may
    /// stand in the folder since: put back from a backup, or made anew.
    fn of_our_ca(&self, chain: &str) -> Result<bool, DevIdentityError> {
        let ca = self.folder.read(CA)?;
        let ca = ca.and_then(|text| Certificate::from_text(&text).ok());
        let first = chain.split_inclusive(END).next().unwrap_or_default();
        let first = Certificate::from_text(first).ok();
        Ok(ca
            .zip(first)
            .is_some_and(|(ca, first)| first.signed_by(&ca).is_ok()))
    }

    /// A file that can be made anew, and so may be broken.
    fn kept(&self, name: &str) -> Result<Option<Zeroizing<String>>, DataFolderError> {
        match self.folder.read(name) {
            Err(DataFolderError::NotText(_)) => Ok(None),
            read => read,
        }
    }

    fn ca(&self) -> Result<PemPair, DevIdentityError> {
        match (self.folder.read(CA)?, self.folder.read(CA_KEY)?) {
            (Some(certificate), Some(key)) => Ok(PemPair {
                certificate: certificate.to_string(),
                key,
            }),
            (Some(_), None) => Err(self.half(CA, CA_KEY)),
            // A key alone is what a first start leaves that broke off: nobody was given its CA yet.
            (None, Some(_)) if self.folder.read(SERVER)?.is_some() => Err(self.half(CA_KEY, CA)),
            (None, _) => {
                let ca = make_ca(self.serial(), self.clock.now())?;
                self.folder.write(CA_KEY, ca.key.as_bytes(), true)?;
                self.folder.write(CA, ca.certificate.as_bytes(), false)?;
                Ok(ca)
            }
        }
    }

    fn half(&self, present: &str, missing: &str) -> DevIdentityError {
        DevIdentityError::HalfCa {
            present: self.folder.file(present),
            missing: self.folder.file(missing),
        }
    }

    fn serial(&self) -> [u8; 16] {
        let mut serial = [0; 16];
        self.entropy.fill(&mut serial);
        serial
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{SystemClock, SystemEntropy};

    fn open(path: &std::path::Path) -> Result<DevIdentity, DevIdentityError> {
        let folder = Arc::new(DataFolder::open(path)?);
        let names = ["localhost".to_owned()];
        DevIdentity::open(
            folder,
            Arc::new(SystemClock),
            Arc::new(SystemEntropy),
            names,
        )
    }

    /// The server certificate in force and whether the CA in the folder signed it.
    fn kept(path: &std::path::Path) -> (String, bool) {
        let identity = open(path).expect("opens");
        let chain = identity.folder.read(SERVER).expect("reads").expect("there");
        let ours = identity.of_our_ca(&chain).expect("reads");
        (chain.to_string(), ours)
    }

    #[test]
    fn a_certificate_of_another_ca_is_made_anew() {
        let (place, other) = (tempfile::tempdir(), tempfile::tempdir());
        let (place, other) = (place.expect("a folder"), other.expect("a folder"));
        let (first, _) = kept(place.path());
        assert_eq!(kept(place.path()), (first.clone(), true), "kept as it is");
        kept(other.path());
        for file in [CA, CA_KEY] {
            std::fs::copy(other.path().join(file), place.path().join(file)).expect("copied");
        }
        let (second, ours) = kept(place.path());
        assert_ne!(second, first);
        assert!(ours);
    }

    #[test]
    fn the_bundle_is_rewritten_only_when_it_would_differ() {
        use std::os::unix::fs::MetadataExt as _;
        let place = tempfile::tempdir().expect("a folder");
        let file = open(place.path()).expect("opens").bundle_file();
        let text = || std::fs::read_to_string(&file).expect("a bundle");
        // A file that is written anew is another one.
        let number = || std::fs::metadata(&file).expect("a bundle").ino();
        let (first, first_number) = (text(), number());
        let ca = std::fs::read_to_string(place.path().join(CA)).expect("a CA");
        assert!(first.starts_with(&ca), "{first}");
        kept(place.path());
        assert_eq!(number(), first_number);
        std::fs::write(&file, "broken").expect("written");
        kept(place.path());
        assert_eq!(text(), first);
        for name in [CA, CA_KEY] {
            std::fs::remove_file(place.path().join(name)).expect("removed");
        }
        kept(place.path());
        let ca = std::fs::read_to_string(place.path().join(CA)).expect("a CA");
        assert!(text().starts_with(&ca), "the CA of now");
    }

    #[test]
    fn half_a_ca_is_never_replaced_in_silence() {
        for gone in [CA, CA_KEY] {
            let place = tempfile::tempdir().expect("a folder");
            let (_, _) = kept(place.path());
            std::fs::remove_file(place.path().join(gone)).expect("removed");
            std::fs::remove_file(place.path().join(SERVER_NAMES)).expect("removed");
            let error = open(place.path()).err().expect("refused").to_string();
            assert!(error.contains(&format!("{gone} is not")), "{error}");
            assert!(!place.path().join(gone).exists());
            // Without a server certificate nobody was given the CA of a lone key.
            std::fs::remove_file(place.path().join(SERVER)).expect("removed");
            assert_eq!(open(place.path()).is_ok(), gone == CA);
        }
    }

    #[test]
    fn a_key_of_another_certificate_is_made_anew() {
        let place = tempfile::tempdir().expect("a folder");
        let (first, _) = kept(place.path());
        std::fs::write(place.path().join(SERVER_KEY), "broken").expect("written");
        let (second, _) = kept(place.path());
        assert_ne!(second, first);
        std::fs::write(place.path().join(SERVER), [0xff]).expect("written");
        assert_ne!(kept(place.path()).0, second);
    }
}
