//! `landfall serve`: a server by its configuration, with its own certificate, for real use.

mod announcement;
mod check;
pub(super) mod database;
mod doors;
mod exporting;

pub use self::doors::remedy;

use std::sync::Arc;

use clap::Args;
use landfall_core::id::{HubHostName, ServiceName};
use landfall_core::store::Store;
use landfall_store::SqlStore;
use tokio_rustls::TlsAcceptor;

use self::announcement::Announcement;
use self::doors::Doors;
use super::outcome::{Exit, Failure};
use crate::app::{self, Running};
use crate::backend::Backend;
use crate::config::{self, FirstService, Settings};
use crate::data_folder::DataFolder;
use crate::founding::{self, Names};
use crate::listener::Limits;
use crate::own_api::Naming;
use crate::seed::Chance;
use crate::serve_identity::{self, ROUND, ServeIdentity, ServeIdentityError};
use crate::signals::{self, Reload};
use crate::spans::Spans;
use crate::systemd::{self, Handed, Notify};
use crate::telemetry::TraceRetention;
use crate::time::{SystemClock, SystemEntropy};
use crate::tls;
use crate::worker::Retention;

/// Options of `landfall serve`.
#[derive(Clone, Args)]
pub struct ServeOptions {
    /// Where the settings come from.
    #[command(flatten)]
    pub flags: config::Flags,
    /// Judge configuration and certificates as a start would, and start nothing.
    #[arg(long)]
    pub check: bool,
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
    if options.check {
        return check::run(&settings);
    }
    let mut stop = signals::Stop::listen()?;
    let reload = Reload::listen()?;
    // Before anything else is opened, so that a wrong number of them cannot mean something of ours.
    let handed = systemd::sockets(&environment)?;
    let notify = Arc::new(Notify::new(&environment));

    let identity = Arc::new(ServeIdentity::open(&settings.https, Arc::new(SystemClock))?);
    let folder = Arc::new(DataFolder::open(&settings.data_dir).map_err(anyhow::Error::new)?);
    refuse_a_seed(&folder)?;
    let (spans, sending) = exporting::prepare(&settings)?;
    let (mut running, founded) = open(&settings, &folder, &identity, spans).await?;
    if let Some(begin) = sending {
        begin(&mut running);
    }
    let announced = announce(&mut running, &settings, &folder, &identity, handed).await;
    let (doors, announcement) = match announced {
        Ok(announced) => announced,
        Err(failure) => {
            running.stop().await;
            return Err(failure);
        }
    };

    watch(&mut running, &identity, &announcement, reload);
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
    if founded {
        tracing::info!(
            "this is the first start: the owners' keys are read on this machine, by the server's user, with `landfall connection-string --data {data}` and `landfall connection-string --hub --data {data}`",
            data = folder.path().display()
        );
    }
    let reason = stop.wait().await;
    tracing::info!("{reason}: stopping");
    notify.stopping();
    announcement.remove();
    running.stop().await;
    tracing::info!("stopped");
    Ok(())
}

/// Opens the doors, and says in the data folder where they are. Only then the server is ready: commands that
/// waited for that find it.
async fn announce(
    running: &mut Running,
    settings: &Settings,
    folder: &Arc<DataFolder>,
    identity: &ServeIdentity,
    handed: Handed,
) -> Result<(Doors, Arc<Announcement>), Failure> {
    let (doors, admin) = doors::open(running, settings, handed).await?;
    let announcement = Announcement::new(Arc::clone(folder), settings, &doors);
    announcement
        .write(&identity.fingerprints())
        .map_err(anyhow::Error::new)?;
    running.listen_admin_on(admin).map_err(anyhow::Error::new)?;
    Ok((doors, Arc::new(announcement)))
}

/// Looks at the certificate files from now on; what is shown is also announced.
fn watch(
    running: &mut Running,
    identity: &Arc<ServeIdentity>,
    announcement: &Arc<Announcement>,
    reload: Reload,
) {
    let backend = running.backend.clone();
    let (watched, identity) = (Arc::clone(identity), Arc::clone(identity));
    let announcement = Arc::clone(announcement);
    let changed = move || {
        if let Err(error) = announcement.write(&identity.fingerprints()) {
            tracing::error!("commands on this machine will not know the certificate: {error}");
        }
    };
    running.beside(|stop| serve_identity::watch(watched, backend, reload, ROUND, changed, stop));
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
    folder: &Arc<DataFolder>,
    identity: &ServeIdentity,
    spans: Spans,
) -> Result<(Running, bool), Failure> {
    let has_key = folder.path().join(&settings.sealing_key_file).exists();
    let backend = database::open(settings, folder).await?;
    if has_key
        && backend
            .store
            .services()
            .await
            .map_err(anyhow::Error::new)?
            .is_empty()
    {
        database::tell_of_emptiness(settings);
    }
    let founded = found_first(&backend, settings).await?;
    let control_token = folder
        .control_token(&settings.control_token_file, &SystemEntropy)
        .map_err(anyhow::Error::new)?;
    let acceptor = TlsAcceptor::from(Arc::new(
        tls::server_config(identity.shown()).map_err(anyhow::Error::new)?,
    ));
    let running = Running::start(
        backend,
        Arc::clone(folder),
        acceptor,
        control_token,
        |_| Naming::Given(identity.shown()),
        &app::Settings {
            ca: identity.ca(),
            shown: identity.shown(),
            spans,
            ..bounds(settings)
        },
    );
    Ok((running, founded))
}

/// Founds the services of the configuration when the database has none yet. Gives whether it did.
async fn found_first(backend: &Backend<SqlStore>, settings: &Settings) -> anyhow::Result<bool> {
    let standing = backend.store.services().await?;
    if !standing.is_empty() {
        let standing: Vec<ServiceName> = standing.into_iter().map(|one| one.name).collect();
        for name in not_founded(&settings.services, &standing) {
            tracing::warn!(
                service = name,
                "provisioning service '{name}' of [[services]] is not in the database, and is not founded: the configuration founds services in an empty one only. Make it with `landfall service create {name} --host … --hub-host … --data {}`, or leave it out of the configuration",
                settings.data_dir.display()
            );
        }
        return Ok(false);
    }
    if settings.services.is_empty() {
        tracing::warn!(
            "there is no provisioning service yet: make one with `landfall service create NAME --host … --hub-host … --data {}`, or name it in [[services]] of the configuration",
            settings.data_dir.display()
        );
    }
    for first in &settings.services {
        let names = Names {
            service: ServiceName::parse(&first.name)?,
            host: first.host_name.to_ascii_lowercase(),
            hub: HubHostName::parse(&first.hub_host_name)?,
        };
        let (service, _) = match founding::found(backend, names, backend.server()).await {
            Ok(founded) => founded,
            // Several servers may begin at once on one database; the hub's name lets one of them found.
            Err(_) if stands(backend, &first.name).await? => {
                tracing::info!(
                    "provisioning service '{}' was founded by another server",
                    first.name
                );
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        tracing::info!(id_scope = %service.id_scope, "provisioning service '{}' founded", service.name);
    }
    Ok(!settings.services.is_empty())
}

/// Whether a service of this name stands in the database.
async fn stands(backend: &Backend<SqlStore>, name: &str) -> anyhow::Result<bool> {
    let services = backend.store.services().await?;
    Ok(services
        .iter()
        .any(|service| service.name.as_str().eq_ignore_ascii_case(name)))
}

/// The names of the configuration's services that do not stand in the database.
fn not_founded<'c>(configured: &'c [FirstService], standing: &[ServiceName]) -> Vec<&'c str> {
    let stands = |name: &str| {
        let mut names = standing.iter().map(ServiceName::as_str);
        names.any(|standing| standing.eq_ignore_ascii_case(name))
    };
    let names = configured.iter().map(|service| service.name.as_str());
    names.filter(|name| !stands(name)).collect()
}

fn bounds(settings: &Settings) -> app::Settings {
    app::Settings {
        retry_after: settings.retry_after,
        retention: Retention {
            operations: settings.retention.operations,
            audit: settings.retention.audit,
            events: settings.retention.events,
            event_count: settings.retention.event_count,
        },
        traces: TraceRetention {
            age: settings.retention.traces,
            count: usize::try_from(settings.retention.trace_count).unwrap_or(usize::MAX),
        },
        device_body: settings.limits.body_bytes,
        search_share: settings.limits.group_search_percent,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configured_services_that_do_not_stand_are_named() {
        let configured = |name: &str| FirstService {
            name: name.to_owned(),
            host_name: "dps.example.net".to_owned(),
            hub_host_name: "hub.example.net".to_owned(),
        };
        let standing = [
            ServiceName::parse("factory").expect("a name"),
            ServiceName::parse("other").expect("a name"),
        ];
        let all = [configured("Factory"), configured("second")];
        assert_eq!(not_founded(&all, &standing), ["second"]);
        assert!(not_founded(&all[..1], &standing).is_empty());
    }
}
