//! Chance that can be repeated: the moments of a run are those of another with the same seed.

/// Numbers drawn one after the other (SplitMix64).
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// Begins a row of numbers.
    pub fn new(seed: u64) -> Self {
        Chance(seed)
    }

    /// A row of its own for a part of the run.
    pub fn part(&mut self) -> Self {
        Chance(self.draw())
    }

    /// A number below `bound`, which is not zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.draw() % bound.max(1)
    }

    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_numbers_and_parts_differ() {
        let draw = |mut chance: Chance| (0..5).map(|_| chance.below(1000)).collect::<Vec<_>>();
        assert_eq!(draw(Chance::new(7)), draw(Chance::new(7)));
        let mut whole = Chance::new(7);
        let (one, other) = (whole.part(), whole.part());
        assert_ne!(draw(one), draw(other));
    }
}
