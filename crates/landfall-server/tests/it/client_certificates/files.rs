//! Certificates as the openssl command makes them, in a folder that goes away with the test.

use std::path::PathBuf;
use std::process::Command;

use landfall_core::certificate::Certificate;
use tempfile::TempDir;

/// A folder of keys and certificates.
pub(super) struct Files(TempDir);

impl Files {
    pub(super) fn new() -> Self {
        Files(TempDir::new().expect("a folder"))
    }

    /// Runs `openssl` in the folder; `words` are separated by spaces, and none may hold one.
    pub(super) fn openssl(&self, words: &str) {
        let output = Command::new("openssl")
            .args(words.split_whitespace())
            .current_dir(self.0.path())
            .output()
            .expect("openssl runs");
        assert!(
            output.status.success(),
            "openssl {words}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    pub(super) fn path(&self, name: &str) -> String {
        self.file(name).to_str().expect("a plain path").to_owned()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.file(name), text).expect("written");
    }

    pub(super) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.file(name)).expect("read")
    }

    /// The thumbprint that openssl gives for a certificate.
    pub(super) fn thumbprint(&self, name: &str) -> String {
        let output = Command::new("openssl")
            .args(["x509", "-noout", "-fingerprint", "-sha256", "-in"])
            .arg(self.file(name))
            .output()
            .expect("openssl runs");
        let text = String::from_utf8(output.stdout).expect("text");
        let (_, digits) = text.trim().split_once('=').expect("a fingerprint");
        digits.replace(':', "")
    }

    /// Makes `NAME.key` of a kind and `NAME.pem` self-signed by it.
    pub(super) fn self_signed(&self, name: &str, key: &str, more: &str) {
        self.key(name, key);
        self.openssl(&format!(
            "req -x509 -new -key {name}.key -subj /CN={name} -days 30 -out {name}.pem {more}"
        ));
    }

    /// Makes `NAME.key` of a kind: `rsa:2048`, `ec:P-256` or `ed25519`.
    pub(super) fn key(&self, name: &str, kind: &str) {
        let options = match kind.split_once(':') {
            Some(("rsa", bits)) => format!("RSA -pkeyopt rsa_keygen_bits:{bits}"),
            Some(("ec", curve)) => format!("EC -pkeyopt ec_paramgen_curve:{curve}"),
            _ => kind.to_owned(),
        };
        self.openssl(&format!("genpkey -algorithm {options} -out {name}.key"));
    }

    /// Makes `NAME.key` and `NAME.pem`, issued by `ISSUER.pem`, with the extensions of a section.
    pub(super) fn issued(&self, name: &str, issuer: &str, extensions: Option<&str>) {
        self.key(name, "ec:P-256");
        self.openssl(&format!(
            "req -new -key {name}.key -subj /CN={name} -out {name}.csr"
        ));
        let mut words = format!(
            "x509 -req -in {name}.csr -CA {issuer}.pem -CAkey {issuer}.key -set_serial 7 \
             -days 30 -out {name}.pem"
        );
        if let Some(extensions) = extensions {
            self.write("extensions.cnf", extensions);
            words.push_str(" -extfile extensions.cnf");
        }
        self.openssl(&words);
    }

    pub(super) fn certificate(&self, name: &str) -> Certificate {
        Certificate::from_text(&self.read(name)).expect("a certificate")
    }
}
