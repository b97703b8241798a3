//! Cases about operations and decision traces.

use std::time::Duration;

use super::records::{NOW, Samples};
use super::{keep, read};
use crate::clock::Timestamp;
use crate::id::{DeviceId, IdScope, OperationId};
use crate::linked_hub::Manner;
use crate::registration::Substatus;
use crate::registration::operation::{Operation, Progress};
use crate::store::{Expect, Store, Write};
use crate::trace::{DecisionTrace, KeptFinding, Passage};

async fn with_service<S: Store>(store: &S, samples: &Samples<'_>) -> IdScope {
    let service = samples.service("0neA");
    let scope = service.id_scope.clone();
    keep(
        store,
        vec![Write::PutService(Box::new(service), Expect::Absent)],
    )
    .await;
    scope
}

fn at(second: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(second))
}

fn put(operation: &Operation) -> Write {
    Write::PutOperation(Box::new(operation.clone()))
}

pub(super) async fn operations_are_continued_oldest_first<S: Store>(
    store: &S,
    samples: &Samples<'_>,
) {
    let scope = with_service(store, samples).await;
    let device = DeviceId::parse("before").expect("an id");
    let from = (super::records::hub(), device);
    let mut kept = Vec::new();
    let mut progresses = vec![Progress::Accepted(Box::new(samples.admission("dev-0")))];
    for manner in [
        Manner::Create,
        Manner::Keep,
        Manner::Reset,
        Manner::Migrate { from: from.clone() },
        Manner::Move { from },
    ] {
        progresses.push(Progress::Allocated(
            Box::new(samples.admission("dev-0")),
            Box::new(samples.placement(manner)),
            Substatus::DeviceDataReset,
        ));
    }
    for (n, progress) in (0..).zip(progresses) {
        // Written down in another order than they began.
        let operation = samples.operation(&scope, "dev-0", progress, 100 - n);
        keep(store, vec![put(&operation)]).await;
        let again = read(store.operation(&scope, &operation.id).await);
        assert_eq!(again, Some(operation.clone()));
        kept.insert(0, operation);
    }
    assert_eq!(read(store.unfinished_operations(100).await), kept);
    assert_eq!(read(store.unfinished_operations(2).await), kept[..2]);
    let mut finished = kept.remove(0);
    let registration = samples.registration("dev-0", None);
    finished.progress = Progress::Finished(Box::new(registration));
    finished.updated = at(200);
    keep(store, vec![put(&finished)]).await;
    assert_eq!(read(store.unfinished_operations(100).await), kept);
    let again = read(store.operation(&scope, &finished.id).await);
    assert_eq!(again, Some(finished.clone()));
    let elsewhere = IdScope::parse("0neB").expect("a scope");
    assert_eq!(read(store.operation(&elsewhere, &finished.id).await), None);
    let unknown = OperationId::parse("unknown").expect("an id");
    assert_eq!(read(store.operation(&scope, &unknown).await), None);
}

pub(super) async fn only_finished_and_old_operations_are_purged<S: Store>(
    store: &S,
    samples: &Samples<'_>,
) {
    let scope = with_service(store, samples).await;
    let finished = || Progress::Finished(Box::new(samples.registration("dev", None)));
    let mut operations = Vec::new();
    for second in 0..6 {
        operations.push(samples.operation(&scope, "dev", finished(), second));
    }
    let accepted = Progress::Accepted(Box::new(samples.admission("dev")));
    let open = samples.operation(&scope, "dev", accepted, 0);
    keep(store, operations.iter().chain([&open]).map(put).collect()).await;
    assert_eq!(store.purge_operations(at(4), 3).await, Ok(3));
    assert_eq!(store.purge_operations(at(4), 3).await, Ok(1));
    assert_eq!(store.purge_operations(at(4), 3).await, Ok(0));
    for (second, operation) in operations.iter().enumerate() {
        let kept = read(store.operation(&scope, &operation.id).await).is_some();
        assert_eq!(kept, second >= 4, "{second}");
    }
    assert_eq!(read(store.operation(&scope, &open.id).await), Some(open));
}

fn trace(samples: &Samples<'_>, scope: Option<&str>, id: &str, second: u64) -> DecisionTrace {
    DecisionTrace {
        tracking_id: samples.tracking_id(),
        id_scope: scope.map(|scope| IdScope::parse(scope).expect("a scope")),
        registration_id: id.to_owned(),
        operation: Some(OperationId::parse("5.op").expect("an id")),
        action: "register".to_owned(),
        protocol: "https".to_owned(),
        peer: "192.0.2.1:5".to_owned(),
        started: at(second),
        stages: vec![Passage {
            stage: "request".to_owned(),
            at: Duration::from_nanos(1_234_567),
            note: "a \"note\"".to_owned(),
        }],
        outcome: "401002 Unauthorized".to_owned(),
        finding: Some(KeptFinding {
            check: "sas.expired".to_owned(),
            expected: "a later time".to_owned(),
            seen: "2 h ago".to_owned(),
            fix: "set the clock".to_owned(),
        }),
    }
}

pub(super) async fn traces_stay_within_their_bounds<S: Store>(store: &S, samples: &Samples<'_>) {
    let all: Vec<_> = (0..10).map(|n| trace(samples, None, "dev", n)).collect();
    let kept = async || {
        let mut kept = Vec::new();
        for (n, one) in all.iter().enumerate() {
            if let Some(found) = read(store.trace(&one.tracking_id).await) {
                assert_eq!(found, *one);
                kept.push(n);
            }
        }
        kept
    };
    read(store.keep_traces(all[..6].to_vec(), at(2), 100).await);
    assert_eq!(kept().await, [2, 3, 4, 5], "too old ones are dropped");
    read(store.keep_traces(all[6..].to_vec(), at(3), 3).await);
    assert_eq!(
        kept().await,
        [7, 8, 9],
        "past the number, the oldest are dropped"
    );
    read(store.keep_traces(all[9..].to_vec(), at(0), 3).await);
    assert_eq!(kept().await, [7, 8, 9], "the same one again counts once");
    read(store.keep_traces(Vec::new(), at(9), 3).await);
    assert_eq!(kept().await, [9]);
}

pub(super) async fn the_traces_of_a_removed_service_make_room<S: Store>(
    store: &S,
    samples: &Samples<'_>,
) {
    let scope = with_service(store, samples).await;
    let of_service: Vec<_> = (0..3)
        .map(|n| trace(samples, Some("0neA"), "dev", n))
        .collect();
    read(store.keep_traces(of_service, at(0), 3).await);
    keep(store, vec![Write::DeleteService(scope, Expect::Present)]).await;
    let others: Vec<_> = (3..6).map(|n| trace(samples, None, "dev", n)).collect();
    read(store.keep_traces(others.clone(), at(0), 3).await);
    for one in &others {
        assert_eq!(
            read(store.trace(&one.tracking_id).await).as_ref(),
            Some(one)
        );
    }
}

pub(super) async fn traces_are_found_by_device<S: Store>(store: &S, samples: &Samples<'_>) {
    let odd = "no id at all\n\u{0}\"'";
    let traces = vec![
        trace(samples, Some("0neA"), "Dev", 1),
        trace(samples, Some("0neA"), "dev", 2),
        trace(samples, Some("0neB"), "dev", 3),
        trace(samples, Some("0nea"), "DEV", 4),
        trace(samples, Some("0neA"), odd, 5),
        trace(samples, None, "dev", 6),
    ];
    read(store.keep_traces(traces.clone(), at(0), 100).await);
    let scope = IdScope::parse("0NEA").expect("a scope");
    let found = read(store.traces_of(&scope, "dEv", 10).await);
    assert_eq!(
        found,
        [traces[3].clone(), traces[1].clone(), traces[0].clone()]
    );
    let found = read(store.traces_of(&scope, "dev", 2).await);
    assert_eq!(found, [traces[3].clone(), traces[1].clone()]);
    assert_eq!(
        read(store.traces_of(&scope, odd, 10).await),
        [traces[4].clone()]
    );
    let nameless = &traces[5];
    assert_eq!(
        read(store.trace(&nameless.tracking_id).await),
        Some(nameless.clone())
    );
}
