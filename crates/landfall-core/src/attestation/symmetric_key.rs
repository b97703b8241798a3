//! Symmetric key attestation: a device's token against its key, or against the key that its group's
//! key gives for it; and, after the answer, which mistake made a wrong signature.

pub mod diagnosis;

use crate::clock::{Timestamp, spoken};
use crate::id::{IdScope, RegistrationId};
use crate::sas::{LEEWAY, SasError, SasToken};
use crate::secret::{KeyPair, repeated};
use crate::trace::Finding;

/// The policy name that device tokens carry, if any.
const KEY_NAME: &str = "registration";

/// Checks all of a token but its signature: that it is for this device, of the device policy, and
/// not expired. Cheap; done before any key is tried.
///
/// Source: docs/protocol/device-api.md §2 [R].
///
/// # Errors
/// The finding of the first check that refuses.
pub fn check_claims(
    token: &SasToken,
    scope: &IdScope,
    registration_id: &RegistrationId,
    now: Timestamp,
) -> Result<(), Finding> {
    let wanted = format!("{scope}/registrations/{registration_id}");
    if !token.resource().eq_ignore_ascii_case(&wanted) {
        let fix = if token.resource().contains("/devices/") {
            "This is a hub token. Sign 'sr' for the provisioning service: {id scope}/registrations/{registration id}."
        } else {
            "Sign the token for this id scope and registration id: sr={id scope}/registrations/{registration id}."
        };
        return Err(Finding::new(
            "sas.resource",
            format!("sr = {wanted}"),
            shown(token.resource()),
            fix,
        ));
    }
    if let Some(name) = token.key_name().filter(|name| *name != KEY_NAME) {
        return Err(Finding::new(
            "sas.key_name",
            "skn = registration, empty or absent",
            repeated(name, 200),
            "Set skn=registration: the token of a device names no access policy.",
        ));
    }
    if token.expired(now, LEEWAY) {
        return Err(expired(token, now));
    }
    Ok(())
}

fn expired(token: &SasToken, now: Timestamp) -> Finding {
    let ago = spoken(now.since(token.expiry()));
    Finding::new(
        "sas.expired",
        format!(
            "a token that is valid at {}, the server's time",
            now.to_wire_seconds()
        ),
        format!(
            "it expired {ago} ago, at {}",
            token.expiry().to_wire_seconds()
        ),
        format!(
            "If the device made the token just now, its clock is about {ago} behind (plus the token's life): set it, or take the time from this server's Date header. Else make a new token."
        ),
    )
}

/// The finding for a token that could not be parsed.
pub fn unreadable(error: SasError) -> Finding {
    Finding::new(
        "sas.form",
        "SharedAccessSignature sr=…&sig=…&se=… in any order",
        error.to_string(),
        "Build the token as the article does, or compare with `landfall sas`.",
    )
}

/// The finding for a signature that no key in question made. Which mistake it was is found later.
pub fn wrong_signature(tried: &str) -> Finding {
    Finding::new(
        "sas.signature",
        format!("a signature by {tried}"),
        "a signature by another key, or over another text",
        "Compare the device's key with `landfall enrollment show --keys` or, for a group, with `landfall key derive`.",
    )
}

/// True when either key of an individual enrollment's pair made the token.
pub fn signed_by_pair(token: &SasToken, keys: &KeyPair) -> bool {
    // Both are tried whatever the first says, so that the time does not tell which one it was.
    token.signed_by(&keys.primary) | token.signed_by(&keys.secondary)
}

/// The device keys under which a group's keys verify the token, if they do.
///
/// The id is tried as the device spells it, then in lower case: the factory derived the key from one
/// spelling, and ids ignore case.
pub fn signed_by_group(
    token: &SasToken,
    keys: &KeyPair,
    registration_id: &RegistrationId,
) -> Option<KeyPair> {
    let spelt = keys.derive(registration_id.as_str());
    if signed_by_pair(token, &spelt) {
        return Some(spelt);
    }
    if registration_id.as_str() == registration_id.key() {
        return None;
    }
    let lower = keys.derive(registration_id.key());
    signed_by_pair(token, &lower).then_some(lower)
}

/// A text from outside, cut to what fits a trace and stripped of control characters.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}
