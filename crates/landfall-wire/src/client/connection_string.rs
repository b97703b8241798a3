//! Connection strings of services and hubs: `HostName=…;SharedAccessKeyName=…;SharedAccessKey=…`.
//!
//! Read with labels in any case and order, written in exactly one form. Whoever prints one prints a
//! key, so only [`ConnectionString::to_text`] does.

use std::fmt;

use landfall_core::clock::Timestamp;
use landfall_core::sas;
use landfall_core::secret::{KeyError, SymmetricKey};

use super::Authorization;

/// Why a text is not a connection string. Never holds a part of the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionStringError {
    /// A part has no `=`.
    #[error("a part of the connection string is not of the form Name=value")]
    Form,
    /// A part that is needed is not there or empty.
    #[error("the connection string has no {0}")]
    Missing(&'static str),
    /// A part stands there twice.
    #[error("the connection string holds {0} twice")]
    Twice(&'static str),
    /// The host name holds something else than a host and a port.
    #[error("the HostName '{0}' of the connection string is not a host name with an optional port")]
    Host(String),
    /// The key is no key.
    #[error("the SharedAccessKey of the connection string is not a key: {0}")]
    Key(#[from] KeyError),
}

/// Where a service or hub answers, and the policy that opens it.
///
/// Source: docs/protocol/service-api.md §2.1 [C].
#[derive(Clone, PartialEq, Eq)]
pub struct ConnectionString {
    host: String,
    port: Option<u16>,
    policy: String,
    key: SymmetricKey,
}

impl ConnectionString {
    /// Puts a connection string together.
    pub fn new(host: &str, port: Option<u16>, policy: &str, key: SymmetricKey) -> Self {
        ConnectionString {
            host: host.to_owned(),
            port,
            policy: policy.to_owned(),
            key,
        }
    }

    /// Reads a connection string.
    ///
    /// Shape: labels are compared without case, in any order; other labels are passed over.
    ///
    /// # Errors
    /// [`ConnectionStringError`] naming the part that is missing or malformed.
    pub fn parse(text: &str) -> Result<Self, ConnectionStringError> {
        let (mut host, mut policy, mut key) = (None, None, None);
        for part in text
            .trim()
            .split(';')
            .filter(|part| !part.trim().is_empty())
        {
            let (label, value) = part.split_once('=').ok_or(ConnectionStringError::Form)?;
            let label = label.trim();
            let (slot, label) = if label.eq_ignore_ascii_case("HostName") {
                (&mut host, "HostName")
            } else if label.eq_ignore_ascii_case("SharedAccessKeyName") {
                (&mut policy, "SharedAccessKeyName")
            } else if label.eq_ignore_ascii_case("SharedAccessKey") {
                (&mut key, "SharedAccessKey")
            } else {
                continue;
            };
            if slot.replace(value.trim()).is_some() {
                return Err(ConnectionStringError::Twice(label));
            }
        }
        let part = |value: Option<&'_ str>, label| {
            value
                .filter(|value| !value.is_empty())
                .map(str::to_owned)
                .ok_or(ConnectionStringError::Missing(label))
        };
        let (host, port) = host_and_port(&part(host, "HostName")?)?;
        let policy = part(policy, "SharedAccessKeyName")?;
        let key = part(key, "SharedAccessKey")?;
        Ok(ConnectionString {
            host,
            port,
            policy,
            key: SymmetricKey::from_base64(&key)?,
        })
    }

    /// The host name, without port.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, when the string names one.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// The same string with `port`, when it names none.
    pub fn completed(mut self, port: u16) -> Self {
        if self.port.is_none() && port != 443 {
            self.port = Some(port);
        }
        self
    }

    /// The shared access policy.
    pub fn policy(&self) -> &str {
        &self.policy
    }

    /// Signs for the whole host until `expiry`.
    ///
    /// Shape: the resource is the host name without its port.
    /// Source: docs/protocol/service-api.md §2.2 [C].
    pub fn authorization(&self, expiry: Timestamp) -> Authorization {
        Authorization::shared_access(sas::sign(&self.host, &self.key, Some(&self.policy), expiry))
    }

    /// The connection string with its key, as clients take it.
    pub fn to_text(&self) -> String {
        let host = if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        };
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        format!(
            "HostName={host}{port};SharedAccessKeyName={};SharedAccessKey={}",
            self.policy,
            *self.key.to_base64()
        )
    }
}

impl fmt::Debug for ConnectionString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "ConnectionString(HostName={}, port {:?}, SharedAccessKeyName={}, key hidden)",
            self.host, self.port, self.policy
        )
    }
}

/// Splits `host`, `host:port`, `[v6]` or `[v6]:port`; brackets are dropped.
///
/// # Errors
/// [`ConnectionStringError::Host`] when the text is none of these.
pub fn host_and_port(text: &str) -> Result<(String, Option<u16>), ConnectionStringError> {
    let bad = || ConnectionStringError::Host(text.chars().take(140).collect());
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or_else(bad)?;
        (host, rest.strip_prefix(':'))
    } else {
        match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        }
    };
    let port = match port {
        Some(port) => Some(
            port.parse::<u16>()
                .ok()
                .filter(|p| *p > 0)
                .ok_or_else(bad)?,
        ),
        None => None,
    };
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b':');
    if host.is_empty() || !host.bytes().all(fits) {
        return Err(bad());
    }
    Ok((host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    #[test]
    fn labels_come_in_any_case_and_go_out_exactly() {
        let read = ConnectionString::parse(&format!(
            " sharedaccesskey={KEY};HOSTNAME=dps.example.net:8443;SharedAccessKeyName=owner; "
        ))
        .expect("valid");
        assert_eq!(
            read.to_text(),
            format!(
                "HostName=dps.example.net:8443;SharedAccessKeyName=owner;SharedAccessKey={KEY}"
            )
        );
        assert_eq!((read.host(), read.port()), ("dps.example.net", Some(8443)));
        assert_eq!(ConnectionString::parse(&read.to_text()), Ok(read));
    }

    #[test]
    fn a_missing_port_is_completed_and_a_given_one_kept() {
        let text = format!("HostName=localhost;SharedAccessKeyName=o;SharedAccessKey={KEY}");
        let read = ConnectionString::parse(&text).expect("valid");
        assert_eq!(read.clone().completed(443).port(), None);
        assert_eq!(read.clone().completed(8443).port(), Some(8443));
        assert_eq!(read.completed(8443).completed(9000).port(), Some(8443));
    }

    #[test]
    fn what_is_wrong_is_named_and_the_key_is_not() {
        let whole = |host: &str, key: &str| {
            ConnectionString::parse(&format!(
                "HostName={host};SharedAccessKeyName=o;SharedAccessKey={key}"
            ))
            .map_err(|e| e.to_string())
            .expect_err("refused")
        };
        assert_eq!(
            ConnectionString::parse("HostName=a;SharedAccessKeyName=o"),
            Err(ConnectionStringError::Missing("SharedAccessKey"))
        );
        assert_eq!(
            ConnectionString::parse("HostName=a;hostname=b"),
            Err(ConnectionStringError::Twice("HostName"))
        );
        assert_eq!(
            ConnectionString::parse("nonsense"),
            Err(ConnectionStringError::Form)
        );
        for host in ["https://a", "a:0", "a:b", "a b", "[::1", "a/b"] {
            assert!(whole(host, KEY).contains("HostName"), "{host}");
        }
        let short = whole("a", "c2VjcmV0");
        assert!(
            short.contains("16 to 64 bytes") && !short.contains("c2VjcmV0"),
            "{short}"
        );
        let shown = ConnectionString::parse(&format!(
            "HostName=[::1]:8443;SharedAccessKeyName=o;SharedAccessKey={KEY}"
        ))
        .expect("valid");
        assert_eq!(shown.host(), "::1");
        assert!(!format!("{shown:?}").contains("AAEC"));
    }
}
