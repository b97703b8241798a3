//! Bringing a database's schema up to this build's without using it: for `landfall migrate`. A store that is
//! opened does the same by itself; the steps stand in `migrate`.

use landfall_core::clock::Timestamp;

use crate::dialect::{Durability, Fault, Source};
use crate::dump::Database;
use crate::migrate::{self, MigrateError};
use crate::store::OpenError;

/// From which version of the schema to which a database was brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upgrade {
    /// The version it had; 0 when it was empty.
    pub from: i64,
    /// The version it has.
    pub to: i64,
}

/// Brings the schema of a database up to date. A server may use it meanwhile; its writes wait.
///
/// # Errors
/// [`OpenError`] when a newer build made the schema, or the database cannot be reached, read and written.
pub fn bring_up_to_date(database: Database<'_>, now: Timestamp) -> Result<Upgrade, OpenError> {
    let source = match database {
        Database::Sqlite(path) => Source::Sqlite(path.to_owned(), Durability::Disk),
        Database::Postgres(url) => Source::Postgres(Box::new(url.clone())),
    };
    let unavailable = |fault: Fault| source.unavailable(fault);
    let session = source.writing("").map_err(unavailable)?;
    match migrate::migrate(&session, now, || Ok(())) {
        Ok(from) => Ok(Upgrade {
            from,
            to: migrate::known(),
        }),
        Err(MigrateError::Newer { found, known }) => Err(OpenError::NewerSchema {
            database: database.to_string(),
            found,
            known,
        }),
        Err(MigrateError::Fault(fault)) => Err(unavailable(fault)),
    }
}
