//! Schema versions: an empty or older database is brought up to this build's schema, a newer one is
//! refused. Each step is one group of writes; of two that open at once, one waits for the other.

use landfall_core::clock::Timestamp;

use crate::dialect::{Fault, Session};

/// The steps, by version from 1 on: for SQLite and for PostgreSQL. A step that was released is never
/// changed.
const STEPS: &[(&str, &str)] = &[
    (
        include_str!("../migrations/sqlite/0001_main_road.sql"),
        include_str!("../migrations/postgres/0001_main_road.sql"),
    ),
    (
        include_str!("../migrations/sqlite/0002_audit.sql"),
        include_str!("../migrations/postgres/0002_audit.sql"),
    ),
    (
        include_str!("../migrations/sqlite/0003_nodes.sql"),
        include_str!("../migrations/postgres/0003_nodes.sql"),
    ),
    (
        include_str!("../migrations/sqlite/0004_sessions.sql"),
        include_str!("../migrations/postgres/0004_sessions.sql"),
    ),
    (
        include_str!("../migrations/sqlite/0005_locks.sql"),
        include_str!("../migrations/postgres/0005_locks.sql"),
    ),
    (
        include_str!("../migrations/sqlite/0006_relayed.sql"),
        include_str!("../migrations/postgres/0006_relayed.sql"),
    ),
];

/// Why a database has not this build's schema.
#[derive(Debug)]
pub(crate) enum MigrateError {
    /// It has a schema that a newer build made.
    Newer {
        /// The version it has.
        found: i64,
        /// The newest version this build knows.
        known: i64,
    },
    /// It cannot be read or written.
    Fault(Fault),
}

impl From<Fault> for MigrateError {
    fn from(fault: Fault) -> Self {
        MigrateError::Fault(fault)
    }
}

/// The newest version this build knows.
pub(crate) fn known() -> i64 {
    i64::try_from(STEPS.len()).unwrap_or(i64::MAX)
}

/// Brings the schema up to date, and lets `inside` finish the same group of writes; gives the version it
/// had.
pub(crate) fn migrate(
    session: &Session,
    now: Timestamp,
    inside: impl FnOnce() -> Result<(), Fault>,
) -> Result<i64, MigrateError> {
    migrate_to(known(), session, now, inside)
}

/// Brings the schema up to version `wanted`, and lets `inside` finish the same group of writes; gives the
/// version it had.
pub(crate) fn migrate_to(
    wanted: i64,
    session: &Session,
    now: Timestamp,
    inside: impl FnOnce() -> Result<(), Fault>,
) -> Result<i64, MigrateError> {
    session.begin_migration()?;
    let outcome = within(wanted, session, now).and_then(|found| {
        inside()?;
        Ok(found)
    });
    match outcome {
        Ok(found) => {
            session.commit()?;
            Ok(found)
        }
        Err(error) => {
            session.abandon();
            Err(error)
        }
    }
}

/// Brings the schema up to version `wanted`, inside a group that has begun; gives the version it had.
pub(crate) fn within(wanted: i64, session: &Session, now: Timestamp) -> Result<i64, MigrateError> {
    let found = version(session)?;
    if found > known() {
        return Err(MigrateError::Newer {
            found,
            known: known(),
        });
    }
    for (version, step) in (1_i64..).zip(STEPS) {
        if version > found && version <= wanted {
            session.execute_script(match session {
                Session::Sqlite(_) => step.0,
                Session::Postgres(_) => step.1,
            })?;
            session.execute(
                "INSERT INTO schema_versions (version, applied) VALUES ($1, $2)",
                &[version.into(), now.unix_micros().into()],
            )?;
        }
    }
    Ok(found)
}

/// The version a database has; 0 before the first step.
pub(crate) fn version(session: &Session) -> Result<i64, Fault> {
    let newest = session.first(
        "SELECT version FROM schema_versions ORDER BY version DESC LIMIT 1",
        &[],
        |row| row.integer(0),
    )?;
    Ok(newest.unwrap_or(0))
}
