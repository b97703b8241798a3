//! A data folder for one run: made fresh, removed at the end. A process that is killed leaves its
//! folder behind; the next ephemeral start removes it.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use anyhow::Context as _;
use landfall_core::clock::{Clock, Entropy, Timestamp};

use crate::command::print;

const PREFIX: &str = "landfall-ephemeral-";
/// The file that a running server holds locked.
const LOCK: &str = "landfall.lock";
/// A folder that is younger may be that of a server which has not locked it yet.
const YOUNG: Duration = Duration::from_secs(60);

/// The folder. Dropping it removes it with all that is in it.
pub struct Ephemeral {
    path: PathBuf,
}

impl Ephemeral {
    /// Makes the folder below TMPDIR, else /tmp, and removes those that nobody uses any more.
    ///
    /// # Errors
    /// When it cannot be made, with the remedy.
    pub fn make(clock: &dyn Clock, entropy: &dyn Entropy) -> anyhow::Result<Self> {
        let parent = std::env::temp_dir();
        let mut bytes = [0; 8];
        entropy.fill(&mut bytes);
        let path = parent.join(format!("{PREFIX}{:016x}", u64::from_be_bytes(bytes)));
        DirBuilder::new().mode(0o700).create(&path).with_context(|| {
            format!(
                "an ephemeral data folder cannot be made in {}: check that TMPDIR names a folder that can be written and has space",
                parent.display()
            )
        })?;
        let made = Ephemeral { path };
        made.remove_abandoned(&parent, clock.now());
        Ok(made)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn remove_abandoned(&self, parent: &Path, now: Timestamp) {
        let Ok(owner) = fs::symlink_metadata(&self.path).map(|own| own.uid()) else {
            return;
        };
        let siblings = fs::read_dir(parent).into_iter().flatten().flatten();
        for path in siblings.map(|entry| entry.path()) {
            let is_ours = path
                .file_name()
                .and_then(|name| name.to_str()?.strip_prefix(PREFIX))
                .is_some_and(|rest| {
                    rest.len() == 16 && rest.bytes().all(|b| b.is_ascii_hexdigit())
                });
            if is_ours && path != self.path && is_abandoned(&path, owner, now).unwrap_or(false) {
                let _ = fs::remove_dir_all(&path);
            }
        }
    }
}

/// Whether the folder belongs to `owner` and no server holds its lock or is about to take it.
fn is_abandoned(path: &Path, owner: u32, now: Timestamp) -> io::Result<bool> {
    let folder = fs::symlink_metadata(path)?;
    let made = folder.modified()?.duration_since(UNIX_EPOCH);
    let made = made.map_err(io::Error::other)?.as_secs();
    let made = Timestamp::from_unix_seconds(i64::try_from(made).unwrap_or(i64::MAX));
    if !folder.is_dir() || folder.uid() != owner || now < made.plus(YOUNG) {
        return Ok(false);
    }
    match OpenOptions::new().write(true).open(path.join(LOCK)) {
        Ok(lock) => Ok(lock.try_lock().is_ok()),
        // Its server was killed before it came to the lock.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

impl Drop for Ephemeral {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            print::aside(&format!(
                "warning: the ephemeral data folder {} cannot be removed ({error}): it holds keys, remove it",
                self.path.display()
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data_folder::DataFolder;
    use crate::time::SystemClock;

    fn folder(parent: &Path, number: u64) -> PathBuf {
        let path = parent.join(format!("{PREFIX}{number:016x}"));
        fs::create_dir(&path).expect("made");
        path
    }

    #[test]
    fn only_old_folders_of_ours_that_nobody_holds_are_removed() {
        let parent = tempfile::tempdir().expect("a folder");
        let own = Ephemeral {
            path: folder(parent.path(), 0),
        };
        let abandoned = folder(parent.path(), 1);
        drop(DataFolder::open(&abandoned).expect("opens"));
        let half_made = folder(parent.path(), 2);
        let in_use = folder(parent.path(), 3);
        let held = DataFolder::open(&in_use).expect("opens");
        let other = parent.path().join("landfall-ephemeral-notes");
        fs::create_dir(&other).expect("made");
        let link = parent.path().join(format!("{PREFIX}{:016x}", 4));
        std::os::unix::fs::symlink(&other, &link).expect("linked");

        let now = SystemClock.now();
        own.remove_abandoned(parent.path(), now);
        assert!(abandoned.exists() && half_made.exists(), "they are young");
        own.remove_abandoned(parent.path(), now.plus(YOUNG * 2));
        assert!(!abandoned.exists() && !half_made.exists());
        assert!(in_use.exists() && other.exists() && link.is_symlink());
        assert!(own.path().exists());
        drop(held);

        let path = own.path().to_owned();
        drop(own);
        assert!(!path.exists());
    }
}
