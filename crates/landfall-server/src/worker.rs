//! What runs beside the requests: continues operations that a crash left unfinished, of this server or of
//! one that shared its database, drops what is kept for a time only, and ends the sessions of servers that are
//! gone.

use std::sync::Arc;
use std::time::Duration;

use landfall_core::id::TrackingId;
use landfall_core::linked_hub::HubRegistry;
use landfall_core::store::Store;
use landfall_hub::store::HubStore;

use crate::backend::Backend;
use crate::metrics::label::Continued;
use crate::provisioning::Provisioning;
use crate::stop::Stop;
use crate::telemetry::{Attempt, Traces};
use crate::time;

/// How often unfinished operations are looked for.
const ROUND: Duration = Duration::from_secs(5);
/// An operation that moved within this span may still be a request's of this server. One of another server
/// is given to this one only when that is not heard of for as long.
const GRACE: Duration = Duration::from_secs(5);
/// Most operations continued, and most dropped, in one go.
const BATCH: usize = 500;

/// Most audit entries dropped in one go: one may be about a hundred records.
const ENTRIES: usize = 100;

/// How long things are kept that only time removes.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// Finished operations, which devices may poll.
    pub operations: Duration,
    /// Audit entries.
    pub audit: Duration,
    /// Events of embedded hubs.
    pub events: Duration,
    /// At most so many events of each hub.
    pub event_count: u64,
}

/// Runs until `stop` says true.
pub async fn run<S, H>(
    backend: Backend<S>,
    provisioning: Arc<Provisioning<S, H>>,
    traces: Traces,
    retention: Retention,
    mut stop: Stop,
) where
    S: HubStore,
    H: HubRegistry<Write = S::HubWrite>,
{
    match backend.store.services().await {
        Ok(services) => {
            for service in &services {
                backend.metrics.services.expect(service);
            }
        }
        // They are counted from their first event on.
        Err(error) => tracing::warn!(%error, "the services could not be read at the start"),
    }
    // At the start no request works on an unfinished operation that is this server's.
    let mut grace = Duration::ZERO;
    loop {
        if let Err(error) = resume(&backend, &*provisioning, &traces, grace).await {
            tracing::warn!(%error, "unfinished operations could not be continued; trying again");
        }
        if let Err(error) = purge(&backend, retention).await {
            tracing::warn!(%error, "what is past its time could not be dropped; trying again");
        }
        if let Err(error) = end_lost_sessions(&backend).await {
            tracing::warn!(%error, "sessions of servers that are gone could not be ended; trying again");
        }
        grace = GRACE;
        tokio::select! {
            () = time::sleep(ROUND) => {}
            () = stop.given() => return,
        }
    }
}

/// Continues every operation that did not move for `grace`. At start the grace is zero: whoever
/// worked on them is gone.
///
/// # Errors
/// When the store cannot be read.
pub async fn resume<S, H>(
    backend: &Backend<S>,
    provisioning: &Provisioning<S, H>,
    traces: &Traces,
    grace: Duration,
) -> Result<usize, landfall_core::store::ReadError>
where
    S: Store,
    H: HubRegistry<Write = S::HubWrite>,
{
    let now = backend.clock.now();
    let unfinished = backend.store.unfinished_operations(BATCH).await?;
    let mut resumed = 0;
    for operation in unfinished
        .into_iter()
        .filter(|operation| now.since(operation.updated) >= grace)
    {
        let tracking_id = TrackingId::draw(now, &*backend.entropy);
        let mut attempt = Attempt::begin(tracking_id, "worker", String::new(), now);
        attempt.asked(
            "resume",
            operation.id_scope.as_str(),
            operation.registration_id.as_str(),
        );
        attempt.about(&operation.id);
        let outcome = match provisioning.resume(operation, &mut attempt).await {
            Ok(()) => (Continued::Ended, "continued to its end".to_owned()),
            Err(error) => (Continued::Postponed, error.to_string()),
        };
        let (continued, outcome) = outcome;
        attempt.end(outcome);
        backend.metrics.continued.count((continued,));
        attempt.course().count(None, &backend.metrics);
        traces.keep(attempt);
        resumed += 1;
    }
    Ok(resumed)
}

/// Ends the sessions of devices on servers that are gone.
async fn end_lost_sessions<S: HubStore>(
    backend: &Backend<S>,
) -> Result<(), landfall_core::store::ReadError> {
    let mut ended = 0;
    loop {
        let now = backend.clock.now();
        let more = backend.store.close_lost_sessions(now, BATCH).await?;
        ended += more;
        if more < BATCH {
            break;
        }
    }
    if ended > 0 {
        tracing::info!(
            ended,
            "sessions of devices ended with the server they were on"
        );
    }
    Ok(())
}

/// Drops what is past its time, all of it in commits that are shared.
async fn purge<S: HubStore>(
    backend: &Backend<S>,
    retention: Retention,
) -> Result<(), landfall_core::store::ReadError> {
    let now = backend.clock.now();
    let store = &backend.store;
    let operations = async {
        let before = now.minus(retention.operations);
        while store.purge_operations(before, BATCH).await? == BATCH {}
        Ok(())
    };
    let audit = async {
        let before = now.minus(retention.audit);
        while store.purge_audit(before, ENTRIES).await? == ENTRIES {}
        Ok(())
    };
    let messages = async {
        while store.purge_messages(now, BATCH).await? >= BATCH {}
        Ok(())
    };
    let events = async {
        let (before, most) = (now.minus(retention.events), retention.event_count);
        while store.purge_events(before, most, BATCH).await? >= BATCH {}
        Ok(())
    };
    let ended = tokio::join!(operations, audit, messages, events);
    ended.0.and(ended.1).and(ended.2).and(ended.3)
}

#[cfg(test)]
mod tests {
    use landfall_core::audit::{Author, Search};
    use landfall_core::id::{DeviceId, HubHostName};
    use landfall_core::store::Change;
    use landfall_hub::device::Hub;
    use landfall_hub::endpoint::Endpoint;
    use landfall_hub::event::{EventKind, HubEvent};
    use landfall_hub::store::{HubExpect, HubWrite};
    use landfall_store::secret::SealingKey;

    use super::*;
    use crate::time::SystemEntropy;

    const DAY: Duration = Duration::from_secs(86_400);

    #[tokio::test]
    async fn audit_entries_past_their_time_are_dropped_and_no_others() {
        let folder = tempfile::tempdir().expect("a folder");
        let key = SealingKey::generate(&SystemEntropy);
        let backend = Backend::sqlite(folder.path().join("landfall.db"), key).expect("a store");
        let now = backend.clock.now();
        // More than are dropped in one go.
        for age in (0..3).chain([30; 2 * ENTRIES]) {
            let hub = Hub {
                host_name: HubHostName::parse("hub.test").expect("a name"),
                policies: Vec::new(),
                created: now,
                revision: 0,
            };
            let author = Author::server(now.minus(age * DAY), &*backend.entropy);
            let put = HubWrite::PutHub(Box::new(hub), HubExpect::Anything);
            let change = Change::of_hub(vec![put]).by(author);
            let answers = backend.store.commit(vec![change]).await;
            assert_eq!(answers, [Ok(())]);
        }
        let retention = Retention {
            operations: DAY,
            audit: 7 * DAY,
            events: DAY,
            event_count: 2,
        };
        purge(&backend, retention).await.expect("purged");
        let all = Search {
            limit: 1000,
            ..Search::default()
        };
        let left = backend.store.audit(&all).await.expect("entries");
        assert_eq!(left.len(), 3);
    }

    #[tokio::test]
    async fn events_past_their_time_or_number_are_dropped_and_no_others() {
        let folder = tempfile::tempdir().expect("a folder");
        let key = SealingKey::generate(&SystemEntropy);
        let backend = Backend::sqlite(folder.path().join("landfall.db"), key).expect("a store");
        let now = backend.clock.now();
        let name = HubHostName::parse("hub.test").expect("a name");
        let hub = Hub {
            host_name: name.clone(),
            policies: Vec::new(),
            created: now,
            revision: 0,
        };
        let mut writes = vec![HubWrite::PutHub(Box::new(hub), HubExpect::Absent)];
        // More than are dropped in one go.
        let ages = std::iter::repeat_n(30, 2 * BATCH).chain([0, 0, 0]);
        writes.extend(ages.map(|age| {
            let event = HubEvent {
                endpoint: Endpoint::device(DeviceId::parse("dev").expect("an id")),
                kind: EventKind::Telemetry,
                enqueued: now.minus(age * DAY),
                properties: Vec::new(),
                body: Vec::new(),
            };
            HubWrite::AppendEvent(name.clone(), Box::new(event))
        }));
        let answers = backend.store.commit(vec![Change::of_hub(writes)]).await;
        assert_eq!(answers, [Ok(())]);
        let newest = i64::try_from(2 * BATCH + 3).expect("a number");
        for (event_count, left) in [(100, 3), (2, 2)] {
            let retention = Retention {
                operations: DAY,
                audit: DAY,
                events: DAY,
                event_count,
            };
            purge(&backend, retention).await.expect("purged");
            let ends = backend.store.event_ends(&name).await.expect("the ends");
            assert_eq!((ends.oldest, ends.newest), (newest - left + 1, newest));
        }
    }
}
