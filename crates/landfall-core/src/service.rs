//! The provisioning service: one id scope with its own policies, settings and linked hubs.

pub mod access;

use crate::clock::{Entropy, Timestamp};
use crate::enrollment::AllocationPolicy;
use crate::id::{Etag, IdScope, PolicyName, ServiceName};
use crate::linked_hub::LinkedHub;
use crate::policy::{Policy, RightSet};
use crate::secret::KeyPair;

/// One provisioning service. A server holds many; they never see each other's records.
#[derive(Debug, Clone, PartialEq)]
pub struct ProvisioningService {
    /// The name devices send.
    pub id_scope: IdScope,
    /// The name operators give.
    pub name: ServiceName,
    /// The host name its service API answers on, lower case, without port. May be shared by several
    /// services of one server; then the policy's signature tells them apart.
    pub host_name: String,
    /// Its shared access policies.
    pub policies: Vec<AccessPolicy>,
    /// How enrollments without a policy of their own are allocated.
    pub allocation: AllocationPolicy,
    /// The hubs it may assign to.
    pub linked_hubs: Vec<LinkedHub>,
    /// Whether every X.509 chain must lead to a verified CA certificate, even for groups that hold
    /// their signing certificate themselves.
    pub require_verified_chain: bool,
    /// The mark of this state.
    pub etag: Etag,
    /// Grows with every change of a group or CA certificate, so that caches know.
    pub trust_version: i64,
    /// When it was made.
    pub created: Timestamp,
}

/// A named pair of keys with rights, for operators.
#[derive(Debug, Clone, PartialEq)]
pub struct AccessPolicy {
    /// Its name; compared without case.
    pub name: PolicyName,
    /// Its keys.
    pub keys: KeyPair,
    /// What its holder may do.
    pub rights: Rights,
}

impl AccessPolicy {
    /// The policy every new service has: all rights, two keys of 32 bytes.
    ///
    /// Source: docs/protocol/service-api.md §2.3 [R].
    pub fn owner(name: PolicyName, entropy: &dyn Entropy) -> Self {
        AccessPolicy {
            name,
            keys: KeyPair::draw(entropy, 32),
            rights: Rights::ALL,
        }
    }
}

impl Policy for AccessPolicy {
    type Rights = Rights;

    fn assemble(name: PolicyName, keys: KeyPair, rights: Rights) -> Self {
        AccessPolicy { name, keys, rights }
    }

    fn name(&self) -> &PolicyName {
        &self.name
    }

    fn keys(&self) -> &KeyPair {
        &self.keys
    }

    fn rights(&self) -> Rights {
        self.rights
    }
}

/// Rights of a shared access policy, as a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rights(u8);

impl Rights {
    /// Change the service's own configuration.
    pub const SERVICE_CONFIG: Rights = Rights(1);
    /// Read enrollments and groups.
    pub const ENROLLMENT_READ: Rights = Rights(2);
    /// Write enrollments and groups; implies reading them.
    pub const ENROLLMENT_WRITE: Rights = Rights(4 | 2);
    /// The device side. Grants nothing on the service API.
    pub const DEVICE_CONNECT: Rights = Rights(8);
    /// Read registration records.
    pub const REGISTRATION_STATUS_READ: Rights = Rights(16);
    /// Delete registration records; implies reading them.
    pub const REGISTRATION_STATUS_WRITE: Rights = Rights(32 | 16);
    /// Everything.
    pub const ALL: Rights = Rights(63);
    /// Nothing.
    pub const NONE: Rights = Rights(0);

    /// True when every right of `wanted` is in this set.
    pub fn allow(self, wanted: Rights) -> bool {
        self.0 & wanted.0 == wanted.0
    }

    /// Both sets together.
    pub fn with(self, other: Rights) -> Rights {
        Rights(self.0 | other.0)
    }

    /// The bits, as the store keeps them.
    pub fn bits(self) -> u8 {
        self.0
    }

    /// The set of these bits; unknown bits are dropped.
    pub fn from_bits(bits: u8) -> Self {
        Rights(bits & 63)
    }
}

/// Source: docs/protocol/service-api.md §2.3 [S].
impl RightSet for Rights {
    const NONE: Rights = Rights::NONE;
    const ALL: Rights = Rights::ALL;
    const NAMED: &'static [(&'static str, Rights)] = &[
        ("ServiceConfig", Rights::SERVICE_CONFIG),
        ("EnrollmentRead", Rights::ENROLLMENT_READ),
        ("EnrollmentWrite", Rights::ENROLLMENT_WRITE),
        ("DeviceConnect", Rights::DEVICE_CONNECT),
        ("RegistrationStatusRead", Rights::REGISTRATION_STATUS_READ),
        ("RegistrationStatusWrite", Rights::REGISTRATION_STATUS_WRITE),
    ];

    fn allow(self, wanted: Rights) -> bool {
        Rights::allow(self, wanted)
    }

    fn with(self, other: Rights) -> Rights {
        Rights::with(self, other)
    }
}
