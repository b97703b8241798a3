//! Hostile input for every decoder that strangers can reach: what the targets in `tests/it` share.
//!
//! Each target is a test that feeds its decoder random bytes, and well-formed inputs with a few
//! bytes changed, for a bounded time: `cargo test -p landfall-fuzz` gives each a second,
//! `BOLERO_RANDOM_TEST_TIME_MS` another span. The same tests are targets of `cargo bolero test`,
//! which lets a coverage-guided engine choose the bytes. An input that once broke a decoder is kept
//! as a file of `corpus/`, where every run starts.

use std::io;
use std::path::Path;

/// Most changes that [`mutated`] makes to one seed.
const MOST_CHANGES: u8 = 8;

/// The well-formed (and once harmful) inputs of a target, in the order of their file names.
///
/// # Errors
/// When the folder cannot be read.
pub fn corpus(target: &str) -> io::Result<Vec<Vec<u8>>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target);
    let mut files = std::fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<Vec<_>>>()?;
    files.sort();
    files.iter().map(std::fs::read).collect()
}

/// One of `seeds` with up to eight changes, all of them chosen by the bytes of `choices`: a byte
/// replaced, put in, a run left out, doubled, or taken from another seed.
pub fn mutated(seeds: &[Vec<u8>], choices: &[u8]) -> Vec<u8> {
    let mut choices = choices.iter().copied();
    let mut next = || usize::from(choices.next().unwrap_or(0));
    let pick = |seeds: &[Vec<u8>], which: usize| {
        let which = which.checked_rem(seeds.len()).unwrap_or(0);
        seeds.get(which).cloned().unwrap_or_default()
    };
    let mut input = pick(seeds, next());
    for _ in 0..next() % usize::from(MOST_CHANGES + 1) {
        let (kind, place, length) = (next(), next() << 8 | next(), 1 + next() % 32);
        let from = place % (input.len() + 1);
        let to = (from + length).min(input.len());
        match kind % 5 {
            0 => {
                if let Some(byte) = input.get_mut(from) {
                    *byte = next() as u8;
                }
            }
            1 => input.insert(from, next() as u8),
            2 => drop(input.drain(from..to)),
            3 => {
                let run: Vec<u8> = input.drain(from..to).collect();
                let twice = run.repeat(2);
                input.splice(from..from, twice);
            }
            _ => {
                let other = pick(seeds, next());
                let begin = (next() << 8 | next()) % (other.len() + 1);
                let run = other.into_iter().skip(begin).take(length);
                input.splice(from..to, run);
            }
        }
    }
    input
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_choices_leave_the_first_seed_as_it_is() {
        let seeds = [b"one".to_vec(), b"two".to_vec()];
        assert_eq!(mutated(&seeds, &[]), b"one");
        assert_eq!(mutated(&seeds, &[1, 0]), b"two");
        assert_eq!(mutated(&[], &[7, 9]), b"");
    }

    #[test]
    fn choices_change_a_seed_at_the_place_they_name() {
        let seeds = [b"abcdef".to_vec()];
        assert_eq!(mutated(&seeds, &[0, 1, 0, 0, 2, 0, b'X']), b"abXdef");
        assert_eq!(mutated(&seeds, &[0, 1, 1, 0, 0, 0, b'X']), b"Xabcdef");
        assert_eq!(mutated(&seeds, &[0, 1, 2, 0, 1, 1]), b"adef");
        assert_eq!(mutated(&seeds, &[0, 1, 3, 0, 4, 9]), b"abcdefef");
        assert_eq!(mutated(&seeds, &[0, 1, 4, 0, 5, 0, 0, 0, 1]), b"abcdeb");
    }
}
