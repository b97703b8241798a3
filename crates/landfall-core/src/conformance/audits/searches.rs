//! Cases about searches of the audit trail: which entries each term finds, and from which page to
//! which.

use std::time::Duration;

use super::super::records::{NOW, Samples, registration_id};
use super::super::{keep, read};
use super::{all, by, operator, with_service};
use crate::administration::audit::audit_page;
use crate::audit::{Action, Actor, ActorKind, Kind, Origin, Place, Search};
use crate::id::{IdScope, PolicyName};
use crate::store::{Expect, Store, Write};

pub(in crate::conformance) async fn entries_are_found_by_every_term<S: Store>(
    store: &S,
    samples: &Samples<'_>,
) {
    let scopes = [
        with_service(store, samples, "0neA").await,
        with_service(store, samples, "0neB").await,
    ];
    for (second, scope) in [(1, 0), (2, 1), (3, 0), (4, 1)] {
        let scope: &IdScope = &scopes[scope];
        let author = operator(samples, scope, second);
        let enrollment = Box::new(samples.individual(&format!("Dev{second}")));
        let put = Write::PutIndividual(scope.clone(), enrollment, Expect::Absent);
        by(store, &author, put).await.expect("made");
    }
    let token = Origin {
        address: None,
        ..operator(samples, &scopes[0], 5).origin
    }
    .author(Actor::ControlToken);
    let ca = Box::new(samples.ca("Root", false));
    let put = Write::PutCertificate(scopes[0].clone(), ca, Expect::Absent);
    by(store, &token, put).await.expect("made");
    let delete =
        Write::DeleteIndividual(scopes[0].clone(), registration_id("dev1"), Expect::Present);
    let author = operator(samples, &scopes[0], 6);
    by(store, &author, delete).await.expect("removed");

    let seconds = async |search: Search| -> Vec<u64> {
        let entries = read(store.audit(&search).await);
        let second = |at: crate::clock::Timestamp| at.since(NOW).as_secs();
        entries
            .iter()
            .map(|(position, _)| second(position.at))
            .collect()
    };
    let at = |second| Some(NOW.plus(Duration::from_secs(second)));
    assert_eq!(seconds(all()).await, [6, 5, 4, 3, 2, 1]);
    let entries_of_all = read(store.audit(&all()).await);
    for (search, found) in [
        (
            Search {
                from: at(3),
                to: at(5),
                ..all()
            },
            vec![4, 3],
        ),
        (
            Search {
                place: Some(Place::Service(scopes[1].clone())),
                ..all()
            },
            vec![4, 2],
        ),
        (
            Search {
                policy: PolicyName::parse("OWNER").ok(),
                ..all()
            },
            vec![6, 4, 3, 2, 1],
        ),
        (
            Search {
                policy: PolicyName::parse("other").ok(),
                ..all()
            },
            vec![],
        ),
        (
            Search {
                actor: Some(ActorKind::ControlToken),
                ..all()
            },
            vec![5],
        ),
        (
            Search {
                action: Some(Action::Delete),
                ..all()
            },
            vec![6],
        ),
        (
            Search {
                kind: Some(Kind::Certificate),
                ..all()
            },
            vec![5],
        ),
        (
            Search {
                id: Some("dEV1".to_owned()),
                ..all()
            },
            vec![6, 1],
        ),
        (
            Search {
                id: Some("dev".to_owned()),
                ..all()
            },
            vec![],
        ),
        (
            Search {
                id: Some("dev1".to_owned()),
                action: Some(Action::Create),
                ..all()
            },
            vec![1],
        ),
        (
            Search {
                id: Some("dev1".to_owned()),
                to: at(6),
                ..all()
            },
            vec![1],
        ),
        (
            Search {
                address: "192.0.2.4".parse().ok(),
                ..all()
            },
            vec![4],
        ),
        (
            Search {
                address: "::ffff:192.0.2.4".parse().ok(),
                ..all()
            },
            vec![4],
        ),
    ] {
        assert_eq!(seconds(search.clone()).await, found, "{search:?}");
    }
    let position = |second: u64| {
        let entries = entries_of_all.iter().map(|(position, _)| *position);
        entries
            .filter(|position| Some(position.at) == at(second))
            .last()
    };
    for (down_to, skip, found) in [
        (position(5), 0, vec![6, 5]),
        (position(5), 1, vec![5]),
        (None, 4, vec![2, 1]),
        (None, 6, vec![]),
    ] {
        let search = Search {
            down_to,
            skip,
            ..all()
        };
        assert_eq!(seconds(search.clone()).await, found, "{search:?}");
    }
    let mut paged = Vec::new();
    let mut after = None;
    loop {
        let search = Search {
            after,
            limit: 2,
            ..all()
        };
        let page = read(store.audit(&search).await);
        let Some((last, _)) = page.last() else { break };
        after = Some(*last);
        paged.extend(page.iter().map(|(position, _)| *position));
    }
    assert_eq!(paged.len(), 6);
    assert!(paged.is_sorted_by(|newer, older| newer > older));
}

pub(in crate::conformance) async fn a_search_looks_at_so_many_entries_and_goes_on<S: Store>(
    store: &S,
    samples: &Samples<'_>,
) {
    let scopes = [
        with_service(store, samples, "0neA").await,
        with_service(store, samples, "0neB").await,
    ];
    // Of the second service, every third; the oldest of all is the one removal.
    for second in 1..=9 {
        let scope = &scopes[usize::from(second % 3 == 0)];
        let author = operator(samples, scope, second);
        let enrollment = Box::new(samples.individual(&format!("Dev{second}")));
        let put = Write::PutIndividual(scope.clone(), enrollment, Expect::Absent);
        let write = match second {
            1 => {
                keep(store, vec![put]).await;
                Write::DeleteIndividual(scope.clone(), registration_id("dev1"), Expect::Present)
            }
            _ => put,
        };
        by(store, &author, write).await.expect("written");
    }
    let pages = async |search: Search, most: usize| -> Vec<Vec<u64>> {
        let mut pages = Vec::new();
        let mut after = None;
        loop {
            let search = Search {
                after,
                ..search.clone()
            };
            let page = read(audit_page(store, &search, most).await);
            let times = page.entries.iter().map(|(position, _)| position.at);
            pages.push(times.map(|at| at.since(NOW).as_secs()).collect());
            match page.next {
                Some(next) => after = Some(next),
                None => return pages,
            }
        }
    };
    let removals = Search {
        action: Some(Action::Delete),
        ..all()
    };
    let none: Vec<u64> = Vec::new();
    assert_eq!(
        pages(removals.clone(), 4).await,
        [none.clone(), none.clone(), vec![1]],
        "the last page is known for the last: it has one entry, where four might be"
    );
    assert_eq!(pages(removals.clone(), 10).await, [[1]]);
    let of_first = Search {
        place: Some(Place::Service(scopes[0].clone())),
        ..removals.clone()
    };
    assert_eq!(pages(of_first, 4).await, [none.clone(), vec![1]]);
    let of_second = Search {
        place: Some(Place::Service(scopes[1].clone())),
        ..all()
    };
    assert_eq!(
        pages(of_second.clone(), 2).await,
        [[9, 6, 3]],
        "an index finds these alone"
    );
    let by_owner = Search {
        policy: PolicyName::parse("owner").ok(),
        limit: 1,
        ..of_second.clone()
    };
    assert_eq!(
        pages(by_owner, 2).await,
        [vec![9], vec![6], vec![3], none.clone()]
    );
    let unknown = Search {
        address: "192.0.2.99".parse().ok(),
        ..of_second
    };
    assert_eq!(pages(unknown, 2).await, [none.clone(), none.clone()]);
    let made = Search {
        action: Some(Action::Create),
        limit: 2,
        ..all()
    };
    assert_eq!(
        pages(made, 3).await,
        [vec![9, 8], vec![7, 6], vec![5, 4], vec![3, 2], none]
    );
}
