//! Bounds that this run derives. The bounds of the registering rows were set beside a prototype that wrote
//! two rows for each registration; Landfall writes all that an operator may ask for later. So what was asked
//! of the prototype's floor is asked of today's: the ratio that a server would have that does nothing but what
//! must be done, `least`, measured in the same run.
//!
//! bound = bound beside the prototype × floor now ÷ floor of the prototype; floor = reference ÷ least.

use super::row::{Bounds, Figure, Row, median};
use super::stage::Measured;

/// What the prototype's parts cost, in microseconds of processor time.
mod prototype {
    /// The TLS server that says one byte.
    pub(super) const HANDSHAKE: f64 = 170.0;
    /// The same with a client's certificate.
    pub(super) const CLIENT_HANDSHAKE: f64 = 231.0;
    /// Registration and poll on a kept connection, at the least.
    pub(super) const KEPT_PAIR: f64 = 65.0;
    /// One request for `hello` on a kept connection: 0.067 of the prototype's 186.
    pub(super) const HELLO: f64 = 0.067 * 186.0;
    /// nginx on a fresh connection: 0.88 of the prototype's pair, which was the handshake by 0.43.
    pub(super) const NGINX: f64 = 0.88 * HANDSHAKE / 0.43;
}

/// What a row's floor is measured by, and what that floor was.
pub(super) struct Floor {
    pub(super) measured: Measured,
    pub(super) then: f64,
}

/// A floor as a run found it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    /// The ratio of the least server, median of the rounds.
    pub(super) now: f64,
    /// That of the prototype's.
    pub(super) then: f64,
    /// What the least server costs.
    pub(super) cost: f64,
}

/// The floor of a row, when its bounds are derived.
pub(super) fn floor(number: u8) -> Option<Floor> {
    use prototype::{CLIENT_HANDSHAKE, HANDSHAKE, HELLO, KEPT_PAIR, NGINX};
    let (measured, reference, least) = match number {
        3 => (
            Measured::LeastRegister,
            HANDSHAKE,
            HANDSHAKE + KEPT_PAIR - HELLO,
        ),
        4 => (Measured::LeastPair, HANDSHAKE, HANDSHAKE + KEPT_PAIR),
        5 => (Measured::LeastPair, NGINX, HANDSHAKE + KEPT_PAIR),
        6 => (
            Measured::LeastCertificatePair,
            CLIENT_HANDSHAKE,
            CLIENT_HANDSHAKE + KEPT_PAIR,
        ),
        7 => (Measured::LeastKeptPair, HELLO, KEPT_PAIR),
        _ => return None,
    };
    Some(Floor {
        measured,
        then: reference / least,
    })
}

impl Found {
    /// From the rounds of the reference and of the least server.
    pub(super) fn of(floor: &Floor, reference: &[Figure], least: &[Figure]) -> Self {
        let ratios = reference.iter().zip(least).map(|(r, l)| r.cost / l.cost);
        Found {
            now: median(ratios),
            then: floor.then,
            cost: median(least.iter().map(|figure| figure.cost)),
        }
    }

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

    /// The prototype's study names two floors: 0.72 for row 4, and the parts that give row 7's.
    #[test]
    fn the_prototypes_floors_are_what_its_study_says() {
        let floor = |number| floor(number).expect("a floor").then;
        assert!((floor(4) - 0.72).abs() < 0.01, "{}", floor(4));
        assert!((floor(7) - 0.19).abs() < 0.01, "{}", floor(7));
        assert!(floor(3) > floor(4), "one request costs less than two");
        assert!(floor(5) > 1.0, "nginx costs more than the least server");
    }

    #[test]
    fn at_the_prototypes_floor_the_bounds_are_those_set_beside_it() {
        for row in rounds::FAMILY.rows {
            let Some(floor) = floor(row.number) else {
                continue;
            };
            let figure = |cost| Figure { cost, rate: 1.0 };
            let at = |cost| Found::of(&floor, &[figure(100.0)], &[figure(cost)]).bounds(row);
            let same = at(100.0 / floor.then);
            assert!((same.must - row.must).abs() < 0.001, "row {}", row.number);
            let dearer = at(200.0 / floor.then);
            assert!((dearer.stretch - row.stretch / 2.0).abs() < 0.001);
        }
    }
}
