//! Rows about a million enrollments: a file of them is imported by `landfall enrollment import`, and then
//! it is asked what the server is like that has them. Too long for rounds: each reference of the import
//! is measured twice, all else once. What each row is made of stands in `rows`.

mod rows;
mod server;

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail, ensure};

use self::rows::Facts;
pub(super) use self::rows::{FAMILY, MOST};
use super::Options;
use super::row::{Figure, Outcome, Row};
use super::stage::{Home, pinned};
use crate::programs::fleet;

/// How often a server is started.
const STARTS: usize = 5;

/// Measures, which takes as long for one row as for all.
fn measure(options: &Options, rows: &[&'static Row]) -> anyhow::Result<Vec<Outcome>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let facts = runtime.block_on(found(options))?;
    Ok(rows.iter().map(|row| facts.outcome(row)).collect())
}

async fn found(options: &Options) -> anyhow::Result<Facts> {
    let mut facts = Facts::default();
    let count = options.enrollments;
    let lines = options.folder.join("fleet.jsonl");
    let (plain, equal) = (
        options.folder.join("plain.db"),
        options.folder.join("equal.db"),
    );
    let home = Home::make(options, "million")?;
    let database = home.client.folder.join("data/landfall.db");
    facts.payload = fleet::write(&lines, count)?;
    facts.plain.push(loaded("load", &lines, &plain)?);
    server::import(&home, &lines, count, &mut facts).await?;
    facts.size = std::fs::metadata(&database)?.len();
    eprintln!("{count} enrollments are imported");
    facts.plain.push(loaded("load", &lines, &plain)?);
    for _ in 0..2 {
        facts.equal.push(loaded("reload", &database, &equal)?);
    }
    read(&home, &plain, count, &mut facts)?;
    for _ in 0..STARTS {
        facts.starts.push(server::start(&home).await?);
    }
    for file in [&lines, &plain, &equal] {
        std::fs::remove_file(file)?;
    }
    std::fs::remove_dir_all(&home.client.folder)?;
    Ok(facts)
}

/// Runs a program that loads a database, on the servers' processor.
fn loaded(program: &str, from: &Path, to: &Path) -> anyhow::Result<Figure> {
    let me = std::env::current_exe()?;
    let told = told(pinned(&me).arg(program).arg(from).arg(to))?;
    match told[..] {
        [count, nanos] => Ok(figure(nanos / count)),
        _ => bail!("{program} tells {told:?}"),
    }
}

/// Reads from the stopped server's data, on the servers' processor.
fn read(home: &Home, plain: &Path, count: usize, facts: &mut Facts) -> anyhow::Result<()> {
    let (me, data) = (std::env::current_exe()?, home.client.folder.join("data"));
    let mut program = pinned(&me);
    program.arg("reads").arg(data).arg(plain);
    let told = told(program.arg(count.to_string()))?;
    let [layer, bare, counted] = told[..] else {
        bail!("reads tells {told:?}");
    };
    facts.lookups = Some((figure(layer), figure(bare)));
    facts.counted = counted / 1e6;
    Ok(())
}

fn figure(nanos: f64) -> Figure {
    Figure {
        cost: nanos / 1e3,
        rate: 1e9 / nanos,
    }
}

/// The numbers that a program prints.
fn told(command: &mut Command) -> anyhow::Result<Vec<f64>> {
    let done = command.output()?;
    let problem = String::from_utf8_lossy(&done.stderr);
    ensure!(done.status.success(), "{problem}");
    let said = String::from_utf8(done.stdout)?;
    let words = said.split_ascii_whitespace();
    words
        .map(|word| word.parse().with_context(|| format!("it says '{said}'")))
        .collect()
}
