//! The two ends of hostile talk: a listener with chosen faces, a whole dev server, and raw clients.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use landfall_core::clock::Timestamp;
use landfall_core::sas::sign;
use landfall_core::secret::SymmetricKey;
use landfall_server::client::tls::{Trust, settings};
use landfall_server::dev_ca;
use landfall_server::listener::{self, Faces, Limits, Slots};
use landfall_server::metrics::connections::ConnectionCounts;
use landfall_server::stop::{self, Stopper};
use landfall_server::tls::{self, ServerIdentity};
use rustls::pki_types::ServerName;
use serde_json::Value as Json;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// What came back; the status is 0 when nothing did.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) status: u16,
    head: String,
    pub(super) json: Json,
    /// The lines of JSON of a body that comes in chunks.
    pub(super) lines: Vec<Json>,
}

impl Told {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

/// A client that writes what it likes.
pub(super) struct Peer(TlsStream<TcpStream>);

impl Peer {
    /// Connects, trusting the CA in `ca`.
    async fn connect(port: u16, ca: &std::path::Path) -> Self {
        let settings = settings(&Trust::File(ca.to_owned()), None).expect("settings");
        let socket = TcpStream::connect(("127.0.0.1", port))
            .await
            .expect("connected");
        let name = ServerName::try_from("localhost").expect("a name");
        let stream = TlsConnector::from(settings).connect(name, socket).await;
        Peer(stream.expect("a TLS session"))
    }

    /// Sends `text` again and again, reads nothing, and says how often it was taken.
    pub(super) async fn write_until_refused(&mut self, text: &str) -> usize {
        let mut sent = 0;
        let writing = async {
            while sent < 100 && self.0.write_all(text.as_bytes()).await.is_ok() {
                sent += 1;
            }
        };
        soon(writing).await;
        sent
    }

    /// Sends `text`, and waits for nothing.
    pub(super) async fn write(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.expect("written");
        self.0.flush().await.expect("sent");
    }

    /// Sends bytes and reads `length` back, or as many as there are before the server closes.
    pub(super) async fn exchange(&mut self, bytes: &[u8], length: usize) -> Vec<u8> {
        let _ = self.0.write_all(bytes).await;
        let mut seen = Vec::new();
        let reading = async {
            while seen.len() < length {
                match self.0.read_buf(&mut seen).await {
                    Ok(1..) => {}
                    Ok(0) | Err(_) => break,
                }
            }
        };
        soon(reading).await;
        seen
    }

    /// Sends `text` and reads one reply, or until the server closes.
    pub(super) async fn ask(&mut self, text: &str) -> Told {
        // A server that refuses early closes before all is written; its reply is there all the same.
        let _ = self.0.write_all(text.as_bytes()).await;
        let mut seen = Vec::new();
        let reading = async {
            while !whole(&seen) {
                match self.0.read_buf(&mut seen).await {
                    Ok(1..) => {}
                    Ok(0) | Err(_) => break,
                }
            }
        };
        soon(reading).await;
        let text = String::from_utf8(seen).expect("text");
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        Told {
            status: head
                .split(' ')
                .nth(1)
                .map_or(0, |word| word.parse().expect("a status")),
            json: serde_json::from_str(body).unwrap_or(Json::Null),
            lines: body
                .lines()
                .filter(|line| line.starts_with('{'))
                .map(|line| serde_json::from_str(line).expect("a line of JSON"))
                .collect(),
            head: head.to_owned(),
        }
    }
}

fn whole(seen: &[u8]) -> bool {
    let text = String::from_utf8_lossy(seen);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    head.lines()
        .filter_map(|line| line.strip_prefix("content-length: "))
        .any(|length| length.parse() == Ok(body.len()))
}

#[expect(clippy::disallowed_methods, reason = "a test that hangs must fail")]
async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), work)
        .await
        .expect("done within half a minute")
}

#[expect(
    clippy::disallowed_methods,
    reason = "real clients read the real clock"
)]
fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let seconds = since.expect("after 1970").as_secs();
    Timestamp::from_unix_seconds(i64::try_from(seconds).expect("a time"))
}

/// The server's own listener before chosen faces.
pub(super) struct Door {
    port: u16,
    slots: Slots,
    folder: TempDir,
    _stop: Stopper,
}

impl Door {
    pub(super) async fn open<F: Faces>(faces: Arc<F>, limits: Limits) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let ca = dev_ca::make_ca([1; 16], now()).expect("a CA");
        std::fs::write(folder.path().join("ca.pem"), &ca.certificate).expect("written");
        let names = ["localhost".to_owned()];
        let pair = dev_ca::issue_server_certificate(&ca, &names, [2; 16], now()).expect("a pair");
        let key = tls::certified_key(&pair.certificate, &pair.key).expect("a key");
        let config =
            tls::server_config(ServerIdentity::new(vec![Arc::new(key)])).expect("settings");
        let socket = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let (stopper, stop) = stop::channel();
        let door = Door {
            port: socket.local_addr().expect("an address").port(),
            slots: Slots::new(limits),
            folder,
            _stop: stopper,
        };
        let acceptor = TlsAcceptor::from(Arc::new(config));
        tokio::spawn(listener::serve(
            socket,
            acceptor,
            faces,
            door.slots.clone(),
            stop,
        ));
        door
    }

    pub(super) async fn connect(&self) -> Peer {
        Peer::connect(self.port, &self.folder.path().join("ca.pem")).await
    }

    /// Asks on a connection of its own.
    pub(super) async fn ask(&self, text: &str) -> Told {
        self.connect().await.ask(text).await
    }

    /// Writes bytes without TLS and reads until the server closes.
    pub(super) async fn ask_plainly(&self, bytes: &[u8]) -> Vec<u8> {
        let mut socket = TcpStream::connect(("127.0.0.1", self.port))
            .await
            .expect("connected");
        socket.write_all(bytes).await.expect("written");
        let mut seen = Vec::new();
        soon(socket.read_to_end(&mut seen))
            .await
            .expect("read to the end");
        seen
    }

    /// What was counted of the connections.
    pub(super) fn counts(&self) -> &ConnectionCounts {
        self.slots.counts()
    }

    /// How many connections are open, once ended ones had the time to be noticed.
    pub(super) async fn settles_at(&self, open: usize) -> bool {
        for _ in 0..200 {
            if self.slots.taken() == open {
                return true;
            }
            pause().await;
        }
        false
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "waits for another task to notice"
)]
async fn pause() {
    tokio::time::sleep(Duration::from_millis(20)).await;
}

/// A whole dev server; ends with the test.
pub(super) struct Dev {
    folder: TempDir,
    child: Child,
    facts: Json,
}

impl Dev {
    pub(super) async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let free = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = free.local_addr().expect("an address").port().to_string();
        drop(free);
        let mut child = Command::new(env!("CARGO_BIN_EXE_landfall"))
            .args(["dev", "--https-port", &port, "--admin-port", "0", "--data"])
            .arg(folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let out = BufReader::new(child.stdout.take().expect("stdout"));
        let mut lines = out.lines().map_while(Result::ok);
        assert!(lines.any(|line| line.starts_with("Stop with")), "ready");
        let facts = std::fs::read(folder.path().join("dev.json")).expect("dev.json");
        Dev {
            folder,
            child,
            facts: serde_json::from_slice(&facts).expect("JSON"),
        }
    }

    fn fact(&self, pointer: &str) -> &str {
        self.facts
            .pointer(pointer)
            .and_then(Json::as_str)
            .expect("a fact")
    }

    pub(super) fn id_scope(&self) -> &str {
        self.fact("/idScope")
    }

    /// `Authorization` values of the service's owner, the hub's owner and the control plane.
    pub(super) fn credentials(&self) -> (String, String, String) {
        let owner = |pointer: &str| {
            let text = self.fact(pointer);
            let part = |name: &str| {
                let mut parts = text.split(';');
                parts
                    .find_map(|part| part.strip_prefix(name))
                    .expect("a part")
            };
            let key = SymmetricKey::from_base64(part("SharedAccessKey=")).expect("a key");
            let host = part("HostName=").split(':').next().unwrap_or_default();
            let until = now().plus(Duration::from_secs(600));
            sign(host, &key, Some(part("SharedAccessKeyName=")), until)
        };
        (
            owner("/serviceConnectionString"),
            owner("/hubConnectionString"),
            format!("Bearer {}", self.fact("/controlPlane/token")),
        )
    }

    async fn connect(&self) -> Peer {
        let port = self.facts["httpsPort"]
            .as_u64()
            .and_then(|port| u16::try_from(port).ok());
        Peer::connect(port.expect("a port"), &self.folder.path().join("ca.pem")).await
    }

    /// Asks it to stop, as a service manager does.
    pub(super) fn stop(&self) {
        let asked = Command::new("kill")
            .arg(self.child.id().to_string())
            .status();
        assert!(asked.expect("kill runs").success());
    }

    /// A connection that is left open.
    pub(super) async fn peer(&self) -> Peer {
        self.connect().await
    }

    /// Sends a text as it is, on a connection of its own.
    pub(super) async fn tell(&self, text: &str) -> Told {
        self.connect().await.ask(text).await
    }

    /// Asks on a connection of its own; without a header when `authorization` is empty.
    pub(super) async fn ask(
        &self,
        method: &str,
        target: &str,
        authorization: &str,
        body: &str,
    ) -> Told {
        let authorization = match authorization {
            "" => String::new(),
            value => format!("Authorization: {value}\r\n"),
        };
        let length = body.len();
        self.tell(&format!(
            "{method} {target} HTTP/1.1\r\nHost: localhost\r\n{authorization}Content-Length: {length}\r\n\r\n{body}"
        ))
        .await
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
