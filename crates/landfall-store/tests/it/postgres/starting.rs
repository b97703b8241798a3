//! PostgreSQL for tests. `LANDFALL_TEST_POSTGRES` holds the URLs of servers that run already, parted by
//! blanks (`cargo xtask test` starts them); without it each test process starts one of its own from the
//! programs of this machine. A machine without them fails the tests: what was not tried did not pass.
//! The tests of other crates that need a server read this file too.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a server that does not start ends the test"
)]

use std::io::Read as _;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;

const SERVERS: &str = "LANDFALL_TEST_POSTGRES";

/// The user that a server runs as when the tests run as root, which PostgreSQL refuses.
const NOBODY: u32 = 65534;

/// Ends the server when the process ends that holds its input.
const UNTIL_INPUT_ENDS: &str = r#"
"$0" "$@" & server=$!
read -r _
kill -INT "$server"; wait "$server"; rm -rf "$FOLDER"
"#;

/// A server of this process.
struct Own {
    url: String,
    _input: ChildStdin,
    _child: Child,
}

/// The URLs of the servers to try everything on.
pub(crate) fn servers() -> Vec<String> {
    static OWN: OnceLock<Own> = OnceLock::new();
    match std::env::var(SERVERS) {
        Ok(urls) if !urls.trim().is_empty() => urls.split_whitespace().map(str::to_owned).collect(),
        _ => vec![OWN.get_or_init(start).url.clone()],
    }
}

fn start() -> Own {
    let programs = programs().unwrap_or_else(|| {
        panic!(
            "PostgreSQL is not tested: its programs are not in /usr/lib/postgresql; install \
             postgresql-15, or name a running server in {SERVERS}"
        )
    });
    let folder = tempfile::tempdir().expect("a folder").keep();
    let root = std::fs::metadata("/proc/self").is_ok_and(|of| {
        use std::os::unix::fs::MetadataExt as _;
        of.uid() == 0
    });
    if root {
        chown(&folder, Some(NOBODY), Some(NOBODY)).expect("given away");
    }
    let as_nobody = |mut command: Command| {
        if root {
            command.uid(NOBODY).gid(NOBODY);
        }
        command.current_dir(&folder);
        command
    };
    let data = folder.join("data");
    let mut initdb = Command::new(programs.join("initdb"));
    initdb
        .args([
            "--username=landfall",
            "--auth=trust",
            "--encoding=UTF8",
            "--no-locale",
        ])
        .arg("--no-sync")
        .arg("--pgdata")
        .arg(&data)
        .stdout(Stdio::null());
    assert!(as_nobody(initdb).status().expect("initdb runs").success());
    let mut server = Command::new("sh");
    server
        .args(["-c", UNTIL_INPUT_ENDS])
        .arg(programs.join("postgres"))
        .arg("-D")
        .arg(&data)
        .arg("-k")
        .arg(&folder)
        .args(["-c", "listen_addresses=", "-c", "max_connections=200"])
        .env("FOLDER", &folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = as_nobody(server).spawn().expect("a server");
    let mut said = child.stderr.take().expect("its log");
    let mut log = Vec::new();
    let mut part = [0; 1024];
    while !String::from_utf8_lossy(&log).contains("ready to accept connections") {
        let read = said.read(&mut part).expect("its log");
        assert!(read > 0, "{}", String::from_utf8_lossy(&log));
        log.extend_from_slice(&part[..read]);
    }
    // Whoever writes a log must find somebody who reads it.
    std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
    Own {
        url: format!("postgresql://landfall@/postgres?host={}", folder.display()),
        _input: child.stdin.take().expect("its input"),
        _child: child,
    }
}

/// The folder of the newest programs.
pub(crate) fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut found: Vec<PathBuf> = versions
        .filter_map(|version| Some(version.ok()?.path().join("bin")))
        .filter(|bin| Path::new(bin).join("postgres").exists())
        .collect();
    found.sort();
    found.pop()
}
