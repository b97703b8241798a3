//! A store in a folder of its own, with a clock and randomness for tests.

#![expect(
    clippy::expect_used,
    reason = "a fixture that cannot be made ends the test"
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use landfall_core::audit::Author;
use landfall_core::clock::{Clock, Entropy, Timestamp};
use landfall_core::conformance::Samples;
use landfall_core::id::IdScope;
use landfall_core::store::{Change, CommitError, Expect, Store, Write};
use landfall_hub::store::HubWrite;
use landfall_store::secret::SealingKey;
use landfall_store::{OpenError, SqlStore};
use tempfile::TempDir;

/// Moves on by a second whenever it is asked.
#[derive(Default)]
pub(crate) struct Ticking(AtomicI64);

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        let tick = self.0.fetch_add(1, Ordering::Relaxed);
        Timestamp::from_unix_seconds(1_700_000_000 + tick)
    }
}

/// Draws from the machine.
pub(crate) struct Drawn;

impl Entropy for Drawn {
    #[expect(clippy::disallowed_methods, reason = "tests draw their own keys")]
    fn fill(&self, buffer: &mut [u8]) {
        aws_lc_rs::rand::fill(buffer).expect("randomness");
    }
}

pub(crate) fn sealing_key() -> SealingKey {
    SealingKey::from_bytes(&[42; 32]).expect("32 bytes")
}

pub(crate) fn open(path: &Path) -> Result<SqlStore, OpenError> {
    SqlStore::sqlite(
        path,
        sealing_key(),
        Arc::new(Ticking::default()),
        Arc::new(Drawn),
    )
}

pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Folder(TempDir::new().expect("a folder"))
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.0.path().join("landfall.db")
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn open(&self) -> SqlStore {
        open(&self.database()).expect("opens")
    }
}

/// Everything that stands in the folder's files, write-ahead log included.
pub(crate) fn bytes_in(folder: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        bytes.extend(std::fs::read(path).expect("a file"));
    }
    bytes
}

/// Commits one change of provisioning records.
pub(crate) async fn write(store: &SqlStore, write: Write) -> Result<(), CommitError> {
    only(store.commit(vec![Change::of(write)]).await)
}

/// Commits one change of hub records.
pub(crate) async fn hub_write(store: &SqlStore, write: HubWrite) -> Result<(), CommitError> {
    only(store.commit(vec![Change::of_hub(vec![write])]).await)
}

/// Commits one change that an operator answers for.
pub(crate) async fn write_by_operator(store: &SqlStore, change: Change<HubWrite>) {
    let author = Author::server(Timestamp::from_unix_seconds(1_700_000_000), &Drawn);
    only(store.commit(vec![change.by(author)]).await).expect("kept");
}

fn only(mut answers: Vec<Result<(), CommitError>>) -> Result<(), CommitError> {
    assert_eq!(answers.len(), 1);
    answers.pop().expect("one answer")
}

/// Makes the service whose registrations a test writes.
pub(crate) async fn with_service(store: &SqlStore) -> IdScope {
    let service = Samples::new(&Drawn).service("0neA");
    let scope = service.id_scope.clone();
    write(
        store,
        Write::PutService(Box::new(service), Expect::Anything),
    )
    .await
    .expect("a service");
    scope
}
