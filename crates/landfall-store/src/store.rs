//! The store: opening, closing, and the two ports. On SQLite point reads run where they are asked,
//! since they take microseconds; listings run beside the callers.

mod port;

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError};

use landfall_core::clock::{Clock, Entropy};
use landfall_core::store::{CommitError, ReadError};
use tokio::sync::oneshot;

use crate::commit::{Request, Writer, closed};
use crate::dialect::{Durability, Fault, Read, Session, Sqlite};
use crate::migrate::{self, MigrateError};
use crate::secret::{Sealer, SealingKey};

/// Most reading connections that are kept open while nobody reads.
const IDLE_READERS: usize = 8;

/// What is sealed to tell whether a sealing key is the right one.
const KEY_CHECK: &[u8] = b"the sealing key fits";

/// Why a database does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A newer build made or changed it.
    #[error(
        "the database {path} has schema version {found}, this build knows versions up to {known}: \
         use the newer build"
    )]
    NewerSchema {
        /// The database file.
        path: PathBuf,
        /// The version it has.
        found: i64,
        /// The newest version this build knows.
        known: i64,
    },
    /// The sealing key is not the one its secrets were sealed with.
    #[error("the sealing key does not fit the database {path}: {cause}")]
    WrongSealingKey {
        /// The database file.
        path: PathBuf,
        /// Why it does not fit.
        cause: String,
    },
    /// It cannot be read or written.
    #[error("the database {path} cannot be opened: {cause}")]
    Unavailable {
        /// The database file.
        path: PathBuf,
        /// What the database says.
        cause: String,
    },
}

/// Everything, in one SQLite file.
///
/// Dropping it finishes what is queued in the background; [`SqlStore::close`] waits for that.
pub struct SqlStore {
    readers: Arc<Readers>,
    requests: Sender<Request>,
    commits: Arc<AtomicU64>,
    clock: Arc<dyn Clock>,
}

impl SqlStore {
    /// Opens the database at `path`, makes it when there is none, and brings its schema up to date.
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
        let path = path.as_ref().to_owned();
        let unavailable = |fault: Fault| OpenError::Unavailable {
            path: path.clone(),
            cause: fault.to_string(),
        };
        let sealer = Arc::new(Sealer::new(&sealing_key, entropy).map_err(unavailable)?);
        keep_private(&path).map_err(|error| unavailable(Fault::Database(error.to_string())))?;
        let session = Sqlite::writing(&path, durability).map_err(unavailable)?;
        let mut misfit = None;
        let migrated = migrate::migrate(&session, clock.now(), || {
            misfit = check_key(&session, &sealer)?;
            Ok(())
        });
        match (migrated, misfit) {
            (Err(MigrateError::Newer { found, known }), _) => {
                return Err(OpenError::NewerSchema { path, found, known });
            }
            (Err(MigrateError::Fault(fault)), _) => return Err(unavailable(fault)),
            (Ok(()), Some(cause)) => return Err(OpenError::WrongSealingKey { path, cause }),
            (Ok(()), None) => {}
        }
        let commits = Arc::new(AtomicU64::new(0));
        let writer = Writer::new(
            (path.clone(), durability),
            session,
            Arc::clone(&sealer),
            Arc::clone(&commits),
        );
        let (requests, queue) = mpsc::channel();
        std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writer.run(&queue))
            .map_err(|e| unavailable(Fault::Database(e.to_string())))?;
        Ok(SqlStore {
            readers: Arc::new(Readers {
                path,
                sealer,
                idle: Mutex::new(Vec::new()),
            }),
            requests,
            commits,
            clock,
        })
    }

    /// Carries out what is queued and lets go of the file. Whatever is asked afterwards is answered
    /// `Unavailable`.
    pub async fn close(&self) {
        let (answer, answered) = oneshot::channel();
        if self.requests.send(Request::Close(answer)).is_ok() {
            // The writer's end is as good as its answer.
            let _ = answered.await;
        }
        self.readers.idle().clear();
    }

    /// How many durable commits there were since opening: far fewer than changes under load.
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Asks the writer and waits for its answer.
    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, CommitError>>) -> Request,
    ) -> Result<T, CommitError> {
        let (answer, answered) = oneshot::channel();
        self.requests.send(request(answer)).map_err(|_| closed())?;
        answered.await.unwrap_or_else(|_| Err(closed()))
    }

    /// The first row of a read of a few rows.
    async fn one<T>(&self, read: &Read<'_, T>) -> Result<Option<T>, ReadError> {
        self.readers.one(read)
    }

    /// All rows of a read.
    async fn all<T: Send + 'static>(&self, read: Read<'_, T>) -> Result<Vec<T>, ReadError> {
        let (readers, read) = (Arc::clone(&self.readers), read.into_owned());
        tokio::task::spawn_blocking(move || readers.all(&read))
            .await
            .map_err(|e| ReadError(e.to_string()))?
    }
}

impl std::fmt::Debug for SqlStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SqlStore({})", self.readers.path.display())
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

/// Names the row of what is sealed to tell one key from another.
const KEY_CHECK_ROW: [&str; 1] = ["key check"];

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

/// Connections that read. One is opened whenever all are in use.
struct Readers {
    path: PathBuf,
    sealer: Arc<Sealer>,
    idle: Mutex<Vec<Session>>,
}

impl Readers {
    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Session>> {
        // A list of connections cannot be left half-changed by a panic.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Here and now: it takes microseconds.
    fn one<T>(&self, read: &Read<'_, T>) -> Result<Option<T>, ReadError> {
        self.with(|session, sealer| session.one(read, sealer))
    }

    /// On a thread that may wait.
    fn all<T>(&self, read: &Read<'_, T>) -> Result<Vec<T>, ReadError> {
        self.with(|session, sealer| session.all(read, sealer))
    }

    fn with<T>(
        &self,
        work: impl FnOnce(&Session, &Sealer) -> Result<T, Fault>,
    ) -> Result<T, ReadError> {
        let idle = self.idle().pop();
        let session = match idle {
            Some(session) => Ok(session),
            None => Sqlite::reading(&self.path),
        };
        // A connection whose read failed is not used again.
        let (session, found) = session
            .and_then(|session| work(&session, &self.sealer).map(|found| (session, found)))
            .map_err(|fault| ReadError(fault.to_string()))?;
        let mut idle = self.idle();
        if idle.len() < IDLE_READERS {
            idle.push(session);
        }
        Ok(found)
    }
}
