//! The three files of a test certificate: read for a parent, written for a new one, whole or not at
//! all, and never over another file.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use landfall_core::certificate::Certificate;
use zeroize::Zeroizing;

use crate::command::new_file::{NewFile, unwritten};
use crate::command::outcome::{Exit, Failure};
use crate::command::record::file;
use crate::dev_ca::PemPair;

/// Where the files of one certificate are.
pub(super) struct Place {
    folder: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
    fullchain: PathBuf,
}

/// The CA that signs.
pub(super) struct Parent {
    pub(super) certificate: Certificate,
    pub(super) certificate_file: PathBuf,
    pub(super) pem: String,
    pub(super) key: Zeroizing<String>,
    pub(super) key_file: PathBuf,
    /// Its own certificate and those above it, as PEM.
    pub(super) chain: String,
}

/// A certificate and the files that now hold it.
pub(super) struct Written {
    pub(super) certificate: Certificate,
    pub(super) certificate_file: PathBuf,
    pub(super) key_file: PathBuf,
    pub(super) fullchain_file: PathBuf,
}

impl Place {
    /// Names the files of a certificate in `folder`.
    pub(super) fn new(folder: &Path, root: &str) -> Self {
        // Files of the current folder are shown as the tool and the articles name them.
        let file = |end: &str| {
            let name = format!("{root}_{end}.pem");
            if folder == Path::new(".") {
                PathBuf::from(name)
            } else {
                folder.join(name)
            }
        };
        Place {
            folder: folder.to_owned(),
            certificate: file("cert"),
            key: file("key"),
            fullchain: file("fullchain"),
        }
    }

    /// Checks that none of the files is there.
    pub(super) fn check_free(&self) -> Result<(), Failure> {
        match [&self.certificate, &self.key, &self.fullchain]
            .into_iter()
            .find(|path| path.symlink_metadata().is_ok())
        {
            Some(path) => Err(taken(path)),
            None => Ok(()),
        }
    }

    /// Writes all three files, the key readable by this user alone, or leaves none of them.
    ///
    /// `above` are the certificates over this one, as PEM.
    pub(super) fn write(
        self,
        certificate: Certificate,
        pem: &PemPair,
        above: &str,
    ) -> Result<Written, Failure> {
        fs::create_dir_all(&self.folder).map_err(|error| unwritten(&self.folder, &error))?;
        let chain = format!("{}{above}", pem.certificate);
        // The key gets its name first: no certificate is ever there without it.
        let drafts = [
            (&self.key, NewFile::begin(&self.key)?, pem.key.as_str()),
            (
                &self.fullchain,
                NewFile::begin_public(&self.fullchain)?,
                chain.as_str(),
            ),
            (
                &self.certificate,
                NewFile::begin_public(&self.certificate)?,
                pem.certificate.as_str(),
            ),
        ];
        let mut named = Vec::new();
        for (path, mut draft, content) in drafts {
            let written = draft
                .write_all(content.as_bytes())
                .map_err(|error| draft.unwritten(&error))
                .and_then(|()| draft.finish());
            if let Err(failure) = written {
                for path in named {
                    // What cannot be removed is in a folder that is gone.
                    let _ = fs::remove_file(path);
                }
                return Err(failure);
            }
            named.push(path);
        }
        Ok(Written {
            certificate,
            certificate_file: self.certificate,
            key_file: self.key,
            fullchain_file: self.fullchain,
        })
    }
}

impl Parent {
    /// Reads the parent whose three files are at `place`.
    pub(super) fn of_place(place: &Place) -> Result<Self, Failure> {
        let mut parent = Self::of_files(&place.certificate, &place.key)?;
        parent.chain = text(&place.fullchain)?;
        Ok(parent)
    }

    /// Reads a parent from its certificate's file and its key's file.
    pub(super) fn of_files(certificate_file: &Path, key_file: &Path) -> Result<Self, Failure> {
        let bytes = file(certificate_file)?;
        let pem = String::from_utf8_lossy(&bytes).into_owned();
        let certificate = Certificate::from_text(&pem).map_err(|error| {
            Failure::usage(
                format!("{}: {error}", certificate_file.display()),
                "name the file of the CA's certificate, as PEM",
            )
        })?;
        let mut chain = pem.clone();
        if !chain.ends_with('\n') {
            chain.push('\n');
        }
        Ok(Parent {
            certificate,
            certificate_file: certificate_file.to_owned(),
            pem,
            key: key_of(Zeroizing::new(text(key_file)?)),
            key_file: key_file.to_owned(),
            chain,
        })
    }
}

/// The private key's own block of a PEM file, which `openssl ecparam` begins with another one; the whole
/// text when there is none.
fn key_of(text: Zeroizing<String>) -> Zeroizing<String> {
    let block = text.find("PRIVATE KEY-----").and_then(|label| {
        let start = text.get(..label)?.rfind("-----BEGIN ")?;
        let body = text.get(start..)?;
        let end = body.find("-----END ")?;
        let close = body.get(end + "-----END ".len()..)?.find("-----")?;
        body.get(..end + "-----END ".len() + close + "-----".len())
    });
    match block {
        Some(block) => Zeroizing::new(block.to_owned()),
        None => text,
    }
}

fn text(path: &Path) -> Result<String, Failure> {
    String::from_utf8(file(path)?).map_err(|_| {
        Failure::usage(
            format!("{} holds no text", path.display()),
            "name a PEM file",
        )
    })
}

fn taken(path: &Path) -> Failure {
    Failure::new(
        Exit::Conflict,
        format!("{} is there already, and is left as it is", path.display()),
        "take another name, name another folder with --out DIR, or move the file away",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_a_file_is_found_behind_its_parameters() {
        let block = "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----";
        let parameters = "-----BEGIN EC PARAMETERS-----\nBBBB\n-----END EC PARAMETERS-----\n";
        for (file, wanted) in [
            (format!("{block}\n"), block),
            (format!("{parameters}{block}\n{parameters}"), block),
            ("no key".to_owned(), "no key"),
            (
                "-----BEGIN EC PRIVATE KEY-----\nAAAA".to_owned(),
                "-----BEGIN EC PRIVATE KEY-----\nAAAA",
            ),
        ] {
            assert_eq!(*key_of(Zeroizing::new(file)), wanted);
        }
    }
}
