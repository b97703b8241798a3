//! A query of the hub as it goes over HTTPS: the call that brings it, the reply that answers it.

use http::StatusCode;
use landfall_core::document::Json;
use landfall_core::query::Page;
use landfall_hub::error::HubError;
use landfall_hub::query::{PageRequest, Position, Query};

use super::parse_hub_query;
use crate::hub::read_json;
use crate::message::{Reply, Request};

const PAGE_SIZE: &str = "x-ms-max-item-count";
const CONTINUATION: &str = "x-ms-continuation";

/// What a call of `POST /devices/query` asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct HubQueryCall {
    /// The query.
    pub query: Query,
    /// The page of its answer.
    pub page: PageRequest,
}

impl HubQueryCall {
    /// Reads the call. A page size that is absent, empty, 0 or negative asks for the usual one; an
    /// empty continuation is none.
    ///
    /// Source: docs/protocol/hub-api.md §1.8 [S] for the headers.
    ///
    /// # Errors
    /// [`HubError::Unreadable`] when the body is not JSON, [`HubError::ArgumentNull`] when it is empty
    /// or holds no `query`, [`HubError::ArgumentInvalid`] when query, page size or continuation is wrong.
    pub fn read(request: &Request) -> Result<Self, HubError> {
        let body = read_json(&request.body)?;
        let query = match body.get("query") {
            Some(Json::String(text)) => parse_hub_query(text)?,
            Some(_) => {
                return Err(HubError::ArgumentInvalid(
                    "The member 'query' of the body is not a text.".to_owned(),
                ));
            }
            None => {
                return Err(HubError::ArgumentNull(
                    "The body has no member 'query'.".to_owned(),
                ));
            }
        };
        let size = match header(request, PAGE_SIZE)? {
            Some(text) => text.parse::<i64>().map_err(|_| {
                HubError::ArgumentInvalid(format!("The header {PAGE_SIZE} is not a whole number."))
            })?,
            None => 0,
        };
        let from = header(request, CONTINUATION)?
            .map(Position::from_token)
            .transpose()?;
        Ok(HubQueryCall {
            query,
            page: PageRequest {
                size: usize::try_from(size).unwrap_or(0),
                from,
            },
        })
    }

    /// The reply that carries a page. The continuation header stands there only when there is more:
    /// Node takes even an empty one for a further page; .NET wants the item type spelt just so.
    ///
    /// Source: docs/protocol/hub-api.md §1.8 [S].
    pub fn reply(&self, page: Page<Json>) -> Reply {
        let item_type = if self.query.gives_twins() {
            "Twin"
        } else {
            "Raw"
        };
        let reply = Reply::json(StatusCode::OK, &Json::Array(page.items))
            .with_header("x-ms-item-type", item_type);
        match page.continuation {
            Some(token) => reply.with_header(CONTINUATION, &token),
            None => reply,
        }
    }
}

/// A header's text; `None` when it is absent or empty.
fn header<'r>(request: &'r Request, name: &str) -> Result<Option<&'r str>, HubError> {
    match request.headers.get(name).map(|value| value.to_str()) {
        None => Ok(None),
        Some(Ok(text)) => Ok(Some(text.trim()).filter(|text| !text.is_empty())),
        Some(Err(_)) => Err(HubError::ArgumentInvalid(format!(
            "The header {name} is not text."
        ))),
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue, Method};
    use landfall_core::document::parse;

    use super::*;

    fn call(
        body: &str,
        headers: &[(&'static str, &'static str)],
    ) -> Result<HubQueryCall, HubError> {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect();
        HubQueryCall::read(&Request {
            method: Method::POST,
            path: "/devices/query".into(),
            query: None,
            headers,
            body: body.as_bytes().to_vec(),
        })
    }

    const ALL: &str = r#"{"query":"SELECT * FROM devices"}"#;

    #[test]
    fn page_size_and_continuation_are_read_from_their_headers() {
        for (sent, size) in [("", 0), ("0", 0), ("-1", 0), (" 25 ", 25), ("5000", 5000)] {
            let call = call(ALL, &[("x-ms-max-item-count", sent)]).expect(sent);
            assert_eq!(call.page, PageRequest { size, from: None });
        }
        let position = Position::Record {
            after: ("d1".into(), String::new()),
            given: 2,
        };
        let token: &'static str = Box::leak(position.to_token().into_boxed_str());
        let with_token = call(ALL, &[("x-ms-continuation", token)]).expect("token");
        assert_eq!(with_token.page.from, Some(position));
        let without = call(ALL, &[("x-ms-continuation", "")]).expect("empty token");
        assert_eq!(without.page.from, None);
    }

    #[test]
    fn bad_calls_say_what_is_wrong_with_them() {
        type Fits = fn(&HubError) -> bool;
        type Case = (&'static str, &'static [(&'static str, &'static str)], Fits);
        let invalid: Fits = |error| matches!(error, HubError::ArgumentInvalid(_));
        let cases: [Case; 7] = [
            ("{", &[], |error| matches!(error, HubError::Unreadable(_))),
            ("{}", &[], |error| {
                matches!(error, HubError::ArgumentNull(_))
            }),
            ("[1]", &[], |error| {
                matches!(error, HubError::ArgumentNull(_))
            }),
            (r#"{"query":1}"#, &[], invalid),
            (r#"{"query":"SELECT"}"#, &[], invalid),
            (ALL, &[("x-ms-max-item-count", "many")], invalid),
            (ALL, &[("x-ms-continuation", "garbage")], invalid),
        ];
        for (body, headers, fits) in cases {
            let error = call(body, headers).expect_err(body);
            assert!(fits(&error), "{body} {headers:?}: {error:?}");
        }
    }

    #[test]
    fn a_reply_is_a_bare_array_and_names_a_next_page_only_when_there_is_one() {
        let page = |continuation: Option<&str>| Page {
            items: vec![parse(r#"{"deviceId":"d"}"#).expect("json")],
            continuation: continuation.map(str::to_owned),
        };
        let twins = call(ALL, &[]).expect("call").reply(page(Some("abc")));
        assert_eq!(twins.body, br#"[{"deviceId":"d"}]"#);
        assert_eq!(twins.headers["x-ms-item-type"], "Twin");
        assert_eq!(twins.headers["x-ms-continuation"], "abc");
        let ids = r#"{"query":"SELECT deviceId FROM devices"}"#;
        let values = call(ids, &[]).expect("call").reply(page(None));
        assert_eq!(values.headers["x-ms-item-type"], "Raw");
        assert!(!values.headers.contains_key("x-ms-continuation"));
    }
}
