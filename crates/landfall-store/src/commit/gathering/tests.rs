//! Which requests share a commit, by a real writer on this thread: others ask while it commits or rests,
//! at moments that the test sets.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender as Asking};
use std::sync::{Arc, Mutex};

use landfall_core::clock::{Entropy, Timestamp};
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::super::{Connection, Writer};
use super::*;
use crate::dialect::{Durability, Source};
use crate::migrate;
use crate::observer::{Again, Observed, Observer};
use crate::secret::{Sealer, SealingKey};

/// Draws the same at all times.
struct Fixed;

impl Entropy for Fixed {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(7);
    }
}

fn now() -> Timestamp {
    Timestamp::from_unix_seconds(1_800_000_000)
}

fn ask(requests: &Asking<Request>) {
    let (answer, _) = oneshot::channel();
    let sent = requests.send(Request::Ready(now(), answer));
    sent.expect("the writer takes requests");
}

/// Notes how many requests each group has; while one is carried out, the next ask.
struct Groups {
    seen: Mutex<Vec<usize>>,
    /// How many ask during the first group, the second and so on; behind them the end.
    during: Vec<usize>,
    requests: Asking<Request>,
}

impl Observer for Groups {
    fn begins(&self, requests: usize) {
        let mut seen = self.seen.lock().expect("whole");
        match self.during.get(seen.len()) {
            Some(many) => (0..*many).for_each(|_| ask(&self.requests)),
            None => {
                let (answer, _) = oneshot::channel();
                let sent = self.requests.send(Request::Close(answer));
                sent.expect("the writer takes requests");
            }
        }
        seen.push(requests);
    }
    fn asked(&self) {}
    fn answered(&self, _: usize) {}
    fn ends(&self) {}
    fn committed(&self) {}
    fn tries_again(&self, _: Again) {}
    fn gave_up(&self, _: usize) {}
    fn unread(&self) {}
}

/// How many requests each group of a writer had, and how often it rested. `at_first` ask before it begins,
/// `during` while it carries out one group after the other, and in each rest whom `resting` names by the
/// number of rests so far.
fn groups(
    at_first: usize,
    during: &[usize],
    resting: impl Fn(usize) -> usize + Send + 'static,
) -> (Vec<usize>, usize) {
    let folder = TempDir::new().expect("a folder");
    let source = Source::Sqlite(folder.path().join("landfall.db"), Durability::Disk);
    let session = source.writing("writer").expect("opens");
    let migrated = migrate::migrate(&session, now(), || Ok(()));
    assert!(migrated.is_ok(), "the schema is made");
    let key = SealingKey::from_bytes(&[42; 32]).expect("32 bytes");
    let sealer = Arc::new(Sealer::new(&key, Arc::new(Fixed)).expect("a sealer"));
    let connection = Connection::new(source, "writer".to_owned(), None, session);
    let observed = Observed::default();
    let mut writer = Writer::new(connection, sealer, Arc::default(), observed.clone());

    let (requests, queue) = mpsc::channel();
    (0..at_first).for_each(|_| ask(&requests));
    let rests = Arc::new(AtomicUsize::new(0));
    let (counted, asking) = (Arc::clone(&rests), requests.clone());
    writer.gathering = Gathering::new(Box::new(move |_| {
        let rest = counted.fetch_add(1, Ordering::SeqCst);
        (0..resting(rest)).for_each(|_| ask(&asking));
    }));
    let groups = Arc::new(Groups {
        seen: Mutex::default(),
        during: during.to_vec(),
        requests,
    });
    observed.by(Arc::clone(&groups) as Arc<dyn Observer>);
    writer.run(&queue);
    let seen = groups.seen.lock().expect("whole").clone();
    (seen, rests.load(Ordering::SeqCst))
}

#[test]
fn who_comes_while_the_writer_rests_shares_the_commit() {
    // After four at once, one asks; another in each of two rests, and none in the third.
    let (seen, rests) = groups(COMPANY, &[1], |rest| usize::from(rest < 2));
    assert_eq!(seen, [COMPANY, 3]);
    assert_eq!(rests, 3);
}

#[test]
fn the_writer_rests_no_more_than_so_often_for_one_commit() {
    let often = usize::try_from(WAITS).expect("a number");
    let (seen, rests) = groups(COMPANY, &[1], move |rest| usize::from(rest < often));
    assert_eq!(seen, [COMPANY, 1 + often]);
    assert_eq!(rests, often);
}

#[test]
fn who_asks_alone_or_almost_alone_never_waits() {
    let (seen, rests) = groups(1, &[1, COMPANY - 1, 1], |_| 1);
    assert_eq!(seen, [1, 1, COMPANY - 1, 1]);
    assert_eq!(rests, 0);
}

#[test]
fn those_who_are_queued_share_commits_that_are_full_without_a_rest() {
    let (seen, rests) = groups(2 * MOST, &[0, MOST], |_| 0);
    assert_eq!(seen, [MOST, MOST, MOST]);
    assert_eq!(rests, 0);
}
