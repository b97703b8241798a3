//! `cargo xtask bench`: Landfall beside the programs that it is measured against, on this machine, and
//! the page that comes of it. The comparison itself is a program of the crate `bench`; this builds both,
//! installs what is missing, and keeps clients and servers on processors of their own.

use std::path::Path;
use std::process::Command;

use anyhow::ensure;

use crate::postgres::Compared;
use crate::{machine, package, step};

/// The processor of the servers; the comparison puts its own there.
const SERVERS: &str = "0";
/// The processor of the clients.
const CLIENTS: &str = "1";
/// The rows that PostgreSQL is asked for.
const ON_POSTGRESQL: [&str; 2] = ["10", "11"];

/// Measures what `words` ask for, with the build of a release that keeps its symbols, so that a profile
/// of it names functions. All rows together are written down.
///
/// # Errors
/// When the build fails, something is missing, or anything goes wrong while measuring.
pub fn run(words: &[&str]) -> anyhow::Result<()> {
    machine::prepare_to_compare()?;
    two_processors()?;
    step::run(
        step::cargo()
            .args(["build", "--release", "--locked"])
            .args([
                "--package",
                "landfall-server",
                "--package",
                "landfall-bench",
            ])
            .env("CARGO_PROFILE_RELEASE_STRIP", "none"),
    )?;
    let built = step::target().join("release");
    let page = step::root().join("docs/operating/performance.md");
    let mut compare = compare(&built)?;
    let mut after = words.iter().skip_while(|word| **word != "--rows").skip(1);
    let rows = after.next();
    if rows.is_none() {
        compare.arg("--page").arg(page);
    }
    let mut named = rows.into_iter().flat_map(|rows| rows.split(','));
    let servers = (rows.is_none() || named.any(|row| ON_POSTGRESQL.contains(&row.trim())))
        .then(|| Compared::start(SERVERS, CLIENTS))
        .transpose()?;
    if let Some([alone, followed]) = servers.as_ref().map(Compared::urls) {
        compare.args(["--postgres", &alone, "--postgres-with-standby", &followed]);
    }
    step::run(compare.args(words))
}

/// Holds the release that `package` built against widened bounds.
///
/// # Errors
/// When the build fails, or a row is past its bound.
pub fn short() -> anyhow::Result<()> {
    machine::prepare_to_measure()?;
    two_processors()?;
    // One after the other: what is measured is the very binary that is packaged.
    package::build(&["landfall-server"])?;
    let built = package::build(&["landfall-bench"])?;
    step::run(compare(&built)?.arg("--short"))
}

fn compare(built: &Path) -> anyhow::Result<Command> {
    let folder = step::target().join("bench");
    std::fs::create_dir_all(&folder)?;
    let mut command = Command::new("taskset");
    command
        .args(["-c", CLIENTS])
        .arg(built.join("landfall-bench"))
        .args(["compare", "--landfall"])
        .arg(built.join("landfall"))
        .arg("--folder")
        .arg(folder);
    Ok(command)
}

fn two_processors() -> anyhow::Result<()> {
    let there = std::thread::available_parallelism().map_or(1, usize::from);
    ensure!(
        there >= 2,
        "this machine gives this process {there} processor: servers and clients need one each"
    );
    Ok(())
}
