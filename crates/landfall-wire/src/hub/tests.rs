//! Tests of the bodies: exact documents out, tolerant reading in.

use landfall_core::clock::{Entropy, Timestamp};
use landfall_core::document::Json;
use landfall_core::id::{DeviceId, Etag, ModuleId};
use landfall_hub::device::{Device, DeviceAuthentication, DeviceStatus, Module, Presence};
use landfall_hub::error::HubError;
use landfall_hub::registry::identity::{DeviceRequest, ModuleRequest, fresh_device, fresh_module};
use landfall_hub::registry::{AuthenticationRequest, BulkAsk, BulkFailure, IfMatch};
use landfall_hub::twin::{TwinContent, TwinVerb};
use proptest::prelude::*;
use serde_json::json;

use super::*;

struct Sevens;

impl Entropy for Sevens {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(7);
    }
}

const NOW: Timestamp = Timestamp::from_unix_seconds(2_000_000_000);
const KEY: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";

fn device_id(text: &str) -> DeviceId {
    DeviceId::parse(text).expect("an id")
}

fn device() -> Device {
    let content = TwinContent {
        tags: object(json!({"environment": "test"})),
        desired: object(json!({"interval": 5})),
        ..TwinContent::default()
    };
    fresh_device(
        &DeviceRequest::plain(device_id("Dev1")),
        &content,
        NOW,
        &Sevens,
    )
    .expect("a device")
}

fn module() -> Module {
    let request = ModuleRequest {
        device_id: device_id("Dev1"),
        id: ModuleId::parse("m").expect("an id"),
        managed_by: None,
        authentication: Some(AuthenticationRequest::SelfSigned {
            primary: Some("ab".repeat(20)),
            secondary: None,
        }),
    };
    fresh_module(&request, &TwinContent::default(), NOW, &Sevens).expect("a module")
}

fn object(value: Json) -> landfall_core::document::JsonObject {
    value.as_object().expect("an object").clone()
}

#[test]
fn the_device_document_is_exact() {
    let device = device();
    assert_eq!(
        device_json(&device).to_string(),
        json!({
            "deviceId": "Dev1",
            "generationId": device.generation_id,
            "etag": device.etag.as_str(),
            "connectionState": "Disconnected",
            "status": "enabled",
            "statusReason": null,
            "connectionStateUpdatedTime": "0001-01-01T00:00:00Z",
            "statusUpdatedTime": "0001-01-01T00:00:00Z",
            "lastActivityTime": "0001-01-01T00:00:00Z",
            "cloudToDeviceMessageCount": 0,
            "authentication": {
                "symmetricKey": {"primaryKey": KEY, "secondaryKey": KEY},
                "x509Thumbprint": {"primaryThumbprint": null, "secondaryThumbprint": null},
                "type": "sas"
            },
            "capabilities": {"iotEdge": false}
        })
        .to_string()
    );
}

#[test]
fn documents_tell_whether_it_is_connected_and_how_many_messages_wait() {
    let away = device();
    let presence = Presence {
        connected: true,
        connected_changed: Timestamp::from_unix_seconds(1_700_000_001),
        last_activity: Timestamp::from_unix_seconds(1_700_000_002),
        messages: 3,
    };
    let device = Device {
        presence,
        ..device()
    };
    // The module's own presence is told, not its device's.
    let module = Module {
        presence: Presence {
            messages: 4,
            ..presence
        },
        ..module()
    };
    let documents = [
        (device_json(&device), 3, true),
        (twin_json(&device), 3, false),
        (module_json(&module, AuthenticationWords::Current), 4, true),
        (module_twin_json(Some(&away), &module), 4, false),
    ];
    for (document, messages, of_identity) in documents {
        assert_eq!(document["connectionState"], "Connected");
        assert_eq!(document["lastActivityTime"], "2023-11-14T22:13:22Z");
        assert_eq!(document["cloudToDeviceMessageCount"], messages);
        let changed = document.get("connectionStateUpdatedTime");
        let expected = json!("2023-11-14T22:13:21Z");
        assert_eq!(changed, of_identity.then_some(&expected));
    }
}

#[test]
fn the_twin_document_is_exact_and_holds_no_key() {
    let device = device();
    let desired = json!({
        "$lastUpdated": "2033-05-18T03:33:20.0000000Z",
        "$lastUpdatedVersion": 1,
        "interval": {
            "$lastUpdated": "2033-05-18T03:33:20.0000000Z",
            "$lastUpdatedVersion": 1
        }
    });
    assert_eq!(
        twin_json(&device).to_string(),
        json!({
            "deviceId": "Dev1",
            "etag": "AAAAAAAAAAE=",
            "deviceEtag": device.etag.as_str(),
            "status": "enabled",
            "statusUpdateTime": "0001-01-01T00:00:00Z",
            "connectionState": "Disconnected",
            "lastActivityTime": "0001-01-01T00:00:00Z",
            "cloudToDeviceMessageCount": 0,
            "authenticationType": "sas",
            "x509Thumbprint": {"primaryThumbprint": null, "secondaryThumbprint": null},
            "modelId": "",
            "version": 2,
            "tags": {"environment": "test"},
            "properties": {
                "desired": {"interval": 5, "$metadata": desired, "$version": 1},
                "reported": {
                    "$metadata": {"$lastUpdated": "2033-05-18T03:33:20.0000000Z"},
                    "$version": 1
                }
            },
            "capabilities": {"iotEdge": false}
        })
        .to_string()
    );
}

#[test]
fn identity_etags_are_base64_of_digits() {
    use base64::Engine as _;
    let etag = device().etag;
    let digits = base64::engine::general_purpose::STANDARD
        .decode(etag.as_str())
        .expect("base64");
    assert!(!digits.is_empty() && digits.iter().all(u8::is_ascii_digit));
}

#[test]
fn the_edge_identity_service_reads_x509_where_others_read_self_signed() {
    let module = module();
    let spelt = |version: &str| {
        module_json(&module, AuthenticationWords::of_version(version))["authentication"]["type"]
            .clone()
    };
    assert_eq!(spelt("2017-11-08-preview"), "x509");
    assert_eq!(spelt("2021-04-12"), "selfSigned");
    let body = module_json(&module, AuthenticationWords::Current);
    assert!(body.get("status").is_none() && body.get("capabilities").is_none());
    assert_eq!(body["managedBy"], Json::Null);
}

#[test]
fn a_module_twin_shows_the_status_of_its_device() {
    let mut device = device();
    device.status = DeviceStatus::Disabled;
    let with = module_twin_json(Some(&device), &module());
    assert_eq!(with["status"], "disabled");
    assert_eq!(with["moduleId"], "m");
    assert_eq!(with["authenticationType"], "selfSigned");
    assert_eq!(module_twin_json(None, &module())["status"], "enabled");
}

#[test]
fn a_document_that_was_read_can_be_sent_back() {
    let device = device();
    let request = device_request(device.id.clone(), &device_json(&device)).expect("readable");
    let DeviceAuthentication::Sas(keys) = &device.authentication else {
        panic!("a key pair");
    };
    assert_eq!(
        request.authentication,
        Some(AuthenticationRequest::Sas {
            primary: Some(keys.primary.clone()),
            secondary: Some(keys.secondary.clone()),
        })
    );
    assert_eq!(request.status, Some(DeviceStatus::Enabled));
    assert_eq!(request.iot_edge, Some(false));

    let change = twin_change(TwinVerb::Replace, &twin_json(&device)).expect("readable");
    assert_eq!(change.desired, Some(object(json!({"interval": 5}))));
    assert_eq!(change.tags, Some(object(json!({"environment": "test"}))));
}

#[test]
fn absent_null_and_empty_authentication_all_ask_for_new_keys() {
    let read = |body: Json| device_request(device_id("d"), &body).expect("readable");
    for body in [
        json!({}),
        json!({"deviceId": "d", "authentication": null, "capabilities": null, "new": [1]}),
    ] {
        assert_eq!(read(body).authentication, None);
    }
    let wanted = Some(AuthenticationRequest::Sas {
        primary: None,
        secondary: None,
    });
    for body in [
        json!({"authentication": {}}),
        json!({"authentication": {"type": "sas"}}),
        json!({"authentication": {"symmetricKey": {"primaryKey": "", "secondaryKey": null}}}),
    ] {
        assert_eq!(read(body).authentication, wanted);
    }
    let thumbprint = "0".repeat(64);
    let body = json!({"authentication": {"x509Thumbprint": {"primaryThumbprint": thumbprint}}});
    assert!(matches!(
        read(body).authentication,
        Some(AuthenticationRequest::SelfSigned {
            primary: Some(_),
            secondary: None
        })
    ));
}

#[test]
fn wrong_members_are_named_and_their_values_never_shown() {
    let secret = "c2VjcmV0c2VjcmV0";
    for (body, named) in [
        (json!([]), "body"),
        (json!({"deviceId": "other"}), "deviceId"),
        (json!({"status": "on"}), "status"),
        (json!({"statusReason": 7}), "statusReason"),
        (json!({"authentication": secret}), "authentication"),
        (
            json!({"authentication": {"type": "magic"}}),
            "authentication.type",
        ),
        (
            json!({"authentication": {"symmetricKey": secret}}),
            "authentication.symmetricKey",
        ),
        (
            json!({"authentication": {"symmetricKey": {"primaryKey": secret}}}),
            "authentication.symmetricKey.primaryKey",
        ),
        (
            json!({"capabilities": {"iotEdge": "yes"}}),
            "capabilities.iotEdge",
        ),
        (json!({"parentScopes": [1]}), "parentScopes"),
    ] {
        let error = device_request(device_id("d"), &body).expect_err("wrong");
        let text = error.to_string();
        assert!(matches!(error, HubError::ArgumentInvalid(_)), "{text}");
        assert!(text.contains(named), "{text}");
        assert!(!text.contains(secret), "{text}");
    }
}

#[test]
fn if_match_comes_quoted_bare_and_as_a_star() {
    let etag = IfMatch::Etag(Etag::parse("AAAAAAAAAAE=").expect("an etag"));
    assert_eq!(if_match(None), Ok(None));
    for star in ["*", "\"*\"", " * "] {
        assert_eq!(if_match(Some(star)), Ok(Some(IfMatch::Any)), "{star}");
    }
    for text in ["AAAAAAAAAAE=", "\"AAAAAAAAAAE=\"", "W/\"AAAAAAAAAAE=\""] {
        assert_eq!(if_match(Some(text)), Ok(Some(etag.clone())), "{text}");
    }
    assert!(if_match(Some("\"\"")).is_err());
}

#[test]
fn absent_sections_are_left_alone_and_null_empties_only_in_a_replacement() {
    let body = json!({"tags": null, "properties": {"reported": {"x": 1}}});
    let patch = twin_change(TwinVerb::Patch, &body).expect("readable");
    assert_eq!((patch.tags, patch.desired), (None, None));
    let replace = twin_change(TwinVerb::Replace, &body).expect("readable");
    assert_eq!(replace.tags.map(|tags| tags.len()), Some(0));
    assert_eq!(replace.desired, None);
    assert!(twin_change(TwinVerb::Patch, &json!({"tags": [1]})).is_err());
}

#[test]
fn one_bad_record_of_a_bulk_body_does_not_spoil_the_others() {
    let body = json!([
        {"id": "a", "importMode": "create", "status": "enabled",
         "tags": {"t": 1}, "properties": {"desired": {"d": 2, "$version": 4}}},
        {"id": "b/c", "importMode": "create"},
        {"id": "d", "importMode": "destroy"},
        {"id": "e", "importMode": "deleteIfMatchETag", "eTag": "\"abc=\""},
        {"id": "f", "importMode": "updateTwinIfMatchETag"},
        {"deviceId": "g", "moduleId": "m", "importMode": "updateTwin", "tags": {}},
        {"id": "h", "tags": {"bad.key": 1}},
        7
    ]);
    let items = bulk_items(&body).expect("an array");
    assert!(matches!(
        &items[0].ask,
        Ok(BulkAsk::CreateDevice(request, content))
            if request.id.as_str() == "a" && content.desired.len() == 1 && content.tags.len() == 1
    ));
    assert!(matches!(&items[1].ask, Err(HubError::ArgumentInvalid(_))));
    assert!(
        matches!(&items[2].ask, Err(HubError::ArgumentInvalid(text)) if text.contains("updateTwin"))
    );
    assert!(matches!(
        &items[3].ask,
        Ok(BulkAsk::DeleteDevice(_, IfMatch::Etag(etag))) if etag.as_str() == "abc="
    ));
    assert!(matches!(&items[4].ask, Err(HubError::ArgumentNull(_))));
    assert!(matches!(&items[5].ask, Ok(BulkAsk::PatchModuleTwin(..))));
    assert!(matches!(&items[6].ask, Err(HubError::ArgumentInvalid(_))));
    assert!(items[7].ask.is_err());
    assert!(bulk_items(&json!({})).is_err());
}

#[test]
fn bulk_results_name_each_item_that_was_refused() {
    let failure = BulkFailure {
        device_id: "a".into(),
        module_id: None,
        operation: "create",
        error: HubError::DeviceExists(device_id("a")),
    };
    let reply = reply::bulk(&[failure]);
    assert_eq!(reply.status.as_u16(), 400);
    assert_eq!(
        serde_json::from_slice::<Json>(&reply.body).expect("json"),
        json!({
            "isSuccessful": false,
            "errors": [{
                "deviceId": "a",
                "errorCode": "DeviceAlreadyExists",
                "errorStatus": "A device with ID 'a' is already registered",
                "operation": "create"
            }],
            "warnings": []
        })
    );
    assert_eq!(reply::bulk(&[]).status.as_u16(), 200);
}

#[test]
fn replies_carry_the_quoted_etag() {
    let device = device();
    let etag = |reply: &crate::message::Reply| {
        reply
            .headers
            .get("etag")
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
    };
    assert_eq!(
        etag(&reply::device(&device)),
        Some(format!("\"{}\"", device.etag))
    );
    assert_eq!(etag(&reply::twin(&device)), Some("\"AAAAAAAAAAE=\"".into()));
}

#[test]
fn empty_and_broken_bodies_are_told_apart() {
    assert!(matches!(read_json(b" \n"), Err(HubError::ArgumentNull(_))));
    assert!(matches!(read_json(b"{"), Err(HubError::Unreadable(_))));
    assert!(matches!(read_json(&[0xff]), Err(HubError::Unreadable(_))));
    let nul = read_json(br#"{"tags":{"a":"\u0000"}}"#);
    assert!(matches!(nul, Err(HubError::ArgumentInvalid(_))));
}

/// JSON out of the names that hub bodies know, with values of every type.
fn any_body() -> impl Strategy<Value = Json> {
    let name = prop::sample::select(vec![
        "id",
        "deviceId",
        "moduleId",
        "importMode",
        "status",
        "authentication",
        "symmetricKey",
        "primaryKey",
        "x509Thumbprint",
        "type",
        "capabilities",
        "iotEdge",
        "tags",
        "properties",
        "desired",
        "reported",
        "eTag",
        "parentScopes",
        "$version",
        "other",
    ]);
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        prop::sample::select(vec![
            "",
            "d",
            "create",
            "updateTwin",
            "sas",
            "x509",
            "\u{0}ü"
        ])
        .prop_map(Json::from),
    ];
    leaf.prop_recursive(5, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Json::Array),
            prop::collection::vec((name.clone(), inner), 0..6).prop_map(|members| {
                Json::Object(
                    members
                        .into_iter()
                        .map(|(k, v)| (k.to_owned(), v))
                        .collect(),
                )
            }),
        ]
    })
}

proptest! {
    #[test]
    fn no_body_is_read_into_nothing_or_a_panic(body in any_body()) {
        if let Ok(request) = device_request(device_id("d"), &body) {
            prop_assert_eq!(request.id.as_str(), "d");
            prop_assert!(body.is_object());
        }
        if let Ok(items) = bulk_items(&body) {
            prop_assert_eq!(Some(items.len()), body.as_array().map(Vec::len));
        }
        if let Ok(change) = twin_change(TwinVerb::Patch, &body) {
            let desired = change.desired.unwrap_or_default();
            prop_assert!(!desired.contains_key("$version"));
        }
    }
}
