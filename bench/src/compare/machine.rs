//! Where and how the figures of a page came about: the machine, its disk, the programs, the settings.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use landfall_core::clock::Clock as _;
use landfall_server::time::{Stopwatch, SystemClock};

use super::Options;

/// What one wait for the disk is preceded by: a page of the database.
const PAGE: [u8; 8192] = [7; 8192];
/// How long the disk is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// The section of the page.
pub(super) fn section(options: &Options) -> String {
    let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
    let of_cpu = read("/proc/cpuinfo");
    let model = of_cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown", |rest| rest.trim_start_matches([' ', '\t', ':']));
    let processors = of_cpu.matches("model name").count();
    let load = read("/proc/loadavg");
    let load: Vec<&str> = load.split_ascii_whitespace().take(3).collect();
    let memory = read("/proc/meminfo");
    let kilobytes: u64 = memory
        .split_ascii_whitespace()
        .nth(1)
        .and_then(|number| number.parse().ok())
        .unwrap_or(0);
    let mut rows = vec![
        ("date", SystemClock.now().to_wire_seconds()),
        ("processor", format!("{processors} × {model}")),
        ("memory", format!("{} GB", kilobytes / 1_000_000)),
        (
            "kernel",
            read("/proc/sys/kernel/osrelease").trim().to_owned(),
        ),
        ("file system of the data", disk(&options.folder)),
    ];
    if options.postgres.is_some() {
        rows.push(("file system of PostgreSQL's", disk(&std::env::temp_dir())));
    }
    rows.extend([
        (
            "load of the machine at the end (1, 5, 15 minutes)",
            load.join(", "),
        ),
        ("Landfall", said(&options.landfall, "--version")),
        ("nginx", said("nginx".as_ref(), "-v")),
        ("Mosquitto", mosquitto()),
    ]);
    if options.postgres.is_some() {
        let version =
            "15 of Debian, on Unix sockets with its defaults; the standby on the same machine";
        rows.push(("PostgreSQL", version.to_owned()));
    }
    rows.extend([
        (
            "rounds",
            format!(
                "{} of {} s for each measure, after one that does not count",
                options.rounds,
                options.span.as_secs()
            ),
        ),
        ("enrollments that are imported", options.enrollments.to_string()),
        ("processors", "servers on 0, clients on 1".to_owned()),
        (
            "TLS",
            "1.3, X25519, ECDSA P-256, no resumption; certificates not verified by the client".to_owned(),
        ),
        (
            "Landfall's settings",
            "`landfall serve` with its defaults, log and decision traces included; SQLite with `synchronous = FULL`".to_owned(),
        ),
        ("in flight", "128; nginx with fresh connections 16, where it does best".to_owned()),
    ]);
    let mut text = String::from("\n## Machine and settings\n\n| what | |\n|---|---|\n");
    for (what, value) in rows {
        text.push_str(&format!("| {what} | {value} |\n"));
    }
    text
}

/// What a program says of its version, on whichever stream.
fn said(program: &Path, flag: &str) -> String {
    let Ok(done) = Command::new(program).arg(flag).output() else {
        return "not there".to_owned();
    };
    let mut text = String::from_utf8_lossy(&done.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&done.stderr));
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    words.join(" ")
}

/// What Mosquitto says of its version, at the head of its help.
fn mosquitto() -> String {
    let help = said("mosquitto".as_ref(), "-h");
    let words: Vec<&str> = help.split(' ').take(3).collect();
    words.join(" ")
}

/// The kind of file system of a folder, and how often in a second it takes a page to the disk.
fn disk(folder: &Path) -> String {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let kind = kind_of(&mounts, folder).unwrap_or("unknown");
    match waits(folder) {
        Ok(rate) => format!(
            "{kind}; it takes a page of 8 KiB to the disk {rate:.0} times a second (fdatasync)"
        ),
        Err(error) => format!("{kind}; {error}"),
    }
}

/// The kind of the file system that is mounted nearest above a folder.
fn kind_of<'a>(mounts: &'a str, folder: &Path) -> Option<&'a str> {
    let mut nearest = None;
    for line in mounts.lines() {
        let mut fields = line.split(' ').skip(1);
        let (Some(at), Some(kind)) = (fields.next(), fields.next()) else {
            continue;
        };
        let long = at.len();
        // Of two at one place, the later hides the former.
        if folder.starts_with(at) && nearest.is_none_or(|(than, _)| long >= than) {
            nearest = Some((long, kind));
        }
    }
    nearest.map(|(_, kind)| kind)
}

fn waits(folder: &Path) -> std::io::Result<f64> {
    let path = folder.join("landfall-bench-waits");
    let mut file = File::create(&path)?;
    let watch = Stopwatch::start();
    let mut count = 0_u32;
    while watch.elapsed() < LOOK {
        file.write_all(&PAGE)?;
        file.sync_data()?;
        count += 1;
    }
    let rate = f64::from(count) / watch.elapsed().as_secs_f64();
    fs::remove_file(path)?;
    Ok(rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_mount_tells_the_kind_of_file_system() {
        let mounts = "/dev/a / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/b /tmp/disk xfs rw 0 0\n";
        let kind = |folder: &str| kind_of(mounts, Path::new(folder));
        assert_eq!(kind("/srv/data"), Some("ext4"));
        assert_eq!(kind("/tmp/data"), Some("tmpfs"));
        assert_eq!(kind("/tmp/disk/data"), Some("xfs"));
        assert_eq!(kind("/tmp/disks"), Some("tmpfs"));
        assert_eq!(kind_of("", Path::new("/")), None);
    }
}
