//! What tests and comparisons need of this machine, and how a missing piece gets there.
//!
//! On Debian as root the missing packages are installed. Anywhere else they are named and the task
//! fails: a test that cannot run is a failure, never a skip.

use std::os::unix::fs::PermissionsExt as _;
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

/// Where Debian keeps the programs of PostgreSQL 15.
pub const POSTGRESQL_15: &str = "/usr/lib/postgresql/15/bin";

const POSTGRESQL: Need = Need {
    name: "PostgreSQL 15",
    program: "/usr/lib/postgresql/15/bin/postgres",
    arguments: &["--version"],
    debian: "postgresql-15",
};

const NEEDS: [Need; 15] = [
    Need::program("bash", &["--version"], "bash"),
    Need::program("curl", &["--version"], "curl"),
    Need::program("faketime", &["--version"], "faketime"),
    Need::program("fish", &["--version"], "fish"),
    Need::program("git", &["--version"], "git"),
    Need::program("man", &["--version"], "man-db"),
    Need::program("openssl", &["version"], "openssl"),
    Need::program("xxd", &["-h"], "xxd"),
    POSTGRESQL,
    Need::program("zsh", &["--version"], "zsh"),
    Need::program("prometheus", &["--version"], "prometheus"),
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

    /// Whether it can be started and leaves without a complaint; some complain of being asked for help.
    fn is_there(&self) -> bool {
        Command::new(self.program)
            .args(self.arguments)
            .output()
            .is_ok_and(|output| {
                output.status.success() || ["xxd", "mosquitto"].contains(&self.program)
            })
    }
}

/// What a short comparison needs: something to keep processes on a processor, something to count calls
/// of the kernel with, and a broker that everybody knows.
const TO_MEASURE: [Need; 3] = [
    Need::program("taskset", &["--version"], "util-linux"),
    Need::program("strace", &["--version"], "strace"),
    Need::program("mosquitto", &["-h"], "mosquitto"),
];

/// What a whole one needs besides: servers that everybody knows.
const TO_COMPARE: [Need; 2] = [Need::program("nginx", &["-v"], "nginx-light"), POSTGRESQL];

/// Makes sure that everything is there that a short comparison needs.
///
/// # Errors
/// As of [`prepare`].
pub fn prepare_to_measure() -> anyhow::Result<()> {
    provide(&TO_MEASURE)
}

/// Makes sure that everything is there that a whole comparison needs.
///
/// # Errors
/// As of [`prepare`].
pub fn prepare_to_compare() -> anyhow::Result<()> {
    prepare_to_measure()?;
    provide(&TO_COMPARE)
}

/// Makes sure that the database is there whose servers are killed.
///
/// # Errors
/// As of [`prepare`].
pub fn prepare_to_crash() -> anyhow::Result<()> {
    provide(&[POSTGRESQL])
}

/// Makes sure that everything is there that tests need.
///
/// # Errors
/// When something is missing and this task may not install it, or when installing fails.
pub fn prepare() -> anyhow::Result<()> {
    provide(&NEEDS)?;
    let version = step::output_of("node", &["--version"]).context("node does not answer")?;
    match major(&version) {
        Some(number) if number >= OLDEST_NODE => Ok(()),
        _ => bail!(
            "node is {}, and the npm clients need {OLDEST_NODE} or newer: install a newer one",
            version.trim()
        ),
    }
}

fn provide(needs: &[Need]) -> anyhow::Result<()> {
    let missing = missing(needs);
    if missing.is_empty() {
        return Ok(());
    }
    if !(is_debian() && is_root()) {
        bail!("{}", complaint(&missing));
    }
    install(&missing)?;
    let still = self::missing(needs);
    if !still.is_empty() {
        bail!("{}", complaint(&still));
    }
    Ok(())
}

fn missing(needs: &[Need]) -> Vec<&Need> {
    needs.iter().filter(|need| !need.is_there()).collect()
}

fn complaint(missing: &[&Need]) -> String {
    let names: Vec<_> = missing.iter().map(|need| need.name).collect();
    let packages: Vec<_> = missing.iter().map(|need| need.debian).collect();
    format!(
        "this task needs these, and they are not here: {}\n  on Debian, as root: apt-get install --no-install-recommends {}",
        names.join(", "),
        packages.join(" ")
    )
}

fn install(missing: &[&Need]) -> anyhow::Result<()> {
    let _quiet = NothingStarts::begin()?;
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

/// Keeps Debian from starting the servers that it installs, for as long as this lives.
struct NothingStarts {
    ours: bool,
}

/// The program that Debian asks before it starts a server; 101 says no.
const POLICY: &str = "/usr/sbin/policy-rc.d";

impl NothingStarts {
    fn begin() -> anyhow::Result<Self> {
        let ours = !Path::new(POLICY).exists();
        if ours {
            std::fs::write(POLICY, "#!/bin/sh\nexit 101\n")
                .with_context(|| format!("{POLICY} cannot be written"))?;
            std::fs::set_permissions(POLICY, std::fs::Permissions::from_mode(0o755))?;
        }
        Ok(NothingStarts { ours })
    }
}

impl Drop for NothingStarts {
    fn drop(&mut self) {
        if self.ours {
            // It would be found, and asked, at the next installation of anything.
            let _ = std::fs::remove_file(POLICY);
        }
    }
}

fn is_debian() -> bool {
    Path::new("/etc/debian_version").exists()
}

/// Whether this task runs as root.
pub fn is_root() -> bool {
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
