//! What a run came to: rate, times, errors by kind and what the server used of the processor, as text
//! and as JSON. Nothing here measures.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::process::Process;
use crate::command::outcome::{Exit, Failure};
use crate::command::print;

/// What the server used while the run lasted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cost {
    process: u32,
    used: Duration,
}

impl Cost {
    /// What `process` used.
    pub(super) fn of(process: &Process, used: Duration) -> Self {
        Cost {
            process: process.id,
            used,
        }
    }
}

/// What a run counts, in the words of its report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counted {
    /// The member of JSON with how many succeeded, the one with how many did in a second, and the one with what
    /// the server used for each.
    members: [&'static str; 3],
    /// What begins the line for people, and the noun behind the number there.
    people: [&'static str; 2],
    /// What one is that failed.
    one: &'static str,
}

/// Devices that register.
pub(super) const REGISTRATIONS: Counted = Counted {
    members: [
        "registered",
        "registrationsPerSecond",
        "cpuMicrosecondsPerRegistration",
    ],
    people: ["Registered", "device"],
    one: "registration",
};
/// Devices that connect to their hub.
pub(super) const CONNECTIONS: Counted = Counted {
    members: [
        "connected",
        "connectionsPerSecond",
        "cpuMicrosecondsPerConnection",
    ],
    people: ["Connected", "device"],
    one: "connection",
};
/// Messages that the hub acknowledges.
pub(super) const MESSAGES: Counted = Counted {
    members: [
        "acknowledged",
        "messagesPerSecond",
        "cpuMicrosecondsPerMessage",
    ],
    people: ["Acknowledged", "message"],
    one: "message",
};

/// Connections that were held.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    /// How many still were there at the end.
    pub(super) count: usize,
    /// Bytes of memory that the server took for each, when that could be seen.
    pub(super) memory: Option<u64>,
}

/// What a run came to, one by one.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// How long each that succeeded took.
    times: Vec<Duration>,
    errors: BTreeMap<String, u64>,
}

impl Tally {
    /// Counts one registration.
    pub(super) fn add(&mut self, outcome: Result<Duration, String>) {
        match outcome {
            Ok(time) => self.times.push(time),
            Err(kind) => *self.errors.entry(kind).or_default() += 1,
        }
    }

    /// The first kind of error, where there is one.
    pub(super) fn first_error(&self) -> Option<String> {
        self.errors.keys().next().cloned()
    }
}

/// A run that is over.
#[derive(Debug)]
pub(super) struct Report {
    /// What was counted.
    counted: Counted,
    /// How many began.
    pub(super) begun: u32,
    /// What was asked for.
    pub(super) settings: Json,
    /// What the server used, when that could be seen.
    pub(super) cost: Option<Cost>,
    /// The connections that were held, where that was asked for.
    pub(super) held: Option<Held>,
    /// Sorted.
    times: Vec<Duration>,
    errors: BTreeMap<String, u64>,
    /// From the first beginning to the last end.
    lasted: Duration,
    interrupted: bool,
}

impl Report {
    /// Closes the books.
    pub(super) fn of(
        counted: Counted,
        tally: Tally,
        begun: u32,
        lasted: Duration,
        interrupted: bool,
    ) -> Self {
        let Tally { mut times, errors } = tally;
        times.sort_unstable();
        Report {
            counted,
            begun,
            settings: Json::Null,
            cost: None,
            held: None,
            times,
            errors,
            lasted,
            interrupted,
        }
    }

    /// Counts connections that were held and that the server ended.
    pub(super) fn lost(&mut self, count: usize) {
        if count > 0 {
            let kind = "ended by the server while it was held".to_owned();
            *self.errors.entry(kind).or_default() += count as u64;
        }
    }

    /// Whether so many succeeded, and nobody ended it.
    pub(super) fn is_whole(&self, count: u32) -> bool {
        !self.interrupted && u32::try_from(self.times.len()) == Ok(count)
    }

    fn failed(&self) -> u64 {
        self.errors.values().sum()
    }

    fn rate(&self) -> f64 {
        let seconds = self.lasted.as_secs_f64();
        if seconds > 0.0 {
            self.times.len() as f64 / seconds
        } else {
            0.0
        }
    }

    /// The time within which the given part of the registrations, in thousandths, succeeded.
    fn quantile(&self, thousandths: usize) -> Option<Duration> {
        let rank = (self.times.len() * thousandths).div_ceil(1000);
        self.times.get(rank.checked_sub(1)?).copied()
    }

    /// What the server used for each registration that succeeded.
    fn cost_of_one(&self) -> Option<Duration> {
        let count = u32::try_from(self.times.len()).ok()?;
        self.cost?.used.checked_div(count)
    }

    /// For programs.
    pub(super) fn json(&self) -> Json {
        let micros = |time: Option<Duration>| time.map(|time| time.as_micros() as u64);
        let [succeeded, rate, cost_of_one] = self.counted.members;
        let mut told = json!({
            "settings": self.settings,
            succeeded: self.times.len(),
            "failed": self.failed(),
            "errors": self.errors,
            "interrupted": self.interrupted,
            "seconds": self.lasted.as_secs_f64(),
            rate: self.rate(),
            "latencyMicroseconds": {
                "p50": micros(self.quantile(500)),
                "p99": micros(self.quantile(990)),
                "p999": micros(self.quantile(999)),
                "max": micros(self.quantile(1000)),
            },
            "server": self.cost.map(|cost| json!({
                "process": cost.process,
                "cpuSeconds": cost.used.as_secs_f64(),
                cost_of_one: micros(self.cost_of_one()),
            })),
        });
        if let Some(held) = self.held {
            told["held"] = json!(held.count);
            told["memoryBytesPerConnection"] = json!(held.memory);
        }
        told
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let time = |thousandths| match self.quantile(thousandths) {
            Some(time) => format!("{:.1} ms", time.as_secs_f64() * 1e3),
            None => "-".to_owned(),
        };
        let [begins, noun] = self.counted.people;
        let succeeded = print::many(self.times.len() as u64, noun);
        let mut rows = vec![
            (
                begins.to_owned(),
                format!("{succeeded} in {:.2} s", self.lasted.as_secs_f64()),
            ),
            ("Rate".to_owned(), format!("{:.0} a second", self.rate())),
            (
                "Time of one".to_owned(),
                format!(
                    "p50 {}, p99 {}, p99.9 {}, max {}",
                    time(500),
                    time(990),
                    time(999),
                    time(1000)
                ),
            ),
        ];
        rows.push((
            "Server".to_owned(),
            match (self.cost, self.cost_of_one()) {
                (Some(cost), Some(one)) => format!(
                    "{} µs of processor time each (process {})",
                    one.as_micros(),
                    cost.process
                ),
                _ => "its processor time cannot be read by this user".to_owned(),
            },
        ));
        if let Some(held) = self.held {
            let memory = match held.memory {
                Some(bytes) => format!(
                    "{:.1} KiB of the server's memory each",
                    bytes as f64 / 1024.0
                ),
                None => "the server's memory cannot be read by this user".to_owned(),
            };
            rows.push(("Held".to_owned(), format!("{}, {memory}", held.count)));
        }
        rows.push(("Errors".to_owned(), self.failed().to_string()));
        let mut text = print::pairs(rows);
        for (kind, count) in &self.errors {
            text.push_str(&format!("  {count} × {kind}\n"));
        }
        if self.interrupted {
            text.push_str("Interrupted: these are the figures until then.\n");
        }
        text
    }

    /// Whether the figures are worth anything.
    ///
    /// # Errors
    /// [`Failure`] when one failed.
    pub(super) fn verdict(&self) -> Result<(), Failure> {
        if self.failed() > 0 {
            return Err(Failure::new(
                Exit::Refused,
                format!(
                    "{} of {} failed: the figures are not those of a server that does its work",
                    self.failed(),
                    print::many(u64::from(self.begun), self.counted.one)
                ),
                "see the kinds of errors above, and the server's log",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(millis: &[u64], errors: &[&str]) -> Report {
        let mut tally = Tally::default();
        for time in millis {
            tally.add(Ok(Duration::from_millis(*time)));
        }
        for kind in errors {
            tally.add(Err((*kind).to_owned()));
        }
        let begun = (millis.len() + errors.len()) as u32;
        Report::of(REGISTRATIONS, tally, begun, Duration::from_secs(2), false)
    }

    #[test]
    fn times_are_those_within_which_so_many_succeeded() {
        let hundred: Vec<u64> = (1..=100).rev().collect();
        let json = report(&hundred, &[]).json();
        assert_eq!(json["registered"], 100);
        assert_eq!(json["registrationsPerSecond"], 50.0);
        let times = &json["latencyMicroseconds"];
        assert_eq!(times["p50"], 50_000);
        assert_eq!(times["p99"], 99_000);
        assert_eq!(times["p999"], 100_000);
        assert_eq!(times["max"], 100_000);
        let one = report(&[7], &[]).json();
        assert_eq!(one["latencyMicroseconds"]["p50"], 7_000);
        let none = report(&[], &[]);
        assert_eq!(none.json()["latencyMicroseconds"]["max"], Json::Null);
        assert!(none.text().contains("p50 -"));
    }

    #[test]
    fn errors_are_told_by_kind_and_fail_the_command() {
        let failing = report(&[1], &["401", "timed out", "401"]);
        assert_eq!(failing.json()["errors"], json!({"401": 2, "timed out": 1}));
        assert!(failing.text().contains("  2 × 401\n"));
        let failure = failing.verdict().expect_err("a failure");
        assert_eq!(failure.exit, Exit::Refused);
        assert!(failure.what.starts_with("3 of 4 registrations failed"));
        assert_eq!(report(&[1], &[]).verdict(), Ok(()));
    }

    #[test]
    fn what_the_server_used_is_shared_out_among_those_that_registered() {
        let mut report = report(&[1, 1, 1, 1], &["x"]);
        report.cost = Some(Cost {
            process: 7,
            used: Duration::from_micros(800),
        });
        let server = &report.json()["server"];
        assert_eq!(server["cpuMicrosecondsPerRegistration"], 200);
        assert!(report.text().contains("200 µs"));
    }
}
