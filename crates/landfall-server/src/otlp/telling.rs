//! When the log is told of a collector that goes on refusing or being away: at once, when the reason
//! changes, and then only now and then. Spans come twice a second, and so would the same warning.

/// What goes wrong again and again.
#[derive(Debug, Default)]
pub(super) struct Failing {
    /// How often in a row.
    pub(super) times: u32,
    /// The reason that the log was told last.
    told: String,
    /// Spans that it cost and that the log was not told of.
    lost: usize,
}

impl Failing {
    /// Counts another failure, which cost so many spans. Gives how many to tell the log of, when it is to
    /// be told: for every `often`th time in a row, and for another reason than last.
    pub(super) fn again(&mut self, why: &str, lost: usize, often: u32) -> Option<usize> {
        let is_told = self.times.is_multiple_of(often) || self.told != why;
        self.times = self.times.saturating_add(1);
        self.lost += lost;
        if !is_told {
            return None;
        }
        why.clone_into(&mut self.told);
        Some(std::mem::take(&mut self.lost))
    }

    /// It goes well again. Gives the spans that nobody was told of, if it had failed.
    pub(super) fn over(&mut self) -> Option<usize> {
        let had_failed = self.times > 0;
        let Failing { lost, .. } = std::mem::take(self);
        had_failed.then_some(lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lasting_failure_is_told_at_first_for_another_reason_and_now_and_then() {
        let mut failing = Failing::default();
        let told: Vec<_> = (0..7).map(|_| failing.again("401", 2, 3)).collect();
        let expected = [Some(2), None, None, Some(6), None, None, Some(6)];
        assert_eq!(told, expected, "and no span is left out");
        assert_eq!(failing.again("403", 1, 3), Some(1));
        assert_eq!(failing.again("403", 1, 3), None);
        assert_eq!(failing.over(), Some(1));
        assert_eq!(failing.over(), None);
        assert_eq!(failing.again("403", 1, 3), Some(1), "a new one");
    }
}
