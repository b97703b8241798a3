//! What counts: integers that many threads add to without waiting for each other. Nothing here is looked up;
//! whoever counts holds the instrument.

use std::borrow::Cow;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use super::label::Labels;

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds one.
    pub fn count(&self) {
        self.add(1);
    }

    /// Adds some.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// Adds a span, as nanoseconds.
    pub fn add_span(&self, span: Duration) {
        self.add(nanos(span));
    }

    /// What was counted.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    /// One more.
    pub fn up(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// So many fewer.
    pub fn down(&self, fewer: usize) {
        let fewer = i64::try_from(fewer).unwrap_or(i64::MAX);
        self.0.fetch_sub(fewer, Ordering::Relaxed);
    }

    /// What it is now; threads that are between two steps may make it less than nothing for a moment.
    pub fn value(&self) -> u64 {
        u64::try_from(self.0.load(Ordering::Relaxed)).unwrap_or(0)
    }
}

/// One counter for each combination of labels.
#[derive(Debug)]
pub struct Counters<L> {
    counters: Box<[Counter]>,
    labels: PhantomData<fn(L)>,
}

impl<L: Labels> Default for Counters<L> {
    fn default() -> Self {
        Counters {
            counters: std::iter::repeat_with(Counter::default)
                .take(L::COUNT)
                .collect(),
            labels: PhantomData,
        }
    }
}

impl<L: Labels> Counters<L> {
    /// Adds one.
    pub fn count(&self, labels: L) {
        if let Some(counter) = self.counters.get(labels.place()) {
            counter.count();
        }
    }

    /// What was counted of one combination.
    pub fn value(&self, labels: L) -> u64 {
        self.counters.get(labels.place()).map_or(0, Counter::value)
    }

    /// Every combination and what was counted of it.
    pub fn each(&self) -> impl Iterator<Item = (Vec<Cow<'static, str>>, u64)> {
        let counters = self.counters.iter().enumerate();
        counters.map(|(place, counter)| (L::texts(place), counter.value()))
    }
}

/// How values spread: how many are no greater than each of some bounds, and their sum.
#[derive(Debug)]
pub struct Spread {
    bounds: &'static [u64],
    /// As many as bounds, and one for what is greater than all.
    counts: Box<[Counter]>,
    sum: Counter,
}

impl Spread {
    /// Makes an empty one; `bounds` ascend.
    pub fn new(bounds: &'static [u64]) -> Self {
        Spread {
            bounds,
            counts: std::iter::repeat_with(Counter::default)
                .take(bounds.len() + 1)
                .collect(),
            sum: Counter::default(),
        }
    }

    /// Takes a value in.
    pub fn take(&self, value: u64) {
        let place = self.bounds.partition_point(|bound| *bound < value);
        if let Some(counter) = self.counts.get(place) {
            counter.count();
        }
        self.sum.add(value);
    }

    /// Takes a span in, as nanoseconds.
    pub fn take_span(&self, span: Duration) {
        self.take(nanos(span));
    }

    /// Each bound, and how many values are no greater.
    pub fn up_to(&self) -> impl Iterator<Item = (u64, u64)> {
        let mut sum = 0;
        let bounds = self.bounds.iter().zip(&self.counts);
        bounds.map(move |(bound, counter)| {
            sum += counter.value();
            (*bound, sum)
        })
    }

    /// How many values are greater than every bound.
    pub fn beyond(&self) -> u64 {
        self.counts.last().map_or(0, Counter::value)
    }

    /// The sum of all values.
    pub fn sum(&self) -> u64 {
        self.sum.value()
    }
}

/// One spread for each combination of labels.
#[derive(Debug)]
pub struct Spreads<L> {
    spreads: Box<[Spread]>,
    labels: PhantomData<fn(L)>,
}

impl<L: Labels> Spreads<L> {
    /// Makes empty ones with the same bounds.
    pub fn new(bounds: &'static [u64]) -> Self {
        Spreads {
            spreads: std::iter::repeat_with(|| Spread::new(bounds))
                .take(L::COUNT)
                .collect(),
            labels: PhantomData,
        }
    }

    /// Takes a span in.
    pub fn take_span(&self, labels: L, span: Duration) {
        if let Some(spread) = self.spreads.get(labels.place()) {
            spread.take_span(span);
        }
    }

    /// Every combination and its spread.
    pub fn each(&self) -> impl Iterator<Item = (Vec<Cow<'static, str>>, &Spread)> {
        let spreads = self.spreads.iter().enumerate();
        spreads.map(|(place, spread)| (L::texts(place), spread))
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::label::{Face, Retry};
    use super::*;

    #[test]
    fn a_value_counts_from_the_first_bound_that_is_no_less() {
        let spread = Spread::new(&[1, 10, 100]);
        for value in [0, 1, 2, 10, 11, 100, 101, 1000] {
            spread.take(value);
        }
        let up_to: Vec<_> = spread.up_to().collect();
        assert_eq!(up_to, [(1, 2), (10, 4), (100, 6)]);
        assert_eq!((spread.beyond(), spread.sum()), (2, 1225));
    }

    #[test]
    fn each_combination_counts_for_itself() {
        let counters = Counters::<(Face, Retry)>::default();
        counters.count((Face::Hub, Retry::Connection));
        counters.count((Face::Hub, Retry::Connection));
        let counted: Vec<_> = counters.each().filter(|(_, value)| *value > 0).collect();
        assert_eq!(counted.len(), 1);
        assert_eq!(counted[0].0, ["hub", "connection"]);
        assert_eq!(counted[0].1, 2);
        assert_eq!(counters.value((Face::Hub, Retry::Collision)), 0);
    }

    #[test]
    fn a_gauge_that_is_read_between_two_steps_is_nothing_and_not_huge() {
        let gauge = Gauge::default();
        gauge.down(1);
        assert_eq!(gauge.value(), 0);
        gauge.up();
        gauge.up();
        assert_eq!(gauge.value(), 1);
    }
}
