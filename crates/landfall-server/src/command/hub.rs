//! `landfall hub`: devices and twins of a hub, through the hub API.

use std::time::Duration;

use clap::{Args, Subcommand};
use landfall_wire::client::hub;
use serde_json::{Value as Json, json};

use super::connect::{Connect, Session};
use super::monitor::Monitor;
use super::outcome::Failure;
use super::{print, record};

const LIST: [print::Column; 6] = [
    ("DEVICE ID", "/deviceId"),
    ("STATUS", "/status"),
    ("CONNECTION", "/connectionState"),
    ("AUTHENTICATION", "/authenticationType"),
    ("IOT EDGE", "/capabilities/iotEdge"),
    ("TAGS", "/tags"),
];

const TWINS: [print::Column; 5] = [
    ("DEVICE ID", "/deviceId"),
    ("VERSION", "/version"),
    ("TAGS", "/tags"),
    ("DESIRED", "/properties/desired"),
    ("REPORTED", "/properties/reported"),
];

const SHEET: [print::Column; 13] = [
    ("Device id", "/deviceId"),
    ("Status", "/status"),
    ("Reason", "/statusReason"),
    ("Connection", "/connectionState"),
    ("Last activity", "/lastActivityTime"),
    ("Authentication", "/authentication/type"),
    ("Primary key", "/authentication/symmetricKey/primaryKey"),
    ("Secondary key", "/authentication/symmetricKey/secondaryKey"),
    (
        "Primary thumbprint",
        "/authentication/x509Thumbprint/primaryThumbprint",
    ),
    (
        "Secondary thumbprint",
        "/authentication/x509Thumbprint/secondaryThumbprint",
    ),
    ("IoT Edge", "/capabilities/iotEdge"),
    ("Generation", "/generationId"),
    ("Etag", "/etag"),
];

/// Devices, twins and methods of a hub.
#[derive(Args)]
pub struct HubCommand {
    /// Where to call.
    #[command(flatten)]
    pub connect: Connect,
    /// What to look at.
    #[command(subcommand)]
    pub subject: Subject,
}

/// What to look at.
#[derive(Subcommand)]
pub enum Subject {
    /// Device identities
    #[command(subcommand, after_help = "Example:\n  landfall hub device list")]
    Device(DeviceAction),
    /// Device twins
    #[command(subcommand, after_help = "Example:\n  landfall hub twin show dev1")]
    Twin(TwinAction),
    /// Direct methods of connected devices
    #[command(
        subcommand,
        after_help = "Example:\n  landfall hub method invoke dev1 --method-name reboot"
    )]
    Method(MethodAction),
    /// Messages from the cloud to devices
    #[command(
        subcommand,
        after_help = "Example:\n  landfall hub c2d send dev1 --body 'turn on'"
    )]
    C2d(MessageAction),
    /// Follow what devices send and what becomes of them, as it comes
    #[command(after_help = "Example:\n  landfall hub monitor --device-id dev1")]
    Monitor(Monitor),
}

/// What to do with device identities.
#[derive(Subcommand)]
pub enum DeviceAction {
    /// List the devices
    #[command(
        after_help = "Example:\n  landfall hub device list --query \"SELECT * FROM devices WHERE tags.environment = 'test'\""
    )]
    List(List),
    /// Show a device
    #[command(after_help = "Example:\n  landfall hub device show dev1 --keys")]
    Show(Show),
}

/// What to do with twins.
#[derive(Subcommand)]
pub enum TwinAction {
    /// List the twins: versions, tags and desired properties
    #[command(
        after_help = "Example:\n  landfall hub twin list --query \"SELECT * FROM devices WHERE tags.environment = 'test'\""
    )]
    List(List),
    /// Show the twin of a device, as the JSON document that it is
    #[command(after_help = "Example:\n  landfall hub twin show dev1")]
    Show(DeviceId),
    /// Change the twin of a device: what is given is merged into it, null deletes
    #[command(
        after_help = "Example:\n  landfall hub twin update dev1 --desired '{\"interval\": 5}' --tags '{\"site\": null}'"
    )]
    Update(UpdateTwin),
}

/// What to do with methods.
#[derive(Subcommand)]
pub enum MethodAction {
    /// Call a method of a device or module, and print its status and answer
    #[command(
        after_help = "Example:\n  landfall hub method invoke dev1 --method-name reboot --payload '{\"in\": 3}'"
    )]
    Invoke(Invoke),
}

/// What to do with messages from the cloud.
#[derive(Subcommand)]
pub enum MessageAction {
    /// Queue a message for a device, which gets it when it listens
    #[command(
        after_help = "Example:\n  landfall hub c2d send dev1 --body '{\"on\": true}' --props 'level=3;source=desk'"
    )]
    Send(SendMessage),
    /// Empty the queue of a device
    #[command(after_help = "Example:\n  landfall hub c2d purge dev1")]
    Purge(DeviceId),
}

/// Options of `c2d send`.
#[derive(Args)]
pub struct SendMessage {
    #[command(flatten)]
    id: DeviceId,
    /// The message: a text, or @FILE
    #[arg(long, value_name = "TEXT")]
    body: String,
    /// Its properties
    #[arg(long, visible_alias = "props", value_name = "NAME=VALUE;…")]
    properties: Option<String>,
    /// Its name
    #[arg(long, visible_alias = "mid", value_name = "ID")]
    message_id: Option<String>,
    /// What it belongs to
    #[arg(long, visible_alias = "cid", value_name = "ID")]
    correlation_id: Option<String>,
    /// What it is, as `application/json`
    #[arg(long, visible_alias = "ct", value_name = "TYPE")]
    content_type: Option<String>,
    /// How long it may wait, in seconds
    #[arg(long, value_name = "N", default_value_t = 3600, value_parser = clap::value_parser!(u64).range(1..=172_800))]
    expiry: u64,
}

impl SendMessage {
    fn message(&self) -> Result<Json, Failure> {
        let mut message = json!({
            "body": record::text(&self.body)?,
            "expirySeconds": self.expiry,
        });
        for (name, value) in [
            ("messageId", &self.message_id),
            ("correlationId", &self.correlation_id),
            ("contentType", &self.content_type),
        ] {
            if let Some(value) = value {
                message[name] = json!(value);
            }
        }
        for pair in self.properties.iter().flat_map(|all| all.split(';')) {
            let Some((name, value)) = pair.split_once('=') else {
                return Err(Failure::usage(
                    format!("--properties: '{pair}' is not NAME=VALUE"),
                    "write --properties 'level=3;source=desk'",
                ));
            };
            message["properties"][name] = json!(value);
        }
        Ok(message)
    }
}

/// Options of `twin update`.
#[derive(Args)]
pub struct UpdateTwin {
    #[command(flatten)]
    id: DeviceId,
    /// Changes of the desired properties: JSON, or @FILE
    #[arg(long, value_name = "JSON", required_unless_present = "tags")]
    desired: Option<String>,
    /// Changes of the tags: JSON, or @FILE
    #[arg(long, value_name = "JSON")]
    tags: Option<String>,
}

/// Options of `method invoke`.
#[derive(Args)]
pub struct Invoke {
    #[command(flatten)]
    id: DeviceId,
    /// The module that carries it out; the device itself when absent
    #[arg(long, short = 'm', value_name = "ID")]
    module_id: Option<String>,
    /// Name of the method
    #[arg(long, visible_alias = "mn", value_name = "NAME")]
    method_name: String,
    /// What it is called with: JSON, or @FILE
    #[arg(
        long,
        visible_aliases = ["method-payload", "mp"],
        value_name = "JSON",
        default_value = "null"
    )]
    payload: String,
    /// How long the answer may take, in seconds
    #[arg(
        long,
        visible_alias = "to",
        value_name = "N",
        default_value_t = 30,
        value_parser = clap::value_parser!(u64).range(5..=300)
    )]
    timeout: u64,
    /// How long to wait for the device to connect, in seconds
    #[arg(
        long,
        value_name = "N",
        default_value_t = 0,
        value_parser = clap::value_parser!(u64).range(0..=300)
    )]
    connect_timeout: u64,
}

/// The device, in place or by flag.
#[derive(Clone, Args)]
#[group(required = true, multiple = false)]
pub struct DeviceId {
    /// Device id
    #[arg(value_name = "ID")]
    place: Option<String>,
    /// The same, as a flag
    #[arg(long = "device-id", short = 'd', value_name = "ID")]
    flag: Option<String>,
}

impl DeviceId {
    fn text(&self) -> &str {
        self.place
            .as_deref()
            .or(self.flag.as_deref())
            .unwrap_or_default()
    }
}

/// Options of `device list` and `twin list`.
#[derive(Args)]
pub struct List {
    /// At most so many
    #[arg(long, value_name = "N")]
    top: Option<usize>,
    /// Only those that this query picks
    #[arg(long, value_name = "SQL", default_value = "SELECT * FROM devices")]
    query: String,
}

/// Options of `device show`.
#[derive(Args)]
pub struct Show {
    #[command(flatten)]
    id: DeviceId,
    /// Show its keys
    #[arg(long, visible_alias = "show-keys")]
    keys: bool,
}

impl HubCommand {
    /// Does what was asked.
    pub async fn run(self) -> Result<(), Failure> {
        let connect = &self.connect;
        let mut session = connect.hub().await?;
        match self.subject {
            Subject::Device(DeviceAction::List(options)) => {
                let list = picked(&mut session, &options).await?;
                print::result(connect.json, &list, |list| {
                    let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
                    print::table(&LIST, list, "No devices.")
                });
            }
            Subject::Device(DeviceAction::Show(options)) => {
                let request = hub::device(&session.authorization, options.id.text());
                let mut device = session.call(request).await?;
                if !options.keys {
                    print::without_keys(&mut device);
                }
                print::result(connect.json, &device, |device| print::sheet(&SHEET, device));
            }
            Subject::Twin(TwinAction::List(options)) => {
                let mut list = picked(&mut session, &options).await?;
                if !connect.json {
                    let twins = list.as_array_mut().into_iter().flatten();
                    twins.for_each(without_marks);
                }
                print::result(connect.json, &list, |list| {
                    let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
                    print::table(&TWINS, list, "No twins.")
                });
            }
            Subject::Twin(TwinAction::Update(options)) => {
                let mut change = json!({});
                if let Some(tags) = &options.tags {
                    change["tags"] = record::document(tags, "--tags")?;
                }
                if let Some(desired) = &options.desired {
                    change["properties"] = json!({
                        "desired": record::document(desired, "--desired")?,
                    });
                }
                let who = &session.authorization;
                let request = hub::change_twin(who, options.id.text(), &change);
                let twin = session.call(request).await?;
                print::result(true, &twin, |_| String::new());
            }
            Subject::Method(MethodAction::Invoke(options)) => {
                let call = json!({
                    "methodName": options.method_name,
                    "payload": record::value(&options.payload, "--payload")?,
                    "responseTimeoutInSeconds": options.timeout,
                    "connectTimeoutInSeconds": options.connect_timeout,
                });
                let (id, module) = (options.id.text(), options.module_id.as_deref());
                let request = hub::invoke_method(&session.authorization, id, module, &call);
                let wait = Duration::from_secs(options.timeout + options.connect_timeout);
                let answer = session.patient(wait).call(request).await?;
                print::result(true, &answer, |_| String::new());
            }
            Subject::C2d(MessageAction::Send(options)) => {
                let message = options.message()?;
                let who = &session.authorization;
                let request = hub::send_message(who, options.id.text(), &message);
                let queued = session.call(request).await?;
                print::result(true, &queued, |_| String::new());
            }
            Subject::C2d(MessageAction::Purge(id)) => {
                let request = hub::purge_messages(&session.authorization, id.text());
                let purged = session.call(request).await?;
                print::result(true, &purged, |_| String::new());
            }
            Subject::Monitor(options) => {
                let host = connect.hub_string().await?.host().to_owned();
                options.run(connect, &session, &host).await?;
            }
            Subject::Twin(TwinAction::Show(id)) => {
                let request = hub::twin(&session.authorization, id.text());
                let twin = session.call(request).await?;
                print::result(true, &twin, |_| String::new());
            }
        }
        Ok(())
    }
}

/// The devices with their twins that the options pick.
async fn picked(session: &mut Session, options: &List) -> Result<Json, Failure> {
    let list = session
        .all(options.top, |who, pages| {
            hub::query(who, &options.query, pages)
        })
        .await?;
    Ok(Json::Array(list))
}

/// Takes `$metadata` and `$version` out of a twin: a table is for what people wrote there.
fn without_marks(twin: &mut Json) {
    for section in ["desired", "reported"] {
        if let Some(section) = twin["properties"][section].as_object_mut() {
            section.retain(|name, _| !name.starts_with('$'));
        }
    }
}
