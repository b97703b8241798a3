//! One registration, seen from the device: register, poll, assigned. No socket and no clock.
//!
//! Ask [`Registering::next`] what to do, do it, hand each reply to [`Registering::received`].
//! Called by dev's self-check and later by the agent.
//!
//! Source: docs/protocol/device-api.md §0, §1.

use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::{Value as Json, json};

use super::{Authorization, Draft, Refusal, RefusalKind, ReplyError, read};
use crate::message::{Reply, Request};

/// How long to wait between two polls when the server does not say.
///
/// Source: docs/protocol/device-api.md §0 [R].
const USUAL_WAIT: Duration = Duration::from_secs(3);

/// The longest wait that a server may ask for; more is taken for a mistake.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// How often one request is sent again when the server asks to come back later.
const MOST_TRIES: u32 = 5;

/// Where a device was put.
#[derive(Debug, Clone, PartialEq)]
pub struct Assigned {
    /// The host name of the assigned hub.
    pub hub: String,
    /// The device's name on that hub.
    pub device_id: String,
    /// The registration id as the service answered it.
    pub registration_id: String,
    /// The operation that led here.
    pub operation_id: String,
    /// How the assignment came about: `initialAssignment`, …
    pub substatus: Option<String>,
    /// The registration state as received, with payload and all.
    pub state: Json,
}

/// Why a device was not put anywhere.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("registration {status}: {message}")]
pub struct Failed {
    /// `failed`, `disabled`, or `refused` when an error reply ended the attempt.
    pub status: String,
    /// The error code, when there was one.
    pub code: Option<String>,
    /// The message for people.
    pub message: String,
    /// The public name of the attempt, when the server gave one.
    pub tracking_id: Option<String>,
}

/// What to do next.
#[derive(Debug, Clone)]
pub enum Next {
    /// Send this request and hand its reply to [`Registering::received`]. Asked again before a reply
    /// came, the same request is given again.
    Send(Box<Request>),
    /// Wait that long, then ask again.
    Wait(Duration),
    /// The device is assigned.
    Done(Box<Assigned>),
    /// The attempt ended without assignment.
    Failed(Box<Failed>),
}

#[derive(Debug, Clone)]
enum State {
    Register,
    Poll { operation: String },
    Assigned(Box<Assigned>),
    Failed(Box<Failed>),
}

/// A registration in progress.
#[derive(Debug)]
pub struct Registering {
    id_scope: String,
    registration_id: String,
    authorization: Option<Authorization>,
    api_version: String,
    payload: Option<Json>,
    state: State,
    wait: Option<Duration>,
    tries: u32,
}

impl Registering {
    /// Begins a registration. `token` is a shared access signature; none when a client certificate
    /// proves who the device is.
    pub fn new(
        id_scope: &str,
        registration_id: &str,
        token: Option<String>,
        api_version: &str,
        payload: Option<Json>,
    ) -> Self {
        Registering {
            id_scope: id_scope.to_owned(),
            registration_id: registration_id.to_owned(),
            authorization: token.map(Authorization::shared_access),
            api_version: api_version.to_owned(),
            payload,
            state: State::Register,
            wait: None,
            tries: 0,
        }
    }

    /// Says what to do next.
    #[expect(
        clippy::should_implement_trait,
        reason = "a session that is asked for its next step, which never runs out, is no iterator"
    )]
    pub fn next(&mut self) -> Next {
        if let Some(wait) = self.wait.take() {
            return Next::Wait(wait);
        }
        match &self.state {
            State::Register => Next::Send(Box::new(self.register())),
            State::Poll { operation } => Next::Send(Box::new(self.poll(operation))),
            State::Assigned(assigned) => Next::Done(assigned.clone()),
            State::Failed(failed) => Next::Failed(failed.clone()),
        }
    }

    /// Takes in the reply to the request sent last.
    pub fn received(&mut self, reply: &Reply) {
        let asked_to_wait = retry_after(reply);
        match read(reply) {
            Ok(body) => {
                self.tries = 0;
                self.state = self.after(&body);
                if matches!(self.state, State::Poll { .. }) {
                    self.wait = Some(asked_to_wait.unwrap_or(USUAL_WAIT));
                }
            }
            Err(ReplyError::Refused(refusal))
                if refusal.kind == RefusalKind::Later && self.tries < MOST_TRIES =>
            {
                self.wait = Some(asked_to_wait.unwrap_or(USUAL_WAIT * 2_u32.pow(self.tries)));
                self.tries += 1;
            }
            Err(ReplyError::Refused(refusal)) => {
                self.state = State::Failed(Box::new(refused(&refusal)));
            }
            Err(ReplyError::Unreadable(why)) => self.state = unreadable(&why),
        }
    }

    fn draft(&self, method: Method, rest: &[&str]) -> Draft {
        let mut segments = vec![&*self.id_scope, "registrations", &*self.registration_id];
        segments.extend_from_slice(rest);
        let draft = Draft::new(method, &segments).parameter("api-version", &self.api_version);
        match &self.authorization {
            Some(authorization) => draft.authorized(authorization),
            None => draft,
        }
    }

    fn register(&self) -> Request {
        let mut body = json!({ "registrationId": self.registration_id });
        if let Some(payload) = &self.payload {
            body["payload"] = payload.clone();
        }
        self.draft(Method::PUT, &["register"]).json(&body).done()
    }

    fn poll(&self, operation: &str) -> Request {
        self.draft(Method::GET, &["operations", operation]).done()
    }

    fn after(&self, body: &Json) -> State {
        let text = |value: &Json, name: &str| value.get(name)?.as_str().map(str::to_owned);
        let state = body.get("registrationState").unwrap_or(&Json::Null);
        // The final status stands in the registration state; outside stands the operation's.
        let status = text(state, "status").or_else(|| text(body, "status"));
        let operation = text(body, "operationId").or_else(|| match &self.state {
            State::Poll { operation } => Some(operation.clone()),
            _ => None,
        });
        match status.as_deref() {
            Some("assigning" | "unassigned") => match operation {
                Some(operation) => State::Poll { operation },
                None => unreadable("no operationId"),
            },
            Some("assigned") => {
                let (Some(hub), Some(device_id)) =
                    (text(state, "assignedHub"), text(state, "deviceId"))
                else {
                    return unreadable("'assigned' without assignedHub and deviceId");
                };
                State::Assigned(Box::new(Assigned {
                    hub,
                    device_id,
                    registration_id: text(state, "registrationId")
                        .unwrap_or_else(|| self.registration_id.clone()),
                    operation_id: operation.unwrap_or_default(),
                    substatus: text(state, "substatus"),
                    state: state.clone(),
                }))
            }
            Some(status @ ("failed" | "disabled")) => State::Failed(Box::new(Failed {
                status: status.to_owned(),
                code: state.get("errorCode").map(Json::to_string),
                message: text(state, "errorMessage").unwrap_or_default(),
                tracking_id: None,
            })),
            _ => unreadable("no status that a device knows"),
        }
    }
}

fn unreadable(why: &str) -> State {
    State::Failed(Box::new(Failed {
        status: "refused".into(),
        code: None,
        message: format!("the reply cannot be read: {why}"),
        tracking_id: None,
    }))
}

fn refused(refusal: &Refusal) -> Failed {
    Failed {
        status: "refused".into(),
        code: refusal.code.clone(),
        message: refusal.to_string(),
        tracking_id: refusal.tracking_id.clone(),
    }
}

fn retry_after(reply: &Reply) -> Option<Duration> {
    // Only an accepted or a put-off request carries a wait that means something.
    let meant = reply.status == StatusCode::ACCEPTED || !reply.status.is_success();
    let seconds = reply
        .headers
        .get(http::header::RETRY_AFTER)?
        .to_str()
        .ok()?;
    let span = Duration::from_secs(seconds.trim().parse().ok()?);
    meant.then(|| span.min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests;
