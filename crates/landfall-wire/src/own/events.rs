//! Events of a hub as its followers read them: server-sent events, one for each, and what stands in them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use landfall_hub::event::{EventEnds, EventKind, KeptEvent};
use serde_json::{Map, Value, json};

/// What keeps a connection alive on which nothing happens.
pub const ALIVE: &str = ": alive\n\n";

/// System properties: their names in a message's topic, and those that readers know.
///
/// Source: docs/protocol/hub-api.md §2.1 [S].
const SYSTEM: [(&str, &str); 12] = [
    ("$.mid", "message-id"),
    ("$.cid", "correlation-id"),
    ("$.uid", "user-id"),
    ("$.ct", "content-type"),
    ("$.ce", "content-encoding"),
    ("$.ctime", "iothub-creation-time-utc"),
    ("$.exp", "absolute-expiry-time"),
    ("$.on", "iothub-output-name"),
    ("$.ifid", "iothub-interface-id"),
    ("$.sub", "dt-subject"),
    ("$.cdid", "iothub-connection-device-id"),
    ("$.cmid", "iothub-connection-module-id"),
];

/// The word for what an event is.
pub fn kind_word(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Telemetry => "telemetry",
        EventKind::DeviceConnected => "deviceConnected",
        EventKind::DeviceDisconnected => "deviceDisconnected",
    }
}

/// An event as JSON. A body that is JSON stands there as such, one that is text as text, any other in
/// base64.
pub fn event(kept: &KeptEvent) -> Value {
    let event = &kept.event;
    let mut out = Map::new();
    out.insert("sequenceNumber".to_owned(), kept.sequence.into());
    out.insert("event".to_owned(), kind_word(event.kind).into());
    out.insert("deviceId".to_owned(), event.endpoint.device.as_str().into());
    if let Some(module) = &event.endpoint.module {
        out.insert("moduleId".to_owned(), module.as_str().into());
    }
    out.insert(
        "enqueuedTimeUtc".to_owned(),
        event.enqueued.to_wire().into(),
    );
    let (mut system, mut own) = (Map::new(), Map::new());
    for (name, value) in &event.properties {
        let value = value.as_deref().map_or(Value::Null, Value::from);
        match SYSTEM.iter().find(|(known, _)| known == name) {
            Some((_, spelt)) => system.insert((*spelt).to_owned(), value),
            None => own.insert(name.clone(), value),
        };
    }
    for (name, members) in [("systemProperties", system), ("properties", own)] {
        if !members.is_empty() {
            out.insert(name.to_owned(), Value::Object(members));
        }
    }
    let (name, body) = match std::str::from_utf8(&event.body) {
        Ok(text) => (
            "body",
            serde_json::from_str(text).unwrap_or_else(|_| Value::from(text)),
        ),
        Err(_) => ("bodyBase64", STANDARD.encode(&event.body).into()),
    };
    out.insert(name.to_owned(), body);
    Value::Object(out)
}

/// An event as it stands in the stream. Its number is what a reader goes on from.
pub fn sent(kept: &KeptEvent) -> String {
    let name = kind_word(kept.event.kind);
    format!(
        "id: {}\nevent: {name}\ndata: {}\n\n",
        kept.sequence,
        event(kept)
    )
}

/// Tells a reader who comes too late, or from elsewhere, that some of what it asks for is not there, and
/// where the stream goes on.
pub fn gap(asked: i64, ends: EventEnds) -> String {
    let data = json!({"asked": asked, "oldest": ends.oldest, "newest": ends.newest});
    format!("event: gap\ndata: {data}\n\n")
}

#[cfg(test)]
mod tests {
    use landfall_core::clock::Timestamp;
    use landfall_core::id::{DeviceId, ModuleId};
    use landfall_hub::endpoint::Endpoint;
    use landfall_hub::event::HubEvent;

    use super::*;

    fn kept(module: Option<&str>, body: &[u8]) -> KeptEvent {
        KeptEvent {
            sequence: 7,
            event: HubEvent {
                endpoint: Endpoint {
                    device: DeviceId::parse("d").expect("an id"),
                    module: module.map(|module| ModuleId::parse(module).expect("an id")),
                },
                kind: EventKind::Telemetry,
                enqueued: Timestamp::from_unix_seconds(2_000_000_000),
                properties: vec![
                    ("$.mid".to_owned(), Some("1".to_owned())),
                    ("alone".to_owned(), None),
                ],
                body: body.to_vec(),
            },
        }
    }

    #[test]
    fn an_event_is_one_line_of_json_under_its_number() {
        assert_eq!(
            sent(&kept(Some("m"), b"{\"t\": 1}")),
            "id: 7\nevent: telemetry\ndata: {\"sequenceNumber\":7,\"event\":\"telemetry\",\"deviceId\":\"d\",\
             \"moduleId\":\"m\",\"enqueuedTimeUtc\":\"2033-05-18T03:33:20.0000000Z\",\
             \"systemProperties\":{\"message-id\":\"1\"},\"properties\":{\"alone\":null},\"body\":{\"t\":1}}\n\n"
        );
    }

    #[test]
    fn a_body_is_shown_as_what_it_is() {
        assert_eq!(event(&kept(None, b"two\nlines"))["body"], "two\nlines");
        assert_eq!(sent(&kept(None, b"two\nlines")).lines().count(), 4);
        let bytes = event(&kept(None, &[0xff, 0]));
        assert_eq!(
            (&bytes["bodyBase64"], bytes.get("body")),
            (&json!("/wA="), None)
        );
    }

    #[test]
    fn a_gap_says_where_the_stream_goes_on() {
        let ends = EventEnds {
            oldest: 5,
            newest: 9,
        };
        assert_eq!(
            gap(2, ends),
            "event: gap\ndata: {\"asked\":2,\"oldest\":5,\"newest\":9}\n\n"
        );
    }
}
