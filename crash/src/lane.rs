//! One server that is killed over and over, and the goal that all lanes work for.

use std::mem::take;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use landfall_server::time::{Stopwatch, sleep};
use landfall_store::examination::Examination;

use crate::cluster::Cluster;
use crate::ledger::{Count, Device, Ledger, Progress, Written};
use crate::load::{Hit, Target, Writer};
use crate::moments::{Moment, Whom};
use crate::nodes::Nodes;
use crate::options::{Engine, Options};
use crate::verify;
use landfall_crash::access::{Access, MOVES};
use landfall_crash::chance::Chance;
use landfall_crash::server::Server;

/// So many writers register devices.
const REGISTERING: usize = 4;
/// So many enrollments are written.
const ENROLLMENTS: usize = 8;
/// So many devices' twins are written.
const HOMES: usize = 4;
/// After so many kills the whole database is checked.
const CHECKED_EVERY: u64 = 25;
/// A load that sees its server alive for longer has nothing more to do.
const LONGEST_LOAD: Duration = Duration::from_secs(30);

/// How many kills there are to be, and whether it is over.
pub struct Goal {
    points: u64,
    limit: Option<Duration>,
    watch: Stopwatch,
    taken: AtomicU64,
    over: AtomicBool,
}

impl Goal {
    /// The goal of a run.
    pub fn new(options: &Options) -> Self {
        Goal {
            points: options.points,
            limit: options.limit,
            watch: Stopwatch::start(),
            taken: AtomicU64::new(0),
            over: AtomicBool::new(false),
        }
    }

    /// Ends the run: somebody failed.
    pub fn give_up(&self) {
        self.over.store(true, Ordering::SeqCst);
    }

    /// Takes one kill of those that are to be done; `None` when it is over.
    fn take(&self) -> Option<u64> {
        let late = self
            .limit
            .is_some_and(|limit| self.watch.elapsed() >= limit);
        if late || self.over.load(Ordering::SeqCst) {
            return None;
        }
        let number = self.taken.fetch_add(1, Ordering::SeqCst) + 1;
        (number <= self.points).then_some(number)
    }
}

/// See the module.
pub struct Lane {
    number: u16,
    engine: Engine,
    /// Where the engine is PostgreSQL.
    cluster: Option<Arc<Cluster>>,
    nodes: Nodes,
    chance: Chance,
    goal: Arc<Goal>,
    ledger: Ledger,
    count: Count,
}

impl Lane {
    /// Prepares a server that nobody started yet, and starts the database that it needs.
    ///
    /// # Errors
    /// When its folder cannot be made, or PostgreSQL does not start.
    pub async fn new(number: u16, options: &Options, goal: Arc<Goal>) -> anyhow::Result<Self> {
        let mut chance = Chance::new(options.seed);
        for _ in 0..number {
            chance.part();
        }
        let turn = usize::from(number) % options.engines.len().max(1);
        let engine = options.engines.get(turn).copied().context("an engine")?;
        let cluster = match engine {
            Engine::Sqlite => None,
            Engine::Postgres => {
                let cluster = Cluster::make(options.programs.as_deref())?;
                cluster.start().await?;
                Some(Arc::new(cluster))
            }
        };
        let servers = match &cluster {
            None => vec![Server::make(&options.binary, None)?],
            Some(cluster) => (0..options.nodes)
                .map(|node| Server::make(&options.binary, Some(&cluster.url(node))))
                .collect::<Result<_, _>>()?,
        };
        Ok(Lane {
            number,
            engine,
            cluster,
            nodes: Nodes::new(servers),
            chance: chance.part(),
            goal,
            ledger: Ledger::default(),
            count: Count::default(),
        })
    }

    /// Kills and asks until the goal is reached. Gives what it counted.
    ///
    /// # Errors
    /// What was lost, with the folder that is kept for whoever looks into it.
    pub async fn run(mut self) -> anyhow::Result<Count> {
        match self.kills().await {
            Ok(()) => Ok(self.count),
            Err(error) => {
                let folders = self.nodes.keep();
                if let Some(cluster) = self.cluster.take().and_then(Arc::into_inner) {
                    cluster.keep();
                }
                Err(error.context(format!(
                    "lane {} after {} kills; its folders stay: {}",
                    self.number,
                    self.count.kills(),
                    folders
                        .iter()
                        .map(|folder| folder.display().to_string())
                        .collect::<Vec<_>>()
                        .join(", ")
                )))
            }
        }
    }

    async fn kills(&mut self) -> anyhow::Result<()> {
        self.nodes.begin().await?;
        let access = self.nodes.access(0);
        let homes = self.homes(&access).await?;
        self.ledger.directed.acknowledged = Some(0);
        self.ledger.devices.resize(REGISTERING, Vec::new());
        for number in 0..ENROLLMENTS {
            let id = format!("enrolled-{number}");
            self.ledger.enrollments.insert(id, Written::default());
        }
        while let Some(number) = self.goal.take() {
            let here = self.node();
            let access = self.nodes.access(here);
            let target = self.target(here);
            match Moment::draw(&mut self.chance) {
                Moment::Starting(after) => {
                    self.nodes.cut_off(here, after, &target).await?;
                    self.count.starting += 1;
                }
                Moment::After(span) => {
                    self.load(&access, &homes, &target, None, span).await?;
                    self.count.at_random += 1;
                }
                Moment::Answer(chosen) => {
                    let chosen = Some(chosen);
                    self.load(&access, &homes, &target, chosen, LONGEST_LOAD)
                        .await?;
                    self.count.behind_answers += 1;
                }
            }
            self.ask(here, &target, &homes).await?;
            let due = self.count.kills().is_multiple_of(CHECKED_EVERY);
            if due && self.engine == Engine::Sqlite {
                self.check_database().await?;
            }
            if number % 100 == 0 {
                println!("{number} kills");
            }
        }
        let devices = verify::every_device(&access, &self.ledger.devices).await?;
        self.check_database().await?;
        println!(
            "lane {}: {devices} devices, each on its hub alone",
            self.number
        );
        self.nodes.end();
        Ok(())
    }

    /// The server that is used and may be killed.
    fn node(&mut self) -> usize {
        match self.nodes.many() {
            1 => 0,
            many => usize::try_from(self.chance.below(many as u64)).unwrap_or(0),
        }
    }

    /// What is killed: this server, or the database server.
    fn target(&mut self, here: usize) -> Target {
        match (Whom::draw(&mut self.chance, self.engine), &self.cluster) {
            (Whom::Database(how), Some(cluster)) => {
                self.count.of_database += 1;
                Target::Database(Arc::clone(cluster), how)
            }
            _ => Target::Server(self.nodes.victim(here)),
        }
    }

    /// Asks for everything that was acknowledged: of another server, where there is one, before the one that was
    /// killed is started again; it has lived through it, and finds its database again by itself.
    async fn ask(&mut self, here: usize, target: &Target, homes: &[Device]) -> anyhow::Result<()> {
        if let Target::Database(cluster, _) = target {
            cluster.start().await?;
        }
        let there = (here + 1) % self.nodes.many();
        if there != here
            && let Some(cluster) = &self.cluster
            && self.nodes.victim(here).has_left()
        {
            cluster.forgets(here).await?;
            self.count.asked_elsewhere += 1;
        }
        self.nodes.recover(there).await?;
        let access = self.nodes.access(there);
        self.verify(&access, homes).await?;
        self.nodes.recover(here).await
    }

    /// A few devices that are there from the beginning, for their twins.
    async fn homes(&mut self, access: &Access) -> anyhow::Result<Vec<Device>> {
        let mut homes: Vec<Device> = (0..HOMES)
            .map(|number| Device {
                id: format!("home-{number}"),
                progress: Progress::Asked,
                placed: None,
            })
            .collect();
        verify::devices(access, &mut homes).await?;
        for home in &homes {
            self.ledger
                .twins
                .insert(home.id.clone(), Written::default());
        }
        Ok(homes)
    }

    /// Lets everybody write until the server is gone: killed here after `span` at the latest.
    async fn load(
        &mut self,
        access: &Access,
        homes: &[Device],
        target: &Target,
        chosen: Option<u64>,
        span: Duration,
    ) -> anyhow::Result<()> {
        let hit = Hit::new(target.clone(), chosen);
        let mut registering = Vec::new();
        for (at, mut devices) in take(&mut self.ledger.devices).into_iter().enumerate() {
            let mut writer = self.writer(access, &hit);
            let prefix = match at % 2 {
                0 => format!("device-{at}"),
                _ => format!("{MOVES}{at}"),
            };
            registering.push(tokio::spawn(async move {
                let outcome = writer.register(&mut devices, &prefix).await;
                (devices, writer.count, outcome)
            }));
        }
        let (mut writer, mut enrollments) = (
            self.writer(access, &hit),
            take(&mut self.ledger.enrollments),
        );
        let enrolling = tokio::spawn(async move {
            let outcome = writer.enroll(&mut enrollments).await;
            (enrollments, writer.count, outcome)
        });
        let (mut writer, mut directed) =
            (self.writer(access, &hit), take(&mut self.ledger.directed));
        let directing = tokio::spawn(async move {
            let outcome = writer.direct(&mut directed).await;
            (directed, writer.count, outcome)
        });
        let (mut writer, mut twins) = (self.writer(access, &hit), take(&mut self.ledger.twins));
        let homes = homes.to_vec();
        let changing = tokio::spawn(async move {
            let outcome = writer.change(&mut twins, &homes).await;
            (twins, writer.count, outcome)
        });
        let target = target.clone();
        let killing = tokio::spawn(async move {
            sleep(span).await;
            target.kill();
        });

        // Whoever writes ends when the server is gone, whoever killed it.
        let mut outcomes = Vec::new();
        for writer in registering {
            let (devices, count, outcome) = writer.await?;
            self.ledger.devices.push(devices);
            self.count.add(&count);
            outcomes.push(outcome);
        }
        let (enrollments, count, outcome) = enrolling.await?;
        self.ledger.enrollments = enrollments;
        self.count.add(&count);
        outcomes.push(outcome);
        let (directed, count, outcome) = directing.await?;
        self.ledger.directed = directed;
        self.count.add(&count);
        outcomes.push(outcome);
        let (twins, count, outcome) = changing.await?;
        self.ledger.twins = twins;
        self.count.add(&count);
        outcomes.push(outcome);
        killing.abort();
        outcomes.into_iter().collect()
    }

    fn writer(&mut self, access: &Access, hit: &Arc<Hit>) -> Writer {
        Writer {
            access: access.clone(),
            chance: self.chance.part(),
            hit: Arc::clone(hit),
            count: Count::default(),
        }
    }

    /// Asks for everything that was acknowledged.
    async fn verify(&mut self, access: &Access, homes: &[Device]) -> anyhow::Result<()> {
        let mut asking = Vec::new();
        for mut devices in take(&mut self.ledger.devices) {
            let access = access.clone();
            asking.push(tokio::spawn(async move {
                let outcome = verify::devices(&access, &mut devices).await;
                (devices, outcome)
            }));
        }
        verify::enrollments(access, &mut self.ledger.enrollments).await?;
        verify::directed(access, &mut self.ledger.directed).await?;
        verify::twins(access, &mut self.ledger.twins, homes).await?;
        for asked in asking {
            let (devices, outcome) = asked.await?;
            self.ledger.devices.push(devices);
            outcome?;
        }
        Ok(())
    }

    async fn check_database(&self) -> anyhow::Result<()> {
        if let Some(cluster) = &self.cluster {
            let cluster = Arc::clone(cluster);
            return tokio::task::spawn_blocking(move || cluster.check()).await?;
        }
        let path = self.nodes.first().data().join("landfall.db");
        let damage = tokio::task::spawn_blocking(move || {
            Examination::open(&path).and_then(|database| database.damage())
        });
        let damage = damage.await.context("the check")??;
        if !damage.is_empty() {
            bail!("DAMAGED: {}", damage.join("; "));
        }
        Ok(())
    }
}
