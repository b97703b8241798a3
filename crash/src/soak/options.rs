//! What a soak is told.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use landfall_core::clock::Entropy as _;
use landfall_server::time::SystemEntropy;

const USAGE: &str = "\
Usage: landfall-soak --binary FILE [--devices N] [--seconds S] [--kills N] [--seed N]

  --binary FILE  the landfall executable
  --devices N    so many devices (1000)
  --seconds S    for so long, 60 at least (600)
  --kills N      kill the server so often (5)
  --seed N       choose as an earlier run did";

/// What a soak is told.
#[derive(Debug, Clone)]
pub struct Options {
    /// The executable.
    pub binary: PathBuf,
    /// So many devices.
    pub devices: usize,
    /// For so long.
    pub span: Duration,
    /// The server is killed so often.
    pub kills: u32,
    /// What is chosen by chance is drawn from here.
    pub seed: u64,
}

impl Options {
    /// Reads the words of the command line.
    ///
    /// # Errors
    /// When they make no sense.
    pub fn read(mut words: impl Iterator<Item = String>) -> anyhow::Result<Self> {
        let mut seed = [0; 4];
        SystemEntropy.fill(&mut seed);
        let mut options = Options {
            binary: PathBuf::new(),
            devices: 1000,
            span: Duration::from_secs(600),
            kills: 5,
            seed: u32::from_be_bytes(seed).into(),
        };
        while let Some(word) = words.next() {
            let value = words.next();
            let value = value.with_context(|| format!("{word} needs a value\n{USAGE}"))?;
            let number = || {
                value
                    .parse::<u64>()
                    .with_context(|| format!("{word} {value}"))
            };
            match word.as_str() {
                "--binary" => options.binary = PathBuf::from(value),
                "--devices" => options.devices = usize::try_from(number()?)?,
                "--seconds" => options.span = Duration::from_secs(number()?),
                "--kills" => options.kills = u32::try_from(number()?)?,
                "--seed" => options.seed = number()?,
                _ => bail!("{word} is not known\n{USAGE}"),
            }
        }
        ensure!(
            options.binary.is_file(),
            "'{}' is no executable\n{USAGE}",
            options.binary.display()
        );
        ensure!(
            (1..=5000).contains(&options.devices),
            "from 1 to 5000 devices"
        );
        ensure!(options.span.as_secs() >= 60, "60 seconds at least");
        ensure!(options.kills <= 100, "100 kills at most");
        Ok(options)
    }
}
