//! `landfall connection-string`: the connection string of a service or of its hub, alone.

use clap::Args;
use landfall_wire::client::own;
use serde_json::{Value as Json, json};

use super::connect::Connect;
use super::outcome::{Exit, Failure};
use super::print;

/// Print the connection string of the service, or of a hub.
#[derive(Debug, Args)]
pub struct ConnectionStringCommand {
    /// Of the hub instead: of the service's own, or of the one with this host name
    #[arg(long, value_name = "HOST", num_args = 0..=1, default_missing_value = "")]
    hub: Option<String>,
    /// Shared access policy that the string must be for
    #[arg(long, visible_alias = "pn", value_name = "NAME")]
    policy_name: Option<String>,
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
        if let Some(policy) = &self.policy_name
            && !policy.eq_ignore_ascii_case(string.policy())
        {
            return Err(Failure::new(
                Exit::NotFound,
                format!(
                    "only the string of policy {} is known here",
                    string.policy()
                ),
                "leave --policy-name out",
            ));
        }
        let text = string.to_text();
        print::result(
            self.connect.json,
            &json!({ "connectionString": text }),
            |_| text.clone(),
        );
        Ok(())
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
