//! `landfall enrollment import`: lines of an export, or another service's records, into a service.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use landfall_wire::route::Collection;
use tokio::task::JoinSet;

use crate::client::Endpoint;
use crate::client::tls::{Trust, settings};
use crate::command::connect::{Connect, connection_string};
use crate::command::new_file::NewFile;
use crate::command::outcome::{Exit, Failure};
use crate::command::print;
use crate::command::transfer::caller::Caller;
use crate::command::transfer::fit::{Certificates, Fit, Hubs};
use crate::command::transfer::sink::{Chunk, Manner, OnConflict, Settled, settle};
use crate::command::transfer::source::{AT_ONCE, Lines, Read, Service, Source};
use crate::command::transfer::tally::{self, Outcome, Tally};
use crate::signals;

/// Options of `import`.
#[derive(Args)]
pub struct Import {
    /// Export to read, or - for standard input
    #[arg(value_name = "FILE", required_unless_present = "from")]
    file: Option<PathBuf>,
    /// Read another service instead of a file, by its connection string, or @FILE that holds it
    #[arg(long, value_name = "STRING", conflicts_with = "file")]
    from: Option<String>,
    /// PEM file of the authority to trust of the service that --from names; else the system's
    #[arg(long, value_name = "FILE", requires = "from")]
    from_ca: Option<PathBuf>,
    /// What happens to a line whose record is there already and says something else
    #[arg(long, value_name = "WHAT", default_value = "fail")]
    on_conflict: OnConflict,
    /// Write nothing; say what would be done
    #[arg(long)]
    dry_run: bool,
    /// Call a hub of the old service by its name here; may be given several times
    #[arg(long, value_name = "OLD=NEW", conflicts_with = "drop_hubs")]
    map_hub: Vec<String>,
    /// Leave hubs out: devices are allocated among those linked here
    #[arg(long)]
    drop_hubs: bool,
    /// File or folder with certificates that the lines name by thumbprint only; may be given several times
    #[arg(long, value_name = "PATH")]
    certificates: Vec<PathBuf>,
    /// Write the lines that failed into this file, as JSON Lines; an earlier report is replaced
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

/// How a run ended.
enum End {
    /// All lines were seen.
    Whole,
    /// The user stopped it.
    Interrupted,
    /// Something kept it from going on.
    Broken(Failure),
}

impl Import {
    /// Reads the lines and writes them into the service.
    pub async fn run(self, connect: &Connect) -> Result<(), Failure> {
        let mut stop = signals::Stop::listen()?;
        let report = self.report.as_deref().map(report).transpose()?;
        let fit = Fit {
            hubs: Hubs::parse(&self.map_hub, self.drop_hubs)?,
            certificates: Certificates::read(&self.certificates)?,
        };
        let mut source = self.source()?;
        let mut run = Run {
            first: connect.service_caller().await?,
            idle: Vec::new(),
            many: 0,
            running: JoinSet::new(),
            manner: Manner {
                on_conflict: self.on_conflict,
                dry_run: self.dry_run,
            },
            fit,
            tally: Tally::default(),
        };
        let end = match run.all(&mut source, &mut stop).await {
            Ok(end) => end,
            Err(failure) => End::Broken(failure),
        };
        // What is on its way is settled, so that what is told is true.
        let end = match (run.drain(&mut stop).await, end) {
            (Err(failure), End::Whole) => End::Broken(failure),
            (Ok(true), _) => End::Interrupted,
            (_, end) => end,
        };
        print::progress("");
        self.tell(connect, run.tally, report, end)
    }

    fn source(&self) -> Result<Source, Failure> {
        if let Some(from) = &self.from {
            let string = connection_string(from)?;
            let trust = match &self.from_ca {
                Some(file) => Trust::File(file.clone()),
                None => Trust::System,
            };
            let endpoint = Endpoint::new(string.host(), string.port().unwrap_or(443));
            let caller = Caller::new(endpoint, string, settings(&trust, None)?);
            return Ok(Source::Service(Box::new(Service::new(caller, true)), 0));
        }
        let path = self.file.clone().unwrap_or_default();
        if path.as_os_str() == "-" {
            let input = Box::new(BufReader::new(io::stdin()));
            return Ok(Source::Lines(Lines::new(input)));
        }
        let file = File::open(&path).map_err(|error| {
            Failure::usage(
                format!("cannot read {}: {error}", path.display()),
                "name a file that `landfall enrollment export` wrote, or - for standard input",
            )
        })?;
        Ok(Source::Lines(Lines::new(Box::new(BufReader::new(file)))))
    }

    fn tell(
        &self,
        connect: &Connect,
        mut tally: Tally,
        report: Option<NewFile>,
        end: End,
    ) -> Result<(), Failure> {
        if let Some(mut file) = report {
            for failed in tally.failed() {
                writeln!(file, "{}", failed.json()).map_err(|error| file.unwritten(&error))?;
            }
            file.finish()?;
        }
        if !connect.json {
            eprint!("{}", tally.failures_text());
        }
        let sentence = tally.text(self.dry_run);
        print::result(connect.json, &tally.json(), |_| sentence);
        let so_far = format!(
            "in so far: {}; the same command continues where it ended",
            print::many(tally.in_place(), "line")
        );
        match (end, tally.failed().len()) {
            (End::Interrupted, _) => Err(Failure::new(
                Exit::Refused,
                format!("stopped: {so_far}"),
                "give the same command again: lines that are in are left as they are",
            )),
            (End::Broken(failure), _) => Err(Failure {
                what: format!("{} ({so_far})", failure.what),
                ..failure
            }),
            (End::Whole, 0) => Ok(()),
            (End::Whole, failed) => Err(Failure::new(
                Exit::Refused,
                format!(
                    "{failed} of {} failed",
                    print::many(tally.settled(), "line")
                ),
                "do what the reasons name and give the same command again: lines that are in are left as they are",
            )),
        }
    }
}

/// Begins a report: the same command may be given many times, so one of an earlier run is replaced,
/// and nothing else is.
fn report(path: &Path) -> Result<NewFile, Failure> {
    let mut first = String::new();
    let is_report = match File::open(path) {
        Ok(file) => {
            let read = BufReader::new(file.take(1 << 16)).read_line(&mut first);
            read.is_ok() && (first.is_empty() || tally::is_failed_line(&first))
        }
        Err(_) => false,
    };
    if is_report {
        NewFile::replacing(path)
    } else {
        NewFile::begin(path)
    }
}

type Done = Result<(Caller, Collection, Vec<Settled>), Failure>;

/// One run: chunks on their way, a few at once.
struct Run {
    first: Caller,
    idle: Vec<Caller>,
    many: usize,
    running: JoinSet<Done>,
    manner: Manner,
    fit: Fit,
    tally: Tally,
}

impl Run {
    async fn all(&mut self, source: &mut Source, stop: &mut signals::Stop) -> Result<End, Failure> {
        loop {
            let batch = tokio::select! {
                batch = source.next() => batch?,
                _ = stop.wait() => return Ok(End::Interrupted),
            };
            let Some(batch) = batch else {
                return Ok(End::Whole);
            };
            for chunk in self.chunks(batch) {
                while self.many == AT_ONCE && self.idle.is_empty() {
                    tokio::select! {
                        done = self.running.join_next() => self.settled(done)?,
                        _ = stop.wait() => return Ok(End::Interrupted),
                    }
                }
                let mut caller = self.idle.pop().unwrap_or_else(|| {
                    self.many += 1;
                    self.first.another()
                });
                let manner = self.manner;
                self.running.spawn(async move {
                    let collection = chunk.collection();
                    let settled = settle(&mut caller, chunk, manner).await?;
                    Ok((caller, collection, settled))
                });
            }
            print::progress(&(print::many(self.tally.settled(), "line") + " settled"));
        }
    }

    /// Makes the records fit, counts those that are none, and cuts the others into chunks.
    fn chunks(&mut self, batch: Vec<(u64, Read)>) -> Vec<Chunk> {
        let mut items = Vec::new();
        for (line, read) in batch {
            let fitted = read.and_then(|(collection, record)| self.fit.item(collection, record));
            match fitted {
                Ok(item) => items.push((line, item)),
                Err(reason) => self.tally.count(line, None, Outcome::Failed(reason)),
            }
        }
        Chunk::cut(items)
    }

    fn settled(
        &mut self,
        done: Option<Result<Done, tokio::task::JoinError>>,
    ) -> Result<(), Failure> {
        let Some(done) = done else {
            return Ok(());
        };
        let (caller, collection, settled) = done.map_err(anyhow::Error::new)??;
        // Whoever is like one that was answered waits for a service that is away for a moment.
        self.first = caller.another();
        self.idle.push(caller);
        for (line, id, outcome) in settled {
            self.tally.count(line, Some((collection, id)), outcome);
        }
        Ok(())
    }

    /// Waits for what is on its way, unless the user stops it; gives whether that was so.
    async fn drain(&mut self, stop: &mut signals::Stop) -> Result<bool, Failure> {
        let mut first = Ok(false);
        loop {
            let done = tokio::select! {
                done = self.running.join_next() => done,
                _ = stop.wait() => {
                    self.running.shutdown().await;
                    return Ok(true);
                }
            };
            if done.is_none() {
                return first;
            }
            if let Err(failure) = self.settled(done)
                && first.is_ok()
            {
                first = Err(failure);
            }
        }
    }
}
