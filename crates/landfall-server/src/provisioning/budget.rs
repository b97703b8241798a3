//! How much processor time the searches of one id scope may take: a share of one processor, half of
//! it for anybody, half for addresses that did not search in vain lately. Called by [`super::searches`].
//!
//! Whoever knows an id scope can ask for a search with any token, and the search is what costs. The
//! second half is what such a caller cannot take from one address, nor from a few.

use std::collections::HashMap;
use std::time::Duration;

use landfall_core::clock::Timestamp;

/// How long an address that searched in vain keeps to the open half.
const MARKED: Duration = Duration::from_secs(600);

/// Most addresses that are marked at once, in one id scope. Past it all are forgotten: an attacker of
/// so many addresses gains one search from each, as with fresh ones.
const MOST_MARKED: usize = 4096;

/// How much unused time a half keeps, as the time in which it comes in.
const SAVED: Duration = Duration::from_secs(2);

/// The longest that a device is told to wait. Source: docs/protocol/device-api.md §8.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Which half pays for a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Half {
    /// For anybody.
    Open,
    /// For addresses that did not search in vain lately.
    Kept,
}

/// Time that comes in steadily, is saved up to a bound, and may be overdrawn by the last search.
#[derive(Debug)]
struct Purse {
    micros: i64,
    at: Timestamp,
}

/// The account of one id scope.
#[derive(Debug)]
pub(super) struct Budget {
    /// Millionths of a processor that each half gets.
    ppm: i64,
    open: Purse,
    kept: Purse,
    /// Who searched in vain, and when last.
    marked: HashMap<String, Timestamp>,
}

impl Budget {
    /// A full account of `percent` hundredths of one processor.
    pub(super) fn new(percent: u8, now: Timestamp) -> Self {
        let ppm = i64::from(percent) * 10_000 / 2;
        let full = || Purse {
            micros: most(ppm),
            at: now,
        };
        Budget {
            ppm,
            open: full(),
            kept: full(),
            marked: HashMap::new(),
        }
    }

    /// Says which half pays for a search of `address`.
    ///
    /// # Errors
    /// When none does: how long until one will.
    pub(super) fn ask(&mut self, address: &str, now: Timestamp) -> Result<Half, Duration> {
        let ppm = self.ppm;
        self.open.fill(ppm, now);
        self.kept.fill(ppm, now);
        if self.open.micros > 0 {
            return Ok(Half::Open);
        }
        let marked = self.is_marked(address, now);
        if !marked && self.kept.micros > 0 {
            return Ok(Half::Kept);
        }
        let debt = if marked {
            self.open.micros
        } else {
            self.open.micros.max(self.kept.micros)
        };
        let wait = u64::try_from((1 - debt).saturating_mul(1_000_000) / ppm.max(1)).unwrap_or(0);
        Err(Duration::from_micros(wait).clamp(Duration::from_secs(1), LONGEST_WAIT))
    }

    /// Takes what a search cost from the half that pays for it.
    pub(super) fn charge(&mut self, half: Half, cost: Duration) {
        let purse = match half {
            Half::Open => &mut self.open,
            Half::Kept => &mut self.kept,
        };
        let cost = i64::try_from(cost.as_micros()).unwrap_or(i64::MAX);
        purse.micros = purse.micros.saturating_sub(cost.max(1));
    }

    /// Keeps an address to the open half, since its search found nothing.
    pub(super) fn mark(&mut self, address: String, now: Timestamp) {
        if self.marked.len() >= MOST_MARKED && !self.marked.contains_key(&address) {
            self.marked.retain(|_, since| fresh(*since, now));
            if self.marked.len() >= MOST_MARKED {
                self.marked.clear();
            }
        }
        self.marked.insert(address, now);
    }

    /// Whether nothing is owed and nobody is marked.
    pub(super) fn is_untouched(&mut self, now: Timestamp) -> bool {
        let ppm = self.ppm;
        self.open.fill(ppm, now);
        self.kept.fill(ppm, now);
        self.open.micros == most(ppm)
            && self.kept.micros == most(ppm)
            && !self.marked.values().any(|since| fresh(*since, now))
    }

    fn is_marked(&self, address: &str, now: Timestamp) -> bool {
        self.marked
            .get(address)
            .is_some_and(|since| fresh(*since, now))
    }
}

impl Purse {
    /// Puts in what came since the last time. A clock that is set back brings nothing.
    fn fill(&mut self, ppm: i64, now: Timestamp) {
        let passed = i64::try_from(now.since(self.at).as_micros()).unwrap_or(i64::MAX);
        let income = passed.saturating_mul(ppm) / 1_000_000;
        // What is less than a microsecond waits for the next time.
        if income > 0 || now < self.at {
            self.micros = self.micros.saturating_add(income).min(most(ppm));
            self.at = now;
        }
    }
}

fn most(ppm: i64) -> i64 {
    let saved = i64::try_from(SAVED.as_micros()).unwrap_or(i64::MAX);
    saved.saturating_mul(ppm) / 1_000_000
}

fn fresh(since: Timestamp, now: Timestamp) -> bool {
    now.since(since) < MARKED
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_unix_micros(1_700_000_000_000_000 + micros)
    }

    /// Searches until it is refused; gives how many there were, and what was told then.
    fn spend(budget: &mut Budget, address: &str, now: Timestamp) -> (usize, Duration) {
        let mut searches = 0;
        loop {
            match budget.ask(address, now) {
                Ok(half) => budget.charge(half, 10 * MS),
                Err(wait) => return (searches, wait),
            }
            budget.mark(address.to_owned(), now);
            searches += 1;
        }
    }

    #[test]
    fn one_address_takes_no_more_than_the_open_half() {
        // Half of a processor: 250 ms a second for each half, two seconds of it saved.
        let mut budget = Budget::new(50, at(0));
        assert_eq!(
            spend(&mut budget, "flood", at(0)),
            (50, Duration::from_secs(1))
        );
        assert_eq!(budget.ask("new", at(0)), Ok(Half::Kept));
        // A second later a second's worth is there again, and no more.
        assert_eq!(spend(&mut budget, "flood", at(1_000_000)).0, 25);
        assert_eq!(budget.ask("new", at(1_000_000)), Ok(Half::Kept));
    }

    #[test]
    fn an_address_is_forgiven_when_it_stays_quiet() {
        let mut budget = Budget::new(50, at(0));
        budget.mark("late".to_owned(), at(0));
        let later = at(601_000_000);
        spend(&mut budget, "flood", later);
        assert_eq!(budget.ask("late", later), Ok(Half::Kept));
    }

    #[test]
    fn many_addresses_together_are_bounded_and_told_when_to_come_back() {
        let mut budget = Budget::new(1, at(0));
        let mut let_in = 0;
        for number in 0..1000 {
            if let Ok(half) = budget.ask(&number.to_string(), at(0)) {
                budget.charge(half, 10 * MS);
                budget.mark(number.to_string(), at(0));
                let_in += 1;
            }
        }
        assert_eq!(let_in, 2, "each half holds 10 ms");
        budget.charge(Half::Open, 500 * MS);
        budget.charge(Half::Kept, 50 * MS);
        let told = budget.ask("new", at(0)).expect_err("overdrawn");
        assert!(
            told >= Duration::from_secs(10) && told < Duration::from_secs(11),
            "{told:?}"
        );
        assert_eq!(budget.ask("0", at(0)), Err(LONGEST_WAIT));
        assert_eq!(budget.ask("new", at(10_100_000)), Ok(Half::Kept));
    }

    #[test]
    fn a_clock_that_is_set_back_brings_nothing_and_stops_nothing() {
        let mut budget = Budget::new(50, at(0));
        spend(&mut budget, "flood", at(0));
        assert!(budget.ask("flood", at(-3_600_000_000)).is_err());
        assert_eq!(spend(&mut budget, "flood", at(-3_599_000_000)).0, 25);
    }

    #[test]
    fn marks_are_bounded() {
        let mut budget = Budget::new(50, at(0));
        for number in 0..3 * MOST_MARKED {
            budget.mark(number.to_string(), at(0));
            assert!(budget.marked.len() <= MOST_MARKED);
        }
    }
}
