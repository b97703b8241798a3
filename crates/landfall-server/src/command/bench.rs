//! `landfall bench`: how many devices register in a second at a server of this machine. Makes an
//! enrollment group of its own, lets devices of it register one after the other on every connection,
//! prints what was measured, and removes what it made.
//!
//! What the devices are stands in `fleet`, how they register in `load`, what is counted in `tally`.

pub mod authority;
pub mod fleet;
mod load;
pub mod process;
mod tally;

use std::net::SocketAddr;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::Value as Json;

use self::fleet::{Fleet, Plan};
use self::load::{Load, Way};
use self::process::Process;
use self::tally::{Cost, Report};
use super::connect::{Connect, Road};
use super::outcome::{Exit, Failure};
use super::print;
use crate::client::Endpoint;
use crate::signals;

/// The bounds of one run.
const MOST_DEVICES: u32 = 100_000;
const MOST_SECONDS: u64 = 600;
const MOST_IN_FLIGHT: u16 = 500;

/// Measure how many devices a server of this machine registers in a second.
#[derive(Args)]
pub struct BenchCommand {
    /// How the devices prove who they are
    #[arg(long, value_enum, default_value_t)]
    attestation: Attestation,
    /// `fresh`: a TCP connection and a TLS handshake for each device; `kept`: each connection carries
    /// one device after the other, which only devices without certificates can
    #[arg(long, value_enum, default_value_t)]
    connections: Connections,
    /// Also poll each registration until it is assigned, as devices do
    #[arg(long)]
    poll: bool,
    /// How many devices register at once; at most 500
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u16).range(1..=i64::from(MOST_IN_FLIGHT)))]
    in_flight: u16,
    /// How many devices there are; at most 100000. Each registers once
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_DEVICES)))]
    count: u32,
    /// Begin no registration later than this; at most 600
    #[arg(long, value_name = "S", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=MOST_SECONDS))]
    seconds: u64,
    // Last: its heading would name the options above too.
    /// Where to call.
    #[command(flatten)]
    pub connect: Connect,
}

/// How the devices prove who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Attestation {
    /// By a key that the group's key gives for each
    #[default]
    SymmetricKey,
    /// By a certificate of each, which an intermediate of the group's authority signed
    X509,
}

/// What a device connects by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Connections {
    /// A connection of its own
    #[default]
    Fresh,
    /// The one of the device before it
    Kept,
}

impl Attestation {
    /// As the option spells it.
    fn name(self) -> &'static str {
        match self {
            Attestation::SymmetricKey => "symmetric-key",
            Attestation::X509 => "x509",
        }
    }
}

impl BenchCommand {
    /// Does what was asked.
    pub async fn run(self) -> Result<(), Failure> {
        if self.attestation == Attestation::X509 && self.connections == Connections::Kept {
            return Err(Failure::usage(
                "a certificate is shown when a connection begins: on a kept one only its first device could register",
                "leave out --connections kept, or take --attestation symmetric-key",
            ));
        }
        if let Some(named) = self.connect.named_server()? {
            on_this_machine(&named).await?;
        }
        let facts = self.connect.facts().await?;
        let mut road = self.connect.road_to(&facts.service)?;
        let addresses = on_this_machine(&road.endpoint).await?;
        road.endpoint = road.endpoint.through(&addresses);
        let process = addresses.first().and_then(|at| Process::listening_at(*at));
        let mut stop = signals::Stop::listen()?;
        let plan = Plan {
            attestation: self.attestation,
            devices: self.count,
            id_scope: facts.id_scope,
        };
        let fleet = Fleet::of(plan)?;
        let made = tokio::select! {
            made = fleet.enroll(&self.connect) => made,
            reason = stop.wait() => Err(interrupted(&format!("{reason} before the first device"))),
        };
        let measured = match made {
            Ok(()) => self.measure(&fleet, road, process, &mut stop).await,
            Err(failure) => Err(failure),
        };
        let begun = measured.as_ref().map_or(0, |report| report.begun);
        let removed = tokio::select! {
            removed = fleet.remove(&self.connect, begun) => removed,
            reason = stop.wait() => Err(fleet.left(&interrupted(&reason.to_string()))),
        };
        let report = measured?;
        removed?;
        report.verdict()
    }

    /// Runs the load and prints what it came to.
    async fn measure(
        &self,
        fleet: &Fleet,
        road: Road,
        process: Option<Process>,
        stop: &mut signals::Stop,
    ) -> Result<Report, Failure> {
        let way = Way {
            kept: self.connections == Connections::Kept,
            poll: self.poll,
            in_flight: self.in_flight,
            within: Duration::from_secs(self.seconds),
        };
        let load = Load::new(fleet, road, way)?;
        let used = || process.and_then(|process| process.used());
        let before = used();
        let mut report = load.run(stop).await;
        report.cost = match (process, before, used()) {
            (Some(process), Some(before), Some(after)) => {
                Some(Cost::of(&process, after.saturating_sub(before)))
            }
            _ => None,
        };
        report.settings = self.settings();
        print::result(self.connect.json, &report.json(), |_| report.text());
        Ok(report)
    }

    fn settings(&self) -> Json {
        serde_json::json!({
            "attestation": self.attestation.name(),
            "connections": match self.connections {
                Connections::Fresh => "fresh",
                Connections::Kept => "kept",
            },
            "poll": self.poll,
            "inFlight": self.in_flight,
            "count": self.count,
            "seconds": self.seconds,
        })
    }
}

fn interrupted(what: &str) -> Failure {
    Failure::new(Exit::Refused, what, "run the command again")
}

/// The addresses of an endpoint, all of which are this machine's.
///
/// # Errors
/// [`Failure`] when one is not: load is for one's own machine, since elsewhere it is an attack.
async fn on_this_machine(endpoint: &Endpoint) -> Result<Vec<SocketAddr>, Failure> {
    let addresses = endpoint.addresses().await?;
    let other = |at: &&SocketAddr| !at.ip().to_canonical().is_loopback();
    match addresses.iter().find(other) {
        Some(other) => Err(Failure::usage(
            format!(
                "{endpoint} is at {}, which is no loopback address: load is made on the server's own machine only",
                other.ip()
            ),
            "run this command there, with --data naming the server's data folder",
        )),
        None => Ok(addresses),
    }
}
