//! Hub errors as they stand on the wire: status, name, number, and the body in the form that every
//! SDK reads. One row per error; a new one does not compile until it has its row.

use http::StatusCode;
use landfall_core::clock::Timestamp;
use landfall_core::id::TrackingId;
use landfall_hub::error::HubError;
use serde_json::json;

use crate::message::Reply;
use crate::table::{Told, table};

/// The header that names the error, beside the body. .NET wants the two to agree.
const ERROR_HEADER: &str = "iothub-errorcode";

/// One line of the hub's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The HTTP status.
    pub status: StatusCode,
    /// The name, in the header and in the body.
    pub name: &'static str,
    /// The number that published lists give to the name.
    pub number: u32,
    /// What the reference says of it.
    pub told: Told,
}

table! {
    /// The line of an error.
    ///
    /// Source: docs/protocol/hub-api.md §1.9 [S]; the numbers of IotHubNotFound and InvalidOperation
    /// from the error list of the .NET service SDK [S].
    fn row(error: &HubError) -> Row;
    /// Every error of the hub.
    const ROWS;

    HubError::HubNotFound => Row {
        status: StatusCode::NOT_FOUND,
        name: "IotHubNotFound",
        number: 401_001,
        told: Told {
            meaning: "No hub answers to this name.",
            cause: "The host name of the request, or of the token's `sr`, is no hub of this server.",
            remedy: "Take the connection string from `landfall connection-string --hub`. The number is the published one and does not agree with the status.",
        },
    },
    HubError::DeviceNotFound(_) => Row {
        status: StatusCode::NOT_FOUND,
        name: "DeviceNotFound",
        number: 404_001,
        told: Told {
            meaning: "The device is not on this hub.",
            cause: "It was never made here, was deleted, or lives on another hub; device ids tell upper from lower case.",
            remedy: "`landfall hub device list`; for a provisioned device, `landfall registration show ID` names its hub and device id.",
        },
    },
    HubError::ModuleNotFound(..) => Row {
        status: StatusCode::NOT_FOUND,
        name: "ModuleNotFound",
        number: 404_010,
        told: Told {
            meaning: "The device is there, the module is not.",
            cause: "The module was never made, or was deleted.",
            remedy: "List the device's modules, and make the one that is missing.",
        },
    },
    HubError::DeviceExists(_) => Row {
        status: StatusCode::CONFLICT,
        name: "DeviceAlreadyExists",
        number: 409_001,
        told: Told {
            meaning: "A device of that name is there.",
            cause: "A PUT without `If-Match`, or a create in a bulk call, for a device that exists.",
            remedy: "To change it, send its etag in `If-Match` (`*` for whatever is there).",
        },
    },
    HubError::ModuleExists(..) => Row {
        status: StatusCode::CONFLICT,
        name: "ModuleAlreadyExistsOnDevice",
        number: 409_301,
        told: Told {
            meaning: "A module of that name is there.",
            cause: "A PUT without `If-Match` for a module that exists.",
            remedy: "To change it, send its etag in `If-Match` (`*` for whatever is there).",
        },
    },
    HubError::PreconditionFailed(_) => Row {
        status: StatusCode::PRECONDITION_FAILED,
        name: "PreconditionFailed",
        number: 412_001,
        told: Told {
            meaning: "The record is not in the state that the caller knows.",
            cause: "Somebody changed it since it was read: the etag in `If-Match` is an old one.",
            remedy: "Read it again, make the change again, send the new etag.",
        },
    },
    HubError::ArgumentInvalid(_) => Row {
        status: StatusCode::BAD_REQUEST,
        name: "ArgumentInvalid",
        number: 400_004,
        told: Told {
            meaning: "The request is readable and breaks a rule.",
            cause: "A bad id, key, thumbprint, twin or query.",
            remedy: "The message names the argument and the rule: correct that one.",
        },
    },
    HubError::ArgumentNull(_) => Row {
        status: StatusCode::BAD_REQUEST,
        name: "ArgumentNull",
        number: 400_005,
        told: Told {
            meaning: "Something that the request needs is not there.",
            cause: "An empty body, or a body without its query.",
            remedy: "The message names what is missing: send it.",
        },
    },
    HubError::Unreadable(_) => Row {
        status: StatusCode::BAD_REQUEST,
        name: "IotHubFormatError",
        number: 400_006,
        told: Told {
            meaning: "The body cannot be read.",
            cause: "It is no JSON, or not of the form that the call takes.",
            remedy: "Send the JSON that the call takes, in UTF-8.",
        },
    },
    HubError::ApiVersion(_) => Row {
        status: StatusCode::BAD_REQUEST,
        name: "InvalidProtocolVersion",
        number: 400_001,
        told: Told {
            meaning: "The api-version is missing or malformed.",
            cause: "The URL has no `?api-version=`, or its value is no date.",
            remedy: "Send a dated version, such as `2021-04-12`.",
        },
    },
    HubError::MethodNotAllowed => Row {
        status: StatusCode::METHOD_NOT_ALLOWED,
        name: "InvalidOperation",
        number: 400_003,
        told: Told {
            meaning: "The path is known and the method is not.",
            cause: "GET in place of PUT, or an id that is missing at the path's end.",
            remedy: "Use a method that the answer's `Allow` header lists.",
        },
    },
    HubError::NotServed(_) => Row {
        status: StatusCode::BAD_REQUEST,
        name: "InvalidOperation",
        number: 400_003,
        told: Told {
            meaning: "A call of the hub that this build does not serve.",
            cause: "File upload, jobs, configurations: they are not there yet.",
            remedy: "The README lists what is not there yet.",
        },
    },
    HubError::Unauthorized(_) => Row {
        status: StatusCode::UNAUTHORIZED,
        name: "IotHubUnauthorizedAccess",
        number: 401_002,
        told: Told {
            meaning: "The caller did not prove that it may do this.",
            cause: "The token is missing, expired, signed with another key, or its policy lacks the permission that the message names.",
            remedy: "Take the connection string from `landfall connection-string --hub` again, and compare the clocks.",
        },
    },
    HubError::TooManyDevices(_) => Row {
        status: StatusCode::PAYLOAD_TOO_LARGE,
        name: "TooManyDevices",
        number: 413_002,
        told: Told {
            meaning: "The request names more devices than one call may.",
            cause: "A bulk call with more than a hundred items.",
            remedy: "Send several calls.",
        },
    },
    HubError::TooManyModules(..) => Row {
        status: StatusCode::PAYLOAD_TOO_LARGE,
        name: "TooManyModulesOnDevice",
        number: 413_003,
        told: Told {
            meaning: "The device has as many modules as it may have.",
            cause: "The message says the most.",
            remedy: "Delete modules that are no longer used.",
        },
    },
    HubError::TooLarge(_) => Row {
        status: StatusCode::PAYLOAD_TOO_LARGE,
        name: "MessageTooLarge",
        number: 413_001,
        told: Told {
            meaning: "The body, or a twin in it, is over its limit.",
            cause: "A body of more than 4 MiB, or a section of a twin over its size.",
            remedy: "The message names the part and its limit: send less.",
        },
    },
    HubError::NotOnline(_) => Row {
        status: StatusCode::NOT_FOUND,
        name: "DeviceNotOnline",
        number: 404_103,
        told: Told {
            meaning: "The device or module is not connected.",
            cause: "A method was called of one that has no session, or whose session did not subscribe to methods.",
            remedy: "`landfall hub device show ID` says whether it is connected; `connectTimeoutInSeconds` waits for it.",
        },
    },
    HubError::QueueFull(_) => Row {
        status: StatusCode::FORBIDDEN,
        name: "DeviceMaximumQueueDepthExceeded",
        number: 403_004,
        told: Told {
            meaning: "As many messages wait for the device or module as may.",
            cause: "Fifty are queued: it is away, does not listen to messages, or does not acknowledge them.",
            remedy: "`landfall hub c2d purge ID` empties the queue; messages also go when they expire.",
        },
    },
    HubError::LockLost => Row {
        status: StatusCode::PRECONDITION_FAILED,
        name: "DeviceMessageLockLost",
        number: 412_002,
        told: Told {
            meaning: "The message is not the caller's any more.",
            cause: "More than a minute passed since it was taken, it was delivered again by another connection, or what became of it was said before.",
            remedy: "Take the next message; a message whose lock ended comes again.",
        },
    },
    HubError::NoAnswer(_) => Row {
        status: StatusCode::GATEWAY_TIMEOUT,
        name: "GatewayTimeout",
        number: 504_101,
        told: Told {
            meaning: "The device or module did not answer a method in time.",
            cause: "It was called and is busy, or went away meanwhile.",
            remedy: "Wait longer (`responseTimeoutInSeconds`, up to 300), and look at the device's own log.",
        },
    },
    HubError::Unavailable(_) => Row {
        status: StatusCode::SERVICE_UNAVAILABLE,
        name: "ServiceUnavailable",
        number: 503_001,
        told: Told {
            meaning: "The hub cannot answer now; come back after `Retry-After`.",
            cause: "The database cannot be written, or the same records changed too often at the same moment.",
            remedy: "Caller: wait and repeat. Operator: look at `/readyz`, the log and the free disk space; [health](../operating/health.md).",
        },
    },
    HubError::Internal(_) => Row {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        name: "ServerError",
        number: 500_001,
        told: Told {
            meaning: "A fault of the server.",
            cause: "Something that must not happen; the cause stands in the log, never in the answer.",
            remedy: "Find the log line with the tracking id, and report it.",
        },
    },
}

/// The error's name, as the header, the body and bulk results spell it.
pub fn error_name(error: &HubError) -> &'static str {
    row(error).name
}

/// The error's number, as bodies of twin and method errors over MQTT hold it.
pub fn error_number(error: &HubError) -> u32 {
    row(error).number
}

/// The error as a device or module reads it in an answer over MQTT: status and body.
///
/// Source: docs/protocol/hub-api.md §0 rule 6, §2.1 [S].
pub fn over_mqtt(error: &HubError, tracking: &TrackingId, now: Timestamp) -> (u16, Vec<u8>) {
    let row = row(error);
    let body = json!({
        "errorCode": row.number,
        "trackingId": tracking.as_str(),
        "message": error.to_string(),
        "timestampUtc": now.to_wire(),
    });
    (row.status.as_u16(), Reply::json(row.status, &body).body)
}

/// The status of a bulk call: its body is the same either way.
///
/// Source: docs/protocol/hub-api.md §1.7 [S].
pub fn bulk_status(all_well: bool) -> StatusCode {
    if all_well {
        StatusCode::OK
    } else {
        StatusCode::BAD_REQUEST
    }
}

/// When callers are told to come back that the hub cannot answer now, in seconds.
const COME_BACK: &str = "5";

/// The reply that says the error: its name in the header for .NET, in the text for Node.
///
/// Source: docs/protocol/hub-api.md §1.9 [D, S].
pub fn reply(error: &HubError, tracking: &TrackingId, now: Timestamp) -> Reply {
    let row = row(error);
    let tracking: String = tracking.as_str().chars().filter(|c| *c != '-').collect();
    let body = json!({
        "Message": format!("ErrorCode:{};{error}", row.name),
        "ExceptionMessage":
            format!("Tracking ID:{tracking}-G:0-TimeStamp:{}", american(now)),
    });
    let reply = Reply::json(row.status, &body).with_header(ERROR_HEADER, row.name);
    match error {
        HubError::Unavailable(_) => reply.with_header("retry-after", COME_BACK),
        _ => reply,
    }
}

/// A time as `MM/dd/yyyy HH:mm:ss`.
fn american(now: Timestamp) -> String {
    let wire = now.to_wire_seconds();
    let mut parts = wire.trim_end_matches('Z').split(['-', 'T']);
    let mut next = || parts.next().unwrap_or_default();
    let (year, month, day, time) = (next(), next(), next(), next());
    format!("{month}/{day}/{year} {time}")
}

#[cfg(test)]
mod tests {
    use landfall_core::id::DeviceId;

    use super::*;

    #[test]
    fn a_hub_that_cannot_answer_says_when_to_come_back() {
        let tracking = TrackingId::parse("t-1").expect("an id");
        let asked = |error| {
            let reply = reply(&error, &tracking, Timestamp::from_unix_seconds(1));
            reply.headers.contains_key("retry-after")
        };
        assert!(asked(HubError::Unavailable("disk full".into())));
        assert!(!asked(HubError::HubNotFound));
    }

    #[test]
    fn errors_have_the_form_that_node_and_dotnet_read() {
        let error = HubError::DeviceNotFound(DeviceId::parse("Dev1").expect("an id"));
        let tracking = TrackingId::parse("0b1f6d3c-9a55-4c1e-8a77-2f4f4d0f1e2a").expect("an id");
        let now = Timestamp::parse("2033-05-18T03:33:20Z").expect("a time");
        let reply = reply(&error, &tracking, now);
        assert_eq!(reply.status.as_u16(), 404);
        assert_eq!(
            reply.headers.get("iothub-errorcode").map(|v| v.as_bytes()),
            Some(b"DeviceNotFound".as_slice())
        );
        assert_eq!(
            String::from_utf8(reply.body).expect("text"),
            r#"{"Message":"ErrorCode:DeviceNotFound;Device Dev1 not registered","ExceptionMessage":"Tracking ID:0b1f6d3c9a554c1e8a772f4f4d0f1e2a-G:0-TimeStamp:05/18/2033 03:33:20"}"#
        );
        assert_eq!(error_number(&error), 404_001);
    }

    #[test]
    fn causes_for_the_log_stay_out_of_the_body() {
        let tracking = TrackingId::parse("t").expect("an id");
        for error in [
            HubError::Unavailable("disk /x is full".into()),
            HubError::Internal("disk /x is full".into()),
        ] {
            let body = reply(&error, &tracking, Timestamp::NEVER).body;
            assert!(!String::from_utf8(body).expect("text").contains("disk"));
        }
    }
}
