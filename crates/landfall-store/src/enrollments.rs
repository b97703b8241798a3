//! Individual enrollments and enrollment groups: rows and reads here, writes in `write`, with the
//! table of identities (who holds which certificate or endorsement key) and the path table of tags.

mod identities;
mod many;
mod record;
mod selection;
mod write;

use landfall_core::attestation::AttestationKind;
use landfall_core::document::Document;
use landfall_core::enrollment::{EnrollmentGroup, IndividualEnrollment};
use landfall_core::id::{DeviceId, EnrollmentGroupId, Etag, IdScope, RegistrationId};
use landfall_core::secret::KeyPair;
use landfall_core::store::Selection;
use serde::{Deserialize, Serialize};

use self::record::{AttestationRecord, EnrollmentSecrets};
use crate::dialect::{Fault, Read, Row};
use crate::record::{AsText, Embedded, Version, column_word, from_text, id, present};
use crate::secret::Sealer;

pub(crate) use self::identities::identity_unused;
pub(crate) use self::many::{Many, Outcomes, put_many};
pub(crate) use self::record::TermsRecord;
pub(crate) use self::write::{
    delete_group, delete_individual, guard_group, guard_individual, put_group, put_individual,
};

/// The two kinds of enrollment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Individual,
    Group,
}

impl Kind {
    fn table(self) -> &'static str {
        match self {
            Kind::Individual => "individual_enrollments",
            Kind::Group => "enrollment_groups",
        }
    }

    fn word(self) -> &'static str {
        match self {
            Kind::Individual => "individual",
            Kind::Group => "group",
        }
    }

    fn id_name(self) -> &'static str {
        match self {
            Kind::Individual => "registrationId",
            Kind::Group => "enrollmentGroupId",
        }
    }

    /// Names one in errors.
    pub(crate) fn spoken(self, id: &str) -> String {
        match self {
            Kind::Individual => format!("individual enrollment '{id}'"),
            Kind::Group => format!("enrollment group '{id}'"),
        }
    }
}

/// An individual enrollment, without its keys.
#[derive(Serialize, Deserialize)]
pub(crate) struct IndividualRecord {
    v: Version,
    id: AsText<RegistrationId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    device_id: Option<AsText<DeviceId>>,
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    device_information: Option<Embedded>,
    attestation: AttestationRecord,
    terms: TermsRecord,
}

/// A group, without its keys.
#[derive(Serialize, Deserialize)]
pub(crate) struct GroupRecord {
    v: Version,
    id: AsText<EnrollmentGroupId>,
    attestation: AttestationRecord,
    terms: TermsRecord,
}

impl IndividualRecord {
    /// Writes down what does not stand in columns or in the sealed part.
    fn apart(enrollment: &IndividualEnrollment) -> Result<Self, Fault> {
        Ok(IndividualRecord {
            v: Version,
            id: AsText(enrollment.registration_id.clone()),
            device_id: enrollment.device_id.clone().map(AsText),
            device_information: Embedded::maybe(enrollment.device_information.as_ref())?,
            attestation: (&enrollment.attestation).into(),
            terms: TermsRecord::apart(&enrollment.terms)?,
        })
    }

    /// Writes everything down but keys, webhook address included.
    pub(crate) fn whole(enrollment: &IndividualEnrollment) -> Result<Self, Fault> {
        Ok(IndividualRecord {
            terms: TermsRecord::whole(&enrollment.terms)?,
            ..IndividualRecord::apart(enrollment)?
        })
    }

    /// Reads back what was written whole; keys are [`KeyPair::hidden`].
    pub(crate) fn read_whole(self) -> Result<IndividualEnrollment, Fault> {
        Ok(IndividualEnrollment {
            registration_id: self.id.0,
            device_id: self.device_id.map(|id| id.0),
            device_information: self.device_information.as_ref().map(Embedded::document),
            attestation: self.attestation.read(Some((&KeyPair::hidden()).into()))?,
            terms: self.terms.read_whole()?,
        })
    }
}

impl GroupRecord {
    /// Writes down what does not stand in columns or in the sealed part.
    fn apart(group: &EnrollmentGroup) -> Result<Self, Fault> {
        Ok(GroupRecord {
            v: Version,
            id: AsText(group.id.clone()),
            attestation: (&group.attestation).into(),
            terms: TermsRecord::apart(&group.terms)?,
        })
    }

    /// Writes everything down but keys, webhook address included.
    pub(crate) fn whole(group: &EnrollmentGroup) -> Result<Self, Fault> {
        Ok(GroupRecord {
            terms: TermsRecord::whole(&group.terms)?,
            ..GroupRecord::apart(group)?
        })
    }

    /// Reads back what was written whole; keys are [`KeyPair::hidden`].
    pub(crate) fn read_whole(self) -> Result<EnrollmentGroup, Fault> {
        Ok(EnrollmentGroup {
            id: self.id.0,
            attestation: self.attestation.read(Some((&KeyPair::hidden()).into()))?,
            terms: self.terms.read_whole()?,
        })
    }
}

const COLUMNS: &str = "e.scope, e.key, e.etag, e.tags, e.record, e.secrets";

/// One individual enrollment.
pub(crate) fn individual<'a>(
    scope: &'a IdScope,
    id: &'a RegistrationId,
) -> Read<'a, IndividualEnrollment> {
    Read::new(
        "SELECT scope, key, etag, tags, record, secrets FROM individual_enrollments
         WHERE scope = $1 AND key = $2",
        vec![scope.key().into(), id.key().into()],
        decode_individual,
    )
}

/// One group.
pub(crate) fn group<'a>(
    scope: &'a IdScope,
    id: &'a EnrollmentGroupId,
) -> Read<'a, EnrollmentGroup> {
    Read::new(
        "SELECT scope, key, etag, tags, record, secrets FROM enrollment_groups
         WHERE scope = $1 AND key = $2",
        vec![scope.key().into(), id.key().into()],
        decode_group,
    )
}

/// A page of individual enrollments.
pub(crate) fn individuals<'a>(
    scope: &'a IdScope,
    selection: &'a Selection,
) -> Read<'a, IndividualEnrollment> {
    selection::statement(Kind::Individual, COLUMNS, scope, selection).read(decode_individual)
}

/// A page of groups.
pub(crate) fn groups<'a>(
    scope: &'a IdScope,
    selection: &'a Selection,
) -> Read<'a, EnrollmentGroup> {
    selection::statement(Kind::Group, COLUMNS, scope, selection).read(decode_group)
}

/// All groups with one kind of attestation.
pub(crate) fn groups_by_kind(scope: &IdScope, kind: AttestationKind) -> Read<'_, EnrollmentGroup> {
    Read::new(
        "SELECT scope, key, etag, tags, record, secrets FROM enrollment_groups
         WHERE scope = $1 AND attestation = $2 ORDER BY key",
        vec![scope.key().into(), column_word(&kind).into()],
        decode_group,
    )
}

fn decode_individual(row: &Row<'_>, sealer: &Sealer) -> Result<IndividualEnrollment, Fault> {
    let record: IndividualRecord = from_text(Kind::Individual.table(), row.text(4)?)?;
    let secrets = secrets(Kind::Individual, row, sealer)?;
    Ok(IndividualEnrollment {
        registration_id: record.id.0,
        device_id: record.device_id.map(|id| id.0),
        device_information: record.device_information.as_ref().map(Embedded::document),
        attestation: record.attestation.read(secrets.keys)?,
        terms: record.terms.read(
            id::<Etag>(row.text(2)?)?,
            kept_tags(row)?,
            secrets.webhook_url,
        ),
    })
}

fn decode_group(row: &Row<'_>, sealer: &Sealer) -> Result<EnrollmentGroup, Fault> {
    let record: GroupRecord = from_text(Kind::Group.table(), row.text(4)?)?;
    let secrets = secrets(Kind::Group, row, sealer)?;
    Ok(EnrollmentGroup {
        id: record.id.0,
        attestation: record.attestation.read(secrets.keys)?,
        terms: record.terms.read(
            id::<Etag>(row.text(2)?)?,
            kept_tags(row)?,
            secrets.webhook_url,
        ),
    })
}

fn kept_tags(row: &Row<'_>) -> Result<Option<Document>, Fault> {
    let tags = row.text(3)?;
    Ok((!tags.is_empty()).then(|| Document::kept(tags)))
}

fn secrets(kind: Kind, row: &Row<'_>, sealer: &Sealer) -> Result<EnrollmentSecrets, Fault> {
    let Some(blob) = row.bytes(5)? else {
        return Ok(EnrollmentSecrets::default());
    };
    let (table, keys) = (kind.table(), [row.text(0)?, row.text(1)?]);
    let plain = sealer.open(table, &keys, blob)?;
    EnrollmentSecrets::read(&plain).ok_or_else(|| {
        Fault::Record(format!(
            "the sealed part of {table} {} cannot be read",
            keys.join("/")
        ))
    })
}
