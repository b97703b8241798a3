//! Landfall beside the programs that it is measured against: servers on one processor and clients on the
//! other. A row is described in `row`; the families of rows are `rounds` (held against another program,
//! interleaved round by round), `idle` (what silent connections take), `counts` (held against a
//! number) and `million` (what a million enrollments take). The page that comes of all stands in `page`.

mod counts;
mod derived;
mod idle;
mod machine;
mod million;
mod notes;
mod page;
mod rounds;
mod row;
mod stage;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail, ensure};

use self::row::{Family, Outcome, Row};

/// All rows, in the order of the page.
static FAMILIES: [&Family; 4] = [
    &rounds::FAMILY,
    &idle::FAMILY,
    &million::FAMILY,
    &counts::FAMILY,
];

/// How much of a bound a short run on a busy machine must reach.
const WIDENED: f64 = 0.85;
/// How much of its bound a row must reach there that is still short of it, so that no change makes it cost more
/// unseen: what it reached on a quiet and on a busy machine, less a fifth. Whoever brings it to its bound takes it out.
/// A row is named by its number and, since several may have one, how its text begins.
const SHORT: [(u8, &str, f64); 4] = [
    (4, "durable registration", 0.56),
    (7, "durable registration", 0.50),
    (12, "device that provisions", 0.42),
    (14, "device that reads its twin", 0.50),
];

const USAGE: &str = "\
landfall-bench compare --landfall FILE --folder DIR [--rows 1,2,…] [--rounds N] [--seconds S] [--enrollments N] [--page FILE] [--short] [--postgres URL --postgres-with-standby URL]";

/// How a comparison is run.
pub(super) struct Options {
    /// The executable that is measured.
    landfall: PathBuf,
    /// Where its data folder and what else servers need is made; on the disk that counts.
    folder: PathBuf,
    /// A PostgreSQL server without a standby, and one whose commits wait for one.
    postgres: Option<String>,
    postgres_with_standby: Option<String>,
    /// The numbers asked for, when they were.
    rows: Option<Vec<u8>>,
    rounds: usize,
    span: Duration,
    /// How many enrollments are imported.
    enrollments: usize,
    /// Where the page goes.
    page: Option<PathBuf>,
    /// Judge by widened bounds and say so in the exit code.
    short: bool,
}

/// Runs a comparison.
///
/// # Errors
/// When a server does not start, when anything failed that should not, or, of a short run, when a row
/// is below its bound.
pub(super) fn run(words: &[&str]) -> anyhow::Result<()> {
    let options = Options::read(words)?;
    let mut outcomes = Vec::new();
    for family in FAMILIES {
        let wanted = options.wanted(family);
        if !wanted.is_empty() {
            outcomes.extend((family.measure)(&options, &wanted)?);
        }
    }
    for outcome in &outcomes {
        println!("{}", outcome.line());
    }
    if let Some(file) = &options.page {
        let text = page::text(&options, &outcomes);
        std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
        println!("written: {}", file.display());
    }
    if options.short {
        judge(&outcomes)?;
    }
    Ok(())
}

/// Holds the rows of a short run against their widened bounds.
fn judge(outcomes: &[Outcome]) -> anyhow::Result<()> {
    let short = outcomes.iter().filter(|outcome| !outcome.is_held());
    let short: Vec<String> = short.map(Outcome::line).collect();
    ensure!(short.is_empty(), "past the bound:\n{}", short.join("\n"));
    Ok(())
}

impl Options {
    fn read(words: &[&str]) -> anyhow::Result<Self> {
        let mut options = Options {
            landfall: PathBuf::new(),
            folder: PathBuf::new(),
            postgres: None,
            postgres_with_standby: None,
            rows: None,
            rounds: 5,
            span: Duration::from_secs(2),
            enrollments: 1_000_000,
            page: None,
            short: false,
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if *word == "--short" {
                options.short = true;
                (options.rounds, options.span) = (4, Duration::from_secs(1));
                continue;
            }
            let value = words.next().context(USAGE)?;
            match *word {
                "--landfall" => options.landfall = PathBuf::from(value),
                "--folder" => options.folder = PathBuf::from(value),
                "--postgres" => options.postgres = Some((*value).to_owned()),
                "--postgres-with-standby" => {
                    options.postgres_with_standby = Some((*value).to_owned());
                }
                "--page" => options.page = Some(PathBuf::from(value)),
                "--rounds" => options.rounds = value.parse().context(USAGE)?,
                "--seconds" => options.span = Duration::from_secs(value.parse().context(USAGE)?),
                "--enrollments" => options.enrollments = value.parse().context(USAGE)?,
                "--rows" => options.rows = Some(numbers(value)?),
                _ => bail!("{USAGE}"),
            }
        }
        ensure!(options.landfall.is_file(), "{USAGE}");
        ensure!(options.folder.is_dir(), "{USAGE}");
        ensure!(options.rounds > 0, "at least one round");
        let many = 1000..=million::MOST;
        ensure!(many.contains(&options.enrollments), "{many:?} enrollments");
        // Servers run in folders of their own.
        options.landfall = options.landfall.canonicalize()?;
        options.folder = options.folder.canonicalize()?;
        Ok(options)
    }

    /// Those rows of a family that are to be measured.
    fn wanted(&self, family: &Family) -> Vec<&'static Row> {
        let rows = family.rows.iter().filter(|row| match &self.rows {
            Some(named) => named.contains(&row.number),
            None => row.short || !self.short,
        });
        rows.collect()
    }
}

impl Outcome {
    /// Whether a short run finds the row where it has to be.
    fn is_held(&self) -> bool {
        self.meets(self.bounds.must, slack(self.row))
    }
}

/// How much of its bound a row must reach in a short run.
fn slack(row: &Row) -> f64 {
    let is_meant = |number: u8, text: &str| number == row.number && row.what.starts_with(text);
    let short = SHORT
        .iter()
        .find(|(number, text, _)| is_meant(*number, text));
    short.map_or(WIDENED, |(_, _, slack)| *slack)
}

/// The numbers of a list such as `1,2,7`.
fn numbers(list: &str) -> anyhow::Result<Vec<u8>> {
    list.split(',')
        .map(|text| {
            let wanted = text.trim().parse().ok();
            let mut all = FAMILIES.iter().flat_map(|family| family.rows);
            let there = all.find(|row| wanted == Some(row.number));
            Ok(there
                .with_context(|| format!("there is no row {text}"))?
                .number)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_that_is_let_off_is_one_of_the_short_run() {
        let all = FAMILIES.iter().flat_map(|family| family.rows);
        let off = all.filter(|row| row.short && slack(row) < WIDENED);
        assert_eq!(off.count(), SHORT.len());
    }

    #[test]
    fn rows_are_chosen_by_number_and_those_that_are_not_there_are_named() {
        assert_eq!(numbers("1, 24").expect("two rows"), [1, 24]);
        let error = numbers("1,99").expect_err("no such row");
        assert_eq!(error.to_string(), "there is no row 99");
    }

    #[test]
    fn no_family_asks_less_of_stretch_than_of_must() {
        for row in FAMILIES.iter().flat_map(|family| family.rows) {
            let more = match row.asked {
                row::Asked::Number => row.stretch <= row.must,
                _ => row.stretch >= row.must,
            };
            assert!(more, "row {}", row.number);
        }
    }
}
