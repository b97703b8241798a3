//! Decision traces on their way to the store: recorded while an attempt runs, queued beside the road,
//! written by one worker. A full queue drops traces and counts them; it never slows a registration.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use landfall_core::attestation::symmetric_key::diagnosis;
use landfall_core::authentication::{Diagnosis, Refusal};
use landfall_core::clock::{Clock, Timestamp};
use landfall_core::id::{IdScope, OperationId, TrackingId};
use landfall_core::store::Store;
use landfall_core::trace::{DecisionTrace, Finding, KeptFinding, Passage, Stage};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::backend::Backend;
use crate::metrics::{Course, Metrics};
use crate::spans::{Span, Spans};
use crate::time::{self, Stopwatch};

/// Most traces that wait to be written.
const QUEUE: usize = 4096;
/// Most wrong signatures that wait to be looked into. Each holds keys of its suspects.
const DIAGNOSES: usize = 64;
/// How many times as long as it worked the worker on wrong signatures rests: a flood of them costs a
/// quarter of one processor, and no more.
const REST: u32 = 3;
/// Longest text of a trace, in characters.
const LONGEST_TEXT: usize = 1024;
/// Most traces written in one commit.
const BATCH: usize = 256;
/// How long traces gather before they are written: many share a commit, and the pages it touches.
const GATHER: Duration = Duration::from_millis(50);

/// How long and how many traces are kept.
#[derive(Debug, Clone, Copy)]
pub struct TraceRetention {
    /// Traces older than this are dropped.
    pub age: Duration,
    /// Past this many the oldest are dropped.
    pub count: usize,
}

/// One attempt of a device while it runs: collects what was passed and why it stopped.
#[derive(Debug)]
pub struct Attempt {
    trace: DecisionTrace,
    watch: Stopwatch,
    diagnosis: Option<Box<Diagnosis>>,
    course: Course,
}

impl Attempt {
    /// Begins an attempt.
    pub fn begin(
        tracking_id: TrackingId,
        protocol: &'static str,
        peer: String,
        now: Timestamp,
    ) -> Self {
        Attempt {
            trace: DecisionTrace {
                tracking_id,
                id_scope: None,
                registration_id: String::new(),
                operation: None,
                action: String::new(),
                protocol: protocol.to_owned(),
                peer,
                started: now,
                stages: Vec::with_capacity(8),
                outcome: String::new(),
                finding: None,
            },
            watch: Stopwatch::start(),
            diagnosis: None,
            course: Course::default(),
        }
    }

    /// The attempt's public name.
    pub fn tracking_id(&self) -> &TrackingId {
        &self.trace.tracking_id
    }

    /// Where the attempt came from, without the port.
    pub fn address(&self) -> &str {
        let peer = &self.trace.peer;
        peer.rsplit_once(':').map_or(peer, |(address, _)| address)
    }

    /// Says who asks for what; the texts may be anything that stood in the request.
    pub fn asked(&mut self, action: &str, scope: &str, registration_id: &str) {
        self.trace.action = action.to_owned();
        self.trace.id_scope = IdScope::parse(scope).ok();
        self.trace.registration_id = registration_id
            .chars()
            .filter(|c| !c.is_control())
            .take(128)
            .collect();
    }

    /// Names the operation that the attempt is about.
    pub fn about(&mut self, operation: &OperationId) {
        self.trace.operation = Some(operation.clone());
    }

    /// Notes that a stage was passed.
    pub fn pass(&mut self, stage: Stage, note: impl Into<String>) {
        let at = self.watch.elapsed();
        self.course.reached(stage, at);
        self.trace.stages.push(Passage {
            stage: stage.name().to_owned(),
            at,
            note: clipped(note.into()),
        });
    }

    /// Notes that the attempt stopped at `stage` for the reason in `finding`.
    pub fn stop(&mut self, stage: Stage, finding: &Finding) {
        self.pass(stage, format!("stopped: {}", finding.check));
        self.note_finding(finding);
    }

    /// Notes a finding about an attempt that still goes on to its answer.
    pub fn note_finding(&mut self, finding: &Finding) {
        self.trace.finding = Some(kept(finding));
    }

    /// Notes a refusal, and keeps what a worker may look into after the answer.
    pub fn refuse(&mut self, stage: Stage, refusal: &mut Refusal) {
        self.stop(stage, &refusal.finding);
        self.diagnosis = refusal.diagnosis.take();
    }

    /// What is counted of the attempt.
    pub fn course(&mut self) -> &mut Course {
        &mut self.course
    }

    /// The stages so far.
    pub fn stages(&self) -> &[Passage] {
        &self.trace.stages
    }

    /// Ends the attempt with what was answered.
    pub fn end(&mut self, outcome: impl Into<String>) {
        self.trace.outcome = clipped(outcome.into());
        self.pass(Stage::Answer, self.trace.outcome.clone());
    }
}

/// A finding as it is kept, with texts of bounded length.
fn kept(finding: &Finding) -> KeptFinding {
    let kept = KeptFinding::from(finding);
    KeptFinding {
        check: kept.check,
        expected: clipped(kept.expected),
        seen: clipped(kept.seen),
        fix: clipped(kept.fix),
    }
}

/// A text cut to [`LONGEST_TEXT`] characters. What a device shows, such as the names in a chain of
/// certificates, may be as long as it likes; what is kept of a stranger may not.
fn clipped(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(LONGEST_TEXT) {
        text.truncate(end);
        text.push('…');
    }
    text
}

/// What the writing worker is handed.
enum Handed {
    Keep(Box<DecisionTrace>),
    Flush(oneshot::Sender<()>),
}

/// What the worker on wrong signatures is handed. It hands all of it on, in its order.
enum Suspected {
    Trace(Box<DecisionTrace>, Box<Diagnosis>),
    Flush(oneshot::Sender<()>),
}

/// The queue beside the road. Cloning gives another handle to the same queue.
#[derive(Clone)]
pub struct Traces {
    queue: mpsc::Sender<Handed>,
    suspects: mpsc::Sender<Suspected>,
    dropped: Arc<AtomicU64>,
    metrics: Arc<Metrics>,
    spans: Spans,
}

impl Traces {
    /// Starts the two workers: one writes, one looks into wrong signatures. They end when the last
    /// handle is dropped, after writing what is queued.
    pub fn start<S: Store>(
        backend: &Backend<S>,
        retention: TraceRetention,
    ) -> (Self, JoinHandle<()>) {
        let (queue, handed) = mpsc::channel(QUEUE);
        let (suspects, suspected) = mpsc::channel(DIAGNOSES);
        let (dropped, hurry) = (Arc::default(), Arc::<Notify>::default());
        let metrics = Arc::clone(&backend.metrics);
        let writer = Writer {
            store: Arc::clone(&backend.store),
            clock: Arc::clone(&backend.clock),
            retention,
            dropped: Arc::clone(&dropped),
            metrics: Arc::clone(&metrics),
            hurry: Arc::clone(&hurry),
        };
        let writer = tokio::spawn(writer.run(handed));
        let investigation = investigate(suspected, queue.clone(), hurry, Arc::clone(&metrics));
        tokio::spawn(investigation);
        (
            Traces {
                queue,
                suspects,
                dropped,
                metrics,
                spans: Spans::default(),
            },
            writer,
        )
    }

    /// The same, which also hands each attempt to a collector.
    pub fn offering(self, spans: Spans) -> Self {
        Traces { spans, ..self }
    }

    /// Where whole requests are offered to a collector.
    pub fn spans(&self) -> &Spans {
        &self.spans
    }

    /// Hands an ended attempt to the workers. Never waits.
    pub fn keep(&self, attempt: Attempt) {
        tracing::info!(
            tracking_id = %attempt.trace.tracking_id,
            registration_id = attempt.trace.registration_id,
            action = attempt.trace.action,
            peer = attempt.trace.peer,
            check = attempt.trace.finding.as_ref().map(|finding| finding.check.as_str()),
            micros = u64::try_from(attempt.watch.elapsed().as_micros()).unwrap_or(u64::MAX),
            "{} of '{}': {}",
            attempt.trace.action,
            attempt.trace.registration_id,
            attempt.trace.outcome,
        );
        let lasted = attempt.watch.elapsed();
        self.spans
            .offer(|| Span::of_attempt(&attempt.trace, lasted));
        let trace = Box::new(attempt.trace);
        self.metrics.traces.waiting.up();
        let trace = match attempt.diagnosis {
            Some(diagnosis) => match self.suspects.try_send(Suspected::Trace(trace, diagnosis)) {
                Err(TrySendError::Full(back) | TrySendError::Closed(back)) => match back {
                    Suspected::Trace(trace, _) => trace,
                    Suspected::Flush(_) => return,
                },
                Ok(()) => return,
            },
            None => trace,
        };
        count_refusal(&trace, &self.metrics);
        if self.queue.try_send(Handed::Keep(trace)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            self.metrics.traces.dropped.count();
            self.metrics.traces.waiting.down(1);
        }
    }

    /// Waits until what was queued before is written, so that a reader sees it.
    pub async fn flush(&self) {
        // By the way that the slowest trace takes: behind it in both queues.
        let (done, written) = oneshot::channel();
        if self.suspects.send(Suspected::Flush(done)).await.is_ok() {
            let _ = written.await;
        }
    }
}

/// The worker that writes.
struct Writer<S> {
    store: Arc<S>,
    clock: Arc<dyn Clock>,
    retention: TraceRetention,
    dropped: Arc<AtomicU64>,
    metrics: Arc<Metrics>,
    /// Told when somebody waits for what is queued.
    hurry: Arc<Notify>,
}

impl<S: Store> Writer<S> {
    async fn run(self, mut handed: mpsc::Receiver<Handed>) {
        let mut batch = Vec::with_capacity(BATCH);
        while gather(&mut handed, &mut batch, self.moment()).await {
            let mut waiting = Vec::new();
            let mut traces = Vec::with_capacity(batch.len());
            for one in batch.drain(..) {
                match one {
                    Handed::Keep(trace) => traces.push(*trace),
                    Handed::Flush(done) => waiting.push(done),
                }
            }
            if !traces.is_empty() {
                self.write(traces).await;
            }
            for done in waiting {
                let _ = done.send(());
            }
        }
    }

    /// Passes after [`GATHER`], or as soon as somebody waits for what is queued.
    async fn moment(&self) {
        tokio::select! {
            () = time::sleep(GATHER) => {}
            () = self.hurry.notified() => {}
        }
    }

    async fn write(&self, traces: Vec<DecisionTrace>) {
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            tracing::warn!(
                dropped,
                "{dropped} decision traces were dropped: attempts came faster than they are written"
            );
        }
        let count = traces.len();
        let oldest = self.clock.now().minus(self.retention.age);
        let kept = self.store.keep_traces(traces, oldest, self.retention.count);
        let counts = &self.metrics.traces;
        match kept.await {
            Ok(()) => counts.written.add(count as u64),
            Err(error) => {
                tracing::warn!(%error, count, "{count} decision traces could not be written");
                counts.lost.add(count as u64);
            }
        }
        counts.waiting.down(count);
    }
}

/// Takes what is queued into a batch, and what comes within a moment, unless the batch is full or somebody
/// waits for it. Gives whether there is anything: not when nobody will hand over any more.
async fn gather(
    handed: &mut mpsc::Receiver<Handed>,
    batch: &mut Vec<Handed>,
    moment: impl Future<Output = ()>,
) -> bool {
    if handed.recv_many(batch, BATCH).await == 0 {
        return false;
    }
    let waited_for = batch.iter().any(|one| matches!(one, Handed::Flush(_)));
    if batch.len() < BATCH && !waited_for {
        moment.await;
        if !handed.is_empty() {
            handed.recv_many(batch, BATCH).await;
        }
    }
    true
}

/// Counts the check that a trace names: once for each trace, when nothing more is found out about it.
fn count_refusal(trace: &DecisionTrace, metrics: &Metrics) {
    if let Some(finding) = &trace.finding {
        metrics.refusals.count(&finding.check);
    }
}

/// The worker that looks into wrong signatures.
async fn investigate(
    mut suspected: mpsc::Receiver<Suspected>,
    queue: mpsc::Sender<Handed>,
    hurry: Arc<Notify>,
    metrics: Arc<Metrics>,
) {
    while let Some(one) = suspected.recv().await {
        let mut rest = Duration::ZERO;
        let handed = match one {
            Suspected::Flush(done) => Handed::Flush(done),
            Suspected::Trace(mut trace, diagnosis) => {
                let watch = Stopwatch::start();
                let found = tokio::task::spawn_blocking(move || {
                    diagnosis::diagnose(
                        &diagnosis.token,
                        &diagnosis.registration_id,
                        &diagnosis.suspects,
                    )
                })
                .await;
                if let Ok(Some(finding)) = found {
                    trace.finding = Some(kept(&finding));
                }
                count_refusal(&trace, &metrics);
                rest = watch.elapsed() * REST;
                Handed::Keep(trace)
            }
        };
        // Nobody is left to write when the writer is gone.
        let waited_for = matches!(handed, Handed::Flush(_));
        let _ = queue.send(handed).await;
        if waited_for {
            hurry.notify_one();
        }
        time::sleep(rest).await;
    }
}

#[cfg(test)]
mod tests;
