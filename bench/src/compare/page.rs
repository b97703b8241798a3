//! The page that a comparison leaves behind: machine, settings, ratios, verdicts, and what a row that
//! falls short is spent on.

use super::notes::{FLOORS, NOT_YET, SPENT};
use super::row::{Asked, Outcome};
use super::{Options, machine};

/// The text of the page.
pub(super) fn text(options: &Options, outcomes: &[Outcome]) -> String {
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
    page.push_str(&ratios(outcomes));
    page.push_str(&numbers(outcomes));
    page.push_str(&floors(outcomes));
    page.push_str(&spent(outcomes));
    page.push_str(&machine::section(options));
    let short = outcomes
        .iter()
        .filter(|outcome| outcome.verdict() == "short");
    let spent: String = short
        .filter_map(|outcome| {
            let number = outcome.row.number;
            let (_, spent) = SPENT.iter().find(|(rows, _)| rows.contains(&number))?;
            Some(format!("- **Row {number}**: {spent}\n"))
        })
        .collect();
    if !spent.is_empty() {
        page.push_str("\n## What the rows that are short are spent on\n\n");
        page.push_str(&spent);
    }
    page.push_str("\n## What is not measured\n\n");
    page.push_str(NOT_YET);
    page
}

/// Rows that are held against another program.
fn ratios(outcomes: &[Outcome]) -> String {
    let mut table = String::from(
        "| row | Landfall | beside | ratio (lowest to highest) | must | stretch | verdict | cost, Landfall and reference | a second, Landfall and reference |\n\
         |---|---|---|---|---|---|---|---|---|\n",
    );
    for outcome in outcomes {
        let row = outcome.row;
        let Asked::Beside(beside) = row.asked else {
            continue;
        };
        let (costs, rates) =
            outcome
                .figures()
                .map_or_else(Default::default, |(ours, reference)| {
                    (
                        format!("{:.0} and {:.0} {}", ours.cost, reference.cost, row.unit),
                        format!("{:.0} and {:.0}", ours.rate, reference.rate),
                    )
                });
        table.push_str(&format!(
            "| {} | {} | {beside} | {} | {:.2} | {:.2} | {} | {costs} | {rates} |\n",
            row.number,
            row.what,
            value(outcome),
            outcome.bounds.must,
            outcome.bounds.stretch,
            outcome.verdict(),
        ));
    }
    table
}

/// Rows that are held against a number.
fn numbers(outcomes: &[Outcome]) -> String {
    let mut table = String::from(
        "\nHeld against a number:\n\n| row | what | is | must | stretch | verdict |\n|---|---|---|---|---|---|\n",
    );
    for outcome in outcomes {
        let row = outcome.row;
        if row.asked != Asked::Number {
            continue;
        }
        table.push_str(&format!(
            "| {} | {} | {} {unit} | ≤ {} {unit} | ≤ {} {unit} | {} |\n",
            row.number,
            row.what,
            value(outcome),
            outcome.bounds.must,
            outcome.bounds.stretch,
            outcome.verdict(),
            unit = row.unit,
        ));
    }
    table
}

/// How the bounds came about that this run derived.
fn floors(outcomes: &[Outcome]) -> String {
    let mut table = String::new();
    for outcome in outcomes {
        let (row, bounds) = (outcome.row, outcome.bounds);
        let Some(floor) = outcome.floor else {
            continue;
        };
        table.push_str(&format!(
            "| {} | {:.0} µs | {:.2} | {:.2} | {:.2} and {:.2} | {:.2} and {:.2} |\n",
            row.number,
            floor.cost,
            floor.now,
            floor.then,
            row.must,
            row.stretch,
            bounds.must,
            bounds.stretch,
        ));
    }
    if table.is_empty() {
        return table;
    }
    format!(
        "\n## Bounds that this run derived\n\n{FLOORS}\n\
         | row | the least server | floor now | floor of the prototype | must and stretch beside the prototype | must and stretch now |\n\
         |---|---|---|---|---|---|\n{table}"
    )
}

/// What the threads spent.
fn spent(outcomes: &[Outcome]) -> String {
    let mut table = String::new();
    for outcome in outcomes {
        let Some(spent) = outcome.spent else {
            continue;
        };
        for (who, spent) in ["Landfall", "the least server"].into_iter().zip(spent) {
            let kernel = spent
                .in_kernel()
                .map_or_else(String::new, |share| format!("{:.0} %", share * 100.0));
            table.push_str(&format!(
                "| {} | {who} | {:.0} µs | {:.0} µs | {kernel} |\n",
                outcome.row.number, spent.others, spent.writer
            ));
        }
    }
    if table.is_empty() {
        return table;
    }
    format!(
        "\n## What a registration is spent on\n\nProcessor time of the threads that take requests (handshake, HTTP, \
         decisions, reads) and of the one that writes (changes, commits,\ncheckpoints, decision traces), by the work done. \
         What Landfall spends more than the least server is what it checks, decides, seals and logs.\n\n\
         | row | who | requests | writer | of all, inside the kernel |\n|---|---|---|---|---|\n{table}"
    )
}

/// The median, and the lowest and highest.
fn value(outcome: &Outcome) -> String {
    match outcome.spread() {
        Some((low, high)) => format!("{:.2} ({low:.2} to {high:.2})", outcome.value()),
        None => format!("{:.2}", outcome.value()),
    }
}
