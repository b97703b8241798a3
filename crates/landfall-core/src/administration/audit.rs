//! Pages of the audit trail. A search by what no index knows looks at a bounded number of entries, and
//! may give fewer than were asked for, with the place where the next page begins.

use crate::audit::{Position, Search};
use crate::store::{Kept, ReadError, Store};

/// A page of the audit trail.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditPage<H> {
    /// Entries and where they stand, newest first.
    pub entries: Vec<Kept<H>>,
    /// Where the next page begins; none when nothing older can be found.
    pub next: Option<Position>,
}

/// Gives a page of what `search` finds, for which at most `most` entries are looked at.
///
/// # Errors
/// [`ReadError`] when the store cannot be read.
pub async fn audit_page<S: Store>(
    store: &S,
    search: &Search,
    most: usize,
) -> Result<AuditPage<S::HubRecord>, ReadError> {
    let last = match search.walk() {
        None => None,
        Some(walk) => {
            let walk = Search {
                skip: most.saturating_sub(1),
                limit: 1,
                ..walk
            };
            let last = store.audit(&walk).await?.pop();
            last.map(|(position, _)| position)
        }
    };
    let bounded = Search {
        down_to: last,
        ..search.clone()
    };
    let entries = store.audit(&bounded).await?;
    let next = if entries.len() < search.limit {
        last
    } else {
        entries.last().map(|(position, _)| *position)
    };
    Ok(AuditPage { entries, next })
}
