//! docs/reference/metrics.md, written from the table that a scrape is held to.

use crate::metrics::family::{Family, Kind, Tag, Values};
use crate::metrics::services::{MOST_HUBS, MOST_SERVICES, UNKNOWN};
use crate::metrics::shelf::OTHER;
use crate::metrics::table::{self, FAMILIES};

const HEAD: &str = "\
# Metrics

<!-- Written by `landfall reference metrics`. Do not edit. -->

What `GET /metrics` of the admin listener gives, in the text form of Prometheus. How to scrape it, and what to look at first:
[metrics](../operating/metrics.md).

No label holds anything that a stranger can choose: there are services and hubs, which operators name, and words of this page. Registration ids, addresses and
host names that clients send are in [decision traces](../operating/traces.md) and [logs](../operating/logs.md) alone. All counters begin at 0 when the server
starts.
";

const OF_AZURE: &str = "
## Under the names of Azure Monitor

| Azure Monitor | here | dimensions |
|---|---|---|
";

const LABELS: &str = "
## Labels

| label | values |
|---|---|
";

/// A metric under its name in the cloud, with the names of its dimensions there and here.
type Mapped = (
    &'static str,
    &'static Family,
    &'static [(&'static str, &'static str)],
);

/// The metrics that the cloud's service has too.
const MAPPED: [Mapped; 3] = [
    (
        "RegistrationAttempts",
        &table::REGISTRATION_ATTEMPTS,
        &[
            ("ProvisioningServiceName", "service"),
            ("IotHubName", "hub"),
            ("Status", "status"),
        ],
    ),
    (
        "DeviceAssignments",
        &table::DEVICE_ASSIGNMENTS,
        &[
            ("ProvisioningServiceName", "service"),
            ("IotHubName", "hub"),
        ],
    ),
    (
        "AttestationAttempts",
        &table::ATTESTATION_ATTEMPTS,
        &[
            ("ProvisioningServiceName", "service"),
            ("Status", "status"),
            ("Protocol", "protocol"),
        ],
    ),
];

/// The page.
pub fn page() -> String {
    let mut out = HEAD.to_owned();
    out.push_str("\n| name | type | of what | labels | meaning |\n|---|---|---|---|---|\n");
    for family in FAMILIES {
        let labels: Vec<_> = family.labels.iter().map(|tag| quoted(tag.name)).collect();
        out.push_str(&format!(
            "| `{}` | {} | {} | {} | {}. |\n",
            family.name,
            family.kind.word(),
            or_none(family.unit),
            or_none(&labels.join(", ")),
            family.help,
        ));
    }
    out.push_str(LABELS);
    for (names, tag) in tags() {
        out.push_str(&format!(
            "| `{}` of {} | {} |\n",
            tag.name,
            names.join(", "),
            told(tag.values)
        ));
    }
    out.push_str(&bounds());
    out.push_str(OF_AZURE);
    for (theirs, family, dimensions) in MAPPED {
        let dimensions: Vec<_> = dimensions
            .iter()
            .map(|(theirs, ours)| format!("{theirs} is `{ours}`"))
            .collect();
        out.push_str(&format!(
            "| {theirs} | `{}` | {} |\n",
            family.name,
            dimensions.join(", ")
        ));
    }
    out
}

/// Every label once, with the metrics that have it with these values.
fn tags() -> Vec<(Vec<String>, Tag)> {
    let mut tags: Vec<(Vec<String>, Tag)> = Vec::new();
    for family in FAMILIES {
        for tag in family.labels {
            let same =
                |known: &Tag| known.name == tag.name && told(known.values) == told(tag.values);
            match tags.iter_mut().find(|(_, known)| same(known)) {
                Some((names, _)) => names.push(quoted(family.name)),
                None => tags.push((vec![quoted(family.name)], *tag)),
            }
        }
    }
    tags
}

fn told(values: Values) -> String {
    match values {
        Values::Known(values) => {
            let values: Vec<_> = values.iter().map(|value| quoted(value)).collect();
            values.join(", ")
        }
        Values::Statuses => "HTTP statuses; those that were given since the start".to_owned(),
        Values::Checks => format!("every [check](checks.md), and {}", quoted(OTHER)),
        Values::Services => format!(
            "names of provisioning services since the start; {} where a request names none of this server, or where its service could not be read; {} past {MOST_SERVICES} of them",
            quoted(UNKNOWN),
            quoted(OTHER)
        ),
        Values::Hubs => format!(
            "host names of hubs that were linked to the service; {} past {MOST_HUBS} of one service",
            quoted(OTHER)
        ),
        Values::Build => "as `landfall --version` says".to_owned(),
    }
}

fn bounds() -> String {
    let mut out = "\n## Buckets\n\n| of | upper bounds, `le` |\n|---|---|\n".to_owned();
    for family in FAMILIES {
        if let Kind::Histogram(scale) = family.kind {
            let bounds = family.kind.bounds().iter();
            let bounds: Vec<_> = bounds.map(|bound| scale.written(*bound)).collect();
            out.push_str(&format!(
                "| `{}` | {}, +Inf |\n",
                family.name,
                bounds.join(", ")
            ));
        }
    }
    out
}

fn quoted(text: &str) -> String {
    format!("`{text}`")
}

fn or_none(text: &str) -> &str {
    if text.is_empty() { "—" } else { text }
}
