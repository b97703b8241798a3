//! The repository as a list of text files. Folders that tools make are left out.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

/// A text file of the repository.
#[derive(Debug, Clone)]
pub(super) struct File {
    /// Its path from the root, with `/`.
    pub path: String,
    /// What it holds.
    pub text: String,
}

impl File {
    /// True when the path ends in `.` and `extension`.
    pub fn is(&self, extension: &str) -> bool {
        Path::new(&self.path)
            .extension()
            .is_some_and(|found| found == extension)
    }
}

/// All text files of the repository.
#[derive(Debug)]
pub(super) struct Tree {
    root: PathBuf,
    files: Vec<File>,
}

impl Tree {
    /// Reads the repository at `root`. Files that are not UTF-8 are no text and are left out.
    ///
    /// # Errors
    /// When a folder or a file cannot be read.
    pub fn read(root: &Path) -> anyhow::Result<Self> {
        let ignored = fs::read_to_string(root.join(".gitignore")).unwrap_or_default();
        let mut files = Vec::new();
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            let entries = fs::read_dir(&folder)
                .with_context(|| format!("cannot list {}", folder.display()))?;
            for entry in entries {
                let entry = entry?;
                let path = entry.path();
                let relative = path
                    .strip_prefix(root)
                    .with_context(|| format!("{} is outside", path.display()))?
                    .to_string_lossy()
                    .replace('\\', "/");
                if made_by_tools(&relative, &ignored) {
                    continue;
                }
                let kind = entry.file_type()?;
                if kind.is_dir() {
                    folders.push(path);
                } else if kind.is_file() {
                    let bytes = fs::read(&path)
                        .with_context(|| format!("cannot read {}", path.display()))?;
                    if let Ok(text) = String::from_utf8(bytes) {
                        files.push(File {
                            path: relative,
                            text,
                        });
                    }
                }
            }
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Tree {
            root: root.to_owned(),
            files,
        })
    }

    /// Where the repository stands.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// All text files, by path.
    pub fn files(&self) -> &[File] {
        &self.files
    }

    /// The file at `path`.
    pub fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// True when a file or folder of this path is there.
    pub fn holds(&self, path: &str) -> bool {
        self.root.join(path).exists()
    }
}

/// True for what git does not keep: its own folder, build folders, and the plain names and
/// endings in the ignore file.
fn made_by_tools(relative: &str, ignored: &str) -> bool {
    let name = relative.rsplit('/').next().unwrap_or(relative);
    if matches!(name, ".git" | "target") {
        return true;
    }
    ignored.lines().map(str::trim).any(|pattern| {
        let plain = pattern.trim_end_matches('/');
        match plain.strip_prefix('/') {
            _ if plain.is_empty() || plain.starts_with('#') => false,
            Some(from_root) => relative == from_root,
            None => match plain.strip_prefix('*') {
                Some(ending) => !ending.contains(['*', '[']) && name.ends_with(ending),
                None => name == plain,
            },
        }
    })
}

#[cfg(test)]
pub(super) mod tests {
    use std::process;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    static MADE: AtomicUsize = AtomicUsize::new(0);

    /// A repository of a few files in a folder of its own, removed at the end of the test.
    pub struct Sample {
        folder: PathBuf,
    }

    impl Sample {
        /// Writes the files.
        pub fn new(files: &[(&str, &str)]) -> Self {
            let folder = std::env::temp_dir().join(format!(
                "landfall-tidy-{}-{}",
                process::id(),
                MADE.fetch_add(1, Ordering::Relaxed)
            ));
            for (path, text) in files {
                let path = folder.join(path);
                fs::create_dir_all(path.parent().expect("a folder")).expect("made");
                fs::write(path, text).expect("written");
            }
            Sample { folder }
        }

        /// Reads them back as a tree.
        pub fn tree(&self) -> Tree {
            Tree::read(&self.folder).expect("readable")
        }
    }

    impl Drop for Sample {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }

    #[test]
    fn what_tools_make_is_left_out() {
        let sample = Sample::new(&[
            (".gitignore", "/out\nnode_modules\n*.log\n"),
            ("a.rs", "//! A."),
            ("out/b.rs", "b"),
            ("deep/target/c.rs", "c"),
            ("deep/node_modules/d.rs", "d"),
            ("deep/out/e.rs", "e"),
            ("deep/f.log", "f"),
        ]);
        let tree = sample.tree();
        let paths: Vec<&str> = tree.files().iter().map(|f| f.path.as_str()).collect();
        assert_eq!(paths, [".gitignore", "a.rs", "deep/out/e.rs"]);
        assert!(tree.holds("deep/out"));
        assert!(tree.file("a.rs").expect("there").is("rs"));
    }
}
