//! Where a token is held against many groups: beside the request threads, one search at a time in each
//! id scope, each address in its turn, paid from the scope's budget. Called by [`super::admission`];
//! devices with a certificate, with an enrollment of their own, or that were here before never come here.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZero;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use landfall_core::clock::Timestamp;
use landfall_core::id::IdScope;
use tokio::sync::Semaphore;

use super::budget::Budget;
use super::turns::Turns;
use crate::metrics::label::Search;
use crate::metrics::services::ServiceCounts;
use crate::time::thread_cpu;

/// Past so many id scopes, those that owe nothing to anybody are forgotten.
const MOST_SCOPES: usize = 1024;

/// The share of one processor that the searches of one id scope get, in hundredths, unless set.
pub const USUAL_SHARE: u8 = 50;

/// The searches of all id scopes.
pub(super) struct Searches {
    percent: u8,
    /// At most half of the processors search at once, whatever the number of scopes.
    workers: Arc<Semaphore>,
    desks: Mutex<HashMap<IdScope, Arc<Desk>>>,
}

/// Where the searches of one id scope line up, and what they may cost.
struct Desk {
    turns: Turns,
    budget: Mutex<Budget>,
}

/// Why there was no search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoSearch {
    /// The budget is spent; there is a search again after this span.
    Spent(Duration),
    /// The server is stopping.
    Stopping,
}

impl Searches {
    /// Searches that may take `percent` hundredths of one processor in each id scope.
    pub(super) fn new(percent: u8) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        Searches {
            percent,
            workers: Arc::new(Semaphore::new((processors / 2).max(1))),
            desks: Mutex::default(),
        }
    }

    /// Searches when it is the turn of `address`. `search` gives what it found, and whether that is a
    /// group.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        scope: &IdScope,
        address: &str,
        now: Timestamp,
        counts: &Arc<ServiceCounts>,
        search: impl FnOnce() -> (T, bool) + Send + 'static,
    ) -> Result<T, NoSearch> {
        let desk = self.desk(scope, now);
        let address = network(address);
        let turn = desk.turns.take(address.clone()).await;
        let half = desk.budget().ask(&address, now).map_err(NoSearch::Spent)?;
        let worker = Arc::clone(&self.workers).acquire_owned().await;
        let worker = worker.map_err(|_| NoSearch::Stopping)?;
        let counts = Arc::clone(counts);
        // A caller that goes away leaves the search running: turn and worker go with it.
        let done = tokio::task::spawn_blocking(move || {
            let before = thread_cpu();
            let (result, found) = search();
            let cost = thread_cpu().saturating_sub(before);
            counts.search_cpu.add_span(cost);
            let found_or_not = if found { Search::Found } else { Search::InVain };
            counts.searches.count((found_or_not,));
            let mut budget = desk.budget();
            budget.charge(half, cost);
            if !found {
                budget.mark(address, now);
            }
            drop(budget);
            drop((turn, worker));
            result
        });
        match done.await {
            Ok(result) => Ok(result),
            Err(ended) => match ended.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(NoSearch::Stopping),
            },
        }
    }

    fn desk(&self, scope: &IdScope, now: Timestamp) -> Arc<Desk> {
        let mut desks = self.desks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(desk) = desks.get(scope) {
            return Arc::clone(desk);
        }
        if desks.len() >= MOST_SCOPES {
            desks.retain(|_, desk| desk.is_owed(now));
        }
        let desk = Arc::new(Desk {
            turns: Turns::default(),
            budget: Mutex::new(Budget::new(self.percent, now)),
        });
        desks.insert(scope.clone(), Arc::clone(&desk));
        desk
    }
}

impl Desk {
    fn budget(&self) -> MutexGuard<'_, Budget> {
        self.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether something would be lost with it.
    fn is_owed(self: &Arc<Self>, now: Timestamp) -> bool {
        Arc::strong_count(self) > 1 || !self.budget().is_untouched(now)
    }
}

/// What counts as one address: of IPv6 the first half, since who has one has all of its other half.
fn network(address: &str) -> String {
    let plain = address.trim_start_matches('[').trim_end_matches(']');
    match plain
        .parse::<IpAddr>()
        .map(|address| address.to_canonical())
    {
        Ok(IpAddr::V6(address)) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}")
        }
        Ok(IpAddr::V4(address)) => address.to_string(),
        Err(_) => plain.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_one_address_of_ipv6_has_its_whole_network() {
        assert_eq!(network("[2001:db8:1:2::7]"), "2001:db8:1:2");
        assert_eq!(network("2001:db8:1:2:ffff::"), "2001:db8:1:2");
        assert_ne!(network("2001:db8:1:3::7"), network("2001:db8:1:2::7"));
        assert_eq!(network("[::ffff:192.0.2.1]"), "192.0.2.1");
        assert_eq!(network("192.0.2.1"), "192.0.2.1");
        assert_eq!(network("a socket"), "a socket");
    }

    #[test]
    fn forgotten_are_only_scopes_that_owe_nothing() {
        let searches = Searches::new(50);
        let now = Timestamp::from_unix_seconds(1_700_000_000);
        let scope = |number: usize| IdScope::parse(&format!("0ne{number:08}")).expect("a scope");
        let spent = searches.desk(&scope(0), now);
        spent
            .budget()
            .charge(super::super::budget::Half::Open, Duration::from_secs(9));
        drop(spent);
        for number in 1..=MOST_SCOPES {
            searches.desk(&scope(number), now);
        }
        let desks = searches.desks.lock().expect("no panic");
        assert!(desks.len() <= MOST_SCOPES);
        assert!(desks.contains_key(&scope(0)));
    }
}
