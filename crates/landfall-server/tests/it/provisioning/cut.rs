//! Cut at every step: an operation that was written down and then left by its process is continued
//! by the next one, and its device never notices more than a longer wait.

use landfall_core::attestation::AttestationKind;
use landfall_core::id::{DeviceId, OperationId, RegistrationId, TrackingId};
use landfall_core::linked_hub::HubCredential;
use landfall_core::registration::EnrollmentRef;
use landfall_core::registration::operation::{Admission, Operation, Progress};
use landfall_core::secret::KeyPair;
use landfall_core::store::{Expect, Store, Write};
use landfall_server::metrics::label::{Continued, Placement, Protocol};
use serde_json::json;

use super::{HUBS, Road, SCOPE, Visitor, key, keys};
use crate::bench::id_scope;

pub(super) const ID: &str = "dev-1";

/// How far the process came before it was killed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Cut {
    /// After the operation was accepted.
    Accepted,
    /// After its hub was chosen.
    Allocated,
}

pub(super) const CUTS: [Cut; 2] = [Cut::Accepted, Cut::Allocated];

async fn road_with_a_device() -> (Road, Visitor) {
    let road = Road::new().await;
    road.put("/enrollments/dev-1", json!({"attestation": keys(1, 2)}))
        .await;
    let visitor = Visitor::with_key(&road, ID, &key(1));
    (road, visitor)
}

/// Writes down an operation of the device as the driver had it at `cut`.
pub(super) async fn write_down(road: &Road, cut: Cut) -> OperationId {
    let (store, entropy) = (&road.bench.backend.store, &*road.bench.backend.entropy);
    let now = road.bench.backend.clock.now();
    let (scope, id) = (id_scope(SCOPE), RegistrationId::parse(ID).expect("valid"));
    let enrollment = store
        .individual(&scope, &id)
        .await
        .expect("a read")
        .expect("there");
    let admission = Admission {
        enrollment: EnrollmentRef::Individual,
        kind: AttestationKind::SymmetricKey,
        credential: HubCredential::Keys(KeyPair {
            primary: key(1),
            secondary: key(2),
        }),
        device_id: DeviceId::parse(ID).expect("valid"),
        terms: enrollment.terms,
        payload: None,
        before: store.registration(&scope, &id).await.expect("a read"),
    };
    let operation = Operation::begin(
        OperationId::draw(now, entropy),
        scope.clone(),
        id,
        TrackingId::draw(now, entropy),
        admission,
        now,
    );
    let operation = match cut {
        Cut::Accepted => operation,
        Cut::Allocated => {
            let service = store.service(&scope).await.expect("a read").expect("there");
            let etag = landfall_core::id::Etag::draw(entropy);
            operation
                .allocate(service.allocation, &service.linked_hubs, etag, now)
                .0
        }
    };
    assert!(!matches!(operation.progress, Progress::Finished(_)));
    let name = operation.id.clone();
    road.bench
        .write(Write::PutOperation(Box::new(operation)))
        .await;
    name
}

/// The device reads that it waits; after the worker's round, that it is assigned.
pub(super) async fn continues(road: &Road, visitor: &Visitor, operation: &OperationId) {
    let (status, body) = road
        .poll(visitor, operation)
        .await
        .expect("known, never 404");
    assert_eq!((status, body["status"].as_str()), (202, Some("assigning")));
    assert_eq!(road.resume().await, 1);
    ends_assigned(road, visitor, operation).await;
    let metrics = &road.bench.backend.metrics;
    assert_eq!(metrics.continued.value((Continued::Ended,)), 1);
    let counted = |hub: &str| metrics.services.of(SCOPE).hub(hub);
    let placed = |hub: &str, how| counted(hub).placements.value((how,));
    let new: u64 = HUBS.iter().map(|hub| placed(hub, Placement::Initial)).sum();
    let back: u64 = HUBS
        .iter()
        .map(|hub| placed(hub, Placement::Returned))
        .sum();
    assert_eq!(new + back, 1, "an assignment is counted, whoever ends it");
    let attempts = HUBS.map(|hub| counted(hub).assigned.value((Protocol::Https,)));
    assert_eq!(attempts, [0, 0], "and no attempt of a device");
    assert_eq!(road.resume().await, 0, "nothing is left to continue");
}

pub(super) async fn ends_assigned(road: &Road, visitor: &Visitor, operation: &OperationId) {
    let (status, body) = road
        .poll(visitor, operation)
        .await
        .expect("known, never 404");
    assert_eq!((status, body["status"].as_str()), (200, Some("assigned")));
    let devices = road.devices().await;
    assert_eq!(devices.len(), 1, "one hub identity");
    assert_eq!(
        body["registrationState"]["assignedHub"],
        devices[0].0.as_str()
    );
    assert_eq!(
        body["registrationState"]["deviceId"],
        devices[0].1.id.as_str()
    );
}

#[tokio::test]
async fn an_operation_cut_at_any_step_is_continued_after_the_restart() {
    for cut in CUTS {
        let (road, visitor) = road_with_a_device().await;
        let operation = write_down(&road, cut).await;
        let road = road.after_a_kill().await;
        continues(&road, &visitor, &operation).await;
    }
}

#[tokio::test]
async fn a_returning_device_s_operation_is_continued_after_the_restart() {
    for cut in CUTS {
        let (road, visitor) = road_with_a_device().await;
        let first = road.provision(&visitor).await;
        let operation = write_down(&road, cut).await;
        let road = road.after_a_kill().await;
        continues(&road, &visitor, &operation).await;
        let (_, body) = road.poll(&visitor, &operation).await.expect("known");
        let state = &body["registrationState"];
        assert_eq!(state["substatus"], "reprovisionedToInitialAssignment");
        assert_eq!(state["createdDateTimeUtc"], first["createdDateTimeUtc"]);
    }
}

#[tokio::test]
async fn an_operation_that_two_workers_continue_ends_once() {
    for cut in CUTS {
        let (road, visitor) = road_with_a_device().await;
        let operation = write_down(&road, cut).await;
        let road = road.after_a_kill().await;
        let (one, other) = tokio::join!(road.resume(), road.resume());
        // One may have ended it before the other looked.
        assert!(
            matches!((one, other), (1, 1) | (1, 0) | (0, 1)),
            "{one} and {other} continued it"
        );
        ends_assigned(&road, &visitor, &operation).await;
        assert_eq!(road.resume().await, 0);
    }
}

#[tokio::test]
async fn a_cut_operation_takes_the_result_of_a_registration_that_ended_meanwhile() {
    for cut in CUTS {
        let (road, visitor) = road_with_a_device().await;
        let operation = write_down(&road, cut).await;
        let road = road.after_a_kill().await;
        let newer = road.provision(&visitor).await;
        continues_to(&road, &visitor, &operation, &newer).await;
    }
}

async fn continues_to(
    road: &Road,
    visitor: &Visitor,
    operation: &OperationId,
    newer: &serde_json::Value,
) {
    let (status, _) = road
        .poll(visitor, operation)
        .await
        .expect("known, never 404");
    assert_eq!(status, 202);
    assert_eq!(road.resume().await, 1);
    ends_assigned(road, visitor, operation).await;
    let (_, body) = road.poll(visitor, operation).await.expect("known");
    assert_eq!(body["registrationState"]["etag"], newer["etag"]);
}

#[tokio::test]
async fn a_cut_operation_ends_although_its_record_was_deleted_meanwhile() {
    for cut in CUTS {
        let (road, visitor) = road_with_a_device().await;
        road.provision(&visitor).await;
        let operation = write_down(&road, cut).await;
        let id = RegistrationId::parse(ID).expect("valid");
        let gone = Write::DeleteRegistration(id_scope(SCOPE), id, Expect::Present);
        road.bench.write(gone).await;
        let road = road.after_a_kill().await;
        continues(&road, &visitor, &operation).await;
    }
}

#[tokio::test]
async fn a_cut_operation_makes_no_device_once_its_enrollment_is_closed() {
    for cut in CUTS {
        let (road, visitor) = road_with_a_device().await;
        let operation = write_down(&road, cut).await;
        let closed = json!({"attestation": keys(1, 2), "provisioningStatus": "disabled"});
        road.put("/enrollments/dev-1", closed).await;
        let road = road.after_a_kill().await;
        assert_eq!(road.resume().await, 1);
        let (status, body) = road
            .poll(&visitor, &operation)
            .await
            .expect("known, never 404");
        assert_eq!((status, body["status"].as_str()), (200, Some("disabled")));

        let operation = write_down(&road, cut).await;
        let id = RegistrationId::parse(ID).expect("valid");
        let gone = Write::DeleteIndividual(id_scope(SCOPE), id, Expect::Present);
        road.bench.write(gone).await;
        let road = road.after_a_kill().await;
        assert_eq!(road.resume().await, 1);
        assert_eq!(road.resume().await, 0, "it ended");
        let refused = road.poll(&visitor, &operation).await;
        assert_eq!(
            refused.expect_err("deleted"),
            landfall_core::error::Error::Unauthorized
        );
        assert!(road.devices().await.is_empty());
    }
}
