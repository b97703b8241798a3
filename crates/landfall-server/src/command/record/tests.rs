//! How flags become records, and records become tables.

use clap::Parser;

use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    fields: RecordFields,
    #[command(flatten)]
    removed: Removed,
}

fn line(arguments: &[&str]) -> Line {
    Line::try_parse_from([&["x"], arguments].concat()).expect("arguments")
}

fn applied(arguments: &[&str], record: Json) -> Json {
    let Json::Object(mut record) = record else {
        panic!("no object")
    };
    line(arguments).fields.apply(&mut record).expect("applied");
    Json::Object(record)
}

#[test]
fn every_flag_lands_where_the_api_has_it() {
    let record = applied(
        &[
            "--ih",
            "h1,h2",
            "h3 h4",
            "--tags",
            "{\"a\":1}",
            "--props",
            "{\"b\":2}",
            "--ps",
            "Disabled",
            "--rp",
            "reprovisionandresetdata",
            "--ap",
            "geolatency",
            "--wh",
            "https://w",
            "--av",
            "2021-10-01",
            "--edge-enabled",
        ],
        json!({}),
    );
    assert_eq!(
        record,
        json!({
            "iotHubs": ["h1", "h2", "h3", "h4"],
            "initialTwin": {"tags": {"a": 1}, "properties": {"desired": {"b": 2}}},
            "provisioningStatus": "disabled",
            "reprovisionPolicy": {"updateHubAssignment": true, "migrateDeviceData": false},
            "allocationPolicy": "geoLatency",
            "customAllocationDefinition": {"webhookUrl": "https://w", "apiVersion": "2021-10-01"},
            "capabilities": {"iotEdge": true}})
    );
}

#[test]
fn an_update_changes_only_what_was_given() {
    let stored = json!({"initialTwin": {"tags": {"a": 1}, "properties": {"desired": {"b": 2}}},
        "capabilities": {"iotEdge": true}, "unknown": "kept"});
    let record = applied(&["--tags", "", "--edge-enabled", "false"], stored);
    assert_eq!(
        record,
        json!({"initialTwin": {"tags": null, "properties": {"desired": {"b": 2}}},
            "capabilities": {"iotEdge": false}, "unknown": "kept"})
    );
}

#[test]
fn json_that_is_no_object_is_refused_with_the_flag_that_brought_it() {
    for bad in ["{", "[1]", "7"] {
        let failure = document(bad, "--tags").expect_err("refused");
        assert!(failure.what.starts_with("--tags"), "{}", failure.what);
    }
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("tags.json");
    std::fs::write(&path, "{\"a\": 1}\n").expect("written");
    let read = document(&format!("@{}", path.display()), "--tags");
    assert_eq!(read, Ok(json!({"a": 1})));
}

#[test]
fn certificates_are_sent_as_pem_text_or_as_base64_of_der() {
    let folder = tempfile::tempdir().expect("folder");
    let (pem, der) = (folder.path().join("a.pem"), folder.path().join("a.cer"));
    std::fs::write(&pem, "-----BEGIN CERTIFICATE-----\n").expect("written");
    std::fs::write(&der, [0x30, 0x82, 0xff]).expect("written");
    assert_eq!(
        certificate(&pem).as_deref(),
        Ok("-----BEGIN CERTIFICATE-----\n")
    );
    assert_eq!(certificate(&der).as_deref(), Ok("MIL/"));
    assert!(certificate(&folder.path().join("none")).is_err());
}

#[test]
fn certificate_slots_are_kept_replaced_and_emptied() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("new.pem");
    std::fs::write(&file, "PEM").expect("written");
    let file = file.to_str().expect("path");
    let stored = json!({"type": "x509", "x509": {"clientCertificates": {
        "primary": {"info": {"version": 3}}, "secondary": null}}});
    let x509 = |arguments: &[&str], stored: Option<&Json>| {
        let line = line(arguments);
        line.fields
            .x509("clientCertificates", stored, &line.removed)
    };
    assert_eq!(
        x509(&["--scp", file], Some(&stored)),
        Ok(json!({"type": "x509", "x509": {"clientCertificates": {
            "primary": {"info": {"version": 3}}, "secondary": {"certificate": "PEM"}}}}))
    );
    assert_eq!(
        x509(&["--rc", "--scp", file], Some(&stored)),
        Ok(json!({"type": "x509", "x509": {"clientCertificates": {
            "secondary": {"certificate": "PEM"}}}}))
    );
    assert!(x509(&["--rc"], Some(&stored)).is_err());
    assert!(x509(&["--cp", file, "--cn", "ca"], None).is_err());
    assert_eq!(
        x509(&["--cn", "ca"], Some(&stored)),
        Ok(json!({"type": "x509", "x509": {"caReferences": {"primary": "ca"}}}))
    );
    let by_name = json!({"type": "x509", "x509": {"caReferences": {"primary": "ca"}}});
    assert_eq!(
        x509(&["--scn", "next"], Some(&by_name)),
        Ok(
            json!({"type": "x509", "x509": {"caReferences": {"primary": "ca", "secondary": "next"}}})
        )
    );
}

#[test]
fn a_key_given_replaces_one_and_keeps_the_other() {
    let current = json!({"type": "symmetricKey",
        "symmetricKey": {"primaryKey": "old1", "secondaryKey": "old2"}});
    let new = line(&["--pk", "new1"]).fields.symmetric_key(Some(&current));
    assert_eq!(
        new,
        Ok(json!({"type": "symmetricKey",
            "symmetricKey": {"primaryKey": "new1", "secondaryKey": "old2"}}))
    );
    assert_eq!(
        line(&[]).fields.symmetric_key(None),
        Ok(json!({"type": "symmetricKey", "symmetricKey": {}}))
    );
}
