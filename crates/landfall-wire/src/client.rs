//! The client halves of the public protocol, without sockets: each call is a
//! [`Request`](crate::message::Request) to send, each [`Reply`] is read into a result.
//!
//! Reading replies stands here, what else the halves share in `draft` and `pages`, the calls in one
//! file per face. The command line, dev's self-check and later the agent share them; who carries the
//! bytes is the caller's business. Connection strings live in [`connection_string`].

pub mod connection_string;
pub mod control;
mod draft;
pub mod events;
pub mod hub;
pub mod own;
mod pages;
pub mod registering;
pub mod service;
pub mod table;

use std::time::Duration;

use http::StatusCode;
use serde_json::Value as Json;

pub use self::draft::Authorization;
use self::draft::Draft;
pub use self::pages::Pages;
use crate::message::Reply;

/// What a refusal asks of the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    /// The credential is missing, wrong or lacks the right.
    NotAuthorized,
    /// What the call names is not there.
    NotFound,
    /// It is there already.
    Conflict,
    /// It changed since it was read.
    Changed,
    /// As many messages wait for a device as may.
    QueueFull,
    /// The server asks to come back later.
    Later,
    /// The request itself is wrong, or the server failed.
    Other,
}

/// A reply that says no, in whichever of the error forms of the faces.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{}", self.sentence())]
pub struct Refusal {
    /// What the refusal asks of the caller.
    pub kind: RefusalKind,
    /// The status of the reply.
    pub status: StatusCode,
    /// The error code, a number or a name.
    pub code: Option<String>,
    /// The message for people; empty when there was none.
    pub message: String,
    /// The public name of the attempt.
    pub tracking_id: Option<String>,
    /// The body as received; `null` when it was no JSON.
    pub body: Json,
}

impl RefusalKind {
    fn of(status: StatusCode) -> Self {
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => RefusalKind::NotAuthorized,
            StatusCode::NOT_FOUND => RefusalKind::NotFound,
            StatusCode::CONFLICT => RefusalKind::Conflict,
            StatusCode::PRECONDITION_FAILED => RefusalKind::Changed,
            StatusCode::TOO_MANY_REQUESTS => RefusalKind::Later,
            status if status.is_server_error() => RefusalKind::Later,
            _ => RefusalKind::Other,
        }
    }
}

impl Refusal {
    fn sentence(&self) -> String {
        let message = if self.message.is_empty() {
            self.status.canonical_reason().unwrap_or("no reason given")
        } else {
            &self.message
        };
        let mut text = message.trim_end_matches('.').to_owned();
        text.push_str(&format!(" ({}", self.status.as_u16()));
        if let Some(code) = &self.code {
            text.push_str(&format!(", code {code}"));
        }
        if let Some(id) = &self.tracking_id {
            text.push_str(&format!(", tracking id {id}"));
        }
        text.push(')');
        text
    }

    /// Reads a reply whose status is not a success.
    ///
    /// Shape: the device and service API say `errorCode`, `message`, `trackingId`; the control plane
    /// `code` and `message`, bare or below `error`; the hub `Message`, with the code in front.
    /// Source: docs/protocol/service-api.md §3.7, control-plane.md §6, hub-api.md §1.9.
    fn read(reply: &Reply) -> Self {
        let body: Json = serde_json::from_slice(&reply.body).unwrap_or(Json::Null);
        let inner = body.get("error").filter(|e| e.is_object()).unwrap_or(&body);
        let text = |names: &[&str]| {
            names.iter().find_map(|name| match inner.get(name) {
                Some(Json::String(text)) => Some(text.clone()),
                Some(Json::Number(number)) => Some(number.to_string()),
                _ => None,
            })
        };
        let tracking_id = text(&["trackingId"]).or_else(|| {
            let header = reply.headers.get("x-ms-request-id")?;
            header.to_str().ok().map(str::to_owned)
        });
        Refusal {
            kind: match reply.headers.get("iothub-errorcode") {
                // The one 403 that is not about the caller.
                Some(name) if name == "DeviceMaximumQueueDepthExceeded" => RefusalKind::QueueFull,
                _ => RefusalKind::of(reply.status),
            },
            status: reply.status,
            code: text(&["errorCode", "code"]),
            message: text(&["message", "Message", "errorMessage"]).unwrap_or_default(),
            tracking_id,
            body,
        }
    }
}

/// Why a reply is not the result that was asked for.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ReplyError {
    /// The server refused.
    #[error(transparent)]
    Refused(Box<Refusal>),
    /// The server agreed, in a body that is not what the call promises.
    #[error("the reply cannot be read: {0}")]
    Unreadable(String),
}

/// Whether a reply asks to come back later, and after how long when it says so.
///
/// Shape: `Retry-After` in whole seconds; a date there is passed over, as if it said nothing.
/// Source: docs/protocol/service-api.md §6 [D].
pub fn later(reply: &Reply) -> Option<Option<Duration>> {
    (RefusalKind::of(reply.status) == RefusalKind::Later).then(|| {
        let value = reply.headers.get(http::header::RETRY_AFTER)?;
        let seconds = value.to_str().ok()?.trim().parse().ok()?;
        Some(Duration::from_secs(seconds))
    })
}

/// Reads a reply: its JSON, or `null` when a success has no body.
///
/// # Errors
/// [`ReplyError`] when the server refused or its body is no JSON.
pub fn read(reply: &Reply) -> Result<Json, ReplyError> {
    if !reply.status.is_success() {
        return Err(ReplyError::Refused(Box::new(Refusal::read(reply))));
    }
    if reply.body.is_empty() {
        return Ok(Json::Null);
    }
    serde_json::from_slice(&reply.body).map_err(|e| ReplyError::Unreadable(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn who_is_asked_to_come_back_reads_when() {
        let later_of = |status, header: Option<&str>| {
            let reply = Reply::empty(status);
            later(&match header {
                Some(value) => reply.with_header("retry-after", value),
                None => reply,
            })
        };
        let throttled = StatusCode::TOO_MANY_REQUESTS;
        let seconds = |n| Some(Some(Duration::from_secs(n)));
        assert_eq!(later_of(throttled, Some("30")), seconds(30));
        assert_eq!(later_of(throttled, None), Some(None));
        let date = Some("Fri, 06 May 2022 17:50:01 GMT");
        assert_eq!(later_of(StatusCode::SERVICE_UNAVAILABLE, date), Some(None));
        assert_eq!(later_of(StatusCode::OK, Some("30")), None);
        assert_eq!(later_of(StatusCode::CONFLICT, Some("30")), None);
    }

    #[test]
    fn refusals_are_read_in_every_form_of_the_faces() {
        let cases = [
            (
                StatusCode::NOT_FOUND,
                json!({"errorCode": 404201, "trackingId": "t-1", "message": "Enrollment not found."}),
                "Enrollment not found (404, code 404201, tracking id t-1)",
                RefusalKind::NotFound,
            ),
            (
                StatusCode::UNAUTHORIZED,
                json!({"error": {"code": "AuthenticationFailed", "message": "No token"}}),
                "No token (401, code AuthenticationFailed)",
                RefusalKind::NotAuthorized,
            ),
            (
                StatusCode::PRECONDITION_FAILED,
                json!({"Message": "ErrorCode:PreconditionFailed"}),
                "ErrorCode:PreconditionFailed (412)",
                RefusalKind::Changed,
            ),
        ];
        for (status, body, sentence, kind) in cases {
            let Err(ReplyError::Refused(refusal)) = read(&Reply::json(status, &body)) else {
                panic!("{status} is no refusal");
            };
            assert_eq!(refusal.to_string(), sentence);
            assert_eq!(refusal.kind, kind);
            assert_eq!(refusal.body, body);
        }
        let empty = read(&Reply::empty(StatusCode::BAD_GATEWAY));
        assert_eq!(
            empty.map_err(|e| e.to_string()),
            Err("Bad Gateway (502)".to_owned())
        );
    }
}
