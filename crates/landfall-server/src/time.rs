//! The machine's clock, sleep and chance: the only file of the server that asks for them.
//!
//! Everything below and beside gets them as arguments: [`SystemClock`] and [`SystemEntropy`] by the
//! composition root, [`sleep`] and [`timeout`] by whoever awaits, [`Stopwatch`] by whoever measures.

use std::future::Future;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use landfall_core::clock::{Clock, Entropy, Timestamp};

/// The wall clock of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the wall clock"
    )]
    fn now(&self) -> Timestamp {
        let now = SystemTime::now();
        // A clock set before 1970 counts backwards from there.
        let micros = match now.duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_micros()).unwrap_or(i64::MAX),
            Err(before) => {
                i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |micros| -micros)
            }
        };
        Timestamp::from_unix_micros(micros)
    }
}

/// The cryptographic random generator of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that draws randomness"
    )]
    fn fill(&self, buffer: &mut [u8]) {
        if aws_lc_rs::rand::fill(buffer).is_err() {
            // Keys drawn from anything less would be worthless, and no caller could go on.
            panic!("the random generator of this machine gives no bytes");
        }
    }
}

/// No build of this source is older. A clock that shows an earlier time is wrong.
const BUILT_AFTER: &str = "2026-11-01T00:00:00Z";

/// Twenty years: no program is used for longer without a newer one.
const LONGEST_USE: Duration = Duration::from_secs(20 * 365 * 24 * 3600);

/// Says in the log when the machine's clock is wrong for certain, since every certificate and token
/// would then be refused for a reason that is none of theirs.
///
/// Source: docs/protocol/x509.md §5.
pub fn warn_of_a_clock_behind(now: Timestamp) {
    if is_behind(now) {
        tracing::warn!(
            "the clock of this machine shows {}, which is before this program was made: devices will be refused for certificates that are not valid yet. Set the clock, then start again.",
            now.to_wire()
        );
    }
}

/// Whether a clock shows a time before this program was made.
pub fn is_behind(now: Timestamp) -> bool {
    Timestamp::parse(BUILT_AFTER).is_none_or(|built| now < built)
}

/// Whether a clock shows a time at which nobody runs a program of this age.
pub fn is_ahead(now: Timestamp) -> bool {
    Timestamp::parse(BUILT_AFTER).is_some_and(|built| now > built.plus(LONGEST_USE))
}

/// Waits for `span`.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that puts a task to sleep"
)]
pub async fn sleep(span: Duration) {
    tokio::time::sleep(span).await;
}

/// A piece of work that was not done in the time it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not done within {} s", .0.as_secs_f32())]
pub struct TimedOut(pub Duration);

/// Awaits `work`, at most for `limit`; then drops it.
///
/// # Errors
/// [`TimedOut`] when `limit` passed first.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that measures a deadline"
)]
pub async fn timeout<F: Future>(limit: Duration, work: F) -> Result<F::Output, TimedOut> {
    tokio::time::timeout(limit, work)
        .await
        .map_err(|_| TimedOut(limit))
}

/// Measures elapsed time; does not jump when the wall clock is set.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts measuring.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the monotonic clock"
    )]
    pub fn start() -> Self {
        Stopwatch(Instant::now())
    }

    /// How long ago the measuring started.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// The processor time that the calling thread has used so far.
pub fn thread_cpu() -> Duration {
    elapsed(rustix::time::ClockId::ThreadCPUTime)
}

/// The processor time that this process has used so far, of all its threads.
pub fn process_cpu() -> Duration {
    elapsed(rustix::time::ClockId::ProcessCPUTime)
}

fn elapsed(clock: rustix::time::ClockId) -> Duration {
    let used = rustix::time::clock_gettime(clock);
    let part = |part: i64| u64::try_from(part).unwrap_or(0);
    Duration::from_secs(part(used.tv_sec)) + Duration::from_nanos(part(used.tv_nsec))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_moves_forward_and_chance_differs() {
        let watch = Stopwatch::start();
        let first = SystemClock.now();
        assert!(first.unix_seconds() > 1_700_000_000, "{first:?}");
        assert!(SystemClock.now() >= first);
        let (mut a, mut b) = ([0_u8; 32], [0_u8; 32]);
        SystemEntropy.fill(&mut a);
        SystemEntropy.fill(&mut b);
        assert_ne!(a, b);
        assert!(watch.elapsed() < Duration::from_secs(60));
    }

    #[test]
    fn only_work_counts_as_processor_time() {
        let before = thread_cpu();
        let mut sum = 0_u64;
        while thread_cpu() == before {
            sum = std::hint::black_box(sum + 1);
        }
        assert!(thread_cpu() > before);
    }

    #[test]
    fn a_clock_before_the_source_was_written_is_behind() {
        assert!(is_behind(Timestamp::from_unix_seconds(0)));
        assert!(!is_behind(SystemClock.now()));
    }

    #[tokio::test]
    async fn work_that_outlasts_its_limit_is_dropped() {
        let late = timeout(Duration::from_millis(10), std::future::pending::<()>()).await;
        assert_eq!(late, Err(TimedOut(Duration::from_millis(10))));
        let ready = timeout(Duration::from_secs(5), async {
            sleep(Duration::from_millis(1)).await;
            7
        })
        .await;
        assert_eq!(ready, Ok(7));
    }
}
