//! What can be told of a database by reading it: for `landfall doctor`, whether a server uses it or not.
//! Nothing is made, migrated or changed here; opening for use is `store`'s.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use landfall_core::clock::{Entropy, Timestamp};
use serde::Deserialize;

use crate::dialect::{Fault, Session, Sqlite};
use crate::migrate;
use crate::secret::{Sealer, SealingKey};

/// Why something could not be read of a database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the database {path} cannot be read: {cause}")]
pub struct ExaminationError {
    /// The database file.
    pub path: PathBuf,
    /// What the database says.
    pub cause: String,
}

/// A database that is read and not used.
pub struct Examination {
    path: PathBuf,
    session: Session,
}

/// The host name of a service or hub that the database keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The host name.
    pub host: String,
    /// Whose it is, for people.
    pub whose: String,
}

#[derive(Deserialize)]
struct NamedService {
    name: String,
    host_name: String,
}

impl Examination {
    /// Opens the database at `path`, which must be there.
    ///
    /// # Errors
    /// [`ExaminationError`] when it is not there, no database, or not to be read by this user.
    pub fn open(path: &Path) -> Result<Self, ExaminationError> {
        let opened = Sqlite::reading(path);
        let session = opened.map_err(|fault| unreadable(path, &fault))?;
        let examination = Examination {
            path: path.to_owned(),
            session,
        };
        // The file is first looked at when something is read.
        examination
            .tell(|session| session.first("SELECT name FROM sqlite_schema", &[], |_| Ok(())))?;
        Ok(examination)
    }

    /// The schema version it has; 0 when nothing was made in it yet.
    ///
    /// # Errors
    /// [`ExaminationError`] when it cannot be read.
    pub fn schema(&self) -> Result<i64, ExaminationError> {
        self.tell(|session| {
            let made = session.first(
                "SELECT name FROM sqlite_schema WHERE name = 'schema_versions'",
                &[],
                |_| Ok(()),
            )?;
            match made {
                Some(()) => migrate::version(session),
                None => Ok(0),
            }
        })
    }

    /// How the database keeps what is not yet in its main file: `wal` when a server made it.
    ///
    /// # Errors
    /// [`ExaminationError`] when it cannot be read.
    pub fn journal(&self) -> Result<String, ExaminationError> {
        self.tell(|session| {
            let mode = session.first("PRAGMA journal_mode", &[], |row| {
                Ok(row.text(0)?.to_owned())
            })?;
            Ok(mode.unwrap_or_default())
        })
    }

    /// What is damaged in it, at most a few lines; nothing when it is whole. Reads the whole file.
    ///
    /// # Errors
    /// [`ExaminationError`] when it cannot be read.
    pub fn damage(&self) -> Result<Vec<String>, ExaminationError> {
        self.tell(|session| {
            let said = session.every("PRAGMA quick_check(5)", &[], |row| {
                Ok(row.text(0)?.to_owned())
            });
            match said {
                Ok(lines) => Ok(lines.into_iter().filter(|line| line != "ok").collect()),
                // Damaged so much that not even the check gets through.
                Err(Fault::Database(cause)) => Ok(vec![cause]),
                Err(fault) => Err(fault),
            }
        })
    }

    /// The host names of all services and hubs.
    ///
    /// # Errors
    /// [`ExaminationError`] when they cannot be read.
    pub fn names(&self) -> Result<Vec<Named>, ExaminationError> {
        self.tell(|session| {
            let mut names = session.every("SELECT record FROM services", &[], |row| {
                let service: NamedService = serde_json::from_str(row.text(0)?)
                    .map_err(|error| Fault::Record(format!("a service: {error}")))?;
                Ok(Named {
                    host: service.host_name,
                    whose: format!("provisioning service '{}'", service.name),
                })
            })?;
            names.extend(session.every("SELECT hub FROM hubs", &[], |row| {
                Ok(Named {
                    host: row.text(0)?.to_owned(),
                    whose: "an embedded hub".to_owned(),
                })
            })?);
            Ok(names)
        })
    }

    /// When something was last written that bears a time; also what a question costs.
    ///
    /// # Errors
    /// [`ExaminationError`] when it cannot be read.
    pub fn newest(&self) -> Result<Option<Timestamp>, ExaminationError> {
        self.tell(|session| {
            let operation = session.first(
                "SELECT updated FROM operations WHERE finished = 1 ORDER BY updated DESC LIMIT 1",
                &[],
                |row| row.integer(0),
            )?;
            let schema = session.first(
                "SELECT applied FROM schema_versions ORDER BY applied DESC LIMIT 1",
                &[],
                |row| row.integer(0),
            )?;
            Ok(operation.max(schema).map(Timestamp::from_unix_micros))
        })
    }

    /// Whether the secrets in it were sealed with this key; unknown while nothing was sealed.
    ///
    /// # Errors
    /// [`ExaminationError`] when it cannot be read.
    pub fn fits(
        &self,
        key: &SealingKey,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Option<bool>, ExaminationError> {
        self.tell(|session| {
            let sealer = Sealer::new(key, entropy)?;
            crate::store::key_opens(session, &sealer).map(|opens| opens.map(|it| it.is_ok()))
        })
    }

    fn tell<T>(
        &self,
        ask: impl FnOnce(&Session) -> Result<T, Fault>,
    ) -> Result<T, ExaminationError> {
        ask(&self.session).map_err(|fault| unreadable(&self.path, &fault))
    }
}

/// The newest schema version that this build knows.
pub fn known_schema() -> i64 {
    migrate::known()
}

fn unreadable(path: &Path, fault: &Fault) -> ExaminationError {
    ExaminationError {
        path: path.to_owned(),
        cause: fault.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Seek as _, SeekFrom, Write as _};

    use landfall_core::clock::Clock;

    use super::*;
    use crate::SqlStore;

    struct Fixed;

    impl Clock for Fixed {
        fn now(&self) -> Timestamp {
            Timestamp::from_unix_seconds(2_000_000_000)
        }
    }

    impl Entropy for Fixed {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.fill(7);
        }
    }

    #[tokio::test]
    async fn a_database_is_told_of_while_a_store_uses_it_and_afterwards() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("it.db");
        assert!(Examination::open(&path).is_err());
        assert!(!path.exists(), "looking makes no database");
        let key = SealingKey::from_bytes(&[1; 32]).expect("a key");
        let other = SealingKey::from_bytes(&[2; 32]).expect("a key");
        let store = SqlStore::sqlite(&path, key.clone(), Arc::new(Fixed), Arc::new(Fixed));
        let store = store.expect("opened");
        for closed in [false, true] {
            if closed {
                store.close().await;
            }
            let seen = Examination::open(&path).expect("readable");
            assert_eq!(seen.schema(), Ok(known_schema()));
            assert_eq!(seen.journal().as_deref(), Ok("wal"));
            assert_eq!(seen.damage(), Ok(Vec::new()));
            assert_eq!(seen.names(), Ok(Vec::new()));
            assert_eq!(seen.newest(), Ok(Some(Fixed.now())));
            assert_eq!(seen.fits(&key, Arc::new(Fixed)), Ok(Some(true)));
            assert_eq!(seen.fits(&other, Arc::new(Fixed)), Ok(Some(false)));
        }
    }

    #[tokio::test]
    async fn a_damaged_database_is_told_and_so_is_a_file_that_is_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("it.db");
        let key = SealingKey::from_bytes(&[1; 32]).expect("a key");
        let store = SqlStore::sqlite(&path, key, Arc::new(Fixed), Arc::new(Fixed));
        store.expect("opened").close().await;
        let mut file = std::fs::OpenOptions::new().write(true).open(&path);
        let file = file.as_mut().expect("there");
        file.seek(SeekFrom::Start(3 * 8192)).expect("long enough");
        file.write_all(&[0xff; 4 * 8192]).expect("written");
        let seen = Examination::open(&path).expect("its first page is whole");
        assert!(!seen.damage().expect("read").is_empty());
        std::fs::write(&path, "no database, but a text of some length".repeat(40))
            .expect("written");
        let error = Examination::open(&path).err().expect("refused");
        assert!(error.cause.contains("not a database"), "{error}");
    }
}
