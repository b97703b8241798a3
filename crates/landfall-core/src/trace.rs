//! The reason for every answer: what one attempt passed, which check failed, and the likely fix.
//!
//! Only operators read traces. A device reads the public error and its tracking id.
//! Nothing here may hold a key, a token, a signature or a payload.

pub mod check;

use std::time::Duration;

use crate::clock::Timestamp;
use crate::id::{IdScope, OperationId, TrackingId};

/// Why one check refused, in words for an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The check, as a stable name of [`check::CHECKS`]: `sas.expired`, `x509.common_name`.
    pub check: &'static str,
    /// What the check wants.
    pub expected: String,
    /// What was there. Never a secret.
    pub seen: String,
    /// The likely fix.
    pub fix: String,
}

impl Finding {
    /// Makes a finding.
    pub fn new(
        check: &'static str,
        expected: impl Into<String>,
        seen: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Finding {
            check,
            expected: expected.into(),
            seen: seen.into(),
            fix: fix.into(),
        }
    }
}

/// The stages of one attempt, in the order of the road.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The TLS session and its client certificate.
    Transport,
    /// The request was read.
    Request,
    /// The id scope names a provisioning service.
    Service,
    /// An enrollment was found for the evidence.
    Enrollment,
    /// The evidence was checked against the enrollment.
    Attestation,
    /// A hub was picked.
    Allocation,
    /// The device was made, kept, moved or reset on its hub.
    Hub,
    /// Operation, registration and device were written.
    Record,
    /// The answer was given.
    Answer,
}

impl Stage {
    /// The stage's name as traces print it.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Transport => "transport",
            Stage::Request => "request",
            Stage::Service => "service",
            Stage::Enrollment => "enrollment",
            Stage::Attestation => "attestation",
            Stage::Allocation => "allocation",
            Stage::Hub => "hub",
            Stage::Record => "record",
            Stage::Answer => "answer",
        }
    }
}

/// A stage that an attempt passed or stopped at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    /// The stage, by [`Stage::name`].
    pub stage: String,
    /// When it was reached, counted from the attempt's start.
    pub at: Duration,
    /// What was decided there, in one line. Never a secret.
    pub note: String,
}

/// A finding as it is kept: the check's name is owned, since it may come from an older build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptFinding {
    /// See [`Finding::check`].
    pub check: String,
    /// See [`Finding::expected`].
    pub expected: String,
    /// See [`Finding::seen`].
    pub seen: String,
    /// See [`Finding::fix`].
    pub fix: String,
}

impl From<&Finding> for KeptFinding {
    fn from(finding: &Finding) -> Self {
        KeptFinding {
            check: finding.check.to_owned(),
            expected: finding.expected.clone(),
            seen: finding.seen.clone(),
            fix: finding.fix.clone(),
        }
    }
}

/// One attempt of a device, from its first byte to its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionTrace {
    /// The public name of the attempt.
    pub tracking_id: TrackingId,
    /// The service asked for, when the request named one that parses.
    pub id_scope: Option<IdScope>,
    /// The registration id as sent, cut to 128 characters; it may not be a valid one.
    pub registration_id: String,
    /// The operation that the attempt began or asked about.
    pub operation: Option<OperationId>,
    /// What the device asked: `register`, `operation status`, `status lookup`.
    pub action: String,
    /// What brought the request: `https`, later `mqtt`, `amqp`.
    pub protocol: String,
    /// Where the request came from.
    pub peer: String,
    /// When the attempt began.
    pub started: Timestamp,
    /// What was passed, in order.
    pub stages: Vec<Passage>,
    /// How it ended, in one line: `202 assigning`, `401002 Unauthorized`.
    pub outcome: String,
    /// The check that refused, when one did.
    pub finding: Option<KeptFinding>,
}
