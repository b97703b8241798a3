//! Which mistake made a wrong signature. Tries the slips that people make, one by one; run after
//! the answer, on a worker with a budget, since it costs many signatures and decides nothing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::id::RegistrationId;
use crate::sas::SasToken;
use crate::secret::{KeyPair, SymmetricKey};
use crate::trace::Finding;

/// Whose keys a token was held against.
#[derive(Debug, Clone)]
pub enum Suspect {
    /// An individual enrollment's keys.
    Individual(KeyPair),
    /// A group's keys, with the group's name.
    Group(String, KeyPair),
}

/// Names the mistake behind a signature that none of `suspects` should have made; `None` when it is
/// none of the known ones.
pub fn diagnose(
    token: &SasToken,
    registration_id: &RegistrationId,
    suspects: &[Suspect],
) -> Option<Finding> {
    suspects.iter().find_map(|suspect| match suspect {
        Suspect::Individual(keys) => both(keys).find_map(|key| individual(token, key)),
        Suspect::Group(name, keys) => {
            both(keys).find_map(|key| group(token, registration_id, name, key))
        }
    })
}

fn both(keys: &KeyPair) -> impl Iterator<Item = &SymmetricKey> {
    [&keys.primary, &keys.secondary].into_iter()
}

/// The key as those use it who forget to decode it: the bytes of its base64 text.
fn undecoded(key: &SymmetricKey) -> SymmetricKey {
    SymmetricKey::from_bytes(key.to_base64().as_bytes().to_vec())
}

fn individual(token: &SasToken, key: &SymmetricKey) -> Option<Finding> {
    if token.signed_by(&undecoded(key)) {
        return Some(not_decoded("the device key"));
    }
    signed_differently(token, key)
}

fn group(
    token: &SasToken,
    registration_id: &RegistrationId,
    name: &str,
    key: &SymmetricKey,
) -> Option<Finding> {
    let expected =
        format!("a signature by the key derived from group '{name}' for this registration id");
    let derive = "Derive the device's own key: `landfall key derive GROUP-KEY REGISTRATION-ID`. Keep the group key off devices.";
    if token.signed_by(key) {
        return Some(Finding::new(
            "sas.group_key_itself",
            expected,
            "a signature by the group key itself",
            derive,
        ));
    }
    let undecoded_group = undecoded(key);
    if token.signed_by(&undecoded_group) {
        return Some(Finding::new(
            "sas.group_key_itself",
            expected,
            "a signature by the group key itself, and not even base64-decoded",
            derive,
        ));
    }
    if token.signed_by(&undecoded_group.derive(registration_id.as_str())) {
        return Some(not_decoded("the group key, before deriving the device key"));
    }
    let device = key.derive(registration_id.as_str());
    if token.signed_by(&undecoded(&device)) {
        return Some(not_decoded(
            "the derived device key, before signing the token",
        ));
    }
    let hex: String = key
        .sign(registration_id.as_str().as_bytes())
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    let from_hex = STANDARD.decode(&hex).unwrap_or_default();
    if token.signed_by(&SymmetricKey::from_bytes(hex.into_bytes()))
        || token.signed_by(&SymmetricKey::from_bytes(from_hex))
    {
        return Some(Finding::new(
            "sas.derived_key_in_hex",
            "a device key written in base64",
            "the derived key written in hex was used as if it were base64",
            "Write the HMAC's bytes in base64, not in hex.",
        ));
    }
    let upper = registration_id.as_str().to_ascii_uppercase();
    if upper != registration_id.as_str() && token.signed_by(&key.derive(&upper)) {
        return Some(Finding::new(
            "sas.derived_for_other_case",
            format!("a key derived for '{registration_id}' as the device spells it"),
            format!("a key derived for '{upper}'"),
            "Derive the key from the same spelling that the device registers with.",
        ));
    }
    let newline = format!("{registration_id}\n");
    if token.signed_by(&key.derive(&newline)) {
        return Some(Finding::new(
            "sas.derived_with_newline",
            format!("a key derived for '{registration_id}'"),
            "a key derived for the id with a line feed behind it",
            "Use `echo -n` (or printf %s) when the id is piped into the HMAC.",
        ));
    }
    signed_differently(token, &device)
}

fn not_decoded(what: &str) -> Finding {
    Finding::new(
        "sas.key_not_decoded",
        "an HMAC under the bytes that the base64 text stands for",
        format!("an HMAC under the base64 text of {what}"),
        "Base64-decode the key and use the bytes: `base64 -d` in a shell, `b64decode(key)` in Python.",
    )
}

/// The right key over the wrong text.
fn signed_differently(token: &SasToken, key: &SymmetricKey) -> Option<Finding> {
    token.other_text_signed_by(key).map(|text| {
        Finding::new(
            "sas.signed_text",
            "an HMAC over 'sr', a line feed and 'se', both exactly as they stand in the token",
            format!("an HMAC by the right key over {text}"),
            "Sign the very text that is sent: percent-encode first, then sign, then send that form.",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::sas;

    const RESOURCE: &str = "0ne1/registrations/dev-1";

    fn pair() -> KeyPair {
        KeyPair {
            primary: SymmetricKey::from_bytes(vec![11; 64]),
            secondary: SymmetricKey::from_bytes(vec![22; 64]),
        }
    }

    fn found(key: &SymmetricKey, suspect: Suspect) -> Option<&'static str> {
        let text = sas::sign(
            RESOURCE,
            key,
            Some("registration"),
            Timestamp::from_unix_seconds(2_000_000_000),
        );
        let token = SasToken::parse(&text).expect("parses");
        let id = RegistrationId::parse("dev-1").expect("an id");
        diagnose(&token, &id, &[suspect]).map(|finding| finding.check)
    }

    #[test]
    fn each_slip_is_named() {
        let keys = pair();
        let group = || Suspect::Group("g".into(), pair());
        assert_eq!(
            found(&keys.secondary, group()),
            Some("sas.group_key_itself")
        );
        assert_eq!(
            found(&undecoded(&keys.primary), group()),
            Some("sas.group_key_itself")
        );
        assert_eq!(
            found(&undecoded(&keys.primary).derive("dev-1"), group()),
            Some("sas.key_not_decoded")
        );
        assert_eq!(
            found(&undecoded(&keys.primary.derive("dev-1")), group()),
            Some("sas.key_not_decoded")
        );
        assert_eq!(
            found(&keys.primary.derive("DEV-1"), group()),
            Some("sas.derived_for_other_case")
        );
        assert_eq!(
            found(&keys.primary.derive("dev-1\n"), group()),
            Some("sas.derived_with_newline")
        );
        assert_eq!(
            found(&undecoded(&keys.primary), Suspect::Individual(pair())),
            Some("sas.key_not_decoded")
        );
        assert_eq!(found(&SymmetricKey::from_bytes(vec![9; 32]), group()), None);
    }

    #[test]
    fn the_right_key_over_the_decoded_text_is_named() {
        let keys = pair();
        let expiry = 2_000_000_000;
        let sig = STANDARD.encode(
            keys.primary
                .sign(format!("{RESOURCE}\n{expiry}").as_bytes()),
        );
        let sig: String = sig
            .chars()
            .map(|c| match c {
                '+' => "%2B".to_owned(),
                '/' => "%2F".to_owned(),
                '=' => "%3D".to_owned(),
                c => c.to_string(),
            })
            .collect();
        let text =
            format!("SharedAccessSignature sr=0ne1%2Fregistrations%2Fdev-1&sig={sig}&se={expiry}");
        let token = SasToken::parse(&text).expect("parses");
        let id = RegistrationId::parse("dev-1").expect("an id");
        let finding = diagnose(&token, &id, &[Suspect::Individual(keys)]).expect("found");
        assert_eq!(finding.check, "sas.signed_text");
    }
}
