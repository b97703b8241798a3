//! The data folder: one server's database, keys and development certificates, locked while in use.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use landfall_core::clock::Entropy;
use landfall_core::secret::SymmetricKey;
use landfall_store::Durability;
use landfall_store::secret::SealingKey;
use zeroize::Zeroizing;

/// The file by which programs find a `dev` server that runs on the folder.
pub const DEV_FILE: &str = "dev.json";
/// The file by which programs find a server that is kept.
pub const SERVER_FILE: &str = "server.json";
/// Either of them.
pub const ANNOUNCEMENTS: [&str; 2] = [DEV_FILE, SERVER_FILE];

/// Why the data folder cannot be used, with the remedy in its words.
#[derive(Debug, thiserror::Error)]
pub enum DataFolderError {
    /// Another server works on it.
    #[error(
        "the data folder {0} is in use by another landfall: stop that one, or name another folder with --data"
    )]
    InUse(PathBuf),
    /// A file or the folder itself cannot be made, read or written.
    #[error(
        "{action} {path}: {cause}: check that the folder exists, belongs to this user, can be written and has space"
    )]
    File {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// A file holds something else than text.
    #[error("{0} holds no text any more: restore it from a backup")]
    NotText(PathBuf),
    /// The database is there, its key is not: a new key could open nothing in it.
    #[error(
        "{key} is missing, and the database {database} is sealed with it: restore it from a backup"
    )]
    KeyMissing {
        /// The file that is missing.
        key: PathBuf,
        /// What cannot be read without it.
        database: PathBuf,
    },
    /// A key file holds something else than a key.
    #[error(
        "{0} does not hold a key of 32 bytes in base64: restore it from a backup; without it the sealed keys in the database cannot be read"
    )]
    KeyFile(PathBuf),
}

/// An open data folder. The lock is held as long as this lives.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    durability: Durability,
    _lock: File,
}

impl DataFolder {
    /// Opens the folder, making it when it is not there, for this user alone.
    ///
    /// # Errors
    /// [`DataFolderError`] when it is in use or cannot be written.
    pub fn open(path: &Path) -> Result<Self, DataFolderError> {
        Self::open_as(path, Durability::Disk)
    }

    /// The same; with [`Durability::Process`] its files do not wait for the disk.
    ///
    /// # Errors
    /// As [`DataFolder::open`].
    pub fn open_as(path: &Path, durability: Durability) -> Result<Self, DataFolderError> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|source| file_error("cannot make", path, source))?;
        // Programs are told files of this folder by name: they must find them from anywhere.
        let path =
            fs::canonicalize(path).map_err(|source| file_error("cannot find", path, source))?;
        let lock_path = path.join("landfall.lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&lock_path)
            .map_err(|source| file_error("cannot open", &lock_path, source))?;
        match lock.try_lock() {
            Ok(()) => {
                // Left by a server that was killed: no program must take it for a running one.
                for name in ANNOUNCEMENTS {
                    let _ = fs::remove_file(path.join(name));
                }
                Ok(DataFolder {
                    path,
                    durability,
                    _lock: lock,
                })
            }
            Err(TryLockError::WouldBlock) => Err(DataFolderError::InUse(path)),
            Err(TryLockError::Error(source)) => Err(file_error("cannot lock", &lock_path, source)),
        }
    }

    /// The folder itself, absolute.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file of the folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The key under which key columns of `database` are sealed, in `file`; drawn when neither is
    /// there. A relative file counts from the folder.
    ///
    /// # Errors
    /// [`DataFolderError`] when the file cannot be read, made, holds no key, or is missing although
    /// the database is there.
    pub fn sealing_key(
        &self,
        file: &Path,
        database: &Path,
        entropy: &dyn Entropy,
    ) -> Result<SealingKey, DataFolderError> {
        let path = self.path.join(file);
        if !path.exists() && database.exists() {
            return Err(DataFolderError::KeyMissing {
                key: path,
                database: database.to_owned(),
            });
        }
        let key = self.key(file, entropy)?;
        SealingKey::from_bytes(key.bytes())
            .map_err(|_| DataFolderError::KeyFile(self.path.join(file)))
    }

    /// The sealing key in `file`; `None` when the file is not there. A relative file counts from the
    /// folder.
    ///
    /// # Errors
    /// [`DataFolderError`] when the file cannot be read or holds no key.
    pub fn kept_sealing_key(&self, file: &Path) -> Result<Option<SealingKey>, DataFolderError> {
        self.kept_key(file)?
            .map(|key| SealingKey::from_bytes(key.bytes()))
            .transpose()
            .map_err(|_| DataFolderError::KeyFile(self.path.join(file)))
    }

    /// Keeps a sealing key in `file`, durably, as [`DataFolder::sealing_key`] reads it.
    ///
    /// # Errors
    /// [`DataFolderError`] when it cannot be written.
    pub fn keep_sealing_key(&self, file: &Path, key: &SealingKey) -> Result<(), DataFolderError> {
        let text = Zeroizing::new(STANDARD.encode(key.bytes()));
        self.write(file, text.as_bytes(), true).map(drop)
    }

    /// Gives what was made here to the user whose folder it is, so that a server that runs as that user
    /// can open what an administrator made. Files of the same user are left alone.
    ///
    /// # Errors
    /// [`DataFolderError`] when a file is another's and cannot be given away.
    pub fn give_to_owner(&self, files: &[&Path]) -> Result<(), DataFolderError> {
        let failed =
            |path: &Path, source| file_error("cannot give to its folder's owner", path, source);
        let owner = fs::metadata(&self.path).map_err(|source| failed(&self.path, source))?;
        let lock = self.file("landfall.lock");
        for path in files.iter().copied().chain([lock.as_path()]) {
            let file = fs::metadata(path).map_err(|source| failed(path, source))?;
            if file.uid() != owner.uid() {
                chown(path, Some(owner.uid()), Some(owner.gid()))
                    .map_err(|source| failed(path, source))?;
            }
        }
        Ok(())
    }

    /// The bearer token of the control plane, in `file`; drawn on first use.
    ///
    /// # Errors
    /// [`DataFolderError`] when the file cannot be read, made, or holds no key.
    pub fn control_token(
        &self,
        file: &Path,
        entropy: &dyn Entropy,
    ) -> Result<SymmetricKey, DataFolderError> {
        self.key(file, entropy)
    }

    /// Writes a file whole or not at all; `secret` ones can be read by this user alone.
    ///
    /// # Errors
    /// [`DataFolderError`] when it cannot be written.
    pub fn write(
        &self,
        name: impl AsRef<Path>,
        content: &[u8],
        secret: bool,
    ) -> Result<PathBuf, DataFolderError> {
        let path = self.path.join(name);
        let folder = path.parent().unwrap_or(&self.path);
        let mut draft = path.clone().into_os_string();
        draft.push(".new");
        let written = OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(if secret { 0o600 } else { 0o644 })
            .open(&draft)
            .and_then(|mut file| {
                if secret {
                    // A draft that a crash left keeps the mode it was made with.
                    file.set_permissions(Permissions::from_mode(0o600))?;
                }
                file.write_all(content)?;
                self.settle(&file)
            })
            .and_then(|()| fs::rename(&draft, &path))
            // The name is durable only once the folder is.
            .and_then(|()| self.settle(&File::open(folder)?));
        match written {
            Ok(()) => Ok(path),
            Err(source) => {
                // Half a file is worth nothing, and a full disk needs its room.
                let _ = fs::remove_file(&draft);
                Err(file_error("cannot write", &path, source))
            }
        }
    }

    /// Waits for the disk, where that is promised.
    fn settle(&self, file: &File) -> io::Result<()> {
        match self.durability {
            Durability::Disk => file.sync_all(),
            Durability::Process => Ok(()),
        }
    }

    /// Reads a file of the folder; `None` when it is not there.
    ///
    /// # Errors
    /// [`DataFolderError`] when it is there and cannot be read.
    pub fn read(
        &self,
        name: impl AsRef<Path>,
    ) -> Result<Option<Zeroizing<String>>, DataFolderError> {
        let path = self.path.join(name);
        let mut text = Zeroizing::new(String::new());
        match File::open(&path).and_then(|mut file| file.read_to_string(&mut text)) {
            Ok(_) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                Err(DataFolderError::NotText(path))
            }
            Err(source) => Err(file_error("cannot read", &path, source)),
        }
    }

    /// The key in `file`; `None` when there is no such file.
    ///
    /// # Errors
    /// [`DataFolderError`] when the file cannot be read or holds no key.
    pub fn kept_key(&self, file: &Path) -> Result<Option<SymmetricKey>, DataFolderError> {
        let Some(text) = self.read(file)? else {
            return Ok(None);
        };
        let bytes = STANDARD.decode(text.trim()).ok();
        bytes
            .filter(|bytes| bytes.len() == 32)
            .map(|bytes| Some(SymmetricKey::from_bytes(bytes)))
            .ok_or_else(|| DataFolderError::KeyFile(self.path.join(file)))
    }

    fn key(&self, file: &Path, entropy: &dyn Entropy) -> Result<SymmetricKey, DataFolderError> {
        if let Some(key) = self.kept_key(file)? {
            return Ok(key);
        }
        let key = SymmetricKey::draw(entropy, 32);
        self.write(file, key.to_base64().as_bytes(), true)?;
        Ok(key)
    }
}

fn file_error(action: &'static str, path: &Path, cause: io::Error) -> DataFolderError {
    DataFolderError::File {
        action,
        path: path.to_owned(),
        cause,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::SystemEntropy;

    #[test]
    fn keys_are_drawn_once_and_readable_by_the_owner_alone() {
        let place = tempfile::tempdir().expect("a folder");
        let path = place.path().join("data");
        let folder = DataFolder::open(&path).expect("opens");
        let token = || folder.control_token(Path::new("control.token"), &SystemEntropy);
        assert!(
            token()
                .expect("a token")
                .same_as(&token().expect("a token"))
        );
        let mode = |name: &str| {
            fs::metadata(folder.file(name))
                .expect("there")
                .permissions()
                .mode()
                & 0o777
        };
        assert_eq!(mode("control.token"), 0o600);
        assert_eq!(
            fs::metadata(&path).expect("there").permissions().mode() & 0o777,
            0o700
        );
    }

    #[test]
    fn a_secret_written_over_a_left_draft_is_readable_by_the_owner_alone() {
        let place = tempfile::tempdir().expect("a folder");
        let folder = DataFolder::open(place.path()).expect("opens");
        let draft = place.path().join("own.key.new");
        fs::write(&draft, "left").expect("written");
        fs::set_permissions(&draft, Permissions::from_mode(0o644)).expect("set");
        let path = folder.write("own.key", b"new", true).expect("written");
        let mode = fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read(&path).expect("read"), b"new");
    }

    #[test]
    fn a_second_server_is_refused_and_a_broken_key_file_is_named() {
        let place = tempfile::tempdir().expect("a folder");
        let folder = DataFolder::open(place.path()).expect("opens");
        assert!(matches!(
            DataFolder::open(place.path()),
            Err(DataFolderError::InUse(_))
        ));
        folder
            .write("sealing.key", b"not a key", true)
            .expect("written");
        let database = folder.file("landfall.db");
        let key = || folder.sealing_key(Path::new("sealing.key"), &database, &SystemEntropy);
        assert!(matches!(key(), Err(DataFolderError::KeyFile(_))));
        let file = folder.file("sealing.key");
        fs::write(&file, [0xff, 0xfe]).expect("written");
        assert!(matches!(key(), Err(DataFolderError::NotText(_))));
        fs::remove_file(&file).expect("removed");
        fs::write(&database, "").expect("written");
        assert!(matches!(key(), Err(DataFolderError::KeyMissing { .. })));
        assert!(!file.exists(), "no key is drawn that opens nothing");
        fs::remove_file(&database).expect("removed");
        assert!(key().is_ok());
    }
}
