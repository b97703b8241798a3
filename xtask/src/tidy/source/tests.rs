//! What the rules for source text find and let pass.

use super::super::tree::tests::Sample;
use super::*;

fn said(path: &str, text: &str) -> Vec<String> {
    let sample = Sample::new(&[(path, text)]);
    check(&sample.tree())
        .into_iter()
        .map(|finding| format!("{}:{} {}", finding.file, finding.line, finding.what))
        .collect()
}

#[test]
fn a_file_that_keeps_the_rules_passes() {
    let text = concat!(
        "//! Here.\n// never unsafe, says this comment about #[allow\n",
        "fn f() { g(\"unsafe { serde_json::from_str }\") }\n",
        "const Q: &str = \"SELECT * FROM devices WHERE tags.a = 'b'\";\n",
        "#[cfg(test)]\nmod tests {\nconst N: u32 = 404_201;\n}\n",
    );
    assert_eq!(
        said("crates/landfall-core/src/a.rs", text),
        Vec::<String>::new()
    );
}

#[test]
fn a_file_without_opening_is_named() {
    assert_eq!(
        said("crates/x/src/a.rs", "fn f() {}\n"),
        ["crates/x/src/a.rs:1 the file does not open with `//!`"]
    );
}

#[test]
fn forbidden_words_are_found_in_code_and_comments() {
    let unfinished = ["// TO", "DO later\n"].concat();
    let text = format!(
        "//! A.\nfn f() {{ unsafe {{ g() }} }}\n#[allow(dead_code)]\nfn h() {{ todo!() }}\n{unfinished}"
    );
    assert_eq!(
        said("crates/x/src/a.rs", &text),
        [
            "crates/x/src/a.rs:2 unsafe code",
            "crates/x/src/a.rs:3 a lint is switched off for good",
            "crates/x/src/a.rs:4 unfinished code",
            "crates/x/src/a.rs:5 a mark of unfinished work",
        ]
    );
    assert_eq!(
        said("tool.py", &["# FIX", "ME"].concat()),
        ["tool.py:1 a mark of unfinished work"]
    );
}

#[test]
fn only_the_time_file_may_silence_the_clock_rule() {
    let text = "//! A.\n#[expect(clippy::disallowed_methods, reason = \"\")]\nfn f() {}\n";
    assert_eq!(
        said("crates/landfall-server/src/time.rs", text),
        Vec::<String>::new()
    );
    assert_eq!(
        said("crates/landfall-server/src/listener.rs", text).len(),
        1
    );
}

#[test]
fn a_json_library_below_the_wire_is_found() {
    let text = "//! A.\nuse serde_json::Value;\n";
    assert_eq!(said("crates/landfall-hub/src/twin.rs", text).len(), 1);
    assert_eq!(said("crates/landfall-core/src/twin.rs", text).len(), 1);
    assert_eq!(said("crates/landfall-core/src/document.rs", text).len(), 0);
    assert_eq!(said("crates/landfall-wire/src/service.rs", text).len(), 0);
}

#[test]
fn sql_outside_the_store_is_found() {
    let text = "//! A.\nconst S: &str = \"INSERT INTO t (a) VALUES ($1)\";\n";
    assert_eq!(said("crates/landfall-server/src/a.rs", text).len(), 1);
    assert_eq!(said("crates/landfall-store/src/a.rs", text).len(), 0);
    assert_eq!(said("crates/landfall-server/a.sql", "SELECT 1;").len(), 1);
    assert_eq!(said("crates/landfall-store/a.sql", "SELECT 1;").len(), 0);
}

#[test]
fn placeholders_must_ascend_in_order_of_first_use() {
    let ordered =
        "//! A.\nconst S: &str = \"SELECT a FROM t WHERE b = $1 AND c = $2 OR d = $1\";\n";
    assert_eq!(said("crates/landfall-store/src/a.rs", ordered).len(), 0);
    let swapped = ordered.replace("b = $1", "b = $3");
    assert_eq!(
        said("crates/landfall-store/src/a.rs", &swapped),
        ["crates/landfall-store/src/a.rs:2 placeholders are first used in the order $3 $2 $1"]
    );
    let piece = "//! A.\nconst S: &str = \" AND b = $4 AND c = $5\";\n";
    assert_eq!(said("crates/landfall-store/src/a.rs", piece).len(), 0);
    let gap = "//! A.\nconst S: &str = \"DELETE FROM t WHERE b = $2\";\n";
    assert_eq!(said("crates/landfall-store/src/a.rs", gap).len(), 1);
}

#[test]
fn error_numbers_and_statuses_stand_in_the_fault_table_only() {
    let text =
        "//! A.\nconst N: u32 = 404_201;\nlet s = StatusCode::CONFLICT;\nlet o = StatusCode::OK;\n";
    assert_eq!(said("crates/landfall-server/src/a.rs", text).len(), 2);
    assert_eq!(said("crates/landfall-wire/src/fault.rs", text).len(), 0);
    assert_eq!(said("crates/landfall-wire/src/fault/hub.rs", text).len(), 0);
    assert_eq!(said("crates/landfall-server/src/admin.rs", text).len(), 0);
    assert_eq!(
        said("crates/landfall-server/src/administer.rs", text).len(),
        2
    );
    assert_eq!(said("crates/landfall-wire/tests/it/a.rs", text).len(), 0);
}
