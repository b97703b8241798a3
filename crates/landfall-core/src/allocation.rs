//! Which hub takes a device: policy and candidate hubs in, one hub out. Pure; the same on every node.

pub mod hashed;

use crate::enrollment::{AllocationPolicy, EnrollmentTerms};
use crate::id::{HubHostName, RegistrationId};
use crate::linked_hub::LinkedHub;
use crate::registration::RegistrationFailure;

/// The hub that was picked, and why, for the decision trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allocation {
    /// The hub.
    pub hub: HubHostName,
    /// The reason in one line.
    pub reason: String,
}

/// Picks the hub for a device under its enrollment's terms.
///
/// Source: docs/protocol/service-api.md §8.1, §8.2 [D].
///
/// # Errors
/// A [`RegistrationFailure`] when no hub may take the device, or when the policy asks for something
/// this build does not serve.
pub fn allocate(
    terms: &EnrollmentTerms,
    default: AllocationPolicy,
    linked: &[LinkedHub],
    registration_id: &RegistrationId,
) -> Result<Allocation, RegistrationFailure> {
    let policy = match (&terms.legacy_hub, terms.allocation) {
        (_, Some(policy)) => policy,
        (Some(_), None) => AllocationPolicy::Static,
        (None, None) => default,
    };
    match policy {
        AllocationPolicy::Custom | AllocationPolicy::GeoLatency => {
            Err(RegistrationFailure::PolicyNotServed(policy))
        }
        AllocationPolicy::Static => static_hub(terms, linked),
        AllocationPolicy::Hashed => {
            let candidates = candidates(&terms.hubs, linked)?;
            let hub = hashed::pick(&candidates, registration_id)
                .ok_or(RegistrationFailure::NoLinkedHub)?;
            let reason = format!("hashed over {} hub(s)", candidates.len());
            Ok(Allocation {
                hub: hub.host_name.clone(),
                reason,
            })
        }
    }
}

/// The hubs an enrollment may assign to: its own, or all linked ones; without those that take none.
fn candidates<'a>(
    named: &[HubHostName],
    linked: &'a [LinkedHub],
) -> Result<Vec<&'a LinkedHub>, RegistrationFailure> {
    let chosen = if named.is_empty() {
        linked.iter().collect()
    } else {
        named
            .iter()
            .map(|name| find(name, linked))
            .collect::<Result<Vec<_>, _>>()?
    };
    Ok(chosen
        .into_iter()
        .filter(|hub| hub.apply_allocation_policy)
        .collect())
}

fn static_hub(
    terms: &EnrollmentTerms,
    linked: &[LinkedHub],
) -> Result<Allocation, RegistrationFailure> {
    let name = match (&terms.legacy_hub, terms.hubs.as_slice()) {
        (Some(name), _) => name,
        (None, [name]) => name,
        _ => return Err(RegistrationFailure::StaticHubMissing),
    };
    let hub = find(name, linked)?;
    if !hub.apply_allocation_policy {
        return Err(RegistrationFailure::NoLinkedHub);
    }
    Ok(Allocation {
        hub: hub.host_name.clone(),
        reason: "static: the enrollment's one hub".into(),
    })
}

/// The linked hub of that name.
///
/// # Errors
/// `HubNotLinked` when there is none.
pub fn find<'a>(
    name: &HubHostName,
    linked: &'a [LinkedHub],
) -> Result<&'a LinkedHub, RegistrationFailure> {
    linked
        .iter()
        .find(|hub| hub.host_name == *name)
        .ok_or_else(|| RegistrationFailure::HubNotLinked(name.clone()))
}

#[cfg(test)]
mod tests;
