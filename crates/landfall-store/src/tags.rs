//! The path table of twin tags: each leaf of a tags document as a path and a comparable value.
//!
//! Only equality is asked of it. Long texts and very long paths stand in the table by their hash: a key of an
//! index has a bound, in PostgreSQL some 2,700 bytes.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use landfall_core::query::Literal;
use serde_json::Value as Json;

use crate::dialect::Fault;

/// Longest text that stands in an index as it is, in bytes.
const LONGEST: usize = 128;

/// Longest path that stands in an index as it is, in bytes.
const LONGEST_PATH: usize = 1024;

/// A path and what stands there.
pub(crate) type Leaf = (String, String);

/// The texts, numbers and truth values in a tags document; an empty text has none.
pub(crate) fn leaves(tags: &str) -> Vec<Leaf> {
    let mut found = Vec::new();
    if !tags.is_empty()
        && let Ok(tree) = serde_json::from_str::<Json>(tags)
    {
        gather(&tree, &mut String::new(), &mut found);
    }
    found
}

fn gather(value: &Json, path: &mut String, found: &mut Vec<Leaf>) {
    let literal = match value {
        Json::Object(members) => {
            for (name, member) in members {
                let length = path.len();
                extend(path, name);
                gather(member, path, found);
                path.truncate(length);
            }
            return;
        }
        Json::String(text) => text_value(text),
        Json::Number(number) => match number.as_f64() {
            Some(number) => number_value(number),
            None => return,
        },
        Json::Bool(truth) => truth_value(*truth).to_owned(),
        Json::Null | Json::Array(_) => return,
    };
    if !path.is_empty() {
        found.push((bounded(path), literal));
    }
}

/// Names are joined by dots; a dot or backslash inside a name is marked by a backslash.
fn extend(path: &mut String, name: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    for c in name.chars() {
        if matches!(c, '.' | '\\') {
            path.push('\\');
        }
        path.push(c);
    }
}

/// The path under the tags, as the table holds it; `None` for the tags themselves.
pub(crate) fn path_of(names: &[String]) -> Option<String> {
    let mut path = String::new();
    for name in names {
        extend(&mut path, name);
    }
    (!path.is_empty()).then(|| bounded(&path))
}

fn bounded(path: &str) -> String {
    if path.len() <= LONGEST_PATH {
        path.to_owned()
    } else {
        hashed(path)
    }
}

/// The value a query asks for, as the table holds it; `null` is not held.
pub(crate) fn value_of(literal: &Literal) -> Option<String> {
    match literal {
        Literal::Null => None,
        Literal::Bool(truth) => Some(truth_value(*truth).to_owned()),
        Literal::Number(number) => Some(number_value(*number)),
        Literal::Text(text) => Some(text_value(text)),
    }
}

fn truth_value(truth: bool) -> &'static str {
    if truth { "b:true" } else { "b:false" }
}

fn number_value(number: f64) -> String {
    // Zero has two signs and one meaning.
    format!("n:{}", if number == 0.0 { 0.0 } else { number })
}

fn text_value(text: &str) -> String {
    format!("s:{}", short(text))
}

/// The text itself, or its hash when it is long: what an index of equal texts holds.
pub(crate) fn short(text: &str) -> String {
    if text.len() <= LONGEST {
        text.to_owned()
    } else {
        hashed(text)
    }
}

fn hashed(text: &str) -> String {
    let hash = digest(&SHA256, text.as_bytes());
    format!("sha256:{}", STANDARD_NO_PAD.encode(hash.as_ref()))
}

/// What must be removed and what added to bring the table from one document to another.
pub(crate) fn difference(before: &str, after: &str) -> (Vec<Leaf>, Vec<Leaf>) {
    if before == after {
        return (Vec::new(), Vec::new());
    }
    let (before, after) = (leaves(before), leaves(after));
    let gone = before
        .iter()
        .filter(|leaf| !after.contains(leaf))
        .cloned()
        .collect();
    let come = after
        .into_iter()
        .filter(|leaf| !before.contains(leaf))
        .collect();
    (gone, come)
}

/// Keeps the path table in step with one record's tags.
pub(crate) fn keep_step(
    before: &str,
    after: &str,
    mut remove: impl FnMut(&Leaf) -> Result<usize, Fault>,
    mut add: impl FnMut(&Leaf) -> Result<usize, Fault>,
) -> Result<(), Fault> {
    let (gone, come) = difference(before, after);
    for leaf in &gone {
        remove(leaf)?;
    }
    for leaf in &come {
        add(leaf)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(path: &str, value: &str) -> Leaf {
        (path.to_owned(), value.to_owned())
    }

    #[test]
    fn leaves_are_texts_numbers_and_truth_values_at_any_depth() {
        let tags = r#"{"a":"x","b":{"c":1.0,"d.e":true},"n":null,"l":[1],"z":-0.0}"#;
        assert_eq!(
            leaves(tags),
            [
                leaf("a", "s:x"),
                leaf("b.c", "n:1"),
                leaf("b.d\\.e", "b:true"),
                leaf("z", "n:0"),
            ]
        );
    }

    #[test]
    fn a_query_asks_for_what_the_table_holds() {
        let names = ["b".to_owned(), "d.e".to_owned()];
        assert_eq!(path_of(&names).as_deref(), Some("b.d\\.e"));
        assert_eq!(value_of(&Literal::Number(1.0)).as_deref(), Some("n:1"));
        assert_eq!(value_of(&Literal::Null), None);
        let long = "x".repeat(500);
        let held = leaves(&format!(r#"{{"a":"{long}"}}"#));
        assert_eq!(
            held.first().map(|leaf| leaf.1.clone()),
            value_of(&Literal::Text(long))
        );
    }

    #[test]
    fn only_the_difference_is_written() {
        let (gone, come) = difference(r#"{"a":1,"b":2}"#, r#"{"b":2,"c":3}"#);
        assert_eq!(gone, [leaf("a", "n:1")]);
        assert_eq!(come, [leaf("c", "n:3")]);
    }
}
