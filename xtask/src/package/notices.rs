//! The notices of the libraries in the binary: which, under which licence, with the text that each wants
//! passed on.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, bail, ensure};

use crate::step;

const HEAD: &str = "\
# Third-party notices

Landfall is under the Apache License, version 2.0. Its executable holds the libraries below, under licences that
permit this and ask for their notices to be passed on.

The executable is linked statically with the GNU C Library, which is under the LGPL, version 2.1 or later. Landfall's
sources are open: `cargo xtask package` links it anew with another version of that library.
";

/// A library in the binary.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Library {
    name: String,
    version: String,
    licence: String,
}

/// The notices of everything that the binary is linked of.
///
/// # Errors
/// When cargo does not say what that is, or a library's sources are not where cargo keeps them.
pub(super) fn text(target: &str) -> anyhow::Result<String> {
    let sources = sources()?;
    let mut notices: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut out = HEAD.to_owned();
    out.push_str("\n| library | version | licence |\n|---|---|---|\n");
    for library in libraries(target)? {
        let Library {
            name,
            version,
            licence,
        } = &library;
        out.push_str(&format!("| `{name}` | {version} | {licence} |\n"));
        for notice in found(&sources, &library)? {
            let users = notices.entry(notice).or_default();
            users.push(format!("`{name}`"));
        }
    }
    for (notice, users) in notices {
        out.push_str(&format!(
            "\n## {}\n\n```\n{notice}\n```\n",
            users.join(", ")
        ));
    }
    Ok(out)
}

/// What the binary is linked of, without what is ours.
fn libraries(target: &str) -> anyhow::Result<Vec<Library>> {
    let tree = step::cargo()
        .args(["tree", "--locked", "--package", "landfall-server"])
        .args(["--edges", "normal,no-proc-macro", "--target", target])
        .args(["--prefix", "none", "--format", "{p}\t{l}"])
        .current_dir(step::root())
        .output()
        .context("cargo tree cannot be started")?;
    ensure!(tree.status.success(), "cargo tree failed: {}", tree.status);
    let said = String::from_utf8(tree.stdout).context("cargo tree says no UTF-8")?;
    let mut libraries: Vec<Library> = said.lines().filter_map(library).collect();
    libraries.sort();
    libraries.dedup();
    ensure!(!libraries.is_empty(), "cargo tree names no library");
    Ok(libraries)
}

/// `name vVERSION<tab>LICENCE`, maybe with a mark; ours stand with their folder.
fn library(line: &str) -> Option<Library> {
    let (package, licence) = line.split_once('\t')?;
    let (name, version) = package.split_once(" v")?;
    if version.contains('/') {
        return None;
    }
    let version = version.split(' ').next()?;
    Some(Library {
        name: name.to_owned(),
        version: version.to_owned(),
        licence: licence.trim_end_matches(" (*)").to_owned(),
    })
}

/// Where cargo keeps the sources of libraries, one folder for each registry.
fn sources() -> anyhow::Result<Vec<PathBuf>> {
    let home = step::cargo_home()?;
    let folder = home.join("registry").join("src");
    let listed = std::fs::read_dir(&folder)
        .with_context(|| format!("{} cannot be read", folder.display()))?;
    let folders = listed.map(|found| found.map(|found| found.path()));
    folders.collect::<Result<_, _>>().context("cargo's sources")
}

/// The notices in a library's sources, in the order of their names.
fn found(sources: &[PathBuf], library: &Library) -> anyhow::Result<Vec<String>> {
    let name = format!("{}-{}", library.name, library.version);
    let Some(folder) = sources
        .iter()
        .map(|folder| folder.join(&name))
        .find(|folder| folder.is_dir())
    else {
        bail!("the sources of {name} are not there: `cargo fetch` brings them");
    };
    let mut files: Vec<PathBuf> = Vec::new();
    for found in std::fs::read_dir(&folder)? {
        let found = found?;
        if is_notice(&found.file_name().to_string_lossy()) && found.file_type()?.is_file() {
            files.push(found.path());
        }
    }
    files.sort();
    let read = |file: &PathBuf| -> anyhow::Result<String> {
        let text = std::fs::read(file).with_context(|| format!("{}", file.display()))?;
        Ok(String::from_utf8_lossy(&text).trim().replace('\r', ""))
    };
    files.iter().map(read).collect()
}

/// `LICENSE`, `LICENSE-MIT`, `COPYING`, `NOTICE`, `COPYRIGHT`, with any ending.
fn is_notice(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    ["LICENSE", "LICENCE", "COPYING", "NOTICE", "COPYRIGHT"]
        .iter()
        .any(|start| name.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_tree_are_libraries_and_ours_are_none() {
        assert_eq!(
            library("bytes v1.12.1\tMIT (*)"),
            Some(Library {
                name: "bytes".into(),
                version: "1.12.1".into(),
                licence: "MIT".into()
            })
        );
        assert_eq!(library("landfall-core v0.1.0 (/x/y)\tApache-2.0"), None);
        assert_eq!(library(""), None);
    }

    #[test]
    fn notices_are_known_by_their_names() {
        assert!(is_notice("LICENSE-MIT") && is_notice("Copyright.txt"));
        assert!(!is_notice("README.md"));
    }
}
