//! A hub's shared access policies and what they permit.

use landfall_core::clock::Entropy;
use landfall_core::id::PolicyName;
use landfall_core::policy::{Policy, RightSet};
use landfall_core::secret::KeyPair;

/// A named pair of keys with permissions.
#[derive(Debug, Clone, PartialEq)]
pub struct HubPolicy {
    /// Its name; compared without case.
    pub name: PolicyName,
    /// Its keys.
    pub keys: KeyPair,
    /// What its holder may do.
    pub permissions: Permissions,
}

impl Policy for HubPolicy {
    type Rights = Permissions;

    fn assemble(name: PolicyName, keys: KeyPair, permissions: Permissions) -> Self {
        HubPolicy {
            name,
            keys,
            permissions,
        }
    }

    fn name(&self) -> &PolicyName {
        &self.name
    }

    fn keys(&self) -> &KeyPair {
        &self.keys
    }

    fn rights(&self) -> Permissions {
        self.permissions
    }
}

/// Permissions of a hub policy, as a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permissions(u8);

impl Permissions {
    /// Read identities.
    pub const REGISTRY_READ: Permissions = Permissions(1);
    /// Write identities; implies reading them.
    pub const REGISTRY_WRITE: Permissions = Permissions(2 | 1);
    /// Twins, queries, methods, messages.
    pub const SERVICE_CONNECT: Permissions = Permissions(4);
    /// Stand in for devices.
    pub const DEVICE_CONNECT: Permissions = Permissions(8);
    /// Everything.
    pub const ALL: Permissions = Permissions(15);

    /// True when every permission of `wanted` is in this set.
    pub fn allow(self, wanted: Permissions) -> bool {
        self.0 & wanted.0 == wanted.0
    }

    /// The bits, as the store keeps them.
    pub fn bits(self) -> u8 {
        self.0
    }

    /// The set of these bits; unknown bits are dropped.
    pub fn from_bits(bits: u8) -> Self {
        Permissions(bits & 15)
    }
}

/// Source: docs/protocol/hub-api.md §1.1 [D].
impl RightSet for Permissions {
    const NONE: Permissions = Permissions(0);
    const ALL: Permissions = Permissions::ALL;
    const NAMED: &'static [(&'static str, Permissions)] = &[
        ("RegistryRead", Permissions::REGISTRY_READ),
        ("RegistryWrite", Permissions::REGISTRY_WRITE),
        ("ServiceConnect", Permissions::SERVICE_CONNECT),
        ("DeviceConnect", Permissions::DEVICE_CONNECT),
    ];

    fn allow(self, wanted: Permissions) -> bool {
        Permissions::allow(self, wanted)
    }

    fn with(self, other: Permissions) -> Permissions {
        Permissions(self.0 | other.0)
    }
}

/// Draws the five policies that every new hub has.
///
/// Source: docs/protocol/hub-api.md §1.1 [D].
pub fn default_policies(entropy: &dyn Entropy) -> Vec<HubPolicy> {
    [
        ("iothubowner", Permissions::ALL),
        ("service", Permissions::SERVICE_CONNECT),
        ("device", Permissions::DEVICE_CONNECT),
        ("registryRead", Permissions::REGISTRY_READ),
        ("registryReadWrite", Permissions::REGISTRY_WRITE),
    ]
    .into_iter()
    .filter_map(|(name, permissions)| {
        let name = PolicyName::parse(name).ok()?;
        Some(HubPolicy {
            name,
            keys: KeyPair::draw(entropy, 32),
            permissions,
        })
    })
    .collect()
}
