//! Shared access signatures: parse, sign, verify. The same bytes for devices, operators and hubs.
//!
//! The text that is signed is the raw `sr` as it stands in the token, a line feed, and the raw `se`;
//! nothing is decoded and encoded again, because clients differ in how they encode.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use crate::clock::Timestamp;
use crate::secret::{SymmetricKey, same_bytes};

const SCHEME: &str = "SharedAccessSignature";

/// Longest token that is looked at. Real ones stay under 600 bytes.
const LONGEST: usize = 4096;

const COMPONENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'$')
    .add(b'%')
    .add(b'&')
    .add(b'\'')
    .add(b'+')
    .add(b',')
    .add(b'/')
    .add(b':')
    .add(b';')
    .add(b'<')
    .add(b'=')
    .add(b'>')
    .add(b'?')
    .add(b'@')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// How far two clocks may lie apart before a token counts as expired.
///
/// Source: docs/protocol/device-api.md §2 rule 6: the IoT Edge daemon's tokens live for 30 s.
pub const LEEWAY: Duration = Duration::from_secs(300);

/// Why a text is not a shared access signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SasError {
    /// The text does not begin with `SharedAccessSignature `.
    #[error("the token does not begin with 'SharedAccessSignature '")]
    Scheme,
    /// A part of the token has no `=`, or the token is too long or not text.
    #[error("the token is not a list of name=value parts joined by '&'")]
    Form,
    /// A part that every token needs is not there.
    #[error("the token has no '{0}'")]
    Missing(&'static str),
    /// A part stands in the token twice.
    #[error("the token holds '{0}' twice")]
    Twice(&'static str),
    /// `sig` is not base64 of 32 bytes.
    #[error("the token's 'sig' is not base64 of an HMAC-SHA256")]
    Signature,
    /// `se` is not a number of seconds.
    #[error("the token's 'se' is not a whole number of seconds since 1970")]
    Expiry,
}

/// A parsed token. Holding one proves nothing yet; [`SasToken::signed_by`] is the check.
#[derive(Clone)]
pub struct SasToken {
    raw_resource: String,
    raw_expiry: String,
    /// What is signed.
    text: String,
    resource: String,
    signature: [u8; 32],
    expiry: i64,
    key_name: Option<String>,
}

impl SasToken {
    /// Parses the value of an `Authorization` header or of an MQTT password.
    ///
    /// # Errors
    /// [`SasError`] saying which part is missing or malformed.
    pub fn parse(text: &str) -> Result<Self, SasError> {
        if text.len() > LONGEST {
            return Err(SasError::Form);
        }
        let rest = text
            .get(..SCHEME.len())
            .filter(|s| s.eq_ignore_ascii_case(SCHEME))
            .and_then(|_| text.get(SCHEME.len()..))
            .and_then(|rest| rest.strip_prefix(' '))
            .ok_or(SasError::Scheme)?
            .trim();
        let (mut sr, mut sig, mut se, mut skn) = (None, None, None, None);
        for part in rest.split('&') {
            let (name, value) = part.split_once('=').ok_or(SasError::Form)?;
            let (slot, name) = match name {
                "sr" => (&mut sr, "sr"),
                "sig" => (&mut sig, "sig"),
                "se" => (&mut se, "se"),
                "skn" => (&mut skn, "skn"),
                _ => continue,
            };
            if slot.replace(value).is_some() {
                return Err(SasError::Twice(name));
            }
        }
        let raw_resource = sr.ok_or(SasError::Missing("sr"))?;
        let raw_signature = sig.ok_or(SasError::Missing("sig"))?;
        let raw_expiry = se.ok_or(SasError::Missing("se"))?;
        let decoded = percent_decode_str(raw_signature).collect::<Vec<u8>>();
        let signature = STANDARD
            .decode(decoded)
            .ok()
            .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
            .ok_or(SasError::Signature)?;
        Ok(SasToken {
            text: format!("{raw_resource}\n{raw_expiry}"),
            raw_resource: raw_resource.to_owned(),
            raw_expiry: raw_expiry.to_owned(),
            resource: percent_decode_str(raw_resource)
                .decode_utf8()
                .map_err(|_| SasError::Form)?
                .into_owned(),
            signature,
            expiry: raw_expiry.parse().map_err(|_| SasError::Expiry)?,
            key_name: skn
                .map(|name| {
                    percent_decode_str(name)
                        .decode_utf8()
                        .map(|name| name.into_owned())
                })
                .transpose()
                .map_err(|_| SasError::Form)?,
        })
    }

    /// The resource that the token opens, percent-decoded.
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// The policy named in the token; empty and absent are the same.
    pub fn key_name(&self) -> Option<&str> {
        self.key_name.as_deref().filter(|name| !name.is_empty())
    }

    /// When the token ends.
    pub fn expiry(&self) -> Timestamp {
        Timestamp::from_unix_seconds(self.expiry)
    }

    /// True when the token ended more than `leeway` before `now`.
    pub fn expired(&self, now: Timestamp, leeway: Duration) -> bool {
        self.expiry().plus(leeway) < now
    }

    /// True when `key` made this token's signature. Takes the same time wherever the bytes differ.
    pub fn signed_by(&self, key: &SymmetricKey) -> bool {
        self.bears(&key.sign(self.signed_text()))
    }

    /// The text that the token's signature is over.
    pub(crate) fn signed_text(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// True when `signature` is the token's. Takes the same time wherever the bytes differ.
    pub(crate) fn bears(&self, signature: &[u8; 32]) -> bool {
        same_bytes(signature, &self.signature)
    }
}

impl SasToken {
    /// Says which text other than the right one `key` signed for this token, if it is one of the
    /// usual slips. For diagnosis only.
    pub fn other_text_signed_by(&self, key: &SymmetricKey) -> Option<&'static str> {
        let encoded = utf8_percent_encode(&self.resource, COMPONENT).to_string();
        let candidates = [
            (
                "the decoded form of 'sr'",
                format!("{}\n{}", self.resource, self.raw_expiry),
            ),
            (
                "an encoded form of 'sr'",
                format!("{encoded}\n{}", self.raw_expiry),
            ),
            (
                "'sr' in lower case",
                format!(
                    "{}\n{}",
                    self.raw_resource.to_ascii_lowercase(),
                    self.raw_expiry
                ),
            ),
            (
                "'sr' and 'se' without the line feed",
                format!("{}{}", self.raw_resource, self.raw_expiry),
            ),
            ("'sr' alone", self.raw_resource.clone()),
        ];
        candidates.into_iter().find_map(|(name, text)| {
            (text != self.text && same_bytes(&key.sign(text.as_bytes()), &self.signature))
                .then_some(name)
        })
    }
}

impl std::fmt::Debug for SasToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "SasToken(sr={}, se={}, skn={:?})",
            self.resource, self.expiry, self.key_name
        )
    }
}

/// Signs `resource` until `expiry` and gives the token as it goes on the wire.
///
/// Shape: `resource` is plain text; it is percent-encoded once, and that form is what is signed.
/// Units: `expiry` is written as whole seconds since the Unix epoch.
/// Source: docs/protocol/device-api.md §2 [R].
pub fn sign(
    resource: &str,
    key: &SymmetricKey,
    key_name: Option<&str>,
    expiry: Timestamp,
) -> String {
    let sr = utf8_percent_encode(resource, COMPONENT).to_string();
    let se = expiry.unix_seconds();
    let sig = STANDARD.encode(key.sign(format!("{sr}\n{se}").as_bytes()));
    let sig = utf8_percent_encode(&sig, COMPONENT);
    let skn = key_name
        .map(|name| format!("&skn={}", utf8_percent_encode(name, COMPONENT)))
        .unwrap_or_default();
    format!("{SCHEME} sr={sr}&sig={sig}&se={se}{skn}")
}

/// True when `granted` is `wanted` or a whole-segment prefix of it, ignoring ASCII case.
///
/// `/a/b` covers `/a/b/c`, not `/a/bc`.
/// Source: docs/protocol/service-api.md §2.2 rule 2 [D].
pub fn covers(granted: &str, wanted: &str) -> bool {
    let granted = granted.trim_end_matches('/').to_ascii_lowercase();
    let wanted = wanted.to_ascii_lowercase();
    wanted
        .strip_prefix(&granted)
        .is_some_and(|rest| !granted.is_empty() && (rest.is_empty() || rest.starts_with('/')))
}

#[cfg(test)]
mod tests;
