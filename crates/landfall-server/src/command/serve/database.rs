//! Which database a server opens, with which sealing key, and what is said when it does not open.

use landfall_store::secret::SealingKey;
use landfall_store::{OpenError, PostgresUrl, SqlStore};

use crate::backend::Backend;
use crate::command::outcome::{Exit, Failure};
use crate::config::Settings;
use crate::data_folder::DataFolder;
use crate::time::SystemEntropy;

/// Opens the database of the settings.
///
/// # Errors
/// [`Failure`] saying what is wrong with the database or the key, and what to do.
pub async fn open(settings: &Settings, folder: &DataFolder) -> Result<Backend<SqlStore>, Failure> {
    match &settings.postgres {
        None => {
            let key = folder
                .sealing_key(
                    &settings.sealing_key_file,
                    &settings.database_path,
                    &SystemEntropy,
                )
                .map_err(anyhow::Error::new)?;
            Backend::sqlite(settings.database_path.clone(), key)
                .map_err(|error| refused_file(&error))
        }
        Some(url) => shared(settings, url, folder).await,
    }
}

/// Tells of a database without anything in it beside a key that was there before: either this is the first start with
/// a key of the operator's, or everything is elsewhere, and whoever registers meanwhile does so in vain.
pub fn tell_of_emptiness(settings: &Settings) {
    let database = match &settings.postgres {
        Some(url) => url.to_string(),
        None => settings.database_path.display().to_string(),
    };
    tracing::warn!(
        "the database {database} is empty, and {} was there before it: if this server had another database, stop it now and put that back (a disk that is not mounted, another database.url), or restore a backup with `landfall restore`; at a first start with a key of your own all is well",
        settings.sealing_key_file.display()
    );
}

/// Opens a PostgreSQL database. Its key is drawn by the first server of all; the others are given a copy.
async fn shared(
    settings: &Settings,
    url: &PostgresUrl,
    folder: &DataFolder,
) -> Result<Backend<SqlStore>, Failure> {
    let file = &settings.sealing_key_file;
    let kept = folder.kept_sealing_key(file).map_err(anyhow::Error::new)?;
    let is_new = kept.is_none();
    let key = match kept {
        Some(key) => key,
        None => {
            let key = SealingKey::generate(&SystemEntropy);
            // Before the database: one without its key could not be opened.
            folder
                .keep_sealing_key(file, &key)
                .map_err(anyhow::Error::new)?;
            key
        }
    };
    Backend::postgres(url.clone(), key).await.map_err(|error| {
        let may_be_sealed = matches!(error, OpenError::Unavailable { begun: true, .. });
        if is_new && !may_be_sealed {
            // A key that sealed nothing must not stand where that of the database belongs. One whose database
            // went away before it answered may have sealed it.
            let _ = std::fs::remove_file(folder.path().join(file));
        }
        refused(&error, is_new)
    })
}

/// What is said when a SQLite database does not open.
pub fn refused_file(error: &OpenError) -> Failure {
    match error {
        OpenError::WrongSealingKey { .. } => Failure::new(
            Exit::Refused,
            error.to_string(),
            "put back the sealing.key that belongs to this database (secrets.sealing_key_file); without it no key in it can be read",
        ),
        OpenError::Unavailable { remedy: None, .. } => Failure::new(
            Exit::Refused,
            error.to_string(),
            "see with `landfall doctor` what is wrong with the file; one that is another program's, or damaged, is replaced by a backup with `landfall restore`",
        ),
        OpenError::Unavailable {
            remedy: Some(remedy),
            ..
        } => Failure::new(Exit::Refused, error.to_string(), *remedy),
        OpenError::NewerSchema { .. } => refused(error, false),
    }
}

/// What is said when a database does not open; `is_new` when its key was drawn for it just now.
pub fn refused(error: &OpenError, is_new: bool) -> Failure {
    match error {
        OpenError::NewerSchema { .. } => Failure::new(
            Exit::Refused,
            error.to_string(),
            "install the newer build on this machine too, or go back to a backup of before it with `landfall restore`",
        ),
        OpenError::WrongSealingKey { database, .. } if is_new => Failure::new(
            Exit::Refused,
            format!("the database {database} is sealed with a key that is not in this data folder"),
            "copy sealing.key of a server that uses this database into the data folder (secrets.sealing_key_file)",
        ),
        OpenError::WrongSealingKey { .. } => Failure::new(
            Exit::Refused,
            error.to_string(),
            "all servers of a database have the same sealing.key: copy it from one that uses this database",
        ),
        OpenError::Unavailable { remedy, .. } => Failure::new(
            Exit::CannotConnect,
            error.to_string(),
            remedy.unwrap_or("see that the database runs and takes writes, that this machine reaches it, and that user, password and database name are right (database.url, database.password_file)"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_does_not_open_leads_nobody_to_the_settings_of_a_server() {
        let strange = OpenError::Unavailable {
            database: "landfall.db".to_owned(),
            cause: "table services already exists".to_owned(),
            remedy: None,
            begun: false,
        };
        let (file, server) = (refused_file(&strange), refused(&strange, false));
        let fix = |failure: &Failure| failure.fix.clone().expect("a remedy");
        assert_eq!(file.exit, Exit::Refused);
        assert!(!fix(&file).contains("database.url"), "{file:?}");
        assert_eq!(server.exit, Exit::CannotConnect);
        assert!(fix(&server).contains("database.url"), "{server:?}");
    }
}
