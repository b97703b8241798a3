//! `landfall restore`: a server's database, made of a backup.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use landfall_store::dump::{self, RestoreError, Restored};
use landfall_store::secret::SealingKey;

use super::backup::{Server, counted};
use super::outcome::{Exit, Failure};
use super::print;
use crate::config::Place;
use crate::data_folder::DataFolder;
use crate::time::{SystemClock, SystemEntropy};

/// Options of `landfall restore`.
#[derive(Clone, Args)]
pub struct RestoreOptions {
    /// Backup to read, or - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The sealing key of the server that was backed up; kept in the data folder when none is there yet
    #[arg(long, value_name = "FILE")]
    sealing_key_file: Option<PathBuf>,
    /// Where the server is to keep everything.
    #[command(flatten)]
    server: Server,
}

/// Makes the database and says what is in it.
///
/// # Errors
/// [`Failure`] saying what kept it from being made; then the folder is as it was.
pub fn run(options: &RestoreOptions) -> Result<(), Failure> {
    let place = options.server.place()?;
    let mut input: Box<dyn BufRead> = if options.file.as_os_str() == "-" {
        Box::new(io::stdin().lock())
    } else {
        let file = File::open(&options.file).map_err(|error| {
            Failure::usage(
                format!("cannot read {}: {error}", options.file.display()),
                "name a file that `landfall backup` wrote",
            )
        })?;
        Box::new(BufReader::with_capacity(1 << 16, file))
    };
    let folder = DataFolder::open(&place.data_dir).map_err(anyhow::Error::new)?;
    let (key, is_new) = sealing_key(&folder, &place, options.sealing_key_file.as_deref())?;
    if is_new {
        // Before the database: one without its key could not be opened.
        folder
            .keep_sealing_key(&place.sealing_key_file, &key)
            .map_err(anyhow::Error::new)?;
    }
    let made = dump::restore(
        &mut *input,
        place.database(),
        &key,
        &SystemClock,
        Arc::new(SystemEntropy),
    );
    match made {
        Ok(made) => {
            print::text(&told(&made, &place));
            let made: &[&Path] = match place.postgres {
                Some(_) => &[&place.sealing_key_file],
                None => &[&place.database_path, &place.sealing_key_file],
            };
            folder
                .give_to_owner(made)
                .map_err(|error| anyhow::Error::new(error).into())
        }
        Err(error) => {
            if is_new {
                fs::remove_file(&place.sealing_key_file)
                    .with_context(|| format!("{error}; and the sealing key was left behind"))?;
            }
            Err(refused(&error, &place))
        }
    }
}

/// The key that sealed the backup, and whether the folder has it yet.
fn sealing_key(
    folder: &DataFolder,
    place: &Place,
    given: Option<&Path>,
) -> Result<(SealingKey, bool), Failure> {
    let kept = folder
        .kept_sealing_key(&place.sealing_key_file)
        .map_err(anyhow::Error::new)?;
    let given = given
        .map(|file| {
            let file = std::path::absolute(file)?;
            folder
                .kept_sealing_key(&file)?
                .with_context(|| format!("the sealing key file {} is not there", file.display()))
        })
        .transpose()?;
    match (kept, given) {
        (Some(kept), Some(given)) if kept.name() != given.name() => Err(Failure::usage(
            format!(
                "{} holds sealing key {}, and --sealing-key-file {}",
                place.sealing_key_file.display(),
                kept.name(),
                given.name()
            ),
            "restore into an empty folder, or move that key away when nothing is sealed with it",
        )),
        (Some(kept), _) => Ok((kept, false)),
        (None, Some(given)) => Ok((given, true)),
        (None, None) => Err(Failure::usage(
            format!(
                "the sealing key of the backup is needed, and {} is not there",
                place.sealing_key_file.display()
            ),
            "put the copy of sealing.key there, or name it with --sealing-key-file",
        )),
    }
}

fn told(made: &Restored, place: &Place) -> String {
    let header = &made.header;
    let schema = if header.schema_version == made.schema {
        String::new()
    } else {
        format!(
            " Its schema was version {}, and is {} now.",
            header.schema_version, made.schema
        )
    };
    format!(
        "Restored {} into {}, as they were on {} (landfall {}).{schema}",
        counted(&made.rows),
        place.database(),
        header.made,
        header.landfall
    )
}

fn refused(error: &RestoreError, place: &Place) -> Failure {
    let exit = match error {
        RestoreError::Occupied(_) | RestoreError::NotEmpty(_) => Exit::Conflict,
        _ => Exit::Refused,
    };
    let fix = match error {
        RestoreError::Occupied(_) => format!(
            "restore into a folder without a database, or move the database in {} away with its -wal and -shm files",
            place.data_dir.display()
        ),
        RestoreError::NotEmpty(_) => {
            "restore into a database that was just made: DROP DATABASE and CREATE DATABASE make it anew".into()
        }
        RestoreError::NoBackup => "name a file that `landfall backup` wrote, unpacked".into(),
        RestoreError::NewerFormat { .. } | RestoreError::NewerSchema { .. } => {
            "restore with the build that wrote it, or a newer one".into()
        }
        RestoreError::Line { .. } | RestoreError::Damaged(_) => {
            "use another copy of the backup: this one is not what was written".into()
        }
        RestoreError::Cut(_) => "use a copy that is whole".into(),
        RestoreError::WrongSealingKey { .. } => {
            "use the sealing.key of the server that was backed up".into()
        }
        RestoreError::Input(_) => "check the file and its disk".into(),
        RestoreError::Database { .. } if place.postgres.is_some() => {
            "see that the database runs, that this machine reaches it, and that its user owns it (database.url, database.password_file)".into()
        }
        RestoreError::Database { .. } => {
            "check that this user may write there and that there is space".into()
        }
    };
    Failure::new(exit, error.to_string(), fix)
}
