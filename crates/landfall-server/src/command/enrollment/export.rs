//! `landfall enrollment export`: every enrollment and group of a service, ours or another, as lines.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use clap::Args;

use crate::command::connect::Connect;
use crate::command::new_file::NewFile;
use crate::command::outcome::{Exit, Failure};
use crate::command::print;
use crate::command::transfer::line::{self, Needs};
use crate::command::transfer::source::Service;
use crate::signals;

/// Options of `export`.
#[derive(Args)]
pub struct Export {
    /// File to write, or - for standard output
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,
    /// With the symmetric keys: whoever reads the file can then speak for every device
    #[arg(long, visible_alias = "show-keys")]
    keys: bool,
}

impl Export {
    /// Reads the service and writes the lines, unless the user stops it; then no draft with keys stays.
    pub async fn run(self, connect: &Connect) -> Result<(), Failure> {
        let mut stop = signals::Stop::listen()?;
        tokio::select! {
            outcome = self.whole(connect) => outcome,
            _ = stop.wait() => Err(Failure::new(
                Exit::Refused,
                "stopped: no file was written",
                "give the same command again",
            )),
        }
    }

    async fn whole(&self, connect: &Connect) -> Result<(), Failure> {
        let mut service = Service::new(connect.service_caller().await?, self.keys);
        if self.file.as_os_str() == "-" {
            let mut out = BufWriter::new(io::stdout().lock());
            let told = write(&mut service, &mut out, |error| unwritten(&error)).await?;
            eprintln!("{told}");
            return Ok(());
        }
        let mut file = NewFile::begin(&self.file)?;
        let path = self.file.clone();
        let told = write(&mut service, &mut file, move |error| {
            Failure::new(
                Exit::Refused,
                format!("cannot write {}: {error}", path.display()),
                "make room, or write to another disk; nothing was left behind",
            )
        })
        .await?;
        file.finish()?;
        eprintln!("{told}");
        Ok(())
    }
}

/// Writes everything, page by page; gives the sentence that says what it was.
async fn write(
    service: &mut Service,
    out: &mut impl Write,
    unwritten: impl Fn(io::Error) -> Failure,
) -> Result<String, Failure> {
    let (mut enrollments, mut groups, mut needs) = (0_u64, 0_u64, Needs::default());
    while let Some(page) = service.next().await? {
        for (collection, record) in page {
            match line::noun(collection) {
                "group" => groups += 1,
                _ => enrollments += 1,
            }
            needs.add(&record);
            writeln!(out, "{}", line::text(collection, &record)).map_err(&unwritten)?;
        }
        print::progress(&format!("{enrollments} enrollments, {groups} groups"));
    }
    print::progress("");
    writeln!(out, "{}", needs.text())
        .and_then(|()| out.flush())
        .map_err(&unwritten)?;
    Ok(told(enrollments, groups, &needs))
}

fn told(enrollments: u64, groups: u64, needs: &Needs) -> String {
    let mut text = format!(
        "Exported {} and {}.",
        print::many(enrollments, "enrollment"),
        print::many(groups, "group")
    );
    let listed = |names: &std::collections::BTreeSet<String>| {
        print::plain_text(&names.iter().cloned().collect())
    };
    if !needs.authorities.is_empty() {
        text.push_str(&format!(
            "\nThey name CA certificates that must be there before they are imported: {}.",
            listed(&needs.authorities)
        ));
    }
    if !needs.certificates.is_empty() {
        text.push_str(&format!(
            "\nThey hold {} that the service shows by thumbprint only: import needs the files (--certificates).",
            print::many(needs.certificates.len() as u64, "certificate")
        ));
    }
    if !needs.hubs.is_empty() {
        text.push_str(&format!(
            "\nThey name hubs: {}. Where hubs have other names, import takes --map-hub or --drop-hubs.",
            listed(&needs.hubs)
        ));
    }
    text
}

fn unwritten(error: &io::Error) -> Failure {
    Failure::new(
        Exit::Refused,
        format!("cannot write to standard output: {error}"),
        "check what reads it",
    )
}
