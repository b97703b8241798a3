//! What the rules for manifests find and let pass.

use super::super::tree::tests::Sample;
use super::*;

const ROOT: &str = concat!(
    "[workspace.lints.rust]\nunsafe_code = \"forbid\"\n",
    "[workspace.lints.clippy]\nunwrap_used = \"warn\"\nexpect_used = \"warn\"\n",
    "disallowed_methods = \"warn\"\n",
);
const CLIPPY: &str = concat!(
    "\"std::time::SystemTime::now\" \"std::time::Instant::now\" \"std::thread::sleep\"",
    " \"tokio::time::sleep\" \"aws_lc_rs::rand::fill\"",
);
const PAGE_TEXT: &str = concat!(
    "<!-- tidy: crates -->\n| crate | ours | product | tests |\n|---|---|---|---|\n",
    "| `low` | — | `serde` | `proptest` |\n<!-- tidy: end -->\n",
);

fn said(manifest: &str, page: &str, root: &str, clippy: &str) -> Vec<String> {
    let sample = Sample::new(&[
        ("ARCHITECTURE.md", page),
        ("Cargo.toml", root),
        ("clippy.toml", clippy),
        ("crates/low/Cargo.toml", manifest),
    ]);
    check(&sample.tree())
        .into_iter()
        .map(|finding| format!("{}:{} {}", finding.file, finding.line, finding.what))
        .collect()
}

const GOOD: &str = concat!(
    "[package]\nname = \"low\"\n[dependencies]\nserde.workspace = true\n",
    "[dev-dependencies]\nproptest = \"1\"\n[lints]\nworkspace = true\n",
);

#[test]
fn a_crate_that_keeps_to_its_row_passes() {
    assert_eq!(said(GOOD, PAGE_TEXT, ROOT, CLIPPY), Vec::<String>::new());
}

#[test]
fn a_crate_outside_its_row_is_named_with_its_line() {
    let manifest = GOOD.replace("serde.work", "tokio.work");
    assert_eq!(
        said(&manifest, PAGE_TEXT, ROOT, CLIPPY),
        [
            "crates/low/Cargo.toml:4 `tokio` is not allowed in this crate",
            "ARCHITECTURE.md:4 the row allows `serde`, which the crate does not use",
        ]
    );
}

#[test]
fn a_test_crate_may_not_slip_into_the_product() {
    let manifest = GOOD.replace("serde.workspace", "proptest.workspace");
    let said = said(&manifest, PAGE_TEXT, ROOT, CLIPPY);
    assert!(said[0].contains("`proptest` is not allowed"), "{said:?}");
}

#[test]
fn an_arrow_for_one_target_only_counts_too() {
    let manifest = format!("{GOOD}[target.'cfg(unix)'.dependencies]\nlibc = \"0\"\n");
    let said = said(&manifest, PAGE_TEXT, ROOT, CLIPPY);
    assert_eq!(
        said,
        ["crates/low/Cargo.toml:10 `libc` is not allowed in this crate"]
    );
}

#[test]
fn unknown_crates_and_rows_without_crate_are_named() {
    let other = GOOD.replace("\"low\"", "\"high\"");
    assert_eq!(
        said(&other, PAGE_TEXT, ROOT, CLIPPY),
        [
            "crates/low/Cargo.toml:1 crate `high` is not in the table of ARCHITECTURE.md",
            "ARCHITECTURE.md:4 the table names crate `low`, which is not there",
        ]
    );
}

#[test]
fn the_lints_must_be_on_everywhere() {
    let bare = GOOD.replace("[lints]\nworkspace = true\n", "");
    assert!(said(&bare, PAGE_TEXT, ROOT, CLIPPY)[0].contains("does not take the lints"));
    assert!(said(GOOD, PAGE_TEXT, "", CLIPPY)[0].contains("does not forbid unsafe"));
    assert!(said(GOOD, PAGE_TEXT, ROOT, "")[0].contains("SystemTime::now"));
}
