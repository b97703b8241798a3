//! The PostgreSQL database of the settings: its URL, with the password and the authorities of files that the
//! settings name. No part of a password is ever repeated.

use std::path::Path;

use landfall_store::PostgresUrl;
use zeroize::Zeroizing;

use super::ConfigError;
use super::source::Sources;

/// The longest file of authorities that is read, in bytes.
const LONGEST: u64 = 4 * 1024 * 1024;

/// The PostgreSQL database, when the settings name one.
pub(super) fn postgres(
    sources: &Sources,
    data_dir: &Path,
) -> Result<Option<PostgresUrl>, ConfigError> {
    const URL: &str = "database.url";
    let Some(text) = sources.optional_text(URL)? else {
        return Ok(None);
    };
    let text = Zeroizing::new(text);
    let mut url = PostgresUrl::parse(&text).map_err(|error| {
        sources.error(
            URL,
            &format!("is no URL of a PostgreSQL database: {error}"),
            "write it as postgresql://USER@HOST:PORT/NAME",
        )
    })?;
    if url.has_password() && sources.by_flag(URL) {
        return Err(sources.error(
            URL,
            "holds a password, which every user of this machine reads in the list of processes",
            "put the password into a file and name it in database.password_file",
        ));
    }
    if let Some(bytes) = content(sources, "database.password_file", data_dir)? {
        let text = std::str::from_utf8(&bytes).map_err(|_| {
            sources.error(
                "database.password_file",
                "is not text",
                "write the password into it as UTF-8",
            )
        })?;
        url = url.with_password(text.trim_end_matches(['\r', '\n']));
    }
    if let Some(pem) = content(sources, "database.ca_file", data_dir)? {
        url = url.with_authorities(pem.to_vec());
    }
    Ok(Some(url))
}

/// What stands in the file that a field names, when it names one.
pub(super) fn content(
    sources: &Sources,
    name: &str,
    data_dir: &Path,
) -> Result<Option<Zeroizing<Vec<u8>>>, ConfigError> {
    let Some(path) = sources.optional_path(name)? else {
        return Ok(None);
    };
    let path = data_dir.join(path);
    let unread = |what: String| {
        sources.error(
            name,
            &format!("{} {what}", path.display()),
            "correct the path, or let the server's user read the file",
        )
    };
    let length = std::fs::metadata(&path).map_err(|e| unread(format!("cannot be read: {e}")))?;
    if length.len() > LONGEST {
        return Err(unread("is too long".to_owned()));
    }
    let bytes = std::fs::read(&path).map_err(|e| unread(format!("cannot be read: {e}")))?;
    Ok(Some(Zeroizing::new(bytes)))
}
