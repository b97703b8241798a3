//! Registrations: rows, reads and writes.

use landfall_core::attestation::AttestationKind;
use landfall_core::enrollment::AllocationPolicy;
use landfall_core::id::{DeviceId, EnrollmentGroupId, Etag, HubHostName, IdScope, RegistrationId};
use landfall_core::registration::{
    Assignment, EnrollmentRef, Registration, RegistrationFailure, RegistrationStatus, Substatus,
};
use landfall_core::store::{Expect, Selection};
use serde::{Deserialize, Serialize};

use crate::dialect::{Fault, Read, Row, Session, Value};
use crate::expectation::meets;
use crate::record::{AsText, Embedded, Micros, Version, from_text, id, present, to_text};
use crate::secret::Sealer;

#[derive(Debug, Serialize, Deserialize)]
enum StatusRecord {
    Assigned,
    Disabled,
    NoLinkedHub,
    HubNotLinked(AsText<HubHostName>),
    PolicyNotServed(AsText<AllocationPolicy>),
    StaticHubMissing,
    HubRefused(String),
}

#[derive(Debug, Serialize, Deserialize)]
struct AssignmentRecord {
    hub: AsText<HubHostName>,
    device_id: AsText<DeviceId>,
    substatus: AsText<Substatus>,
}

/// A registration. Its etag stands in a column, except inside an operation.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RegistrationRecord {
    v: Version,
    id: AsText<RegistrationId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    group: Option<AsText<EnrollmentGroupId>>,
    kind: AsText<AttestationKind>,
    status: StatusRecord,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    assignment: Option<AssignmentRecord>,
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    payload: Option<Embedded>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    etag: Option<AsText<Etag>>,
    created: Micros,
    updated: Micros,
}

impl RegistrationRecord {
    /// Writes a registration down, etag included.
    pub(crate) fn whole(registration: &Registration) -> Result<Self, Fault> {
        let mut record = RegistrationRecord::apart(registration)?;
        record.etag = Some(AsText(registration.etag.clone()));
        Ok(record)
    }

    fn apart(registration: &Registration) -> Result<Self, Fault> {
        Ok(RegistrationRecord {
            v: Version,
            id: AsText(registration.registration_id.clone()),
            group: group_of(&registration.enrollment).cloned().map(AsText),
            kind: AsText(registration.kind),
            status: match &registration.status {
                RegistrationStatus::Assigned => StatusRecord::Assigned,
                RegistrationStatus::Disabled => StatusRecord::Disabled,
                RegistrationStatus::Failed(failure) => match failure {
                    RegistrationFailure::NoLinkedHub => StatusRecord::NoLinkedHub,
                    RegistrationFailure::HubNotLinked(hub) => {
                        StatusRecord::HubNotLinked(AsText(hub.clone()))
                    }
                    RegistrationFailure::PolicyNotServed(policy) => {
                        StatusRecord::PolicyNotServed(AsText(*policy))
                    }
                    RegistrationFailure::StaticHubMissing => StatusRecord::StaticHubMissing,
                    RegistrationFailure::HubRefused(why) => StatusRecord::HubRefused(why.clone()),
                },
            },
            assignment: registration
                .assignment
                .as_ref()
                .map(|assignment| AssignmentRecord {
                    hub: AsText(assignment.hub.clone()),
                    device_id: AsText(assignment.device_id.clone()),
                    substatus: AsText(assignment.substatus),
                }),
            payload: Embedded::maybe(registration.payload.as_ref())?,
            etag: None,
            created: registration.created.into(),
            updated: registration.updated.into(),
        })
    }

    /// Reads back what was written whole.
    pub(crate) fn read_whole(mut self) -> Result<Registration, Fault> {
        let etag = self
            .etag
            .take()
            .ok_or_else(|| Fault::Record("a registration has lost its etag".to_owned()))?;
        Ok(self.read(etag.0))
    }

    fn read(self, etag: Etag) -> Registration {
        let failed = RegistrationStatus::Failed;
        Registration {
            registration_id: self.id.0,
            enrollment: match self.group {
                Some(group) => EnrollmentRef::Group(group.0),
                None => EnrollmentRef::Individual,
            },
            kind: self.kind.0,
            status: match self.status {
                StatusRecord::Assigned => RegistrationStatus::Assigned,
                StatusRecord::Disabled => RegistrationStatus::Disabled,
                StatusRecord::NoLinkedHub => failed(RegistrationFailure::NoLinkedHub),
                StatusRecord::HubNotLinked(hub) => failed(RegistrationFailure::HubNotLinked(hub.0)),
                StatusRecord::PolicyNotServed(policy) => {
                    failed(RegistrationFailure::PolicyNotServed(policy.0))
                }
                StatusRecord::StaticHubMissing => failed(RegistrationFailure::StaticHubMissing),
                StatusRecord::HubRefused(why) => failed(RegistrationFailure::HubRefused(why)),
            },
            assignment: self.assignment.map(|assignment| Assignment {
                hub: assignment.hub.0,
                device_id: assignment.device_id.0,
                substatus: assignment.substatus.0,
            }),
            payload: self.payload.as_ref().map(Embedded::document),
            etag,
            created: self.created.into(),
            updated: self.updated.into(),
        }
    }
}

/// The group an enrollment reference names.
pub(crate) fn group_of(enrollment: &EnrollmentRef) -> Option<&EnrollmentGroupId> {
    match enrollment {
        EnrollmentRef::Individual => None,
        EnrollmentRef::Group(group) => Some(group),
    }
}

/// One registration.
pub(crate) fn one<'a>(scope: &'a IdScope, id: &'a RegistrationId) -> Read<'a, Registration> {
    Read::new(
        "SELECT etag, record FROM registrations WHERE scope = $1 AND key = $2",
        vec![scope.key().into(), id.key().into()],
        decode,
    )
}

/// Registrations that came through one group. No term has an index here.
pub(crate) fn of_group<'a>(
    scope: &'a IdScope,
    group: &'a EnrollmentGroupId,
    selection: &'a Selection,
) -> Read<'a, Registration> {
    Read::new(
        "SELECT etag, record FROM registrations
         WHERE scope = $1 AND group_key = $2 AND group_key <> '' AND key > $3
         ORDER BY key LIMIT $4",
        vec![
            scope.key().into(),
            group.key().into(),
            selection.after.as_deref().unwrap_or("").into(),
            i64::try_from(selection.limit).unwrap_or(i64::MAX).into(),
        ],
        decode,
    )
}

fn decode(row: &Row<'_>, _: &Sealer) -> Result<Registration, Fault> {
    let record: RegistrationRecord = from_text("registrations", row.text(1)?)?;
    Ok(record.read(id::<Etag>(row.text(0)?)?))
}

/// Makes or replaces a registration.
pub(crate) fn put(
    session: &Session,
    scope: &IdScope,
    registration: &Registration,
    expect: &Expect,
) -> Result<(), Fault> {
    hold(session, scope, &registration.registration_id, expect)?;
    write(session, scope, registration)
}

/// Makes or replaces a registration of which all that must hold was held.
pub(crate) fn write(
    session: &Session,
    scope: &IdScope,
    registration: &Registration,
) -> Result<(), Fault> {
    session.execute(
        "INSERT INTO registrations (scope, key, etag, group_key, record)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (scope, key) DO UPDATE SET etag = excluded.etag,
           group_key = excluded.group_key, record = excluded.record",
        &row(scope, registration)?,
    )?;
    Ok(())
}

/// Makes or replaces many, each by its `row`; no two of one key.
pub(crate) const PUT_MANY: &str = "INSERT INTO registrations (scope, key, etag, group_key, record)
     SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])
     ON CONFLICT (scope, key) DO UPDATE SET etag = excluded.etag,
       group_key = excluded.group_key, record = excluded.record";

/// The columns of a registration.
pub(crate) fn row<'a>(
    scope: &'a IdScope,
    registration: &'a Registration,
) -> Result<[Value<'a>; 5], Fault> {
    Ok([
        scope.key().into(),
        registration.registration_id.key().into(),
        registration.etag.as_str().into(),
        group_of(&registration.enrollment)
            .map_or("", EnrollmentGroupId::key)
            .into(),
        to_text(&RegistrationRecord::apart(registration)?)?.into(),
    ])
}

/// Names a registration in errors.
pub(crate) fn spoken(id: &RegistrationId) -> String {
    format!("registration '{id}'")
}

/// Removes a registration.
pub(crate) fn delete(
    session: &Session,
    scope: &IdScope,
    id: &RegistrationId,
    expect: &Expect,
) -> Result<(), Fault> {
    hold(session, scope, id, expect)?;
    session.execute(
        "DELETE FROM registrations WHERE scope = $1 AND key = $2",
        &[scope.key().into(), id.key().into()],
    )?;
    Ok(())
}

/// Holds what is expected of a registration.
pub(crate) fn hold(
    session: &Session,
    scope: &IdScope,
    id: &RegistrationId,
    expect: &Expect,
) -> Result<(), Fault> {
    if *expect == Expect::Anything {
        return Ok(());
    }
    let there = session.first(
        "SELECT etag FROM registrations WHERE scope = $1 AND key = $2",
        &[scope.key().into(), id.key().into()],
        |row| row.text(0).map(str::to_owned),
    )?;
    meets(expect, there.as_deref(), || spoken(id))
}
