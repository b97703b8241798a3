//! Cases about the end of a service: what is counted, and what guards it.

use super::records::{Samples, group_id, registration_id};
use super::{change, keep, read, refused_as_existing};
use crate::attestation::AttestationMechanism;
use crate::id::IdScope;
use crate::store::{Change, Contents, Expect, Guard, Store, Write};

pub(super) async fn contents_are_counted_and_guard_the_end<S: Store>(
    store: &S,
    samples: &Samples<'_>,
) {
    let services = [samples.service("0neA"), samples.service("0neB")];
    let scopes = services.clone().map(|service| service.id_scope);
    keep(
        store,
        services
            .map(|service| Write::PutService(Box::new(service), Expect::Absent))
            .to_vec(),
    )
    .await;
    let [scope, other] = &scopes;
    let symmetric = || AttestationMechanism::SymmetricKey(samples.keys());
    let individual = |scope: &IdScope, id| {
        let enrollment = Box::new(samples.individual(id));
        Write::PutIndividual(scope.clone(), enrollment, Expect::Absent)
    };
    let group = Box::new(samples.group("g", symmetric()));
    let ca = Box::new(samples.ca("root", false));
    let registration = Box::new(samples.registration("reg", Some("g")));
    // Each alone keeps the service from an end that takes nothing along.
    for (put, remove, counted) in [
        (
            individual(scope, "dev"),
            Write::DeleteIndividual(scope.clone(), registration_id("dev"), Expect::Present),
            Contents {
                individuals: 1,
                ..Contents::default()
            },
        ),
        (
            Write::PutGroup(scope.clone(), group, Expect::Absent),
            Write::DeleteGroup(scope.clone(), group_id("g"), Expect::Present),
            Contents {
                groups: 1,
                ..Contents::default()
            },
        ),
        (
            Write::PutCertificate(scope.clone(), ca.clone(), Expect::Absent),
            Write::DeleteCertificate(scope.clone(), ca.name.clone(), Expect::Present),
            Contents {
                certificates: 1,
                ..Contents::default()
            },
        ),
        (
            Write::PutRegistration(scope.clone(), registration, Expect::Absent),
            Write::DeleteRegistration(scope.clone(), registration_id("reg"), Expect::Present),
            Contents {
                registrations: 1,
                ..Contents::default()
            },
        ),
    ] {
        keep(store, vec![put]).await;
        assert_eq!(read(store.contents(scope).await), counted);
        refused_as_existing(change(store, ending(scope)).await);
        keep(store, vec![remove]).await;
        assert_eq!(read(store.contents(scope).await), Contents::default());
    }
    // What another service holds does not count.
    keep(store, vec![individual(other, "dev")]).await;
    assert_eq!(change(store, ending(scope)).await, Ok(()));
    assert_eq!(read(store.service(scope).await), None);
    assert_eq!(read(store.contents(scope).await), Contents::default());
    assert_eq!(read(store.contents(other).await).individuals, 1);
}

fn ending<H>(scope: &IdScope) -> Change<H> {
    Change {
        guards: vec![Guard::NothingIn(scope.clone())],
        ..Change::of(Write::DeleteService(scope.clone(), Expect::Present))
    }
}
