//! What was promised to whom, and what was seen of it, device by device.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Most faults that are told; a fault seldom comes alone.
const MOST_TOLD: usize = 20;

/// Numbers that grow by one with each change, when some changes were asked for and not answered.
#[derive(Debug, Default)]
pub struct Versions {
    last: Option<i64>,
    uncertain: i64,
}

impl Versions {
    /// A change is asked for.
    pub fn asked(&mut self) {
        self.uncertain += 1;
    }

    /// The answer says that it made this version. Changes of before that were not answered may have made
    /// some between.
    ///
    /// # Errors
    /// What is wrong with that.
    pub fn answered(&mut self, version: i64) -> Result<(), String> {
        let told = match self.last {
            Some(last) if version <= last => Err(format!("version {version} after {last}")),
            Some(last) if version > last + self.uncertain => Err(format!(
                "version {version} after {last}, with {} changes",
                self.uncertain
            )),
            _ => Ok(()),
        };
        self.last = Some(version);
        self.uncertain = 0;
        told
    }

    /// The version that was answered last.
    pub fn last(&self) -> Option<i64> {
        self.last
    }
}

/// Numbers that a device sends in order, again when they were not acknowledged.
#[derive(Debug, Default)]
pub struct Telemetry {
    acknowledged: u64,
    shown: u64,
    repeated: u64,
}

impl Telemetry {
    /// The hub acknowledged this one.
    pub fn acknowledged(&mut self, number: u64) {
        self.acknowledged = self.acknowledged.max(number);
    }

    /// A reader of the hub's events was shown this one.
    ///
    /// # Errors
    /// When one before it was not.
    pub fn shown(&mut self, number: u64) -> Result<(), String> {
        if number <= self.shown {
            self.repeated += 1;
            return Ok(());
        }
        let expected = self.shown + 1;
        self.shown = number;
        if number == expected {
            Ok(())
        } else {
            Err(format!(
                "message {number} is shown where {expected} was to come"
            ))
        }
    }
}

/// Numbers that an operator sends in order, each to be received at least once.
#[derive(Debug, Default)]
pub struct Commands {
    waiting: BTreeSet<u64>,
    received: BTreeSet<u64>,
    accepted: u64,
    repeated: u64,
}

impl Commands {
    /// The hub took this one.
    pub fn accepted(&mut self, number: u64) {
        self.accepted += 1;
        if !self.received.contains(&number) {
            self.waiting.insert(number);
        }
    }

    /// The device received this one.
    ///
    /// # Errors
    /// When it received a later one before.
    pub fn received(&mut self, number: u64) -> Result<(), String> {
        self.waiting.remove(&number);
        let latest = self.received.last().copied().unwrap_or_default();
        if !self.received.insert(number) {
            self.repeated += 1;
            return Ok(());
        }
        if number < latest {
            return Err(format!("message {number} of the cloud came after {latest}"));
        }
        Ok(())
    }
}

/// What one device is owed.
#[derive(Debug, Default)]
pub struct Record {
    /// Where it was put, once it was.
    pub hub: Option<String>,
    /// What it sends.
    pub telemetry: Telemetry,
    /// What it is sent.
    pub commands: Commands,
    /// Desired properties as operators change them.
    pub desired: Versions,
    /// The version of them that it knows.
    pub knows: i64,
    /// Reported properties as it changes them.
    pub reported: Versions,
    /// The methods that it was called with.
    pub called: BTreeSet<u64>,
}

impl Record {
    /// What was acknowledged and not seen.
    fn owed(&self) -> Option<String> {
        let Telemetry {
            acknowledged,
            shown,
            ..
        } = self.telemetry;
        if acknowledged > shown {
            return Some(format!(
                "message {acknowledged} was acknowledged, the events end at {shown}"
            ));
        }
        if let Some(number) = self.commands.waiting.first() {
            return Some(format!("message {number} of the cloud never came"));
        }
        let desired = self.desired.last().unwrap_or_default();
        (desired > self.knows).then(|| {
            let knows = self.knows;
            format!("desired properties are at {desired}, it knows {knows}")
        })
    }
}

/// What is only counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// A device was let in.
    Connections,
    /// A connection ended that nobody wanted to end.
    Lost,
    /// A method was answered.
    Methods,
    /// A method was called on a device that was away.
    Away,
    /// A method was delivered, and its answer did not come in time.
    Unanswered,
    /// A call or a connection failed while the server was killed.
    Unreached,
}

/// See the module.
pub struct Ledger {
    devices: Vec<Mutex<Record>>,
    places: HashMap<String, usize>,
    faults: Mutex<Vec<String>>,
    fault_count: AtomicU64,
    counters: [AtomicU64; 6],
}

impl Ledger {
    /// A ledger of these devices.
    pub fn new(ids: &[String]) -> Self {
        let places = ids.iter().enumerate();
        Ledger {
            devices: ids.iter().map(|_| Mutex::default()).collect(),
            places: places.map(|(place, id)| (id.clone(), place)).collect(),
            faults: Mutex::default(),
            fault_count: AtomicU64::new(0),
            counters: Default::default(),
        }
    }

    /// The record of a device, unless there is none of that name.
    pub fn of(&self, id: &str) -> Option<MutexGuard<'_, Record>> {
        let place = self.places.get(id)?;
        let record = self.devices.get(*place)?;
        Some(record.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Does something with a device's record, and notes what is wrong with it.
    pub fn note(&self, id: &str, act: impl FnOnce(&mut Record) -> Result<(), String>) {
        let told = match self.of(id) {
            Some(mut record) => act(&mut record),
            None => Err("nobody knows it".to_owned()),
        };
        if let Err(fault) = told {
            self.fault(&format!("{id}: {fault}"));
        }
    }

    /// Notes what must not be.
    pub fn fault(&self, what: &str) {
        self.fault_count.fetch_add(1, Ordering::Relaxed);
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        if faults.len() < MOST_TOLD {
            faults.push(what.to_owned());
        }
    }

    /// What was noted.
    pub fn faults(&self) -> Vec<String> {
        let faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        let left = self.fault_count.load(Ordering::Relaxed) - faults.len() as u64;
        let more = (left > 0).then(|| format!("and {left} more"));
        faults.iter().cloned().chain(more).collect()
    }

    /// Counts.
    pub fn count(&self, what: Counted) {
        if let Some(counter) = self.counters.get(what as usize) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many devices wait for something that was acknowledged, and what one of them waits for.
    pub fn owed(&self) -> Option<(usize, String)> {
        let mut owed = self.places.keys().filter_map(|id| {
            let owed = self.of(id)?.owed()?;
            Some(format!("{id}: {owed}"))
        });
        let first = owed.next()?;
        Some((owed.count() + 1, first))
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counted = |what: Counted| {
            let counter = self.counters.get(what as usize);
            counter.map_or(0, |counter| counter.load(Ordering::Relaxed))
        };
        let sum = |part: fn(&Record) -> u64| -> u64 {
            let all = self.places.keys().filter_map(|id| self.of(id));
            all.map(|record| part(&record)).sum()
        };
        writeln!(
            f,
            "connections        {}, {} ended by others than the device",
            counted(Counted::Connections),
            counted(Counted::Lost)
        )?;
        writeln!(
            f,
            "telemetry          {} acknowledged, {} shown, {} of them more than once",
            sum(|record| record.telemetry.acknowledged),
            sum(|record| record.telemetry.shown),
            sum(|record| record.telemetry.repeated)
        )?;
        writeln!(
            f,
            "messages of cloud  {} accepted, {} received, {} of them more than once",
            sum(|record| record.commands.accepted),
            sum(|record| record.commands.received.len() as u64),
            sum(|record| record.commands.repeated)
        )?;
        writeln!(
            f,
            "methods            {} answered, {} on devices that were away, {} not answered in time",
            counted(Counted::Methods),
            counted(Counted::Away),
            counted(Counted::Unanswered)
        )?;
        writeln!(
            f,
            "twin versions      {} of desired, {} of reported properties",
            sum(|record| record.desired.last().unwrap_or_default().unsigned_abs()),
            sum(|record| record.reported.last().unwrap_or_default().unsigned_abs())
        )?;
        write!(
            f,
            "calls and connections that a kill cost: {}",
            counted(Counted::Unreached)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_may_be_missed_only_where_a_change_was_not_answered() {
        let mut versions = Versions::default();
        versions.asked();
        assert_eq!(versions.answered(2), Ok(()));
        versions.asked();
        assert!(versions.answered(4).is_err(), "3 is skipped");
        versions.asked();
        versions.asked();
        assert_eq!(versions.answered(6), Ok(()));
        versions.asked();
        assert!(versions.answered(6).is_err(), "a change makes a version");
    }

    #[test]
    fn what_was_acknowledged_is_owed_until_it_is_seen() {
        let ids = ["a".to_owned(), "b".to_owned()];
        let ledger = Ledger::new(&ids);
        assert_eq!(ledger.owed(), None);
        ledger.note("a", |record| {
            record.telemetry.acknowledged(1);
            record.commands.accepted(7);
            record.desired.asked();
            record.desired.answered(2)
        });
        for (waits, seen) in [
            ("message 1 was acknowledged", 0),
            ("message 7 of the cloud", 1),
            ("desired properties are at 2", 2),
        ] {
            let (count, owed) = ledger.owed().expect("something is owed");
            assert!(count == 1 && owed.contains(waits), "{owed}");
            ledger.note("a", |record| match seen {
                0 => record.telemetry.shown(1),
                1 => record.commands.received(7),
                _ => {
                    record.knows = 2;
                    Ok(())
                }
            });
        }
        assert_eq!(ledger.owed(), None);
        assert_eq!(ledger.faults(), [] as [String; 0]);
    }

    #[test]
    fn gaps_and_wrong_orders_are_faults_and_repetitions_are_none() {
        let ledger = Ledger::new(&["a".to_owned()]);
        for number in [1, 2, 1, 2, 3] {
            ledger.note("a", |record| record.telemetry.shown(number));
            ledger.note("a", |record| record.commands.received(number * 2));
        }
        assert_eq!(ledger.faults(), [] as [String; 0]);
        ledger.note("a", |record| record.telemetry.shown(5));
        ledger.note("a", |record| record.commands.received(3));
        ledger.note("b", |record| record.telemetry.shown(1));
        assert_eq!(ledger.faults().len(), 3, "{:?}", ledger.faults());
    }
}
