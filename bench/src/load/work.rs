//! What a connection is used for: only its handshake, one request, the registration of a device, or what a
//! session over MQTT says again and again.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use landfall_core::clock::{Clock as _, Timestamp};
use landfall_core::sas;
use landfall_core::secret::SymmetricKey;
use landfall_server::time::SystemClock;
use rustls::ClientConfig;
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use super::connection::Connection;
use super::https::Device;
use super::packet::DISCONNECT;
use super::session::{Newcomer, Peer, Says, echo};
use super::settings;

/// How long the tokens of devices are good for.
const LIFE: Duration = Duration::from_secs(3600);

/// What the connections of a load do.
pub struct Work {
    settings: Arc<ClientConfig>,
    kind: Kind,
}

enum Kind {
    Handshake { byte: bool },
    Request { text: Vec<u8>, status: u16 },
    Keys(Keys),
    Certificates(Certificates),
    Echo { prefix: String, next: AtomicUsize },
    Peers(Peers),
}

/// How devices with keys register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Over HTTPS.
    Https,
    /// Over HTTPS, and each asks until it is assigned.
    Polling,
    /// Over MQTT, and each asks until it is assigned.
    Mqtt,
}

/// Those that have sessions over MQTT, each by one connection.
struct Peers {
    all: Vec<Peer>,
    websocket: bool,
    /// The next that comes by a fresh connection.
    next: AtomicUsize,
}

/// Devices of an enrollment group whose key gives each its own.
struct Keys {
    id_scope: String,
    group: SymmetricKey,
    prefix: String,
    next: AtomicUsize,
    until: Timestamp,
    way: Way,
    /// How many there are.
    most: usize,
}

/// Devices with certificates, each used once.
struct Certificates {
    id_scope: String,
    devices: Mutex<Vec<(String, CertifiedKey)>>,
}

/// One piece of work.
pub(super) enum Task<'a> {
    Handshake {
        byte: bool,
    },
    Request {
        text: &'a [u8],
        status: u16,
    },
    Register(Device<'a>),
    Provision(Newcomer<'a>),
    Echo(String),
    /// Those that go on; which it is, the connection knows.
    Say(&'a [Peer]),
    /// One that begins a session and ends it.
    Visit(&'a Peer, bool),
}

impl Work {
    /// Finishes the handshake and ends; `byte` says that the server says one byte first.
    ///
    /// # Errors
    /// When there is no TLS.
    pub fn handshake(byte: bool, identity: Option<CertifiedKey>) -> anyhow::Result<Self> {
        let mut settings = settings()?;
        if let Some(identity) = identity {
            settings.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(identity));
        }
        Ok(Work {
            settings: Arc::new(settings),
            kind: Kind::Handshake { byte },
        })
    }

    /// Sends a GET for `path` and expects `status`.
    ///
    /// # Errors
    /// When there is no TLS.
    pub fn get(path: &str, status: u16) -> anyhow::Result<Self> {
        let text = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes();
        Ok(Work {
            settings: Arc::new(settings()?),
            kind: Kind::Request { text, status },
        })
    }

    /// Registers devices of a group with this key, whose names begin with `prefix`.
    ///
    /// # Errors
    /// When there is no TLS.
    pub fn keys(
        id_scope: &str,
        group: SymmetricKey,
        prefix: &str,
        way: Way,
    ) -> anyhow::Result<Self> {
        Ok(Work {
            settings: Arc::new(settings()?),
            kind: Kind::Keys(Keys {
                id_scope: id_scope.to_owned(),
                group,
                prefix: prefix.to_owned(),
                next: AtomicUsize::new(0),
                until: SystemClock.now().plus(LIFE),
                way,
                most: usize::MAX,
            }),
        })
    }

    /// The same, but for so many devices.
    #[must_use]
    pub fn at_most(mut self, count: usize) -> Self {
        if let Kind::Keys(keys) = &mut self.kind {
            keys.most = count;
        }
        self
    }

    /// Lets clients of a broker, whose names begin with `prefix`, each say something and hear it.
    ///
    /// # Errors
    /// When there is no TLS.
    pub fn echo(prefix: &str) -> anyhow::Result<Self> {
        Ok(Work {
            settings: Arc::new(settings()?),
            kind: Kind::Echo {
                prefix: prefix.to_owned(),
                next: AtomicUsize::new(0),
            },
        })
    }

    /// Sessions of `count` devices that registered by [`Work::keys`] with this key and prefix, at the hub of this
    /// host name. [`super::open`] begins them; on fresh connections each is a visit.
    ///
    /// # Errors
    /// When there is no TLS.
    pub fn hub(
        host: &str,
        group: &SymmetricKey,
        (prefix, count): (&str, usize),
        says: Says,
    ) -> anyhow::Result<Self> {
        let until = SystemClock.now().plus(LIFE);
        let ids = (0..count).map(|number| format!("{prefix}-{number}"));
        Work::peers(ids.map(|id| Peer::of_hub(host, &id, &group.derive(&id), until, says)))
    }

    /// Sessions of as many clients of a broker.
    ///
    /// # Errors
    /// When there is no TLS.
    pub fn broker(prefix: &str, count: usize, says: Says) -> anyhow::Result<Self> {
        let ids = (0..count).map(|number| format!("{prefix}-{number}"));
        Work::peers(ids.map(|id| Peer::of_broker(&id, says)))
    }

    fn peers(all: impl Iterator<Item = Peer>) -> anyhow::Result<Self> {
        Ok(Work {
            settings: Arc::new(settings()?),
            kind: Kind::Peers(Peers {
                all: all.collect(),
                websocket: false,
                next: AtomicUsize::new(0),
            }),
        })
    }

    /// The same sessions, in WebSockets.
    #[must_use]
    pub fn in_websockets(mut self) -> Self {
        if let Kind::Peers(peers) = &mut self.kind {
            peers.websocket = true;
        }
        self
    }

    /// How many sessions there are to begin.
    pub fn sessions(&self) -> usize {
        match &self.kind {
            Kind::Peers(peers) => peers.all.len(),
            _ => 0,
        }
    }

    /// Begins the session of one of them.
    pub(super) async fn session(
        &self,
        at: SocketAddr,
        number: usize,
    ) -> anyhow::Result<Connection> {
        let Kind::Peers(peers) = &self.kind else {
            bail!("no sessions");
        };
        let peer = peers.all.get(number).context("no such peer")?;
        let mut connection = Connection::open(at, Arc::clone(&self.settings)).await?;
        connection.peer = number;
        begin(peer, &mut connection, peers.websocket).await?;
        connection.rest();
        Ok(connection)
    }

    /// Registers these devices and asks each until it is assigned.
    ///
    /// # Errors
    /// When there is no TLS.
    pub fn certificates(
        id_scope: &str,
        devices: Vec<(String, CertifiedKey)>,
    ) -> anyhow::Result<Self> {
        Ok(Work {
            settings: Arc::new(settings()?),
            kind: Kind::Certificates(Certificates {
                id_scope: id_scope.to_owned(),
                devices: Mutex::new(devices),
            }),
        })
    }

    /// The next piece of work, and the settings to connect with; `None` when there is none left.
    /// `kept` says that the connection goes on.
    pub(super) fn next(&self, kept: bool) -> anyhow::Result<Option<(Arc<ClientConfig>, Task<'_>)>> {
        let mut settings = Arc::clone(&self.settings);
        let task = match &self.kind {
            Kind::Handshake { byte } => Task::Handshake { byte: *byte },
            Kind::Request { text, status } => Task::Request {
                text,
                status: *status,
            },
            Kind::Keys(keys) => {
                let number = keys.next.fetch_add(1, Ordering::Relaxed);
                if number >= keys.most {
                    return Ok(None);
                }
                keys.task(number)
            }
            Kind::Certificates(kind) => {
                let mut devices = kind.devices.lock().unwrap_or_else(PoisonError::into_inner);
                let Some((id, key)) = devices.pop() else {
                    return Ok(None);
                };
                let mut own = (*settings).clone();
                own.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(key));
                settings = Arc::new(own);
                Task::Register(Device {
                    id_scope: &kind.id_scope,
                    id,
                    token: None,
                    poll: true,
                })
            }
            Kind::Echo { prefix, next } => {
                let number = next.fetch_add(1, Ordering::Relaxed);
                Task::Echo(format!("{prefix}-{number}"))
            }
            Kind::Peers(peers) if kept => Task::Say(&peers.all),
            Kind::Peers(peers) => {
                let number = peers.next.fetch_add(1, Ordering::Relaxed);
                let Some(peer) = peers.all.get(number) else {
                    return Ok(None);
                };
                Task::Visit(peer, peers.websocket)
            }
        };
        Ok(Some((settings, task)))
    }
}

impl Keys {
    fn task(&self, number: usize) -> Task<'_> {
        let id = format!("{}-{number}", self.prefix);
        let id_scope = &self.id_scope;
        let resource = format!("{id_scope}/registrations/{id}");
        let key = self.group.derive(&id);
        let token = sas::sign(&resource, &key, Some("registration"), self.until);
        match self.way {
            Way::Mqtt => Task::Provision(Newcomer {
                id_scope,
                id,
                token,
            }),
            way => Task::Register(Device {
                id_scope,
                id,
                token: Some(token),
                poll: way == Way::Polling,
            }),
        }
    }
}

/// Begins a session on a new connection.
async fn begin(peer: &Peer, connection: &mut Connection, websocket: bool) -> anyhow::Result<()> {
    if websocket {
        connection.open_websocket().await?;
    }
    peer.begin(connection).await
}

impl Task<'_> {
    /// Does it on a connection; gives how many pieces of work that were.
    pub(super) async fn carry_out(self, connection: &mut Connection) -> anyhow::Result<u64> {
        match self {
            Task::Handshake { byte: true } => connection.byte().await?,
            Task::Handshake { byte: false } => {}
            Task::Request { text, status } => {
                let answer = connection.exchange(text).await?;
                ensure!(answer.status == status, "status {}", answer.status);
            }
            Task::Register(device) => device.register(connection).await?,
            Task::Provision(newcomer) => newcomer.register(connection).await?,
            Task::Echo(id) => echo(connection, &id).await?,
            Task::Say(peers) => {
                let peer = peers.get(connection.peer).context("no such peer")?;
                return peer.say(connection).await;
            }
            Task::Visit(peer, websocket) => {
                begin(peer, connection, websocket).await?;
                connection.send(&DISCONNECT).await?;
            }
        }
        Ok(1)
    }
}
