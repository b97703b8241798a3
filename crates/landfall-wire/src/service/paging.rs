//! Pages of a query: how many items, where to go on, and the headers that say so.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use landfall_core::error::Error;
use landfall_core::id::RegistrationId;
use landfall_core::query::Page;
use serde_json::Value;

use crate::message::{Reply, Request};

/// How many items a page has when the caller does not say.
const USUAL: usize = 100;

/// How many items a page has at most.
const MOST: usize = 1_000;

/// What the items of a page are. C# and Java fail on a page that does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemType {
    /// Individual enrollments.
    Enrollment,
    /// Enrollment groups.
    EnrollmentGroup,
    /// Registrations.
    DeviceRegistration,
}

impl ItemType {
    /// The word of the `x-ms-item-type` header.
    ///
    /// Source: docs/protocol/service-api.md §4.2 [C].
    fn name(self) -> &'static str {
        match self {
            ItemType::Enrollment => "enrollment",
            ItemType::EnrollmentGroup => "enrollmentGroup",
            ItemType::DeviceRegistration => "deviceRegistration",
        }
    }

    /// What a continuation of this type begins with, so that none is taken for another's.
    fn mark(self) -> char {
        match self {
            ItemType::Enrollment => 'e',
            ItemType::EnrollmentGroup => 'g',
            ItemType::DeviceRegistration => 'r',
        }
    }
}

/// Which page is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paging {
    /// At most this many items.
    pub limit: usize,
    /// Items after this key.
    pub after: Option<String>,
}

/// Reads the paging headers of a query.
///
/// Shape: a page size of 0 means the usual one; a continuation does not bind the page size.
/// Source: docs/protocol/service-api.md §4.2 [C, I].
///
/// # Errors
/// [`Error::Invalid`] when the size is no number, or the continuation is none of this type's.
pub fn parse(request: &Request, items: ItemType) -> Result<Paging, Error> {
    let limit = match request.headers.get("x-ms-max-item-count") {
        None => USUAL,
        Some(value) => {
            let text = value.to_str().unwrap_or("?").trim();
            match text.parse::<u64>() {
                Ok(0) => USUAL,
                Ok(size) => usize::try_from(size).unwrap_or(MOST).min(MOST),
                Err(_) if text.is_empty() => USUAL,
                Err(_) => {
                    return Err(Error::Invalid(
                        "The x-ms-max-item-count header is not a whole number.".to_owned(),
                    ));
                }
            }
        }
    };
    let after = match request.headers.get("x-ms-continuation") {
        None => None,
        Some(value) if value.is_empty() => None,
        Some(value) => Some(
            value
                .to_str()
                .ok()
                .and_then(|token| open_token(token, items))
                .ok_or_else(|| {
                    Error::Invalid("The x-ms-continuation header is not valid.".to_owned())
                })?,
        ),
    };
    Ok(Paging { limit, after })
}

/// Writes a page. The continuation is there only when there is more: clients loop until it is not.
///
/// Source: docs/protocol/service-api.md §4.2 [C].
pub fn reply(page: Page<Value>, items: ItemType, limit: usize) -> Reply {
    let reply = Reply::json(StatusCode::OK, &Value::Array(page.items))
        .with_header("x-ms-item-type", items.name())
        .with_header("x-ms-max-item-count", &limit.to_string());
    match page.continuation {
        Some(key) => reply.with_header("x-ms-continuation", &token(&key, items)),
        None => reply,
    }
}

fn token(key: &str, items: ItemType) -> String {
    URL_SAFE_NO_PAD.encode(format!("{}:{key}", items.mark()))
}

fn open_token(token: &str, items: ItemType) -> Option<String> {
    let bytes = URL_SAFE_NO_PAD.decode(token.trim_end_matches('=')).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let key = text.strip_prefix(items.mark())?.strip_prefix(':')?;
    // Ids of all three types have one form; the key is its lower-case spelling.
    let id = RegistrationId::parse(key).ok()?;
    (id.key() == key).then(|| key.to_owned())
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, Method};

    use super::*;

    fn request(headers: &[(&'static str, &str)]) -> Request {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, HeaderValue::from_str(value).expect("a header"));
        }
        Request {
            method: Method::POST,
            path: "/enrollments/query".into(),
            query: None,
            headers: map,
            body: Vec::new(),
        }
    }

    #[test]
    fn page_sizes_have_a_default_and_a_cap() {
        for (sent, meant) in [("0", 100), ("", 100), ("5", 5), ("99999999999", 1000)] {
            let paging = parse(
                &request(&[("x-ms-max-item-count", sent)]),
                ItemType::Enrollment,
            );
            assert_eq!(paging.expect("accepted").limit, meant, "{sent}");
        }
        assert_eq!(
            parse(&request(&[]), ItemType::Enrollment),
            Ok(Paging {
                limit: 100,
                after: None
            })
        );
        for bad in ["-1", "many", "1.5"] {
            assert!(
                parse(
                    &request(&[("x-ms-max-item-count", bad)]),
                    ItemType::Enrollment
                )
                .is_err()
            );
        }
    }

    #[test]
    fn a_continuation_comes_back_as_its_key_whatever_the_page_size() {
        let page = Page {
            items: vec![Value::Null],
            continuation: Some("dev:1".to_owned()),
        };
        let reply = reply(page, ItemType::Enrollment, 1);
        assert_eq!(reply.headers["x-ms-item-type"], "enrollment");
        assert_eq!(reply.headers["x-ms-max-item-count"], "1");
        let token = reply.headers["x-ms-continuation"].to_str().expect("text");
        let again = request(&[("x-ms-continuation", token), ("x-ms-max-item-count", "7")]);
        assert_eq!(
            parse(&again, ItemType::Enrollment),
            Ok(Paging {
                limit: 7,
                after: Some("dev:1".to_owned())
            })
        );
        assert!(parse(&again, ItemType::EnrollmentGroup).is_err());
    }

    #[test]
    fn the_last_page_has_no_continuation_and_a_made_up_one_is_refused() {
        let page = Page {
            items: Vec::new(),
            continuation: None,
        };
        let reply = reply(page, ItemType::DeviceRegistration, 100);
        assert_eq!(reply.body, b"[]");
        assert!(!reply.headers.contains_key("x-ms-continuation"));
        for bad in ["abc", "!!", "ZTpEZXYx", "ZTo="] {
            assert!(
                parse(
                    &request(&[("x-ms-continuation", bad)]),
                    ItemType::Enrollment
                )
                .is_err(),
                "{bad}"
            );
        }
    }
}
