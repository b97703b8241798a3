//! The measures of the store: programs that write registrations through the layer and by a bare loop, and
//! end. On SQLite they are held against each other by processor time, on PostgreSQL by the time that passes,
//! since most of the work is the database's.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};

use super::super::Options;
use super::super::row::Figure;
use super::measured::Measured;
use super::server::pinned;

/// How many registrations one round writes each way.
const ON_SQLITE: &str = "16384";
const ON_POSTGRESQL: &str = "8192";
/// The same in a short run.
const SHORTLY: &str = "4096";

/// The measures, and what they were told.
pub(super) struct Stores {
    folder: String,
    on_sqlite: &'static str,
    alone: Option<String>,
    followed: Option<String>,
    /// A copy of Landfall's database with rows to repeat.
    pub(super) pattern: PathBuf,
    /// What a registration and its poll came to when the registration was measured.
    pair: Option<Figure>,
    /// What the layer came to when the loop was measured beside it, on either engine.
    layer: [Option<Figure>; 2],
}

impl Stores {
    pub(super) fn new(options: &Options) -> Self {
        Stores {
            folder: options.folder.to_string_lossy().into_owned(),
            on_sqlite: if options.short { SHORTLY } else { ON_SQLITE },
            alone: options.postgres.clone(),
            followed: options.postgres_with_standby.clone(),
            pattern: options.folder.join("pattern.db"),
            pair: None,
            layer: [None; 2],
        }
    }

    /// Measures one of them; asked for the loop, it measures the layer with it.
    ///
    /// # Errors
    /// When a program fails, or when there is no PostgreSQL server.
    pub(super) fn measure(&mut self, what: Measured) -> anyhow::Result<Figure> {
        let [on_sqlite, on_postgresql] = &mut self.layer;
        let me = std::env::current_exe()?;
        let there = |url: &Option<String>| url.clone().context("no PostgreSQL server was named");
        match what {
            Measured::Layer => on_sqlite.take().context("measured with the loop"),
            Measured::PostgresLayer => match on_postgresql.take() {
                Some(figure) => Ok(figure),
                // Only its row with a standby is measured.
                None => {
                    let program = on_postgres(&me, "store-postgres-layer", &there(&self.alone)?);
                    figures(program).map(|[figure]| figure)
                }
            },
            Measured::RowsOfRegister => {
                let [register, pair] = self.written(&me)?;
                self.pair = Some(pair);
                Ok(register)
            }
            Measured::RowsOfPair => match self.pair.take() {
                Some(figure) => Ok(figure),
                None => self.written(&me).map(|[_, pair]| pair),
            },
            Measured::BareLoop => {
                let mut program = pinned(&me);
                program.args(["store", &self.folder, self.on_sqlite]);
                let [layer, bare] = figures(program)?;
                *on_sqlite = Some(layer);
                Ok(bare)
            }
            Measured::PostgresLoop => {
                let program = on_postgres(&me, "store-postgres", &there(&self.alone)?);
                let [layer, bare] = figures(program)?;
                *on_postgresql = Some(layer);
                Ok(bare)
            }
            Measured::PostgresWithStandby => {
                let program = on_postgres(&me, "store-postgres-layer", &there(&self.followed)?);
                figures(program).map(|[figure]| figure)
            }
            _ => bail!("not a program"),
        }
    }
}

impl Stores {
    /// What a registration leaves, alone and with its poll.
    fn written(&self, me: &Path) -> anyhow::Result<[Figure; 2]> {
        let mut program = pinned(me);
        program
            .arg("written")
            .arg(&self.pattern)
            .args([&self.folder, self.on_sqlite]);
        figures(program)
    }
}

/// The program on the processor of the clients, where this one is: it is what calls the server.
fn on_postgres(me: &Path, program: &str, url: &str) -> Command {
    let mut command = Command::new(me);
    command.args([program, url, ON_POSTGRESQL]);
    command
}

/// Runs a program that prints so many lines of count, nanoseconds and commits.
fn figures<const N: usize>(mut program: Command) -> anyhow::Result<[Figure; N]> {
    let done = program.output()?;
    let problem = String::from_utf8_lossy(&done.stderr);
    ensure!(done.status.success(), "the store's program: {problem}");
    let said = String::from_utf8(done.stdout)?;
    let figures = said.lines().map(|line| {
        let numbers: Vec<f64> = line.split(' ').map(str::parse).collect::<Result<_, _>>()?;
        match numbers[..] {
            [count, nanos, _] => anyhow::Ok(Figure {
                cost: nanos / 1e3 / count,
                rate: count * 1e9 / nanos,
            }),
            _ => bail!("it says '{line}'"),
        }
    });
    let figures: Vec<Figure> = figures.collect::<anyhow::Result<_>>()?;
    figures
        .try_into()
        .map_err(|_| anyhow::anyhow!("the store's program says '{said}'"))
}
