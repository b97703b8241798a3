//! The page that a comparison leaves behind: machine, settings, ratios, verdicts, and what a row that
//! falls short is spent on.

use std::path::Path;
use std::process::Command;

use landfall_core::clock::Clock as _;
use landfall_server::time::SystemClock;

use super::limits::Held;
use super::notes::{NOT_YET, SPENT};
use super::{Options, Result, median};

/// The text of the page.
///
/// # Errors
/// When a program does not say its version.
pub(super) fn text(options: &Options, results: &[Result], held: &[Held]) -> anyhow::Result<String> {
    let mut page = String::from(
        "# Performance: Landfall beside what you know\n\n\
         Written by `cargo xtask bench`, which anybody can run; it takes some minutes and two processors. Each row \
         holds something that Landfall\ndoes against a program that does the least of the kind, in the same run: rows \
         are interleaved, round by round, and the ratio of each round is taken\nby itself. Shown is the median ratio \
         with the lowest and the highest. Rates depend on the machine; ratios hardly do. How much one server of yours \
         takes\nis told by [`landfall bench`](load.md).\n\n\
         **Cost** is the processor time of the server's process by the work done, as the kernel's scheduler counts it \
         for every thread: what the\nclient costs is not in it. A ratio of 0.5 says that Landfall uses twice what the \
         reference uses. **must** and **stretch** are what the project asks\nof itself.\n\n",
    );
    page.push_str(&table(results));
    page.push_str(&counts(held));
    page.push_str(&machine(options)?);
    let short = results.iter().filter(|result| result.verdict() == "short");
    let spent: String = short
        .filter_map(|result| {
            let (_, spent) = SPENT
                .iter()
                .find(|(rows, _)| rows.contains(&result.row.number))?;
            Some(format!("- **Row {}**: {spent}\n", result.row.number))
        })
        .collect();
    if !spent.is_empty() {
        page.push_str("\n## What the rows that are short are spent on\n\n");
        page.push_str(&spent);
    }
    page.push_str("\n## What is not measured\n\n");
    page.push_str(NOT_YET);
    Ok(page)
}

fn table(results: &[Result]) -> String {
    let mut table = String::from(
        "| row | Landfall | beside | ratio (lowest to highest) | must | stretch | verdict | cost, Landfall and reference | a second, Landfall and reference |\n\
         |---|---|---|---|---|---|---|---|---|\n",
    );
    for result in results {
        let row = result.row;
        let cost = |figures: &[super::Figure]| median(figures.iter().map(|figure| figure.cost));
        let rate = |figures: &[super::Figure]| median(figures.iter().map(|figure| figure.rate));
        table.push_str(&format!(
            "| {} | {} | {} | {:.2} ({:.2} to {:.2}) | {} | {} | {} | {:.0} and {:.0} {} | {:.0} and {:.0} |\n",
            row.number,
            row.what,
            row.beside,
            result.ratio(),
            result.ratios.first().unwrap_or(&f64::NAN),
            result.ratios.last().unwrap_or(&f64::NAN),
            row.must,
            row.stretch,
            result.verdict(),
            cost(&result.ours),
            cost(&result.reference),
            row.unit,
            rate(&result.ours),
            rate(&result.reference),
        ));
    }
    table
}

fn counts(held: &[Held]) -> String {
    let mut table = String::from(
        "\nHeld against a number:\n\n| row | what | is | must | stretch | verdict |\n|---|---|---|---|---|---|\n",
    );
    for held in held {
        let limit = held.limit;
        table.push_str(&format!(
            "| {} | {} | {:.2} {unit} | {} {unit} | {} {unit} | {} |\n",
            limit.number,
            limit.what,
            held.value,
            limit.must,
            limit.stretch,
            held.verdict(),
            unit = limit.unit,
        ));
    }
    table
}

/// Where and how the figures came about.
fn machine(options: &Options) -> anyhow::Result<String> {
    let read = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
    let of_cpu = read("/proc/cpuinfo");
    let model = of_cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown", |rest| rest.trim_start_matches([' ', '\t', ':']));
    let processors = of_cpu.matches("model name").count();
    let load = read("/proc/loadavg");
    let load: Vec<&str> = load.split_ascii_whitespace().take(3).collect();
    let memory = read("/proc/meminfo");
    let kilobytes: u64 = memory
        .split_ascii_whitespace()
        .nth(1)
        .and_then(|number| number.parse().ok())
        .unwrap_or(0);
    let nginx = said("nginx".as_ref(), "-v");
    let rows = [
        ("date", SystemClock.now().to_wire_seconds()),
        ("processor", format!("{processors} × {model}")),
        ("memory", format!("{} GB", kilobytes / 1_000_000)),
        ("kernel", read("/proc/sys/kernel/osrelease").trim().to_owned()),
        ("load of the machine at the end (1, 5, 15 minutes)", load.join(", ")),
        ("Landfall", said(&options.landfall, "--version")),
        ("nginx", nginx),
        (
            "rounds",
            format!(
                "{} of {} s for each measure, after one that does not count",
                options.rounds,
                options.span.as_secs()
            ),
        ),
        ("processors", "servers on 0, clients on the other".to_owned()),
        (
            "TLS",
            "1.3, X25519, ECDSA P-256, no resumption; certificates not verified by the client".to_owned(),
        ),
        (
            "Landfall's settings",
            "`landfall serve` with its defaults, log and decision traces included; SQLite with `synchronous = FULL` on the disk of the build".to_owned(),
        ),
        ("in flight", "128; nginx with fresh connections 16, where it does best".to_owned()),
    ];
    let mut text = String::from("\n## Machine and settings\n\n| what | |\n|---|---|\n");
    for (what, value) in rows {
        text.push_str(&format!("| {what} | {value} |\n"));
    }
    Ok(text)
}

/// What a program says of its version, on whichever stream.
fn said(program: &Path, flag: &str) -> String {
    let Ok(done) = Command::new(program).arg(flag).output() else {
        return "not there".to_owned();
    };
    let mut text = String::from_utf8_lossy(&done.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&done.stderr));
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    words.join(" ")
}
