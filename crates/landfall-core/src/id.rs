//! Names of things, parsed once at the door into types that cannot hold a bad value.
//!
//! Ids that the wire compares without case keep the spelling they came with and a lower-case key
//! beside it; `Eq`, `Ord` and `Hash` use the key.

use std::fmt;
use std::hash::{Hash, Hasher};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::clock::{Entropy, Timestamp, uuid, uuid_of_time};
use crate::secret::repeated;

/// Characters of a text that is no id that a message repeats.
const LONGEST_SHOWN: usize = 140;

/// A text that is not a well-formed id, with what it should have been.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} '{shown}' is not valid: {rule}")]
pub struct IdError {
    /// Which kind of id was expected, in the words of the API.
    pub what: &'static str,
    /// The rule that the text breaks.
    pub rule: &'static str,
    /// The text as a message may repeat it.
    pub shown: String,
}

impl IdError {
    fn new(what: &'static str, rule: &'static str, text: &str) -> Self {
        let shown = repeated(text, LONGEST_SHOWN);
        IdError { what, rule, shown }
    }
}

macro_rules! case_insensitive_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name {
            text: Box<str>,
            key: Box<str>,
        }

        impl $name {
            /// Parses the id as it stands on the wire (already percent-decoded).
            ///
            /// # Errors
            /// [`IdError`] when the text breaks the rule of this id.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) {
                    Ok(Self { text: text.into(), key: text.to_ascii_lowercase().into() })
                } else {
                    Err(IdError::new($what, $rule, text))
                }
            }

            /// The id as it was spelt.
            pub fn as_str(&self) -> &str {
                &self.text
            }

            /// The lower-case form under which the id is unique.
            pub fn key(&self) -> &str {
                &self.key
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.key == other.key
            }
        }
        impl Eq for $name {}
        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
                Some(self.cmp(other))
            }
        }
        impl Ord for $name {
            fn cmp(&self, other: &Self) -> std::cmp::Ordering {
                self.key.cmp(&other.key)
            }
        }
        impl Hash for $name {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.key.hash(state);
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.text)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.text)
            }
        }
    };
}

macro_rules! exact_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// Parses the id as it stands on the wire (already percent-decoded).
            ///
            /// # Errors
            /// [`IdError`] when the text breaks the rule of this id.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) { Ok(Self(text.into())) } else { Err(IdError::new($what, $rule, text)) }
            }

            /// The id as it is spelt.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }
    };
}

fn registration_like(text: &str) -> bool {
    let bytes = text.as_bytes();
    (1..=128).contains(&bytes.len())
        && bytes
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b':'))
        && bytes
            .last()
            .is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'-')
}

fn hub_name(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-:.+%_#*?!(),=@;$'".contains(&b))
        && text != "."
        && text != ".."
}

fn host_name(text: &str) -> bool {
    (1..=253).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
        && !text.starts_with(['.', '-'])
        && !text.ends_with(['.', '-'])
}

case_insensitive_id!(
    /// The name of one provisioning service, as devices send it.
    ///
    /// Source: docs/protocol/device-api.md §7 [D].
    IdScope,
    "id scope",
    "1 to 32 letters and digits",
    |t| (1..=32).contains(&t.len()) && t.bytes().all(|b| b.is_ascii_alphanumeric())
);

case_insensitive_id!(
    /// The name under which a device registers.
    ///
    /// Source: docs/protocol/device-api.md §7 [D].
    RegistrationId,
    "registration id",
    "1 to 128 letters, digits, '-', '.', '_' or ':', the last one a letter, a digit or '-'",
    registration_like
);

case_insensitive_id!(
    /// The name of an enrollment group.
    EnrollmentGroupId,
    "enrollment group id",
    "1 to 128 letters, digits, '-', '.', '_' or ':', the last one a letter, a digit or '-'",
    registration_like
);

case_insensitive_id!(
    /// The host name of a hub, without port.
    HubHostName,
    "hub host name",
    "a host name without scheme and port",
    host_name
);

case_insensitive_id!(
    /// The name under which a CA certificate was uploaded.
    CertificateName,
    "certificate name",
    "1 to 64 letters, digits, '-', '.', or '_'",
    |t| (1..=64).contains(&t.len())
        && t.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
);

case_insensitive_id!(
    /// The name of a shared access policy.
    PolicyName,
    "policy name",
    "1 to 64 letters, digits, '-', '.', '_' or '@'",
    |t| (1..=64).contains(&t.len())
        && t.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'@'))
);

case_insensitive_id!(
    /// The name of a provisioning service, as operators give it.
    ServiceName,
    "service name",
    "3 to 64 letters, digits or '-', the ends letters or digits",
    |t| (3..=64).contains(&t.len())
        && t.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !t.starts_with('-')
        && !t.ends_with('-')
);

exact_id!(
    /// The name of a device on its hub; upper and lower case differ.
    ///
    /// Source: docs/protocol/hub-api.md §1.3 [S].
    DeviceId,
    "device id",
    "1 to 128 ASCII letters, digits or one of - : . + % _ # * ? ! ( ) , = @ ; $ '",
    hub_name
);

exact_id!(
    /// The name of a module of a hub device.
    ModuleId,
    "module id",
    "1 to 128 ASCII letters, digits or one of - : . + % _ # * ? ! ( ) , = @ ; $ '",
    hub_name
);

exact_id!(
    /// The name of one registration in progress. Opaque to devices.
    ///
    /// Shape: only `A-Z a-z 0-9 . -`, since most SDKs put it into a path or a topic unescaped.
    /// Source: docs/protocol/device-api.md §0 [R].
    OperationId,
    "operation id",
    "1 to 128 letters, digits, '-' or '.'",
    |t| (1..=128).contains(&t.len())
        && t.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'))
);

exact_id!(
    /// The public name of one attempt, as it stands in `trackingId` and `x-ms-request-id`.
    TrackingId,
    "tracking id",
    "1 to 64 letters, digits or '-'",
    |t| (1..=64).contains(&t.len()) && t.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
);

exact_id!(
    /// An opaque mark of one state of a record: an optimistic guard.
    ///
    /// Shape: without quote characters; on the wire it may come quoted and with a weak prefix.
    Etag,
    "etag",
    "1 to 256 visible characters without quotes",
    |t| (1..=256).contains(&t.len()) && t.bytes().all(|b| b.is_ascii_graphic() && b != b'"')
);

impl OperationId {
    /// Draws a new operation id in the form that the cloud service was seen to use: a number, 16 hex
    /// digits, here of `now` in microseconds, and a UUID.
    pub fn draw(now: Timestamp, entropy: &dyn Entropy) -> Self {
        OperationId(format!("5.{:016x}.{}", now.unix_micros(), uuid(entropy)).into())
    }
}

impl TrackingId {
    /// Draws a new tracking id, a UUID that begins with `now`.
    pub fn draw(now: Timestamp, entropy: &dyn Entropy) -> Self {
        TrackingId(uuid_of_time(now, entropy).into())
    }
}

impl Etag {
    /// Draws a new etag: base64 of a quoted UUID, the form the cloud service uses.
    pub fn draw(entropy: &dyn Entropy) -> Self {
        Etag(STANDARD.encode(format!("\"{}\"", uuid(entropy))).into())
    }

    /// The etag of a state that is told by a number: base64 of its digits.
    pub fn of_number(number: i64) -> Self {
        Etag(STANDARD.encode(number.to_string()).into())
    }

    /// Reads an etag from a header or body: strips a weak prefix and quotes.
    pub fn from_wire(text: &str) -> Option<Self> {
        let text = text.trim();
        let text = text.strip_prefix("W/").unwrap_or(text);
        Etag::parse(text.trim_matches('"')).ok()
    }
}

impl IdScope {
    /// Draws a new id scope: `0ne` and eight upper-case hex digits.
    pub fn draw(entropy: &dyn Entropy) -> Self {
        let mut b = [0_u8; 4];
        entropy.fill(&mut b);
        let text = format!("0ne{:08X}", u32::from_be_bytes(b));
        IdScope {
            key: text.to_ascii_lowercase().into(),
            text: text.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registration_ids_ignore_case_and_keep_their_spelling() {
        let upper = RegistrationId::parse("Dev:1.A_b-").expect("valid");
        let lower = RegistrationId::parse("dev:1.a_b-").expect("valid");
        assert_eq!(upper, lower);
        assert_eq!(upper.as_str(), "Dev:1.A_b-");
    }

    #[test]
    fn ids_that_break_their_rule_are_refused() {
        for bad in ["", "a.", "a_", "a:", "a b", "ä", &"x".repeat(129)] {
            assert!(RegistrationId::parse(bad).is_err(), "{bad}");
        }
        assert!(DeviceId::parse("a/b").is_err());
        assert!(HubHostName::parse("hub:443").is_err());
        assert!(OperationId::parse("a$b").is_err());
    }

    #[test]
    fn etags_lose_their_quotes_and_weak_prefix() {
        assert_eq!(Etag::from_wire("W/\"abc=\""), Etag::from_wire("abc="));
        assert_eq!(Etag::from_wire("\"\""), None);
    }

    proptest::proptest! {
        #[test]
        fn what_is_accepted_keeps_its_spelling_and_is_found_without_case(text in "[A-Za-z0-9._:-]{0,127}[A-Za-z0-9-]") {
            let id = RegistrationId::parse(&text).expect("follows the rule");
            proptest::prop_assert_eq!(id.as_str(), &*text);
            proptest::prop_assert_eq!(id.key(), text.to_ascii_lowercase());
            proptest::prop_assert_eq!(&id, &RegistrationId::parse(&text.to_ascii_uppercase()).expect("as well"));
            proptest::prop_assert!(EnrollmentGroupId::parse(&text).is_ok());
            proptest::prop_assert_eq!(DeviceId::parse(&text).is_ok(), text != "." && text != "..");
        }

        #[test]
        fn one_character_outside_the_rule_spoils_any_id(before in "[a-z0-9]{0,20}", bad in "[^A-Za-z0-9._:-]", after in "[a-z0-9]{1,20}") {
            let text = format!("{before}{bad}{after}");
            proptest::prop_assert!(RegistrationId::parse(&text).is_err());
            proptest::prop_assert!(IdScope::parse(&text).is_err());
            proptest::prop_assert!(OperationId::parse(&text).is_err());
        }

        #[test]
        fn no_text_makes_an_id_parser_panic_or_shows_more_than_it_should(text in "\\PC{0,400}") {
            for error in [RegistrationId::parse(&text).err(), DeviceId::parse(&text).err(), HubHostName::parse(&text).err()].into_iter().flatten() {
                proptest::prop_assert!(error.shown.chars().count() <= LONGEST_SHOWN + 1);
                proptest::prop_assert!(!error.shown.chars().any(char::is_control));
            }
            let _ = (CertificateName::parse(&text), PolicyName::parse(&text), ServiceName::parse(&text), TrackingId::parse(&text), Etag::from_wire(&text));
        }
    }
}
