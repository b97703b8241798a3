//! Why the road ended early, in the words of decision traces. What evidence lacks is said by the
//! checks themselves; here stands what only the driver knows.

use landfall_core::authentication::Verdict;
use landfall_core::error::Error;
use landfall_core::exchange::Exchange;
use landfall_core::id::{OperationId, RegistrationId};
use landfall_core::linked_hub::PlacementError;
use landfall_core::registration::RegistrationFailure;
use landfall_core::store::ReadError;
use landfall_core::trace::{Finding, Stage};

use super::TRIES;
use crate::backend::COME_BACK;
use crate::telemetry::Attempt;

pub(super) fn placement_failure(
    error: PlacementError,
    attempt: &mut Attempt,
) -> Result<RegistrationFailure, Error> {
    match error {
        PlacementError::UnknownHub(hub) => {
            attempt.note_finding(&Finding::new(
                "hub.unknown",
                format!("an embedded hub '{hub}'"),
                "no such hub in this server",
                "Link a hub that exists, or create it with `landfall service create`.",
            ));
            Ok(RegistrationFailure::HubNotLinked(hub))
        }
        PlacementError::Refused(reason) => {
            attempt.note_finding(&Finding::new(
                "hub.refused",
                "a device that the hub accepts",
                reason.clone(),
                "Correct what the hub refuses on the enrollment (initial twin, device id).",
            ));
            Ok(RegistrationFailure::HubRefused(reason))
        }
        PlacementError::Unavailable(cause) => Err(unavailable(Stage::Hub, &cause, attempt)),
    }
}

pub(super) fn unreadable(stage: Stage, error: &ReadError, attempt: &mut Attempt) -> Error {
    unavailable(stage, &error.to_string(), attempt)
}

pub(super) fn unavailable(stage: Stage, cause: &str, attempt: &mut Attempt) -> Error {
    tracing::error!(cause, tracking_id = %attempt.tracking_id(), "a registration could not be served");
    attempt.stop(
        stage,
        &Finding::new(
            "store.unavailable",
            "a store that answers",
            cause,
            "Look at /readyz, the free disk space and the database. The device was told to come back.",
        ),
    );
    Error::Unavailable(COME_BACK)
}

/// The budget of group searches is spent.
pub(super) fn searches_spent(groups: usize) -> Finding {
    Finding::new(
        "search.budget",
        format!("processor time of this id scope to hold a token against {groups} groups"),
        "it is spent for now, by this address or by many",
        "The device was told to come back. If honest devices meet this: fewer groups, individual enrollments, or a larger `limits.group_search_percent`.",
    )
}

pub(super) fn unknown_scope(exchange: &Exchange) -> Finding {
    Finding::new(
        "service.scope",
        "an id scope of this server",
        format!(
            "'{}', which no provisioning service here has",
            exchange.id_scope
        ),
        "Take the id scope from `landfall service list`.",
    )
}

pub(super) fn not_registered(id: &RegistrationId) -> Finding {
    Finding::new(
        "registration.none",
        format!("an earlier registration of '{id}'"),
        "none",
        "Register first.",
    )
}

pub(crate) fn disabled(verdict: &Verdict) -> Finding {
    Finding::new(
        "enrollment.disabled",
        "an enabled enrollment",
        format!("{} is disabled", verdict.attested.enrollment().spoken()),
        "Enable it with `--provisioning-status enabled`, if the device shall come in.",
    )
}

pub(super) fn contended(id: &RegistrationId) -> Finding {
    Finding::new(
        "record.contended",
        "an enrollment and a registration that stay still for a moment",
        format!("the records of '{id}' changed {TRIES} times during this attempt"),
        "Look for several devices that register under one id.",
    )
}

pub(super) fn unknown_operation(id: &RegistrationId, operation: &OperationId) -> Finding {
    Finding::new(
        "operation.unknown",
        format!("an operation of registration id '{id}'"),
        format!("no operation '{operation}' of this id: finished ones are kept for a while only"),
        "Register again; it gives a new operation id and the same hub.",
    )
}
