//! `cargo xtask ci`: what continuous integration runs, cheapest complaint first, then costs, crashes, tests last.

use std::path::PathBuf;
use std::process::Command;

use crate::{bench, crash, machine, package, step, test, tidy};

/// The version of cargo-deny that judges the dependencies.
const CARGO_DENY: &str = "0.20.2";

/// Runs everything; stops at the first failure.
///
/// # Errors
/// When any step fails.
pub fn run() -> anyhow::Result<()> {
    step::run(step::cargo().args(["fmt", "--all", "--check"]))?;
    step::run(
        step::cargo()
            .args(["clippy", "--workspace", "--all-targets", "--locked"])
            .args(step::TESTED_FEATURES)
            .args(["--", "-D", "warnings"]),
    )?;
    step::run(
        step::cargo()
            .args(["doc", "--workspace", "--no-deps", "--locked"])
            .env("RUSTDOCFLAGS", "-D warnings"),
    )?;
    dependencies()?;
    package::run()?;
    println!("\n==> tidy");
    tidy::run()?;
    machine::prepare()?;
    bench::short()?;
    crash::run_shortly()?;
    test::run()
}

/// Judges what the workspace depends on by `deny.toml`.
fn dependencies() -> anyhow::Result<()> {
    let cargo_deny = cargo_deny()?;
    step::run(Command::new(cargo_deny).args(["check", "bans", "licenses", "sources"]))
}

/// The pinned cargo-deny, built into `target/tools` when it is not there yet.
///
/// Without optimisation: it takes under a minute to build and two seconds to run.
fn cargo_deny() -> anyhow::Result<PathBuf> {
    let tools = step::target().join("tools");
    let program = tools.join("bin").join("cargo-deny");
    let installed = step::output_of(&program.to_string_lossy(), &["--version"]);
    if installed.is_none_or(|version| version.trim() != format!("cargo-deny {CARGO_DENY}")) {
        step::run(
            step::cargo()
                .args(["install", "--locked", "--profile", "dev", "--quiet"])
                .arg("--root")
                .arg(&tools)
                .args(["cargo-deny", "--version"])
                .arg(format!("={CARGO_DENY}"))
                .env_remove("CARGO_TARGET_DIR"),
        )?;
    }
    Ok(program)
}
