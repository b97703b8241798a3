//! What an enrollment's terms do to the end of a registration.

use std::collections::HashSet;

use landfall_core::attestation::{Evidence, TpmAttestation};
use landfall_core::error::Error;
use landfall_core::id::{DeviceId, ModuleId};
use landfall_hub::store::HubStore;
use serde_json::{Value, json};

use super::{HUBS, Road, Visitor, key, keys};
use crate::bench::hub;

#[tokio::test]
async fn an_edge_device_gets_its_name_its_modules_and_its_twin() {
    let road = Road::new().await;
    let enrollment = json!({
        "attestation": keys(1, 2),
        "deviceId": "Edge#1",
        "capabilities": {"iotEdge": true},
        "initialTwin": {"tags": {"environment": "test"}, "properties": {"desired": {"period": 5}}},
        "allocationPolicy": "static",
        "iotHubs": ["hub.b"],
    });
    road.put("/enrollments/reg-1", enrollment).await;
    let state = road
        .provision(&Visitor::with_key(&road, "reg-1", &key(2)))
        .await;
    assert_eq!(state["registrationId"], "reg-1");
    assert_eq!(
        (&state["deviceId"], &state["assignedHub"]),
        (&json!("Edge#1"), &json!("hub.b"))
    );
    let device = road.device("hub.b", "Edge#1").await.expect("there");
    assert!(device.iot_edge);
    assert_eq!(device.twin.tags.as_str(), r#"{"environment":"test"}"#);
    assert_eq!(device.twin.desired.properties.as_str(), r#"{"period":5}"#);
    let id = DeviceId::parse("Edge#1").expect("valid");
    let modules = road
        .bench
        .backend
        .store
        .modules_of(&hub("hub.b"), &id)
        .await
        .expect("a read");
    let names: Vec<&str> = modules
        .iter()
        .map(|module| ModuleId::as_str(&module.id))
        .collect();
    assert_eq!(names, ["$edgeAgent", "$edgeHub"]);
}

#[tokio::test]
async fn hashed_allocation_uses_both_hubs_and_static_the_named_one() {
    let road = Road::new().await;
    road.put(
        "/enrollmentGroups/fleet",
        json!({"attestation": keys(7, 8)}),
    )
    .await;
    let mut used = HashSet::new();
    for number in 0..16 {
        let visitor = Visitor::of_group(&road, &format!("dev-{number}"), &key(7));
        let first = road.provision(&visitor).await["assignedHub"].clone();
        assert_eq!(
            road.provision(&visitor).await["assignedHub"],
            first,
            "and stays there"
        );
        used.insert(first.as_str().map(str::to_owned));
    }
    assert_eq!(used.len(), HUBS.len());
}

#[tokio::test]
async fn policies_that_are_not_served_end_as_failed_with_the_reason() {
    let webhook = json!({"webhookUrl": "https://example.org/hook", "apiVersion": "2021-10-01"});
    let cases = [
        ("custom", "custom", webhook),
        ("geoLatency", "geoLatency", Value::Null),
    ];
    for (policy, spoken, webhook) in cases {
        let road = Road::new().await;
        let enrollment = json!({
            "attestation": keys(1, 2),
            "allocationPolicy": policy,
            "customAllocationDefinition": webhook,
        });
        road.put("/enrollments/dev-1", enrollment).await;
        let state = road
            .provision(&Visitor::with_key(&road, "dev-1", &key(1)))
            .await;
        assert_eq!(state["status"], "failed");
        let code = state["errorCode"].as_u64().expect("a number");
        assert!((400_000..600_000).contains(&code), "{code}");
        let message = state["errorMessage"].as_str().expect("a reason");
        assert!(message.contains(&format!("'{spoken}'")), "{message}");
        assert!(road.devices().await.is_empty());
    }
}

#[tokio::test]
async fn a_tpm_device_reads_that_it_is_not_served_yet() {
    let road = Road::new().await;
    let attestation = json!({"type": "tpm", "tpm": {"endorsementKey": "AToAAQALAAMAsgAgg3GXZ0SE"}});
    road.put("/enrollments/dev-1", json!({"attestation": attestation}))
        .await;
    let visitor = Visitor {
        id: "dev-1".to_owned(),
        evidence: Evidence {
            tpm: Some(TpmAttestation {
                endorsement_key: "AToAAQALAAMAsgAgg3GXZ0SE".to_owned(),
                storage_root_key: None,
            }),
            ..Evidence::default()
        },
        api_version: "2021-06-01",
    };
    let (error, check) = road.refusal(&visitor).await;
    assert!(
        matches!(&error, Error::Invalid(text) if text.contains("TPM")),
        "{error:?}"
    );
    assert_eq!(check, "stopped: tpm.not_served");
}
