//! `landfall linked-hub`: the hubs that a service may assign to, through Landfall's own routes.

use clap::{Args, Subcommand};
use landfall_wire::client::own;
use serde_json::{Value as Json, json};

use super::connect::{Connect, Session};
use super::outcome::{Exit, Failure};
use super::{print, record};

const LIST: [print::Column; 3] = [
    ("HUB", "/hostName"),
    ("WEIGHT", "/allocationWeight"),
    ("ALLOCATE", "/applyAllocationPolicy"),
];

/// Hubs that a service may assign to.
#[derive(Args)]
pub struct LinkedHubCommand {
    /// Where to call.
    #[command(flatten)]
    pub connect: Connect,
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// What to do with linked hubs.
#[derive(Subcommand)]
pub enum Action {
    /// List the linked hubs
    #[command(after_help = "Example:\n  landfall linked-hub list")]
    List,
    /// Link a hub of this server to the service
    #[command(after_help = "Example:\n  landfall linked-hub create 127.0.0.3 --service dev")]
    Create(Link),
    /// Change the weight of a linked hub, or whether it takes devices
    #[command(
        after_help = "Example:\n  landfall linked-hub update 127.0.0.3 --apply-allocation-policy false"
    )]
    Update(Link),
    /// Unlink a hub; it stays, and so do the devices on it
    #[command(after_help = "Example:\n  landfall linked-hub delete 127.0.0.3")]
    Delete(Hub),
}

/// The hub, in place or by flag.
#[derive(Clone, Args)]
#[group(required = true, multiple = false)]
pub struct Hub {
    /// Host name of the hub
    #[arg(value_name = "HOST")]
    place: Option<String>,
    /// The same, as a flag
    #[arg(long = "hub-name", visible_aliases = ["hn", "linked-hub", "lh"], value_name = "HOST")]
    flag: Option<String>,
}

impl Hub {
    fn text(&self) -> &str {
        self.place
            .as_deref()
            .or(self.flag.as_deref())
            .unwrap_or_default()
    }
}

/// Options of `create` and of `update`.
#[derive(Clone, Args)]
pub struct Link {
    #[command(flatten)]
    hub: Hub,
    /// Its share under the hashed policy, 1 to 1000; 1 when absent
    #[arg(long, visible_alias = "aw", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    allocation_weight: Option<u16>,
    /// Whether devices are assigned to it; true when absent
    #[arg(long, visible_alias = "aap", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    apply_allocation_policy: Option<bool>,
}

impl Link {
    /// Writes the options given into a link.
    fn apply(&self, link: &mut Json) {
        if let Some(weight) = self.allocation_weight {
            link["allocationWeight"] = json!(weight);
        }
        if let Some(apply) = self.apply_allocation_policy {
            link["applyAllocationPolicy"] = json!(apply);
        }
    }
}

impl LinkedHubCommand {
    /// Does what was asked.
    pub async fn run(self) -> Result<(), Failure> {
        let json = self.connect.json;
        let (mut session, name, _) = self.connect.controlled_service().await?;
        let request = own::service(&session.authorization, &name, false);
        let service = session.call(request).await?;
        let mut links = links(&service);
        match self.action {
            Action::List => show(json, &service),
            Action::Create(options) => {
                let hub = options.hub.text();
                if position(&links, hub).is_some() {
                    return Err(Failure::new(
                        Exit::Conflict,
                        format!("hub {hub} is linked to service {name} already"),
                        "change its weight with `landfall linked-hub update`",
                    ));
                }
                let mut link = json!({ "hostName": hub });
                options.apply(&mut link);
                links.push(link);
                let service = write(&mut session, &name, &service, links).await?;
                show(json, &service);
            }
            Action::Update(options) => {
                let at = linked(&links, options.hub.text(), &name)?;
                if let Some(link) = links.get_mut(at) {
                    options.apply(link);
                }
                let service = write(&mut session, &name, &service, links).await?;
                show(json, &service);
            }
            Action::Delete(hub) => {
                let at = linked(&links, hub.text(), &name)?;
                links.remove(at);
                write(&mut session, &name, &service, links).await?;
                let text = format!("Unlinked hub {} from service {name}.", hub.text());
                print::done(json, &text);
            }
        }
        Ok(())
    }
}

fn links(service: &Json) -> Vec<Json> {
    let links = service.get("linkedHubs").and_then(Json::as_array);
    links.cloned().unwrap_or_default()
}

fn position(links: &[Json], hub: &str) -> Option<usize> {
    links.iter().position(|link| {
        let name = link.get("hostName").and_then(Json::as_str);
        name.is_some_and(|name| name.eq_ignore_ascii_case(hub))
    })
}

fn linked(links: &[Json], hub: &str, service: &str) -> Result<usize, Failure> {
    position(links, hub).ok_or_else(|| {
        Failure::new(
            Exit::NotFound,
            format!("hub {hub} is not linked to service {service}"),
            "see the linked hubs with `landfall linked-hub list`",
        )
    })
}

/// Writes the links over the state of the service that was read.
async fn write(
    session: &mut Session,
    name: &str,
    service: &Json,
    links: Vec<Json>,
) -> Result<Json, Failure> {
    let change = json!({ "linkedHubs": links });
    let etag = record::etag(None, service);
    let request = own::update_service(&session.authorization, name, &change, Some(&etag));
    session.call(request).await
}

fn show(json: bool, service: &Json) {
    let list = Json::Array(links(service));
    print::result(json, &list, |list| {
        let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
        print::table(&LIST, list, "No linked hubs.")
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_found_in_every_spelling_and_keeps_what_is_not_named() {
        let service = json!({"linkedHubs": [
            {"hostName": "Hub.A", "allocationWeight": 3, "applyAllocationPolicy": true}]});
        let mut links = links(&service);
        let at = linked(&links, "hub.a", "dev").expect("found");
        let options = Link {
            hub: Hub {
                place: Some("hub.a".into()),
                flag: None,
            },
            allocation_weight: None,
            apply_allocation_policy: Some(false),
        };
        options.apply(&mut links[at]);
        assert_eq!(
            links[at],
            json!({"hostName": "Hub.A", "allocationWeight": 3, "applyAllocationPolicy": false})
        );
        let missing = linked(&links, "hub.b", "dev").expect_err("refused");
        assert_eq!(missing.exit, Exit::NotFound);
    }
}
