//! `landfall dev`: everything on this machine, with nothing installed. Ready means that a simulated
//! device was provisioned through the server's own public port. With a command, it lasts as long as
//! the command does.

mod address;
mod child;
mod ephemeral;
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
use landfall_core::clock::Clock;
use landfall_store::SqliteStore;
use tokio_rustls::TlsAcceptor;

use self::ephemeral::Ephemeral;
use self::ready::{Parts, Ready};
use super::connect::Connect;
use super::env;
use super::outcome::{Exit, Failure};
use crate::app::{Running, Settings};
use crate::backend::Backend;
use crate::data_folder::DataFolder;
use crate::dev_identity::{DevIdentity, renewal};
use crate::own_api::Naming;
use crate::own_api::naming::Loopback;
use crate::signals::{self, Stop};
use crate::time::{SystemClock, SystemEntropy};
use crate::tls;

/// Where the data is when nothing else is said; the client commands look there too.
const DEFAULT_DATA: &str = "./landfall-data";

/// Options of `landfall dev`.
#[derive(Debug, Clone, Args)]
pub struct DevOptions {
    /// The data folder: database, keys, development certificates; else LANDFALL_DATA, else
    /// ./landfall-data.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Take a fresh data folder below TMPDIR (else /tmp) and remove it at the end.
    #[arg(long, conflicts_with = "data")]
    pub ephemeral: bool,
    /// The loopback address to serve on; the embedded hub has this name. With the default the
    /// provisioning service is called `localhost`.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1")]
    pub bind: IpAddr,
    /// The HTTPS port. Official SDKs know only 443; without this option, 8443 and more are tried
    /// when 443 cannot be bound.
    #[arg(long, value_name = "N")]
    pub https_port: Option<u16>,
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
    // Removed when this function ends, however it ends.
    let ephemeral = match options.ephemeral {
        true => Some(Ephemeral::make(&SystemClock, &SystemEntropy).map_err(failed)?),
        false => None,
    };
    let path = match &ephemeral {
        Some(folder) => folder.path().to_owned(),
        None => named_data(&options),
    };
    let (running, ready) = start(&options, &path).await.map_err(failed)?;
    let outcome = if options.command.is_empty() {
        until_stopped(&options, &ready, &mut stop).await;
        Ok(ExitCode::SUCCESS)
    } else {
        until_the_command_ends(&options, &ready, &mut stop).await
    };
    // Programs read it to find a server that runs: it must not outlive one.
    let _ = std::fs::remove_file(ready.folder.join("dev.json"));
    running.stop().await;
    if options.command.is_empty() && !options.quiet {
        match &ephemeral {
            Some(_) => println!("Stopped. The data was ephemeral and is gone."),
            None => println!(
                "Stopped. Nothing that was accepted is lost; the data is in {}.",
                ready.folder.display()
            ),
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
        println!("\n{reason}: stopping; running requests end first.");
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
    let variables = env::of_a_new_device(&connect, None).await?;
    child::run(&options.command, &variables, stop).await
}

/// Opens the folder, listens, provisions the simulated device.
async fn start(options: &DevOptions, path: &Path) -> anyhow::Result<(Running, Ready)> {
    let mut parts = Parts::start();
    let folder = Arc::new(DataFolder::open(path)?);
    let socket = address::bind_https(options)?;
    let port = socket.local_addr()?.port();
    let database = folder.file("landfall.db");
    let sealing_key = folder.sealing_key(Path::new("sealing.key"), &database, &SystemEntropy)?;
    let backend = Backend::sqlite(database, sealing_key)?;
    let service = names::first_service(&backend, options.bind).await?;
    let control_token = folder.control_token(Path::new("control.token"), &SystemEntropy)?;
    parts.done("data folder and database");

    let identity = Arc::new(DevIdentity::open(
        Arc::clone(&folder),
        Arc::new(SystemClock),
        Arc::new(SystemEntropy),
        names::certified(&backend, options.bind).await?,
    )?);
    let acceptor = TlsAcceptor::from(Arc::new(tls::server_config(identity.shown())?));
    parts.done("certificates");

    let settings = Settings {
        retry_after: Duration::from_secs(options.retry_after),
        ca: Arc::new(ArcSwapOption::from_pointee(identity.ca_text()?)),
        ..Settings::default()
    };
    let naming_identity = Arc::clone(&identity);
    let mut running = Running::start(
        backend.clone(),
        Arc::clone(&folder),
        acceptor,
        control_token.clone(),
        move |doors| Naming::Loopback(Loopback::new(naming_identity, doors, port)),
        &settings,
    );
    let renewed = Arc::clone(&identity);
    running.beside(|stop| renewal::run(renewed, renewal::ROUND, stop));
    let place = place::Place {
        hub: names::hub_of(&backend, &service).await?,
        service,
        port,
        bind: options.bind,
        admin: (options.bind, 0).into(),
        control_token,
        ca_file: identity.ca_file(),
        bundle_file: identity.bundle_file(),
    };
    let opened = open(options, &mut running, &backend, socket, place, parts).await;
    let told = opened.and_then(|(place, road, parts)| {
        let ready = Ready {
            trial: ready::Trial::draw(&place, &SystemClock, &SystemEntropy),
            place,
            road,
            folder: folder.path().to_owned(),
            parts,
        };
        folder.write("dev.json", ready.json().as_bytes(), true)?;
        Ok(ready)
    });
    match told {
        Ok(ready) => Ok((running, ready)),
        Err(error) => {
            running.stop().await;
            Err(error)
        }
    }
}

/// Doors, health checks, self-check: what stands between a server and one that is ready.
async fn open(
    options: &DevOptions,
    running: &mut Running,
    backend: &Backend<SqliteStore>,
    socket: tokio::net::TcpListener,
    mut place: place::Place,
    mut parts: Parts,
) -> anyhow::Result<(place::Place, self_check::Road, Parts)> {
    address::open_doors(running, backend, options.bind, socket).await?;
    place.admin = address::open_admin(running, options).await?;
    parts.done("listening");
    let road = self_check::run(&place, &SystemClock).await.context(
        "the server listens, and the simulated device that it provisions through its own port was not assigned",
    )?;
    parts.done("self-check");
    Ok((place, road, parts))
}

/// The time, for whoever signs tokens here.
fn soon(clock: &dyn Clock, span: Duration) -> landfall_core::clock::Timestamp {
    clock.now().plus(span)
}
