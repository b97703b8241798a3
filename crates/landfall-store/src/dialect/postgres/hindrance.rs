//! What keeps a PostgreSQL database from being used for now, and what an operator can do about it.

use tokio_postgres::error::SqlState;

/// What to do about a connection that is lost, or a database that takes no writes.
pub(in crate::dialect) const AWAY: &str = "see that the database runs and takes writes, and that this machine reaches it \
     at the host and port of database.url";
/// What to do about a database that has no connection left.
pub(in crate::dialect) const CROWDED: &str = "let the database give each server ten connections \
     (max_connections, CONNECTION LIMIT of role and database), or end some that are not needed";
const IDENTITY: &str = "see that user, password and database name are right \
     (database.url, database.password_file), and that pg_hba.conf lets this machine in";
const RIGHTS: &str = "let the role of database.url own the database and all that is in it";
const ROOM: &str = "make room on the disk of the database server";
const MEMORY: &str = "see that the machine of the database server has memory left";
const DISK: &str =
    "look in the log of the database server, and in its machine's log for faults of the disk";
const DAMAGED: &str = "the database is damaged: take a standby in its place, or go back to a backup with `landfall restore`";

/// Takes a megabyte for a moment, where there is room for it. What a small write needs may be left over from others.
pub(super) const ROOM_PROVED: &str = "CREATE TEMPORARY TABLE room ON COMMIT DROP AS
    SELECT repeat('0', 1500) AS taken FROM generate_series(1, 700)";

/// What to do about an error that meets whoever writes, where that is known and waiting alone does not help.
pub(super) fn of_everybody(code: &SqlState) -> Option<&'static str> {
    match code.code() {
        "53100" => Some(ROOM),
        "53200" => Some(MEMORY),
        "3D000" => Some(IDENTITY),
        code if code.starts_with("28") => Some(IDENTITY),
        _ => None,
    }
}

/// The same of an error that may meet one and spare others.
pub(super) fn of_one(code: &SqlState) -> Option<&'static str> {
    match code.code() {
        "58030" => Some(DISK),
        "42501" => Some(RIGHTS),
        "XX001" | "XX002" => Some(DAMAGED),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_and_a_wrong_password_have_remedies_of_their_own() {
        assert_eq!(of_everybody(&SqlState::DISK_FULL), Some(ROOM));
        assert_eq!(of_everybody(&SqlState::INVALID_PASSWORD), Some(IDENTITY));
        assert_eq!(
            of_everybody(&SqlState::INVALID_CATALOG_NAME),
            Some(IDENTITY)
        );
        assert_eq!(of_everybody(&SqlState::DATA_CORRUPTED), None);
        assert_eq!(of_one(&SqlState::DATA_CORRUPTED), Some(DAMAGED));
        assert_eq!(of_one(&SqlState::UNIQUE_VIOLATION), None);
    }
}
