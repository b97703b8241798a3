//! Rows that are held against a number and not against another program: counts and sizes, which no
//! other program on the machine can move.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

use super::Options;

/// How many registrations the counting run writes.
const REGISTRATIONS: &str = "8192";

/// One such row.
pub(super) struct Limit {
    pub(super) number: u8,
    pub(super) what: &'static str,
    pub(super) unit: &'static str,
    pub(super) must: f64,
    pub(super) stretch: f64,
    /// Whether the short run has it.
    short: bool,
    measure: fn(&Options) -> anyhow::Result<f64>,
}

/// All of them.
pub(super) const LIMITS: [Limit; 2] = [
    Limit {
        number: 23,
        what: "the executable, without symbols",
        unit: "MB",
        must: 30.0,
        stretch: 20.0,
        short: false,
        measure: size,
    },
    Limit {
        number: 24,
        what: "waits for the disk (fdatasync and fsync) per group commit of registrations, checkpoints included",
        unit: "",
        must: 1.25,
        stretch: 1.15,
        short: true,
        measure: waits,
    },
];

/// A row that was measured.
pub(super) struct Held {
    pub(super) limit: &'static Limit,
    pub(super) value: f64,
}

impl Held {
    pub(super) fn verdict(&self) -> &'static str {
        if self.value <= self.limit.stretch {
            "stretch"
        } else if self.value <= self.limit.must {
            "must"
        } else {
            "short"
        }
    }

    pub(super) fn line(&self) -> String {
        let Limit {
            number,
            what,
            unit,
            must,
            stretch,
            ..
        } = self.limit;
        format!(
            "row {number}: {:.2} {unit}, must {must}, stretch {stretch}: {}; {what}",
            self.value,
            self.verdict()
        )
    }
}

/// Measures those that the run has.
///
/// # Errors
/// When one cannot be measured.
pub(super) fn measure(options: &Options) -> anyhow::Result<Vec<Held>> {
    LIMITS
        .iter()
        .filter(|limit| match &options.rows_named {
            Some(named) => named.contains(&limit.number),
            None => limit.short || !options.short,
        })
        .map(|limit| {
            let value = (limit.measure)(options);
            let value = value.with_context(|| format!("row {}", limit.number))?;
            Ok(Held { limit, value })
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
