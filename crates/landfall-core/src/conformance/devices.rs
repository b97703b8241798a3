//! Cases about what the requests of devices read and write.

use super::records::{Samples, registration_id};
use super::{change, keep, read, refused_as_absent, write};
use crate::id::IdScope;
use crate::registration::operation::Progress;
use crate::store::{Change, Expect, InForce, Store, Write};

pub(super) async fn what_is_in_force_is_what_each_read_gives<S: Store>(
    store: &S,
    samples: &Samples<'_>,
) {
    let service = samples.service("0neA");
    let scope = service.id_scope.clone();
    let id = registration_id("dev");
    let registration = samples.registration("dev", None);
    let finished = Progress::Finished(Box::new(registration.clone()));
    let operation = samples.operation(&scope, "dev", finished, 1);
    let named = operation.id.clone();
    let asked = Some(&named);
    let nothing = read(store.in_force(&scope, &id, asked).await);
    assert!(nothing.service.is_none() && nothing.operation.is_none());

    let put_service = Write::PutService(Box::new(service.clone()), Expect::Absent);
    let put = Write::PutRegistration(
        scope.clone(),
        Box::new(registration.clone()),
        Expect::Absent,
    );
    keep(store, vec![put_service, put]).await;
    keep(
        store,
        vec![Write::PutOperation(Box::new(operation.clone()))],
    )
    .await;
    let InForce {
        service: found,
        individual,
        registration: before,
        operation: none,
    } = read(store.in_force(&scope, &id, None).await);
    assert_eq!(found.as_deref(), Some(&service));
    assert_eq!(individual, None);
    assert_eq!(before, Some(registration.clone()));
    assert_eq!(none, None);
    let polled = read(store.in_force(&scope, &id, asked).await);
    assert_eq!(polled.operation, Some(operation.clone()));
    assert_eq!(polled.registration, Some(registration.clone()));

    let enrollment = samples.individual("dev");
    let put = Write::PutIndividual(scope.clone(), Box::new(enrollment.clone()), Expect::Absent);
    keep(store, vec![put]).await;
    let registering = read(store.in_force(&scope, &id, None).await);
    assert_eq!(registering.individual, Some(enrollment.clone()));
    assert_eq!(registering.registration, Some(registration));
    let polled = read(store.in_force(&scope, &id, asked).await);
    assert_eq!(polled.individual, Some(enrollment));
    assert_eq!(polled.operation, Some(operation));
    let elsewhere = IdScope::parse("0neB").expect("a scope");
    let elsewhere = read(store.in_force(&elsewhere, &id, asked).await);
    assert!(elsewhere.individual.is_none() && elsewhere.operation.is_none());
}

pub(super) async fn a_changed_service_is_in_force_at_once<S: Store>(
    store: &S,
    samples: &Samples<'_>,
) {
    let (id, mut service) = (registration_id("dev"), samples.service("0neA"));
    let scope = service.id_scope.clone();
    let put = |service: &_| Write::PutService(Box::new(Clone::clone(service)), Expect::Anything);
    let group = samples.group("g", samples.client(false));
    let put_group = Write::PutGroup(scope.clone(), Box::new(group), Expect::Absent);
    keep(store, vec![put(&service)]).await;
    for step in ["made", "changed", "trusting another group", "made again"] {
        match step {
            "changed" => {
                service.host_name = "other.example".to_owned();
                service.etag = samples.etag();
                keep(store, vec![put(&service)]).await;
            }
            "trusting another group" => keep(store, vec![put_group.clone()]).await,
            "made again" => {
                let gone = Write::DeleteService(scope.clone(), Expect::Present);
                keep(store, vec![gone]).await;
                let none = read(store.in_force(&scope, &id, None).await);
                assert!(none.service.is_none());
                service = samples.service("0neA");
                keep(store, vec![put(&service)]).await;
            }
            _ => {}
        }
        let in_force = read(store.in_force(&scope, &id, None).await).service;
        let kept = read(store.service(&scope).await);
        assert!(kept.is_some());
        assert_eq!(in_force.as_deref(), kept.as_ref(), "{step}");
    }
}

pub(super) async fn a_registration_that_cannot_be_written_harms_no_other<S: Store>(
    store: &S,
    samples: &Samples<'_>,
) {
    let service = samples.service("0neA");
    let scope = service.id_scope.clone();
    let nowhere = IdScope::parse("0neNowhere").expect("a scope");
    let kept = Write::PutService(Box::new(service), Expect::Absent);
    write(store, kept).await.expect("the first");
    let put = |n: usize| {
        let id = format!("dev-{n}");
        let registration = samples.registration(&id, None);
        let place = if n == 3 { &nowhere } else { &scope };
        let finished = Progress::Finished(Box::new(registration.clone()));
        let operation = samples.operation(place, &id, finished, 1);
        Change::<S::HubWrite> {
            writes: vec![
                Write::PutRegistration(place.clone(), Box::new(registration), Expect::Absent),
                Write::PutOperation(Box::new(operation)),
            ],
            ..Change::default()
        }
    };
    let answers = store.commit((0..8).map(put).collect()).await;
    for (n, answer) in answers.into_iter().enumerate() {
        let id = registration_id(&format!("dev-{n}"));
        let there = read(store.registration(&scope, &id).await).is_some();
        assert_eq!(there, n != 3, "dev-{n}");
        if n == 3 {
            refused_as_absent(answer);
        } else {
            assert_eq!(answer, Ok(()), "dev-{n}");
        }
    }
    change(store, put(8)).await.expect("the store goes on");
}
