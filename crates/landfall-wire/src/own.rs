//! Bodies of Landfall's own routes: provisioning services with their changes and policies,
//! decision traces, inspected chains, the audit trail, and imports.

pub mod audit;
pub mod events;
pub mod import;
pub mod inspection;
pub mod policies;
pub mod services;

use landfall_core::error::Error;
use landfall_core::linked_hub::LinkedHub;
use landfall_core::secret::SymmetricKey;
use landfall_core::service::{AccessPolicy, ProvisioningService, Rights};
use landfall_core::trace::{DecisionTrace, Passage};
use landfall_hub::device::Hub;
use landfall_hub::policy::{HubPolicy, Permissions};
use serde_json::{Map, Value, json};

use crate::fields::{Members, parse_object};
use crate::service::policy_name;

/// The port that connection strings leave out.
const HTTPS_PORT: u16 = 443;

/// A provisioning service that is to be made, as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewService {
    /// Its name; not yet held against the rule of names.
    pub name: String,
    /// The host name of its service API.
    pub host_name: Option<String>,
    /// The host name of the hub that is made with it.
    pub hub_host_name: Option<String>,
}

/// Reads what a caller wants of a new service.
///
/// # Errors
/// [`Error::Unreadable`] when it is no JSON object, [`Error::Invalid`] when the name is missing.
pub fn parse_new_service(body: &[u8]) -> Result<NewService, Error> {
    let object = parse_object(body)?;
    let members = Members::of(&object);
    Ok(NewService {
        name: members.required_text("name")?.to_owned(),
        host_name: members.text("hostName")?.map(str::to_owned),
        hub_host_name: members.text("hubHostName")?.map(str::to_owned),
    })
}

/// A provisioning service as JSON; `hubs` are the embedded hubs, among which its own is looked for.
///
/// Shape: `port` stands in connection strings unless it is the usual one. The strings, which hold
/// keys, are there only `with_keys`.
pub fn service(
    service: &ProvisioningService,
    hubs: &[Hub],
    port: Option<u16>,
    with_keys: bool,
) -> Value {
    let mut out = Map::new();
    let mut put = |name: &str, value: Value| {
        out.insert(name.to_owned(), value);
    };
    let linked: Vec<&str> = service
        .linked_hubs
        .iter()
        .map(|hub| hub.host_name.as_str())
        .collect();
    put("name", service.name.as_str().into());
    put("idScope", service.id_scope.as_str().into());
    put("serviceHostName", service.host_name.as_str().into());
    // One listener serves devices and operators, so both ask for the same host.
    put("deviceHostName", service.host_name.as_str().into());
    put("hubHostNames", linked.into());
    put("linkedHubs", service.linked_hubs.iter().map(link).collect());
    put("allocationPolicy", policy_name(service.allocation).into());
    put(
        "requireVerifiedChain",
        service.require_verified_chain.into(),
    );
    put("createdDateTimeUtc", service.created.to_wire().into());
    put("etag", service.etag.as_str().into());
    if with_keys {
        let owner = service.policies.iter().find(|p| p.rights == Rights::ALL);
        if let Some(AccessPolicy { name, keys, .. }) = owner {
            let text = connection_string(&service.host_name, port, name.as_str(), &keys.primary);
            put("serviceConnectionString", text.into());
        }
        let hub = service
            .linked_hubs
            .iter()
            .find_map(|linked| hubs.iter().find(|hub| hub.host_name == linked.host_name));
        let owner = hub.and_then(|hub| {
            let policy = hub
                .policies
                .iter()
                .find(|p| p.permissions == Permissions::ALL)?;
            Some((hub, policy))
        });
        if let Some((hub, HubPolicy { name, keys, .. })) = owner {
            let host = hub.host_name.as_str();
            let text = connection_string(host, port, name.as_str(), &keys.primary);
            put("hubConnectionString", text.into());
        }
    }
    Value::Object(out)
}

fn link(hub: &LinkedHub) -> Value {
    json!({
        "hostName": hub.host_name.as_str(),
        "allocationWeight": hub.allocation_weight,
        "applyAllocationPolicy": hub.apply_allocation_policy,
    })
}

/// Adds what the caller should know of a service that was made or changed all the same.
pub fn warn(service: &mut Value, warnings: &[String]) {
    if let Some(members) = service.as_object_mut()
        && !warnings.is_empty()
    {
        members.insert("warnings".to_owned(), warnings.into());
    }
}

/// Shape: the exact form that the strictest client demands.
/// Source: docs/protocol/service-api.md §2.1 [C].
fn connection_string(host: &str, port: Option<u16>, policy: &str, key: &SymmetricKey) -> String {
    let port = match port {
        Some(port) if port != HTTPS_PORT => format!(":{port}"),
        Some(_) | None => String::new(),
    };
    format!(
        "HostName={host}{port};SharedAccessKeyName={policy};SharedAccessKey={}",
        *key.to_base64()
    )
}

/// A decision trace as JSON.
pub fn trace(trace: &DecisionTrace) -> Value {
    let mut out = Map::new();
    let mut put = |name: &str, value: Value| {
        out.insert(name.to_owned(), value);
    };
    let stages: Vec<Value> = trace.stages.iter().map(stage).collect();
    put("trackingId", trace.tracking_id.as_str().into());
    if let Some(scope) = &trace.id_scope {
        put("idScope", scope.as_str().into());
    }
    put("registrationId", trace.registration_id.as_str().into());
    if let Some(operation) = &trace.operation {
        put("operationId", operation.as_str().into());
    }
    put("action", trace.action.as_str().into());
    put("protocol", trace.protocol.as_str().into());
    put("peer", trace.peer.as_str().into());
    put("started", trace.started.to_wire().into());
    put("stages", stages.into());
    put("outcome", trace.outcome.as_str().into());
    if let Some(finding) = &trace.finding {
        put(
            "finding",
            json!({
                "check": finding.check,
                "expected": finding.expected,
                "seen": finding.seen,
                "fix": finding.fix,
            }),
        );
    }
    Value::Object(out)
}

fn stage(passage: &Passage) -> Value {
    json!({
        "stage": passage.stage,
        "atMicroseconds": u64::try_from(passage.at.as_micros()).unwrap_or(u64::MAX),
        "note": passage.note,
    })
}

/// A list as these routes write it.
pub fn list(items: Vec<Value>) -> Value {
    json!({"value": items})
}

#[cfg(test)]
mod tests;
