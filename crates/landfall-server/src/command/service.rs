//! `landfall service`: the provisioning services of a server, through Landfall's own routes.

use clap::{Args, Subcommand};
use landfall_wire::client::own;
use serde_json::Value as Json;

use super::connect::Connect;
use super::outcome::Failure;
use super::print;

const LIST: [print::Column; 5] = [
    ("NAME", "/name"),
    ("ID SCOPE", "/idScope"),
    ("SERVICE HOST", "/serviceHostName"),
    ("DEVICE HOST", "/deviceHostName"),
    ("HUBS", "/hubHostNames"),
];

const SHEET: [print::Column; 9] = [
    ("Name", "/name"),
    ("Id scope", "/idScope"),
    ("Service host", "/serviceHostName"),
    ("Device host", "/deviceHostName"),
    ("Linked hubs", "/hubHostNames"),
    ("Allocation policy", "/allocationPolicy"),
    ("Created", "/createdDateTimeUtc"),
    ("Service connection string", "/serviceConnectionString"),
    ("Hub connection string", "/hubConnectionString"),
];

/// Provisioning services: one id scope each, with its own hub.
#[derive(Debug, Args)]
pub struct ServiceCommand {
    /// Where to call.
    #[command(flatten)]
    pub connect: Connect,
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// What to do with services.
#[derive(Debug, Subcommand)]
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
}

/// Options of `create`.
#[derive(Debug, Args)]
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
#[derive(Debug, Args)]
pub struct Show {
    /// Name of the service; the dev server's first one when absent
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Show the connection strings
    #[arg(long, visible_alias = "show-keys")]
    keys: bool,
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
                let name = options.name.unwrap_or(control.resource.service);
                if name.is_empty() {
                    return Err(Failure::usage(
                        "no service is named",
                        "name one, or --service NAME",
                    ));
                }
                let request = own::service(&who, &name, options.keys);
                let mut answer = control.session.call(request).await?;
                if !options.keys {
                    without_strings(&mut answer);
                }
                print::result(json, &answer, |answer| print::sheet(&SHEET, answer));
            }
        }
        Ok(())
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
    use serde_json::json;

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
