//! Registering again: what a device keeps, takes along or loses.

use landfall_core::id::Etag;
use landfall_core::store::{Expect, Store, Write};
use landfall_hub::device::DeviceAuthentication;
use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};
use serde_json::{Value, json};

use super::{HUBS, Road, SCOPE, Visitor, key, keys, marked};
use crate::bench::id_scope;

fn on(hub: &str, mut enrollment: Value) -> Value {
    enrollment["allocationPolicy"] = "static".into();
    enrollment["iotHubs"] = json!([hub]);
    enrollment
}

fn policy(update: bool, migrate: bool) -> Value {
    json!({"updateHubAssignment": update, "migrateDeviceData": migrate})
}

fn enrollment(reprovision: &Value) -> Value {
    json!({
        "attestation": keys(1, 2),
        "initialTwin": {"tags": {"first": 1}, "properties": {"desired": {"period": 5}}},
        "reprovisionPolicy": reprovision,
    })
}

/// A device on `hub.a` under this policy, whose twin an operator marked.
async fn settled(reprovision: &Value) -> (Road, Visitor) {
    let road = Road::new().await;
    road.put("/enrollments/dev-1", on(HUBS[0], enrollment(reprovision)))
        .await;
    let visitor = Visitor::with_key(&road, "dev-1", &key(1));
    let state = road.provision(&visitor).await;
    assert_eq!(state["substatus"], "initialAssignment");
    let device = road.device(HUBS[0], "dev-1").await.expect("on its hub");
    road.mark(HUBS[0], device).await;
    (road, visitor)
}

#[tokio::test]
async fn a_device_that_returns_to_its_hub_keeps_its_twin_by_default() {
    let (road, visitor) = settled(&Value::Null).await;
    let before = road.device(HUBS[0], "dev-1").await.expect("there");
    let state = road.provision(&visitor).await;
    assert_eq!(state["status"], "assigned");
    assert_eq!(state["substatus"], "reprovisionedToInitialAssignment");
    let after = road.device(HUBS[0], "dev-1").await.expect("there");
    assert_eq!(
        after, before,
        "nothing on the hub changed, its revision included"
    );
}

#[tokio::test]
async fn a_device_that_returns_under_reset_begins_anew() {
    let (road, visitor) = settled(&policy(true, false)).await;
    let state = road.provision(&visitor).await;
    assert_eq!(state["substatus"], "deviceDataReset");
    let after = road.device(HUBS[0], "dev-1").await.expect("there");
    assert!(!marked(&after));
    assert!(
        after.twin.tags.as_str().contains("first"),
        "the initial twin again"
    );
    assert_eq!(road.devices().await.len(), 1);
}

#[tokio::test]
async fn a_changed_hub_takes_the_device_as_the_policy_says() {
    let cases = [
        (policy(true, true), HUBS[1], "deviceDataMigrated", true),
        (policy(true, false), HUBS[1], "deviceDataReset", false),
        (
            policy(false, false),
            HUBS[0],
            "reprovisionedToInitialAssignment",
            true,
        ),
    ];
    for (reprovision, hub, substatus, keeps_twin) in cases {
        let (road, visitor) = settled(&reprovision).await;
        road.put("/enrollments/dev-1", on(HUBS[1], enrollment(&reprovision)))
            .await;
        let state = road.provision(&visitor).await;
        assert_eq!(state["assignedHub"], hub);
        assert_eq!(state["substatus"], substatus);
        let devices = road.devices().await;
        assert_eq!(devices.len(), 1, "gone from the other hub");
        assert_eq!(devices[0].0, hub);
        assert_eq!(marked(&devices[0].1), keeps_twin);
        let again = road.provision(&visitor).await;
        assert_eq!(again["assignedHub"], hub, "and there it stays");
    }
}

#[tokio::test]
async fn a_device_that_never_moves_fails_once_its_hub_is_unlinked() {
    let (road, visitor) = settled(&policy(false, false)).await;
    let store = &road.bench.backend.store;
    let mut service = store
        .service(&id_scope(SCOPE))
        .await
        .expect("a read")
        .expect("there");
    service
        .linked_hubs
        .retain(|hub| hub.host_name.as_str() != HUBS[0]);
    service.etag = Etag::draw(&*road.bench.backend.entropy);
    road.bench
        .write(Write::PutService(Box::new(service), Expect::Present))
        .await;
    let state = road.provision(&visitor).await;
    assert_eq!(state["status"], "failed");
    let message = state["errorMessage"].as_str().expect("a reason");
    assert!(message.contains("hub.a is not linked"), "{message}");
}

#[tokio::test]
async fn an_old_client_without_a_stored_policy_keeps_its_hub() {
    for (api_version, hub) in [("2018-04-01", HUBS[0]), ("2019-03-31", HUBS[1])] {
        let (road, mut visitor) = settled(&Value::Null).await;
        visitor.api_version = api_version;
        road.put("/enrollments/dev-1", on(HUBS[1], enrollment(&Value::Null)))
            .await;
        assert_eq!(
            road.provision(&visitor).await["assignedHub"],
            hub,
            "{api_version}"
        );
    }
}

#[tokio::test]
async fn rolled_keys_reach_the_hub_when_the_device_returns() {
    let (road, _) = settled(&Value::Null).await;
    let mut rolled = on(HUBS[0], enrollment(&Value::Null));
    rolled["attestation"] = keys(3, 4);
    road.put("/enrollments/dev-1", rolled).await;
    let visitor = Visitor::with_key(&road, "dev-1", &key(4));
    let state = road.provision(&visitor).await;
    assert_eq!(state["substatus"], "reprovisionedToInitialAssignment");
    let device = road.device(HUBS[0], "dev-1").await.expect("there");
    let DeviceAuthentication::Sas(pair) = &device.authentication else {
        panic!("{:?}", device.authentication)
    };
    assert!(pair.primary.same_as(&key(3)) && pair.secondary.same_as(&key(4)));
    assert!(marked(&device), "the twin stays");
}

#[tokio::test]
async fn a_device_that_spells_its_id_otherwise_is_the_same_device() {
    let road = Road::new().await;
    road.put("/enrollments/Dev-1", json!({"attestation": keys(1, 2)}))
        .await;
    let first = Visitor::with_key(&road, "Dev-1", &key(1));
    assert_eq!(road.provision(&first).await["deviceId"], "Dev-1");
    let state = road
        .provision(&Visitor::with_key(&road, "dev-1", &key(1)))
        .await;
    assert_eq!(state["registrationId"], "dev-1", "as the device spelt it");
    assert_eq!(state["deviceId"], "Dev-1");
    assert_eq!(state["substatus"], "reprovisionedToInitialAssignment");
    assert_eq!(road.devices().await.len(), 1);
    // An operator who names the device gets that name, whatever its case.
    road.put(
        "/enrollments/dev-1",
        json!({"attestation": keys(1, 2), "deviceId": "DEV-1"}),
    )
    .await;
    assert_eq!(road.provision(&first).await["deviceId"], "DEV-1");
    assert_eq!(road.devices().await.len(), 1);
}

fn leaf(name: &str) -> (String, Vec<u8>) {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2099, 1, 1);
    let key = KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("a certificate");
    (certificate.pem(), certificate.der().to_vec())
}

#[tokio::test]
async fn a_rolled_leaf_reaches_the_hub_when_the_device_returns() {
    let road = Road::new().await;
    let ((old_pem, old), (new_pem, new)) = (leaf("dev-1"), leaf("dev-1"));
    let with = |primary: &str| {
        on(
            HUBS[0],
            json!({"attestation": {"type": "x509", "x509": {"clientCertificates": {"primary": {"certificate": primary}}}}}),
        )
    };
    road.put("/enrollments/dev-1", with(&old_pem)).await;
    road.provision(&Visitor::with_certificate("dev-1", &old))
        .await;
    let before = road.device(HUBS[0], "dev-1").await.expect("there");
    road.put("/enrollments/dev-1", with(&new_pem)).await;
    let (_, check) = road
        .refusal(&Visitor::with_certificate("dev-1", &old))
        .await;
    assert_eq!(check, "stopped: x509.thumbprint");
    let state = road
        .provision(&Visitor::with_certificate("dev-1", &new))
        .await;
    assert_eq!(state["substatus"], "reprovisionedToInitialAssignment");
    let after = road.device(HUBS[0], "dev-1").await.expect("there");
    assert_ne!(after.authentication, before.authentication);
    let DeviceAuthentication::SelfSigned { primary, secondary } = &after.authentication else {
        panic!("{:?}", after.authentication)
    };
    assert_eq!(primary.as_ref().map(String::len), Some(64));
    assert_eq!(primary, secondary, "one certificate fills both slots");
}
