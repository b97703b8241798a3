//! Every metric of the server, in the order of a scrape. docs/reference/metrics.md is printed from it, and a test
//! holds a real scrape to it, both ways.

use super::family::Kind::{Counter, Gauge, Histogram};
use super::family::Scale::{Numbers, Spans};
use super::family::{Family, Tag, Values};
use super::label::{
    Asked, ClientCertificate, Continued, Face, Handshake, Judged, Method, NoHandshake, Placement,
    Protocol, Retry, Search, Stage, TlsVersion,
};

/// A microsecond, in nanoseconds.
const US: u64 = 1000;
/// A millisecond.
const MS: u64 = 1000 * US;
/// A second.
const S: u64 = 1000 * MS;

/// Bounds of what takes a registration its time, in nanoseconds.
const SPANS: &[u64] = &[
    50 * US,
    100 * US,
    250 * US,
    500 * US,
    MS,
    2500 * US,
    5 * MS,
    10 * MS,
    25 * MS,
    50 * MS,
    100 * MS,
    250 * MS,
    500 * MS,
    S,
    2500 * MS,
    5 * S,
    10 * S,
];

/// Bounds of what shares a commit: the writer takes 64 at most.
const SIZES: &[u64] = &[1, 2, 4, 8, 16, 32, 64];

const fn known(name: &'static str, values: &'static [&'static str]) -> Tag {
    Tag {
        name,
        values: Values::Known(values),
    }
}

const SERVICE: Tag = Tag {
    name: "service",
    values: Values::Services,
};
const HUB: Tag = Tag {
    name: "hub",
    values: Values::Hubs,
};
const PROTOCOL: Tag = known("protocol", Protocol::TEXTS);

/// Statuses of attempts to register.
const ATTEMPT_STATUSES: &[&str] = &[
    "assigned",
    "disabled",
    "failed",
    "refused",
    "malformed",
    "throttled",
    "unavailable",
];

macro_rules! families {
    ($($constant:ident: $name:literal, $kind:expr, $unit:literal, [$($tag:expr),*], $help:literal;)+) => {
        $(
            #[doc = concat!("`", $name, "`")]
            pub static $constant: Family = Family {
                name: $name,
                kind: $kind,
                unit: $unit,
                labels: &[$($tag),*],
                help: $help,
            };
        )+

        /// All of them.
        pub static FAMILIES: &[&Family] = &[$(&$constant),+];
    };
}

families! {
    REGISTRATION_ATTEMPTS: "landfall_registration_attempts_total", Counter, "attempts",
        [SERVICE, HUB, PROTOCOL, known("status", ATTEMPT_STATUSES)],
        "Attempts of devices to register, by how they ended; hub is empty unless the device was assigned";
    DEVICE_ASSIGNMENTS: "landfall_device_assignments_total", Counter, "assignments",
        [SERVICE, HUB, known("substatus", Placement::TEXTS)],
        "Devices that were assigned to a hub, by how they came to it";
    ATTESTATION_ATTEMPTS: "landfall_attestation_attempts_total", Counter, "attempts",
        [SERVICE, PROTOCOL, known("status", Judged::TEXTS)],
        "Attempts of devices to prove who they are while they register";
    REFUSALS: "landfall_refusals_total", Counter, "requests",
        [Tag { name: "check", values: Values::Checks }],
        "Requests of devices that a check ended or noted, by the check that their decision trace names";
    STAGE_DURATION: "landfall_registration_stage_duration_seconds", Histogram(Spans(SPANS)), "seconds",
        [known("stage", Stage::TEXTS)],
        "How long each stage of an attempt to register took";
    DEVICE_REQUEST_DURATION: "landfall_device_request_duration_seconds", Histogram(Spans(SPANS)), "seconds",
        [known("action", Asked::TEXTS)],
        "How long a request of a device took as a whole, from its last byte to its answer";
    GROUP_SEARCHES: "landfall_group_searches_total", Counter, "searches",
        [SERVICE, known("result", Search::TEXTS)],
        "Searches for the group of a first-time device among many";
    GROUP_SEARCH_CPU: "landfall_group_search_cpu_seconds_total", Counter, "seconds",
        [SERVICE],
        "Processor time of searches for the group of a first-time device";
    GROUP_SEARCH_SHARE: "landfall_group_search_cpu_share", Gauge, "processors",
        [],
        "The share of one processor that searches may take for each service";
    OPERATIONS_CONTINUED: "landfall_operations_continued_total", Counter, "operations",
        [known("outcome", Continued::TEXTS)],
        "Operations that were left unfinished and taken up again";
    HTTP_REQUESTS: "landfall_http_requests_total", Counter, "requests",
        [known("face", Face::TEXTS), known("method", Method::TEXTS), Tag { name: "status", values: Values::Statuses }],
        "Requests that were answered, by whose path they named";
    CONNECTIONS_OPEN: "landfall_connections_open", Gauge, "connections",
        [],
        "Connections that are open to the TLS ports";
    CONNECTIONS_LIMIT: "landfall_connections_limit", Gauge, "connections",
        [],
        "Connections that may be open to the TLS ports at once";
    CONNECTIONS_ACCEPTED: "landfall_connections_accepted_total", Counter, "connections",
        [],
        "Connections that were let in to the TLS ports";
    CONNECTIONS_REFUSED: "landfall_connections_refused_total", Counter, "connections",
        [],
        "Connections that were closed at once, since too many were open";
    ACCEPT_FAILURES: "landfall_accept_failures_total", Counter, "failures",
        [],
        "Failures of the system to give a connection, such as for want of open files";
    PROTOCOL_CONNECTIONS: "landfall_protocol_connections_total", Counter, "connections",
        [known("protocol", Protocol::TEXTS)],
        "Connections whose peer began to speak, by what it speaks; one that leaves HTTP for a WebSocket counts as both";
    PROTOCOL_CONNECTIONS_OPEN: "landfall_protocol_connections_open", Gauge, "connections",
        [known("protocol", Protocol::TEXTS)],
        "Connections that are open, by what their peer speaks; before it says a word it is in none";
    TLS_HANDSHAKES: "landfall_tls_handshakes_total", Counter, "handshakes",
        [known("version", TlsVersion::TEXTS), known("kind", Handshake::TEXTS), known("client_certificate", ClientCertificate::TEXTS)],
        "TLS handshakes that succeeded";
    TLS_HANDSHAKE_FAILURES: "landfall_tls_handshake_failures_total", Counter, "handshakes",
        [known("reason", NoHandshake::TEXTS)],
        "TLS handshakes that failed";
    TLS_HANDSHAKE_DURATION: "landfall_tls_handshake_duration_seconds", Histogram(Spans(SPANS)), "seconds",
        [],
        "How long successful TLS handshakes took, the network and the client included";
    CERTIFICATE_END: "landfall_server_certificate_end_timestamp_seconds", Gauge, "seconds",
        [],
        "When the first of the certificates that the server shows ends, in seconds since 1970";
    STORE_COMMITS: "landfall_store_commits_total", Counter, "commits",
        [],
        "Durable commits, each of one or many requests";
    STORE_COMMIT_DURATION: "landfall_store_commit_duration_seconds", Histogram(Spans(SPANS)), "seconds",
        [],
        "How long a group of writes took until it was durable or given up, tries included";
    STORE_COMMIT_REQUESTS: "landfall_store_commit_requests", Histogram(Numbers(SIZES)), "requests",
        [],
        "How many requests shared a group of writes";
    STORE_WRITE_FAILURES: "landfall_store_write_failures_total", Counter, "requests",
        [],
        "Requests to write that the database did not take, whose callers were told to come back, and renewals of a lease on PostgreSQL";
    STORE_COMMIT_RETRIES: "landfall_store_commit_retries_total", Counter, "tries",
        [known("reason", Retry::TEXTS)],
        "Groups of writes that were tried again";
    STORE_WAITING: "landfall_store_waiting_requests", Gauge, "requests",
        [],
        "Requests that wait for the writer or for their commit";
    STORE_READ_FAILURES: "landfall_store_read_failures_total", Counter, "reads",
        [],
        "Reads that the database did not answer";
    TRACES_WRITTEN: "landfall_traces_written_total", Counter, "traces",
        [],
        "Decision traces that were written";
    TRACES_DROPPED: "landfall_traces_dropped_total", Counter, "traces",
        [],
        "Decision traces that were dropped, since attempts came faster than traces are written";
    TRACES_LOST: "landfall_traces_lost_total", Counter, "traces",
        [],
        "Decision traces that the database did not take";
    TRACES_WAITING: "landfall_traces_waiting", Gauge, "traces",
        [],
        "Decision traces that wait to be written";
    BUILD_INFO: "landfall_build_info", Gauge, "",
        [Tag { name: "version", values: Values::Build }, Tag { name: "commit", values: Values::Build }],
        "Always 1; which build it is stands in the labels";
    PROCESS_CPU: "process_cpu_seconds_total", Counter, "seconds",
        [],
        "Processor time of the process, of user and kernel";
    PROCESS_RESIDENT: "process_resident_memory_bytes", Gauge, "bytes",
        [],
        "Memory of the process that is in the machine's";
    PROCESS_VIRTUAL: "process_virtual_memory_bytes", Gauge, "bytes",
        [],
        "Address space of the process";
    PROCESS_THREADS: "process_threads", Gauge, "threads",
        [],
        "Threads of the process";
    PROCESS_OPEN_FILES: "process_open_fds", Gauge, "files",
        [],
        "Files, sockets included, that the process has open";
    PROCESS_MOST_FILES: "process_max_fds", Gauge, "files",
        [],
        "Files that the process may have open";
    PROCESS_START: "process_start_time_seconds", Gauge, "seconds",
        [],
        "When the server started, in seconds since 1970";
}

#[cfg(test)]
mod tests {
    use super::super::label::{ASSIGNED, Unassigned};
    use super::*;

    #[test]
    fn names_follow_the_rules_that_everybody_keeps() {
        let mut names = std::collections::BTreeSet::new();
        for family in FAMILIES {
            let name = family.name;
            assert!(names.insert(name), "{name} twice");
            assert!(
                name.starts_with("landfall_") || name.starts_with("process_"),
                "{name}"
            );
            assert_eq!(name.ends_with("_total"), family.kind == Counter, "{name}");
            let in_seconds = name.trim_end_matches("_total").ends_with("_seconds");
            assert_eq!(in_seconds, family.unit == "seconds", "{name}");
            assert!(!family.help.ends_with('.'), "{name}");
            assert!(family.labels.iter().all(|tag| tag.name != "le"), "{name}");
            assert!(family.kind.bounds().is_sorted(), "{name}");
        }
    }

    #[test]
    fn the_statuses_of_attempts_are_told_in_full() {
        let mut all = vec![ASSIGNED];
        all.extend(Unassigned::TEXTS);
        assert_eq!(all, ATTEMPT_STATUSES);
    }
}
