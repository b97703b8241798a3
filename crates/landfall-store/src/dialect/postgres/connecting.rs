//! How a connection to PostgreSQL is made: with TLS where the URL asks for it, and with what this store asks
//! of every session.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::url::PostgresUrl;
use crate::dialect::Fault;

/// What every session is told before it is used.
///
/// A statement may take long only where the database waits for somebody: there the bound is set. There is no
/// `statement_timeout`: it would end the wait for a synchronous standby with a commit that says it is done.
pub(super) const SETTINGS: &str = "SET lock_timeout = '5s';
    SET idle_in_transaction_session_timeout = '10s';
    SET tcp_keepalives_idle = 3; SET tcp_keepalives_interval = 1; SET tcp_keepalives_count = 3;
    SET client_min_messages = 'error'";

/// What a session that writes is told besides: whatever a write asks is found by a key, however small a
/// table seems to be.
pub(super) const WRITING: &str = "SET enable_seqscan = off; SET enable_hashjoin = off;
    SET enable_mergejoin = off";

/// What TLS asks of the server: a certificate from an authority in the given file, or from one that this
/// machine trusts, for the name in the URL.
pub(super) fn tls(url: &PostgresUrl) -> Result<MakeRustlsConnect, Fault> {
    let mut roots = RootCertStore::empty();
    let wrong = |what: String| Fault::Database(what);
    match &url.authorities {
        _ if url.config.get_ssl_mode() == SslMode::Disable => {}
        Some(pem) => {
            for one in CertificateDer::pem_slice_iter(pem) {
                let one = one.map_err(|e| wrong(format!("the file of authorities: {e}")))?;
                roots
                    .add(one)
                    .map_err(|e| wrong(format!("a certificate in the file of authorities: {e}")))?;
            }
            if roots.is_empty() {
                return Err(wrong(
                    "the file of authorities holds no certificate".to_owned(),
                ));
            }
        }
        None => {
            // What cannot be read of this machine's authorities is missing, and named when nothing is left.
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
            if roots.is_empty() {
                return Err(wrong(
                    "this machine trusts no authority, so that no certificate of a database can be \
                     checked: install ca-certificates, or name the authority (database.ca_file)"
                        .to_owned(),
                ));
            }
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| wrong(e.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}
