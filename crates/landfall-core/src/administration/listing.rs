//! Queries: a page of records that meet a filter, by a scan of bounded length.

use super::Administration;
use super::attestation::Audience;
use super::enrollments::Enrollment;
use crate::document::Json;
use crate::error::Error;
use crate::id::{EnrollmentGroupId, RegistrationId};
use crate::query::{Filter, Operand, Page, Path};
use crate::registration::Registration;
use crate::store::{Selection, Store, into_page};

/// How many records one call looks at. A page may come back short, with a continuation.
const MOST_LOOKED_AT: usize = 5_000;

/// How many records are read at a time while a filter is at work.
const BATCH: usize = 250;

/// What a query asks.
#[derive(Debug, Clone, PartialEq)]
pub struct Listing {
    /// Which records.
    pub filter: Filter,
    /// Those whose key is greater than this one.
    pub after: Option<String>,
    /// At most this many; at least one.
    pub limit: usize,
}

impl<S: Store> Administration<'_, S> {
    /// Gives a page of enrollments as `render` shows them. The filter is held against what
    /// `render` gives, so that a query sees what the API shows.
    ///
    /// Source: docs/protocol/service-api.md §4.2 [C, I].
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the store cannot be read.
    pub async fn list<E: Enrollment>(
        &self,
        listing: &Listing,
        render: impl Fn(&E, Option<&Registration>) -> Json + Send + Sync,
    ) -> Result<Page<Json>, Error> {
        let limit = listing.limit.max(1);
        let batch = match listing.filter {
            Filter::Always => limit + 1,
            Filter::And(..)
            | Filter::Or(..)
            | Filter::Not(_)
            | Filter::Compare(..)
            | Filter::In(..)
            | Filter::Is(..)
            | Filter::Text(..) => BATCH,
        };
        let state_first = reads_member(&listing.filter, "registrationState");
        let mut selection = Selection {
            terms: listing.filter.indexed_terms(),
            after: listing.after.clone(),
            limit: batch,
        };
        let mut found: Vec<(String, Json)> = Vec::new();
        let mut looked_at = 0;
        loop {
            let records = E::listed(self.store, self.scope(), &selection).await?;
            let last_batch = records.len() < batch;
            for record in records {
                let key = E::key(record.id()).to_owned();
                looked_at += 1;
                selection.after = Some(key.clone());
                let mut row = if state_first {
                    let state = self.state_of(&record).await?;
                    render(&record, state.as_ref())
                } else {
                    render(&record, None)
                };
                if !listing.filter.matches(&row) {
                    continue;
                }
                if found.len() == limit {
                    // One more than asked for: it begins the next page.
                    let continuation = found.last().map(|(key, _)| key.clone());
                    return Ok(page(found, continuation));
                }
                if !state_first && let Some(state) = self.state_of(&record).await? {
                    row = render(&record, Some(&state));
                }
                found.push((key, row));
            }
            if last_batch {
                return Ok(page(found, None));
            }
            if looked_at >= MOST_LOOKED_AT {
                return Ok(page(found, selection.after));
            }
        }
    }

    /// The registration that an individual enrollment's record shows; groups show none.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the store cannot be read.
    pub async fn state_of<E: Enrollment>(&self, record: &E) -> Result<Option<Registration>, Error> {
        match E::AUDIENCE {
            Audience::Group => Ok(None),
            Audience::Individual => match RegistrationId::parse(E::key(record.id())) {
                Ok(id) => Ok(self.store.registration(self.scope(), &id).await?),
                Err(_) => Ok(None),
            },
        }
    }

    /// Gives a page of the registrations that came through a group.
    ///
    /// Source: docs/protocol/service-api.md §4.4 [S, I].
    ///
    /// # Errors
    /// [`Error::OtherNotFound`] when there is no such group.
    pub async fn registrations_of_group(
        &self,
        group: &EnrollmentGroupId,
        after: Option<String>,
        limit: usize,
    ) -> Result<Page<Registration>, Error> {
        self.enrollment::<crate::enrollment::EnrollmentGroup>(group)
            .await?;
        let limit = limit.max(1);
        let selection = Selection {
            terms: Vec::new(),
            after,
            limit: limit + 1,
        };
        let registrations = self
            .store
            .registrations_of_group(self.scope(), group, &selection)
            .await?;
        Ok(into_page(registrations, limit, |registration| {
            registration.registration_id.key().to_owned()
        }))
    }
}

fn page(found: Vec<(String, Json)>, continuation: Option<String>) -> Page<Json> {
    Page {
        items: found.into_iter().map(|(_, row)| row).collect(),
        continuation,
    }
}

/// True when a filter looks at a member of the record, or at anything below it.
fn reads_member(filter: &Filter, member: &str) -> bool {
    match filter {
        Filter::Always => false,
        Filter::And(a, b) | Filter::Or(a, b) => reads_member(a, member) || reads_member(b, member),
        Filter::Not(inner) => reads_member(inner, member),
        Filter::Compare(a, _, b) | Filter::Text(_, a, b) => holds(a, member) || holds(b, member),
        Filter::In(a, _, _) => holds(a, member),
        Filter::Is(_, path) => leads_to(path, member),
    }
}

fn holds(operand: &Operand, member: &str) -> bool {
    match operand {
        Operand::Path(path) => leads_to(path, member),
        Operand::Literal(_) => false,
        Operand::Arithmetic(a, _, b) => holds(a, member) || holds(b, member),
        Operand::AsNumber(inner) => holds(inner, member),
    }
}

fn leads_to(path: &Path, member: &str) -> bool {
    path.0
        .first()
        .is_some_and(|name| name.eq_ignore_ascii_case(member))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::{Comparison, Literal};

    #[test]
    fn a_filter_on_the_registration_state_is_seen_wherever_it_stands() {
        let compare = |member: &str| {
            Filter::Compare(
                Operand::Path(Path(vec![member.to_owned(), "status".to_owned()])),
                Comparison::Equal,
                Operand::Literal(Literal::Text("assigned".to_owned())),
            )
        };
        let nested = Filter::Not(Box::new(Filter::Or(
            Box::new(compare("attestation")),
            Box::new(compare("registrationState")),
        )));
        assert!(reads_member(&nested, "registrationState"));
        assert!(!reads_member(&compare("attestation"), "registrationState"));
        assert!(!reads_member(&Filter::Always, "registrationState"));
    }
}
