//! A tree of files as a package will hold it: what goes where, with which mode. Written out in one go.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

/// What following the Compose example leaves behind: keys, and what is trusted on one machine only.
const LEFT_BY_USE: [&str; 2] = ["device.env", "ca.pem"];

/// One file or folder of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    to: String,
    mode: u32,
    content: Content,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Content {
    Folder,
    File(PathBuf),
    Text(String),
}

impl Entry {
    /// A copy of a file.
    pub fn file(to: &str, mode: u32, from: &Path) -> Self {
        Entry {
            to: to.to_owned(),
            mode,
            content: Content::File(from.to_path_buf()),
        }
    }

    /// A file with this text.
    pub fn text(to: &str, mode: u32, text: &str) -> Self {
        Entry {
            to: to.to_owned(),
            mode,
            content: Content::Text(text.to_owned()),
        }
    }

    /// An empty folder.
    pub fn folder(to: &str, mode: u32) -> Self {
        Entry {
            to: to.to_owned(),
            mode,
            content: Content::Folder,
        }
    }
}

/// The files of a package, by where they go.
#[derive(Debug, Default)]
pub(super) struct Tree {
    entries: BTreeMap<String, Entry>,
}

impl Tree {
    /// Adds an entry; a later one of the same place wins.
    pub fn add(&mut self, entry: Entry) {
        self.entries.insert(entry.to.clone(), entry);
    }

    /// Adds every file below a folder, but for what its use leaves behind.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn add_folder(&mut self, to: &str, from: &Path) -> anyhow::Result<()> {
        let listed = std::fs::read_dir(from)
            .with_context(|| format!("{} cannot be read", from.display()))?;
        for found in listed {
            let found = found?;
            let name = found.file_name();
            let name = name.to_str().context("a file's name is not UTF-8")?;
            let to = format!("{to}/{name}");
            if found.file_type()?.is_dir() {
                self.add_folder(&to, &found.path())?;
            } else if !LEFT_BY_USE.contains(&name) {
                self.add(Entry::file(&to, 0o644, &found.path()));
            }
        }
        Ok(())
    }

    /// Every file, without folders, as `MODE PATH`.
    pub fn listing(&self) -> Vec<String> {
        self.entries
            .values()
            .filter(|entry| entry.content != Content::Folder)
            .map(|entry| format!("{:o} {}", entry.mode, entry.to))
            .collect()
    }

    /// The size of all files, in bytes.
    ///
    /// # Errors
    /// When a file is not there.
    pub fn bytes(&self) -> anyhow::Result<u64> {
        let sizes = self.entries.values().map(|entry| match &entry.content {
            Content::Folder => Ok(0),
            Content::Text(text) => Ok(text.len() as u64),
            Content::File(from) => std::fs::metadata(from)
                .map(|data| data.len())
                .with_context(|| format!("{} cannot be read", from.display())),
        });
        sizes.sum()
    }

    /// Writes everything below `root`, which must not be there yet.
    ///
    /// # Errors
    /// When something cannot be read or written.
    pub fn write(&self, root: &Path) -> anyhow::Result<()> {
        ensure!(!root.exists(), "{} is there already", root.display());
        folder(root)?;
        for entry in self.entries.values() {
            let to = root.join(&entry.to);
            let parents: Vec<&Path> = Path::new(&entry.to).ancestors().skip(1).collect();
            for parent in parents.into_iter().rev() {
                folder(&root.join(parent))?;
            }
            match &entry.content {
                Content::Folder => folder(&to)?,
                Content::Text(text) => std::fs::write(&to, text)
                    .with_context(|| format!("{} cannot be written", to.display()))?,
                Content::File(from) => std::fs::copy(from, &to)
                    .map(drop)
                    .with_context(|| format!("{} cannot be copied", from.display()))?,
            }
            mode(&to, entry.mode)?;
        }
        Ok(())
    }
}

/// Makes a folder that everyone may read, whatever the umask says.
fn folder(path: &Path) -> anyhow::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    std::fs::create_dir(path).with_context(|| format!("{} cannot be made", path.display()))?;
    mode(path, 0o755)
}

fn mode(path: &Path, mode: u32) -> anyhow::Result<()> {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
        .with_context(|| format!("the mode of {} cannot be set", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_were_left_in_a_folder_stay_out() {
        let from = std::env::temp_dir().join(format!("landfall-left-{}", std::process::id()));
        std::fs::create_dir_all(from.join("compose")).expect("made");
        for name in ["compose/compose.yaml", "compose/device.env", "ca.pem"] {
            std::fs::write(from.join(name), "x").expect("written");
        }
        let mut tree = Tree::default();
        tree.add_folder("packaging", &from).expect("read");
        std::fs::remove_dir_all(&from).expect("removed");
        assert_eq!(tree.listing(), ["644 packaging/compose/compose.yaml"]);
    }

    #[test]
    fn a_tree_is_written_with_its_modes_and_listed_in_order() {
        let root = std::env::temp_dir().join(format!("landfall-tree-{}", std::process::id()));
        let mut tree = Tree::default();
        tree.add(Entry::text("usr/bin/b", 0o755, "run"));
        tree.add(Entry::text("etc/a", 0o640, "set"));
        tree.add(Entry::folder("data", 0o700));
        tree.write(&root).expect("written");
        assert!(tree.write(&root).is_err(), "written over");
        let mode = |path: &str| {
            let data = std::fs::metadata(root.join(path)).expect("there");
            data.permissions().mode() & 0o7777
        };
        let modes = ["usr", "usr/bin/b", "etc/a", "data"].map(mode);
        std::fs::remove_dir_all(&root).expect("removed");
        assert_eq!(modes, [0o755, 0o755, 0o640, 0o700]);
        assert_eq!(tree.listing(), ["640 etc/a", "755 usr/bin/b"]);
        assert_eq!(tree.bytes().expect("counted"), 6);
    }
}
