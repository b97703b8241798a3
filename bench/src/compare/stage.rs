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
use landfall_bench::load::work::Work;
use landfall_bench::load::{self, Target};
use landfall_core::clock::Clock as _;
use landfall_server::command::bench::authority::Authority;
use landfall_server::time::{SystemClock, sleep};

use self::landfall::Landfall;
pub(super) use self::landfall::{Client, Home};
pub(super) use self::measured::Measured;
use self::measured::Place;
pub(super) use self::server::{Server, pinned};
use self::stores::Stores;
pub(super) use self::threads::Spent;
use super::Options;
use super::row::Figure;

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
            spent: BTreeMap::new(),
        };
        for place in wanted.iter().filter_map(|what| what.place()) {
            stage.open(place)?;
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
        let work = self.work(what, span)?;
        let server = match place {
            Place::Landfall => self.landfall.server(),
            other => self.others.get(&other).context("it was not started")?,
        };
        let target = Target {
            address: server.address,
            in_flight: what.in_flight(),
            kept: what.kept(),
        };
        let before = server.rested().await?;
        let threads = server.spent();
        let outcome = load::run(&target, &Arc::new(work), span).await;
        let after = server.rested().await?;
        let threads = server.spent() - threads;
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
