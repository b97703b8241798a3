//! What of each request is handed to a collector of traces: a span for the request, and one inside it for each
//! stage that it passed. Offered by the faces, sent by `otlp` where that is built in and set up.
//!
//! The queue is bounded and nobody waits for it: when it is full a span is dropped and counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use landfall_core::clock::Timestamp;
use landfall_core::id::TrackingId;
use landfall_core::trace::{DecisionTrace, Passage};
use tokio::sync::mpsc;

/// What a span says of its request, by a name that collectors know.
pub type Attribute = (&'static str, Value);

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A text. Never a secret.
    Text(String),
    /// A number.
    Number(i64),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.to_owned())
    }
}

impl From<u16> for Value {
    fn from(number: u16) -> Self {
        Value::Number(number.into())
    }
}

/// One request from its first byte to its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The public name of the request; a collector finds the trace by it.
    pub tracking_id: TrackingId,
    /// What was asked, in words that are few.
    pub name: String,
    /// When it began.
    pub started: Timestamp,
    /// How long it took.
    pub lasted: Duration,
    /// Who asked, what for, and what was answered.
    pub attributes: Vec<Attribute>,
    /// The status of the answer; 0 when there was none.
    pub status: u16,
    /// What was passed on the way.
    pub stages: Vec<Passage>,
}

impl Span {
    /// The span of a device's attempt that took `lasted`.
    pub fn of_attempt(trace: &DecisionTrace, lasted: Duration) -> Self {
        // An outcome begins with the status that was answered.
        let status = trace.outcome.split(' ').next().unwrap_or_default();
        let status = status.parse().unwrap_or(0);
        let mut attributes: Vec<Attribute> = vec![
            ("landfall.tracking_id", trace.tracking_id.as_str().into()),
            ("landfall.registration_id", (*trace.registration_id).into()),
            ("landfall.outcome", (*trace.outcome).into()),
            ("landfall.protocol", (*trace.protocol).into()),
            ("client.address", host(&trace.peer).into()),
            ("http.response.status_code", status.into()),
        ];
        if let Some(scope) = &trace.id_scope {
            attributes.push(("landfall.id_scope", scope.as_str().into()));
        }
        if let Some(operation) = &trace.operation {
            attributes.push(("landfall.operation_id", operation.as_str().into()));
        }
        if let Some(finding) = &trace.finding {
            attributes.push(("landfall.check", (*finding.check).into()));
        }
        Span {
            tracking_id: trace.tracking_id.clone(),
            name: trace.action.clone(),
            started: trace.started,
            lasted,
            attributes,
            status,
            stages: trace.stages.clone(),
        }
    }
}

/// An address without its port.
fn host(peer: &str) -> &str {
    let address = peer.rsplit_once(':').map_or(peer, |(address, _)| address);
    address.trim_matches(['[', ']'])
}

/// Where spans are offered. The default takes none.
#[derive(Debug, Clone, Default)]
pub struct Spans(Option<Queue>);

#[derive(Debug, Clone)]
struct Queue {
    sender: mpsc::Sender<Span>,
    dropped: Arc<AtomicU64>,
}

/// What was offered, for whoever sends it.
#[derive(Debug)]
pub struct Offered {
    receiver: mpsc::Receiver<Span>,
    dropped: Arc<AtomicU64>,
}

impl Spans {
    /// Makes a queue of at most `size` spans.
    pub fn queue(size: usize) -> (Self, Offered) {
        let (sender, receiver) = mpsc::channel(size);
        let dropped = Arc::new(AtomicU64::new(0));
        let queue = Queue {
            sender,
            dropped: Arc::clone(&dropped),
        };
        (Spans(Some(queue)), Offered { receiver, dropped })
    }

    /// Hands over what `span` makes, if anybody takes spans. Never waits.
    pub fn offer(&self, span: impl FnOnce() -> Span) {
        let Some(queue) = &self.0 else {
            return;
        };
        // A full queue costs no span to be made.
        match queue.sender.try_reserve() {
            Ok(room) => room.send(span()),
            Err(_) => {
                queue.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

impl Offered {
    /// Waits for spans and adds at most `most` to `batch`. Gives how many; 0 when none will come.
    pub async fn take(&mut self, batch: &mut Vec<Span>, most: usize) -> usize {
        self.receiver.recv_many(batch, most).await
    }

    /// How many were dropped since this was asked last.
    pub fn dropped(&self) -> u64 {
        self.dropped.swap(0, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(number: u8) -> Span {
        let tracking_id = format!("ada7d102-449e-4031-a1e7-e60ac75804{number:02x}");
        Span {
            tracking_id: TrackingId::parse(&tracking_id).expect("an id"),
            name: "register".to_owned(),
            started: Timestamp::from_unix_seconds(1),
            lasted: Duration::from_millis(2),
            attributes: Vec::new(),
            status: 202,
            stages: Vec::new(),
        }
    }

    #[tokio::test]
    async fn a_full_queue_drops_and_counts_and_makes_nothing() {
        let (spans, mut offered) = Spans::queue(2);
        for number in 0..2 {
            spans.offer(|| span(number));
        }
        for _ in 0..3 {
            spans.clone().offer(|| panic!("made for nothing"));
        }
        let mut batch = Vec::new();
        assert_eq!(offered.take(&mut batch, 9).await, 2);
        assert_eq!(batch, [span(0), span(1)]);
        assert_eq!((offered.dropped(), offered.dropped()), (3, 0));
        Spans::default().offer(|| panic!("nobody takes it"));
    }

    #[test]
    fn addresses_lose_their_port() {
        assert_eq!(host("192.0.2.1:443"), "192.0.2.1");
        assert_eq!(host("[2001:db8::1]:443"), "2001:db8::1");
    }
}
