//! Manual pages and completions, printed by the binary that is packaged and laid where `man` and shells look.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use super::tree::{Entry, Tree};
use crate::step;

/// The shells that packages bring a script for.
const SHELLS: [&str; 3] = ["bash", "zsh", "fish"];

/// Where things go: a folder for manual pages, a file for each shell.
pub(super) struct Places {
    /// The folder of the manual pages.
    pub manual: &'static str,
    /// The script of bash.
    pub bash: &'static str,
    /// The script of zsh.
    pub zsh: &'static str,
    /// The script of fish.
    pub fish: &'static str,
}

/// What was printed: a folder with the pages, compressed, and the scripts.
pub(super) struct Printed {
    folder: PathBuf,
    pages: Vec<String>,
}

/// Has the binary print everything into a folder.
///
/// # Errors
/// When the binary prints nothing, or the folder cannot be written.
pub(super) fn print(binary: &Path, folder: &Path) -> anyhow::Result<Printed> {
    let pages = folder.join("man");
    step::run(Command::new(binary).args(["man", "--out"]).arg(&pages))?;
    let mut names = Vec::new();
    for found in std::fs::read_dir(&pages)? {
        let name = found?.file_name();
        names.push(name.into_string().ok().context("a page's name")?);
    }
    ensure!(!names.is_empty(), "the binary wrote no manual page");
    names.sort();
    step::run(
        Command::new("gzip")
            .args(["--no-name", "--best"])
            .args(names.iter().map(|name| pages.join(name))),
    )?;
    for shell in SHELLS {
        let script = step::output_of(&binary.to_string_lossy(), &["completions", shell])
            .filter(|script| !script.is_empty())
            .with_context(|| format!("the binary prints no completions for {shell}"))?;
        std::fs::write(folder.join(shell), script)?;
    }
    Ok(Printed {
        folder: folder.to_owned(),
        pages: names.iter().map(|name| format!("{name}.gz")).collect(),
    })
}

impl Printed {
    /// Adds all of it to a tree.
    pub fn place(&self, tree: &mut Tree, places: &Places) {
        for page in &self.pages {
            let to = format!("{}/{page}", places.manual);
            let from = self.folder.join("man").join(page);
            tree.add(Entry::file(&to, 0o644, &from));
        }
        for (shell, to) in SHELLS.iter().zip([places.bash, places.zsh, places.fish]) {
            tree.add(Entry::file(to, 0o644, &self.folder.join(shell)));
        }
    }

    /// Removes the folder, once it is copied everywhere.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(self) -> anyhow::Result<()> {
        std::fs::remove_dir_all(&self.folder).context("what was printed cannot be removed")
    }

    /// Pages of these names that nobody printed, for tests of where they go.
    #[cfg(test)]
    pub fn named(pages: &[&str]) -> Self {
        Printed {
            folder: PathBuf::new(),
            pages: pages.iter().map(|&page| page.to_owned()).collect(),
        }
    }
}
