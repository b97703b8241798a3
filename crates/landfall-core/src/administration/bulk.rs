//! Bulk: up to ten enrollments in one call, each done or refused on its own.

use super::enrollments::{Enrollment, EnrollmentRequest};
use super::{Administration, Condition, refused};
use crate::error::Error;
use crate::id::Etag;
use crate::store::{CommitError, Store};

/// How many items one call may hold.
///
/// Source: docs/protocol/service-api.md §4.1 [S].
pub const MOST_ITEMS: usize = 10;

/// What is done with every item of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BulkMode {
    /// Make it; refused when there is one.
    Create,
    /// Replace it, in whatever state it is.
    Update,
    /// Replace it, if it is in the state that the item names.
    UpdateIfMatchEtag,
    /// Remove it; if it is in the state that the item names, when it names one.
    Delete,
}

/// One item of a call.
#[derive(Debug, Clone, PartialEq)]
pub struct BulkItem<E: Enrollment> {
    /// Its id as it was sent, by which the result names it.
    pub id: String,
    /// What it asks, or why it cannot be read.
    pub content: Result<BulkContent<E>, Error>,
}

/// What an item asks.
#[derive(Debug, Clone, PartialEq)]
pub enum BulkContent<E: Enrollment> {
    /// Make or replace this enrollment.
    Put(Box<EnrollmentRequest<E>>),
    /// Remove the enrollment with this id.
    Delete(E::Id, Option<Etag>),
}

/// An item that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BulkRefusal {
    /// Its id as it was sent.
    pub id: String,
    /// Why.
    pub error: Error,
}

impl<S: Store> Administration<'_, S> {
    /// Carries out a bulk call and gives the items that were refused. All items that pass their
    /// checks share one durable commit.
    ///
    /// Source: docs/protocol/service-api.md §4.1 [S, I].
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is no item, or too many; then nothing is done.
    pub async fn bulk<E: Enrollment>(
        &self,
        mode: BulkMode,
        items: Vec<BulkItem<E>>,
    ) -> Result<Vec<BulkRefusal>, Error> {
        if items.is_empty() || items.len() > MOST_ITEMS {
            return Err(Error::Invalid(format!(
                "A bulk operation takes 1 to {MOST_ITEMS} items, not {}.",
                items.len()
            )));
        }
        // Whatever an item's change needs, it shares the call's audit entry.
        let each = Administration {
            author: self.author.of_bulk(),
            ..*self
        };
        let mut errors: Vec<Option<Error>> = Vec::with_capacity(items.len());
        let mut changes = Vec::new();
        let mut changing = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let change = match &item.content {
                Ok(content) => self.change(mode, content).await,
                Err(error) => Err(error.clone()),
            };
            errors.push(change.as_ref().err().cloned());
            if let Ok(change) = change {
                changes.push(change.by(each.author.clone()));
                changing.push(index);
            }
        }

        let outcomes = if changes.is_empty() {
            Vec::new()
        } else {
            self.store.commit(changes).await
        };
        for (position, index) in changing.into_iter().enumerate() {
            let outcome = outcomes
                .get(position)
                .cloned()
                .unwrap_or_else(|| Err(CommitError::Unavailable("no answer".to_owned())));
            let (Err(error), Some(item)) = (outcome, items.get(index)) else {
                continue;
            };
            if let (Ok(content), Some(slot)) = (&item.content, errors.get_mut(index)) {
                *slot = each.second_try(mode, content, error).await.err();
            }
        }

        Ok(items
            .into_iter()
            .zip(errors)
            .filter_map(|(item, error)| {
                Some(BulkRefusal {
                    id: item.id,
                    error: error?,
                })
            })
            .collect())
    }

    async fn change<E: Enrollment>(
        &self,
        mode: BulkMode,
        content: &BulkContent<E>,
    ) -> Result<crate::store::Change<S::HubWrite>, Error> {
        match content {
            BulkContent::Put(request) => {
                let (request, condition) = stated(mode, request)?;
                let gone = || E::absent(&request.id);
                let prepared = self.prepare(&request, &condition, &gone).await?;
                Ok(prepared.change)
            }
            BulkContent::Delete(id, etag) => {
                let condition = etag.clone().map_or(Condition::Present, Condition::Etag);
                Ok(self.deletion::<E>(id, &condition))
            }
        }
    }

    /// Says why an item's change did not happen; an update that another write overtook is tried
    /// again on its own.
    async fn second_try<E: Enrollment>(
        &self,
        mode: BulkMode,
        content: &BulkContent<E>,
        error: CommitError,
    ) -> Result<(), Error> {
        match content {
            BulkContent::Put(request) => {
                let (request, condition) = stated(mode, request)?;
                let gone = || E::absent(&request.id);
                if condition == Condition::Present && matches!(error, CommitError::Changed(_)) {
                    return self.put_or(&request, &condition, &gone).await.map(|_| ());
                }
                let replaces = condition != Condition::Unstated;
                Err(self.put_refused(&request, error, replaces, &gone).await?)
            }
            BulkContent::Delete(id, _) => Err(refused(error, &E::spoken(id), E::absent(id))),
        }
    }
}

/// An item's request and condition under a mode. Only one mode looks at the item's etag.
fn stated<E: Enrollment>(
    mode: BulkMode,
    request: &EnrollmentRequest<E>,
) -> Result<(EnrollmentRequest<E>, Condition), Error> {
    let mut request = request.clone();
    let etag = request.etag.take();
    let condition = match mode {
        BulkMode::Create => Condition::Unstated,
        BulkMode::Update => Condition::Present,
        BulkMode::UpdateIfMatchEtag => Condition::Etag(etag.ok_or_else(|| {
            Error::Invalid("An etag is required in mode 'updateIfMatchETag'.".to_owned())
        })?),
        // Deletions are never parsed into a put.
        BulkMode::Delete => Condition::Present,
    };
    Ok((request, condition))
}
