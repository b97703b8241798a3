//! What every face of the server works on: the store, the time, unpredictable bytes, and what is counted.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use landfall_core::audit::Author;
use landfall_core::clock::{Clock, Entropy};
use landfall_core::error::Error;
use landfall_core::secret::repeated;
use landfall_core::store::ReadError;
use landfall_store::secret::SealingKey;
use landfall_store::{Durability, Observer, OpenError, PostgresUrl, SqlStore};

use crate::metrics::Metrics;
use crate::time::{SystemClock, SystemEntropy};

/// What every face of the server works on.
pub struct Backend<S> {
    /// Where everything is kept.
    pub store: Arc<S>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Unpredictable bytes.
    pub entropy: Arc<dyn Entropy>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

impl<S> Clone for Backend<S> {
    fn clone(&self) -> Self {
        Backend {
            store: Arc::clone(&self.store),
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
            metrics: Arc::clone(&self.metrics),
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
        Ok(Self::observing(store, clock, entropy))
    }

    /// Opens a PostgreSQL database, with the machine's clock and chance.
    ///
    /// # Errors
    /// When the database cannot be opened; the text names it without its password.
    pub async fn postgres(url: PostgresUrl, key: SealingKey) -> Result<Self, OpenError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        let store = SqlStore::postgres(url, key, Arc::clone(&clock), Arc::clone(&entropy));
        Ok(Self::observing(store.await?, clock, entropy))
    }

    /// A backend that counts what its store does.
    pub fn observing(store: SqlStore, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        let metrics = Arc::new(Metrics::new(clock.now()));
        store.observe(Arc::clone(&metrics.store) as Arc<dyn Observer>);
        Backend {
            store: Arc::new(store),
            clock,
            entropy,
            metrics,
        }
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
