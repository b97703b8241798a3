//! Where a client command calls and with which credential: flags, then the environment, then the
//! file by which a running server of the data folder is found.

mod facts;
pub mod holder;
mod server_file;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use landfall_core::clock::Clock as _;
use landfall_wire::client::connection_string::{ConnectionString, host_and_port};
use landfall_wire::client::control::Resource;
use landfall_wire::client::{Authorization, Pages, ReplyError, own, read};
use landfall_wire::message::{Reply, Request};
use rustls::ClientConfig;
use serde_json::Value as Json;

pub use self::facts::Facts;
pub use self::server_file::ServerFile;
use super::outcome::{Exit, Failure};
use super::transfer::caller::Caller;
use crate::client::tls::{Trust, settings};
use crate::client::{Client, Coming, Endpoint, PATIENCE};
use crate::control_names::{RESOURCE_GROUP, SUBSCRIPTION};
use crate::time::SystemClock;

/// How long the tokens of one command are good for.
const TOKEN_LIFE: Duration = Duration::from_secs(3600);
/// The variables that give a connection string by hand.
const SERVICE_STRING: &str = "LANDFALL_CONNECTION_STRING";
const HUB_STRING: &str = "LANDFALL_HUB_CONNECTION_STRING";

/// Where to call, and with which credential.
#[derive(Clone, Default, Args)]
#[command(next_help_heading = "Connection")]
pub struct Connect {
    /// Print what the API answered, as JSON; errors too, on stderr
    #[arg(long, global = true)]
    pub json: bool,
    /// Connection string of the service (or, for `hub`, of the hub). Else
    /// LANDFALL_CONNECTION_STRING (LANDFALL_HUB_CONNECTION_STRING), else the running server of --data
    #[arg(long, short = 'l', global = true, value_name = "STRING")]
    pub login: Option<String>,
    /// Data folder of a running server on this machine, of which its user may read all
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "LANDFALL_DATA",
        default_value = "landfall-data"
    )]
    pub data: PathBuf,
    /// PEM file of the authority to trust; else the server of --data, else the system's
    #[arg(long, global = true, value_name = "FILE", env = "LANDFALL_CA")]
    pub ca: Option<PathBuf>,
    /// Another service of the server, by name
    #[arg(long, global = true, value_name = "NAME")]
    pub service: Option<String>,
    /// Server to call with --control-token, where no connection string and no data folder is at hand
    #[arg(
        long,
        global = true,
        value_name = "HOST[:PORT]",
        env = "LANDFALL_SERVER"
    )]
    pub server: Option<String>,
    /// Control token of the server, or @FILE that holds it; else that of the server of --data
    #[arg(
        long,
        global = true,
        value_name = "TOKEN",
        env = "LANDFALL_CONTROL_TOKEN",
        hide_env_values = true
    )]
    pub control_token: Option<String>,
}

/// A connection to one face of a server, with the credential for it.
pub struct Session {
    client: Client,
    /// The credential; request makers put it into their requests.
    pub authorization: Authorization,
}

impl Session {
    /// The same for calls that the server answers after `wait` at the latest.
    pub fn patient(mut self, wait: Duration) -> Self {
        self.client = self.client.with_limit(PATIENCE + wait);
        self
    }

    /// Sends a request whose reply is read while it comes.
    pub async fn follow(&self, request: Request) -> Result<Coming, Failure> {
        match self.client.follow(request).await? {
            Ok(coming) => Ok(coming),
            Err(refusal) => match read(&refusal) {
                Err(error) => Err(error.into()),
                Ok(_) => Err(Failure::new(
                    Exit::Refused,
                    format!("the server answered {}", refusal.status),
                    "see the server's log",
                )),
            },
        }
    }

    /// Sends a request and reads its JSON.
    pub async fn call(&mut self, request: Request) -> Result<Json, Failure> {
        Ok(read(&self.reply(request).await?)?)
    }

    /// Sends a request; gives `None` when what it names is not there.
    pub async fn find(&mut self, request: Request) -> Result<Option<Json>, Failure> {
        match self.call(request).await {
            Ok(value) => Ok(Some(value)),
            Err(failure) if failure.exit == Exit::NotFound => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Collects a list page by page; `ask` makes the request for the next page.
    pub async fn all(
        &mut self,
        top: Option<usize>,
        ask: impl Fn(&Authorization, &Pages) -> Request,
    ) -> Result<Vec<Json>, Failure> {
        let mut pages = Pages::new(top);
        while pages.wants_more() {
            let reply = self.reply(ask(&self.authorization, &pages)).await?;
            pages.received(&reply).map_err(Failure::from)?;
        }
        Ok(pages.into_items())
    }

    async fn reply(&mut self, request: Request) -> Result<Reply, Failure> {
        Ok(self.client.call(request).await?)
    }
}

/// How an endpoint is reached, and whom to trust there.
#[derive(Clone)]
pub struct Road {
    /// Where to.
    pub endpoint: Endpoint,
    /// Settings that trust the server there.
    pub tls: Arc<ClientConfig>,
}

/// A bearer session with the server's control plane, and the service it is about.
pub struct Control {
    /// The connection.
    pub session: Session,
    /// The service that control plane paths name.
    pub resource: Resource,
    port: u16,
}

impl Connect {
    /// The file by which the running server of the data folder is found.
    pub fn server_file(&self) -> Result<Option<ServerFile>, Failure> {
        ServerFile::read(&self.data)
    }

    /// Opens the service API.
    pub async fn service(&self) -> Result<Session, Failure> {
        let string = self.service_string().await?;
        self.session(&string, self.is_by_hand(SERVICE_STRING)?)
    }

    /// Opens the hub API.
    pub async fn hub(&self) -> Result<Session, Failure> {
        let string = self.hub_string().await?;
        self.session(&string, self.is_by_hand(HUB_STRING)?)
    }

    /// The connection string of the service: flag, `--service` or `--server`, environment, data folder.
    pub async fn service_string(&self) -> Result<ConnectionString, Failure> {
        self.string(
            SERVICE_STRING,
            "serviceConnectionString",
            ServerFile::service,
        )
        .await
    }

    /// The connection string of the hub: flag, `--service` or `--server`, environment, data folder.
    pub async fn hub_string(&self) -> Result<ConnectionString, Failure> {
        self.string(HUB_STRING, "hubConnectionString", ServerFile::hub)
            .await
    }

    async fn string(
        &self,
        variable: &str,
        member: &str,
        of_file: impl Fn(&ServerFile) -> Result<Option<ConnectionString>, Failure>,
    ) -> Result<ConnectionString, Failure> {
        if let Some(given) = self.given(variable)? {
            return Ok(given);
        }
        if self.is_looked_up() {
            return self.looked_up(member).await;
        }
        let Some(file) = self.server_file()? else {
            return Err(self.nowhere(variable));
        };
        match of_file(&file)? {
            Some(string) => Ok(string),
            None => self.looked_up(member).await,
        }
    }

    /// Opens the control plane and Landfall's own routes with the control token.
    pub fn control(&self) -> Result<Control, Failure> {
        let file = self.server_file()?;
        let token = self.control_token.as_deref().map(secret).transpose()?;
        let given = self.given(SERVICE_STRING)?;
        let of_no_service = || Resource {
            subscription: SUBSCRIPTION.into(),
            resource_group: RESOURCE_GROUP.into(),
            service: String::new(),
        };
        let (endpoint, token, mut resource) = match (&self.server, given, token, file) {
            (Some(server), _, Some(token), _) => (server_endpoint(server)?, token, of_no_service()),
            // The token of the data folder's server is for that server alone.
            (Some(_), _, None, _) => {
                return Err(Failure::usage(
                    "--server is given without the server's control token",
                    "pass --control-token @FILE; the server keeps the token in control.token of its data folder",
                ));
            }
            (None, Some(given), Some(token), None) => (endpoint_of(&given), token, of_no_service()),
            (None, _, token, Some(file)) => {
                let plane = file.control_plane;
                let endpoint = plane.endpoint()?;
                let token = token.map_or_else(|| plane.token(), Ok)?;
                let resource = Resource {
                    subscription: plane.subscription,
                    resource_group: plane.resource_group,
                    service: plane.name,
                };
                (endpoint, token, resource)
            }
            (None, _, _, None) => {
                return Err(Failure::usage(
                    format!(
                        "no control plane to call: no server runs on the data folder {}, and no --server with --control-token is given",
                        self.data.display()
                    ),
                    "start `landfall dev`, name the folder of a running server with --data, or pass --server, --control-token and --service",
                ));
            }
        };
        if let Some(service) = &self.service {
            resource.service.clone_from(service);
        }
        let port = endpoint.port;
        Ok(Control {
            session: Session {
                client: self.client(endpoint, self.server.is_some())?,
                authorization: Authorization::bearer(&token),
            },
            resource,
            port,
        })
    }

    /// Whether the connection string is asked of the server, with the control token.
    fn is_looked_up(&self) -> bool {
        self.service.is_some() || self.server.is_some()
    }

    /// The string given by flag or, unless the server is asked for one, by environment.
    fn given(&self, variable: &str) -> Result<Option<ConnectionString>, Failure> {
        let from_environment = || {
            std::env::var(variable)
                .ok()
                .filter(|text| !text.is_empty() && !self.is_looked_up())
        };
        self.login
            .clone()
            .or_else(from_environment)
            .map(|text| connection_string(&text))
            .transpose()
    }

    /// Whether the caller said where the service is, which may be another place than the data folder's server.
    pub fn is_service_by_hand(&self) -> Result<bool, Failure> {
        self.is_by_hand(SERVICE_STRING)
    }

    fn is_by_hand(&self, variable: &str) -> Result<bool, Failure> {
        Ok(self.server.is_some() || self.given(variable)?.is_some())
    }

    async fn looked_up(&self, member: &str) -> Result<ConnectionString, Failure> {
        let Control {
            mut session,
            resource,
            port,
        } = self.control()?;
        let name = match resource.service {
            name if name.is_empty() => only_service(&mut session).await?,
            name => name,
        };
        let request = own::service(&session.authorization, &name, true);
        let service = session.call(request).await?;
        let text = service
            .get(member)
            .and_then(Json::as_str)
            .ok_or_else(|| ReplyError::Unreadable(format!("no {member}")))?;
        Ok(connection_string(text)?.completed(port))
    }

    fn session(&self, string: &ConnectionString, by_hand: bool) -> Result<Session, Failure> {
        Ok(Session {
            client: self.client(endpoint_of(string), by_hand)?,
            authorization: string.authorization(SystemClock.now().plus(TOKEN_LIFE)),
        })
    }

    /// A caller of the service API that waits when it is asked to, and outlives broken connections.
    pub async fn service_caller(&self) -> Result<Caller, Failure> {
        let string = self.service_string().await?;
        let by_hand = self.is_by_hand(SERVICE_STRING)?;
        let (endpoint, tls) = self.road(endpoint_of(&string), by_hand)?;
        Ok(Caller::new(endpoint, string, tls))
    }

    /// The server that is named by hand, when one is.
    pub fn named_server(&self) -> Result<Option<Endpoint>, Failure> {
        self.server.as_deref().map(server_endpoint).transpose()
    }

    /// How the service that `string` names is reached by a caller without its credential: a device.
    pub fn road_to(&self, string: &ConnectionString) -> Result<Road, Failure> {
        let by_hand = self.is_by_hand(SERVICE_STRING)?;
        let (endpoint, tls) = self.road(endpoint_of(string), by_hand)?;
        Ok(Road { endpoint, tls })
    }

    fn client(&self, endpoint: Endpoint, by_hand: bool) -> Result<Client, Failure> {
        let (endpoint, tls) = self.road(endpoint, by_hand)?;
        Ok(Client::new(endpoint, tls))
    }

    /// How an endpoint is reached and whom to trust there. `by_hand` says that the caller chose it.
    fn road(
        &self,
        endpoint: Endpoint,
        by_hand: bool,
    ) -> Result<(Endpoint, Arc<ClientConfig>), Failure> {
        let (endpoint, trust) = self.place(endpoint, by_hand)?;
        Ok((endpoint, settings(&trust, None)?))
    }

    /// The same before any settings are made, for who shows a certificate of its own.
    pub fn place(&self, endpoint: Endpoint, by_hand: bool) -> Result<(Endpoint, Trust), Failure> {
        let file = self.server_file()?;
        let trust = match (&self.ca, &file) {
            (Some(file), _) => Trust::File(file.clone()),
            // What is given by hand may lead elsewhere; then that server's authority alone is not enough.
            (None, Some(file)) if by_hand => match &file.ca_file {
                Some(ca) => Trust::SystemAnd(ca.clone()),
                None => Trust::System,
            },
            (None, Some(file)) => file.trust(),
            (None, None) => Trust::System,
        };
        let endpoint = match file {
            Some(file) => file.located(endpoint, by_hand),
            None => endpoint,
        };
        Ok((endpoint, trust))
    }

    fn nowhere(&self, variable: &str) -> Failure {
        Failure::usage(
            format!(
                "no connection string: --login and {variable} are not given, and no server runs on the data folder {}",
                self.data.display()
            ),
            "start `landfall dev`, or name the folder of a running server with --data, or pass --login",
        )
    }
}

/// Reads a connection string given on the command line: the text itself, or `@FILE` that holds it.
pub fn connection_string(text: &str) -> Result<ConnectionString, Failure> {
    let text = secret(text)?;
    ConnectionString::parse(&text).map_err(|e| {
        Failure::usage(
            e.to_string(),
            "write it as HostName=…;SharedAccessKeyName=…;SharedAccessKey=…, in quotes for the shell",
        )
    })
}

fn endpoint_of(string: &ConnectionString) -> Endpoint {
    Endpoint::new(string.host(), string.port().unwrap_or(443))
}

/// The service of a server that has one only.
async fn only_service(session: &mut Session) -> Result<String, Failure> {
    let request = own::services(&session.authorization, false);
    let services = session.call(request).await?;
    let services = services.get("value").and_then(Json::as_array);
    let names: Vec<_> = services
        .into_iter()
        .flatten()
        .filter_map(|service| service.get("name").and_then(Json::as_str))
        .collect();
    match names.as_slice() {
        [only] => Ok((*only).to_owned()),
        [] => Err(Failure::usage(
            "the server has no provisioning service yet",
            "make one: `landfall service create NAME --host … --hub-host …`",
        )),
        several => Err(Failure::usage(
            format!(
                "the server has {} services: {}",
                several.len(),
                several.join(", ")
            ),
            "name one with --service",
        )),
    }
}

fn server_endpoint(text: &str) -> Result<Endpoint, Failure> {
    let (host, port) = named_host(text, "--server")?;
    Ok(Endpoint::new(&host, port.unwrap_or(443)))
}

/// Reads HOST[:PORT], given by `flag`.
pub fn named_host(text: &str, flag: &str) -> Result<(String, Option<u16>), Failure> {
    host_and_port(text).map_err(|error| {
        Failure::usage(
            format!("{flag} '{text}': {error}"),
            "give a host name, and a port after ':' when it is not 443",
        )
    })
}

/// A secret given on the command line: the text itself, or `@FILE` that holds it.
pub fn secret(text: &str) -> Result<String, Failure> {
    let Some(path) = text.strip_prefix('@') else {
        return Ok(text.to_owned());
    };
    std::fs::read_to_string(path)
        .map(|text| text.trim().to_owned())
        .map_err(|e| {
            Failure::usage(
                format!("cannot read {path}: {e}"),
                "name a file that holds the text, after '@'",
            )
        })
}

#[cfg(test)]
mod tests;
