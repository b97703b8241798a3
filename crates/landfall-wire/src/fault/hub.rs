//! Hub errors as they stand on the wire: status, name, number, and the body in the form that every
//! SDK reads. One row per error; a new one does not compile until it has its row.

use http::StatusCode;
use landfall_core::clock::Timestamp;
use landfall_core::id::TrackingId;
use landfall_hub::error::HubError;
use serde_json::json;

use crate::message::Reply;

/// The header that names the error, beside the body. .NET wants the two to agree.
const ERROR_HEADER: &str = "iothub-errorcode";

/// What the wire says of one error.
struct Row {
    status: StatusCode,
    name: &'static str,
    number: u32,
}

/// The one table.
///
/// Source: docs/protocol/hub-api.md §1.9 [S]; the numbers of IotHubNotFound and InvalidOperation
/// from the error list of the .NET service SDK [S].
fn row(error: &HubError) -> Row {
    let (status, name, number) = match error {
        HubError::HubNotFound => (StatusCode::NOT_FOUND, "IotHubNotFound", 401_001),
        HubError::DeviceNotFound(_) => (StatusCode::NOT_FOUND, "DeviceNotFound", 404_001),
        HubError::ModuleNotFound(..) => (StatusCode::NOT_FOUND, "ModuleNotFound", 404_010),
        HubError::DeviceExists(_) => (StatusCode::CONFLICT, "DeviceAlreadyExists", 409_001),
        HubError::ModuleExists(..) => {
            (StatusCode::CONFLICT, "ModuleAlreadyExistsOnDevice", 409_301)
        }
        HubError::PreconditionFailed(_) => (
            StatusCode::PRECONDITION_FAILED,
            "PreconditionFailed",
            412_001,
        ),
        HubError::ArgumentInvalid(_) => (StatusCode::BAD_REQUEST, "ArgumentInvalid", 400_004),
        HubError::ArgumentNull(_) => (StatusCode::BAD_REQUEST, "ArgumentNull", 400_005),
        HubError::Unreadable(_) => (StatusCode::BAD_REQUEST, "IotHubFormatError", 400_006),
        HubError::ApiVersion(_) => (StatusCode::BAD_REQUEST, "InvalidProtocolVersion", 400_001),
        HubError::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "InvalidOperation", 400_003),
        HubError::NotServed(_) => (StatusCode::BAD_REQUEST, "InvalidOperation", 400_003),
        HubError::Unauthorized(_) => (
            StatusCode::UNAUTHORIZED,
            "IotHubUnauthorizedAccess",
            401_002,
        ),
        HubError::TooManyDevices(_) => (StatusCode::PAYLOAD_TOO_LARGE, "TooManyDevices", 413_002),
        HubError::TooManyModules(..) => (
            StatusCode::PAYLOAD_TOO_LARGE,
            "TooManyModulesOnDevice",
            413_003,
        ),
        HubError::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "MessageTooLarge", 413_001),
        HubError::Unavailable(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "ServiceUnavailable",
            503_001,
        ),
        HubError::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "ServerError", 500_001),
    };
    Row {
        status,
        name,
        number,
    }
}

/// The error's name, as the header, the body and bulk results spell it.
pub fn error_name(error: &HubError) -> &'static str {
    row(error).name
}

/// The error's number, as bodies of twin and method errors over MQTT hold it.
pub fn error_number(error: &HubError) -> u32 {
    row(error).number
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
