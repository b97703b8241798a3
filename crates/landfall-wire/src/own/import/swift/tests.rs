//! Whatever comes through the short way comes to the same on the long one.

use proptest::prelude::*;
use serde_json::json;

use super::super::at_length;
use super::*;

fn line(twin: &str) -> String {
    format!(
        "{{\"kind\":\"enrollment\",\"record\":{{\"registrationId\":\"dev-1\",\"etag\":\"x\",\
         \"attestation\":{{\"type\":\"symmetricKey\",\"symmetricKey\":{{\"primaryKey\":\"MTIzNDU2Nzg5MDEyMzQ1Ng==\"}}}},\
         \"initialTwin\":{twin},\"allocationPolicy\":\"hashed\"}}}}"
    )
}

fn both_ways(line: &str) -> Option<Line> {
    let short = parse(line.as_bytes());
    if let Some(short) = &short {
        let long = at_length(line.as_bytes());
        assert_eq!(Ok(short), long.as_ref(), "{line}");
        // Documents do not show what they hold.
        assert_eq!(texts(short), texts(&long.expect("as above")), "{line}");
    }
    short
}

fn texts(line: &Line) -> Vec<String> {
    let Line::Record(_, _, ImportRecord::Individual(import)) = line else {
        return Vec::new();
    };
    let request = &import.request;
    let twin = request.terms.initial_twin.as_ref();
    let documents = [
        twin.and_then(|twin| twin.tags.as_ref()),
        twin.and_then(|twin| twin.desired.as_ref()),
        request.details.device_information.as_ref(),
    ];
    let documents = documents.into_iter().flatten();
    documents.map(|it| it.as_str().to_owned()).collect()
}

#[test]
fn usual_lines_come_through_as_on_the_long_way() {
    for twin in [
        "{}",
        r#"{"tags":{}}"#,
        r#"{"tags":{"a":1},"properties":{}}"#,
        r#" { "tags" : { "a" : [ 1 , -2, -0, 1.50, 1e3, 12345678901234567890, 1e300 ] , "b" : null } } "#,
        r#"{"tags":{"a":"\u0061\n\/é"},"properties":{"desired":{"x":{"y":{"a":true}}, "a":false}}}"#,
        r#"{"tags":{"a":1},"tags":{"b":2}}"#,
        r#"{"properties":{"desired":{"a":1}},"properties":{}}"#,
    ] {
        assert!(both_ways(&line(twin)).is_some(), "{twin}");
    }
    let whole = both_ways(&line(r#"{"tags":{ "a" : "b c" }}"#)).expect("a record");
    assert_eq!(texts(&whole), [r#"{"a":"b c"}"#]);
    let told = r#"{"kind":"enrollment","record":{"registrationId":"d","attestation":{"type":"tpm","tpm":{"endorsementKey":"QQ=="}},"optionalDeviceInformation":{"a": 1.0}}}"#;
    let whole = both_ways(told).expect("a record");
    assert_eq!(texts(&whole), [r#"{"a":1.0}"#]);
}

#[test]
fn unusual_lines_go_the_long_way() {
    let deep = format!("{{\"tags\":{}1{}}}", "{\"a\":".repeat(40), "}".repeat(40));
    let long: Map<String, Value> = (0..70).map(|n| (format!("m{n}"), json!(1))).collect();
    let wide = json!({"tags": long}).to_string();
    for twin in [
        "null",
        "[]",
        r#"{"tags":null}"#,
        r#"{"tags":[1]}"#,
        r#"{"properties":null}"#,
        r#"{"tags":{"a":1,"a":2}}"#,
        r#"{"tags":{"a":1,"\u0061":2}}"#,
        r#"{"tags":{"a":"\u0000"}}"#,
        r#"{"tags":{"a":1e999}}"#,
        r#"{"tags":{},"other":"\u0000"}"#,
        r#"{"properties":{"desired":{},"reported":{}}}"#,
        &deep,
        &wide,
    ] {
        assert!(both_ways(&line(twin)).is_none(), "{twin}");
    }
    for line in [
        "",
        "{}",
        "[]",
        "{\"kind\":\"note\",\"record\":{}}",
        "{\"record\":{\"registrationId\":\"d\"},\"kind\":\"enrollment\"}",
        &(line("{}").trim_end_matches('}').to_owned() + "},\"kind\":\"note\"}"),
        "{\"kind\":\"group\",\"record\":{\"enrollmentGroupId\":\"g\"}}",
        "{\"kind\":\"enrollment\",\"record\":{\"registrationId\":\"\\u0000\"}}",
        "{\"kind\":\"enrollment\",\"record\":{\"registrationId\":\"d\"}} x",
    ] {
        assert!(both_ways(line).is_none(), "{line}");
    }
}

fn any_text() -> impl Strategy<Value = String> {
    let token = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\"a\"",
        "\"b\"",
        "\"\\n\"",
        "\"\\u0000\"",
        "\"é\"",
        "1",
        "-0",
        "1.0",
        "2e5",
        "null",
        "true",
        " ",
        "\"tags\"",
        "\"properties\"",
        "\"desired\"",
    ]);
    let noise = prop::collection::vec(token, 0..24).prop_map(|tokens| tokens.concat());
    let leaf = prop_oneof![
        any::<f64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        "[a-c \\\\\"\n\u{0}é]{0,5}".prop_map(Value::from),
        Just(Value::Null),
    ];
    let tree = leaf.prop_recursive(5, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("[a-c]{0,2}", inner), 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    });
    let twin = (tree.clone(), tree).prop_flat_map(|(tags, desired)| {
        let twin = json!({"tags": tags, "properties": {"desired": desired}});
        prop_oneof![
            Just(twin.to_string()),
            Just(serde_json::to_string_pretty(&twin).unwrap_or_default()),
        ]
    });
    prop_oneof![noise, twin]
}

proptest! {
    #[test]
    fn any_line_that_comes_through_comes_to_the_same_at_length(twin in any_text()) {
        both_ways(&line(&twin));
    }
}
