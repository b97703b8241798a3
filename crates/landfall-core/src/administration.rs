//! What operators do: create, update, delete, bulk and query of enrollments, registrations and CA
//! certificates; a service's settings and its shared access policies. The service API, the command line and later the portal share it.
//!
//! The only part of this crate that awaits, and it awaits nothing but the [`Store`] port. Bodies
//! were parsed into requests before they come here; rights were checked. What is decided here:
//! every rule that needs to know the service, the record as it stands, or another record.

pub mod attestation;
pub mod audit;
pub mod bulk;
pub mod certificates;
pub mod enrollments;
pub mod import;
pub mod listing;
pub mod policies;
pub mod registrations;
pub mod services;
pub mod terms;

use std::time::Duration;

use crate::audit::Author;
use crate::clock::{Entropy, Timestamp};
use crate::error::Error;
use crate::id::{Etag, IdScope};
use crate::service::ProvisioningService;
use crate::store::{Change, CommitError, ReadError, Store};

/// How long a caller is asked to wait when the store cannot answer.
const STORE_WAIT: Duration = Duration::from_secs(1);

/// One operator's request at work: the service it is for, and all that it may ask.
pub struct Administration<'a, S> {
    /// Where everything is kept.
    pub store: &'a S,
    /// The provisioning service.
    pub service: &'a ProvisioningService,
    /// The time of the request.
    pub now: Timestamp,
    /// Where keys, codes and etags come from.
    pub entropy: &'a dyn Entropy,
    /// Who asks, and answers for what changes.
    pub author: Author,
}

/// What a request expects of the record it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Nothing is said. A put then makes a record and does not replace one, unless its body holds
    /// the etag of the record it means to replace.
    Unstated,
    /// There is one, in whatever state.
    Present,
    /// There is one, in this state.
    Etag(Etag),
}

impl Condition {
    /// Reads the value of an `If-Match` header. `*` may come quoted.
    ///
    /// Source: docs/protocol/service-api.md §5 [S].
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is no etag.
    pub fn parse(if_match: Option<&str>) -> Result<Self, Error> {
        match if_match.map(str::trim).filter(|text| !text.is_empty()) {
            None => Ok(Condition::Unstated),
            Some("*" | "\"*\"") => Ok(Condition::Present),
            Some(text) => Etag::from_wire(text)
                .map(Condition::Etag)
                .ok_or_else(|| Error::Invalid("The If-Match header is not an etag.".to_owned())),
        }
    }
}

impl Condition {
    /// Demands that something is said.
    ///
    /// # Errors
    /// [`Error::Invalid`] when nothing is.
    pub fn required(&self) -> Result<(), Error> {
        match self {
            Condition::Unstated => {
                Err(Error::Invalid("An If-Match header is required.".to_owned()))
            }
            Condition::Present | Condition::Etag(_) => Ok(()),
        }
    }
}

impl<S: Store> Administration<'_, S> {
    fn scope(&self) -> &IdScope {
        &self.service.id_scope
    }

    /// Commits one change of the author's, and says why when it did not happen.
    async fn commit(&self, change: Change<S::HubWrite>) -> Result<(), CommitError> {
        self.store
            .commit(vec![change.by(self.author.clone())])
            .await
            .pop()
            .unwrap_or_else(|| Err(CommitError::Unavailable("no answer".to_owned())))
    }
}

impl From<ReadError> for Error {
    /// The cause is for the store's own log; a caller is told to come back.
    fn from(_: ReadError) -> Self {
        Error::Unavailable(STORE_WAIT)
    }
}

/// Puts a failed commit into the caller's words. `what` names the record; `absent` is the error of
/// a record that is not there.
fn refused(error: CommitError, what: &str, absent: Error) -> Error {
    match error {
        CommitError::Exists(_) => Error::Exists(what.to_owned()),
        CommitError::Absent(_) => absent,
        // No write of a provisioning service is refused as full.
        CommitError::Changed(_) | CommitError::Full(_) => {
            Error::PreconditionFailed(what.to_owned())
        }
        CommitError::Unavailable(_) => Error::Unavailable(STORE_WAIT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn if_match_is_read_in_every_form_that_clients_send() {
        let etag = |text| Etag::parse(text).expect("valid");
        for (sent, meant) in [
            (None, Condition::Unstated),
            (Some(""), Condition::Unstated),
            (Some("*"), Condition::Present),
            (Some("\"*\""), Condition::Present),
            (Some("IjEi"), Condition::Etag(etag("IjEi"))),
            (Some("\"IjEi\""), Condition::Etag(etag("IjEi"))),
            (Some("W/\"IjEi\""), Condition::Etag(etag("IjEi"))),
        ] {
            assert_eq!(Condition::parse(sent), Ok(meant), "{sent:?}");
        }
        assert!(Condition::parse(Some("two words")).is_err());
    }
}
