//! One real server on a folder: its configuration, started, killed, started again.

use std::fs::{self, DirBuilder, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};
use landfall_core::certificate::Certificate;
use landfall_server::client::Endpoint;
use landfall_server::command::ready;
use landfall_server::data_folder::SERVER_FILE;
use landfall_server::time::{Stopwatch, sleep};
use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;

/// A start that takes longer has failed.
const STARTED_WITHIN: Duration = Duration::from_secs(60);

/// The pause between two questions whether it is ready.
const PAUSE: Duration = Duration::from_millis(3);

/// The host names of a lane's first service and of both hubs.
pub const SERVICE: &str = "service.crash.test";
/// The hub that the service begins with.
pub const FIRST_HUB: &str = "first.crash.test";
/// The hub that is linked besides.
pub const SECOND_HUB: &str = "second.crash.test";

/// A process that can be killed from wherever the moment is seen.
#[derive(Clone)]
pub struct Victim(Arc<Mutex<Option<Child>>>);

impl Victim {
    /// Kills it at once, and waits until it is gone.
    pub fn kill(&self) {
        let mut child = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mut child) = child.take() {
            // It may be gone already, which is found out when it is asked for what it kept.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// The number that the system knows it by, while it is there.
    pub fn id(&self) -> Option<u32> {
        let child = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        child.as_ref().map(Child::id)
    }

    /// Whether it is gone.
    pub fn has_left(&self) -> bool {
        let mut child = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left = child.as_mut().map(|child| child.try_wait());
        !matches!(left, Some(Ok(None)))
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        if Arc::strong_count(&self.0) == 1 {
            self.kill();
        }
    }
}

/// The place and settings of a server; see the module.
pub struct Server {
    folder: TempDir,
    binary: PathBuf,
    /// Where it serves devices and operators.
    pub address: SocketAddr,
    admin: SocketAddr,
    /// The certificate that it shows, by SHA-256.
    pub fingerprint: String,
}

impl Server {
    /// Makes folder, certificate and configuration.
    ///
    /// # Errors
    /// When one of them cannot be made.
    pub fn make(binary: &Path, database_url: Option<&str>) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("landfall-crash-")
            .tempdir()?;
        let key = KeyPair::generate()?;
        let names = [SERVICE, FIRST_HUB, SECOND_HUB].map(str::to_owned);
        let certificate = CertificateParams::new(names)?.self_signed(&key)?;
        fs::write(folder.path().join("server.pem"), certificate.pem())?;
        fs::write(folder.path().join("server-key.pem"), key.serialize_pem())?;
        let (address, admin) = (free()?, free()?);
        let place = folder.path().display();
        let database = database_url.map(|url| format!("[database]\nurl = \"{url}\"\n"));
        let database = database.unwrap_or_default();
        let text = format!(
            "data_dir = \"{place}/data\"\n\
             [https]\nlisten = [\"{address}\"]\n\
             [[https.certificates]]\nchain = \"{place}/server.pem\"\nkey = \"{place}/server-key.pem\"\n\
             {database}[admin]\nlisten = \"{admin}\"\n\
             [device]\nretry_after_seconds = 1\n\
             [log]\nfilter = \"warn\"\n\
             [[services]]\nname = \"crash\"\nhost_name = \"{SERVICE}\"\nhub_host_name = \"{FIRST_HUB}\"\n"
        );
        fs::write(folder.path().join("landfall.toml"), text)?;
        Ok(Server {
            fingerprint: Certificate::from_der(certificate.der())?.sha256_hex(),
            folder,
            binary: binary.to_owned(),
            address,
            admin,
        })
    }

    /// Puts the sealing key of another server, which has started, into the data folder.
    ///
    /// # Errors
    /// When it cannot be copied.
    pub fn share_key_of(&self, other: &Server) -> anyhow::Result<()> {
        DirBuilder::new().mode(0o700).create(self.data())?;
        fs::copy(
            other.data().join("sealing.key"),
            self.data().join("sealing.key"),
        )?;
        Ok(())
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Keeps the folder for whoever looks into a failure, and says where it is.
    pub fn keep(&mut self) -> PathBuf {
        self.folder.disable_cleanup(true);
        self.folder.path().to_owned()
    }

    /// Starts the process, and does not wait.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn launch(&self) -> anyhow::Result<Victim> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.folder.path().join("log"))?;
        let child = Command::new(&self.binary)
            .args(["serve", "--config"])
            .arg(self.folder.path().join("landfall.toml"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("the server cannot be started")?;
        Ok(Victim(Arc::new(Mutex::new(Some(child)))))
    }

    /// Starts the server and waits until it is ready.
    ///
    /// # Errors
    /// When it leaves, or is not ready in time.
    pub async fn start(&self) -> anyhow::Result<Victim> {
        let victim = self.launch()?;
        self.recover(&victim).await?;
        Ok(victim)
    }

    /// Waits until a server that runs is ready again.
    ///
    /// # Errors
    /// When it leaves, or is not ready in time.
    pub async fn recover(&self, victim: &Victim) -> anyhow::Result<()> {
        let admin = Endpoint::new(&self.admin.ip().to_string(), self.admin.port());
        let watch = Stopwatch::start();
        loop {
            let ready = ready::asked(&admin).await.is_ok_and(|said| said.ready);
            // Commands find it by this file, which comes a moment after the first answer.
            if ready && self.data().join(SERVER_FILE).exists() {
                return Ok(());
            }
            if victim.has_left() {
                bail!("the server left:\n{}", self.end_of_log());
            }
            if watch.elapsed() > STARTED_WITHIN {
                bail!("the server is not ready in time:\n{}", self.end_of_log());
            }
            sleep(PAUSE).await;
        }
    }

    /// What a `landfall` command prints about the running server.
    ///
    /// # Errors
    /// When it fails.
    pub fn command(&self, words: &[&str]) -> anyhow::Result<String> {
        let done = Command::new(&self.binary)
            .args(words)
            .arg("--data")
            .arg(self.data())
            .env_remove("LANDFALL_CONNECTION_STRING")
            .env_remove("LANDFALL_HUB_CONNECTION_STRING")
            .output()?;
        if !done.status.success() {
            let said = String::from_utf8_lossy(&done.stderr).into_owned();
            bail!("landfall {}: {said}", words.join(" "));
        }
        Ok(String::from_utf8(done.stdout)?)
    }

    fn end_of_log(&self) -> String {
        let text = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

/// An address that was free a moment ago.
fn free() -> anyhow::Result<SocketAddr> {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(socket.local_addr()?)
}
