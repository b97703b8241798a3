//! What the rules for documents find and let pass.

use super::super::tree::tests::Sample;
use super::*;

fn said(files: &[(&str, &str)]) -> Vec<String> {
    let mut files = files.to_vec();
    files.push((DENIED, "# paths\n/nowhere/\n"));
    let sample = Sample::new(&files);
    check(&sample.tree())
        .into_iter()
        .map(|finding| format!("{}:{} {}", finding.file, finding.line, finding.what))
        .collect()
}

#[test]
fn links_must_lead_to_a_file_and_a_heading() {
    let good = "# One page\n[a](b.md#part-two) [b](../a.md#one-page) [c](#one-page)\n[d](https://x.test/y)\n";
    let other = "## Part two\n```\n[not](a/link)\n```\n`[nor](this)`\n";
    assert_eq!(
        said(&[
            ("a.md", "# One page\n"),
            ("docs/a.md", good),
            ("docs/b.md", other)
        ]),
        Vec::<String>::new()
    );
    assert_eq!(
        said(&[
            ("docs/a.md", "x\n[a](gone.md) [b](b.md#gone)\n"),
            ("docs/b.md", other)
        ]),
        [
            "docs/a.md:2 the link `gone.md` leads nowhere",
            "docs/a.md:2 `docs/b.md` has no heading for `#gone`",
        ]
    );
}

#[test]
fn files_named_in_documents_must_be_there() {
    let page = "`landfall-core/src/sas.rs` and `landfall-core/src/gone.rs` and `landfall-core`\n";
    assert_eq!(
        said(&[
            ("a.md", page),
            ("crates/landfall-core/src/sas.rs", "//! S.")
        ]),
        ["a.md:1 `landfall-core/src/gone.rs` is not there"]
    );
}

#[test]
fn sources_must_name_a_section_that_is_there() {
    let page = ("docs/protocol/p.md", "## 1. One\n### 1.5 Part\n");
    let good = "//! Source: docs/protocol/p.md §1.5 [R], docs/protocol/p.md §1 rule 2 [D].\n";
    assert_eq!(said(&[page, ("a.rs", good)]), Vec::<String>::new());
    let bad = "//! Source: docs/protocol/p.md §2.\n//! Source: docs/protocol/q.md §1.\n";
    assert_eq!(
        said(&[page, ("a.rs", bad)]),
        [
            "a.rs:1 `docs/protocol/p.md` has no section 2",
            "a.rs:2 `docs/protocol/q.md` is not there",
        ]
    );
}

#[test]
fn an_inferred_fact_must_be_told_as_a_doubt() {
    let page = ("docs/protocol/p.md", "## 1. One\n## 11. Eleven\n");
    let code = ("a.rs", "//! Source: docs/protocol/p.md §1 [D/I].\n");
    let told = (
        "docs/divergences.md",
        "It does so (q.md §1, p.md §11, §1).\n",
    );
    let other = ("docs/divergences.md", "It does so (p.md §11, q.md §1).\n");
    assert_eq!(said(&[page, code, told]), Vec::<String>::new());
    assert_eq!(
        said(&[page, code, other]),
        ["a.rs:1 an inferred fact of `p.md §1` is not told"]
    );
}

#[test]
fn denied_words_are_found_where_they_stand_alone() {
    assert_eq!(
        said(&[
            ("a.toml", "x = 1\ny = \"/nowhere/z\"\n"),
            ("b.toml", "u = \"a/nowhere/\"\n")
        ]),
        ["a.toml:2 `/nowhere/` means something on one machine only"]
    );
}

#[test]
fn a_missing_list_of_denied_words_is_a_finding() {
    let sample = Sample::new(&[("a.md", "x")]);
    assert_eq!(check(&sample.tree())[0].file, DENIED);
}
