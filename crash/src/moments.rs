//! When which server is killed.

use std::time::Duration;

use crate::cluster::How;
use crate::options::Engine;
use landfall_crash::chance::Chance;

/// The longest that a server is let work before a random kill.
const LONGEST_WORK_MICROS: u64 = 120_000;
/// The most answers that are waited for.
const MOST_ANSWERS: u64 = 40;
/// The longest that a start is let go on before it is cut off.
const LONGEST_START_MICROS: u64 = 150_000;

/// What is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whom {
    /// Landfall.
    Server,
    /// The database server, while Landfall goes on.
    Database(How),
}

impl Whom {
    /// Draws one, where there is a database server: it in a third of all kills.
    pub fn draw(chance: &mut Chance, engine: Engine) -> Self {
        match (engine, chance.below(6)) {
            (Engine::Postgres, 0) => Whom::Database(How::Kill),
            (Engine::Postgres, 1) => Whom::Database(How::Immediate),
            _ => Whom::Server,
        }
    }
}

/// A moment to kill at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// So long after the load began.
    After(Duration),
    /// Where the answer of this number was just read: as near behind a commit as a client can be.
    Answer(u64),
    /// So long after the start, while the server opens and recovers its data.
    Starting(Duration),
}

impl Moment {
    /// Draws one: half of them behind an answer, most others at a random time, some in a start.
    pub fn draw(chance: &mut Chance) -> Self {
        match chance.below(10) {
            0..5 => Moment::Answer(1 + chance.below(MOST_ANSWERS)),
            5..9 => Moment::After(Duration::from_micros(1 + chance.below(LONGEST_WORK_MICROS))),
            _ => Moment::Starting(Duration::from_micros(chance.below(LONGEST_START_MICROS))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_moment_is_drawn() {
        let mut chance = Chance::new(1);
        let drawn: Vec<Moment> = (0..100).map(|_| Moment::draw(&mut chance)).collect();
        let some = |kind: fn(&Moment) -> bool| drawn.iter().any(kind);
        assert!(some(|moment| matches!(moment, Moment::After(_))));
        assert!(some(|moment| matches!(moment, Moment::Answer(_))));
        assert!(some(|moment| matches!(moment, Moment::Starting(_))));
    }
}
