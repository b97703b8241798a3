//! What is counted of one attempt of a device: collected while it runs, counted once when it ends. Called by
//! `telemetry::Attempt`, which the road carries along anyway; the road itself knows no metric.

use std::sync::Arc;
use std::time::Duration;

use landfall_core::error::Error;
use landfall_core::registration::{Registration, RegistrationStatus, Substatus};
use landfall_core::trace;

use super::Metrics;
use super::label::{Asked, Judged, Label as _, Placement, Protocol, Stage, Unassigned};
use super::services::{HubCounts, ServiceCounts};

/// What is counted of one attempt.
#[derive(Debug, Default)]
pub struct Course {
    asked: Option<Asked>,
    protocol: Option<Protocol>,
    service: Option<Arc<ServiceCounts>>,
    spent: [Option<Duration>; Stage::COUNT],
    last: Duration,
    judged: Option<Judged>,
    ended: Option<Ended>,
}

/// How a registration ended, once it is durable.
#[derive(Debug, Clone)]
pub enum Ended {
    /// On a hub.
    Assigned(Arc<HubCounts>, Placement),
    /// On none.
    Unassigned(Unassigned),
}

impl Course {
    /// The attempt is a device's and asks this, by this protocol.
    pub fn asks(&mut self, asked: Asked, protocol: Protocol) {
        self.asked = Some(asked);
        self.protocol = Some(protocol);
    }

    /// The service that it is for is known.
    pub fn is_for(&mut self, service: Arc<ServiceCounts>) {
        self.service = Some(service);
    }

    /// The service that it is for.
    pub fn service(&self) -> Option<&Arc<ServiceCounts>> {
        self.service.as_ref()
    }

    /// A stage ended, so long after the attempt began. A stage that is gone through again takes as long as
    /// all its times together.
    pub fn reached(&mut self, stage: trace::Stage, at: Duration) {
        let took = at.saturating_sub(self.last);
        self.last = at;
        if let Some(stage) = measured(stage)
            && let Some(spent) = self.spent.get_mut(stage.place())
        {
            *spent = Some(spent.unwrap_or_default() + took);
        }
    }

    /// The evidence was held against an enrollment.
    pub fn judged(&mut self, judged: Judged) {
        self.judged = Some(judged);
    }

    /// What a registration that is about to be written is counted as.
    pub fn ending(&self, registration: &Registration) -> Option<Ended> {
        let ended = match (&registration.status, &registration.assignment) {
            (RegistrationStatus::Assigned, Some(assignment)) => {
                let hub = self.service.as_ref()?.hub(assignment.hub.as_str());
                Ended::Assigned(hub, placement(assignment.substatus))
            }
            (RegistrationStatus::Disabled, _) => Ended::Unassigned(Unassigned::Disabled),
            (RegistrationStatus::Failed(_) | RegistrationStatus::Assigned, _) => {
                Ended::Unassigned(Unassigned::Failed)
            }
        };
        Some(ended)
    }

    /// The registration is durable.
    pub fn ends(&mut self, ended: Option<Ended>) {
        self.ended = ended;
    }

    /// Counts all of it: once, at the attempt's end.
    pub fn count(&self, error: Option<&Error>, metrics: &Metrics) {
        if let Some(Ended::Assigned(hub, placement)) = &self.ended {
            hub.placements.count((*placement,));
        }
        let Some(asked) = self.asked else { return };
        metrics.answers.take_span((asked,), self.last);
        if asked == Asked::Register {
            self.count_registration(error, metrics);
        }
    }

    fn count_registration(&self, error: Option<&Error>, metrics: &Metrics) {
        for (stage, spent) in Stage::ALL.iter().zip(&self.spent) {
            if let Some(spent) = spent {
                metrics.stages.take_span((*stage,), *spent);
            }
        }
        let service = self.service.as_ref().unwrap_or(metrics.services.unknown());
        let protocol = self.protocol.unwrap_or(Protocol::Https);
        if let Some(judged) = self.judged {
            service.judged.count((protocol, judged));
        }
        match (error, &self.ended) {
            (Some(error), _) => service.unassigned.count((protocol, kind(error))),
            (None, Some(Ended::Assigned(hub, _))) => hub.assigned.count((protocol,)),
            (None, Some(Ended::Unassigned(why))) => service.unassigned.count((protocol, *why)),
            (None, None) => service.unassigned.count((protocol, Unassigned::Failed)),
        }
    }
}

fn measured(stage: trace::Stage) -> Option<Stage> {
    Some(match stage {
        trace::Stage::Transport => return None,
        trace::Stage::Request => Stage::Request,
        trace::Stage::Service => Stage::Service,
        trace::Stage::Enrollment => Stage::Enrollment,
        trace::Stage::Attestation => Stage::Attestation,
        trace::Stage::Allocation => Stage::Allocation,
        trace::Stage::Hub => Stage::Hub,
        trace::Stage::Record => Stage::Record,
        trace::Stage::Answer => Stage::Answer,
    })
}

fn placement(substatus: Substatus) -> Placement {
    match substatus {
        Substatus::InitialAssignment => Placement::Initial,
        Substatus::DeviceDataMigrated => Placement::Migrated,
        Substatus::DeviceDataReset => Placement::Reset,
        Substatus::ReprovisionedToInitialAssignment => Placement::Returned,
    }
}

/// What an attempt that was answered with an error is counted as.
fn kind(error: &Error) -> Unassigned {
    match error {
        Error::Unauthorized
        | Error::RightMissing(_)
        | Error::ServiceNotFound
        | Error::NotFound(_)
        | Error::OtherNotFound(_) => Unassigned::Refused,
        Error::Unreadable(_)
        | Error::ApiVersion(_)
        | Error::Invalid(_)
        | Error::MethodNotAllowed
        | Error::Exists(_)
        | Error::InUse(_)
        | Error::PreconditionFailed(_)
        | Error::MediaType(_)
        | Error::TooLarge(_) => Unassigned::Malformed,
        Error::Throttled(_) => Unassigned::Throttled,
        Error::Unavailable(_) | Error::Internal => Unassigned::Unavailable,
    }
}
