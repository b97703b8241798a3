//! Bounds that this run derives. The bounds of the registering rows were set beside a prototype that wrote two
//! rows for each registration; Landfall writes all that an operator may ask for later. What must be done for
//! such a row, each part by the least that does it and measured in the same run, has a ratio too: the floor.
//! What was asked of the prototype's floor is asked of today's.
//!
//! bound = bound beside the prototype × floor now ÷ floor of the prototype;
//! floor = reference ÷ (handshake + requests × hello + statements).

use std::collections::BTreeMap;

use super::row::{Bounds, Figure, Row, median};
use super::stage::Measured;

/// What the prototype's parts cost, in microseconds of processor time.
mod prototype {
    /// The TLS server that says one byte.
    pub(super) const HANDSHAKE: f64 = 170.0;
    /// The same with a client's certificate.
    pub(super) const CLIENT_HANDSHAKE: f64 = 231.0;
    /// One request for `hello` on a kept connection: 0.067 of the 186 of its kept pair.
    pub(super) const HELLO: f64 = 0.067 * 186.0;
    /// The bare loop of its two rows.
    pub(super) const STATEMENTS: f64 = 23.0;
    /// nginx on a fresh connection: 0.88 of its pair, of which the handshake was 0.43.
    pub(super) const NGINX: f64 = 0.88 * HANDSHAKE / 0.43;
}

/// What must be done for a row, and what that was for the prototype.
pub(super) struct Floor {
    /// The handshake, when there is one.
    handshake: Option<Measured>,
    /// How many requests.
    requests: f64,
    /// The loop of the statements.
    statements: Measured,
    /// The prototype's ratio.
    then: f64,
}

/// A floor as a run found it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    /// Its ratio, median of the rounds.
    pub(super) now: f64,
    /// The prototype's.
    pub(super) then: f64,
    /// What handshake and requests cost.
    pub(super) transport: f64,
    /// What the statements cost.
    pub(super) statements: f64,
}

/// The floor of a row, when its bounds are derived.
pub(super) fn floor(number: u8) -> Option<Floor> {
    use prototype::{CLIENT_HANDSHAKE, HANDSHAKE, HELLO, NGINX, STATEMENTS};
    let bare = (Some(Measured::BareHandshake), HANDSHAKE);
    let ((handshake, cost), requests, reference) = match number {
        3 => (bare, 1.0, HANDSHAKE),
        4 => (bare, 2.0, HANDSHAKE),
        5 => (bare, 2.0, NGINX),
        6 => (
            (Some(Measured::BareClientHandshake), CLIENT_HANDSHAKE),
            2.0,
            CLIENT_HANDSHAKE,
        ),
        7 => ((None, 0.0), 2.0, HELLO),
        _ => return None,
    };
    Some(Floor {
        handshake,
        requests,
        statements: match number {
            3 => Measured::RowsOfRegister,
            _ => Measured::RowsOfPair,
        },
        then: reference / (cost + requests * HELLO + STATEMENTS),
    })
}

impl Floor {
    /// What must be measured for it.
    pub(super) fn measures(&self) -> impl Iterator<Item = Measured> + use<> {
        let parts = [self.statements, Measured::HelloKept];
        parts.into_iter().chain(self.handshake)
    }

    /// The floor of some rounds, each with the row's reference.
    pub(super) fn found(&self, rounds: &[(Figure, BTreeMap<Measured, Figure>)]) -> Found {
        let cost = |round: &BTreeMap<Measured, Figure>, what| {
            round.get(&what).map_or(f64::NAN, |figure| figure.cost)
        };
        let transport = |round: &BTreeMap<Measured, Figure>| {
            let handshake = self.handshake.map_or(0.0, |what| cost(round, what));
            handshake + self.requests * cost(round, Measured::HelloKept)
        };
        let statements = |round: &BTreeMap<Measured, Figure>| cost(round, self.statements);
        let ratios = rounds
            .iter()
            .map(|(reference, round)| reference.cost / (transport(round) + statements(round)));
        Found {
            now: median(ratios),
            then: self.then,
            transport: median(rounds.iter().map(|(_, round)| transport(round))),
            statements: median(rounds.iter().map(|(_, round)| statements(round))),
        }
    }
}

impl Found {
    /// The bounds of a row above this floor.
    pub(super) fn bounds(&self, row: &Row) -> Bounds {
        let moved = self.now / self.then;
        Bounds {
            must: row.must * moved,
            stretch: row.stretch * moved,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::rounds;

    fn round(parts: &[(Measured, f64)]) -> BTreeMap<Measured, Figure> {
        let figure = |cost| Figure { cost, rate: 1.0 };
        parts
            .iter()
            .map(|(what, cost)| (*what, figure(*cost)))
            .collect()
    }

    /// The study of the prototype gives 0.72 for row 4 and 65 µs for the pair of row 7; both hold what its
    /// checks cost, which stands in no figure of it.
    #[test]
    fn the_prototypes_floors_are_about_what_its_study_says() {
        let then = |number| floor(number).expect("a floor").then;
        assert!((0.72..0.80).contains(&then(4)), "{}", then(4));
        assert!(prototype::HELLO / then(7) < 65.0, "{}", then(7));
        assert!(then(3) > then(4), "one request costs less than two");
        assert!(then(5) > 1.0, "nginx costs more than what must be done");
    }

    #[test]
    fn with_the_prototypes_parts_the_bounds_are_those_set_beside_it() {
        use prototype::{CLIENT_HANDSHAKE, HANDSHAKE, HELLO, NGINX, STATEMENTS};
        let parts = |statements| {
            round(&[
                (Measured::BareHandshake, HANDSHAKE),
                (Measured::BareClientHandshake, CLIENT_HANDSHAKE),
                (Measured::HelloKept, HELLO),
                (Measured::RowsOfRegister, statements),
                (Measured::RowsOfPair, statements),
            ])
        };
        for row in rounds::FAMILY.rows {
            let Some(floor) = floor(row.number) else {
                continue;
            };
            let cost = match row.number {
                3 | 4 => HANDSHAKE,
                5 => NGINX,
                6 => CLIENT_HANDSHAKE,
                _ => HELLO,
            };
            let reference = Figure { cost, rate: 1.0 };
            let at = |statements| floor.found(&[(reference, parts(statements))]).bounds(row);
            let same = at(STATEMENTS);
            assert!((same.must - row.must).abs() < 0.001, "row {}", row.number);
            assert!((same.stretch - row.stretch).abs() < 0.001);
            assert!(at(2.0 * STATEMENTS).must < row.must, "row {}", row.number);
        }
    }
}
