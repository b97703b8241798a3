//! What queries refuse to be, what their columns are called, and how rows add up.

use landfall_core::document::{Json, parse};
use landfall_core::query::Literal;

use super::groups::Groups;
use super::*;

fn path(text: &str) -> Operand {
    Operand::Path(Path(text.split('.').map(str::to_owned).collect()))
}

fn value(text: &str) -> (Expression, Option<String>) {
    (Expression::Value(path(text)), None)
}

fn aggregate(aggregate: Aggregate, name: &str) -> (Expression, Option<String>) {
    (Expression::Aggregate(aggregate), Some(name.to_owned()))
}

fn query(
    columns: Vec<(Expression, Option<String>)>,
    by: Vec<Operand>,
) -> Result<Query, QueryError> {
    Query::new(
        Select::Columns(columns),
        Source::Devices,
        Filter::Always,
        by,
        None,
    )
}

fn json(text: &str) -> Json {
    parse(text).expect("json")
}

/// The rows that a grouped query makes of these records.
fn rows(query: &Query, records: &[&str]) -> Json {
    let Answer::Groups(by, columns) = &query.answer else {
        panic!("{query:?} is not grouped");
    };
    let mut groups = Groups::new(by, columns);
    for record in records {
        groups.add(&json(record)).expect("few groups");
    }
    Json::Array(groups.into_rows().collect())
}

#[test]
fn a_column_takes_its_alias_or_the_last_name_of_its_path_or_its_place() {
    let columns = vec![
        value("deviceId"),
        value("tags.place.floor"),
        (
            Expression::Value(path("tags.place")),
            Some("where it is".into()),
        ),
        (
            Expression::Value(Operand::Literal(Literal::Number(1.0))),
            None,
        ),
        value("tags.absent"),
    ];
    let query = query(columns, Vec::new()).expect("columns");
    let row = query.row(json(
        r#"{"deviceId":"d","tags":{"place":{"floor":2}},"version":3}"#,
    ));
    assert_eq!(
        row,
        json(r#"{"deviceId":"d","floor":2,"where it is":{"floor":2},"$4":1}"#)
    );
    assert!(!query.gives_twins() && !query.is_aggregate());
}

#[test]
fn two_columns_of_one_name_are_refused() {
    let twice = query(vec![value("tags.version"), value("version")], Vec::new());
    let error = twice.expect_err("one name").to_string();
    assert!(error.contains("'version'"), "{error}");
}

#[test]
fn a_grouped_query_gives_only_what_it_groups_by_and_aggregates() {
    let count = || aggregate(Aggregate::Count(None), "n");
    assert!(query(vec![count(), value("status")], vec![path("status")]).is_ok());
    for (columns, by) in [
        (vec![count(), value("status")], vec![]),
        (vec![value("deviceId")], vec![path("status")]),
    ] {
        let refused = query(columns, by).expect_err("stray column").to_string();
        assert!(refused.contains("GROUP BY"), "{refused}");
    }
    let everything = Query::new(
        Select::Everything,
        Source::Devices,
        Filter::Always,
        vec![path("status")],
        None,
    );
    assert!(everything.is_err());
    assert!(query(vec![value("a"); MOST_COLUMNS + 1], Vec::new()).is_err());
}

#[test]
fn groups_are_counted_and_summed_with_missing_values_left_out() {
    let grouped = query(
        vec![
            value("tags.site"),
            aggregate(Aggregate::Count(None), "all"),
            aggregate(Aggregate::Count(Some(path("t"))), "some"),
            aggregate(Aggregate::Sum(path("t")), "sum"),
            aggregate(Aggregate::Average(path("t")), "mean"),
            aggregate(Aggregate::Least(path("t")), "least"),
            aggregate(Aggregate::Greatest(path("t")), "most"),
        ],
        vec![path("tags.site")],
    )
    .expect("grouped");
    let found = rows(
        &grouped,
        &[
            r#"{"tags":{"site":"b"},"t":1}"#,
            r#"{"tags":{"site":"a"},"t":2}"#,
            r#"{"tags":{"site":"a"},"t":2.5}"#,
            r#"{"tags":{"site":"a"},"t":null}"#,
            r#"{"tags":{}}"#,
        ],
    );
    assert_eq!(
        found,
        json(
            r#"[{"all":1,"some":0},
                {"site":"a","all":3,"some":3,"sum":4.5,"mean":2.25,"least":2,"most":2.5},
                {"site":"b","all":1,"some":1,"sum":1,"mean":1,"least":1,"most":1}]"#
        )
    );
}

#[test]
fn an_aggregate_without_groups_gives_one_row_even_of_nothing() {
    let columns = vec![
        (Expression::Aggregate(Aggregate::Count(None)), None),
        aggregate(Aggregate::Greatest(path("at")), "last"),
    ];
    let all = query(columns, Vec::new()).expect("aggregate");
    assert!(all.is_aggregate());
    assert_eq!(rows(&all, &[]), json(r#"[{"$1":0}]"#));
    assert_eq!(
        rows(
            &all,
            &[
                r#"{"at":"2026-01-02"}"#,
                r#"{"at":"2026-02-01"}"#,
                r#"{"at":5}"#
            ]
        ),
        json(r#"[{"$1":3,"last":"2026-02-01"}]"#),
        "a text comes after every number"
    );
}

#[test]
fn equal_numbers_share_a_group_and_null_is_not_missing() {
    let grouped = query(
        vec![value("v"), aggregate(Aggregate::Count(None), "n")],
        vec![path("v")],
    )
    .expect("grouped");
    let found = rows(
        &grouped,
        &[r#"{"v":1}"#, r#"{"v":1.0}"#, r#"{"v":null}"#, "{}", "{}"],
    );
    assert_eq!(found, json(r#"[{"n":2},{"v":1,"n":2},{"v":null,"n":1}]"#));
}

#[test]
fn too_many_groups_are_refused() {
    let grouped = query(
        vec![aggregate(Aggregate::Count(None), "n")],
        vec![path("id")],
    )
    .expect("grouped");
    let Answer::Groups(by, columns) = &grouped.answer else {
        panic!("grouped");
    };
    let mut groups = Groups::new(by, columns);
    let refused = (0..20_000).find_map(|id| {
        groups
            .add(&json(&format!(r#"{{"id":{id}}}"#)))
            .err()
            .map(|error| (id, error))
    });
    assert_eq!(refused, Some((10_000, QueryError::TooManyGroups(10_000))));
}
