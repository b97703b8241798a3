//! A query answered over the store: records read in key order, in batches, each held against the
//! condition. A page looks at a bounded number of records, so it may come back short, even empty,
//! with a continuation; only an aggregate reads all of them in one call.

use std::sync::Arc;

use landfall_core::document::Json;
use landfall_core::id::HubHostName;
use landfall_core::query::{Filter, IndexedTerm, Page};
use landfall_core::store::ReadError;

use super::groups::Groups;
use super::{Aggregate, Answer, Expression, Position, Query, QueryError, Source};
use crate::device::{Device, Module};
use crate::store::{HubSelection, HubStore};

/// Rows on a page when the caller does not say.
///
/// Source: docs/protocol/hub-api.md §1.8 [I].
pub const DEFAULT_PAGE: usize = 100;

/// Most rows on a page, whatever the caller says.
///
/// Source: docs/protocol/hub-api.md §1.8 [D].
pub const LARGEST_PAGE: usize = 1000;

/// Most records that one page looks at.
const LOOKED_AT_MOST: usize = 10_000;

/// Records read at once where the condition has to be held against each.
const BATCH: usize = 500;

/// How records are shown: the documents that conditions and columns look into.
pub struct Rendering<'a> {
    /// The twin document of a device.
    pub device: &'a (dyn Fn(&Device) -> Json + Send + Sync),
    /// The twin document of a module, with the device it belongs to.
    pub module: &'a (dyn Fn(Option<&Device>, &Module) -> Json + Send + Sync),
}

/// Which page of an answer is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    /// Rows at most; 0 asks for [`DEFAULT_PAGE`], more than [`LARGEST_PAGE`] for that.
    pub size: usize,
    /// Where it begins; the first page when `None`.
    pub from: Option<Position>,
}

/// Gives one page of a query's answer. The page's continuation is a [`Position`] token.
///
/// An aggregate ([`Query::is_aggregate`]) reads every record: the caller runs one at a time.
///
/// # Errors
/// [`QueryError::Continuation`] when the page begins at a position of another kind of query;
/// [`QueryError::TooManyGroups`]; [`QueryError::Store`] when the store cannot be read.
pub async fn answer<S: HubStore>(
    store: &S,
    hub: &HubHostName,
    query: &Query,
    rendering: &Rendering<'_>,
    page: &PageRequest,
) -> Result<Page<Json>, QueryError> {
    let size = match page.size {
        0 => DEFAULT_PAGE,
        size => size.min(LARGEST_PAGE),
    };
    let mut scan = Scan {
        store,
        hub,
        source: query.source,
        rendering,
        terms: terms(query),
        after: None,
        owner: None,
    };
    match (&query.answer, &page.from) {
        (Answer::Groups(..), None) => grouped(&mut scan, query, size, 0).await,
        (Answer::Groups(..), Some(Position::Group { given })) => {
            grouped(&mut scan, query, size, *given).await
        }
        (Answer::Twins | Answer::Values(_), None) => listed(&mut scan, query, size, 0).await,
        (Answer::Twins | Answer::Values(_), Some(Position::Record { after, given })) => {
            scan.after = Some(after.clone());
            listed(&mut scan, query, size, *given).await
        }
        _ => Err(QueryError::Continuation),
    }
}

/// The terms that the store may use. A module shows some facts of its device, which no index over
/// modules knows.
fn terms(query: &Query) -> Vec<IndexedTerm> {
    let mut terms = query.filter.indexed_terms();
    if query.source == Source::Modules {
        terms.retain(|term| {
            matches!(
                term.path.0.first().map(String::as_str),
                Some("deviceId" | "moduleId" | "tags")
            )
        });
    }
    terms
}

async fn listed<S: HubStore>(
    scan: &mut Scan<'_, S>,
    query: &Query,
    size: usize,
    given: u64,
) -> Result<Page<Json>, QueryError> {
    let left = query.top.map_or(u64::MAX, |top| top.saturating_sub(given));
    let wanted = size.min(usize::try_from(left).unwrap_or(usize::MAX));
    let mut items = Vec::new();
    let mut looked_at = 0;
    // The last record that need not be looked at again.
    let mut done = scan.after.clone();
    let page = |items: Vec<Json>, more: Option<(String, String)>| {
        let given = given.saturating_add(items.len() as u64);
        let continuation = more.map(|after| Position::Record { after, given }.to_token());
        Ok(Page {
            items,
            continuation,
        })
    };
    loop {
        if items.len() as u64 >= left {
            return page(items, None);
        }
        let limit = match query.filter {
            Filter::Always => wanted - items.len() + 1,
            _ => BATCH.min(LOOKED_AT_MOST - looked_at),
        };
        let batch = scan.next(limit).await?;
        let ended = batch.len() < limit;
        for (key, record) in batch {
            looked_at += 1;
            if query.filter.matches(&record) {
                if items.len() == wanted {
                    let more = if wanted as u64 == left { None } else { done };
                    return page(items, more);
                }
                items.push(query.row(record));
            }
            done = Some(key);
        }
        if ended {
            return page(items, None);
        }
        if looked_at >= LOOKED_AT_MOST {
            return page(items, done);
        }
    }
}

async fn grouped<S: HubStore>(
    scan: &mut Scan<'_, S>,
    query: &Query,
    size: usize,
    given: u64,
) -> Result<Page<Json>, QueryError> {
    let Answer::Groups(by, columns) = &query.answer else {
        return Err(QueryError::Continuation);
    };
    let rows: Vec<Json> = match all_devices_counted(scan, query).await? {
        Some(row) => vec![row],
        None => {
            let mut groups = Groups::new(by, columns);
            loop {
                let batch = scan.next(BATCH).await?;
                let ended = batch.len() < BATCH;
                for (_, record) in batch {
                    if query.filter.matches(&record) {
                        groups.add(&record)?;
                    }
                }
                if ended {
                    break groups.into_rows().collect();
                }
            }
        }
    };
    let clamp = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    let last = rows.len().min(query.top.map_or(usize::MAX, clamp));
    let items: Vec<Json> = rows
        .into_iter()
        .take(last)
        .skip(clamp(given))
        .take(size)
        .collect();
    let given = given.saturating_add(items.len() as u64);
    let continuation =
        (clamp(given) < last && !items.is_empty()).then(|| Position::Group { given }.to_token());
    Ok(Page {
        items,
        continuation,
    })
}

/// `SELECT COUNT() FROM devices`: the store knows the number without looking at a device.
async fn all_devices_counted<S: HubStore>(
    scan: &Scan<'_, S>,
    query: &Query,
) -> Result<Option<Json>, ReadError> {
    let Answer::Groups(by, columns) = &query.answer else {
        return Ok(None);
    };
    let [(name, Expression::Aggregate(Aggregate::Count(None)))] = columns.as_slice() else {
        return Ok(None);
    };
    if !by.is_empty() || query.filter != Filter::Always || query.source != Source::Devices {
        return Ok(None);
    }
    let counts = scan.store.device_counts(scan.hub).await?;
    let row = [(name.clone(), Json::from(counts.total))];
    Ok(Some(Json::Object(row.into_iter().collect())))
}

/// A record's key, and the document that shows it.
type Shown = ((String, String), Json);

/// A walk over the records of a hub, in key order.
struct Scan<'a, S> {
    store: &'a S,
    hub: &'a HubHostName,
    source: Source,
    rendering: &'a Rendering<'a>,
    terms: Vec<IndexedTerm>,
    after: Option<(String, String)>,
    /// The device whose modules were shown last: the next module is often of the same.
    owner: Option<Arc<Device>>,
}

impl<S: HubStore> Scan<'_, S> {
    /// The next records; fewer than `limit` when there are no more.
    async fn next(&mut self, limit: usize) -> Result<Vec<Shown>, ReadError> {
        let selection = HubSelection {
            terms: self.terms.clone(),
            after: self.after.clone(),
            limit,
        };
        let shown: Vec<Shown> = match self.source {
            Source::Devices => {
                let devices = self.store.devices(self.hub, &selection).await?;
                devices
                    .iter()
                    .map(|device| {
                        let key = (device.id.as_str().to_owned(), String::new());
                        (key, (self.rendering.device)(device))
                    })
                    .collect()
            }
            Source::Modules => {
                let modules = self.store.modules(self.hub, &selection).await?;
                let mut shown = Vec::with_capacity(modules.len());
                for module in &modules {
                    let owner = self.owner_of(module).await?;
                    let key = (
                        module.device_id.as_str().to_owned(),
                        module.id.as_str().to_owned(),
                    );
                    shown.push((key, (self.rendering.module)(owner.as_deref(), module)));
                }
                shown
            }
        };
        if let Some((key, _)) = shown.last() {
            self.after = Some(key.clone());
        }
        Ok(shown)
    }

    async fn owner_of(&mut self, module: &Module) -> Result<Option<Arc<Device>>, ReadError> {
        let known = self.owner.as_ref().filter(|d| d.id == module.device_id);
        if let Some(device) = known {
            return Ok(Some(Arc::clone(device)));
        }
        let device = self.store.device(self.hub, &module.device_id).await?;
        self.owner = device.map(Arc::new);
        Ok(self.owner.clone())
    }
}
