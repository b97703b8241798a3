//! `landfall bench`: what a server of this machine can take: how many devices register in a second, over HTTPS or
//! MQTT, how many connections to the hub it holds, how many messages it acknowledges. Makes an enrollment group of its
//! own, lets devices of it do so, prints what was measured, and removes what it made.
//!
//! What the devices are stands in `fleet`, how they register in `load`, what they do on the hub in `hub`, what is
//! counted in `tally`.

pub mod authority;
pub mod fleet;
mod hub;
mod load;
pub mod process;
mod tally;

use std::net::SocketAddr;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::Value as Json;

use self::fleet::{Fleet, Plan};
use self::hub::Inhabitants;
use self::load::{Home, Load, Way};
use self::process::Process;
use self::tally::{Cost, Report};
use super::connect::{Connect, Road};
use super::outcome::{Exit, Failure};
use super::print;
use crate::client::Endpoint;
use crate::client::mqtt::Carrier;
use crate::signals;

/// The bounds of one run.
const MOST_DEVICES: u32 = 100_000;
const MOST_SECONDS: u64 = 600;
const MOST_IN_FLIGHT: u16 = 500;
const MOST_MESSAGES: u32 = 1_000_000;
/// How many there are of what is counted, unless the caller says otherwise.
const DEVICES: u32 = 2000;
const MESSAGES: u32 = 100_000;

/// Measure what a server of this machine can take.
#[derive(Args)]
pub struct BenchCommand {
    /// What is measured
    #[arg(value_enum, default_value_t)]
    what: What,
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
    /// How many devices there are (2000, at most 100000), each of which registers once; with `telemetry` how many
    /// messages (100000, at most 1000000), which --in-flight devices send
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_MESSAGES)))]
    count: Option<u32>,
    /// MQTT in WebSockets
    #[arg(long)]
    websockets: bool,
    /// How long connections are held once all are there, in seconds; at most 600
    #[arg(long, value_name = "S", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=MOST_SECONDS))]
    hold: u64,
    /// Begin no registration, and send no message, later than this; at most 600
    #[arg(long, value_name = "S", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=MOST_SECONDS))]
    seconds: u64,
    // Last: its heading would name the options above too.
    /// Where to call.
    #[command(flatten)]
    pub connect: Connect,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum What {
    /// Devices that register over HTTPS
    #[default]
    Register,
    /// Devices that register over MQTT
    MqttRegister,
    /// Devices that connect to their hub over MQTT, subscribe, and are held
    Connect,
    /// Messages of devices to their hub, QoS 1, each acknowledged once it is durable
    Telemetry,
}

impl What {
    /// As the command line spells it.
    fn name(self) -> &'static str {
        match self {
            What::Register => "register",
            What::MqttRegister => "mqtt-register",
            What::Connect => "connect",
            What::Telemetry => "telemetry",
        }
    }
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
        self.check()?;
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
            devices: self.devices(),
            id_scope: facts.id_scope,
        };
        let fleet = Fleet::of(plan)?;
        let made = tokio::select! {
            made = fleet.enroll(&self.connect) => made,
            reason = stop.wait() => Err(interrupted(&format!("{reason} before the first device"))),
        };
        let mut begun = 0;
        let measured = match made {
            Ok(()) => {
                self.measure(&fleet, road, process, &mut stop, &mut begun)
                    .await
            }
            Err(failure) => Err(failure),
        };
        let removed = tokio::select! {
            removed = fleet.remove(&self.connect, begun) => removed,
            reason = stop.wait() => Err(fleet.left(&interrupted(&reason.to_string()))),
        };
        let report = measured?;
        removed?;
        report.verdict()
    }

    /// Holds what was asked for together.
    fn check(&self) -> Result<(), Failure> {
        let registers = matches!(self.what, What::Register | What::MqttRegister);
        if self.connections == Connections::Kept {
            if self.what != What::Register {
                return Err(Failure::usage(
                    "a connection of MQTT belongs to one device: another could not register on it",
                    "leave out --connections kept",
                ));
            }
            if self.attestation == Attestation::X509 {
                return Err(Failure::usage(
                    "a certificate is shown when a connection begins: on a kept one only its first device could register",
                    "leave out --connections kept, or take --attestation symmetric-key",
                ));
            }
        }
        if self.poll && !registers {
            return Err(Failure::usage(
                "what devices do on their hub begins when they are assigned",
                "leave out --poll",
            ));
        }
        if self.websockets && self.what == What::Register {
            return Err(Failure::usage(
                "WebSockets carry MQTT",
                "take `landfall bench mqtt-register --websockets`",
            ));
        }
        if self.what != What::Telemetry && self.count.is_some_and(|count| count > MOST_DEVICES) {
            return Err(Failure::usage(
                format!("there are {MOST_DEVICES} devices at most"),
                "take a smaller --count",
            ));
        }
        Ok(())
    }

    /// How many devices take part.
    fn devices(&self) -> u32 {
        match self.what {
            What::Telemetry => self.in_flight.into(),
            What::Register | What::MqttRegister | What::Connect => self.count(),
        }
    }

    /// How many there are of what is counted.
    fn count(&self) -> u32 {
        self.count.unwrap_or(match self.what {
            What::Telemetry => MESSAGES,
            What::Register | What::MqttRegister | What::Connect => DEVICES,
        })
    }

    /// Runs the load and prints what it came to. `begun` becomes how many devices the server knows by then.
    async fn measure(
        &self,
        fleet: &Fleet,
        road: Road,
        process: Option<Process>,
        stop: &mut signals::Stop,
        begun: &mut u32,
    ) -> Result<Report, Failure> {
        let on_the_hub = matches!(self.what, What::Connect | What::Telemetry);
        let way = Way {
            kept: self.connections == Connections::Kept,
            poll: self.poll || on_the_hub,
            in_flight: self.in_flight,
            within: Duration::from_secs(self.seconds),
            carrier: (self.what == What::MqttRegister).then(|| self.carrier()),
        };
        let load = Load::new(fleet, road.clone(), way)?;
        let used = || process.and_then(|process| process.used());
        let mut before = used();
        let (mut report, homes) = load.run(stop).await;
        *begun = report.begun;
        if on_the_hub && report.is_whole(self.devices()) {
            before = used();
            report = self.inhabit(fleet, homes, road, process, stop).await?;
        }
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

    /// Runs the load of devices on their hub.
    async fn inhabit(
        &self,
        fleet: &Fleet,
        homes: Vec<(usize, Home)>,
        road: Road,
        process: Option<Process>,
        stop: &mut signals::Stop,
    ) -> Result<Report, Failure> {
        let way = hub::Way {
            carrier: self.carrier(),
            in_flight: self.in_flight,
            within: Duration::from_secs(self.seconds),
            messages: self.count(),
            hold: Duration::from_secs(self.hold),
        };
        let inhabitants = Inhabitants::new(fleet, homes, road, way)?;
        if self.what == What::Connect {
            return Ok(inhabitants.hold(process, stop).await);
        }
        inhabitants.send(stop).await.map_err(|kind| {
            Failure::new(
                Exit::Refused,
                format!("a device cannot connect to its hub: {kind}"),
                "see the server's log",
            )
        })
    }

    fn carrier(&self) -> Carrier {
        if self.websockets {
            Carrier::WebSocket
        } else {
            Carrier::Tls
        }
    }

    fn settings(&self) -> Json {
        serde_json::json!({
            "measured": self.what.name(),
            "attestation": self.attestation.name(),
            "connections": match self.connections {
                Connections::Fresh => "fresh",
                Connections::Kept => "kept",
            },
            "poll": self.poll,
            "websockets": self.websockets,
            "inFlight": self.in_flight,
            "count": self.count(),
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
