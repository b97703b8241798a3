//! Messages from the cloud: how an operator says them, over a route of our own, and what it is told.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use landfall_core::clock::Timestamp;
use landfall_core::document::Json;
use landfall_hub::endpoint::Endpoint;
use landfall_hub::error::HubError;
use landfall_hub::message::{Ack, CloudMessage};
use serde_json::json;

use super::members::Members;
use crate::message::Reply;

/// The largest message, in bytes.
///
/// Source: docs/protocol/hub-api.md §2.1 [D].
pub const LARGEST_MESSAGE: usize = 64 * 1024;
/// The longest text that says what a message is or belongs to, in bytes: all of them stand in the topic by
/// which it reaches the device, and a topic is short.
const LONGEST_TEXT: usize = 256;
/// How long a message waits that says nothing of it, and how long at most.
///
/// Source: docs/protocol/hub-api.md §2.1 [D].
const USUAL_WAIT: Duration = Duration::from_secs(3600);
const LONGEST_WAIT: u64 = 48 * 3600;

/// Reads a message. Its body is `body`, a text as it is and any other value as JSON, or the bytes of
/// `bodyBase64`.
///
/// # Errors
/// `ArgumentNull` without a body, `ArgumentInvalid` naming the member that is wrong, `TooLarge`.
pub fn cloud_message(body: &Json, now: Timestamp) -> Result<CloudMessage, HubError> {
    let invalid = |what: &str| HubError::ArgumentInvalid(what.to_owned());
    let members = Members::of_body(body)?;
    let text = |name: &str| match members.text(name)? {
        Some(text) if text.len() > LONGEST_TEXT => Err(HubError::ArgumentInvalid(format!(
            "'{name}' is longer than {LONGEST_TEXT} bytes"
        ))),
        text => Ok(text.map(str::to_owned)),
    };
    let mut content_type = text("contentType")?;
    let bytes = match (body.get("body"), members.text("bodyBase64")?) {
        (None, None) => {
            return Err(HubError::ArgumentNull("The message has no body".to_owned()));
        }
        (Some(_), Some(_)) => {
            return Err(invalid("A message has 'body' or 'bodyBase64', not both"));
        }
        (None, Some(base64)) => STANDARD
            .decode(base64)
            .map_err(|_| invalid("'bodyBase64' is not base64"))?,
        (Some(Json::String(text)), None) => text.clone().into_bytes(),
        (Some(value), None) => {
            content_type = content_type.or(Some("application/json".to_owned()));
            value.to_string().into_bytes()
        }
    };
    if bytes.len() > LARGEST_MESSAGE {
        return Err(HubError::TooLarge(format!(
            "The message is larger than {LARGEST_MESSAGE} bytes"
        )));
    }
    let wait = match body.get("expirySeconds") {
        None | Some(Json::Null) => USUAL_WAIT,
        Some(seconds) => seconds
            .as_u64()
            .filter(|seconds| (1..=LONGEST_WAIT).contains(seconds))
            .map(Duration::from_secs)
            .ok_or_else(|| invalid("'expirySeconds' must be 1 to 172800"))?,
    };
    let ack = match members.text("ack")? {
        None | Some("none") => Ack::None,
        Some("positive") => Ack::Positive,
        Some("negative") => Ack::Negative,
        Some("full") => Ack::Full,
        Some(_) => return Err(invalid("'ack' must be none, positive, negative or full")),
    };
    let properties = members.object("properties")?.into_iter().flatten();
    let properties = properties
        .map(|(name, value)| match value {
            Json::Null => Ok((name.clone(), None)),
            Json::String(value) => Ok((name.clone(), Some(value.clone()))),
            _ => Err(invalid("'properties' must be texts")),
        })
        .collect::<Result<Vec<_>, _>>()?;
    let length = |(name, value): &(String, Option<String>)| {
        name.len() + value.as_deref().map_or(0, str::len)
    };
    if properties.iter().map(length).sum::<usize>() > 8 * 1024 {
        return Err(HubError::TooLarge(
            "The properties are larger than 8192 bytes".to_owned(),
        ));
    }
    Ok(CloudMessage {
        sequence: 0,
        message_id: text("messageId")?,
        correlation_id: text("correlationId")?,
        user_id: text("userId")?,
        content_type,
        content_encoding: text("contentEncoding")?,
        ack,
        enqueued: now,
        expires: now.plus(wait),
        delivery_count: 0,
        properties,
        body: bytes,
    })
}

/// Says that a message is queued, and under which number.
pub fn queued(sequence: i64) -> Reply {
    Reply::json(StatusCode::OK, &json!({"sequenceNumber": sequence}))
}

/// Says how many messages were taken out of a queue.
///
/// Source: docs/protocol/hub-api.md §1.2 [S].
pub fn purged(endpoint: &Endpoint, count: usize) -> Reply {
    let module = endpoint.module.as_ref().map(|module| module.as_str());
    Reply::json(
        StatusCode::OK,
        &json!({
            "totalMessagesPurged": count,
            "deviceId": endpoint.device.as_str(),
            "moduleId": module,
        }),
    )
}

#[cfg(test)]
mod tests {
    use landfall_core::id::DeviceId;

    use super::*;
    use crate::mqtt::hub::command_topic;

    const NOW: Timestamp = Timestamp::from_unix_seconds(2_000_000_000);

    #[test]
    fn a_message_is_read_with_all_that_it_says() {
        let message = cloud_message(
            &json!({"body": {"on": true}, "properties": {"a": "b", "alone": null}, "messageId": "1",
                "ack": "full", "expirySeconds": 60}),
            NOW,
        )
        .expect("a message");
        assert_eq!(message.body, br#"{"on":true}"#);
        assert_eq!(message.content_type.as_deref(), Some("application/json"));
        assert_eq!(message.expires, NOW.plus(Duration::from_secs(60)));
        assert_eq!(
            (message.ack, message.message_id.as_deref()),
            (Ack::Full, Some("1"))
        );
        let named = |value: Option<&str>| value.map(str::to_owned);
        let wanted = [
            ("a".to_owned(), named(Some("b"))),
            ("alone".to_owned(), None),
        ];
        assert_eq!(message.properties, wanted);
        let text = cloud_message(&json!({"body": "go"}), NOW).expect("a message");
        assert_eq!(
            (text.body.as_slice(), text.content_type),
            (b"go".as_slice(), None)
        );
        let bytes = cloud_message(&json!({"bodyBase64": "/wA="}), NOW).expect("a message");
        assert_eq!(bytes.body, [0xff, 0]);
        assert_eq!(bytes.expires, NOW.plus(USUAL_WAIT));
    }

    #[test]
    fn what_is_wrong_with_a_message_is_told() {
        for body in [
            json!({}),
            json!({"body": "a", "bodyBase64": "AA=="}),
            json!({"bodyBase64": "?"}),
            json!({"body": "a", "ack": "perhaps"}),
            json!({"body": "a", "expirySeconds": 0}),
            json!({"body": "a", "expirySeconds": 172_801}),
            json!({"body": "a", "properties": {"n": 1}}),
            json!({"body": "a", "messageId": "x".repeat(LONGEST_TEXT + 1)}),
            json!({"body": "a", "contentType": "x".repeat(LONGEST_TEXT + 1)}),
            json!({"body": "a".repeat(LARGEST_MESSAGE + 1)}),
            json!({"body": "a", "properties": {"n": "x".repeat(9000)}}),
        ] {
            let refused = cloud_message(&body, NOW).expect_err("refused");
            assert!(!matches!(refused, HubError::Internal(_)), "{body}");
        }
    }

    #[test]
    fn the_longest_message_there_may_be_fits_into_a_topic() {
        let odd = |length: usize| "\u{1}".repeat(length);
        let message = cloud_message(
            &json!({"body": "a", "ack": "negative", "messageId": odd(LONGEST_TEXT),
                "correlationId": odd(LONGEST_TEXT), "userId": odd(LONGEST_TEXT),
                "contentType": odd(LONGEST_TEXT), "contentEncoding": odd(LONGEST_TEXT),
                "properties": {"n": odd(8 * 1024 - 1)}}),
            NOW,
        )
        .expect("a message");
        let device = DeviceId::parse(&"%".repeat(128)).expect("an id");
        let topic = command_topic(&Endpoint::device(device), &message);
        assert!(topic.len() <= usize::from(u16::MAX), "{}", topic.len());
    }
}
