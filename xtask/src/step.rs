//! One command of a task: announced, run in the repository's root, and failed aloud.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

/// The repository's root.
pub fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_path_buf()
}

/// What tests and lints build besides what a release has: so both are built, and neither twice.
pub const TESTED_FEATURES: [&str; 2] = ["--features", "landfall-server/opentelemetry"];

/// Where cargo puts what it builds: `CARGO_TARGET_DIR`, else `target` in the root.
pub fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => root().join(folder),
        None => root().join("target"),
    }
}

/// Where cargo keeps what it fetched: `CARGO_HOME`, else `.cargo` of the home folder.
///
/// # Errors
/// When neither is known.
pub fn cargo_home() -> anyhow::Result<PathBuf> {
    let given = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let own = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo"));
    given
        .or_else(own)
        .context("neither CARGO_HOME nor HOME is set")
}

/// The cargo that started this task.
pub fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Prints what is about to run, runs it in the root, and fails when it fails.
///
/// # Errors
/// When the command cannot be started or leaves with anything but 0.
pub fn run(command: &mut Command) -> anyhow::Result<()> {
    let shown = shown(command);
    println!("\n==> {shown}");
    let status = command
        .current_dir(root())
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("{shown} cannot be started"))?;
    if !status.success() {
        bail!("{shown} failed: {status}");
    }
    Ok(())
}

/// What a command prints on its standard output, when it can be started and succeeds.
pub fn output_of(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    if !output.status.success() {
        return None;
    }
    String::from_utf8(output.stdout).ok()
}

/// A command as a person would type it, without the folders of this machine.
fn shown(command: &Command) -> String {
    let root = format!("{}/", root().display());
    let program = Path::new(command.get_program());
    let program = match program.file_name() {
        Some(name) => name.to_string_lossy().into_owned(),
        None => program.to_string_lossy().into_owned(),
    };
    std::iter::once(program)
        .chain(
            command
                .get_args()
                .map(|argument| argument.to_string_lossy().replace(&root, "")),
        )
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_command_fails_the_step() {
        assert!(run(&mut Command::new("false")).is_err());
        assert!(run(&mut Command::new("true")).is_ok());
    }

    #[test]
    fn a_step_is_shown_without_this_machines_folders() {
        let mut command = Command::new("/usr/bin/python3");
        command.arg(root().join("contract/run.py")).arg("--only");
        assert_eq!(shown(&command), "python3 contract/run.py --only");
    }

    #[test]
    fn a_command_that_fails_has_no_output() {
        assert_eq!(output_of("false", &[]), None);
        assert_eq!(output_of("echo", &["here"]).as_deref(), Some("here\n"));
    }
}
