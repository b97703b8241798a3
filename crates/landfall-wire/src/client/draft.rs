//! How a call of a client becomes a [`Request`]: path, query, headers and body. The calls themselves
//! stand beside it, one file per face.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value as Json;

use crate::message::Request;

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
pub(super) struct Draft(Request);

impl Draft {
    pub(super) fn new(method: Method, segments: &[&str]) -> Self {
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

    pub(super) fn parameter(mut self, name: &str, value: &str) -> Self {
        let query = self.0.query.get_or_insert_default();
        if !query.is_empty() {
            query.push('&');
        }
        query.push_str(&format!("{name}={}", utf8_percent_encode(value, SEGMENT)));
        self
    }

    pub(super) fn header(mut self, name: &'static str, value: &str) -> Self {
        // A value that no header can hold is a value that no server would take either.
        if let Ok(value) = HeaderValue::from_str(value) {
            self.0.headers.insert(HeaderName::from_static(name), value);
        }
        self
    }

    pub(super) fn authorized(mut self, authorization: &Authorization) -> Self {
        if let Ok(mut value) = HeaderValue::from_str(&authorization.0) {
            value.set_sensitive(true);
            self.0.headers.insert(http::header::AUTHORIZATION, value);
        }
        self
    }

    /// An etag that no header can hold, or that is blank, goes out as one that every server refuses:
    /// left out, the write would happen whatever the record's state.
    pub(super) fn if_match(self, etag: Option<&str>) -> Self {
        let Some(etag) = etag else {
            return self;
        };
        let is_sent = !etag.trim().is_empty() && HeaderValue::from_str(etag).is_ok();
        self.header("if-match", if is_sent { etag } else { "\"\"" })
    }

    pub(super) fn json(mut self, body: &Json) -> Self {
        self.0.body = body.to_string().into_bytes();
        self.header("content-type", "application/json; charset=utf-8")
    }

    pub(super) fn done(self) -> Request {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_condition_that_cannot_be_sent_is_never_left_out() {
        let sent = |etag| {
            let request = Draft::new(Method::DELETE, &["x"]).if_match(etag).done();
            request.header("if-match").map(str::to_owned)
        };
        assert_eq!(sent(None), None);
        assert_eq!(sent(Some("IjEi")).as_deref(), Some("IjEi"));
        for odd in ["", " ", "x\ny", "x\0"] {
            let sent = sent(Some(odd));
            let refused = landfall_core::administration::Condition::parse(sent.as_deref());
            assert!(refused.is_err(), "{odd:?} was sent as {sent:?}");
        }
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
