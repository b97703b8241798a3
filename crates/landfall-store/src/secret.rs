//! Keys at rest: sealed with AES-256-GCM under a key that lives outside the database.
//!
//! A sealed blob is bound to the table and row it stands in: moved to another row it does not open.
//! Shape: one format byte (1), four bytes that name the sealing key, a 12-byte nonce, then the
//! sealed bytes with their 16-byte tag. Nonces are drawn, so one key is good for some four billion
//! seals.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use landfall_core::clock::Entropy;
use zeroize::Zeroizing;

use crate::dialect::Fault;

const FORMAT: u8 = 1;
const HEAD: usize = 1 + 4 + NONCE_LEN;

/// Bytes that are no sealing key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sealing key is {0} bytes long; it must be 32 bytes")]
pub struct SealingKeyError(pub usize);

/// The key that seals every secret in the database. Kept in a file of its own, outside it.
#[derive(Clone)]
pub struct SealingKey(Zeroizing<[u8; 32]>);

impl SealingKey {
    /// Takes the content of a key file.
    ///
    /// # Errors
    /// [`SealingKeyError`] when it is not 32 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SealingKeyError> {
        <[u8; 32]>::try_from(bytes)
            .map(|bytes| SealingKey(Zeroizing::new(bytes)))
            .map_err(|_| SealingKeyError(bytes.len()))
    }

    /// Draws a new key.
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        entropy.fill(&mut *bytes);
        SealingKey(bytes)
    }

    /// The key as its file holds it.
    pub fn bytes(&self) -> &[u8] {
        &*self.0
    }

    /// The name that stands in whatever this key sealed; tells nothing of the key.
    pub fn name(&self) -> KeyName {
        let mark = hmac::sign(
            &hmac::Key::new(hmac::HMAC_SHA256, self.bytes()),
            b"landfall: name of this sealing key",
        );
        let mut name = [0; 4];
        for (to, from) in name.iter_mut().zip(mark.as_ref()) {
            *to = *from;
        }
        KeyName(name)
    }
}

/// The public name of a sealing key, by which a blob says what sealed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyName([u8; 4]);

impl KeyName {
    /// The name of the key that sealed `blob`; `None` when the blob is too short or of a newer form.
    pub(crate) fn of_blob(blob: &[u8]) -> Option<Self> {
        let (&FORMAT, rest) = blob.split_first()? else {
            return None;
        };
        rest.first_chunk().copied().map(KeyName)
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey(hidden)")
    }
}

/// Seals and opens under one key.
pub(crate) struct Sealer {
    key: LessSafeKey,
    name: KeyName,
    entropy: Arc<dyn Entropy>,
}

impl Sealer {
    /// Makes ready to seal with `key`.
    pub(crate) fn new(key: &SealingKey, entropy: Arc<dyn Entropy>) -> Result<Self, Fault> {
        let unbound = UnboundKey::new(&AES_256_GCM, key.bytes())
            .map_err(|_| Fault::Record("the sealing key cannot be used".to_owned()))?;
        Ok(Sealer {
            key: LessSafeKey::new(unbound),
            name: key.name(),
            entropy,
        })
    }

    /// A name that nobody else has drawn.
    pub(crate) fn name(&self) -> String {
        let mut drawn = [0; 16];
        self.entropy.fill(&mut drawn);
        drawn.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// An unpredictable byte.
    pub(crate) fn chance(&self) -> u8 {
        let mut drawn = [0];
        self.entropy.fill(&mut drawn);
        drawn[0]
    }

    /// Seals `plain` for the row of `table` with these keys.
    pub(crate) fn seal(&self, table: &str, keys: &[&str], plain: &[u8]) -> Result<Vec<u8>, Fault> {
        let mut nonce = [0; NONCE_LEN];
        self.entropy.fill(&mut nonce);
        let mut body = Vec::with_capacity(HEAD + plain.len() + AES_256_GCM.tag_len());
        body.push(FORMAT);
        body.extend_from_slice(&self.name.0);
        body.extend_from_slice(&nonce);
        body.extend_from_slice(plain);
        let (_, inner) = body.split_at_mut(HEAD);
        let tag = self
            .key
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(place(table, keys)),
                inner,
            )
            .map_err(|_| Fault::Record(format!("a secret of {table} cannot be sealed")))?;
        body.extend_from_slice(tag.as_ref());
        Ok(body)
    }

    /// Opens what was sealed for this row.
    pub(crate) fn open(
        &self,
        table: &str,
        keys: &[&str],
        blob: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Fault> {
        let unreadable = |why: &str| {
            Fault::Record(format!(
                "the secret of {table} {} cannot be opened: {why}",
                keys.join("/")
            ))
        };
        let (head, sealed) = blob
            .split_at_checked(HEAD)
            .ok_or_else(|| unreadable("it is too short"))?;
        let Some((&FORMAT, rest)) = head.split_first() else {
            return Err(unreadable("a newer version of landfall sealed it"));
        };
        let (name, nonce) = rest.split_at(self.name.0.len());
        if name != self.name.0 {
            return Err(unreadable("another key sealed it"));
        }
        let nonce = Nonce::try_assume_unique_for_key(nonce)
            .map_err(|_| unreadable("its nonce is malformed"))?;
        let mut body = Zeroizing::new(sealed.to_vec());
        let length = self
            .key
            .open_in_place(nonce, Aad::from(place(table, keys)), &mut body)
            .map_err(|_| unreadable("it was changed, or belongs to another row"))?
            .len();
        body.truncate(length);
        Ok(body)
    }
}

/// What binds a blob to its row. No key holds a NUL, so the parts cannot run into each other.
fn place(table: &str, keys: &[&str]) -> Vec<u8> {
    let mut place = table.as_bytes().to_vec();
    for key in keys {
        place.push(0);
        place.extend_from_slice(key.as_bytes());
    }
    place
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting(std::sync::atomic::AtomicU8);
    impl Entropy for Counting {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.fill(self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        }
    }

    fn sealer(key: u8) -> Sealer {
        let key = SealingKey::from_bytes(&[key; 32]).expect("32 bytes");
        Sealer::new(&key, Arc::new(Counting(0.into()))).expect("usable")
    }

    #[test]
    fn sealed_bytes_open_only_in_their_own_row_and_with_their_own_key() {
        let one = sealer(1);
        let blob = one
            .seal("devices", &["hub", "a"], b"secret")
            .expect("seals");
        assert!(!blob.windows(6).any(|w| w == b"secret"));
        assert_eq!(
            &**one.open("devices", &["hub", "a"], &blob).expect("opens"),
            b"secret"
        );
        assert!(one.open("devices", &["hub", "b"], &blob).is_err());
        assert!(one.open("modules", &["hub", "a"], &blob).is_err());
        assert!(sealer(2).open("devices", &["hub", "a"], &blob).is_err());
        for cut in 0..blob.len() {
            assert!(one.open("devices", &["hub", "a"], &blob[..cut]).is_err());
        }
    }

    #[test]
    fn two_seals_of_one_secret_differ() {
        let one = sealer(1);
        let seal = || one.seal("t", &["k"], b"secret").expect("seals");
        assert_ne!(seal(), seal());
    }

    #[test]
    fn a_key_of_another_length_is_refused_and_none_is_printed() {
        assert_eq!(
            SealingKey::from_bytes(&[0; 31]).err(),
            Some(SealingKeyError(31))
        );
        let key = SealingKey::from_bytes(&[77; 32]).expect("32 bytes");
        assert_eq!(format!("{key:?}"), "SealingKey(hidden)");
    }
}
