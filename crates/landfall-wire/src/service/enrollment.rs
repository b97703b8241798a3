//! Individual enrollments and enrollment groups as JSON, in both directions.

use landfall_core::administration::enrollments::{DeviceDetails, Enrollment, EnrollmentRequest};
use landfall_core::document::Document;
use landfall_core::enrollment::{EnrollmentGroup, IndividualEnrollment};
use landfall_core::error::Error;
use landfall_core::id::{DeviceId, Etag};
use landfall_core::registration::Registration;
use serde_json::{Map, Value};

use super::attestation::{self, Secrets, attestation_json};
use super::{group_id, invalid_id, paging, registration_id, terms};
use crate::device::{View, registration_state_json};
use crate::fields::{Members, parse_object};

/// Either kind of enrollment, as its bodies spell it.
pub trait EnrollmentBody: Enrollment {
    /// The member that holds its id.
    const ID_MEMBER: &'static str;
    /// The member of a bulk call that holds the items.
    const BULK_MEMBER: &'static str;
    /// What a page of it says it holds.
    const ITEM_TYPE: paging::ItemType;

    /// Reads its id from a path or body.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the rule that the id breaks.
    fn parse_id(text: &str) -> Result<Self::Id, Error>;

    /// Reads the members that only this kind has.
    #[doc(hidden)]
    fn parse_details(members: &DetailMembers<'_>) -> Result<Self::Details, Error>;

    /// The record as the API shows it, without secrets.
    ///
    /// Source: docs/protocol/service-api.md §3.2, §3.3 [S].
    fn render(&self, state: Option<&Registration>) -> Value;
}

/// The members of a body, as [`EnrollmentBody::parse_details`] is handed them.
pub struct DetailMembers<'a>(Members<'a>);

/// Reads the body of a put. Its id, when it names one, must be the path's.
///
/// Source: docs/protocol/service-api.md §3.2, §6 [S, I].
///
/// # Errors
/// [`Error::Unreadable`] when it is no JSON object, [`Error::Invalid`] naming the rule that is
/// broken.
pub fn parse_put<E: EnrollmentBody>(
    body: &[u8],
    path_id: &E::Id,
) -> Result<EnrollmentRequest<E>, Error> {
    let object = parse_object(body)?;
    let members = Members::of(&object);
    if E::key(&parse_own_id::<E>(&members)?) != E::key(path_id) {
        return Err(members.wrong(E::ID_MEMBER, "is not the id of the path"));
    }
    parse_members(members)
}

/// Reads an enrollment that stands in a body, with its own id.
pub(crate) fn parse_object_of<E: EnrollmentBody>(
    object: &Map<String, Value>,
) -> Result<EnrollmentRequest<E>, Error> {
    parse_members(Members::of(object))
}

/// Reads only what a deletion looks at.
pub(super) fn parse_reference<E: EnrollmentBody>(
    object: &Map<String, Value>,
) -> Result<(E::Id, Option<Etag>), Error> {
    let members = Members::of(object);
    Ok((parse_own_id::<E>(&members)?, terms::parse_etag(&members)?))
}

fn parse_own_id<E: EnrollmentBody>(members: &Members<'_>) -> Result<E::Id, Error> {
    E::parse_id(members.required_text(E::ID_MEMBER)?)
}

fn parse_members<E: EnrollmentBody>(members: Members<'_>) -> Result<EnrollmentRequest<E>, Error> {
    Ok(EnrollmentRequest {
        id: parse_own_id::<E>(&members)?,
        attestation: attestation::parse(&members)?,
        terms: terms::parse(&members)?,
        etag: terms::parse_etag(&members)?,
        details: E::parse_details(&DetailMembers(members))?,
    })
}

impl EnrollmentBody for IndividualEnrollment {
    const ID_MEMBER: &'static str = "registrationId";
    const BULK_MEMBER: &'static str = "enrollments";
    const ITEM_TYPE: paging::ItemType = paging::ItemType::Enrollment;

    fn parse_id(text: &str) -> Result<Self::Id, Error> {
        registration_id(text)
    }

    fn parse_details(members: &DetailMembers<'_>) -> Result<DeviceDetails, Error> {
        Ok(DeviceDetails {
            device_id: members
                .0
                .text("deviceId")?
                .map(|text| DeviceId::parse(text).map_err(invalid_id))
                .transpose()?,
            device_information: members
                .0
                .tree("optionalDeviceInformation")?
                .map(Document::from_json),
        })
    }

    fn render(&self, state: Option<&Registration>) -> Value {
        let mut record = Map::new();
        let mut put = |name: &str, value: Value| {
            record.insert(name.to_owned(), value);
        };
        put("registrationId", self.registration_id.as_str().into());
        if let Some(id) = &self.device_id {
            put("deviceId", id.as_str().into());
        }
        if let Some(state) = state {
            put(
                "registrationState",
                registration_state_json(state, View::Service),
            );
        }
        if let Some(information) = &self.device_information {
            put("optionalDeviceInformation", information.to_json());
        }
        put(
            "attestation",
            attestation_json(&self.attestation, Secrets::Hidden),
        );
        terms::render(&mut record, &self.terms);
        Value::Object(record)
    }
}

impl EnrollmentBody for EnrollmentGroup {
    const ID_MEMBER: &'static str = "enrollmentGroupId";
    const BULK_MEMBER: &'static str = "enrollmentGroups";
    const ITEM_TYPE: paging::ItemType = paging::ItemType::EnrollmentGroup;

    fn parse_id(text: &str) -> Result<Self::Id, Error> {
        group_id(text)
    }

    fn parse_details(_members: &DetailMembers<'_>) -> Result<(), Error> {
        Ok(())
    }

    fn render(&self, _state: Option<&Registration>) -> Value {
        let mut record = Map::new();
        record.insert("enrollmentGroupId".to_owned(), self.id.as_str().into());
        record.insert(
            "attestation".to_owned(),
            attestation_json(&self.attestation, Secrets::Hidden),
        );
        terms::render(&mut record, &self.terms);
        Value::Object(record)
    }
}
