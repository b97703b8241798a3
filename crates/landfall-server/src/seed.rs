//! Names and keys that a text fixes, so that test runs on many machines have the same ones. Each
//! purpose has a stream of its own: what is drawn for one changes nothing for another.
//!
//! Only what lasts is drawn here. Whatever must never come twice (nonces, etags, operation ids) is
//! the machine's, whose randomness this file never stands in for.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use landfall_core::clock::Entropy;
use landfall_core::secret::SymmetricKey;

use crate::data_folder::{DataFolder, DataFolderError};
use crate::time::SystemEntropy;

/// The file that keeps a seed's key, not its text.
const FILE: &str = "seed.key";
/// Another form of drawing would have another number here.
const DOMAIN: &[u8] = b"landfall seed 1";
/// Each of these is in a data folder that was started before.
const MADE_BEFORE: [&str; 4] = ["landfall.db", "sealing.key", "control.token", "ca.pem"];

/// A seed goes with another data folder.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// The folder.
    #[error(transparent)]
    Folder(#[from] DataFolderError),
    /// The folder was made from another seed.
    #[error(
        "the data folder {0} was made from another seed, and its keys stay as they are: give that seed, or name a new folder with --data, or take --ephemeral"
    )]
    Other(PathBuf),
    /// The folder was made without a seed.
    #[error(
        "the data folder {0} was made without a seed, and its keys stay as they are: leave --seed out, or name a new folder with --data, or take --ephemeral"
    )]
    Unseeded(PathBuf),
}

/// Where names and keys that last are drawn from.
#[derive(Debug, Clone)]
pub enum Chance {
    /// The machine's randomness.
    Machine,
    /// A seed.
    Seed(Seed),
}

impl Chance {
    /// Decides for a data folder by the text that was given, if one was, and by what made the
    /// folder; keeps the seed of a new one.
    ///
    /// # Errors
    /// [`SeedError`] when the folder was made otherwise than by this text.
    pub fn of_folder(folder: &DataFolder, text: Option<&str>) -> Result<Self, SeedError> {
        let kept = folder.kept_key(Path::new(FILE))?.map(Seed);
        let Some(text) = text else {
            return Ok(kept.map_or(Chance::Machine, Chance::Seed));
        };
        let seed = Seed::of_text(text);
        let path = || folder.path().to_owned();
        match kept {
            Some(kept) if kept.0.same_as(&seed.0) => {}
            Some(_) => return Err(SeedError::Other(path())),
            None if MADE_BEFORE.iter().any(|file| folder.file(file).exists()) => {
                return Err(SeedError::Unseeded(path()));
            }
            None => {
                folder.write(FILE, seed.0.to_base64().as_bytes(), true)?;
            }
        }
        Ok(Chance::Seed(seed))
    }

    /// What is drawn for one purpose.
    pub fn of(&self, purpose: &str) -> Box<dyn Entropy> {
        match self {
            Chance::Machine => Box::new(SystemEntropy),
            Chance::Seed(seed) => Box::new(seed.stream(purpose)),
        }
    }

    /// The seed, if there is one.
    pub fn seed(&self) -> Option<&Seed> {
        match self {
            Chance::Machine => None,
            Chance::Seed(seed) => Some(seed),
        }
    }
}

/// What a text fixes.
#[derive(Debug, Clone)]
pub struct Seed(SymmetricKey);

impl Seed {
    /// The seed of a text.
    pub fn of_text(text: &str) -> Self {
        let domain = SymmetricKey::from_bytes(DOMAIN.to_vec());
        Seed(SymmetricKey::from_bytes(
            domain.sign(text.as_bytes()).to_vec(),
        ))
    }

    /// The seed that a data folder was made from; `None` when it was made without one, or is no
    /// data folder.
    pub fn kept_in(folder: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(folder.join(FILE)).ok()?;
        SymmetricKey::from_base64(&text).ok().map(Seed)
    }

    /// Begins the stream of one purpose.
    pub fn stream(&self, purpose: &str) -> Stream {
        Stream {
            key: SymmetricKey::from_bytes(self.0.sign(purpose.as_bytes()).to_vec()),
            block: AtomicU64::new(0),
        }
    }
}

/// The bytes that a seed gives for one purpose, in order.
pub struct Stream {
    key: SymmetricKey,
    block: AtomicU64,
}

impl Entropy for Stream {
    fn fill(&self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(32) {
            let block = self.block.fetch_add(1, Ordering::Relaxed);
            let bytes = self.key.sign(&block.to_be_bytes());
            for (to, from) in chunk.iter_mut().zip(bytes) {
                *to = from;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(chance: &Chance, purpose: &str, length: usize) -> Vec<u8> {
        SymmetricKey::draw(&*chance.of(purpose), length)
            .bytes()
            .to_vec()
    }

    #[test]
    fn a_text_gives_the_same_bytes_for_a_purpose_and_others_for_another() {
        let chance = || Chance::Seed(Seed::of_text("a text"));
        let key = drawn(&chance(), "owner", 64);
        assert_eq!(drawn(&chance(), "owner", 64), key);
        assert_ne!(drawn(&chance(), "hub", 64), key);
        let other = Chance::Seed(Seed::of_text("a text "));
        assert_ne!(drawn(&other, "owner", 64), key);
        assert_ne!(key[..32], key[32..], "a stream does not repeat itself");
        let stream = chance().of("owner");
        let both = (
            SymmetricKey::draw(&*stream, 32),
            SymmetricKey::draw(&*stream, 32),
        );
        assert!(!both.0.same_as(&both.1));
        assert_ne!(
            drawn(&Chance::Machine, "owner", 64),
            drawn(&Chance::Machine, "owner", 64)
        );
    }

    #[test]
    fn what_a_text_gives_never_changes() {
        // A later release gives the keys of an earlier one.
        let mut bytes = [0; 8];
        Seed::of_text("landfall")
            .stream("a purpose")
            .fill(&mut bytes);
        assert_eq!(bytes, [0x0b, 0xac, 0x8b, 0x7c, 0x65, 0xc5, 0x62, 0x3a]);
    }

    #[test]
    fn a_folder_keeps_to_the_seed_that_made_it() {
        let place = tempfile::tempdir().expect("a folder");
        let folder = DataFolder::open(place.path()).expect("opens");
        let of = |text| Chance::of_folder(&folder, text);
        assert!(of(None).is_ok_and(|chance| chance.seed().is_none()));
        assert!(of(Some("one")).is_ok_and(|chance| chance.seed().is_some()));
        assert!(of(None).is_ok_and(|chance| chance.seed().is_some()));
        std::fs::write(folder.file("landfall.db"), "").expect("written");
        assert!(of(Some("one")).is_ok());
        assert!(matches!(of(Some("two")), Err(SeedError::Other(_))));
        assert!(Seed::kept_in(place.path()).is_some());
        std::fs::remove_file(folder.file(FILE)).expect("removed");
        assert!(matches!(of(Some("one")), Err(SeedError::Unseeded(_))));
        assert!(Seed::kept_in(place.path()).is_none());
    }
}
