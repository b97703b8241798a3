//! Requests of devices by the check that ended them.

use landfall_core::trace::check::CHECKS;

use super::instrument::Counter;
use super::shelf::OTHER;

/// A counter for each check of decision traces.
#[derive(Debug)]
pub struct Refusals {
    /// As many as there are checks, and one for names that the list does not have.
    counters: Box<[Counter]>,
}

impl Default for Refusals {
    fn default() -> Self {
        Refusals {
            counters: std::iter::repeat_with(Counter::default)
                .take(CHECKS.len() + 1)
                .collect(),
        }
    }
}

impl Refusals {
    /// Counts one.
    pub fn count(&self, check: &str) {
        let place = CHECKS.iter().position(|known| known.name == check);
        if let Some(counter) = self.counters.get(place.unwrap_or(CHECKS.len())) {
            counter.count();
        }
    }

    /// Every check and what was counted of it.
    pub fn each(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let names = CHECKS.iter().map(|check| check.name).chain([OTHER]);
        names.zip(self.counters.iter().map(Counter::value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_check_counts_for_itself_and_unknown_ones_together() {
        let refusals = Refusals::default();
        for check in ["sas.expired", "sas.expired", "no.such", "x509.chain"] {
            refusals.count(check);
        }
        let mut counted: Vec<_> = refusals.each().filter(|(_, count)| *count > 0).collect();
        counted.sort_unstable();
        assert_eq!(counted, [(OTHER, 1), ("sas.expired", 2), ("x509.chain", 1)]);
    }
}
