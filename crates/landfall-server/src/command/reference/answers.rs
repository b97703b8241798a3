//! docs/reference/{errors,statuses,checks}.md, written from the tables that the answers themselves
//! come from. `landfall explain --code` prints single rows of the same tables.

use landfall_core::trace::check::CHECKS;
use landfall_wire::fault::control::Shape;
use landfall_wire::fault::{self, control, hub, registration};
use landfall_wire::status::{SUBSTATUSES, statuses};

const ERRORS_HEAD: &str = "\
# Error codes

<!-- Written by `landfall reference errors`. Do not edit. -->

Every number that an answer can hold, what leads to it, and what to do. `landfall explain --code NUMBER` prints the rows of a number.
The first three digits are the HTTP status. Why a single device was refused stands in its decision trace: `landfall explain TRACKING-ID`
([traces](../operating/traces.md)); the checks that it names are on [a page of their own](checks.md). Where a number was chosen because nobody
published one: [divergences](../divergences.md).
";

const SHARED_HEAD: &str = "
## Device API, service API, own routes

The body is `{\"errorCode\",\"trackingId\",\"message\",\"timestampUtc\"}`; the number stands in the header `x-ms-error-code` too, the tracking id in
`x-ms-request-id`. Own routes are those below `/landfall`.

| number | status | who answers it | meaning | cause | remedy |
|---|---|---|---|---|---|
";

const REGISTRATION_HEAD: &str = "
## Registration states

These are no HTTP errors: the device was let in, reads 200 with status `failed` or `disabled` ([statuses](statuses.md)), and the number is the
`errorCode` of its `registrationState`. Operators read the same in the registration's record.

| number | status | meaning | cause | remedy |
|---|---|---|---|---|
";

const HUB_HEAD: &str = "
## Hub API

The name stands in the header `iothub-errorcode` and, as `ErrorCode:NAME`, in the body's `Message`. The number is the one that published lists
give to the name; bulk answers hold it.

| name | number | status | meaning | cause | remedy |
|---|---|---|---|---|---|
";

const CONTROL_HEAD: &str = "
## Control plane

The same errors in the forms of the cloud's resource manager (`{\"error\":{\"code\":WORD,\"message\"}}`) and of its provider
(`{\"code\":NUMBER,\"httpStatusCode\":WORD,\"message\"}`). Cause and remedy are those of the first table's row.

| word | status | form | number sent | as in the first table |
|---|---|---|---|---|
";

const STATUSES_HEAD: &str = "\
# Registration statuses

<!-- Written by `landfall reference statuses`. Do not edit. -->

What a device reads in `status` while it registers, and an operator in a registration's record. A device that is refused has no status: it reads
an [error code](errors.md).
";

const SUBSTATUSES_HEAD: &str = "
## Substatuses

How a device that is `assigned` came to its hub; decided by the enrollment's reprovision policy. Only with `assigned`.

| substatus | meaning | when |
|---|---|---|
";

const CHECKS_HEAD: &str = "\
# Checks

<!-- Written by `landfall reference checks`. Do not edit. -->

The names that decision traces give to what stopped an attempt (`landfall explain`, [traces](../operating/traces.md)), in the order in which a
device meets them. The trace itself says what was expected and what was seen. The device reads none of this: only a number and a tracking id.

| check | cause | fix |
|---|---|---|
";

/// docs/reference/errors.md.
pub fn errors() -> String {
    let mut out = ERRORS_HEAD.to_owned();
    out.push_str(SHARED_HEAD);
    for row in fault::ROWS {
        let faces: Vec<&str> = row.faces.iter().map(|face| face.name()).collect();
        let told = row.told;
        line(
            &mut out,
            &[
                &row.number.to_string(),
                &row.status.to_string(),
                &faces.join(", "),
                told.meaning,
                told.cause,
                told.remedy,
            ],
        );
    }
    out.push_str(REGISTRATION_HEAD);
    for (row, status) in registration_rows() {
        let told = row.told;
        let number = row.number.to_string();
        line(
            &mut out,
            &[
                &number,
                &format!("`{status}`"),
                told.meaning,
                told.cause,
                told.remedy,
            ],
        );
    }
    out.push_str(HUB_HEAD);
    for row in hub::ROWS {
        let told = row.told;
        line(
            &mut out,
            &[
                &format!("`{}`", row.name),
                &row.number.to_string(),
                &row.status.to_string(),
                told.meaning,
                told.cause,
                told.remedy,
            ],
        );
    }
    out.push_str(CONTROL_HEAD);
    for row in control::ROWS {
        let (form, sent) = match row.shape {
            Shape::Resource => ("resource manager", "none".to_owned()),
            Shape::Provider => ("provider", row.own.unwrap_or(row.like).to_string()),
        };
        let status = fault::ROWS.iter().find(|shared| shared.number == row.like);
        let status = status.map(|shared| shared.status.to_string());
        line(
            &mut out,
            &[
                &format!("`{}`", row.word),
                &status.unwrap_or_default(),
                form,
                &sent,
                &row.like.to_string(),
            ],
        );
    }
    out
}

/// The numbers of registration states, each with the status that it goes with.
pub fn registration_rows() -> impl Iterator<Item = (&'static registration::Row, &'static str)> {
    let failed = registration::FAILURES.iter().map(|row| (row, "failed"));
    failed.chain([(&registration::DISABLED, "disabled")])
}

/// docs/reference/statuses.md.
pub fn statuses_page() -> String {
    let mut out = STATUSES_HEAD.to_owned();
    for status in statuses() {
        out.push_str(&format!("\n## `{}`\n\n{}\n\n", status.word, status.meaning));
        for (label, text) in [
            ("When, here", status.here),
            ("When, in the cloud service", status.cloud),
            ("The device", status.device),
            ("The operator", status.operator),
        ] {
            out.push_str(&format!("- **{label}**: {text}\n"));
        }
    }
    out.push_str(SUBSTATUSES_HEAD);
    for row in SUBSTATUSES {
        line(
            &mut out,
            &[&format!("`{}`", row.word), row.meaning, row.here],
        );
    }
    out
}

/// docs/reference/checks.md.
pub fn checks() -> String {
    let mut out = CHECKS_HEAD.to_owned();
    for check in CHECKS {
        line(
            &mut out,
            &[&format!("`{}`", check.name), check.cause, check.fix],
        );
    }
    out
}

fn line(out: &mut String, cells: &[&str]) {
    out.push_str(&format!("| {} |\n", cells.join(" | ")));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_a_page_has_the_cells_of_its_head() {
        for page in [errors(), statuses_page(), checks()] {
            let lines: Vec<&str> = page.lines().collect();
            let in_tables = lines.windows(2);
            let in_tables = in_tables.filter(|two| two.iter().all(|line| line.starts_with('|')));
            let mut rows = 0;
            for two in in_tables {
                let cells = |line: &str| line.matches('|').count();
                assert_eq!(cells(two[0]), cells(two[1]), "{}", two[1]);
                rows += 1;
            }
            assert!(rows > 4, "{page}");
        }
    }
}
