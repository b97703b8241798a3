//! What the store tells of itself, counted. The store knows no metrics, and no clock to measure with.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use landfall_store::{Again, Observer};

use super::instrument::{Counter, Counters, Gauge, Spread};
use super::label::Retry;
use super::table;
use crate::time::Stopwatch;

/// What is counted of the store.
#[derive(Debug)]
pub struct StoreCounts {
    /// Durable commits.
    pub commits: Counter,
    /// Requests that were not kept.
    pub failures: Counter,
    /// Groups that were tried again.
    pub retries: Counters<(Retry,)>,
    /// How long groups took.
    pub durations: Spread,
    /// How many requests they were of.
    pub sizes: Spread,
    /// Requests without an answer yet.
    pub waiting: Gauge,
    /// Reads that failed.
    pub unread: Counter,
    watch: Stopwatch,
    /// When the group began that the writer works on, by the watch, in nanoseconds. There is one writer.
    began: AtomicU64,
}

impl Default for StoreCounts {
    fn default() -> Self {
        StoreCounts {
            commits: Counter::default(),
            failures: Counter::default(),
            retries: Counters::default(),
            durations: Spread::new(table::STORE_COMMIT_DURATION.kind.bounds()),
            sizes: Spread::new(table::STORE_COMMIT_REQUESTS.kind.bounds()),
            waiting: Gauge::default(),
            unread: Counter::default(),
            watch: Stopwatch::start(),
            began: AtomicU64::new(0),
        }
    }
}

impl StoreCounts {
    fn now(&self) -> u64 {
        u64::try_from(self.watch.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

impl Observer for StoreCounts {
    fn asked(&self) {
        self.waiting.up();
    }

    fn answered(&self, requests: usize) {
        self.waiting.down(requests);
    }

    fn begins(&self, requests: usize) {
        self.sizes.take(u64::try_from(requests).unwrap_or(u64::MAX));
        self.began.store(self.now(), Ordering::Relaxed);
    }

    fn ends(&self) {
        let began = self.began.load(Ordering::Relaxed);
        let took = Duration::from_nanos(self.now().saturating_sub(began));
        self.durations.take_span(took);
    }

    fn committed(&self) {
        self.commits.count();
    }

    fn tries_again(&self, why: Again) {
        self.retries.count((match why {
            Again::Collided => Retry::Collision,
            Again::Lost => Retry::Connection,
        },));
    }

    fn gave_up(&self, requests: usize) {
        self.failures
            .add(u64::try_from(requests).unwrap_or(u64::MAX));
    }

    fn unread(&self) {
        self.unread.count();
    }
}
