//! `landfall device`: a simulated device. It registers as a device does, connects to the hub that it is
//! assigned to, sends what it reads, and prints what it is told.
//!
//! What it proves itself by stands in `credential`, where it calls in `road`, its life on the hub in `life`,
//! what it reads in `input`, what it prints in `told`.

mod credential;
mod input;
mod life;
mod road;
mod told;

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use landfall_core::id::RegistrationId;
use landfall_wire::client::registering::{Assigned, Registering};
use landfall_wire::mqtt::client::Introduction;
use landfall_wire::mqtt::provisioning;
use serde_json::Value as Json;

use self::credential::Credential;
use self::life::{Behaviour, Life};
use self::road::Roads;
use self::told::Told;
use super::connect::Connect;
use super::outcome::{Exit, Failure};
use super::{VERSION, record};
use crate::client::mqtt::Carrier;
use crate::client::registration::{self, RegistrationError};
use crate::client::{Client, Endpoint};
use crate::signals::Stop;

/// The version that it asks the device API for.
const API_VERSION: &str = "2021-06-01";

/// A simulated device.
#[derive(Args)]
pub struct DeviceCommand {
    /// Where to call.
    #[command(flatten)]
    pub connect: Connect,
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// What to do.
#[derive(Subcommand)]
pub enum Action {
    /// Be a device: register, connect to the hub, send each line of standard input as a message, print twin,
    /// commands and methods
    #[command(
        after_help = "Example:\n  landfall device run dev1\n  echo '{\"t\": 21.5}' | landfall device run dev1 --protocol mqtt-ws\n\nIt ends when its input ends and all of it is acknowledged (--stay: at Ctrl-C)."
    )]
    Run(Box<Run>),
}

/// Options of `run`.
#[derive(Args)]
pub struct Run {
    /// Registration id
    #[arg(value_name = "ID")]
    id: String,
    /// How it registers; with https it goes on over mqtt
    #[arg(long, value_enum, default_value_t)]
    protocol: Protocol,
    /// Its key, base64, or @FILE; without a key and a certificate, that of its enrollment is asked of the
    /// server
    #[arg(long, value_name = "KEY", conflicts_with_all = ["group_key", "certificate"])]
    key: Option<String>,
    /// The key of its symmetric key group, or @FILE, of which its own is derived
    #[arg(long, value_name = "KEY", conflicts_with = "certificate")]
    group_key: Option<String>,
    /// PEM file of its certificate, with the chain behind it
    #[arg(
        long,
        visible_alias = "certificate-path",
        value_name = "FILE",
        requires = "certificate_key"
    )]
    certificate: Option<PathBuf>,
    /// PEM file of the certificate's key
    #[arg(long, value_name = "FILE", requires = "certificate")]
    certificate_key: Option<PathBuf>,
    /// Id scope; else that of the service of --data or --server
    #[arg(long, value_name = "SCOPE")]
    id_scope: Option<String>,
    /// Host of the provisioning service; else that of the service of --data or --server. A port given here is
    /// that of all protocols
    #[arg(long, value_name = "HOST[:PORT]", requires = "id_scope")]
    host: Option<String>,
    /// What it tells the service when it registers: JSON, or @FILE
    #[arg(long, value_name = "JSON")]
    payload: Option<String>,
    /// Reported properties to set when it has connected: JSON, or @FILE
    #[arg(long, value_name = "JSON")]
    report: Option<String>,
    /// Report desired properties back when they change
    #[arg(long)]
    echo_desired: bool,
    /// The status that it answers methods with
    #[arg(
        long,
        value_name = "N",
        default_value_t = 200,
        allow_negative_numbers = true
    )]
    method_status: i32,
    /// What it answers methods with: JSON, or @FILE; else what they were called with
    #[arg(long, value_name = "JSON")]
    method_payload: Option<String>,
    /// Stay when the input has ended, until Ctrl-C
    #[arg(long)]
    stay: bool,
}

/// How a device registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Protocol {
    /// HTTPS, port 443
    Https,
    /// MQTT over TLS, port 8883
    #[default]
    Mqtt,
    /// MQTT in a WebSocket, port 443
    MqttWs,
}

impl Protocol {
    /// What carries MQTT, to the service unless that is asked over HTTPS, and to the hub.
    fn carrier(self) -> Carrier {
        match self {
            Protocol::Https | Protocol::Mqtt => Carrier::Tls,
            Protocol::MqttWs => Carrier::WebSocket,
        }
    }
}

impl DeviceCommand {
    /// Does what was asked.
    pub async fn run(self) -> Result<(), Failure> {
        let Action::Run(options) = self.action;
        options.run(&self.connect).await
    }
}

impl Run {
    async fn run(&self, connect: &Connect) -> Result<(), Failure> {
        let id = RegistrationId::parse(&self.id).map_err(|error| {
            Failure::usage(
                format!("'{}': {error}", self.id),
                "name the device as its enrollment names it, for instance dev-1",
            )
        })?;
        let behaviour = self.behaviour()?;
        let payload = self.payload.as_deref();
        let payload = payload.map(|text| record::value(text, "--payload"));
        let roads = Roads::of(connect, self.id_scope.as_deref(), self.host.as_deref()).await?;
        let device = Device {
            credential: Credential::of(self, connect, &id).await?,
            id,
            protocol: self.protocol,
            payload: payload.transpose()?,
            roads,
            told: Told::new(connect.json),
        };
        let mut stop = Stop::listen_at_a_terminal()?;
        let assigned = tokio::select! {
            assigned = device.register() => assigned?,
            _ = stop.wait() => return Ok(()),
        };
        let mut life = Life::new(&device, behaviour, &assigned)?;
        life.live(&mut stop).await
    }

    fn behaviour(&self) -> Result<Behaviour, Failure> {
        let report = self.report.as_deref();
        let report = report.map(|text| record::document(text, "--report"));
        let answer = self.method_payload.as_deref();
        let answer = answer.map(|text| record::value(text, "--method-payload"));
        Ok(Behaviour {
            report: report.transpose()?,
            echo_desired: self.echo_desired,
            method_status: self.method_status.into(),
            method_payload: answer.transpose()?,
            stay: self.stay,
        })
    }
}

/// A device that can register.
struct Device {
    id: RegistrationId,
    credential: Credential,
    protocol: Protocol,
    payload: Option<Json>,
    roads: Roads,
    told: Told,
}

impl Device {
    /// Registers, and says where it was put.
    async fn register(&self) -> Result<Assigned, Failure> {
        let (scope, id) = (self.roads.id_scope.as_str(), self.id.as_str());
        let token = self.credential.registration_token(scope, id);
        let registering =
            Registering::new(scope, id, token.clone(), API_VERSION, self.payload.clone());
        let carrier = match self.protocol {
            Protocol::Https => None,
            other => Some(other.carrier()),
        };
        let identity = self.credential.certificate()?;
        let road = self.roads.to_service(carrier, identity)?;
        let registered = match carrier {
            None => {
                let mut client = Client::new(road.endpoint.clone(), road.tls);
                registration::over_https(&mut client, registering).await
            }
            Some(carrier) => {
                let introduction = Introduction {
                    client_id: id.to_owned(),
                    user_name: format!(
                        "{}&ClientVersion=landfall%2F{VERSION}",
                        provisioning::device::user_name(scope, id, API_VERSION)
                    ),
                    password: token,
                    clean_session: true,
                    // Its patience between two polls is shorter than any server's.
                    keep_alive: 0,
                };
                let (endpoint, tls) = (&road.endpoint, &road.tls);
                registration::over_mqtt(endpoint, tls, carrier, introduction, registering).await
            }
        };
        let assigned = registered.map_err(|error| unregistered(error, &road.endpoint))?;
        self.told.registered(&assigned);
        Ok(assigned)
    }
}

/// Why a device was not assigned, and what to do about it.
fn unregistered(error: RegistrationError, endpoint: &Endpoint) -> Failure {
    let what = error.to_string();
    match error {
        RegistrationError::Client(error) => error.into(),
        RegistrationError::Ended(_) => Failure::new(
            Exit::CannotConnect,
            what,
            "see the server's log, then try again",
        ),
        RegistrationError::Refused(_) => Failure::new(
            Exit::NotAuthorized,
            what,
            "see the server's log: it says which part of the user name it does not read",
        ),
        RegistrationError::NoService(_) => Failure::new(
            Exit::Refused,
            what,
            format!("check that a provisioning service listens on {endpoint}"),
        ),
        RegistrationError::Failed(failed) => {
            let code = failed.code.as_deref().unwrap_or_default();
            let exit = match code.get(..3) {
                Some("401" | "403") => Exit::NotAuthorized,
                Some("404") => Exit::NotFound,
                _ => Exit::Refused,
            };
            let fix = match &failed.tracking_id {
                Some(id) => {
                    format!("`landfall explain {id}` tells which check failed, and what to do")
                }
                None => "`landfall explain` with the registration id tells what was checked".into(),
            };
            Failure::new(exit, what, fix)
        }
    }
}
