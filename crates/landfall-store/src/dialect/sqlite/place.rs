//! Which file a SQLite database is. A file can be moved away, removed or exchanged while it is open; what is
//! written to it then is acknowledged and lost for the next start.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::dialect::Fault;

/// A file at its path, told from any other that may come to stand there.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Place {
    /// The file that stands at `path`.
    pub(crate) fn of(path: &Path) -> Result<Self, Fault> {
        let file = fs::metadata(path)?;
        Ok(Place {
            path: path.to_owned(),
            device: file.dev(),
            inode: file.ino(),
        })
    }

    /// Refuses to go on when the file does not stand there any more.
    pub(crate) fn holds(&self) -> Result<(), Fault> {
        match fs::metadata(&self.path) {
            Ok(file) if (file.dev(), file.ino()) == (self.device, self.inode) => Ok(()),
            Ok(_) => Err(Fault::Hindered(
                format!("another file stands at {}", self.path.display()),
                "put back the one that this server opened, or restart the server to go on with this one",
            )),
            Err(error) => Err(Fault::Hindered(
                format!("{} cannot be reached: {error}", self.path.display()),
                "put the folder and its files back, mounted and with their rights; without them stop the server and restore a backup",
            )),
        }
    }
}
