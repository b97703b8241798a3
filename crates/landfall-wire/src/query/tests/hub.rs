//! The hub's dialect: the texts that tools and documents use, what they find, what is refused.

use landfall_core::query::Filter;
use landfall_core::query::{Comparison, Literal, Operand, Path};
use landfall_hub::query::{Aggregate, Expression, Query, Select, Source};

use super::{condition, row};
use crate::query::parse_hub_query;

#[test]
fn every_hub_text_that_tools_and_documents_use_is_read() {
    for (text, source, twins, aggregate) in [
        ("SELECT * FROM devices", Source::Devices, true, false),
        (
            "select * from devices where capabilities.iotEdge = true",
            Source::Devices,
            true,
            false,
        ),
        (
            "SELECT * FROM devices WHERE tags.environment = 'test'",
            Source::Devices,
            true,
            false,
        ),
        ("SELECT TOP 10 * FROM devices", Source::Devices, true, false),
        (
            "select deviceId from devices.modules where moduleId = '$edgeAgent' \
             and configurations.[[base-1.0]].status = 'Applied'",
            Source::Modules,
            false,
            false,
        ),
        (
            "SELECT deviceId FROM devices.modules WHERE moduleId = '$edgeAgent' AND \
             properties.desired.$version = properties.reported.lastDesiredVersion AND \
             properties.reported.lastDesiredStatus.code != 200",
            Source::Modules,
            false,
            false,
        ),
        (
            "SELECT properties.reported.telemetryConfig.status AS status, COUNT() AS numberOfDevices \
             FROM devices GROUP BY properties.reported.telemetryConfig.status",
            Source::Devices,
            false,
            true,
        ),
        (
            "SELECT COUNT() AS totalNumberOfDevices FROM devices",
            Source::Devices,
            false,
            true,
        ),
        (
            "SELECT * FROM devices WHERE tags.location.region IN ['US', 'EMEA'] OR \
             properties.reported.connectivity.type NIN ['wired', 'wifi']",
            Source::Devices,
            true,
            false,
        ),
        (
            "SELECT * FROM devices WHERE is_defined(properties.reported.connectivity)",
            Source::Devices,
            true,
            false,
        ),
        (
            "SELECT top, [[from]] AS [[a b]] FROM devices",
            Source::Devices,
            false,
            false,
        ),
    ] {
        let query = parse_hub_query(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(
            (query.source(), query.gives_twins(), query.is_aggregate()),
            (source, twins, aggregate),
            "{text}"
        );
    }
}

#[test]
fn a_whole_hub_query_is_read_part_by_part() {
    let path =
        |names: &[&str]| Operand::Path(Path(names.iter().map(|name| (*name).to_owned()).collect()));
    let site = path(&["tags", "site.name"]);
    let expected = Query::new(
        Select::Columns(vec![
            (Expression::Value(site.clone()), Some("site".into())),
            (Expression::Aggregate(Aggregate::Count(None)), None),
            (
                Expression::Aggregate(Aggregate::Average(path(&["properties", "reported", "t"]))),
                Some("mean".into()),
            ),
        ]),
        Source::Devices,
        Filter::Compare(
            path(&["status"]),
            Comparison::Equal,
            Operand::Literal(Literal::Text("it's \"on\" Å😀\\".into())),
        ),
        vec![site],
        Some(5),
    )
    .expect("no contradiction");
    assert_eq!(
        parse_hub_query(
            r#"Select Top 5 tags.[[site.name]] As site, Count(), avg(properties.reported.t) as 'mean'
               From Devices Where status = 'it''s "on" \u00c5\ud83d\ude00\\' Group By tags.[[site.name]]"#
        ),
        Ok(expected)
    );
}

#[test]
fn hub_conditions_find_twins() {
    let twin = row(
        r#"{"deviceId":"Dev1","status":"enabled","capabilities":{"iotEdge":false},"version":7,
            "tags":{"environment":"test","a.b":{"c d":1},"in":5,"2nd":true,"none":null},
            "properties":{"desired":{"$version":4,"t":"12.5"},"reported":{"last":4,"load":0.5}}}"#,
    );
    for (text, holds) in [
        ("tags.environment = 'test'", true),
        ("tags.environment = 'Test'", false),
        ("tags.[[a.b]].[[c d]] = 1", true),
        ("[[deviceId]] = 'Dev1'", true),
        ("tags.in = 5 and tags.2nd", true),
        (
            "properties.desired.$version = properties.reported.last",
            true,
        ),
        (
            "properties.desired.$version <> properties.reported.last",
            false,
        ),
        ("tags.absent != 'x'", false),
        ("NOT tags.absent != 'x'", true),
        ("NOT NOT deviceId = 'Dev1'", true),
        ("is_defined(tags.none) AND is_null(tags.none)", true),
        ("is_defined(tags.absent)", false),
        ("is_defined(tags.absent) = false", true),
        ("true != IS_STRING(deviceId)", false),
        (
            "is_number(version) and is_bool(tags.2nd) and is_object(tags)",
            true,
        ),
        (
            "startswith(deviceId, 'Dev') AND endswith(deviceId, '1')",
            true,
        ),
        ("contains(deviceId, 'dev')", false),
        ("version + 1 * 2 = 9", true),
        ("(version + 1) * 2 = 16", true),
        ("version - 1 - 1 = 5", true),
        ("-version < -6.5e0 and version % 4 = 3", true),
        ("as_number(properties.desired.t) > 12", true),
        ("properties.desired.t > 12", false),
        ("properties.reported.load <= 0.5", true),
        ("deviceId NIN ['a', 'b']", true),
        ("deviceId NOT IN ('Dev1')", false),
        ("version in [-1, 7, null, true, 'x']", true),
        ("version in []", false),
        (
            "status = 'disabled' OR status = 'enabled' AND version = 7",
            true,
        ),
        (
            "(status = 'disabled' OR status = 'enabled') AND version = 8",
            false,
        ),
        ("((capabilities.iotEdge)) = false", true),
        ("capabilities.iotEdge", false),
        ("'Dev0' < deviceId", true),
        ("true", true),
    ] {
        assert_eq!(condition(text).matches(&twin), holds, "{text}");
    }
}

#[test]
fn hub_texts_that_make_no_sense_name_the_token_and_its_place() {
    for (text, says) in [
        ("", "at character 1, near the end: SELECT was expected."),
        (
            "SELEC * FROM devices",
            "at character 1, near 'SELEC': SELECT was expected.",
        ),
        ("SELECT *", "near the end: FROM was expected."),
        ("SELECT * FROM device", "near 'device': devices or"),
        (
            "SELECT * FROM devices.jobs",
            "near 'devices': this hub keeps no jobs",
        ),
        ("SELECT TOP 0 * FROM devices", "near '0': a whole number"),
        (
            "SELECT TOP 1.5 * FROM devices",
            "near '1.5': a whole number",
        ),
        (
            "SELECT *, deviceId FROM devices",
            "near ',': FROM was expected.",
        ),
        (
            "SELECT a, FROM devices",
            "near 'FROM': the name of a property",
        ),
        (
            "SELECT a AS FROM devices",
            "near 'devices': FROM was expected.",
        ),
        (
            "SELECT * FROM devices WHERE sin(a) = 1",
            "near 'sin': there is no function",
        ),
        (
            "SELECT * FROM devices WHERE count() = 1",
            "near 'count': an aggregate",
        ),
        (
            "SELECT * FROM devices WHERE a IN 'x'",
            "near ''x'': '[' was expected.",
        ),
        (
            "SELECT * FROM devices WHERE a IN [b]",
            "near 'b': a literal was expected.",
        ),
        (
            "SELECT * FROM devices WHERE a NOT 'x'",
            "near ''x'': IN was expected.",
        ),
        (
            "SELECT * FROM devices WHERE (a = 1",
            "near the end: ')' was expected.",
        ),
        (
            "SELECT * FROM devices WHERE a = 'x' + 1 AND b",
            "near ''x'': a number",
        ),
        (
            "SELECT * FROM devices WHERE is_defined(a) = 1",
            "compares only with true",
        ),
        (
            "SELECT * FROM devices WHERE a = (b = 1)",
            "near '(': a value was expected.",
        ),
        ("SELECT * FROM devices WHERE a = '\\x'", "no known escape"),
        (
            "SELECT * FROM devices WHERE a = '\\ud800'",
            "four hexadecimal digits",
        ),
        (
            "SELECT * FROM devices WHERE a = '\\u0000'",
            "four hexadecimal digits",
        ),
        ("SELECT * FROM devices WHERE a = 'x\0'", "NUL"),
        ("SELECT * FROM devices WHERE a = 1e999", "out of range"),
        ("SELECT * FROM devices WHERE [[a = 1", "']]' is missing."),
        (
            "SELECT * FROM devices ORDER BY a",
            "near 'ORDER': an operator, WHERE",
        ),
        (
            "SELECT * FROM devices GROUP BY status",
            "SELECT * cannot stand with GROUP BY",
        ),
        (
            "SELECT a, COUNT() FROM devices",
            "'a' is neither an aggregate",
        ),
        ("SELECT a.x, b.x FROM devices", "Two columns are called 'x'"),
    ] {
        let error = parse_hub_query(text).expect_err(text).to_string();
        assert!(error.contains(says), "{text}: {error}");
    }
}
