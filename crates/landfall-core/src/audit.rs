//! Who answers for a change: what an operator's request shows of its sender, kept with the change.
//!
//! Faces make an [`Origin`] of each request and an [`Author`] once they know who asks. A change that
//! carries one is kept with its audit entry in the same commit; a device's changes carry none.

use std::net::IpAddr;

use crate::clock::{Entropy, Timestamp};
use crate::id::{HubHostName, IdScope, PolicyName, TrackingId};

/// By what right a change was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// A shared access policy of a provisioning service.
    ServicePolicy(IdScope, PolicyName),
    /// A shared access policy of an embedded hub.
    HubPolicy(HubHostName, PolicyName),
    /// The token of the control plane.
    ControlToken,
    /// The server itself: what it founds when it starts.
    Server,
    /// A command that worked on the database without a server.
    CommandLine,
}

/// One request of an operator: where it came from, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// When it came.
    pub at: Timestamp,
    /// The address it came from; none when it came from no other process.
    pub address: Option<IpAddr>,
    /// Its public name. Several entries have it when one request changed several records.
    pub tracking_id: TrackingId,
}

impl Origin {
    /// The origin of what no other process asked for.
    pub fn own(at: Timestamp, entropy: &dyn Entropy) -> Self {
        Origin {
            at,
            address: None,
            tracking_id: TrackingId::draw(entropy),
        }
    }

    /// The author of what this request changes.
    pub fn author(&self, actor: Actor) -> Author {
        Author {
            actor,
            origin: self.clone(),
            bulk: false,
        }
    }
}

/// Whoever answers for a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// By what right.
    pub actor: Actor,
    /// From where, and when.
    pub origin: Origin,
    /// True when the change is one of many that one call asked for: they share an entry.
    pub bulk: bool,
}

impl Author {
    /// The server itself, at a time.
    pub fn server(at: Timestamp, entropy: &dyn Entropy) -> Self {
        Origin::own(at, entropy).author(Actor::Server)
    }

    /// This author, for a change that is one of many of the same call.
    pub fn of_bulk(&self) -> Self {
        Author {
            bulk: true,
            ..self.clone()
        }
    }
}
