//! The hubs a service may assign to, and the port through which it makes devices there.

use std::future::Future;

use crate::enrollment::{DeviceCapabilities, InitialTwin};
use crate::id::{DeviceId, HubHostName};
use crate::secret::KeyPair;

/// A hub that a provisioning service may assign devices to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkedHub {
    /// Its host name, as devices are told it.
    pub host_name: HubHostName,
    /// Its share under the `hashed` policy, 1 to 1000.
    pub allocation_weight: u16,
    /// Whether allocation may pick it at all.
    pub apply_allocation_policy: bool,
    /// Where it stands, for the `geoLatency` policy and for operators.
    pub location: String,
}

/// What the hub will ask of the device.
///
/// Source: docs/protocol/hub-api.md §1.10 [D].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HubCredential {
    /// Either key of a pair.
    Keys(KeyPair),
    /// A certificate with one of these SHA-256 thumbprints, 64 upper-case hex digits.
    Thumbprints {
        /// The first thumbprint.
        primary: String,
        /// The second; equal to the first when the device has one certificate.
        secondary: String,
    },
}

/// What to bring about on a hub, so that a device can live there.
#[derive(Debug, Clone, PartialEq)]
pub struct Placement {
    /// The hub to place the device on.
    pub hub: HubHostName,
    /// Its name there.
    pub device_id: DeviceId,
    /// What the hub will ask of it.
    pub credential: HubCredential,
    /// What it may become.
    pub capabilities: DeviceCapabilities,
    /// The twin it starts with, if it starts anew.
    pub initial_twin: InitialTwin,
    /// What to do with what is there already.
    pub manner: Manner,
}

/// How a placement treats what exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Manner {
    /// First assignment: create; a device of that name is taken over, its twin left alone.
    Create,
    /// The same hub again: keep the twin; renew credential and capabilities; create if missing.
    Keep,
    /// The same hub again, back to the initial state.
    Reset,
    /// From another hub, with twin and capabilities.
    Migrate {
        /// The hub it leaves, and its name there.
        from: (HubHostName, DeviceId),
    },
    /// From another hub, starting anew here.
    Move {
        /// The hub it leaves, and its name there.
        from: (HubHostName, DeviceId),
    },
}

impl Manner {
    /// The word for it in traces.
    pub fn name(&self) -> &'static str {
        match self {
            Manner::Create => "create",
            Manner::Keep => "keep",
            Manner::Reset => "reset",
            Manner::Migrate { .. } => "migrate",
            Manner::Move { .. } => "move",
        }
    }
}

/// What a hub did with a placement.
#[derive(Debug, Clone, PartialEq)]
pub enum Placed<W> {
    /// It is done, outside this store.
    Done,
    /// It is done once these are written, together with operation and registration.
    Writes(Vec<W>),
}

/// Why a hub did not place a device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlacementError {
    /// No such hub answers here.
    #[error("hub {0} is not known here")]
    UnknownHub(HubHostName),
    /// The hub refused for good.
    #[error("the hub refused the device: {0}")]
    Refused(String),
    /// The hub may accept later.
    #[error("the hub cannot be asked now: {0}")]
    Unavailable(String),
}

/// Makes, keeps, moves and resets devices on linked hubs. The engine sees hubs only through this.
pub trait HubRegistry: Send + Sync {
    /// A write of the hub's own records, to be committed with the registration.
    type Write: Send;

    /// Brings `placement` about, or says what must be written for it.
    fn place(
        &self,
        placement: &Placement,
    ) -> impl Future<Output = Result<Placed<Self::Write>, PlacementError>> + Send;
}
