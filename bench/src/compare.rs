//! Landfall beside the programs that it is measured against: all rows interleaved in one run, round by
//! round, servers on one processor and clients on the other. What is compared stands in `rows`, the
//! servers in `stage`, the page that comes of it in `page`.

mod limits;
mod notes;
mod page;
mod rows;
mod stage;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail, ensure};

use self::limits::Held;
use self::rows::{ROWS, Row};
use self::stage::{Figure, Measured, Stage};

const USAGE: &str = "\
landfall-bench compare --landfall FILE --folder DIR [--rows 1,2,…] [--rounds N] [--seconds S] [--page FILE] [--short]";

/// How a comparison is run.
pub(super) struct Options {
    /// The executable that is measured.
    landfall: PathBuf,
    /// Where its data folder and what else servers need is made; on the disk that counts.
    folder: PathBuf,
    rows: Vec<&'static Row>,
    /// The numbers asked for, when they were.
    rows_named: Option<Vec<u8>>,
    rounds: usize,
    span: Duration,
    /// Where the page goes.
    page: Option<PathBuf>,
    /// Judge by widened bounds and say so in the exit code.
    short: bool,
}

/// What the rounds of one row came to.
pub(super) struct Result {
    row: &'static Row,
    /// Reference by ours, of each round; sorted.
    ratios: Vec<f64>,
    reference: Vec<Figure>,
    ours: Vec<Figure>,
}

/// Runs a comparison.
///
/// # Errors
/// When a server does not start, when anything failed that should not, or, of a short run, when a row
/// is below its bound.
pub(super) fn run(words: &[&str]) -> anyhow::Result<()> {
    let options = Options::read(words)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let results = runtime.block_on(measure(&options))?;
    let held = limits::measure(&options)?;
    let lines = results.iter().map(Result::line);
    for line in lines.chain(held.iter().map(Held::line)) {
        println!("{line}");
    }
    if let Some(file) = &options.page {
        let text = page::text(&options, &results, &held)?;
        std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
        println!("written: {}", file.display());
    }
    if options.short {
        judge(&results, &held)?;
    }
    Ok(())
}

async fn measure(options: &Options) -> anyhow::Result<Vec<Result>> {
    let mut stage = Stage::set(options).await?;
    let mut results: Vec<Result> = options.rows.iter().map(|row| Result::of(row)).collect();
    for round in 0..=options.rounds {
        // What several rows share is measured once a round.
        let mut known: BTreeMap<Measured, Figure> = BTreeMap::new();
        for result in &mut results {
            let mut pair = Vec::with_capacity(2);
            for what in [result.row.reference, result.row.ours] {
                let figure = match known.get(&what) {
                    Some(figure) => *figure,
                    None => {
                        let figure = stage.measure(what, options.span).await;
                        figure.with_context(|| format!("row {}, {what:?}", result.row.number))?
                    }
                };
                known.insert(what, figure);
                pair.push(figure);
            }
            // The first round warms up: files, caches, the processor itself.
            if let (&[reference, ours], true) = (&pair[..], round > 0) {
                result.add(reference, ours);
            }
        }
        eprintln!("round {round} of {}", options.rounds);
    }
    Ok(results)
}

/// Holds the rows of a short run against their bounds.
fn judge(results: &[Result], held: &[Held]) -> anyhow::Result<()> {
    let low = results
        .iter()
        .filter(|result| !result.meets(result.row.must * rows::WIDENED));
    let high = held.iter().filter(|held| held.verdict() == "short");
    let low: Vec<String> = low.map(Result::line).chain(high.map(Held::line)).collect();
    ensure!(low.is_empty(), "below the bound:\n{}", low.join("\n"));
    Ok(())
}

impl Options {
    fn read(words: &[&str]) -> anyhow::Result<Self> {
        let mut options = Options {
            landfall: PathBuf::new(),
            folder: PathBuf::new(),
            rows: ROWS.iter().collect(),
            rows_named: None,
            rounds: 5,
            span: Duration::from_secs(2),
            page: None,
            short: false,
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if *word == "--short" {
                options.short = true;
                options.rows = ROWS.iter().filter(|row| row.short).collect();
                (options.rounds, options.span) = (4, Duration::from_secs(1));
                continue;
            }
            let value = words.next().context(USAGE)?;
            match *word {
                "--landfall" => options.landfall = PathBuf::from(value),
                "--folder" => options.folder = PathBuf::from(value),
                "--page" => options.page = Some(PathBuf::from(value)),
                "--rounds" => options.rounds = value.parse().context(USAGE)?,
                "--seconds" => options.span = Duration::from_secs(value.parse().context(USAGE)?),
                "--rows" => {
                    let named = rows::numbers(value)?;
                    options.rows = ROWS
                        .iter()
                        .filter(|row| named.contains(&row.number))
                        .collect();
                    options.rows_named = Some(named);
                }
                _ => bail!("{USAGE}"),
            }
        }
        ensure!(options.landfall.is_file(), "{USAGE}");
        ensure!(options.folder.is_dir(), "{USAGE}");
        ensure!(options.rounds > 0, "at least one round");
        // Servers run in folders of their own.
        options.landfall = options.landfall.canonicalize()?;
        options.folder = options.folder.canonicalize()?;
        Ok(options)
    }
}

impl Result {
    fn of(row: &'static Row) -> Self {
        Result {
            row,
            ratios: Vec::new(),
            reference: Vec::new(),
            ours: Vec::new(),
        }
    }

    fn add(&mut self, reference: Figure, ours: Figure) {
        self.ratios.push(reference.cost / ours.cost);
        self.ratios.sort_by(f64::total_cmp);
        self.reference.push(reference);
        self.ours.push(ours);
    }

    /// The median of the rounds' ratios.
    fn ratio(&self) -> f64 {
        median(self.ratios.iter().copied())
    }

    fn meets(&self, bound: f64) -> bool {
        self.ratio() >= bound
    }

    fn verdict(&self) -> &'static str {
        if self.meets(self.row.stretch) {
            "stretch"
        } else if self.meets(self.row.must) {
            "must"
        } else {
            "short"
        }
    }

    fn line(&self) -> String {
        format!(
            "row {:>2}: {:.2} ({:.2} to {:.2}), must {}, stretch {}: {}; {:.1} {unit} beside {:.1} {unit}; {}",
            self.row.number,
            self.ratio(),
            self.ratios.first().unwrap_or(&f64::NAN),
            self.ratios.last().unwrap_or(&f64::NAN),
            self.row.must,
            self.row.stretch,
            self.verdict(),
            median(self.ours.iter().map(|figure| figure.cost)),
            median(self.reference.iter().map(|figure| figure.cost)),
            self.row.what,
            unit = self.row.unit,
        )
    }
}

/// The middle of some numbers.
fn median(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = numbers.collect();
    sorted.sort_by(f64::total_cmp);
    let upper = sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN);
    if sorted.len() % 2 == 1 {
        return upper;
    }
    let lower = (sorted.len() / 2)
        .checked_sub(1)
        .and_then(|at| sorted.get(at));
    lower.map_or(upper, |lower| (lower + upper) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_goes_by_the_median_of_the_rounds() {
        let row = &ROWS[0];
        let mut result = Result::of(row);
        let figure = |cost| Figure { cost, rate: 1.0 };
        for ours in [100.0, 50.0, 200.0] {
            result.add(figure(100.0), figure(ours));
        }
        assert_eq!(result.ratio(), 1.0);
        assert_eq!(result.verdict(), "stretch");
        assert!(result.meets(1.0) && !result.meets(1.01));
        result.add(figure(100.0), figure(1000.0));
        assert_eq!(result.ratio(), 0.75);
        assert_eq!(result.verdict(), "short");
        assert!(median(std::iter::empty()).is_nan());
    }
}
