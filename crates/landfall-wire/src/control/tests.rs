//! The control plane's bodies in their exact forms.

use landfall_core::clock::Timestamp;
use landfall_core::id::Etag;

use super::*;

const CA: &str = include_str!("../../tests/fixtures/ca.pem");
const RESOURCE: &str = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Devices/provisioningServices/dev/certificates/root-1";

fn ca() -> CaCertificate {
    CaCertificate {
        name: certificate_name("root-1").expect("valid"),
        certificate: Certificate::from_text(CA).expect("a certificate"),
        verified: false,
        verification_code: Some("0A".repeat(24)),
        etag: Etag::parse("IjEi").expect("valid"),
        created: Timestamp::from_unix_seconds(1_651_859_401),
        updated: Timestamp::from_unix_seconds(1_651_859_402),
    }
}

#[test]
fn a_certificate_is_written_in_the_recorded_form() {
    assert_eq!(
        certificate_json(&ca(), RESOURCE),
        json!({
            "id": RESOURCE,
            "name": "root-1",
            "type": "Microsoft.Devices/provisioningServices/Certificates",
            "etag": "IjEi",
            "properties": {
                "subject": "Fixture Root",
                "expiry": "Thu, 01 Jan 2099 00:00:00 GMT",
                "thumbprint": "DBA37933B458008A4E0FBB90F6F9F0607EB46307",
                "isVerified": false,
                "created": "Fri, 06 May 2022 17:50:01 GMT",
                "updated": "Fri, 06 May 2022 17:50:02 GMT",
                "certificate": null,
            },
        })
    );
}

#[test]
fn only_drawing_a_code_shows_it_and_gives_the_certificate_back() {
    let shown = verification_code_json(&ca(), RESOURCE);
    assert_eq!(shown["properties"]["verificationCode"], "0A".repeat(24));
    let text = shown["properties"]["certificate"].as_str().expect("text");
    assert_eq!(
        Certificate::from_text(text).expect("a certificate"),
        ca().certificate
    );
    assert!(
        certificate_json(&ca(), RESOURCE)["properties"]
            .get("verificationCode")
            .is_none()
    );
}

#[test]
fn both_forms_of_an_upload_are_read() {
    let whole_file = STANDARD.encode(CA);
    for (body, verified) in [
        (json!({"certificate": CA}), None),
        (
            json!({"certificate": whole_file, "isVerified": true}),
            Some(true),
        ),
        (
            json!({"properties": {"certificate": whole_file, "isVerified": false}}),
            Some(false),
        ),
    ] {
        let upload = parse_upload(body.to_string().as_bytes()).expect("read");
        assert_eq!(upload.certificate, ca().certificate);
        assert_eq!(upload.verified, verified);
    }
}

#[test]
fn an_upload_that_cannot_be_read_is_named() {
    for (body, message) in [
        (json!({}), "certificate is required."),
        (
            json!({"properties": {}}),
            "properties.certificate is required.",
        ),
        (json!({"certificate": 1}), "certificate must be a string."),
    ] {
        assert_eq!(
            parse_upload(body.to_string().as_bytes()),
            Err(Error::Invalid(message.into()))
        );
    }
    assert!(matches!(parse_upload(b"x"), Err(Error::Unreadable(_))));
    assert!(matches!(
        parse_proof(br#"{"certificate":"x"}"#),
        Err(Error::Invalid(_))
    ));
}
