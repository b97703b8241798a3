//! Operations: rows, reads and writes. An unfinished one is sealed whole, since it holds what the
//! hub will ask of the device; of a finished one only the registration it left is kept.

use landfall_core::attestation::AttestationKind;
use landfall_core::clock::Timestamp;
use landfall_core::id::{
    DeviceId, EnrollmentGroupId, IdScope, OperationId, RegistrationId, TrackingId,
};
use landfall_core::registration::operation::{Admission, Operation, Progress};
use landfall_core::registration::{EnrollmentRef, Substatus};
use serde::{Deserialize, Serialize};

use crate::dialect::{Fault, Read, Row, Session, Value};
use crate::enrollments::TermsRecord;
use crate::linked_hubs::{CredentialRecord, PlacementRecord};
use crate::record::{AsText, Embedded, Version, from_text, id, open, present, seal, to_text};
use crate::registrations::{RegistrationRecord, group_of};
use crate::secret::Sealer;

const TABLE: &str = "operations";

/// What every operation keeps in the open.
#[derive(Debug, Serialize, Deserialize)]
struct OperationRecord {
    v: Version,
    id_scope: AsText<IdScope>,
    registration_id: AsText<RegistrationId>,
    tracking_id: AsText<TrackingId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    registration: Option<RegistrationRecord>,
}

#[derive(Serialize, Deserialize)]
struct AdmissionRecord {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    group: Option<AsText<EnrollmentGroupId>>,
    kind: AsText<AttestationKind>,
    credential: CredentialRecord,
    device_id: AsText<DeviceId>,
    terms: TermsRecord,
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    payload: Option<Embedded>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<RegistrationRecord>,
}

/// The sealed part of an unfinished operation.
#[derive(Serialize, Deserialize)]
enum ProgressRecord {
    Accepted(Box<AdmissionRecord>),
    Allocated(Box<(AdmissionRecord, PlacementRecord, AsText<Substatus>)>),
}

impl AdmissionRecord {
    fn of(admission: &Admission) -> Result<Self, Fault> {
        Ok(AdmissionRecord {
            group: group_of(&admission.enrollment).cloned().map(AsText),
            kind: AsText(admission.kind),
            credential: (&admission.credential).into(),
            device_id: AsText(admission.device_id.clone()),
            terms: TermsRecord::whole(&admission.terms)?,
            payload: Embedded::maybe(admission.payload.as_ref())?,
            before: admission
                .before
                .as_ref()
                .map(RegistrationRecord::whole)
                .transpose()?,
        })
    }

    fn read(self) -> Result<Admission, Fault> {
        Ok(Admission {
            enrollment: match self.group {
                Some(group) => EnrollmentRef::Group(group.0),
                None => EnrollmentRef::Individual,
            },
            kind: self.kind.0,
            credential: self.credential.into(),
            device_id: self.device_id.0,
            terms: self.terms.read_whole()?,
            payload: self.payload.as_ref().map(Embedded::document),
            before: self
                .before
                .map(RegistrationRecord::read_whole)
                .transpose()?,
        })
    }
}

/// One operation.
pub(crate) fn one<'a>(scope: &'a IdScope, id: &'a OperationId) -> Read<'a, Operation> {
    Read::new(
        "SELECT scope, id, created, updated, record, sealed FROM operations
         WHERE scope = $1 AND id = $2",
        vec![scope.key().into(), id.as_str().into()],
        decode,
    )
}

/// Operations that are not finished, oldest first.
pub(crate) fn unfinished(limit: usize) -> Read<'static, Operation> {
    Read::new(
        "SELECT scope, id, created, updated, record, sealed FROM operations
         WHERE finished = 0 ORDER BY created, id LIMIT $1",
        vec![i64::try_from(limit).unwrap_or(i64::MAX).into()],
        decode,
    )
}

/// Operations of one node that are not finished, oldest first.
pub(crate) fn unfinished_of(node: &str, limit: usize) -> Read<'_, Operation> {
    Read::new(
        "SELECT scope, id, created, updated, record, sealed FROM operations
         WHERE finished = 0 AND node = $1 ORDER BY created, id LIMIT $2",
        vec![node.into(), i64::try_from(limit).unwrap_or(i64::MAX).into()],
        decode,
    )
}

fn decode(row: &Row<'_>, sealer: &Sealer) -> Result<Operation, Fault> {
    let record: OperationRecord = from_text(TABLE, row.text(4)?)?;
    let progress = match record.registration {
        Some(registration) => Progress::Finished(Box::new(registration.read_whole()?)),
        None => match open(sealer, TABLE, &[row.text(0)?, row.text(1)?], row.bytes(5)?)? {
            ProgressRecord::Accepted(admission) => Progress::Accepted(Box::new(admission.read()?)),
            ProgressRecord::Allocated(allocated) => {
                let (admission, placement, substatus) = *allocated;
                Progress::Allocated(
                    Box::new(admission.read()?),
                    Box::new(placement.read()),
                    substatus.0,
                )
            }
        },
    };
    Ok(Operation {
        id: id::<OperationId>(row.text(1)?)?,
        id_scope: record.id_scope.0,
        registration_id: record.registration_id.0,
        tracking_id: record.tracking_id.0,
        progress,
        created: Timestamp::from_unix_micros(row.integer(2)?),
        updated: Timestamp::from_unix_micros(row.integer(3)?),
    })
}

/// Makes or replaces an operation.
pub(crate) fn put(session: &Session, sealer: &Sealer, operation: &Operation) -> Result<(), Fault> {
    session.execute(
        "INSERT INTO operations (scope, id, finished, created, updated, record, sealed, node)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (scope, id) DO UPDATE SET finished = excluded.finished,
           created = excluded.created, updated = excluded.updated, record = excluded.record,
           sealed = excluded.sealed, node = excluded.node",
        &row(session.node(), sealer, operation)?,
    )?;
    Ok(())
}

/// Makes or replaces many, each by its `row`; no two of one id.
pub(crate) const PUT_MANY: &str =
    "INSERT INTO operations (scope, id, finished, created, updated, record, sealed, node)
     SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[],
       $6::text[], $7::bytea[], $8::text[])
     ON CONFLICT (scope, id) DO UPDATE SET finished = excluded.finished,
       created = excluded.created, updated = excluded.updated, record = excluded.record,
       sealed = excluded.sealed, node = excluded.node";

/// The columns of an operation on which `node` works as long as it is not finished.
pub(crate) fn row<'a>(
    node: &'a str,
    sealer: &Sealer,
    operation: &'a Operation,
) -> Result<[Value<'a>; 8], Fault> {
    let (scope, id) = (operation.id_scope.key(), operation.id.as_str());
    let (registration, progress) = match &operation.progress {
        Progress::Finished(registration) => (Some(RegistrationRecord::whole(registration)?), None),
        Progress::Accepted(admission) => (
            None,
            Some(ProgressRecord::Accepted(Box::new(AdmissionRecord::of(
                admission,
            )?))),
        ),
        Progress::Allocated(admission, placement, substatus) => (
            None,
            Some(ProgressRecord::Allocated(Box::new((
                AdmissionRecord::of(admission)?,
                PlacementRecord::of(placement)?,
                AsText(*substatus),
            )))),
        ),
    };
    let sealed = progress
        .map(|progress| seal(sealer, TABLE, &[scope, id], &progress))
        .transpose()?;
    let record = to_text(&OperationRecord {
        v: Version,
        id_scope: AsText(operation.id_scope.clone()),
        registration_id: AsText(operation.registration_id.clone()),
        tracking_id: AsText(operation.tracking_id.clone()),
        registration,
    })?;
    let node = if sealed.is_none() { "" } else { node };
    Ok([
        scope.into(),
        id.into(),
        i64::from(sealed.is_none()).into(),
        operation.created.unix_micros().into(),
        operation.updated.unix_micros().into(),
        record.into(),
        sealed.into(),
        node.into(),
    ])
}

/// Removes finished operations last changed before `before`, the oldest first.
pub(crate) fn purge(session: &Session, before: Timestamp, limit: usize) -> Result<usize, Fault> {
    session.execute(
        "DELETE FROM operations WHERE (scope, id) IN
           (SELECT scope, id FROM operations WHERE finished = 1 AND updated < $1
            ORDER BY updated LIMIT $2)",
        &[
            before.unix_micros().into(),
            i64::try_from(limit).unwrap_or(i64::MAX).into(),
        ],
    )
}
