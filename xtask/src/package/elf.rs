//! Whether an executable needs a dynamic linker, read from its own headers.

use anyhow::{Context, ensure};

/// The type of the program header that names a dynamic linker.
const INTERPRETER: u32 = 3;

/// True when the executable names a dynamic linker: then it is not static.
///
/// # Errors
/// When it is no 64-bit little-endian ELF file.
pub(super) fn wants_interpreter(file: &[u8]) -> anyhow::Result<bool> {
    ensure!(
        file.starts_with(b"\x7fELF\x02\x01"),
        "the binary is no 64-bit little-endian ELF file"
    );
    let at = usize::try_from(u64::from_le_bytes(field(file, 32)?))?;
    let size = usize::from(u16::from_le_bytes(field(file, 54)?));
    let count = usize::from(u16::from_le_bytes(field(file, 56)?));
    for index in 0..count {
        let place = index
            .checked_mul(size)
            .and_then(|offset| at.checked_add(offset))
            .context("the program headers are out of range")?;
        if u32::from_le_bytes(field(file, place)?) == INTERPRETER {
            return Ok(true);
        }
    }
    Ok(false)
}

fn field<const N: usize>(file: &[u8], at: usize) -> anyhow::Result<[u8; N]> {
    at.checked_add(N)
        .and_then(|end| file.get(at..end))
        .and_then(|bytes| bytes.try_into().ok())
        .context("the ELF file ends in its headers")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with nothing but headers, one program header for each type.
    fn elf(types: &[u32]) -> Vec<u8> {
        let mut file = vec![0; 64];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        file[32] = 64;
        file[54] = 56;
        file[56] = types.len() as u8;
        for kind in types {
            let mut header = vec![0; 56];
            header[..4].copy_from_slice(&kind.to_le_bytes());
            file.extend(header);
        }
        file
    }

    #[test]
    fn an_executable_that_names_a_dynamic_linker_is_not_static() {
        assert!(wants_interpreter(&elf(&[6, 3, 1])).expect("ELF"));
        assert!(!wants_interpreter(&elf(&[6, 1, 2])).expect("ELF"));
    }

    #[test]
    fn a_file_that_is_cut_off_or_no_elf_is_an_error() {
        assert!(wants_interpreter(b"#!/bin/sh").is_err());
        let mut file = elf(&[1, 1]);
        file.truncate(100);
        assert!(wants_interpreter(&file).is_err());
    }
}
