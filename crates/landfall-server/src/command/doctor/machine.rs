//! What a server needs of the machine: a clock that is right, files that it may open, memory.

use std::fs;

use landfall_core::clock::{Clock as _, Timestamp};

use super::finding::Report;
use super::running::Announced;
use crate::config::Settings;
use crate::listener::{OTHER_FILES, most_open_files};
use crate::time::{SystemClock, is_ahead, is_behind};

/// Too little for a server under load, in bytes.
const LITTLE_MEMORY: u64 = 256 << 20;

/// Too little for any server, in bytes.
const NO_MEMORY: u64 = 48 << 20;

/// Fewer connections than this are of no use.
const FEWEST_CONNECTIONS: usize = 64;

/// Whether the clock shows a time that can be.
pub fn clock(report: &mut Report) {
    clock_at(report, SystemClock.now());
}

fn clock_at(report: &mut Report, now: Timestamp) {
    let shows = format!("shows {}", now.to_wire_seconds());
    if is_behind(now) {
        report.failure(
            "clock",
            &format!("{shows}, which is before this program was made"),
            "set the clock of this machine, and let NTP keep it: certificates and tokens are refused otherwise",
        );
    } else if is_ahead(now) {
        report.failure(
            "clock",
            &format!("{shows}, which is many years after this program was made"),
            "set the clock of this machine, and let NTP keep it: good certificates and tokens have ended by this clock",
        );
    } else {
        report.fine("clock", &shows);
    }
}

/// Whether the server may open a file for each connection that it is to take.
pub fn open_files(report: &mut Report, settings: &Settings, announced: Option<&Announced>) {
    let running = announced.and_then(|it| it.pid);
    let of_server = running.and_then(|pid| fs::read_to_string(format!("/proc/{pid}/limits")).ok());
    let whose = match &of_server {
        Some(_) => "the server",
        None => "a process started from here",
    };
    let text = of_server.or_else(|| fs::read_to_string("/proc/self/limits").ok());
    files(
        report,
        whose,
        most_open_files(&text.unwrap_or_default()),
        settings.limits.connections,
    );
}

fn files(report: &mut Report, whose: &str, limit: Option<usize>, connections: usize) {
    const RAISE: &str = "raise the limit: LimitNOFILE= in the systemd unit, `ulimit -n` in a shell, --ulimit nofile= of a container";
    let Some(limit) = limit else {
        return report.fine("files", &format!("{whose} may open any number of files"));
    };
    let wanted = connections + OTHER_FILES;
    let room = limit.saturating_sub(OTHER_FILES);
    let may = format!("{whose} may open {limit} files");
    if room < FEWEST_CONNECTIONS {
        report.failure(
            "files",
            &format!("{may}, which leaves {room} for connections"),
            RAISE,
        );
    } else if limit < wanted {
        report.warning(
            "files",
            &format!(
                "{may}: it takes {room} connections at once and not the {connections} of limits.connections"
            ),
            &format!("{RAISE}; or lower limits.connections"),
        );
    } else {
        report.fine(
            "files",
            &format!("{may}, enough for {connections} connections"),
        );
    }
}

/// Whether there is memory left, of the machine and of the group of processes that this one is in.
pub fn memory(report: &mut Report) {
    let machine = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    // Version 2 alone, whose one line is `0::/path`; within a container the path is the root.
    let group = own.lines().find_map(|line| line.strip_prefix("0::"));
    let bound = group.and_then(|group| {
        let number = |file: &str| -> Option<u64> {
            let path = format!("/sys/fs/cgroup{group}/{file}");
            fs::read_to_string(path).ok()?.trim().parse().ok()
        };
        Some(number("memory.max")?.saturating_sub(number("memory.current")?))
    });
    let available = available_memory(&machine);
    match available.into_iter().chain(bound).min() {
        Some(bytes) => enough(report, bytes),
        None => report.unknown(
            "memory",
            "this system does not say how much is left",
            "see that a server has 256 MB",
        ),
    }
}

fn enough(report: &mut Report, bytes: u64) {
    let left = format!("{} MB are left", bytes >> 20);
    let more = "stop what else uses it, or give the machine or container more";
    if bytes < NO_MEMORY {
        report.failure("memory", &left, more);
    } else if bytes < LITTLE_MEMORY {
        report.warning("memory", &left, more);
    } else {
        report.fine("memory", &left);
    }
}

/// What Linux says that programs can still have, in bytes.
fn available_memory(text: &str) -> Option<u64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kilobytes: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    Some(kilobytes << 10)
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    fn level(look: impl FnOnce(&mut Report)) -> Level {
        let mut report = Report::default();
        look(&mut report);
        report.findings[0].level
    }

    #[test]
    fn a_clock_that_stands_or_runs_away_is_a_failure() {
        let at = |seconds| level(|report| clock_at(report, Timestamp::from_unix_seconds(seconds)));
        assert_eq!(at(0), Level::Failure);
        assert_eq!(at(4_000_000_000), Level::Failure);
        assert_eq!(level(clock), Level::Fine);
    }

    #[test]
    fn a_limit_of_files_below_the_connections_is_told() {
        let at = |limit| level(|report| files(report, "it", limit, 16_000));
        assert_eq!(at(Some(64)), Level::Failure);
        assert_eq!(at(Some(1024)), Level::Warning);
        assert_eq!(at(Some(20_000)), Level::Fine);
        assert_eq!(at(None), Level::Fine);
    }

    #[test]
    fn memory_is_read_and_judged() {
        let text = "MemTotal: 24 kB\nMemAvailable:     102400 kB\n";
        assert_eq!(available_memory(text), Some(100 << 20));
        assert_eq!(level(|report| enough(report, 1 << 20)), Level::Failure);
        assert_eq!(level(|report| enough(report, 100 << 20)), Level::Warning);
        assert_eq!(level(|report| enough(report, 1 << 30)), Level::Fine);
    }
}
