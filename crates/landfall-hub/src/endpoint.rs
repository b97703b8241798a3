//! What a session belongs to: a device, or one of its modules.

use std::fmt;

use landfall_core::id::{DeviceId, ModuleId};

/// A device or module, as messages and methods are addressed to it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Endpoint {
    /// The device.
    pub device: DeviceId,
    /// The module; none for the device itself.
    pub module: Option<ModuleId>,
}

impl Endpoint {
    /// A device itself.
    pub fn device(device: DeviceId) -> Self {
        Endpoint {
            device,
            module: None,
        }
    }

    /// The path that its tokens are made for, behind the hub's name.
    ///
    /// Source: docs/protocol/hub-api.md §2.1 [R].
    pub fn path(&self) -> String {
        match &self.module {
            None => format!("/devices/{}", self.device),
            Some(module) => format!("/devices/{}/modules/{module}", self.device),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.module {
            None => write!(f, "{}", self.device),
            Some(module) => write!(f, "{}/{module}", self.device),
        }
    }
}
