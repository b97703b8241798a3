//! The page that a comparison leaves behind: machine, settings, ratios, verdicts, and what a row that
//! falls short is spent on.

use super::notes::{FLOORS, HEAD, NOT_YET, REFERENCES, SPENT, SPENT_BY};
use super::row::{Asked, Outcome, shown};
use super::{FAMILIES, Options, machine};

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
    let mut spent: Vec<String> = short
        .filter_map(|outcome| {
            let number = outcome.row.number;
            let (_, spent) = SPENT.iter().find(|(rows, _)| rows.contains(&number))?;
            Some(format!("- **Row {number}**: {spent}\n"))
        })
        .collect();
    // Several rows may have one number.
    spent.dedup();
    if !spent.is_empty() {
        page.push_str("\n## What the rows that are short are spent on\n\n");
        page.push_str(&spent.concat());
    }
    page.push_str("\n## What is not measured\n\n");
    page.push_str(NOT_YET);
    page.push_str(&not_asked(outcomes));
    page
}

/// Rows that the run left out.
fn not_asked(outcomes: &[Outcome]) -> String {
    let all = FAMILIES.iter().flat_map(|family| family.rows);
    let out = all.filter(|row| {
        let mut asked = outcomes.iter().map(|outcome| outcome.row);
        !asked.any(|asked| std::ptr::eq(asked, *row))
    });
    out.map(|row| {
        format!(
            "- Row {} ({}): this run was not asked for it.\n",
            row.number, row.what
        )
    })
    .collect()
}

/// Rows that are held against another program.
fn ratios(outcomes: &[Outcome]) -> String {
    let mut table = String::from(
        "| row | Landfall | beside | ratio, lowest to highest | must | stretch | verdict | cost, Landfall and reference | a second, Landfall and reference |\n\
         |---|---|---|---|---|---|---|---|---|\n",
    );
    for outcome in outcomes {
        let row = outcome.row;
        let Some(beside) = row.asked.beside() else {
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
            "| {} | {} | {beside} | {} | {} | {} | {} | {costs} | {rates} |\n",
            row.number,
            row.what,
            value(outcome),
            shown(outcome.bounds.must),
            shown(outcome.bounds.stretch),
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
        let beside = outcome
            .figures()
            .map_or_else(String::new, |(_, reference)| {
                format!(" beside {} {}", shown(reference.cost), row.unit)
            });
        table.push_str(&format!(
            "| {} | {} | {} {unit}{beside} | ≤ {} {unit} | ≤ {} {unit} | {} |\n",
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
            "| {} | {:.0} µs | {:.0} µs | {} | {} | {} and {} | {} and {} |\n",
            row.number,
            floor.transport,
            floor.statements,
            shown(floor.now),
            shown(floor.then),
            shown(row.must),
            shown(row.stretch),
            shown(bounds.must),
            shown(bounds.stretch),
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
        Some((low, high)) => {
            let middle = shown(outcome.value());
            format!("{middle} ({} to {})", shown(low), shown(high))
        }
        None => shown(outcome.value()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::rounds;
    use crate::compare::row::{Figure, Row};

    fn measured(row: &'static Row) -> Outcome {
        let figure = |cost| Figure { cost, rate: 1.0 };
        let mut outcome = Outcome::of(row);
        outcome.add(figure(2.0), figure(50.0));
        outcome
    }

    #[test]
    fn the_page_names_the_rows_that_the_run_left_out() {
        let first = rounds::FAMILY.rows.first().expect("a row");
        let left = not_asked(&[measured(first)]);
        assert!(!left.contains("Row 1 ("), "{left}");
        assert!(left.contains("- Row 2 (first GET"), "{left}");
        assert!(left.contains("- Row 24 ("), "{left}");
    }

    #[test]
    fn a_row_shows_ratio_bounds_verdict_costs_and_rates() {
        let first = rounds::FAMILY.rows.first().expect("a row");
        let table = ratios(&[measured(first)]);
        let line = table.lines().last().expect("a line");
        assert!(
            line.contains("| 0.040 | 0.95 | 1.00 | short | 50 and 2 µs | 1 and 1 |"),
            "{line}"
        );
    }
}
