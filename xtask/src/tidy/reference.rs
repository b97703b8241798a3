//! Generated references: the pages in `docs/reference` are what the binary prints today.

use std::process::Command;

use anyhow::{Context, bail};

use super::Finding;
use super::tree::Tree;

/// The pages, by the name that `landfall reference` takes.
const PAGES: [&str; 6] = [
    "checks",
    "cli",
    "configuration",
    "errors",
    "metrics",
    "statuses",
];

/// Where a reference's text comes from.
pub(super) trait Printer {
    /// Gives the text of the reference `name`.
    ///
    /// # Errors
    /// When it cannot be had; then nothing is known about the page.
    fn print(&self, tree: &Tree, name: &str) -> anyhow::Result<String>;
}

/// Builds and runs the binary.
pub(super) struct FromBinary;

impl Printer for FromBinary {
    fn print(&self, tree: &Tree, name: &str) -> anyhow::Result<String> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let run = Command::new(cargo)
            .args(["run", "--quiet", "--package", "landfall-server"])
            .args(["--bin", "landfall", "--", "reference", name])
            .current_dir(tree.root())
            .output()
            .with_context(|| format!("cannot run `landfall reference {name}`"))?;
        if !run.status.success() {
            bail!(
                "`landfall reference {name}` failed, so docs/reference/{name}.md cannot be checked:\n{}",
                String::from_utf8_lossy(&run.stderr)
            );
        }
        String::from_utf8(run.stdout).context("the reference is not UTF-8")
    }
}

/// Compares every page with what is printed for it.
///
/// # Errors
/// When a reference cannot be printed.
pub(super) fn check(tree: &Tree, printer: &dyn Printer) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for name in PAGES {
        let path = format!("docs/reference/{name}.md");
        let printed = printer.print(tree, name)?;
        if printed.trim().is_empty() {
            bail!("`landfall reference {name}` printed nothing, so {path} cannot be checked");
        }
        let kept = tree.file(&path).map_or("", |file| file.text.as_str());
        if let Some(line) = first_difference(kept, &printed) {
            findings.push(Finding::new(
                &path,
                line,
                "the page is not what the binary prints",
                format!("cargo run -q -- reference {name} > {path}"),
            ));
        }
    }
    for file in tree.files() {
        let known = |name: &str| PAGES.iter().any(|page| format!("{page}.md") == name);
        if let Some(name) = file.path.strip_prefix("docs/reference/")
            && !known(name)
        {
            findings.push(Finding::new(
                &file.path,
                1,
                "nothing prints this page",
                "add its name to xtask/src/tidy/reference.rs, or move the page",
            ));
        }
    }
    Ok(findings)
}

/// The first line in which two texts differ, counted from 1.
fn first_difference(kept: &str, printed: &str) -> Option<usize> {
    if kept == printed {
        return None;
    }
    let same = kept
        .lines()
        .zip(printed.lines())
        .take_while(|(a, b)| a == b)
        .count();
    Some(same + 1)
}

#[cfg(test)]
mod tests {
    use super::super::tree::tests::Sample;
    use super::*;

    struct Fixed(&'static str);

    impl Printer for Fixed {
        fn print(&self, _tree: &Tree, name: &str) -> anyhow::Result<String> {
            match self.0 {
                "" => bail!("no binary"),
                "nothing" => Ok("\n".to_owned()),
                text => Ok(format!("{name}\n{text}\n")),
            }
        }
    }

    #[test]
    fn a_stale_page_is_named_with_its_line() {
        let sample = Sample::new(&[
            ("docs/reference/cli.md", "cli\nnew\n"),
            ("docs/reference/checks.md", "checks\nnew\n"),
            ("docs/reference/configuration.md", "configuration\nold\n"),
            ("docs/reference/errors.md", "errors\nnew\n"),
            ("docs/reference/metrics.md", "metrics\nnew\n"),
            ("docs/reference/statuses.md", "statuses\nnew\n"),
            ("docs/reference/other.md", "x"),
        ]);
        let said: Vec<String> = check(&sample.tree(), &Fixed("new"))
            .expect("printed")
            .iter()
            .map(|finding| format!("{}:{}", finding.file, finding.line))
            .collect();
        assert_eq!(
            said,
            [
                "docs/reference/configuration.md:2",
                "docs/reference/other.md:1"
            ]
        );
    }

    #[test]
    fn a_binary_that_cannot_run_is_a_failure_and_not_a_pass() {
        let sample = Sample::new(&[("docs/reference/cli.md", "cli\n")]);
        assert!(check(&sample.tree(), &Fixed("")).is_err());
        assert!(check(&sample.tree(), &Fixed("nothing")).is_err());
    }
}
