//! Enrollment groups: who may come through them, and what their number costs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use http::Method;
use landfall_core::attestation::AttestationMechanism;
use landfall_core::clock::{Clock, Timestamp};
use landfall_core::enrollment::EnrollmentGroup;
use landfall_core::error::Error;
use landfall_core::exchange::Action;
use landfall_core::id::{EnrollmentGroupId, Etag, TrackingId};
use landfall_core::secret::{KeyPair, SymmetricKey};
use landfall_core::store::{Expect, Store, Write};
use landfall_hub::registry::EmbeddedHubs;
use landfall_server::metrics::label::Search;
use landfall_server::provisioning::Provisioning;
use landfall_server::telemetry::Attempt;
use serde_json::{Value, json};

use super::{Road, SCOPE, Visitor, key, keys};
use crate::bench::id_scope;

#[tokio::test]
async fn a_disabled_individual_enrollment_keeps_a_device_out_of_its_group() {
    let road = Road::new().await;
    road.put(
        "/enrollmentGroups/fleet",
        json!({"attestation": keys(7, 8)}),
    )
    .await;
    let visitor = Visitor::of_group(&road, "dev-1", &key(7));
    let stub = |status: &str| json!({"attestation": keys(1, 2), "provisioningStatus": status});

    road.put("/enrollments/dev-1", stub("disabled")).await;
    let (error, check) = road.refusal(&visitor).await;
    assert_eq!(
        (error, check.as_str()),
        (Error::Unauthorized, "stopped: sas.signature")
    );
    // With the individual enrollment's own key it reads why.
    let own = Visitor::with_key(&road, "dev-1", &key(1));
    let state = road.provision(&own).await;
    assert_eq!(state["status"], "disabled");
    assert!(state.get("assignedHub").is_none());
    assert!(road.devices().await.is_empty());

    let gone = road
        .bench
        .call(Method::DELETE, "/enrollments/dev-1", &[], Value::Null)
        .await;
    assert_eq!(gone.status, 204);
    let state = road.provision(&visitor).await;
    assert_eq!(
        (&state["status"], &state["substatus"]),
        (&json!("assigned"), &json!("initialAssignment"))
    );
    assert_eq!(state["symmetricKey"]["enrollmentGroupId"], "fleet");
}

#[tokio::test]
async fn a_disabled_group_lets_nobody_in_and_says_so() {
    let road = Road::new().await;
    let group = |status: &str| json!({"attestation": keys(7, 8), "provisioningStatus": status});
    road.put("/enrollmentGroups/fleet", group("disabled")).await;
    let visitor = Visitor::of_group(&road, "dev-1", &key(8));
    assert_eq!(road.provision(&visitor).await["status"], "disabled");
    assert!(road.devices().await.is_empty());
    road.put("/enrollmentGroups/fleet", group("enabled")).await;
    let state = road.provision(&visitor).await;
    assert_eq!(state["substatus"], "initialAssignment");
    // Disabling does not take back what was given.
    road.put("/enrollmentGroups/fleet", group("disabled")).await;
    assert_eq!(road.provision(&visitor).await["status"], "disabled");
    assert_eq!(road.devices().await.len(), 1);
}

#[tokio::test]
async fn an_id_of_one_group_is_not_taken_over_through_another() {
    let road = Road::new().await;
    road.put("/enrollmentGroups/mine", json!({"attestation": keys(7, 8)}))
        .await;
    road.put(
        "/enrollmentGroups/theirs",
        json!({"attestation": keys(9, 10)}),
    )
    .await;
    road.provision(&Visitor::of_group(&road, "dev-1", &key(7)))
        .await;
    let (_, check) = road
        .refusal(&Visitor::of_group(&road, "dev-1", &key(9)))
        .await;
    assert_eq!(check, "stopped: enrollment.other_group");
}

#[tokio::test]
async fn whoever_holds_a_disabled_group_s_key_cannot_reserve_ids() {
    let road = Road::new().await;
    road.put("/enrollmentGroups/mine", json!({"attestation": keys(7, 8)}))
        .await;
    let leaked = json!({"attestation": keys(9, 10), "provisioningStatus": "disabled"});
    road.put("/enrollmentGroups/leaked", leaked).await;
    let thief = road
        .provision(&Visitor::of_group(&road, "dev-1", &key(9)))
        .await;
    assert_eq!(thief["status"], "disabled");
    let state = road
        .provision(&Visitor::of_group(&road, "dev-1", &key(7)))
        .await;
    assert_eq!(state["status"], "assigned");
    assert_eq!(state["symmetricKey"]["enrollmentGroupId"], "mine");
}

const GROUPS: usize = 1500;

/// A road with so many groups; gives the key of the last one.
async fn crowded() -> (Road, SymmetricKey) {
    let road = Road::new().await;
    road.put(
        "/enrollmentGroups/model",
        json!({"attestation": keys(7, 8)}),
    )
    .await;
    let store = &road.bench.backend.store;
    let model = EnrollmentGroupId::parse("model").expect("valid");
    let model = store
        .group(&id_scope(SCOPE), &model)
        .await
        .expect("a read")
        .expect("there");
    let entropy = &*road.bench.backend.entropy;
    let mut last = key(7);
    let mut writes = Vec::new();
    for number in 0..GROUPS {
        let keys = KeyPair::draw(entropy, 64);
        last = keys.primary.clone();
        let mut terms = model.terms.clone();
        terms.etag = Etag::draw(entropy);
        let group = EnrollmentGroup {
            id: EnrollmentGroupId::parse(&format!("zone-{number:04}")).expect("valid"),
            attestation: AttestationMechanism::SymmetricKey(keys),
            terms,
        };
        writes.push(Write::PutGroup(
            id_scope(SCOPE),
            Box::new(group),
            Expect::Absent,
        ));
    }
    road.bench.write_all(writes).await;
    (road, last)
}

/// Repeats `visit` while strangers search all groups, one after the other, on two tasks. Gives how
/// many visits and how many searches there were.
async fn beside_searches<V: Future<Output = ()>>(
    road: &Arc<Road>,
    last: &SymmetricKey,
    visit: impl Fn() -> V,
) -> (usize, usize) {
    let (stop, searched) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let strangers: Vec<_> = (0..2)
        .map(|task| {
            let (road, last) = (Arc::clone(road), last.clone());
            let (stop, searched) = (Arc::clone(&stop), Arc::clone(&searched));
            tokio::spawn(async move {
                let mut number = 0;
                while !stop.load(Ordering::Relaxed) {
                    number += 1;
                    let visitor = Visitor::of_group(&road, &format!("new-{task}-{number}"), &last);
                    assert_eq!(road.provision(&visitor).await["status"], "assigned");
                    searched.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let mut visits = 0;
    while searched.load(Ordering::Relaxed) < 10 {
        visit().await;
        visits += 1;
    }
    stop.store(true, Ordering::Relaxed);
    for stranger in strangers {
        stranger.await.expect("no panic");
    }
    let searched = searched.load(Ordering::Relaxed);
    println!("{visits} visits while {searched} strangers were matched against {GROUPS} groups");
    (visits, searched)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_was_here_before_passes_those_who_search_all_groups() {
    let (road, last) = crowded().await;
    let road = Arc::new(road);
    let known = Visitor::of_group(&road, "known", &last);
    road.provision(&known).await;
    let (returned, searched) = beside_searches(&road, &last, async || {
        let state = road.provision(&known).await;
        assert_eq!(state["substatus"], "reprovisionedToInitialAssignment");
    })
    .await;
    assert!(
        returned > searched,
        "{returned} returns, {searched} searches"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_with_a_certificate_does_not_wait_for_those_who_search_by_key() {
    let (road, last) = crowded().await;
    let road = Arc::new(road);
    let made = rcgen::generate_simple_self_signed(["dev-1".to_owned()]).expect("a certificate");
    let visitor = Visitor::with_certificate("dev-1", made.cert.der());
    let (refused, searched) = beside_searches(&road, &last, async || {
        let (error, _) = road.refusal(&visitor).await;
        assert_eq!(error, Error::Unauthorized);
    })
    .await;
    assert!(
        refused > 10 * searched,
        "{refused} refusals, {searched} searches"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_key_under_a_known_id_searches_beside_the_others() {
    let (road, last) = crowded().await;
    let known = Visitor::of_group(&road, "known", &last);
    road.provision(&known).await;
    let thief = Visitor::with_key(&road, "known", &key(99));
    let (error, check) = road.refusal(&thief).await;
    assert_eq!(
        (error, check.as_str()),
        (Error::Unauthorized, "stopped: sas.signature")
    );
    assert_eq!(road.provision(&known).await["status"], "assigned");
}

/// A clock that a test turns.
struct Turned(AtomicI64);

impl Clock for Turned {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_micros(self.0.load(Ordering::Relaxed))
    }
}

impl Road {
    /// Drives by a clock that stands, with so many hundredths of a processor for searches.
    fn with_searches(&mut self, percent: u8) -> Arc<Turned> {
        let clock = Arc::new(Turned(AtomicI64::new(
            self.bench.backend.clock.now().unix_micros(),
        )));
        let mut backend = self.bench.backend.clone();
        backend.clock = Arc::clone(&clock) as Arc<dyn Clock>;
        let (store, entropy) = (Arc::clone(&backend.store), Arc::clone(&backend.entropy));
        let hubs = EmbeddedHubs::new(store, Arc::clone(&backend.clock), entropy);
        let driver = Provisioning::new(backend, hubs).with_search_share(percent);
        self.driver = Arc::new(driver);
        clock
    }

    /// One registration from an address: what came of it, and the notes of its trace.
    async fn from(&self, address: &str, visitor: &Visitor) -> (Result<(), Error>, Vec<String>) {
        let now = self.bench.backend.clock.now();
        let tracking_id = TrackingId::draw(now, &*self.bench.backend.entropy);
        let mut attempt = Attempt::begin(tracking_id, "test", format!("{address}:1024"), now);
        attempt.asked("register", SCOPE, "");
        let action = Action::Register { payload: None };
        let done = self.exchange(visitor, action, &mut attempt).await;
        let notes = attempt.stages().iter().map(|stage| stage.note.clone());
        (done.map(|_| ()), notes.collect())
    }

    /// Searches in vain from an address until it is told to wait. Gives how long.
    async fn flood(&self, address: &str) -> Duration {
        for number in 0..10_000 {
            let id = format!("flood-{number}");
            let visitor = Visitor::of_group(self, &id, &key(99));
            match self.from(address, &visitor).await {
                (Err(Error::Unauthorized), _) => {}
                (Err(Error::Throttled(wait)), notes) => {
                    let last = notes.last().expect("a stage");
                    assert_eq!(last, "stopped: search.budget");
                    return wait;
                }
                (other, _) => panic!("a wrong key came to {other:?}"),
            }
        }
        panic!("nothing bounds the searches");
    }
}

#[tokio::test]
async fn whoever_tries_keys_spends_no_more_than_its_part_and_keeps_nobody_out() {
    let (mut road, last) = crowded().await;
    let known = Visitor::of_group(&road, "known", &last);
    road.provision(&known).await;
    let clock = road.with_searches(1);

    let wait = road.flood("203.0.113.7").await;
    assert!((1..=30).contains(&wait.as_secs()), "{wait:?}");
    // Not even from the flood's own address does a device wait that was here before.
    let (done, _) = road.from("203.0.113.7", &known).await;
    assert_eq!(done, Ok(()));
    // A new device comes in from elsewhere, and its mark is nobody else's.
    let new = Visitor::of_group(&road, "new-1", &last);
    let (done, _) = road.from("198.51.100.1", &new).await;
    assert_eq!(done, Ok(()));
    let own = Visitor::of_group(&road, "new-2", &last);
    let (done, _) = road.from("203.0.113.7", &own).await;
    assert!(matches!(done, Err(Error::Throttled(_))), "{done:?}");

    let counts = road.bench.backend.metrics.services.of(SCOPE);
    let searched = |result| counts.searches.value((result,));
    // The flood's last search and the device after it; the first device searched too, before it was known.
    assert_eq!((searched(Search::Refused), searched(Search::Found)), (2, 2));
    assert!(searched(Search::InVain) > 0 && counts.search_cpu.value() > 0);

    // Later there is time again, for the flood's neighbours too.
    clock.0.fetch_add(60_000_000, Ordering::Relaxed);
    let (done, notes) = road.from("203.0.113.7", &own).await;
    assert_eq!(done, Ok(()));
    let note = &notes[2];
    let groups = GROUPS + 1;
    assert!(
        note.ends_with(&format!("found as {groups} of {groups} group(s)")),
        "{note}"
    );
}

#[tokio::test]
async fn a_device_that_was_here_before_is_one_look_up_even_after_a_start() {
    let (road, last) = crowded().await;
    let known = Visitor::of_group(&road, "known", &last);
    road.provision(&known).await;
    // Nothing of the groups is in memory now.
    let road = road.after_a_kill().await;
    let (done, notes) = road.from("198.51.100.1", &known).await;
    assert_eq!(done, Ok(()));
    assert!(notes[1].ends_with("the group of before"), "{notes:?}");
    assert!(notes[2].contains("as before"), "{notes:?}");
    let new = Visitor::of_group(&road, "new", &last);
    let (done, notes) = road.from("198.51.100.1", &new).await;
    assert_eq!(done, Ok(()));
    assert!(notes[1].contains("group key(s)"), "{notes:?}");
}
