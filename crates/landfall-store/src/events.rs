//! Events of embedded hubs: numbered as they are kept, read in bounded pages, dropped from the oldest on.
//!
//! The numbers of a hub have no gaps: what fails to be committed leaves its count as it was. Servers that
//! share a database add events in turns (`Turn::Numbering`).

use landfall_core::clock::Timestamp;
use landfall_core::id::HubHostName;
use landfall_core::store::CommitError;
use landfall_hub::endpoint::Endpoint;
use landfall_hub::event::{EventEnds, EventKind, EventLimit, HubEvent, KeptEvent};

use crate::dialect::{Fault, Read, Row, Session, Value};
use crate::hubs;
use crate::record::{from_text, id, to_text, word};
use crate::secret::Sealer;

const TABLE: &str = "hub_events";

/// Keeps an event.
const PUT: &str =
    "INSERT INTO hub_events (hub, sequence, enqueued, device, module, kind, properties, body)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";

/// Keeps many events, each by its [`row`].
pub(crate) const PUT_MANY: &str =
    "INSERT INTO hub_events (hub, sequence, enqueued, device, module, kind, properties, body)
     SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[], $5::text[],
       $6::text[], $7::text[], $8::bytea[])";

/// Keeps how many events many hubs had.
pub(crate) const COUNT_MANY: &str = "INSERT INTO hub_event_counts (hub, newest)
     SELECT * FROM unnest($1::text[], $2::bigint[])
     ON CONFLICT (hub) DO UPDATE SET newest = excluded.newest";

/// The columns of an event.
pub(crate) fn row<'a>(
    hub: &'a HubHostName,
    sequence: i64,
    event: &'a HubEvent,
) -> Result<[Value<'a>; 8], Fault> {
    let properties: Vec<(&str, Option<&str>)> = event
        .properties
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_deref()))
        .collect();
    let properties: Value<'a> = if properties.is_empty() {
        "[]".into()
    } else {
        to_text(&properties)?.into()
    };
    let module = event.endpoint.module.as_ref();
    Ok([
        hub.key().into(),
        sequence.into(),
        event.enqueued.unix_micros().into(),
        event.endpoint.device.as_str().into(),
        module.map_or("", |module| module.as_str()).into(),
        word(&event.kind).into(),
        properties,
        Some(event.body.as_slice()).into(),
    ])
}

/// Keeps an event under a number.
pub(crate) fn put(
    session: &Session,
    hub: &HubHostName,
    sequence: i64,
    event: &HubEvent,
) -> Result<(), Fault> {
    session.execute(PUT, &row(hub, sequence, event)?)?;
    Ok(())
}

/// Keeps an event under the next number of its hub.
pub(crate) fn append(session: &Session, hub: &HubHostName, event: &HubEvent) -> Result<(), Fault> {
    let sequence = newest(session, hub)?.saturating_add(1);
    keep_count(session, hub, sequence)?;
    put(session, hub, sequence, event)
}

/// How many events a hub had so far.
///
/// # Errors
/// A refusal when it is not there.
pub(crate) fn newest(session: &Session, hub: &HubHostName) -> Result<i64, Fault> {
    let newest = session.first(
        "SELECT COALESCE((SELECT newest FROM hub_event_counts WHERE hub = $1), 0)
         FROM hubs WHERE hub = $1",
        &[hub.key().into()],
        |row| row.integer(0),
    )?;
    newest.ok_or_else(|| absent(hub))
}

/// What is said when the hub of an event is not there.
pub(crate) fn absent(hub: &HubHostName) -> Fault {
    Fault::Refused(CommitError::Absent(hubs::spoken(hub)))
}

/// Keeps how many events a hub had.
pub(crate) fn keep_count(session: &Session, hub: &HubHostName, newest: i64) -> Result<(), Fault> {
    session.execute(
        "INSERT INTO hub_event_counts (hub, newest) VALUES ($1, $2)
         ON CONFLICT (hub) DO UPDATE SET newest = excluded.newest",
        &[hub.key().into(), newest.into()],
    )?;
    Ok(())
}

/// The events after a number, within a limit. How large they are is asked first, so that no more of them are
/// looked at than are given.
pub(crate) fn after(hub: &HubHostName, after: i64, limit: EventLimit) -> Read<'_, KeptEvent> {
    let bound = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    Read::new(
        "SELECT e.sequence, e.enqueued, e.device, e.module, e.kind, e.properties, e.body
         FROM (SELECT s.sequence, SUM(s.size) OVER (ORDER BY s.sequence) - s.size AS before
               FROM (SELECT sequence, LENGTH(body) + LENGTH(properties) AS size FROM hub_events
                     WHERE hub = $1 AND sequence > $2 ORDER BY sequence LIMIT $3) s) f
           JOIN hub_events e ON e.hub = $1 AND e.sequence = f.sequence
         WHERE f.before < $4 ORDER BY e.sequence",
        vec![
            hub.key().into(),
            after.into(),
            bound(limit.events).into(),
            bound(limit.bytes).into(),
        ],
        decode,
    )
}

fn decode(row: &Row<'_>, _: &Sealer) -> Result<KeptEvent, Fault> {
    let module = match row.text(3)? {
        "" => None,
        text => Some(id(text)?),
    };
    let kind: EventKind = id(row.text(4)?)?;
    Ok(KeptEvent {
        sequence: row.integer(0)?,
        event: HubEvent {
            endpoint: Endpoint {
                device: id(row.text(2)?)?,
                module,
            },
            kind,
            enqueued: Timestamp::from_unix_micros(row.integer(1)?),
            properties: from_text(TABLE, row.text(5)?)?,
            body: row.bytes(6)?.unwrap_or_default().to_vec(),
        },
    })
}

/// Which events of a hub there are.
pub(crate) fn ends(hub: &HubHostName) -> Read<'_, EventEnds> {
    Read::new(
        "SELECT COALESCE((SELECT newest FROM hub_event_counts WHERE hub = $1), 0),
                COALESCE((SELECT MIN(sequence) FROM hub_events WHERE hub = $1), 0)",
        vec![hub.key().into()],
        |row, _| {
            let (newest, oldest) = (row.integer(0)?, row.integer(1)?);
            let oldest = if oldest > 0 { oldest } else { newest + 1 };
            Ok(EventEnds { oldest, newest })
        },
    )
}

/// Drops the oldest events of every hub: those of before `before`, with what stands before them, and all but
/// the newest `most`; of each hub at most `limit`. Gives how many.
pub(crate) fn purge(
    session: &Session,
    before: Timestamp,
    most: u64,
    limit: usize,
) -> Result<usize, Fault> {
    let (most, limit) = (
        i64::try_from(most).unwrap_or(i64::MAX),
        i64::try_from(limit).unwrap_or(i64::MAX),
    );
    let hubs = session.every(
        "SELECT c.hub, c.newest,
           COALESCE((SELECT MIN(sequence) FROM hub_events e WHERE e.hub = c.hub), 0)
         FROM hub_event_counts c ORDER BY c.hub",
        &[],
        |row| Ok((row.text(0)?.to_owned(), row.integer(1)?, row.integer(2)?)),
    )?;
    let mut gone = 0;
    for (hub, newest, oldest) in hubs {
        if oldest == 0 {
            continue;
        }
        let last = oldest.saturating_add(limit).saturating_sub(1);
        let old = session.first(
            "SELECT COALESCE(MAX(sequence), 0) FROM hub_events
             WHERE hub = $1 AND sequence <= $2 AND enqueued < $3",
            &[
                hub.as_str().into(),
                last.into(),
                before.unix_micros().into(),
            ],
            |row| row.integer(0),
        )?;
        let many = newest.saturating_sub(most).min(last);
        let until = old.unwrap_or(0).max(many);
        if until >= oldest {
            gone += session.execute(
                "DELETE FROM hub_events WHERE hub = $1 AND sequence <= $2",
                &[hub.as_str().into(), until.into()],
            )?;
        }
    }
    Ok(gone)
}
