//! The flags of the enrollment commands, and the records they make.

use clap::Parser;

use super::*;

#[derive(Parser)]
struct Line {
    #[command(subcommand)]
    action: Action,
}

fn created(arguments: &str) -> Result<Json, Failure> {
    let line = Line::try_parse_from(arguments.split(' ')).expect("arguments");
    match line.action {
        Action::Create(options) => options.record(),
        _ => panic!("not create"),
    }
}

#[test]
fn a_plain_create_asks_for_drawn_keys() {
    assert_eq!(
        created("x create dev1"),
        Ok(json!({"registrationId": "dev1",
            "attestation": {"type": "symmetricKey", "symmetricKey": {}},
            "capabilities": {"iotEdge": false},
            "reprovisionPolicy": {"updateHubAssignment": true, "migrateDeviceData": true}}))
    );
}

#[test]
fn the_attestation_type_is_told_from_the_flags() {
    let tpm = created("x create --eid d --ek EK --device-id D").expect("record");
    assert_eq!(
        tpm["attestation"],
        json!({"type": "tpm", "tpm": {"endorsementKey": "EK"}})
    );
    assert_eq!(tpm["deviceId"], json!("D"));
    let x509 = created("x create d --cn ca").expect("record");
    assert_eq!(
        x509["attestation"]["x509"],
        json!({"caReferences": {"primary": "ca"}})
    );
    assert!(created("x create d --at tpm").is_err());
    assert!(created("x create d --at x509").is_err());
}

#[test]
fn an_update_keeps_the_stored_type_unless_flags_speak_of_another() {
    let kind = |arguments: &str, stored: &str| {
        let line = Line::try_parse_from(arguments.split(' ')).expect("arguments");
        match line.action {
            Action::Update(options) => options.kind(&json!({"attestation": {"type": stored}})),
            _ => panic!("not update"),
        }
    };
    use AttestationType::{SymmetricKey, Tpm, X509};
    assert_eq!(kind("x update d --ps disabled", "x509"), X509);
    assert_eq!(kind("x update d --ps disabled", "tpm"), Tpm);
    assert_eq!(
        kind("x update d --ps disabled", "symmetricKey"),
        SymmetricKey
    );
    assert_eq!(kind("x update d --pk K", "x509"), SymmetricKey);
    assert_eq!(kind("x update d --cn ca", "symmetricKey"), X509);
    assert_eq!(kind("x update d --srk K", "tpm"), Tpm);
}

#[test]
fn a_record_reads_as_one_line_in_a_list_and_as_a_sheet_alone() {
    let record = json!({"registrationId": "dev1", "attestation": {"type": "symmetricKey"},
        "provisioningStatus": "enabled", "capabilities": {"iotEdge": true},
        "registrationState": {"status": "assigned", "assignedHub": "127.0.0.1", "deviceId": "dev1"},
        "initialTwin": {"tags": {"environment": "test"}}, "etag": "e1"});
    assert_eq!(
        print::table(&LIST, std::slice::from_ref(&record), "none"),
        "ENROLLMENT ID  ATTESTATION   STATUS   DEVICE ID  REGISTRATION  ASSIGNED HUB\n\
         dev1           symmetricKey  enabled  dev1       assigned      127.0.0.1\n"
    );
    assert_eq!(
        print::sheet(&SHEET, &record),
        "Enrollment id        dev1\n\
         Provisioning status  enabled\n\
         Attestation          symmetricKey\n\
         IoT Edge             yes\n\
         Initial tags         {\"environment\":\"test\"}\n\
         Registration         assigned\n\
         Assigned hub         127.0.0.1\n\
         Assigned device id   dev1\n\
         Etag                 e1\n"
    );
}
