//! A throw-away authority for the devices of a run: a root for the group, one intermediate below it,
//! and a certificate with its key for each device. Nothing of it touches the disk.

use std::time::Duration;

use landfall_core::clock::{Entropy as _, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use crate::dev_ca::{date, named, positive};
use crate::time::SystemEntropy;
use crate::tls::provider;

/// Certificates are valid from so long before they are made, for clocks that are behind.
const BACKDATED: Duration = Duration::from_secs(3600);

/// Why a certificate could not be made.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The library refused to make it.
    #[error("a certificate for the devices cannot be made: {0}")]
    Made(#[from] rcgen::Error),
    /// TLS does not take its key.
    #[error("the key of a device cannot be used: {0}")]
    Key(#[from] rustls::Error),
}

/// Root and intermediate.
pub struct Authority {
    root: String,
    intermediate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
    from: Timestamp,
    until: Timestamp,
}

impl Authority {
    /// Makes an authority whose certificates are good for `life` from `now` on.
    ///
    /// # Errors
    /// [`AuthorityError`] when the library refuses.
    pub fn make(now: Timestamp, life: Duration) -> Result<Self, AuthorityError> {
        let (from, until) = (now.minus(BACKDATED), now.plus(life));
        let root_key = KeyPair::generate()?;
        let params = ca("Landfall bench root", from, until);
        let root = params.self_signed(&root_key)?;
        let root_pem = root.pem();
        let root = Issuer::new(params, root_key);
        let key = KeyPair::generate()?;
        let mut params = ca("Landfall bench intermediate", from, until);
        params.use_authority_key_identifier_extension = true;
        let intermediate = params.signed_by(&key, &root)?;
        Ok(Authority {
            root: root_pem,
            intermediate: intermediate.der().clone(),
            issuer: Issuer::new(params, key),
            from,
            until,
        })
    }

    /// The root, as PEM text: what the enrollment group holds.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// A certificate of a device with the intermediate, and its key.
    ///
    /// # Errors
    /// [`AuthorityError`] when the library refuses.
    pub fn issue(&self, registration_id: &str) -> Result<CertifiedKey, AuthorityError> {
        let key = KeyPair::generate()?;
        let mut params = params(registration_id, self.from, self.until);
        params.use_authority_key_identifier_extension = true;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &self.issuer)?;
        let chain = vec![certificate.der().clone(), self.intermediate.clone()];
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let key = provider().key_provider.load_private_key(key)?;
        Ok(CertifiedKey::new(chain, key))
    }
}

fn ca(name: &str, from: Timestamp, until: Timestamp) -> CertificateParams {
    let mut params = params(name, from, until);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn params(name: &str, from: Timestamp, until: Timestamp) -> CertificateParams {
    let mut serial = [0; 16];
    SystemEntropy.fill(&mut serial);
    let mut params = CertificateParams::default();
    params.distinguished_name = named(name);
    params.not_before = date(from);
    params.not_after = date(until);
    params.serial_number = Some(positive(serial));
    params
}
