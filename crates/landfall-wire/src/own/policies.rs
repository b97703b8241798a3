//! Shared access policies as JSON, in both directions, in the form of the control plane's rules:
//! `keyName`, `rights` as one text, and the keys when they were asked for.
//!
//! Source: docs/protocol/control-plane.md §4 [R, C].

use landfall_core::error::Error;
use landfall_core::id::{Etag, PolicyName};
use landfall_core::policy::rotation::{Rotation, RotationRequest};
use landfall_core::policy::{Policies, Policy, PolicyRequest, RightSet};
use landfall_core::secret::SymmetricKey;
use serde_json::{Map, Value, json};

use crate::fields::{Members, parse_object};
use crate::service::attestation::Secrets;
use crate::service::invalid_id;

const ROTATIONS: [(&str, Rotation); 5] = [
    ("shift", Rotation::Shift),
    ("primary", Rotation::Primary),
    ("secondary", Rotation::Secondary),
    ("both", Rotation::Both),
    ("swap", Rotation::Swap),
];

/// Reads a policy's name of a path.
///
/// # Errors
/// [`Error::Invalid`] with the rule that the name breaks.
pub fn policy_name(text: &str) -> Result<PolicyName, Error> {
    PolicyName::parse(text).map_err(invalid_id)
}

/// Reads what a caller wants of a policy. `keyName` may be there, and is then the path's.
///
/// Shape: `rights` is a text of names parted by commas, or a list of names.
///
/// # Errors
/// [`Error::Unreadable`] when it is no JSON object, [`Error::Invalid`] for an unknown right, a bad
/// key or another name. A key is never repeated.
pub fn parse_policy<R: RightSet>(
    body: &[u8],
    name: &PolicyName,
) -> Result<PolicyRequest<R>, Error> {
    let object = parse_object(body)?;
    let members = Members::of(&object);
    if let Some(text) = members.text("keyName")?
        && !text.eq_ignore_ascii_case(name.as_str())
    {
        return Err(members.wrong("keyName", "is another name than the path's"));
    }
    Ok(PolicyRequest {
        rights: parse_rights(&members)?,
        primary: parse_key(&members, "primaryKey")?,
        secondary: parse_key(&members, "secondaryKey")?,
    })
}

/// Reads how keys are to be rotated. Without a body, or without `rotation`, they shift.
///
/// # Errors
/// As [`parse_policy`].
pub fn parse_rotation(body: &[u8]) -> Result<RotationRequest, Error> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(RotationRequest::default());
    }
    let object = parse_object(body)?;
    let members = Members::of(&object);
    Ok(RotationRequest {
        rotation: members.word("rotation", &ROTATIONS)?.unwrap_or_default(),
        primary: parse_key(&members, "primaryKey")?,
        secondary: parse_key(&members, "secondaryKey")?,
    })
}

fn parse_rights<R: RightSet>(members: &Members<'_>) -> Result<Option<R>, Error> {
    let names: Vec<&str> = match members.value("rights") {
        None => return Ok(None),
        Some(Value::String(text)) => text
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .collect(),
        Some(Value::Array(items)) => items
            .iter()
            .map(|item| {
                item.as_str()
                    .map(str::trim)
                    .ok_or_else(|| members.wrong("rights", "must be names of rights"))
            })
            .collect::<Result<_, _>>()?,
        Some(_) => return Err(members.wrong("rights", "must be a string or an array of strings")),
    };
    let mut rights = R::NONE;
    for name in names {
        let right = R::named(name).ok_or_else(|| {
            let known: Vec<&str> = R::NAMED.iter().map(|(name, _)| *name).collect();
            members.wrong("rights", &format!("may hold {} only", known.join(", ")))
        })?;
        rights = rights.with(right);
    }
    Ok(Some(rights))
}

fn parse_key(members: &Members<'_>, name: &str) -> Result<Option<SymmetricKey>, Error> {
    members
        .text(name)?
        .map(|text| {
            SymmetricKey::from_base64(text)
                .map_err(|error| Error::Invalid(format!("{}: {error}.", members.name(name))))
        })
        .transpose()
}

/// Names of rights as one text.
///
/// Shape: comma and space between them; a client splits on both.
/// Source: docs/protocol/service-api.md §2.3 [C].
pub fn rights<R: RightSet>(rights: R) -> String {
    rights.names().join(", ")
}

/// A policy as JSON. `etag` marks the state of its holder: all policies of one share it.
pub fn policy<P: Policy>(policy: &P, etag: &Etag, keys: Secrets) -> Value {
    let mut out = rule(policy, keys);
    out.insert("etag".to_owned(), etag.as_str().into());
    Value::Object(out)
}

/// The members of a policy.
pub(crate) fn rule<P: Policy>(policy: &P, keys: Secrets) -> Map<String, Value> {
    let mut out = Map::new();
    let mut put = |name: &str, value: &str| {
        out.insert(name.to_owned(), value.into());
    };
    put("keyName", policy.name().as_str());
    put("rights", &rights(policy.rights()));
    if keys == Secrets::Shown {
        put("primaryKey", &policy.keys().primary.to_base64());
        put("secondaryKey", &policy.keys().secondary.to_base64());
    }
    out
}

/// All policies of a holder as JSON; keys are those that the caller may know.
pub fn policies<P: Policy>(policies: &Policies<'_, P>, etag: &Etag, keys: Secrets) -> Value {
    let value: Vec<Value> = policies
        .standing
        .iter()
        .map(|one| {
            let may = policies.may_see(one);
            policy(one, etag, if may { keys } else { Secrets::Hidden })
        })
        .collect();
    json!({ "value": value, "etag": etag.as_str() })
}

#[cfg(test)]
mod tests {
    use landfall_core::secret::KeyPair;
    use landfall_core::service::{AccessPolicy, Rights};
    use landfall_hub::policy::Permissions;

    use super::*;

    fn name() -> PolicyName {
        PolicyName::parse("reader").expect("valid")
    }

    fn asked(body: &str) -> Result<PolicyRequest<Rights>, Error> {
        parse_policy(body.as_bytes(), &name())
    }

    fn message<T: std::fmt::Debug>(outcome: Result<T, Error>) -> String {
        outcome.expect_err("refused").to_string()
    }

    #[test]
    fn rights_come_as_a_text_or_a_list_in_any_order_and_case() {
        let both = Rights::SERVICE_CONFIG.with(Rights::ENROLLMENT_READ);
        for body in [
            r#"{"rights":"EnrollmentRead,ServiceConfig"}"#,
            r#"{"rights":"serviceconfig, enrollmentread, "}"#,
            r#"{"keyName":"READER","rights":["ServiceConfig","EnrollmentRead"]}"#,
        ] {
            assert_eq!(
                asked(body).map(|asked| asked.rights),
                Ok(Some(both)),
                "{body}"
            );
        }
        let unsaid = asked("{}").expect("readable");
        assert_eq!((unsaid.rights, unsaid.primary), (None, None));
        assert_eq!(
            asked(r#"{"rights":""}"#).map(|asked| asked.rights),
            Ok(Some(Rights::NONE))
        );
        let hub = parse_policy::<Permissions>(br#"{"rights":"RegistryRead"}"#, &name());
        assert_eq!(
            hub.map(|asked| asked.rights),
            Ok(Some(Permissions::REGISTRY_READ))
        );
    }

    #[test]
    fn what_is_wrong_is_named_and_no_key_is_repeated() {
        let unknown = message(asked(r#"{"rights":"RegistryRead"}"#));
        assert!(
            unknown.contains("may hold ServiceConfig, EnrollmentRead"),
            "{unknown}"
        );
        for body in [r#"{"rights":7}"#, r#"{"rights":[7]}"#] {
            assert!(message(asked(body)).starts_with("rights must be"), "{body}");
        }
        let short = message(asked(
            r#"{"rights":"EnrollmentRead","primaryKey":"c2VjcmV0"}"#,
        ));
        assert!(
            short.contains("16 to 64 bytes") && !short.contains("c2VjcmV0"),
            "{short}"
        );
        let other = message(asked(r#"{"keyName":"writer"}"#));
        assert_eq!(other, "keyName is another name than the path's.");
        const KEY: &str = "q7Zt0Vb3JmXk9LrYc2NwUe8HsDf5GaTi1PoMxB4QzKE=";
        for member in ["keyName", "rights"] {
            let refused = message(asked(&format!(r#"{{"{member}":"{KEY}"}}"#)));
            assert!(!refused.contains("q7Zt"), "{refused}");
        }
        let path = message(policy_name(KEY));
        assert!(path.contains("'(hidden)'"), "{path}");
    }

    #[test]
    fn keys_shift_unless_something_else_is_said() {
        assert_eq!(parse_rotation(b""), Ok(RotationRequest::default()));
        let swap = parse_rotation(br#"{"rotation":"SWAP"}"#).expect("readable");
        assert_eq!(swap.rotation, Rotation::Swap);
        assert!(message(parse_rotation(br#"{"rotation":"all"}"#)).contains("shift, primary"));
    }

    #[test]
    fn keys_are_shown_when_asked_to_who_may_know_them() {
        let policy = |text: &str, rights, byte: u8| AccessPolicy {
            name: PolicyName::parse(text).expect("valid"),
            keys: KeyPair {
                primary: SymmetricKey::from_bytes(vec![byte; 16]),
                secondary: SymmetricKey::from_bytes(vec![byte + 1; 16]),
            },
            rights,
        };
        let standing = [
            policy("owner", Rights::ALL, 1),
            policy("reader", Rights::ENROLLMENT_READ, 3),
        ];
        let etag = Etag::parse("e").expect("valid");
        let by = |caller| Policies {
            standing: &standing,
            caller,
        };
        let reader = Rights::SERVICE_CONFIG.with(Rights::ENROLLMENT_READ);
        assert_eq!(
            policies(&by(reader), &etag, Secrets::Shown).to_string(),
            concat!(
                r#"{"value":[{"keyName":"owner","rights":"#,
                r#""ServiceConfig, EnrollmentWrite, DeviceConnect, RegistrationStatusWrite","etag":"e"},"#,
                r#"{"keyName":"reader","rights":"EnrollmentRead","primaryKey":"AwMDAwMDAwMDAwMDAwMDAw==","#,
                r#""secondaryKey":"BAQEBAQEBAQEBAQEBAQEBA==","etag":"e"}],"etag":"e"}"#
            )
        );
        let hidden = policies(&by(Rights::ALL), &etag, Secrets::Hidden).to_string();
        assert!(!hidden.contains("Key\":"), "{hidden}");
    }
}
