//! The certificates above the leaf that clients showed lately. A fleet shows the same few with every
//! connection: read once, and once found to be signed by whom they say (docs/protocol/x509.md §2.3), they are
//! known by their bytes. It gives nobody trust: what each is worth is judged anew for every request.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use aws_lc_rs::digest;
use landfall_core::certificate::{Certificate, CertificateError};

/// Most certificates that are kept: at eight kilobytes each, and what is read of them, some five megabytes.
const MOST: usize = 256;

/// The certificates, by the SHA-256 of their bytes.
#[derive(Debug, Default)]
pub struct Issuers {
    known: Mutex<HashMap<[u8; 32], Certificate>>,
}

impl Issuers {
    /// Reads a certificate, or gives it as it was read before.
    ///
    /// # Errors
    /// When the bytes are no certificate.
    pub fn read(&self, der: &[u8]) -> Result<Certificate, CertificateError> {
        let mut name = [0; 32];
        name.copy_from_slice(digest::digest(&digest::SHA256, der).as_ref());
        if let Some(certificate) = self.lock().get(&name) {
            return Ok(certificate.clone());
        }
        let certificate = Certificate::from_der(der)?;
        if certificate.is_ca() {
            let mut known = self.lock();
            if known.len() >= MOST {
                // Strangers that show others all the time cost the fleet no more than having none.
                known.clear();
            }
            known.insert(name, certificate.clone());
        }
        Ok(certificate)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 32], Certificate>> {
        // A map of whole certificates cannot be left half-changed by a panic.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::test_chains::{Ca, ecdsa, now};

    #[test]
    fn issuers_are_known_by_their_bytes_and_bounded_and_leaves_are_not_kept() {
        let issuers = Issuers::default();
        let known = || issuers.known.lock().expect("whole").len();
        let roots: Vec<Vec<u8>> = (0..MOST + 3)
            .map(|n| Certificate::from_text(&Ca::root(&format!("root-{n}")).pem()))
            .map(|root| root.expect("a certificate").der().to_vec())
            .collect();
        let first = issuers.read(&roots[0]).expect("a certificate");
        let again = issuers.read(&roots[0]).expect("a certificate");
        assert!(std::ptr::eq(first.der().as_ptr(), again.der().as_ptr()));
        for (n, root) in roots.iter().enumerate() {
            let read = issuers.read(root).expect("a certificate");
            assert_eq!(read.der(), root);
            assert!(known() <= MOST, "{n}");
        }
        assert_eq!(known(), 3);
        let leaf = Ca::root("root").issue(&["dev"], &ecdsa(), now());
        let leaf = Certificate::from_text(&leaf.certificate).expect("a leaf");
        assert_eq!(issuers.read(leaf.der()), Ok(leaf.clone()));
        assert!(issuers.read(b"nonsense").is_err());
        assert_eq!(known(), 3);
    }
}
