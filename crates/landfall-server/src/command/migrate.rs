//! `landfall migrate`: brings a database's schema up to this build's, and says from which version to which.

use clap::Args;
use landfall_core::clock::Clock as _;
use landfall_store::schema::{self, Upgrade};

use super::backup::Server;
use super::outcome::{Exit, Failure};
use super::print;
use super::serve::database::{refused, refused_file};
use crate::data_folder::DataFolder;
use crate::time::SystemClock;

/// Options of `landfall migrate`.
#[derive(Clone, Args)]
pub struct MigrateOptions {
    /// Where the server keeps everything.
    #[command(flatten)]
    server: Server,
}

/// Brings the schema up to date.
///
/// # Errors
/// [`Failure`] saying what kept it from being done; then the database is as it was.
pub fn run(options: &MigrateOptions) -> Result<(), Failure> {
    let place = options.server.place()?;
    // Held, so that no server of an older build works on the file meanwhile.
    let mut _folder = None;
    if place.postgres.is_none() {
        // What cannot be looked at is told by the folder.
        if let Ok(false) = place.database_path.try_exists() {
            return Err(Failure::new(
                Exit::NotFound,
                format!("there is no database {}", place.database_path.display()),
                "name the server's data folder with --data, or its configuration with --config; the first start of a server makes it",
            ));
        }
        _folder = Some(DataFolder::open(&place.data_dir).map_err(anyhow::Error::new)?);
    }
    let database = place.database();
    let Upgrade { from, to } =
        schema::bring_up_to_date(database, SystemClock.now()).map_err(|error| {
            match &place.postgres {
                Some(_) => refused(&error, false),
                None => refused_file(&error),
            }
        })?;
    print::text(&if from == to {
        format!("The database {database} has schema version {to}, which is this build's.\n")
    } else {
        format!("The database {database} had schema version {from}, and has {to} now.\n")
    });
    Ok(())
}
