//! What the process hears and says: signals to stop and to read files again, and the log.

use std::fmt;
use std::io::IsTerminal as _;

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// How log messages are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts the log on standard error. A second call in one process changes nothing.
///
/// # Errors
/// When the filter cannot be read.
pub fn log(filter: &str, format: LogFormat) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter)
        .with_context(|| format!("the log filter '{filter}' cannot be read: use for instance 'info' or 'landfall_server=debug,warn'"))?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let _ = match format {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().try_init(),
    };
    Ok(())
}

/// Why the process is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// SIGINT: Ctrl-C, or a program that sent it.
    Interrupted,
    /// SIGTERM.
    Terminated,
    /// SIGHUP: the terminal is gone.
    HungUp,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::Interrupted => "Interrupted",
            Reason::Terminated => "Terminated",
            Reason::HungUp => "Hung up",
        })
    }
}

/// Hears Ctrl-C and SIGTERM.
pub struct Stop {
    interrupt: Signal,
    terminate: Signal,
    hangup: Option<Signal>,
}

impl Stop {
    /// Begins to listen, before anything is opened: a signal during the start is heard too.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn listen() -> anyhow::Result<Self> {
        Ok(Stop {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: None,
        })
    }

    /// The same for a program of a terminal: it also ends when the terminal goes, unless it was
    /// started to outlive it (`nohup`).
    ///
    /// # Errors
    /// When the system refuses.
    pub fn listen_at_a_terminal() -> anyhow::Result<Self> {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let hangup = if ignores_hangup(&status) {
            None
        } else {
            Some(signal(SignalKind::hangup())?)
        };
        Ok(Stop {
            hangup,
            ..Stop::listen()?
        })
    }

    /// Waits for the first signal and names it.
    pub async fn wait(&mut self) -> Reason {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => Reason::Interrupted,
            _ = self.terminate.recv() => Reason::Terminated,
            _ = hangup => Reason::HungUp,
        }
    }

    /// The signal that was given already, if one was.
    pub async fn given(&mut self) -> Option<Reason> {
        tokio::select! {
            biased;
            reason = self.wait() => Some(reason),
            () = std::future::ready(()) => None,
        }
    }
}

/// Hears SIGHUP, by which services are told that their files changed.
pub struct Reload(Signal);

impl Reload {
    /// Begins to listen; until then SIGHUP would end the process.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn listen() -> anyhow::Result<Self> {
        Ok(Reload(signal(SignalKind::hangup())?))
    }

    /// Waits until somebody asks.
    pub async fn asked(&mut self) {
        let _ = self.0.recv().await;
    }
}

/// Whether the process of this `/proc/self/status` was started with SIGHUP, signal 1, ignored.
fn ignores_hangup(status: &str) -> bool {
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_is_to_outlive_its_terminal_is_known_by_its_mask() {
        assert!(ignores_hangup("Name:\tx\nSigIgn:\t0000000000001001\n"));
        assert!(!ignores_hangup("SigIgn:\t0000000000001000\nSigCgt:\t1\n"));
        assert!(!ignores_hangup(""));
    }
}
