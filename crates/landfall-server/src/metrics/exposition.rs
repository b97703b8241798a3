//! The text form that Prometheus reads: <https://prometheus.io/docs/instrumenting/exposition_formats/>, version 0.0.4.

use std::borrow::Cow;
use std::fmt::{Display, Write as _};

use super::family::{Family, Kind};
use super::instrument::Spread;

/// What `Content-Type` says of it.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A page of metrics while it is written. Writing to a text cannot fail.
#[derive(Debug, Default)]
pub struct Page(String);

/// The series of one metric.
pub struct Series<'p> {
    page: &'p mut String,
    family: &'static Family,
}

impl Page {
    /// Begins a metric; all of its series follow.
    pub fn family(&mut self, family: &'static Family) -> Series<'_> {
        let Family { name, help, .. } = family;
        let kind = family.kind.word();
        let _ = write!(self.0, "# HELP {name} {help}.\n# TYPE {name} {kind}\n");
        Series {
            page: &mut self.0,
            family,
        }
    }

    /// The whole page.
    pub fn text(self) -> String {
        self.0
    }
}

impl Series<'_> {
    /// Writes a series: the values of its labels, in the family's order, and its own.
    pub fn value(&mut self, labels: &[Cow<'_, str>], value: impl Display) {
        self.line("", labels, None, value);
    }

    /// Writes a histogram's series.
    pub fn spread(&mut self, labels: &[Cow<'_, str>], spread: &Spread) {
        let Kind::Histogram(scale) = self.family.kind else {
            return;
        };
        let mut count = 0;
        for (bound, up_to) in spread.up_to() {
            count = up_to;
            self.line("_bucket", labels, Some(&scale.written(bound)), up_to);
        }
        count += spread.beyond();
        self.line("_bucket", labels, Some("+Inf"), count);
        self.line("_sum", labels, None, scale.written(spread.sum()));
        self.line("_count", labels, None, count);
    }

    fn line(
        &mut self,
        suffix: &str,
        labels: &[Cow<'_, str>],
        bound: Option<&str>,
        value: impl Display,
    ) {
        debug_assert_eq!(
            labels.len(),
            self.family.labels.len(),
            "{}",
            self.family.name
        );
        let names = self.family.labels.iter().map(|tag| tag.name);
        let labels = names.zip(labels.iter().map(AsRef::as_ref));
        let labels = labels.chain(bound.map(|bound| ("le", bound)));
        let _ = write!(self.page, "{}{suffix}", self.family.name);
        let mut before = '{';
        for (name, text) in labels {
            let _ = write!(self.page, "{before}{name}=\"{}\"", escaped(text));
            before = ',';
        }
        let end = if before == '{' { "" } else { "}" };
        let _ = writeln!(self.page, "{end} {value}");
    }
}

fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(['\\', '"', '\n']) {
        return Cow::Borrowed(text);
    }
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    Cow::Owned(text.replace('\n', "\\n"))
}

#[cfg(test)]
mod tests {
    use super::super::family::{Scale, Tag, Values};
    use super::*;

    static SPANS: Family = Family {
        name: "x_seconds",
        kind: Kind::Histogram(Scale::Spans(&[500_000, 1_000_000_000])),
        unit: "seconds",
        labels: &[Tag {
            name: "stage",
            values: Values::Known(&["a"]),
        }],
        help: "Of a test",
    };

    static PLAIN: Family = Family {
        name: "x_total",
        kind: Kind::Counter,
        unit: "",
        labels: &[],
        help: "Of a test",
    };

    #[test]
    fn a_histogram_is_written_with_cumulative_buckets() {
        let spread = Spread::new(SPANS_BOUNDS);
        for nanos in [1, 500_000, 600_000, 2_000_000_000] {
            spread.take(nanos);
        }
        let mut page = Page::default();
        page.family(&SPANS).spread(&["a".into()], &spread);
        page.family(&PLAIN).value(&[], 7);
        assert_eq!(
            page.text(),
            "# HELP x_seconds Of a test.\n\
             # TYPE x_seconds histogram\n\
             x_seconds_bucket{stage=\"a\",le=\"0.0005\"} 2\n\
             x_seconds_bucket{stage=\"a\",le=\"1\"} 3\n\
             x_seconds_bucket{stage=\"a\",le=\"+Inf\"} 4\n\
             x_seconds_sum{stage=\"a\"} 2.001100001\n\
             x_seconds_count{stage=\"a\"} 4\n\
             # HELP x_total Of a test.\n\
             # TYPE x_total counter\n\
             x_total 7\n"
        );
    }

    const SPANS_BOUNDS: &[u64] = &[500_000, 1_000_000_000];

    #[test]
    fn what_would_end_a_label_is_escaped() {
        assert_eq!(escaped("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
        assert_eq!(escaped("plain"), "plain");
    }
}
