//! Query texts: neither dialect breaks, and what is accepted is read the same way again.

use std::sync::LazyLock;

use landfall_core::document::{Json, parse};
use landfall_hub::query::Position;
use landfall_wire::query::{ServiceCollection, parse_hub_query, parse_service_query};

use crate::read_corpus;

static CORPUS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| read_corpus("query"));

static ROW: LazyLock<Json> = LazyLock::new(|| {
    parse(
        r#"{"deviceId":"d","status":"enabled","version":3,"tags":{"a":{"b":null},"x":"1"},
            "properties":{"desired":{"$version":2},"reported":{"$version":1,"t":2.5}}}"#,
    )
    .expect("json")
});

fn target(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(query) = parse_hub_query(&text) {
        let again = parse_hub_query(&text);
        assert_eq!(again.as_ref(), Ok(&query), "{text}");
        let _ = query.filter().matches(&ROW);
    }
    for collection in ServiceCollection::ALL {
        if let Ok(filter) = parse_service_query(&text, collection) {
            let again = parse_service_query(&text, collection);
            assert_eq!(again.as_ref(), Ok(&filter), "{text}");
            let found = filter.matches(&ROW);
            let terms = filter.indexed_terms();
            if found {
                // A record that is found is one that an index on any of the terms would give.
                for term in terms {
                    let there = term.path.find(&ROW);
                    assert!(there.is_some(), "{text}: {term:?}");
                }
            }
        }
    }
}

#[test]
fn no_query_text_breaks_its_parser() {
    feed!(CORPUS, target);
}

#[test]
fn a_continuation_is_read_only_as_it_was_given() {
    bolero::check!().for_each(|bytes: &[u8]| {
        let token = String::from_utf8_lossy(bytes);
        if let Ok(position) = Position::from_token(&token) {
            let again = Position::from_token(&position.to_token());
            assert_eq!(again, Ok(position), "{token}");
        }
    });
}
