//! A server as a process on the first processor: started, asked what it used, and stopped with its owner.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use landfall_bench::identity;
use landfall_server::command::bench::process::Process;

use super::{Spent, moment};

/// The processor of all servers; clients have the others.
const PROCESSOR: &str = "0";

/// A server that runs.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// One of this program's own servers, which print their port.
    pub(super) fn own(program: &str) -> anyhow::Result<Self> {
        let me = std::env::current_exe()?;
        let mut child = pinned(&me)
            .arg(program)
            .stdout(Stdio::piped())
            .spawn()
            .context("taskset cannot be started")?;
        let mut line = String::new();
        let out = child.stdout.take().context("no output")?;
        BufReader::new(out).read_line(&mut line)?;
        let port = line
            .trim()
            .parse()
            .with_context(|| format!("{program} says '{}' and no port", line.trim()))?;
        Ok(Server::of(child, port))
    }

    /// Mosquitto with the same certificate, without waiting for company on sockets, for any number of clients.
    pub(crate) fn mosquitto(folder: &Path) -> anyhow::Result<Self> {
        let folder = folder.join("mosquitto");
        let path = |file: &str| folder.join(file).display().to_string();
        shown_by(&folder)?;
        let port = free_port()?;
        let text = format!(
            "user root\npersistence false\nlog_dest none\nset_tcp_nodelay true\nmax_connections -1\n\
             allow_anonymous true\nlistener {port} 127.0.0.1\nmax_connections -1\n\
             certfile {}\nkeyfile {}\ntls_version tlsv1.2\n",
            path("chain.pem"),
            path("key.pem"),
        );
        let file = folder.join("mosquitto.conf");
        std::fs::write(&file, text)?;
        let child = pinned(Path::new("mosquitto"))
            .arg("-c")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("mosquitto cannot be started")?;
        Ok(Server::of(child, port))
    }

    /// nginx with one process, the same certificate and no resumption.
    pub(super) fn nginx(folder: &Path) -> anyhow::Result<Self> {
        let folder = folder.join("nginx");
        shown_by(&folder)?;
        let port = free_port()?;
        let text = format!(
            "user root;\ndaemon off;\nmaster_process off;\npid nginx.pid;\nerror_log error.log;\n\
             events {{ worker_connections 4096; }}\n\
             http {{\n  access_log off;\n  keepalive_requests 1000000000;\n  server {{\n    \
             listen 127.0.0.1:{port} ssl;\n    ssl_certificate chain.pem;\n    \
             ssl_certificate_key key.pem;\n    ssl_protocols TLSv1.2 TLSv1.3;\n    \
             ssl_session_cache off;\n    ssl_session_tickets off;\n    \
             location / {{ return 200 'hello'; }}\n  }}\n}}\n"
        );
        let file = folder.join("nginx.conf");
        std::fs::write(&file, text)?;
        let child = pinned(Path::new("nginx"))
            .arg("-p")
            .arg(&folder)
            .arg("-c")
            .arg(&file)
            .stderr(Stdio::null())
            .spawn()
            .context("nginx cannot be started")?;
        Ok(Server::of(child, port))
    }

    /// A process that listens on a port of the loopback address.
    pub(super) fn of(child: Child, port: u16) -> Self {
        Server {
            child,
            address: SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port),
        }
    }

    /// The number of the process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks the process to end, and waits until it has.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        let asked = Command::new("kill").arg(self.id().to_string()).status()?;
        ensure!(asked.success(), "the server cannot be stopped");
        let ended = self.child.wait()?;
        ensure!(ended.success(), "the server ended with {ended}");
        Ok(())
    }

    /// Waits until it takes connections.
    pub(crate) async fn listens(&self) -> anyhow::Result<()> {
        for _ in 0..400 {
            if TcpStream::connect(self.address).is_ok() {
                return Ok(());
            }
            moment().await;
        }
        bail!("it does not listen")
    }

    /// What the process has used by now, once it no longer uses anything.
    pub(crate) async fn rested(&self) -> anyhow::Result<Duration> {
        let process = Process {
            id: self.child.id(),
        };
        let used = || process.used().context("a server is gone");
        let mut before = used()?;
        for _ in 0..80 {
            moment().await;
            let now = used()?;
            // An idle runtime wakes up now and then.
            if now.saturating_sub(before) < Duration::from_micros(300) {
                return Ok(now);
            }
            before = now;
        }
        Ok(before)
    }

    /// The bytes that it has in memory of its own, as the kernel counts them.
    pub(crate) fn memory(&self) -> anyhow::Result<u64> {
        let process = Process { id: self.id() };
        process.memory().context("a server is gone")
    }

    /// What its threads have used by now.
    pub(super) fn spent(&self) -> Spent {
        Spent::by(self.child.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Makes a folder with the certificate that servers show, and its key.
pub(super) fn shown_by(folder: &Path) -> anyhow::Result<()> {
    let pair = identity::pem()?;
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join("chain.pem"), &pair.certificate)?;
    std::fs::write(folder.join("key.pem"), &*pair.key)?;
    Ok(())
}

/// A program on the servers' processor.
pub(crate) fn pinned(program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command
        .args(["-c", PROCESSOR])
        .arg(program)
        .stdin(Stdio::null());
    command
}

/// A port that was free a moment ago.
pub(super) fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
