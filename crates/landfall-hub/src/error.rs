//! What can go wrong on a hub, by what a caller can do about it. Status codes and error names are
//! not known here: `landfall-wire/fault/hub.rs` gives each variant its row.

use crate::endpoint::Endpoint;
use landfall_core::id::{DeviceId, IdError, ModuleId};
use landfall_core::store::ReadError;
use landfall_core::twin::TwinError;

/// Why a request to a hub was not carried out. `Display` is what the caller may read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HubError {
    /// No hub answers to the name asked for.
    #[error("No hub answers to this name")]
    HubNotFound,
    /// The device is not there.
    #[error("Device {0} not registered")]
    DeviceNotFound(DeviceId),
    /// The device is there, the module is not.
    #[error("Module {1} is not registered on device {0}")]
    ModuleNotFound(DeviceId, ModuleId),
    /// A device of that name is there already.
    #[error("A device with ID '{0}' is already registered")]
    DeviceExists(DeviceId),
    /// A module of that name is there already.
    #[error("A module with ID '{1}' is already registered on device '{0}'")]
    ModuleExists(DeviceId, ModuleId),
    /// The record is not in the state the caller knows.
    #[error("{0} has changed: the etag does not match")]
    PreconditionFailed(String),
    /// The request is readable and breaks a rule.
    #[error("{0}")]
    ArgumentInvalid(String),
    /// Something the request needs is not there.
    #[error("{0}")]
    ArgumentNull(String),
    /// The body cannot be read at all.
    #[error("{0}")]
    Unreadable(String),
    /// The api version is missing or malformed.
    #[error("{0}")]
    ApiVersion(String),
    /// The path is known and the method is not.
    #[error("The method is not allowed on this path")]
    MethodNotAllowed,
    /// A call of the hub API that this build does not serve.
    #[error("This build does not serve {0} yet")]
    NotServed(String),
    /// The caller did not prove that it holds a key with the permission needed.
    #[error("Unauthorized: {0}")]
    Unauthorized(String),
    /// The request names more items than one call may.
    #[error("{0}")]
    TooManyDevices(String),
    /// The device has as many modules as a device may.
    #[error("Device {0} has the most modules a device may have, {1}")]
    TooManyModules(DeviceId, usize),
    /// A part of the body is larger than its limit.
    #[error("{0}")]
    TooLarge(String),
    /// The device or module is not connected, or does not take methods.
    #[error("{0} is not online")]
    NotOnline(Endpoint),
    /// As many messages wait for the device or module as may.
    #[error("As many messages wait for {0} as may")]
    QueueFull(Endpoint),
    /// What a message was locked by is over.
    #[error("The lock of this message is over")]
    LockLost,
    /// The device or module did not answer in time.
    #[error("{0} did not answer in time")]
    NoAnswer(Endpoint),
    /// The hub cannot answer now. The cause is for the log only.
    #[error("The hub cannot answer now")]
    Unavailable(String),
    /// A fault of the server. The cause is for the log only.
    #[error("Internal error")]
    Internal(String),
}

impl From<ReadError> for HubError {
    fn from(error: ReadError) -> Self {
        HubError::Unavailable(error.0)
    }
}

impl From<TwinError> for HubError {
    /// Source: docs/protocol/hub-api.md §1.6 [I]: a document over its size is too large, anything
    /// else about it invalid.
    fn from(error: TwinError) -> Self {
        let text = format!("The twin is not valid: {error}");
        match error {
            TwinError::Size { .. } => HubError::TooLarge(text),
            _ => HubError::ArgumentInvalid(text),
        }
    }
}

impl From<IdError> for HubError {
    fn from(error: IdError) -> Self {
        HubError::ArgumentInvalid(error.to_string())
    }
}
