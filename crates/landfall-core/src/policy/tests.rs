//! Who may give, see and change which policy.

use super::*;
use crate::policy::rotation::Rotation;
use crate::service::{AccessPolicy, Rights};

struct Ones;

impl Entropy for Ones {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(1);
    }
}

fn name(text: &str) -> PolicyName {
    PolicyName::parse(text).expect("valid")
}

fn policy(text: &str, rights: Rights, byte: u8) -> AccessPolicy {
    AccessPolicy {
        name: name(text),
        keys: KeyPair {
            primary: SymmetricKey::from_bytes(vec![byte; 32]),
            secondary: SymmetricKey::from_bytes(vec![byte + 1; 32]),
        },
        rights,
    }
}

fn asks(rights: Rights) -> PolicyRequest<Rights> {
    PolicyRequest {
        rights: Some(rights),
        primary: None,
        secondary: None,
    }
}

fn standing() -> Vec<AccessPolicy> {
    vec![
        policy("owner", Rights::ALL, 10),
        policy("reader", Rights::ENROLLMENT_READ, 20),
    ]
}

fn before(standing: &[AccessPolicy], caller: Rights) -> Policies<'_, AccessPolicy> {
    Policies { standing, caller }
}

#[test]
fn a_new_policy_has_two_different_keys_unless_they_are_given() {
    struct Counting(std::sync::atomic::AtomicU8);
    impl Entropy for Counting {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.fill(self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        }
    }
    let standing = standing();
    let policies = before(&standing, Rights::ALL);
    let made = policies
        .created(
            &name("new"),
            &asks(Rights::SERVICE_CONFIG),
            &Counting(1.into()),
        )
        .expect("made");
    let new = made.last().expect("there");
    assert_eq!(new.name, name("NEW"));
    assert_ne!(new.keys.primary, new.keys.secondary);
    assert_eq!(new.keys.primary.bytes().len(), 32);
    assert_eq!(made.get(..2), Some(&standing[..]));
}

#[test]
fn a_name_is_taken_in_every_spelling() {
    let standing = standing();
    let refused = before(&standing, Rights::ALL).created(
        &name("READER"),
        &asks(Rights::ENROLLMENT_READ),
        &Ones,
    );
    assert_eq!(
        refused.map(|_| ()),
        Err(Error::Exists("Shared access policy 'READER'".into()))
    );
}

#[test]
fn nobody_gives_sees_or_changes_rights_beyond_their_own() {
    let standing = standing();
    let caller = Rights::SERVICE_CONFIG.with(Rights::ENROLLMENT_READ);
    let policies = before(&standing, caller);
    let missing = |name| Err(Error::RightMissing(name));
    let new = name("new");
    assert!(policies.created(&new, &asks(caller), &Ones).is_ok());
    let wider = asks(Rights::ENROLLMENT_WRITE);
    assert_eq!(
        policies.created(&new, &wider, &Ones).map(|_| ()),
        missing("EnrollmentWrite")
    );
    let reader = name("reader");
    assert_eq!(
        policies.updated(&reader, &wider).map(|_| ()),
        missing("EnrollmentWrite")
    );
    let owner = name("owner");
    let rotation = RotationRequest::default();
    for outcome in [
        policies.open(&owner).map(|_| ()),
        policies.updated(&owner, &asks(caller)).map(|_| ()),
        policies.without(&owner).map(|_| ()),
        policies.rotated(&owner, &rotation, &Ones).map(|_| ()),
    ] {
        assert_eq!(outcome, missing("EnrollmentWrite"));
    }
    assert!(policies.rotated(&reader, &rotation, &Ones).is_ok());
    let seen: Vec<bool> = standing.iter().map(|one| policies.may_see(one)).collect();
    assert_eq!(seen, [false, true]);
}

#[test]
fn the_last_policy_with_all_rights_stays_and_its_keys_rotate() {
    let standing = standing();
    let policies = before(&standing, Rights::ALL);
    let owner = name("OWNER");
    let weaker = policies.updated(&owner, &asks(Rights::ENROLLMENT_READ));
    for outcome in [weaker, policies.without(&owner)] {
        let error = outcome.expect_err("refused").to_string();
        assert!(
            error.contains("last one with all rights") && error.contains("create another"),
            "{error}"
        );
    }
    let request = RotationRequest {
        rotation: Rotation::Shift,
        ..RotationRequest::default()
    };
    let rotated = policies.rotated(&owner, &request, &Ones).expect("rotated");
    let after = rotated.first().expect("the owner");
    assert_eq!(after.keys.secondary, standing[0].keys.primary);
    assert_eq!(after.name.as_str(), "owner");

    let two = policies
        .created(&name("second"), &asks(Rights::ALL), &Ones)
        .expect("made");
    let left = before(&two, Rights::ALL).without(&owner).expect("removed");
    let names: Vec<&str> = left.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["reader", "second"]);
}

#[test]
fn an_update_keeps_what_it_does_not_name() {
    let standing = standing();
    let policies = before(&standing, Rights::ALL);
    let key = SymmetricKey::from_bytes(vec![7; 16]);
    let request = PolicyRequest {
        rights: None,
        primary: None,
        secondary: Some(key.clone()),
    };
    let after = policies.updated(&name("reader"), &request).expect("done");
    let reader = after.last().expect("there");
    assert_eq!(reader.rights, Rights::ENROLLMENT_READ);
    assert_eq!(reader.keys.primary, standing[1].keys.primary);
    assert_eq!(reader.keys.secondary, key);
}

#[test]
fn there_are_bounds_below_and_above() {
    let mut many = standing();
    let policies = before(&many, Rights::ALL);
    let none = policies.created(&name("none"), &asks(Rights::NONE), &Ones);
    let unsaid = PolicyRequest {
        rights: None,
        primary: None,
        secondary: None,
    };
    let unsaid = policies.created(&name("unsaid"), &unsaid, &Ones);
    let emptied = policies.updated(&name("reader"), &asks(Rights::NONE));
    for outcome in [none, unsaid, emptied] {
        let error = outcome.expect_err("refused").to_string();
        assert!(error.contains("at least one right"), "{error}");
    }
    while many.len() < MOST_POLICIES {
        let next = format!("policy-{}", many.len());
        many = before(&many, Rights::ALL)
            .created(&name(&next), &asks(Rights::ENROLLMENT_READ), &Ones)
            .expect("room");
    }
    let refused = before(&many, Rights::ALL).created(
        &name("one-more"),
        &asks(Rights::ENROLLMENT_READ),
        &Ones,
    );
    assert!(refused.is_err_and(|error| error.to_string().contains("100")));
}

#[test]
fn rights_are_listed_without_those_that_another_implies() {
    assert_eq!(
        Rights::ALL.names(),
        [
            "ServiceConfig",
            "EnrollmentWrite",
            "DeviceConnect",
            "RegistrationStatusWrite"
        ]
    );
    assert_eq!(Rights::ENROLLMENT_READ.names(), ["EnrollmentRead"]);
    assert_eq!(
        Rights::named("enrollmentREAD"),
        Some(Rights::ENROLLMENT_READ)
    );
    assert_eq!(Rights::named("Everything"), None);
    let held = Rights::ENROLLMENT_READ;
    assert_eq!(
        held.lacks(Rights::ENROLLMENT_WRITE),
        Some("EnrollmentWrite")
    );
    assert_eq!(
        Rights::NONE.lacks(Rights::ENROLLMENT_WRITE),
        Some("EnrollmentWrite")
    );
    assert_eq!(held.lacks(held), None);
}
