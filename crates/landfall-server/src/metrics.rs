//! What the server counts, for whoever watches it: every instrument is made once and held by who counts, so that
//! counting is an addition and never a look-up by name. [`scrape`] writes them down.
//!
//! The table of all metrics is in [`table`]; core, hub and wire know nothing of them, and the store tells what
//! it does to an [`landfall_store::Observer`]. Why this is not a library: docs/decisions/0011-own-metrics.md.

pub mod connections;
mod course;
mod exposition;
pub mod family;
pub mod instrument;
pub mod label;
mod process;
mod refusals;
pub mod scrape;
pub mod services;
pub mod shelf;
mod store;
pub mod table;

use std::sync::Arc;

use landfall_core::clock::Timestamp;

pub use self::course::{Course, Ended};
use self::instrument::{Counter, Counters, Gauge, Spreads};
use self::label::{Asked, Continued, Face, Method, Stage, Status};
pub use self::refusals::Refusals;
use self::services::Services;
use self::store::StoreCounts;

/// What one server counts, connections apart: those are with the listener's slots.
#[derive(Debug)]
pub struct Metrics {
    /// By provisioning service.
    pub services: Services,
    /// Requests that a check ended.
    pub refusals: Refusals,
    /// How long each stage of a registration took.
    pub stages: Spreads<(Stage,)>,
    /// How long requests of devices took.
    pub answers: Spreads<(Asked,)>,
    /// Operations that were taken up again.
    pub continued: Counters<(Continued,)>,
    /// Requests that were answered.
    pub requests: Counters<(Face, Method, Status)>,
    /// What the store does.
    pub store: Arc<StoreCounts>,
    /// Decision traces.
    pub traces: TraceCounts,
    started: Timestamp,
}

/// What is counted of decision traces.
#[derive(Debug, Default)]
pub struct TraceCounts {
    /// Those written.
    pub written: Counter,
    /// Those that found the queue full.
    pub dropped: Counter,
    /// Those that the database did not take.
    pub lost: Counter,
    /// Those on their way.
    pub waiting: Gauge,
}

impl Metrics {
    /// Counts from nothing; the server started now.
    pub fn new(now: Timestamp) -> Self {
        Metrics {
            services: Services::default(),
            refusals: Refusals::default(),
            stages: Spreads::new(table::STAGE_DURATION.kind.bounds()),
            answers: Spreads::new(table::DEVICE_REQUEST_DURATION.kind.bounds()),
            continued: Counters::default(),
            requests: Counters::default(),
            store: Arc::default(),
            traces: TraceCounts::default(),
            started: now,
        }
    }
}

impl From<&http::Method> for Method {
    fn from(method: &http::Method) -> Self {
        match method.as_str() {
            "GET" | "HEAD" => Method::Read,
            "PUT" | "POST" | "PATCH" | "DELETE" => Method::Write,
            _ => Method::Other,
        }
    }
}
