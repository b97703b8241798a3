//! The promise of the ports, as suites that any implementation runs in its own tests.
//!
//! [`store_suite`] holds a store to [`crate::store::Store`]: each case opens a fresh, empty store
//! and panics where the promise is broken. Nothing but tests calls this.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a suite speaks by panicking, as every test does"
)]

mod audits;
mod changes;
mod devices;
mod endings;
mod listings;
mod records;
mod trails;

pub use self::records::Samples;

use std::fmt::Debug;
use std::future::Future;

use crate::clock::Entropy;
use crate::store::{Change, CommitError, Store, Write};

/// Runs every case against stores that `open` gives, each fresh and empty.
///
/// # Panics
/// When the store breaks the promise; the message names the case by its line.
pub async fn store_suite<S, F, Opened>(open: F, entropy: &dyn Entropy)
where
    S: Store,
    F: Fn() -> Opened,
    Opened: Future<Output = S>,
{
    let samples = Samples::new(entropy);
    changes::what_is_put_is_read_back(&open().await, &samples).await;
    changes::expectations_are_held(&open().await, &samples).await;
    changes::expectations_on_enrollments_are_held(&open().await, &samples).await;
    changes::a_refused_change_leaves_nothing(&open().await, &samples).await;
    changes::changes_are_independent(&open().await, &samples).await;
    changes::guards_are_held(&open().await, &samples).await;
    changes::an_identity_belongs_to_one_enrollment(&open().await, &samples).await;
    changes::many_enrollments_are_made_each_on_its_own(&open().await, &samples).await;
    changes::a_certificate_has_one_name(&open().await, &samples).await;
    changes::records_belong_to_a_service(&open().await, &samples).await;
    changes::deletions_take_along_what_is_theirs(&open().await, &samples).await;
    endings::contents_are_counted_and_guard_the_end(&open().await, &samples).await;
    changes::services_never_see_each_other(&open().await, &samples).await;
    changes::trust_versions_grow(&open().await, &samples).await;
    listings::many_at_once_are_found_by_their_tags(&open().await, &samples).await;
    listings::pages_are_in_key_order(&open().await, &samples).await;
    listings::terms_lose_nothing_and_find_what_is_indexed(&open().await, &samples).await;
    listings::an_index_follows_its_record(&open().await, &samples).await;
    listings::groups_and_their_registrations_are_listed(&open().await, &samples).await;
    devices::what_is_in_force_is_what_each_read_gives(&open().await, &samples).await;
    devices::a_changed_service_is_in_force_at_once(&open().await, &samples).await;
    devices::a_registration_that_cannot_be_written_harms_no_other(&open().await, &samples).await;
    trails::operations_are_continued_oldest_first(&open().await, &samples).await;
    trails::only_finished_and_old_operations_are_purged(&open().await, &samples).await;
    trails::traces_stay_within_their_bounds(&open().await, &samples).await;
    trails::the_traces_of_a_removed_service_make_room(&open().await, &samples).await;
    trails::traces_are_found_by_device(&open().await, &samples).await;
    audits::a_change_is_kept_with_its_entry(&open().await, &samples).await;
    audits::what_is_refused_or_a_devices_has_no_entry(&open().await, &samples).await;
    audits::a_bulk_call_has_one_entry(&open().await, &samples).await;
    audits::a_service_and_its_policies_are_told_apart(&open().await, &samples).await;
    audits::searches::entries_are_found_by_every_term(&open().await, &samples).await;
    audits::searches::a_search_looks_at_so_many_entries_and_goes_on(&open().await, &samples).await;
    audits::old_entries_are_purged(&open().await, &samples).await;
    audits::long_documents_are_left_out(&open().await, &samples).await;
    open().await.ready().await.expect("a fresh store is ready");
}

/// Commits one write.
async fn write<S: Store>(store: &S, write: Write) -> Result<(), CommitError> {
    change(store, Change::of(write)).await
}

/// Commits one change.
async fn change<S: Store>(store: &S, change: Change<S::HubWrite>) -> Result<(), CommitError> {
    let mut answers = store.commit(vec![change]).await;
    assert_eq!(answers.len(), 1, "one answer for one change");
    answers.pop().expect("one answer")
}

/// Commits writes that must succeed.
async fn keep<S: Store>(store: &S, writes: Vec<Write>) {
    let answers = store
        .commit(writes.into_iter().map(Change::of).collect())
        .await;
    for answer in answers {
        answer.expect("a write without obstacle");
    }
}

#[track_caller]
fn refused_as_existing(answer: Result<(), CommitError>) {
    assert!(matches!(answer, Err(CommitError::Exists(_))), "{answer:?}");
}

#[track_caller]
fn refused_as_absent(answer: Result<(), CommitError>) {
    assert!(matches!(answer, Err(CommitError::Absent(_))), "{answer:?}");
}

#[track_caller]
fn refused_as_changed(answer: Result<(), CommitError>) {
    assert!(matches!(answer, Err(CommitError::Changed(_))), "{answer:?}");
}

#[track_caller]
fn read<T, E: Debug>(answer: Result<T, E>) -> T {
    match answer {
        Ok(value) => value,
        Err(error) => panic!("a read failed: {error:?}"),
    }
}
