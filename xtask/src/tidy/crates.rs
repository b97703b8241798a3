//! Which crate may name which: every manifest held against the table in `ARCHITECTURE.md`.

use std::collections::{BTreeMap, BTreeSet};

use toml::{Table, Value};

use super::Finding;
use super::tree::{File, Tree};

const PAGE: &str = "ARCHITECTURE.md";
const BEGIN: &str = "<!-- tidy: crates -->";
const END: &str = "<!-- tidy: end -->";

/// What the table lets one crate name.
#[derive(Debug, Default)]
struct Allowed {
    line: usize,
    ours: BTreeSet<String>,
    product: BTreeSet<String>,
    tests: BTreeSet<String>,
}

/// Holds every manifest against the table, and the lints of the workspace against each manifest.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let Some(page) = tree.file(PAGE) else {
        return vec![Finding::new(
            PAGE,
            1,
            "the page is not there",
            "write it; the table of crates stands in it",
        )];
    };
    let mut findings = Vec::new();
    let mut table = read_table(page, &mut findings);
    let manifests = tree
        .files()
        .iter()
        .filter(|file| file.path.ends_with("/Cargo.toml"));
    for manifest in manifests {
        let parsed: Table = match manifest.text.parse() {
            Ok(parsed) => parsed,
            Err(error) => {
                findings.push(Finding::new(
                    &manifest.path,
                    1,
                    format!("not valid TOML: {error}"),
                    "repair it",
                ));
                continue;
            }
        };
        let name = parsed
            .get("package")
            .and_then(|package| package.get("name"))
            .and_then(Value::as_str)
            .unwrap_or_default();
        match table.remove(name) {
            Some(allowed) => hold_against(manifest, &parsed, &allowed, &mut findings),
            None => findings.push(Finding::new(
                &manifest.path,
                1,
                format!("crate `{name}` is not in the table of {PAGE}"),
                "give it a row, and say on which floor it stands",
            )),
        }
        lints(manifest, &parsed, &mut findings);
    }
    for (name, allowed) in table {
        findings.push(Finding::new(
            PAGE,
            allowed.line,
            format!("the table names crate `{name}`, which is not there"),
            "remove the row",
        ));
    }
    findings.extend(workspace(tree));
    findings
}

fn read_table(page: &File, findings: &mut Vec<Finding>) -> BTreeMap<String, Allowed> {
    let mut table = BTreeMap::new();
    let mut inside = false;
    for (index, line) in page.text.lines().enumerate() {
        match line.trim() {
            BEGIN => inside = true,
            END => inside = false,
            row if inside && row.starts_with("| `") => {
                let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
                let [name, ours, product, tests] = cells.as_slice() else {
                    findings.push(Finding::new(
                        PAGE,
                        index + 1,
                        "a row of the table has not four columns",
                        "crate, ours, in the product, in tests only",
                    ));
                    continue;
                };
                table.insert(
                    name.trim().trim_matches('`').to_owned(),
                    Allowed {
                        line: index + 1,
                        ours: names(ours),
                        product: names(product),
                        tests: names(tests),
                    },
                );
            }
            _ => {}
        }
    }
    if table.is_empty() {
        findings.push(Finding::new(
            PAGE,
            1,
            format!("no table of crates between `{BEGIN}` and `{END}`"),
            "write one row per crate between the two marks",
        ));
    }
    table
}

fn names(cell: &str) -> BTreeSet<String> {
    cell.split([',', ' '])
        .map(|name| name.trim().trim_matches('`'))
        .filter(|name| !name.is_empty() && *name != "—")
        .map(str::to_owned)
        .collect()
}

fn hold_against(manifest: &File, parsed: &Table, allowed: &Allowed, findings: &mut Vec<Finding>) {
    let product = dependencies(parsed, &["dependencies", "build-dependencies"]);
    let tests = dependencies(parsed, &["dev-dependencies"]);
    let may = |name: &String, in_tests: bool| {
        let listed = allowed.ours.contains(name) || allowed.product.contains(name);
        listed || in_tests && allowed.tests.contains(name)
    };
    for (names, in_tests) in [(&product, false), (&tests, true)] {
        for name in names.iter().filter(|name| !may(name, in_tests)) {
            findings.push(Finding::new(
                &manifest.path,
                line_of(&manifest.text, name),
                format!("`{name}` is not allowed in this crate"),
                format!(
                    "do without it, or change the table of {PAGE} and say why in docs/decisions"
                ),
            ));
        }
    }
    let used: BTreeSet<&String> = product.union(&tests).collect();
    let listed = allowed.ours.iter().chain(&allowed.product);
    for name in listed.chain(&allowed.tests) {
        if !used.contains(name) {
            findings.push(Finding::new(
                PAGE,
                allowed.line,
                format!("the row allows `{name}`, which the crate does not use"),
                "remove it from the row",
            ));
        }
    }
}

fn dependencies(parsed: &Table, kinds: &[&str]) -> BTreeSet<String> {
    let targets = parsed
        .get("target")
        .and_then(Value::as_table)
        .into_iter()
        .flat_map(|targets| targets.values().filter_map(Value::as_table));
    std::iter::once(parsed)
        .chain(targets)
        .flat_map(|table| {
            kinds
                .iter()
                .filter_map(|kind| table.get(*kind).and_then(Value::as_table))
        })
        .flat_map(|entries| {
            entries.iter().map(|(name, entry)| {
                let renamed = entry.get("package").and_then(Value::as_str);
                renamed.unwrap_or(name).to_owned()
            })
        })
        .collect()
}

fn line_of(text: &str, name: &str) -> usize {
    text.lines()
        .position(|line| {
            line.trim_start()
                .strip_prefix(name)
                .is_some_and(|rest| rest.starts_with(['.', ' ', '=']))
        })
        .map_or(1, |index| index + 1)
}

fn lints(manifest: &File, parsed: &Table, findings: &mut Vec<Finding>) {
    let inherits = parsed
        .get("lints")
        .and_then(|lints| lints.get("workspace"))
        .and_then(Value::as_bool)
        .unwrap_or(false);
    let forbids = parsed
        .get("lints")
        .and_then(|lints| lints.get("rust"))
        .and_then(|rust| rust.get("unsafe_code"))
        .and_then(Value::as_str)
        == Some("forbid");
    if !inherits && !forbids {
        findings.push(Finding::new(
            &manifest.path,
            1,
            "the crate does not take the lints of the workspace",
            "add `[lints]` with `workspace = true`",
        ));
    }
}

/// The lints that the rest relies on stand in the root manifest and in `clippy.toml`.
fn workspace(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let root = tree
        .file("Cargo.toml")
        .and_then(|file| file.text.parse::<Table>().ok())
        .unwrap_or_default();
    let lint = |group: &str, name: &str| {
        root.get("workspace")
            .and_then(|w| w.get("lints"))
            .and_then(|l| l.get(group))
            .and_then(|g| g.get(name))
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    if lint("rust", "unsafe_code").as_deref() != Some("forbid") {
        findings.push(Finding::new(
            "Cargo.toml",
            1,
            "the workspace does not forbid unsafe code",
            "set `unsafe_code = \"forbid\"` under `[workspace.lints.rust]`",
        ));
    }
    for name in ["unwrap_used", "expect_used", "disallowed_methods"] {
        if lint("clippy", name).is_none() {
            findings.push(Finding::new(
                "Cargo.toml",
                1,
                format!("the workspace does not set the lint clippy::{name}"),
                "set it under `[workspace.lints.clippy]`",
            ));
        }
    }
    let clippy = tree
        .file("clippy.toml")
        .map_or("", |file| file.text.as_str());
    for method in [
        "std::time::SystemTime::now",
        "std::time::Instant::now",
        "std::thread::sleep",
        "tokio::time::sleep",
        "aws_lc_rs::rand::fill",
    ] {
        if !clippy.contains(&format!("\"{method}\"")) {
            findings.push(Finding::new(
                "clippy.toml",
                1,
                format!("`{method}` may be called anywhere"),
                "name it under `disallowed-methods`: the clock, sleep and randomness are arguments",
            ));
        }
    }
    findings
}

#[cfg(test)]
mod tests;
