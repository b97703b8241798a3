//! What a caller wants changed of a provisioning service, and what went with one that was deleted.

use landfall_core::enrollment::AllocationPolicy;
use landfall_core::error::Error;
use landfall_core::id::HubHostName;
use landfall_core::secret::repeated;
use landfall_core::service::ProvisioningService;
use landfall_core::store::Contents;
use serde_json::{Value, json};

use crate::fields::{Members, parse_object};
use crate::service::{ALLOCATION_POLICIES, invalid_id};

/// A change of a service as it was asked for. What is not said stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServiceChange {
    /// The host name of its service API; not yet held against the rule of names.
    pub host_name: Option<String>,
    /// How enrollments without a policy of their own are allocated.
    pub allocation: Option<AllocationPolicy>,
    /// Whether every chain must lead to a verified CA certificate.
    pub require_verified_chain: Option<bool>,
    /// All its linked hubs.
    pub linked_hubs: Option<Vec<HubLink>>,
}

/// A link to a hub as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubLink {
    /// The hub.
    pub host_name: HubHostName,
    /// Its share under the `hashed` policy.
    pub allocation_weight: Option<u16>,
    /// Whether allocation may pick it at all.
    pub apply_allocation_policy: Option<bool>,
}

/// Reads what a caller wants changed of a service.
///
/// # Errors
/// [`Error::Unreadable`] when it is no JSON object, [`Error::Invalid`] for a member that is of the
/// wrong kind, or a name that nothing of a service has: a change that is misspelt must not pass.
pub fn parse_service_change(body: &[u8]) -> Result<ServiceChange, Error> {
    const KNOWN: [&str; 4] = [
        "hostName",
        "allocationPolicy",
        "requireVerifiedChain",
        "linkedHubs",
    ];
    let object = parse_object(body)?;
    let members = Members::of(&object);
    if let Some(other) = object.keys().find(|name| !KNOWN.contains(&name.as_str())) {
        let rule = format!("cannot be changed; {} can", KNOWN.join(", "));
        return Err(members.wrong(&repeated(other, 64), &rule));
    }
    let linked_hubs = members
        .list("linkedHubs")?
        .map(|items| items.iter().map(|item| link(&members, item)).collect())
        .transpose()?;
    Ok(ServiceChange {
        host_name: members.text("hostName")?.map(str::to_owned),
        allocation: members.word("allocationPolicy", &ALLOCATION_POLICIES)?,
        require_verified_chain: members.boolean("requireVerifiedChain")?,
        linked_hubs,
    })
}

fn link(members: &Members<'_>, item: &Value) -> Result<HubLink, Error> {
    let Value::Object(item) = item else {
        return Err(members.wrong("linkedHubs", "must be an array of objects"));
    };
    let hub = Members::at(item, "linkedHubs");
    Ok(HubLink {
        host_name: HubHostName::parse(hub.required_text("hostName")?).map_err(invalid_id)?,
        allocation_weight: hub
            .value("allocationWeight")
            .map(|value| weight(&hub, value))
            .transpose()?,
        apply_allocation_policy: hub.boolean("applyAllocationPolicy")?,
    })
}

/// Source: docs/protocol/control-plane.md §3 [S].
fn weight(hub: &Members<'_>, value: &Value) -> Result<u16, Error> {
    value
        .as_u64()
        .and_then(|number| u16::try_from(number).ok())
        .filter(|number| (1..=1000).contains(number))
        .ok_or_else(|| hub.wrong("allocationWeight", "must be a whole number from 1 to 1000"))
}

/// What goes with a service: the counts of its records, and its hubs with their devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// What is in the service.
    pub contents: Contents,
    /// The embedded hubs that go with it, and how many devices each has.
    pub hubs: Vec<(HubHostName, u64)>,
    /// The embedded hubs that stay.
    pub kept_hubs: Vec<HubHostName>,
}

impl Removal {
    /// True when nothing but the service itself and empty hubs goes.
    pub fn is_empty(&self) -> bool {
        self.contents == Contents::default() && self.hubs.iter().all(|(_, devices)| *devices == 0)
    }

    /// What goes, as people say it: nothing that is not there is named.
    pub fn spoken(&self) -> String {
        let counted = |number: u64, one: &str, many: &str| match number {
            0 => None,
            1 => Some(format!("1 {one}")),
            number => Some(format!("{number} {many}")),
        };
        let contents = &self.contents;
        let mut parts: Vec<String> = [
            counted(
                contents.individuals,
                "individual enrollment",
                "individual enrollments",
            ),
            counted(contents.groups, "enrollment group", "enrollment groups"),
            counted(contents.certificates, "CA certificate", "CA certificates"),
            counted(contents.registrations, "registration", "registrations"),
        ]
        .into_iter()
        .flatten()
        .collect();
        for (hub, devices) in &self.hubs {
            parts.extend(
                counted(*devices, "device", "devices").map(|n| format!("{n} on hub {hub}")),
            );
        }
        parts.join(", ")
    }

    /// The answer to whoever deleted the service.
    pub fn json(&self, service: &ProvisioningService) -> Value {
        let hubs: Vec<Value> = self
            .hubs
            .iter()
            .map(|(hub, devices)| json!({"hostName": hub.as_str(), "devices": devices}))
            .collect();
        let kept: Vec<&str> = self.kept_hubs.iter().map(HubHostName::as_str).collect();
        json!({
            "name": service.name.as_str(),
            "idScope": service.id_scope.as_str(),
            "enrollments": self.contents.individuals,
            "enrollmentGroups": self.contents.groups,
            "certificates": self.contents.certificates,
            "registrations": self.contents.registrations,
            "hubs": hubs,
            "keptHubs": kept,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(body: &str) -> String {
        let refused = parse_service_change(body.as_bytes());
        refused.expect_err("refused").to_string()
    }

    #[test]
    fn a_change_names_what_it_changes_and_nothing_else() {
        assert_eq!(parse_service_change(b"{}"), Ok(ServiceChange::default()));
        let change = parse_service_change(
            br#"{"allocationPolicy":"Static","requireVerifiedChain":true,
                "linkedHubs":[{"hostName":"hub.a","allocationWeight":7}]}"#,
        )
        .expect("readable");
        assert_eq!(change.allocation, Some(AllocationPolicy::Static));
        assert_eq!(change.require_verified_chain, Some(true));
        let hub = HubLink {
            host_name: HubHostName::parse("hub.a").expect("valid"),
            allocation_weight: Some(7),
            apply_allocation_policy: None,
        };
        assert_eq!(change.linked_hubs, Some(vec![hub]));
        assert!(message(r#"{"allocationpolicy":"static"}"#).starts_with("allocationpolicy cannot"));
        assert!(message(r#"{"name":"other"}"#).contains("hostName, allocationPolicy"));
    }

    #[test]
    fn a_weight_is_a_whole_number_in_its_bounds() {
        for weight in ["0", "1001", "-1", "1.5", "\"5\"", "99999999999"] {
            let body =
                format!(r#"{{"linkedHubs":[{{"hostName":"hub.a","allocationWeight":{weight}}}]}}"#);
            assert!(message(&body).contains("from 1 to 1000"), "{weight}");
        }
        assert!(message(r#"{"linkedHubs":["hub.a"]}"#).contains("array of objects"));
    }

    #[test]
    fn only_what_is_there_is_said_to_go() {
        let hub = |name| HubHostName::parse(name).expect("valid");
        let mut removal = Removal {
            contents: Contents::default(),
            hubs: vec![(hub("hub.a"), 0)],
            kept_hubs: Vec::new(),
        };
        assert!(removal.is_empty());
        removal.hubs = vec![(hub("hub.a"), 0), (hub("hub.b"), 2)];
        assert!(!removal.is_empty());
        assert_eq!(removal.spoken(), "2 devices on hub hub.b");
        removal.contents.individuals = 1;
        removal.contents.registrations = 12;
        assert_eq!(
            removal.spoken(),
            "1 individual enrollment, 12 registrations, 2 devices on hub hub.b"
        );
    }
}
