//! The load client: so many connections at once, each of which does one piece of work after the other.
//! It verifies no certificate, resumes no session and offers X25519 before P-256, so that what it costs
//! is the same whatever it calls. What a piece of work is stands in `work`.

mod connection;
mod https;
mod packet;
pub mod session;
mod websocket;
pub mod work;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use landfall_server::time::{Stopwatch, timeout};
use landfall_server::tls::provider;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::kx_group::{SECP256R1, X25519};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::task::JoinSet;

use self::connection::Connection;
use self::work::Work;

/// How long one piece of work may take before it is an error.
const PATIENCE: Duration = Duration::from_secs(20);

/// Sessions that are begun at once.
const OPENING: usize = 64;

/// Where to, and how many at once.
#[derive(Clone)]
pub struct Target {
    /// The server.
    pub address: SocketAddr,
    /// How many pieces of work at once.
    pub in_flight: usize,
    /// Whether connections are kept from one piece of work to the next.
    pub kept: bool,
}

/// Connections that are kept from one load to the next, or only held.
#[derive(Default)]
pub struct Kept(Vec<Connection>);

impl Kept {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

/// What a load came to.
#[derive(Debug, Default)]
pub struct Outcome {
    /// How many pieces of work were done.
    pub done: u64,
    /// What failed, by kind.
    pub errors: BTreeMap<String, u64>,
    /// From the first beginning to the last end.
    pub lasted: Duration,
}

/// The settings of a client that trusts anybody.
///
/// # Errors
/// When the provider offers no TLS 1.3.
pub fn settings() -> anyhow::Result<ClientConfig> {
    let mut provider = (*provider()).clone();
    provider.kx_groups = vec![X25519, SECP256R1];
    let schemes = provider
        .signature_verification_algorithms
        .supported_schemes();
    let mut settings = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(schemes)))
        .with_no_client_auth();
    settings.resumption = Resumption::disabled();
    Ok(settings)
}

/// Begins these of the sessions that a work has, some at once; whatever else a work is, it has none.
///
/// # Errors
/// When one is not let in.
pub async fn open(
    at: SocketAddr,
    work: &Arc<Work>,
    sessions: Range<usize>,
) -> anyhow::Result<Kept> {
    let mut lanes = JoinSet::new();
    for lane in sessions.clone().take(OPENING) {
        let (work, end) = (Arc::clone(work), sessions.end);
        lanes.spawn(async move {
            let mut opened = Vec::new();
            for number in (lane..end).step_by(OPENING) {
                opened.push(timeout(PATIENCE, work.session(at, number)).await??);
            }
            anyhow::Ok(opened)
        });
    }
    let mut kept = Kept::default();
    while let Some(opened) = lanes.join_next().await {
        kept.0.extend(opened??);
    }
    Ok(kept)
}

/// Lets the connections work for `span`, those of `kept` first; what is begun by then is finished. Gives back those
/// that are still kept.
pub async fn run(target: &Target, work: &Arc<Work>, kept: Kept, span: Duration) -> (Outcome, Kept) {
    let outcome = Arc::new(Mutex::new(Outcome::default()));
    let watch = Stopwatch::start();
    let mut lanes = JoinSet::new();
    let mut first = kept.0.into_iter();
    for _ in 0..target.in_flight {
        let (target, work, outcome) = (target.clone(), Arc::clone(work), Arc::clone(&outcome));
        let mut kept = first.next();
        lanes.spawn(async move {
            while watch.elapsed() < span {
                let once = one(&target, &work, kept.take());
                let ended = match timeout(PATIENCE, once).await {
                    Ok(Ok(Some(done))) => Ok(done),
                    Ok(Ok(None)) => break,
                    Ok(Err(error)) => Err(format!("{error:#}")),
                    Err(late) => Err(late.to_string()),
                };
                let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
                match ended {
                    Ok((connection, done)) => {
                        outcome.done += done;
                        kept = Some(connection).filter(|_| target.kept);
                    }
                    Err(kind) => *outcome.errors.entry(kind).or_default() += 1,
                }
            }
            kept
        });
    }
    let mut kept = Kept::default();
    while let Some(lane) = lanes.join_next().await {
        kept.0.extend(lane.ok().flatten());
    }
    let mut outcome = std::mem::take(&mut *outcome.lock().unwrap_or_else(PoisonError::into_inner));
    outcome.lasted = watch.elapsed();
    (outcome, kept)
}

/// One piece of work, on a connection that is kept or on a new one, and how many it counts as; `None` when there
/// is none left.
async fn one(
    target: &Target,
    work: &Work,
    kept: Option<Connection>,
) -> anyhow::Result<Option<(Connection, u64)>> {
    let Some((settings, task)) = work.next(target.kept)? else {
        return Ok(None);
    };
    let mut connection = match kept {
        Some(connection) => connection,
        None => Connection::open(target.address, settings).await?,
    };
    let done = task.carry_out(&mut connection).await?;
    if !target.kept {
        connection.close().await?;
    }
    Ok(Some((connection, done)))
}

/// Takes any certificate for the right one, and looks at no signature: that is the server's cost to bear.
#[derive(Debug)]
struct Anybody(Vec<SignatureScheme>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.clone()
    }
}
