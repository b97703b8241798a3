//! Rows that are held against another program, round by round: what is compared with what, and the rounds
//! themselves. The servers stand in `stage`.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use anyhow::Context as _;

use super::Options;
use super::derived::{self, Floor};
use super::row::{Asked, Family, Figure, Outcome, Row};
use super::stage::{Measured, Stage};

/// How often its rounds a short run makes before it fails: another program may have had the machine. All rounds
/// count together, so that it does not pass by luck.
const MORE: usize = 3;

/// All of them.
pub(super) static FAMILY: Family = Family {
    rows: &ROWS,
    measure,
};

const fn row(
    number: u8,
    what: &'static str,
    beside: &'static str,
    [must, stretch]: [f64; 2],
    short: bool,
) -> Row {
    Row {
        number,
        what,
        asked: if number == 13 {
            Asked::Faster(beside)
        } else {
            Asked::Beside(beside)
        },
        unit: "µs",
        must,
        stretch,
        short,
    }
}

static ROWS: [Row; 15] = [
    row(
        1,
        "TLS 1.3 handshake through the accept path",
        "a TLS server that says one byte",
        [0.95, 1.0],
        true,
    ),
    row(
        2,
        "first GET on a fresh TLS 1.3 connection, through all of the server",
        "a TLS server that says one byte",
        [0.85, 0.95],
        // Too near its widened bound to hold every change against.
        false,
    ),
    row(
        3,
        "durable registration on a fresh TLS 1.3 connection, 128 in flight",
        "a TLS server that says one byte",
        [0.55, 0.70],
        false,
    ),
    row(
        4,
        "durable registration and status poll on a fresh TLS 1.3 connection, 128 in flight",
        "a TLS server that says one byte",
        [0.45, 0.60],
        true,
    ),
    row(
        5,
        "as 4",
        "nginx `return 200` on a fresh TLS 1.3 connection, 16 in flight",
        [0.85, 1.1],
        false,
    ),
    row(
        6,
        "as 4, with a client certificate and one link of its chain",
        "a TLS server that says one byte to clients with the same certificates",
        [0.40, 0.55],
        false,
    ),
    row(
        7,
        "durable registration and status poll on a kept connection, 128 in flight",
        "an HTTP server that says hello, one request on a kept connection",
        [0.08, 0.15],
        true,
    ),
    row(
        8,
        "hello through Landfall's listener, kept connections",
        "nginx `return 200`, kept connections",
        [0.75, 0.9],
        false,
    ),
    row(
        9,
        "durable registration in the SQLite layer, 128 in flight",
        "a bare loop of the same statements with the same rows, 64 per commit",
        [0.6, 0.8],
        false,
    ),
    row(
        10,
        "durable registration in the PostgreSQL layer, 128 in flight, by time that passes",
        "a bare loop of the same statements with the same rows, 64 per commit",
        [0.6, 0.8],
        false,
    ),
    row(
        11,
        "as 10, every commit confirmed by a synchronous standby",
        "the same without a standby",
        [0.5, 0.65],
        false,
    ),
    row(
        12,
        "device that provisions over MQTT on a fresh TLS 1.3 connection: let in, subscribed, durably registered, asked until it is assigned; 128 in flight",
        "a TLS server that says one byte",
        [0.60, 0.75],
        true,
    ),
    row(
        13,
        "as 12, by rate",
        "Mosquitto: let in, subscribed, a message of QoS 1 published and received on a fresh TLS 1.3 connection",
        [2.0, 2.5],
        false,
    ),
    row(
        14,
        "device that reads its twin from the hub over a kept MQTT connection, QoS 0, 128 connections",
        "Mosquitto: a message of as many bytes published and received by the same client, QoS 0",
        [1.0, 1.33],
        true,
    ),
    row(
        14,
        "message of a device to the hub, QoS 1, acknowledged once it is durable; 128 kept connections, 4 messages on the way on each",
        "Mosquitto: a message of QoS 1 published that nobody subscribed to, kept nowhere",
        [0.5, 0.67],
        true,
    ),
];

/// What is measured for each: ours, and the reference.
static MEASURES: [[Measured; 2]; 15] = [
    [Measured::Handshake, Measured::BareHandshake],
    [Measured::FirstGet, Measured::BareHandshake],
    [Measured::Register, Measured::BareHandshake],
    [Measured::Pair, Measured::BareHandshake],
    [Measured::Pair, Measured::NginxFresh],
    [Measured::CertificatePair, Measured::BareClientHandshake],
    [Measured::KeptPair, Measured::HelloKept],
    [Measured::OurHelloKept, Measured::NginxKept],
    [Measured::Layer, Measured::BareLoop],
    [Measured::PostgresLayer, Measured::PostgresLoop],
    [Measured::PostgresWithStandby, Measured::PostgresLayer],
    [Measured::MqttPair, Measured::BareHandshake],
    [Measured::MqttPair, Measured::BrokerEcho],
    [Measured::TwinGet, Measured::BrokerQuestion],
    [Measured::Telemetry, Measured::BrokerMessages],
];

/// What is measured for a row; several may have one number.
fn pair(row: &'static Row) -> Option<[Measured; 2]> {
    let place = ROWS.iter().position(|one| std::ptr::eq(one, row))?;
    MEASURES.get(place).copied()
}

fn measure(options: &Options, rows: &[&'static Row]) -> anyhow::Result<Vec<Outcome>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(interleaved(options, rows))
}

/// A row in its rounds.
struct Running {
    outcome: Outcome,
    ours: Measured,
    reference: Measured,
    floor: Option<Floor>,
    /// The reference of each round, and what else was measured in it.
    rounds: Vec<(Figure, BTreeMap<Measured, Figure>)>,
}

impl Running {
    fn of(row: &'static Row) -> anyhow::Result<Self> {
        let [ours, reference] = pair(row).context("a row without measures")?;
        Ok(Running {
            outcome: Outcome::of(row),
            ours,
            reference,
            floor: derived::floor(row.number),
            rounds: Vec::new(),
        })
    }

    /// What it needs of a round, in the order in which it is measured.
    fn measures(&self) -> impl Iterator<Item = Measured> + use<> {
        let parts = self.floor.iter().flat_map(Floor::measures);
        let mut all = vec![self.reference, self.ours];
        all.extend(parts);
        all.into_iter()
    }

    /// Adds a round, and derives the bounds from all of them.
    fn add(&mut self, round: &BTreeMap<Measured, Figure>) {
        if let (Some(reference), Some(ours)) = (round.get(&self.reference), round.get(&self.ours)) {
            self.outcome.add(*reference, *ours);
            self.rounds.push((*reference, round.clone()));
        }
        if let Some(floor) = &self.floor {
            let found = floor.found(&self.rounds);
            self.outcome.bounds = found.bounds(self.outcome.row);
            self.outcome.floor = Some(found);
        }
    }

    /// Whether the rounds so far would fail a short run.
    fn is_past(&self) -> bool {
        !self.outcome.is_held()
    }

    fn ended(self, stage: &Stage) -> Outcome {
        let mut outcome = self.outcome;
        outcome.spent = stage.spent(self.ours);
        outcome
    }
}

async fn interleaved(options: &Options, rows: &[&'static Row]) -> anyhow::Result<Vec<Outcome>> {
    let running = rows.iter().map(|row| Running::of(row));
    let mut running = running.collect::<anyhow::Result<Vec<_>>>()?;
    let wanted: Vec<Measured> = running.iter().flat_map(Running::measures).collect();
    let mut stage = Stage::set(options, &wanted).await?;
    // The first round warms up: files, caches, the processor itself.
    round(&mut stage, &mut running, options).await?;
    stage.forget();
    for begun in 0..options.rounds * MORE {
        let whole = begun % options.rounds == 0;
        if whole && begun > 0 && !(options.short && running.iter().any(Running::is_past)) {
            break;
        }
        let known = round(&mut stage, &mut running, options).await?;
        running.iter_mut().for_each(|row| row.add(&known));
        eprintln!("round {} of {}", begun + 1, options.rounds);
    }
    Ok(running.into_iter().map(|row| row.ended(&stage)).collect())
}

/// Measures what the rows need, and what several share once.
async fn round(
    stage: &mut Stage,
    running: &mut [Running],
    options: &Options,
) -> anyhow::Result<BTreeMap<Measured, Figure>> {
    let mut known: BTreeMap<Measured, Figure> = BTreeMap::new();
    for row in running {
        for what in row.measures() {
            if let Entry::Vacant(unknown) = known.entry(what) {
                let figure = stage.measure(what, options.span).await;
                let number = row.outcome.row.number;
                unknown.insert(figure.with_context(|| format!("row {number}, {what:?}"))?);
            }
        }
    }
    Ok(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_stands_beside_what_is_measured_for_it() {
        for row in &ROWS {
            let [ours, reference] = pair(row).expect("its measures");
            assert_ne!(ours, reference, "row {}", row.number);
        }
        let of = |number| ROWS.iter().filter(move |row| row.number == number);
        let measures = |number| of(number).filter_map(pair).collect::<Vec<_>>();
        assert_eq!(
            measures(1),
            [[Measured::Handshake, Measured::BareHandshake]]
        );
        assert_eq!(measures(13), [[Measured::MqttPair, Measured::BrokerEcho]]);
        assert_eq!(
            measures(14).last(),
            Some(&[Measured::Telemetry, Measured::BrokerMessages])
        );
    }
}
