//! The calls of the service API, one function each. Called by the command line.
//!
//! Source: docs/protocol/service-api.md §4.

use http::{Method, StatusCode};
use landfall_core::administration::bulk::MOST_ITEMS;
use landfall_core::enrollment::{EnrollmentGroup, IndividualEnrollment};
use serde_json::{Value as Json, json};

use super::{Authorization, Draft, Pages, RefusalKind, ReplyError, read};
use crate::message::{Reply, Request};
use crate::route::Collection;
use crate::service::enrollment::EnrollmentBody;

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

/// The member of a record that holds its id.
pub fn id_member(collection: Collection) -> &'static str {
    match collection {
        Collection::Individuals => IndividualEnrollment::ID_MEMBER,
        Collection::Groups => EnrollmentGroup::ID_MEMBER,
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

/// What a bulk call does with its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bulk {
    /// Makes each; one that is there is refused.
    Create,
    /// Replaces each, in whatever state it is.
    Update,
}

/// The most records that one bulk call may hold.
///
/// Source: docs/protocol/service-api.md §4.1 [S].
pub const LARGEST_BULK: usize = MOST_ITEMS;

/// Makes or replaces up to [`LARGEST_BULK`] enrollments, each on its own.
pub fn bulk_enrollments(
    authorization: &Authorization,
    collection: Collection,
    mode: Bulk,
    records: &[&Json],
) -> Request {
    let (member, mode) = (
        match collection {
            Collection::Individuals => IndividualEnrollment::BULK_MEMBER,
            Collection::Groups => EnrollmentGroup::BULK_MEMBER,
        },
        match mode {
            Bulk::Create => "create",
            Bulk::Update => "update",
        },
    );
    draft(Method::POST, &[segment(collection)], authorization)
        .json(&json!({ member: records, "mode": mode }))
        .done()
}

/// A record that a bulk call refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BulkRefusal {
    /// Its id, as the service names it.
    pub id: String,
    /// What the refusal asks of the caller.
    pub kind: RefusalKind,
    /// Why, with the error code.
    pub text: String,
}

/// Reads the result of a bulk call: the records that were refused; the others are done.
///
/// Source: docs/protocol/service-api.md §4.1 [S].
///
/// # Errors
/// [`ReplyError`] when the whole call was refused, or its result cannot be read.
pub fn bulk_refusals(
    collection: Collection,
    reply: &Reply,
) -> Result<Vec<BulkRefusal>, ReplyError> {
    let result = read(reply)?;
    let none = Vec::new();
    let errors = result.get("errors").and_then(Json::as_array);
    let refusals: Vec<BulkRefusal> = errors
        .unwrap_or(&none)
        .iter()
        .map(|error| {
            let text = |name| error.get(name).and_then(Json::as_str).unwrap_or_default();
            let code = error.get("errorCode").and_then(Json::as_u64).unwrap_or(0);
            let status = u16::try_from(code / 1000).unwrap_or(0);
            BulkRefusal {
                id: text(id_member(collection)).to_owned(),
                kind: StatusCode::from_u16(status).map_or(RefusalKind::Other, RefusalKind::of),
                text: format!(
                    "{} (code {code})",
                    text("errorStatus").trim_end_matches('.')
                ),
            }
        })
        .collect();
    if refusals.is_empty() && result.get("isSuccessful").and_then(Json::as_bool) != Some(true) {
        return Err(ReplyError::Unreadable(
            "a bulk result says neither that it is done nor what was refused".into(),
        ));
    }
    Ok(refusals)
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
    use landfall_core::administration::bulk::{BulkMode, BulkRefusal as CoreRefusal};
    use landfall_core::error::Error;

    use super::*;
    use crate::route::{self, Route, ServiceRoute};
    use crate::service::bulk;

    #[test]
    fn a_bulk_call_and_its_result_are_read_by_the_other_half() {
        let who = Authorization::bearer("t");
        let record = json!({"enrollmentGroupId": "g", "attestation": {"type": "symmetricKey"}});
        let request = bulk_enrollments(&who, Collection::Groups, Bulk::Create, &[&record]);
        let (mode, items) = bulk::parse::<EnrollmentGroup>(&request.body).expect("a bulk call");
        assert_eq!((mode, items.len()), (BulkMode::Create, 1));

        let refused = [CoreRefusal {
            id: "g".into(),
            error: Error::Exists("Enrollment group 'g'".into()),
        }];
        let result = bulk::result_json::<EnrollmentGroup>(&refused);
        let reply = Reply::json(StatusCode::OK, &result);
        let read = bulk_refusals(Collection::Groups, &reply).expect("a result");
        assert_eq!(read.len(), 1);
        assert_eq!(
            (read[0].id.as_str(), read[0].kind),
            ("g", RefusalKind::Conflict)
        );
        assert!(read[0].text.contains("already exists"), "{read:?}");
        let done = Reply::json(StatusCode::OK, &json!({"isSuccessful": true}));
        assert_eq!(bulk_refusals(Collection::Groups, &done), Ok(vec![]));
        let odd = Reply::json(StatusCode::OK, &json!({"isSuccessful": false}));
        assert!(bulk_refusals(Collection::Groups, &odd).is_err());
    }

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
