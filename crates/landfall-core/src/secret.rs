//! Symmetric keys: held so that they are wiped when dropped and never printed; and how a text of a
//! caller is repeated to it, which may have put a key where something else belongs.

pub mod prepared;

use std::fmt;

use aws_lc_rs::{constant_time, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::clock::Entropy;

/// Why a text is not a symmetric key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The text is not standard base64.
    #[error("the symmetric key is not base64")]
    NotBase64,
    /// The key decodes to a length outside 16 to 64 bytes.
    #[error("the symmetric key is {0} bytes long; it must be 16 to 64 bytes")]
    Length(usize),
}

/// A symmetric key. Its bytes are wiped on drop and shown by no `Debug`; `==` is
/// [`SymmetricKey::same_as`].
#[derive(Clone, Eq)]
pub struct SymmetricKey(Zeroizing<Vec<u8>>);

impl PartialEq for SymmetricKey {
    fn eq(&self, other: &Self) -> bool {
        self.same_as(other)
    }
}

impl SymmetricKey {
    /// Reads a key from base64.
    ///
    /// Units: 16 to 64 bytes after decoding.
    /// Source: docs/protocol/service-api.md §3.4 [D].
    ///
    /// # Errors
    /// [`KeyError`] when the text is not base64 or decodes to another length.
    pub fn from_base64(text: &str) -> Result<Self, KeyError> {
        let bytes = Zeroizing::new(
            STANDARD
                .decode(text.trim())
                .map_err(|_| KeyError::NotBase64)?,
        );
        if (16..=64).contains(&bytes.len()) {
            Ok(SymmetricKey(bytes))
        } else {
            Err(KeyError::Length(bytes.len()))
        }
    }

    /// Takes key bytes as they are, for keys that were checked or derived here.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        SymmetricKey(Zeroizing::new(bytes))
    }

    /// Draws a key of `length` bytes.
    pub fn draw(entropy: &dyn Entropy, length: usize) -> Self {
        let mut bytes = Zeroizing::new(vec![0; length]);
        entropy.fill(&mut bytes);
        SymmetricKey(bytes)
    }

    /// The key bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The key as it goes on the wire. The text is wiped on drop.
    pub fn to_base64(&self) -> Zeroizing<String> {
        Zeroizing::new(STANDARD.encode(&*self.0))
    }

    /// HMAC-SHA256 of `message` under this key.
    pub fn sign(&self, message: &[u8]) -> [u8; 32] {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &self.0), message);
        let mut out = [0; 32];
        out.copy_from_slice(tag.as_ref());
        out
    }

    /// The device key that an enrollment group's key gives for one registration id.
    ///
    /// Shape: HMAC-SHA256 over the UTF-8 bytes of `registration_id`, exactly as spelt.
    /// Source: docs/protocol/device-api.md §2 [R].
    pub fn derive(&self, registration_id: &str) -> SymmetricKey {
        SymmetricKey::from_bytes(self.sign(registration_id.as_bytes()).to_vec())
    }

    /// Compares in time that does not depend on where two keys differ.
    pub fn same_as(&self, other: &SymmetricKey) -> bool {
        same_bytes(&self.0, &other.0)
    }
}

impl fmt::Debug for SymmetricKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SymmetricKey(hidden)")
    }
}

/// Compares two byte strings in time that does not depend on where they differ.
pub fn same_bytes(a: &[u8], b: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(a, b).is_ok()
}

/// Characters of base64 that may be a key: 16 bytes, the shortest there is, are this long.
const SHORTEST_KEY_TEXT: usize = 22;

/// A text from outside as it may be repeated in a message: no control characters, nothing that may
/// be a key, and at most `most` characters before a `…`.
///
/// Shape: a run of base64 as long as a key, with letters of both cases and a digit, `+` or `=`, is
/// `(hidden)`. Names that people give have no such run;
/// paths may, so no path is repeated by this.
pub fn repeated(text: &str, most: usize) -> String {
    let plain: String = text.chars().filter(|c| !c.is_control()).collect();
    let mut shown = String::with_capacity(plain.len());
    let mut rest = plain.as_str();
    while !rest.is_empty() {
        let other = rest.find(|c| !of_base64(c)).unwrap_or(rest.len());
        let (run, after) = rest.split_at(other);
        shown.push_str(if may_be_key(run) { "(hidden)" } else { run });
        let next = after.find(of_base64).unwrap_or(after.len());
        let (between, after) = after.split_at(next);
        shown.push_str(between);
        rest = after;
    }
    if let Some((end, _)) = shown.char_indices().nth(most) {
        shown.truncate(end);
        shown.push('…');
    }
    shown
}

fn of_base64(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=')
}

fn may_be_key(run: &str) -> bool {
    let has = |kind: fn(&u8) -> bool| run.as_bytes().iter().any(kind);
    run.len() >= SHORTEST_KEY_TEXT
        && has(u8::is_ascii_uppercase)
        && has(u8::is_ascii_lowercase)
        && has(|byte| byte.is_ascii_digit() || matches!(byte, b'+' | b'='))
}

/// A primary and a secondary key; both are valid at all times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPair {
    /// The first key.
    pub primary: SymmetricKey,
    /// The second key, so that one can be exchanged while the other serves.
    pub secondary: SymmetricKey,
}

impl KeyPair {
    /// Draws two keys of `length` bytes.
    pub fn draw(entropy: &dyn Entropy, length: usize) -> Self {
        KeyPair {
            primary: SymmetricKey::draw(entropy, length),
            secondary: SymmetricKey::draw(entropy, length),
        }
    }

    /// What stands where a pair was taken out: two keys of no bytes, which open nothing.
    pub fn hidden() -> Self {
        let none = || SymmetricKey::from_bytes(Vec::new());
        KeyPair {
            primary: none(),
            secondary: none(),
        }
    }

    /// The pair of device keys that a group's pair gives for one registration id.
    pub fn derive(&self, registration_id: &str) -> KeyPair {
        KeyPair {
            primary: self.primary.derive(registration_id),
            secondary: self.secondary.derive(registration_id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_key_is_the_one_the_article_prints() {
        let group = SymmetricKey::from_base64(
            "8isrFI1sGsIlvvFSSFRiMfCNzv21fjbE/+ah/lSh3lF8e2YG1Te7w1KpZhJFFXJrqYKi9yegxkqIChbqOS9Egw==",
        )
        .expect("a key");
        let device = group.derive("sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6");
        assert_eq!(
            *device.to_base64(),
            "Jsm0lyGpjaVYVP2g3FnmnmG9dI/9qU24wNoykUmermc="
        );
    }

    #[test]
    fn keys_outside_their_length_are_refused_and_never_printed() {
        assert_eq!(SymmetricKey::from_base64("AAAA"), Err(KeyError::Length(3)));
        assert_eq!(SymmetricKey::from_base64("*"), Err(KeyError::NotBase64));
        let key = SymmetricKey::from_bytes(vec![7; 32]);
        assert!(!format!("{key:?}").contains('7'));
    }

    #[test]
    fn a_text_is_repeated_without_what_may_be_a_key() {
        const KEY: &str = "q7Zt0Vb3JmXk9LrYc2NwUe8HsDf5GaTi1PoMxB4QzKE=";
        assert_eq!(repeated(KEY, 64), "(hidden)");
        assert_eq!(repeated(&format!("a key: {KEY}!"), 64), "a key: (hidden)!");
        // Hidden before it is cut, and whatever stands between its characters unseen.
        assert_eq!(repeated(KEY, 4), "(hid…");
        let (first, second) = KEY.split_at(15);
        assert_eq!(repeated(&format!("{first}\u{7}{second}"), 64), "(hidden)");
        assert_eq!(repeated(&KEY[..SHORTEST_KEY_TEXT], 64), "(hidden)");
        for name in [
            "",
            "ä, ö",
            "sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6",
            "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b",
            "123E4567-E89B-12D3-A456-426614174000",
            "ThermostatOfTheNorthernHall",
        ] {
            assert_eq!(repeated(name, 64), name);
        }
        assert_eq!(repeated("a\nb", 64), "ab");
        assert_eq!(repeated("äöü", 3), "äöü");
        assert_eq!(repeated("äöüß", 3), "äöü…");
    }
}
