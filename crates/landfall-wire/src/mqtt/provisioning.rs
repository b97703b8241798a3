//! What a device says to the provisioning service over MQTT: its user name, the topics it asks on, and
//! the topics of its answers. Bodies are those of [`crate::device`]. Here they are read and made as the service
//! does it, in [`device`] as a device does.
//!
//! Source: docs/protocol/device-api.md §3.

pub mod device;

use landfall_core::error::Error;
use landfall_core::id::{IdScope, OperationId, RegistrationId};

use crate::api_version::{self, ApiVersion};
use crate::message::Reply;
use crate::mqtt::session::{Connecting, Refused};

/// The one filter a device may subscribe to.
pub const ANSWERS: &str = "$dps/registrations/res/#";

/// Longest request id, in bytes: it is repeated in the topic of the answer.
const LONGEST_REQUEST_ID: usize = 1024;
/// What every topic of the service begins with.
const SERVICE: &str = "$dps/registrations/";
/// What stands behind it when a device registers.
const REGISTER: &str = "PUT/iotdps-register";
/// What stands behind it when a device asks what became of that.
const OPERATION_STATUS: &str = "GET/iotdps-get-operationstatus";

/// Who a device says it is, by its user name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The provisioning service.
    pub id_scope: IdScope,
    /// The registration id, as spelt.
    pub registration_id: RegistrationId,
    /// The version it speaks.
    pub api_version: ApiVersion,
}

/// Why a user name, or what comes with it, is none of this service.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unnamed {
    /// It is not of the form of any.
    #[error("the user name is not {{id scope}}/registrations/{{registration id}}/api-version=…")]
    Form,
    /// Its ids or its version are malformed.
    #[error("{0}")]
    Part(Error),
    /// The client id is not the registration id.
    #[error("the client id is not the registration id of the user name")]
    ClientId,
    /// It leaves a will, which the service would have to publish.
    #[error("the service takes no will")]
    Will,
}

impl Unnamed {
    /// What the device is told.
    ///
    /// Source: docs/protocol/device-api.md §3.1 [R]; of a will [I].
    pub fn refusal(&self) -> Refused {
        match self {
            Unnamed::Form | Unnamed::Part(_) => Refused::BadUserName,
            Unnamed::ClientId | Unnamed::Will => Refused::NotAuthorized,
        }
    }
}

/// Scope and registration id of a user name, unread; for whoever reports one that is refused.
pub fn parts(user_name: &str) -> Option<(&str, &str, &str)> {
    let (scope, rest) = user_name.split_once('/')?;
    let (word, rest) = rest.split_once('/')?;
    let (id, query) = rest.split_once('/')?;
    word.eq_ignore_ascii_case("registrations")
        .then_some((scope, id, query))
}

/// Reads who a device says it is. Whether it is, is found when it asks for something.
///
/// Shape: `{scope}/registrations/{id}/api-version={date}[&ClientVersion=…]`; values may be
/// percent-encoded, keys come in any order and are compared without case, others are passed over.
/// Source: docs/protocol/device-api.md §3.1 [R].
///
/// # Errors
/// [`Unnamed`] when the user name is no such, or contradicts the client id.
pub fn named(connecting: &Connecting) -> Result<Named, Unnamed> {
    let user_name = connecting.user_name.as_deref().unwrap_or_default();
    let (scope, id, query) = parts(user_name).ok_or(Unnamed::Form)?;
    let invalid = |text: String| Unnamed::Part(Error::Invalid(text));
    let id_scope = IdScope::parse(scope).map_err(|error| invalid(error.to_string()))?;
    let registration_id = RegistrationId::parse(id).map_err(|error| invalid(error.to_string()))?;
    let version = parameter(query.trim_start_matches('?'), "api-version").map(decoded);
    let api_version = api_version::parse(version.as_deref()).map_err(Unnamed::Part)?;
    if !connecting.client_id.eq_ignore_ascii_case(id) {
        return Err(Unnamed::ClientId);
    }
    if connecting.will.is_some() {
        return Err(Unnamed::Will);
    }
    Ok(Named {
        id_scope,
        registration_id,
        api_version,
    })
}

/// What a topic asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// Register.
    Register,
    /// The state of an operation; what names it may be malformed.
    OperationStatus(Result<OperationId, String>),
}

/// A topic that a device asks on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What it asks for.
    pub asked: Asked,
    /// Its request id as it stands there, to be repeated to the byte.
    pub request_id: String,
}

/// Reads a topic; `None` when the service has no such, which ends the connection.
///
/// Source: docs/protocol/device-api.md §3.3 [R].
pub fn request(topic: &str) -> Option<Request> {
    let (path, query) = topic.strip_prefix(SERVICE)?.split_once('?')?;
    let request_id =
        parameter(query, "$rid").filter(|id| (1..=LONGEST_REQUEST_ID).contains(&id.len()))?;
    let asked = match path.strip_suffix('/').unwrap_or(path) {
        REGISTER => Asked::Register,
        OPERATION_STATUS => {
            let id = parameter(query, "operationId").map(decoded);
            Asked::OperationStatus(
                OperationId::parse(&id.unwrap_or_default()).map_err(|error| error.to_string()),
            )
        }
        _ => return None,
    };
    Some(Request {
        asked,
        request_id: request_id.to_owned(),
    })
}

/// The topic of an answer. The request id comes first and is the only other `$`: clients find it by
/// splitting there.
///
/// Source: docs/protocol/device-api.md §3.4 [R].
pub fn answer_topic(reply: &Reply, request_id: &str) -> String {
    let status = reply.status.as_u16();
    let retry_after = reply.headers.get(http::header::RETRY_AFTER);
    match retry_after.and_then(|seconds| seconds.to_str().ok()) {
        Some(seconds) => format!("{SERVICE}res/{status}/?$rid={request_id}&retry-after={seconds}"),
        None => format!("{SERVICE}res/{status}/?$rid={request_id}"),
    }
}

/// The value of a pair of a query, as it stands there; keys are decoded and compared without case.
fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        decoded(key).eq_ignore_ascii_case(name).then_some(value)
    })
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text)
        .decode_utf8_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connecting(user_name: &str, client_id: &str) -> Connecting {
        Connecting {
            client_id: client_id.to_owned(),
            user_name: Some(user_name.to_owned()),
            password: None,
            clean_session: true,
            will: None,
        }
    }

    #[test]
    fn user_names_of_official_clients_are_read() {
        for (query, version) in [
            (
                "api-version=2019-03-31&ClientVersion=azure-iot-provisioning-device%2F1.9.1",
                "2019-03-31",
            ),
            (
                "api-version=2019-03-31&ClientVersion=azure-iot-device-provisioning-py%2F2.14.0%283.11.7%3BLinux%29",
                "2019-03-31",
            ),
            ("api-version=2021-06-01&ClientVersion=1.15.0", "2021-06-01"),
            ("api-version=2019-03-31", "2019-03-31"),
            (
                "ClientVersion=2019-03-31&API-Version=2019-03-31",
                "2019-03-31",
            ),
            ("?api-version=2018-09-01-preview", "2018-09-01-preview"),
        ] {
            let user_name = format!("0ne00ABC123/registrations/Dev-1/{query}");
            let named = named(&connecting(&user_name, "dev-1")).expect(query);
            assert_eq!(named.id_scope.as_str(), "0ne00ABC123");
            assert_eq!(named.registration_id.as_str(), "Dev-1");
            assert_eq!(named.api_version.as_str(), version);
        }
    }

    #[test]
    fn malformed_user_names_are_told_from_contradictions() {
        let version = "api-version=2019-03-31";
        for (user_name, client_id, refused) in [
            (String::new(), "d", Refused::BadUserName),
            (
                "hub.example.net/d/?api-version=2019-03-31".to_owned(),
                "d",
                Refused::BadUserName,
            ),
            (
                format!("0ne1/registrations/d?{version}"),
                "d",
                Refused::BadUserName,
            ),
            (
                "0ne1/registrations/d/ClientVersion=1".to_owned(),
                "d",
                Refused::BadUserName,
            ),
            (
                "0ne1/registrations/d/api-version=latest".to_owned(),
                "d",
                Refused::BadUserName,
            ),
            (
                format!("0ne1/registrations/d_/{version}"),
                "d_",
                Refused::BadUserName,
            ),
            (
                format!("0 e1/registrations/d/{version}"),
                "d",
                Refused::BadUserName,
            ),
            (
                format!("0ne1/registrations/d/{version}"),
                "e",
                Refused::NotAuthorized,
            ),
            (
                format!("0ne1/registrations/d/{version}"),
                "",
                Refused::NotAuthorized,
            ),
        ] {
            let refusal = named(&connecting(&user_name, client_id)).expect_err(&user_name);
            assert_eq!(refusal.refusal(), refused, "{user_name} {client_id}");
        }
        let mut testator = connecting(&format!("0ne1/registrations/d/{version}"), "d");
        testator.will = Some(crate::mqtt::session::Message {
            topic: "$dps/registrations/res/200/?$rid=1".into(),
            payload: bytes::Bytes::new(),
            packet_id: None,
            retain: false,
        });
        assert_eq!(named(&testator), Err(Unnamed::Will));
    }

    #[test]
    fn topics_of_official_clients_are_read_and_others_are_none() {
        let register = request("$dps/registrations/PUT/iotdps-register/?$rid=a%20b").expect("read");
        assert_eq!(
            (register.asked, register.request_id.as_str()),
            (Asked::Register, "a%20b")
        );
        let poll = "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=2&operationId=4.316aac5bdc130deb.b1";
        let poll = request(poll).expect("read");
        let id = OperationId::parse("4.316aac5bdc130deb.b1").expect("an id");
        assert_eq!(
            (poll.asked, poll.request_id.as_str()),
            (Asked::OperationStatus(Ok(id)), "2")
        );
        for topic in [
            "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=3",
            "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=3&operationId=%2F",
        ] {
            let Some(Request {
                asked: Asked::OperationStatus(Err(_)),
                ..
            }) = request(topic)
            else {
                panic!("{topic} is a question without an operation");
            };
        }
        for topic in [
            "",
            "$dps/registrations/PUT/iotdps-register/",
            "$dps/registrations/PUT/iotdps-register/?rid=1",
            "$dps/registrations/PUT/iotdps-register/?$rid=",
            "$dps/registrations/GET/iotdps-register/?$rid=1",
            "$dps/registrations/res/200/?$rid=1",
            "devices/d/messages/events/",
            "$iothub/twin/GET/?$rid=1",
        ] {
            assert_eq!(request(topic), None, "{topic}");
        }
    }

    #[test]
    fn an_answer_names_status_request_and_when_to_come_back() {
        let reply = Reply::empty(http::StatusCode::OK);
        assert_eq!(
            answer_topic(&reply, "a%20b"),
            "$dps/registrations/res/200/?$rid=a%20b"
        );
        let reply = Reply::empty(http::StatusCode::ACCEPTED).with_header("retry-after", "3");
        assert_eq!(
            answer_topic(&reply, "1"),
            "$dps/registrations/res/202/?$rid=1&retry-after=3"
        );
    }
}
