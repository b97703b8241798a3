//! The servers of a comparison, those that are wanted, and how each kind of work is measured at them: the
//! processor time of the server's process by the work that was done.

mod landfall;
mod measured;
mod server;
mod stores;
mod threads;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use landfall_bench::load::session::Says;
use landfall_bench::load::work::{Way, Work};
use landfall_bench::load::{self, Target};
use landfall_core::clock::Clock as _;
use landfall_server::command::bench::authority::Authority;
use landfall_server::time::{SystemClock, sleep};

pub(super) use self::landfall::{Client, HUB, Home, Landfall};
pub(super) use self::measured::Measured;
use self::measured::{IN_FLIGHT, Place};
pub(super) use self::server::{Server, pinned};
use self::stores::Stores;
pub(super) use self::threads::Spent;
use super::Options;
use super::row::Figure;

/// How the names of devices begin whose sessions are measured.
const OF_THE_HUB: &str = "session";

/// Everything that runs.
pub(super) struct Stage {
    landfall: Landfall,
    others: BTreeMap<Place, Server>,
    authority: Authority,
    /// How often devices were made, so that no two rounds share a name.
    fleets: u32,
    /// How many devices with certificates one round used last.
    certificates: usize,
    folder: PathBuf,
    stores: Stores,
    /// Whether devices are there whose sessions are measured.
    inhabited: bool,
    /// What the threads used for each piece of work that was counted, and how many pieces that were.
    spent: BTreeMap<Measured, (Spent, u64)>,
}

impl Stage {
    /// Starts the servers that these measures want.
    pub(super) async fn set(options: &Options, wanted: &[Measured]) -> anyhow::Result<Self> {
        let authority = Authority::make(SystemClock.now(), Duration::from_secs(24 * 3600))?;
        let landfall = Landfall::start(options, authority.root())?;
        let mut stage = Stage {
            landfall,
            others: BTreeMap::new(),
            authority,
            fleets: 0,
            certificates: 4000,
            folder: options.folder.clone(),
            stores: Stores::new(options),
            inhabited: false,
            spent: BTreeMap::new(),
        };
        for place in wanted.iter().filter_map(|what| what.place()) {
            stage.open(place)?;
        }
        for server in stage.others.values() {
            server.listens().await?;
        }
        let rows = [Measured::RowsOfRegister, Measured::RowsOfPair];
        if wanted.iter().any(|what| rows.contains(what)) {
            stage.pattern().await.context("a registration to repeat")?;
        }
        Ok(stage)
    }

    fn open(&mut self, place: Place) -> anyhow::Result<()> {
        if self.others.contains_key(&place) {
            return Ok(());
        }
        let server = match place {
            Place::Landfall => return Ok(()),
            Place::Hs => Server::own("hs")?,
            Place::HsClient => Server::own("hs-client")?,
            Place::Hello => Server::own("hello")?,
            Place::HelloOurs => Server::own("hello-ours")?,
            Place::Nginx => Server::nginx(&self.folder)?,
            Place::Mosquitto => Server::mosquitto(&self.folder)?,
        };
        self.others.insert(place, server);
        Ok(())
    }

    /// Copies Landfall's database once it holds a registration with its traces.
    async fn pattern(&mut self) -> anyhow::Result<()> {
        self.measure(Measured::Pair, Duration::from_millis(500))
            .await?;
        self.landfall.copy(&self.stores.pattern)
    }

    /// What the threads of the server used for one piece of work, in all rounds so far.
    pub(super) fn spent(&self, what: Measured) -> Option<Spent> {
        let (spent, done) = self.spent.get(&what)?;
        Some(spent.by_each(*done))
    }

    /// Forgets what was spent: the round did not count.
    pub(super) fn forget(&mut self) {
        self.spent.clear();
    }

    /// Measures one kind of work for `span`.
    pub(super) async fn measure(
        &mut self,
        what: Measured,
        span: Duration,
    ) -> anyhow::Result<Figure> {
        let Some(place) = what.place() else {
            return self.stores.measure(what);
        };
        self.fleets += 1;
        if matches!(what, Measured::TwinGet | Measured::Telemetry) {
            self.devices().await.context("devices for the hub")?;
        }
        let work = Arc::new(self.work(what, span)?);
        let server = match place {
            Place::Landfall => self.landfall.server(),
            other => self.others.get(&other).context("it was not started")?,
        };
        let target = Target {
            address: server.address,
            in_flight: what.in_flight(),
            kept: what.kept(),
        };
        let kept = load::open(server.address, &work, 0..work.sessions()).await?;
        let before = server.rested().await?;
        let threads = server.spent();
        let (outcome, kept) = load::run(&target, &work, kept, span).await;
        let after = server.rested().await?;
        let threads = server.spent() - threads;
        // What their ends cost is not counted.
        drop(kept);
        ensure!(outcome.errors.is_empty(), "errors: {:?}", outcome.errors);
        ensure!(outcome.done > 0, "nothing was done");
        if what == Measured::CertificatePair {
            self.certificates = usize::try_from(outcome.done)? * 2;
        }
        let (spent, done) = self.spent.entry(what).or_default();
        *spent += threads;
        *done += outcome.done;
        let used = after.saturating_sub(before);
        Ok(Figure {
            cost: used.as_secs_f64() * 1e6 / outcome.done as f64,
            rate: outcome.done as f64 / outcome.lasted.as_secs_f64(),
        })
    }

    /// Registers the devices whose sessions are measured, once.
    async fn devices(&mut self) -> anyhow::Result<()> {
        if !std::mem::replace(&mut self.inhabited, true) {
            self.landfall.inhabit(OF_THE_HUB, IN_FLIGHT).await?;
        }
        Ok(())
    }

    fn work(&self, what: Measured, span: Duration) -> anyhow::Result<Work> {
        let prefix = format!("bench-{}", self.fleets);
        let (scope, key) = (self.landfall.id_scope(), self.landfall.key());
        let keys = |way| Work::keys(scope, key.clone(), &prefix, way);
        let hub = |says| Work::hub(HUB, key, (OF_THE_HUB, IN_FLIGHT), says);
        let broker = |says| Work::broker(OF_THE_HUB, IN_FLIGHT, says);
        match what {
            Measured::BareHandshake => Work::handshake(true, None),
            Measured::Handshake => Work::handshake(false, None),
            Measured::BareClientHandshake => {
                Work::handshake(true, Some(self.authority.issue("bench")?))
            }
            Measured::FirstGet => Work::get("/bench", 404),
            Measured::Register => keys(Way::Https),
            Measured::Pair | Measured::KeptPair => keys(Way::Polling),
            Measured::MqttPair => keys(Way::Mqtt),
            Measured::BrokerEcho => Work::echo(&prefix),
            Measured::TwinGet => hub(Says::Question),
            Measured::BrokerQuestion => broker(Says::Question),
            Measured::Telemetry => hub(Says::Messages),
            Measured::BrokerMessages => broker(Says::Messages),
            Measured::HelloKept
            | Measured::OurHelloKept
            | Measured::NginxFresh
            | Measured::NginxKept => Work::get("/", 200),
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
            Measured::RowsOfRegister
            | Measured::RowsOfPair
            | Measured::Layer
            | Measured::BareLoop
            | Measured::PostgresLayer
            | Measured::PostgresLoop
            | Measured::PostgresWithStandby => bail!("no load"),
        }
    }
}

/// Waits a moment.
async fn moment() {
    sleep(Duration::from_millis(25)).await;
}
