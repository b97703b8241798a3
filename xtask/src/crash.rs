//! `cargo xtask crash`: kills real servers at very many moments, and looks whether they kept what they
//! acknowledged. What is done stands in the crate `crash`; here it is built and started.

use std::process::Command;

use crate::{machine, step};

/// How long the short run of continuous integration takes.
const SHORT_SECONDS: &str = "60";

/// Builds the server and what kills it, and starts the latter with these words.
///
/// # Errors
/// When something that was acknowledged is lost, or nothing could be tried.
pub fn run(words: &[&str]) -> anyhow::Result<()> {
    machine::prepare_to_crash()?;
    step::run(
        step::cargo()
            .args(["build", "--locked", "--package", "landfall-server"])
            .args(["--package", "landfall-crash"])
            .args(step::TESTED_FEATURES),
    )?;
    let built = step::target().join("debug");
    step::run(
        Command::new(built.join("landfall-crash"))
            .arg("--binary")
            .arg(built.join("landfall"))
            .args(words),
    )
}

/// A run that is short enough for every change.
///
/// # Errors
/// As [`run`].
pub fn run_shortly() -> anyhow::Result<()> {
    run(&["--seconds", SHORT_SECONDS])
}
