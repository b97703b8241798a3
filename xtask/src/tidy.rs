//! The guard of the architecture: reads the repository as text and says which rule a line breaks.
//!
//! `ARCHITECTURE.md` lists the rules by number; each lives in one function below this folder and
//! has a test that shows it can fail. The `ci` task and `cargo xtask tidy` call [`run`]. What the
//! compiler and clippy can say is left to them.

mod checks;
mod crates;
mod documents;
mod reference;
mod routes;
mod rust_text;
mod source;
mod tree;

use std::fmt;
use std::path::Path;

use anyhow::{Context, bail};

use tree::Tree;

/// One broken rule: where, what, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    file: String,
    line: usize,
    what: String,
    fix: String,
}

impl Finding {
    /// Makes a finding; `line` counts from 1.
    fn new(file: &str, line: usize, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Finding {
            file: file.to_owned(),
            line,
            what: what.into(),
            fix: fix.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}: {}\n    fix: {}",
            self.file, self.line, self.what, self.fix
        )
    }
}

/// Checks the whole repository and prints every broken rule.
///
/// # Errors
/// When a rule is broken, when a file cannot be read, or when the binary whose references are
/// compared cannot be run.
pub fn run() -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("the xtask folder stands inside the repository")?;
    let tree = Tree::read(root)?;
    let mut findings = check_text(&tree);
    let printed = reference::check(&tree, &reference::FromBinary);
    let failed = match printed {
        Ok(stale) => {
            findings.extend(stale);
            None
        }
        Err(error) => Some(error),
    };
    findings.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
    for finding in &findings {
        eprintln!("{finding}");
    }
    match (findings.len(), failed) {
        (_, Some(error)) => Err(error),
        (0, None) => {
            println!("tidy: {} files, every rule holds", tree.files().len());
            Ok(())
        }
        (broken, None) => bail!("tidy: {broken} broken rules"),
    }
}

/// Every rule that needs nothing but the text of the repository.
fn check_text(tree: &Tree) -> Vec<Finding> {
    let mut findings = crates::check(tree);
    findings.extend(source::check(tree));
    findings.extend(documents::check(tree));
    findings.extend(routes::check(tree));
    findings.extend(checks::check(tree));
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_says_where_and_what_to_do() {
        let finding = Finding::new("a.rs", 3, "there is a clock", "ask for the time");
        assert_eq!(
            finding.to_string(),
            "a.rs:3: there is a clock\n    fix: ask for the time"
        );
    }

    #[test]
    fn every_numbered_invariant_is_told_in_order() {
        let page = include_str!("../../ARCHITECTURE.md");
        let told: Vec<usize> = page
            .split("\n## ")
            .find(|part| part.starts_with("Invariants"))
            .expect("the page has the section")
            .lines()
            .filter_map(|line| line.split_once(". **")?.0.parse().ok())
            .collect();
        assert!(told.len() > 10, "found {told:?}");
        assert_eq!(told, (1..=told.len()).collect::<Vec<_>>());
    }
}
