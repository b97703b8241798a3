//! What a metric is: name, kind, unit, labels, and what it tells. The list is in `table`.

/// A metric with all its series.
#[derive(Debug)]
pub struct Family {
    /// Its name.
    pub name: &'static str,
    /// How it counts.
    pub kind: Kind,
    /// What of.
    pub unit: &'static str,
    /// By which labels.
    pub labels: &'static [Tag],
    /// What it tells, in one sentence without a full stop.
    pub help: &'static str,
}

/// How a metric counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A number that only grows.
    Counter,
    /// A number that goes up and down.
    Gauge,
    /// How values spread over bounds.
    Histogram(Scale),
}

/// The bounds of a histogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Spans, bounded in nanoseconds, written in seconds.
    Spans(&'static [u64]),
    /// Plain numbers.
    Numbers(&'static [u64]),
}

/// A label, and what it can be.
#[derive(Debug, Clone, Copy)]
pub struct Tag {
    /// Its name.
    pub name: &'static str,
    /// Its values.
    pub values: Values,
}

/// What a label can be. None of them is anything that a stranger can choose.
#[derive(Debug, Clone, Copy)]
pub enum Values {
    /// One of these.
    Known(&'static [&'static str]),
    /// A status of an HTTP answer; those that were given.
    Statuses,
    /// A check of decision traces.
    Checks,
    /// A provisioning service of this server, by name.
    Services,
    /// A hub that devices were assigned to.
    Hubs,
    /// Of the build.
    Build,
}

impl Kind {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        }
    }

    /// The bounds of a histogram; none of another kind.
    pub const fn bounds(self) -> &'static [u64] {
        match self {
            Kind::Histogram(Scale::Spans(bounds) | Scale::Numbers(bounds)) => bounds,
            Kind::Counter | Kind::Gauge => &[],
        }
    }
}

impl Scale {
    /// A kept number as it is written.
    pub fn written(self, kept: u64) -> String {
        match self {
            Scale::Spans(_) => seconds(kept),
            Scale::Numbers(_) => kept.to_string(),
        }
    }
}

/// Nanoseconds as seconds, exactly and without more digits than are needed.
pub fn seconds(nanos: u64) -> String {
    let (whole, part) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    if part == 0 {
        return whole.to_string();
    }
    let part = format!("{part:09}");
    format!("{whole}.{}", part.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_exact_and_short() {
        assert_eq!(seconds(0), "0");
        assert_eq!(seconds(50_000), "0.00005");
        assert_eq!(seconds(2_500_000_000), "2.5");
        assert_eq!(seconds(10_000_000_000), "10");
        assert_eq!(seconds(1), "0.000000001");
    }
}
