//! Keys made ready for HMAC-SHA256, for who holds one text against thousands of keys: the two blocks
//! that depend on the key alone are hashed once. What one key costs is then a few steps of SHA-256 and
//! no allocation. Called by [`crate::authentication`] when it searches groups; everything else signs
//! with [`super::SymmetricKey::sign`].

use aws_lc_rs::digest;
use sha2::block_api::compress256;
use zeroize::Zeroizing;

/// Bytes of one block of SHA-256.
const BLOCK: usize = 64;

/// The state that SHA-256 begins with. Source: FIPS 180-4 §5.3.3.
const START: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// A key with its inner and outer block hashed: 64 bytes, wiped on drop and shown by no `Debug`.
pub struct PreparedKey {
    inner: Zeroizing<[u32; 8]>,
    outer: Zeroizing<[u32; 8]>,
}

impl PreparedKey {
    /// Makes `key` ready.
    pub fn new(key: &[u8]) -> Self {
        let mut block = Zeroizing::new([0x36_u8; BLOCK]);
        if key.len() <= BLOCK {
            mix(&mut block, key);
        } else {
            mix(&mut block, digest::digest(&digest::SHA256, key).as_ref());
        }
        let mut ready = PreparedKey {
            inner: Zeroizing::new(START),
            outer: Zeroizing::new(START),
        };
        compress256(&mut ready.inner, std::slice::from_ref(&*block));
        mix(&mut block, &[0x36 ^ 0x5c; BLOCK]);
        compress256(&mut ready.outer, std::slice::from_ref(&*block));
        ready
    }

    /// HMAC-SHA256 of `text` under this key. The result may be a key and is wiped on drop.
    pub fn sign(&self, text: &PaddedText) -> Zeroizing<[u8; 32]> {
        let mut state = self.inner.clone();
        compress256(&mut state, &text.0);
        // The outer hash is over one block of the key, hashed already, and these 32 bytes.
        let mut last = Zeroizing::new([0_u8; BLOCK]);
        write(&state, &mut last[..]);
        last[32] = 0x80;
        last[BLOCK - 2..].copy_from_slice(&(((BLOCK + 32) * 8) as u16).to_be_bytes());
        *state = *self.outer;
        compress256(&mut state, std::slice::from_ref(&*last));
        let mut tag = Zeroizing::new([0_u8; 32]);
        write(&state, &mut tag[..]);
        tag
    }
}

/// A text as SHA-256 takes it behind one block of key, padded once for all keys.
#[derive(Debug, Clone)]
pub struct PaddedText(Vec<[u8; BLOCK]>);

impl PaddedText {
    /// Pads `text`.
    pub fn new(text: &[u8]) -> Self {
        // Behind the text stand one set bit, zeros, and in the last eight bytes the length in bits.
        let count = (text.len() + 9).div_ceil(BLOCK);
        let mut blocks = vec![[0_u8; BLOCK]; count];
        let bytes = blocks.as_flattened_mut();
        let end = bytes.len() - 8;
        bytes[..text.len()].copy_from_slice(text);
        bytes[text.len()] = 0x80;
        let bits = (BLOCK + text.len()) as u64 * 8;
        bytes[end..].copy_from_slice(&bits.to_be_bytes());
        PaddedText(blocks)
    }
}

fn mix(block: &mut [u8; BLOCK], bytes: &[u8]) {
    for (place, byte) in block.iter_mut().zip(bytes) {
        *place ^= byte;
    }
}

fn write(state: &[u32; 8], out: &mut [u8]) {
    for (place, word) in out.chunks_exact_mut(4).zip(state) {
        place.copy_from_slice(&word.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::SymmetricKey;

    #[test]
    fn a_prepared_key_signs_as_the_key_does_whatever_the_lengths() {
        let byte = |seed: usize| (0_u8..=255).cycle().skip(seed);
        for key_length in (0..=64).chain([65, 128, 200]) {
            let key: Vec<u8> = byte(key_length).take(key_length).collect();
            let prepared = PreparedKey::new(&key);
            let key = SymmetricKey::from_bytes(key);
            for length in [0, 1, 54, 55, 56, 63, 64, 65, 119, 120, 300] {
                let text: Vec<u8> = byte(7 * length).take(length).collect();
                assert_eq!(
                    *prepared.sign(&PaddedText::new(&text)),
                    key.sign(&text),
                    "a key of {key_length} bytes, a text of {length}"
                );
            }
        }
    }
}
