//! How records get into a service: ten a call, each settled on its own, whatever was there before.

use std::collections::HashSet;

use clap::ValueEnum;
use landfall_core::document::JsonObject;
use landfall_wire::client::service::{
    Bulk, BulkRefusal, LARGEST_BULK, attestation_mechanism, bulk_enrollments, bulk_refusals,
    enrollment,
};
use landfall_wire::client::{RefusalKind, ReplyError};
use landfall_wire::route::Collection;
use serde_json::Value as Json;

use super::caller::Caller;
use super::fit::Item;
use super::likeness::{differences, slots};
use super::tally::Outcome;
use crate::command::outcome::Failure;

/// The most bytes of records that one call holds: what a service takes in one message.
///
/// Source: docs/protocol/service-api.md §9 [D].
const LARGEST_CALL: usize = 90 * 1024;

/// What happens to a line whose record is there already and says something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OnConflict {
    /// The line fails
    Fail,
    /// What is there stays
    Skip,
    /// The line replaces it
    Replace,
}

/// How records are written.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    /// What happens to what is there already.
    pub on_conflict: OnConflict,
    /// Whether nothing is written.
    pub dry_run: bool,
}

/// Records of one kind that go into one call, each with its line.
#[derive(Debug, Clone)]
pub struct Chunk {
    collection: Collection,
    items: Vec<(u64, Item)>,
}

impl Chunk {
    /// The kind of its records.
    pub fn collection(&self) -> Collection {
        self.collection
    }

    /// Cuts items into chunks, in order: of one kind, of different ids, of at most ten and not too
    /// large for a call.
    pub fn cut(items: Vec<(u64, Item)>) -> Vec<Chunk> {
        let mut chunks: Vec<Chunk> = Vec::new();
        let (mut ids, mut size) = (HashSet::new(), 0);
        for (line, item) in items {
            let id = item.id.to_ascii_lowercase();
            let length = Json::Object(item.record.clone()).to_string().len();
            match chunks.last_mut() {
                Some(chunk)
                    if chunk.collection == item.collection
                        && chunk.items.len() < LARGEST_BULK
                        && size + length <= LARGEST_CALL
                        && !ids.contains(&id) =>
                {
                    chunk.items.push((line, item));
                    size += length;
                }
                _ => {
                    ids.clear();
                    size = length;
                    chunks.push(Chunk {
                        collection: item.collection,
                        items: vec![(line, item)],
                    });
                }
            }
            ids.insert(id);
        }
        chunks
    }
}

/// A line that was settled: its number, its id, and what became of it.
pub type Settled = (u64, String, Outcome);

/// Brings one chunk into the service of `caller`.
///
/// A call whose connection broke is made again; what it had done already is then found there, and
/// the same.
///
/// # Errors
/// [`Failure`] when the service refuses the caller, or does not answer for long. What was settled
/// before is then found by the next attempt.
pub async fn settle(
    caller: &mut Caller,
    chunk: Chunk,
    manner: Manner,
) -> Result<Vec<Settled>, Failure> {
    let mut settled = Vec::new();
    // What is there already, or may be; with what is told when it is not.
    let mut to_look_at: Vec<(u64, Item, Option<String>)> = Vec::new();
    let mut to_make = Vec::new();
    for (line, item) in chunk.items {
        match &item.lacks {
            Some(lacks) => to_look_at.push((line, item.clone(), Some(lacks.clone()))),
            None if manner.dry_run => to_look_at.push((line, item, None)),
            None => to_make.push((line, item)),
        }
    }
    for (line, item, refusal) in write(caller, chunk.collection, Bulk::Create, to_make).await? {
        match refusal {
            None => settled.push((line, item.id, Outcome::Created)),
            Some(refusal) if refusal.kind == RefusalKind::Conflict => {
                to_look_at.push((line, item, Some(refusal.text)));
            }
            Some(refusal) => {
                let reason = told(&refusal, &item.record);
                settled.push((line, item.id, Outcome::Failed(reason)));
            }
        }
    }
    let mut to_replace = Vec::new();
    for (line, item, otherwise) in to_look_at {
        let outcome = match stored(caller, &item).await? {
            None => match otherwise {
                Some(reason) => Outcome::Failed(reason),
                None => Outcome::Created,
            },
            Some(stored) => match compare(&item, &stored, manner.on_conflict) {
                Some(outcome) => outcome,
                None if manner.dry_run => Outcome::Replaced,
                None => {
                    to_replace.push((line, item));
                    continue;
                }
            },
        };
        settled.push((line, item.id, outcome));
    }
    for (line, item, refusal) in write(caller, chunk.collection, Bulk::Update, to_replace).await? {
        let outcome = match refusal {
            None => Outcome::Replaced,
            Some(refusal) => Outcome::Failed(told(&refusal, &item.record)),
        };
        settled.push((line, item.id, outcome));
    }
    Ok(settled)
}

type Written = Vec<(u64, Item, Option<BulkRefusal>)>;

/// Writes items in one call; gives each with its refusal, if there was one. Where the service refuses
/// the call as a whole, each item is tried alone, so that a bad one costs only itself.
async fn write(
    caller: &mut Caller,
    collection: Collection,
    mode: Bulk,
    items: Vec<(u64, Item)>,
) -> Result<Written, Failure> {
    let mut written = Written::new();
    if items.is_empty() {
        return Ok(written);
    }
    match call(caller, collection, mode, &items).await? {
        Ok(refusals) => {
            for (line, item) in items {
                let refusal = refusals
                    .iter()
                    .find(|refusal| refusal.id.eq_ignore_ascii_case(&item.id))
                    .cloned();
                written.push((line, item, refusal));
            }
        }
        Err(whole) if items.len() == 1 => {
            let refused = items.into_iter().map(|(line, item)| {
                let refusal = BulkRefusal {
                    id: item.id.clone(),
                    kind: RefusalKind::Other,
                    text: whole.clone(),
                };
                (line, item, Some(refusal))
            });
            written.extend(refused);
        }
        Err(_) => {
            for one in items {
                written.extend(Box::pin(write(caller, collection, mode, vec![one])).await?);
            }
        }
    }
    Ok(written)
}

/// Makes one bulk call: what it refused, or why it was refused as a whole.
async fn call(
    caller: &mut Caller,
    collection: Collection,
    mode: Bulk,
    items: &[(u64, Item)],
) -> Result<Result<Vec<BulkRefusal>, String>, Failure> {
    let records: Vec<Json> = items
        .iter()
        .map(|(_, item)| Json::Object(item.record.clone()))
        .collect();
    let records: Vec<&Json> = records.iter().collect();
    let reply = caller
        .reply(|who| bulk_enrollments(who, collection, mode, &records))
        .await?;
    match bulk_refusals(collection, &reply) {
        Ok(refusals) => Ok(Ok(refusals)),
        Err(ReplyError::Refused(refusal)) if refusal.kind == RefusalKind::Other => {
            Ok(Err(refusal.to_string()))
        }
        Err(error) => Err(error.into()),
    }
}

/// The record of the same id that is there, with its keys when the item has some to compare.
async fn stored(caller: &mut Caller, item: &Item) -> Result<Option<JsonObject>, Failure> {
    let found = caller
        .find(|who| enrollment(who, item.collection, &item.id))
        .await?;
    let Some(Json::Object(mut record)) = found else {
        return Ok(None);
    };
    if item
        .record
        .get("attestation")
        .is_some_and(|it| it.get("symmetricKey").is_some())
    {
        let mechanism = caller
            .find(|who| attestation_mechanism(who, item.collection, &item.id))
            .await?;
        if let Some(mechanism) = mechanism {
            record.insert("attestation".into(), mechanism);
        }
    }
    Ok(Some(record))
}

/// What becomes of an item beside what is stored; `None` when it is to replace that.
fn compare(item: &Item, stored: &JsonObject, on_conflict: OnConflict) -> Option<Outcome> {
    let different = differences(item.collection, &item.record, stored);
    if different.is_empty() {
        return Some(Outcome::Unchanged);
    }
    match on_conflict {
        OnConflict::Skip => Some(Outcome::Skipped),
        OnConflict::Fail => Some(Outcome::Failed(format!(
            "it is there already and differs in {}: --on-conflict replace takes the line, skip what is there",
            different.join(", ")
        ))),
        OnConflict::Replace => match &item.lacks {
            // What a service does not show it keeps, when the same is meant.
            Some(lacks) if !keeps_what_is_lacking(item, stored) => {
                Some(Outcome::Failed(lacks.clone()))
            }
            _ => None,
        },
    }
}

fn keeps_what_is_lacking(item: &Item, stored: &JsonObject) -> bool {
    let (Some(one), Some(other)) = (item.record.get("attestation"), stored.get("attestation"))
    else {
        return false;
    };
    let kind = |it: &Json| {
        let kind = it.get("type").and_then(Json::as_str).unwrap_or_default();
        kind.to_ascii_lowercase()
    };
    kind(one) == kind(other) && slots(one) == slots(other)
}

/// A refusal with what may help.
fn told(refusal: &BulkRefusal, record: &JsonObject) -> String {
    let text = refusal.text.to_ascii_lowercase();
    let has = |name: &str| record.contains_key(name);
    let by_name = record
        .get("attestation")
        .is_some_and(|it| it.pointer("/x509/caReferences").is_some());
    let hint = if text.contains("hub") && (has("iotHubs") || has("iotHubHostName")) {
        "; give its name here with --map-hub OLD=NEW, or leave hubs out with --drop-hubs"
    } else if text.contains("certificate") && by_name {
        "; add the CA certificate under that name and verify it first"
    } else {
        ""
    };
    format!("{}{hint}", refusal.text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::transfer::fit::Fit;
    use serde_json::json;

    fn item(collection: Collection, id: &str, size: usize) -> Item {
        let key = "AAECAwQFBgcICQoLDA0ODw==";
        let record = json!({
            "registrationId": id, "enrollmentGroupId": id, "deviceId": "x".repeat(size),
            "attestation": {"type": "symmetricKey", "symmetricKey": {"primaryKey": key, "secondaryKey": key}},
        });
        let record = record.as_object().cloned().expect("an object");
        Fit::default().item(collection, record).expect("fits")
    }

    fn sizes(items: Vec<Item>) -> Vec<usize> {
        let items = (1..).zip(items).collect();
        let chunks = Chunk::cut(items);
        chunks.iter().map(|chunk| chunk.items.len()).collect()
    }

    #[test]
    fn chunks_are_what_one_call_takes() {
        let (one, many) = (Collection::Individuals, Collection::Groups);
        let some = |n: usize| (0..n).map(|at| item(one, &format!("d{at}"), 1));
        assert_eq!(sizes(some(23).collect()), [10, 10, 3]);
        assert_eq!(
            sizes(some(2).chain([item(many, "g", 1)]).chain(some(1)).collect()),
            [2, 1, 1]
        );
        assert_eq!(sizes(vec![item(one, "d", 1), item(one, "D", 1)]), [1, 1]);
        let large = |id: &str| item(one, id, 50 * 1024);
        assert_eq!(
            sizes(vec![large("a"), large("b"), item(one, "c", 1)]),
            [1, 2]
        );
        assert_eq!(sizes(Vec::new()), [0; 0]);
    }

    #[test]
    fn what_is_there_is_kept_skipped_or_replaced_as_asked() {
        let one = item(Collection::Individuals, "d", 1);
        let mut stored = one.record.clone();
        assert_eq!(
            compare(&one, &stored, OnConflict::Fail),
            Some(Outcome::Unchanged)
        );
        stored.insert("provisioningStatus".into(), json!("disabled"));
        let failed = compare(&one, &stored, OnConflict::Fail);
        assert!(matches!(failed, Some(Outcome::Failed(why)) if why.contains("provisioningStatus")));
        assert_eq!(
            compare(&one, &stored, OnConflict::Skip),
            Some(Outcome::Skipped)
        );
        assert_eq!(compare(&one, &stored, OnConflict::Replace), None);

        // Without a key in the line, the stored one stays; another mechanism would lose it.
        let mut keyless = one;
        keyless
            .record
            .insert("attestation".into(), json!({"type": "symmetricKey"}));
        keyless.lacks = Some("no key".into());
        assert_eq!(compare(&keyless, &stored, OnConflict::Replace), None);
        stored.insert(
            "attestation".into(),
            json!({"type": "tpm", "tpm": {"endorsementKey": "e"}}),
        );
        assert_eq!(
            compare(&keyless, &stored, OnConflict::Replace),
            Some(Outcome::Failed("no key".into()))
        );
    }
}
