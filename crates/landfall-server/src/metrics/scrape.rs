//! One scrape: every metric of the table, as it stands. Nothing is asked of the database, so a scrape answers
//! while that is away.

use std::borrow::Cow;
use std::sync::Arc;

use super::Metrics;
pub use super::exposition::CONTENT_TYPE;
use super::exposition::Page;
use super::family::{Family, seconds};
use super::instrument::Counters;
use super::label::{ASSIGNED, Label as _, Labels, Protocol};
use super::process::Process;
use super::table;
use crate::command::{COMMIT, VERSION};
use crate::listener::Slots;
use crate::time;
use crate::tls::ServerIdentity;

/// What a scrape reads.
#[derive(Debug, Clone)]
pub struct Scrape {
    /// What the server counts.
    pub metrics: Arc<Metrics>,
    /// The connections, and what is counted of them.
    pub slots: Slots,
    /// The certificates that are shown.
    pub shown: Arc<ServerIdentity>,
    /// The share of one processor for group searches, in hundredths.
    pub search_share: u8,
}

impl Scrape {
    /// Writes everything down.
    pub fn text(&self) -> String {
        let mut page = Page::default();
        self.registrations(&mut page);
        self.searches(&mut page);
        counters(
            &mut page,
            &table::OPERATIONS_CONTINUED,
            &self.metrics.continued,
        );
        let mut series = page.family(&table::HTTP_REQUESTS);
        // Most statuses are never given.
        for (labels, value) in self.metrics.requests.each().filter(|(_, value)| *value > 0) {
            series.value(&labels, value);
        }
        self.connections(&mut page);
        self.store(&mut page);
        self.traces(&mut page);
        page.family(&table::BUILD_INFO)
            .value(&[VERSION.into(), COMMIT.into()], 1);
        self.process(&mut page);
        page.text()
    }

    fn registrations(&self, page: &mut Page) {
        let services = self.metrics.services.each();
        let mut series = page.family(&table::REGISTRATION_ATTEMPTS);
        for (service, counts) in &services {
            for (labels, value) in counts.unassigned.each() {
                let [protocol, status] = labels.as_slice() else {
                    continue;
                };
                let labels = [text(service), "".into(), protocol.clone(), status.clone()];
                series.value(&labels, value);
            }
            for (hub, at) in counts.hubs() {
                for protocol in Protocol::ALL {
                    let name = Protocol::text(protocol.place());
                    let labels = [text(service), text(&hub), name, ASSIGNED.into()];
                    series.value(&labels, at.assigned.value((*protocol,)));
                }
            }
        }
        let mut series = page.family(&table::DEVICE_ASSIGNMENTS);
        for (service, counts) in &services {
            for (hub, at) in counts.hubs() {
                for (labels, value) in at.placements.each() {
                    series.value(&before(&[service, &hub], labels), value);
                }
            }
        }
        let mut series = page.family(&table::ATTESTATION_ATTEMPTS);
        for (service, counts) in &services {
            for (labels, value) in counts.judged.each() {
                series.value(&before(&[service], labels), value);
            }
        }
        let mut series = page.family(&table::REFUSALS);
        for (check, value) in self.metrics.refusals.each() {
            series.value(&[check.into()], value);
        }
        let mut series = page.family(&table::STAGE_DURATION);
        for (labels, spread) in self.metrics.stages.each() {
            series.spread(&labels, spread);
        }
        let mut series = page.family(&table::DEVICE_REQUEST_DURATION);
        for (labels, spread) in self.metrics.answers.each() {
            series.spread(&labels, spread);
        }
    }

    fn searches(&self, page: &mut Page) {
        let services = self.metrics.services.each();
        let mut series = page.family(&table::GROUP_SEARCHES);
        for (service, counts) in &services {
            for (labels, value) in counts.searches.each() {
                series.value(&before(&[service], labels), value);
            }
        }
        let mut series = page.family(&table::GROUP_SEARCH_CPU);
        for (service, counts) in &services {
            series.value(&[text(service)], seconds(counts.search_cpu.value()));
        }
        let share = f64::from(self.search_share) / 100.0;
        page.family(&table::GROUP_SEARCH_SHARE).value(&[], share);
    }

    fn connections(&self, page: &mut Page) {
        let counts = self.slots.counts();
        for (family, value) in [
            (&table::CONNECTIONS_OPEN, number(self.slots.taken())),
            (
                &table::CONNECTIONS_LIMIT,
                number(self.slots.limits().connections),
            ),
            (&table::CONNECTIONS_ACCEPTED, counts.accepted.value()),
            (&table::CONNECTIONS_REFUSED, counts.refused.value()),
            (&table::ACCEPT_FAILURES, counts.failures.value()),
        ] {
            page.family(family).value(&[], value);
        }
        counters(page, &table::PROTOCOL_CONNECTIONS, &counts.spoken);
        let mut series = page.family(&table::PROTOCOL_CONNECTIONS_OPEN);
        for protocol in Protocol::ALL {
            let name = Protocol::text(protocol.place());
            series.value(&[name], counts.speaking(*protocol));
        }
        counters(page, &table::TLS_HANDSHAKES, &counts.handshakes);
        counters(page, &table::TLS_HANDSHAKE_FAILURES, &counts.failed);
        page.family(&table::TLS_HANDSHAKE_DURATION)
            .spread(&[], &counts.durations);
        let mut series = page.family(&table::CERTIFICATE_END);
        if let Some(end) = self.shown.ends() {
            series.value(&[], end.unix_seconds());
        }
    }

    fn store(&self, page: &mut Page) {
        let store = &self.metrics.store;
        page.family(&table::STORE_COMMITS)
            .value(&[], store.commits.value());
        page.family(&table::STORE_COMMIT_DURATION)
            .spread(&[], &store.durations);
        page.family(&table::STORE_COMMIT_REQUESTS)
            .spread(&[], &store.sizes);
        page.family(&table::STORE_WRITE_FAILURES)
            .value(&[], store.failures.value());
        counters(page, &table::STORE_COMMIT_RETRIES, &store.retries);
        page.family(&table::STORE_WAITING)
            .value(&[], store.waiting.value());
        page.family(&table::STORE_READ_FAILURES)
            .value(&[], store.unread.value());
    }

    fn traces(&self, page: &mut Page) {
        let traces = &self.metrics.traces;
        for (family, value) in [
            (&table::TRACES_WRITTEN, traces.written.value()),
            (&table::TRACES_DROPPED, traces.dropped.value()),
            (&table::TRACES_LOST, traces.lost.value()),
            (&table::TRACES_WAITING, traces.waiting.value()),
        ] {
            page.family(family).value(&[], value);
        }
    }

    fn process(&self, page: &mut Page) {
        let process = Process::read();
        page.family(&table::PROCESS_CPU)
            .value(&[], seconds(nanos(time::process_cpu())));
        for (family, value) in [
            (&table::PROCESS_RESIDENT, process.resident),
            (&table::PROCESS_VIRTUAL, process.virtual_size),
            (&table::PROCESS_THREADS, process.threads),
            (&table::PROCESS_OPEN_FILES, process.open_files.map(number)),
            (&table::PROCESS_MOST_FILES, process.most_files.map(number)),
        ] {
            let mut series = page.family(family);
            if let Some(value) = value {
                series.value(&[], value);
            }
        }
        page.family(&table::PROCESS_START)
            .value(&[], self.metrics.started.unix_seconds());
    }
}

fn counters<L: Labels>(page: &mut Page, family: &'static Family, counters: &Counters<L>) {
    let mut series = page.family(family);
    for (labels, value) in counters.each() {
        series.value(&labels, value);
    }
}

fn text(name: &str) -> Cow<'_, str> {
    Cow::Borrowed(name)
}

/// The labels of a series whose first ones are names.
fn before<'n>(names: &[&'n str], labels: Vec<Cow<'n, str>>) -> Vec<Cow<'n, str>> {
    let mut all: Vec<_> = names.iter().map(|name| Cow::Borrowed(*name)).collect();
    all.extend(labels);
    all
}

fn number(many: usize) -> u64 {
    u64::try_from(many).unwrap_or(u64::MAX)
}

fn nanos(span: std::time::Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}
