//! Cases about the audit trail. What searches of it find is `searches`'s.

pub(super) mod searches;

use std::net::IpAddr;
use std::time::Duration;

use super::records::{NOW, Samples, registration_id};
use super::{change, keep, read};
use crate::attestation::AttestationMechanism;
use crate::audit::record::Record;
use crate::audit::{Action, Actor, Author, Kind, Origin, Place, Search};
use crate::document::Document;
use crate::id::{IdScope, PolicyName};
use crate::store::{Change, CommitError, Expect, Guard, Kept, Store, Write};

/// An operator at a second after [`NOW`], from the address `192.0.2.SECOND`.
fn operator(samples: &Samples<'_>, scope: &IdScope, second: u8) -> Author {
    let policy = PolicyName::parse("Owner").expect("a name");
    Origin {
        at: NOW.plus(Duration::from_secs(second.into())),
        address: Some(IpAddr::from([192, 0, 2, second])),
        tracking_id: samples.tracking_id(),
    }
    .author(Actor::ServicePolicy(scope.clone(), policy))
}

async fn with_service<S: Store>(store: &S, samples: &Samples<'_>, scope: &str) -> IdScope {
    let service = samples.service(scope);
    let scope = service.id_scope.clone();
    keep(
        store,
        vec![Write::PutService(Box::new(service), Expect::Absent)],
    )
    .await;
    scope
}

async fn by<S: Store>(store: &S, author: &Author, write: Write) -> Result<(), CommitError> {
    change(store, Change::of(write).by(author.clone())).await
}

fn all() -> Search {
    Search {
        limit: 100,
        ..Search::default()
    }
}

/// What entries tell, in short, oldest first.
fn told<H>(mut entries: Vec<Kept<H>>) -> Vec<(Action, Kind, Vec<String>)> {
    entries.reverse();
    entries
        .into_iter()
        .map(|(_, entry)| (entry.what.action, entry.what.kind, entry.subjects))
        .collect()
}

fn one(action: Action, kind: Kind, id: &str) -> (Action, Kind, Vec<String>) {
    (action, kind, vec![id.to_owned()])
}

pub(super) async fn a_change_is_kept_with_its_entry<S: Store>(store: &S, samples: &Samples<'_>) {
    let scope = with_service(store, samples, "0neA").await;
    let before = samples.individual("Dev");
    let mut after = before.clone();
    after.terms.etag = samples.etag();
    if let AttestationMechanism::SymmetricKey(keys) = &mut after.attestation {
        keys.secondary = samples.keys().primary;
    }
    let put = |record: &_| {
        Write::PutIndividual(
            scope.clone(),
            Box::new(Clone::clone(record)),
            Expect::Anything,
        )
    };
    let authors = [1, 2, 3].map(|second| operator(samples, &scope, second));
    by(store, &authors[0], put(&before)).await.expect("made");
    by(store, &authors[1], put(&after)).await.expect("changed");
    let registration = samples.registration("dev", None);
    keep(
        store,
        vec![Write::PutRegistration(
            scope.clone(),
            Box::new(registration.clone()),
            Expect::Anything,
        )],
    )
    .await;
    let delete = Write::DeleteIndividual(scope.clone(), registration_id("dev"), Expect::Present);
    by(store, &authors[2], delete).await.expect("removed");

    let entries = read(store.audit(&all()).await);
    let seen: Vec<_> = entries.iter().map(|(_, entry)| &entry.author).collect();
    assert_eq!(seen, [&authors[2], &authors[2], &authors[1], &authors[0]]);
    let hidden = |record| match Record::<()>::individual(record) {
        Record::Individual(record) => record,
        _ => unreachable!("an enrollment stays one"),
    };
    let states = |n: usize| {
        let what = &entries[n].1.what;
        [&what.before, &what.after].map(|state| match state {
            Some(Record::Individual(enrollment)) => Some((**enrollment).clone()),
            Some(_) => panic!("entry {n} is about another record"),
            None => None,
        })
    };
    assert_eq!(states(3), [None, Some(*hidden(&before))]);
    assert_eq!(states(2), [Some(*hidden(&before)), Some(*hidden(&after))]);
    assert_eq!(entries[2].1.what.changed_secrets, ["secondaryKey"]);
    assert_eq!(states(1), [Some(*hidden(&after)), None]);
    let Some(Record::Registration(gone)) = &entries[0].1.what.before else {
        panic!("the registration that went along has its own entry");
    };
    assert_eq!(gone.assignment, registration.assignment);
    assert_eq!(gone.payload, None);
    assert!(
        entries
            .iter()
            .all(|(_, entry)| entry.place == Place::Service(scope.clone()))
    );
}

pub(super) async fn what_is_refused_or_a_devices_has_no_entry<S: Store>(
    store: &S,
    samples: &Samples<'_>,
) {
    let scope = with_service(store, samples, "0neA").await;
    let author = operator(samples, &scope, 1);
    let put =
        |id, expect| Write::PutIndividual(scope.clone(), Box::new(samples.individual(id)), expect);
    // The first write of a change that is refused by its second leaves no entry either.
    let refused = Change {
        writes: vec![put("one", Expect::Absent), put("two", Expect::Present)],
        author: Some(author.clone()),
        ..Change::default()
    };
    super::refused_as_absent(change(store, refused).await);
    let guarded = Change {
        guards: vec![Guard::Individual(
            scope.clone(),
            registration_id("one"),
            Expect::Present,
        )],
        ..Change::of(put("one", Expect::Absent)).by(author.clone())
    };
    super::refused_as_absent(change(store, guarded).await);
    let nothing = Write::DeleteIndividual(scope.clone(), registration_id("no"), Expect::Anything);
    by(store, &author, nothing).await.expect("nothing is gone");
    keep(store, vec![put("dev", Expect::Absent)]).await;
    assert_eq!(told(read(store.audit(&all()).await)), []);
}

pub(super) async fn a_bulk_call_has_one_entry<S: Store>(store: &S, samples: &Samples<'_>) {
    let scope = with_service(store, samples, "0neA").await;
    let author = operator(samples, &scope, 1).of_bulk();
    let put = |id: &str, expect| {
        let record = Box::new(samples.individual(id));
        Change::of(Write::PutIndividual(scope.clone(), record, expect)).by(author.clone())
    };
    let answers = store
        .commit(vec![
            put("one", Expect::Absent),
            put("two", Expect::Present),
            put("three", Expect::Absent),
            put("one", Expect::Present),
        ])
        .await;
    super::refused_as_absent(answers[1].clone());
    // Nor does a later commit of the same call begin another one.
    change(store, put("four", Expect::Absent))
        .await
        .expect("made");
    let found = read(store.audit(&all()).await);
    assert!(found.iter().all(|(_, entry)| entry.what.before.is_none()));
    assert!(found.iter().all(|(_, entry)| entry.what.after.is_none()));
    let many = ["one", "three", "four"].map(str::to_owned).to_vec();
    assert_eq!(
        told(found),
        [
            (Action::Create, Kind::Enrollment, many),
            one(Action::Update, Kind::Enrollment, "one"),
        ]
    );
    let search = Search {
        id: Some("THREE".to_owned()),
        ..all()
    };
    assert_eq!(read(store.audit(&search).await).len(), 1);
    // Another call in the same microsecond has its own.
    let other = Author {
        origin: Origin {
            tracking_id: samples.tracking_id(),
            ..author.origin.clone()
        },
        ..author
    };
    let five = Box::new(samples.individual("five"));
    let five = Write::PutIndividual(scope.clone(), five, Expect::Absent);
    by(store, &other, five).await.expect("made");
    assert_eq!(read(store.audit(&all()).await).len(), 3);
}

pub(super) async fn a_service_and_its_policies_are_told_apart<S: Store>(
    store: &S,
    samples: &Samples<'_>,
) {
    let mut service = samples.service("0neA");
    let scope = service.id_scope.clone();
    let author = operator(samples, &scope, 1);
    let put = |service: &_| Write::PutService(Box::new(Clone::clone(service)), Expect::Anything);
    by(store, &author, put(&service)).await.expect("founded");
    let mut gone = service.policies.pop();
    service.policies[0].keys.primary = samples.keys().primary;
    by(store, &author, put(&service)).await.expect("rotated");
    service.policies.extend(gone.take());
    service.host_name = "other.example".to_owned();
    by(store, &author, put(&service)).await.expect("changed");
    for id in ["one", "two"] {
        let enrollment = Box::new(samples.individual(id));
        keep(
            store,
            vec![Write::PutIndividual(
                scope.clone(),
                enrollment,
                Expect::Absent,
            )],
        )
        .await;
    }
    let delete = Write::DeleteService(scope.clone(), Expect::Present);
    by(store, &author, delete).await.expect("removed");
    let entries = read(store.audit(&all()).await);
    assert_eq!(entries[0].1.what.taken_along, [(Kind::Enrollment, 2)]);
    assert_eq!(entries[4].1.what.changed_secrets, ["primaryKey"]);
    assert_eq!(
        told(entries),
        [
            one(Action::Create, Kind::Service, "Name-0neA"),
            one(Action::Update, Kind::Policy, "Owner"),
            one(Action::Delete, Kind::Policy, "reader"),
            one(Action::Update, Kind::Service, "Name-0neA"),
            one(Action::Create, Kind::Policy, "reader"),
            one(Action::Delete, Kind::Service, "Name-0neA"),
        ],
        "and the entries of a removed service stay"
    );
}

pub(super) async fn old_entries_are_purged<S: Store>(store: &S, samples: &Samples<'_>) {
    let scope = with_service(store, samples, "0neA").await;
    for second in 1..6 {
        let author = operator(samples, &scope, second);
        let enrollment = Box::new(samples.individual("dev"));
        let put = Write::PutIndividual(scope.clone(), enrollment, Expect::Anything);
        by(store, &author, put).await.expect("put");
    }
    let before = NOW.plus(Duration::from_secs(4));
    assert_eq!(store.purge_audit(before, 2).await, Ok(2));
    assert_eq!(store.purge_audit(before, 2).await, Ok(1));
    assert_eq!(store.purge_audit(before, 2).await, Ok(0));
    let search = Search {
        id: Some("dev".to_owned()),
        ..all()
    };
    assert_eq!(read(store.audit(&search).await).len(), 2);
    assert_eq!(read(store.audit(&all()).await).len(), 2);
}

pub(super) async fn long_documents_are_left_out<S: Store>(store: &S, samples: &Samples<'_>) {
    let scope = with_service(store, samples, "0neA").await;
    let long = format!("{{\"long\":\"{}\"}}", "x".repeat(10_000));
    let mut enrollment = samples.individual("dev");
    enrollment.device_information = Some(Document::kept(&long));
    let author = operator(samples, &scope, 1);
    let put = Write::PutIndividual(scope.clone(), Box::new(enrollment), Expect::Absent);
    by(store, &author, put).await.expect("put");
    let entries = read(store.audit(&all()).await);
    let Some(Record::Individual(kept)) = &entries[0].1.what.after else {
        panic!("an enrollment was made");
    };
    let information = kept.device_information.as_ref().expect("a mark");
    assert!(
        information
            .as_str()
            .starts_with("{\"$leftOut\":{\"bytes\":10011,")
    );
}
