//! What a device makes of the topics of the provisioning service: its user name, where it asks, and what an
//! answer says. The steps of a registration are those over HTTPS ([`registering`](crate::client::registering)); here each becomes a message.
//!
//! Source: docs/protocol/device-api.md §3.

use http::StatusCode;
use http::header::RETRY_AFTER;

use super::{OPERATION_STATUS, REGISTER, SERVICE, parameter};
use crate::message::{Reply, Request};
use crate::route::{self, DeviceRoute, Route};

/// The user name of a device.
///
/// Source: docs/protocol/device-api.md §3.1 [R].
pub fn user_name(id_scope: &str, registration_id: &str, api_version: &str) -> String {
    format!("{id_scope}/registrations/{registration_id}/api-version={api_version}")
}

/// Topic and payload of what a device would ask by `request` over HTTPS; `None` when that is nothing a device
/// asks over MQTT.
///
/// Source: docs/protocol/device-api.md §3.3 [R].
pub fn asked(request: &Request, request_id: &str) -> Option<(String, Vec<u8>)> {
    let topic = match route::parse(&request.path)? {
        Route::Device(DeviceRoute::Register(_, _)) => {
            format!("{SERVICE}{REGISTER}/?$rid={request_id}")
        }
        Route::Device(DeviceRoute::Operation(_, _, operation)) => {
            format!("{SERVICE}{OPERATION_STATUS}/?$rid={request_id}&operationId={operation}")
        }
        _ => return None,
    };
    Some((topic, request.body.clone()))
}

/// What a message of the service answers, and the answer as it would come over HTTPS; `None` when it is no
/// answer.
///
/// Source: docs/protocol/device-api.md §3.4 [R].
pub fn answer(topic: &str, payload: &[u8]) -> Option<(String, Reply)> {
    let (path, query) = topic.strip_prefix(SERVICE)?.split_once('?')?;
    let status = path.strip_prefix("res/")?.trim_end_matches('/');
    let mut reply = Reply::empty(StatusCode::from_bytes(status.as_bytes()).ok()?);
    if let Some(seconds) = parameter(query, RETRY_AFTER.as_str()) {
        reply.headers.insert(RETRY_AFTER, seconds.parse().ok()?);
    }
    reply.body = payload.to_vec();
    Some((parameter(query, "$rid")?.to_owned(), reply))
}

#[cfg(test)]
mod tests {
    use super::super::{Asked, answer_topic, named, request};
    use super::*;
    use crate::client::registering::{Next, Registering};
    use crate::mqtt::session::Connecting;
    use serde_json::json;

    fn next(session: &mut Registering) -> Request {
        match session.next() {
            Next::Send(request) => *request,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_service_reads_who_a_device_says_it_is() {
        let connecting = Connecting {
            client_id: "Dev:1".to_owned(),
            user_name: Some(user_name("0ne1", "Dev:1", "2021-06-01")),
            password: None,
            clean_session: true,
            will: None,
        };
        let named = named(&connecting).expect("a name");
        assert_eq!(named.id_scope.as_str(), "0ne1");
        assert_eq!(named.registration_id.as_str(), "Dev:1");
        assert_eq!(named.api_version.as_str(), "2021-06-01");
    }

    #[test]
    fn a_registration_goes_the_same_steps_in_messages() {
        let payload = Some(json!({"colour": "red"}));
        let mut session = Registering::new("0ne1", "Dev:1", None, "2021-06-01", payload);
        let (topic, body) = asked(&next(&mut session), "7").expect("a message");
        let read = request(&topic).expect("a topic of the service");
        assert_eq!(
            (read.asked, read.request_id.as_str()),
            (Asked::Register, "7")
        );
        let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(
            body,
            json!({"registrationId": "Dev:1", "payload": {"colour": "red"}})
        );

        let assigning = json!({"operationId": "5.1.a", "status": "assigning"});
        let reply = Reply::json(StatusCode::ACCEPTED, &assigning).with_header("retry-after", "2");
        let (request_id, received) =
            answer(&answer_topic(&reply, "7"), &reply.body).expect("an answer");
        assert_eq!(request_id, "7");
        session.received(&received);
        let Next::Wait(wait) = session.next() else {
            panic!("it waits as it was told");
        };
        assert_eq!(wait.as_secs(), 2);

        let (topic, _) = asked(&next(&mut session), "8").expect("a message");
        let read = request(&topic).expect("a topic of the service");
        let Asked::OperationStatus(Ok(operation)) = read.asked else {
            panic!("{topic}");
        };
        assert_eq!(operation.as_str(), "5.1.a");
    }

    #[test]
    fn only_answers_are_answers() {
        for topic in [
            "$dps/registrations/res/200/",
            "$dps/registrations/res/ok/?$rid=1",
            "$dps/registrations/res/200/?rid=1",
            "$dps/registrations/PUT/iotdps-register/?$rid=1",
            "$iothub/twin/res/200/?$rid=1",
        ] {
            assert!(answer(topic, b"{}").is_none(), "{topic}");
        }
    }
}
