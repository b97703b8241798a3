//! The server that is measured: `landfall serve` with its defaults, an ECDSA certificate, one service,
//! a group with keys and one with an authority.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use landfall_bench::load::work::{Way, Work};
use landfall_bench::load::{self, Kept, Target};
use landfall_core::secret::SymmetricKey;
use rusqlite::Connection;
use serde_json::Value as Json;

use super::super::Options;
use super::server::{Server, free_port, pinned, shown_by};

/// The host name of its hub.
pub(crate) const HUB: &str = "127.0.0.1";
/// What registering devices beforehand may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// A Landfall that runs.
pub(crate) struct Landfall {
    home: Home,
    server: Server,
    id_scope: String,
    key: SymmetricKey,
    database: PathBuf,
}

impl Landfall {
    /// Starts a server on a new data folder, with a group with keys and one of the authority `root`.
    pub(super) fn start(options: &Options, root: &str) -> anyhow::Result<Self> {
        let landfall = Landfall::in_home(Home::make(options, "landfall")?)?;
        let client = &landfall.home.client;
        let file = client.folder.join("root.pem");
        std::fs::write(&file, root)?;
        let root = file.to_string_lossy();
        client.json(&[
            "group",
            "create",
            "certificates",
            "--certificate-path",
            &root,
        ])?;
        Ok(landfall)
    }

    /// Starts a server in a new home, with a group with keys.
    pub(crate) fn in_home(home: Home) -> anyhow::Result<Self> {
        let server = home.serve()?;
        let client = &home.client;
        client.wait()?;
        let service = client.json(&["service", "show", "bench"])?;
        client.json(&["group", "create", "keys"])?;
        let group = client.json(&["group", "show", "keys", "--keys"])?;
        Ok(Landfall {
            database: client.folder.join("data/landfall.db"),
            server,
            id_scope: text(&service, "/idScope")?,
            key: SymmetricKey::from_base64(&text(&group, "/attestation/symmetricKey/primaryKey")?)?,
            home,
        })
    }

    /// Ends the server, and starts another in the same home.
    pub(crate) fn again(self) -> anyhow::Result<Self> {
        self.server.stop()?;
        let server = self.home.serve()?;
        self.home.client.wait()?;
        Ok(Landfall { server, ..self })
    }

    /// Registers `count` devices of the group with keys, whose names begin with `prefix`.
    pub(crate) async fn inhabit(&self, prefix: &str, count: usize) -> anyhow::Result<()> {
        let work = Work::keys(&self.id_scope, self.key.clone(), prefix, Way::Https)?;
        let target = Target {
            address: self.server.address,
            in_flight: 64,
            kept: true,
        };
        let work = Arc::new(work.at_most(count));
        let (outcome, _) = load::run(&target, &work, Kept::default(), PATIENCE).await;
        let done = usize::try_from(outcome.done)?;
        ensure!(done == count, "{done} of {count}: {:?}", outcome.errors);
        Ok(())
    }

    /// The process.
    pub(crate) fn server(&self) -> &Server {
        &self.server
    }

    /// Copies the database as it is now, once the traces of what came before are in it.
    pub(super) fn copy(&self, to: &Path) -> anyhow::Result<()> {
        if to.exists() {
            std::fs::remove_file(to)?;
        }
        let from = Connection::open(&self.database)?;
        from.busy_timeout(Duration::from_secs(5))?;
        from.execute("VACUUM INTO ?1", [to.to_string_lossy()])?;
        Ok(())
    }

    /// The id scope of the service.
    pub(super) fn id_scope(&self) -> &str {
        &self.id_scope
    }

    /// The key of the group with keys.
    pub(crate) fn key(&self) -> &SymmetricKey {
        &self.key
    }
}

/// A folder that a server runs in, with its settings.
pub(crate) struct Home {
    pub(crate) client: Client,
    port: u16,
}

impl Home {
    /// Makes a new one of this name.
    pub(crate) fn make(options: &Options, name: &str) -> anyhow::Result<Self> {
        let folder = options.folder.join(name);
        if folder.exists() {
            std::fs::remove_dir_all(&folder).context("the last run's data cannot be removed")?;
        }
        shown_by(&folder)?;
        let (https, admin) = (free_port()?, free_port()?);
        let settings = format!(
            "data_dir = \"data\"\n[https]\nlisten = [\"127.0.0.1:{https}\"]\n\
             [[https.certificates]]\nchain = \"chain.pem\"\nkey = \"key.pem\"\n\
             [admin]\nlisten = \"127.0.0.1:{admin}\"\n\
             [[services]]\nname = \"bench\"\nhost_name = \"localhost\"\nhub_host_name = \"{HUB}\"\n"
        );
        std::fs::write(folder.join("landfall.toml"), settings)?;
        Ok(Home {
            client: Client {
                landfall: options.landfall.clone(),
                folder,
            },
            port: https,
        })
    }

    /// Takes so many connections of one address.
    pub(crate) fn take(self, connections: usize) -> anyhow::Result<Self> {
        let file = self.client.folder.join("landfall.toml");
        let mut settings = std::fs::read_to_string(&file)?;
        settings.push_str(&format!(
            "[limits]\nconnections_per_address = {connections}\n"
        ));
        std::fs::write(file, settings)?;
        Ok(self)
    }

    /// Starts a server in it.
    pub(crate) fn serve(&self) -> anyhow::Result<Server> {
        let log = std::fs::File::create(self.client.folder.join("log"))?;
        let child = pinned(&self.client.landfall)
            .args(["serve", "--config", "landfall.toml"])
            .current_dir(&self.client.folder)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("landfall cannot be started")?;
        Ok(Server::of(child, self.port))
    }
}

fn text(value: &Json, pointer: &str) -> anyhow::Result<String> {
    let text = value.pointer(pointer).and_then(Json::as_str);
    Ok(text.with_context(|| format!("no {pointer}"))?.to_owned())
}

/// Client commands of the same executable.
pub(crate) struct Client {
    landfall: PathBuf,
    pub(crate) folder: PathBuf,
}

impl Client {
    /// A command for the server that runs in the folder.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.landfall);
        command
            .args(words)
            .arg("--data")
            .arg(Path::new("data"))
            .current_dir(&self.folder)
            .stdin(Stdio::null());
        command
    }

    /// Waits until the server is ready.
    pub(crate) fn wait(&self) -> anyhow::Result<()> {
        let log = self.folder.join("log");
        let done = self
            .command(&["ready", "--wait", "30"])
            .stdout(Stdio::null())
            .status()?;
        ensure!(
            done.success(),
            "the server is not ready: {}",
            std::fs::read_to_string(&log).unwrap_or_default()
        );
        Ok(())
    }

    fn json(&self, words: &[&str]) -> anyhow::Result<Json> {
        let done = self.command(words).arg("--json").output()?;
        ensure!(
            done.status.success(),
            "landfall {}: {}",
            words.join(" "),
            String::from_utf8_lossy(&done.stderr)
        );
        Ok(serde_json::from_slice(&done.stdout)?)
    }
}
