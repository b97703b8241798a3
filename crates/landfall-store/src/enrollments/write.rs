//! Writing enrollments: rows, and in step with them the table of identities (`identities`) and the
//! path table of tags.

use landfall_core::attestation::AttestationMechanism;
use landfall_core::document::Document;
use landfall_core::enrollment::{EnrollmentGroup, EnrollmentTerms, IndividualEnrollment};
use landfall_core::id::{EnrollmentGroupId, IdScope, RegistrationId};
use landfall_core::store::Expect;

use super::identities::{identities, keep_identities};
use super::record::EnrollmentSecrets;
use super::{GroupRecord, IndividualRecord, Kind};
use crate::dialect::{Fault, Session, Value};
use crate::expectation::meets;
use crate::record::{column_word, to_text};
use crate::secret::Sealer;
use crate::services;
use crate::tags::{self, Leaf};

/// Makes or replaces an individual enrollment.
pub(crate) fn put_individual(
    session: &Session,
    sealer: &Sealer,
    scope: &IdScope,
    enrollment: &IndividualEnrollment,
    expect: &Expect,
) -> Result<(), Fault> {
    let (kind, key) = (Kind::Individual, enrollment.registration_id.key());
    let before = standing_individual(session, scope, key)?;
    let etag = before.as_ref().map(|before| before.etag.as_str());
    meets(expect, etag, || {
        kind.spoken(enrollment.registration_id.as_str())
    })?;
    let columns = Columns::of_individual(sealer, scope, enrollment)?;
    let held = identities(&enrollment.attestation);
    session.execute(
        "INSERT INTO individual_enrollments (scope, key, etag, provisioning_status, attestation,
           allocation, identities, tags, record, secrets)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         ON CONFLICT (scope, key) DO UPDATE SET etag = excluded.etag,
           provisioning_status = excluded.provisioning_status,
           attestation = excluded.attestation, allocation = excluded.allocation,
           identities = excluded.identities, tags = excluded.tags, record = excluded.record,
           secrets = excluded.secrets",
        &columns.values(scope, key),
    )?;
    let before = before.unwrap_or_default();
    keep_identities(session, scope, key, &before.identities, &held)?;
    keep_tags(session, kind, scope, key, &before.tags, &columns.tags)
}

/// Makes an individual enrollment where there is none; says whether it did. Its identities and tags
/// are the caller's to keep.
pub(super) fn insert_individual(
    session: &Session,
    scope: &IdScope,
    key: &str,
    columns: &Columns,
) -> Result<bool, Fault> {
    let rows = session.execute(
        "INSERT INTO individual_enrollments (scope, key, etag, provisioning_status, attestation,
           allocation, identities, tags, record, secrets)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         ON CONFLICT (scope, key) DO NOTHING",
        &columns.values(scope, key),
    )?;
    Ok(rows == 1)
}

/// What stands in the row of an individual enrollment, besides its key.
pub(super) struct Columns {
    etag: String,
    status: String,
    attestation: String,
    allocation: String,
    identities: String,
    pub(super) tags: String,
    record: String,
    secrets: Option<Vec<u8>>,
}

impl Columns {
    /// Writes an enrollment down.
    pub(super) fn of_individual(
        sealer: &Sealer,
        scope: &IdScope,
        enrollment: &IndividualEnrollment,
    ) -> Result<Self, Fault> {
        let key = enrollment.registration_id.key();
        let (mechanism, terms) = (&enrollment.attestation, &enrollment.terms);
        let shared = Shared::of(Kind::Individual, sealer, scope, key, mechanism, terms)?;
        Ok(Columns {
            etag: terms.etag.as_str().to_owned(),
            status: shared.status,
            attestation: shared.attestation,
            allocation: shared.allocation,
            identities: identities(mechanism).join(" "),
            tags: shared.tags.to_owned(),
            record: to_text(&IndividualRecord::apart(enrollment)?)?,
            secrets: shared.secrets,
        })
    }

    pub(super) fn values<'a>(&'a self, scope: &'a IdScope, key: &'a str) -> [Value<'a>; 10] {
        [
            scope.key().into(),
            key.into(),
            self.etag.as_str().into(),
            self.status.as_str().into(),
            self.attestation.as_str().into(),
            self.allocation.as_str().into(),
            self.identities.as_str().into(),
            self.tags.as_str().into(),
            self.record.as_str().into(),
            self.secrets.as_deref().into(),
        ]
    }
}

/// Makes or replaces a group.
pub(crate) fn put_group(
    session: &Session,
    sealer: &Sealer,
    scope: &IdScope,
    group: &EnrollmentGroup,
    expect: &Expect,
) -> Result<(), Fault> {
    let (kind, key) = (Kind::Group, group.id.key());
    let before = standing_group(session, scope, key)?;
    let etag = before.as_ref().map(|before| before.etag.as_str());
    meets(expect, etag, || kind.spoken(group.id.as_str()))?;
    let record = to_text(&GroupRecord::apart(group)?)?;
    let row = Shared::of(kind, sealer, scope, key, &group.attestation, &group.terms)?;
    session.execute(
        "INSERT INTO enrollment_groups (scope, key, etag, provisioning_status, attestation,
           allocation, tags, record, secrets)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         ON CONFLICT (scope, key) DO UPDATE SET etag = excluded.etag,
           provisioning_status = excluded.provisioning_status,
           attestation = excluded.attestation, allocation = excluded.allocation,
           tags = excluded.tags, record = excluded.record, secrets = excluded.secrets",
        &[
            scope.key().into(),
            key.into(),
            group.terms.etag.as_str().into(),
            row.status.into(),
            row.attestation.into(),
            row.allocation.into(),
            row.tags.into(),
            record.into(),
            row.secrets.into(),
        ],
    )?;
    keep_tags(
        session,
        kind,
        scope,
        key,
        &before.unwrap_or_default().tags,
        row.tags,
    )?;
    services::advance_trust(session, scope)
}

/// Removes an individual enrollment, and the registration it let in. A registration of the same id
/// that a group let in is the group's, and stays.
pub(crate) fn delete_individual(
    session: &Session,
    scope: &IdScope,
    id: &RegistrationId,
    expect: &Expect,
) -> Result<(), Fault> {
    let before = standing_individual(session, scope, id.key())?;
    let etag = before.as_ref().map(|before| before.etag.as_str());
    meets(expect, etag, || Kind::Individual.spoken(id.as_str()))?;
    let before = before.unwrap_or_default();
    session.execute(
        "DELETE FROM individual_enrollments WHERE scope = $1 AND key = $2",
        &[scope.key().into(), id.key().into()],
    )?;
    session.execute(
        "DELETE FROM registrations WHERE scope = $1 AND key = $2 AND group_key = ''",
        &[scope.key().into(), id.key().into()],
    )?;
    keep_identities(session, scope, id.key(), &before.identities, &[])?;
    keep_tags(session, Kind::Individual, scope, id.key(), &before.tags, "")
}

/// Removes a group; its registrations stay.
pub(crate) fn delete_group(
    session: &Session,
    scope: &IdScope,
    id: &EnrollmentGroupId,
    expect: &Expect,
) -> Result<(), Fault> {
    let before = standing_group(session, scope, id.key())?;
    let etag = before.as_ref().map(|before| before.etag.as_str());
    meets(expect, etag, || Kind::Group.spoken(id.as_str()))?;
    session.execute(
        "DELETE FROM enrollment_groups WHERE scope = $1 AND key = $2",
        &[scope.key().into(), id.key().into()],
    )?;
    keep_tags(
        session,
        Kind::Group,
        scope,
        id.key(),
        &before.unwrap_or_default().tags,
        "",
    )?;
    services::advance_trust(session, scope)
}

/// Holds a guard on an individual enrollment.
pub(crate) fn guard_individual(
    session: &Session,
    scope: &IdScope,
    id: &RegistrationId,
    expect: &Expect,
) -> Result<(), Fault> {
    let there = standing_individual(session, scope, id.key())?;
    let etag = there.as_ref().map(|there| there.etag.as_str());
    meets(expect, etag, || Kind::Individual.spoken(id.as_str()))
}

/// Holds a guard on a group.
pub(crate) fn guard_group(
    session: &Session,
    scope: &IdScope,
    id: &EnrollmentGroupId,
    expect: &Expect,
) -> Result<(), Fault> {
    let there = standing_group(session, scope, id.key())?;
    let etag = there.as_ref().map(|there| there.etag.as_str());
    meets(expect, etag, || Kind::Group.spoken(id.as_str()))
}

/// What is there of an enrollment, as far as a write needs it.
#[derive(Debug, Default)]
struct Standing {
    etag: String,
    tags: String,
    identities: String,
}

fn standing_individual(
    session: &Session,
    scope: &IdScope,
    key: &str,
) -> Result<Option<Standing>, Fault> {
    session.first(
        "SELECT etag, tags, identities FROM individual_enrollments WHERE scope = $1 AND key = $2",
        &[scope.key().into(), key.into()],
        |row| {
            Ok(Standing {
                etag: row.text(0)?.to_owned(),
                tags: row.text(1)?.to_owned(),
                identities: row.text(2)?.to_owned(),
            })
        },
    )
}

fn standing_group(
    session: &Session,
    scope: &IdScope,
    key: &str,
) -> Result<Option<Standing>, Fault> {
    session.first(
        "SELECT etag, tags FROM enrollment_groups WHERE scope = $1 AND key = $2",
        &[scope.key().into(), key.into()],
        |row| {
            Ok(Standing {
                etag: row.text(0)?.to_owned(),
                tags: row.text(1)?.to_owned(),
                identities: String::new(),
            })
        },
    )
}

/// The columns that both kinds have, besides the record.
struct Shared<'a> {
    status: String,
    attestation: String,
    allocation: String,
    tags: &'a str,
    secrets: Option<Vec<u8>>,
}

impl<'a> Shared<'a> {
    fn of(
        kind: Kind,
        sealer: &Sealer,
        scope: &IdScope,
        key: &str,
        mechanism: &AttestationMechanism,
        terms: &'a EnrollmentTerms,
    ) -> Result<Self, Fault> {
        Ok(Shared {
            status: column_word(&terms.status),
            attestation: column_word(&mechanism.kind()),
            allocation: terms
                .allocation
                .as_ref()
                .map(column_word)
                .unwrap_or_default(),
            tags: terms
                .initial_twin
                .as_ref()
                .and_then(|twin| twin.tags.as_ref())
                .map_or("", Document::as_str),
            secrets: EnrollmentSecrets::of(mechanism, terms)?
                .map(|secrets| sealer.seal(kind.table(), &[scope.key(), key], &secrets))
                .transpose()?,
        })
    }
}

fn keep_tags(
    session: &Session,
    kind: Kind,
    scope: &IdScope,
    key: &str,
    before: &str,
    after: &str,
) -> Result<(), Fault> {
    tags::keep_step(
        before,
        after,
        |(path, value)| {
            session.execute(
                "DELETE FROM enrollment_tags
                 WHERE scope = $1 AND kind = $2 AND path = $3 AND value = $4 AND key = $5",
                &[
                    scope.key().into(),
                    kind.word().into(),
                    path.as_str().into(),
                    value.as_str().into(),
                    key.into(),
                ],
            )
        },
        |leaf| add_tag(session, kind, scope, key, leaf),
    )
}

/// Puts leaves into the path table, each as path, value and key: many at once, since what a statement
/// costs beside its rows is as much as a row. For SQLite.
pub(super) fn add_tags(
    session: &Session,
    kind: Kind,
    scope: &IdScope,
    leaves: &[[&str; 3]],
) -> Result<(), Fault> {
    let mut rest = leaves;
    for at_once in [128, 16, 1] {
        if rest.len() < at_once {
            continue;
        }
        let rows: Vec<String> = (0..at_once)
            .map(|row| {
                format!(
                    "($1, $2, ${}, ${}, ${})",
                    row * 3 + 3,
                    row * 3 + 4,
                    row * 3 + 5
                )
            })
            .collect();
        let sql = format!(
            "INSERT INTO enrollment_tags (scope, kind, path, value, key) VALUES {}
             ON CONFLICT (scope, kind, path, value, key) DO NOTHING",
            rows.join(", ")
        );
        let (now, later) = rest.split_at(rest.len() - rest.len() % at_once);
        for rows in now.chunks(at_once) {
            let head = [scope.key(), kind.word()];
            let values = head.into_iter().chain(rows.iter().flatten().copied());
            session.execute(&sql, &values.map(Value::from).collect::<Vec<_>>())?;
        }
        rest = later;
    }
    Ok(())
}

fn add_tag(
    session: &Session,
    kind: Kind,
    scope: &IdScope,
    key: &str,
    (path, value): &Leaf,
) -> Result<usize, Fault> {
    session.execute(
        "INSERT INTO enrollment_tags (scope, kind, path, value, key)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (scope, kind, path, value, key) DO NOTHING",
        &[
            scope.key().into(),
            kind.word().into(),
            path.as_str().into(),
            value.as_str().into(),
            key.into(),
        ],
    )
}
