//! The identity of a server to keep: certificates and keys from the files of its configuration, read
//! again when they change. A reading that clients would refuse is told and not shown: the one before
//! stays in force. Beside them the file of the authority that clients are to trust.

mod kept;
mod watch;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use aws_lc_rs::digest;
use landfall_core::clock::{Clock, Timestamp, spoken};
use zeroize::Zeroizing;

use crate::config::{CertificateFiles, Https};
use crate::dev_bundle::pem;
use crate::tls::{IdentityError, Judged, ServerIdentity, certificates, judged};

use kept::{Kept, Look, Print};
pub use watch::{ROUND, watch};

/// A certificate with less time than this left is called to mind every day.
const SOON: Duration = Duration::from_secs(30 * 24 * 3600);

/// Why files of the configuration make no identity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServeIdentityError {
    /// A file cannot be read.
    #[error("{} cannot be read: {cause}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        cause: String,
    },
    /// A certificate and its key would be refused.
    #[error("{} with {}: {cause}", files.chain.display(), files.key.display())]
    Pair {
        /// Which files.
        files: CertificateFiles,
        /// What is wrong.
        cause: IdentityError,
    },
    /// The file of the authority holds no certificate.
    #[error("{}: the authority's certificate cannot be read: {cause}", path.display())]
    Ca {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        cause: String,
    },
}

impl ServeIdentityError {
    /// What to do about it.
    pub fn fix(&self) -> &'static str {
        match self {
            ServeIdentityError::File { .. } => {
                "correct the path in https, or let the server's user read the file: PEM text, the key for nobody else"
            }
            ServeIdentityError::Pair { cause, .. } => cause.fix(),
            ServeIdentityError::Ca { .. } => {
                "put the certificate of the authority there as PEM text, or leave https.ca_file out"
            }
        }
    }
}

/// Something about certificates that somebody should act on before devices are refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// Whether devices are refused already.
    pub urgent: bool,
    /// What it is, with the remedy.
    pub text: String,
}

/// The identity; see the module.
pub struct ServeIdentity {
    kept: Mutex<AllKept>,
    clock: Arc<dyn Clock>,
    shown: Arc<ServerIdentity>,
    ca: Arc<ArcSwapOption<String>>,
}

struct AllKept {
    pairs: Vec<(CertificateFiles, Kept<Judged>)>,
    ca: Option<(PathBuf, Kept<String>)>,
}

impl ServeIdentity {
    /// Reads all files.
    ///
    /// # Errors
    /// [`ServeIdentityError`] naming the first file that is of no use.
    pub fn open(https: &Https, clock: Arc<dyn Clock>) -> Result<Self, ServeIdentityError> {
        let now = clock.now();
        let mut pairs = Vec::new();
        for files in &https.certificates {
            let (print, texts) = read_pair(files);
            pairs.push((files.clone(), Kept::new(print, judge(files, texts, now)?)));
        }
        let ca = match &https.ca_file {
            Some(path) => {
                let (print, text) = read_one(path);
                Some((path.clone(), Kept::new(print, authority(path, text)?)))
            }
            None => None,
        };
        let identity = ServeIdentity {
            kept: Mutex::new(AllKept { pairs, ca }),
            clock,
            shown: ServerIdentity::new(Vec::new()),
            ca: Arc::default(),
        };
        identity.show(&identity.kept());
        Ok(identity)
    }

    /// What the listeners show.
    pub fn shown(&self) -> Arc<ServerIdentity> {
        Arc::clone(&self.shown)
    }

    /// The authority's certificate as PEM text, when one is configured.
    pub fn ca(&self) -> Arc<ArcSwapOption<String>> {
        Arc::clone(&self.ca)
    }

    /// Looks at the files again, and says in the log what became of those that changed. Gives whether
    /// something else is shown from now on. `at_once` is for whoever says that the files are whole.
    pub fn look(&self, at_once: bool) -> bool {
        let mut kept = self.kept();
        let now = self.clock.now();
        let mut exchanged = false;
        for (files, pair) in &mut kept.pairs {
            let (print, texts) = read_pair(files);
            match pair.look(print, at_once, || judge(files, texts, now)) {
                Look::Same => {}
                Look::Exchanged => {
                    exchanged = true;
                    tracing::info!(
                        "{} was read again: shown from the next connection on, good until {}",
                        files.chain.display(),
                        pair.value().leaf.not_after().to_rfc1123()
                    );
                }
                Look::Failed(error) => stays(&error),
            }
        }
        if let Some((path, ca)) = &mut kept.ca {
            let (print, text) = read_one(path);
            match ca.look(print, at_once, || authority(path, text)) {
                Look::Same => {}
                Look::Exchanged => {
                    exchanged = true;
                    tracing::info!("{} was read again", path.display());
                }
                Look::Failed(error) => stays(&error),
            }
        }
        if exchanged {
            self.show(&kept);
        }
        exchanged
    }

    /// What somebody should act on: `names` that no certificate carries, each with whose it is, and
    /// certificates that end soon.
    pub fn remarks(&self, names: &[(String, String)]) -> Vec<Remark> {
        let now = self.clock.now();
        let mut out: Vec<Remark> = names
            .iter()
            .filter(|(name, _)| !self.shown.carries(name))
            .map(|(name, whose)| Remark {
                urgent: false,
                text: format!("{}: {whose} goes by it", uncertified(name)),
            })
            .collect();
        for (files, pair) in &self.kept().pairs {
            out.extend(of_its_time(&files.chain, pair.value(), now));
        }
        out
    }

    /// Each certificate in force: its file, and its kind, names and end for people.
    pub fn described(&self) -> Vec<String> {
        let kept = self.kept();
        let of_pair = |(files, pair): &(CertificateFiles, Kept<Judged>)| {
            let judged = pair.value();
            format!(
                "{}: {}, {}, good until {}",
                files.chain.display(),
                judged.kind(),
                judged.leaf.subject_name(),
                judged.leaf.not_after().to_rfc1123()
            )
        };
        kept.pairs.iter().map(of_pair).collect()
    }

    /// SHA-256 of each certificate that is shown, as hex digits.
    pub fn fingerprints(&self) -> Vec<String> {
        let kept = self.kept();
        let pairs = kept.pairs.iter();
        pairs
            .map(|(_, pair)| pair.value().leaf.sha256_hex())
            .collect()
    }

    fn show(&self, kept: &AllKept) {
        let keys = kept
            .pairs
            .iter()
            .map(|(_, pair)| Arc::clone(&pair.value().key));
        self.shown.exchange(keys.collect());
        let ca = kept.ca.as_ref().map(|(_, ca)| Arc::new(ca.value().clone()));
        self.ca.store(ca);
    }

    fn kept(&self) -> MutexGuard<'_, AllKept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is said of a name that no certificate carries, with the remedy.
pub fn uncertified(name: &str) -> String {
    format!(
        "no server certificate holds the name '{name}', so clients that ask for it refuse to connect; put one that does into https.certificates, or into a file that is named there, which is read again when it changes"
    )
}

fn stays(error: &ServeIdentityError) {
    tracing::error!(
        "{error}: what was read before stays in force; {}",
        error.fix()
    );
}

fn of_its_time(chain: &Path, judged: &Judged, now: Timestamp) -> Vec<Remark> {
    let ends = judged.leaf.not_after();
    let when = ends.to_rfc1123();
    let file = chain.display();
    let renew = "renew it: the file is read again when it changes, without a restart";
    let mut out = Vec::new();
    if ends < now {
        out.push(Remark {
            urgent: true,
            text: format!("{file}: the server certificate expired on {when}; {renew}"),
        });
    } else if ends.since(now) < SOON {
        out.push(Remark {
            urgent: false,
            text: format!(
                "{file}: the server certificate ends on {when}, in {}; {renew}",
                spoken(ends.since(now))
            ),
        });
    }
    out.extend(judged.out_of_time.iter().map(|subject| Remark {
        urgent: false,
        text: format!(
            "{file}: the chain holds a certificate out of its time ({subject}); clients may refuse it: put a chain there whose every certificate is good"
        ),
    }));
    out
}

/// Chain and key as text.
type Texts = (String, Zeroizing<String>);

fn read_pair(files: &CertificateFiles) -> (Print, Result<Texts, ServeIdentityError>) {
    let (chain_print, chain) = read_one(&files.chain);
    let (key_print, key) = read_one(&files.key);
    let print = print_of(&[chain_print, key_print].concat());
    let texts = chain.and_then(|chain| Ok((chain.to_string(), key?)));
    (print, texts)
}

fn read_one(path: &Path) -> (Print, Result<Zeroizing<String>, ServeIdentityError>) {
    match std::fs::read_to_string(path) {
        Ok(text) => {
            let text = Zeroizing::new(text);
            (print_of(text.as_bytes()), Ok(text))
        }
        Err(error) => {
            let cause = match error.kind() {
                io::ErrorKind::InvalidData => "it holds no text".to_owned(),
                _ => error.to_string(),
            };
            let path = path.to_owned();
            let print = print_of(cause.as_bytes());
            (print, Err(ServeIdentityError::File { path, cause }))
        }
    }
}

fn print_of(bytes: &[u8]) -> Print {
    let mut print = Print::default();
    print.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    print
}

fn judge(
    files: &CertificateFiles,
    texts: Result<Texts, ServeIdentityError>,
    now: Timestamp,
) -> Result<Judged, ServeIdentityError> {
    let (chain, key) = texts?;
    judged(&chain, &key, now).map_err(|cause| ServeIdentityError::Pair {
        files: files.clone(),
        cause,
    })
}

/// The certificates of the authority's file and nothing else that may stand in it.
fn authority(
    path: &Path,
    text: Result<Zeroizing<String>, ServeIdentityError>,
) -> Result<String, ServeIdentityError> {
    let all = certificates(&text?).map_err(|cause| ServeIdentityError::Ca {
        path: path.to_owned(),
        cause,
    })?;
    let mut out = String::new();
    for certificate in &all {
        pem(&mut out, certificate);
    }
    Ok(out)
}

#[cfg(test)]
mod tests;
