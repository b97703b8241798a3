//! Which commit is built, for `landfall --version`. Nothing else of the build is decided here; cargo calls it.
//!
//! `LANDFALL_COMMIT` of the environment wins: for builds from an archive whose commit is known. Else git is
//! asked, when these sources are a clone of their own. Else it is `unknown`. No date and no machine's name
//! gets in: the same commit gives the same bytes.

use std::path::Path;
use std::process::Command;

/// As many letters of a commit's name as tell it from every other.
const LETTERS: usize = 12;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=LANDFALL_COMMIT");
    let given = std::env::var("LANDFALL_COMMIT").ok();
    let commit = given
        .filter(|text| is_commit(text))
        .or_else(from_git)
        .map_or("unknown".to_owned(), |text| {
            text.chars().take(LETTERS).collect()
        });
    println!("cargo::rustc-env=LANDFALL_BUILT_OF={commit}");
}

/// What git calls the commit that is checked out, and when to ask again.
fn from_git() -> Option<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .ok()?;
    // Unpacked inside somebody else's clone, these sources are not of its commit.
    let cloned = git(&root, &["rev-parse", "--show-toplevel"])?;
    if Path::new(&cloned) != root {
        return None;
    }
    // The log of HEAD grows with every commit and checkout; HEAD itself does where no log is kept.
    for name in ["HEAD", "logs/HEAD"] {
        let path = root.join(git(&root, &["rev-parse", "--git-path", name])?);
        if path.exists() {
            println!("cargo::rerun-if-changed={}", path.display());
        }
    }
    git(&root, &["rev-parse", "HEAD"]).filter(|text| is_commit(text))
}

fn git(root: &Path, words: &[&str]) -> Option<String> {
    let done = Command::new("git")
        // Whoever builds need not be who cloned.
        .args(["-c", "safe.directory=*", "-C"])
        .arg(root)
        .args(words)
        // A hook that builds has these set, and they may mean another repository.
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .output()
        .ok()?;
    let said = String::from_utf8(done.stdout).ok()?;
    done.status.success().then(|| said.trim().to_owned())
}

fn is_commit(text: &str) -> bool {
    text.len() >= LETTERS && text.bytes().all(|letter| letter.is_ascii_hexdigit())
}
