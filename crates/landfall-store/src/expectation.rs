//! What a write expects of the record it replaces, held against what is there.

use landfall_core::store::{CommitError, Expect};
use landfall_hub::store::HubExpect;

use crate::dialect::Fault;

/// Holds an expectation against the etag that is there, if any. `what` names the record.
pub(crate) fn meets(
    expect: &Expect,
    there: Option<&str>,
    what: impl FnOnce() -> String,
) -> Result<(), Fault> {
    let refusal: fn(String) -> CommitError = match (expect, there) {
        (Expect::Anything, _) | (Expect::Absent, None) | (Expect::Present, Some(_)) => {
            return Ok(());
        }
        (Expect::Etag(wanted), Some(etag)) if wanted.as_str() == etag => return Ok(()),
        (Expect::Absent, Some(_)) => CommitError::Exists,
        (Expect::Present | Expect::Etag(_), None) => CommitError::Absent,
        (Expect::Etag(_), Some(_)) => CommitError::Changed,
    };
    Err(Fault::Refused(refusal(what())))
}

/// Holds a hub write's expectation against the revision that is there, if any.
pub(crate) fn meets_revision(
    expect: HubExpect,
    there: Option<i64>,
    what: impl FnOnce() -> String,
) -> Result<(), Fault> {
    let refusal: fn(String) -> CommitError = match (expect, there) {
        (HubExpect::Anything, _) | (HubExpect::Absent, None) => return Ok(()),
        (HubExpect::Revision(wanted), Some(revision)) if wanted == revision => return Ok(()),
        (HubExpect::Absent, Some(_)) => CommitError::Exists,
        (HubExpect::Revision(_), None) => CommitError::Absent,
        (HubExpect::Revision(_), Some(_)) => CommitError::Changed,
    };
    Err(Fault::Refused(refusal(what())))
}
