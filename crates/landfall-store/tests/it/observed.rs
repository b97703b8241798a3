//! What an observer of the store is told: every request and its answer, every group and how it ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use landfall_core::conformance::Samples;
use landfall_core::id::IdScope;
use landfall_core::store::{Change, CommitError, Expect, Store, Write};
use landfall_hub::store::HubWrite;
use landfall_store::{Again, Observer};

use crate::fixture::{Drawn, Folder, with_service};

/// Keeps what it is told.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    asked: AtomicUsize,
    answered: AtomicUsize,
    grouped: AtomicUsize,
    begun: AtomicUsize,
    ended: AtomicUsize,
    committed: AtomicUsize,
    collided: AtomicUsize,
    lost: AtomicUsize,
    given_up: AtomicUsize,
    unread: AtomicUsize,
}

impl Recorder {
    /// How many groups were tried again since another server had come in between.
    pub(crate) fn collisions(&self) -> usize {
        value(&self.collided)
    }
}

fn add(to: &AtomicUsize, more: usize) {
    to.fetch_add(more, Ordering::SeqCst);
}

fn value(of: &AtomicUsize) -> usize {
    of.load(Ordering::SeqCst)
}

impl Observer for Recorder {
    fn asked(&self) {
        add(&self.asked, 1);
    }

    fn answered(&self, requests: usize) {
        add(&self.answered, requests);
    }

    fn begins(&self, requests: usize) {
        add(&self.begun, 1);
        add(&self.grouped, requests);
    }

    fn ends(&self) {
        add(&self.ended, 1);
    }

    fn committed(&self) {
        add(&self.committed, 1);
    }

    fn tries_again(&self, why: Again) {
        match why {
            Again::Collided => add(&self.collided, 1),
            Again::Lost => add(&self.lost, 1),
        }
    }

    fn gave_up(&self, requests: usize) {
        add(&self.given_up, requests);
    }

    fn unread(&self) {
        add(&self.unread, 1);
    }
}

impl Recorder {
    /// How often a group was tried again since the connection was lost.
    pub(crate) fn lost(&self) -> usize {
        value(&self.lost)
    }

    /// Every request was answered, and every group ended.
    fn is_settled(&self) -> bool {
        value(&self.asked) == value(&self.answered) && value(&self.begun) == value(&self.ended)
    }
}

fn put(scope: &IdScope, n: usize) -> Change<HubWrite> {
    let registration = Samples::new(&Drawn).registration(&format!("dev-{n}"), None);
    Change::of(Write::PutRegistration(
        scope.clone(),
        Box::new(registration),
        Expect::Absent,
    ))
}

#[tokio::test]
async fn every_request_and_every_commit_is_told() {
    let folder = Folder::new();
    let store = folder.open();
    let scope = with_service(&store).await;
    let before = store.commits();
    let recorder = Arc::new(Recorder::default());
    store.observe(Arc::clone(&recorder) as Arc<dyn Observer>);
    // The first stays.
    store.observe(Arc::new(Recorder::default()));
    let changes = (0..300).map(|n| put(&scope, n)).collect();
    assert_eq!(store.commit(changes).await, vec![Ok(()); 300]);
    store.close().await;
    assert!(recorder.is_settled(), "{recorder:?}");
    assert_eq!(value(&recorder.asked), 300);
    assert_eq!(value(&recorder.grouped), 300);
    let commits = usize::try_from(store.commits() - before).expect("a number");
    assert_eq!(value(&recorder.committed), commits);
    assert_eq!(value(&recorder.begun), commits);
    assert_eq!(value(&recorder.given_up), 0);

    // What comes after the end has its answer too.
    let refused = store.commit(vec![put(&scope, 301)]).await;
    assert!(matches!(refused[..], [Err(CommitError::Unavailable(_))]));
    assert!(recorder.is_settled(), "{recorder:?}");
    assert_eq!(value(&recorder.grouped), 300);
}

#[tokio::test]
async fn what_is_given_up_and_what_cannot_be_read_is_told() {
    let folder = Folder::new();
    let store = folder.open();
    let scope = with_service(&store).await;
    let recorder = Arc::new(Recorder::default());
    store.observe(Arc::clone(&recorder) as Arc<dyn Observer>);
    let other = rusqlite::Connection::open(folder.database()).expect("opens");
    other
        .execute_batch("ALTER TABLE registrations RENAME TO elsewhere")
        .expect("renamed");
    let answers = store.commit(vec![put(&scope, 1), put(&scope, 2)]).await;
    assert!(answers.iter().all(Result::is_err), "{answers:?}");
    let sample = Samples::new(&Drawn).registration("dev-1", None);
    let read = store.registration(&scope, &sample.registration_id).await;
    assert!(read.is_err(), "{read:?}");
    let in_force = store.in_force(&scope, &sample.registration_id, None).await;
    assert!(in_force.is_err(), "{in_force:?}");
    store.close().await;
    assert!(recorder.is_settled(), "{recorder:?}");
    assert_eq!(value(&recorder.unread), 2);
    assert_eq!(value(&recorder.given_up), 2, "{recorder:?}");
}
