//! What a server has in memory of its own over one life, and whether that grows without end.

use anyhow::Context as _;
use landfall_server::command::bench::process::Process;

/// Growth that says nothing, in bytes.
const NOISE: u64 = 16 << 20;

/// The memory of one life of a server, looked at every now and then.
#[derive(Debug, Default)]
pub struct Memory(Vec<u64>);

impl Memory {
    /// Looks at the process of that number.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn look(&mut self, process: u32) -> anyhow::Result<()> {
        let memory = Process { id: process }.memory();
        self.0.push(memory.context("the server is gone")?);
        Ok(())
    }

    /// What it has once all devices are back, and at its end: the medians of a fifth each.
    pub fn middle_and_end(&self) -> Option<(u64, u64)> {
        let count = self.0.len();
        let median = |part: &[u64]| {
            let mut part = part.to_vec();
            part.sort_unstable();
            part.get(part.len() / 2).copied()
        };
        let middle = self.0.get(count * 2 / 5..count * 3 / 5)?;
        let end = self.0.get(count * 4 / 5..)?;
        Some((median(middle)?, median(end)?))
    }
}

/// Whether `later` is no more than `before`, but for a tenth and some noise.
pub fn is_flat(before: u64, later: u64) -> bool {
    later <= before + before / 10 + NOISE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_is_judged_by_its_middle_and_its_end() {
        let mebibytes =
            |numbers: &[u64]| Memory(numbers.iter().map(|number| number << 20).collect());
        let flat = mebibytes(&[1, 50, 90, 100, 100, 100, 100, 101, 99, 100]);
        let (middle, end) = flat.middle_and_end().expect("a life");
        assert!((middle, end) == (100 << 20, 100 << 20) && is_flat(middle, end));
        let growing = mebibytes(&[10, 20, 30, 40, 50, 60, 70, 80, 90, 100]);
        let (middle, end) = growing.middle_and_end().expect("a life");
        assert!(!is_flat(middle, end), "{middle} {end}");
        assert_eq!(Memory::default().middle_and_end(), None);
    }
}
