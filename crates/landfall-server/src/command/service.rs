//! `landfall service`: the provisioning services of a server, through Landfall's own routes.

use std::io::IsTerminal as _;

use clap::{Args, Subcommand, ValueEnum};
use landfall_core::document::JsonObject;
use landfall_wire::client::own;
use serde_json::{Value as Json, json};

use super::connect::{Connect, Session};
use super::outcome::{Exit, Failure};
use super::{print, record};

const LIST: [print::Column; 5] = [
    ("NAME", "/name"),
    ("ID SCOPE", "/idScope"),
    ("SERVICE HOST", "/serviceHostName"),
    ("DEVICE HOST", "/deviceHostName"),
    ("HUBS", "/hubHostNames"),
];

const SHEET: [print::Column; 11] = [
    ("Name", "/name"),
    ("Id scope", "/idScope"),
    ("Service host", "/serviceHostName"),
    ("Device host", "/deviceHostName"),
    ("Linked hubs", "/hubHostNames"),
    ("Allocation policy", "/allocationPolicy"),
    ("Require verified chain", "/requireVerifiedChain"),
    ("Created", "/createdDateTimeUtc"),
    ("Etag", "/etag"),
    ("Service connection string", "/serviceConnectionString"),
    ("Hub connection string", "/hubConnectionString"),
];

/// Provisioning services: one id scope each, with its own hub.
#[derive(Args)]
pub struct ServiceCommand {
    /// Where to call.
    #[command(flatten)]
    pub connect: Connect,
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// What to do with services.
#[derive(Subcommand)]
pub enum Action {
    /// Create a service with an embedded hub linked to it
    #[command(after_help = "Example:\n  landfall service create second --keys")]
    Create(Create),
    /// List the services
    #[command(after_help = "Example:\n  landfall service list")]
    List,
    /// Show a service: id scope, endpoints, linked hubs
    #[command(after_help = "Example:\n  landfall service show second --keys")]
    Show(Show),
    /// Change the settings given of a service and leave the others as they are
    #[command(after_help = "Example:\n  landfall service update dev --allocation-policy static")]
    Update(Update),
    /// Delete a service, with its embedded hub when no other service links it
    #[command(after_help = "Example:\n  landfall service delete second --yes")]
    Delete(Delete),
}

/// Options of `create`.
#[derive(Args)]
pub struct Create {
    /// Name of the new service
    #[arg(value_name = "NAME")]
    name: String,
    /// Host name that the service answers on; a dev server takes the next free address
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// Host name of its hub; a dev server takes the next free address
    #[arg(long, value_name = "HOST")]
    hub_host: Option<String>,
    /// Show the connection strings
    #[arg(long, visible_alias = "show-keys")]
    keys: bool,
}

/// Options of `show`.
#[derive(Args)]
pub struct Show {
    /// Name of the service; the dev server's first one when absent
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Show the connection strings
    #[arg(long, visible_alias = "show-keys")]
    keys: bool,
}

/// How a hub is picked where an enrollment does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AllocationPolicy {
    /// Evenly, by weight
    Hashed,
    /// By lowest latency
    #[value(name = "geolatency")]
    GeoLatency,
    /// The one hub that the enrollment names
    Static,
}

/// Options of `update`.
#[derive(Args)]
pub struct Update {
    /// Name of the service; the dev server's first one when absent
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Host name that the service answers on from now on
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// How a hub is picked where an enrollment does not say
    #[arg(long, visible_alias = "ap", value_name = "POLICY", ignore_case = true)]
    allocation_policy: Option<AllocationPolicy>,
    /// Whether every certificate chain must lead to a verified CA certificate
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    require_verified_chain: Option<bool>,
    /// Change only this state of the service; the state just read when absent
    #[arg(long, short = 'e', value_name = "ETAG")]
    etag: Option<String>,
}

/// Options of `delete`.
#[derive(Args)]
pub struct Delete {
    /// Name of the service
    #[arg(value_name = "NAME")]
    name: String,
    /// Do not ask
    #[arg(long, short = 'y')]
    yes: bool,
    /// Delete everything in it too: enrollments, groups, registrations, CA certificates, devices
    #[arg(long)]
    force: bool,
    /// Keep its embedded hub and the devices on it; a later service can link it
    #[arg(long)]
    keep_hub: bool,
    /// Delete only this state of the service
    #[arg(long, short = 'e', value_name = "ETAG")]
    etag: Option<String>,
}

impl Update {
    fn change(&self) -> Result<Json, Failure> {
        let mut change = JsonObject::new();
        if let Some(host) = &self.host {
            change.insert("hostName".into(), json!(host));
        }
        if let Some(policy) = self.allocation_policy {
            let policy = match policy {
                AllocationPolicy::Hashed => "hashed",
                AllocationPolicy::GeoLatency => "geoLatency",
                AllocationPolicy::Static => "static",
            };
            change.insert("allocationPolicy".into(), json!(policy));
        }
        if let Some(require) = self.require_verified_chain {
            change.insert("requireVerifiedChain".into(), json!(require));
        }
        if change.is_empty() {
            return Err(Failure::usage(
                "nothing to change is named",
                "pass --host, --allocation-policy or --require-verified-chain; `landfall linked-hub` changes the hubs",
            ));
        }
        Ok(Json::Object(change))
    }
}

impl Delete {
    /// Lets the name be typed again, unless `--yes` was.
    fn confirm(&self) -> Result<(), Failure> {
        if self.yes {
            return Ok(());
        }
        if !std::io::stdin().is_terminal() {
            return Err(Failure::usage(
                format!("service {} would be deleted", self.name),
                "pass --yes to do it",
            ));
        }
        eprint!("Type the name of the service to delete it, {}: ", self.name);
        let mut typed = String::new();
        std::io::stdin()
            .read_line(&mut typed)
            .map_err(|error| anyhow::anyhow!("the answer cannot be read: {error}"))?;
        if typed.trim().eq_ignore_ascii_case(&self.name) {
            Ok(())
        } else {
            Err(Failure::usage(
                "that is another name; nothing was deleted",
                "type the name, or pass --yes",
            ))
        }
    }

    async fn run(self, json: bool, session: &mut Session) -> Result<(), Failure> {
        self.confirm()?;
        let request = own::delete_service(
            &session.authorization,
            &self.name,
            self.force,
            self.keep_hub,
            self.etag.as_deref(),
        );
        let answer = session.call(request).await.map_err(|mut failure| {
            if failure.exit == Exit::Conflict && !self.force && self.etag.is_none() {
                failure.fix = Some("pass --force to delete all of that".into());
            }
            failure
        })?;
        print::result(json, &answer, deleted);
        Ok(())
    }
}

/// What went, in words.
fn deleted(answer: &Json) -> String {
    let number = |value: &Json, name: &str| value.get(name).and_then(Json::as_u64).unwrap_or(0);
    let name = answer
        .get("name")
        .map(print::plain_text)
        .unwrap_or_default();
    let mut text = format!("Deleted service {name}");
    let parts: Vec<String> = [
        ("individual enrollment", "enrollments"),
        ("enrollment group", "enrollmentGroups"),
        ("CA certificate", "certificates"),
        ("registration", "registrations"),
    ]
    .into_iter()
    .filter(|(_, member)| number(answer, member) > 0)
    .map(|(what, member)| print::many(number(answer, member), what))
    .collect();
    if !parts.is_empty() {
        text.push_str(&format!(" with {}", parts.join(", ")));
    }
    text.push_str(".\n");
    let hubs = answer.get("hubs").and_then(Json::as_array);
    for hub in hubs.into_iter().flatten() {
        let host = hub
            .get("hostName")
            .map(print::plain_text)
            .unwrap_or_default();
        let devices = print::many(number(hub, "devices"), "device");
        text.push_str(&format!("Deleted hub {host} with {devices}.\n"));
    }
    let kept = answer.get("keptHubs").and_then(Json::as_array);
    for host in kept.into_iter().flatten().map(print::plain_text) {
        text.push_str(&format!(
            "Kept hub {host}; `landfall service create NAME --hub-host {host}` links it again.\n"
        ));
    }
    text
}

impl ServiceCommand {
    /// Does what was asked.
    pub async fn run(self) -> Result<(), Failure> {
        let mut control = self.connect.control()?;
        let who = control.session.authorization.clone();
        let json = self.connect.json;
        match self.action {
            Action::Create(options) => {
                let host = options.host.as_deref();
                let hub_host = options.hub_host.as_deref();
                let request = own::create_service(&who, &options.name, host, hub_host);
                let mut answer = control.session.call(request).await?;
                if !options.keys {
                    without_strings(&mut answer);
                }
                print::result(json, &answer, |answer| print::sheet(&SHEET, answer));
                warn(json, &answer);
            }
            Action::List => {
                let mut answer = control.session.call(own::services(&who, false)).await?;
                without_strings(&mut answer);
                print::result(json, &answer, |answer| {
                    let list = answer.get("value").and_then(Json::as_array);
                    let list = list.map(Vec::as_slice).unwrap_or_default();
                    print::table(&LIST, list, "No services.")
                });
            }
            Action::Show(options) => {
                let name = named(options.name, control.resource.service)?;
                let request = own::service(&who, &name, options.keys);
                let mut answer = control.session.call(request).await?;
                if !options.keys {
                    without_strings(&mut answer);
                }
                print::result(json, &answer, |answer| print::sheet(&SHEET, answer));
            }
            Action::Update(options) => {
                let change = options.change()?;
                let name = named(options.name, control.resource.service)?;
                let etag = match options.etag {
                    Some(etag) => etag,
                    None => {
                        let request = own::service(&who, &name, false);
                        record::etag(None, &control.session.call(request).await?)
                    }
                };
                let request = own::update_service(&who, &name, &change, Some(&etag));
                let answer = control.session.call(request).await?;
                print::result(json, &answer, |answer| print::sheet(&SHEET, answer));
                warn(json, &answer);
            }
            Action::Delete(options) => options.run(json, &mut control.session).await?,
        }
        Ok(())
    }
}

/// The service named, else the one of the connection.
fn named(given: Option<String>, of_the_connection: String) -> Result<String, Failure> {
    let name = given.unwrap_or(of_the_connection);
    if name.is_empty() {
        return Err(Failure::usage(
            "no service is named",
            "name one, or --service NAME",
        ));
    }
    Ok(name)
}

/// Says on standard error what the server wants to be known of a service that it made or changed.
fn warn(as_json: bool, answer: &Json) {
    let warnings = answer.get("warnings").and_then(Json::as_array);
    for warning in warnings.into_iter().flatten().filter(|_| !as_json) {
        eprintln!("warning: {}", print::plain_text(warning));
    }
}

/// Takes the connection strings out of a service or a list of them.
fn without_strings(answer: &mut Json) {
    if let Some(members) = answer.as_object_mut() {
        members.retain(|name, _| !name.ends_with("ConnectionString"));
        if let Some(list) = members.get_mut("value").and_then(Json::as_array_mut) {
            list.iter_mut().for_each(without_strings);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deletion_says_what_went_and_what_was_kept() {
        let answer = json!({"name": "second", "enrollments": 1, "registrations": 2,
            "hubs": [{"hostName": "hub.a", "devices": 1}, {"hostName": "hub.b", "devices": 0}],
            "keptHubs": ["hub.c"]});
        assert_eq!(
            deleted(&answer),
            "Deleted service second with 1 individual enrollment, 2 registrations.\n\
             Deleted hub hub.a with 1 device.\n\
             Deleted hub hub.b with 0 devices.\n\
             Kept hub hub.c; `landfall service create NAME --hub-host hub.c` links it again.\n"
        );
    }

    #[test]
    fn connection_strings_are_shown_only_when_asked() {
        let service = json!({"name": "second", "idScope": "0ne1", "hubHostNames": ["127.0.0.3"],
            "serviceConnectionString": "HostName=a", "hubConnectionString": "HostName=b"});
        assert!(print::sheet(&SHEET, &service).contains("HostName=a"));
        let mut list = json!({ "value": [service] });
        without_strings(&mut list);
        assert_eq!(
            list,
            json!({"value": [{"name": "second", "idScope": "0ne1", "hubHostNames": ["127.0.0.3"]}]})
        );
    }
}
