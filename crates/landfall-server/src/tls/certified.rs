//! A server certificate with its key, read from PEM text and judged as clients will judge it: they
//! belong together, the chain is in order, and now is within its time. Which files the texts come
//! from is the caller's business.

use std::sync::Arc;

use landfall_core::certificate::{Certificate, SignatureFault};
use landfall_core::clock::Timestamp;
use rustls::client::verify_server_name;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;

use super::provider;

/// Why a server identity cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The certificate file holds no readable chain.
    #[error("the server certificate cannot be read: {0}")]
    Chain(String),
    /// The key file holds no readable key.
    #[error("the server key cannot be read: {0}")]
    Key(String),
    /// Key and certificate do not belong together, or the key is of a kind that TLS cannot use.
    #[error("the server key does not go with the server certificate: {0}")]
    Pair(String),
    /// The key belongs to a later certificate of the file.
    #[error(
        "the chain is in the wrong order: the key belongs to certificate {0} of the file, not to the first"
    )]
    OwnNotFirst(usize),
    /// A certificate is followed by one that did not sign it.
    #[error(
        "the chain is in the wrong order: certificate {number} of the file ({subject}) did not sign the one before it, whose issuer is {issuer}"
    )]
    Link {
        /// Which one, counted from 1.
        number: usize,
        /// Whose it is.
        subject: String,
        /// Whose should stand there.
        issuer: String,
    },
    /// The certificate's time is over.
    #[error("the server certificate ({subject}) expired on {ended}")]
    Expired {
        /// Whose it is.
        subject: String,
        /// When it ended.
        ended: String,
    },
    /// The certificate's time has not begun.
    #[error("the server certificate ({subject}) is not valid before {begins}")]
    NotYetValid {
        /// Whose it is.
        subject: String,
        /// When it begins.
        begins: String,
    },
}

impl IdentityError {
    /// What to do about it.
    pub fn fix(&self) -> &'static str {
        match self {
            IdentityError::Chain(_) => {
                "put the certificate there as PEM text, from -----BEGIN CERTIFICATE----- on"
            }
            IdentityError::Key(_) => {
                "put the private key there as PEM text without a passphrase (`openssl pkey -in KEY -out NEW` takes one off)"
            }
            IdentityError::Pair(_) => {
                "put the key there that the certificate was made for; RSA of 2048 bits or more, P-256, P-384, P-521 and Ed25519 are taken"
            }
            IdentityError::OwnNotFirst(_) => {
                "put the server's own certificate first, then the one that signed it, and so on"
            }
            IdentityError::Link { .. } => {
                "let each certificate be followed by the one that signed it, and take out what does not belong to the chain"
            }
            IdentityError::Expired { .. } => {
                "renew it; if it is good, set the clock of this machine"
            }
            IdentityError::NotYetValid { .. } => {
                "wait until then, or set the clock of this machine if that day is past"
            }
        }
    }
}

/// A server certificate that can be shown now.
#[derive(Debug, Clone)]
pub struct Judged {
    /// The chain and its key.
    pub key: Arc<CertifiedKey>,
    /// The server's own certificate.
    pub leaf: Certificate,
    /// Other certificates of the chain that are out of their time, by subject. Many clients find
    /// another way past them, so they refuse nothing.
    pub out_of_time: Vec<String>,
}

impl Judged {
    /// What kind of key it has, for people.
    pub fn kind(&self) -> &'static str {
        use rustls::SignatureAlgorithm::{ECDSA, ED25519, RSA};
        match self.key.key.algorithm() {
            RSA => "RSA",
            ECDSA => "ECDSA",
            ED25519 => "Ed25519",
            _ => "another kind",
        }
    }
}

/// Reads a chain and its key from PEM text and judges them at `now`.
///
/// # Errors
/// [`IdentityError`] when a client would refuse them.
pub fn judged(chain: &str, key: &str, now: Timestamp) -> Result<Judged, IdentityError> {
    let key = certified_key(chain, key)?;
    let links = key
        .cert
        .iter()
        .map(|der| Certificate::from_der(der))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| IdentityError::Chain(error.to_string()))?;
    for (at, pair) in links.windows(2).enumerate() {
        let [link, next] = pair else { continue };
        let named = link.issuer_dn_raw() == next.subject_dn_raw();
        if !named || link.signed_by(next) == Err(SignatureFault::Mismatch) {
            return Err(IdentityError::Link {
                number: at + 2,
                subject: next.subject_name().to_owned(),
                issuer: link.issuer_name().to_owned(),
            });
        }
    }
    let (leaf, rest) = links
        .split_first()
        .ok_or_else(|| IdentityError::Chain(NONE.to_owned()))?;
    if leaf.not_after() < now {
        return Err(IdentityError::Expired {
            subject: leaf.subject_name().to_owned(),
            ended: leaf.not_after().to_rfc1123(),
        });
    }
    if leaf.not_before() > now {
        return Err(IdentityError::NotYetValid {
            subject: leaf.subject_name().to_owned(),
            begins: leaf.not_before().to_rfc1123(),
        });
    }
    let out_of_time = rest
        .iter()
        .filter(|link| link.not_after() < now || link.not_before() > now)
        .map(|link| link.subject_name().to_owned())
        .collect();
    Ok(Judged {
        key: Arc::new(key),
        leaf: leaf.clone(),
        out_of_time,
    })
}

const NONE: &str = "there is no certificate in it";

/// Reads a chain and its key from PEM text, whatever the time.
///
/// # Errors
/// [`IdentityError`] when one of them cannot be read or they do not belong together.
pub fn certified_key(chain: &str, key: &str) -> Result<CertifiedKey, IdentityError> {
    let chain = certificates(chain).map_err(IdentityError::Chain)?;
    if key.contains("ENCRYPTED") {
        let what = "it is encrypted with a passphrase, which nobody is there to type";
        return Err(IdentityError::Key(what.to_owned()));
    }
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
        .map_err(|error| IdentityError::Key(error.to_string()))?;
    let provider = provider();
    let signing = provider
        .key_provider
        .load_private_key(key)
        .map_err(|error| IdentityError::Pair(error.to_string()))?;
    let certified = CertifiedKey::new(chain, signing);
    let Err(error) = certified.keys_match() else {
        return Ok(certified);
    };
    let goes_with = |link: &CertificateDer<'static>| {
        CertifiedKey::new(vec![link.clone()], Arc::clone(&certified.key))
            .keys_match()
            .is_ok()
    };
    match certified.cert.iter().position(goes_with) {
        Some(at) => Err(IdentityError::OwnNotFirst(at + 1)),
        None => Err(IdentityError::Pair(error.to_string())),
    }
}

/// The certificates of a PEM text, at least one.
///
/// # Errors
/// What is wrong with the text, which it does not repeat.
pub fn certificates(text: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let all = CertificateDer::pem_slice_iter(text.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| error.to_string())?;
    if all.is_empty() {
        return Err(NONE.to_owned());
    }
    Ok(all)
}

/// Whether clients that ask for `name`, a host name or an address, take this certificate for it.
pub fn carries(key: &CertifiedKey, name: &str) -> bool {
    let Ok(name) = ServerName::try_from(name) else {
        return false;
    };
    key.cert
        .first()
        .and_then(|leaf| ParsedCertificate::try_from(leaf).ok())
        .is_some_and(|leaf| verify_server_name(&leaf, &name).is_ok())
}

#[cfg(test)]
mod tests;
