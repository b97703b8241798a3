//! The settings of `landfall serve`: one tree, filled from flags, environment, one TOML file and
//! defaults, in that order of precedence.
//!
//! Names, defaults and meanings stand once, in `field`; docs/reference/configuration.md is written
//! from there. Secrets are named by file, never given as values.

mod database;
mod field;
mod source;
mod telemetry;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use landfall_core::id::{HubHostName, ServiceName};
use landfall_store::PostgresUrl;
use landfall_store::dump::Database;
use tracing_subscriber::EnvFilter;

pub use self::field::reference;
use self::source::Sources;
pub use self::telemetry::Collector;
use crate::command::outcome::Failure;
use crate::provisioning::USUAL_SHARE;

/// Everything that can be set of a server.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The folder for everything the server keeps, absolute.
    pub data_dir: PathBuf,
    /// The public listener.
    pub https: Https,
    /// Where health and readiness answer, plain HTTP on loopback.
    pub admin_listen: SocketAddr,
    /// The SQLite database file.
    pub database_path: PathBuf,
    /// The PostgreSQL database that is used in its place.
    pub postgres: Option<PostgresUrl>,
    /// The file of the key that seals keys in the database.
    pub sealing_key_file: PathBuf,
    /// The file of the token that opens the control plane.
    pub control_token_file: PathBuf,
    /// How long devices are asked to wait between two polls.
    pub retry_after: Duration,
    /// How long things are kept.
    pub retention: Retention,
    /// What one client may ask of the server.
    pub limits: Limits,
    /// What is logged, and how.
    pub log: Log,
    /// The collector that spans are sent to.
    pub collector: Option<Collector>,
    /// The services that are made when the database is empty.
    pub services: Vec<FirstService>,
}

/// The public listener.
#[derive(Debug, Clone, PartialEq)]
pub struct Https {
    /// The addresses it listens on.
    pub listen: Vec<SocketAddr>,
    /// The server certificates, in order of preference; see [`crate::tls::ServerIdentity`].
    pub certificates: Vec<CertificateFiles>,
    /// PEM file of the authority that clients are to trust, when it is not a public one.
    pub ca_file: Option<PathBuf>,
}

/// A server certificate with its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// PEM file of the chain, leaf first.
    pub chain: PathBuf,
    /// PEM file of the leaf's key.
    pub key: PathBuf,
}

/// How long things are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    /// Finished operations; a device may ask for its outcome that long.
    pub operations: Duration,
    /// Audit entries.
    pub audit: Duration,
    /// Decision traces.
    pub traces: Duration,
    /// At most so many decision traces.
    pub trace_count: u64,
    /// Events of embedded hubs.
    pub events: Duration,
    /// At most so many events of each hub.
    pub event_count: u64,
}

/// What one client may ask of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The largest request body of a device, in bytes.
    pub body_bytes: usize,
    /// How long a request may take to arrive whole and be answered.
    pub request: Duration,
    /// How long a TLS handshake may take.
    pub handshake: Duration,
    /// Open connections in all.
    pub connections: usize,
    /// Open connections of one address.
    pub connections_per_address: usize,
    /// The share of one processor that group searches get in each id scope, in hundredths.
    pub group_search_percent: u8,
}

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// Which events, as `tracing` filters say it.
    pub filter: String,
    /// Whether lines are JSON instead of text.
    pub json: bool,
}

/// A service that is made when the database is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstService {
    /// Its name.
    pub name: String,
    /// The host name of its service API.
    pub host_name: String,
    /// The host name of its embedded hub.
    pub hub_host_name: String,
}

/// The settings that have a flag.
#[derive(Debug, Clone, Default, Args)]
pub struct Flags {
    /// Configuration file, TOML
    #[arg(long, short = 'c', value_name = "FILE", env = "LANDFALL_CONFIG")]
    pub config: Option<PathBuf>,
    /// Folder for everything the server keeps (data_dir)
    #[arg(long, value_name = "DIR")]
    pub data: Option<String>,
    /// Address to listen on; may be given several times (https.listen)
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Vec<String>,
    /// Server certificate chain and key, PEM files; may be given several times (https.certificates)
    #[arg(long, value_name = "CHAIN:KEY")]
    pub certificate: Vec<String>,
    /// Loopback address of health and readiness (admin.listen)
    #[arg(long, value_name = "ADDR:PORT")]
    pub admin_listen: Option<String>,
    /// Database file (database.path)
    #[arg(long, value_name = "FILE")]
    pub database: Option<String>,
    /// PostgreSQL database in place of the file, without a password (database.url)
    #[arg(long, value_name = "URL")]
    pub database_url: Option<String>,
    /// Seconds that devices are asked to wait between two polls (device.retry_after_seconds)
    #[arg(long, value_name = "N")]
    pub retry_after: Option<String>,
    /// What to log (log.filter)
    #[arg(long, value_name = "FILTER")]
    pub log: Option<String>,
    /// Form of log lines, `text` or `json` (log.format)
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<String>,
}

impl Flags {
    fn given(&self) -> Vec<(&'static str, Vec<String>)> {
        let one = |value: &Option<String>| value.iter().cloned().collect::<Vec<_>>();
        let all = [
            ("data_dir", one(&self.data)),
            ("https.listen", self.listen.clone()),
            ("https.certificates", self.certificate.clone()),
            ("admin.listen", one(&self.admin_listen)),
            ("database.path", one(&self.database)),
            ("database.url", one(&self.database_url)),
            ("device.retry_after_seconds", one(&self.retry_after)),
            ("log.filter", one(&self.log)),
            ("log.format", one(&self.log_format)),
        ];
        all.into_iter()
            .filter(|(_, values)| !values.is_empty())
            .collect()
    }
}

/// A setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {what}")]
pub struct ConfigError {
    /// The field, with where it was given: `https.listen (environment LANDFALL_HTTPS_LISTEN)`.
    pub place: String,
    /// What is wrong with it.
    pub what: String,
    /// What to do.
    pub fix: String,
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Failure::usage(error.to_string(), error.fix)
    }
}

/// Where a server keeps everything.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    /// The folder, absolute.
    pub data_dir: PathBuf,
    /// The SQLite database file.
    pub database_path: PathBuf,
    /// The PostgreSQL database that is used in its place.
    pub postgres: Option<PostgresUrl>,
    /// The file of the key that seals keys in the database.
    pub sealing_key_file: PathBuf,
}

impl Place {
    /// The database, as backups and restores name it.
    pub fn database(&self) -> Database<'_> {
        match &self.postgres {
            Some(url) => Database::Postgres(url),
            None => Database::Sqlite(&self.database_path),
        }
    }
}

/// Reads the settings. `environment` looks up a variable.
///
/// # Errors
/// [`ConfigError`] naming the field, what is wrong and the remedy.
pub fn load(
    flags: &Flags,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Settings, ConfigError> {
    settings(&sources(flags, environment)?)
}

/// Reads of the settings only where the server keeps everything: what else is set may be wrong or
/// missing on this machine.
///
/// # Errors
/// [`ConfigError`] naming the field, what is wrong and the remedy.
pub fn place(
    flags: &Flags,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Place, ConfigError> {
    place_of(&sources(flags, environment)?)
}

fn sources(
    flags: &Flags,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Sources, ConfigError> {
    let file = match &flags.config {
        Some(path) => Some(std::fs::read_to_string(path).map_err(|e| ConfigError {
            place: path.display().to_string(),
            what: format!("cannot be read: {e}"),
            fix: "check the path given with --config and its permissions".into(),
        })?),
        None => None,
    };
    Sources::new(&flags.given(), environment, file.as_deref())
}

fn place_of(sources: &Sources) -> Result<Place, ConfigError> {
    let data_dir = sources.text("data_dir")?;
    // Absolute from here on: paths below it are joined to it more than once.
    let data_dir = std::path::absolute(&data_dir).map_err(|e| {
        sources.error(
            "data_dir",
            &format!("cannot be found from here: {e}"),
            "give an absolute path",
        )
    })?;
    // A relative path counts from the data folder; an absolute one replaces it.
    Ok(Place {
        database_path: data_dir.join(sources.text("database.path")?),
        postgres: database::postgres(sources, &data_dir)?,
        sealing_key_file: data_dir.join(sources.text("secrets.sealing_key_file")?),
        data_dir,
    })
}

fn settings(sources: &Sources) -> Result<Settings, ConfigError> {
    let place = place_of(sources)?;
    let settings = Settings {
        https: Https {
            listen: sources.addresses("https.listen")?,
            certificates: sources.certificates("https.certificates")?,
            ca_file: sources.optional_path("https.ca_file")?,
        },
        admin_listen: sources.address("admin.listen")?,
        control_token_file: place
            .data_dir
            .join(sources.text("secrets.control_token_file")?),
        database_path: place.database_path,
        postgres: place.postgres,
        sealing_key_file: place.sealing_key_file,
        retry_after: Duration::from_secs(sources.number("device.retry_after_seconds")?),
        retention: Retention {
            operations: hours(sources.number("retention.operation_hours")?),
            audit: hours(24 * sources.number("retention.audit_days")?),
            traces: hours(sources.number("retention.trace_hours")?),
            trace_count: sources.number("retention.trace_count")?,
            events: hours(sources.number("retention.event_hours")?),
            event_count: sources.number("retention.event_count")?,
        },
        limits: Limits {
            body_bytes: sources.size("limits.body_bytes")?,
            request: Duration::from_secs(sources.number("limits.request_seconds")?),
            handshake: Duration::from_secs(sources.number("limits.handshake_seconds")?),
            connections: sources.size("limits.connections")?,
            connections_per_address: sources.size("limits.connections_per_address")?,
            group_search_percent: u8::try_from(sources.number("limits.group_search_percent")?)
                .unwrap_or(USUAL_SHARE),
        },
        log: Log {
            filter: sources.text("log.filter")?,
            json: sources.choice("log.format")? == "json",
        },
        collector: telemetry::collector(sources, &place.data_dir, cfg!(feature = "opentelemetry"))?,
        services: sources.services()?,
        data_dir: place.data_dir,
    };
    check(&settings, sources)?;
    Ok(settings)
}

fn hours(count: u64) -> Duration {
    Duration::from_secs(count * 3600)
}

/// The rules that tie a field to the world or to another field.
fn check(settings: &Settings, sources: &Sources) -> Result<(), ConfigError> {
    if settings.https.listen.is_empty() {
        return Err(sources.error(
            "https.listen",
            "is empty",
            "name an address, such as 0.0.0.0:443",
        ));
    }
    if settings.https.certificates.is_empty() {
        return Err(sources.error(
            "https.certificates",
            "is empty",
            "name the PEM files of a certificate whose names are the host names of your services: \
             [[https.certificates]] chain = \"…\" key = \"…\"",
        ));
    }
    for files in &settings.https.certificates {
        for path in [&files.chain, &files.key] {
            readable(sources, path)?;
        }
    }
    if !settings.admin_listen.ip().is_loopback() {
        return Err(sources.error(
            "admin.listen",
            "is not a loopback address; health and readiness answer without TLS",
            "use 127.0.0.1 or [::1], and let a local proxy carry it further",
        ));
    }
    if settings.limits.connections_per_address > settings.limits.connections {
        return Err(sources.error(
            "limits.connections_per_address",
            "is more than limits.connections",
            "lower it, or raise limits.connections",
        ));
    }
    if let Err(error) = EnvFilter::try_new(&settings.log.filter) {
        return Err(sources.error(
            "log.filter",
            &format!("is no filter: {error}"),
            "write a level such as `info`, or `landfall_server=debug,info`",
        ));
    }
    check_services(&settings.services)
}

fn readable(sources: &Sources, path: &Path) -> Result<(), ConfigError> {
    match std::fs::File::open(path) {
        Ok(_) => Ok(()),
        Err(error) => Err(sources.error(
            "https.certificates",
            &format!("{} cannot be read: {error}", path.display()),
            "correct the path, or let the server's user read the file",
        )),
    }
}

fn check_services(services: &[FirstService]) -> Result<(), ConfigError> {
    let error = |at: usize, member: &str, what: String, fix: &str| ConfigError {
        place: format!("services[{at}].{member}"),
        what,
        fix: fix.to_owned(),
    };
    for (at, service) in services.iter().enumerate() {
        ServiceName::parse(&service.name)
            .map_err(|e| error(at, "name", e.to_string(), "choose another name"))?;
        for (member, host) in [
            ("host_name", &service.host_name),
            ("hub_host_name", &service.hub_host_name),
        ] {
            HubHostName::parse(host).map_err(|e| {
                error(
                    at,
                    member,
                    e.to_string(),
                    "give the host name without scheme and port",
                )
            })?;
        }
        if !service.hub_host_name.contains('.') {
            return Err(error(
                at,
                "hub_host_name",
                format!("'{}' has no dot", service.hub_host_name),
                "give a full host name: several device SDKs refuse a hub without a dot",
            ));
        }
        let earlier = |same: &dyn Fn(&FirstService) -> bool| services.iter().take(at).any(same);
        if earlier(&|other| other.name.eq_ignore_ascii_case(&service.name)) {
            return Err(error(
                at,
                "name",
                format!("'{}' is there twice", service.name),
                "give each service a name of its own",
            ));
        }
        if earlier(&|other| {
            other
                .hub_host_name
                .eq_ignore_ascii_case(&service.hub_host_name)
        }) {
            return Err(error(
                at,
                "hub_host_name",
                format!("'{}' is there twice", service.hub_host_name),
                "give each service a hub of its own; `landfall linked-hub create` shares one later",
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
