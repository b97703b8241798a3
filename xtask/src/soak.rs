//! `cargo xtask soak`: lets devices live for minutes on a real server that is killed now and then. What is done
//! stands in the crate `crash`; here it is built and started.

use std::process::Command;

use crate::step;

/// Builds the server and its devices, and starts the latter with these words.
///
/// # Errors
/// When something that was acknowledged is lost, a version is skipped, or memory grows.
pub fn run(words: &[&str]) -> anyhow::Result<()> {
    step::run(
        step::cargo()
            .args(["build", "--locked", "--package", "landfall-server"])
            .args(["--package", "landfall-crash"])
            .args(step::TESTED_FEATURES),
    )?;
    let built = step::target().join("debug");
    step::run(
        Command::new(built.join("landfall-soak"))
            .arg("--binary")
            .arg(built.join("landfall"))
            .args(words),
    )
}
