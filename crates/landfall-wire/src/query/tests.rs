//! Query texts: bounds, and what must hold of every text. Each dialect's texts have their own file.

use landfall_core::document::{Json, parse};
use landfall_core::error::Error;
use landfall_core::query::{Comparison, Filter, Literal, Operand, Path};
use proptest::prelude::*;

use super::*;

mod hub;
mod service;

fn row(text: &str) -> Json {
    parse(text).expect("json")
}

fn service(text: &str) -> Result<Filter, Error> {
    parse_service_query(text, ServiceCollection::Enrollments)
}

fn condition(text: &str) -> Filter {
    parse_hub_query(&format!("SELECT * FROM devices WHERE {text}"))
        .unwrap_or_else(|error| panic!("{text}: {error}"))
        .filter()
        .clone()
}

#[test]
fn texts_are_bounded_in_length_depth_lists_and_arithmetic() {
    let hub = |condition: &str| {
        parse_hub_query(&format!("SELECT * FROM devices WHERE {condition}"))
            .map(|query| query.filter().matches(&row("{\"a\":1}")))
            .map_err(|error| error.to_string())
    };
    let nested = |depth: usize| format!("{}a = 1{}", "(".repeat(depth), ")".repeat(depth));
    assert_eq!(hub(&nested(64)), Ok(true));
    assert!(hub(&nested(65)).is_err_and(|error| error.contains("64 deep")));
    assert!(hub(&"(".repeat(15_000)).is_err_and(|error| error.contains("64 deep")));
    assert!(hub(&"NOT ".repeat(3_000)).is_err_and(|error| error.contains("64 deep")));
    assert!(hub(&"-".repeat(15_000)).is_err_and(|error| error.contains("64 deep")));

    let list = |length: usize| format!("a IN [{}]", vec!["1"; length].join(","));
    assert_eq!(hub(&list(1000)), Ok(true));
    assert!(hub(&list(1001)).is_err_and(|error| error.contains("1000 values")));

    let sum = |signs: usize| format!("a{} > 0", "+a".repeat(signs));
    assert_eq!(hub(&sum(256)), Ok(true));
    assert!(hub(&sum(257)).is_err_and(|error| error.contains("256 arithmetic signs")));

    let chain = vec!["a=1"; 1900].join(" AND ");
    assert_eq!(hub(&chain), Ok(true), "a long chain is no deep one");

    let long = "x".repeat(LONGEST_QUERY);
    assert!(hub(&long).is_err_and(|error| error.contains("longer than 16384 bytes")));
    let shown = hub(&format!("a = 1 {}", &long[..9000])).expect_err("stray word");
    assert!(shown.len() < 300, "a long token is cut: {shown}");
}

#[test]
fn both_dialects_read_one_condition_alike() {
    for text in [
        "tags.a = 'x' AND (b <> 2 OR NOT c IN [1,2])",
        "startswith(a, 'x') = false",
    ] {
        assert_eq!(
            service(&format!("SELECT * WHERE {text}")),
            Ok(condition(text)),
            "{text}"
        );
    }
}

/// Pieces of queries, well and badly put together.
fn soup() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "SELECT",
            "TOP",
            "*",
            "FROM",
            "devices",
            ".modules",
            "WHERE",
            "GROUP BY",
            "AS",
            "AND",
            "OR",
            "NOT",
            "IN",
            "NIN",
            "[",
            "]",
            "(",
            ")",
            "[[",
            "]]",
            ",",
            ".",
            "=",
            "!=",
            "<",
            ">=",
            "+",
            "-",
            "%",
            "1",
            "2.5e3",
            "'a'",
            "\"b\"",
            "'",
            "\\",
            "null",
            "true",
            "tags.x",
            "$version",
            "is_defined(",
            "contains(",
            "COUNT(",
            "as_number(",
            "é",
        ])
        .prop_map(str::to_owned),
        ".{0,3}",
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.join(" "))
}

proptest! {
    #[test]
    fn no_text_makes_the_parsers_panic(text in prop_oneof![".*", soup()]) {
        let row = row(r#"{"tags":{"x":1},"a":"b"}"#);
        for text in [
            text.clone(),
            format!("SELECT * FROM devices WHERE {text}"),
            format!("SELECT {text} FROM devices"),
        ] {
            if let Ok(query) = parse_hub_query(&text) {
                let again = parse_hub_query(&text);
                prop_assert_eq!(again.as_ref(), Ok(&query));
                let _ = query.filter().matches(&row);
            }
            if let Ok(filter) = service(&text) {
                let _ = (filter.matches(&row), filter.indexed_terms());
            }
        }
    }

    #[test]
    fn any_text_and_any_name_can_be_asked_for(value in "[^\0]*", name in "[^\\[\\]\\p{C}]{1,20}") {
        let escaped = value.replace('\\', "\\\\").replace('\'', "\\'");
        let text = format!("tags.[[{name}]] = '{escaped}'");
        prop_assume!(text.len() < 10_000);
        prop_assert_eq!(
            condition(&text),
            Filter::Compare(
                Operand::Path(Path(vec!["tags".into(), name])),
                Comparison::Equal,
                Operand::Literal(Literal::Text(value)),
            )
        );
    }
}
