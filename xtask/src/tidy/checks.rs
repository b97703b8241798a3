//! Checks of decision traces: each name that a finding can carry stands in the list that the reference
//! is printed from, and each of the list is one that a finding can carry.

use super::Finding;
use super::rust_text::{RustText, words};
use super::tree::{File, Tree};

/// Where the checks are told.
const LIST: &str = "crates/landfall-core/src/trace/check.rs";

/// Compares the names that findings carry with those that are told.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let Some(list) = tree.file(LIST) else {
        return Vec::new();
    };
    let told = names(list);
    let mut findings = Vec::new();
    let mut used = Vec::new();
    for file in tree.files().iter().filter(|file| makes_findings(file)) {
        for (line, name) in carried(file, &told) {
            if !told.iter().any(|(_, known)| *known == name) {
                findings.push(Finding::new(
                    &file.path,
                    line,
                    format!("the check `{name}` is not told"),
                    format!("give it its cause and its fix in {LIST}"),
                ));
            }
            used.push(name);
        }
    }
    for (line, name) in told {
        if !used.contains(&name) {
            findings.push(Finding::new(
                LIST,
                line,
                format!("no finding carries the check `{name}`"),
                "take its row out",
            ));
        }
    }
    findings
}

fn makes_findings(file: &File) -> bool {
    let room = ["crates/landfall-core/src/", "crates/landfall-server/src/"];
    room.iter().any(|room| file.path.starts_with(room))
        && file.is("rs")
        && file.path != LIST
        && !file.path.ends_with("/tests.rs")
        && !file.path.contains("/tests/")
        && words(&file.text).any(|word| word == "Finding")
}

/// The literals of a file's code, without its tests, that have the form of a check's name.
fn names(file: &File) -> Vec<(usize, String)> {
    let read = RustText::read(&file.text);
    let literals = read.strings.into_iter();
    literals
        .filter(|(line, text)| *line < read.tests_from && is_name(text))
        .collect()
}

/// The names that a file's findings carry: the first argument of `Finding::new`, and whatever begins
/// like a check that is told.
fn carried(file: &File, told: &[(usize, String)]) -> Vec<(usize, String)> {
    let read = RustText::read(&file.text);
    let made = |line: usize| {
        let before = line.checked_sub(2).and_then(|index| read.code.get(index));
        before.is_some_and(|code| code.trim_end().ends_with("Finding::new("))
    };
    let like_told = |name: &str| {
        let family = |name: &str| name.split_once('.').map(|(family, _)| family.to_owned());
        let family_of = family(name);
        family_of.is_some() && told.iter().any(|(_, known)| family(known) == family_of)
    };
    let names = names(file).into_iter();
    names
        .filter(|(line, name)| made(*line) || like_told(name))
        .collect()
}

/// `sas.expired`, `device_id`: small letters, digits and `_`, with one dot or none.
fn is_name(text: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
    };
    match text.split_once('.') {
        Some((family, rest)) => part(family) && part(rest),
        None => part(text),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tree::tests::Sample;
    use super::*;

    const TOLD: &str = "check(\n\"sas.expired\",\n\"Too old.\",\n\"New.\",\n);\ncheck(\n\"device_id\", \"x y\", \"z.\");\n";

    fn said(source: &str) -> Vec<String> {
        let sample = Sample::new(&[
            (LIST, TOLD),
            ("crates/landfall-core/src/sas.rs", source),
            (
                "crates/landfall-core/src/sas/tests.rs",
                "use Finding; \"sas.of_a_test\"",
            ),
        ]);
        check(&sample.tree())
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn checks_that_are_told_and_carried_pass() {
        let source = "Finding::new(\n\"device_id\",\na, b, c);\nlet (check, fix) = (\"sas.expired\", \"New.\");\n";
        assert_eq!(said(source), Vec::<String>::new());
    }

    #[test]
    fn a_check_that_is_not_told_is_named_with_its_line() {
        let source = "Finding::new(\n\"device_id\",\n);\nFinding::new(\n\"clock\",\n);\nlet x = \"sas.early\"; \"sas.expired\";\n";
        let said = said(source);
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].starts_with("crates/landfall-core/src/sas.rs:5: the check `clock`"));
        assert!(said[1].contains(":7: the check `sas.early` is not told"));
    }

    #[test]
    fn a_check_that_nothing_carries_is_told_for_nothing() {
        let said = said("Finding::new(\n\"sas.expired\",\n);\n");
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].contains("no finding carries the check `device_id`"));
    }
}
