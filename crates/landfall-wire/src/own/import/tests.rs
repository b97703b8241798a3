//! What lines mean.

use serde_json::json;

use super::*;
use crate::client::Authorization;
use crate::client::own::import;

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn line(record: &Value) -> String {
    json!({"kind": "enrollment", "record": record}).to_string()
}

fn record() -> Value {
    json!({
        "registrationId": "Dev-1", "etag": "no etag at all", "deviceId": null,
        "createdDateTimeUtc": "x", "registrationState": {},
        "attestation": {"type": "symmetricKey", "tpm": null,
            "symmetricKey": {"primaryKey": KEY, "secondaryKey": KEY}},
    })
}

#[test]
fn a_record_of_another_service_is_read_without_its_marks() {
    let read = parse(line(&record()).as_bytes()).expect("reads");
    let Line::Record(Collection::Individuals, id, ImportRecord::Individual(import)) = read else {
        panic!("no individual enrollment");
    };
    assert_eq!(id, "Dev-1");
    assert_eq!(import.request.etag, None);
    for nothing in ["", " \r", "{\"kind\":\"note\",\"x\":1}"] {
        assert_eq!(parse(nothing.as_bytes()), Ok(Line::Nothing), "{nothing}");
    }
}

#[test]
fn a_bad_line_is_told_without_its_content() {
    let bad_key = line(&record()).replace(KEY, "hush!");
    let nul = line(&record()).replace("no etag at all", "\\u0000");
    for (line, word) in [
        ("{\"primaryKey\":\"hush\"", "no JSON"),
        ("[\"hush\"]", "no JSON object"),
        ("{\"record\":{}}", "no kind"),
        ("{\"kind\":\"hush\",\"record\":{}}", "none of"),
        ("{\"kind\":\"group\",\"record\":\"hush\"}", "record"),
        ("{\"kind\":\"group\",\"record\":{}}", "enrollmentGroupId"),
        (bad_key.as_str(), "primaryKey"),
        (nul.as_str(), "NUL"),
    ] {
        let bad = parse(line.as_bytes()).expect_err(line);
        assert!(
            bad.reason.contains(word) && !bad.reason.contains("hush"),
            "{bad:?}"
        );
    }
    assert!(parse(b"\xff\xfe{}").is_err());
    assert_eq!(
        parse(bad_key.as_bytes()).expect_err("a bad key").record,
        Some((Collection::Individuals, "Dev-1".to_owned()))
    );
}

#[test]
fn a_certificate_that_is_only_shown_is_named() {
    let slots = json!({"primary": {"info": {"sha256Thumbprint": "ab12"}}});
    let record = json!({"registrationId": "d", "attestation": {"type": "x509", "x509": {
        "clientCertificates": slots, "signingCertificates": null}}});
    let read = parse(line(&record).as_bytes()).expect("reads");
    let Line::Record(_, _, ImportRecord::Individual(import)) = read else {
        panic!("no individual enrollment");
    };
    assert_eq!(import.shown, [Some("AB12".to_owned()), None]);
}

#[test]
fn a_call_says_how_it_wants_its_records() {
    let who = Authorization::bearer("t");
    for on_conflict in [OnConflict::Fail, OnConflict::Skip, OnConflict::Replace] {
        for dry_run in [false, true] {
            let wanted = Manner {
                on_conflict,
                dry_run,
            };
            assert_eq!(manner(&import(&who, wanted)), Ok(wanted));
        }
    }
    let mut wrong = import(&who, Manner::default());
    for query in ["onConflict=other", "dryRun=maybe"] {
        wrong.query = Some(query.to_owned());
        assert!(manner(&wrong).is_err(), "{query}");
    }
}
