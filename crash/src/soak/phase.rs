//! What everybody is about: load, then quiet until all that is owed has come, then the end.

use std::sync::atomic::{AtomicU8, Ordering};

/// What everybody is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Devices send and operators call.
    Load,
    /// Nothing new begins.
    Quiet,
    /// Everybody goes.
    Over,
}

/// Says which phase it is.
#[derive(Debug, Default)]
pub struct Clock(AtomicU8);

impl Clock {
    /// The phase that it is.
    pub fn phase(&self) -> Phase {
        match self.0.load(Ordering::Relaxed) {
            0 => Phase::Load,
            1 => Phase::Quiet,
            _ => Phase::Over,
        }
    }

    /// The next one begins.
    pub fn turn(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
