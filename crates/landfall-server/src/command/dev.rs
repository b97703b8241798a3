//! `landfall dev`: everything on this machine, with nothing installed. Ready means that a simulated
//! device was provisioned through the server's own public port. With a command, it lasts as long as
//! the command does.

mod address;
mod child;
mod ephemeral;
mod follow;
mod names;
mod place;
mod ready;
mod self_check;

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use arc_swap::ArcSwapOption;
use clap::Args;
use landfall_core::clock::{Clock, Entropy as _};
use landfall_core::secret::SymmetricKey;
use landfall_core::service::ProvisioningService;
use landfall_hub::device::Hub;
use landfall_store::{Durability, SqlStore};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use self::address::Bind;
use self::ephemeral::Ephemeral;
use self::place::Place;
use self::ready::{Parts, Ready, Trial};
use super::connect::Connect;
use super::env;
use super::outcome::{Exit, Failure};
use super::print;
use crate::app::{Running, Settings};
use crate::backend::Backend;
use crate::data_folder::DataFolder;
use crate::dev_identity::{DevIdentity, renewal};
use crate::listener::Limits;
use crate::own_api::Naming;
use crate::own_api::naming::Loopback;
use crate::seed::Chance;
use crate::signals::{self, Stop};
use crate::time::{SystemClock, SystemEntropy};
use crate::tls;

/// Where the data is when nothing else is said; the client commands look there too.
const DEFAULT_DATA: &str = "./landfall-data";

/// Options of `landfall dev`.
#[derive(Clone, Args)]
pub struct DevOptions {
    /// The data folder: database, keys, development certificates; else LANDFALL_DATA, else
    /// ./landfall-data.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Take a fresh data folder below TMPDIR (else /tmp) and remove it at the end.
    #[arg(long, conflicts_with = "data")]
    pub ephemeral: bool,
    /// The address to serve on, or `auto` for a loopback address whose port is free. The embedded hub
    /// has this name, and so has the provisioning service; with the default it is called `localhost`.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1")]
    pub bind: Bind,
    /// A name to go by, for containers that reach the server by one; may be given several times. The
    /// first is the service's and the hub's.
    #[arg(long = "host", value_name = "NAME")]
    pub hosts: Vec<String>,
    /// For tests only: draw id scope, keys and the CA's key from this text, so that they are the same
    /// on every machine. Whoever knows the text knows the keys.
    #[arg(long, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub seed: Option<String>,
    /// The HTTPS port. Official SDKs know only 443; without this option, 8443 and more are tried
    /// when 443 cannot be bound.
    #[arg(long, value_name = "N")]
    pub https_port: Option<u16>,
    /// The port of MQTT. Official SDKs know only 8883, which is taken without this option when it is
    /// free; the HTTPS port takes MQTT too.
    #[arg(long, value_name = "N")]
    pub mqtt_port: Option<u16>,
    /// The port of the health checks, in plain HTTP on the same address.
    #[arg(long, value_name = "N")]
    pub admin_port: Option<u16>,
    /// What devices are told to wait between polls, in seconds.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=300))]
    pub retry_after: u64,
    /// Which log messages to print, for instance `info` or `landfall=debug`.
    #[arg(
        long,
        value_name = "FILTER",
        env = "LANDFALL_LOG",
        default_value = "warn"
    )]
    pub log: String,
    /// Say only what is wrong.
    #[arg(long, short)]
    pub quiet: bool,
    /// A command to run when the server is ready, with the variables of `landfall env`. The server
    /// stops when it ends, and its exit status is passed on; standard output is the command's.
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// Runs until the command ends; without one, until Ctrl-C or SIGTERM.
///
/// # Errors
/// What kept the server from starting or the command from running, with its remedy.
pub async fn run(options: DevOptions) -> Result<ExitCode, Failure> {
    let mut parts = Parts::start();
    let failed = |error: anyhow::Error| Failure {
        exit: if options.command.is_empty() {
            Exit::Refused
        } else {
            Exit::NotStarted
        },
        ..Failure::from(error)
    };
    signals::log(&options.log, signals::LogFormat::Text).map_err(failed)?;
    let mut stop = Stop::listen_at_a_terminal().map_err(failed)?;
    // The generator gathers randomness before it gives any.
    SystemEntropy.fill(&mut [0; 1]);
    parts.done("random generator");
    // Removed when this function ends, however it ends.
    let ephemeral = match options.ephemeral {
        true => Some(Ephemeral::make(&SystemClock, &SystemEntropy).map_err(failed)?),
        false => None,
    };
    let path = match &ephemeral {
        Some(folder) => folder.path().to_owned(),
        None => named_data(&options),
    };
    let (running, ready) = start(&options, &path, parts).await.map_err(failed)?;
    let outcome = if options.command.is_empty() {
        until_stopped(&options, &ready, &mut stop).await;
        Ok(ExitCode::SUCCESS)
    } else {
        until_the_command_ends(&options, &ready, &mut stop).await
    };
    // Programs read it to find a server that runs: it must not outlive one.
    let told = ready.folder.join("dev.json");
    let _ = std::fs::remove_file(&told);
    running.stop().await;
    // A change that was the last may have written it once more.
    let _ = std::fs::remove_file(&told);
    if options.command.is_empty() && !options.quiet {
        match &ephemeral {
            Some(_) => print::text("Stopped. The data was ephemeral and is gone."),
            None => print::text(&format!(
                "Stopped. Nothing that was accepted is lost; the data is in {}.",
                ready.folder.display()
            )),
        }
    }
    outcome
}

fn named_data(options: &DevOptions) -> PathBuf {
    let from_environment = || std::env::var_os("LANDFALL_DATA").filter(|path| !path.is_empty());
    options
        .data
        .clone()
        .unwrap_or_else(|| from_environment().map_or_else(|| DEFAULT_DATA.into(), PathBuf::from))
}

async fn until_stopped(options: &DevOptions, ready: &Ready, stop: &mut Stop) {
    if !options.quiet {
        ready.print();
    }
    let reason = stop.wait().await;
    if !options.quiet {
        print::text(&format!(
            "\n{reason}: stopping; running requests end first."
        ));
    }
}

async fn until_the_command_ends(
    options: &DevOptions,
    ready: &Ready,
    stop: &mut Stop,
) -> Result<ExitCode, Failure> {
    if !options.quiet {
        ready.print_in_brief();
    }
    if let Some(reason) = stop.given().await {
        return Err(Failure::new(
            Exit::NotStarted,
            format!("{reason} before the command was run"),
            "start again",
        ));
    }
    let connect = Connect {
        data: ready.folder.clone(),
        // By name, so that no connection string of the environment leads elsewhere.
        service: Some(ready.place.service.name.as_str().to_owned()),
        ..Connect::default()
    };
    let not_started = |failure| Failure {
        exit: Exit::NotStarted,
        ..failure
    };
    let variables = env::of_a_new_device(&connect, None).await;
    let variables = variables.map_err(not_started)?;
    child::run(&options.command, &variables, stop).await
}

/// What a server stands on before it serves anybody.
struct Ground {
    folder: Arc<DataFolder>,
    chance: Chance,
    backend: Backend<SqlStore>,
    socket: TcpListener,
    mqtt: Option<TcpListener>,
    service: ProvisioningService,
    hub: Hub,
    /// The names it goes by that machines must look up.
    hosts: Vec<String>,
    control_token: SymmetricKey,
}

/// Opens the folder, takes the port, settles what the service is called.
async fn prepare(options: &DevOptions, path: &Path) -> anyhow::Result<Ground> {
    let hosts = names::announced(&options.hosts)?;
    let durability = match options.ephemeral {
        true => Durability::Process,
        false => Durability::Disk,
    };
    let folder = Arc::new(DataFolder::open_as(path, durability)?);
    let chance = Chance::of_folder(&folder, options.seed.as_deref())?;
    if chance.seed().is_some() {
        print::aside(
            "warning: this server's keys are drawn from a seed. That is for tests: whoever knows the text knows every key.",
        );
    }
    let database = folder.file("landfall.db");
    let sealing_key = folder.sealing_key(Path::new("sealing.key"), &database, &SystemEntropy)?;
    let backend = Backend::sqlite_as(database, sealing_key, durability)?;
    let made_for = names::made_for(&backend).await?;
    let socket = address::bind_https(options.bind, options.https_port, made_for)?;
    let mqtt = address::bind_mqtt(socket.local_addr()?, options.https_port, options.mqtt_port)?;
    let bind = socket.local_addr()?.ip();
    address::warn_of_the_network(bind);
    let (service, hub) = names::first_service(&backend, bind, &hosts, &chance).await?;
    let hosts = names::to_be_looked_up(&backend, hosts).await?;
    let control_token =
        folder.control_token(Path::new("control.token"), &*chance.of("control token"))?;
    Ok(Ground {
        folder,
        chance,
        backend,
        socket,
        mqtt,
        service,
        hub,
        hosts,
        control_token,
    })
}

/// Prepares, certifies, listens, provisions the simulated device.
async fn start(
    options: &DevOptions,
    path: &Path,
    mut parts: Parts,
) -> anyhow::Result<(Running, Ready)> {
    let ground = prepare(options, path).await?;
    let first = ground.socket.local_addr()?;
    let astray = tokio::spawn(names::astray(ground.hosts.clone(), first.ip()));
    parts.done("data folder and database");

    let identity = identity(&ground, first.ip()).await?;
    let acceptor = TlsAcceptor::from(Arc::new(tls::server_config(identity.shown())?));
    parts.done("certificates");

    let mqtt_port = match &ground.mqtt {
        Some(socket) => Some(socket.local_addr()?.port()),
        None => None,
    };
    let place = Place {
        service: ground.service,
        hub: ground.hub,
        port: first.port(),
        mqtt_port: mqtt_port.unwrap_or(first.port()),
        bind: first.ip(),
        hosts: ground.hosts,
        admin: (first.ip(), 0).into(),
        control_token: ground.control_token.clone(),
        ca_file: identity.ca_file(),
        bundle_file: identity.bundle_file(),
    };
    let settings = Settings {
        retry_after: Duration::from_secs(options.retry_after),
        limits: Limits::default().fitting(),
        ca: Arc::new(ArcSwapOption::from_pointee(identity.ca_text()?)),
        shown: identity.shown(),
        ..Settings::default()
    };
    let renewed = Arc::clone(&identity);
    let mut running = Running::start(
        ground.backend,
        Arc::clone(&ground.folder),
        acceptor,
        ground.control_token,
        move |doors| Naming::Loopback(Loopback::new(identity, doors, first, mqtt_port)),
        &settings,
    );
    running.beside(|stop| renewal::run(renewed, renewal::ROUND, stop));
    let folder = ground.folder;
    let sockets = (ground.socket, ground.mqtt);
    match open(options, &mut running, sockets, place, &folder, parts).await {
        Ok(ready) => {
            address::warn_of_astray(&astray.await?, ready.place.address());
            Ok((running, ready))
        }
        Err(error) => {
            running.stop().await;
            Err(error)
        }
    }
}

async fn identity(ground: &Ground, bind: IpAddr) -> anyhow::Result<Arc<DevIdentity>> {
    if let Some(seed) = ground.chance.seed() {
        DevIdentity::found_ca(&ground.folder, seed)?;
    }
    Ok(Arc::new(DevIdentity::open(
        Arc::clone(&ground.folder),
        Arc::new(SystemClock),
        Arc::new(SystemEntropy),
        names::certified(&ground.backend, bind, &ground.hosts).await?,
    )?))
}

/// Doors, health checks, self-check: what stands between a server and one that is ready.
async fn open(
    options: &DevOptions,
    running: &mut Running,
    (socket, mqtt): (TcpListener, Option<TcpListener>),
    mut place: Place,
    folder: &Arc<DataFolder>,
    mut parts: Parts,
) -> anyhow::Result<Ready> {
    let backend = running.backend.clone();
    address::open_doors(running, &backend, socket, mqtt).await?;
    place.admin = address::open_admin(running, place.bind, options.admin_port).await?;
    parts.done("listening");
    let road = self_check::run(&place, &SystemClock).await.context(
        "the server listens, and the simulated device that it provisions through its own port was not assigned",
    )?;
    parts.done("self-check");
    let ready = Ready {
        trial: Trial::draw(&place, &SystemClock, &SystemEntropy),
        place,
        road,
        folder: folder.path().to_owned(),
        parts,
    };
    let changes = running.changes.follow();
    folder.write("dev.json", ready::json(&ready.place).as_bytes(), true)?;
    let (place, folder) = (ready.place.clone(), Arc::clone(folder));
    running.beside(|stop| follow::run(backend, folder, place, changes, stop));
    Ok(ready)
}

/// The time, for whoever signs tokens here.
fn soon(clock: &dyn Clock, span: Duration) -> landfall_core::clock::Timestamp {
    clock.now().plus(span)
}
