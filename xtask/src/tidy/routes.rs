//! Every public route has its contract shown: `contract/routes.txt` names each method and path with
//! the recorded exchange or the contract test that shows it.
//!
//! Here the table's paths are held to `landfall-wire/src/route.rs`, and its right column to what
//! stands in `contract/`. That the methods are those of a running server, a contract test checks.

use std::collections::BTreeSet;

use super::Finding;
use super::tree::Tree;

const ROUTES: &str = "crates/landfall-wire/src/route.rs";
const TABLE: &str = "contract/routes.txt";
const TRANSCRIPTS: &str = "contract/transcripts/";
const REMEDY: &str =
    "record one with `contract/run.py --record`, or name a contract test and a text that it holds";

/// A row of the table.
struct Row<'a> {
    line: usize,
    method: &'a str,
    shape: &'a str,
    shown: &'a str,
}

/// Checks the table both ways.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let (Some(routes), Some(table)) = (tree.file(ROUTES), tree.file(TABLE)) else {
        let what = "the routes or the table of their contract is not there";
        return vec![Finding::new(
            TABLE,
            1,
            what,
            "correct the paths in xtask/src/tidy/routes.rs",
        )];
    };
    let mut findings = Vec::new();
    let (rows, broken) = rows(&table.text);
    for line in broken {
        let what = "a row is METHOD, path, and where it is shown";
        findings.push(Finding::new(TABLE, line, what, REMEDY));
    }

    let shapes: Vec<(usize, &str)> = shapes(&routes.text).collect();
    for (line, shape) in &shapes {
        if !rows.iter().any(|row| row.shape == *shape) {
            let what = format!("`{shape}` has no row in {TABLE}");
            findings.push(Finding::new(ROUTES, *line, what, REMEDY));
        }
    }
    let known: BTreeSet<&str> = shapes.iter().map(|(_, shape)| *shape).collect();

    let recorded: Vec<(&str, &str, &str)> = tree
        .files()
        .iter()
        .filter(|file| file.path.starts_with(TRANSCRIPTS))
        .filter_map(|file| {
            let mut words = file.text.lines().next()?.split(' ');
            let (method, target) = (words.next()?, words.next()?);
            Some((file.path.as_str(), method, target.split('?').next()?))
        })
        .collect();
    for row in &rows {
        if !known.contains(row.shape) {
            let what = format!("no route of {ROUTES} is `{}`", row.shape);
            findings.push(Finding::new(TABLE, row.line, what, "remove the row"));
        }
        if !is_shown(tree, row, &recorded) {
            let what = format!(
                "`{} {}` is not shown by {}",
                row.method, row.shape, row.shown
            );
            findings.push(Finding::new(TABLE, row.line, what, REMEDY));
        }
    }
    for (file, method, path) in recorded {
        if !rows
            .iter()
            .any(|row| row.method == method && fits(row.shape, path))
        {
            let what = format!("`{method} {path}` has no row in {TABLE}");
            findings.push(Finding::new(file, 1, what, "add the row"));
        }
    }
    findings
}

/// The rows of the table, and the lines that are none.
fn rows(text: &str) -> (Vec<Row<'_>>, Vec<usize>) {
    let mut rows = Vec::new();
    let mut broken = Vec::new();
    for (index, text) in text.lines().enumerate() {
        let line = index + 1;
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let row = text.split_once(' ').and_then(|(method, rest)| {
            let (shape, shown) = rest.trim_start().split_once(' ')?;
            Some(Row {
                line,
                method,
                shape,
                shown: shown.trim(),
            })
        });
        match row {
            Some(row) => rows.push(row),
            None => broken.push(line),
        }
    }
    (rows, broken)
}

/// The paths that the variants of the routes name in code marks.
fn shapes(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let variants = text
        .lines()
        .enumerate()
        .filter_map(|(index, line)| Some((index + 1, line.strip_prefix("    /// ")?)));
    variants.flat_map(|(line, comment)| {
        let marked = comment.split('`').skip(1).step_by(2);
        marked
            .filter(|text| text.starts_with('/') || text.starts_with("…/"))
            .map(move |shape| (line, shape))
    })
}

fn is_shown(tree: &Tree, row: &Row<'_>, recorded: &[(&str, &str, &str)]) -> bool {
    if row.shown == "transcript" {
        return recorded
            .iter()
            .any(|(_, method, path)| *method == row.method && fits(row.shape, path));
    }
    row.shown.split_once(' ').is_some_and(|(test, text)| {
        tree.file(&format!("contract/{test}"))
            .is_some_and(|file| file.text.contains(text.trim()))
    })
}

/// True when `path` is of this shape: fixed segments without case, any text for a `{name}`.
fn fits(shape: &str, path: &str) -> bool {
    let path = path.strip_suffix('/').unwrap_or(path);
    let mut wanted = shape.trim_start_matches('…').split('/').rev();
    let mut seen = path.split('/').rev();
    loop {
        match (wanted.next(), seen.next()) {
            (Some(""), Some(rest)) => return shape.starts_with('…') || rest.is_empty(),
            (Some(wanted), Some(seen)) => {
                if !wanted.starts_with('{') && !wanted.eq_ignore_ascii_case(seen) {
                    return false;
                }
            }
            (wanted, seen) => return wanted.is_none() && seen.is_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tree::tests::Sample;
    use super::*;

    const ONE_ROUTE: &str =
        "//! R.\npub enum R {\n    /// `/devices/{id}`\n    Device(String),\n}\n";

    fn broken(routes: &str, table: &str, transcript: &str) -> Vec<(String, String)> {
        let sample = Sample::new(&[
            (ROUTES, routes),
            (TABLE, table),
            ("contract/transcripts/npm/one.txt", transcript),
            (
                "contract/rest/a_device_is_read.sh",
                "landfall hub device show",
            ),
        ]);
        let findings = check(&sample.tree());
        findings
            .into_iter()
            .map(|finding| (finding.file, finding.what))
            .collect()
    }

    const READ: &str = "GET /devices/Dev1?api-version=1 HTTP/1.1\n";

    #[test]
    fn a_recorded_route_and_a_tested_one_pass() {
        let table = "# Told.\n\nGET /devices/{id}   transcript\n";
        assert!(broken(ONE_ROUTE, table, READ).is_empty());
        let table = "GET /devices/{id} transcript\n\
                     PUT /devices/{id} rest/a_device_is_read.sh hub device show\n";
        assert!(broken(ONE_ROUTE, table, READ).is_empty());
    }

    #[test]
    fn a_route_without_a_row_is_found_and_a_row_without_a_route() {
        let two = ONE_ROUTE.replace("`/devices/{id}`", "`/devices/{id}`, `/twins/{id}`");
        let found = broken(&two, "GET /devices/{id} transcript\n", READ);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0, ROUTES);
        let table = "GET /devices/{id} transcript\nPUT /gone rest/a_device_is_read.sh hub\n";
        let found = broken(ONE_ROUTE, table, READ);
        assert_eq!(found.len(), 1);
        assert!(found[0].1.contains("`/gone`"), "{found:?}");
    }

    #[test]
    fn what_does_not_show_a_route_is_found() {
        for shown in [
            "rest/gone.sh hub",
            "rest/a_device_is_read.sh hub device delete",
            "rest/a_device_is_read.sh",
            "transcript",
        ] {
            let table = format!("GET /devices/{{id}} transcript\nDELETE /devices/{{id}} {shown}\n");
            let found = broken(ONE_ROUTE, &table, READ);
            assert_eq!(found.len(), 1, "{shown}");
            assert!(found[0].1.contains("DELETE"), "{found:?}");
        }
        assert_eq!(broken(ONE_ROUTE, "GET\n", READ).len(), 3, "a broken row");
    }

    #[test]
    fn a_recorded_exchange_without_a_row_is_found() {
        let table = "GET /devices/{id} rest/a_device_is_read.sh hub device\n";
        let found = broken(ONE_ROUTE, table, "PUT /devices/Dev1 HTTP/1.1\n");
        assert_eq!(found.len(), 1);
        assert!(found[0].0.starts_with(TRANSCRIPTS));
    }

    #[test]
    fn shapes_fit_whole_paths_without_case() {
        assert!(fits(
            "/{scope}/registrations/{id}/register",
            "/0ne1/Registrations/a%3Ab/register"
        ));
        assert!(!fits("/registrations/{id}", "/0ne1/registrations/a"));
        assert!(!fits("/{scope}/registrations/{id}", "/registrations/a"));
        assert!(fits("/enrollments", "/enrollments/"));
        assert!(fits(
            "…/certificates/{name}",
            "/subscriptions/s/certificates/c"
        ));
        assert!(!fits(
            "…/certificates/{name}",
            "/subscriptions/s/certificates"
        ));
    }
}
