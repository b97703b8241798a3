//! Changes at the same time: one wins, the others are told, and nothing is half there.

use std::sync::Arc;

use http::Method;
use landfall_core::secret::SymmetricKey;
use landfall_core::store::Store as _;
use landfall_hub::store::HubStore as _;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{HUB, House, SERVICE_HOST};

const PATH: &str = "/landfall/services/factory";

/// Runs as many calls at once as `call` makes, and gives their statuses in ascending order.
async fn at_once<F>(count: usize, call: impl Fn(usize) -> F) -> Vec<u16>
where
    F: Future<Output = u16> + Send + 'static,
{
    let mut running = JoinSet::new();
    for number in 0..count {
        running.spawn(call(number));
    }
    let mut statuses = running.join_all().await;
    statuses.sort_unstable();
    statuses
}

#[tokio::test(flavor = "multi_thread")]
async fn of_rotations_at_once_from_one_state_exactly_one_happens() {
    let house = Arc::new(House::new().await);
    for (policies, name) in [
        (
            "/landfall/services/factory/policies",
            "provisioningserviceowner",
        ),
        ("/landfall/hubs/hub.test/policies", "iothubowner"),
    ] {
        let path = format!("{policies}/{name}?keys=true");
        let before = house.control(Method::GET, &path, Value::Null).await;
        let etag = before.text("etag");
        let rotate = format!("{policies}/{name}/rotate");
        let statuses = at_once(8, |_| {
            let (house, rotate, etag) = (Arc::clone(&house), rotate.clone(), etag.clone());
            async move {
                let who = house.bearer();
                house
                    .call(Method::POST, &rotate, &who, Some(&etag), Value::Null)
                    .await
                    .status
            }
        })
        .await;
        assert_eq!(statuses, [200, 412, 412, 412, 412, 412, 412, 412]);
        let after = house.control(Method::GET, &path, Value::Null).await;
        assert_eq!(
            after.text("secondaryKey"),
            before.text("primaryKey"),
            "no key is lost"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_made_at_once_are_all_there() {
    let house = Arc::new(House::new().await);
    let statuses = at_once(20, |number| {
        let house = Arc::clone(&house);
        async move {
            let path = format!("{PATH}/policies/policy-{}", number % 10);
            let body = json!({"rights": "EnrollmentRead"});
            house.control(Method::PUT, &path, body).await.status
        }
    })
    .await;
    assert_eq!(statuses, [vec![201; 10], vec![409; 10]].concat());
    let listed = house
        .control(Method::GET, &format!("{PATH}/policies"), Value::Null)
        .await;
    assert_eq!(listed.body["value"].as_array().map(Vec::len), Some(11));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_deleted_while_devices_register_leaves_no_device_and_no_row() {
    let house = Arc::new(House::new().await);
    let mut keys = Vec::new();
    for number in 0..12 {
        let id = format!("dev-{number}");
        house.enroll(&id).await;
        let path = format!("/enrollments/{id}/attestationmechanism");
        let shown = house
            .call(Method::POST, &path, &house.owner(), None, Value::Null)
            .await;
        let key = shown.body["symmetricKey"]["primaryKey"]
            .as_str()
            .expect("a key")
            .to_owned();
        keys.push((id, SymmetricKey::from_base64(&key).expect("a key")));
    }
    let mut running = JoinSet::new();
    for (id, key) in keys {
        let house = Arc::clone(&house);
        running.spawn(async move { house.register_with(&id, &key).await });
    }
    let gone = house
        .control(Method::DELETE, &format!("{PATH}?force=true"), Value::Null)
        .await;
    assert_eq!(gone.status, 200, "{:?}", gone.body);
    for status in running.join_all().await {
        assert!(matches!(status, 202 | 401), "{status}");
    }
    let store = &house.faces.backend.store;
    assert!(store.hubs().await.expect("read").is_empty());
    assert!(store.services().await.expect("read").is_empty());
    assert!(
        store
            .unfinished_operations(100)
            .await
            .expect("read")
            .is_empty()
    );
    let counts = store
        .device_counts(&house.hub.host_name)
        .await
        .expect("read");
    assert_eq!(counts.total, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_and_making_one_name_at_once_ends_with_one_whole_service_or_none() {
    let house = Arc::new(House::new().await);
    let statuses = at_once(9, |number| {
        let house = Arc::clone(&house);
        async move {
            if number % 3 == 0 {
                house
                    .control(Method::DELETE, PATH, Value::Null)
                    .await
                    .status
            } else {
                let body = json!({"name": "factory", "hostName": SERVICE_HOST, "hubHostName": HUB});
                house
                    .control(Method::POST, "/landfall/services", body)
                    .await
                    .status
            }
        }
    })
    .await;
    for status in &statuses {
        assert!(matches!(status, 200 | 201 | 404 | 409), "{statuses:?}");
    }
    let store = &house.faces.backend.store;
    let services = store.services().await.expect("read");
    let hubs = store.hubs().await.expect("read");
    assert_eq!(services.len(), hubs.len(), "{services:?} {hubs:?}");
    assert!(services.len() <= 1);
    let (made, deleted) = (
        statuses.iter().filter(|status| **status == 201).count(),
        statuses.iter().filter(|status| **status == 200).count(),
    );
    assert_eq!(services.len() + deleted, 1 + made);
}
