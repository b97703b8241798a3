//! What HTTPS clients send and read, as their sources write and read it.

use http::{HeaderMap, Method};
use landfall_core::id::DeviceId;
use landfall_hub::message::Ack;
use serde_json::json;

use super::*;

const NOW: Timestamp = Timestamp::from_unix_seconds(2_000_000_000);

fn device() -> Endpoint {
    Endpoint::device(DeviceId::parse("d").expect("an id"))
}

fn request(headers: &[(&'static str, &'static str)], body: &[u8]) -> Request {
    let headers = headers.iter().map(|(name, value)| {
        (
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )
    });
    Request {
        method: Method::POST,
        path: "/devices/d/messages/events".to_owned(),
        query: None,
        headers: headers.collect::<HeaderMap>(),
        body: body.to_vec(),
    }
}

fn named(properties: &[(&str, Option<&str>)]) -> Vec<Property> {
    let properties = properties.iter();
    properties
        .map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned)))
        .collect()
}

#[test]
fn a_message_says_of_itself_what_its_headers_say() {
    let request = request(
        &[
            ("host", "my.hub"),
            ("iothub-to", "/devices/d/messages/events"),
            ("iothub-messageid", "m-1"),
            ("iothub-correlationid", "c"),
            ("iothub-app-level", "high"),
            ("iothub-app-", "nameless"),
            ("iothub-contenttype", "application/json"),
            ("authorization", "SharedAccessSignature x"),
        ],
        b"{\"t\":1}",
    );
    let read = events(&request, &device(), NOW).expect("a message");
    let [event] = &read[..] else {
        panic!("one message: {read:?}");
    };
    assert_eq!((&event.endpoint, event.enqueued), (&device(), NOW));
    assert_eq!(event.kind, EventKind::Telemetry);
    assert_eq!(event.body, b"{\"t\":1}");
    let mut properties = event.properties.clone();
    properties.sort();
    assert_eq!(
        properties,
        named(&[
            ("$.cid", Some("c")),
            ("$.ct", Some("application/json")),
            ("$.mid", Some("m-1")),
            ("level", Some("high")),
        ])
    );
}

#[test]
fn a_batch_is_read_in_the_forms_of_every_client() {
    let body = json!([
        {"body": "dHdvIQ==", "properties": {"Level": "3", "iothub-app-Unit": "C", "IoTHub-MessageId": "m"}},
        {"body": "as it is", "base64Encoded": false},
        {"body": "", "base64Encoded": true, "properties": {"n": 1, "none": null}},
    ]);
    let kind = "Application/vnd.Microsoft.iothub.json; charset=utf-8";
    let request = request(&[("content-type", kind)], body.to_string().as_bytes());
    let read = events(&request, &device(), NOW).expect("messages");
    let seen: Vec<_> = read
        .into_iter()
        .map(|event| (event.body, event.properties))
        .collect();
    let wanted = vec![
        (
            b"two!".to_vec(),
            named(&[
                ("Level", Some("3")),
                ("Unit", Some("C")),
                ("$.mid", Some("m")),
            ]),
        ),
        (b"as it is".to_vec(), named(&[])),
        (Vec::new(), named(&[("n", Some("1")), ("none", None)])),
    ];
    assert_eq!(seen, wanted);
}

#[test]
fn what_is_wrong_with_a_batch_is_told() {
    let many = vec![json!({"body": ""}); MOST_IN_A_BATCH + 1];
    for body in [
        String::new(),
        "{".to_owned(),
        json!({"body": ""}).to_string(),
        json!([1]).to_string(),
        json!([{}]).to_string(),
        json!([{"body": "?"}]).to_string(),
        json!([{"body": 1}]).to_string(),
        json!([{"body": "", "properties": {"a": []}}]).to_string(),
        json!([{"body": "", "properties": []}]).to_string(),
        json!([{"body": "a\u{0}", "base64Encoded": false}]).to_string(),
        json!(many).to_string(),
    ] {
        let request = request(&[("content-type", BATCH)], body.as_bytes());
        let refused = events(&request, &device(), NOW).expect_err("refused");
        let status = crate::fault::hub::reply(
            &refused,
            &landfall_core::id::TrackingId::parse("t").expect("an id"),
            NOW,
        );
        assert!(status.status.is_client_error(), "{body}: {refused:?}");
    }
    let large = vec![b'x'; LARGEST_EVENT + 1];
    let refused = events(&request(&[], &large), &device(), NOW);
    assert!(matches!(refused, Err(HubError::TooLarge(_))));
    assert!(events(&request(&[], &large[1..]), &device(), NOW).is_ok());
}

fn message() -> CloudMessage {
    CloudMessage {
        sequence: 7,
        message_id: Some("m 1".to_owned()),
        correlation_id: None,
        user_id: Some("ü".to_owned()),
        content_type: Some("text/plain".to_owned()),
        content_encoding: None,
        ack: Ack::Full,
        enqueued: NOW,
        expires: NOW.plus(std::time::Duration::from_secs(60)),
        delivery_count: 2,
        properties: named(&[
            ("level", Some("3")),
            ("a b", Some("%/ü")),
            ("lines", Some("a\nb")),
            ("alone", None),
        ]),
        body: vec![0, 255],
    }
}

#[test]
fn a_message_that_was_taken_says_all_it_is_and_how_it_is_named() {
    let reply = taken(&device(), &message());
    assert_eq!(
        (reply.status, &reply.body[..]),
        (StatusCode::OK, &[0, 255][..])
    );
    let said = |name: &str| {
        let value = reply.headers.get(name)?;
        Some(String::from_utf8(value.as_bytes().to_vec()).expect("UTF-8"))
    };
    for (name, value) in [
        ("etag", "\"7-2\""),
        ("iothub-sequencenumber", "7"),
        ("iothub-deliverycount", "1"),
        ("iothub-enqueuedtime", "2033-05-18T03:33:20.0000000Z"),
        ("iothub-expiry", "2033-05-18T03:34:20.0000000Z"),
        ("iothub-to", "/devices/d/messages/deviceBound"),
        ("iothub-messageid", "m 1"),
        ("iothub-userid", "ü"),
        ("iothub-ack", "full"),
        ("contenttype", "text/plain"),
        ("iothub-app-level", "3"),
        ("iothub-app-a%20b", "%/ü"),
        ("iothub-app-lines", "a%0Ab"),
        ("iothub-app-alone", ""),
    ] {
        assert_eq!(said(name).as_deref(), Some(value), "{name}");
    }
    assert_eq!(said("iothub-correlationid"), None);
    let lock_of = |token: &str| lock(token).expect("a token");
    assert_eq!(
        lock_of(&said("etag").expect("a token")),
        Lock::of(&message())
    );
    assert_eq!(lock_of("7-2"), Lock::of(&message()));
}

#[test]
fn a_token_of_another_hub_is_told_from_ours() {
    for token in [
        "",
        "7",
        "7-",
        "-2",
        "a-b",
        "7-2-3",
        "b1c5c8d0-4a54-4d1e-9d21-0d29a1b2c3d4",
    ] {
        let refused = lock(token).expect_err(token);
        assert!(matches!(refused, HubError::ArgumentInvalid(_)), "{token}");
    }
}
