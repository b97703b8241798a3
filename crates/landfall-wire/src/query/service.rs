//! The service API's query text. Clients send what they like, the `az` tool even the printed form
//! of a Python object, and expect everything; so only a condition that was meant and cannot be
//! understood is refused.

use landfall_core::error::Error;
use landfall_core::query::Filter;

use super::QueryTextError;
use super::parser::Parser;
use crate::route::Collection;

/// What a query of the service API lists, by the path it was sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceCollection {
    /// `/enrollments/query`
    Enrollments,
    /// `/enrollmentGroups/query`
    EnrollmentGroups,
    /// `/registrations/{group}/query`
    DeviceRegistrations,
}

impl From<Collection> for ServiceCollection {
    fn from(collection: Collection) -> Self {
        match collection {
            Collection::Individuals => ServiceCollection::Enrollments,
            Collection::Groups => ServiceCollection::EnrollmentGroups,
        }
    }
}

impl ServiceCollection {
    /// Every collection.
    pub const ALL: [ServiceCollection; 3] = [
        ServiceCollection::Enrollments,
        ServiceCollection::EnrollmentGroups,
        ServiceCollection::DeviceRegistrations,
    ];

    /// The collection's name after `FROM`.
    pub fn name(self) -> &'static str {
        match self {
            ServiceCollection::Enrollments => "enrollments",
            ServiceCollection::EnrollmentGroups => "enrollmentGroups",
            ServiceCollection::DeviceRegistrations => "deviceRegistrations",
        }
    }
}

/// Reads a query of the service API as the condition that records must meet.
///
/// Text that does not begin with `SELECT` asks for everything, and so does a select list other
/// than `*`: the replies of this API have one form. A `FROM` that names another collection than
/// the path is refused; one that names no collection at all is passed over.
/// Source: docs/protocol/service-api.md §4.2 [R] for the texts clients send, [I] for conditions.
///
/// # Errors
/// [`Error::Invalid`] naming the token at which understanding ended.
pub fn parse_service_query(text: &str, collection: ServiceCollection) -> Result<Filter, Error> {
    if !begins_with_select(text) {
        return Ok(Filter::Always);
    }
    read(text, collection).map_err(|error| Error::Invalid(error.to_string()))
}

fn begins_with_select(text: &str) -> bool {
    const SELECT: &str = "select";
    let text = text.trim_start();
    text.get(..SELECT.len())
        .is_some_and(|word| word.eq_ignore_ascii_case(SELECT))
        && !text
            .get(SELECT.len()..)
            .unwrap_or_default()
            .starts_with(|c: char| c.is_alphanumeric() || c == '_')
}

fn read(text: &str, collection: ServiceCollection) -> Result<Filter, QueryTextError> {
    let mut parser = Parser::new(text)?;
    while !parser.at_end()
        && !["FROM", "WHERE", "GROUP", "ORDER"]
            .iter()
            .any(|word| parser.sees_word(word))
    {
        parser.advance();
    }
    if parser.takes_word("FROM") {
        let mark = parser.mark();
        let source = parser.path()?.0.join(".");
        let named = ServiceCollection::ALL
            .into_iter()
            .find(|one| one.name().eq_ignore_ascii_case(&source));
        if named.is_some_and(|named| named != collection) {
            return Err(
                parser.unexpected_at(mark, format!("this address lists {}.", collection.name()))
            );
        }
    }
    let filter = if parser.takes_word("WHERE") {
        parser.condition()?
    } else {
        Filter::Always
    };
    if parser.sees_word("GROUP") {
        return Err(parser.unexpected(
            "this API lists whole records and does not group them; ask for SELECT * without GROUP BY.",
        ));
    }
    if !parser.at_end() {
        return Err(parser.unexpected("AND, OR, an operator or the end was expected."));
    }
    Ok(filter)
}
