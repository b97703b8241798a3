//! Traces of wrong signatures reach their reader, and lost ones are counted.

use std::io;
use std::sync::Mutex;
use std::time::Duration;

use landfall_core::attestation::symmetric_key::diagnosis::Suspect;
use landfall_core::clock::Entropy;
use landfall_core::error::Error;
use landfall_core::id::RegistrationId;
use landfall_core::sas::{SasToken, sign};
use landfall_core::secret::{KeyPair, SymmetricKey};
use landfall_store::SqlStore;
use landfall_store::secret::SealingKey;
use tempfile::TempDir;

use super::*;
use crate::backend::Backend;
use crate::time::SystemEntropy;

struct Bench {
    backend: Backend<SqlStore>,
    traces: Traces,
    _folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let sealing = SealingKey::generate(&SystemEntropy);
        let backend = Backend::sqlite(folder.path().join("landfall.db"), sealing).expect("a store");
        let retention = TraceRetention {
            age: Duration::from_secs(3600),
            count: 100_000,
        };
        let (traces, _writer) = Traces::start(&backend, retention);
        Bench {
            backend,
            traces,
            _folder: folder,
        }
    }

    fn attempt(&self) -> Attempt {
        let now = self.backend.clock.now();
        let tracking_id = TrackingId::draw(now, &SystemEntropy);
        let mut attempt = Attempt::begin(tracking_id, "https", "127.0.0.1:1".to_owned(), now);
        attempt.asked("register", "0neA", "dev");
        attempt
    }
}

/// A signature by the last group's key itself, among so many groups that looking takes a while.
fn wrong_signature() -> Refusal {
    let entropy: &dyn Entropy = &SystemEntropy;
    let groups: Vec<KeyPair> = (0..256).map(|_| KeyPair::draw(entropy, 64)).collect();
    let key: &SymmetricKey = &groups.last().expect("groups").primary;
    let token = sign(
        "0neA/registrations/dev",
        key,
        None,
        Timestamp::from_unix_seconds(1),
    );
    let suspect = |keys: KeyPair| Suspect::Group("g".to_owned(), keys);
    Refusal {
        public: Error::Unauthorized,
        finding: Box::new(Finding::new("sas.signature", "a", "b", "c")),
        diagnosis: Some(Box::new(Diagnosis {
            token: SasToken::parse(&token).expect("a token"),
            registration_id: RegistrationId::parse("dev").expect("an id"),
            suspects: groups.into_iter().map(suspect).collect(),
        })),
    }
}

#[tokio::test]
async fn flushing_waits_for_a_wrong_signature_that_is_being_looked_into() {
    let bench = Bench::new();
    let mut attempt = bench.attempt();
    attempt.refuse(Stage::Attestation, &mut wrong_signature());
    let id = attempt.tracking_id().clone();
    bench.traces.keep(attempt);
    bench.traces.flush().await;
    let kept = bench.backend.store.trace(&id).await.expect("reads");
    let finding = kept.expect("a trace").finding.expect("a finding");
    assert_eq!(finding.check, "sas.group_key_itself");
}

#[tokio::test]
async fn a_full_queue_drops_traces_and_delays_nobody() {
    let bench = Bench::new();
    // No worker runs before this first waits.
    for _ in 0..QUEUE + 10 {
        bench.traces.keep(bench.attempt());
    }
    assert_eq!(bench.traces.dropped.load(Ordering::Relaxed), 10);
    let counts = &bench.backend.metrics.traces;
    let waiting = u64::try_from(QUEUE).expect("a number");
    assert_eq!(
        (counts.dropped.value(), counts.waiting.value()),
        (10, waiting)
    );
    bench.traces.flush().await;
    assert_eq!((counts.written.value(), counts.lost.value()), (waiting, 0));
    assert_eq!(counts.waiting.value(), 0);
    let scope = IdScope::parse("0neA").expect("a scope");
    let kept = bench
        .backend
        .store
        .traces_of(&scope, "dev", 2 * QUEUE)
        .await;
    assert_eq!(kept.expect("reads").len(), QUEUE);
    assert_eq!(
        bench.traces.dropped.load(Ordering::Relaxed),
        0,
        "they were spoken of in the log"
    );
}

#[tokio::test]
async fn traces_of_one_moment_are_written_together_unless_somebody_waits() {
    fn handed() -> Handed {
        let id = TrackingId::parse("t-1").expect("an id");
        let now = Timestamp::from_unix_seconds(1);
        Handed::Keep(Box::new(
            Attempt::begin(id, "https", String::new(), now).trace,
        ))
    }
    let (queue, mut waiting) = mpsc::channel(QUEUE);
    let hand_over = |one| assert!(queue.try_send(one).is_ok(), "there is room");
    let mut batch = Vec::new();
    // The moment ends when the test says: two more come in it.
    hand_over(handed());
    let moment = async { (0..2).for_each(|_| hand_over(handed())) };
    assert!(gather(&mut waiting, &mut batch, moment).await);
    assert_eq!(batch.len(), 3);

    let none = || async { panic!("this batch waits for no others") };
    batch.clear();
    (0..BATCH).for_each(|_| hand_over(handed()));
    assert!(gather(&mut waiting, &mut batch, none()).await);
    assert_eq!(batch.len(), BATCH);
    batch.clear();
    hand_over(handed());
    hand_over(Handed::Flush(oneshot::channel().0));
    assert!(gather(&mut waiting, &mut batch, none()).await);
    assert_eq!(batch.len(), 2);
    batch.clear();
    drop(queue);
    assert!(!gather(&mut waiting, &mut batch, none()).await);
}

#[test]
fn a_stranger_cannot_make_a_trace_large() {
    let id = TrackingId::parse("t-1").expect("an id");
    let peer = "[::1]:50000".to_owned();
    let mut attempt = Attempt::begin(id, "https", peer, Timestamp::from_unix_seconds(1));
    assert_eq!(attempt.address(), "[::1]");
    let long = "é".repeat(100_000);
    attempt.asked("register", &long, &long);
    attempt.pass(Stage::Transport, long.clone());
    attempt.stop(Stage::Request, &Finding::new("x", &*long, &*long, &*long));
    attempt.end(long);
    let size = format!("{:?}", attempt.trace).len();
    assert!(size < 20_000, "{size}");
    let finding = attempt.trace.finding.expect("a finding");
    assert!(finding.seen.ends_with("é…"));
}

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("whole").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_log_says_once_how_many_traces_were_dropped() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .with_max_level(tracing::Level::WARN)
        .finish();
    let _logging = tracing::subscriber::set_default(subscriber);
    let bench = Bench::new();
    // The writer has no turn before the first wait, so its queue is full by then.
    for _ in 0..QUEUE + 3 {
        let now = bench.backend.clock.now();
        let id = TrackingId::draw(now, &*bench.backend.entropy);
        bench
            .traces
            .keep(Attempt::begin(id, "https", "peer".to_owned(), now));
    }
    bench.traces.flush().await;
    let log = String::from_utf8(log.0.lock().expect("whole").clone()).expect("text");
    assert_eq!(log.matches("were dropped").count(), 1, "{log}");
    assert!(log.contains("dropped=3"), "{log}");
}
