//! Cases about listings: order, pages, and what an index must and may answer.

use super::records::{NOW, Samples, document, group_id, registration_id};
use super::{keep, read};
use crate::attestation::{AttestationKind, AttestationMechanism};
use crate::audit::{Actor, Origin};
use crate::enrollment::{AllocationPolicy, InitialTwin, ProvisioningStatus};
use crate::id::IdScope;
use crate::query::{IndexedTerm, Literal, Path};
use crate::store::{Expect, Selection, Store, Write};

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

fn term(path: &[&str], value: Literal) -> IndexedTerm {
    IndexedTerm {
        path: Path(path.iter().map(|&name| name.to_owned()).collect()),
        value,
    }
}

fn text(value: &str) -> Literal {
    Literal::Text(value.to_owned())
}

pub(super) async fn pages_are_in_key_order<S: Store>(store: &S, samples: &Samples<'_>) {
    let scope = with_service(store, samples).await;
    // Upper and lower case mix by key; '-' < '.' < ':' < '_' in byte order.
    let spelt = ["b", "A", "a_", "a:1", "A.1", "a-1", "C", "a1"];
    let puts = spelt.iter().map(|id| {
        let id = if id.ends_with('_') { "a_1" } else { id };
        let enrollment =
            samples.individual_by(id, AttestationMechanism::SymmetricKey(samples.keys()));
        Write::PutIndividual(scope.clone(), Box::new(enrollment), Expect::Absent)
    });
    keep(store, puts.collect()).await;
    let mut seen = Vec::new();
    let mut after = None;
    for _ in 0..10 {
        let selection = Selection {
            after: after.clone(),
            limit: 3,
            ..Selection::default()
        };
        let page = read(store.individuals(&scope, &selection).await);
        assert!(page.len() <= 3);
        let Some(last) = page.last() else { break };
        after = Some(last.registration_id.key().to_owned());
        seen.extend(page.iter().map(|one| one.registration_id.key().to_owned()));
    }
    assert_eq!(seen, ["a", "a-1", "a.1", "a1", "a:1", "a_1", "b", "c"]);
}

pub(super) async fn terms_lose_nothing_and_find_what_is_indexed<S: Store>(
    store: &S,
    samples: &Samples<'_>,
) {
    let scope = with_service(store, samples).await;
    let mut puts = Vec::new();
    for n in 0..12 {
        let mechanism = if n % 3 == 0 {
            samples.client(n % 2 == 0)
        } else {
            AttestationMechanism::SymmetricKey(samples.keys())
        };
        let mut one = samples.individual_by(&format!("Dev-{n:02}"), mechanism);
        if n % 2 == 0 {
            one.terms.status = ProvisioningStatus::Disabled;
        }
        if n % 4 == 0 {
            one.terms.allocation = Some(AllocationPolicy::GeoLatency);
        }
        one.terms.initial_twin = Some(InitialTwin {
            tags: Some(document(&format!(
                r#"{{"environment":"{}","rack":{{"row.x":{},"wet":{}}},"long":"{}","nil":null}}"#,
                if n < 6 { "test" } else { "Test" },
                n % 2,
                n == 7,
                "y".repeat(if n == 3 { 3000 } else { 2999 }),
            ))),
            desired: None,
        });
        puts.push(Write::PutIndividual(
            scope.clone(),
            Box::new(one),
            Expect::Absent,
        ));
    }
    keep(store, puts).await;
    let tag = |names: &[&str], value| {
        let path: Vec<&str> = ["initialTwin", "tags"]
            .iter()
            .chain(names)
            .copied()
            .collect();
        term(&path, value)
    };
    let cases: Vec<(Vec<IndexedTerm>, Vec<usize>)> = vec![
        (vec![term(&["registrationId"], text("dEV-05"))], vec![5]),
        (
            vec![term(&["provisioningStatus"], text("Disabled"))],
            vec![0, 2, 4, 6, 8, 10],
        ),
        (vec![term(&["provisioningStatus"], text("off"))], vec![]),
        (
            vec![term(&["attestation", "type"], text("X509"))],
            vec![0, 3, 6, 9],
        ),
        (
            vec![term(&["allocationPolicy"], text("geoLatency"))],
            vec![0, 4, 8],
        ),
        (
            vec![tag(&["environment"], text("test"))],
            vec![0, 1, 2, 3, 4, 5],
        ),
        (
            vec![tag(&["rack", "row.x"], Literal::Number(1.0))],
            vec![1, 3, 5, 7, 9, 11],
        ),
        (
            vec![tag(&["rack", "row", "x"], Literal::Number(1.0))],
            vec![],
        ),
        (vec![tag(&["rack", "wet"], Literal::Bool(true))], vec![7]),
        (vec![tag(&["long"], text(&"y".repeat(3000)))], vec![3]),
        (
            vec![
                tag(&["environment"], text("test")),
                tag(&["rack", "row.x"], Literal::Number(0.0)),
                term(&["attestation", "type"], text("symmetricKey")),
            ],
            vec![2, 4],
        ),
    ];
    for (terms, wanted) in cases {
        let case = format!("{terms:?}");
        let selection = Selection {
            terms,
            after: None,
            limit: 100,
        };
        let found: Vec<String> = read(store.individuals(&scope, &selection).await)
            .into_iter()
            .map(|one| one.registration_id.as_str().to_owned())
            .collect();
        let wanted: Vec<String> = wanted.iter().map(|n| format!("Dev-{n:02}")).collect();
        for one in &wanted {
            assert!(found.contains(one), "{one} got lost for {case}");
        }
        assert_eq!(found, wanted, "{case}");
    }
    // What has no index narrows nothing: the caller filters.
    for unknown in [
        term(&["deviceId"], text("x")),
        term(&["initialTwin", "tags", "nil"], Literal::Null),
        term(&["initialTwin", "tags"], text("x")),
        term(&["provisioningStatus"], Literal::Bool(true)),
    ] {
        let selection = Selection {
            terms: vec![unknown.clone()],
            after: Some("dev-08".to_owned()),
            limit: 2,
        };
        let found = read(store.individuals(&scope, &selection).await);
        let keys: Vec<_> = found.iter().map(|one| one.registration_id.key()).collect();
        assert_eq!(keys, ["dev-09", "dev-10"], "{unknown:?}");
    }
}

pub(super) async fn an_index_follows_its_record<S: Store>(store: &S, samples: &Samples<'_>) {
    let scope = with_service(store, samples).await;
    let found = async |tags: &str| {
        let selection = Selection {
            terms: vec![term(&["initialTwin", "tags", "room"], text(tags))],
            after: None,
            limit: 10,
        };
        read(store.individuals(&scope, &selection).await).len()
            + read(store.groups(&scope, &selection).await).len()
    };
    let put = |room: Option<&str>| {
        let twin = room.map(|room| InitialTwin {
            tags: Some(document(&format!(r#"{{"room":"{room}"}}"#))),
            desired: None,
        });
        let mut one = samples.individual("dev");
        one.terms.initial_twin = twin.clone();
        let mut group = samples.group("dev", samples.client(false));
        group.terms.initial_twin = twin;
        vec![
            Write::PutIndividual(scope.clone(), Box::new(one), Expect::Anything),
            Write::PutGroup(scope.clone(), Box::new(group), Expect::Anything),
        ]
    };
    keep(store, put(Some("red"))).await;
    assert_eq!((found("red").await, found("blue").await), (2, 0));
    keep(store, put(Some("blue"))).await;
    assert_eq!((found("red").await, found("blue").await), (0, 2));
    keep(store, put(None)).await;
    assert_eq!((found("red").await, found("blue").await), (0, 0));
    keep(store, put(Some("red"))).await;
    let id = registration_id("dev");
    keep(
        store,
        vec![
            Write::DeleteIndividual(scope.clone(), id, Expect::Present),
            Write::DeleteGroup(scope.clone(), group_id("dev"), Expect::Present),
        ],
    )
    .await;
    assert_eq!(found("red").await, 0);
    // What comes again under the same id is found by its new tags only.
    keep(store, put(Some("blue"))).await;
    assert_eq!((found("red").await, found("blue").await), (0, 2));
}

pub(super) async fn many_at_once_are_found_by_their_tags<S: Store>(
    store: &S,
    samples: &Samples<'_>,
) {
    let scope = with_service(store, samples).await;
    let of = |id: &str, room: &str, number: usize| {
        let mut one = samples.individual(id);
        one.terms.initial_twin = Some(InitialTwin {
            tags: Some(document(&format!(
                r#"{{"room":"{room}","number":{number}}}"#
            ))),
            desired: None,
        });
        one
    };
    let found = async |room: &str| {
        let selection = Selection {
            terms: vec![term(&["initialTwin", "tags", "room"], text(room))],
            after: None,
            limit: 1000,
        };
        read(store.individuals(&scope, &selection).await).len()
    };
    let there = of("dev-7", "there", 0);
    keep(
        store,
        vec![Write::PutIndividual(
            scope.clone(),
            Box::new(there),
            Expect::Absent,
        )],
    )
    .await;
    let rooms = ["red", "blue", "grey"];
    let first = of("dev-0", "red", 0);
    let etag = first.terms.etag.clone();
    let mut records = vec![(first, Expect::Absent)];
    records.extend((1..202).map(|n| (of(&format!("dev-{n}"), rooms[n % 3], n), Expect::Absent)));
    // One that is made and replaced in one call is found by what it is at the end.
    records.push((of("dev-0", "last", 0), Expect::Etag(etag)));
    let author = Origin {
        at: NOW,
        address: None,
        tracking_id: samples.tracking_id(),
    }
    .author(Actor::Server);
    let answers = store.put_individuals(&scope, records, &author).await;
    let refused: Vec<usize> = (0..answers.len())
        .filter(|n| answers[*n].is_err())
        .collect();
    assert_eq!(refused, [7]);
    let told = (
        found("red").await,
        found("blue").await,
        found("grey").await,
        found("last").await,
        found("there").await,
    );
    assert_eq!(told, (67, 66, 67, 1, 1));
}

pub(super) async fn groups_and_their_registrations_are_listed<S: Store>(
    store: &S,
    samples: &Samples<'_>,
) {
    let scope = with_service(store, samples).await;
    let mut puts = Vec::new();
    for n in 0..6 {
        let mechanism = if n % 2 == 0 {
            AttestationMechanism::SymmetricKey(samples.keys())
        } else {
            samples.client(false)
        };
        let group = samples.group(&format!("G-{n}"), mechanism);
        puts.push(Write::PutGroup(
            scope.clone(),
            Box::new(group),
            Expect::Absent,
        ));
    }
    for n in 0..9 {
        let group = [None, Some("G-1"), Some("g-2")][n % 3];
        let registration = samples.registration(&format!("dev-{n}"), group);
        puts.push(Write::PutRegistration(
            scope.clone(),
            Box::new(registration),
            Expect::Absent,
        ));
    }
    keep(store, puts).await;
    let by_kind = async |kind| {
        read(store.groups_by_kind(&scope, kind).await)
            .into_iter()
            .map(|group| group.id.key().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        by_kind(AttestationKind::SymmetricKey).await,
        ["g-0", "g-2", "g-4"]
    );
    assert_eq!(by_kind(AttestationKind::X509).await, ["g-1", "g-3", "g-5"]);
    assert_eq!(by_kind(AttestationKind::Tpm).await, [""; 0]);
    let selection = Selection {
        terms: vec![term(&["enrollmentGroupId"], text("g-3"))],
        after: None,
        limit: 10,
    };
    let found = read(store.groups(&scope, &selection).await);
    assert_eq!(
        found.iter().map(|g| g.id.as_str()).collect::<Vec<_>>(),
        ["G-3"]
    );
    let members = async |group: &str, after: Option<&str>, limit| {
        let selection = Selection {
            terms: Vec::new(),
            after: after.map(str::to_owned),
            limit,
        };
        read(
            store
                .registrations_of_group(&scope, &group_id(group), &selection)
                .await,
        )
        .into_iter()
        .map(|registration| registration.registration_id.key().to_owned())
        .collect::<Vec<_>>()
    };
    assert_eq!(members("G-2", None, 10).await, ["dev-2", "dev-5", "dev-8"]);
    assert_eq!(members("g-1", None, 2).await, ["dev-1", "dev-4"]);
    assert_eq!(members("g-1", Some("dev-4"), 2).await, ["dev-7"]);
    assert_eq!(members("g-5", None, 2).await, [""; 0]);
}
