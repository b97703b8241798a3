//! One PostgreSQL server of a lane's own, of the programs of this machine: made, killed in either way that a
//! machine kills it, started again, and looked through at the end.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};
use landfall_server::time::{Stopwatch, sleep};
use tempfile::TempDir;

/// Where Debian keeps the programs of each version.
const VERSIONS: &str = "/usr/lib/postgresql";
/// The user that PostgreSQL runs as when this runs as root, which it refuses.
const NOBODY: u32 = 65534;
/// A start that takes longer has failed; after a kill it first reads its log.
const STARTED_WITHIN: Duration = Duration::from_secs(60);
/// The pause between two questions whether it takes connections.
const PAUSE: Duration = Duration::from_millis(20);

/// How a database server is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// `kill -9` of its first process.
    Kill,
    /// `pg_ctl stop -m immediate`: all its processes leave and write nothing more.
    Immediate,
}

/// See the module.
pub struct Cluster {
    folder: TempDir,
    programs: PathBuf,
    running: Mutex<Option<Child>>,
}

impl Cluster {
    /// Makes an empty one of the programs that are given, or that this machine has, and does not start it.
    ///
    /// # Errors
    /// When the programs are not there, or refuse.
    pub fn make(given: Option<&Path>) -> anyhow::Result<Self> {
        let given = given.map(Path::to_owned);
        let programs = given.or_else(programs).with_context(|| {
            format!("no PostgreSQL below {VERSIONS}: install postgresql-15, or try --engine sqlite")
        })?;
        let folder = tempfile::Builder::new()
            .prefix("landfall-crash-pg-")
            .tempdir()?;
        if is_root()? {
            chown(folder.path(), Some(NOBODY), Some(NOBODY))?;
        }
        let cluster = Cluster {
            folder,
            programs,
            running: Mutex::new(None),
        };
        let words = [
            "--username=landfall",
            "--auth=trust",
            "--encoding=UTF8",
            "--no-locale",
        ];
        cluster.run(
            "initdb",
            &[&words[..], &["--no-sync", "--pgdata"]].concat(),
            true,
        )?;
        Ok(cluster)
    }

    /// The URL of its database, for the server of a number.
    pub fn url(&self, node: usize) -> String {
        format!(
            "postgresql://landfall@/postgres?host={}&application_name={}",
            self.folder.path().display(),
            name_of(node)
        )
    }

    /// Waits until nothing goes on that a killed server has begun: until then it may still come about.
    ///
    /// # Errors
    /// When the database does not say so in time.
    pub async fn forgets(&self, node: usize) -> anyhow::Result<()> {
        let socket = self.folder.path().display().to_string();
        // It divides by how many are left, and fails by that.
        let question = format!(
            "SELECT 1 / (count(*) = 0)::int FROM pg_stat_activity WHERE application_name = '{}'",
            name_of(node)
        );
        let words = ["--no-psqlrc", "--quiet", "--username=landfall", "--host"];
        let words = [&words[..], &[&socket, "--command", &question, "postgres"]].concat();
        let watch = Stopwatch::start();
        while let Err(error) = self.run("psql", &words, false) {
            if watch.elapsed() > STARTED_WITHIN {
                return Err(error.context("the database goes on for a server that is gone"));
            }
            sleep(PAUSE).await;
        }
        Ok(())
    }

    /// Starts it and waits until it takes connections.
    ///
    /// # Errors
    /// When it does not.
    pub async fn start(&self) -> anyhow::Result<()> {
        let watch = Stopwatch::start();
        loop {
            if !self.is_running() {
                // Those that a killed one left behind keep the next out until they are gone.
                self.launch()?;
            }
            sleep(PAUSE).await;
            let socket = self.folder.path().display().to_string();
            let asked = self.run("pg_isready", &["--quiet", "--host", &socket], false);
            if asked.is_ok() && self.is_running() {
                return Ok(());
            }
            if watch.elapsed() > STARTED_WITHIN {
                bail!("PostgreSQL does not start:\n{}", self.end_of_log());
            }
        }
    }

    /// Kills it.
    pub fn kill(&self, how: How) {
        if how == How::Immediate {
            // What does not come about by this comes about below.
            let _ = self.run(
                "pg_ctl",
                &["stop", "--mode=immediate", "--silent", "--pgdata"],
                true,
            );
        }
        if let Some(mut child) = self.running().take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Reads every table and index.
    ///
    /// # Errors
    /// What is damaged.
    pub fn check(&self) -> anyhow::Result<()> {
        let socket = self.folder.path().display().to_string();
        let words = [
            "--host",
            &socket,
            "--username=landfall",
            "--install-missing",
            "--database=postgres",
        ];
        self.run("pg_amcheck", &words, false).context("DAMAGED")
    }

    /// Keeps the folder for whoever looks into a failure.
    pub fn keep(mut self) {
        self.folder.disable_cleanup(true);
        println!("its PostgreSQL stays in {}", self.folder.path().display());
    }

    fn launch(&self) -> anyhow::Result<()> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.folder.path().join("log"))?;
        let mut command = self.program("postgres")?;
        command
            .arg("-D")
            .arg(self.data())
            .arg("-k")
            .arg(self.folder.path())
            .args(["-c", "listen_addresses="])
            .stdout(log.try_clone()?)
            .stderr(log);
        *self.running() = Some(command.spawn().context("postgres cannot be started")?);
        Ok(())
    }

    fn is_running(&self) -> bool {
        let mut running = self.running();
        let left = running.as_mut().map(|child| child.try_wait());
        matches!(left, Some(Ok(None)))
    }

    /// Runs one of its programs to its end; `on_data` names the data as the last word.
    fn run(&self, name: &str, words: &[&str], on_data: bool) -> anyhow::Result<()> {
        let mut command = self.program(name)?;
        command.args(words);
        if on_data {
            command.arg(self.data());
        }
        let done = command
            .output()
            .with_context(|| format!("{name} cannot be started"))?;
        if !done.status.success() {
            let said = [done.stdout, done.stderr].concat();
            bail!("{name}: {}", String::from_utf8_lossy(&said));
        }
        Ok(())
    }

    fn program(&self, name: &str) -> anyhow::Result<Command> {
        let mut command = Command::new(self.programs.join(name));
        command
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            // A signal from the terminal ends this program, which then ends it.
            .process_group(0);
        if is_root()? {
            command.uid(NOBODY).gid(NOBODY);
        }
        Ok(command)
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn running(&self) -> MutexGuard<'_, Option<Child>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end_of_log(&self) -> String {
        let text = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.kill(How::Immediate);
    }
}

/// The folder of the newest programs.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir(VERSIONS).ok()?;
    let mut found: Vec<PathBuf> = versions
        .filter_map(|version| Some(version.ok()?.path().join("bin")))
        .filter(|bin| bin.join("postgres").exists())
        .collect();
    found.sort();
    found.pop()
}

/// What the database calls the connections of a server.
fn name_of(node: usize) -> String {
    format!("node-{node}")
}

fn is_root() -> anyhow::Result<bool> {
    Ok(fs::metadata(Path::new("/proc/self"))?.uid() == 0)
}
