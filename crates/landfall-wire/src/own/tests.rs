//! The bodies of Landfall's own routes in their exact forms.

use std::time::Duration;

use landfall_core::clock::Timestamp;
use landfall_core::enrollment::AllocationPolicy;
use landfall_core::id::{
    Etag, HubHostName, IdScope, OperationId, PolicyName, ServiceName, TrackingId,
};
use landfall_core::secret::KeyPair;
use landfall_core::trace::KeptFinding;

use super::*;

fn keys(byte: u8) -> KeyPair {
    KeyPair {
        primary: SymmetricKey::from_bytes(vec![byte; 32]),
        secondary: SymmetricKey::from_bytes(vec![byte + 1; 32]),
    }
}

fn one() -> (ProvisioningService, Hub) {
    let name = |text: &str| PolicyName::parse(text).expect("valid");
    let hub = HubHostName::parse("127.0.0.1").expect("valid");
    let service = ProvisioningService {
        id_scope: IdScope::parse("0ne0000000A").expect("valid"),
        name: ServiceName::parse("dev").expect("valid"),
        host_name: "localhost".into(),
        policies: vec![AccessPolicy {
            name: name("provisioningserviceowner"),
            keys: keys(1),
            rights: Rights::ALL,
        }],
        allocation: AllocationPolicy::Hashed,
        linked_hubs: vec![LinkedHub {
            host_name: hub.clone(),
            allocation_weight: 1,
            apply_allocation_policy: true,
            location: String::new(),
        }],
        require_verified_chain: false,
        etag: Etag::parse("e").expect("valid"),
        trust_version: 0,
        created: Timestamp::from_unix_seconds(1_657_056_436),
    };
    let hub = Hub {
        host_name: hub,
        policies: vec![HubPolicy {
            name: name("iothubowner"),
            keys: keys(3),
            permissions: Permissions::ALL,
        }],
        created: Timestamp::NEVER,
        revision: 1,
    };
    (service, hub)
}

#[test]
fn a_service_shows_its_strings_only_when_keys_are_asked_for() {
    let (record, hub) = one();
    assert_eq!(
        service(&record, std::slice::from_ref(&hub), Some(8443), false).to_string(),
        concat!(
            r#"{"name":"dev","idScope":"0ne0000000A","serviceHostName":"localhost","#,
            r#""deviceHostName":"localhost","hubHostNames":["127.0.0.1"],"#,
            r#""linkedHubs":[{"hostName":"127.0.0.1","allocationWeight":1,"applyAllocationPolicy":true}],"#,
            r#""allocationPolicy":"hashed","requireVerifiedChain":false,"#,
            r#""createdDateTimeUtc":"2022-07-05T21:27:16.0000000Z","etag":"e"}"#
        )
    );
    let shown = service(&record, std::slice::from_ref(&hub), Some(8443), true);
    assert_eq!(
        shown["serviceConnectionString"],
        "HostName=localhost:8443;SharedAccessKeyName=provisioningserviceowner;\
         SharedAccessKey=AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
    );
    let shown = service(&record, &[hub], Some(443), true);
    assert_eq!(
        shown["hubConnectionString"],
        "HostName=127.0.0.1;SharedAccessKeyName=iothubowner;\
         SharedAccessKey=AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM="
    );
}

#[test]
fn a_new_service_needs_a_name() {
    assert_eq!(
        parse_new_service(br#"{"name":"two","hostName":"","hubHostName":"hub.two"}"#),
        Ok(NewService {
            name: "two".into(),
            host_name: None,
            hub_host_name: Some("hub.two".into())
        })
    );
    assert_eq!(
        parse_new_service(b"{}"),
        Err(Error::Invalid("name is required.".into()))
    );
}

#[test]
fn a_trace_is_written_with_its_stages_and_its_finding() {
    let mut kept = DecisionTrace {
        tracking_id: TrackingId::parse("t-1").expect("valid"),
        id_scope: IdScope::parse("0ne1").ok(),
        registration_id: "dev-1".into(),
        operation: OperationId::parse("5.0.a").ok(),
        action: "register".into(),
        protocol: "https".into(),
        peer: "127.0.0.1:1".into(),
        started: Timestamp::from_unix_seconds(1_657_056_436),
        stages: vec![Passage {
            stage: "request".into(),
            at: Duration::from_micros(17),
            note: "n".into(),
        }],
        outcome: "202 assigning".into(),
        finding: None,
    };
    assert_eq!(
        trace(&kept).to_string(),
        concat!(
            r#"{"trackingId":"t-1","idScope":"0ne1","registrationId":"dev-1","#,
            r#""operationId":"5.0.a","action":"register","protocol":"https","#,
            r#""peer":"127.0.0.1:1","started":"2022-07-05T21:27:16.0000000Z","#,
            r#""stages":[{"stage":"request","atMicroseconds":17,"note":"n"}],"#,
            r#""outcome":"202 assigning"}"#
        )
    );
    kept.finding = Some(KeptFinding {
        check: "sas.expired".into(),
        expected: "e".into(),
        seen: "s".into(),
        fix: "f".into(),
    });
    kept.operation = None;
    kept.id_scope = None;
    let shown = trace(&kept);
    assert_eq!(
        shown["finding"],
        json!({"check":"sas.expired","expected":"e","seen":"s","fix":"f"})
    );
    assert!(shown.get("operationId").is_none() && shown.get("idScope").is_none());
}
