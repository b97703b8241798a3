//! Errors of the control plane, in its two shapes. Called by the server's control plane face.

use landfall_core::error::Error;
use landfall_core::id::TrackingId;
use serde_json::json;

use super::{row, waiting};
use crate::message::Reply;
use crate::table::table;

/// Which of the control plane's two error bodies an error has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `{"error":{"code","message"}}`, the form of the resource manager.
    Resource,
    /// `{"code","httpStatusCode","message"}`, the form of the provider, with its number.
    Provider,
}

/// One line of the control plane's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The word of the body: `code` in the one form, `httpStatusCode` in the other.
    pub word: &'static str,
    /// The form of the body.
    pub shape: Shape,
    /// The number of the same error in the table of the service API.
    pub like: u32,
    /// The number that is sent, where it is another one.
    pub own: Option<u32>,
}

const fn resource(word: &'static str, like: u32) -> Row {
    Row {
        word,
        shape: Shape::Resource,
        like,
        own: None,
    }
}

const fn provider(word: &'static str, like: u32) -> Row {
    Row {
        word,
        shape: Shape::Provider,
        like,
        own: None,
    }
}

table! {
    /// The line of an error.
    ///
    /// Source: docs/protocol/control-plane.md §6 [R, S].
    fn line(error: &Error) -> Row;
    /// Every error of the control plane.
    const ROWS;

    Error::Unreadable(_) => provider("BadRequest", 400_000),
    Error::ApiVersion(_) => provider("BadRequest", 400_001),
    // The one number that was recorded.
    Error::Invalid(_) => Row {
        own: Some(400_309),
        ..provider("BadRequest", 400_004)
    },
    Error::Unauthorized => resource("AuthenticationFailed", 401_002),
    Error::RightMissing(_) => resource("AuthenticationFailed", 401_003),
    Error::ServiceNotFound => resource("ResourceNotFound", 404_001),
    Error::NotFound(_) => resource("ResourceNotFound", 404_201),
    Error::OtherNotFound(_) => resource("ResourceNotFound", 404_202),
    Error::MethodNotAllowed => resource("MethodNotAllowed", 405_000),
    Error::Exists(_) => provider("Conflict", 409_201),
    Error::InUse(_) => provider("Conflict", 409_202),
    Error::PreconditionFailed(_) => provider("PreconditionFailed", 412_002),
    Error::MediaType(_) => provider("UnsupportedMediaType", 415_000),
    Error::TooLarge(_) => provider("RequestEntityTooLarge", 413_001),
    Error::Throttled(_) => provider("TooManyRequests", 429_001),
    Error::Unavailable(_) => provider("ServiceUnavailable", 503_001),
    Error::Internal => provider("InternalServerError", 500_001),
}

/// Writes an error as a reply of the control plane. A 401 carries the challenge that clients look
/// for.
///
/// Source: docs/protocol/control-plane.md §1, §6 [R, S].
pub fn reply(error: &Error, tracking: &TrackingId) -> Reply {
    let (status, _) = row(error);
    let line = line(error);
    let body = match line.shape {
        Shape::Resource => {
            json!({"error": {"code": line.word, "message": error.to_string()}})
        }
        Shape::Provider => json!({
            "code": line.own.unwrap_or(line.like),
            "httpStatusCode": line.word,
            "message": error.to_string(),
        }),
    };
    let reply = Reply::json(status, &body)
        .with_header("x-ms-request-id", tracking.as_str())
        .with_header("cache-control", "no-cache")
        .with_header("x-content-type-options", "nosniff");
    let reply = if status == http::StatusCode::UNAUTHORIZED {
        reply.with_header("www-authenticate", "Bearer realm=\"landfall\"")
    } else {
        reply
    };
    waiting(reply, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(error: &Error) -> (u16, String) {
        let tracking = TrackingId::parse("t-1").expect("valid");
        let reply = reply(error, &tracking);
        assert_eq!(reply.headers["x-ms-request-id"], "t-1");
        assert_eq!(
            reply.headers.contains_key("www-authenticate"),
            reply.status.as_u16() == 401
        );
        (
            reply.status.as_u16(),
            String::from_utf8(reply.body).expect("ascii"),
        )
    }

    #[test]
    fn missing_resources_and_refused_callers_have_the_resource_managers_shape() {
        assert_eq!(
            body(&Error::OtherNotFound("Certificate 'a'".into())),
            (
                404,
                r#"{"error":{"code":"ResourceNotFound","message":"Certificate 'a' not found."}}"#
                    .to_owned()
            )
        );
        assert_eq!(
            body(&Error::Unauthorized),
            (
                401,
                r#"{"error":{"code":"AuthenticationFailed","message":"Unauthorized"}}"#.to_owned()
            )
        );
    }

    #[test]
    fn every_line_leads_to_the_same_errors_line_of_the_service_api() {
        let service: Vec<u32> = crate::fault::ROWS.iter().map(|row| row.number).collect();
        let control: Vec<u32> = ROWS.iter().map(|row| row.like).collect();
        let sorted = |mut numbers: Vec<u32>| {
            numbers.sort_unstable();
            numbers
        };
        assert_eq!(sorted(control), sorted(service));
        for error in [Error::Internal, Error::MediaType("x".into())] {
            assert_eq!(line(&error).like, row(&error).1);
        }
    }

    #[test]
    fn broken_rules_have_the_providers_shape() {
        assert_eq!(
            body(&Error::Invalid("No.".into())),
            (
                400,
                r#"{"code":400309,"httpStatusCode":"BadRequest","message":"No."}"#.to_owned()
            )
        );
        assert_eq!(
            body(&Error::PreconditionFailed("Certificate 'a'".into())).0,
            412
        );
    }
}
