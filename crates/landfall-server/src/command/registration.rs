//! `landfall registration`: registration records, through the service API.

use clap::{Args, Subcommand};
use landfall_wire::client::service::{delete_registration, query_registrations, registration};
use serde_json::Value as Json;

use super::connect::Connect;
use super::outcome::Failure;
use super::print;

const LIST: [print::Column; 6] = [
    ("REGISTRATION ID", "/registrationId"),
    ("STATUS", "/status"),
    ("ASSIGNED HUB", "/assignedHub"),
    ("DEVICE ID", "/deviceId"),
    ("SUBSTATUS", "/substatus"),
    ("LAST UPDATED", "/lastUpdatedDateTimeUtc"),
];

const SHEET: [print::Column; 11] = [
    ("Registration id", "/registrationId"),
    ("Status", "/status"),
    ("Substatus", "/substatus"),
    ("Assigned hub", "/assignedHub"),
    ("Device id", "/deviceId"),
    ("Error code", "/errorCode"),
    ("Error", "/errorMessage"),
    ("Payload", "/payload"),
    ("Created", "/createdDateTimeUtc"),
    ("Last updated", "/lastUpdatedDateTimeUtc"),
    ("Etag", "/etag"),
];

/// Registration records: where each device was put.
#[derive(Args)]
pub struct RegistrationCommand {
    /// Where to call.
    #[command(flatten)]
    pub connect: Connect,
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// What to do with registration records.
#[derive(Subcommand)]
pub enum Action {
    /// Show the record of a device
    #[command(after_help = "Example:\n  landfall registration show dev1")]
    Show(Show),
    /// List the records of an enrollment group
    #[command(after_help = "Example:\n  landfall registration list --group-id factory-1 --top 50")]
    List(List),
    /// Delete the record of a device; its next registration is a first one
    #[command(after_help = "Example:\n  landfall registration delete dev1")]
    Delete(Delete),
}

/// The id, in place or by flag.
#[derive(Clone, Args)]
#[group(required = true, multiple = false)]
pub struct Id {
    /// Registration id
    #[arg(value_name = "ID")]
    place: Option<String>,
    /// The same, as a flag
    #[arg(long = "registration-id", visible_alias = "rid", value_name = "ID")]
    flag: Option<String>,
}

impl Id {
    fn text(&self) -> &str {
        self.place
            .as_deref()
            .or(self.flag.as_deref())
            .unwrap_or_default()
    }
}

/// Options of `show`.
#[derive(Args)]
pub struct Show {
    #[command(flatten)]
    id: Id,
}

/// Options of `list`.
#[derive(Args)]
pub struct List {
    /// The enrollment group
    #[arg(long = "group-id", visible_aliases = ["gid", "enrollment-id", "eid"], value_name = "ID",
        required_unless_present = "place")]
    flag: Option<String>,
    /// The enrollment group, in place
    #[arg(value_name = "GROUP", conflicts_with = "flag")]
    place: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N")]
    top: Option<usize>,
}

/// Options of `delete`.
#[derive(Args)]
pub struct Delete {
    #[command(flatten)]
    id: Id,
    /// Delete only this state of the record
    #[arg(long, short = 'e', value_name = "ETAG")]
    etag: Option<String>,
}

impl RegistrationCommand {
    /// Does what was asked.
    pub async fn run(self) -> Result<(), Failure> {
        let connect = &self.connect;
        let mut session = connect.service().await?;
        match self.action {
            Action::Show(options) => {
                let request = registration(&session.authorization, options.id.text());
                let record = session.call(request).await?;
                print::result(connect.json, &record, |record| print::sheet(&SHEET, record));
            }
            Action::List(options) => {
                let group = options.place.or(options.flag).unwrap_or_default();
                let list = session
                    .all(options.top, |who, pages| {
                        query_registrations(who, &group, pages)
                    })
                    .await?;
                print::result(connect.json, &Json::Array(list), |list| {
                    let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
                    print::table(&LIST, list, "No registrations.")
                });
            }
            Action::Delete(options) => {
                let id = options.id.text();
                let etag = options.etag.as_deref();
                session
                    .call(delete_registration(&session.authorization, id, etag))
                    .await?;
                print::done(
                    connect.json,
                    &format!("Deleted the registration record of {id}."),
                );
            }
        }
        Ok(())
    }
}
