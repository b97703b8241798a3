//! A registration from the device's side, in memory, step by step.

use std::time::Duration;

use http::StatusCode;
use serde_json::json;

use super::*;
use crate::route::{self, DeviceRoute, Route};

/// A service in memory that assigns `after` its first register, by a clock that the test turns.
struct Service {
    now: Duration,
    began: Option<Duration>,
    after: Duration,
    polls: u32,
}

impl Service {
    fn answer(&mut self, request: &Request) -> Reply {
        let assigning = Reply::json(
            StatusCode::ACCEPTED,
            &json!({"operationId": "5.1.a", "status": "assigning",
                "registrationState": {"registrationId": "d:1", "status": "assigning"}}),
        )
        .with_header("retry-after", "2");
        match route::parse(&request.path) {
            Some(Route::Device(DeviceRoute::Register(scope, id))) => {
                assert_eq!((scope.as_str(), id.as_str()), ("0ne1", "d:1"));
                assert_eq!(request.method, Method::PUT);
                self.began = Some(self.now);
                assigning
            }
            Some(Route::Device(DeviceRoute::Operation(_, _, operation))) => {
                assert_eq!(operation, "5.1.a");
                assert_eq!(request.method, Method::GET);
                self.polls += 1;
                if self.now < self.began.expect("registered") + self.after {
                    return assigning;
                }
                Reply::json(
                    StatusCode::OK,
                    &json!({"operationId": "5.1.a", "status": "assigned", "registrationState": {
                        "registrationId": "d:1", "status": "assigned", "assignedHub": "hub.example.net",
                        "deviceId": "d-1", "substatus": "initialAssignment"}}),
                )
            }
            other => panic!("unexpected {other:?}"),
        }
    }
}

fn session(payload: Option<Json>) -> Registering {
    Registering::new(
        "0ne1",
        "d:1",
        Some("SharedAccessSignature x".into()),
        "2019-03-31",
        payload,
    )
}

#[test]
fn a_device_registers_polls_as_asked_and_is_assigned() {
    let mut service = Service {
        now: Duration::ZERO,
        began: None,
        after: Duration::from_secs(5),
        polls: 0,
    };
    let mut session = session(Some(json!({"colour": "red"})));
    let assigned = loop {
        match session.next() {
            Next::Send(request) => {
                assert_eq!(
                    request.header("authorization"),
                    Some("SharedAccessSignature x")
                );
                let reply = service.answer(&request);
                session.received(&reply);
            }
            Next::Wait(span) => {
                assert_eq!(span, Duration::from_secs(2));
                service.now += span;
            }
            Next::Done(assigned) => break assigned,
            Next::Failed(failed) => panic!("{failed}"),
        }
    };
    assert_eq!(service.now, Duration::from_secs(6));
    assert_eq!(service.polls, 3);
    assert_eq!(assigned.hub, "hub.example.net");
    assert_eq!(assigned.device_id, "d-1");
    assert_eq!(assigned.substatus.as_deref(), Some("initialAssignment"));
    assert!(matches!(session.next(), Next::Done(_)));
}

#[test]
fn a_lost_reply_is_asked_for_again_with_the_same_request() {
    let mut session = session(Some(json!(null)));
    let (Next::Send(first), Next::Send(second)) = (session.next(), session.next()) else {
        panic!("register was not sent twice");
    };
    assert_eq!(first.body, br#"{"registrationId":"d:1","payload":null}"#);
    assert_eq!((first.path, first.body), (second.path, second.body));
}

#[test]
fn a_busy_server_is_asked_again_and_not_for_ever() {
    let mut session = session(None);
    let busy = Reply::empty(StatusCode::TOO_MANY_REQUESTS).with_header("retry-after", "7");
    let mut waits = 0;
    for _ in 0..20 {
        match session.next() {
            Next::Send(_) => session.received(&busy),
            Next::Wait(span) => {
                assert_eq!(span, Duration::from_secs(7));
                waits += 1;
            }
            Next::Done(_) => panic!("not assigned"),
            Next::Failed(failed) => {
                assert_eq!(failed.status, "refused");
                break;
            }
        }
    }
    assert_eq!(waits, 5);
}

#[test]
fn refusals_failures_and_unreadable_replies_end_the_attempt() {
    let end = |reply: Reply| {
        let mut session = session(None);
        session.received(&reply);
        match session.next() {
            Next::Failed(failed) => *failed,
            other => panic!("{other:?}"),
        }
    };
    let refused = end(Reply::json(
        StatusCode::UNAUTHORIZED,
        &json!({"errorCode": 401002, "trackingId": "t-9", "message": "Unauthorized"}),
    ));
    assert_eq!(refused.code.as_deref(), Some("401002"));
    assert_eq!(refused.tracking_id.as_deref(), Some("t-9"));
    let disabled = end(Reply::json(
        StatusCode::OK,
        &json!({"operationId": "o", "status": "disabled", "registrationState": {
            "registrationId": "d:1", "status": "disabled", "errorCode": 1, "errorMessage": "off"}}),
    ));
    assert_eq!(disabled.to_string(), "registration disabled: off");
    for unreadable in [
        Reply::json(StatusCode::OK, &json!({"status": "assigning"})),
        Reply::json(StatusCode::OK, &json!({"status": "assigned"})),
        Reply::empty(StatusCode::OK),
    ] {
        assert!(end(unreadable).message.contains("cannot be read"));
    }
}
