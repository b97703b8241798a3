//! `cargo xtask test`: every test of the repository, the contract tests last; the store's against PostgreSQL too.
//!
//! The last line printed is the contract tests' summary; the other runners print theirs above.

use std::process::Command;

use crate::postgres::{self, Servers};
use crate::{clients, machine, step};

/// Prepares the machine and runs everything.
///
/// # Errors
/// When anything is missing or any test fails.
pub fn run() -> anyhow::Result<()> {
    machine::prepare()?;
    clients::install()?;
    workspace()?;
    contract(&[])
}

/// Runs only the contract tests whose name holds `name`.
///
/// # Errors
/// When anything is missing, no test has such a name, or one fails.
pub fn run_contract_only(name: &str) -> anyhow::Result<()> {
    machine::prepare()?;
    clients::install()?;
    contract(&["--only", name])
}

/// The workspace's tests and doc tests, with the PostgreSQL servers that some of them ask for.
fn workspace() -> anyhow::Result<()> {
    let servers = Servers::start()?;
    let urls = servers.urls();
    if has_nextest() {
        step::run(
            step::cargo()
                .env(postgres::VARIABLE, &urls)
                .args(["nextest", "run", "--workspace", "--locked"])
                .arg("--no-fail-fast")
                .args(step::TESTED_FEATURES),
        )?;
    } else {
        println!("\ncargo-nextest is not installed: `cargo test` runs the same tests");
        step::run(
            step::cargo()
                .env(postgres::VARIABLE, &urls)
                .args(["test", "--workspace", "--locked", "--all-targets"])
                .arg("--no-fail-fast")
                .args(step::TESTED_FEATURES),
        )?;
    }
    step::run(
        step::cargo()
            .args(["test", "--workspace", "--locked", "--doc"])
            .args(step::TESTED_FEATURES),
    )
}

fn has_nextest() -> bool {
    step::cargo()
        .args(["nextest", "--version"])
        .output()
        .is_ok_and(|output| output.status.success())
}

/// The contract tests against the binary that the workspace's tests are built like.
fn contract(arguments: &[&str]) -> anyhow::Result<()> {
    step::run(
        step::cargo()
            .args(["build", "--locked", "--package", "landfall-server"])
            .args(step::TESTED_FEATURES),
    )?;
    step::run(
        Command::new("python3")
            .arg(step::root().join("contract").join("run.py"))
            .arg("--binary")
            .arg(step::target().join("debug").join("landfall"))
            .arg("--clients")
            .arg(clients::folder())
            .args(arguments),
    )
}
