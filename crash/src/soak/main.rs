//! `landfall-soak`: lets devices live on a real server for minutes. They provision over MQTT, come and go, send,
//! report and are called, while the server is killed and started again; then it asks for everything that was
//! acknowledged. `cargo xtask soak` starts it.
//!
//! Devices are in [`device`], what is done to them in [`operator`], who follows the hub's events in [`reader`]; what
//! was promised stands in [`ledger`], and what the server takes of memory in [`memory`].

mod device;
mod ledger;
mod memory;
mod operator;
mod options;
mod phase;
mod reader;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use landfall_crash::access::Access;
use landfall_crash::chance::Chance;
use landfall_crash::server::{FIRST_HUB, SECOND_HUB, Server, Victim};
use landfall_server::time::{Stopwatch, sleep};
use tokio::task::JoinSet;

use crate::device::Device;
use crate::ledger::Ledger;
use crate::memory::{Memory, is_flat};
use crate::operator::Operator;
use crate::options::Options;
use crate::phase::Clock;
use crate::reader::Reader;

/// So many operators share the devices.
const OPERATORS: usize = 8;
/// How often the server's memory is looked at.
const LOOKS_EVERY: Duration = Duration::from_millis(500);
/// What must have come when so much time has passed in quiet.
const OWED_WITHIN: Duration = Duration::from_secs(120);

fn main() -> ExitCode {
    let outcome = Options::read(std::env::args().skip(1)).and_then(|options| {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        runtime.block_on(run(options))
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> anyhow::Result<()> {
    println!("soak: seed {}", options.seed);
    let mut server = Server::make(&options.binary, None)?;
    let victim = server.start().await?;
    let access = Access::gather(&server).await?;
    let ids: Vec<String> = (0..options.devices)
        .map(|number| format!("soak-{number}"))
        .collect();
    let soak = Soak {
        ledger: Arc::new(Ledger::new(&ids)),
        clock: Arc::new(Clock::default()),
        access,
    };
    let mut everybody = soak.begin(ids, Chance::new(options.seed));
    let lived = soak.lives(&server, victim, &options).await;
    soak.clock.turn();
    everybody.shutdown().await;
    println!("{}", soak.ledger);
    let judged = lived.and_then(|()| {
        let faults = soak.ledger.faults();
        ensure!(faults.is_empty(), "{}", faults.join("\n"));
        Ok(())
    });
    match judged {
        Ok(()) => {
            println!("0 acknowledged messages lost, 0 versions skipped, memory is flat");
            Ok(())
        }
        Err(error) => Err(error.context(format!("kept in {}", server.keep().display()))),
    }
}

/// Devices, operators and readers of one server.
struct Soak {
    ledger: Arc<Ledger>,
    clock: Arc<Clock>,
    access: Access,
}

impl Soak {
    /// Starts everybody.
    fn begin(&self, ids: Vec<String>, mut chance: Chance) -> JoinSet<()> {
        let mut everybody = JoinSet::new();
        let shared = || (Arc::clone(&self.ledger), Arc::clone(&self.clock));
        for host in [FIRST_HUB, SECOND_HUB] {
            let (ledger, clock) = shared();
            everybody.spawn(Reader::new(self.access.clone(), host, ledger, clock).read());
        }
        for part in ids.chunks(ids.len().div_ceil(OPERATORS)) {
            let (hubs, chance) = ([FIRST_HUB, SECOND_HUB], chance.part());
            let operator = Operator::new(part.to_vec(), &hubs, &self.access, shared(), chance);
            everybody.spawn(operator.work());
        }
        for id in ids {
            let (ledger, clock) = shared();
            let device = Device::new(id, self.access.clone(), ledger, clock, chance.part());
            everybody.spawn(device.live());
        }
        everybody
    }

    /// Lets the server live and die, and waits for what is owed at the end. The kills come in the first half, so
    /// that the last life is long enough to tell a leak from noise.
    async fn lives(
        &self,
        server: &Server,
        mut victim: Victim,
        options: &Options,
    ) -> anyhow::Result<()> {
        let half = options.span / 2;
        for life in 1..=options.kills {
            look_on(&format!("life {life}"), &victim, half / options.kills).await?;
            victim.kill();
            victim = server.start().await?;
        }
        let left = if options.kills == 0 {
            options.span
        } else {
            half
        };
        look_on("the last life", &victim, left).await?;
        self.clock.turn();
        self.settle().await
    }

    /// Waits until nobody is owed anything any more.
    async fn settle(&self) -> anyhow::Result<()> {
        let watch = Stopwatch::start();
        while let Some((count, first)) = self.ledger.owed() {
            if watch.elapsed() > OWED_WITHIN {
                bail!("{count} devices wait for what was acknowledged; {first}");
            }
            sleep(LOOKS_EVERY).await;
        }
        println!(
            "all that was owed had come {:.1} s later",
            watch.elapsed().as_secs_f64()
        );
        Ok(())
    }
}

/// Looks at a server's memory for so long: it may not grow from the middle of a life, when all devices are back,
/// to its end.
async fn look_on(life: &str, victim: &Victim, span: Duration) -> anyhow::Result<()> {
    let watch = Stopwatch::start();
    let mut memory = Memory::default();
    while watch.elapsed() < span {
        sleep(LOOKS_EVERY).await;
        ensure!(!victim.has_left(), "the server left by itself");
        memory.look(victim.id().context("no server")?)?;
    }
    let (middle, end) = memory.middle_and_end().context("too short a life")?;
    println!(
        "{life}: {} MiB in its middle, {} MiB at its end",
        middle >> 20,
        end >> 20
    );
    ensure!(is_flat(middle, end), "memory grows");
    Ok(())
}
