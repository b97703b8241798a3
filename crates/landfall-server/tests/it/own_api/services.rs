//! Services that change and end: what goes along, what stays, and that nothing is left behind.

use http::Method;
use landfall_core::secret::SymmetricKey;
use landfall_core::store::{Contents, Store as _};
use landfall_hub::store::{DeviceCounts, HubStore as _};
use serde_json::{Value, json};

use super::{HUB, House, SERVICE_HOST};

const PATH: &str = "/landfall/services/factory";

impl House {
    /// A service with something of every kind in it.
    async fn furnish(&self) {
        let tags = json!({"tags": {"site": "a"}});
        let body = json!({"registrationId": "dev-1", "attestation": {"type": "symmetricKey"},
            "capabilities": {"iotEdge": true}, "initialTwin": tags});
        let put = self
            .call(Method::PUT, "/enrollments/dev-1", &self.owner(), None, body)
            .await;
        assert_eq!(put.status, 200, "{:?}", put.body);
        let group = json!({"enrollmentGroupId": "grp", "attestation": {"type": "symmetricKey"}});
        let put = self
            .call(
                Method::PUT,
                "/enrollmentGroups/grp",
                &self.owner(),
                None,
                group,
            )
            .await;
        assert_eq!(put.status, 200, "{:?}", put.body);
        assert_eq!(self.register("dev-1").await, 202);
        assert_eq!(
            self.register_with("nobody", &SymmetricKey::from_bytes(vec![1; 32]))
                .await,
            401
        );
    }
}

#[tokio::test]
async fn settings_change_one_by_one_and_only_in_the_state_that_was_meant() {
    let house = House::new().await;
    let before = house.control(Method::GET, PATH, Value::Null).await;
    assert_eq!(before.body["allocationPolicy"], "hashed");
    let change = json!({"allocationPolicy": "static"});
    let changed = house.control(Method::PATCH, PATH, change).await;
    assert_eq!(
        (changed.status, changed.text("allocationPolicy")),
        (200, "static".to_owned())
    );
    assert_eq!(changed.body["requireVerifiedChain"], false);
    assert_ne!(changed.text("etag"), before.text("etag"));
    let stale = before.text("etag");
    for (method, body) in [
        (Method::PATCH, json!({"requireVerifiedChain": true})),
        (Method::DELETE, Value::Null),
    ] {
        let refused = house
            .call(method, PATH, &house.bearer(), Some(&stale), body)
            .await;
        assert_eq!(refused.status, 412);
    }
    let fresh = changed.text("etag");
    let body = json!({"requireVerifiedChain": true, "hostName": "New.test"});
    let changed = house
        .call(Method::PATCH, PATH, &house.bearer(), Some(&fresh), body)
        .await;
    assert_eq!(changed.text("serviceHostName"), "new.test");
    assert_eq!(changed.body["requireVerifiedChain"], true);
    assert_eq!(changed.body["allocationPolicy"], "static");
    // This server has no certificate at all, which the answer tells and the record does not.
    let mut answer = changed.body.clone();
    let warnings = answer
        .as_object_mut()
        .and_then(|all| all.remove("warnings"));
    let warning = warnings.as_ref().and_then(|all| all[0].as_str());
    assert!(warning.is_some_and(|text| text.contains("'new.test'")));
    let read = house.control(Method::GET, PATH, Value::Null).await;
    assert_eq!(read.body, answer);

    for body in [
        json!({"allocationPolicy": "custom"}),
        json!({"allocationPolicy": "nearest"}),
        json!({"hostName": "no/host"}),
        json!({"idScope": "0ne1"}),
        json!({"linkedHubs": []}),
        json!({"linkedHubs": [{"hostName": "nobody.test"}]}),
        json!({"linkedHubs": [{"hostName": HUB}, {"hostName": "HUB.test"}]}),
    ] {
        let refused = house.control(Method::PATCH, PATH, body.clone()).await;
        assert_eq!(refused.status, 400, "{body}: {:?}", refused.body);
    }
    assert_eq!(
        house.control(Method::GET, PATH, Value::Null).await.body,
        read.body
    );
}

#[tokio::test]
async fn a_service_that_is_not_empty_goes_only_by_force_and_says_what_went() {
    let house = House::new().await;
    house.furnish().await;
    let refused = house.control(Method::DELETE, PATH, Value::Null).await;
    assert_eq!(
        (refused.status, &refused.body["errorCode"]),
        (409, &json!(409_202))
    );
    assert_eq!(
        refused.message(),
        "Provisioning service 'factory' is not empty; with it would go: 1 individual enrollment, 1 enrollment group, 1 registration, 1 device on hub hub.test."
    );
    assert_eq!(house.register("dev-1").await, 202);

    let traced = house
        .control(
            Method::GET,
            "/landfall/registrations/nobody/traces",
            Value::Null,
        )
        .await;
    assert_eq!(traced.body["value"].as_array().map(Vec::len), Some(1));
    let gone = house
        .control(Method::DELETE, &format!("{PATH}?force=true"), Value::Null)
        .await;
    assert_eq!(gone.status, 200, "{:?}", gone.body);
    assert_eq!(gone.body["registrations"], 1);
    assert_eq!(gone.body["hubs"], json!([{"hostName": HUB, "devices": 1}]));
    let store = &house.faces.backend.store;
    let (scope, hub) = (&house.service.id_scope, &house.hub.host_name);
    assert_eq!(store.contents(scope).await, Ok(Contents::default()));
    assert_eq!(store.device_counts(hub).await, Ok(DeviceCounts::default()));
    assert_eq!(store.traces_of(scope, "nobody", 10).await, Ok(Vec::new()));
    assert!(store.hubs().await.expect("read").is_empty());

    // Its devices and operators get the usual refusals.
    let key = SymmetricKey::from_bytes(vec![1; 32]);
    assert_eq!(house.register_with("dev-1", &key).await, 401);
    let operator = house
        .call(
            Method::GET,
            "/enrollments/dev-1",
            &house.owner(),
            None,
            Value::Null,
        )
        .await;
    assert_eq!((operator.status, operator.message()), (401, "Unauthorized"));
    let hub = house.of_hub("iothubowner");
    let device = house
        .call(Method::GET, "/devices/dev-1", &hub, None, Value::Null)
        .await;
    assert_eq!(device.status, 404);
    assert_eq!(
        house.control(Method::GET, PATH, Value::Null).await.status,
        404
    );
}

#[tokio::test]
async fn a_hub_that_was_kept_or_is_shared_survives_and_can_be_linked_again() {
    let house = House::new().await;
    house.furnish().await;
    let second = json!({"name": "second", "hostName": "dps2.test", "hubHostName": "hub2.test"});
    assert_eq!(
        house
            .control(Method::POST, "/landfall/services", second)
            .await
            .status,
        201
    );
    let shared = json!({"linkedHubs": [{"hostName": "hub2.test", "allocationWeight": 5}, {"hostName": HUB}]});
    let linked = house
        .control(Method::PATCH, "/landfall/services/second", shared)
        .await;
    assert_eq!(linked.status, 200, "{:?}", linked.body);
    assert_eq!(
        linked.body["linkedHubs"],
        json!([
            {"hostName": "hub2.test", "allocationWeight": 5, "applyAllocationPolicy": true},
            {"hostName": HUB, "allocationWeight": 1, "applyAllocationPolicy": true}
        ])
    );
    let gone = house
        .control(Method::DELETE, &format!("{PATH}?force=true"), Value::Null)
        .await;
    assert_eq!(
        (gone.status, &gone.body["hubs"]),
        (200, &json!([])),
        "{:?}",
        gone.body
    );
    let hub = house.of_hub("iothubowner");
    let device = house
        .call(Method::GET, "/devices/dev-1", &hub, None, Value::Null)
        .await;
    assert_eq!(device.status, 200);

    let path = "/landfall/services/second?keepHubs=true";
    let gone = house.control(Method::DELETE, path, Value::Null).await;
    assert_eq!(
        (gone.status, &gone.body["keptHubs"]),
        (200, &json!([HUB, "hub2.test"])),
        "{:?}",
        gone.body
    );
    let third = json!({"name": "third", "hostName": SERVICE_HOST, "hubHostName": HUB});
    let made = house
        .control(Method::POST, "/landfall/services?keys=true", third)
        .await;
    assert_eq!(made.status, 201, "{:?}", made.body);
    let device = house
        .call(Method::GET, "/devices/dev-1", &hub, None, Value::Null)
        .await;
    assert_eq!(device.status, 200, "the hub kept its devices and keys");
    let fourth = json!({"name": "fourth", "hostName": SERVICE_HOST, "hubHostName": HUB});
    assert_eq!(
        house
            .control(Method::POST, "/landfall/services", fourth)
            .await
            .status,
        409
    );
}

#[tokio::test]
async fn a_hub_made_again_under_its_name_has_nothing_of_the_old_one() {
    let house = House::new().await;
    house.furnish().await;
    let old = house.of_hub("iothubowner");
    let revision = house
        .faces
        .backend
        .store
        .hub(&house.hub.host_name)
        .await
        .expect("read")
        .expect("there")
        .revision;
    house
        .control(Method::DELETE, &format!("{PATH}?force=true"), Value::Null)
        .await;
    let again = json!({"name": "factory", "hostName": SERVICE_HOST, "hubHostName": HUB});
    let made = house
        .control(Method::POST, "/landfall/services", again)
        .await;
    assert_eq!(made.status, 201, "{:?}", made.body);
    let refused = house
        .call(Method::GET, "/devices/dev-1", &old, None, Value::Null)
        .await;
    assert_eq!(refused.status, 401);
    let hub = house
        .faces
        .backend
        .store
        .hub(&house.hub.host_name)
        .await
        .expect("read")
        .expect("there");
    assert!(hub.revision > revision, "{} after {revision}", hub.revision);
    let services = house.faces.backend.store.services().await.expect("read");
    assert_eq!(services.len(), 1);
    assert_ne!(services[0].id_scope, house.service.id_scope);
}
