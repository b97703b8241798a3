//! What a client trusts and what it shows: roots from a file or from the system, and a client
//! certificate when it has one.

mod shown;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// Whose server certificates are accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// Only the authorities in this PEM file.
    File(PathBuf),
    /// Those of the operating system.
    System,
    /// Those of the operating system and those in this PEM file.
    SystemAnd(PathBuf),
    /// The server that shows one of these certificates, by SHA-256 in hex digits, whoever signed it.
    Shown(Vec<String>),
    /// Only these certificates.
    Certificates(Vec<CertificateDer<'static>>),
}

/// Why no TLS settings could be made.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read as PEM.
    #[error("cannot read certificates or a key from {path}: {cause}")]
    File {
        /// Which file.
        path: PathBuf,
        /// What went wrong.
        cause: String,
    },
    /// There is nobody to trust.
    #[error("{0} holds no certificate to trust")]
    NobodyTrusted(String),
    /// The certificate and key do not make an identity.
    #[error("the client certificate cannot be used: {0}")]
    Identity(rustls::Error),
}

/// A client certificate with its chain, leaf first, and the key that proves it.
pub struct ClientCertificate {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl ClientCertificate {
    /// Takes a chain, leaf first, and its key as they are.
    pub fn new(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Self {
        ClientCertificate { chain, key }
    }

    /// Reads a chain, leaf first, and its key from PEM files.
    ///
    /// # Errors
    /// [`TlsError::File`] naming the file that cannot be read.
    pub fn read(chain: &Path, key: &Path) -> Result<Self, TlsError> {
        Ok(ClientCertificate {
            chain: certificates(chain)?,
            key: PrivateKeyDer::from_pem_file(key).map_err(|e| file_error(key, &e))?,
        })
    }
}

impl std::fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ClientCertificate({} certificates)", self.chain.len())
    }
}

/// Makes the settings of a client that trusts `trust` and shows `identity`.
///
/// # Errors
/// [`TlsError`] when a file cannot be read, nobody is trusted, or the identity cannot be used.
pub fn settings(
    trust: &Trust,
    identity: Option<ClientCertificate>,
) -> Result<Arc<ClientConfig>, TlsError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Identity)?;
    let builder = match trust {
        Trust::Shown(sha256) => {
            let verifier = shown::Shown::new(sha256.clone(), &provider);
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(verifier))
        }
        _ => builder.with_root_certificates(roots(trust)?),
    };
    let settings = match identity {
        Some(identity) => builder
            .with_client_auth_cert(identity.chain, identity.key)
            .map_err(TlsError::Identity)?,
        None => builder.with_no_client_auth(),
    };
    Ok(Arc::new(settings))
}

fn roots(trust: &Trust) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    let mut from = String::new();
    if let Trust::System | Trust::SystemAnd(_) = trust {
        from.push_str("the system's certificate store");
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    match trust {
        // The latter knows no authorities.
        Trust::System | Trust::Shown(_) => {}
        Trust::File(path) | Trust::SystemAnd(path) => {
            from = path.display().to_string();
            let (added, _) = roots.add_parsable_certificates(certificates(path)?);
            if added == 0 {
                return Err(TlsError::NobodyTrusted(from));
            }
        }
        Trust::Certificates(list) => {
            from.push_str("the list given");
            roots.add_parsable_certificates(list.iter().cloned());
        }
    }
    if roots.is_empty() {
        return Err(TlsError::NobodyTrusted(from));
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    CertificateDer::pem_file_iter(path)
        .map_err(|e| file_error(path, &e))?
        .collect::<Result<_, _>>()
        .map_err(|e| file_error(path, &e))
}

fn file_error(path: &Path, cause: &rustls_pki_types::pem::Error) -> TlsError {
    TlsError::File {
        path: path.to_owned(),
        cause: cause.to_string(),
    }
}
