//! Vectors that official libraries produced, and properties of signing and parsing.

use proptest::prelude::*;

use super::*;

const NODE: &str = "SharedAccessSignature sr=0ne00ABC123/registrations/sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6&sig=1n9gmq%2FnUxkDNhYaTK7VqelsDPf1F2ISNMDkEFBsO%2Bw%3D&skn=registration&se=1893456000";
const PYTHON: &str = "SharedAccessSignature sr=0ne00ABC123%2Fregistrations%2Fsn-007-888-abc-mac-a1-b2-c3-d4-e5-f6&sig=%2FNhonhe3KCcG4ONQL1h8qY1c5XP%2F8kJCsVv9i557Fy8%3D&se=1893456000";

fn device_key() -> SymmetricKey {
    SymmetricKey::from_base64("Jsm0lyGpjaVYVP2g3FnmnmG9dI/9qU24wNoykUmermc=").expect("a key")
}

#[test]
fn tokens_of_official_libraries_verify() {
    for text in [NODE, PYTHON] {
        let token = SasToken::parse(text).expect("parses");
        assert!(token.signed_by(&device_key()));
        assert!(!token.signed_by(&SymmetricKey::from_bytes(vec![1; 32])));
        assert_eq!(
            token.resource(),
            "0ne00ABC123/registrations/sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6"
        );
    }
}

#[test]
fn each_malformed_token_names_its_fault() {
    let sig = "sig=1n9gmq%2FnUxkDNhYaTK7VqelsDPf1F2ISNMDkEFBsO%2Bw%3D";
    let cases = [
        ("Bearer abc".to_owned(), SasError::Scheme),
        ("SharedAccessSignature".to_owned(), SasError::Scheme),
        (
            format!("SharedAccessSignature sr=a&{sig}"),
            SasError::Missing("se"),
        ),
        (
            format!("SharedAccessSignature {sig}&se=1"),
            SasError::Missing("sr"),
        ),
        (
            "SharedAccessSignature sr=a&se=1".to_owned(),
            SasError::Missing("sig"),
        ),
        (
            format!("SharedAccessSignature sr=a&sr=b&{sig}&se=1"),
            SasError::Twice("sr"),
        ),
        (
            format!("SharedAccessSignature sr=a&{sig}&se=x"),
            SasError::Expiry,
        ),
        (
            "SharedAccessSignature sr=a&sig=AAAA&se=1".to_owned(),
            SasError::Signature,
        ),
        ("SharedAccessSignature sr".to_owned(), SasError::Form),
    ];
    for (text, fault) in cases {
        assert_eq!(SasToken::parse(&text).err(), Some(fault), "{text}");
    }
}

#[test]
fn a_plus_sign_in_the_signature_is_base64_not_a_space() {
    let raw = NODE.replace("%2B", "+");
    assert!(
        SasToken::parse(&raw)
            .expect("parses")
            .signed_by(&device_key())
    );
}

#[test]
fn a_prefix_covers_whole_segments_only() {
    assert!(covers("Hub.Example/devices", "hub.example/devices/d1"));
    assert!(covers("hub", "hub"));
    assert!(!covers("hub/a/b", "hub/a/bc"));
    assert!(!covers("", "hub"));
}

proptest! {
    #[test]
    fn what_is_signed_parses_and_verifies(resource in "[ -~]{1,80}", key in proptest::collection::vec(any::<u8>(), 16..65), seconds in 0_i64..4_000_000_000) {
        let key = SymmetricKey::from_bytes(key);
        let token = SasToken::parse(&sign(&resource, &key, Some("registration"), Timestamp::from_unix_seconds(seconds))).expect("parses");
        prop_assert!(token.signed_by(&key));
        prop_assert_eq!(token.resource(), resource);
        prop_assert_eq!(token.expiry().unix_seconds(), seconds);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,200}") {
        let _ = SasToken::parse(&text);
        let _ = SasToken::parse(&format!("SharedAccessSignature {text}"));
    }
}
