//! What a run is told: how many kills or how long, which binary, how many servers at once.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use landfall_core::clock::Entropy as _;
use landfall_server::time::SystemEntropy;

const USAGE: &str = "\
Usage: landfall-crash --binary FILE [--engine E] [--points N] [--seconds S] [--lanes N] [--seed N]

  --binary FILE  the landfall executable
  --engine E     sqlite, postgres, or both, lane by lane (both)
  --programs DIR PostgreSQL's programs (the newest below /usr/lib/postgresql)
  --nodes N      so many servers on each PostgreSQL database (1)
  --points N     end after so many kills (1000)
  --seconds S    end after so long, even with fewer kills
  --lanes N      so many servers at once (2)
  --seed N       choose the moments as an earlier run did";

/// What keeps the data of a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// The file in the data folder.
    Sqlite,
    /// A PostgreSQL server of the lane's own.
    Postgres,
}

/// What a run is told.
#[derive(Debug, Clone)]
pub struct Options {
    /// The executable.
    pub binary: PathBuf,
    /// The engines, one lane after the other.
    pub engines: Vec<Engine>,
    /// PostgreSQL's programs, in place of those that this machine has.
    pub programs: Option<PathBuf>,
    /// So many servers on each PostgreSQL database.
    pub nodes: usize,
    /// End after so many kills.
    pub points: u64,
    /// End after so long.
    pub limit: Option<Duration>,
    /// So many servers at once.
    pub lanes: u16,
    /// Where the moments are drawn from.
    pub seed: u64,
}

impl Options {
    /// Reads the words of the command line.
    ///
    /// # Errors
    /// When they make no sense.
    pub fn read(words: impl Iterator<Item = String>) -> anyhow::Result<Self> {
        let mut seed = [0; 4];
        SystemEntropy.fill(&mut seed);
        let mut options = Options {
            binary: PathBuf::new(),
            engines: vec![Engine::Sqlite, Engine::Postgres],
            programs: None,
            nodes: 1,
            points: 1000,
            limit: None,
            lanes: 2,
            seed: u32::from_be_bytes(seed).into(),
        };
        let mut words = words;
        while let Some(word) = words.next() {
            let value = words
                .next()
                .with_context(|| format!("{word} needs a value\n{USAGE}"))?;
            let number = || {
                value
                    .parse::<u64>()
                    .with_context(|| format!("{word} {value}"))
            };
            match word.as_str() {
                "--binary" => options.binary = PathBuf::from(value),
                "--engine" => {
                    options.engines = match value.as_str() {
                        "sqlite" => vec![Engine::Sqlite],
                        "postgres" => vec![Engine::Postgres],
                        "both" => vec![Engine::Sqlite, Engine::Postgres],
                        _ => bail!("no engine is called '{value}'\n{USAGE}"),
                    }
                }
                "--programs" => options.programs = Some(PathBuf::from(value)),
                "--nodes" => options.nodes = usize::try_from(number()?.clamp(1, 4))?,
                "--points" => options.points = number()?,
                "--seconds" => options.limit = Some(Duration::from_secs(number()?)),
                "--lanes" => options.lanes = u16::try_from(number()?.clamp(1, 16))?,
                "--seed" => options.seed = number()?,
                _ => bail!("{word} is not known\n{USAGE}"),
            }
        }
        if !options.binary.is_file() {
            bail!("'{}' is no executable\n{USAGE}", options.binary.display());
        }
        Ok(options)
    }
}
