//! What the contract tests need of this machine, and how a missing piece gets there.
//!
//! On Debian as root the missing packages are installed. Anywhere else they are named and the task
//! fails: a test that cannot run is a failure, never a skip.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};

use crate::step;

/// The oldest Node.js that the pinned npm clients are run on.
const OLDEST_NODE: u32 = 18;

/// A program that must be there, how to see that it is, and the Debian package that brings it.
struct Need {
    name: &'static str,
    program: &'static str,
    arguments: &'static [&'static str],
    debian: &'static str,
}

const NEEDS: [Need; 13] = [
    Need::program("bash", &["--version"], "bash"),
    Need::program("curl", &["--version"], "curl"),
    Need::program("faketime", &["--version"], "faketime"),
    Need::program("fish", &["--version"], "fish"),
    Need::program("git", &["--version"], "git"),
    Need::program("man", &["--version"], "man-db"),
    Need::program("openssl", &["version"], "openssl"),
    Need::program("xxd", &["-h"], "xxd"),
    Need::program("zsh", &["--version"], "zsh"),
    Need::program("node", &["--version"], "nodejs"),
    Need::program("npm", &["--version"], "npm"),
    Need::program("python3", &["--version"], "python3"),
    Need {
        name: "python3 with venv",
        program: "python3",
        arguments: &["-c", "import venv, ensurepip"],
        debian: "python3-venv",
    },
];

impl Need {
    const fn program(
        program: &'static str,
        arguments: &'static [&'static str],
        debian: &'static str,
    ) -> Self {
        Need {
            name: program,
            program,
            arguments,
            debian,
        }
    }

    /// Whether it can be started and leaves without a complaint; `xxd -h` complains by habit.
    fn is_there(&self) -> bool {
        Command::new(self.program)
            .args(self.arguments)
            .output()
            .is_ok_and(|output| output.status.success() || self.program == "xxd")
    }
}

/// Makes sure that everything is there.
///
/// # Errors
/// When something is missing and this task may not install it, or when installing fails.
pub fn prepare() -> anyhow::Result<()> {
    let missing = missing();
    if !missing.is_empty() {
        if !(is_debian() && is_root()) {
            bail!("{}", complaint(&missing));
        }
        install(&missing)?;
        let still = self::missing();
        if !still.is_empty() {
            bail!("{}", complaint(&still));
        }
    }
    let version = step::output_of("node", &["--version"]).context("node does not answer")?;
    match major(&version) {
        Some(number) if number >= OLDEST_NODE => Ok(()),
        _ => bail!(
            "node is {}, and the npm clients need {OLDEST_NODE} or newer: install a newer one",
            version.trim()
        ),
    }
}

fn missing() -> Vec<&'static Need> {
    NEEDS.iter().filter(|need| !need.is_there()).collect()
}

fn complaint(missing: &[&Need]) -> String {
    let names: Vec<_> = missing.iter().map(|need| need.name).collect();
    let packages: Vec<_> = missing.iter().map(|need| need.debian).collect();
    format!(
        "the tests need these, and they are not here: {}\n  on Debian, as root: apt-get install --no-install-recommends {}",
        names.join(", "),
        packages.join(" ")
    )
}

fn install(missing: &[&Need]) -> anyhow::Result<()> {
    step::run(
        Command::new("apt-get")
            .args(["update", "-qq"])
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )?;
    step::run(
        Command::new("apt-get")
            .args(["install", "-y", "-qq", "--no-install-recommends"])
            .args(missing.iter().map(|need| need.debian))
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )
}

fn is_debian() -> bool {
    Path::new("/etc/debian_version").exists()
}

fn is_root() -> bool {
    step::output_of("id", &["-u"]).is_some_and(|id| id.trim() == "0")
}

/// The first number of a version such as `v20.11.1`.
fn major(version: &str) -> Option<u32> {
    version
        .trim()
        .trim_start_matches('v')
        .split('.')
        .next()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_piece_is_named_with_its_package() {
        let need = Need {
            name: "python3 with venv",
            program: "no-such-program",
            arguments: &[],
            debian: "python3-venv",
        };
        assert!(!need.is_there());
        let text = complaint(&[&need]);
        assert!(text.contains("python3 with venv"));
        assert!(text.contains("apt-get install --no-install-recommends python3-venv"));
    }

    #[test]
    fn the_major_number_of_a_version_is_read() {
        assert_eq!(major("v18.19.0\n"), Some(18));
        assert_eq!(major("20.1"), Some(20));
        assert_eq!(major("nightly"), None);
    }
}
