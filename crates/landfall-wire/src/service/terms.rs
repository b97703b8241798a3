//! The members that individual enrollments and groups share, in both directions.

use landfall_core::administration::terms::TermsRequest;
use landfall_core::document::Document;
use landfall_core::enrollment::{
    AllocationPolicy, CustomAllocation, DeviceCapabilities, EnrollmentTerms, InitialTwin,
    ProvisioningStatus, ReprovisionPolicy,
};
use landfall_core::error::Error;
use landfall_core::id::{Etag, HubHostName};
use serde_json::{Map, Value, json};

use super::invalid_id;
use crate::fields::Members;

const STATUSES: [(&str, ProvisioningStatus); 2] = [
    ("enabled", ProvisioningStatus::Enabled),
    ("disabled", ProvisioningStatus::Disabled),
];

/// The allocation policies as bodies name them.
pub(crate) const POLICIES: [(&str, AllocationPolicy); 4] = [
    ("hashed", AllocationPolicy::Hashed),
    ("geoLatency", AllocationPolicy::GeoLatency),
    ("static", AllocationPolicy::Static),
    ("custom", AllocationPolicy::Custom),
];

/// Members of newer api versions that are stored and given back as they came: the shortest and the
/// longest text, and whether its form is the one of a namespace.
///
/// Source: docs/protocol/service-api.md §3.2 [S].
const EXTRAS: [(&str, Form); 4] = [
    ("credentialPolicyName", Form::Free),
    ("namespaceName", Form::Namespace),
    ("certificateAuthorityName", Form::Policy),
    ("certificatePolicyName", Form::Policy),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Free,
    Namespace,
    Policy,
}

impl Form {
    fn rule(self) -> &'static str {
        match self {
            Form::Free => "must be at most 128 characters long",
            Form::Namespace => {
                "must be 3 to 64 lower-case letters, digits or '-', the ends letters or digits"
            }
            Form::Policy => "must be 3 to 63 letters, digits or '-', the first no '-'",
        }
    }

    fn fits(self, text: &str) -> bool {
        match self {
            Form::Free => text.chars().count() <= 128,
            Form::Namespace => {
                (3..=64).contains(&text.len())
                    && text
                        .bytes()
                        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
                    && !text.starts_with('-')
                    && !text.ends_with('-')
            }
            Form::Policy => {
                (3..=63).contains(&text.len())
                    && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                    && !text.starts_with('-')
            }
        }
    }
}

/// Reads the shared members of an enrollment.
///
/// Source: docs/protocol/service-api.md §3.2, §3.3, §3.6 [S].
pub(super) fn parse(members: &Members<'_>) -> Result<TermsRequest, Error> {
    Ok(TermsRequest {
        status: members
            .word("provisioningStatus", &STATUSES)?
            .unwrap_or_default(),
        reprovision: members
            .object("reprovisionPolicy")?
            .map(|policy| {
                Ok::<_, Error>(ReprovisionPolicy {
                    update_hub_assignment: policy.required_boolean("updateHubAssignment")?,
                    migrate_device_data: policy.required_boolean("migrateDeviceData")?,
                })
            })
            .transpose()?,
        allocation: members.word("allocationPolicy", &POLICIES)?,
        hubs: parse_hubs(members)?,
        legacy_hub: members
            .text("iotHubHostName")?
            .map(|text| HubHostName::parse(text).map_err(invalid_id))
            .transpose()?,
        custom_allocation: members
            .object("customAllocationDefinition")?
            .map(|webhook| {
                Ok::<_, Error>(CustomAllocation {
                    webhook_url: webhook.required_text("webhookUrl")?.to_owned(),
                    api_version: webhook.required_text("apiVersion")?.to_owned(),
                })
            })
            .transpose()?,
        capabilities: match members.object("capabilities")? {
            Some(capabilities) => DeviceCapabilities {
                iot_edge: capabilities.required_boolean("iotEdge")?,
            },
            None => DeviceCapabilities::default(),
        },
        initial_twin: parse_twin(members)?,
        extra: parse_extra(members)?,
    })
}

/// Reads the etag that a body carries.
pub(super) fn parse_etag(members: &Members<'_>) -> Result<Option<Etag>, Error> {
    members
        .text("etag")?
        .map(|text| Etag::from_wire(text).ok_or_else(|| members.wrong("etag", "is not an etag")))
        .transpose()
}

fn parse_hubs(members: &Members<'_>) -> Result<Vec<HubHostName>, Error> {
    let Some(items) = members.list("iotHubs")? else {
        return Ok(Vec::new());
    };
    items
        .iter()
        .map(|item| match item {
            Value::String(text) => HubHostName::parse(text).map_err(invalid_id),
            _ => Err(members.wrong("iotHubs", "must be an array of strings")),
        })
        .collect()
}

fn parse_twin(members: &Members<'_>) -> Result<Option<InitialTwin>, Error> {
    let Some(twin) = members.object("initialTwin")? else {
        return Ok(None);
    };
    let desired = match twin.object("properties")? {
        Some(properties) => properties.tree("desired")?.map(Document::from_json),
        None => None,
    };
    let twin = InitialTwin {
        tags: twin.tree("tags")?.map(Document::from_json),
        desired,
    };
    Ok((twin != InitialTwin::default()).then_some(twin))
}

fn parse_extra(members: &Members<'_>) -> Result<Vec<(String, String)>, Error> {
    let mut extra = Vec::new();
    for (name, form) in EXTRAS {
        if let Some(text) = members.text(name)? {
            if !form.fits(text) {
                return Err(members.wrong(name, form.rule()));
            }
            extra.push((name.to_owned(), text.to_owned()));
        }
    }
    Ok(extra)
}

/// Writes the shared members after those of the enrollment's own. What was not set stays out.
pub(super) fn render(record: &mut Map<String, Value>, terms: &EnrollmentTerms) {
    let mut put = |name: &str, value: Value| {
        record.insert(name.to_owned(), value);
    };
    put(
        "capabilities",
        json!({"iotEdge": terms.capabilities.iot_edge}),
    );
    if let Some(hub) = &terms.legacy_hub {
        put("iotHubHostName", hub.as_str().into());
    }
    if let Some(twin) = &terms.initial_twin {
        put("initialTwin", twin_json(twin));
    }
    put("etag", terms.etag.as_str().into());
    put("provisioningStatus", status_name(terms.status).into());
    if let Some(policy) = terms.reprovision {
        put(
            "reprovisionPolicy",
            json!({
                "updateHubAssignment": policy.update_hub_assignment,
                "migrateDeviceData": policy.migrate_device_data,
            }),
        );
    }
    put("createdDateTimeUtc", terms.created.to_wire().into());
    put("lastUpdatedDateTimeUtc", terms.updated.to_wire().into());
    if let Some(policy) = terms.allocation {
        put("allocationPolicy", policy_name(policy).into());
    }
    if !terms.hubs.is_empty() {
        let hubs: Vec<&str> = terms.hubs.iter().map(HubHostName::as_str).collect();
        put("iotHubs", hubs.into());
    }
    if let Some(webhook) = &terms.custom_allocation {
        put(
            "customAllocationDefinition",
            json!({
                "webhookUrl": webhook.webhook_url,
                "apiVersion": webhook.api_version,
            }),
        );
    }
    for (name, value) in &terms.extra {
        put(name, value.as_str().into());
    }
}

fn twin_json(twin: &InitialTwin) -> Value {
    let mut out = Map::new();
    if let Some(tags) = &twin.tags {
        out.insert("tags".to_owned(), tags.to_json());
    }
    if let Some(desired) = &twin.desired {
        out.insert(
            "properties".to_owned(),
            json!({"desired": desired.to_json()}),
        );
    }
    Value::Object(out)
}

fn status_name(status: ProvisioningStatus) -> &'static str {
    match status {
        ProvisioningStatus::Enabled => "enabled",
        ProvisioningStatus::Disabled => "disabled",
    }
}

/// The canonical spelling of an allocation policy on the service API.
pub(crate) fn policy_name(policy: AllocationPolicy) -> &'static str {
    match policy {
        AllocationPolicy::Hashed => "hashed",
        AllocationPolicy::GeoLatency => "geoLatency",
        AllocationPolicy::Static => "static",
        AllocationPolicy::Custom => "custom",
    }
}
