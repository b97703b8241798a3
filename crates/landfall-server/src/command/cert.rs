//! `landfall cert`: certificates for tests, made under the names and with the verbs of the articles'
//! `create_test_cert`, which needs no server; and chains inspected, which asks one about enrollments.

mod files;
mod inspect;
mod make;
mod name;
mod report;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use landfall_core::clock::{Clock, Entropy};
use landfall_core::id::RegistrationId;
use serde_json::json;

use self::files::{Parent, Place, Written};
use self::make::Order;
use super::outcome::Failure;
use super::print;
use crate::time::{SystemClock, SystemEntropy};

const DAY: u64 = 24 * 3600;

/// Longest common name that the standard allows, in characters.
const LONGEST_NAME: usize = 64;

const SHEET: [print::Column; 8] = [
    ("Certificate", "/certificateFile"),
    ("Key", "/keyFile"),
    ("Full chain", "/fullchainFile"),
    ("Subject", "/subjectName"),
    ("Issuer", "/issuerName"),
    ("SHA-1 thumbprint", "/sha1Thumbprint"),
    ("SHA-256 thumbprint", "/sha256Thumbprint"),
    ("Valid until", "/notAfterUtc"),
];

/// Test certificates: make them, and have a chain judged as the server would.
#[derive(Args)]
pub struct CertCommand {
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// What to do with test certificates.
#[derive(Subcommand)]
pub enum Action {
    /// Make a root CA certificate
    #[command(after_help = "Example:\n  landfall cert root dps-test-root")]
    Root(Root),
    /// Make a CA certificate that another CA signs
    #[command(
        after_help = "Example:\n  landfall cert intermediate dps-test-intermediate dps-test-root"
    )]
    Intermediate(Intermediate),
    /// Make a device's certificate: signed by a CA, or by itself when none is named
    #[command(
        after_help = "Example:\n  landfall cert device dps-test-device-01 dps-test-intermediate"
    )]
    Device(Device),
    /// Sign a verification code, to prove that a CA's key is yours
    #[command(
        after_help = "Example:\n  landfall cert verification --ca dpsTestRoot_cert.pem --key dpsTestRoot_key.pem --nonce CODE"
    )]
    Verification(Verification),
    /// Say what a chain of certificates is worth, link by link, as the server judges it
    #[command(
        after_help = "Example:\n  landfall cert inspect dpsTestDevice01_fullchain.pem --group my-devices"
    )]
    Inspect(inspect::Inspect),
}

/// The kinds of key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum KeyType {
    /// RSA of 2048 bits, as the articles' tool makes it
    Rsa,
    /// Elliptic curve, P-256: smaller and faster
    Ec,
}

/// How a certificate is made and where it goes.
#[derive(Args)]
pub struct Making {
    /// Days until it ends, but never later than its CA's certificate
    #[arg(long, value_name = "DAYS", default_value_t = 365,
        value_parser = clap::value_parser!(u64).range(1..=36_500))]
    days: u64,
    /// Kind of the new key
    #[arg(long, value_enum, default_value = "rsa")]
    key_type: KeyType,
    /// Folder of the files, those of the parent too; made when it is not there
    #[arg(
        long,
        value_name = "DIR",
        default_value = ".",
        hide_default_value = true
    )]
    out: PathBuf,
    /// Print what was made as JSON; errors too, on stderr
    #[arg(long)]
    json: bool,
}

/// Options of `root`.
#[derive(Args)]
pub struct Root {
    /// Common name; the files are called after it
    #[arg(value_name = "NAME", default_value = "Test Root Cert")]
    name: String,
    #[command(flatten)]
    making: Making,
}

/// Options of `intermediate`.
#[derive(Args)]
pub struct Intermediate {
    /// Common name; the files are called after it
    #[arg(value_name = "NAME")]
    name: String,
    /// Common name of the CA that signs, made before
    #[arg(value_name = "PARENT")]
    parent: String,
    #[command(flatten)]
    making: Making,
}

/// Options of `device`.
#[derive(Args)]
pub struct Device {
    /// Common name: the device's registration id; the files are called after it
    #[arg(value_name = "NAME")]
    name: String,
    /// Common name of the CA that signs, made before; none for a self-signed certificate
    #[arg(value_name = "PARENT")]
    parent: Option<String>,
    #[command(flatten)]
    making: Making,
}

/// Options of `verification`, in the tool's later form and in its first one.
#[derive(Args)]
pub struct Verification {
    /// Common name of the CA, made before
    #[arg(value_name = "NAME", conflicts_with_all = ["ca", "key", "nonce"], requires = "code",
        required_unless_present = "ca")]
    name: Option<String>,
    /// The verification code
    #[arg(value_name = "CODE")]
    code: Option<String>,
    /// PEM file of the CA's certificate
    #[arg(long, value_name = "FILE", requires_all = ["key", "nonce"])]
    ca: Option<PathBuf>,
    /// PEM file of the CA's key
    #[arg(long, value_name = "FILE", requires = "ca")]
    key: Option<PathBuf>,
    /// The verification code, as `landfall ca generate-verification-code` gave it
    #[arg(long, value_name = "CODE", requires = "ca")]
    nonce: Option<String>,
    #[command(flatten)]
    making: Making,
}

/// What a certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Authority,
    Client,
}

impl CertCommand {
    /// Whether errors are wanted as JSON.
    pub fn json(&self) -> bool {
        match &self.action {
            Action::Root(options) => options.making.json,
            Action::Intermediate(options) => options.making.json,
            Action::Device(options) => options.making.json,
            Action::Verification(options) => options.making.json,
            Action::Inspect(options) => options.connect.json,
        }
    }

    /// Does what was asked.
    ///
    /// # Errors
    /// [`Failure`] when a name, the parent or a file does not allow it; then no new file is left. And
    /// when an inspected chain would be refused.
    pub async fn run(self) -> Result<(), Failure> {
        let json = self.json();
        let made = match self.action {
            Action::Inspect(options) => return options.run().await,
            Action::Root(options) => options.make(&SystemClock, &SystemEntropy),
            Action::Intermediate(options) => options.make(&SystemClock, &SystemEntropy),
            Action::Device(options) => options.make(&SystemClock, &SystemEntropy),
            Action::Verification(options) => options.make(&SystemClock, &SystemEntropy),
        }?;
        let info = made.certificate.info();
        let value = json!({
            "certificateFile": made.certificate_file.display().to_string(),
            "keyFile": made.key_file.display().to_string(),
            "fullchainFile": made.fullchain_file.display().to_string(),
            "subjectName": info.subject_name,
            "issuerName": info.issuer_name,
            "sha1Thumbprint": info.sha1_thumbprint,
            "sha256Thumbprint": info.sha256_thumbprint,
            "notAfterUtc": info.not_after.to_wire_seconds(),
        });
        print::result(json, &value, |value| print::sheet(&SHEET, value));
        eprintln!(
            "warning: for tests only: the key lies unprotected in {}. Never trust such a certificate in production.",
            made.key_file.display()
        );
        Ok(())
    }
}

impl Root {
    fn make(self, clock: &dyn Clock, entropy: &dyn Entropy) -> Result<Written, Failure> {
        let root = root_of(&self.name)?;
        let role = Role::Authority;
        self.making
            .make(role, &self.name, root, None, clock, entropy)
    }
}

impl Intermediate {
    fn make(self, clock: &dyn Clock, entropy: &dyn Entropy) -> Result<Written, Failure> {
        let root = root_of(&self.name)?;
        let parent = self.making.parent(&self.parent)?;
        let role = Role::Authority;
        self.making
            .make(role, &self.name, root, Some(parent), clock, entropy)
    }
}

impl Device {
    fn make(self, clock: &dyn Clock, entropy: &dyn Entropy) -> Result<Written, Failure> {
        check_device_name(&self.name)?;
        let root = root_of(&self.name)?;
        let parent = self.parent.as_deref();
        let parent = parent.map(|name| self.making.parent(name)).transpose()?;
        let role = Role::Client;
        self.making
            .make(role, &self.name, root, parent, clock, entropy)
    }
}

impl Verification {
    fn make(self, clock: &dyn Clock, entropy: &dyn Entropy) -> Result<Written, Failure> {
        let parent = match (&self.name, &self.ca, &self.key) {
            (_, Some(ca), Some(key)) => Parent::of_files(ca, key)?,
            (name, _, _) => self.making.parent(name.as_deref().unwrap_or_default())?,
        };
        let code = self.nonce.or(self.code).unwrap_or_default();
        let root = "verification".to_owned();
        let role = Role::Client;
        self.making
            .make(role, &code, root, Some(parent), clock, entropy)
    }
}

impl Making {
    fn parent(&self, name: &str) -> Result<Parent, Failure> {
        Parent::of_place(&Place::new(&self.out, &root_of(name)?))
    }

    fn make(
        &self,
        role: Role,
        subject: &str,
        file_name_root: String,
        parent: Option<Parent>,
        clock: &dyn Clock,
        entropy: &dyn Entropy,
    ) -> Result<Written, Failure> {
        check_name(subject)?;
        let place = Place::new(&self.out, &file_name_root);
        // Before any key is drawn: an RSA key takes a while.
        place.check_free()?;
        let mut serial = [0; 16];
        entropy.fill(&mut serial);
        let order = Order {
            role,
            subject,
            key_type: self.key_type,
            life: Duration::from_secs(self.days * DAY),
            serial,
            now: clock.now(),
        };
        let (certificate, pem) = make::certificate(&order, parent.as_ref())?;
        let above = parent.map(|parent| parent.chain).unwrap_or_default();
        place.write(certificate, &pem, &above)
    }
}

/// The first part of the file names of `name`.
fn root_of(name: &str) -> Result<String, Failure> {
    check_name(name)?;
    let root = name::file_name_root(name);
    let usable = root.chars().any(char::is_alphanumeric) && !root.contains(['/', '\\']);
    if usable {
        Ok(root)
    } else {
        Err(Failure::usage(
            format!("no file can be called after '{name}'"),
            "take a name with a letter or digit in it, and without '/' and '\\'; --out DIR names a folder",
        ))
    }
}

fn check_name(name: &str) -> Result<(), Failure> {
    let length = name.chars().count();
    let broken = if name.trim().is_empty() {
        "it is empty".to_owned()
    } else if length > LONGEST_NAME {
        format!("it is {length} characters long; {LONGEST_NAME} are allowed")
    } else if name.chars().any(char::is_control) {
        "it holds control characters".to_owned()
    } else {
        return Ok(());
    };
    Err(Failure::usage(
        format!("the name cannot be a certificate's common name: {broken}"),
        "give a name of 1 to 64 characters",
    ))
}

/// A device registers under its certificate's common name, so it must be one that a device can have.
fn check_device_name(name: &str) -> Result<(), Failure> {
    RegistrationId::parse(name).map(drop).map_err(|error| {
        Failure::usage(
            error.to_string(),
            "name the certificate as the device registers: the common name is its registration id",
        )
    })
}

#[cfg(test)]
mod tests;
