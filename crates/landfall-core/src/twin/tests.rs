//! Tests of the limits and of the merge.

use super::*;
use crate::document::parse;

fn object(text: &str) -> JsonObject {
    match parse(text).expect("json") {
        Json::Object(members) => members,
        other => panic!("not an object: {other}"),
    }
}

fn nested(levels: usize) -> JsonObject {
    let mut inner = object(r#"{"property":"value"}"#);
    for level in 0..levels {
        let mut outer = JsonObject::new();
        outer.insert(format!("l{level}"), Json::Object(inner));
        inner = outer;
    }
    inner
}

#[test]
fn null_deletes_objects_merge_and_the_rest_replaces() {
    let mut target = object(r#"{"a":{"x":1,"y":2},"b":[1,2],"c":"text","d":5}"#);
    let patch = object(r#"{"a":{"x":null,"z":{"deep":null,"kept":1}},"b":[3],"c":{"new":true}}"#);
    merge(&mut target, &patch);
    assert_eq!(
        Json::Object(target).to_string(),
        r#"{"a":{"y":2,"z":{"kept":1}},"b":[3],"c":{"new":true},"d":5}"#
    );
}

#[test]
fn deleting_keeps_the_order_of_the_rest() {
    let mut target = object(r#"{"a":1,"b":2,"c":3}"#);
    merge(&mut target, &object(r#"{"a":null,"absent":null}"#));
    assert_eq!(Json::Object(target).to_string(), r#"{"b":2,"c":3}"#);
}

#[test]
fn ten_levels_are_let_in_and_eleven_are_not() {
    assert_eq!(check(Section::Tags, &nested(10)), Ok(()));
    assert!(matches!(
        check(Section::Tags, &nested(11)),
        Err(TwinError::Depth { path }) if path.starts_with("tags.l10.") && path.ends_with(".l0")
    ));
}

#[test]
fn keys_hold_no_dot_dollar_space_or_control_character() {
    for bad in [r#""a.b""#, r#""$a""#, r#""a b""#, r#""a\u0007""#, r#""""#] {
        let members = object(&format!(r#"{{"outer":{{{bad}:1}}}}"#));
        assert!(
            matches!(check(Section::Desired, &members), Err(TwinError::Key { path, .. }) if path == "properties.desired.outer"),
            "{bad}"
        );
    }
    let mut long = JsonObject::new();
    long.insert("k".repeat(1025), Json::from(1));
    assert_eq!(
        check(Section::Tags, &long),
        Err(TwinError::KeyLength {
            path: "tags".into(),
            length: 1025
        })
    );
    assert_eq!(check(Section::Tags, &object(r#"{"grün-1_#":1}"#)), Ok(()));
}

#[test]
fn texts_and_integers_have_their_limits_inside_arrays_too() {
    let mut members = JsonObject::new();
    members.insert(
        "list".into(),
        Json::from(vec![Json::from(1), Json::from("x".repeat(4097))]),
    );
    assert_eq!(
        check(Section::Desired, &members),
        Err(TwinError::Text {
            path: "properties.desired.list[1]".into(),
            length: 4097
        })
    );
    for (number, fits) in [
        ("4503599627370496", true),
        ("-4503599627370496", true),
        ("4503599627370497", false),
        ("-4503599627370497", false),
        ("18446744073709551615", false),
        ("1e300", true),
    ] {
        let members = object(&format!(r#"{{"n":{number}}}"#));
        assert_eq!(check(Section::Tags, &members).is_ok(), fits, "{number}");
    }
}

#[test]
fn each_section_has_its_size_and_the_error_names_it() {
    // Two keys of one byte each, two texts: 8192 bytes in all, and one more.
    let mut members = JsonObject::new();
    members.insert("a".into(), Json::from("x".repeat(4095)));
    members.insert("b".into(), Json::from("x".repeat(4095)));
    assert_eq!(check(Section::Tags, &members), Ok(()));
    members.insert("c".into(), Json::Null);
    assert_eq!(check(Section::Tags, &members), Ok(()));
    members.insert("c".into(), Json::from(""));
    assert_eq!(
        check(Section::Tags, &members),
        Err(TwinError::Size {
            path: "tags",
            size: 8193,
            limit: 8192
        })
    );
    assert_eq!(check(Section::Desired, &members), Ok(()));
    assert_eq!(
        size(&parse(r#"{"k":[1,true,null,"ab"]}"#).expect("json")),
        1 + 8 + 4 + 2
    );
}

#[test]
fn initial_twins_are_objects_within_the_limits() {
    let twin = |text: &str| InitialTwin {
        tags: Some(Document::parse(text).expect("json")),
        desired: None,
    };
    assert_eq!(check_initial(&twin(r#"{"environment":"test"}"#)), Ok(()));
    assert_eq!(check_initial(&twin("null")), Ok(()));
    assert_eq!(
        check_initial(&twin("[1]")),
        Err(TwinError::NotAnObject("tags".into()))
    );
    let desired = InitialTwin {
        tags: None,
        desired: Some(Document::parse(r#"{"a.b":1}"#).expect("json")),
    };
    assert!(check_initial(&desired).is_err());
}
