//! The registration engine: one registration in progress, as a value. `next` says the step, the
//! `apply` methods move on with its outcome. It never awaits and asks nobody.

use crate::allocation::{self, Allocation};
use crate::attestation::{AttestationKind, Attested};
use crate::clock::Timestamp;
use crate::document::Document;
use crate::enrollment::{AllocationPolicy, EnrollmentTerms, ReprovisionPolicy};
use crate::id::{DeviceId, Etag, IdScope, OperationId, RegistrationId, TrackingId};
use crate::linked_hub::{HubCredential, LinkedHub, Placement};
use crate::registration::{
    Assignment, EnrollmentRef, Registration, RegistrationFailure, RegistrationStatus, Substatus,
    reprovision,
};

/// One registration in progress. Every value of it can be written down and continued elsewhere.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    /// Its public name.
    pub id: OperationId,
    /// The provisioning service it belongs to.
    pub id_scope: IdScope,
    /// Who registers, as spelt.
    pub registration_id: RegistrationId,
    /// The attempt that began it.
    pub tracking_id: TrackingId,
    /// How far it is.
    pub progress: Progress,
    /// When it began.
    pub created: Timestamp,
    /// When it last moved.
    pub updated: Timestamp,
}

/// How far an operation is.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress {
    /// Let in; no hub chosen.
    Accepted(Box<Admission>),
    /// A hub is chosen; the device is to be placed there.
    Allocated(Box<Admission>, Box<Placement>, Substatus),
    /// Ended, with the registration it left.
    Finished(Box<Registration>),
}

/// What an operation knows of its device, drawn once from the proof and the enrollment in force.
#[derive(Debug, Clone, PartialEq)]
pub struct Admission {
    /// The enrollment that let it in.
    pub enrollment: EnrollmentRef,
    /// How it proved itself.
    pub kind: AttestationKind,
    /// What the hub will ask of it.
    pub credential: HubCredential,
    /// Its name on the hub.
    pub device_id: DeviceId,
    /// What it gets.
    pub terms: EnrollmentTerms,
    /// What it sent for the webhook.
    pub payload: Option<Document>,
    /// What it had before.
    pub before: Option<Registration>,
}

/// What an operation needs done next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step<'a> {
    /// Choose a hub: [`Operation::allocate`].
    Allocate(&'a Admission),
    /// Place the device on its hub through the `HubRegistry`: [`Operation::placed`].
    Place(&'a Placement),
    /// Nothing: the operation ended with this registration.
    Nothing(&'a Registration),
}

impl Admission {
    /// Draws an admission from the proof and the terms in force.
    ///
    /// The stored reprovision policy, or what the caller's api version means without one, is fixed
    /// here, so that a continued operation does not depend on who continues it.
    pub fn new(
        attested: &Attested,
        mut terms: EnrollmentTerms,
        device_id: DeviceId,
        api_version: &str,
        payload: Option<Document>,
        before: Option<Registration>,
    ) -> Self {
        terms.reprovision = Some(reprovision::policy_in_force(terms.reprovision, api_version));
        Admission {
            enrollment: attested.enrollment().clone(),
            kind: attested.kind(),
            credential: attested.credential().clone(),
            device_id,
            terms,
            payload,
            before,
        }
    }

    fn reprovision(&self) -> ReprovisionPolicy {
        self.terms.reprovision.unwrap_or_default()
    }

    fn assignment_before(&self) -> Option<&Assignment> {
        self.before
            .as_ref()
            .and_then(|before| before.assignment.as_ref())
    }
}

impl Operation {
    /// Begins an operation for a device that was let in.
    pub fn begin(
        id: OperationId,
        id_scope: IdScope,
        registration_id: RegistrationId,
        tracking_id: TrackingId,
        admission: Admission,
        now: Timestamp,
    ) -> Self {
        Operation {
            id,
            id_scope,
            registration_id,
            tracking_id,
            progress: Progress::Accepted(Box::new(admission)),
            created: now,
            updated: now,
        }
    }

    /// What is to be done next.
    pub fn next(&self) -> Step<'_> {
        match &self.progress {
            Progress::Accepted(admission) => Step::Allocate(admission),
            Progress::Allocated(_, placement, _) => Step::Place(placement),
            Progress::Finished(registration) => Step::Nothing(registration),
        }
    }

    /// Chooses the hub and moves on. Gives the reason for the choice, for the trace.
    ///
    /// An operation that has a hub already stays as it is.
    pub fn allocate(
        self,
        default: AllocationPolicy,
        linked: &[LinkedHub],
        etag: Etag,
        now: Timestamp,
    ) -> (Self, String) {
        let Progress::Accepted(admission) = &self.progress else {
            return (self, "a hub was chosen already".to_owned());
        };
        match choose(admission, default, linked, &self.registration_id) {
            Ok(allocation) => {
                let reason = format!("{} ({})", allocation.hub, allocation.reason);
                let progress = place(admission.clone(), &allocation, &self.registration_id);
                (
                    Operation {
                        progress,
                        updated: now,
                        ..self
                    },
                    reason,
                )
            }
            Err(failure) => {
                let reason = failure.public();
                (self.failed(failure, etag, now), reason)
            }
        }
    }

    /// Ends the operation: the device lives on its hub.
    pub fn placed(self, etag: Etag, now: Timestamp) -> Self {
        let Progress::Allocated(admission, placement, substatus) = &self.progress else {
            return self;
        };
        let assignment = Assignment {
            hub: placement.hub.clone(),
            device_id: placement.device_id.clone(),
            substatus: *substatus,
        };
        let registration = self.registration(
            admission,
            RegistrationStatus::Assigned,
            Some(assignment),
            etag,
            now,
        );
        self.finished(registration, now)
    }

    /// Ends the operation without a hub; an earlier assignment stays on record.
    pub fn failed(self, failure: RegistrationFailure, etag: Etag, now: Timestamp) -> Self {
        self.ended(RegistrationStatus::Failed(failure), etag, now)
    }

    /// Ends the operation because its enrollment is disabled.
    pub fn disabled(self, etag: Etag, now: Timestamp) -> Self {
        self.ended(RegistrationStatus::Disabled, etag, now)
    }

    fn ended(self, status: RegistrationStatus, etag: Etag, now: Timestamp) -> Self {
        let admission = match &self.progress {
            Progress::Accepted(admission) | Progress::Allocated(admission, _, _) => admission,
            Progress::Finished(_) => return self,
        };
        let before = admission.assignment_before().cloned();
        let registration = self.registration(admission, status, before, etag, now);
        self.finished(registration, now)
    }

    fn finished(self, registration: Registration, now: Timestamp) -> Self {
        Operation {
            progress: Progress::Finished(Box::new(registration)),
            updated: now,
            ..self
        }
    }

    fn registration(
        &self,
        admission: &Admission,
        status: RegistrationStatus,
        assignment: Option<Assignment>,
        etag: Etag,
        now: Timestamp,
    ) -> Registration {
        Registration {
            registration_id: self.registration_id.clone(),
            enrollment: admission.enrollment.clone(),
            kind: admission.kind,
            status,
            assignment,
            payload: None,
            etag,
            created: admission
                .before
                .as_ref()
                .map_or(now, |before| before.created),
            updated: now,
        }
    }
}

/// The hub for this admission: the recorded one when the policy says never, else a new choice.
fn choose(
    admission: &Admission,
    default: AllocationPolicy,
    linked: &[LinkedHub],
    registration_id: &RegistrationId,
) -> Result<Allocation, RegistrationFailure> {
    match admission.assignment_before() {
        Some(before) if !admission.reprovision().update_hub_assignment => {
            let hub = allocation::find(&before.hub, linked)?;
            let reason = "kept: the reprovision policy never moves a device".to_owned();
            Ok(Allocation {
                hub: hub.host_name.clone(),
                reason,
            })
        }
        _ => allocation::allocate(&admission.terms, default, linked, registration_id),
    }
}

/// The placement that brings an allocation about.
fn place(
    admission: Box<Admission>,
    allocation: &Allocation,
    registration_id: &RegistrationId,
) -> Progress {
    let before = admission.assignment_before();
    // Registration ids ignore case and device ids do not: a device named after its registration id
    // keeps its name when it spells the id otherwise.
    let respelt = |before: &Assignment| {
        admission.device_id.as_str() == registration_id.as_str()
            && before
                .device_id
                .as_str()
                .eq_ignore_ascii_case(registration_id.as_str())
    };
    // "Never" keeps the recorded identity, even when the enrollment names another device id by now.
    let device_id = match before {
        Some(before) if !admission.reprovision().update_hub_assignment || respelt(before) => {
            before.device_id.clone()
        }
        _ => admission.device_id.clone(),
    };
    let (manner, substatus) =
        reprovision::manner(before, admission.reprovision(), &allocation.hub, &device_id);
    let placement = Placement {
        hub: allocation.hub.clone(),
        device_id,
        credential: admission.credential.clone(),
        capabilities: admission.terms.capabilities,
        initial_twin: admission.terms.initial_twin.clone().unwrap_or_default(),
        manner,
    };
    Progress::Allocated(admission, Box::new(placement), substatus)
}

#[cfg(test)]
mod tests;
