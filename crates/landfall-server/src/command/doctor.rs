//! `landfall doctor`: looks at this machine and at a server's configuration, folder, certificates and
//! database, and says of each thing that is amiss what to do about it. It changes nothing, whether the
//! server runs or not. What is looked at stands in the modules below; here stands the order.

mod certificates;
mod database;
mod disk;
mod finding;
mod folder;
mod machine;
mod ports;
mod running;

use std::process::ExitCode;

use clap::Args;

use self::finding::Report;
use self::running::Announced;
use super::outcome::{Exit, Failure};
use super::print;
use crate::config::{self, CertificateFiles, Place, Settings};

/// Options of `landfall doctor`.
#[derive(Debug, Clone, Args)]
pub struct DoctorOptions {
    /// Where the settings come from: those of `landfall serve`
    #[command(flatten)]
    pub flags: config::Flags,
    /// Print the findings as JSON
    #[arg(long)]
    pub json: bool,
}

/// Looks at everything and prints what was found. Gives 1 when something keeps a server from serving.
///
/// # Errors
/// [`Failure`] when the findings cannot be printed.
pub async fn run(options: DoctorOptions) -> Result<ExitCode, Failure> {
    let environment = |name: &str| std::env::var(name).ok();
    let mut report = Report::default();
    machine::clock(&mut report);
    let mut flags = options.flags;
    if flags.data.is_none() && flags.config.is_none() {
        // Of `dev` and the client commands; `serve` has a variable of its own.
        flags.data = environment("LANDFALL_DATA").filter(|text| !text.is_empty());
    }
    match config::place(&flags, &environment) {
        Ok(place) => look(&mut report, &flags, &environment, &place).await,
        Err(error) => report.failure("configuration", &error.to_string(), &error.fix),
    }
    machine::memory(&mut report);
    print::text(&if options.json {
        report.as_json()
    } else {
        report.as_text()
    });
    print::arrived()?;
    Ok(match report.failures() {
        0 => ExitCode::SUCCESS,
        _ => Exit::Refused.into(),
    })
}

/// Looks at what belongs to one server.
async fn look(
    report: &mut Report,
    flags: &config::Flags,
    environment: &dyn Fn(&str) -> Option<String>,
    place: &Place,
) {
    let announced = Announced::read(&place.data_dir);
    let settings = settings(report, flags, environment, place, announced.as_ref());
    if let Some(announced) = &announced {
        running::answers(report, announced).await;
    }
    folder::look(report, place, settings.as_ref());
    disk::look(report, place);
    let names = database::look(report, place);
    if let Some(settings) = &settings {
        certificates::look(report, settings, &names);
        ports::look(report, settings, announced.as_ref());
        machine::open_files(report, settings, announced.as_ref());
    }
}

/// The settings of `serve`; those of `dev` for a folder that `dev` made and no configuration names.
fn settings(
    report: &mut Report,
    flags: &config::Flags,
    environment: &dyn Fn(&str) -> Option<String>,
    place: &Place,
    announced: Option<&Announced>,
) -> Option<Settings> {
    let of_dev = CertificateFiles {
        chain: place.data_dir.join("server.pem"),
        key: place.data_dir.join("server-key.pem"),
    };
    let ca = place.data_dir.join("ca.pem");
    let made_by_dev = flags.config.is_none()
        && flags.certificate.is_empty()
        && environment("LANDFALL_HTTPS_CERTIFICATES").is_none()
        && ca.exists()
        && of_dev.chain.exists();
    let mut flags = flags.clone();
    if made_by_dev {
        let files = [&of_dev.chain, &of_dev.key].map(|file| file.display().to_string());
        flags.certificate = vec![files.join(":")];
    }
    match config::load(&flags, environment) {
        Ok(mut settings) => {
            if made_by_dev {
                settings.https.ca_file = Some(ca);
                // Where `dev` listens is chosen at its start.
                settings.https.listen = announced.map(|it| it.https.clone()).unwrap_or_default();
                if let Some(admin) = announced.and_then(|it| it.admin) {
                    settings.admin_listen = admin;
                }
            }
            let whose = match (made_by_dev, &flags.config) {
                (true, _) => "a folder of `landfall dev`".to_owned(),
                (false, Some(file)) => format!("{} can be read", file.display()),
                (false, None) => "from flags and environment".to_owned(),
            };
            report.fine("configuration", &whose);
            Some(settings)
        }
        Err(error) => {
            let nothing_named = flags.config.is_none() && !place.data_dir.exists();
            let fix = match nothing_named {
                true => {
                    "name the server's configuration: --config FILE; or the folder of `landfall dev`: --data DIR"
                }
                false => &error.fix,
            };
            report.failure("configuration", &error.to_string(), fix);
            None
        }
    }
}
