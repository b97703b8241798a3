//! What a connection over MQTT costs in memory that says nothing: growth of what the server has of its own, by the
//! connections that are held. Devices with records and sessions in the store, subscribed as SDKs do.
//!
//! Before it is measured every device comes once and goes, few at a time, and a third of them come to stay: what the
//! store keeps of a session, and what a server has at hand for however many, is no part of one more that is held.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use landfall_bench::load::session::Says;
use landfall_bench::load::work::Work;
use landfall_bench::load::{self, Kept, Target};
use landfall_server::time::sleep;

use super::Options;
use super::row::{Asked, Family, Figure, Outcome, Row};
use super::stage::{HUB, Home, Landfall, Server};

/// Connections that are held; a process here may open 20,000 files.
const HELD: usize = 9000;
/// The same in a short run.
const HELD_SHORTLY: usize = 3000;
/// How the names of the devices begin.
const NAMES: &str = "idle";
/// What a server is left alone for before its memory is read.
const REST: Duration = Duration::from_secs(2);
/// What it may take until every device was there once.
const PATIENCE: Duration = Duration::from_secs(120);

/// All of them.
pub(super) static FAMILY: Family = Family {
    rows: &ROWS,
    measure,
};

static ROWS: [Row; 2] = [
    row(
        "memory of one more silent connection of a device to the hub over MQTT, when thousands are held; beside it a client's to Mosquitto",
    ),
    row("the same in a WebSocket; beside it the same of Mosquitto, without one"),
];

const fn row(what: &'static str) -> Row {
    Row {
        number: 15,
        what,
        asked: Asked::Number,
        unit: "KiB",
        must: 16.0,
        stretch: 12.0,
        short: true,
    }
}

fn measure(options: &Options, rows: &[&'static Row]) -> anyhow::Result<Vec<Outcome>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(held(options, rows)).context("row 15")
}

async fn held(options: &Options, rows: &[&'static Row]) -> anyhow::Result<Vec<Outcome>> {
    let count = if options.short { HELD_SHORTLY } else { HELD };
    let broker = Server::mosquitto(&options.folder)?;
    broker.listens().await?;
    let work = || Work::broker(NAMES, count, Says::Nothing);
    let reference = growth(&broker, work).await.context("mosquitto")?;
    drop(broker);
    let home = Home::make(options, "idle")?.take(count + 1000)?;
    let mut landfall = Landfall::in_home(home)?;
    landfall.inhabit(NAMES, count).await?;
    let mut outcomes = Vec::new();
    for row in rows {
        // What is free in one server is not what another has to ask for.
        landfall = landfall.again()?;
        let web = std::ptr::eq(*row, &ROWS[1]);
        let key = landfall.key();
        let work = || {
            let work = Work::hub(HUB, key, (NAMES, count), Says::Nothing)?;
            Ok(if web { work.in_websockets() } else { work })
        };
        let ours = growth(landfall.server(), work).await?;
        let mut outcome = Outcome::of(row);
        outcome.add(reference, ours);
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

/// By how much a server's memory grows for each session that is held.
async fn growth(
    server: &Server,
    work: impl Fn() -> anyhow::Result<Work>,
) -> anyhow::Result<Figure> {
    let fresh = Target {
        address: server.address,
        in_flight: 16,
        kept: false,
    };
    let visits = Arc::new(work()?);
    let (visited, _) = load::run(&fresh, &visits, Kept::default(), PATIENCE).await;
    ensure!(visited.errors.is_empty(), "errors: {:?}", visited.errors);
    let sessions = Arc::new(work()?);
    let third = sessions.sessions() / 3;
    let first = load::open(server.address, &sessions, 0..third).await?;
    let before = settled(server).await?;
    let others = load::open(server.address, &sessions, third..sessions.sessions()).await?;
    let after = settled(server).await?;
    let count = others.count() as f64;
    let all = first.count() + others.count();
    ensure!(visited.done == all as u64, "not all came twice");
    drop((first, others));
    Ok(Figure {
        cost: (after as f64 - before as f64) / count / 1024.0,
        rate: count,
    })
}

/// The memory of a server that has nothing to do any more.
async fn settled(server: &Server) -> anyhow::Result<u64> {
    sleep(REST).await;
    server.rested().await?;
    server.memory()
}
