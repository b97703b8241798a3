//! Shared access signatures: no text breaks the parser, and none but the signed one is accepted.

use std::sync::LazyLock;

use landfall_core::clock::Timestamp;
use landfall_core::sas::{LEEWAY, SasToken, covers, sign};
use landfall_core::secret::SymmetricKey;

use crate::read_corpus;

const RESOURCE: &str = "0ne00000000/registrations/dev:1-ä";
const EXPIRY: i64 = 4_102_444_800;

static KEY: LazyLock<SymmetricKey> = LazyLock::new(|| SymmetricKey::from_bytes(vec![7; 32]));

static CORPUS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let token = sign(
        RESOURCE,
        &KEY,
        Some("registration"),
        Timestamp::from_unix_seconds(EXPIRY),
    );
    let mut corpus = read_corpus("sas");
    corpus.push(token.into_bytes());
    corpus
});

fn target(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Ok(token) = SasToken::parse(&text) else {
        return;
    };
    if token.signed_by(&KEY) {
        assert_eq!(token.resource(), RESOURCE, "{text}");
        assert_eq!(token.expiry().unix_seconds(), EXPIRY, "{text}");
    }
    let _ = token.other_text_signed_by(&KEY);
    let _ = token.expired(Timestamp::from_unix_seconds(0), LEEWAY);
    let _ = covers(token.resource(), RESOURCE);
}

#[test]
fn no_text_but_the_signed_one_passes_for_a_token() {
    feed!(CORPUS, target);
}

#[test]
fn whatever_is_signed_reads_back() {
    bolero::check!()
        .with_type::<(String, Vec<u8>, u32, Option<String>)>()
        .for_each(|(resource, key, expiry, name)| {
            let key = SymmetricKey::from_bytes(key.clone());
            if resource.len() + name.as_ref().map_or(0, String::len) > 1000 {
                return;
            }
            let expiry = Timestamp::from_unix_seconds(i64::from(*expiry));
            let text = sign(resource, &key, name.as_deref(), expiry);
            let token = SasToken::parse(&text).expect("what we sign is a token");
            assert!(token.signed_by(&key));
            assert_eq!(token.resource(), resource);
            // An empty name says as much as none.
            let name = name.as_deref().filter(|name| !name.is_empty());
            assert_eq!(token.key_name(), name);
            assert_eq!(token.expiry(), expiry);
        });
}
