//! Tests of the calls, on a real store: status, headers and bodies as clients read them.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use landfall_core::clock::{Clock, Entropy};
use landfall_core::id::HubHostName;
use landfall_core::sas::sign;
use landfall_core::store::{Change, Store};
use landfall_hub::policy::default_policies;
use landfall_hub::store::{HubExpect, HubWrite};
use landfall_store::SqlStore;
use landfall_store::secret::SealingKey;
use landfall_wire::route::{self, Route};
use serde_json::{Value, json};

use super::*;
use crate::backend::Backend;
use crate::feed::Feed;
use crate::telemetry::{TraceRetention, Traces};
use crate::time::{SystemClock, SystemEntropy};

const HOST: &str = "127.0.0.1";

/// A server with one hub, and its operator.
struct Desk {
    devices: HubDevices<SqlStore>,
    hubs: Vec<Hub>,
    _folder: tempfile::TempDir,
}

/// What came back.
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Checks an error in both forms; gives its text.
    fn refused(&self, status: u16, name: &str) -> String {
        assert_eq!(self.status, status, "{}", self.body);
        assert_eq!(self.header("iothub-errorcode"), Some(name));
        let message = self.body["Message"].as_str().expect("a message");
        let text = message
            .strip_prefix(&format!("ErrorCode:{name};"))
            .expect("the name");
        let tracking = self.body["ExceptionMessage"].as_str().expect("a text");
        assert!(tracking.starts_with("Tracking ID:"), "{tracking}");
        text.to_owned()
    }
}

impl Desk {
    async fn open() -> Desk {
        let folder = tempfile::tempdir().expect("a folder");
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        let store = SqlStore::sqlite(
            folder.path().join("landfall.db"),
            SealingKey::generate(&*entropy),
            Arc::clone(&clock),
            Arc::clone(&entropy),
        )
        .expect("a store");
        let hub = Hub {
            host_name: HubHostName::parse(HOST).expect("a name"),
            policies: default_policies(&*entropy),
            created: clock.now(),
            revision: 0,
        };
        let write = HubWrite::PutHub(Box::new(hub.clone()), HubExpect::Absent);
        let written = store.commit(vec![Change::of_hub(vec![write])]).await;
        assert_eq!(written, [Ok(())]);
        let backend = Backend::observing(store, clock, entropy);
        let retention = TraceRetention {
            age: Duration::from_secs(60),
            count: 10,
        };
        Desk {
            devices: HubDevices {
                relay: Arc::default(),
                feed: Feed::default(),
                traces: Traces::start(&backend, retention).0,
                backend,
            },
            hubs: vec![hub],
            _folder: folder,
        }
    }

    fn token(&self, policy: &str) -> String {
        let policy = self.hubs[0]
            .policies
            .iter()
            .find(|known| known.name.as_str() == policy)
            .expect("a default policy");
        let expiry = self
            .devices
            .backend
            .clock
            .now()
            .plus(Duration::from_secs(60));
        let name = policy.name.as_str();
        sign(HOST, &policy.keys.primary, Some(name), expiry)
    }

    /// Calls as the owner.
    async fn call(&self, method: Method, path: &str, body: Value) -> Answer {
        self.call_with(method, path, body, &[]).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, Value::Null).await
    }

    /// Calls as the owner with more headers, or with other ones.
    async fn call_with(
        &self,
        method: Method,
        path: &str,
        body: Value,
        headers: &[(&'static str, &str)],
    ) -> Answer {
        let body = match body {
            Value::Null => Vec::new(),
            body => body.to_string().into_bytes(),
        };
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let owner = self.token("iothubowner");
        let host = format!("{HOST}:8443");
        let mut all = HeaderMap::new();
        for (name, value) in [("host", host.as_str()), ("authorization", owner.as_str())]
            .iter()
            .chain(headers)
        {
            let value = HeaderValue::from_str(value).expect("a header");
            all.insert(HeaderName::from_static(name), value);
        }
        let request = Request {
            method,
            path: path.to_owned(),
            query: Some(format!("{query}&api-version=2021-04-12")),
            headers: all,
            body,
        };
        let Some(Route::Hub(route)) = route::parse(&request.path) else {
            panic!("{path} is no path of the hub API");
        };
        let origin = Origin::own(
            self.devices.backend.clock.now(),
            &*self.devices.backend.entropy,
        );
        let reply = answer(
            &self.devices,
            &self.hubs,
            &Arc::from([]),
            &request,
            &route,
            &origin,
        )
        .await;
        assert_eq!(
            reply
                .headers
                .get("x-ms-request-id")
                .map(HeaderValue::as_bytes),
            Some(origin.tracking_id.as_str().as_bytes())
        );
        if !reply.body.is_empty() {
            assert_eq!(
                reply.headers.get("content-type").map(HeaderValue::as_bytes),
                Some(b"application/json; charset=utf-8".as_slice())
            );
        }
        Answer {
            status: reply.status.as_u16(),
            headers: reply.headers,
            body: serde_json::from_slice(&reply.body).unwrap_or(Value::Null),
        }
    }
}

#[tokio::test]
async fn a_device_is_made_read_changed_and_removed() {
    let desk = Desk::open().await;
    let body = json!({"deviceId": "Dev+1", "status": "enabled",
        "authentication": {"symmetricKey": {"primaryKey": "", "secondaryKey": ""}, "type": "sas"}});
    let made = desk
        .call(Method::PUT, "/devices/Dev%2B1", body.clone())
        .await;
    assert_eq!(made.status, 200, "{}", made.body);
    let etag = made.header("etag").expect("an etag").to_owned();
    assert_eq!(
        etag,
        format!("\"{}\"", made.body["etag"].as_str().expect("an etag"))
    );
    let key = &made.body["authentication"]["symmetricKey"]["primaryKey"];
    assert_eq!(key.as_str().map(str::len), Some(44));

    assert_eq!(desk.get("/devices/Dev%2B1").await.body, made.body);
    let again = desk
        .call(Method::PUT, "/devices/Dev%2B1", body.clone())
        .await;
    again.refused(409, "DeviceAlreadyExists");

    let mut off = made.body.clone();
    off["status"] = json!("disabled");
    let path = "/devices/Dev%2B1";
    let updated = desk
        .call_with(Method::PUT, path, off.clone(), &[("if-match", &etag)])
        .await;
    assert_eq!(updated.status, 200, "{}", updated.body);
    assert_eq!(updated.body["status"], "disabled");
    assert_eq!(updated.body["authentication"], made.body["authentication"]);
    assert_eq!(updated.body["generationId"], made.body["generationId"]);
    desk.call_with(Method::PUT, path, off, &[("if-match", &etag)])
        .await
        .refused(412, "PreconditionFailed");

    let counts = desk.get("/statistics/devices").await.body;
    assert_eq!(
        counts,
        json!({"totalDeviceCount": 1, "enabledDeviceCount": 0, "disabledDeviceCount": 1})
    );
    assert_eq!(
        desk.get("/statistics/service").await.body,
        json!({"connectedDeviceCount": 0})
    );

    let star = [("if-match", "\"*\"")];
    let gone = desk
        .call_with(Method::DELETE, path, Value::Null, &star)
        .await;
    assert_eq!((gone.status, gone.body), (204, Value::Null));
    let text = desk.get(path).await.refused(404, "DeviceNotFound");
    assert_eq!(text, "Device Dev+1 not registered");
    desk.call_with(Method::PUT, path, json!({}), &star)
        .await
        .refused(404, "DeviceNotFound");
}

#[tokio::test]
async fn a_listing_gives_as_many_as_asked() {
    let desk = Desk::open().await;
    let records: Vec<Value> = (0..5).map(|n| json!({"id": format!("d{n}")})).collect();
    let made = desk.call(Method::POST, "/devices", json!(records)).await;
    assert_eq!(made.status, 200, "{}", made.body);
    assert_eq!(
        made.body,
        json!({"isSuccessful": true, "errors": [], "warnings": []})
    );
    let ids = |answer: &Answer| -> Vec<String> {
        let items = answer.body.as_array().expect("an array");
        items
            .iter()
            .map(|device| device["deviceId"].as_str().expect("an id").to_owned())
            .collect()
    };
    assert_eq!(ids(&desk.get("/devices/?top=2").await), ["d0", "d1"]);
    assert_eq!(ids(&desk.get("/devices").await).len(), 5);
    assert_eq!(ids(&desk.get("/devices?top=5000").await).len(), 5);
    desk.get("/devices?top=none")
        .await
        .refused(400, "ArgumentInvalid");
}

#[tokio::test]
async fn bulk_makes_identity_and_twin_in_one_call_and_names_what_it_refused() {
    let desk = Desk::open().await;
    let records = json!([
        {"id": "a", "importMode": "create", "status": "enabled",
         "capabilities": {"iotEdge": true},
         "tags": {"environment": "test"}, "properties": {"desired": {"rate": 5}}},
        {"id": "a", "importMode": "create"},
        {"id": "b", "importMode": "delete"}
    ]);
    let answer = desk.call(Method::POST, "/devices", records).await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.body["isSuccessful"], false);
    let errors = answer.body["errors"].as_array().expect("errors");
    let codes: Vec<_> = errors
        .iter()
        .map(|error| (error["deviceId"].as_str(), error["errorCode"].as_str()))
        .collect();
    assert_eq!(codes.len(), 2);
    assert!(codes.contains(&(Some("a"), Some("DeviceAlreadyExists"))));
    assert!(codes.contains(&(Some("b"), Some("DeviceNotFound"))));

    let twin = desk.get("/twins/a").await;
    assert_eq!(twin.body["tags"], json!({"environment": "test"}));
    assert_eq!(twin.body["properties"]["desired"]["rate"], 5);
    assert_eq!(twin.body["properties"]["desired"]["$version"], 1);
    let modules = desk.get("/devices/a/modules").await.body;
    let ids: Vec<_> = modules
        .as_array()
        .expect("an array")
        .iter()
        .map(|module| module["moduleId"].as_str())
        .collect();
    assert_eq!(ids, [Some("$edgeAgent"), Some("$edgeHub")]);
    assert_eq!(
        desk.get("/devices/a/modules/%24edgeAgent").await.status,
        200
    );
    assert_eq!(desk.get("/devices/a/modules/$edgeHub").await.status, 200);

    let many: Vec<Value> = (0..101).map(|n| json!({"id": format!("m{n}")})).collect();
    desk.call(Method::POST, "/devices", json!(many))
        .await
        .refused(413, "TooManyDevices");
}

#[tokio::test]
async fn twins_are_patched_replaced_and_guarded() {
    let desk = Desk::open().await;
    desk.call(Method::PUT, "/devices/d", json!({})).await;
    let fresh = desk.get("/twins/d").await;
    assert_eq!(fresh.header("etag"), Some("\"AAAAAAAAAAE=\""));
    let patch = json!({"tags": {"a": 1}, "properties": {"desired": {"x": {"y": 1}}}});
    let known = [("if-match", "\"AAAAAAAAAAE=\"")];
    let patched = desk
        .call_with(Method::PATCH, "/twins/d", patch.clone(), &known)
        .await;
    assert_eq!(patched.status, 200, "{}", patched.body);
    assert_eq!(patched.body["properties"]["desired"]["$version"], 2);
    desk.call_with(Method::PATCH, "/twins/d", patch, &known)
        .await
        .refused(412, "PreconditionFailed");

    let mut whole = patched.body.clone();
    whole["tags"] = json!({"b": 2});
    let replaced = desk.call(Method::PUT, "/twins/d", whole).await;
    assert_eq!(replaced.status, 200, "{}", replaced.body);
    assert_eq!(replaced.body["tags"], json!({"b": 2}));
    assert_eq!(replaced.body["properties"]["desired"]["x"], json!({"y": 1}));

    let bad = json!({"properties": {"desired": {"a.b": 1}}});
    let text = desk
        .call(Method::PATCH, "/twins/d", bad)
        .await
        .refused(400, "ArgumentInvalid");
    assert!(text.contains("'a.b' in 'properties.desired'"), "{text}");
    let large = json!({"tags": {"a": "x".repeat(4096), "b": "x".repeat(4096)}});
    desk.call(Method::PATCH, "/twins/d", large)
        .await
        .refused(413, "MessageTooLarge");
    desk.call(Method::PATCH, "/twins/none", json!({"tags": {}}))
        .await
        .refused(404, "DeviceNotFound");
}

#[tokio::test]
async fn modules_have_identities_and_twins() {
    let desk = Desk::open().await;
    desk.call(Method::PUT, "/devices/d", json!({})).await;
    let body = json!({"deviceId": "d", "moduleId": "m", "managedBy": "IotEdge"});
    let made = desk.call(Method::PUT, "/devices/d/modules/m", body).await;
    assert_eq!(made.status, 200, "{}", made.body);
    assert_eq!(made.body["managedBy"], "IotEdge");
    desk.call(Method::PUT, "/devices/d/modules/m", json!({}))
        .await
        .refused(409, "ModuleAlreadyExistsOnDevice");
    let patch = json!({"properties": {"desired": {"rate": 2}}});
    let twin = desk.call(Method::PATCH, "/twins/d/modules/m", patch).await;
    assert_eq!(twin.status, 200, "{}", twin.body);
    assert_eq!(twin.body["moduleId"], "m");
    assert_eq!(twin.body["properties"]["desired"]["rate"], 2);
    let gone = desk
        .call(Method::DELETE, "/devices/d/modules/m", Value::Null)
        .await;
    assert_eq!(gone.status, 204);
    desk.get("/twins/d/modules/m")
        .await
        .refused(404, "ModuleNotFound");
    desk.get("/devices/none/modules")
        .await
        .refused(404, "DeviceNotFound");
}

#[tokio::test]
async fn callers_without_the_permission_are_told_nothing_else() {
    let desk = Desk::open().await;
    desk.call(Method::PUT, "/devices/d", json!({})).await;
    let read = desk.token("registryRead");
    let service = desk.token("service");
    for (token, method, path) in [
        (service.as_str(), Method::GET, "/devices/d"),
        (read.as_str(), Method::DELETE, "/devices/d"),
        (read.as_str(), Method::GET, "/twins/d"),
        (read.as_str(), Method::GET, "/twins/none"),
        ("Bearer eyJ", Method::GET, "/devices/d"),
        ("SharedAccessSignature sr=x", Method::GET, "/devices/d"),
    ] {
        let with = [("authorization", token)];
        desk.call_with(method, path, Value::Null, &with)
            .await
            .refused(401, "IotHubUnauthorizedAccess");
    }
    let with = [("authorization", read.as_str())];
    let answer = desk
        .call_with(Method::GET, "/devices/d", Value::Null, &with)
        .await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn what_is_not_served_says_so() {
    let desk = Desk::open().await;
    for path in ["/configurations", "/jobs/v2/j", "/digitaltwins/d"] {
        let text = desk.get(path).await.refused(400, "InvalidOperation");
        assert!(text.contains("does not serve"), "{text}");
        assert!(text.contains(path), "{text}");
    }
    desk.call(Method::PATCH, "/devices/d", json!({}))
        .await
        .refused(405, "InvalidOperation");
}

#[tokio::test]
async fn malformed_requests_get_their_error() {
    let desk = Desk::open().await;
    desk.call(Method::PUT, "/devices/d", Value::Null)
        .await
        .refused(400, "ArgumentNull");
    desk.call(Method::PUT, "/devices/a%20b", json!({}))
        .await
        .refused(400, "ArgumentInvalid");
    desk.call(Method::PUT, "/devices/d", json!({"deviceId": "e"}))
        .await
        .refused(400, "ArgumentInvalid");
    let one_key = json!({"authentication": {"symmetricKey": {
        "primaryKey": "c2VjcmV0c2VjcmV0c2VjcmV0"}}});
    let text = desk
        .call(Method::PUT, "/devices/d", one_key)
        .await
        .refused(400, "ArgumentInvalid");
    assert!(!text.contains("c2VjcmV0"), "{text}");
    desk.call_with(
        Method::PUT,
        "/devices/d",
        json!({}),
        &[("if-match", "\"\"")],
    )
    .await
    .refused(400, "ArgumentInvalid");
}

#[tokio::test]
async fn a_name_that_is_no_hubs_is_not_found_when_there_are_several() {
    let mut desk = Desk::open().await;
    let other = Hub {
        host_name: HubHostName::parse("127.0.0.2").expect("a name"),
        ..desk.hubs[0].clone()
    };
    desk.hubs.push(other);
    let elsewhere = [("host", "elsewhere.test"), ("authorization", "none")];
    desk.call_with(Method::GET, "/devices/d", Value::Null, &elsewhere)
        .await
        .refused(404, "IotHubNotFound");
    let by_token = [("host", "elsewhere.test")];
    desk.call_with(Method::GET, "/devices/d", Value::Null, &by_token)
        .await
        .refused(404, "DeviceNotFound");
}

#[test]
fn any_date_is_a_version_and_nothing_else_is() {
    let asking = |query: Option<&str>| Request {
        method: Method::GET,
        path: "/devices/d".into(),
        query: query.map(str::to_owned),
        headers: HeaderMap::new(),
        body: Vec::new(),
    };
    for version in ["2016-11-14", "2017-11-08-preview", "2099-12-31"] {
        let query = format!("api-version={version}");
        assert_eq!(api_version(&asking(Some(&query))), Ok(version.to_owned()));
    }
    for query in [
        None,
        Some("api-version="),
        Some("api-version=2021-4-12"),
        Some("api-version=latest-pre"),
    ] {
        assert!(matches!(
            api_version(&asking(query)),
            Err(HubError::ApiVersion(_))
        ));
    }
}

#[test]
fn each_call_needs_its_permission() {
    const READ: Permissions = Permissions::REGISTRY_READ;
    const WRITE: Permissions = Permissions::REGISTRY_WRITE;
    const SERVICE: Permissions = Permissions::SERVICE_CONNECT;
    let id = || "d".to_owned();
    for (route, method, needed) in [
        (HubRoute::Device(id()), Method::GET, Some(READ)),
        (HubRoute::Device(id()), Method::PUT, Some(WRITE)),
        (HubRoute::Device(id()), Method::PATCH, None),
        (HubRoute::Devices, Method::POST, Some(WRITE)),
        (HubRoute::Query, Method::POST, Some(SERVICE)),
        (HubRoute::Query, Method::GET, Some(READ)),
        (HubRoute::Twin(id()), Method::GET, Some(SERVICE)),
        (HubRoute::Twin(id()), Method::DELETE, None),
        (HubRoute::NotServed, Method::GET, None),
    ] {
        assert_eq!(permission(&route, &method), needed, "{method} {route:?}");
    }
}
