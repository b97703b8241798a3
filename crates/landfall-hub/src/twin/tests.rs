//! Tests of versions, metadata and etags.

use landfall_core::document::parse;
use proptest::prelude::*;

use super::*;

const CREATED: Timestamp = Timestamp::from_unix_seconds(2_000_000_000);
const LATER: Timestamp = Timestamp::from_unix_seconds(2_000_000_060);

fn object(text: &str) -> JsonObject {
    match parse(text).expect("json") {
        Json::Object(members) => members,
        other => panic!("not an object: {other}"),
    }
}

fn twin(desired: &str) -> Twin {
    let content = TwinContent {
        desired: object(desired),
        ..TwinContent::default()
    };
    Twin::fresh(&content, CREATED)
}

fn desired(text: &str) -> TwinChange {
    TwinChange {
        tags: None,
        desired: Some(object(text)),
    }
}

#[test]
fn a_fresh_twin_is_empty_but_for_its_metadata() {
    let twin = Twin::fresh(&TwinContent::default(), CREATED);
    assert_eq!(twin.tags.as_str(), "{}");
    assert_eq!(twin.desired.properties.as_str(), "{}");
    assert_eq!(
        twin.desired.metadata.as_str(),
        r#"{"$lastUpdated":"2033-05-18T03:33:20.0000000Z","$lastUpdatedVersion":1}"#
    );
    assert_eq!(
        twin.reported.metadata.as_str(),
        r#"{"$lastUpdated":"2033-05-18T03:33:20.0000000Z"}"#
    );
    assert_eq!((twin.desired.version, twin.reported.version), (1, 1));
    assert_eq!(twin.etag.as_str(), "AAAAAAAAAAE=");
}

#[test]
fn metadata_mirrors_the_tree_and_untouched_branches_keep_their_time() {
    let before = twin(r#"{"a":{"x":1,"y":[1]},"b":2}"#);
    let after = before
        .changed(
            TwinVerb::Patch,
            &desired(r#"{"a":{"x":5,"y":null}}"#),
            LATER,
        )
        .expect("within limits")
        .expect("a change");
    assert_eq!(after.desired.properties.as_str(), r#"{"a":{"x":5},"b":2}"#);
    let new = r#""$lastUpdated":"2033-05-18T03:34:20.0000000Z","$lastUpdatedVersion":2"#;
    let old = r#""$lastUpdated":"2033-05-18T03:33:20.0000000Z","$lastUpdatedVersion":1"#;
    assert_eq!(
        after.desired.metadata.as_str(),
        format!(r#"{{{new},"a":{{{new},"x":{{{new}}}}},"b":{{{old}}}}}"#)
    );
}

#[test]
fn only_a_change_of_desired_moves_its_version() {
    let before = twin("{}");
    let tags = TwinChange {
        tags: Some(object(r#"{"environment":"test"}"#)),
        desired: None,
    };
    let after = before
        .changed(TwinVerb::Patch, &tags, LATER)
        .expect("within limits")
        .expect("a change");
    assert_eq!(after.desired, before.desired);
    assert_eq!(after.version, before.version + 1);
    assert_eq!(after.etag.as_str(), "AAAAAAAAAAI=");
    assert_eq!(after.tags.as_str(), r#"{"environment":"test"}"#);

    let again = after
        .changed(TwinVerb::Patch, &desired("{}"), LATER)
        .expect("within limits")
        .expect("a change");
    assert_eq!(again.desired.version, 2);
    assert_eq!(again.etag.as_str(), "AAAAAAAAAAM=");
}

#[test]
fn a_change_that_names_no_section_is_none() {
    let before = twin("{}");
    assert_eq!(
        before.changed(TwinVerb::Replace, &TwinChange::default(), LATER),
        Ok(None)
    );
}

#[test]
fn replacing_drops_what_was_there_and_every_null() {
    let before = twin(r#"{"old":1}"#);
    let after = before
        .changed(
            TwinVerb::Replace,
            &desired(r#"{"new":{"a":null,"b":1}}"#),
            LATER,
        )
        .expect("within limits")
        .expect("a change");
    assert_eq!(after.desired.properties.as_str(), r#"{"new":{"b":1}}"#);
    let metadata = after.desired.metadata.to_object().expect("object");
    assert!(!metadata.contains_key("old"));
    assert_eq!(after.desired.version, 2);
}

#[test]
fn a_scalar_that_becomes_an_object_loses_its_old_mark() {
    let before = twin(r#"{"a":{"deep":{"er":1}},"b":7}"#);
    let after = before
        .changed(TwinVerb::Patch, &desired(r#"{"a":1,"b":{"c":2}}"#), LATER)
        .expect("within limits")
        .expect("a change");
    assert_eq!(after.desired.properties.as_str(), r#"{"a":1,"b":{"c":2}}"#);
    let metadata = after.desired.metadata.to_json();
    assert!(metadata["a"].get("deep").is_none());
    assert_eq!(metadata["b"]["c"]["$lastUpdatedVersion"], 2);
}

#[test]
fn small_patches_cannot_grow_a_section_past_its_limit() {
    let mut twin = twin("{}");
    let text = "x".repeat(4000);
    let mut refused = None;
    for key in 0..10 {
        let change = desired(&format!(r#"{{"k{key}":"{text}"}}"#));
        match twin.changed(TwinVerb::Patch, &change, LATER) {
            Ok(next) => twin = next.expect("a change"),
            Err(error) => {
                refused = Some((key, error));
                break;
            }
        }
    }
    assert!(matches!(
        refused,
        Some((8, TwinError::Size { limit: 32768, .. }))
    ));
}

#[test]
fn reports_move_version_and_leave_the_etag() {
    let before = twin("{}");
    let after = before
        .reported(&object(r#"{"fw":"1.2"}"#), LATER)
        .expect("within limits");
    assert_eq!(after.reported.version, 2);
    assert_eq!(after.version, before.version + 1);
    assert_eq!(after.etag, before.etag);
    assert!(
        !after
            .reported
            .metadata
            .as_str()
            .contains("$lastUpdatedVersion")
    );
}

/// JSON as twins hold it, from so few keys that patches meet each other.
fn any_value() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        (-9_i64..9).prop_map(Json::from),
        "[a-c]{0,3}".prop_map(Json::from),
        prop::collection::vec(0..3_i64, 0..3).prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop::collection::vec(("[a-d]", inner), 0..4)
            .prop_map(|members| Json::Object(members.into_iter().collect()))
    })
}

fn any_object() -> impl Strategy<Value = JsonObject> {
    prop::collection::vec(("[a-d]", any_value()), 0..4)
        .prop_map(|members| members.into_iter().collect())
}

/// Says where metadata and properties differ in shape.
fn unlike(properties: &JsonObject, metadata: &JsonObject, newest: i64) -> Option<String> {
    let version = metadata.get("$lastUpdatedVersion").and_then(Json::as_i64);
    if !version.is_some_and(|version| (1..=newest).contains(&version)) {
        return Some(format!("a version of {version:?}"));
    }
    let keys = metadata.keys().filter(|key| !key.starts_with('$'));
    if !keys.clone().all(|key| properties.contains_key(key)) {
        return Some("a mark for nothing".to_owned());
    }
    for (key, value) in properties {
        let Some(Json::Object(mark)) = metadata.get(key) else {
            return Some(format!("no mark for {key}"));
        };
        let none = JsonObject::new();
        let deeper = match value {
            Json::Null => Some("a null".to_owned()),
            Json::Object(inner) => unlike(inner, mark, newest),
            _ => unlike(&none, mark, newest),
        };
        if let Some(deeper) = deeper {
            return Some(format!("{key}: {deeper}"));
        }
    }
    None
}

proptest! {
    #[test]
    fn metadata_mirrors_the_properties_after_any_changes(
        first in any_object(),
        changes in prop::collection::vec((any::<bool>(), any_object()), 0..6),
    ) {
        let start = TwinChange { tags: None, desired: Some(first) };
        let content = TwinContent::checked(start, None).expect("within limits");
        let mut twin = Twin::fresh(&content, CREATED);
        for (patch, change) in changes {
            let verb = if patch { TwinVerb::Patch } else { TwinVerb::Replace };
            let change = TwinChange { tags: None, desired: Some(change) };
            twin = twin.changed(verb, &change, LATER).expect("within limits").expect("a change");
        }
        let properties = twin.desired.properties.to_object().expect("an object");
        let metadata = twin.desired.metadata.to_object().expect("an object");
        prop_assert_eq!(unlike(&properties, &metadata, twin.desired.version), None);
    }
}
