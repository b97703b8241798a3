//! `landfall enrollment import`: lines of an export, rows of a table, or another service's records,
//! into a service.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use landfall_core::administration::import as route;

use crate::client::Endpoint;
use crate::client::tls::{Trust, settings};
use crate::command::connect::{Connect, connection_string};
use crate::command::new_file::NewFile;
use crate::command::outcome::{Exit, Failure};
use crate::command::print;
use crate::command::transfer::bulk;
use crate::command::transfer::caller::Caller;
use crate::command::transfer::fit::{Certificates, Fit, Hubs};
use crate::command::transfer::parts::{Parts, Untouched};
use crate::command::transfer::sink::{Manner, OnConflict};
use crate::command::transfer::source::{Lines, Service, Source};
use crate::command::transfer::stream::{Stream, is_served};
use crate::command::transfer::table::Table;
use crate::command::transfer::tally::{self, Tally};
use crate::signals;

/// Options of `import`.
#[derive(Args)]
pub struct Import {
    /// Export or table to read, or - for standard input
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
    /// What the file is; else its name tells: .csv, .tsv and .txt hold a table
    #[arg(long, value_name = "FORM", conflicts_with = "from")]
    format: Option<Format>,
    /// Write the lines that failed into this file, as JSON Lines; an earlier report is replaced
    #[arg(long, visible_alias = "refused", value_name = "FILE")]
    report: Option<PathBuf>,
}

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One JSON object a line, as an export writes it
    Jsonl,
    /// One row for each device, the first row naming the columns
    Csv,
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

/// A file, and its size when that is known.
struct Input {
    read: Box<dyn BufRead + Send>,
    size: Option<u64>,
    folder: PathBuf,
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
        let input = match &self.from {
            Some(_) => None,
            None => Some(self.input()?),
        };
        let size = input.as_ref().and_then(|input| input.size);
        let mut caller = connect.service_caller().await?;
        let mut tally = Tally::reporting(report);
        let outcome = if is_served(&mut caller).await? {
            let manner = route::Manner {
                on_conflict: match self.on_conflict {
                    OnConflict::Fail => route::OnConflict::Fail,
                    OnConflict::Skip => route::OnConflict::Skip,
                    OnConflict::Replace => route::OnConflict::Replace,
                },
                dry_run: self.dry_run,
            };
            let parts = match input {
                Some(input) if self.is_lines() && fit.changes_nothing() => {
                    Parts::AsTheyAre(Untouched::new(input.read))
                }
                input => Parts::Fitted(Box::new(self.source(input)?), fit),
            };
            let stream = Stream::new(caller, manner, size);
            stream.run(parts, &mut tally, &mut stop).await
        } else {
            let manner = Manner {
                on_conflict: self.on_conflict,
                dry_run: self.dry_run,
            };
            let mut source = self.source(input)?;
            let run = bulk::Run::new(caller, manner, fit, &mut tally);
            run.run(&mut source, &mut stop).await
        };
        let end = match outcome {
            Ok(false) => End::Whole,
            Ok(true) => End::Interrupted,
            Err(failure) => End::Broken(failure),
        };
        self.tell(connect, tally, end)
    }

    fn is_lines(&self) -> bool {
        let named_a_table = || {
            let extension = self.file.as_ref().and_then(|file| file.extension());
            extension.is_some_and(|it| {
                ["csv", "tsv", "txt"]
                    .iter()
                    .any(|known| it.eq_ignore_ascii_case(known))
            })
        };
        match self.format {
            Some(format) => format == Format::Jsonl,
            None => !named_a_table(),
        }
    }

    fn input(&self) -> Result<Input, Failure> {
        let path = self.file.clone().unwrap_or_default();
        if path.as_os_str() == "-" {
            return Ok(Input {
                read: Box::new(BufReader::new(io::stdin())),
                size: None,
                folder: PathBuf::from("."),
            });
        }
        let unreadable = |error: io::Error| {
            Failure::usage(
                format!("cannot read {}: {error}", path.display()),
                "name a file that `landfall enrollment export` wrote, a table, or - for standard input",
            )
        };
        let file = File::open(&path).map_err(unreadable)?;
        let size = file.metadata().ok().filter(|it| it.is_file());
        Ok(Input {
            read: Box::new(BufReader::with_capacity(1 << 18, file)),
            size: size.map(|it| it.len()),
            folder: path.parent().map(Path::to_owned).unwrap_or_default(),
        })
    }

    fn source(&self, input: Option<Input>) -> Result<Source, Failure> {
        if let Some(input) = input {
            return Ok(if self.is_lines() {
                Source::Lines(Lines::new(input.read))
            } else {
                Source::Table(Box::new(Table::open(input.read, input.folder)?))
            });
        }
        let string = connection_string(self.from.as_deref().unwrap_or_default())?;
        let trust = match &self.from_ca {
            Some(file) => Trust::File(file.clone()),
            None => Trust::System,
        };
        let endpoint = Endpoint::new(string.host(), string.port().unwrap_or(443));
        let caller = Caller::new(endpoint, string, settings(&trust, None)?);
        Ok(Source::Service(Box::new(Service::new(caller, true)), 0))
    }

    fn tell(&self, connect: &Connect, mut tally: Tally, end: End) -> Result<(), Failure> {
        tally.finish()?;
        if !connect.json {
            eprint!("{}", tally.failures_text());
        }
        let sentence = tally.text(self.dry_run);
        print::result(connect.json, &tally.json(), |_| sentence);
        let so_far = format!(
            "in so far: {}; the same command continues where it ended",
            print::many(tally.in_place(), "line")
        );
        match (end, tally.many_failed()) {
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
