//! `landfall enrollment`: individual enrollments, through the service API; and all enrollments of a
//! service with its groups, out of it (`export`) and into another (`import`).

mod export;
mod import;

use clap::{Args, Subcommand, ValueEnum};
use landfall_core::document::JsonObject;
use landfall_wire::client::service::attestation_mechanism;
use landfall_wire::route::Collection;
use serde_json::{Value as Json, json};

use super::connect::{Connect, Session, secret};
use super::outcome::Failure;
use super::print;
use super::record::kind::Kind;
use super::record::{self, RecordFields, Removed, ReprovisionPolicy};

const KIND: Kind = Kind {
    collection: Collection::Individuals,
    noun: "enrollment",
    columns: &LIST,
    sheet: &SHEET,
};

const LIST: [print::Column; 6] = [
    ("ENROLLMENT ID", "/registrationId"),
    ("ATTESTATION", "/attestation/type"),
    ("STATUS", "/provisioningStatus"),
    ("DEVICE ID", "/registrationState/deviceId"),
    ("REGISTRATION", "/registrationState/status"),
    ("ASSIGNED HUB", "/registrationState/assignedHub"),
];

const SHEET: [print::Column; 31] = [
    ("Enrollment id", "/registrationId"),
    ("Device id", "/deviceId"),
    ("Provisioning status", "/provisioningStatus"),
    ("Attestation", "/attestation/type"),
    ("Primary key", "/attestation/symmetricKey/primaryKey"),
    ("Secondary key", "/attestation/symmetricKey/secondaryKey"),
    ("Endorsement key", "/attestation/tpm/endorsementKey"),
    ("Storage root key", "/attestation/tpm/storageRootKey"),
    (
        "Primary subject",
        "/attestation/x509/clientCertificates/primary/info/subjectName",
    ),
    (
        "Primary thumbprint",
        "/attestation/x509/clientCertificates/primary/info/sha256Thumbprint",
    ),
    (
        "Primary valid until",
        "/attestation/x509/clientCertificates/primary/info/notAfterUtc",
    ),
    (
        "Secondary subject",
        "/attestation/x509/clientCertificates/secondary/info/subjectName",
    ),
    (
        "Secondary thumbprint",
        "/attestation/x509/clientCertificates/secondary/info/sha256Thumbprint",
    ),
    (
        "Secondary valid until",
        "/attestation/x509/clientCertificates/secondary/info/notAfterUtc",
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
    ("Device information", "/optionalDeviceInformation"),
    ("Registration", "/registrationState/status"),
    ("Assigned hub", "/registrationState/assignedHub"),
    ("Assigned device id", "/registrationState/deviceId"),
    ("Created", "/createdDateTimeUtc"),
    ("Last updated", "/lastUpdatedDateTimeUtc"),
    ("Etag", "/etag"),
];

/// Individual enrollments: one device each.
#[derive(Args)]
pub struct EnrollmentCommand {
    /// Where to call.
    #[command(flatten)]
    pub connect: Connect,
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// What to do with individual enrollments.
#[derive(Subcommand)]
pub enum Action {
    /// Create an enrollment
    #[command(
        after_help = "Example:\n  landfall enrollment create dev1 --attestation-type symmetricKey --initial-twin-tags '{\"environment\":\"test\"}' --keys"
    )]
    Create(Box<Create>),
    /// Show an enrollment
    #[command(after_help = "Example:\n  landfall enrollment show dev1 --keys")]
    Show(Show),
    /// List enrollments
    #[command(
        after_help = "Example:\n  landfall enrollment list --query \"SELECT * WHERE provisioningStatus = 'disabled'\""
    )]
    List(List),
    /// Change the fields given of an enrollment and leave the others as they are
    #[command(
        after_help = "Example:\n  landfall enrollment update dev1 --provisioning-status disabled"
    )]
    Update(Box<Update>),
    /// Delete an enrollment and its registration record
    #[command(after_help = "Example:\n  landfall enrollment delete dev1")]
    Delete(Delete),
    /// Write every enrollment and group of a service into a file
    #[command(
        after_help = "Example:\n  landfall enrollment export cloud.jsonl --keys --login 'HostName=…;SharedAccessKeyName=…;SharedAccessKey=…'"
    )]
    Export(export::Export),
    /// Bring enrollments and groups of an export, or of another service, into this one
    #[command(
        after_help = "Example:\n  landfall enrollment import cloud.jsonl --map-hub old-hub.example=new-hub.example"
    )]
    Import(Box<import::Import>),
}

/// The id, in place or by flag.
#[derive(Clone, Args)]
#[group(required = true, multiple = false)]
pub struct Id {
    /// Enrollment id, which is the device's registration id
    #[arg(value_name = "ID")]
    place: Option<String>,
    /// The same, as a flag
    #[arg(long = "enrollment-id", visible_alias = "eid", value_name = "ID")]
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

/// How a device proves itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AttestationType {
    /// A key of its own
    #[value(name = "symmetricKey")]
    SymmetricKey,
    /// A certificate
    #[value(name = "x509")]
    X509,
    /// A TPM
    #[value(name = "tpm")]
    Tpm,
}

/// The fields that only individual enrollments have.
#[derive(Clone, Default, Args)]
#[command(next_help_heading = "Record")]
pub struct OwnFields {
    /// How the device proves itself; told from the other flags when absent
    #[arg(long, visible_alias = "at", value_name = "TYPE", ignore_case = true)]
    attestation_type: Option<AttestationType>,
    /// Endorsement key of the device's TPM, base64, or @FILE
    #[arg(long, visible_alias = "ek", value_name = "KEY")]
    endorsement_key: Option<String>,
    /// Storage root key of the device's TPM, base64, or @FILE
    #[arg(long, visible_alias = "srk", value_name = "KEY")]
    storage_root_key: Option<String>,
    /// Device id on the hub; the enrollment id when absent
    #[arg(long, value_name = "ID")]
    device_id: Option<String>,
    /// Free notes about the device: JSON, @FILE, or '' for none
    #[arg(long, visible_alias = "info", value_name = "JSON")]
    device_information: Option<String>,
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
    own: OwnFields,
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
    own: OwnFields,
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
    #[arg(long, value_name = "SQL", default_value = "SELECT * FROM enrollments")]
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

impl OwnFields {
    fn apply(&self, record: &mut JsonObject) -> Result<(), Failure> {
        if let Some(id) = &self.device_id {
            record::set_text(record, "deviceId", id);
        }
        if let Some(text) = &self.device_information {
            let notes = record::document(text, "--device-information")?;
            record.insert("optionalDeviceInformation".into(), notes);
        }
        Ok(())
    }

    fn kind(&self, fields: &RecordFields) -> AttestationType {
        self.attestation_type.unwrap_or({
            if self.endorsement_key.is_some() {
                AttestationType::Tpm
            } else if fields.names_certificates() {
                AttestationType::X509
            } else {
                AttestationType::SymmetricKey
            }
        })
    }

    fn tpm(&self, current: Option<&Json>) -> Result<Json, Failure> {
        let mut tpm = current
            .and_then(|mechanism| mechanism.get("tpm"))
            .and_then(Json::as_object)
            .cloned()
            .unwrap_or_default();
        for (name, key) in [
            ("endorsementKey", &self.endorsement_key),
            ("storageRootKey", &self.storage_root_key),
        ] {
            if let Some(key) = key {
                record::set_text(&mut tpm, name, &secret(key)?);
            }
        }
        if !tpm.contains_key("endorsementKey") {
            return Err(Failure::usage(
                "a TPM enrollment needs the endorsement key",
                "give --endorsement-key",
            ));
        }
        Ok(json!({ "type": "tpm", "tpm": tpm }))
    }
}

impl Create {
    fn record(&self) -> Result<Json, Failure> {
        let mut record = JsonObject::new();
        record.insert("registrationId".into(), json!(self.id.text()));
        let attestation = match self.own.kind(&self.fields) {
            AttestationType::SymmetricKey => self.fields.symmetric_key(None)?,
            AttestationType::X509 => {
                self.fields
                    .x509("clientCertificates", None, &Removed::default())?
            }
            AttestationType::Tpm => self.own.tpm(None)?,
        };
        record.insert("attestation".into(), attestation);
        record.insert("capabilities".into(), json!({ "iotEdge": false }));
        let policy = record::reprovision(ReprovisionPolicy::Migrate);
        record.insert("reprovisionPolicy".into(), policy);
        self.own.apply(&mut record)?;
        self.fields.apply(&mut record)?;
        Ok(Json::Object(record))
    }
}

impl Update {
    /// The stored type, when no flag asks for another.
    fn kind(&self, stored: &Json) -> AttestationType {
        let flags_speak = self.own.attestation_type.is_some()
            || self.own.endorsement_key.is_some()
            || self.fields.names_certificates();
        match stored.pointer("/attestation/type").and_then(Json::as_str) {
            Some("x509") if !flags_speak && !self.fields.names_keys() => AttestationType::X509,
            Some("tpm") if !flags_speak && !self.fields.names_keys() => AttestationType::Tpm,
            _ => self.own.kind(&self.fields),
        }
    }

    /// The stored record with the fields given. The service keeps what it did not show.
    async fn record(&self, session: &mut Session, stored: Json) -> Result<Json, Failure> {
        let id = self.id.text();
        let kind = self.kind(&stored);
        let attestation = match kind {
            AttestationType::SymmetricKey => {
                let request = attestation_mechanism(&session.authorization, KIND.collection, id);
                let current = session.call(request).await?;
                self.fields.symmetric_key(Some(&current))?
            }
            AttestationType::X509 => {
                let current = stored.get("attestation");
                self.fields
                    .x509("clientCertificates", current, &self.removed)?
            }
            AttestationType::Tpm => self.own.tpm(stored.get("attestation"))?,
        };
        let Json::Object(mut record) = stored else {
            return Err(anyhow::anyhow!("the enrollment as read is no JSON object").into());
        };
        record.insert("attestation".into(), attestation);
        self.own.apply(&mut record)?;
        self.fields.apply(&mut record)?;
        Ok(Json::Object(record))
    }
}

impl EnrollmentCommand {
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
            Action::Export(options) => options.run(connect).await,
            Action::Import(options) => options.run(connect).await,
        }
    }
}

#[cfg(test)]
mod tests;
