//! The command line: its tree, and the way from arguments to exit code.
//!
//! Each subcommand has a file of its own. Client commands speak the public API only; `dev` and
//! `serve` start a server, `backup` and `restore` work on its database. [`reference()`] writes docs/reference/cli.md from the tree.

pub mod audit;
pub mod backup;
pub mod bench;
pub mod ca;
pub mod cert;
pub mod connect;
pub mod connection_string;
pub mod dev;
pub mod device;
pub mod doctor;
pub mod enrollment;
pub mod env;
pub mod explain;
pub mod group;
pub mod hub;
pub mod key;
pub mod linked_hub;
mod meter;
pub mod migrate;
pub mod monitor;
mod new_file;
pub mod outcome;
pub mod policy;
pub mod print;
pub mod ready;
pub mod record;
pub mod reference;
pub mod registration;
pub mod restore;
pub mod sas;
pub mod serve;
pub mod service;
pub mod shell;
pub mod transfer;

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args as _, Parser, Subcommand, ValueEnum};

pub use self::outcome::{Exit, Failure};
pub use self::reference::{answers, reference};

/// The version, for `-V` and for whoever keeps things by version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit that was built, or `unknown`.
pub const COMMIT: &str = env!("LANDFALL_BUILT_OF");

/// The version and the commit that was built, for `--version`; build.rs tells where the commit comes from.
pub const BUILD: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (commit ",
    env!("LANDFALL_BUILT_OF"),
    ")"
);

/// An open device provisioning service: devices register, prove who they are, and are told their hub.
#[derive(Parser)]
#[command(
    name = "landfall",
    version = VERSION,
    long_version = BUILD,
    after_help = "Example:\n  landfall dev\n\nExit codes: 0 done, 1 refused or failed, 2 usage, \
                  3 not found, 4 conflict or etag mismatch, 5 not authorised, 6 cannot connect"
)]
pub struct CommandLine {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Subcommand)]
pub enum Command {
    /// Start everything on this machine: a service, its hub, TLS and a database in one folder
    #[command(after_help = "Example:\n  landfall dev --ephemeral -- pytest tests")]
    Dev(Box<dev::DevOptions>),
    /// Start a server by its configuration
    #[command(after_help = "Example:\n  landfall serve --config /etc/landfall/landfall.toml")]
    Serve(Box<serve::ServeOptions>),
    /// Say what is amiss with this machine or a server's settings, and what to do about it
    #[command(after_help = "Example:\n  landfall doctor --config /etc/landfall/landfall.toml")]
    Doctor(Box<doctor::DoctorOptions>),
    /// Bring a server's database up to the schema of this build, as a start does by itself
    #[command(after_help = "Example:\n  landfall migrate --config /etc/landfall/landfall.toml")]
    Migrate(migrate::MigrateOptions),
    /// Write everything a server keeps into one file; the server may run
    #[command(after_help = "Example:\n  landfall backup monday.backup --data /var/lib/landfall")]
    Backup(Box<backup::BackupOptions>),
    /// Make a server's database of a backup
    #[command(after_help = "Example:\n  landfall restore monday.backup --data /var/lib/landfall")]
    Restore(Box<restore::RestoreOptions>),
    /// Provisioning services of a server
    #[command(after_help = "Example:\n  landfall service list")]
    Service(Box<service::ServiceCommand>),
    /// Hubs that a service may assign to
    #[command(after_help = "Example:\n  landfall linked-hub list")]
    LinkedHub(Box<linked_hub::LinkedHubCommand>),
    /// Shared access policies: named keys with rights, of a service or a hub
    #[command(after_help = "Example:\n  landfall policy list")]
    Policy(Box<policy::PolicyCommand>),
    /// Print the connection string of the service, or of a hub
    #[command(after_help = "Example:\n  landfall connection-string --hub")]
    ConnectionString(Box<connection_string::ConnectionStringCommand>),
    /// Print the variables that samples and SDKs read, for a new throw-away device
    #[command(after_help = "Example:\n  landfall env --dotenv")]
    Env(Box<env::EnvCommand>),
    /// Individual enrollments: one device each
    #[command(after_help = "Example:\n  landfall enrollment list")]
    Enrollment(Box<enrollment::EnrollmentCommand>),
    /// Enrollment groups: many devices each
    #[command(
        visible_alias = "enrollment-group",
        after_help = "Example:\n  landfall group list"
    )]
    Group(Box<group::GroupCommand>),
    /// Registration records: where each device was put
    #[command(after_help = "Example:\n  landfall registration show dev1")]
    Registration(Box<registration::RegistrationCommand>),
    /// CA certificates, and the proof that their keys are yours
    #[command(
        visible_alias = "certificate",
        after_help = "Example:\n  landfall ca list"
    )]
    Ca(Box<ca::CaCommand>),
    /// Test certificates: make them, and have a chain judged as the server would
    #[command(after_help = "Example:\n  landfall cert root dps-test-root")]
    Cert(Box<cert::CertCommand>),
    /// A simulated device
    #[command(after_help = "Example:\n  landfall device run dev1")]
    Device(Box<device::DeviceCommand>),
    /// Devices and twins of a hub
    #[command(after_help = "Example:\n  landfall hub device list")]
    Hub(Box<hub::HubCommand>),
    /// Keys of devices in a symmetric key group
    #[command(
        after_help = "Example:\n  landfall key derive --key @group.key --registration-id sn-007"
    )]
    Key(Box<key::KeyCommand>),
    /// Print a shared access signature
    #[command(
        after_help = "Example:\n  landfall sas --id-scope 0ne00000001 --registration-id dev1 --key @dev1.key"
    )]
    Sas(Box<sas::SasCommand>),
    /// Say why a device's attempt ended as it did, or what a code means
    #[command(
        after_help = "Example:\n  landfall explain ada7d102-449e-4031-a1e7-e60ac75804ea\n  landfall explain --code 401002"
    )]
    Explain(Box<explain::ExplainCommand>),
    /// Show who changed what, and when
    #[command(
        after_help = "Example:\n  landfall audit --since 2h\n  landfall audit --id dev1 --json\n  landfall audit --since 2030-01-01 --jsonl >audit.jsonl"
    )]
    Audit(Box<audit::AuditCommand>),
    /// Say whether a server on this machine is ready, or wait until it is
    #[command(after_help = "Example:\n  landfall ready --wait 30")]
    Ready(Box<ready::ReadyCommand>),
    /// Print the script by which a shell completes `landfall`
    #[command(after_help = "Example:\n  landfall completions bash")]
    Completions(shell::CompletionsOptions),
    /// Print the manual page, or write the pages of all commands
    #[command(after_help = "Example:\n  landfall man --out ~/.local/share/man/man1")]
    Man(shell::ManOptions),
    /// Measure how many devices a server of this machine registers in a second
    #[command(
        after_help = "Example:\n  landfall bench --poll\n  landfall bench --attestation x509 --count 5000 --json"
    )]
    Bench(Box<bench::BenchCommand>),
    /// Print a page of the reference
    #[command(hide = true, after_help = "Example:\n  landfall reference cli")]
    Reference {
        /// Which page.
        page: Page,
    },
}

/// A page of the reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Page {
    /// docs/reference/cli.md
    Cli,
    /// docs/reference/configuration.md
    Configuration,
    /// docs/reference/statuses.md
    Statuses,
    /// docs/reference/errors.md
    Errors,
    /// docs/reference/checks.md
    Checks,
    /// docs/reference/metrics.md
    Metrics,
}

impl Command {
    /// Whether errors are wanted as JSON.
    fn json(&self) -> bool {
        match self {
            Command::Dev(_)
            | Command::Serve(_)
            | Command::Backup(_)
            | Command::Restore(_)
            | Command::Migrate(_)
            | Command::Completions(_)
            | Command::Man(_)
            | Command::Reference { .. } => false,
            Command::Doctor(options) => options.json,
            Command::Service(command) => command.connect.json,
            Command::LinkedHub(command) => command.connect.json,
            Command::Policy(command) => command.connect.json,
            Command::ConnectionString(command) => command.connect.json,
            Command::Env(command) => command.connect.json,
            Command::Enrollment(command) => command.connect.json,
            Command::Group(command) => command.connect.json,
            Command::Registration(command) => command.connect.json,
            Command::Ca(command) => command.connect.json,
            Command::Cert(command) => command.json(),
            Command::Device(command) => command.connect.json,
            Command::Hub(command) => command.connect.json,
            Command::Key(command) => command.connect.json,
            Command::Sas(command) => command.connect.json,
            Command::Explain(command) => command.connect.json,
            Command::Audit(command) => command.connect.json || command.jsonl,
            Command::Ready(_) => false,
            Command::Bench(command) => command.connect.json,
        }
    }

    /// Does what was asked, and gives the exit code: that of a command that was run, else 0.
    ///
    /// # Errors
    /// [`Failure`] with the exit code, what went wrong and what to do.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Command::Dev(options) => return dev::run(*options).await,
            Command::Doctor(options) => return doctor::run(*options).await,
            Command::Serve(options) => serve::run(*options).await,
            Command::Backup(options) => waiting(|| backup::run(&options)),
            Command::Migrate(options) => waiting(|| migrate::run(&options)),
            Command::Restore(options) => waiting(|| restore::run(&options)),
            Command::Service(command) => command.run().await,
            Command::LinkedHub(command) => command.run().await,
            Command::Policy(command) => command.run().await,
            Command::ConnectionString(command) => command.run().await,
            Command::Env(command) => command.run().await,
            Command::Enrollment(command) => command.run().await,
            Command::Group(command) => command.run().await,
            Command::Registration(command) => command.run().await,
            Command::Ca(command) => command.run().await,
            Command::Cert(command) => command.run().await,
            Command::Device(command) => command.run().await,
            Command::Hub(command) => command.run().await,
            Command::Key(command) => command.run(),
            Command::Sas(command) => command.run(),
            Command::Explain(command) => command.run().await,
            Command::Audit(command) => command.run().await,
            Command::Ready(command) => command.run().await,
            Command::Bench(command) => command.run().await,
            Command::Completions(options) => shell::completions(&options),
            Command::Man(options) => shell::man(&options),
            Command::Reference { page } => {
                print::text(&match page {
                    Page::Cli => reference(),
                    Page::Configuration => crate::config::reference(),
                    Page::Statuses => answers::statuses_page(),
                    Page::Errors => answers::errors(),
                    Page::Checks => answers::checks(),
                    Page::Metrics => reference::metrics::page(),
                });
                Ok(())
            }
        }?;
        print::arrived()?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Does what waits for a database, on a thread that may wait.
fn waiting(work: impl FnOnce() -> Result<(), Failure> + Send) -> Result<(), Failure> {
    let done = std::thread::scope(|scope| scope.spawn(work).join());
    done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Moves connection options that stand before the command behind it, where the tree has them:
/// `landfall --data DIR explain X` is `landfall explain --data DIR X`.
fn in_place(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let options = connect::Connect::augment_args(clap::Command::new("connection"));
    let mut arguments = arguments.into_iter();
    let mut out: Vec<OsString> = arguments.next().into_iter().collect();
    let mut early = Vec::new();
    for argument in arguments.by_ref() {
        if early
            .last()
            .is_some_and(|before| takes_next(&options, before))
        {
            early.push(argument);
            continue;
        }
        if connection_option(&options, &argument).is_none() {
            out.push(argument);
            break;
        }
        early.push(argument);
    }
    out.extend(early);
    out.extend(arguments);
    out
}

fn connection_option<'a>(options: &'a clap::Command, argument: &OsString) -> Option<&'a clap::Arg> {
    let text = argument.to_str()?;
    let name = text.split_once('=').map_or(text, |(name, _)| name);
    options.get_arguments().find(|option| {
        let long = option.get_long().map(|long| format!("--{long}"));
        let short = option.get_short().map(|short| format!("-{short}"));
        long.as_deref() == Some(name) || short.as_deref() == Some(name)
    })
}

fn takes_next(options: &clap::Command, argument: &OsString) -> bool {
    let joined = argument.to_str().is_some_and(|text| text.contains('='));
    let option = connection_option(options, argument);
    !joined && option.is_some_and(|option| option.get_action().takes_values())
}

/// How long work that nobody waits for may keep the process.
const END: Duration = Duration::from_secs(1);

/// Reads the arguments of the process, does what they ask and gives the exit code.
pub fn main() -> ExitCode {
    let command = CommandLine::parse_from(in_place(std::env::args_os())).command;
    let as_json = command.json();
    let runtime = match command {
        Command::Dev(_) | Command::Serve(_) => tokio::runtime::Builder::new_multi_thread(),
        _ => tokio::runtime::Builder::new_current_thread(),
    }
    .enable_all()
    .build();
    let outcome = match runtime {
        Ok(runtime) => {
            let outcome = runtime.block_on(command.run());
            // A name that is still looked up for nobody shall not keep the process.
            runtime.shutdown_timeout(END);
            outcome
        }
        Err(error) => Err(anyhow::Error::new(error).into()),
    };
    match outcome {
        Ok(code) => code,
        Err(failure) => {
            eprint!("{}", failure.render(as_json));
            failure.exit.into()
        }
    }
}

#[cfg(test)]
mod tests;
