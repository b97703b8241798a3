//! `landfall connection-string`: the connection string of a service or of its hub, alone.

use clap::Args;
use landfall_wire::client::own;
use serde_json::{Value as Json, json};

use super::connect::Connect;
use super::connect::holder::{Holder, KeyType};
use super::outcome::{Exit, Failure};
use super::print;

/// Print the connection string of the service, or of a hub.
#[derive(Args)]
pub struct ConnectionStringCommand {
    /// Of the hub instead: of the service's own, or of the one with this host name
    #[arg(long, value_name = "HOST", num_args = 0..=1, default_missing_value = "")]
    hub: Option<String>,
    /// Of this shared access policy; of the owner's when absent
    #[arg(long, visible_aliases = ["pn", "policy"], value_name = "NAME")]
    policy_name: Option<String>,
    /// With this one of the policy's keys
    #[arg(long, visible_aliases = ["key", "kt"], value_name = "KEY", default_value = "primary")]
    key_type: KeyType,
    // Last: its heading would name the options above too.
    /// Where to call.
    #[command(flatten)]
    pub connect: Connect,
}

impl ConnectionStringCommand {
    /// Does what was asked.
    pub async fn run(self) -> Result<(), Failure> {
        let string = match self.hub.as_deref() {
            None => self.connect.service_string().await?,
            Some("") => self.connect.hub_string().await?,
            Some(host) => self.of_hub(host).await?.hub_string().await?,
        };
        let policy = self.policy_name.as_deref().unwrap_or(string.policy());
        let known = policy.eq_ignore_ascii_case(string.policy());
        // A service's string is that of its first hub; the one named may be another of its hubs.
        let named = self.hub.as_deref().filter(|host| !host.is_empty());
        let of_named = named.is_none_or(|host| string.host().eq_ignore_ascii_case(host));
        let string = if known && of_named && self.key_type == KeyType::Primary {
            string
        } else {
            let mut holder = self.holder().await?;
            holder.connection_string(policy, self.key_type).await?
        };
        let text = string.to_text();
        print::result(
            self.connect.json,
            &json!({ "connectionString": text }),
            |_| text.clone(),
        );
        Ok(())
    }

    /// Who holds the policies that the string is to be of.
    async fn holder(&self) -> Result<Holder, Failure> {
        match self.hub.as_deref() {
            None => self.connect.policies_of_service().await,
            Some(host) => {
                let host = Some(host).filter(|host| !host.is_empty());
                self.connect.policies_of_hub(host).await
            }
        }
    }

    /// The same connection, to the service that the hub named `host` is linked to.
    async fn of_hub(&self, host: &str) -> Result<Connect, Failure> {
        let mut control = self.connect.control()?;
        let request = own::services(&control.session.authorization, false);
        let services = control.session.call(request).await?;
        let found = services
            .get("value")
            .and_then(Json::as_array)
            .into_iter()
            .flatten()
            .find(|service| has_hub(service, host))
            .and_then(|service| service.get("name")?.as_str());
        match found {
            Some(name) => Ok(Connect {
                service: Some(name.to_owned()),
                login: None,
                ..self.connect.clone()
            }),
            None => Err(Failure::new(
                Exit::NotFound,
                format!("no service of this server has a hub named {host}"),
                "see the hubs with `landfall service list`",
            )),
        }
    }
}

fn has_hub(service: &Json, host: &str) -> bool {
    let hubs = service.get("hubHostNames").and_then(Json::as_array);
    hubs.into_iter()
        .flatten()
        .filter_map(Json::as_str)
        .any(|hub| hub.eq_ignore_ascii_case(host))
}
