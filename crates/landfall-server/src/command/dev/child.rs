//! The command that a development server lasts for: started with the variables of `landfall env`,
//! told to end when the server is, and its exit status passed on.

use std::ffi::OsString;
use std::io::{self, IsTerminal as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitCode, ExitStatus};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use crate::command::env::Variables;
use crate::command::outcome::{Exit, Failure};
use crate::command::print;
use crate::signals::{Reason, Stop};
use crate::time::{self, Stopwatch};

/// How long a command that was told to end may take to do so; and within which time a second
/// Ctrl-C means that it does not.
const GRACE: Duration = Duration::from_secs(10);

/// What would lead client commands to another server than this one.
const ELSEWHERE: [&str; 5] = [
    "LANDFALL_CONNECTION_STRING",
    "LANDFALL_HUB_CONNECTION_STRING",
    "LANDFALL_SERVER",
    "LANDFALL_CONTROL_TOKEN",
    "LANDFALL_CA",
];

/// Runs the command to its end and gives its status as this process shall leave with it.
///
/// # Errors
/// [`Failure`] when the command cannot be started.
pub async fn run(
    command: &[OsString],
    variables: &Variables,
    stop: &mut Stop,
) -> Result<ExitCode, Failure> {
    let mut child = start(command, variables)?;
    let mut told: Option<Told> = None;
    loop {
        let overdue = async {
            match &told {
                Some(told) if told.is_bounded => time::sleep(told.left()).await,
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            ended = child.wait() => return Ok(status(ended.map_err(|error| lost(&error))?)),
            reason = stop.wait() => match &told {
                Some(told) if !told.left().is_zero() => end(&mut child),
                _ => told = Some(tell(&child, reason)),
            },
            () = overdue => {
                told = None;
                end(&mut child);
            }
        }
    }
}

fn start(command: &[OsString], variables: &Variables) -> Result<Child, Failure> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(Failure::usage("no command is given", "name one after --"));
    };
    let mut command = Command::new(program);
    command.args(arguments).kill_on_drop(true);
    for name in ELSEWHERE {
        command.env_remove(name);
    }
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    command.spawn().map_err(|error| {
        let what = format!("cannot run '{}': {error}", program.display());
        match error.kind() {
            io::ErrorKind::NotFound => Failure::new(
                Exit::NoCommand,
                what,
                "check the name, and that PATH leads to it",
            ),
            _ => Failure::new(
                Exit::NotExecutable,
                what,
                "check that it is a program or a script with a #! line, and may be executed",
            ),
        }
    })
}

/// A command that was told to end.
struct Told {
    since: Stopwatch,
    /// Whether it is killed when its time is over.
    is_bounded: bool,
}

impl Told {
    fn left(&self) -> Duration {
        GRACE.saturating_sub(self.since.elapsed())
    }
}

/// Passes the signal on, unless the terminal sent it to both of us. A command at a terminal may live
/// on after Ctrl-C, as an interpreter's prompt does; whoever sits there can press it again.
fn tell(child: &Child, reason: Reason) -> Told {
    let seconds = GRACE.as_secs();
    let by_terminal = reason == Reason::Interrupted && at_a_terminal();
    if by_terminal {
        print::aside(&format!(
            "landfall: waiting for the command to end; Ctrl-C again within {seconds} s kills it"
        ));
    } else {
        print::aside(&format!(
            "landfall: {reason}: told the command to end; it is killed in {seconds} s"
        ));
        let signal = match reason {
            Reason::Interrupted => Signal::INT,
            Reason::Terminated => Signal::TERM,
            Reason::HungUp => Signal::HUP,
        };
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        if let Some(id) = id.and_then(Pid::from_raw) {
            // One that ended meanwhile needs no signal.
            let _ = kill_process(id, signal);
        }
    }
    Told {
        since: Stopwatch::start(),
        is_bounded: !by_terminal,
    }
}

fn at_a_terminal() -> bool {
    io::stdin().is_terminal() || io::stdout().is_terminal() || io::stderr().is_terminal()
}

fn end(child: &mut Child) {
    print::aside("landfall: the command is killed");
    // One that ended meanwhile needs no signal.
    let _ = child.start_kill();
}

/// As a shell tells it: the status itself, or 128 and the signal.
fn status(ended: ExitStatus) -> ExitCode {
    let code = ended
        .code()
        .or_else(|| ended.signal().map(|signal| 128 + signal))
        .and_then(|code| u8::try_from(code).ok());
    ExitCode::from(code.unwrap_or(1))
}

fn lost(error: &io::Error) -> Failure {
    Failure::new(
        Exit::Refused,
        format!("the command's end was not seen: {error}"),
        "see whether it still runs",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_passed_on_as_a_shell_tells_it() {
        for (raw, code) in [(0, 0), (3 << 8, 3), (255 << 8, 255), (9, 137), (15, 143)] {
            assert_eq!(status(ExitStatus::from_raw(raw)), ExitCode::from(code));
        }
    }
}
