//! How what changes at a hub reaches who is connected: the port through which notices go, and what servers that
//! share a database hand to each other. How a session is told is not known here.

use std::time::Duration;

use landfall_core::id::HubHostName;

use crate::endpoint::Endpoint;

/// How long what one server hands to another is worth being taken. A server that is away for longer finds its
/// sessions ended.
pub const RELAYED_FOR: Duration = Duration::from_secs(600);

/// What a connected device or module is to hear of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// Its desired properties changed: to this version, by this change as JSON.
    Desired(i64, String),
    /// A message from the cloud waits for it.
    Messages,
    /// Its session ends, and those of a device's modules with it: it was changed or removed, or has another
    /// session.
    Ended,
}

/// Tells sessions.
pub trait Relay: Send + Sync {
    /// Tells the session of an endpoint, if this server has it. What it does not take in time ends it.
    fn tell(&self, hub: &HubHostName, endpoint: &Endpoint, notice: &Notice);
}

/// Tells nobody: for whoever changes records of devices that cannot be connected.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nobody;

impl Relay for Nobody {
    fn tell(&self, _: &HubHostName, _: &Endpoint, _: &Notice) {}
}

/// A method that another server is to have carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayedCall {
    /// The server that waits for the answer.
    pub asker: String,
    /// Names the call to its asker.
    pub call: String,
    /// The method.
    pub name: String,
    /// What it is called with, as JSON.
    pub payload: String,
    /// How long the answer may take.
    pub within: Duration,
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayedAnswer {
    /// Names the call to its asker.
    pub call: String,
    /// Status and payload; none when nobody was there that takes methods.
    pub outcome: Option<(i64, Vec<u8>)>,
}

/// What one server hands to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Relayed {
    /// For a session, which then had this epoch.
    Notice(HubHostName, Endpoint, i64, Notice),
    /// A method for whoever is connected.
    Call(HubHostName, Endpoint, RelayedCall),
    /// What came of a method.
    Answer(RelayedAnswer),
}
