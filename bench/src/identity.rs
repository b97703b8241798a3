//! The certificate that every server of a comparison shows: P-256, made anew for each run.

use std::sync::Arc;

use landfall_core::clock::Clock as _;
use landfall_server::dev_ca::{self, PemPair};
use landfall_server::time::SystemClock;
use landfall_server::tls::{ServerIdentity, certified_key};

/// The name that the certificate carries.
pub const NAME: &str = "localhost";

/// A certificate with its chain, and its key, as PEM text.
///
/// # Errors
/// When the library refuses.
pub fn pem() -> anyhow::Result<PemPair> {
    let now = SystemClock.now();
    let ca = dev_ca::make_ca([1; 16], now)?;
    let names = [NAME.to_owned(), "127.0.0.1".to_owned()];
    Ok(dev_ca::issue_server_certificate(&ca, &names, [2; 16], now)?)
}

/// The same, ready to be shown.
///
/// # Errors
/// When the library refuses.
pub fn shown() -> anyhow::Result<Arc<ServerIdentity>> {
    let pair = pem()?;
    let key = certified_key(&pair.certificate, &pair.key)?;
    Ok(ServerIdentity::new(vec![Arc::new(key)]))
}
