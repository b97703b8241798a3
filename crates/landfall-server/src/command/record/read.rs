//! What commands read whole from a file or from standard input, within a bound: certificates and
//! proofs. Long files are read line by line elsewhere (`transfer`, `restore`).

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::command::outcome::Failure;

/// Most bytes that a file named on the command line may have.
const LARGEST_INPUT: u64 = 4 << 20;

/// Reads a file named on the command line.
pub fn file(path: &Path) -> Result<Vec<u8>, Failure> {
    let name = path.display().to_string();
    let source = File::open(path).map_err(|error| unreadable(&name, &error))?;
    input(source, &name)
}

/// Reads a file that is open already, or what stands for one, under the name that errors give it.
pub fn input(source: impl Read, name: &str) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let mut bounded = source.take(LARGEST_INPUT + 1);
    let read = bounded
        .read_to_end(&mut bytes)
        .map_err(|error| unreadable(name, &error))?;
    if read as u64 > LARGEST_INPUT {
        return Err(Failure::usage(
            format!("{name} is longer than {LARGEST_INPUT} bytes"),
            "give a file with the one thing that is asked for",
        ));
    }
    Ok(bytes)
}

fn unreadable(name: &str, error: &io::Error) -> Failure {
    Failure::usage(
        format!("cannot read {name}: {error}"),
        "check the path and its permissions",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_to_its_bound_and_no_further() {
        let text = input(&b"text"[..], "f").map_err(|failure| failure.what);
        assert_eq!(text, Ok(b"text".to_vec()));
        let whole = io::repeat(b'x').take(LARGEST_INPUT);
        assert!(input(whole, "f").is_ok());
        let endless = input(io::repeat(b'x'), "standard input").expect_err("too long");
        assert_eq!(endless.what, "standard input is longer than 4194304 bytes");
    }
}
