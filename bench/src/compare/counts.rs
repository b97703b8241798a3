//! Rows that are held against a number and not against another program: counts and sizes, which no
//! other program on the machine can move.

use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

use super::Options;
use super::row::{Asked, Family, Outcome, Row};

/// How many registrations the counting runs write: what opening and closing takes is in both.
const REGISTRATIONS: [&str; 2] = ["64", "8192"];

/// All of them.
pub(super) static FAMILY: Family = Family {
    rows: &ROWS,
    measure,
};

static ROWS: [Row; 3] = [
    Row {
        number: 23,
        what: "the executable, without symbols",
        asked: Asked::Number,
        unit: "MB",
        must: 30.0,
        stretch: 20.0,
        short: false,
    },
    Row {
        number: 24,
        what: "waits for the disk (fdatasync and fsync) per group commit of registrations",
        asked: Asked::Number,
        unit: "",
        must: 1.0,
        stretch: 1.0,
        short: true,
    },
    Row {
        number: 24,
        what: "the same with those of checkpoints",
        asked: Asked::Number,
        unit: "",
        must: 1.25,
        stretch: 1.15,
        short: true,
    },
];

fn measure(options: &Options, rows: &[&'static Row]) -> anyhow::Result<Vec<Outcome>> {
    let mut outcomes = Vec::new();
    let mut waits = rows.iter().filter(|row| row.number == 24).peekable();
    if let Some(row) = rows.iter().find(|row| row.number == 23) {
        outcomes.push(Outcome::number(row, size(options).context("row 23")?));
    }
    if waits.peek().is_some() {
        let values = self::waits(options).context("row 24")?;
        outcomes.extend(
            waits
                .zip(values)
                .map(|(row, value)| Outcome::number(row, value)),
        );
    }
    Ok(outcomes)
}

fn size(options: &Options) -> anyhow::Result<f64> {
    let bare = options.folder.join("landfall-without-symbols");
    let done = Command::new("strip")
        .arg("-o")
        .arg(&bare)
        .arg(&options.landfall)
        .status()
        .context("strip cannot be started")?;
    ensure!(done.success(), "strip failed: {done}");
    Ok(std::fs::metadata(&bare)?.len() as f64 / 1e6)
}

/// Waits for each commit, without and with those of checkpoints.
fn waits(options: &Options) -> anyhow::Result<[f64; 2]> {
    let [little, much] = REGISTRATIONS;
    let (little, much) = (Counted::of(options, little)?, Counted::of(options, much)?);
    let commits = much.commits - little.commits;
    let checkpoints = much.database - little.database;
    let all = much.log - little.log + checkpoints;
    Ok([
        (all - checkpoints * WAITS_OF_A_CHECKPOINT) / commits,
        all / commits,
    ])
}

/// A checkpoint waits for the log, for the database, and for the first page of the log that begins anew.
const WAITS_OF_A_CHECKPOINT: f64 = 3.0;

/// What a run that only writes registrations asked of the kernel.
struct Counted {
    commits: f64,
    /// Waits for the log.
    log: f64,
    /// Waits for the database file, one for each checkpoint.
    database: f64,
}

impl Counted {
    fn of(options: &Options, registrations: &str) -> anyhow::Result<Self> {
        let calls = options.folder.join("waits.strace");
        let me = std::env::current_exe()?;
        let done = Command::new("strace")
            .args(["-f", "-qq", "-y", "-e", "trace=fdatasync,fsync"])
            .args(["-e", "signal=none", "-o"])
            .arg(&calls)
            .arg(me)
            .arg("store-layer")
            .arg(&options.folder)
            .arg(registrations)
            .stdin(Stdio::null())
            .output()
            .context("strace cannot be started")?;
        ensure!(
            done.status.success(),
            "the counted run failed: {}",
            String::from_utf8_lossy(&done.stderr)
        );
        let said = String::from_utf8(done.stdout)?;
        let commits = said.split_ascii_whitespace().nth(2).context("no commits")?;
        let calls = std::fs::read_to_string(&calls)?;
        Ok(Counted {
            commits: commits.parse()?,
            log: count(&calls, ".db-wal>"),
            database: count(&calls, ".db>"),
        })
    }
}

/// How many calls name a file that ends so.
fn count(calls: &str, end: &str) -> f64 {
    // A call that another thread interrupts is shown in two lines.
    let whole = calls.lines().filter(|line| !line.contains("resumed>"));
    whole.filter(|line| line.contains(end)).count() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_was_interrupted_is_counted_once() {
        let calls = "7 fsync(3</d/a.db-wal> <unfinished ...>\n8 fsync(4</d/a.db>) = 0\n\
                     7 <... fsync resumed>) = 0\n7 fdatasync(3</d/a.db-wal>) = 0\n";
        assert_eq!(count(calls, ".db-wal>"), 2.0);
        assert_eq!(count(calls, ".db>"), 1.0);
    }
}
