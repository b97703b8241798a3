//! `landfall group`: enrollment groups, through the service API.

use clap::{Args, Subcommand};
use landfall_core::document::JsonObject;
use landfall_core::secret::SymmetricKey;
use landfall_wire::client::service::attestation_mechanism;
use landfall_wire::route::Collection;
use serde_json::{Value as Json, json};

use super::connect::{Connect, Session};
use super::outcome::{Exit, Failure};
use super::record::kind::Kind;
use super::record::{self, RecordFields, Removed, ReprovisionPolicy};
use super::{key, print};

const KIND: Kind = Kind {
    collection: Collection::Groups,
    noun: "enrollment group",
    columns: &LIST,
    sheet: &SHEET,
};

const LIST: [print::Column; 6] = [
    ("GROUP ID", "/enrollmentGroupId"),
    ("ATTESTATION", "/attestation/type"),
    ("STATUS", "/provisioningStatus"),
    ("ALLOCATION", "/allocationPolicy"),
    ("IOT EDGE", "/capabilities/iotEdge"),
    ("CREATED", "/createdDateTimeUtc"),
];

const SHEET: [print::Column; 24] = [
    ("Group id", "/enrollmentGroupId"),
    ("Provisioning status", "/provisioningStatus"),
    ("Attestation", "/attestation/type"),
    ("Primary key", "/attestation/symmetricKey/primaryKey"),
    ("Secondary key", "/attestation/symmetricKey/secondaryKey"),
    (
        "Primary subject",
        "/attestation/x509/signingCertificates/primary/info/subjectName",
    ),
    (
        "Primary thumbprint",
        "/attestation/x509/signingCertificates/primary/info/sha256Thumbprint",
    ),
    (
        "Primary valid until",
        "/attestation/x509/signingCertificates/primary/info/notAfterUtc",
    ),
    (
        "Secondary subject",
        "/attestation/x509/signingCertificates/secondary/info/subjectName",
    ),
    (
        "Secondary thumbprint",
        "/attestation/x509/signingCertificates/secondary/info/sha256Thumbprint",
    ),
    (
        "Secondary valid until",
        "/attestation/x509/signingCertificates/secondary/info/notAfterUtc",
    ),
    ("Primary CA", "/attestation/x509/caReferences/primary"),
    ("Secondary CA", "/attestation/x509/caReferences/secondary"),
    ("IoT Edge", "/capabilities/iotEdge"),
    ("Allocation policy", "/allocationPolicy"),
    ("Webhook", "/customAllocationDefinition/webhookUrl"),
    ("Hubs", "/iotHubs"),
    (
        "Reprovision: new hub",
        "/reprovisionPolicy/updateHubAssignment",
    ),
    (
        "Reprovision: keep data",
        "/reprovisionPolicy/migrateDeviceData",
    ),
    ("Initial tags", "/initialTwin/tags"),
    ("Initial properties", "/initialTwin/properties/desired"),
    ("Created", "/createdDateTimeUtc"),
    ("Last updated", "/lastUpdatedDateTimeUtc"),
    ("Etag", "/etag"),
];

/// Enrollment groups: many devices each.
#[derive(Args)]
pub struct GroupCommand {
    /// Where to call.
    #[command(flatten)]
    pub connect: Connect,
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// What to do with enrollment groups.
#[derive(Subcommand)]
pub enum Action {
    /// Create a group: by a signing certificate, by uploaded CA certificates, else by symmetric keys
    #[command(
        after_help = "Example:\n  landfall group create factory-1 --root-ca-name factory-ca --edge-enabled"
    )]
    Create(Box<Create>),
    /// Show a group
    #[command(after_help = "Example:\n  landfall group show factory-1 --keys")]
    Show(Show),
    /// List groups
    #[command(after_help = "Example:\n  landfall group list --top 20")]
    List(List),
    /// Change the fields given of a group and leave the others as they are
    #[command(
        after_help = "Example:\n  landfall group update factory-1 --secondary-certificate-path new-signer.pem"
    )]
    Update(Box<Update>),
    /// Delete a group; the registration records of its devices stay
    #[command(after_help = "Example:\n  landfall group delete factory-1")]
    Delete(Delete),
    /// Print the key that one device of a symmetric key group uses
    #[command(
        after_help = "Example:\n  landfall group compute-device-key --group-id factory-1 --registration-id sn-007"
    )]
    ComputeDeviceKey(ComputeDeviceKey),
}

/// The id, in place or by flag.
#[derive(Clone, Args)]
#[group(required = true, multiple = false)]
pub struct Id {
    /// Enrollment group id
    #[arg(value_name = "ID")]
    place: Option<String>,
    /// The same, as a flag
    #[arg(long = "group-id", visible_aliases = ["gid", "enrollment-id", "eid"], value_name = "ID")]
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

/// Options of `create`.
#[derive(Args)]
pub struct Create {
    #[command(flatten)]
    id: Id,
    /// Show the keys of the result
    #[arg(long, visible_alias = "show-keys")]
    keys: bool,
    #[command(flatten)]
    fields: RecordFields,
}

/// Options of `update`.
#[derive(Args)]
pub struct Update {
    #[command(flatten)]
    id: Id,
    /// Change only this state of the record, or * for any; the state just read when absent
    #[arg(long, short = 'e', value_name = "ETAG")]
    etag: Option<String>,
    /// Show the keys of the result
    #[arg(long, visible_alias = "show-keys")]
    keys: bool,
    #[command(flatten)]
    fields: RecordFields,
    #[command(flatten)]
    removed: Removed,
}

/// Options of `show`.
#[derive(Args)]
pub struct Show {
    #[command(flatten)]
    id: Id,
    /// Show its keys
    #[arg(long, visible_alias = "show-keys")]
    keys: bool,
}

/// Options of `list`.
#[derive(Args)]
pub struct List {
    /// At most so many
    #[arg(long, value_name = "N")]
    top: Option<usize>,
    /// Only those that this query picks
    #[arg(
        long,
        value_name = "SQL",
        default_value = "SELECT * FROM enrollmentGroups"
    )]
    query: String,
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

/// Options of `compute-device-key`.
#[derive(Args)]
pub struct ComputeDeviceKey {
    /// Enrollment group whose primary key is read from the service
    #[arg(
        long,
        visible_aliases = ["gid", "enrollment-id", "eid"],
        value_name = "ID",
        required_unless_present = "key"
    )]
    group_id: Option<String>,
    /// Registration id of the device, spelt as the device spells it
    #[arg(long, visible_alias = "rid", value_name = "ID")]
    registration_id: String,
    /// The group's key, or @FILE, instead of reading it from the service
    #[arg(long, visible_alias = "symmetric-key", value_name = "KEY")]
    key: Option<String>,
}

impl Create {
    fn record(&self) -> Result<Json, Failure> {
        let mut record = JsonObject::new();
        record.insert("enrollmentGroupId".into(), json!(self.id.text()));
        let attestation = if self.fields.names_certificates() {
            self.fields
                .x509("signingCertificates", None, &Removed::default())?
        } else {
            self.fields.symmetric_key(None)?
        };
        record.insert("attestation".into(), attestation);
        record.insert("capabilities".into(), json!({ "iotEdge": false }));
        let policy = record::reprovision(ReprovisionPolicy::Migrate);
        record.insert("reprovisionPolicy".into(), policy);
        self.fields.apply(&mut record)?;
        Ok(Json::Object(record))
    }
}

impl Update {
    /// The stored record with the fields given. The service keeps what it did not show.
    async fn record(&self, session: &mut Session, stored: Json) -> Result<Json, Failure> {
        let stored_x509 =
            stored.pointer("/attestation/type").and_then(Json::as_str) == Some("x509");
        let x509 = self.fields.names_certificates() || (stored_x509 && !self.fields.names_keys());
        let attestation = if x509 {
            let current = stored.get("attestation");
            self.fields
                .x509("signingCertificates", current, &self.removed)?
        } else {
            let request =
                attestation_mechanism(&session.authorization, KIND.collection, self.id.text());
            let current = session.call(request).await?;
            self.fields.symmetric_key(Some(&current))?
        };
        let Json::Object(mut record) = stored else {
            return Err(anyhow::anyhow!("the group as read is no JSON object").into());
        };
        record.insert("attestation".into(), attestation);
        self.fields.apply(&mut record)?;
        Ok(Json::Object(record))
    }
}

impl ComputeDeviceKey {
    async fn group_key(&self, connect: &Connect) -> Result<SymmetricKey, Failure> {
        if let Some(text) = &self.key {
            return key::symmetric_key(text);
        }
        let id = self.group_id.as_deref().unwrap_or_default();
        let mut session = connect.service().await?;
        let request = attestation_mechanism(&session.authorization, KIND.collection, id);
        let mechanism = session.call(request).await?;
        let text = mechanism
            .pointer("/symmetricKey/primaryKey")
            .and_then(Json::as_str)
            .ok_or_else(|| {
                Failure::new(
                    Exit::Refused,
                    format!("group {id} does not attest by symmetric keys"),
                    "name a symmetric key group; devices of an X.509 group have no derived key",
                )
            })?;
        key::symmetric_key(text)
    }
}

impl GroupCommand {
    /// Does what was asked.
    pub async fn run(self) -> Result<(), Failure> {
        let connect = &self.connect;
        match self.action {
            Action::Create(options) => {
                let record = options.record()?;
                let id = options.id.text();
                KIND.create(connect, id, &record, options.keys).await
            }
            Action::Show(options) => KIND.show(connect, options.id.text(), options.keys).await,
            Action::List(options) => KIND.list(connect, &options.query, options.top).await,
            Action::Update(options) => {
                let mut session = connect.service().await?;
                let id = options.id.text();
                let stored = KIND.read(&mut session, id).await?;
                let etag = record::etag(options.etag.as_deref(), &stored);
                let record = options.record(&mut session, stored).await?;
                KIND.put(
                    connect,
                    &mut session,
                    id,
                    &record,
                    Some(&etag),
                    options.keys,
                )
                .await
            }
            Action::Delete(options) => {
                KIND.delete(connect, options.id.text(), options.etag.as_deref())
                    .await
            }
            Action::ComputeDeviceKey(options) => {
                let group_key = options.group_key(connect).await?;
                key::print_derived(connect.json, &group_key, &options.registration_id);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests;
