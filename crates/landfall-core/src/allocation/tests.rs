//! Allocation is stable, spreads by weight, and says why it cannot.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::clock::Timestamp;
use crate::enrollment::{DeviceCapabilities, ProvisioningStatus};
use crate::id::Etag;

fn hub(name: &str, weight: u16) -> LinkedHub {
    LinkedHub {
        host_name: HubHostName::parse(name).expect("a name"),
        allocation_weight: weight,
        apply_allocation_policy: true,
        location: "here".into(),
    }
}

fn terms(policy: Option<AllocationPolicy>, hubs: &[&str]) -> EnrollmentTerms {
    EnrollmentTerms {
        status: ProvisioningStatus::Enabled,
        reprovision: None,
        allocation: policy,
        hubs: hubs
            .iter()
            .map(|name| HubHostName::parse(name).expect("a name"))
            .collect(),
        legacy_hub: None,
        custom_allocation: None,
        capabilities: DeviceCapabilities::default(),
        initial_twin: None,
        extra: Vec::new(),
        etag: Etag::parse("e").expect("an etag"),
        created: Timestamp::from_unix_seconds(0),
        updated: Timestamp::from_unix_seconds(0),
    }
}

fn id(text: &str) -> RegistrationId {
    RegistrationId::parse(text).expect("an id")
}

fn pick(
    terms: &EnrollmentTerms,
    linked: &[LinkedHub],
    device: &str,
) -> Result<String, RegistrationFailure> {
    allocate(terms, AllocationPolicy::Hashed, linked, &id(device)).map(|a| a.hub.to_string())
}

#[test]
fn hashed_spreads_by_weight() {
    let linked = [hub("a.x", 1), hub("b.x", 3)];
    let mut count: HashMap<String, u32> = HashMap::new();
    for n in 0..20_000 {
        *count
            .entry(pick(&terms(None, &[]), &linked, &format!("d{n}")).expect("a hub"))
            .or_default() += 1;
    }
    let share = f64::from(count["b.x"]) / 20_000.0;
    assert!((0.735..0.765).contains(&share), "{share}");
}

#[test]
fn static_takes_the_one_hub_and_nothing_else() {
    let linked = [hub("a.x", 1), hub("b.x", 1)];
    let fixed = Some(AllocationPolicy::Static);
    assert_eq!(
        pick(&terms(fixed, &["b.x"]), &linked, "d").as_deref(),
        Ok("b.x")
    );
    assert_eq!(
        pick(&terms(fixed, &[]), &linked, "d"),
        Err(RegistrationFailure::StaticHubMissing)
    );
    assert!(matches!(
        pick(&terms(fixed, &["c.x"]), &linked, "d"),
        Err(RegistrationFailure::HubNotLinked(_))
    ));
}

#[test]
fn a_hub_that_takes_no_devices_is_no_candidate() {
    let mut linked = [hub("a.x", 1), hub("b.x", 1)];
    linked[0].apply_allocation_policy = false;
    for n in 0..50 {
        assert_eq!(
            pick(&terms(None, &[]), &linked, &format!("d{n}")).as_deref(),
            Ok("b.x")
        );
    }
    assert_eq!(
        pick(&terms(None, &["a.x"]), &linked, "d"),
        Err(RegistrationFailure::NoLinkedHub)
    );
    assert_eq!(
        pick(&terms(None, &[]), &[], "d"),
        Err(RegistrationFailure::NoLinkedHub)
    );
}

#[test]
fn policies_of_later_builds_are_refused_by_name() {
    for policy in [AllocationPolicy::Custom, AllocationPolicy::GeoLatency] {
        assert_eq!(
            pick(&terms(Some(policy), &[]), &[hub("a.x", 1)], "d"),
            Err(RegistrationFailure::PolicyNotServed(policy))
        );
    }
}

proptest! {
    #[test]
    fn order_of_hubs_and_case_of_the_id_do_not_matter(device in "[a-zA-Z0-9]{1,40}", weights in proptest::collection::vec(1_u16..1000, 1..8)) {
        let mut linked: Vec<_> = weights.iter().enumerate().map(|(n, w)| hub(&format!("h{n}.x"), *w)).collect();
        let first = pick(&terms(None, &[]), &linked, &device);
        linked.reverse();
        prop_assert_eq!(&first, &pick(&terms(None, &[]), &linked, &device.to_ascii_uppercase()));
    }

    #[test]
    fn a_new_hub_takes_devices_only_to_itself(device in "[a-z0-9]{1,40}", weights in proptest::collection::vec(1_u16..1000, 1..8)) {
        let mut linked: Vec<_> = weights.iter().enumerate().map(|(n, w)| hub(&format!("h{n}.x"), *w)).collect();
        let before = pick(&terms(None, &[]), &linked, &device).expect("a hub");
        linked.push(hub("new.x", 500));
        let after = pick(&terms(None, &[]), &linked, &device).expect("a hub");
        prop_assert!(after == before || after == "new.x");
    }
}
