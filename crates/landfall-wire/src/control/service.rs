//! A provisioning service and its shared access policies as the control plane shows them.
//!
//! Source: docs/protocol/control-plane.md §2, §4.

use landfall_core::enrollment::AllocationPolicy;
use landfall_core::linked_hub::LinkedHub;
use landfall_core::service::{AccessPolicy, ProvisioningService};
use serde_json::{Value, json};

use crate::own::policies::rule;
use crate::service::attestation::Secrets;

/// Where everything here stands, for clients that want a region.
const LOCATION: &str = "local";

/// Where a service stands on the control plane, as its paths name it.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The subscription.
    pub subscription: &'a str,
    /// The resource group.
    pub resource_group: &'a str,
}

impl Place<'_> {
    /// The path of a service, as its `id` gives it back.
    pub fn resource(&self, service: &ProvisioningService) -> String {
        format!(
            "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.Devices/provisioningServices/{}",
            self.subscription, self.resource_group, service.name
        )
    }
}

/// A service as JSON. Keys are never in it, not those of linked hubs either.
///
/// Source: docs/protocol/control-plane.md §2 [R, C].
pub fn service_json(service: &ProvisioningService, place: Place<'_>) -> Value {
    let hubs: Vec<Value> = service.linked_hubs.iter().map(hub_json).collect();
    json!({
        "id": place.resource(service),
        "name": service.name.as_str(),
        "type": "Microsoft.Devices/provisioningServices",
        "location": LOCATION,
        "tags": {},
        "etag": service.etag.as_str(),
        "resourcegroup": place.resource_group,
        "subscriptionid": place.subscription,
        "sku": {"name": "S1", "tier": "Standard", "capacity": 1},
        "properties": {
            "state": "Active",
            "provisioningState": "Succeeded",
            "iotHubs": hubs,
            "allocationPolicy": policy_name(service.allocation),
            "serviceOperationsHostName": service.host_name,
            "deviceProvisioningHostName": service.host_name,
            "idScope": service.id_scope.as_str(),
            "publicNetworkAccess": "Enabled",
        },
    })
}

/// Source: docs/protocol/control-plane.md §2.3, §3 [R]: the key is masked in every answer.
fn hub_json(hub: &LinkedHub) -> Value {
    let name = hub.host_name.as_str();
    json!({
        "name": name,
        "hostName": name,
        "connectionString":
            format!("HostName={name};SharedAccessKeyName=iothubowner;SharedAccessKey=****"),
        "location": LOCATION,
        "allocationWeight": hub.allocation_weight,
        "applyAllocationPolicy": hub.apply_allocation_policy,
        "authenticationType": "KeyBased",
    })
}

/// The spelling of an allocation policy on the control plane.
///
/// Source: docs/protocol/control-plane.md §2 [R].
fn policy_name(policy: AllocationPolicy) -> &'static str {
    match policy {
        AllocationPolicy::Hashed => "Hashed",
        AllocationPolicy::GeoLatency => "GeoLatency",
        AllocationPolicy::Static => "Static",
        AllocationPolicy::Custom => "Custom",
    }
}

/// A policy with its keys as JSON.
///
/// Source: docs/protocol/control-plane.md §4 [S, R].
pub fn key_json(policy: &AccessPolicy) -> Value {
    Value::Object(rule(policy, Secrets::Shown))
}

#[cfg(test)]
mod tests {
    use landfall_core::clock::Timestamp;
    use landfall_core::id::{Etag, HubHostName, IdScope, PolicyName, ServiceName};
    use landfall_core::secret::{KeyPair, SymmetricKey};
    use landfall_core::service::Rights;

    use super::*;

    fn service() -> ProvisioningService {
        ProvisioningService {
            id_scope: IdScope::parse("0ne0000000A").expect("valid"),
            name: ServiceName::parse("dev").expect("valid"),
            host_name: "localhost".into(),
            policies: vec![AccessPolicy {
                name: PolicyName::parse("provisioningserviceowner").expect("valid"),
                keys: KeyPair {
                    primary: SymmetricKey::from_bytes(vec![1; 32]),
                    secondary: SymmetricKey::from_bytes(vec![2; 32]),
                },
                rights: Rights::ALL,
            }],
            allocation: AllocationPolicy::GeoLatency,
            linked_hubs: vec![LinkedHub {
                host_name: HubHostName::parse("hub.a").expect("valid"),
                allocation_weight: 3,
                apply_allocation_policy: true,
                location: "embedded".into(),
            }],
            require_verified_chain: false,
            etag: Etag::parse("e").expect("valid"),
            trust_version: 0,
            created: Timestamp::NEVER,
        }
    }

    #[test]
    fn a_service_has_every_member_that_clients_index_and_no_key() {
        let place = Place {
            subscription: "s",
            resource_group: "g",
        };
        let shown = service_json(&service(), place);
        assert_eq!(shown["resourcegroup"], "g");
        assert_eq!(
            shown["id"],
            "/subscriptions/s/resourceGroups/g/providers/Microsoft.Devices/provisioningServices/dev"
        );
        let properties = &shown["properties"];
        assert_eq!(properties["state"], "Active");
        assert_eq!(properties["allocationPolicy"], "GeoLatency");
        assert_eq!(properties["iotHubs"][0]["allocationWeight"], 3);
        let text = shown.to_string();
        assert!(
            !text.contains("AQEBAQ") && text.contains("SharedAccessKey=****"),
            "{text}"
        );
    }

    #[test]
    fn the_owners_rights_are_found_by_a_client_that_splits_them() {
        let shown = key_json(&service().policies[0]);
        let rights: Vec<&str> = shown["rights"]
            .as_str()
            .expect("text")
            .split(", ")
            .collect();
        assert!(rights.contains(&"ServiceConfig") && rights.contains(&"EnrollmentWrite"));
        assert_eq!(
            shown["primaryKey"],
            "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
        );
        assert!(shown.get("etag").is_none());
    }
}
