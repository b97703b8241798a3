//! `landfall backup`: everything a server keeps, as one file, while the server runs.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use landfall_core::clock::Clock as _;
use landfall_store::dump::{self, BackedUp, BackupError, Rows, Traces};

use super::new_file::NewFile;
use super::outcome::{Exit, Failure};
use super::print;
use crate::config::{self, Flags, Place};
use crate::time::SystemClock;

/// Which server's database a command works on.
#[derive(Clone, Args)]
pub struct Server {
    /// Folder in which the server keeps everything; else LANDFALL_DATA, else what the configuration says
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    /// Configuration file of the server (`serve`), for where it keeps its database and sealing key
    #[arg(long, short = 'c', value_name = "FILE", env = "LANDFALL_CONFIG")]
    config: Option<PathBuf>,
}

impl Server {
    /// Where the server keeps everything.
    ///
    /// # Errors
    /// [`Failure`] naming what is wrong with the configuration.
    pub fn place(&self) -> Result<Place, Failure> {
        let environment = |name: &str| std::env::var(name).ok();
        let of_dev = || {
            environment("LANDFALL_DATA").filter(|text| !text.is_empty() && self.config.is_none())
        };
        let flags = Flags {
            data: self.data.clone().or_else(of_dev),
            config: self.config.clone(),
            ..Flags::default()
        };
        Ok(config::place(&flags, &environment)?)
    }
}

/// Options of `landfall backup`.
#[derive(Clone, Args)]
pub struct BackupOptions {
    /// File to write, or - for standard output
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Leave out the decision traces, which `explain` reads
    #[arg(long)]
    without_traces: bool,
    /// Where the server keeps everything.
    #[command(flatten)]
    server: Server,
}

/// Writes the backup and says what is in it.
///
/// # Errors
/// [`Failure`] saying what kept it from being written; then no file is left.
pub fn run(options: &BackupOptions) -> Result<(), Failure> {
    let place = options.server.place()?;
    if place.postgres.is_none() && !place.database_path.exists() {
        return Err(Failure::new(
            Exit::NotFound,
            format!("there is no database {}", place.database_path.display()),
            "name the server's data folder with --data, or its configuration with --config",
        ));
    }
    let write = |out: &mut dyn Write| {
        let traces = if options.without_traces {
            Traces::LeftOut
        } else {
            Traces::Kept
        };
        let version = crate::command::VERSION;
        dump::backup(place.database(), out, SystemClock.now(), version, traces)
    };
    if options.file.as_os_str() == "-" {
        let mut out = io::BufWriter::with_capacity(1 << 16, io::stdout().lock());
        let made = write(&mut out).map_err(|error| refused(&error, &place))?;
        eprintln!("{}", told(&made, &place, "standard output"));
        return Ok(());
    }
    let mut file = NewFile::begin(&options.file)?;
    let made = write(&mut file).map_err(|error| match error {
        BackupError::Output(error) => file.unwritten(&error),
        other => refused(&other, &place),
    })?;
    file.finish()?;
    print::text(&told(&made, &place, &options.file.display().to_string()));
    Ok(())
}

fn told(made: &BackedUp, place: &Place, to: &str) -> String {
    format!(
        "Wrote {} to {to}.\nThe keys in it are sealed with {} (name {}): keep a copy of that file apart.",
        counted(&made.rows),
        place.sealing_key_file.display(),
        made.header.sealing_key
    )
}

/// What operators count, in words.
pub fn counted(rows: &Rows) -> String {
    const COUNTED: [(&str, &str); 5] = [
        ("services", "service"),
        ("individual_enrollments", "enrollment"),
        ("enrollment_groups", "group"),
        ("registrations", "registration"),
        ("devices", "hub device"),
    ];
    let mut words: Vec<String> = COUNTED
        .iter()
        .map(|(table, noun)| print::many(rows.get(*table).copied().unwrap_or(0), noun))
        .collect();
    let last = words.pop().unwrap_or_default();
    let all: u64 = rows.values().sum();
    format!("{} and {last} ({all} rows)", words.join(", "))
}

fn refused(error: &BackupError, place: &Place) -> Failure {
    let fix = match error {
        BackupError::NewerSchema { .. } => "back up with the build that the server runs",
        BackupError::Unavailable { .. } if place.postgres.is_some() => {
            "see that the database runs and that this machine reaches it (database.url, database.password_file)"
        }
        BackupError::Unavailable { .. } => {
            "run it as the server's user, on the server's machine; if the disk is full, make room"
        }
        BackupError::Output(_) => "check what reads the output",
    };
    Failure::new(Exit::Refused, error.to_string(), fix)
}
