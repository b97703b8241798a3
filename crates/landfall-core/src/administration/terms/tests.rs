//! What of an enrollment's terms is refused, with its message.

use super::*;
use crate::document::Document;
use crate::id::{IdScope, ServiceName};
use crate::linked_hub::LinkedHub;

fn hub(name: &str) -> HubHostName {
    HubHostName::parse(name).expect("valid")
}

fn service() -> ProvisioningService {
    ProvisioningService {
        id_scope: IdScope::parse("0ne1").expect("valid"),
        name: ServiceName::parse("one").expect("valid"),
        host_name: "localhost".into(),
        policies: Vec::new(),
        allocation: AllocationPolicy::Hashed,
        linked_hubs: ["hub.a", "hub.b"]
            .map(|name| LinkedHub {
                host_name: hub(name),
                allocation_weight: 1,
                apply_allocation_policy: true,
                location: String::new(),
            })
            .to_vec(),
        require_verified_chain: false,
        etag: Etag::parse("e").expect("valid"),
        trust_version: 0,
        created: Timestamp::NEVER,
    }
}

fn admit(request: &TermsRequest, service: &ProvisioningService) -> Result<EnrollmentTerms, Error> {
    let etag = Etag::parse("e").expect("valid");
    request.admit(service, etag, Timestamp::NEVER, Timestamp::NEVER)
}

fn message(request: &TermsRequest) -> String {
    match admit(request, &service()) {
        Err(Error::Invalid(message)) => message,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

#[test]
fn what_is_not_said_has_its_default_and_the_policy_stays_open() {
    let terms = admit(&TermsRequest::default(), &service()).expect("admitted");
    assert_eq!(terms.status, ProvisioningStatus::Enabled);
    assert_eq!(terms.allocation, None);
    assert!(terms.hubs.is_empty());
}

#[test]
fn static_needs_exactly_one_hub_whoever_says_static() {
    let text = "Exactly one IoT hub is required when the allocation policy is 'static'.";
    for hubs in [vec![], vec![hub("hub.a"), hub("hub.b")]] {
        let request = TermsRequest {
            allocation: Some(AllocationPolicy::Static),
            hubs,
            ..TermsRequest::default()
        };
        assert_eq!(message(&request), text);
    }
    let mut service = service();
    service.allocation = AllocationPolicy::Static;
    assert_eq!(
        admit(&TermsRequest::default(), &service),
        Err(Error::Invalid(text.into()))
    );
}

#[test]
fn hubs_must_be_linked_and_are_compared_without_case() {
    let request = TermsRequest {
        hubs: vec![hub("hub.c")],
        ..TermsRequest::default()
    };
    assert_eq!(
        message(&request),
        "IoT hub 'hub.c' is not linked to the provisioning service."
    );
    let request = TermsRequest {
        hubs: vec![hub("HUB.A"), hub("hub.a")],
        ..TermsRequest::default()
    };
    assert_eq!(admit(&request, &service()).expect("admitted").hubs.len(), 1);
}

#[test]
fn the_single_target_means_static_and_is_dropped_when_newer_members_disagree() {
    let mut request = TermsRequest {
        legacy_hub: Some(hub("hub.a")),
        ..TermsRequest::default()
    };
    let terms = admit(&request, &service()).expect("admitted");
    assert_eq!(terms.allocation, Some(AllocationPolicy::Static));
    assert_eq!(terms.hubs, [hub("hub.a")]);
    assert_eq!(terms.legacy_hub, Some(hub("hub.a")));

    request.allocation = Some(AllocationPolicy::Hashed);
    let terms = admit(&request, &service()).expect("admitted");
    assert_eq!(terms.allocation, Some(AllocationPolicy::Hashed));
    assert!(terms.hubs.is_empty());
    assert_eq!(terms.legacy_hub, None);
}

#[test]
fn custom_needs_a_definition_with_an_https_url_and_a_new_enough_version() {
    let custom = |definition: Option<(&str, &str)>| TermsRequest {
        allocation: Some(AllocationPolicy::Custom),
        custom_allocation: definition.map(|(url, version)| CustomAllocation {
            webhook_url: url.to_owned(),
            api_version: version.to_owned(),
        }),
        ..TermsRequest::default()
    };
    assert_eq!(
        message(&custom(None)),
        "A customAllocationDefinition is required when the allocation policy is 'custom'."
    );
    for url in [
        "http://hook.test/",
        "https://",
        "https:///path",
        "https://:443/",
        "hook.test",
        "https://hook.test/a b",
        "https://hook.test/ä",
    ] {
        let text = message(&custom(Some((url, "2021-10-01"))));
        assert_eq!(
            text, "customAllocationDefinition.webhookUrl must be an absolute https URL.",
            "{url}"
        );
    }
    for version in ["2018-04-01", "soon", ""] {
        assert_eq!(
            message(&custom(Some(("https://hook.test/?code=k", version)))),
            "customAllocationDefinition.apiVersion must be 2018-09-01-preview or later."
        );
    }
    for version in ["2018-09-01-preview", "2021-10-01"] {
        let request = custom(Some(("HTTPS://hook.test:8443/?code=k", version)));
        assert!(admit(&request, &service()).is_ok());
    }
}

#[test]
fn both_parts_of_the_initial_twin_are_objects() {
    let request = TermsRequest {
        initial_twin: Some(InitialTwin {
            tags: Document::parse("[]").ok(),
            desired: None,
        }),
        ..TermsRequest::default()
    };
    assert_eq!(
        message(&request),
        "initialTwin: 'tags' must be a JSON object."
    );
}

#[test]
fn version_dates_are_dates() {
    assert_eq!(version_date("2021-10-01"), Some("2021-10-01"));
    assert_eq!(version_date("2021-11-01-preview"), Some("2021-11-01"));
    for bad in [
        "2021-1-001",
        "+021-10-01",
        "2021-00-01",
        "2021-10-01x",
        "é021-10-0",
    ] {
        assert_eq!(version_date(bad), None, "{bad}");
    }
}
