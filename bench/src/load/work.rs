//! What a connection is used for: only its handshake, one request, or the registration of a device.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, ensure};
use landfall_core::clock::{Clock as _, Timestamp};
use landfall_core::sas;
use landfall_core::secret::SymmetricKey;
use landfall_server::time::SystemClock;
use rustls::ClientConfig;
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use super::connection::Connection;
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
}

/// Devices of an enrollment group whose key gives each its own.
struct Keys {
    id_scope: String,
    group: SymmetricKey,
    prefix: String,
    next: AtomicUsize,
    until: Timestamp,
    poll: bool,
}

/// Devices with certificates, each used once.
struct Certificates {
    id_scope: String,
    devices: Mutex<Vec<(String, CertifiedKey)>>,
}

/// One piece of work.
pub(super) enum Task<'a> {
    Handshake { byte: bool },
    Request { text: &'a [u8], status: u16 },
    Register(Device),
}

/// A device that is to register.
pub(super) struct Device {
    id_scope: String,
    id: String,
    token: Option<String>,
    poll: bool,
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

    /// Registers devices of a group with this key, whose names begin with `prefix`; `poll` asks each
    /// until it is assigned.
    ///
    /// # Errors
    /// When there is no TLS.
    pub fn keys(
        id_scope: &str,
        group: SymmetricKey,
        prefix: &str,
        poll: bool,
    ) -> anyhow::Result<Self> {
        Ok(Work {
            settings: Arc::new(settings()?),
            kind: Kind::Keys(Keys {
                id_scope: id_scope.to_owned(),
                group,
                prefix: prefix.to_owned(),
                next: AtomicUsize::new(0),
                until: SystemClock.now().plus(LIFE),
                poll,
            }),
        })
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
    pub(super) fn next(&self) -> anyhow::Result<Option<(Arc<ClientConfig>, Task<'_>)>> {
        let mut settings = Arc::clone(&self.settings);
        let task = match &self.kind {
            Kind::Handshake { byte } => Task::Handshake { byte: *byte },
            Kind::Request { text, status } => Task::Request {
                text,
                status: *status,
            },
            Kind::Keys(keys) => {
                let number = keys.next.fetch_add(1, Ordering::Relaxed);
                let id = format!("{}-{number}", keys.prefix);
                let resource = format!("{}/registrations/{id}", keys.id_scope);
                let key = keys.group.derive(&id);
                let token = sas::sign(&resource, &key, Some("registration"), keys.until);
                Task::Register(Device {
                    id_scope: keys.id_scope.clone(),
                    id,
                    token: Some(token),
                    poll: keys.poll,
                })
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
                    id_scope: kind.id_scope.clone(),
                    id,
                    token: None,
                    poll: true,
                })
            }
        };
        Ok(Some((settings, task)))
    }
}

impl Task<'_> {
    /// Does it on a connection.
    pub(super) async fn carry_out(self, connection: &mut Connection) -> anyhow::Result<()> {
        match self {
            Task::Handshake { byte: true } => connection.byte().await,
            Task::Handshake { byte: false } => Ok(()),
            Task::Request { text, status } => {
                let answer = connection.exchange(text).await?;
                ensure!(answer.status == status, "status {}", answer.status);
                Ok(())
            }
            Task::Register(device) => device.register(connection).await,
        }
    }
}

impl Device {
    async fn register(self, connection: &mut Connection) -> anyhow::Result<()> {
        let body = format!("{{\"registrationId\":\"{}\"}}", self.id);
        let request = format!(
            "{}Content-Type: application/json; charset=utf-8\r\nContent-Length: {}\r\n\r\n{body}",
            self.head("PUT", "register"),
            body.len()
        );
        let answer = connection.exchange(request.as_bytes()).await?;
        ensure!(answer.status == 202, "register: status {}", answer.status);
        if !self.poll {
            return Ok(());
        }
        let operation = answer
            .body
            .split_once("\"operationId\":\"")
            .and_then(|(_, rest)| rest.split_once('"'))
            .map(|(operation, _)| operation)
            .context("register: no operationId")?;
        let request = format!(
            "{}\r\n",
            self.head("GET", &format!("operations/{operation}"))
        );
        let answer = connection.exchange(request.as_bytes()).await?;
        ensure!(answer.status == 200, "poll: status {}", answer.status);
        let assigned = answer.body.contains("\"status\":\"assigned\"");
        ensure!(assigned, "poll: not assigned at once");
        Ok(())
    }

    fn head(&self, method: &str, rest: &str) -> String {
        let (scope, id) = (&self.id_scope, &self.id);
        let mut head = format!(
            "{method} /{scope}/registrations/{id}/{rest}?api-version=2021-06-01 HTTP/1.1\r\nHost: localhost\r\n"
        );
        if let Some(token) = &self.token {
            head.push_str(&format!("Authorization: {token}\r\n"));
        }
        head
    }
}
