//! When something that is called to mind every day is due. For loops that look at the clock far more
//! often, since a machine may sleep and its clock may be set. Called by the watches over certificates.

use std::time::Duration;

use landfall_core::clock::Timestamp;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// The last time that something was done which is to be done every day.
#[derive(Debug, Clone, Copy, Default)]
pub struct Daily(Option<Timestamp>);

impl Daily {
    /// Whether it was never done, a day is over since, or the clock was set back.
    pub fn is_due(self, now: Timestamp) -> bool {
        self.0
            .is_none_or(|last| now < last || now.since(last) >= DAY)
    }

    /// It was done now.
    pub fn done(&mut self, now: Timestamp) {
        self.0 = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_later_or_on_a_clock_set_back_it_is_due_again() {
        let at = Timestamp::from_unix_seconds;
        let mut daily = Daily::default();
        assert!(daily.is_due(at(1_000_000)));
        daily.done(at(1_000_000));
        assert!(!daily.is_due(at(1_000_000)));
        assert!(!daily.is_due(at(1_086_399)));
        assert!(daily.is_due(at(1_086_400)));
        assert!(daily.is_due(at(999_999)));
    }
}
