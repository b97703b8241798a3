//! Decision traces: kept within bounds of age and number, read by tracking id or by device.

use std::time::Duration;

use landfall_core::clock::Timestamp;
use landfall_core::id::{IdScope, OperationId, TrackingId};
use landfall_core::trace::{DecisionTrace, KeptFinding, Passage};
use serde::{Deserialize, Serialize};

use crate::dialect::{Fault, Read, Row, Session};
use crate::record::{AsText, Micros, Version, from_text, to_text};
use crate::secret::Sealer;

#[derive(Debug, Serialize, Deserialize)]
struct FindingRecord {
    check: String,
    expected: String,
    seen: String,
    fix: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct TraceRecord {
    v: Version,
    tracking_id: AsText<TrackingId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id_scope: Option<AsText<IdScope>>,
    registration_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    operation: Option<AsText<OperationId>>,
    action: String,
    protocol: String,
    peer: String,
    started: Micros,
    /// Stage, nanoseconds since the start, note.
    stages: Vec<(String, u64, String)>,
    outcome: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    finding: Option<FindingRecord>,
}

/// The trace with a tracking id.
pub(crate) fn one(id: &TrackingId) -> Read<'_, DecisionTrace> {
    Read::new(
        "SELECT record FROM traces WHERE tracking_id = $1",
        vec![id.as_str().into()],
        decode,
    )
}

/// The last traces of a registration id, newest first.
pub(crate) fn of_registration<'a>(
    scope: &'a IdScope,
    registration_id: &str,
    limit: usize,
) -> Read<'a, DecisionTrace> {
    Read::new(
        "SELECT record FROM traces WHERE scope = $1 AND registration_key = $2
         ORDER BY started DESC, tracking_id DESC LIMIT $3",
        vec![
            scope.key().into(),
            key_of(registration_id).into(),
            i64::try_from(limit).unwrap_or(i64::MAX).into(),
        ],
        decode,
    )
}

/// What a device sent as its id may hold anything; a NUL cannot stand in a text column.
fn key_of(registration_id: &str) -> String {
    registration_id
        .to_ascii_lowercase()
        .replace('\0', "\u{fffd}")
}

fn decode(row: &Row<'_>, _: &Sealer) -> Result<DecisionTrace, Fault> {
    let record: TraceRecord = from_text("traces", row.text(0)?)?;
    Ok(DecisionTrace {
        tracking_id: record.tracking_id.0,
        id_scope: record.id_scope.map(|scope| scope.0),
        registration_id: record.registration_id,
        operation: record.operation.map(|id| id.0),
        action: record.action,
        protocol: record.protocol,
        peer: record.peer,
        started: record.started.into(),
        stages: record
            .stages
            .into_iter()
            .map(|(stage, nanos, note)| Passage {
                stage,
                at: Duration::from_nanos(nanos),
                note,
            })
            .collect(),
        outcome: record.outcome,
        finding: record.finding.map(|finding| KeptFinding {
            check: finding.check,
            expected: finding.expected,
            seen: finding.seen,
            fix: finding.fix,
        }),
    })
}

/// Keeps traces; drops those begun before `oldest`, and the oldest past `most`. `kept` is how many
/// there are, when that is known; gives how many there are afterwards.
pub(crate) fn keep(
    session: &Session,
    traces: &[DecisionTrace],
    oldest: Timestamp,
    most: usize,
    kept: Option<i64>,
) -> Result<i64, Fault> {
    let mut kept = match kept {
        Some(kept) => kept,
        None => count(session)?,
    };
    for trace in traces.iter().filter(|trace| trace.started >= oldest) {
        kept += put(session, trace)?;
    }
    kept -= signed(session.execute(
        "DELETE FROM traces WHERE started < $1",
        &[oldest.unix_micros().into()],
    )?);
    let past = kept - i64::try_from(most).unwrap_or(i64::MAX);
    if past > 0 {
        kept -= signed(session.execute(
            "DELETE FROM traces WHERE tracking_id IN
               (SELECT tracking_id FROM traces ORDER BY started, tracking_id LIMIT $1)",
            &[past.into()],
        )?);
    }
    Ok(kept)
}

fn count(session: &Session) -> Result<i64, Fault> {
    let count = session.first("SELECT COUNT(*) FROM traces", &[], |row| row.integer(0))?;
    Ok(count.unwrap_or(0))
}

fn signed(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

/// Gives 1 for a trace that was not there, 0 for one that was replaced.
fn put(session: &Session, trace: &DecisionTrace) -> Result<i64, Fault> {
    let record = to_text(&TraceRecord {
        v: Version,
        tracking_id: AsText(trace.tracking_id.clone()),
        id_scope: trace.id_scope.clone().map(AsText),
        registration_id: trace.registration_id.clone(),
        operation: trace.operation.clone().map(AsText),
        action: trace.action.clone(),
        protocol: trace.protocol.clone(),
        peer: trace.peer.clone(),
        started: trace.started.into(),
        stages: trace
            .stages
            .iter()
            .map(|passage| {
                let nanos = u64::try_from(passage.at.as_nanos()).unwrap_or(u64::MAX);
                (passage.stage.clone(), nanos, passage.note.clone())
            })
            .collect(),
        outcome: trace.outcome.clone(),
        finding: trace.finding.as_ref().map(|finding| FindingRecord {
            check: finding.check.clone(),
            expected: finding.expected.clone(),
            seen: finding.seen.clone(),
            fix: finding.fix.clone(),
        }),
    })?;
    let row = [
        trace.tracking_id.as_str().into(),
        trace.id_scope.as_ref().map_or("", IdScope::key).into(),
        key_of(&trace.registration_id).into(),
        trace.started.unix_micros().into(),
        record.into(),
    ];
    let added = session.execute(
        "INSERT INTO traces (tracking_id, scope, registration_key, started, record)
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT (tracking_id) DO NOTHING",
        &row,
    )?;
    if added == 0 {
        session.execute(
            "INSERT INTO traces (tracking_id, scope, registration_key, started, record)
             VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (tracking_id) DO UPDATE SET scope = excluded.scope,
               registration_key = excluded.registration_key, started = excluded.started,
               record = excluded.record",
            &row,
        )?;
    }
    Ok(signed(added))
}
