//! What can be told of a database by reading it: for `landfall doctor`, whether a server uses it or not.
//! Nothing is made, migrated or changed here; opening for use is `store`'s.

use std::path::Path;
use std::sync::Arc;

use landfall_core::clock::{Entropy, Timestamp};
use serde::Deserialize;

use crate::dialect::{Fault, PostgresUrl, Session, Source, Sqlite};
use crate::migrate;
use crate::secret::{Sealer, SealingKey};

/// Why something could not be read of a database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the database {database} cannot be read: {cause}")]
pub struct ExaminationError {
    /// Which database.
    pub database: String,
    /// What the database says.
    pub cause: String,
}

/// A database that is read and not used.
pub struct Examination {
    database: String,
    session: Session,
}

/// What a PostgreSQL server says of itself that matters to whoever keeps promises by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerState {
    /// Its clock.
    pub now: Timestamp,
    /// Whether it takes writes: it is no standby, and not told to be read only.
    pub takes_writes: bool,
    /// Whether a commit is on its disk when it is acknowledged.
    pub waits_for_the_disk: bool,
    /// How many connections it has open, and how many it may have for others than its superusers.
    pub connections: (i64, i64),
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
        let database = path.display().to_string();
        let session = opened.map_err(|fault| unreadable(&database, &fault))?;
        let examination = Examination { database, session };
        // The file is first looked at when something is read.
        examination
            .tell(|session| session.first("SELECT name FROM sqlite_schema", &[], |_| Ok(())))?;
        Ok(examination)
    }

    /// Connects to a PostgreSQL database. Waits for it: called on a thread that may wait, outside any runtime.
    ///
    /// # Errors
    /// [`ExaminationError`] when it cannot be reached; the text holds no password.
    pub fn connect(url: &PostgresUrl) -> Result<Self, ExaminationError> {
        let database = url.to_string();
        let on = |url: PostgresUrl| Source::Postgres(Box::new(url)).writing("");
        // One that takes no writes can still be told of.
        let session =
            on(url.clone()).or_else(|fault| on(url.clone().of_any_state()).map_err(|_| fault));
        let session = session.map_err(|fault| unreadable(&database, &fault))?;
        Ok(Examination { database, session })
    }

    /// The engine and its version, for people.
    ///
    /// # Errors
    /// [`ExaminationError`] when it cannot be read.
    pub fn engine(&self) -> Result<String, ExaminationError> {
        self.tell(|session| {
            let (name, sql) = match session {
                Session::Sqlite(_) => ("SQLite", "SELECT sqlite_version()"),
                Session::Postgres(_) => ("PostgreSQL", "SELECT current_setting('server_version')"),
            };
            let version = session.first(sql, &[], |row| Ok(row.text(0)?.to_owned()))?;
            Ok(format!("{name} {}", version.unwrap_or_default()))
        })
    }

    /// What the database server says of itself; nothing where there is none.
    ///
    /// # Errors
    /// [`ExaminationError`] when it cannot be read.
    pub fn server(&self) -> Result<Option<ServerState>, ExaminationError> {
        self.tell(|session| match session {
            Session::Sqlite(_) => Ok(None),
            Session::Postgres(_) => session.first(
                "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT),
                    CASE WHEN pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on'
                        THEN CAST(0 AS BIGINT) ELSE CAST(1 AS BIGINT) END,
                    CASE WHEN current_setting('fsync') = 'off' OR current_setting('synchronous_commit') = 'off'
                        THEN CAST(0 AS BIGINT) ELSE CAST(1 AS BIGINT) END,
                    (SELECT CAST(coalesce(sum(numbackends), 0) AS BIGINT) FROM pg_stat_database),
                    CAST(current_setting('max_connections') AS BIGINT)
                        - CAST(current_setting('superuser_reserved_connections') AS BIGINT)",
                &[],
                |row| {
                    Ok(ServerState {
                        now: Timestamp::from_unix_micros(row.integer(0)?),
                        takes_writes: row.integer(1)? == 1,
                        waits_for_the_disk: row.integer(2)? == 1,
                        connections: (row.integer(3)?, row.integer(4)?),
                    })
                },
            ),
        })
    }

    /// The schema version it has; 0 when nothing was made in it yet.
    ///
    /// # Errors
    /// [`ExaminationError`] when it cannot be read.
    pub fn schema(&self) -> Result<i64, ExaminationError> {
        self.tell(|session| {
            let asked = match session {
                Session::Sqlite(_) => {
                    "SELECT name FROM sqlite_schema WHERE name = 'schema_versions'"
                }
                Session::Postgres(_) => "SELECT 1 WHERE to_regclass('schema_versions') IS NOT NULL",
            };
            match session.first(asked, &[], |_| Ok(()))? {
                Some(()) => migrate::version(session),
                None => Ok(0),
            }
        })
    }

    /// How a SQLite database keeps what is not yet in its main file: `wal` when a server made it.
    ///
    /// # Errors
    /// [`ExaminationError`] when it cannot be read.
    pub fn journal(&self) -> Result<Option<String>, ExaminationError> {
        self.tell(|session| {
            if let Session::Postgres(_) = session {
                return Ok(None);
            }
            let mode = session.first("PRAGMA journal_mode", &[], |row| {
                Ok(row.text(0)?.to_owned())
            })?;
            Ok(mode)
        })
    }

    /// What is damaged in it, at most a few lines; nothing when it is whole. Reads the whole file of
    /// SQLite; PostgreSQL has programs of its own for that.
    ///
    /// # Errors
    /// [`ExaminationError`] when it cannot be read.
    pub fn damage(&self) -> Result<Vec<String>, ExaminationError> {
        self.tell(|session| {
            if let Session::Postgres(_) = session {
                return Ok(Vec::new());
            }
            let said = session.every("PRAGMA quick_check(5)", &[], |row| {
                Ok(row.text(0)?.to_owned())
            });
            match said {
                Ok(lines) => Ok(lines.into_iter().filter(|line| line != "ok").collect()),
                // Damaged so much that not even the check gets through.
                Err(Fault::Database(cause) | Fault::Hindered(cause, _)) => Ok(vec![cause]),
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
        ask(&self.session).map_err(|fault| unreadable(&self.database, &fault))
    }
}

/// The newest schema version that this build knows.
pub fn known_schema() -> i64 {
    migrate::known()
}

fn unreadable(database: &str, fault: &Fault) -> ExaminationError {
    ExaminationError {
        database: database.to_owned(),
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
            assert_eq!(seen.journal(), Ok(Some("wal".to_owned())));
            assert_eq!(seen.server(), Ok(None));
            assert!(
                seen.engine()
                    .is_ok_and(|engine| engine.starts_with("SQLite 3"))
            );
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
