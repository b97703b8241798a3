//! The flags of the group commands, and the records they make.

use clap::Parser;

use super::*;

#[derive(Parser)]
struct Line {
    #[command(subcommand)]
    action: Action,
}

#[test]
fn a_group_attests_by_certificate_by_ca_name_or_by_keys() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("signer.pem");
    std::fs::write(&file, "PEM").expect("written");
    let attestation = |arguments: &[&str]| {
        let line = Line::try_parse_from([&["x", "create", "g"], arguments].concat());
        match line.expect("arguments").action {
            Action::Create(options) => options.record().expect("record")["attestation"].clone(),
            _ => panic!("not create"),
        }
    };
    assert_eq!(
        attestation(&["--certificate-path", file.to_str().expect("path")]),
        json!({"type": "x509", "x509": {"signingCertificates": {"primary": {"certificate": "PEM"}}}})
    );
    assert_eq!(
        attestation(&["--root-ca-name", "ca"]),
        json!({"type": "x509", "x509": {"caReferences": {"primary": "ca"}}})
    );
    assert_eq!(
        attestation(&["--pk", "K"]),
        json!({"type": "symmetricKey", "symmetricKey": {"primaryKey": "K"}})
    );
}

#[tokio::test]
async fn a_key_given_needs_no_service() {
    let line = Line::try_parse_from([
        "x",
        "compute-device-key",
        "--registration-id",
        "sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6",
        "--key",
        "8isrFI1sGsIlvvFSSFRiMfCNzv21fjbE/+ah/lSh3lF8e2YG1Te7w1KpZhJFFXJrqYKi9yegxkqIChbqOS9Egw==",
    ]);
    let Action::ComputeDeviceKey(options) = line.expect("arguments").action else {
        panic!("not compute-device-key");
    };
    let key = options.group_key(&Connect::default()).await.expect("key");
    assert_eq!(
        *key.derive(&options.registration_id).to_base64(),
        "Jsm0lyGpjaVYVP2g3FnmnmG9dI/9qU24wNoykUmermc="
    );
}
