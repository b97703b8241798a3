//! Core and hub errors as they stand on the wire: status, error number, tracking id. The only place
//! that knows these numbers.
//!
//! The rows here are those of the device API and of the service API, which share one form; the
//! control plane's stand in [`control`], the hub's in [`hub`]. Adapters of the server call [`reply`]
//! at the very edge, when nothing can change the answer any more.

pub mod control;
pub mod hub;

use std::time::Duration;

use http::StatusCode;
use landfall_core::clock::Timestamp;
use landfall_core::error::Error;
use landfall_core::id::TrackingId;
use landfall_core::registration::RegistrationFailure;
use serde_json::{Value, json};

use crate::message::Reply;

/// The number in the registration state of a device whose enrollment is disabled.
///
/// Source: docs/protocol/device-api.md §1.6 [I].
pub const DISABLED_CODE: u32 = 403_201;

/// The text that goes with [`DISABLED_CODE`].
pub const DISABLED_MESSAGE: &str = "The enrollment of this device is disabled.";

/// The status and the six-digit number of an error. The number's first three digits are the
/// status: a client of AMQP derives one from the other.
///
/// Source: docs/protocol/service-api.md §6 [R, I]; docs/protocol/device-api.md §1.6 [R, I].
pub fn row(error: &Error) -> (StatusCode, u32) {
    match error {
        Error::Unreadable(_) => (StatusCode::BAD_REQUEST, 400_000),
        Error::ApiVersion(_) => (StatusCode::BAD_REQUEST, 400_001),
        Error::Invalid(_) => (StatusCode::BAD_REQUEST, 400_004),
        Error::Unauthorized => (StatusCode::UNAUTHORIZED, 401_002),
        Error::RightMissing(_) => (StatusCode::UNAUTHORIZED, 401_003),
        Error::ServiceNotFound => (StatusCode::NOT_FOUND, 404_001),
        Error::NotFound(_) => (StatusCode::NOT_FOUND, 404_201),
        Error::OtherNotFound(_) => (StatusCode::NOT_FOUND, 404_202),
        Error::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, 405_000),
        Error::Exists(_) => (StatusCode::CONFLICT, 409_201),
        Error::PreconditionFailed(_) => (StatusCode::PRECONDITION_FAILED, 412_002),
        Error::MediaType(_) => (StatusCode::UNSUPPORTED_MEDIA_TYPE, 415_000),
        Error::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, 413_001),
        Error::Throttled(_) => (StatusCode::TOO_MANY_REQUESTS, 429_001),
        Error::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, 503_001),
        Error::Internal => (StatusCode::INTERNAL_SERVER_ERROR, 500_001),
    }
}

/// The number that stands in the registration state of a device that could not be assigned.
///
/// Source: docs/protocol/device-api.md §1.6 [S for 400209, I for the rest].
pub fn failure_code(failure: &RegistrationFailure) -> u32 {
    match failure {
        RegistrationFailure::NoLinkedHub => 400_203,
        RegistrationFailure::HubNotLinked(_) => 400_204,
        RegistrationFailure::StaticHubMissing => 400_205,
        RegistrationFailure::PolicyNotServed(_) => 400_206,
        RegistrationFailure::HubRefused(_) => 400_209,
    }
}

/// How long the caller is asked to wait before it tries again, for errors that pass.
pub fn retry_after(error: &Error) -> Option<Duration> {
    match error {
        Error::Throttled(span) | Error::Unavailable(span) => Some(*span),
        Error::Unreadable(_)
        | Error::ApiVersion(_)
        | Error::Invalid(_)
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
        | Error::Internal => None,
    }
}

/// Writes an error as a reply of the device API or of the service API.
///
/// Source: docs/protocol/service-api.md §3.7 [R].
pub fn reply(error: &Error, tracking: &TrackingId, now: Timestamp) -> Reply {
    let (status, code) = row(error);
    let body = body(code, &error.to_string(), tracking, now);
    let reply = Reply::json(status, &body)
        .with_header("x-ms-error-code", &code.to_string())
        .with_header("x-ms-request-id", tracking.as_str());
    waiting(reply, error)
}

/// Adds `Retry-After` to the reply of an error that passes. At least one second is asked for.
pub(crate) fn waiting(reply: Reply, error: &Error) -> Reply {
    match retry_after(error) {
        Some(span) => reply.with_header("retry-after", &span.as_secs().max(1).to_string()),
        None => reply,
    }
}

fn body(code: u32, message: &str, tracking: &TrackingId, now: Timestamp) -> Value {
    json!({
        "errorCode": code,
        "trackingId": tracking.as_str(),
        "message": message,
        "timestampUtc": now.to_wire(),
    })
}

/// A refusal of the method with the methods that the path takes, where its face did not say.
pub fn allowing(reply: Reply, methods: Option<&'static str>) -> Reply {
    match methods {
        Some(methods)
            if reply.status == StatusCode::METHOD_NOT_ALLOWED
                && !reply.headers.contains_key("allow") =>
        {
            reply.with_header("allow", methods)
        }
        _ => reply,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tracking() -> TrackingId {
        TrackingId::parse("ada7d102-449e-4031-a1e7-e60ac75804ea").expect("valid")
    }

    fn every_error() -> Vec<Error> {
        vec![
            Error::Unreadable("x".into()),
            Error::ApiVersion("x".into()),
            Error::Invalid("x".into()),
            Error::Unauthorized,
            Error::RightMissing("EnrollmentRead"),
            Error::ServiceNotFound,
            Error::NotFound("x".into()),
            Error::OtherNotFound("x".into()),
            Error::MethodNotAllowed,
            Error::Exists("x".into()),
            Error::PreconditionFailed("x".into()),
            Error::MediaType("x".into()),
            Error::TooLarge(1),
            Error::Throttled(Duration::from_secs(7)),
            Error::Unavailable(Duration::from_millis(1)),
            Error::Internal,
        ]
    }

    #[test]
    fn the_number_begins_with_the_status() {
        for error in every_error() {
            let (status, code) = row(&error);
            assert_eq!(code / 1000, u32::from(status.as_u16()), "{error:?}");
        }
    }

    #[test]
    fn an_error_is_written_in_the_recorded_form() {
        let now = Timestamp::from_unix_micros(1_574_199_545_157_330);
        let reply = reply(&Error::Unauthorized, &tracking(), now);
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
        assert_eq!(
            String::from_utf8(reply.body).expect("ascii"),
            r#"{"errorCode":401002,"trackingId":"ada7d102-449e-4031-a1e7-e60ac75804ea","message":"Unauthorized","timestampUtc":"2019-11-19T21:39:05.1573300Z"}"#
        );
        assert_eq!(reply.headers["x-ms-error-code"], "401002");
        assert_eq!(
            reply.headers["x-ms-request-id"],
            "ada7d102-449e-4031-a1e7-e60ac75804ea"
        );
        assert!(!reply.headers.contains_key("retry-after"));
    }

    #[test]
    fn only_passing_errors_ask_to_come_back_and_never_at_once() {
        for error in every_error() {
            let reply = reply(&error, &tracking(), Timestamp::NEVER);
            let asked = reply
                .headers
                .get("retry-after")
                .map(|v| v.to_str().expect("text"));
            let wanted = match error {
                Error::Throttled(_) => Some("7"),
                Error::Unavailable(_) => Some("1"),
                _ => None,
            };
            assert_eq!(asked, wanted, "{error:?}");
        }
    }
}
