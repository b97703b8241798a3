//! The service API's dialect: what it lists, what it passes over and what it refuses.

use landfall_core::error::Error;
use landfall_core::query::Filter;

use super::{row, service};
use crate::query::{ServiceCollection, parse_service_query};

#[test]
fn every_text_that_service_clients_send_lists_everything() {
    for text in [
        "{'additional_properties': {}, 'query': 'SELECT *'}",
        "SELECT *",
        "select *",
        "  SELECT * FROM enrollments",
        "SELECT * FROM Enrollments ",
        "* ",
        "* FROM deviceRegistrations",
        "",
        "selection of everything",
        "SELECT * FROM somethingElse",
        "SELECT registrationId, etag FROM enrollments",
    ] {
        assert_eq!(service(text), Ok(Filter::Always), "{text}");
    }
    for collection in ServiceCollection::ALL {
        let text = format!("SELECT * FROM {}", collection.name().to_uppercase());
        assert_eq!(
            parse_service_query(&text, collection),
            Ok(Filter::Always),
            "{text}"
        );
    }
}

#[test]
fn a_query_for_another_collection_than_the_path_is_refused() {
    let error = parse_service_query(
        "SELECT * FROM enrollmentGroups",
        ServiceCollection::Enrollments,
    )
    .expect_err("another collection")
    .to_string();
    assert_eq!(
        error,
        "The query cannot be understood at character 15, near 'enrollmentGroups': \
         this address lists enrollments."
    );
}

#[test]
fn service_conditions_find_enrollments() {
    let rows = [
        row(
            r#"{"registrationId":"a","provisioningStatus":"enabled","attestation":{"type":"x509"},
                "initialTwin":{"tags":{"floor":3}},"capabilities":{"iotEdge":true}}"#,
        ),
        row(
            r#"{"registrationId":"b","provisioningStatus":"disabled","attestation":{"type":"tpm"},
                "initialTwin":{"tags":{"floor":"3"}},"capabilities":{"iotEdge":false}}"#,
        ),
        row(r#"{"registrationId":"c","provisioningStatus":"enabled"}"#),
    ];
    for (text, found) in [
        ("SELECT * WHERE provisioningStatus = 'enabled'", "ac"),
        (
            "select * from enrollments where provisioningStatus <> \"enabled\"",
            "b",
        ),
        (
            "SELECT * FROM enrollments WHERE attestation.type IN ['x509', 'tpm']",
            "ab",
        ),
        (
            "SELECT * FROM enrollments WHERE NOT attestation.type = 'x509'",
            "bc",
        ),
        (
            "SELECT * FROM x WHERE initialTwin.tags.floor >= 3 OR registrationId = 'c'",
            "ac",
        ),
        ("SELECT * WHERE capabilities.iotEdge = true", "a"),
        ("SELECT * WHERE capabilities.iotEdge", "a"),
        (
            "SELECT * WHERE registrationId > 'a' AND registrationId <= 'c'",
            "bc",
        ),
        (
            "SELECT * WHERE registrationId != initialTwin.tags.floor",
            "ab",
        ),
    ] {
        let filter = service(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let hits: String = rows
            .iter()
            .filter(|row| filter.matches(row))
            .filter_map(|row| row.get("registrationId")?.as_str())
            .collect();
        assert_eq!(hits, found, "{text}");
    }
}

#[test]
fn service_conditions_that_make_no_sense_name_the_token_and_its_place() {
    for (text, says) in [
        (
            "SELECT * WHERE a == 1",
            "at character 19, near '=': the name of a property was expected.",
        ),
        (
            "SELECT * WHERE",
            "at character 15, near the end: the name of a property was expected.",
        ),
        (
            "SELECT * WHERE é = 'x",
            "at character 20, near ''x': the closing quote is missing.",
        ),
        (
            "SELECT * WHERE a = 1 b = 2",
            "at character 22, near 'b': AND, OR, an operator or the end was expected.",
        ),
        (
            "SELECT * FROM enrollments WHERE a = 1 group by a",
            "at character 39, near 'group': this API lists whole records",
        ),
        (
            "SELECT * FROM enrollments GROUP BY a",
            "at character 27, near 'GROUP': this API lists whole records",
        ),
        (
            "SELECT * FROM enrollments ORDER BY a",
            "at character 27, near 'ORDER'",
        ),
        (
            "SELECT * WHERE a = ;",
            "at character 20, near ';': this character begins nothing.",
        ),
        (
            "SELECT * WHERE name LIKE 'a'",
            "at character 21, near 'LIKE'",
        ),
        (
            "SELECT * WHERE 'enabled'",
            "at character 16, near ''enabled'': a condition was expected",
        ),
    ] {
        match service(text) {
            Err(Error::Invalid(error)) => assert!(error.contains(says), "{text}: {error}"),
            other => panic!("{text}: {other:?}"),
        }
    }
}
