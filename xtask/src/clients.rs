//! The unmodified clients of the contract tests: installed once, pinned, under `target/contract`.
//!
//! What is installed is written down as a copy of its lock file, and only once the installation
//! succeeded: a changed pin, or an installation cut short, installs again.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;

use crate::step;

/// Where the clients are.
pub fn folder() -> PathBuf {
    step::target().join("contract")
}

/// Installs the npm and the PyPI clients where they are not there yet.
///
/// # Errors
/// When a package cannot be fetched, or differs from its pinned hash.
pub fn install() -> anyhow::Result<()> {
    std::fs::create_dir_all(folder()).context("target/contract cannot be made")?;
    once("package-lock.json", install_npm)?;
    once("requirements.txt", install_pypi)
}

/// Installs the PyPI clients alone.
///
/// # Errors
/// As [`install`].
pub fn install_pypi_once() -> anyhow::Result<()> {
    std::fs::create_dir_all(folder()).context("target/contract cannot be made")?;
    once("requirements.txt", install_pypi)
}

/// Runs `install` unless the last success was with the same text of `lock`.
fn once(lock: &str, install: fn() -> anyhow::Result<()>) -> anyhow::Result<()> {
    let wanted = std::fs::read_to_string(step::root().join("contract").join(lock))
        .with_context(|| format!("contract/{lock} cannot be read"))?;
    let done = folder().join(format!("{lock}.installed"));
    if std::fs::read_to_string(&done).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    install()?;
    std::fs::write(&done, wanted).with_context(|| format!("{} cannot be written", done.display()))
}

fn install_npm() -> anyhow::Result<()> {
    for file in ["package.json", "package-lock.json"] {
        std::fs::copy(
            step::root().join("contract").join(file),
            folder().join(file),
        )
        .with_context(|| format!("contract/{file} cannot be copied"))?;
    }
    step::run(
        Command::new("npm")
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
            .arg("--prefix")
            .arg(folder()),
    )
}

fn install_pypi() -> anyhow::Result<()> {
    let venv = folder().join("venv");
    step::run(
        Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(&venv),
    )?;
    step::run(
        Command::new(venv.join("bin").join("python"))
            .args(["-m", "pip", "install", "--quiet", "--no-input"])
            .args(["--disable-pip-version-check", "--no-deps"])
            .args(["--only-binary", ":all:", "--require-hashes"])
            // The release that azure-iot-device asks for was published as source alone.
            .args(["--no-binary", "paho-mqtt"])
            .arg("-r")
            .arg(step::root().join("contract").join("requirements.txt")),
    )
}
