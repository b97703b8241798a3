//! Waiting, bounded, for another machine and for company: the store's only timers. Nothing is decided by what a clock says; a
//! database that does not answer is given up, and the one who asked is told to come back.

use std::time::Duration;

use crate::dialect::Fault;

/// Waits for `answer`, but not past `bound`.
#[expect(
    clippy::disallowed_methods,
    reason = "a database that hangs must not hang its callers"
)]
pub(super) async fn within<T>(
    bound: Duration,
    answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, Fault> {
    match tokio::time::timeout(bound, answer).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Fault::Lost(format!(
            "the database did not answer within {} seconds",
            bound.as_secs()
        ))),
    }
}

/// Waits for `work`, but not past `bound`; nothing when it was not done by then.
#[expect(
    clippy::disallowed_methods,
    reason = "what waits for a database must not wait for ever"
)]
pub(crate) async fn bounded<T>(bound: Duration, work: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(bound, work).await.ok()
}

/// Lets this thread rest for a moment, or less.
#[expect(
    clippy::disallowed_methods,
    reason = "the writer waits for more who ask; awoken early it only commits earlier"
)]
pub(crate) fn moment(span: Duration) {
    std::thread::park_timeout(span);
}

/// Waits before another try.
#[expect(
    clippy::disallowed_methods,
    reason = "whoever collided does not collide again at once"
)]
pub(super) async fn pause(span: Duration) {
    tokio::time::sleep(span).await;
}
