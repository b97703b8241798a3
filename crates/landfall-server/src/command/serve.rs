//! `landfall serve`: a server by its configuration, with its own certificate, for real use.

mod doors;

use std::sync::Arc;

use clap::Args;
use landfall_core::id::{HubHostName, ServiceName};
use landfall_core::store::Store;
use landfall_store::SqliteStore;
use tokio_rustls::TlsAcceptor;

use super::outcome::{Exit, Failure};
use crate::app::{self, Running};
use crate::backend::Backend;
use crate::config::{self, Settings};
use crate::data_folder::DataFolder;
use crate::founding::{self, Names};
use crate::listener::Limits;
use crate::own_api::Naming;
use crate::seed::Chance;
use crate::serve_identity::{self, ServeIdentity, ServeIdentityError};
use crate::signals::{self, Reload};
use crate::systemd::{self, Notify};
use crate::telemetry::TraceRetention;
use crate::time::{SystemClock, SystemEntropy};
use crate::tls;
use crate::worker::Retention;

/// Options of `landfall serve`.
#[derive(Debug, Clone, Args)]
pub struct ServeOptions {
    /// Where the settings come from.
    #[command(flatten)]
    pub flags: config::Flags,
}

/// Reads the settings, starts the server and waits until it is told to stop.
///
/// # Errors
/// [`Failure`] saying what kept it from starting.
pub async fn run(options: ServeOptions) -> Result<(), Failure> {
    let environment = |name: &str| std::env::var(name).ok();
    let settings = config::load(&options.flags, &environment)?;
    let format = if settings.log.json {
        signals::LogFormat::Json
    } else {
        signals::LogFormat::Text
    };
    signals::log(&settings.log.filter, format)?;
    let mut stop = signals::Stop::listen()?;
    let reload = Reload::listen()?;
    // Before anything else is opened, so that a wrong number of them cannot mean something of ours.
    let handed = systemd::sockets(&environment)?;
    let notify = Arc::new(Notify::new(&environment));
    let Started {
        mut running,
        identity,
    } = start(&settings, reload).await?;
    let doors = match doors::open(&mut running, &settings, handed).await {
        Ok(doors) => doors,
        Err(failure) => {
            running.stop().await;
            return Err(failure);
        }
    };
    let living = Arc::clone(&notify);
    running.beside(|stop| async move { living.live(stop).await });
    notify.ready();
    tracing::info!(
        listen = ?doors.https,
        admin = %doors.admin,
        control_token_file = %settings.control_token_file.display(),
        certificates = ?identity.described(),
        "ready"
    );
    let reason = stop.wait().await;
    tracing::info!("{reason}: stopping");
    notify.stopping();
    running.stop().await;
    tracing::info!("stopped");
    Ok(())
}

/// A server whose doors are still closed, and the identity it will show.
struct Started {
    running: Running,
    identity: Arc<ServeIdentity>,
}

async fn start(settings: &Settings, reload: Reload) -> Result<Started, Failure> {
    let identity = ServeIdentity::open(&settings.https, Arc::new(SystemClock))?;
    let identity = Arc::new(identity);
    let folder = DataFolder::open(&settings.data_dir).map_err(anyhow::Error::new)?;
    refuse_a_seed(&folder)?;
    let running = open(settings, Arc::new(folder), &identity).await?;
    let mut started = Started { running, identity };
    let (identity, backend) = (
        Arc::clone(&started.identity),
        started.running.backend.clone(),
    );
    started.running.beside(|stop| {
        serve_identity::watch(
            identity,
            backend,
            reload,
            serve_identity::ROUND,
            || {},
            stop,
        )
    });
    Ok(started)
}

/// A folder whose keys a text fixes is for tests.
fn refuse_a_seed(folder: &DataFolder) -> anyhow::Result<()> {
    let chance = Chance::of_folder(folder, None)?;
    if chance.seed().is_some() {
        anyhow::bail!(
            "the data folder {} was made by `landfall dev --seed`, for tests: whoever knows that text knows every key in it; begin with another folder (data_dir)",
            folder.path().display()
        );
    }
    Ok(())
}

async fn open(
    settings: &Settings,
    folder: Arc<DataFolder>,
    identity: &ServeIdentity,
) -> anyhow::Result<Running> {
    let sealing_key = folder.sealing_key(
        &settings.sealing_key_file,
        &settings.database_path,
        &SystemEntropy,
    )?;
    let backend = Backend::sqlite(settings.database_path.clone(), sealing_key)?;
    found_first(&backend, settings).await?;
    let control_token = folder.control_token(&settings.control_token_file, &SystemEntropy)?;
    let acceptor = TlsAcceptor::from(Arc::new(tls::server_config(identity.shown())?));
    Ok(Running::start(
        backend,
        folder,
        acceptor,
        control_token,
        |_| Naming::Given,
        &app::Settings {
            ca: identity.ca(),
            ..bounds(settings)
        },
    ))
}

/// Founds the services of the configuration when the database has none yet.
async fn found_first(backend: &Backend<SqliteStore>, settings: &Settings) -> anyhow::Result<()> {
    if !backend.store.services().await?.is_empty() {
        return Ok(());
    }
    if settings.services.is_empty() {
        tracing::warn!(
            "there is no provisioning service yet: make one with `landfall service create`, or name it in [[services]] of the configuration"
        );
    }
    for first in &settings.services {
        let names = Names {
            service: ServiceName::parse(&first.name)?,
            host: first.host_name.to_ascii_lowercase(),
            hub: HubHostName::parse(&first.hub_host_name)?,
        };
        let (service, _) = founding::found(backend, names, backend.server()).await?;
        tracing::info!(id_scope = %service.id_scope, "provisioning service '{}' founded", service.name);
    }
    Ok(())
}

fn bounds(settings: &Settings) -> app::Settings {
    app::Settings {
        retry_after: settings.retry_after,
        retention: Retention {
            operations: settings.retention.operations,
            audit: settings.retention.audit,
        },
        traces: TraceRetention {
            age: settings.retention.traces,
            count: usize::try_from(settings.retention.trace_count).unwrap_or(usize::MAX),
        },
        device_body: settings.limits.body_bytes,
        limits: Limits {
            connections: settings.limits.connections,
            connections_per_address: settings.limits.connections_per_address,
            handshake: settings.limits.handshake,
            body: settings.limits.request,
            ..Limits::default()
        },
        ..app::Settings::default()
    }
}

impl From<ServeIdentityError> for Failure {
    fn from(error: ServeIdentityError) -> Self {
        Failure::new(Exit::Refused, error.to_string(), error.fix())
    }
}
