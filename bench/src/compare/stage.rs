//! The servers of a comparison, each started when it is first measured, and how each kind of work is
//! measured at them: the processor time of the server's process by the work that was done.

mod landfall;
mod server;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use landfall_bench::load::work::Work;
use landfall_bench::load::{self, Target};
use landfall_core::clock::Clock as _;
use landfall_server::command::bench::authority::Authority;
use landfall_server::time::{SystemClock, sleep};

use self::landfall::Landfall;
use self::server::Server;
use super::Options;
use super::row::Figure;

/// Pieces of work at once, unless the measure says otherwise.
const IN_FLIGHT: usize = 128;
/// Where nginx does best.
const NGINX_IN_FLIGHT: usize = 16;

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Measured {
    BareHandshake,
    BareClientHandshake,
    Handshake,
    FirstGet,
    Register,
    Pair,
    CertificatePair,
    KeptPair,
    HelloKept,
    OurHelloKept,
    NginxFresh,
    NginxKept,
    Layer,
    BareLoop,
}

/// Everything that runs.
pub(super) struct Stage {
    landfall: Landfall,
    hs: Server,
    hs_client: Server,
    hello: Server,
    hello_ours: Server,
    nginx: Option<Server>,
    authority: Authority,
    /// How often devices were made, so that no two rounds share a name.
    fleets: u32,
    /// How many devices with certificates one round used last.
    certificates: usize,
    folder: PathBuf,
    /// What the layer came to when the loop was measured beside it.
    layer: Option<Figure>,
}

impl Stage {
    /// Starts the servers that these measures want.
    pub(super) async fn set(options: &Options, wanted: &[Measured]) -> anyhow::Result<Self> {
        let authority = Authority::make(SystemClock.now(), Duration::from_secs(24 * 3600))?;
        let wants_nginx = wanted
            .iter()
            .any(|what| matches!(what, Measured::NginxFresh | Measured::NginxKept));
        Ok(Stage {
            landfall: Landfall::start(options, authority.root()).await?,
            hs: Server::own("hs")?,
            hs_client: Server::own("hs-client")?,
            hello: Server::own("hello")?,
            hello_ours: Server::own("hello-ours")?,
            nginx: wants_nginx
                .then(|| Server::nginx(&options.folder))
                .transpose()?,
            authority,
            fleets: 0,
            certificates: 4000,
            folder: options.folder.clone(),
            layer: None,
        })
    }

    /// Measures one kind of work for `span`.
    pub(super) async fn measure(
        &mut self,
        what: Measured,
        span: Duration,
    ) -> anyhow::Result<Figure> {
        match what {
            Measured::BareLoop => {
                let (layer, bare) = server::store(&self.folder)?;
                self.layer = Some(layer);
                return Ok(bare);
            }
            Measured::Layer => return self.layer.take().context("measured with the loop"),
            _ => self.fleets += 1,
        }
        let work = self.work(what, span)?;
        let nginx = || self.nginx.as_ref().context("nginx was not started");
        let server = match what {
            Measured::BareHandshake => &self.hs,
            Measured::BareClientHandshake => &self.hs_client,
            Measured::HelloKept => &self.hello,
            Measured::OurHelloKept => &self.hello_ours,
            Measured::NginxFresh | Measured::NginxKept => nginx()?,
            _ => self.landfall.server(),
        };
        let target = Target {
            address: server.address,
            in_flight: match what {
                Measured::NginxFresh => NGINX_IN_FLIGHT,
                _ => IN_FLIGHT,
            },
            kept: matches!(
                what,
                Measured::KeptPair
                    | Measured::HelloKept
                    | Measured::OurHelloKept
                    | Measured::NginxKept
            ),
        };
        let before = server.rested().await?;
        let outcome = load::run(&target, &Arc::new(work), span).await;
        let after = server.rested().await?;
        ensure!(outcome.errors.is_empty(), "errors: {:?}", outcome.errors);
        ensure!(outcome.done > 0, "nothing was done");
        if what == Measured::CertificatePair {
            self.certificates = usize::try_from(outcome.done)? * 2;
        }
        let used = after.saturating_sub(before);
        Ok(Figure {
            cost: used.as_secs_f64() * 1e6 / outcome.done as f64,
            rate: outcome.done as f64 / outcome.lasted.as_secs_f64(),
        })
    }

    fn work(&self, what: Measured, span: Duration) -> anyhow::Result<Work> {
        let prefix = format!("bench-{}", self.fleets);
        let keys = |poll| {
            let (scope, key) = (self.landfall.id_scope(), self.landfall.key());
            Work::keys(scope, key.clone(), &prefix, poll)
        };
        match what {
            Measured::BareHandshake => Work::handshake(true, None),
            Measured::Handshake => Work::handshake(false, None),
            Measured::BareClientHandshake => {
                Work::handshake(true, Some(self.authority.issue("bench")?))
            }
            Measured::FirstGet => Work::get("/bench", 404),
            Measured::Register => keys(false),
            Measured::Pair | Measured::KeptPair => keys(true),
            Measured::HelloKept
            | Measured::OurHelloKept
            | Measured::NginxFresh
            | Measured::NginxKept => Work::get("/", 200),
            Measured::Layer | Measured::BareLoop => bail!("no load"),
            Measured::CertificatePair => {
                let seconds = usize::try_from(span.as_secs())?.max(1);
                let most = self.certificates.min(4000 * seconds);
                let devices = (0..most).map(|number| {
                    let id = format!("{prefix}-{number}");
                    let key = self.authority.issue(&id)?;
                    anyhow::Ok((id, key))
                });
                Work::certificates(
                    self.landfall.id_scope(),
                    devices.collect::<anyhow::Result<_>>()?,
                )
            }
        }
    }
}

/// Waits a moment.
async fn moment() {
    sleep(Duration::from_millis(25)).await;
}
