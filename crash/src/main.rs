//! `landfall-crash`: starts a real server, lets devices register and operators write, kills the server at
//! a chosen moment, starts it again on the same data, and asks for everything that was acknowledged.
//! `cargo xtask crash` starts it.
//!
//! On PostgreSQL the database server is killed too, while Landfall goes on and must find it again; with several
//! servers on one database another is asked than the one that was killed.
//!
//! A write is acknowledged when its answer was read. Each lane has a server of its own and does this over
//! and over; [`moments`] chooses when, [`load`] writes, [`ledger`] is what was promised, [`verify`] asks.
//! A kill takes the process and leaves the machine: what stands in the system's memory stays. So this finds
//! answers before commits, half-written records and bad recoveries, and no missing wait for the disk.

mod cluster;
mod lane;
mod ledger;
mod load;
mod moments;
mod nodes;
mod options;
mod verify;

use std::process::ExitCode;
use std::sync::Arc;

use landfall_server::time::Stopwatch;

use crate::lane::{Goal, Lane};
use crate::ledger::Count;
use crate::options::Options;

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

/// Runs all lanes until the goal is reached, and says what they saw.
async fn run(options: Options) -> anyhow::Result<()> {
    let watch = Stopwatch::start();
    println!("crash: seed {} (repeats the moments: --seed)", options.seed);
    let goal = Arc::new(Goal::new(&options));
    let mut lanes = tokio::task::JoinSet::new();
    for number in 0..options.lanes {
        let lane = Lane::new(number, &options, Arc::clone(&goal)).await?;
        lanes.spawn(lane.run());
    }
    let mut count = Count::default();
    let mut failed = None;
    while let Some(ended) = lanes.join_next().await {
        match ended? {
            Ok(of_lane) => count.add(&of_lane),
            Err(error) => {
                goal.give_up();
                failed.get_or_insert(error);
            }
        }
    }
    let seconds = watch.elapsed().as_secs_f64();
    let kills = count.kills();
    println!(
        "{kills} kill points in {seconds:.0} s, {:.1} a second: {count}",
        kills as f64 / seconds
    );
    match failed {
        Some(error) => Err(error),
        None => {
            println!("0 acknowledged writes lost, 0 devices on two hubs, every database whole");
            Ok(())
        }
    }
}
