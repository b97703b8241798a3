//! Bulk calls as JSON: the items of one, and its result.

use landfall_core::administration::bulk::{BulkContent, BulkItem, BulkMode, BulkRefusal};
use landfall_core::error::Error;
use serde_json::{Map, Value, json};

use super::enrollment::{EnrollmentBody, parse_object_of, parse_reference};
use crate::fault;
use crate::fields::{Members, parse_object};

const MODES: [(&str, BulkMode); 4] = [
    ("create", BulkMode::Create),
    ("update", BulkMode::Update),
    ("updateIfMatchETag", BulkMode::UpdateIfMatchEtag),
    ("delete", BulkMode::Delete),
];

/// Reads a bulk call. An item that breaks a rule is kept as its error: the others are carried out.
///
/// Source: docs/protocol/service-api.md §4.1 [S].
///
/// # Errors
/// [`Error::Unreadable`] when the body is no JSON object; [`Error::Invalid`] when the mode or the
/// list of items is missing, or an item has no id by which the result could name it.
pub fn parse<E: EnrollmentBody>(body: &[u8]) -> Result<(BulkMode, Vec<BulkItem<E>>), Error> {
    let object = parse_object(body)?;
    let members = Members::of(&object);
    let mode = members
        .word("mode", &MODES)?
        .ok_or_else(|| members.wrong("mode", "is required"))?;
    let items = members
        .list(E::BULK_MEMBER)?
        .ok_or_else(|| members.wrong(E::BULK_MEMBER, "is required"))?;
    let items = items
        .iter()
        .enumerate()
        .map(|(index, item)| {
            let way = format!("{}[{index}]", E::BULK_MEMBER);
            let Value::Object(item) = item else {
                return Err(members.wrong(&way, "must be an object"));
            };
            parse_item(mode, item, &way)
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok((mode, items))
}

fn parse_item<E: EnrollmentBody>(
    mode: BulkMode,
    item: &Map<String, Value>,
    way: &str,
) -> Result<BulkItem<E>, Error> {
    let id = Members::at(item, way)
        .required_text(E::ID_MEMBER)?
        .to_owned();
    let content = match mode {
        BulkMode::Delete => {
            parse_reference::<E>(item).map(|(id, etag)| BulkContent::Delete(id, etag))
        }
        BulkMode::Create | BulkMode::Update | BulkMode::UpdateIfMatchEtag => {
            parse_object_of(item).map(|request| BulkContent::Put(Box::new(request)))
        }
    };
    Ok(BulkItem { id, content })
}

/// The result of a bulk call as JSON.
///
/// Source: docs/protocol/service-api.md §4.1 [S].
pub fn result_json<E: EnrollmentBody>(refusals: &[BulkRefusal]) -> Value {
    let errors: Vec<Value> = refusals
        .iter()
        .map(|refusal| {
            let (_, code) = fault::row(&refusal.error);
            json!({
                E::ID_MEMBER: refusal.id,
                "errorCode": code,
                "errorStatus": refusal.error.to_string(),
            })
        })
        .collect();
    json!({"isSuccessful": errors.is_empty(), "errors": errors})
}
