//! Who answers reads. On SQLite point reads run where they are asked, since they take microseconds, and
//! listings beside the callers; on PostgreSQL all of them await one of a few connections.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use landfall_core::store::ReadError;

use crate::dialect::{Fault, Place, Pool, Read, Session, Source, Sqlite};
use crate::secret::Sealer;

/// Most reading connections to SQLite that are kept open while nobody reads.
const IDLE: usize = 8;

/// Who answers reads.
#[derive(Clone)]
pub(super) enum Readers {
    Sqlite(Arc<Files>),
    Postgres(Pool, Arc<Sealer>),
}

impl Readers {
    /// Makes ready; connections are opened when they are needed.
    pub(super) fn new(source: &Source, sealer: Arc<Sealer>) -> Result<Self, Fault> {
        match source {
            Source::Sqlite(path, _) => Ok(Readers::Sqlite(Arc::new(Files {
                path: path.clone(),
                place: Place::of(path)?,
                sealer,
                idle: Mutex::new(Vec::new()),
            }))),
            Source::Postgres(url) => Ok(Readers::Postgres(Pool::new(url)?, sealer)),
        }
    }

    /// The connections that a database counts together with those of the writer, where one does.
    pub(super) fn pool(&self) -> Option<Pool> {
        match self {
            Readers::Sqlite(_) => None,
            Readers::Postgres(pool, _) => Some(pool.clone()),
        }
    }

    /// What seals and opens keys.
    pub(super) fn sealer(&self) -> &Arc<Sealer> {
        match self {
            Readers::Sqlite(files) => &files.sealer,
            Readers::Postgres(_, sealer) => sealer,
        }
    }

    /// The first row of a read of a few rows.
    pub(super) async fn one<T>(&self, read: &Read<'_, T>) -> Result<Option<T>, ReadError> {
        match self {
            Readers::Sqlite(files) => files.with(|session| session.one(read, &files.sealer)),
            Readers::Postgres(pool, sealer) => pool.one(read, sealer).await.map_err(unread),
        }
    }

    /// All rows of a read.
    pub(super) async fn all<T: Send + 'static>(
        &self,
        read: Read<'_, T>,
    ) -> Result<Vec<T>, ReadError> {
        match self {
            Readers::Sqlite(files) => {
                let (files, read) = (Arc::clone(files), read.into_owned());
                let work = move || files.with(|session| session.all(&read, &files.sealer));
                tokio::task::spawn_blocking(work)
                    .await
                    .map_err(|e| ReadError(e.to_string()))?
            }
            Readers::Postgres(pool, sealer) => pool.all(&read, sealer).await.map_err(unread),
        }
    }

    /// Lets go of the connections.
    pub(super) fn close(&self) {
        match self {
            Readers::Sqlite(files) => files.idle().clear(),
            Readers::Postgres(pool, _) => pool.close(),
        }
    }
}

pub(super) fn unread(fault: Fault) -> ReadError {
    ReadError(fault.with_remedy())
}

/// Connections that read a SQLite file. One is opened whenever all are in use.
pub(super) struct Files {
    path: PathBuf,
    place: Place,
    pub(super) sealer: Arc<Sealer>,
    idle: Mutex<Vec<Session>>,
}

impl Files {
    fn idle(&self) -> MutexGuard<'_, Vec<Session>> {
        // A list of connections cannot be left half-changed by a panic.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives `work` a connection.
    pub(super) fn with<T>(
        &self,
        work: impl FnOnce(&Session) -> Result<T, Fault>,
    ) -> Result<T, ReadError> {
        let idle = self.idle().pop();
        let session = match idle {
            Some(session) => Ok(session),
            None => self
                .place
                .holds()
                .and_then(|()| Sqlite::reading(&self.path)),
        };
        // A connection whose read failed is not used again.
        let (session, found) = session
            .and_then(|session| work(&session).map(|found| (session, found)))
            .map_err(unread)?;
        let mut idle = self.idle();
        if idle.len() < IDLE {
            idle.push(session);
        }
        Ok(found)
    }
}
