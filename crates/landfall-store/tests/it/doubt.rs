//! A connection that breaks while a commit is under way: what was kept is acknowledged, what was not is
//! carried out again, and nobody guesses.

#![expect(
    clippy::expect_used,
    reason = "a database that does not answer ends the test"
)]

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use landfall_core::conformance::Samples;
use landfall_core::store::{Change, Expect, Store, Write};
use landfall_store::Observer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};

use crate::fixture::{Drawn, with_service};
use crate::observed::Recorder;
use crate::postgres;

/// When the way to the database breaks.
#[derive(Clone, Copy, Debug)]
enum Break {
    /// Before the database hears of the commit.
    Before,
    /// After it has, before it answers.
    After,
}

/// A way to the database that breaks at a commit, as often as `breaks` says.
struct Way {
    folder: tempfile::TempDir,
    breaks: Arc<AtomicUsize>,
}

impl Way {
    fn to(socket: PathBuf, when: Break) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let breaks = Arc::new(AtomicUsize::new(0));
        let door = UnixListener::bind(folder.path().join(".s.PGSQL.5432")).expect("a door");
        let left = Arc::clone(&breaks);
        tokio::spawn(async move {
            while let Ok((client, _)) = door.accept().await {
                let database = UnixStream::connect(&socket).await.expect("a database");
                tokio::spawn(carry(client, database, Arc::clone(&left), when));
            }
        });
        Way { folder, breaks }
    }

    fn url(&self, database: &str) -> String {
        let (head, rest) = database.split_once("host=").expect("a socket's URL");
        let tail = rest.split_once('&').map_or("", |(_, tail)| tail);
        format!("{head}host={}&{tail}", self.folder.path().display())
    }
}

async fn carry(client: UnixStream, database: UnixStream, breaks: Arc<AtomicUsize>, when: Break) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_database, mut to_database) = database.into_split();
    let back =
        tokio::spawn(async move { tokio::io::copy(&mut from_database, &mut to_client).await });
    let mut part = vec![0; 1 << 16];
    while let Ok(read @ 1..) = from_client.read(&mut part).await {
        let part = &part[..read];
        let commits = part.windows(7).any(|word| word == b"COMMIT\0");
        let take_one = |left: usize| left.checked_sub(1);
        let broken = commits
            && breaks
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, take_one)
                .is_ok();
        if broken {
            back.abort();
            if let Break::After = when {
                to_database.write_all(part).await.expect("told");
                // The database ends its own side when it is done; until then it is not disturbed.
                std::mem::forget(to_database);
            }
            return;
        }
        if to_database.write_all(part).await.is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_is_lost_is_found_out() {
    for server in postgres::servers() {
        for when in [Break::Before, Break::After] {
            let database = postgres::fresh(&server).await;
            let (_, host) = database.split_once("host=").expect("a socket's URL");
            let host = host.split('&').next().expect("a folder");
            let way = Way::to(PathBuf::from(host).join(".s.PGSQL.5432"), when);
            let store = postgres::open(&way.url(&database)).await.expect("opens");
            let scope = with_service(&store).await;
            let recorder = Arc::new(Recorder::default());
            store.observe(Arc::clone(&recorder) as Arc<dyn Observer>);
            for round in 0..3 {
                // What was kept is not committed again, so that it breaks no second time.
                let again = if let Break::Before = when {
                    round % 2
                } else {
                    0
                };
                way.breaks.store(1 + again, Ordering::SeqCst);
                let changes = (0..20).map(|n| {
                    let id = format!("dev-{round}-{n}");
                    Change::of(Write::PutRegistration(
                        scope.clone(),
                        Box::new(Samples::new(&Drawn).registration(&id, None)),
                        Expect::Absent,
                    ))
                });
                let answers = store.commit(changes.collect()).await;
                assert_eq!(answers, vec![Ok(()); 20], "{when:?}");
                assert_eq!(way.breaks.load(Ordering::SeqCst), 0, "the way did break");
            }
            let tried_again = recorder.lost() > 0;
            assert_eq!(tried_again, matches!(when, Break::Before), "{when:?}");
        }
    }
}
