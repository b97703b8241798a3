//! Whether the database is whole, of a version that this program knows, sealed with the key that is
//! there, and not from the future.

use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use landfall_core::clock::{Clock as _, Timestamp, spoken};
use landfall_store::examination::{
    Examination, ExaminationError, Named, ServerState, known_schema,
};
use landfall_store::secret::SealingKey;
use zeroize::Zeroizing;

use super::finding::Report;
use crate::config::Place;
use crate::time::{Stopwatch, SystemClock, SystemEntropy};

/// So many questions are timed.
const QUESTIONS: u32 = 50;

/// Clocks of one machine are not turned back further than this by those that keep them.
const TURNED_BACK_SECONDS: u64 = 5;

/// What is done when a database is damaged.
const RESTORE: &str = "stop the server, keep the file aside, and make a new database of the last backup: `landfall restore`; then look for the reason in the machine's log: disks and memory damage files";

/// Looks at the database, and gives the host names that it keeps.
pub fn look(report: &mut Report, place: &Place) -> Vec<Named> {
    if let Some(url) = &place.postgres {
        // Its driver waits, on a thread of its own.
        let looked = std::thread::scope(|scope| {
            let there = scope.spawn(|| {
                let database = Examination::connect(url)?;
                examine(report, place, &database)
            });
            there.join()
        });
        return match looked {
            Ok(Ok(names)) => names,
            Ok(Err(error)) => unreachable(report, &error),
            Err(_) => Vec::new(),
        };
    }
    let path = &place.database_path;
    if !path.exists() {
        report.fine(
            "database",
            &format!(
                "{} is not there yet: the first start makes it",
                path.display()
            ),
        );
        return Vec::new();
    }
    let opened = Examination::open(path);
    match opened.and_then(|database| examine(report, place, &database)) {
        Ok(names) => names,
        Err(error) => {
            report.failure(
                "database",
                &error.to_string(),
                "run this as the server's user, or as root; if it is readable and damaged, restore a backup",
            );
            Vec::new()
        }
    }
}

/// What is done about too few connections.
const MORE_CONNECTIONS: &str = "raise max_connections of PostgreSQL, or let fewer programs use it: a server node holds about ten";

fn unreachable(report: &mut Report, error: &ExaminationError) -> Vec<Named> {
    // SQLSTATE too_many_connections.
    let fix = if error.cause.contains("53300") {
        MORE_CONNECTIONS
    } else {
        "see that it runs, that this machine reaches it, and that user, password and database name are right (database.url, database.password_file)"
    };
    report.failure("database", &error.to_string(), fix);
    Vec::new()
}

fn examine(
    report: &mut Report,
    place: &Place,
    database: &Examination,
) -> Result<Vec<Named>, ExaminationError> {
    if let Some(state) = database.server()? {
        server(report, &state);
    }
    let found = database.schema()?;
    let known = known_schema();
    if found > known {
        report.failure(
            "database",
            &format!("has schema version {found}, and this program knows versions up to {known}"),
            "use the newer program that made it, or restore a backup of before",
        );
        return Ok(Vec::new());
    }
    let damage = database.damage()?;
    if !damage.is_empty() {
        report.failure(
            "database",
            &format!("is damaged: {}", damage.join("; ")),
            RESTORE,
        );
        return Ok(Vec::new());
    }
    let engine = database.engine()?;
    if found == 0 {
        report.fine(
            "database",
            &format!("{engine}, empty: the next start makes it"),
        );
        return Ok(Vec::new());
    }
    let watch = Stopwatch::start();
    for _ in 0..QUESTIONS {
        database.newest()?;
    }
    let each = watch.elapsed().as_secs_f64() * 1e6 / f64::from(QUESTIONS);
    let version = match found < known {
        true => format!("has schema version {found}, and the next start makes it {known}"),
        false => format!("has schema version {found}"),
    };
    report.fine(
        "database",
        &format!("{engine}, {version}; answers in {each:.0} µs"),
    );
    if let Some(journal) = database.journal()?
        && journal != "wal"
    {
        report.warning(
            "database",
            &format!("keeps a journal of the form '{journal}' and no write-ahead log"),
            "the next start switches it on; if it was copied from elsewhere, see that the copy is whole: `landfall backup` makes one",
        );
    }
    if let Some(newest) = database.newest()? {
        from_the_future(report, newest, SystemClock.now());
    }
    sealing_key(report, place, database)?;
    database.names()
}

/// What a database server says of itself.
fn server(report: &mut Report, state: &ServerState) {
    let apart = SystemClock.now().unix_seconds() - state.now.unix_seconds();
    if apart.unsigned_abs() > TURNED_BACK_SECONDS {
        report.failure(
            "clock",
            &format!("the database server's clock and that of this machine are {apart} s apart"),
            "let NTP keep both",
        );
    }
    if !state.takes_writes {
        report.failure(
            "database",
            "takes no writes: it is a standby, or told to be read only",
            "name the primary in database.url, or all of them: of several hosts the one that takes writes is used",
        );
    }
    if !state.waits_for_the_disk {
        report.failure(
            "database",
            "acknowledges commits before they are on its disk (fsync or synchronous_commit is off): a power cut loses devices that were told they are registered",
            "set fsync = on and synchronous_commit = on in postgresql.conf",
        );
    }
    let (open, most) = state.connections;
    let what = format!("has {open} of {most} connections open");
    if open * 10 > most * 9 {
        report.warning("database", &what, MORE_CONNECTIONS);
    } else {
        report.fine("database", &what);
    }
}

fn from_the_future(report: &mut Report, newest: Timestamp, now: Timestamp) {
    if newest > now && newest.since(now).as_secs() > TURNED_BACK_SECONDS {
        report.failure(
            "clock",
            &format!(
                "the database was last written {} from now, at {}",
                spoken(newest.since(now)),
                newest.to_wire_seconds()
            ),
            "the clock of this machine was turned back: set it, and let NTP keep it",
        );
    }
}

fn sealing_key(
    report: &mut Report,
    place: &Place,
    database: &Examination,
) -> Result<(), ExaminationError> {
    let path = &place.sealing_key_file;
    let key = match key_in(path) {
        Ok(key) => key,
        Err(what) => {
            report.failure(
                "sealing key",
                &what,
                "restore the file from a backup: without it no key in the database can be read",
            );
            return Ok(());
        }
    };
    match database.fits(&key, Arc::new(SystemEntropy))? {
        Some(false) => report.failure(
            "sealing key",
            &format!("{} is not the key that this database is sealed with", path.display()),
            "put the key there that belongs to this database: they are kept apart, and restored together",
        ),
        Some(true) | None => report.fine("sealing key", &format!("{} opens it", path.display())),
    }
    Ok(())
}

fn key_in(path: &Path) -> Result<SealingKey, String> {
    let text = std::fs::read_to_string(path).map(Zeroizing::new);
    let text = text.map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    let bytes = STANDARD.decode(text.trim()).map(Zeroizing::new);
    let key = bytes
        .ok()
        .and_then(|bytes| SealingKey::from_bytes(&bytes).ok());
    key.ok_or_else(|| format!("{} holds no key of 32 bytes in base64", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_written_later_than_now_tells_of_a_clock_turned_back() {
        let at = Timestamp::from_unix_seconds;
        let mut report = Report::default();
        from_the_future(&mut report, at(1000), at(2000));
        from_the_future(&mut report, at(2004), at(2000));
        assert_eq!(report.failures(), 0);
        from_the_future(&mut report, at(9000), at(2000));
        assert_eq!(report.failures(), 1);
    }
}
