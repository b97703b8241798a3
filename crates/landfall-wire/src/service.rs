//! Bodies of the service API: what operators send and read of enrollments, groups, attestation
//! mechanisms, bulk calls, queries and registrations.
//!
//! Parsing gives the requests of [`landfall_core::administration`]; the rules that need the service
//! or the stored record are kept there. Rendering never shows a secret, but for the one call that
//! asks for it.

pub mod attestation;
pub mod bulk;
pub mod enrollment;
pub mod paging;
mod terms;

pub(crate) use terms::{POLICIES as ALLOCATION_POLICIES, policy_name};

use landfall_core::error::Error;
use landfall_core::id::{EnrollmentGroupId, IdError, RegistrationId};

use crate::fields::{Members, parse_object};

/// Largest body of a call about one record.
///
/// Units: bytes. Source: docs/protocol/service-api.md §9 [D].
pub const LARGEST_BODY: usize = 96 * 1024;

/// Largest body of a bulk call.
pub const LARGEST_BULK_BODY: usize = 10 * LARGEST_BODY;

/// Refuses a body that is larger than a call may send.
///
/// Source: docs/protocol/service-api.md §6 [I].
///
/// # Errors
/// [`Error::Invalid`] naming the limit.
pub fn check_size(body: &[u8], largest: usize) -> Result<(), Error> {
    if body.len() > largest {
        return Err(Error::Invalid(format!(
            "The body is larger than {largest} bytes."
        )));
    }
    Ok(())
}

/// Reads a registration id of a path or body.
///
/// # Errors
/// [`Error::Invalid`] with the rule that the id breaks.
pub fn registration_id(text: &str) -> Result<RegistrationId, Error> {
    RegistrationId::parse(text).map_err(invalid_id)
}

/// Reads an enrollment group id of a path or body.
///
/// # Errors
/// [`Error::Invalid`] with the rule that the id breaks.
pub fn group_id(text: &str) -> Result<EnrollmentGroupId, Error> {
    EnrollmentGroupId::parse(text).map_err(invalid_id)
}

/// Reads the text of a query call.
///
/// Shape: `{"query":"…"}`. Without a body, or without the member, everything is asked for.
/// Source: docs/protocol/service-api.md §4.2 [C].
///
/// # Errors
/// [`Error::Unreadable`] when the body is no JSON object, [`Error::Invalid`] when the query is no
/// text.
pub fn parse_query(body: &[u8]) -> Result<String, Error> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(String::new());
    }
    let object = parse_object(body)?;
    Ok(Members::of(&object)
        .text("query")?
        .unwrap_or_default()
        .to_owned())
}

pub(crate) fn invalid_id(error: IdError) -> Error {
    Error::Invalid(format!("{error}."))
}

#[cfg(test)]
mod tests;
