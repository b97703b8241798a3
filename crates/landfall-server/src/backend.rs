//! What every face of the server works on: the store, the time, and unpredictable bytes.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use landfall_core::audit::Author;
use landfall_core::clock::{Clock, Entropy};
use landfall_core::error::Error;
use landfall_core::secret::repeated;
use landfall_core::store::ReadError;
use landfall_store::secret::SealingKey;
use landfall_store::{Durability, OpenError, PostgresUrl, SqlStore};

use crate::time::{SystemClock, SystemEntropy};

/// What every face of the server works on.
pub struct Backend<S> {
    /// Where everything is kept.
    pub store: Arc<S>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Unpredictable bytes.
    pub entropy: Arc<dyn Entropy>,
}

impl<S> Clone for Backend<S> {
    fn clone(&self) -> Self {
        Backend {
            store: Arc::clone(&self.store),
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
        }
    }
}

impl<S> Backend<S> {
    /// The server itself, as the author of what it changes now.
    pub fn server(&self) -> Author {
        Author::server(self.clock.now(), &*self.entropy)
    }
}

impl Backend<SqlStore> {
    /// Opens the SQLite database at `path`, with the machine's clock and chance.
    ///
    /// # Errors
    /// When the database cannot be opened; the text holds the remedy.
    pub fn sqlite(path: PathBuf, key: SealingKey) -> Result<Self, OpenError> {
        Self::sqlite_as(path, key, Durability::Disk)
    }

    /// The same, for whoever can do with less than the disk's promise.
    ///
    /// # Errors
    /// When the database cannot be opened; the text holds the remedy.
    pub fn sqlite_as(
        path: PathBuf,
        key: SealingKey,
        durability: Durability,
    ) -> Result<Self, OpenError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        let store = SqlStore::sqlite_as(
            &path,
            key,
            Arc::clone(&clock),
            Arc::clone(&entropy),
            durability,
        )?;
        Ok(Backend {
            store: Arc::new(store),
            clock,
            entropy,
        })
    }

    /// Opens a PostgreSQL database, with the machine's clock and chance.
    ///
    /// # Errors
    /// When the database cannot be opened; the text names it without its password.
    pub async fn postgres(url: PostgresUrl, key: SealingKey) -> Result<Self, OpenError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        let store = SqlStore::postgres(url, key, Arc::clone(&clock), Arc::clone(&entropy));
        Ok(Backend {
            store: Arc::new(store.await?),
            clock,
            entropy,
        })
    }
}

/// When a caller is told to come back that cannot be served now.
pub const COME_BACK: Duration = Duration::from_secs(5);

/// The store cannot be read now: the caller comes back, the log has the cause.
pub fn unread(error: &ReadError) -> Error {
    tracing::error!(%error, "a request could not be served");
    Error::Unavailable(COME_BACK)
}

/// A name that a caller gave, as an error repeats it.
pub fn shown(name: &str) -> String {
    repeated(name, 64)
}
