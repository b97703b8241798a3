//! Errors of the control plane, in its two shapes. Called by the server's control plane face.

use landfall_core::error::Error;
use landfall_core::id::TrackingId;
use serde_json::json;

use super::{row, waiting};
use crate::message::Reply;

/// Which of the control plane's two error bodies an error has.
enum Shape {
    /// `{"error":{"code","message"}}`, the form of the resource manager, with its word.
    Resource(&'static str),
    /// `{"code","httpStatusCode","message"}`, the form of the provider, with its word.
    Provider(&'static str),
}

fn shape(error: &Error) -> Shape {
    match error {
        Error::Unauthorized | Error::RightMissing(_) => Shape::Resource("AuthenticationFailed"),
        Error::ServiceNotFound | Error::NotFound(_) | Error::OtherNotFound(_) => {
            Shape::Resource("ResourceNotFound")
        }
        Error::MethodNotAllowed => Shape::Resource("MethodNotAllowed"),
        Error::Unreadable(_) | Error::ApiVersion(_) | Error::Invalid(_) => {
            Shape::Provider("BadRequest")
        }
        Error::Exists(_) => Shape::Provider("Conflict"),
        Error::PreconditionFailed(_) => Shape::Provider("PreconditionFailed"),
        Error::MediaType(_) => Shape::Provider("UnsupportedMediaType"),
        Error::TooLarge(_) => Shape::Provider("RequestEntityTooLarge"),
        Error::Throttled(_) => Shape::Provider("TooManyRequests"),
        Error::Unavailable(_) => Shape::Provider("ServiceUnavailable"),
        Error::Internal => Shape::Provider("InternalServerError"),
    }
}

/// The provider's number of an error: the one recorded for a request that breaks a rule, and the
/// service API's for all others.
fn provider_code(error: &Error) -> u32 {
    match error {
        Error::Invalid(_) => 400_309,
        Error::Unreadable(_)
        | Error::ApiVersion(_)
        | Error::Unauthorized
        | Error::RightMissing(_)
        | Error::ServiceNotFound
        | Error::NotFound(_)
        | Error::OtherNotFound(_)
        | Error::MethodNotAllowed
        | Error::Exists(_)
        | Error::PreconditionFailed(_)
        | Error::MediaType(_)
        | Error::TooLarge(_)
        | Error::Throttled(_)
        | Error::Unavailable(_)
        | Error::Internal => row(error).1,
    }
}

/// Writes an error as a reply of the control plane. A 401 carries the challenge that clients look
/// for.
///
/// Source: docs/protocol/control-plane.md §1, §6 [R, S].
pub fn reply(error: &Error, tracking: &TrackingId) -> Reply {
    let (status, _) = row(error);
    let body = match shape(error) {
        Shape::Resource(word) => {
            json!({"error": {"code": word, "message": error.to_string()}})
        }
        Shape::Provider(word) => json!({
            "code": provider_code(error),
            "httpStatusCode": word,
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
