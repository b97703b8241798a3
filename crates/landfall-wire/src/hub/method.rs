//! Direct methods: the call of an operator, and the answer to it.

use std::time::Duration;

use http::StatusCode;
use landfall_core::document::{Document, Json};
use landfall_hub::error::HubError;
use serde_json::json;

use super::members::Members;
use crate::message::Reply;

/// The largest payload of a method, in bytes.
///
/// Source: docs/protocol/hub-api.md §3.2.
pub const LARGEST_PAYLOAD: usize = 128 * 1024;

/// A method that a device or module is to carry out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MethodCall {
    /// Its name: 1 to 100 letters, digits and `-`, `_`, `.`, `$`, `*`, so that it fits into a topic.
    pub name: String,
    /// What it is called with.
    pub payload: Document,
    /// How long the answer may take.
    pub response_within: Duration,
    /// How long the device may take to come.
    pub connect_within: Duration,
}

/// Reads a call.
///
/// Source: docs/protocol/hub-api.md §3.2; the form of a name [I].
///
/// # Errors
/// `ArgumentNull` without a name, `ArgumentInvalid` naming the member that is wrong, `TooLarge`.
pub fn method_call(body: &Json) -> Result<MethodCall, HubError> {
    let members = Members::of_body(body)?;
    let name = members
        .text("methodName")?
        .filter(|name| !name.is_empty())
        .ok_or_else(|| HubError::ArgumentNull("The methodName is missing".to_owned()))?;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.$*".contains(&byte);
    if name.len() > 100 || !name.bytes().all(fits) {
        return Err(HubError::ArgumentInvalid(
            "The methodName is not 1 to 100 letters, digits, '-', '_', '.', '$' or '*'".to_owned(),
        ));
    }
    let payload = Document::from_json(&body.get("payload").cloned().unwrap_or(Json::Null));
    if payload.as_str().len() > LARGEST_PAYLOAD {
        return Err(HubError::TooLarge(format!(
            "The payload is larger than {LARGEST_PAYLOAD} bytes"
        )));
    }
    Ok(MethodCall {
        name: name.to_owned(),
        payload,
        response_within: seconds(body, "responseTimeoutInSeconds", 30, 5)?,
        connect_within: seconds(body, "connectTimeoutInSeconds", 0, 0)?,
    })
}

fn seconds(body: &Json, name: &str, usual: u64, least: u64) -> Result<Duration, HubError> {
    const MOST: u64 = 300;
    let seconds = match body.get(name) {
        None | Some(Json::Null) => Some(usual),
        Some(value) => value.as_u64(),
    };
    seconds
        .filter(|seconds| *seconds == 0 || (least..=MOST).contains(seconds))
        .map(|seconds| Duration::from_secs(if seconds == 0 { usual } else { seconds }))
        .ok_or_else(|| {
            HubError::ArgumentInvalid(format!("'{name}' must be {least} to {MOST} seconds"))
        })
}

/// What came of it, in the device's words. A payload that is no JSON is given as a text.
///
/// Source: docs/protocol/hub-api.md §3.2.
pub fn method_reply(status: i64, payload: &[u8]) -> Reply {
    let payload = match serde_json::from_slice(payload) {
        Ok(payload) => payload,
        Err(_) if payload.iter().all(u8::is_ascii_whitespace) => Json::Null,
        Err(_) => Json::from(String::from_utf8_lossy(payload)),
    };
    Reply::json(
        StatusCode::OK,
        &json!({"status": status, "payload": payload}),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_has_a_name_that_fits_into_a_topic_and_bounded_times() {
        let call =
            method_call(&json!({"methodName": "reboot", "payload": {"in": 3}})).expect("a call");
        assert_eq!(
            (call.name.as_str(), call.payload.as_str()),
            ("reboot", r#"{"in":3}"#)
        );
        assert_eq!(
            (
                call.response_within.as_secs(),
                call.connect_within.as_secs()
            ),
            (30, 0)
        );
        let call = method_call(
            &json!({"methodName": "x", "responseTimeoutInSeconds": 5, "connectTimeoutInSeconds": 300}),
        );
        let call = call.expect("a call");
        assert_eq!(
            (call.payload.as_str(), call.response_within.as_secs()),
            ("null", 5)
        );
        assert_eq!(call.connect_within.as_secs(), 300);
        for body in [
            json!({}),
            json!([]),
            json!({"methodName": ""}),
            json!({"methodName": "a/b"}),
            json!({"methodName": "a+"}),
            json!({"methodName": "a".repeat(101)}),
            json!({"methodName": "x", "responseTimeoutInSeconds": 301}),
            json!({"methodName": "x", "responseTimeoutInSeconds": 1}),
            json!({"methodName": "x", "connectTimeoutInSeconds": -1}),
            json!({"methodName": "x", "connectTimeoutInSeconds": "1"}),
            json!({"methodName": "x", "payload": "x".repeat(LARGEST_PAYLOAD)}),
        ] {
            let refused = method_call(&body).expect_err("refused");
            assert!(!matches!(refused, HubError::Internal(_)), "{body}");
        }
    }

    #[test]
    fn an_answer_is_given_as_it_came() {
        for (came, given) in [
            ("{\"a\":1}", r#"{"status":7,"payload":{"a":1}}"#),
            ("", r#"{"status":7,"payload":null}"#),
            ("no json", r#"{"status":7,"payload":"no json"}"#),
        ] {
            let reply = method_reply(7, came.as_bytes());
            assert_eq!(String::from_utf8(reply.body).expect("text"), given);
        }
    }
}
