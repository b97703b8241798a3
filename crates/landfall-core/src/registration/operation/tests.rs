//! An operation that is cut at any step ends where an uncut one does.

use proptest::prelude::*;

use super::*;
use crate::enrollment::{DeviceCapabilities, ProvisioningStatus};
use crate::id::HubHostName;
use crate::linked_hub::Manner;
use crate::secret::{KeyPair, SymmetricKey};

fn etag(text: &str) -> Etag {
    Etag::parse(text).expect("an etag")
}

fn hub(name: &str) -> LinkedHub {
    LinkedHub {
        host_name: HubHostName::parse(name).expect("a name"),
        allocation_weight: 1,
        apply_allocation_policy: true,
        location: String::new(),
    }
}

fn admission(policy: ReprovisionPolicy, before: Option<&str>) -> Admission {
    let assignment = before.map(|hub| Assignment {
        hub: HubHostName::parse(hub).expect("a name"),
        device_id: DeviceId::parse("dev").expect("an id"),
        substatus: Substatus::InitialAssignment,
    });
    let keys = KeyPair {
        primary: SymmetricKey::from_bytes(vec![1; 32]),
        secondary: SymmetricKey::from_bytes(vec![2; 32]),
    };
    Admission {
        enrollment: EnrollmentRef::Individual,
        kind: AttestationKind::SymmetricKey,
        credential: HubCredential::Keys(keys),
        device_id: DeviceId::parse("dev").expect("an id"),
        terms: EnrollmentTerms {
            status: ProvisioningStatus::Enabled,
            reprovision: Some(policy),
            allocation: None,
            hubs: Vec::new(),
            legacy_hub: None,
            custom_allocation: None,
            capabilities: DeviceCapabilities::default(),
            initial_twin: None,
            extra: Vec::new(),
            etag: etag("t"),
            created: Timestamp::from_unix_seconds(1),
            updated: Timestamp::from_unix_seconds(1),
        },
        payload: None,
        before: assignment.map(|assignment| Registration {
            registration_id: RegistrationId::parse("dev").expect("an id"),
            enrollment: EnrollmentRef::Individual,
            kind: AttestationKind::SymmetricKey,
            status: RegistrationStatus::Assigned,
            assignment: Some(assignment),
            payload: None,
            etag: etag("b"),
            created: Timestamp::from_unix_seconds(1),
            updated: Timestamp::from_unix_seconds(1),
        }),
    }
}

fn begin(admission: Admission) -> Operation {
    Operation::begin(
        OperationId::parse("5.a.b").expect("an id"),
        IdScope::parse("0ne1").expect("a scope"),
        RegistrationId::parse("dev").expect("an id"),
        TrackingId::parse("t").expect("an id"),
        admission,
        Timestamp::from_unix_seconds(10),
    )
}

/// Drives to the end; `cut` forgets all but the recorded value before each step, as a crash does.
fn drive(mut operation: Operation, linked: &[LinkedHub], cut: bool) -> (Registration, usize) {
    let now = Timestamp::from_unix_seconds(20);
    for steps in 0.. {
        if cut {
            operation = operation.clone();
        }
        operation = match operation.next() {
            Step::Allocate(_) => {
                operation
                    .allocate(AllocationPolicy::Hashed, linked, etag("e"), now)
                    .0
            }
            Step::Place(_) => operation.placed(etag("e"), now),
            Step::Nothing(registration) => return (registration.clone(), steps),
        };
    }
    unreachable!("the loop returns")
}

#[test]
fn first_registration_takes_two_steps_to_its_hub() {
    let (registration, steps) = drive(
        begin(admission(ReprovisionPolicy::default(), None)),
        &[hub("a.x")],
        false,
    );
    assert_eq!(steps, 2);
    let assignment = registration.assignment.expect("assigned");
    assert_eq!(assignment.hub.as_str(), "a.x");
    assert_eq!(assignment.substatus, Substatus::InitialAssignment);
    assert_eq!(registration.created, Timestamp::from_unix_seconds(20));
}

#[test]
fn a_failure_keeps_the_earlier_assignment_on_record() {
    let (registration, _) = drive(
        begin(admission(ReprovisionPolicy::default(), Some("a.x"))),
        &[],
        false,
    );
    assert_eq!(
        registration.status,
        RegistrationStatus::Failed(RegistrationFailure::NoLinkedHub)
    );
    assert_eq!(registration.assignment.expect("kept").hub.as_str(), "a.x");
}

#[test]
fn never_fails_rather_than_move_off_an_unlinked_hub() {
    let never = ReprovisionPolicy {
        update_hub_assignment: false,
        migrate_device_data: false,
    };
    let (registration, _) = drive(
        begin(admission(never, Some("gone.x"))),
        &[hub("a.x")],
        false,
    );
    assert!(matches!(
        registration.status,
        RegistrationStatus::Failed(RegistrationFailure::HubNotLinked(_))
    ));
}

#[test]
fn a_device_whose_hub_changed_migrates_from_the_old_one() {
    let operation = begin(admission(ReprovisionPolicy::default(), Some("old.x")));
    let (operation, _) = operation.allocate(
        AllocationPolicy::Hashed,
        &[hub("new.x")],
        etag("e"),
        Timestamp::from_unix_seconds(2),
    );
    let Step::Place(placement) = operation.next() else {
        panic!("a placement comes next")
    };
    assert!(matches!(&placement.manner, Manner::Migrate { from } if from.0.as_str() == "old.x"));
}

proptest! {
    #[test]
    fn an_operation_cut_at_any_step_ends_as_an_uncut_one(update: bool, migrate: bool, before in proptest::option::of(0_usize..3), hubs in 0_usize..3) {
        let names = ["a.x", "b.x", "c.x"];
        let linked: Vec<_> = names.iter().take(hubs).map(|name| hub(name)).collect();
        let policy = ReprovisionPolicy { update_hub_assignment: update, migrate_device_data: migrate };
        let operation = begin(admission(policy, before.map(|n| names[n])));
        prop_assert_eq!(drive(operation.clone(), &linked, false), drive(operation, &linked, true));
    }

    #[test]
    fn a_finished_operation_never_changes_again(seconds in 30_i64..1000) {
        let now = Timestamp::from_unix_seconds(seconds);
        let (operation, _) = begin(admission(ReprovisionPolicy::default(), None)).allocate(AllocationPolicy::Hashed, &[hub("a.x")], etag("e"), now);
        let finished = operation.placed(etag("e"), now);
        let later = Timestamp::from_unix_seconds(seconds + 1);
        prop_assert_eq!(finished.clone().placed(etag("f"), later), finished.clone());
        prop_assert_eq!(finished.clone().disabled(etag("f"), later), finished.clone());
        prop_assert_eq!(finished.clone().failed(RegistrationFailure::NoLinkedHub, etag("f"), later), finished);
    }
}
