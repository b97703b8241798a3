//! Several servers on one PostgreSQL database: leases, collisions, and commits whose answer is lost.

#![expect(
    clippy::expect_used,
    reason = "a database that does not answer ends the test"
)]

use std::sync::Arc;

use landfall_core::audit::Author;
use landfall_core::clock::Timestamp;
use landfall_core::conformance::Samples;
use landfall_core::document::Document;
use landfall_core::id::{IdScope, RegistrationId};
use landfall_core::query::{IndexedTerm, Literal, Path};
use landfall_core::registration::operation::{Operation, Progress};
use landfall_core::store::{Change, CommitError, Expect, Guard, Selection, Store, Write};
use landfall_hub::endpoint::Endpoint;
use landfall_hub::event::{EventKind, EventLimit};
use landfall_hub::kept_session::{Displaced, NewSession};
use landfall_hub::store::{HubAnswer, HubExpect, HubStore, HubWrite};
use landfall_store::SqlStore;

use crate::fixture::{Drawn, hub_write, with_service, write};
use crate::hub::{device, event, hub};
use crate::observed::Recorder;
use crate::postgres;

const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

async fn unfinished(store: &SqlStore) -> Vec<Operation> {
    store.unfinished_operations(100).await.expect("reads")
}

/// Two stores on one database, and its URL.
pub(crate) async fn two(server: &str) -> (SqlStore, SqlStore, String) {
    let database = postgres::fresh(server).await;
    let one = postgres::open(&database).await.expect("opens");
    let other = postgres::open(&database).await.expect("opens");
    (one, other, database)
}

#[tokio::test]
async fn operations_are_their_nodes_own_until_its_lease_is_over() {
    for server in postgres::servers() {
        let (one, other, database) = two(&server).await;
        let scope = with_service(&one).await;
        let samples = Samples::new(&Drawn);
        let progress = Progress::Accepted(Box::new(samples.admission("dev")));
        let operation = samples.operation(&scope, "dev", progress, 0);
        let expected = std::slice::from_ref(&operation);
        let put = || Write::PutOperation(Box::new(operation.clone()));
        write(&one, put()).await.expect("kept");
        assert_eq!(unfinished(&one).await, expected);
        assert_eq!(unfinished(&other).await, []);

        // As if the first had not been heard of for as long as a lease lasts.
        postgres::run(
            &database,
            "UPDATE nodes SET lease_until = 0 WHERE node = (SELECT node FROM operations)",
        )
        .await;
        assert_eq!(unfinished(&other).await, expected);
        let late = write(&one, put()).await;
        assert!(matches!(late, Err(CommitError::Unavailable(_))), "{late:?}");
        assert_eq!(
            unfinished(&one).await,
            [],
            "it goes on under a lease of its own"
        );
        write(&one, put())
            .await
            .expect("a later decision of its own");
        assert_eq!(unfinished(&other).await, []);

        one.close().await;
        assert_eq!(unfinished(&other).await, expected, "whoever leaves lets go");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_servers_that_register_a_device_at_once_one_is_refused() {
    for server in postgres::servers() {
        let (one, other, _) = two(&server).await;
        let (one, other) = (Arc::new(one), Arc::new(other));
        let scope = with_service(&one).await;
        let put = |n: usize| {
            let registration = Samples::new(&Drawn).registration(&format!("dev-{n}"), None);
            Change::of(Write::PutRegistration(
                scope.clone(),
                Box::new(registration),
                Expect::Absent,
            ))
        };
        let changes = || (0..200).map(put).collect::<Vec<_>>();
        let (mine, theirs) = tokio::join!(one.commit(changes()), other.commit(changes()));
        for (n, answers) in mine.iter().zip(&theirs).enumerate() {
            let kept = [answers.0, answers.1].iter().filter(|a| a.is_ok()).count();
            assert_eq!(kept, 1, "dev-{n}: {answers:?}");
            let id = RegistrationId::parse(&format!("dev-{n}")).expect("an id");
            assert!(
                one.registration(&scope, &id)
                    .await
                    .expect("reads")
                    .is_some()
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registration_that_is_refused_costs_the_others_of_its_batch_nothing() {
    for server in postgres::servers() {
        let database = postgres::fresh(&server).await;
        let store = postgres::open(&database).await.expect("opens");
        let scope = with_service(&store).await;
        let nowhere = IdScope::parse("0neNowhere").expect("a scope");
        let put = |scope: &IdScope, id: &str, expect: Expect| {
            let registration = Samples::new(&Drawn).registration(id, None);
            Change::of(Write::PutRegistration(
                scope.clone(),
                Box::new(registration),
                expect,
            ))
        };
        let guarded = |id: &str| {
            let absent = RegistrationId::parse("no-enrollment").expect("an id");
            let guard = Guard::Individual(scope.clone(), absent, Expect::Present);
            Change {
                guards: vec![guard],
                ..put(&scope, id, Expect::Absent)
            }
        };
        let there = store
            .commit(vec![put(&scope, "there", Expect::Absent)])
            .await;
        assert_eq!(there, [Ok(())]);
        for orphan in [false, true] {
            let n = usize::from(orphan);
            let mut changes = vec![
                put(&scope, &format!("first-{n}"), Expect::Absent),
                put(&scope, "there", Expect::Absent),
                put(&scope, &format!("twice-{n}"), Expect::Absent),
                put(&scope, &format!("twice-{n}"), Expect::Absent),
                guarded(&format!("guarded-{n}")),
                put(&scope, &format!("last-{n}"), Expect::Absent),
            ];
            if orphan {
                changes.push(put(&nowhere, "orphan", Expect::Absent));
            }
            let answers = store.commit(changes).await;
            let refused = |n: usize| answers[n].as_ref().expect_err("refused").to_string();
            assert_eq!(
                (&answers[0], &answers[2], &answers[5]),
                (&Ok(()), &Ok(()), &Ok(()))
            );
            assert!(refused(1).contains("registration 'there'"), "{answers:?}");
            assert!(refused(3).contains("twice"), "{answers:?}");
            assert!(
                refused(4).contains("individual enrollment 'no-enrollment'"),
                "{answers:?}"
            );
            if orphan {
                assert!(refused(6).contains("provisioning service"), "{answers:?}");
            }
            for (id, kept) in [
                ("first", true),
                ("twice", true),
                ("guarded", false),
                ("last", true),
            ] {
                let id = RegistrationId::parse(&format!("{id}-{n}")).expect("an id");
                let there = store.registration(&scope, &id).await.expect("reads");
                assert_eq!(there.is_some(), kept, "{id}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_enrollment_that_one_server_deletes_lets_nobody_in_through_another() {
    const DEVICES: usize = 300;
    for server in postgres::servers() {
        let (one, other, _) = two(&server).await;
        let scope = with_service(&one).await;
        let samples = Samples::new(&Drawn);
        let id = |n: usize| RegistrationId::parse(&format!("dev-{n}")).expect("an id");
        let enrollments: Vec<_> = (0..DEVICES)
            .map(|n| samples.individual(id(n).as_str()))
            .collect();
        let make = enrollments.iter().map(|enrollment| {
            let put = (scope.clone(), Box::new(enrollment.clone()), Expect::Absent);
            Change::of(Write::PutIndividual(put.0, put.1, put.2))
        });
        assert_eq!(one.commit(make.collect()).await, vec![Ok(()); DEVICES]);
        let register = enrollments.iter().map(|enrollment| {
            let etag = Expect::Etag(enrollment.terms.etag.clone());
            let registration = samples.registration(enrollment.registration_id.as_str(), None);
            let put = (scope.clone(), Box::new(registration), Expect::Absent);
            Change {
                guards: vec![Guard::Individual(
                    scope.clone(),
                    enrollment.registration_id.clone(),
                    etag,
                )],
                ..Change::of(Write::PutRegistration(put.0, put.1, put.2))
            }
        });
        let author = Author::server(Timestamp::from_unix_seconds(1), &Drawn);
        let delete = (0..DEVICES).map(|n| {
            Change::of(Write::DeleteIndividual(
                scope.clone(),
                id(n),
                Expect::Present,
            ))
            .by(author.clone())
        });
        // One at a time, so that each meets whatever the other server is about.
        let deleting = async {
            for change in delete {
                assert_eq!(other.commit(vec![change]).await, [Ok(())]);
            }
        };
        let registering = async {
            let mut refused = 0;
            for change in register {
                refused += one
                    .commit(vec![change])
                    .await
                    .iter()
                    .filter(|a| a.is_err())
                    .count();
            }
            refused
        };
        let (refused, ()) = tokio::join!(registering, deleting);
        for n in 0..DEVICES {
            let left = one.registration(&scope, &id(n)).await.expect("reads");
            assert!(
                left.is_none(),
                "dev-{n} is in without an enrollment; {refused} were refused"
            );
        }
    }
}

#[tokio::test]
async fn tags_of_any_length_are_kept_and_found() {
    let long = "n".repeat(3000);
    let tags = format!(r#"{{"{long}":"{long}"}}"#);
    let term = IndexedTerm {
        path: Path(vec![
            "initialTwin".to_owned(),
            "tags".to_owned(),
            long.clone(),
        ]),
        value: Literal::Text(long),
    };
    for server in postgres::servers() {
        let database = postgres::fresh(&server).await;
        let store = postgres::open(&database).await.expect("opens");
        let scope = with_service(&store).await;
        let mut enrollment = Samples::new(&Drawn).individual("dev");
        let twin = enrollment.terms.initial_twin.get_or_insert_default();
        twin.tags = Document::parse(&tags).ok();
        let put = Write::PutIndividual(scope.clone(), Box::new(enrollment), Expect::Absent);
        write(&store, put).await.expect("kept");
        let selection = Selection {
            terms: vec![term.clone()],
            limit: 9,
            ..Selection::default()
        };
        let found = store.individuals(&scope, &selection).await.expect("reads");
        assert_eq!(found.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_several_servers_are_seen_in_the_order_of_their_numbers() {
    const EACH: i64 = 1000;
    for server in postgres::servers() {
        let (one, other, _) = two(&server).await;
        let (one, other) = (Arc::new(one), Arc::new(other));
        let hub = hub("hub.example");
        let name = hub.host_name.clone();
        let recorder = Arc::new(Recorder::default());
        one.observe(recorder.clone());
        other.observe(recorder.clone());
        let put = HubWrite::PutHub(Box::new(hub), HubExpect::Absent);
        hub_write(&one, put).await.expect("a hub");
        let writing = [Arc::clone(&one), Arc::clone(&other)].map(|store| {
            let name = name.clone();
            tokio::spawn(async move {
                for _ in 0..EACH / 100 {
                    let append = || {
                        let event = Box::new(event("dev"));
                        Change::of_hub(vec![HubWrite::AppendEvent(name.clone(), event)])
                    };
                    let changes = (0..100).map(|_| append()).collect();
                    for answer in store.commit(changes).await {
                        answer.expect("an event");
                    }
                }
            })
        });
        // Whoever follows never sees a number before a smaller one, so that none is missed.
        let limit = EventLimit {
            events: 1000,
            bytes: 1 << 20,
        };
        let mut read = 0;
        while read < 2 * EACH {
            let events = other.events_after(&name, read, limit).await.expect("reads");
            for event in events {
                assert_eq!(event.sequence, read + 1);
                read = event.sequence;
            }
        }
        for written in writing {
            written.await.expect("all were kept");
        }
        let ends = one.event_ends(&name).await.expect("the ends");
        assert_eq!((ends.oldest, ends.newest), (1, 2 * EACH));
        assert_eq!(recorder.collisions(), 0, "they take turns");
    }
}

#[tokio::test]
async fn sessions_of_a_server_that_is_gone_are_ended_by_another() {
    for server in postgres::servers() {
        let (one, other, database) = two(&server).await;
        let hub = hub("hub.example");
        let name = hub.host_name.clone();
        let put = HubWrite::PutHub(Box::new(hub), HubExpect::Absent);
        hub_write(&one, put).await.expect("a hub");
        let device = device("dev");
        let endpoint = Endpoint::device(device.id.clone());
        let put = HubWrite::PutDevice(name.clone(), Box::new(device), HubExpect::Absent);
        hub_write(&one, put).await.expect("a device");
        let opened = async |store: &SqlStore| {
            let new = NewSession {
                opened: NOW,
                clean: false,
            };
            let open = HubWrite::OpenSession(name.clone(), endpoint.clone(), new);
            let answers = store.carry_out(Change::of_hub(vec![open])).await;
            match answers.as_deref() {
                Ok([HubAnswer::Opened(opened)]) => opened.clone(),
                other => unreachable!("one session is one answer: {other:?}"),
            }
        };
        let first = opened(&other).await;
        let second = opened(&one).await;
        let displaced = Displaced {
            epoch: first.epoch,
            node: other.node(),
        };
        assert_eq!(second.displaced, Some(displaced));
        let kept = async || {
            let kept = other.session(&name, &endpoint).await.expect("reads");
            kept.expect("a session")
        };
        assert_eq!(kept().await.node, one.node());
        assert_eq!(other.close_lost_sessions(NOW, 10).await, Ok(0));
        assert!(kept().await.connected);

        // As if the first had not been heard of for as long as a lease lasts.
        let gone = format!(
            "UPDATE nodes SET lease_until = 0 WHERE node = '{}'",
            one.node()
        );
        postgres::run(&database, &gone).await;
        assert_eq!(other.close_lost_sessions(NOW, 10).await, Ok(1));
        assert_eq!(other.close_lost_sessions(NOW, 10).await, Ok(0));
        let ended = kept().await;
        assert!(!ended.connected && ended.changed == NOW, "{ended:?}");
        assert_eq!(other.connected_devices(&name).await, Ok(0));
        let limit = EventLimit {
            events: 10,
            bytes: 10_000,
        };
        let events = other.events_after(&name, 0, limit).await.expect("events");
        let kinds: Vec<_> = events.iter().map(|kept| kept.event.kind).collect();
        assert_eq!(kinds, [EventKind::DeviceDisconnected]);
        // It was only asleep: what it knew is over.
        let close = HubWrite::CloseSession(name.clone(), endpoint.clone(), second.epoch, NOW);
        let late = hub_write(&one, close).await;
        assert!(matches!(late, Err(CommitError::Changed(_))), "{late:?}");
    }
}
