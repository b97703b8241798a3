//! Whether a section keeps every limit, told by one look along its text: most do, and no tree has to be
//! made to see it. When in doubt it says no, and `twin` looks again and names what is wrong.

use super::{DEEPEST, LONGEST_KEY, LONGEST_TEXT, Section};
use crate::document::Document;

/// Integers of fewer digits keep the limit, whatever they are.
const SAFE_DIGITS: usize = 15;

/// True when the document is an object that keeps every limit of the section for certain.
///
/// What stands in the text counts at least as much as in the tree: escapes are longer than what they
/// mean, and members that are null or named twice do not count there.
pub(super) fn keeps_limits(section: Section, document: &Document) -> bool {
    let mut rest = document.as_str().as_bytes();
    // Bit n says whether the nth open bracket is an object's; more than this never are open.
    let (mut open, mut objects) = (0_usize, 0_u32);
    let (mut is_key, mut size) = (false, 0);
    if rest.first() != Some(&b'{') {
        return false;
    }
    while let Some((&first, behind)) = rest.split_first() {
        rest = behind;
        match first {
            b'{' | b'[' => {
                open += 1;
                if open > DEEPEST + 1 {
                    return false;
                }
                is_key = first == b'{';
                objects = objects & !(1 << open) | u32::from(is_key) << open;
            }
            b'}' | b']' => (open, is_key) = (open.saturating_sub(1), false),
            b',' => is_key = objects >> open & 1 == 1,
            b':' => is_key = false,
            b'"' => {
                let Some(length) = text_length(rest) else {
                    return false;
                };
                let (text, behind) = rest.split_at(length);
                let fits = if is_key {
                    (1..=LONGEST_KEY).contains(&length) && text.iter().all(|byte| is_plain(*byte))
                } else {
                    length <= LONGEST_TEXT
                };
                if !fits {
                    return false;
                }
                size += length;
                rest = behind.get(1..).unwrap_or_default();
            }
            b'-' | b'0'..=b'9' => {
                let is_part = |byte: &u8| {
                    byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-')
                };
                let length = rest.iter().take_while(|byte| is_part(byte)).count();
                if length >= SAFE_DIGITS {
                    return false;
                }
                size += 8;
                rest = rest.get(length..).unwrap_or_default();
            }
            // The words true, false and null; `e` ends the first two.
            b'e' => size += 4,
            _ => {}
        }
    }
    size <= section.limit()
}

/// The length of a text that begins here, up to its quote.
fn text_length(rest: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        match rest.get(at)? {
            b'"' => return Some(at),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// A byte that may stand in a key wherever it is.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'.' | b'$' | b'\\')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::document::Json;
    use crate::twin::check;

    fn glance(text: &str) -> bool {
        let document = Document::parse(text).expect("a document");
        keeps_limits(Section::Tags, &document)
    }

    fn nested(levels: usize) -> String {
        "{\"a\":".repeat(levels) + "{}" + &"}".repeat(levels)
    }

    #[test]
    fn what_keeps_the_limits_is_seen_at_once() {
        for text in [
            "{}",
            r#"{"site":"plant 7","floor":3,"at":[1.5e3,-2,true,null,{"x":"\u00e9\""}]}"#,
            &nested(DEEPEST),
        ] {
            assert!(glance(text), "{text}");
        }
    }

    #[test]
    fn what_does_not_or_may_not_is_looked_at_again() {
        for text in [
            "null",
            "[1]",
            r#"{"":1}"#,
            r#"{"a.b":1}"#,
            r#"{"a":{"$b":1}}"#,
            r#"{"a":[{"b c":1}]}"#,
            r#"{"\u0061":1}"#,
            r#"{"é":1}"#,
            r#"{"a":4503599627370497}"#,
            &nested(DEEPEST + 1),
            &format!("{{\"{}\":1}}", "k".repeat(LONGEST_KEY + 1)),
            &format!("{{\"a\":\"{}\"}}", "x".repeat(LONGEST_TEXT + 1)),
            &format!("{{\"a\":[{}]}}", vec!["1"; 1025].join(",")),
        ] {
            assert!(!glance(text), "{text}");
        }
    }

    fn any_json() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            any::<i64>().prop_map(Json::from),
            any::<f64>().prop_map(Json::from),
            "[a-z \\\\\"\u{7f}é]{0,6}".prop_map(Json::from),
            (4000_usize..4200).prop_map(|length| "x".repeat(length).into()),
        ];
        leaf.prop_recursive(12, 40, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
                prop::collection::vec(("[a-z.$ é\\\\]{0,3}", inner), 0..4)
                    .prop_map(|members| Json::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_yes_is_never_wrong(value in any_json(), section in prop_oneof![Just(Section::Tags), Just(Section::Desired)]) {
            let document = Document::from_json(&value);
            if keeps_limits(section, &document) {
                let members = document.to_object().expect("an object");
                prop_assert_eq!(check(section, &members), Ok(()));
            }
        }
    }
}
