//! Whether the file system of the database has room, keeps what it is given, and waits for the disk in
//! reasonable time.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{StatVfs, statfs, statvfs};

use super::finding::Report;
use crate::config::Place;
use crate::time::Stopwatch;

/// Less room than this, in bytes, and the write-ahead log alone may fill it.
const NO_ROOM: u64 = 128 << 20;
/// Less room than this is soon gone.
const LITTLE_ROOM: u64 = 1 << 30;
/// Files that a server, its log and a backup make in a while.
const FEW_FILES: u64 = 1000;

/// What Linux calls file systems that do not keep what a database needs: numbers of statfs(2).
const IN_MEMORY: [i64; 2] = [0x0102_1994, 0x8584_58f6];
const OVER_NETWORK: [i64; 4] = [0x6969, 0xff53_4d42, 0xfe53_4d42, 0x517b];

/// So many commits are timed.
const COMMITS: usize = 15;
/// A disk that takes longer makes devices wait: each answer to a registration waits for one commit.
const SLOW: Duration = Duration::from_millis(25);

/// Looks at the file system of the database.
pub fn look(report: &mut Report, place: &Place) {
    let Some(folder) = nearest(&place.database_path) else {
        return;
    };
    match statvfs(&folder) {
        Ok(room) => {
            let database = place.database_path.metadata().map_or(0, |file| file.len());
            space(report, &folder, &room, database);
        }
        Err(error) => report.unknown(
            "disk",
            &format!("{}: {error}", folder.display()),
            "run this as the server's user, or as root",
        ),
    }
    kind(report, &folder);
    if place.data_dir.is_dir() {
        wait(report, &folder);
    }
}

/// The folder of a file, or of those above it the first that is there.
fn nearest(path: &Path) -> Option<PathBuf> {
    let found = path.ancestors().skip(1).find(|folder| folder.is_dir());
    found.map(Path::to_owned)
}

fn space(report: &mut Report, folder: &Path, room: &StatVfs, database: u64) {
    let free = room.f_bavail.saturating_mul(room.f_frsize);
    let what = format!("{} MB are free below {}", free >> 20, folder.display());
    let more = "make room, or put the database on a larger disk (database.path): a full disk stops every registration until there is room again";
    if free < NO_ROOM {
        report.failure("disk", &what, more);
    } else if free < LITTLE_ROOM || free < database {
        let what = format!("{what}, and the database has {} MB", database >> 20);
        report.warning("disk", &what, more);
    } else {
        report.fine("disk", &what);
    }
    // Some file systems do not count files.
    if room.f_files > 0 && room.f_favail < FEW_FILES {
        let what = format!(
            "{} more files can be made below {}",
            room.f_favail,
            folder.display()
        );
        let fix = "remove small files that nobody needs (`df -i` shows where they are many)";
        if room.f_favail < FEW_FILES / 10 {
            report.failure("disk", &what, fix);
        } else {
            report.warning("disk", &what, fix);
        }
    }
}

fn kind(report: &mut Report, folder: &Path) {
    // The type differs between machines; the numbers fit into any.
    #[expect(
        clippy::unnecessary_cast,
        reason = "the field is another integer on other machines"
    )]
    let Ok(kind) = statfs(folder).map(|system| system.f_type as i64 & 0xffff_ffff) else {
        return;
    };
    if IN_MEMORY.contains(&kind) {
        report.warning(
            "disk",
            &format!(
                "{} is in memory: everything is gone when the machine stops",
                folder.display()
            ),
            "keep the data folder on a disk; for tests this is quick and well",
        );
    } else if OVER_NETWORK.contains(&kind) {
        report.failure(
            "disk",
            &format!("{} is on another machine, reached over the network: SQLite's log needs memory that both ends share", folder.display()),
            "put the database on a disk of this machine (database.path)",
        );
    }
}

/// Times durable writes of the size of a small commit, into a file that is removed again.
fn wait(report: &mut Report, folder: &Path) {
    let path = folder.join(format!(".landfall-doctor-{}", std::process::id()));
    let timed = commits(&path);
    let _ = fs::remove_file(&path);
    let mut spans = match timed {
        Ok(spans) => spans,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            return report.unknown(
                "disk",
                &format!("cannot write below {}: {error}", folder.display()),
                "run this as the server's user, or as root",
            );
        }
        Err(error) => {
            return report.failure(
                "disk",
                &format!("cannot write below {}: {error}", folder.display()),
                "make room; mount it writable; let the server's user write it",
            );
        }
    };
    spans.sort_unstable();
    let median = spans.get(spans.len() / 2).copied().unwrap_or_default();
    let longest = spans.last().copied().unwrap_or_default();
    let milliseconds = |span: Duration| span.as_secs_f64() * 1000.0;
    let what = format!(
        "waits {:.2} ms for a durable write (median of {COMMITS}; the longest took {:.2} ms)",
        milliseconds(median),
        milliseconds(longest)
    );
    if median > SLOW {
        report.warning("disk", &what, "use a disk of its own for the database, or a quicker one: each answer to a registration waits for one such write, which many devices share");
    } else {
        report.fine("disk", &what);
    }
}

fn commits(path: &Path) -> io::Result<Vec<Duration>> {
    let mut file = OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(path)?;
    let mut spans = Vec::with_capacity(COMMITS);
    for _ in 0..COMMITS {
        let watch = Stopwatch::start();
        file.write_all(&[0; 8192])?;
        file.sync_data()?;
        spans.push(watch.elapsed());
    }
    Ok(spans)
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    #[test]
    fn room_and_files_that_run_out_are_told_by_degrees() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut room = statvfs(folder.path()).expect("told");
        let mut levels = |megabytes: u64, files, database| {
            (room.f_frsize, room.f_bavail) = (1 << 20, megabytes);
            (room.f_files, room.f_favail) = (1 << 20, files);
            let mut report = Report::default();
            space(&mut report, folder.path(), &room, database);
            report
                .findings
                .iter()
                .map(|it| it.level)
                .collect::<Vec<_>>()
        };
        assert_eq!(levels(8000, 9000, 0), [Level::Fine]);
        assert_eq!(levels(8000, 9000, 9 << 30), [Level::Warning]);
        assert_eq!(levels(500, 9000, 0), [Level::Warning]);
        assert_eq!(levels(100, 9000, 0), [Level::Failure]);
        assert_eq!(levels(8000, 500, 0), [Level::Fine, Level::Warning]);
        assert_eq!(levels(8000, 50, 0), [Level::Fine, Level::Failure]);
    }

    #[test]
    fn timing_the_disk_leaves_nothing_behind() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut report = Report::default();
        wait(&mut report, folder.path());
        assert!(report.findings[0].what.contains("durable write"));
        assert_eq!(fs::read_dir(folder.path()).expect("read").count(), 0);
        assert_eq!(
            nearest(&folder.path().join("a/b/c.db")).as_deref(),
            Some(folder.path())
        );
    }
}
