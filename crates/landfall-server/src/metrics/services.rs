//! What is counted for each provisioning service and each of its hubs. Both are named by operators, so there
//! are few; whatever names no service of this server is counted in one place.

use std::sync::Arc;

use landfall_core::service::ProvisioningService;

use super::instrument::{Counter, Counters};
use super::label::{Judged, Placement, Protocol, Search, Unassigned};
use super::shelf::Shelf;

/// The name of whatever names no service of this server.
pub const UNKNOWN: &str = "(unknown)";

/// Most services that are counted apart.
pub const MOST_SERVICES: usize = 1000;
/// Most hubs of one service that are counted apart; it can be linked to 50 at once.
pub const MOST_HUBS: usize = 200;

/// The services that were asked for.
#[derive(Debug)]
pub struct Services {
    known: Shelf<ServiceCounts>,
    unknown: Arc<ServiceCounts>,
}

/// What is counted for one service.
#[derive(Debug)]
pub struct ServiceCounts {
    /// Attempts to register that ended without a hub.
    pub unassigned: Counters<(Protocol, Unassigned)>,
    /// Evidence that was judged.
    pub judged: Counters<(Protocol, Judged)>,
    /// Searches among many groups.
    pub searches: Counters<(Search,)>,
    /// Their processor time, in nanoseconds.
    pub search_cpu: Counter,
    hubs: Shelf<HubCounts>,
}

/// What is counted for one hub of one service.
#[derive(Debug, Default)]
pub struct HubCounts {
    /// Attempts to register that ended here.
    pub assigned: Counters<(Protocol,)>,
    /// How devices came here.
    pub placements: Counters<(Placement,)>,
}

impl Default for ServiceCounts {
    fn default() -> Self {
        ServiceCounts {
            unassigned: Counters::default(),
            judged: Counters::default(),
            searches: Counters::default(),
            search_cpu: Counter::default(),
            hubs: Shelf::new(MOST_HUBS),
        }
    }
}

impl ServiceCounts {
    /// What is counted for a hub.
    pub fn hub(&self, host_name: &str) -> Arc<HubCounts> {
        self.hubs.of(host_name)
    }

    /// Every hub with its name.
    pub fn hubs(&self) -> Vec<(String, Arc<HubCounts>)> {
        self.hubs.each()
    }
}

impl Default for Services {
    fn default() -> Self {
        Services {
            known: Shelf::new(MOST_SERVICES),
            unknown: Arc::default(),
        }
    }
}

impl Services {
    /// What is counted for a service of this server.
    pub fn of(&self, name: &str) -> Arc<ServiceCounts> {
        self.known.of(name)
    }

    /// Counts a service and its hubs from nothing, so that their first event is seen as one and not as where
    /// they began.
    pub fn expect(&self, service: &ProvisioningService) {
        let counts = self.of(service.name.as_str());
        for hub in &service.linked_hubs {
            counts.hub(hub.host_name.as_str());
        }
    }

    /// What is counted for whoever names none.
    pub fn unknown(&self) -> &Arc<ServiceCounts> {
        &self.unknown
    }

    /// Every service with its name.
    pub fn each(&self) -> Vec<(String, Arc<ServiceCounts>)> {
        let mut all = vec![(UNKNOWN.to_owned(), Arc::clone(&self.unknown))];
        all.extend(self.known.each());
        all
    }
}

#[cfg(test)]
mod tests {
    use landfall_core::id::ServiceName;

    use super::super::shelf::OTHER;
    use super::*;

    #[test]
    fn no_service_can_be_named_like_what_is_none() {
        assert!(ServiceName::parse(UNKNOWN).is_err());
        assert!(ServiceName::parse(OTHER).is_err());
    }
}
