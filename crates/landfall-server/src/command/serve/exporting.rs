//! Begins what sends spans to a collector, where the settings name one and the program can send.

use crate::app::Running;
use crate::config::Settings;
use crate::spans::Spans;

/// Starts the sending beside a server that runs.
pub(super) type Sending = Box<dyn FnOnce(&mut Running) + Send>;

/// Where spans are offered, and what begins to send them.
///
/// # Errors
/// When the authorities that the collector's certificate may come from cannot be read.
#[cfg(feature = "opentelemetry")]
pub(super) fn prepare(settings: &Settings) -> anyhow::Result<(Spans, Option<Sending>)> {
    let Some(collector) = settings.collector.clone() else {
        return Ok((Spans::default(), None));
    };
    let (spans, exporter) = crate::otlp::Exporter::new(collector)?;
    let begin = |running: &mut Running| running.beside(|stop| exporter.run(stop));
    Ok((spans, Some(Box::new(begin))))
}

/// Nothing: a program that cannot send refuses settings that name a collector.
///
/// # Errors
/// Never.
#[cfg(not(feature = "opentelemetry"))]
pub(super) fn prepare(_: &Settings) -> anyhow::Result<(Spans, Option<Sending>)> {
    Ok((Spans::default(), None))
}
