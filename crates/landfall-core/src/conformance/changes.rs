//! Cases about writing: expectations, guards, wholeness, and what goes along with what.

use super::records::{NOW, Samples, group_id, registration_id};
use super::{
    change, keep, read, refused_as_absent, refused_as_changed, refused_as_existing, write,
};
use crate::attestation::AttestationMechanism;
use crate::audit::{Action, Actor, Kind, Origin, Search};
use crate::enrollment::AllocationPolicy;
use crate::id::{CertificateName, IdScope};
use crate::registration::{RegistrationFailure, RegistrationStatus};
use crate::store::{Change, Expect, Guard, Selection, Store, Write};

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

pub(super) async fn what_is_put_is_read_back<S: Store>(store: &S, samples: &Samples<'_>) {
    let service = samples.service("0neA");
    let scope = service.id_scope.clone();
    let put = Write::PutService(Box::new(service.clone()), Expect::Absent);
    keep(store, vec![put]).await;
    assert_eq!(read(store.service(&scope).await), Some(service.clone()));
    let lower = IdScope::parse("0nea").expect("a scope");
    assert_eq!(read(store.service(&lower).await), Some(service));

    let mut individuals = vec![samples.individual("Dev:1")];
    for (n, mechanism) in samples.other_mechanisms().into_iter().enumerate() {
        individuals.push(samples.individual_by(&format!("other-{n}"), mechanism));
    }
    for enrollment in individuals {
        let put = Write::PutIndividual(scope.clone(), Box::new(enrollment.clone()), Expect::Absent);
        keep(store, vec![put]).await;
        let kept = read(store.individual(&scope, &enrollment.registration_id).await);
        let spelt = kept.as_ref().map(|kept| kept.registration_id.as_str());
        assert_eq!(spelt, Some(enrollment.registration_id.as_str()));
        assert_eq!(kept, Some(enrollment));
    }
    assert_eq!(
        read(store.individual(&scope, &registration_id("no")).await),
        None
    );

    let mut mechanisms = samples.other_mechanisms();
    mechanisms.push(AttestationMechanism::SymmetricKey(samples.keys()));
    for (n, mechanism) in mechanisms.into_iter().enumerate() {
        let group = samples.group(&format!("Group-{n}"), mechanism);
        let put = Write::PutGroup(scope.clone(), Box::new(group.clone()), Expect::Absent);
        keep(store, vec![put]).await;
        assert_eq!(read(store.group(&scope, &group.id).await), Some(group));
    }

    let ca = samples.ca("Root-1", false);
    let put = Write::PutCertificate(scope.clone(), Box::new(ca.clone()), Expect::Absent);
    keep(store, vec![put]).await;
    assert_eq!(
        read(store.certificate(&scope, &ca.name).await),
        Some(ca.clone())
    );
    assert_eq!(read(store.certificates(&scope).await), [ca]);

    let mut registration = samples.registration("Dev:1", Some("Group-1"));
    for status in [
        RegistrationStatus::Assigned,
        RegistrationStatus::Disabled,
        RegistrationStatus::Failed(RegistrationFailure::NoLinkedHub),
        RegistrationStatus::Failed(RegistrationFailure::HubNotLinked(super::records::hub())),
        RegistrationStatus::Failed(RegistrationFailure::PolicyNotServed(
            AllocationPolicy::Custom,
        )),
        RegistrationStatus::Failed(RegistrationFailure::StaticHubMissing),
        RegistrationStatus::Failed(RegistrationFailure::HubRefused("full".to_owned())),
    ] {
        registration.status = status;
        let put = Write::PutRegistration(
            scope.clone(),
            Box::new(registration.clone()),
            Expect::Anything,
        );
        keep(store, vec![put]).await;
        let kept = read(store.registration(&scope, &registration_id("dev:1")).await);
        assert_eq!(kept, Some(registration.clone()));
    }
}

pub(super) async fn expectations_are_held<S: Store>(store: &S, samples: &Samples<'_>) {
    let service = samples.service("0neA");
    let scope = service.id_scope.clone();
    let put = |service: &_, expect| Write::PutService(Box::new(Clone::clone(service)), expect);
    refused_as_absent(write(store, put(&service, Expect::Present)).await);
    let known = Expect::Etag(service.etag.clone());
    refused_as_absent(write(store, put(&service, known.clone())).await);
    refused_as_absent(write(store, Write::DeleteService(scope.clone(), Expect::Present)).await);
    keep(store, vec![put(&service, Expect::Absent)]).await;
    refused_as_existing(write(store, put(&service, Expect::Absent)).await);
    let mut changed = service.clone();
    changed.etag = samples.etag();
    keep(store, vec![put(&changed, known.clone())]).await;
    refused_as_changed(write(store, put(&service, known.clone())).await);
    refused_as_changed(write(store, Write::DeleteService(scope.clone(), known)).await);
    assert_eq!(read(store.service(&scope).await), Some(changed));

    let one = samples.registration("dev", None);
    let put = |expect| Write::PutRegistration(scope.clone(), Box::new(one.clone()), expect);
    refused_as_absent(write(store, put(Expect::Present)).await);
    keep(store, vec![put(Expect::Absent)]).await;
    refused_as_existing(write(store, put(Expect::Absent)).await);
    refused_as_changed(write(store, put(Expect::Etag(samples.etag()))).await);
    keep(
        store,
        vec![put(Expect::Etag(one.etag.clone())), put(Expect::Present)],
    )
    .await;
    let delete =
        |expect| Write::DeleteRegistration(scope.clone(), one.registration_id.clone(), expect);
    refused_as_changed(write(store, delete(Expect::Etag(samples.etag()))).await);
    keep(store, vec![delete(Expect::Etag(one.etag.clone()))]).await;
    refused_as_absent(write(store, delete(Expect::Present)).await);
    keep(store, vec![delete(Expect::Anything)]).await;
}

pub(super) async fn expectations_on_enrollments_are_held<S: Store>(
    store: &S,
    samples: &Samples<'_>,
) {
    let scope = with_service(store, samples, "0neA").await;
    let individual = samples.individual("dev");
    let group = samples.group("g", AttestationMechanism::SymmetricKey(samples.keys()));
    let ca = samples.ca("root", false);
    let puts = |expect: Expect| {
        [
            Write::PutIndividual(scope.clone(), Box::new(individual.clone()), expect.clone()),
            Write::PutGroup(scope.clone(), Box::new(group.clone()), expect.clone()),
            Write::PutCertificate(scope.clone(), Box::new(ca.clone()), expect),
        ]
    };
    let deletes = |expect: Expect| {
        [
            Write::DeleteIndividual(
                scope.clone(),
                individual.registration_id.clone(),
                expect.clone(),
            ),
            Write::DeleteGroup(scope.clone(), group.id.clone(), expect.clone()),
            Write::DeleteCertificate(scope.clone(), ca.name.clone(), expect),
        ]
    };
    let stranger = Expect::Etag(samples.etag());
    for absent in [Expect::Present, stranger.clone()] {
        for one in puts(absent.clone()).into_iter().chain(deletes(absent)) {
            refused_as_absent(write(store, one).await);
        }
    }
    keep(store, deletes(Expect::Anything).into()).await;
    keep(store, puts(Expect::Absent).into()).await;
    for one in puts(Expect::Absent) {
        refused_as_existing(write(store, one).await);
    }
    for one in puts(stranger.clone()).into_iter().chain(deletes(stranger)) {
        refused_as_changed(write(store, one).await);
    }
    keep(store, puts(Expect::Present).into()).await;
    let mine = [&individual.terms.etag, &group.terms.etag, &ca.etag];
    for (n, etag) in mine.into_iter().enumerate() {
        let [one, two, three] = puts(Expect::Etag(etag.clone()));
        keep(
            store,
            vec![[one, two, three].into_iter().nth(n).expect("three")],
        )
        .await;
    }
    keep(store, deletes(Expect::Present).into()).await;
    assert_eq!(read(store.group(&scope, &group.id).await), None);
}

pub(super) async fn a_refused_change_leaves_nothing<S: Store>(store: &S, samples: &Samples<'_>) {
    let scope = with_service(store, samples, "0neA").await;
    let before = read(store.service(&scope).await);
    let group = samples.group("g", samples.client(false));
    let refused = Change {
        guards: Vec::new(),
        writes: vec![
            Write::PutGroup(scope.clone(), Box::new(group), Expect::Absent),
            Write::PutIndividual(
                scope.clone(),
                Box::new(samples.individual_by("dev", samples.client(true))),
                Expect::Absent,
            ),
            Write::DeleteRegistration(scope.clone(), registration_id("dev"), Expect::Present),
        ],
        hub_writes: Vec::new(),
        ..Change::default()
    };
    refused_as_absent(change(store, refused).await);
    assert_eq!(read(store.group(&scope, &group_id("g")).await), None);
    assert_eq!(
        read(store.individual(&scope, &registration_id("dev")).await),
        None
    );
    assert_eq!(
        read(store.service(&scope).await),
        before,
        "trust version included"
    );
    // Nor is the certificate spoken for.
    let thumbprint = samples.certificate(true).sha256_hex();
    let guarded = Change {
        guards: vec![Guard::IdentityUnused(
            scope.clone(),
            registration_id("other"),
            thumbprint,
        )],
        ..Change::of(Write::PutIndividual(
            scope.clone(),
            Box::new(samples.individual_by("other", samples.client(true))),
            Expect::Absent,
        ))
    };
    change(store, guarded)
        .await
        .expect("the certificate is free");
}

pub(super) async fn changes_are_independent<S: Store>(store: &S, samples: &Samples<'_>) {
    let scope = with_service(store, samples, "0neA").await;
    let put = |n: usize, expect| {
        let registration = samples.registration(&format!("dev-{n}"), None);
        Change::of(Write::PutRegistration(
            scope.clone(),
            Box::new(registration),
            expect,
        ))
    };
    // Every third is refused; more than share one commit.
    let changes = (0..200)
        .map(|n| {
            put(
                n,
                if n % 3 == 0 {
                    Expect::Present
                } else {
                    Expect::Absent
                },
            )
        })
        .collect();
    let answers = store.commit(changes).await;
    assert_eq!(answers.len(), 200);
    for (n, answer) in answers.into_iter().enumerate() {
        let kept = read(
            store
                .registration(&scope, &registration_id(&format!("dev-{n}")))
                .await,
        );
        if n % 3 == 0 {
            refused_as_absent(answer);
            assert_eq!(kept, None, "dev-{n}");
        } else {
            assert_eq!(answer, Ok(()));
            assert!(kept.is_some(), "dev-{n}");
        }
    }
    // Two of one batch on one record: the second sees the first.
    let answers = store
        .commit(vec![put(500, Expect::Absent), put(500, Expect::Absent)])
        .await;
    let [first, second] = <[_; 2]>::try_from(answers).expect("two answers");
    assert_eq!(first, Ok(()));
    refused_as_existing(second);
}

pub(super) async fn guards_are_held<S: Store>(store: &S, samples: &Samples<'_>) {
    let scope = with_service(store, samples, "0neA").await;
    let individual = samples.individual("dev");
    let group = samples.group("g", samples.client(false));
    let guarded = |guard| Change {
        guards: vec![guard],
        ..Change::of(Write::PutRegistration(
            scope.clone(),
            Box::new(samples.registration("dev", None)),
            Expect::Anything,
        ))
    };
    let on_individual = |expect| Guard::Individual(scope.clone(), registration_id("DEV"), expect);
    let on_group = |expect| Guard::Group(scope.clone(), group_id("G"), expect);
    refused_as_absent(change(store, guarded(on_individual(Expect::Present))).await);
    refused_as_absent(change(store, guarded(on_group(Expect::Present))).await);
    assert_eq!(
        read(store.registration(&scope, &registration_id("dev")).await),
        None
    );
    for absent in [on_individual(Expect::Absent), on_group(Expect::Absent)] {
        change(store, guarded(absent)).await.expect("there is none");
    }
    keep(
        store,
        vec![
            Write::PutIndividual(scope.clone(), Box::new(individual.clone()), Expect::Absent),
            Write::PutGroup(scope.clone(), Box::new(group.clone()), Expect::Absent),
        ],
    )
    .await;
    for met in [
        on_individual(Expect::Etag(individual.terms.etag.clone())),
        on_group(Expect::Etag(group.terms.etag.clone())),
    ] {
        change(store, guarded(met))
            .await
            .expect("it is in this state");
    }
    let stranger = Expect::Etag(samples.etag());
    refused_as_changed(change(store, guarded(on_individual(stranger.clone()))).await);
    refused_as_changed(change(store, guarded(on_group(stranger))).await);
    refused_as_existing(change(store, guarded(on_individual(Expect::Absent))).await);
    refused_as_existing(change(store, guarded(on_group(Expect::Absent))).await);
}

pub(super) async fn an_identity_belongs_to_one_enrollment<S: Store>(
    store: &S,
    samples: &Samples<'_>,
) {
    let scope = with_service(store, samples, "0neA").await;
    let thumbprint = |second| samples.certificate(second).sha256_hex();
    let free = |id: &str, identity: String| Change {
        guards: vec![Guard::IdentityUnused(
            scope.clone(),
            registration_id(id),
            identity,
        )],
        writes: Vec::new(),
        hub_writes: Vec::new(),
        ..Change::default()
    };
    let put = |id: &str, mechanism| {
        let enrollment = samples.individual_by(id, mechanism);
        Write::PutIndividual(scope.clone(), Box::new(enrollment), Expect::Anything)
    };
    keep(store, vec![put("one", samples.client(false))]).await;
    refused_as_existing(change(store, free("two", thumbprint(false))).await);
    assert_eq!(change(store, free("ONE", thumbprint(false))).await, Ok(()));
    assert_eq!(change(store, free("two", thumbprint(true))).await, Ok(()));
    // Replaced, it holds the new one and no longer the old one.
    keep(store, vec![put("one", samples.client(true))]).await;
    assert_eq!(change(store, free("two", thumbprint(false))).await, Ok(()));
    refused_as_existing(change(store, free("two", thumbprint(true))).await);
    // Removed, it holds nothing.
    let delete = Write::DeleteIndividual(scope.clone(), registration_id("one"), Expect::Present);
    keep(store, vec![delete]).await;
    assert_eq!(change(store, free("two", thumbprint(true))).await, Ok(()));
    // Endorsement keys likewise, however long.
    for mechanism in samples.other_mechanisms() {
        if let AttestationMechanism::Tpm(tpm) = &mechanism {
            let key = tpm.endorsement_key.clone();
            keep(store, vec![put("tpm", mechanism)]).await;
            refused_as_existing(change(store, free("two", key.clone())).await);
            assert_eq!(change(store, free("tpm", key)).await, Ok(()));
        }
    }
}

pub(super) async fn many_enrollments_are_made_each_on_its_own<S: Store>(
    store: &S,
    samples: &Samples<'_>,
) {
    let scope = with_service(store, samples, "0neA").await;
    let origin = Origin {
        at: NOW,
        address: None,
        tracking_id: samples.tracking_id(),
    };
    let author = origin.author(Actor::Server);
    let there = samples.individual("there");
    let put = Write::PutIndividual(scope.clone(), Box::new(there.clone()), Expect::Absent);
    keep(store, vec![put]).await;
    let mut changed = there.clone();
    changed.terms.etag = samples.etag();
    let mut stale = changed.clone();
    stale.terms.etag = samples.etag();
    let client = |id| samples.individual_by(id, samples.client(false));
    let one = samples.individual("one");
    let records = vec![
        (one.clone(), Expect::Absent),
        (samples.individual("THERE"), Expect::Absent),
        (client("held"), Expect::Absent),
        (client("other"), Expect::Absent),
        (samples.individual("ONE"), Expect::Absent),
        (changed.clone(), Expect::Etag(there.terms.etag.clone())),
        (stale, Expect::Etag(there.terms.etag.clone())),
        (samples.individual("two"), Expect::Absent),
    ];
    let answers = store.put_individuals(&scope, records, &author).await;
    let made: Vec<bool> = answers.iter().map(Result::is_ok).collect();
    assert_eq!(
        made,
        [true, false, true, false, false, true, false, true],
        "{answers:?}"
    );
    for refused in [1, 3, 4] {
        refused_as_existing(answers[refused].clone());
    }
    refused_as_changed(answers[6].clone());
    let found = store.individual(&scope, &registration_id("there")).await;
    assert_eq!(read(found), Some(changed));
    let found = store.individual(&scope, &registration_id("one")).await;
    assert_eq!(read(found), Some(one));
    let found = store.individual(&scope, &registration_id("other")).await;
    assert_eq!(read(found), None);
    // Indexes know them.
    let all = Selection {
        limit: 10,
        ..Selection::default()
    };
    assert_eq!(read(store.individuals(&scope, &all).await).len(), 4);
    // The trail counts them, over all calls of one request, and names none.
    let more = vec![(samples.individual("three"), Expect::Absent)];
    assert_eq!(store.put_individuals(&scope, more, &author).await, [Ok(())]);
    let trail = read(
        store
            .audit(&Search {
                limit: 10,
                ..Search::default()
            })
            .await,
    );
    let told: Vec<_> = trail
        .iter()
        .map(|(_, entry)| {
            (
                entry.what.action,
                entry.what.taken_along.clone(),
                entry.subjects.len(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (Action::Update, vec![(Kind::Enrollment, 1)], 0),
            (Action::Create, vec![(Kind::Enrollment, 4)], 0),
        ]
    );
    // Without their service nothing is made.
    let nowhere = IdScope::parse("0neB").expect("a scope");
    let records = vec![(samples.individual("four"), Expect::Absent)];
    let answers = store.put_individuals(&nowhere, records, &author).await;
    refused_as_absent(answers[0].clone());
}

pub(super) async fn a_certificate_has_one_name<S: Store>(store: &S, samples: &Samples<'_>) {
    let scope = with_service(store, samples, "0neA").await;
    let free = |name: &str, second| Change {
        guards: vec![Guard::CertificateUnused(
            scope.clone(),
            CertificateName::parse(name).expect("a name"),
            samples.certificate(second).sha256_hex(),
        )],
        writes: Vec::new(),
        hub_writes: Vec::new(),
        ..Change::default()
    };
    let ca = samples.ca("Root", false);
    let put = Write::PutCertificate(scope.clone(), Box::new(ca.clone()), Expect::Absent);
    keep(store, vec![put]).await;
    refused_as_existing(change(store, free("other", false)).await);
    assert_eq!(change(store, free("root", false)).await, Ok(()));
    assert_eq!(change(store, free("other", true)).await, Ok(()));
    keep(
        store,
        vec![Write::DeleteCertificate(
            scope.clone(),
            ca.name,
            Expect::Present,
        )],
    )
    .await;
    assert_eq!(change(store, free("other", false)).await, Ok(()));
}

pub(super) async fn records_belong_to_a_service<S: Store>(store: &S, samples: &Samples<'_>) {
    let nowhere = IdScope::parse("0neNowhere").expect("a scope");
    let group = samples.group("g", samples.client(false));
    for orphan in [
        Write::PutIndividual(
            nowhere.clone(),
            Box::new(samples.individual("dev")),
            Expect::Anything,
        ),
        Write::PutGroup(nowhere.clone(), Box::new(group), Expect::Anything),
        Write::PutCertificate(
            nowhere.clone(),
            Box::new(samples.ca("root", false)),
            Expect::Anything,
        ),
        Write::PutRegistration(
            nowhere.clone(),
            Box::new(samples.registration("dev", None)),
            Expect::Anything,
        ),
    ] {
        refused_as_absent(write(store, orphan).await);
    }
    assert_eq!(
        read(store.individual(&nowhere, &registration_id("dev")).await),
        None
    );
}

pub(super) async fn deletions_take_along_what_is_theirs<S: Store>(
    store: &S,
    samples: &Samples<'_>,
) {
    let scope = with_service(store, samples, "0neA").await;
    let group = samples.group("g", samples.client(false));
    let put_registration = |id, group| {
        let registration = samples.registration(id, group);
        Write::PutRegistration(scope.clone(), Box::new(registration), Expect::Anything)
    };
    let put_individual = |id| {
        let enrollment = samples.individual(id);
        Write::PutIndividual(scope.clone(), Box::new(enrollment), Expect::Anything)
    };
    keep(
        store,
        vec![
            Write::PutGroup(scope.clone(), Box::new(group), Expect::Absent),
            put_individual("own"),
            put_individual("shared"),
            put_registration("own", None),
            put_registration("shared", Some("g")),
            put_registration("member", Some("g")),
        ],
    )
    .await;
    let delete = |id| Write::DeleteIndividual(scope.clone(), registration_id(id), Expect::Present);
    keep(store, vec![delete("own"), delete("shared")]).await;
    assert_eq!(
        read(store.registration(&scope, &registration_id("own")).await),
        None
    );
    let shared = read(store.registration(&scope, &registration_id("shared")).await);
    assert!(
        shared.is_some(),
        "the group let it in, so it is the group's"
    );
    keep(
        store,
        vec![Write::DeleteGroup(
            scope.clone(),
            group_id("g"),
            Expect::Present,
        )],
    )
    .await;
    let member = read(store.registration(&scope, &registration_id("member")).await);
    assert!(member.is_some(), "registrations outlive their group");
    keep(
        store,
        vec![Write::DeleteService(scope.clone(), Expect::Present)],
    )
    .await;
    assert_eq!(
        read(store.registration(&scope, &registration_id("member")).await),
        None
    );
    with_service(store, samples, "0neA").await;
    assert_eq!(
        read(store.registration(&scope, &registration_id("member")).await),
        None
    );
}

pub(super) async fn services_never_see_each_other<S: Store>(store: &S, samples: &Samples<'_>) {
    let a = with_service(store, samples, "0neA").await;
    let b = with_service(store, samples, "0neB").await;
    let (in_a, in_b) = (samples.individual("dev"), samples.individual("dev"));
    let group = samples.group("g", samples.client(false));
    let put = |scope: &IdScope, one: &_| {
        Write::PutIndividual(scope.clone(), Box::new(Clone::clone(one)), Expect::Absent)
    };
    keep(
        store,
        vec![
            put(&a, &in_a),
            put(&b, &in_b),
            Write::PutGroup(a.clone(), Box::new(group), Expect::Absent),
            Write::PutRegistration(
                a.clone(),
                Box::new(samples.registration("dev", Some("g"))),
                Expect::Absent,
            ),
        ],
    )
    .await;
    let id = registration_id("dev");
    assert_eq!(read(store.individual(&a, &id).await), Some(in_a));
    assert_eq!(read(store.individual(&b, &id).await), Some(in_b.clone()));
    assert_eq!(read(store.registration(&b, &id).await), None);
    let everything = Selection {
        limit: 100,
        ..Default::default()
    };
    assert_eq!(
        read(store.individuals(&b, &everything).await),
        std::slice::from_ref(&in_b)
    );
    assert_eq!(read(store.groups(&b, &everything).await), []);
    let members = store
        .registrations_of_group(&b, &group_id("g"), &everything)
        .await;
    assert_eq!(read(members), []);
    let names: Vec<_> = read(store.services().await)
        .into_iter()
        .map(|service| service.id_scope)
        .collect();
    assert_eq!(names, [a.clone(), b.clone()]);
    keep(store, vec![Write::DeleteService(a, Expect::Anything)]).await;
    assert_eq!(read(store.individual(&b, &id).await), Some(in_b));
}

pub(super) async fn trust_versions_grow<S: Store>(store: &S, samples: &Samples<'_>) {
    let a = with_service(store, samples, "0neA").await;
    let b = with_service(store, samples, "0neB").await;
    let group = samples.group("g", samples.client(false));
    let ca = samples.ca("root", false);
    let writes = vec![
        Write::PutGroup(a.clone(), Box::new(group.clone()), Expect::Absent),
        Write::PutGroup(a.clone(), Box::new(group), Expect::Present),
        Write::PutCertificate(a.clone(), Box::new(ca.clone()), Expect::Absent),
        Write::PutCertificate(a.clone(), Box::new(ca.clone()), Expect::Present),
        Write::DeleteCertificate(a.clone(), ca.name, Expect::Present),
        Write::DeleteGroup(a.clone(), group_id("g"), Expect::Present),
    ];
    let mut last = read(store.service(&a).await)
        .expect("the service")
        .trust_version;
    for one in writes {
        keep(store, vec![one]).await;
        let now = read(store.service(&a).await)
            .expect("the service")
            .trust_version;
        assert!(now > last, "{now} after {last}");
        last = now;
    }
    // Other writes leave it alone; a put of the service does not set it back.
    let mut service = read(store.service(&a).await).expect("the service");
    service.trust_version = 0;
    keep(
        store,
        vec![
            Write::PutIndividual(
                a.clone(),
                Box::new(samples.individual("dev")),
                Expect::Absent,
            ),
            Write::PutService(Box::new(service), Expect::Present),
        ],
    )
    .await;
    let now = read(store.service(&a).await)
        .expect("the service")
        .trust_version;
    assert_eq!(now, last);
    let other = read(store.service(&b).await)
        .expect("the service")
        .trust_version;
    assert_eq!(other, 0);
}
