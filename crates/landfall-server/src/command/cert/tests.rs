//! Making test certificates, in real folders.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use clap::Parser;
use landfall_core::attestation::Slots;
use landfall_core::attestation::x509::{Anchor, AnchorSource, check_individual, find_group};
use landfall_core::certificate::Certificate;
use landfall_core::certificate::ca::check_upload;
use landfall_core::clock::Timestamp;
use landfall_core::id::EnrollmentGroupId;

use super::*;
use crate::command::outcome::Exit;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    cert: CertCommand,
}

struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        now()
    }
}

fn now() -> Timestamp {
    Timestamp::parse("2040-06-01T12:00:00Z").expect("a time")
}

/// Makes a certificate in `folder`; elliptic, since RSA keys take their time to draw.
fn make(folder: &Path, arguments: &[&str]) -> Result<Written, Failure> {
    let out = folder.to_str().expect("a path");
    let with_defaults = [&["cert"], arguments, &["--out", out, "--key-type", "ec"]].concat();
    made_by(Line::try_parse_from(with_defaults).expect("arguments"))
}

fn made_by(line: Line) -> Result<Written, Failure> {
    match line.cert.action {
        Action::Root(options) => options.make(&Still, &SystemEntropy),
        Action::Intermediate(options) => options.make(&Still, &SystemEntropy),
        Action::Device(options) => options.make(&Still, &SystemEntropy),
        Action::Verification(options) => options.make(&Still, &SystemEntropy),
        Action::Inspect(_) => panic!("an inspection makes nothing"),
    }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .into_string()
                .expect("text")
        })
        .collect();
    names.sort();
    names
}

fn chain_of(folder: &Path, name: &str) -> Vec<Certificate> {
    let text = fs::read_to_string(folder.join(name)).expect("a chain");
    text.split_inclusive("-----END CERTIFICATE-----")
        .filter(|part| !part.trim().is_empty())
        .map(|part| Certificate::from_text(part).expect("a certificate"))
        .collect()
}

fn id(text: &str) -> RegistrationId {
    RegistrationId::parse(text).expect("a registration id")
}

#[test]
fn the_three_certificates_of_the_article_are_a_chain_that_the_server_takes() {
    let place = tempfile::tempdir().expect("a folder");
    let folder = place.path();
    let root = make(folder, &["root", "dps-test-root"]).expect("a root");
    let middle = make(
        folder,
        &["intermediate", "dps-test-intermediate", "dps-test-root"],
    );
    let middle = middle.expect("an intermediate");
    make(
        folder,
        &["device", "dps-test-device-01", "dps-test-intermediate"],
    )
    .expect("a device");
    let mut wanted = Vec::new();
    for root in ["dpsTestDevice01", "dpsTestIntermediate", "dpsTestRoot"] {
        wanted.extend(["cert", "fullchain", "key"].map(|end| format!("{root}_{end}.pem")));
    }
    assert_eq!(names(folder), wanted);

    let sent = chain_of(folder, "dpsTestDevice01_fullchain.pem");
    assert_eq!(sent.len(), 3);
    assert_eq!(sent[0], chain_of(folder, "dpsTestDevice01_cert.pem")[0]);
    assert_eq!(sent[2], root.certificate);
    for ca in [&root.certificate, &middle.certificate] {
        assert_eq!(check_upload(ca, now()), Ok(()));
        let anchor = Anchor {
            certificate: ca.clone(),
            group: EnrollmentGroupId::parse("g").expect("an id"),
            source: AnchorSource::SigningCertificate,
        };
        let found = find_group(
            &sent,
            &[anchor],
            &[],
            &id("dps-test-device-01"),
            now(),
            false,
        );
        assert!(found.is_ok(), "{found:?}");
    }
    assert_eq!(sent[0].info().version, 3);
    assert_eq!(sent[0].not_before(), now().minus(Duration::from_secs(DAY)));
    assert_eq!(
        sent[0].not_after(),
        now().plus(Duration::from_secs(365 * DAY))
    );
}

#[test]
fn a_device_without_a_parent_signs_itself_and_can_be_enrolled_individually() {
    let place = tempfile::tempdir().expect("a folder");
    let made = make(place.path(), &["device", "device-43"]).expect("a device");
    assert_eq!(made.certificate.signed_by(&made.certificate), Ok(()));
    assert!(!made.certificate.is_ca());
    let slots = Slots::new(Some(made.certificate.clone()), None).expect("a slot");
    let judged = check_individual(&slots, &made.certificate, &id("device-43"), now());
    assert_eq!(judged, Ok(()));
    assert_eq!(
        chain_of(place.path(), "device43_fullchain.pem"),
        [made.certificate]
    );
}

#[test]
fn the_default_key_is_the_tools_rsa_and_only_the_owner_reads_it() {
    let place = tempfile::tempdir().expect("a folder");
    let out = place.path().to_str().expect("a path");
    let line = Line::try_parse_from(["cert", "root", "--out", out]).expect("arguments");
    let made = made_by(line).expect("a root");
    assert_eq!(made.certificate.subject_name(), "CN=Test Root Cert");
    assert!(made.certificate_file.ends_with("testRootCert_cert.pem"));
    // The object identifier of RSA keys, as DER.
    let rsa = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
    let kind = made.certificate.public_key().algorithm;
    assert!(kind.windows(rsa.len()).any(|part| part == rsa));
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode(&made.key_file), 0o600);
    let key = fs::read_to_string(&made.key_file).expect("a key");
    assert!(key.starts_with("-----BEGIN PRIVATE KEY-----\n"));
    // A parent with an RSA key signs elliptic ones too.
    make(place.path(), &["device", "dev1", "Test Root Cert"]).expect("a device");
}

#[test]
fn proof_of_possession_is_made_in_both_forms_of_the_tool() {
    let place = tempfile::tempdir().expect("a folder");
    let folder = place.path();
    let file = |name: &str| folder.join(name).to_str().expect("a path").to_owned();
    let root = make(folder, &["root", "dps-test-root"]).expect("a root");
    let (ca, key) = (file("dpsTestRoot_cert.pem"), file("dpsTestRoot_key.pem"));
    let code = "07F9332E108C7D24283FB6B8A05284E6B873D43686940ACE";
    let options = ["verification", "--ca", &ca, "--key", &key, "--nonce", code];
    let later = make(folder, &options).expect("a proof");
    assert!(later.certificate_file.ends_with("verification_cert.pem"));
    let elsewhere = tempfile::tempdir().expect("a folder");
    for name in names(folder) {
        fs::copy(folder.join(&name), elsewhere.path().join(&name)).expect("copied");
        if name.starts_with("verification") {
            fs::remove_file(elsewhere.path().join(&name)).expect("removed");
        }
    }
    let first = make(elsewhere.path(), &["verification", "dps-test-root", code]).expect("a proof");
    for made in [later, first] {
        assert_eq!(made.certificate.signed_by(&root.certificate), Ok(()));
        assert_eq!(made.certificate.common_name().as_deref(), Ok(code));
    }
    for broken in [
        &["verification"][..],
        &["verification", "dps-test-root"],
        &["verification", "--ca", &ca, "--key", &key],
        &["verification", "dps-test-root", code, "--ca", &ca],
    ] {
        assert!(
            Line::try_parse_from([&["cert"], broken].concat()).is_err(),
            "{broken:?}"
        );
    }
}

#[test]
fn no_file_is_ever_written_over_and_a_refusal_leaves_none() {
    let place = tempfile::tempdir().expect("a folder");
    let folder = place.path();
    for end in ["cert", "key", "fullchain"] {
        let path = folder.join(format!("dev1_{end}.pem"));
        fs::write(&path, "precious").expect("written");
        let failure = make(folder, &["device", "dev1"]).err().expect("a refusal");
        assert_eq!(failure.exit, Exit::Conflict);
        assert!(
            failure
                .what
                .contains(&format!("dev1_{end}.pem is there already")),
            "{failure:?}"
        );
        assert!(failure.fix.expect("a fix").contains("--out"));
        assert_eq!(names(folder).len(), 1);
        assert_eq!(fs::read_to_string(&path).expect("there"), "precious");
        fs::remove_file(&path).expect("removed");
    }
    // Taken between the look and the write: the files written so far go again.
    let made = make(folder, &["device", "dev1"]).expect("a device");
    let pem = fs::read_to_string(&made.certificate_file).expect("a certificate");
    for (end, left) in [("cert", 1), ("fullchain", 1), ("key", 1)] {
        let other = folder.join(end);
        fs::create_dir(&other).expect("a folder");
        fs::write(other.join(format!("dev1_{end}.pem")), "precious").expect("written");
        let pair = crate::dev_ca::PemPair {
            certificate: pem.clone(),
            key: Default::default(),
        };
        let refused = Place::new(&other, "dev1").write(made.certificate.clone(), &pair, "");
        assert_eq!(refused.err().expect("a refusal").exit, Exit::Conflict);
        assert_eq!(names(&other).len(), left, "{end}");
    }
}

#[test]
fn a_parent_that_cannot_sign_is_named_with_the_remedy() {
    let place = tempfile::tempdir().expect("a folder");
    let folder = place.path();
    let said = |arguments: &[&str]| {
        let failure = make(folder, arguments).err().expect("a refusal");
        assert!(failure.fix.is_some(), "{failure:?}");
        failure.what
    };
    make(folder, &["root", "a"]).expect("a root");
    make(folder, &["root", "b"]).expect("a root");
    make(folder, &["device", "dev1", "a"]).expect("a device");
    let files = names(folder);
    assert!(said(&["device", "dev2", "none"]).contains("none_cert.pem"));
    assert!(said(&["device", "dev2", "dev1"]).contains("is not a CA's certificate"));
    fs::copy(folder.join("a_key.pem"), folder.join("b_key.pem")).expect("copied");
    assert!(said(&["device", "dev2", "b"]).contains("b_key.pem is not the key of"));
    fs::write(folder.join("b_key.pem"), "no key").expect("written");
    assert!(said(&["device", "dev2", "b"]).contains("b_key.pem cannot be used"));
    fs::write(folder.join("b_cert.pem"), "").expect("written");
    assert!(said(&["device", "dev2", "b"]).contains("b_cert.pem: the certificate is empty"));
    assert_eq!(names(folder), files, "a refusal leaves no file");
}

#[test]
fn an_end_never_lies_behind_the_parents() {
    let place = tempfile::tempdir().expect("a folder");
    let root = make(place.path(), &["root", "a", "--days", "10"]).expect("a root");
    let short = make(place.path(), &["device", "dev1", "a", "--days", "3"]).expect("a device");
    let long = make(place.path(), &["device", "dev2", "a", "--days", "30"]).expect("a device");
    assert_eq!(
        short.certificate.not_after(),
        now().plus(Duration::from_secs(3 * DAY))
    );
    assert_eq!(long.certificate.not_after(), root.certificate.not_after());
}

#[test]
fn names_that_no_certificate_device_or_file_can_have_are_refused() {
    let place = tempfile::tempdir().expect("a folder");
    let long = "a".repeat(65);
    for arguments in [
        &["root", ""][..],
        &["root", ".."],
        &["root", "up/../there"],
        &["root", "bell\u{7}"],
        &["root", &long],
        &["device", "Device 42"],
        &["intermediate", "a", "../b"],
    ] {
        let failure = make(place.path(), arguments).err().expect("a refusal");
        assert_eq!(failure.exit, Exit::Usage, "{arguments:?}");
    }
    assert_eq!(names(place.path()), Vec::<String>::new());
}

#[test]
fn a_chain_that_was_made_here_is_inspected_without_a_server() {
    let place = tempfile::tempdir().expect("a folder");
    let folder = place.path();
    make(folder, &["root", "dps-test-root"]).expect("a root");
    make(folder, &["device", "dev1", "dps-test-root"]).expect("a device");
    let text = |arguments: &[&str]| {
        let chain = folder.join("dev1_fullchain.pem");
        let chain = chain.to_str().expect("a path");
        let line = [&["cert", "inspect", chain][..], arguments].concat();
        let Action::Inspect(options) = Line::try_parse_from(line).expect("arguments").cert.action
        else {
            panic!("another command");
        };
        let certificates = chain_of(folder, "dev1_fullchain.pem");
        report::text(&options.alone(&certificates).expect("inspected"))
    };
    let good = text(&["--at", "2040-06-01T12:00:00Z"]);
    assert!(
        good.starts_with("Certificate 1: CN=dev1\n  Issuer "),
        "{good}"
    );
    assert!(
        good.contains("\nCertificate 2: CN=dps-test-root\n"),
        "{good}"
    );
    assert!(
        good.contains("Nothing wrong with it, at 2040-06-01T12:00:00Z."),
        "{good}"
    );
    assert!(!good.contains("Failed"), "{good}");
    let late = text(&["--at", "2050-01-01T00:00:00Z", "--id", "dev2"]);
    for check in ["x509.common_name", "x509.validity", "x509.issuer_validity"] {
        assert!(late.contains(&format!("Failed check: {check}\n")), "{late}");
    }
    assert!(late.contains("Refused, at 2050-01-01T00:00:00Z."), "{late}");
}
