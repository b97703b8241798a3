//! Sends spans to a collector of OpenTelemetry, as OTLP over HTTP in its JSON form. Built with the feature
//! `opentelemetry` only; `command::serve` starts it where a collector is set up.
//!
//! It never stands in the way: spans wait in a bounded queue, a collector that is away is asked again after
//! longer and longer pauses, and what finds no room meanwhile is counted and told.

mod form;
mod telling;

use std::time::Duration;

use http::{Method, StatusCode};
use landfall_wire::message::Request;

use self::telling::Failing;
use crate::client::tls::{Trust, settings};
use crate::client::{Client, ClientError, Endpoint};
use crate::config::Collector;
use crate::spans::{Offered, Span, Spans};
use crate::stop::Stop;
use crate::time;

/// Most spans that wait to be sent.
const QUEUE: usize = 8192;

/// Most spans in one call.
const BATCH: usize = 512;

/// How long spans are gathered before a call that would not be full.
const GATHER: Duration = Duration::from_millis(500);

/// How long one call may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The first pause after a call that failed, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// How long a stop waits for the last spans.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// After how many failures in a row, for the same reason, the log is told again.
const TOLD_AGAIN: u32 = 20;

/// The same for calls that were refused, which come without longer pauses: once a minute.
const REFUSAL_TOLD_AGAIN: u32 = 120;

/// The one that sends.
pub struct Exporter {
    offered: Offered,
    client: Client,
    collector: Collector,
    away: Failing,
    refused: Failing,
}

/// What became of a call.
enum Sent {
    /// The collector took the spans.
    Taken,
    /// It is away, or asks to come back.
    Later(String),
    /// It will never take these spans.
    Never(String),
}

impl Exporter {
    /// Makes a queue for spans, and what sends them from there to `collector`.
    ///
    /// # Errors
    /// When the authorities of this machine cannot be read, and the collector speaks TLS.
    pub fn new(collector: Collector) -> anyhow::Result<(Spans, Self)> {
        let (spans, offered) = Spans::queue(QUEUE);
        let endpoint = Endpoint::new(&collector.host, collector.port);
        let client = match (collector.secure, &collector.ca_file) {
            (false, _) => Client::plain(endpoint),
            (true, None) => Client::new(endpoint, settings(&Trust::System, None)?),
            (true, Some(file)) => {
                Client::new(endpoint, settings(&Trust::File(file.clone()), None)?)
            }
        };
        let exporter = Exporter {
            offered,
            client: client.with_limit(PATIENCE),
            collector,
            away: Failing::default(),
            refused: Failing::default(),
        };
        Ok((spans, exporter))
    }

    /// Sends until `stop` is given, and once more.
    pub async fn run(mut self, mut stop: Stop) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let pause = tokio::select! {
                biased;
                () = stop.given() => break,
                pause = self.next(&mut batch) => pause,
            };
            tokio::select! {
                () = time::sleep(pause) => {}
                () = stop.given() => break,
            }
        }
        let _ = time::timeout(LAST_WORDS, self.last(batch)).await;
    }

    /// Sends what is left, and what requests bring that were taken before the stop and still end.
    async fn last(&mut self, mut batch: Vec<Span>) {
        time::sleep(GATHER).await;
        loop {
            let room = BATCH.saturating_sub(batch.len());
            if room > 0 {
                let _ = time::timeout(GATHER, self.offered.take(&mut batch, room)).await;
            }
            let is_full = batch.len() == BATCH;
            let is_away = matches!(self.send(&batch).await, Sent::Later(_));
            if is_away || !is_full {
                return;
            }
            batch.clear();
        }
    }

    /// Waits for spans and sends them; gives how long to wait before the next. Spans that could not be sent
    /// stay in the batch. Nothing is lost when this is dropped before it is ready.
    async fn next(&mut self, batch: &mut Vec<Span>) -> Duration {
        if batch.is_empty() && self.offered.take(batch, BATCH).await == 0 {
            // Nobody offers any more: only a stop is left to wait for.
            return PAUSES.1;
        }
        let dropped = self.offered.dropped();
        if dropped > 0 {
            tracing::warn!(
                dropped,
                "{dropped} spans were dropped: they came faster than the collector takes them"
            );
        }
        match self.send(batch).await {
            Sent::Taken => {
                let (away, refused) = (self.away.over(), self.refused.over());
                if away.or(refused).is_some() {
                    let lost = refused.unwrap_or_default();
                    tracing::info!(lost, "the collector of spans takes them again");
                }
                // More wait, most likely: whoever takes them all is kept waiting for nothing.
                let pause = match batch.len() {
                    BATCH => Duration::ZERO,
                    _ => GATHER,
                };
                batch.clear();
                pause
            }
            Sent::Never(why) => {
                if let Some(lost) = self.refused.again(&why, batch.len(), REFUSAL_TOLD_AGAIN) {
                    tracing::warn!(
                        lost,
                        "the collector refused {lost} spans: {why}; see telemetry.otlp_endpoint and telemetry.otlp_headers_file"
                    );
                }
                batch.clear();
                GATHER
            }
            Sent::Later(why) => {
                let longer = PAUSES.0.saturating_mul(1 << self.away.times.min(5));
                if self.away.again(&why, 0, TOLD_AGAIN).is_some() {
                    tracing::warn!(
                        "the collector of spans at {} takes none: {why}. Requests are served all the same; spans wait, and are dropped when more than {QUEUE} do",
                        self.client.endpoint()
                    );
                }
                longer.min(PAUSES.1)
            }
        }
    }

    async fn send(&mut self, batch: &[Span]) -> Sent {
        if batch.is_empty() {
            return Sent::Taken;
        }
        let mut request = Request {
            method: Method::POST,
            path: self.collector.path.clone(),
            query: None,
            headers: self.collector.headers.clone(),
            body: form::body(&self.collector.service_name, batch),
        };
        request.headers.insert(
            http::header::CONTENT_TYPE,
            http::HeaderValue::from_static("application/json"),
        );
        match self.client.call(request).await {
            Ok(reply) if reply.status.is_success() => Sent::Taken,
            Ok(reply) if may_pass(reply.status) => {
                Sent::Later(format!("it answers {}", reply.status.as_u16()))
            }
            Ok(reply) => Sent::Never(format!("it answers {}", reply.status.as_u16())),
            Err(error @ ClientError::Name(_)) => Sent::Never(error.to_string()),
            Err(error) => Sent::Later(error.to_string()),
        }
    }
}

/// Whether a refusal is one that passes; OTLP names these, and 408 is of their kind.
fn may_pass(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 502 | 503 | 504)
}

#[cfg(test)]
mod tests;
