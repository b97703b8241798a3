//! Core and hub errors as they stand on the wire: status, error number, tracking id. The only place
//! that knows these numbers.
//!
//! The rows here are those of the device API and of the service API, which share one form; the
//! control plane's stand in [`control`], the hub's in [`hub`], those of registrations that ended
//! without a hub in [`registration`]. Each row also tells its cause and remedy: the reference is
//! printed from here. Adapters of the server call [`reply`] at the very edge, when nothing can change
//! the answer any more.

pub mod control;
pub mod hub;
pub mod registration;

use std::time::Duration;

use http::StatusCode;
use landfall_core::clock::Timestamp;
use landfall_core::error::Error;
use landfall_core::id::TrackingId;
use serde_json::{Value, json};

use crate::message::Reply;
pub use crate::table::Told;
use crate::table::table;

/// Which part of the public protocol answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Face {
    /// The device API.
    Device,
    /// The service API.
    Service,
    /// The routes below `/landfall`, which are Landfall's own.
    Own,
}

impl Face {
    /// The face in the words of the reference.
    pub fn name(self) -> &'static str {
        match self {
            Face::Device => "device",
            Face::Service => "service",
            Face::Own => "own",
        }
    }
}

/// Every face that shares this form of errors.
const ALL_FACES: &[Face] = &[Face::Device, Face::Service, Face::Own];

/// One line of the table of errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The HTTP status.
    pub status: StatusCode,
    /// The six-digit number; its first three digits are the status.
    pub number: u32,
    /// Who answers it.
    pub faces: &'static [Face],
    /// What the reference says of it.
    pub told: Told,
}

/// The status and the six-digit number of an error. The number's first three digits are the
/// status: a client of AMQP derives one from the other.
pub fn row(error: &Error) -> (StatusCode, u32) {
    let line = line(error);
    (line.status, line.number)
}

table! {
    /// The line of an error.
    ///
    /// Source: docs/protocol/service-api.md §6 [R, I]; docs/protocol/device-api.md §1.6 [R, I].
    fn line(error: &Error) -> Row;
    /// Every error of the device API, of the service API and of our own routes.
    const ROWS;

    Error::Unreadable(_) => Row {
        status: StatusCode::BAD_REQUEST,
        number: 400_000,
        faces: ALL_FACES,
        told: Told {
            meaning: "The request cannot be read.",
            cause: "The body is no JSON object or did not arrive whole, the head is no HTTP/1.1, or `Host` is missing or there twice.",
            remedy: "Send one JSON object in UTF-8 with its `Content-Length`, and one `Host`. The message says which part could not be read.",
        },
    },
    Error::ApiVersion(_) => Row {
        status: StatusCode::BAD_REQUEST,
        number: 400_001,
        faces: &[Face::Device, Face::Service],
        told: Told {
            meaning: "The api-version is missing or malformed.",
            cause: "The URL has no `?api-version=`, or its value is no date.",
            remedy: "Send a dated version, such as `2021-06-01`, with `-preview` behind it or without.",
        },
    },
    Error::Invalid(_) => Row {
        status: StatusCode::BAD_REQUEST,
        number: 400_004,
        faces: ALL_FACES,
        told: Told {
            meaning: "The request is readable and breaks a rule.",
            cause: "An id with a character that ids may not have, another id in the body than in the path, a member of the wrong kind, a rule of enrollments; from a device also `csr` and TPM attestation, which are not served yet.",
            remedy: "The message names the member and the rule: correct that one.",
        },
    },
    Error::Unauthorized => Row {
        status: StatusCode::UNAUTHORIZED,
        number: 401_002,
        faces: ALL_FACES,
        told: Told {
            meaning: "The caller did not prove who it is.",
            cause: "Device: no enrollment, a wrong key, an expired token, a certificate that leads to no enrollment, an unknown id scope; all of them read alike on purpose. Operator: a token that is wrong, expired, or made for another host name; a wrong control token.",
            remedy: "Device: `landfall explain TRACKING-ID` names the [check](checks.md) that failed. Operator: take the connection string from `landfall connection-string` again, and compare the clocks.",
        },
    },
    Error::RightMissing(_) => Row {
        status: StatusCode::UNAUTHORIZED,
        number: 401_003,
        faces: &[Face::Service, Face::Own],
        told: Told {
            meaning: "The caller is known and may not do this.",
            cause: "The shared access policy of the token lacks the right that the message names.",
            remedy: "Use a connection string of a policy that holds the right; `provisioningserviceowner` holds all.",
        },
    },
    Error::ServiceNotFound => Row {
        status: StatusCode::NOT_FOUND,
        number: 404_001,
        faces: &[Face::Service],
        told: Told {
            meaning: "No provisioning service answers to this name.",
            cause: "Kept for clients that look for it: no request of this build leads to it, since the token's signature finds the service.",
            remedy: "Compare the host name with `landfall service list`.",
        },
    },
    Error::NotFound(_) => Row {
        status: StatusCode::NOT_FOUND,
        number: 404_201,
        faces: &[Face::Device, Face::Service],
        told: Told {
            meaning: "The individual enrollment or the registration is not there.",
            cause: "The id is misspelt, belongs to another service, or was deleted; a device that asks for its state never registered.",
            remedy: "Look with `landfall enrollment list` or `landfall registration list`; a device registers first.",
        },
    },
    Error::OtherNotFound(_) => Row {
        status: StatusCode::NOT_FOUND,
        number: 404_202,
        faces: ALL_FACES,
        told: Told {
            meaning: "Something else is not there: a group, an operation, a service, a trace, or the path.",
            cause: "The name is misspelt; finished operations are kept for `retention.operation_hours`, traces for `retention.trace_hours`; or the path is one that no face serves.",
            remedy: "The message names what is missing. A device registers again: it gets a new operation id, and keeps its hub.",
        },
    },
    Error::MethodNotAllowed => Row {
        status: StatusCode::METHOD_NOT_ALLOWED,
        number: 405_000,
        faces: ALL_FACES,
        told: Told {
            meaning: "The path is known and the method is not.",
            cause: "GET in place of PUT or POST, or an id that is missing at the path's end.",
            remedy: "Use a method that the answer's `Allow` header lists.",
        },
    },
    Error::Exists(_) => Row {
        status: StatusCode::CONFLICT,
        number: 409_201,
        faces: &[Face::Service, Face::Own],
        told: Told {
            meaning: "The record is there already.",
            cause: "A PUT without `If-Match` on an enrollment that exists; a certificate that another enrollment holds; a service of that name.",
            remedy: "To change a record, read it and send its etag in `If-Match` (`*` for whatever is there); else choose another id.",
        },
    },
    Error::InUse(_) => Row {
        status: StatusCode::CONFLICT,
        number: 409_202,
        faces: &[Face::Own],
        told: Told {
            meaning: "The provisioning service is not empty.",
            cause: "A service is to be deleted that holds enrollments, groups, CA certificates or registrations, or whose hub has devices.",
            remedy: "The message counts what would go: `landfall service delete NAME --force` deletes all of it, `--keep-hub` leaves the hub with its devices.",
        },
    },
    Error::PreconditionFailed(_) => Row {
        status: StatusCode::PRECONDITION_FAILED,
        number: 412_002,
        faces: &[Face::Service, Face::Own],
        told: Told {
            meaning: "The record is not in the state that the caller knows.",
            cause: "Somebody changed or deleted it since it was read: the etag in `If-Match` or in the body is an old one.",
            remedy: "Read it again, make the change again, send the new etag.",
        },
    },
    Error::MediaType(_) => Row {
        status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
        number: 415_000,
        faces: &[Face::Device],
        told: Told {
            meaning: "The body is in a coding that is not read here.",
            cause: "`Content-Encoding` names a compression.",
            remedy: "Send the body as it is, without that header (`utf-8` and `identity` are passed over).",
        },
    },
    Error::TooLarge(_) => Row {
        status: StatusCode::PAYLOAD_TOO_LARGE,
        number: 413_001,
        faces: ALL_FACES,
        told: Told {
            meaning: "The body is over the limit.",
            cause: "A device sends more than `limits.body_bytes` (96 KB unless set otherwise), an operator more than 4 MiB.",
            remedy: "Send less: a smaller payload, fewer enrollments in one bulk call.",
        },
    },
    Error::Throttled(_) => Row {
        status: StatusCode::TOO_MANY_REQUESTS,
        number: 429_001,
        faces: &[Face::Device],
        told: Told {
            meaning: "Too many requests; come back after `Retry-After`.",
            cause: "A device came for the first time, with a token, to a service of many groups with keys, and the processor time for such searches is spent: `limits.group_search_percent`, [group searches](../operating/group-searches.md). The cloud service answers it above its quotas, which this build does not have.",
            remedy: "Wait as long as `Retry-After` says, then send the same request.",
        },
    },
    Error::Unavailable(_) => Row {
        status: StatusCode::SERVICE_UNAVAILABLE,
        number: 503_001,
        faces: ALL_FACES,
        told: Told {
            meaning: "The server cannot answer now; come back after `Retry-After`.",
            cause: "The database cannot be written (full disk, file rights, a lock), or the same records changed too often at the same moment.",
            remedy: "Caller: wait and repeat. Operator: look at `/readyz`, the log and the free disk space; [health](../operating/health.md).",
        },
    },
    Error::Internal => Row {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        number: 500_001,
        faces: ALL_FACES,
        told: Told {
            meaning: "A fault of the server.",
            cause: "Something that must not happen; the cause stands in the log, never in the answer.",
            remedy: "Find the log line with the tracking id, and report it.",
        },
    },
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
        | Error::InUse(_)
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
            Error::InUse("x".into()),
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
    fn every_number_is_told_once_and_with_a_remedy() {
        let numbers = ROWS.iter().map(|row| row.number);
        let numbers = numbers.chain(registration::FAILURES.iter().map(|row| row.number));
        let mut numbers: Vec<_> = numbers.chain([registration::DISABLED.number]).collect();
        numbers.sort_unstable();
        let told = numbers.len();
        numbers.dedup();
        assert_eq!(numbers.len(), told, "a number stands twice");
        for row in ROWS {
            assert!(!row.faces.is_empty(), "{} is nobody's", row.number);
        }
        let texts = ROWS.iter().map(|row| row.told);
        for told in texts.chain(registration::FAILURES.iter().map(|row| row.told)) {
            for text in [told.meaning, told.cause, told.remedy] {
                assert!(text.ends_with('.') && !text.contains(['|', '\n']), "{text}");
            }
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
