//! The page that a comparison leaves behind: machine, settings, ratios, verdicts, and what a row that
//! falls short is spent on.

use super::notes::{FLOORS, HEAD, NOT_YET, REFERENCES, SPENT, SPENT_BY};
use super::row::{Asked, Outcome};
use super::{Options, machine};

/// The text of the page.
pub(super) fn text(options: &Options, outcomes: &[Outcome]) -> String {
    let mut page = HEAD.to_owned();
    page.push_str(&ratios(outcomes));
    page.push_str(REFERENCES);
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
        "| row | Landfall | beside | ratio, lowest to highest | must | stretch | verdict | cost, Landfall and reference | a second, Landfall and reference |\n\
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
            "| {} | {:.0} µs | {:.0} µs | {:.2} | {:.2} | {:.2} and {:.2} | {:.2} and {:.2} |\n",
            row.number,
            floor.transport,
            floor.statements,
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
         | row | handshake and requests | statements | floor now | floor of the prototype | must and stretch beside the prototype | must and stretch now |\n\
         |---|---|---|---|---|---|---|\n{table}"
    )
}

/// What the threads spent.
fn spent(outcomes: &[Outcome]) -> String {
    let mut table = String::new();
    for outcome in outcomes {
        let Some(spent) = outcome.spent else {
            continue;
        };
        let kernel = spent
            .in_kernel()
            .map_or_else(String::new, |share| format!("{:.0} %", share * 100.0));
        let [transport, statements] = match outcome.floor {
            Some(floor) => [floor.transport, floor.statements].map(|part| format!("{part:.0} µs")),
            None => [const { String::new() }; 2],
        };
        table.push_str(&format!(
            "| {} | {:.0} µs | {transport} | {:.0} µs | {statements} | {kernel} |\n",
            outcome.row.number, spent.others, spent.writer
        ));
    }
    if table.is_empty() {
        return table;
    }
    format!(
        "\n## What it is spent on\n\n{SPENT_BY}\n| row | requests | of its floor | writer | of its floor | of all, inside the kernel |\n|---|---|---|---|---|---|\n{table}"
    )
}

/// The median, and the lowest and highest.
fn value(outcome: &Outcome) -> String {
    match outcome.spread() {
        Some((low, high)) => format!("{:.2} ({low:.2} to {high:.2})", outcome.value()),
        None => format!("{:.2}", outcome.value()),
    }
}
