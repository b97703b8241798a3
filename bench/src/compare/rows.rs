//! What is compared with what, and how much of the reference's worth is asked for.

use anyhow::Context as _;

use super::limits::LIMITS;
use super::stage::Measured;

/// How much of a bound a short run on a busy machine must reach.
pub(super) const WIDENED: f64 = 0.85;

/// One comparison.
pub(super) struct Row {
    pub(super) number: u8,
    pub(super) what: &'static str,
    pub(super) beside: &'static str,
    pub(super) ours: Measured,
    pub(super) reference: Measured,
    /// What costs are counted in.
    pub(super) unit: &'static str,
    /// The least ratio of the reference's cost to ours.
    pub(super) must: f64,
    /// The ratio to strive for.
    pub(super) stretch: f64,
    /// Whether the short run has it.
    pub(super) short: bool,
}

const fn row(
    number: u8,
    what: &'static str,
    beside: &'static str,
    [ours, reference]: [Measured; 2],
    [must, stretch]: [f64; 2],
    short: bool,
) -> Row {
    Row {
        number,
        what,
        beside,
        ours,
        reference,
        unit: "µs",
        must,
        stretch,
        short,
    }
}

/// All rows.
pub(super) const ROWS: [Row; 9] = [
    row(
        1,
        "TLS 1.3 handshake through the accept path",
        "a TLS server that says one byte",
        [Measured::Handshake, Measured::BareHandshake],
        [0.95, 1.0],
        true,
    ),
    row(
        2,
        "first GET on a fresh TLS 1.3 connection, through all of the server",
        "a TLS server that says one byte",
        [Measured::FirstGet, Measured::BareHandshake],
        [0.85, 0.95],
        true,
    ),
    row(
        3,
        "durable registration on a fresh TLS 1.3 connection, 128 in flight",
        "a TLS server that says one byte",
        [Measured::Register, Measured::BareHandshake],
        [0.55, 0.70],
        false,
    ),
    row(
        4,
        "durable registration and status poll on a fresh TLS 1.3 connection, 128 in flight",
        "a TLS server that says one byte",
        [Measured::Pair, Measured::BareHandshake],
        [0.45, 0.60],
        true,
    ),
    row(
        5,
        "as 4",
        "nginx `return 200` on a fresh TLS 1.3 connection, 16 in flight",
        [Measured::Pair, Measured::NginxFresh],
        [0.85, 1.1],
        false,
    ),
    row(
        6,
        "as 4, with a client certificate and one link of its chain",
        "a TLS server that says one byte to clients with the same certificates",
        [Measured::CertificatePair, Measured::BareClientHandshake],
        [0.40, 0.55],
        false,
    ),
    row(
        7,
        "durable registration and status poll on a kept connection, 128 in flight",
        "an HTTP server that says hello, one request on a kept connection",
        [Measured::KeptPair, Measured::HelloKept],
        [0.08, 0.15],
        true,
    ),
    row(
        8,
        "hello through Landfall's listener, kept connections",
        "nginx `return 200`, kept connections",
        [Measured::OurHelloKept, Measured::NginxKept],
        [0.75, 0.9],
        false,
    ),
    row(
        9,
        "durable registration in the SQLite layer, 128 in flight",
        "a bare loop of the same statements with the same rows, 64 per commit",
        [Measured::Layer, Measured::BareLoop],
        [0.6, 0.8],
        false,
    ),
];

/// The numbers of a list such as `1,2,7`.
///
/// # Errors
/// When there is no such row.
pub(super) fn numbers(list: &str) -> anyhow::Result<Vec<u8>> {
    let there = || {
        let limits = LIMITS.iter().map(|limit| limit.number);
        ROWS.iter().map(|row| row.number).chain(limits)
    };
    list.split(',')
        .map(|text| {
            let wanted = text.trim().parse().ok();
            let number = there().find(|number| wanted == Some(*number));
            number.with_context(|| format!("there is no row {text}"))
        })
        .collect()
}
