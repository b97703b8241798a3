//! Who may read the data folder, the keys and the database, and whether the server's user can.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::finding::Report;
use crate::config::{Place, Settings};

/// Others of the machine may read.
const OTHERS_READ: u32 = 0o004;
/// The group or others may write.
const NOT_OWNER_WRITES: u32 = 0o022;

/// Looks at the folder, then at each file that holds a secret.
pub fn look(report: &mut Report, place: &Place, settings: Option<&Settings>) {
    let folder = match place.data_dir.metadata() {
        Ok(folder) => folder,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let what = format!("{} is not there", place.data_dir.display());
            return report.warning("folder", &what, "the first start of a server makes it; if one did start, name its folder: --data DIR, or its configuration: --config FILE");
        }
        Err(error) => {
            let what = format!("{}: {error}", place.data_dir.display());
            return report.unknown("folder", &what, "run this as the server's user, or as root");
        }
    };
    let mode = folder.mode() & 0o7777;
    let what = format!("{} has mode {mode:04o}", place.data_dir.display());
    let only_owner = format!("chmod 0700 {}", place.data_dir.display());
    if mode & 0o002 != 0 {
        report.failure(
            "folder",
            &format!("{what}: everybody on this machine may put files there"),
            &only_owner,
        );
    } else if mode & 0o007 != 0 {
        report.warning(
            "folder",
            &format!("{what}: everybody on this machine may look into it"),
            &only_owner,
        );
    } else {
        report.fine("folder", &what);
    }
    let token = settings.map(|settings| settings.control_token_file.clone());
    let token = token.unwrap_or_else(|| place.data_dir.join("control.token"));
    for path in [&place.sealing_key_file, &token, &place.database_path] {
        kept(report, path, &folder);
    }
    // What `dev` keeps of its own.
    for name in ["ca-key.pem", "seed.key"] {
        kept(report, &place.data_dir.join(name), &folder);
    }
    let certificates = settings.map(|settings| settings.https.certificates.as_slice());
    for files in certificates.unwrap_or_default() {
        if let Ok(file) = files.key.metadata() {
            secret(report, &files.key, &file);
        }
    }
}

/// A file that the server makes and its user alone needs.
fn kept(report: &mut Report, path: &Path, folder: &Metadata) {
    let file = match path.metadata() {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return,
        Err(error) => {
            let what = format!("{}: {error}", path.display());
            return report.unknown("secret", &what, "run this as the server's user, or as root");
        }
    };
    if file.uid() != folder.uid() {
        report.failure(
            "secret",
            &format!("{} belongs to another user (number {}) than its folder: the server may not be able to read it", path.display(), file.uid()),
            &format!("chown --reference={} {}", path.parent().unwrap_or(path).display(), path.display()),
        );
    }
    secret(report, path, &file);
}

fn secret(report: &mut Report, path: &Path, file: &Metadata) {
    let mode = file.mode() & 0o7777;
    let what = format!("{} has mode {mode:04o}", path.display());
    let fix = format!(
        "chmod o=,g-w {}; if others had access to this machine meanwhile, make a new key",
        path.display()
    );
    if mode & OTHERS_READ != 0 {
        report.failure(
            "secret",
            &format!("{what}: everybody on this machine may read it"),
            &fix,
        );
    } else if mode & NOT_OWNER_WRITES != 0 {
        report.failure(
            "secret",
            &format!("{what}: others than its owner may write it"),
            &fix,
        );
    } else {
        report.fine("secret", &what);
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::finding::Level;
    use super::*;

    #[test]
    fn a_secret_is_for_its_owner_and_at_most_read_by_a_group() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key");
        std::fs::write(&path, "k").expect("written");
        let level = |mode| {
            set_permissions(&path, Permissions::from_mode(mode)).expect("set");
            let mut report = Report::default();
            secret(&mut report, &path, &path.metadata().expect("there"));
            report.findings[0].level
        };
        assert_eq!(level(0o600), Level::Fine);
        assert_eq!(level(0o640), Level::Fine);
        assert_eq!(level(0o644), Level::Failure);
        assert_eq!(level(0o620), Level::Failure);
    }
}
