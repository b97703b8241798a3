//! Rows that are held against a number and not against another program: counts and sizes, which no
//! other program on the machine can move.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

use super::Options;
use super::row::{Asked, Family, Outcome, Row};

/// How many registrations the counting run writes.
const REGISTRATIONS: &str = "8192";

/// All of them.
pub(super) static FAMILY: Family = Family {
    rows: &ROWS,
    measure,
};

static ROWS: [Row; 2] = [
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
        what: "waits for the disk (fdatasync and fsync) per group commit of registrations, checkpoints included",
        asked: Asked::Number,
        unit: "",
        must: 1.25,
        stretch: 1.15,
        short: true,
    },
];

fn measure(options: &Options, rows: &[&'static Row]) -> anyhow::Result<Vec<Outcome>> {
    rows.iter()
        .map(|row| {
            let value = match row.number {
                23 => size(options),
                _ => waits(options),
            };
            let value = value.with_context(|| format!("row {}", row.number))?;
            Ok(Outcome::number(row, value))
        })
        .collect()
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

/// Counts the calls of a run that only writes registrations.
fn waits(options: &Options) -> anyhow::Result<f64> {
    let calls = options.folder.join("waits.strace");
    let me = std::env::current_exe()?;
    let done = Command::new("strace")
        .args([
            "-f",
            "-qq",
            "-e",
            "trace=fdatasync,fsync",
            "-e",
            "signal=none",
            "-o",
        ])
        .arg(&calls)
        .arg(me)
        .arg("store-layer")
        .arg(&options.folder)
        .arg(REGISTRATIONS)
        .stdin(Stdio::null())
        .output()
        .context("strace cannot be started")?;
    ensure!(
        done.status.success(),
        "the counted run failed: {}",
        String::from_utf8_lossy(&done.stderr)
    );
    let said = String::from_utf8(done.stdout)?;
    let commits: f64 = said
        .split_ascii_whitespace()
        .nth(2)
        .context("no commits")?
        .parse()?;
    Ok(lines(&calls)? as f64 / commits)
}

fn lines(file: &Path) -> anyhow::Result<usize> {
    let text = std::fs::read_to_string(file)?;
    // A call that another thread interrupts is shown in two lines.
    Ok(text
        .lines()
        .filter(|line| !line.contains("resumed>"))
        .count())
}
