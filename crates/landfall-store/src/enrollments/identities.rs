//! The table of identities: which certificate or endorsement key belongs to which individual
//! enrollment. Kept in step by `write`, asked by a change's guards.

use landfall_core::attestation::{AttestationMechanism, X509Attestation};
use landfall_core::id::{IdScope, RegistrationId};
use landfall_core::store::CommitError;

use super::Kind;
use crate::dialect::{Fault, Session};
use crate::tags;

/// Refuses when another individual enrollment holds this certificate or endorsement key.
pub(crate) fn identity_unused(
    session: &Session,
    scope: &IdScope,
    id: &RegistrationId,
    identity: &str,
) -> Result<(), Fault> {
    let holder = session.first(
        "SELECT key FROM individual_identities
         WHERE scope = $1 AND identity = $2 AND key <> $3 ORDER BY key LIMIT 1",
        &[
            scope.key().into(),
            tags::short(identity).into(),
            id.key().into(),
        ],
        |row| row.text(0).map(str::to_owned),
    )?;
    match holder {
        Some(key) => Err(Fault::Refused(held_by(&key))),
        None => Ok(()),
    }
}

/// Why an enrollment is refused whose certificate or endorsement key another one holds.
pub(super) fn held_by(key: &str) -> CommitError {
    CommitError::Exists(format!(
        "{} with the same certificate or endorsement key",
        Kind::Individual.spoken(key)
    ))
}

/// What an individual enrollment alone may hold, as the identity table spells it.
pub(super) fn identities(mechanism: &AttestationMechanism) -> Vec<String> {
    let mut held: Vec<String> = match mechanism {
        AttestationMechanism::X509(X509Attestation::Client(slots)) => slots
            .iter()
            .map(|certificate| certificate.sha256_hex().to_ascii_uppercase())
            .collect(),
        AttestationMechanism::Tpm(tpm) => vec![tags::short(&tpm.endorsement_key)],
        AttestationMechanism::X509(_) | AttestationMechanism::SymmetricKey(_) => Vec::new(),
    };
    held.sort();
    held.dedup();
    held
}

/// Brings the table in step with what an enrollment held before and holds now.
pub(super) fn keep_identities(
    session: &Session,
    scope: &IdScope,
    key: &str,
    before: &str,
    after: &[String],
) -> Result<(), Fault> {
    for identity in before.split(' ').filter(|i| !i.is_empty()) {
        if !after.iter().any(|kept| kept == identity) {
            session.execute(
                "DELETE FROM individual_identities
                 WHERE scope = $1 AND identity = $2 AND key = $3",
                &[scope.key().into(), identity.into(), key.into()],
            )?;
        }
    }
    for identity in after {
        session.execute(
            "INSERT INTO individual_identities (scope, identity, key) VALUES ($1, $2, $3)
             ON CONFLICT (scope, identity, key) DO NOTHING",
            &[scope.key().into(), identity.as_str().into(), key.into()],
        )?;
    }
    Ok(())
}
