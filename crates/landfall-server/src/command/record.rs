//! The fields of an enrollment that individual enrollments and groups share, as flags, and what they
//! do to a record of the service API. `enrollment` and `group` add their own; the calls are
//! [`kind`]'s.

pub mod kind;
mod read;

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, ValueEnum};
use landfall_core::document::JsonObject;
use serde_json::{Value as Json, json};

pub use self::read::{file, input};
use super::connect::secret;
use super::outcome::Failure;

/// `enabled` or `disabled`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProvisioningStatus {
    /// Devices may register.
    Enabled,
    /// Devices are kept out.
    Disabled,
}

/// What happens to a device that registers again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReprovisionPolicy {
    /// Allocate anew and take the twin along
    #[value(name = "reprovisionandmigratedata")]
    Migrate,
    /// Allocate anew and begin with the initial twin
    #[value(name = "reprovisionandresetdata")]
    Reset,
    /// Keep the first assignment
    #[value(name = "never")]
    Never,
}

/// How a hub is picked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AllocationPolicy {
    /// Evenly, by weight
    Hashed,
    /// By lowest latency
    #[value(name = "geolatency")]
    GeoLatency,
    /// Always the one hub named
    Static,
    /// By asking a webhook
    Custom,
}

/// The fields that individual enrollments and groups share.
#[derive(Clone, Default, Args)]
#[command(next_help_heading = "Record")]
pub struct RecordFields {
    /// Primary symmetric key, base64 of 16 to 64 bytes, or @FILE; drawn by the server when absent
    #[arg(long, visible_alias = "pk", value_name = "KEY")]
    pub primary_key: Option<String>,
    /// Secondary symmetric key, as the primary
    #[arg(long, visible_alias = "sk", value_name = "KEY")]
    pub secondary_key: Option<String>,
    /// Certificate file, PEM or DER: the device's own, or for a group the one that signs its devices'
    #[arg(long, visible_alias = "cp", value_name = "FILE")]
    pub certificate_path: Option<PathBuf>,
    /// Second certificate file, for rollover
    #[arg(long, visible_alias = "scp", value_name = "FILE")]
    pub secondary_certificate_path: Option<PathBuf>,
    /// Name of an uploaded and verified CA certificate that devices' chains lead to
    #[arg(long, visible_aliases = ["ca-name", "cn"], value_name = "NAME")]
    pub root_ca_name: Option<String>,
    /// Name of a second CA certificate, for rollover
    #[arg(long, visible_aliases = ["secondary-ca-name", "scn"], value_name = "NAME")]
    pub secondary_root_ca_name: Option<String>,
    /// The one hub to assign to (kept for old scripts; --iot-hubs says the same)
    #[arg(
        long,
        visible_alias = "hn",
        value_name = "HOST",
        conflicts_with = "iot_hubs"
    )]
    pub iot_hub_host_name: Option<String>,
    /// Hubs to assign to, by host name; all linked hubs when absent
    #[arg(long, visible_alias = "ih", value_name = "HOST", num_args = 1.., value_delimiter = ',')]
    pub iot_hubs: Option<Vec<String>>,
    /// Tags of the initial twin: JSON, @FILE, or '' for none
    #[arg(long, visible_alias = "tags", value_name = "JSON")]
    pub initial_twin_tags: Option<String>,
    /// Desired properties of the initial twin: JSON, @FILE, or '' for none
    #[arg(long, visible_alias = "props", value_name = "JSON")]
    pub initial_twin_properties: Option<String>,
    /// Whether devices may register
    #[arg(long, visible_alias = "ps", value_name = "STATUS", ignore_case = true)]
    pub provisioning_status: Option<ProvisioningStatus>,
    /// What happens to a device that registers again
    #[arg(long, visible_alias = "rp", value_name = "POLICY", ignore_case = true)]
    pub reprovision_policy: Option<ReprovisionPolicy>,
    /// How a hub is picked; the service's own policy when absent
    #[arg(long, visible_alias = "ap", value_name = "POLICY", ignore_case = true)]
    pub allocation_policy: Option<AllocationPolicy>,
    /// Webhook of a custom allocation
    #[arg(long, visible_alias = "wh", value_name = "URL")]
    pub webhook_url: Option<String>,
    /// API version that the webhook is called with
    #[arg(long, visible_alias = "av", value_name = "VERSION")]
    pub api_version: Option<String>,
    /// Whether devices are IoT Edge devices
    #[arg(
        long,
        visible_alias = "ee",
        value_name = "BOOL",
        num_args = 0..=1,
        default_missing_value = "true"
    )]
    pub edge_enabled: Option<bool>,
}

impl RecordFields {
    /// Writes every field that was given into `record`, except the attestation mechanism.
    pub fn apply(&self, record: &mut JsonObject) -> Result<(), Failure> {
        if let Some(host) = &self.iot_hub_host_name {
            set_text(record, "iotHubHostName", host);
        }
        if let Some(hubs) = &self.iot_hubs {
            let hubs = hubs.iter().flat_map(|hub| hub.split_whitespace());
            let hubs = hubs.map(|hub| json!(hub)).collect::<Vec<_>>();
            record.insert("iotHubs".into(), Json::Array(hubs));
        }
        if let Some(text) = &self.initial_twin_tags {
            place(
                record,
                &["initialTwin", "tags"],
                document(text, "--initial-twin-tags")?,
            );
        }
        if let Some(text) = &self.initial_twin_properties {
            let desired = document(text, "--initial-twin-properties")?;
            place(record, &["initialTwin", "properties", "desired"], desired);
        }
        if let Some(status) = self.provisioning_status {
            let status = match status {
                ProvisioningStatus::Enabled => "enabled",
                ProvisioningStatus::Disabled => "disabled",
            };
            set_text(record, "provisioningStatus", status);
        }
        if let Some(policy) = self.reprovision_policy {
            record.insert("reprovisionPolicy".into(), reprovision(policy));
        }
        if let Some(policy) = self.allocation_policy {
            let policy = match policy {
                AllocationPolicy::Hashed => "hashed",
                AllocationPolicy::GeoLatency => "geoLatency",
                AllocationPolicy::Static => "static",
                AllocationPolicy::Custom => "custom",
            };
            set_text(record, "allocationPolicy", policy);
        }
        if let Some(url) = &self.webhook_url {
            place(
                record,
                &["customAllocationDefinition", "webhookUrl"],
                json!(url),
            );
        }
        if let Some(version) = &self.api_version {
            place(
                record,
                &["customAllocationDefinition", "apiVersion"],
                json!(version),
            );
        }
        if let Some(edge) = self.edge_enabled {
            place(record, &["capabilities", "iotEdge"], json!(edge));
        }
        Ok(())
    }

    /// True when a flag speaks of certificates.
    pub fn names_certificates(&self) -> bool {
        self.certificate_path.is_some()
            || self.secondary_certificate_path.is_some()
            || self.names_authorities()
    }

    fn names_authorities(&self) -> bool {
        self.root_ca_name.is_some() || self.secondary_root_ca_name.is_some()
    }

    /// True when a flag gives a symmetric key.
    pub fn names_keys(&self) -> bool {
        self.primary_key.is_some() || self.secondary_key.is_some()
    }

    /// A symmetric key mechanism with the keys given, the others from `current`.
    pub fn symmetric_key(&self, current: Option<&Json>) -> Result<Json, Failure> {
        let mut keys = current
            .and_then(|mechanism| mechanism.get("symmetricKey"))
            .and_then(Json::as_object)
            .cloned()
            .unwrap_or_default();
        for (name, key) in [
            ("primaryKey", &self.primary_key),
            ("secondaryKey", &self.secondary_key),
        ] {
            if let Some(key) = key {
                keys.insert(name.into(), json!(secret(key)?));
            }
        }
        Ok(json!({ "type": "symmetricKey", "symmetricKey": keys }))
    }

    /// An X.509 mechanism with the certificates or CA names given, the other slot from `current`.
    /// `form` is where certificates of this kind of record stand.
    pub fn x509(
        &self,
        form: &str,
        current: Option<&Json>,
        removed: &Removed,
    ) -> Result<Json, Failure> {
        let authorities = self.names_authorities();
        if authorities
            && (self.certificate_path.is_some() || self.secondary_certificate_path.is_some())
        {
            return Err(Failure::usage(
                "certificate files and CA names are both given",
                "give either --certificate-path or --root-ca-name",
            ));
        }
        let stored = current.and_then(|mechanism| mechanism.get("x509"));
        let stored_authorities = stored.is_some_and(|x509| {
            x509.get("caReferences")
                .is_some_and(|references| !references.is_null())
        });
        let files = self.certificate_path.is_some() || self.secondary_certificate_path.is_some();
        let form = if authorities || (stored_authorities && !files) {
            "caReferences"
        } else {
            form
        };
        let mut slots = stored
            .and_then(|x509| x509.get(form))
            .and_then(Json::as_object)
            .cloned()
            .unwrap_or_default();
        slots.retain(|_, slot| !slot.is_null());
        for (name, path, authority, remove) in [
            (
                "primary",
                &self.certificate_path,
                &self.root_ca_name,
                removed.primary,
            ),
            (
                "secondary",
                &self.secondary_certificate_path,
                &self.secondary_root_ca_name,
                removed.secondary,
            ),
        ] {
            if remove {
                slots.remove(name);
            }
            match (path, authority) {
                (Some(path), _) => {
                    slots.insert(name.into(), json!({ "certificate": certificate(path)? }));
                }
                (None, Some(authority)) => set_text(&mut slots, name, authority),
                (None, None) => {}
            }
        }
        if slots.is_empty() {
            return Err(Failure::usage(
                "no certificate is left to attest by",
                "give --certificate-path or --root-ca-name",
            ));
        }
        Ok(json!({ "type": "x509", "x509": { form: slots } }))
    }
}

/// Which certificate slots an update empties.
#[derive(Clone, Default, Args)]
#[command(next_help_heading = "Record")]
pub struct Removed {
    /// Take the primary certificate or CA name out of the record
    #[arg(
        id = "remove_certificate",
        long = "remove-certificate",
        visible_alias = "rc",
        value_name = "BOOL",
        num_args = 0..=1,
        default_missing_value = "true",
        default_value = "false"
    )]
    pub primary: bool,
    /// Take the secondary certificate or CA name out of the record
    #[arg(
        id = "remove_secondary_certificate",
        long = "remove-secondary-certificate",
        visible_alias = "rsc",
        value_name = "BOOL",
        num_args = 0..=1,
        default_missing_value = "true",
        default_value = "false"
    )]
    pub secondary: bool,
}

/// The two flags of az that stand for `reprovisionPolicy`.
pub fn reprovision(policy: ReprovisionPolicy) -> Json {
    let (update, migrate) = match policy {
        ReprovisionPolicy::Migrate => (true, true),
        ReprovisionPolicy::Reset => (true, false),
        ReprovisionPolicy::Never => (false, false),
    };
    json!({ "updateHubAssignment": update, "migrateDeviceData": migrate })
}

/// The etag that guards an update: the one given, else the one of the record just read.
pub fn etag(given: Option<&str>, stored: &Json) -> String {
    given
        .or_else(|| stored.get("etag").and_then(Json::as_str))
        .unwrap_or("*")
        .to_owned()
}

/// Sets a text member; the empty text removes it.
pub fn set_text(record: &mut JsonObject, name: &str, text: &str) {
    if text.is_empty() {
        record.remove(name);
    } else {
        record.insert(name.into(), json!(text));
    }
}

/// Reads a JSON object from a flag: the text itself, `@FILE`, or nothing for `null`.
pub fn document(text: &str, flag: &str) -> Result<Json, Failure> {
    let text = secret(text)?;
    if text.trim().is_empty() {
        return Ok(Json::Null);
    }
    let bad = |why: String| {
        Failure::usage(
            format!("{flag} is not a JSON object: {why}"),
            format!("write {flag} '{{\"name\":\"value\"}}', or {flag} @FILE"),
        )
    };
    match serde_json::from_str::<Json>(&text).map_err(|e| bad(e.to_string()))? {
        value @ (Json::Object(_) | Json::Null) => Ok(value),
        _ => Err(bad("it is another kind of value".into())),
    }
}

/// Reads a text from a flag: the text itself, or `@FILE`.
pub fn text(text: &str) -> Result<String, Failure> {
    secret(text)
}

/// Reads any JSON value from a flag: the text itself, or `@FILE`.
pub fn value(text: &str, flag: &str) -> Result<Json, Failure> {
    serde_json::from_str(&secret(text)?).map_err(|error| {
        Failure::usage(
            format!("{flag} is not JSON: {error}"),
            format!("write {flag} '{{\"name\":\"value\"}}', {flag} '\"text\"', or {flag} @FILE"),
        )
    })
}

/// Reads a certificate file for the service API: PEM as its text, anything else as base64 of DER.
pub fn certificate(path: &Path) -> Result<String, Failure> {
    let bytes = file(path)?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text),
        Err(binary) => Ok(STANDARD.encode(binary.as_bytes())),
    }
}

fn place(record: &mut JsonObject, path: &[&str], value: Json) {
    let Some((name, rest)) = path.split_first() else {
        return;
    };
    if rest.is_empty() {
        record.insert((*name).into(), value);
        return;
    }
    let member = record.entry(*name).or_insert_with(|| json!({}));
    if !member.is_object() {
        *member = json!({});
    }
    if let Some(member) = member.as_object_mut() {
        place(member, rest, value);
    }
}

#[cfg(test)]
mod tests;
