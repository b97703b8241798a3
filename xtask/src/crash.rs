//! `cargo xtask crash`: kills real servers at very many moments, and looks whether they kept what they
//! acknowledged. What is done stands in the crate `crash`; here it is built and started.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use crate::{clients, machine, postgres, step};

/// How long the short run of continuous integration takes.
const SHORT_SECONDS: &str = "60";

/// What names a version of PostgreSQL.
const VERSION: &str = "--postgresql";

/// A folder that goes with this.
struct Folder(PathBuf);

/// Builds the server and what kills it, and starts the latter with these words.
///
/// # Errors
/// When something that was acknowledged is lost, or nothing could be tried.
pub fn run(words: &[&str]) -> anyhow::Result<()> {
    machine::prepare_to_crash()?;
    let mut words = words.to_vec();
    let programs = match words.iter().position(|word| *word == VERSION) {
        Some(place) => {
            let version = words.get(place + 1).copied().unwrap_or_default();
            let found = programs_of(version)?;
            words.drain(place..place + 2);
            Some(found)
        }
        None => None,
    };
    step::run(
        step::cargo()
            .args(["build", "--locked", "--package", "landfall-server"])
            .args(["--package", "landfall-crash"])
            .args(step::TESTED_FEATURES),
    )?;
    let built = step::target().join("debug");
    let mut command = Command::new(built.join("landfall-crash"));
    command
        .arg("--binary")
        .arg(built.join("landfall"))
        .args(words);
    if let Some((programs, _)) = &programs {
        command.arg("--programs").arg(programs);
    }
    step::run(&mut command)
}

/// The programs of a version, and the folder that they are kept in meanwhile, where they need one.
fn programs_of(version: &str) -> anyhow::Result<(PathBuf, Option<Folder>)> {
    match version {
        "15" => Ok((Path::new(machine::POSTGRESQL_15).to_owned(), None)),
        "18" => {
            clients::install_pypi_once()?;
            let folder = Folder::make()?;
            let programs = postgres::runnable(&postgres::of_pypi()?, &folder.0)?;
            Ok((programs, Some(folder)))
        }
        _ => bail!("{VERSION} takes 15, the oldest that Landfall takes, or 18, the newest"),
    }
}

impl Folder {
    /// One that every user may enter.
    fn make() -> anyhow::Result<Self> {
        let name = format!("landfall-crash-postgresql-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::DirBuilder::new()
            .mode(0o755)
            .create(&path)
            .with_context(|| format!("{} cannot be made", path.display()))?;
        Ok(Folder(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left of a copy harms nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A run that is short enough for every change.
///
/// # Errors
/// As [`run`].
pub fn run_shortly() -> anyhow::Result<()> {
    run(&["--seconds", SHORT_SECONDS])
}
