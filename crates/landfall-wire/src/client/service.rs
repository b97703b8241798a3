//! The calls of the service API, one function each. Called by the command line.
//!
//! Source: docs/protocol/service-api.md §4.

use http::Method;
use serde_json::{Value as Json, json};

use super::{Authorization, Draft, Pages};
use crate::message::Request;
use crate::route::Collection;

/// The version asked for: the newest that every published service and tool knows.
///
/// Source: docs/protocol/service-api.md §1 [C].
pub const API_VERSION: &str = "2021-10-01";

fn segment(collection: Collection) -> &'static str {
    match collection {
        Collection::Individuals => "enrollments",
        Collection::Groups => "enrollmentGroups",
    }
}

fn draft(method: Method, segments: &[&str], authorization: &Authorization) -> Draft {
    Draft::new(method, segments)
        .parameter("api-version", API_VERSION)
        .authorized(authorization)
}

/// Reads an enrollment.
pub fn enrollment(authorization: &Authorization, collection: Collection, id: &str) -> Request {
    draft(Method::GET, &[segment(collection), id], authorization).done()
}

/// Creates an enrollment, or replaces it when `etag` is given: its own, or `*`.
pub fn put_enrollment(
    authorization: &Authorization,
    collection: Collection,
    id: &str,
    record: &Json,
    etag: Option<&str>,
) -> Request {
    draft(Method::PUT, &[segment(collection), id], authorization)
        .if_match(etag)
        .json(record)
        .done()
}

/// Deletes an enrollment; only the state `etag` names, when given.
pub fn delete_enrollment(
    authorization: &Authorization,
    collection: Collection,
    id: &str,
    etag: Option<&str>,
) -> Request {
    draft(Method::DELETE, &[segment(collection), id], authorization)
        .if_match(etag)
        .done()
}

/// Reads the attestation mechanism of an enrollment with its keys.
pub fn attestation_mechanism(
    authorization: &Authorization,
    collection: Collection,
    id: &str,
) -> Request {
    let segments = [segment(collection), id, "attestationmechanism"];
    draft(Method::POST, &segments, authorization).done()
}

/// Asks for the next page of the enrollments that `query` picks.
pub fn query_enrollments(
    authorization: &Authorization,
    collection: Collection,
    query: &str,
    pages: &Pages,
) -> Request {
    let segments = [segment(collection), "query"];
    pages
        .mark(draft(Method::POST, &segments, authorization))
        .json(&json!({ "query": query }))
        .done()
}

/// Reads a registration record.
pub fn registration(authorization: &Authorization, id: &str) -> Request {
    draft(Method::GET, &["registrations", id], authorization).done()
}

/// Deletes a registration record; only the state `etag` names, when given.
pub fn delete_registration(authorization: &Authorization, id: &str, etag: Option<&str>) -> Request {
    draft(Method::DELETE, &["registrations", id], authorization)
        .if_match(etag)
        .done()
}

/// Asks for the next page of the registration records of a group.
pub fn query_registrations(authorization: &Authorization, group: &str, pages: &Pages) -> Request {
    let segments = ["registrations", group, "query"];
    pages
        .mark(draft(Method::POST, &segments, authorization))
        .done()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::{self, Route, ServiceRoute};

    #[test]
    fn every_call_reaches_the_route_it_is_meant_for() {
        let who = Authorization::bearer("t");
        let groups = Collection::Groups;
        let pages = Pages::new(Some(5));
        let put = put_enrollment(&who, groups, "g:1", &json!({"a": 1}), Some("*"));
        assert_eq!(put.header("if-match"), Some("*"));
        assert_eq!(put.body, br#"{"a":1}"#);
        let query = query_enrollments(&who, groups, "SELECT *", &pages);
        assert_eq!(query.header("x-ms-max-item-count"), Some("5"));
        let calls = [
            (
                Method::GET,
                enrollment(&who, groups, "g:1"),
                ServiceRoute::Item(groups, "g:1".into()),
            ),
            (Method::PUT, put, ServiceRoute::Item(groups, "g:1".into())),
            (
                Method::DELETE,
                delete_enrollment(&who, Collection::Individuals, "a b", None),
                ServiceRoute::Item(Collection::Individuals, "a b".into()),
            ),
            (
                Method::POST,
                attestation_mechanism(&who, groups, "g"),
                ServiceRoute::AttestationMechanism(groups, "g".into()),
            ),
            (
                Method::POST,
                query,
                ServiceRoute::Item(groups, "query".into()),
            ),
            (
                Method::GET,
                registration(&who, "d"),
                ServiceRoute::Registration("d".into()),
            ),
            (
                Method::DELETE,
                delete_registration(&who, "d", Some("e")),
                ServiceRoute::Registration("d".into()),
            ),
            (
                Method::POST,
                query_registrations(&who, "g", &pages),
                ServiceRoute::RegistrationQuery("g".into()),
            ),
        ];
        for (method, request, wanted) in calls {
            assert_eq!(request.method, method);
            assert_eq!(route::parse(&request.path), Some(Route::Service(wanted)));
            assert_eq!(
                request.parameter("api-version").as_deref(),
                Some(API_VERSION)
            );
            assert_eq!(request.header("authorization"), Some("Bearer t"));
        }
    }
}
