//! Requests and replies as values: what an HTTP server read whole, and what it is to write.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

/// A request that was read whole. `Debug` shows neither its headers nor its body, which may hold
/// tokens, keys and payloads.
#[derive(Clone)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The path as sent, still percent-encoded, without query.
    pub path: String,
    /// The query as sent, still percent-encoded, without `?`.
    pub query: Option<String>,
    /// The headers.
    pub headers: HeaderMap,
    /// The body; empty when there was none.
    pub body: Vec<u8>,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Request {
            method, path, body, ..
        } = self;
        write!(f, "Request({method} {path}, {} bytes)", body.len())
    }
}

impl Request {
    /// The value of a header, when it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The host name asked for, lower case, without port. Brackets of an IPv6 address are kept.
    pub fn host(&self) -> String {
        let host = self
            .header("host")
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        match host.rfind(':') {
            Some(colon) if !host[colon..].contains(']') => host[..colon].to_owned(),
            _ => host,
        }
    }

    /// A parameter of the query, percent-decoded; names are compared without case.
    pub fn parameter(&self, name: &str) -> Option<String> {
        self.query.as_deref()?.split('&').find_map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let key = percent_encoding::percent_decode_str(key).decode_utf8_lossy();
            key.eq_ignore_ascii_case(name).then(|| {
                percent_encoding::percent_decode_str(value)
                    .decode_utf8_lossy()
                    .into_owned()
            })
        })
    }
}

/// A reply that is to be written whole. `Debug` shows neither its headers nor its body.
#[derive(Clone)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// Headers beside the ones that every reply of the server carries.
    pub headers: HeaderMap,
    /// The body; empty for none.
    pub body: Vec<u8>,
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reply({}, {} bytes)", self.status, self.body.len())
    }
}

impl Reply {
    /// A reply without body.
    pub fn empty(status: StatusCode) -> Self {
        Reply {
            status,
            headers: HeaderMap::new(),
            body: Vec::new(),
        }
    }

    /// A reply with a JSON body. Every character outside ASCII is escaped: the Node MQTT client
    /// reads bytes as ASCII, and one form serves every transport.
    ///
    /// Source: docs/protocol/device-api.md §3.4 [R].
    pub fn json(status: StatusCode, body: &serde_json::Value) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(
            http::header::CONTENT_TYPE,
            HeaderValue::from_static("application/json; charset=utf-8"),
        );
        Reply {
            status,
            headers,
            body: ascii_only(&body.to_string()).into_bytes(),
        }
    }

    /// The same reply with one header more. A value that no header can hold is left out.
    pub fn with_header(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(HeaderName::from_static(name), value);
        }
        self
    }
}

/// Escapes every character outside ASCII of a JSON text as `\uXXXX`.
pub fn ascii_only(json: &str) -> String {
    if json.is_ascii() {
        return json.to_owned();
    }
    let mut out = String::with_capacity(json.len() + 16);
    let mut units = [0_u16; 2];
    for c in json.chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_neither_headers_nor_body() {
        let mut request = Request {
            method: Method::PUT,
            path: "/enrollments/dev".to_owned(),
            query: None,
            headers: HeaderMap::new(),
            body: b"a-secret".to_vec(),
        };
        let token = HeaderValue::from_static("SharedAccessSignature a-secret");
        request.headers.insert("authorization", token);
        assert_eq!(
            format!("{request:?}"),
            "Request(PUT /enrollments/dev, 8 bytes)"
        );
        let reply = Reply::json(
            StatusCode::OK,
            &serde_json::json!({"primaryKey": "a-secret"}),
        )
        .with_header("x-echo", "a-secret");
        assert_eq!(format!("{reply:?}"), "Reply(200 OK, 25 bytes)");
    }

    #[test]
    fn replies_are_ascii_and_still_the_same_json() {
        let value = serde_json::json!({"name": "Grüße 🚀"});
        let reply = Reply::json(StatusCode::OK, &value);
        assert!(reply.body.is_ascii());
        assert_eq!(
            serde_json::from_slice::<serde_json::Value>(&reply.body).expect("json"),
            value
        );
    }

    #[test]
    fn the_host_loses_its_port_and_keeps_its_brackets() {
        let mut request = Request {
            method: Method::GET,
            path: "/".into(),
            query: Some("API-version=2019-03-31&x=%2B".into()),
            headers: HeaderMap::new(),
            body: Vec::new(),
        };
        for (sent, host) in [
            ("Host:443", "host"),
            ("[::1]:8443", "[::1]"),
            ("[::1]", "[::1]"),
        ] {
            request
                .headers
                .insert("host", HeaderValue::from_static(sent));
            assert_eq!(request.host(), host);
        }
        assert_eq!(
            request.parameter("api-version").as_deref(),
            Some("2019-03-31")
        );
        assert_eq!(request.parameter("x").as_deref(), Some("+"));
    }
}
