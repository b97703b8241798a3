//! The client halves of the public protocol, without sockets: each call is a [`Request`] to send,
//! each [`Reply`] is read into a result.
//!
//! The command line, dev's self-check and later the agent share them; who carries the bytes is the
//! caller's business. Connection strings live in [`connection_string`].

pub mod connection_string;
pub mod control;
pub mod hub;
pub mod own;
pub mod registering;
pub mod service;

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value as Json;

use crate::message::{Reply, Request};

/// What may stand in a path segment or a query value as it is.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The value of an `Authorization` header. `Debug` hides it.
#[derive(Clone)]
pub struct Authorization(String);

impl Authorization {
    /// A shared access signature, as [`landfall_core::sas::sign`] gives it.
    pub fn shared_access(token: String) -> Self {
        Authorization(token)
    }

    /// A bearer token.
    pub fn bearer(token: &str) -> Self {
        Authorization(format!("Bearer {token}"))
    }
}

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authorization(hidden)")
    }
}

/// A request in the making. Ids become path segments, percent-encoded one by one.
struct Draft(Request);

impl Draft {
    fn new(method: Method, segments: &[&str]) -> Self {
        let path = segments
            .iter()
            .map(|segment| format!("/{}", utf8_percent_encode(segment, SEGMENT)))
            .collect::<String>();
        let mut headers = HeaderMap::new();
        headers.insert(
            http::header::ACCEPT,
            HeaderValue::from_static("application/json"),
        );
        Draft(Request {
            method,
            path,
            query: None,
            headers,
            body: Vec::new(),
        })
    }

    fn parameter(mut self, name: &str, value: &str) -> Self {
        let query = self.0.query.get_or_insert_default();
        if !query.is_empty() {
            query.push('&');
        }
        query.push_str(&format!("{name}={}", utf8_percent_encode(value, SEGMENT)));
        self
    }

    fn header(mut self, name: &'static str, value: &str) -> Self {
        // A value that no header can hold is a value that no server would take either.
        if let Ok(value) = HeaderValue::from_str(value) {
            self.0.headers.insert(HeaderName::from_static(name), value);
        }
        self
    }

    fn authorized(mut self, authorization: &Authorization) -> Self {
        if let Ok(mut value) = HeaderValue::from_str(&authorization.0) {
            value.set_sensitive(true);
            self.0.headers.insert(http::header::AUTHORIZATION, value);
        }
        self
    }

    fn if_match(self, etag: Option<&str>) -> Self {
        match etag {
            Some(etag) => self.header("if-match", etag),
            None => self,
        }
    }

    fn json(mut self, body: &Json) -> Self {
        self.0.body = body.to_string().into_bytes();
        self.header("content-type", "application/json; charset=utf-8")
    }

    fn done(self) -> Request {
        self.0
    }
}

/// What a refusal asks of the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    /// The credential is missing, wrong or lacks the right.
    NotAuthorized,
    /// What the call names is not there.
    NotFound,
    /// It is there already.
    Conflict,
    /// It changed since it was read.
    Changed,
    /// The server asks to come back later.
    Later,
    /// The request itself is wrong, or the server failed.
    Other,
}

/// A reply that says no, in whichever of the error forms of the faces.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{}", self.sentence())]
pub struct Refusal {
    /// What the refusal asks of the caller.
    pub kind: RefusalKind,
    /// The status of the reply.
    pub status: StatusCode,
    /// The error code, a number or a name.
    pub code: Option<String>,
    /// The message for people; empty when there was none.
    pub message: String,
    /// The public name of the attempt.
    pub tracking_id: Option<String>,
    /// The body as received; `null` when it was no JSON.
    pub body: Json,
}

impl Refusal {
    fn sentence(&self) -> String {
        let message = if self.message.is_empty() {
            self.status.canonical_reason().unwrap_or("no reason given")
        } else {
            &self.message
        };
        let mut text = message.trim_end_matches('.').to_owned();
        text.push_str(&format!(" ({}", self.status.as_u16()));
        if let Some(code) = &self.code {
            text.push_str(&format!(", code {code}"));
        }
        if let Some(id) = &self.tracking_id {
            text.push_str(&format!(", tracking id {id}"));
        }
        text.push(')');
        text
    }

    /// Reads a reply whose status is not a success.
    ///
    /// Shape: the device and service API say `errorCode`, `message`, `trackingId`; the control plane
    /// `code` and `message`, bare or below `error`; the hub `Message`, with the code in front.
    /// Source: docs/protocol/service-api.md §3.7, control-plane.md §6, hub-api.md §1.9.
    fn read(reply: &Reply) -> Self {
        let body: Json = serde_json::from_slice(&reply.body).unwrap_or(Json::Null);
        let inner = body.get("error").filter(|e| e.is_object()).unwrap_or(&body);
        let text = |names: &[&str]| {
            names.iter().find_map(|name| match inner.get(name) {
                Some(Json::String(text)) => Some(text.clone()),
                Some(Json::Number(number)) => Some(number.to_string()),
                _ => None,
            })
        };
        let kind = match reply.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => RefusalKind::NotAuthorized,
            StatusCode::NOT_FOUND => RefusalKind::NotFound,
            StatusCode::CONFLICT => RefusalKind::Conflict,
            StatusCode::PRECONDITION_FAILED => RefusalKind::Changed,
            StatusCode::TOO_MANY_REQUESTS => RefusalKind::Later,
            status if status.is_server_error() => RefusalKind::Later,
            _ => RefusalKind::Other,
        };
        let tracking_id = text(&["trackingId"]).or_else(|| {
            let header = reply.headers.get("x-ms-request-id")?;
            header.to_str().ok().map(str::to_owned)
        });
        Refusal {
            kind,
            status: reply.status,
            code: text(&["errorCode", "code"]),
            message: text(&["message", "Message", "errorMessage"]).unwrap_or_default(),
            tracking_id,
            body,
        }
    }
}

/// Why a reply is not the result that was asked for.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ReplyError {
    /// The server refused.
    #[error(transparent)]
    Refused(Box<Refusal>),
    /// The server agreed, in a body that is not what the call promises.
    #[error("the reply cannot be read: {0}")]
    Unreadable(String),
}

/// Reads a reply: its JSON, or `null` when a success has no body.
///
/// # Errors
/// [`ReplyError`] when the server refused or its body is no JSON.
pub fn read(reply: &Reply) -> Result<Json, ReplyError> {
    if !reply.status.is_success() {
        return Err(ReplyError::Refused(Box::new(Refusal::read(reply))));
    }
    if reply.body.is_empty() {
        return Ok(Json::Null);
    }
    serde_json::from_slice(&reply.body).map_err(|e| ReplyError::Unreadable(e.to_string()))
}

/// The most items that one page may hold.
///
/// Source: docs/protocol/service-api.md §4.2 [I].
const LARGEST_PAGE: usize = 1000;

/// A list that comes in pages: says what to ask for next and collects what came.
#[derive(Debug, Clone)]
pub struct Pages {
    top: Option<usize>,
    continuation: Option<String>,
    finished: bool,
    items: Vec<Json>,
}

impl Pages {
    /// Begins a list of at most `top` items; of all when `None`.
    pub fn new(top: Option<usize>) -> Self {
        Pages {
            top,
            continuation: None,
            finished: top == Some(0),
            items: Vec::new(),
        }
    }

    /// True while another page should be asked for.
    pub fn wants_more(&self) -> bool {
        !self.finished
    }

    fn size(&self) -> usize {
        self.top.map_or(LARGEST_PAGE, |top| {
            top.saturating_sub(self.items.len()).min(LARGEST_PAGE)
        })
    }

    fn mark(&self, draft: Draft) -> Draft {
        let draft = draft.header("x-ms-max-item-count", &self.size().to_string());
        match &self.continuation {
            Some(continuation) => draft.header("x-ms-continuation", continuation),
            None => draft,
        }
    }

    /// Takes in one page.
    ///
    /// # Errors
    /// [`ReplyError`] when the server refused or the body is no array.
    pub fn received(&mut self, reply: &Reply) -> Result<(), ReplyError> {
        let Json::Array(page) = read(reply)? else {
            return Err(ReplyError::Unreadable("a page is not an array".into()));
        };
        self.items.extend(page);
        if let Some(top) = self.top {
            self.items.truncate(top);
        }
        let next = reply
            .headers
            .get("x-ms-continuation")
            .and_then(|value| value.to_str().ok())
            .filter(|value| !value.is_empty())
            .map(str::to_owned);
        // The same mark twice would ask for the same page for ever.
        self.finished = next.is_none()
            || next == self.continuation
            || self.top.is_some_and(|top| self.items.len() >= top);
        self.continuation = next;
        Ok(())
    }

    /// Everything that came.
    pub fn into_items(self) -> Vec<Json> {
        self.items
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ids_are_encoded_segment_by_segment() {
        let request = Draft::new(Method::GET, &["enrollments", "a:b/c"])
            .parameter("api-version", "2021-10-01")
            .parameter("q", "x y")
            .done();
        assert_eq!(request.path, "/enrollments/a%3Ab%2Fc");
        assert_eq!(
            request.query.as_deref(),
            Some("api-version=2021-10-01&q=x%20y")
        );
    }

    #[test]
    fn refusals_are_read_in_every_form_of_the_faces() {
        let cases = [
            (
                StatusCode::NOT_FOUND,
                json!({"errorCode": 404201, "trackingId": "t-1", "message": "Enrollment not found."}),
                "Enrollment not found (404, code 404201, tracking id t-1)",
                RefusalKind::NotFound,
            ),
            (
                StatusCode::UNAUTHORIZED,
                json!({"error": {"code": "AuthenticationFailed", "message": "No token"}}),
                "No token (401, code AuthenticationFailed)",
                RefusalKind::NotAuthorized,
            ),
            (
                StatusCode::PRECONDITION_FAILED,
                json!({"Message": "ErrorCode:PreconditionFailed"}),
                "ErrorCode:PreconditionFailed (412)",
                RefusalKind::Changed,
            ),
        ];
        for (status, body, sentence, kind) in cases {
            let Err(ReplyError::Refused(refusal)) = read(&Reply::json(status, &body)) else {
                panic!("{status} is no refusal");
            };
            assert_eq!(refusal.to_string(), sentence);
            assert_eq!(refusal.kind, kind);
            assert_eq!(refusal.body, body);
        }
        let empty = read(&Reply::empty(StatusCode::BAD_GATEWAY));
        assert_eq!(
            empty.map_err(|e| e.to_string()),
            Err("Bad Gateway (502)".to_owned())
        );
    }

    #[test]
    fn pages_are_followed_until_the_mark_is_gone_or_enough_came() {
        let page = |items: Json, next: Option<&str>| {
            let reply = Reply::json(StatusCode::OK, &items);
            match next {
                Some(next) => reply.with_header("x-ms-continuation", next),
                None => reply,
            }
        };
        let mut all = Pages::new(None);
        all.received(&page(json!([1, 2]), Some("m1")))
            .expect("page");
        assert!(all.wants_more());
        all.received(&page(json!([3]), None)).expect("page");
        assert!(!all.wants_more());
        assert_eq!(all.into_items(), vec![json!(1), json!(2), json!(3)]);

        let mut some = Pages::new(Some(3));
        assert_eq!(some.size(), 3);
        some.received(&page(json!([1, 2]), Some("m1")))
            .expect("page");
        assert_eq!(some.size(), 1);
        some.received(&page(json!([3, 4]), Some("m2")))
            .expect("page");
        assert!(!some.wants_more());
        assert_eq!(some.into_items().len(), 3);
    }

    #[test]
    fn authorizations_are_never_printed() {
        let token = Authorization::bearer("very-secret");
        assert!(!format!("{token:?}").contains("secret"));
        let request = Draft::new(Method::GET, &["x"]).authorized(&token).done();
        assert!(!format!("{request:?}").contains("secret"));
        assert_eq!(request.header("authorization"), Some("Bearer very-secret"));
    }
}
