//! What keeps a SQLite database from being used for now, and what an operator can do about it.

use std::io;

use rusqlite::ErrorCode;

use crate::dialect::Fault;

const ROOM: &str = "make room on its disk";
const RIGHTS: &str = "see that its folder is there, that the server's user may enter it and read and write what is in it, \
     and that the disk takes writes";

/// What to do about an error of SQLite, where that is known.
pub(super) fn remedy(code: ErrorCode) -> Option<&'static str> {
    match code {
        ErrorCode::DiskFull => Some(ROOM),
        ErrorCode::SystemIoFailure => Some(
            "see that there is room on its disk; when there is, look in the system's log for faults of the disk",
        ),
        ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied => Some(RIGHTS),
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Some(
            "another program holds it for itself: end that program (`fuser -v` on the file names it)",
        ),
        ErrorCode::NotADatabase => Some(
            "something else stands in its place: put the database back there, or restore a backup with `landfall restore`",
        ),
        ErrorCode::DatabaseCorrupt => Some(
            "it is damaged, and `landfall doctor` says where: restore a backup with `landfall restore`",
        ),
        _ => None,
    }
}

/// The fault of a file that can be read and not written.
pub(super) fn read_only() -> Fault {
    Fault::Hindered("it cannot be written".to_owned(), RIGHTS)
}

/// The fault of a file that the system does not let us use.
impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        let remedy = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ROOM,
            _ => RIGHTS,
        };
        Fault::Hindered(error.to_string(), remedy)
    }
}
