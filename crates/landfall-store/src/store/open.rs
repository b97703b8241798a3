//! Opening a store of either engine: the schema is brought up to date, the sealing key is tried, and the
//! writer's thread begins.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, mpsc};

use landfall_core::clock::{Clock, Entropy};
use tokio::sync::oneshot;

use super::{Readers, SqlStore};
use crate::commit::{Connection, Writer};
use crate::dialect::{Alarm, Durability, Fault, PostgresUrl, Session, Source};
use crate::migrate::{self, MigrateError};
use crate::observer::Observed;
use crate::secret::{Sealer, SealingKey};
use crate::sessions;

/// What is sealed to tell whether a sealing key is the right one.
const KEY_CHECK: &[u8] = b"the sealing key fits";

/// Names the row of what is sealed to tell one key from another.
const KEY_CHECK_ROW: [&str; 1] = ["key check"];

/// Why a database does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A newer build made or changed it.
    #[error(
        "the database {database} has schema version {found}, this build knows versions up to {known}: \
         use the newer build"
    )]
    NewerSchema {
        /// Which database.
        database: String,
        /// The version it has.
        found: i64,
        /// The newest version this build knows.
        known: i64,
    },
    /// The sealing key is not the one its secrets were sealed with.
    #[error("the sealing key does not fit the database {database}: {cause}")]
    WrongSealingKey {
        /// Which database.
        database: String,
        /// Why it does not fit.
        cause: String,
    },
    /// It cannot be read or written.
    #[error("the database {database} cannot be opened: {cause}")]
    Unavailable {
        /// Which database.
        database: String,
        /// What the database says.
        cause: String,
        /// What to do about it, where the store knows.
        remedy: Option<&'static str>,
        /// Whether something may have been written into it, whose confirmation was lost.
        begun: bool,
    },
}

/// What a store is opened with.
struct Opening {
    source: Source,
    node: String,
    readers: Readers,
    sealer: Arc<Sealer>,
    commits: Arc<AtomicU64>,
    observed: Observed,
}

impl SqlStore {
    /// Opens the SQLite database at `path`, makes it when there is none, and brings its schema up to date.
    ///
    /// # Errors
    /// [`OpenError`] when a newer build made it, the sealing key is another, or the file cannot be
    /// read and written.
    pub fn sqlite(
        path: impl AsRef<Path>,
        sealing_key: SealingKey,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<SqlStore, OpenError> {
        Self::sqlite_as(path, sealing_key, clock, entropy, Durability::Disk)
    }

    /// The same, for whoever can do with less than the disk's promise.
    ///
    /// # Errors
    /// As [`SqlStore::sqlite`].
    pub fn sqlite_as(
        path: impl AsRef<Path>,
        sealing_key: SealingKey,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        durability: Durability,
    ) -> Result<SqlStore, OpenError> {
        let source = Source::Sqlite(path.as_ref().to_owned(), durability);
        keep_private(path.as_ref()).map_err(|error| source.unavailable(error.into()))?;
        let opening = Opening::new(source, &sealing_key, entropy)?;
        let writer = opening.writer(&*clock)?;
        let (requests, queue) = mpsc::channel();
        std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writer.run(&queue))
            .map_err(|error| opening.source.without_a_thread(&error))?;
        Ok(opening.store(requests, clock))
    }

    /// Opens a PostgreSQL database that is there, and brings its schema up to date.
    ///
    /// # Errors
    /// [`OpenError`] when a newer build made its schema, the sealing key is another, or the database cannot
    /// be reached, read and written.
    pub async fn postgres(
        url: PostgresUrl,
        sealing_key: SealingKey,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<SqlStore, OpenError> {
        let opening = Arc::new(Opening::new(
            Source::Postgres(Box::new(url)),
            &sealing_key,
            entropy,
        )?);
        let (requests, queue) = mpsc::channel();
        let (opened, outcome) = oneshot::channel();
        let (inside, now) = (Arc::clone(&opening), Arc::clone(&clock));
        // The writer waits for its database; it is opened on the thread that waits.
        std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || match inside.writer(&*now) {
                Ok(writer) => {
                    if opened.send(Ok(())).is_ok() {
                        writer.run(&queue);
                    }
                }
                // Whoever asked may have stopped waiting.
                Err(error) => drop(opened.send(Err(error))),
            })
            .map_err(|error| opening.source.without_a_thread(&error))?;
        match outcome.await {
            Ok(outcome) => outcome?,
            Err(_) => return Err(opening.source.without_a_thread(&"the writer ended")),
        }
        Ok(opening.store(requests, clock))
    }
}

impl Opening {
    fn new(
        source: Source,
        sealing_key: &SealingKey,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, OpenError> {
        let sealer = Sealer::new(sealing_key, entropy);
        let sealer = sealer.map_err(|fault| source.unavailable(fault))?;
        let sealer = Arc::new(sealer);
        let readers = Readers::new(&source, Arc::clone(&sealer));
        let readers = readers.map_err(|fault| source.unavailable(fault))?;
        Ok(Opening {
            source,
            node: sealer.name(),
            readers,
            sealer,
            commits: Arc::default(),
            observed: Observed::default(),
        })
    }

    /// Opens the connection that writes, and makes the database what this build needs.
    fn writer(&self, clock: &dyn Clock) -> Result<Writer, OpenError> {
        let unavailable = |fault: Fault| self.source.unavailable(fault);
        let node = self.node.clone();
        let session = self.source.writing(&node).map_err(unavailable)?;
        let mut misfit = None;
        let migrated = migrate::migrate(&session, clock.now(), || {
            misfit = check_key(&session, &self.sealer)?;
            if misfit.is_none() && !self.source.is_shared() {
                // Whoever was connected was so to a server that is gone.
                sessions::close_all(&session, clock.now())?;
            }
            Ok(())
        });
        let database = || self.source.to_string();
        match (migrated, misfit) {
            (Err(MigrateError::Newer { found, known }), _) => Err(OpenError::NewerSchema {
                database: database(),
                found,
                known,
            }),
            (Err(MigrateError::Fault(fault)), _) => {
                let lost = matches!(fault, Fault::Lost(_));
                let mut error = unavailable(fault);
                if let OpenError::Unavailable { begun, .. } = &mut error {
                    *begun = lost;
                }
                Err(error)
            }
            (Ok(_), Some(cause)) => Err(OpenError::WrongSealingKey {
                database: database(),
                cause,
            }),
            (Ok(_), None) => {
                session.be_patient(true).map_err(unavailable)?;
                Ok(Writer::new(
                    Connection::new(self.source.clone(), node, self.readers.pool(), session),
                    Arc::clone(&self.sealer),
                    Arc::clone(&self.commits),
                    self.observed.clone(),
                ))
            }
        }
    }

    fn store(
        &self,
        requests: mpsc::Sender<crate::commit::Request>,
        clock: Arc<dyn Clock>,
    ) -> SqlStore {
        SqlStore {
            source: self.source.clone(),
            node: if self.source.is_shared() {
                self.node.clone()
            } else {
                String::new()
            },
            readers: self.readers.clone(),
            alarm: match (&self.source, self.readers.pool()) {
                (Source::Postgres(url), Some(pool)) => Some(Alarm::new(url, pool, &self.node)),
                _ => None,
            },
            services: crate::services::Remembered::default(),
            requests,
            commits: Arc::clone(&self.commits),
            observed: self.observed.clone(),
            clock,
        }
    }
}

impl Source {
    /// What is said when the database does not let itself be opened.
    pub(crate) fn unavailable(&self, fault: Fault) -> OpenError {
        let remedy = fault.remedy();
        let cause = match fault {
            Fault::Hindered(cause, _) => cause,
            other => other.to_string(),
        };
        OpenError::Unavailable {
            database: self.to_string(),
            cause,
            remedy,
            begun: false,
        }
    }

    fn without_a_thread(&self, cause: &dyn std::fmt::Display) -> OpenError {
        OpenError::Unavailable {
            database: self.to_string(),
            cause: cause.to_string(),
            remedy: None,
            begun: false,
        }
    }
}

/// Makes the file for its owner alone, when there is none: ids and twins are nobody else's business.
/// The files beside it get the same permissions from SQLite.
pub(crate) fn keep_private(path: &Path) -> io::Result<()> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
        .map(drop)
}

/// Seals a known text when the database is new; gives the reason when an old one does not open.
pub(crate) fn check_key(session: &Session, sealer: &Sealer) -> Result<Option<String>, Fault> {
    match key_opens(session, sealer)? {
        Some(opened) => Ok(opened.err()),
        None => {
            session.execute(
                "INSERT INTO store_facts (name, value) VALUES ('key check', $1)",
                &[sealer
                    .seal("store_facts", &KEY_CHECK_ROW, KEY_CHECK)?
                    .into()],
            )?;
            Ok(None)
        }
    }
}

/// Whether the key opens what was sealed when the database was new, else why not; nothing when nothing was.
pub(crate) fn key_opens(
    session: &Session,
    sealer: &Sealer,
) -> Result<Option<Result<(), String>>, Fault> {
    let sealed = session.first(
        "SELECT value FROM store_facts WHERE name = 'key check'",
        &[],
        |row| Ok(row.bytes(0)?.unwrap_or_default().to_vec()),
    )?;
    Ok(sealed.map(|blob| {
        let opened = sealer.open("store_facts", &KEY_CHECK_ROW, &blob);
        opened.map(drop).map_err(|fault| fault.to_string())
    }))
}
