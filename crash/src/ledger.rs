//! What was asked and what was acknowledged: the promises that a server must keep over its death.

use std::collections::BTreeMap;
use std::fmt;

/// Where a device was put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// The assigned hub.
    pub hub: String,
    /// The device's name there.
    pub device_id: String,
}

/// How far a device's last registration came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// It was sent; no answer was read.
    Asked,
    /// 202 was read, with this operation.
    Accepted(String),
    /// It is done, and asked about after the next start.
    Done,
}

/// A device and what it was told.
#[derive(Debug, Clone)]
pub struct Device {
    /// Its registration id.
    pub id: String,
    /// How far it came.
    pub progress: Progress,
    /// Where it was put, once it was told: from then on it must be told the same.
    pub placed: Option<Placed>,
}

/// A value that one writer changes: what was acknowledged last, and what may have happened since.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written {
    /// The number that was acknowledged; none when its absence was.
    pub acknowledged: Option<u64>,
    /// What was sent and not answered: another number, or a removal.
    pub unanswered: Option<Option<u64>>,
}

impl Written {
    /// Something is sent.
    pub fn ask(&mut self, value: Option<u64>) {
        self.unanswered = Some(value);
    }

    /// What was sent is acknowledged.
    pub fn settle(&mut self) {
        if let Some(value) = self.unanswered.take() {
            self.acknowledged = value;
        }
    }

    /// Whether this may be read: the acknowledged value, or the one that was on its way. From then on
    /// it is the one that counts.
    pub fn allows(&mut self, seen: Option<u64>) -> bool {
        let allowed = seen == self.acknowledged || self.unanswered == Some(seen);
        self.acknowledged = seen;
        self.unanswered = None;
        allowed
    }
}

/// Everything that one lane's clients were told.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Every device, by the writer that it belongs to.
    pub devices: Vec<Vec<Device>>,
    /// Individual enrollments, by id.
    pub enrollments: BTreeMap<String, Written>,
    /// Where the devices that move are sent.
    pub directed: Written,
    /// Desired properties of twins, by device.
    pub twins: BTreeMap<String, Written>,
}

/// What a run counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Count {
    /// Kills at a random moment.
    pub at_random: u64,
    /// Kills right behind an answer.
    pub behind_answers: u64,
    /// Kills in a start.
    pub starting: u64,
    /// Of all kills those of the database server.
    pub of_database: u64,
    /// Kills after which another server was asked.
    pub asked_elsewhere: u64,
    /// Registrations that were acknowledged.
    pub registrations: u64,
    /// Of these those that moved a device to another hub, and were seen to.
    pub moves: u64,
    /// Enrollments that were written or removed, and acknowledged.
    pub enrollments: u64,
    /// Twins that were written and acknowledged.
    pub twins: u64,
    /// Requests that a kill left without an answer.
    pub cut_off: u64,
}

impl Count {
    /// All kills.
    pub fn kills(&self) -> u64 {
        self.at_random + self.behind_answers + self.starting
    }

    /// Adds another count.
    pub fn add(&mut self, other: &Count) {
        self.at_random += other.at_random;
        self.behind_answers += other.behind_answers;
        self.starting += other.starting;
        self.of_database += other.of_database;
        self.asked_elsewhere += other.asked_elsewhere;
        self.registrations += other.registrations;
        self.moves += other.moves;
        self.enrollments += other.enrollments;
        self.twins += other.twins;
        self.cut_off += other.cut_off;
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} right behind an answer, {} at random moments, {} while starting; {} of all were of \
             the database server; {} times another server was asked; acknowledged: {} registrations ({} moves seen), {} writes of enrollments, {} of twins; {} requests were cut off",
            self.behind_answers,
            self.at_random,
            self.starting,
            self.of_database,
            self.asked_elsewhere,
            self.registrations,
            self.moves,
            self.enrollments,
            self.twins,
            self.cut_off
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_acknowledged_or_on_its_way_may_be_read_and_nothing_else() {
        let mut written = Written::default();
        written.ask(Some(1));
        written.settle();
        written.ask(Some(2));
        assert!(written.clone().allows(Some(1)));
        assert!(written.clone().allows(Some(2)));
        assert!(
            !written.clone().allows(None),
            "an acknowledged write is lost"
        );
        assert!(written.allows(Some(2)));
        assert!(
            !written.clone().allows(Some(1)),
            "what was read once is undone"
        );
        written.ask(None);
        assert!(written.clone().allows(None));
        written.settle();
        assert!(!written.allows(Some(2)), "a removal is undone");
    }
}
