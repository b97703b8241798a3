//! A file that a command writes, for its user alone unless it is meant for everybody: whole or not at all,
//! and never over another, save one of its own kind that it is told to replace.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::outcome::{Exit, Failure};

/// For this user alone.
const PRIVATE: u32 = 0o600;

/// For everybody to read, as far as the user's mask lets them.
const PUBLIC: u32 = 0o644;

/// A file in the making. It has its name once [`NewFile::finish`] says so; until then it is a draft,
/// which is removed when this is dropped and taken over when it was left behind.
pub struct NewFile {
    path: PathBuf,
    draft: PathBuf,
    out: BufWriter<File>,
    replaces: bool,
}

impl NewFile {
    /// Begins a file, readable by this user alone.
    ///
    /// # Errors
    /// [`Failure`] when something has the name already, another command writes it, or the folder
    /// takes no file.
    pub fn begin(path: &Path) -> Result<Self, Failure> {
        NewFile::begin_as(path, PRIVATE)
    }

    /// Begins a file that holds no secret, for everybody to read.
    ///
    /// # Errors
    /// As [`NewFile::begin`].
    pub fn begin_public(path: &Path) -> Result<Self, Failure> {
        NewFile::begin_as(path, PUBLIC)
    }

    fn begin_as(path: &Path, mode: u32) -> Result<Self, Failure> {
        // A link that leads nowhere has the name, too.
        if path.symlink_metadata().is_ok() {
            return Err(taken(path));
        }
        NewFile::draft(path, false, mode)
    }

    /// Begins a file that replaces another of this name, if there is one: the caller has seen that it may.
    ///
    /// # Errors
    /// [`Failure`] when another command writes it, or the folder takes no file.
    pub fn replacing(path: &Path) -> Result<Self, Failure> {
        NewFile::draft(path, true, PRIVATE)
    }

    fn draft(path: &Path, replaces: bool, mode: u32) -> Result<Self, Failure> {
        let mut draft = OsString::from(path);
        draft.push(".new");
        let draft = PathBuf::from(draft);
        // A link would lead the writing elsewhere.
        let left_behind = draft.symlink_metadata().ok();
        if left_behind.as_ref().is_some_and(|it| !it.is_file()) {
            return Err(taken(&draft));
        }
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(mode)
            .open(&draft)
            .map_err(|error| unwritten(path, &error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Failure::new(
                    Exit::Refused,
                    format!("another command is writing {}", path.display()),
                    "wait for it, or name another file",
                ));
            }
            Err(TryLockError::Error(error)) => return Err(unwritten(path, &error)),
        }
        // A draft that was left behind may be of anybody's making.
        let mended = if mode == PRIVATE || left_behind.is_some() {
            file.set_permissions(Permissions::from_mode(mode))
        } else {
            Ok(())
        };
        mended
            .and_then(|()| file.set_len(0))
            .map_err(|error| unwritten(path, &error))?;
        Ok(NewFile {
            path: path.to_owned(),
            draft,
            out: BufWriter::with_capacity(1 << 16, file),
            replaces,
        })
    }

    /// Gives the file its name, durably.
    ///
    /// # Errors
    /// [`Failure`] when it cannot be written, or something took the name meanwhile.
    pub fn finish(mut self) -> Result<(), Failure> {
        self.out
            .flush()
            .and_then(|()| self.out.get_ref().sync_all())
            .and_then(|()| self.name())
            .map_err(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => taken(&self.path),
                _ => unwritten(&self.path, &error),
            })
    }

    fn name(&self) -> io::Result<()> {
        // A second name never replaces another file; a rename does.
        let named = if self.replaces {
            fs::rename(&self.draft, &self.path)
        } else {
            fs::hard_link(&self.draft, &self.path)
        };
        match named {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(error),
            // Some file systems know one name a file.
            Err(_) if self.path.symlink_metadata().is_err() => {
                fs::rename(&self.draft, &self.path)?;
            }
            other => other?,
        }
        let folder = match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        File::open(folder)?.sync_all()
    }

    /// A failed write, told as the user of the file reads it.
    pub fn unwritten(&self, error: &io::Error) -> Failure {
        unwritten(&self.path, error)
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        // Gone already when it was renamed. What cannot be removed is taken over by the next attempt.
        let _ = fs::remove_file(&self.draft);
    }
}

fn taken(path: &Path) -> Failure {
    Failure::new(
        Exit::Conflict,
        format!("{} is there already", path.display()),
        "name another file, or move that one away: nothing is written over",
    )
}

/// A failed write, told as whoever wants what was to be at `path` reads it.
pub fn unwritten(path: &Path, error: &io::Error) -> Failure {
    let fix = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            "make room, or write to another disk; nothing was left behind"
        }
        _ => "check that the folder is there and that this user may write into it",
    };
    Failure::new(
        Exit::Refused,
        format!("cannot write {}: {error}", path.display()),
        fix,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<OsString> {
        let entries = fs::read_dir(folder).expect("a folder");
        entries.map(|e| e.expect("an entry").file_name()).collect()
    }

    #[test]
    fn a_file_is_there_whole_or_not_at_all_and_for_its_owner_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("it");
        let mut file = NewFile::begin(&path).expect("begun");
        file.write_all(b"half").expect("written");
        assert!(!path.exists());
        drop(file);
        assert!(names(folder.path()).is_empty());

        fs::write(folder.path().join("it.new"), "left by one that was killed").expect("written");
        let mut file = NewFile::begin(&path).expect("begun");
        file.write_all(b"whole").expect("written");
        file.finish().expect("finished");
        assert_eq!(fs::read(&path).expect("there"), b"whole");
        assert_eq!(names(folder.path()), ["it"]);
        let mode = fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o077, 0, "{mode:o}");
    }

    #[test]
    fn a_public_file_is_for_everybody_to_read_and_for_nobody_else_to_write() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, draft) = (folder.path().join("it"), folder.path().join("it.new"));
        fs::write(&draft, "left by somebody").expect("written");
        fs::set_permissions(&draft, Permissions::from_mode(0o666)).expect("opened to all");
        let file = NewFile::begin_public(&path).expect("begun");
        file.finish().expect("finished");
        let mode = fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o644, "{mode:o}");
    }

    #[test]
    fn no_other_file_is_written_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("it");
        let file = NewFile::begin(&path).expect("begun");
        let second = NewFile::begin(&path).err().expect("refused");
        assert!(second.what.contains("another command"), "{second:?}");
        fs::write(&path, "somebody else's").expect("written");
        let taken = file.finish().expect_err("refused");
        assert_eq!(taken.exit, Exit::Conflict);
        assert!(NewFile::begin(&path).is_err());
        assert_eq!(fs::read(&path).expect("there"), b"somebody else's");
        assert_eq!(names(folder.path()), ["it"]);
    }

    #[test]
    fn a_file_is_replaced_only_by_one_that_is_told_to() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("it");
        fs::write(&path, "old").expect("written");
        let mut file = NewFile::replacing(&path).expect("begun");
        file.write_all(b"new").expect("written");
        assert_eq!(fs::read(&path).expect("there"), b"old");
        file.finish().expect("finished");
        assert_eq!(fs::read(&path).expect("there"), b"new");
        assert_eq!(names(folder.path()), ["it"]);
    }

    #[test]
    fn a_folder_that_is_not_there_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let failure = NewFile::begin(&folder.path().join("no/it")).err();
        let failure = failure.expect("refused");
        assert!(failure.what.contains("cannot write"), "{failure:?}");
    }
}
