//! What a device asked, whatever brought it here. Three transports meet in this one value.

use crate::attestation::Evidence;
use crate::document::Document;
use crate::id::{IdScope, OperationId, RegistrationId};

/// One request of a device to the device API.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// The provisioning service asked for.
    pub id_scope: IdScope,
    /// Who asks, as spelt in the request.
    pub registration_id: RegistrationId,
    /// What is asked.
    pub action: Action,
    /// What the device shows of itself.
    pub evidence: Evidence,
    /// The api version it speaks, as sent.
    pub api_version: String,
    /// What brought it: `https`.
    pub protocol: &'static str,
}

/// What a device may ask of the device API.
#[derive(Debug, Clone)]
pub enum Action {
    /// Register; with a payload for custom allocation.
    Register {
        /// Any JSON value the device sent for the webhook.
        payload: Option<Document>,
    },
    /// How far is this operation?
    OperationStatus(OperationId),
    /// What is my registration state?
    StatusLookup,
}

impl Action {
    /// The action's name in traces.
    pub fn name(&self) -> &'static str {
        match self {
            Action::Register { .. } => "register",
            Action::OperationStatus(_) => "operation status",
            Action::StatusLookup => "status lookup",
        }
    }
}
