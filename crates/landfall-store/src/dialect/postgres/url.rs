//! Where a PostgreSQL database is: a URL as libpq's programs take it, parsed once, and never shown with its
//! password. How a connection is made of it stands in `connecting`.

use std::fmt;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

/// How long one host may take to answer a connection.
const CONNECT: Duration = Duration::from_secs(3);
/// After how long an idle connection is probed, and how often until it counts as gone.
const PROBE: (Duration, Duration, u32) = (Duration::from_secs(3), Duration::from_secs(1), 3);
/// How long what was sent may stay unacknowledged.
const UNACKNOWLEDGED: Duration = Duration::from_secs(6);

/// A URL that names no database. What was given is never repeated: it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// It begins otherwise.
    #[error("it does not begin with postgresql://")]
    Scheme,
    /// The name of a host is none.
    #[error(
        "the name of its host holds a character that no name has; in user and password '@', '/', ':', '?' and '%' are written %40, %2F, %3A, %3F and %25"
    )]
    Host,
    /// No host is named.
    #[error("it names no host; for a Unix socket write postgresql:///NAME?host=/run/postgresql")]
    NoHost,
    /// No database is named.
    #[error("it names no database: postgresql://USER@HOST/NAME")]
    NoDatabase,
    /// No user is named.
    #[error("it names no user: postgresql://USER@HOST/NAME")]
    NoUser,
    /// The ports do not fit the hosts.
    #[error("it names one port for all hosts, or one for each")]
    Ports,
    /// An option has a value that it cannot have.
    #[error("its option '{0}' has a value that cannot be used")]
    OptionValue(String),
    /// An option is not known.
    #[error("it has an option that is not known{0}")]
    UnknownOption(String),
    /// Something else.
    #[error("it cannot be read as postgresql://USER@HOST:PORT/NAME?OPTION=VALUE")]
    Form,
}

/// Where a PostgreSQL database is, and how it is reached.
#[derive(Clone)]
pub struct PostgresUrl {
    pub(super) config: Config,
    pub(super) authorities: Option<Vec<u8>>,
    shown: String,
}

impl PostgresUrl {
    /// Parses a URL.
    ///
    /// TLS is asked of every host that is neither a Unix socket nor a loopback address, unless the URL says
    /// `sslmode=disable`. Of several hosts the one that takes writes is used.
    ///
    /// # Errors
    /// [`UrlError`] naming the part that is wrong.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        if !(text.starts_with("postgresql://") || text.starts_with("postgres://")) {
            return Err(UrlError::Scheme);
        }
        let (text, verified) = without_verification(text);
        let mut config: Config = text.parse().map_err(|error| misread(&error))?;
        // Without a name the library takes the one of the process; a service's user says nothing of it.
        if config.get_user().is_none_or(str::is_empty) {
            return Err(UrlError::NoUser);
        }
        if config.get_dbname().is_none_or(str::is_empty) {
            return Err(UrlError::NoDatabase);
        }
        let hosts = config.get_hosts().len().max(config.get_hostaddrs().len());
        if hosts == 0 {
            return Err(UrlError::NoHost);
        }
        if config.get_ports().len() > 1 && config.get_ports().len() != hosts {
            return Err(UrlError::Ports);
        }
        let plain = |host: &Host| match host {
            Host::Tcp(name) => name
                .chars()
                .all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':')),
            Host::Unix(_) => true,
        };
        if !config.get_hosts().iter().all(plain) {
            return Err(UrlError::Host);
        }
        let here = config.get_hosts().iter().all(is_here)
            && config
                .get_hostaddrs()
                .iter()
                .all(std::net::IpAddr::is_loopback);
        let said = verified || text.contains("sslmode=");
        match config.get_ssl_mode() {
            SslMode::Disable => {}
            _ if here && !said => drop(config.ssl_mode(SslMode::Disable)),
            _ => drop(config.ssl_mode(SslMode::Require)),
        }
        if config.get_target_session_attrs() == TargetSessionAttrs::Any {
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT);
        }
        if config.get_application_name().is_none() {
            config.application_name("landfall");
        }
        let (idle, interval, retries) = PROBE;
        config
            .keepalives(true)
            .keepalives_idle(idle)
            .keepalives_interval(interval)
            .keepalives_retries(retries)
            .tcp_user_timeout(UNACKNOWLEDGED);
        let shown = shown(&config);
        Ok(PostgresUrl {
            config,
            authorities: None,
            shown,
        })
    }

    /// The same database, reached with this password.
    #[must_use]
    pub fn with_password(mut self, password: &str) -> Self {
        self.config.password(password);
        self
    }

    /// The same database, whose certificate must come from an authority in `pem` instead of one that this
    /// machine trusts.
    #[must_use]
    pub fn with_authorities(mut self, pem: Vec<u8>) -> Self {
        self.authorities = Some(pem);
        self
    }

    /// The same, whether the database takes writes or not.
    #[must_use]
    pub(crate) fn of_any_state(mut self) -> Self {
        self.config.target_session_attrs(TargetSessionAttrs::Any);
        self
    }

    /// Whether the URL itself holds a password.
    pub fn has_password(&self) -> bool {
        self.config.get_password().is_some()
    }
}

/// Without user and password.
impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresUrl({})", self.shown)
    }
}

/// Whoever is shown it is shown no password.
impl PartialEq for PostgresUrl {
    fn eq(&self, other: &Self) -> bool {
        self.config == other.config && self.authorities == other.authorities
    }
}

/// libpq's two words for checking the server's certificate ask for what is always done here.
fn without_verification(text: &str) -> (String, bool) {
    let plain = text
        .replace("sslmode=verify-full", "sslmode=require")
        .replace("sslmode=verify-ca", "sslmode=require");
    let changed = plain != text;
    (plain, changed)
}

fn is_here(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => {
            name == "localhost"
                || name
                    .parse::<std::net::IpAddr>()
                    .is_ok_and(|address| address.is_loopback())
        }
        Host::Unix(_) => true,
    }
}

fn shown(config: &Config) -> String {
    let hosts: Vec<String> = match config.get_hosts() {
        [] => config
            .get_hostaddrs()
            .iter()
            .map(ToString::to_string)
            .collect(),
        hosts => hosts
            .iter()
            .map(|host| match host {
                Host::Tcp(name) => name.clone(),
                Host::Unix(path) => path.display().to_string(),
            })
            .collect(),
    };
    let name = config.get_dbname().unwrap_or_default();
    format!("{name} on {} (PostgreSQL)", hosts.join(" or "))
}

/// What the library says of a URL, in our words. Of what it repeats only names are let through.
fn misread(error: &tokio_postgres::Error) -> UrlError {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    let cause = cause.unwrap_or_default();
    let name = cause.split('`').nth(1).filter(|name| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '_')
    });
    match name {
        Some(name) if cause.starts_with("invalid value") => UrlError::OptionValue(name.to_owned()),
        Some(name) if cause.starts_with("unknown option") => {
            UrlError::UnknownOption(format!(": '{name}'"))
        }
        None if cause.starts_with("unknown option") => UrlError::UnknownOption(String::new()),
        _ => UrlError::Form,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> PostgresUrl {
        PostgresUrl::parse(text).expect("a URL")
    }

    #[test]
    fn tls_is_asked_of_every_host_that_is_not_here() {
        for (text, mode) in [
            ("postgresql://u@db.example/l", SslMode::Require),
            (
                "postgresql://u@db.example/l?sslmode=prefer",
                SslMode::Require,
            ),
            (
                "postgresql://u@db.example/l?sslmode=verify-full",
                SslMode::Require,
            ),
            (
                "postgresql://u@db.example/l?sslmode=disable",
                SslMode::Disable,
            ),
            ("postgresql://u@127.0.0.1/l", SslMode::Disable),
            ("postgresql://u@[::1]/l", SslMode::Disable),
            (
                "postgresql://u@localhost/l?sslmode=require",
                SslMode::Require,
            ),
            ("postgresql://u@/l?host=/run/postgresql", SslMode::Disable),
            ("postgresql://u@localhost,db.example/l", SslMode::Require),
        ] {
            assert_eq!(parsed(text).config.get_ssl_mode(), mode, "{text}");
        }
    }

    #[test]
    fn a_url_is_never_shown_with_its_password() {
        let url = parsed("postgresql://boss:hush%40hush@db.example:5433,other/landfall");
        for shown in [url.to_string(), format!("{url:?}")] {
            assert!(!shown.contains("hush"), "{shown}");
            assert!(!shown.contains("boss"), "{shown}");
            assert!(shown.contains("landfall on db.example or other"), "{shown}");
        }
        assert_eq!(url.config.get_password(), Some(&b"hush@hush"[..]));
        assert!(url.has_password());
    }

    #[test]
    fn the_wrong_part_of_a_url_is_named_and_not_repeated() {
        for (text, error) in [
            ("mysql://u@h/d", UrlError::Scheme),
            ("postgresql://u:hu@sh@h/d", UrlError::Host),
            ("postgresql://u@/d", UrlError::NoHost),
            ("postgresql://u@h", UrlError::NoDatabase),
            ("postgresql://h/d", UrlError::NoUser),
            ("postgresql://u@h:1,h:2,h/d?port=3", UrlError::Ports),
            (
                "postgresql://u@h:door/d",
                UrlError::OptionValue("port".to_owned()),
            ),
            (
                "postgresql://u@h/d?sslmode=maybe",
                UrlError::OptionValue("sslmode".to_owned()),
            ),
            (
                "postgresql://u@h/d?colour=red",
                UrlError::UnknownOption(": 'colour'".to_owned()),
            ),
        ] {
            let told = PostgresUrl::parse(text).expect_err(text);
            assert_eq!(told, error, "{text}");
            assert!(!told.to_string().contains("hu"), "{told}");
        }
    }
}
