//! How a certificate's name becomes the first part of its file names, as the articles' Node tool does
//! it: `dps-test-root` gives `dpsTestRoot`. Called by the commands that make test certificates.
//!
//! Source: azure-iot-sdk-node `provisioning/tools/create_test_cert.js`, which leaves it to version 4.1.0
//! of the package `camelcase` [R].

/// Characters that part words, and disappear.
const SEPARATORS: [char; 4] = ['_', '.', '-', ' '];

/// The first part of the file names of the certificate called `name`; empty when nothing is left.
///
/// Shape: words are joined, each but the first begins with a capital, everything else is small. Words
/// end at separators and where capitals begin or end.
pub(super) fn file_name_root(name: &str) -> String {
    let mut name = name.trim().to_owned();
    if name != name.to_lowercase() {
        name = parted_at_capitals(&name);
    }
    joined(&name.trim_start_matches(SEPARATORS).to_lowercase())
}

/// Puts a separator before each word that only its capitals set apart: `myHTTPServer` gives
/// `my-HTTP-Server`. Digits and signs count as small and as capital at once, as in the original.
fn parted_at_capitals(name: &str) -> String {
    let (mut after_small, mut after_capital, mut after_two_capitals) = (false, false, false);
    let mut out: Vec<char> = Vec::new();
    for letter in name.chars() {
        if after_small && letter.is_ascii_uppercase() {
            out.extend(['-', letter]);
            (after_small, after_two_capitals, after_capital) = (false, after_capital, true);
        } else if after_capital && after_two_capitals && letter.is_ascii_lowercase() {
            out.insert(out.len().saturating_sub(1), '-');
            out.push(letter);
            (after_small, after_two_capitals, after_capital) = (true, false, false);
        } else {
            out.push(letter);
            after_small = letter.to_lowercase().eq([letter]);
            after_two_capitals = after_capital;
            after_capital = letter.to_uppercase().eq([letter]);
        }
    }
    out.into_iter().collect()
}

/// Takes runs of separators out of a small-letter text and capitalises what follows each. A run before
/// any other sign stays, but for what stands before its last underscore: that counts as a letter there.
fn joined(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(SEPARATORS) {
        let (plain, from_run) = rest.split_at(start);
        let after = from_run.trim_start_matches(SEPARATORS);
        let (run, _) = from_run.split_at(from_run.len() - after.len());
        out.push_str(plain);
        rest = after;
        match after.chars().next() {
            None => {}
            Some(next) if next.is_ascii_alphanumeric() => {
                out.push(next.to_ascii_uppercase());
                rest = after.get(1..).unwrap_or_default();
            }
            Some(_) => match run.rfind('_').filter(|place| *place > 0) {
                Some(place) => out.push_str(run.get(place..).unwrap_or_default()),
                None => out.push_str(run),
            },
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The right side is what version 4.1.0 of the package gives.
    #[test]
    fn files_are_called_as_the_articles_tool_calls_them() {
        for (name, root) in [
            ("dps-test-root", "dpsTestRoot"),
            ("dps-test-device-01", "dpsTestDevice01"),
            ("Test Root Cert", "testRootCert"),
            ("My Test Root Certificate", "myTestRootCertificate"),
            ("Intermediate CA 1", "intermediateCa1"),
            ("Device 42", "device42"),
            ("verification", "verification"),
        ] {
            assert_eq!(file_name_root(name), root, "{name}");
        }
    }
}
