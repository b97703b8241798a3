//! Messages that wait for devices and modules of embedded hubs: queued within bounds, read while they wait,
//! dropped when they are taken or wait no longer.

use landfall_core::clock::Timestamp;
use landfall_core::id::HubHostName;
use landfall_core::store::CommitError;
use landfall_hub::endpoint::Endpoint;
use landfall_hub::message::{Ack, CloudMessage, Lock, MOST_DELIVERIES, MOST_QUEUED, Settlement};
use serde::{Deserialize, Serialize};

use crate::devices::{spoken_device, spoken_module};
use crate::dialect::{Fault, Read, Row, Session, Value};
use crate::record::{AsText, Micros, Version, from_text, to_text};
use crate::secret::Sealer;

const TABLE: &str = "hub_messages";

/// A message without what stands in columns.
#[derive(Debug, Serialize, Deserialize)]
struct MessageRecord {
    v: Version,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    correlation_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content_encoding: Option<String>,
    ack: AsText<Ack>,
    enqueued: Micros,
    properties: Vec<(String, Option<String>)>,
}

impl MessageRecord {
    fn of(message: &CloudMessage) -> Self {
        MessageRecord {
            v: Version,
            message_id: message.message_id.clone(),
            correlation_id: message.correlation_id.clone(),
            user_id: message.user_id.clone(),
            content_type: message.content_type.clone(),
            content_encoding: message.content_encoding.clone(),
            ack: AsText(message.ack),
            enqueued: message.enqueued.into(),
            properties: message.properties.clone(),
        }
    }
}

/// The columns that name an endpoint.
pub(crate) fn place<'a>(hub: &'a HubHostName, endpoint: &'a Endpoint) -> [Value<'a>; 3] {
    let module = endpoint.module.as_ref();
    [
        hub.key().into(),
        endpoint.device.as_str().into(),
        module.map_or("", |module| module.as_str()).into(),
    ]
}

/// Holds that an endpoint is there.
pub(crate) fn hold_endpoint(
    session: &Session,
    hub: &HubHostName,
    endpoint: &Endpoint,
) -> Result<(), Fault> {
    let there = match &endpoint.module {
        None => session.first(
            "SELECT 1 FROM devices WHERE hub = $1 AND device = $2",
            &[hub.key().into(), endpoint.device.as_str().into()],
            |_| Ok(()),
        ),
        Some(_) => session.first(
            "SELECT 1 FROM modules WHERE hub = $1 AND device = $2 AND module = $3",
            &place(hub, endpoint),
            |_| Ok(()),
        ),
    };
    match there? {
        Some(()) => Ok(()),
        None => Err(Fault::Refused(CommitError::Absent(spoken(endpoint)))),
    }
}

/// Names an endpoint in errors.
pub(crate) fn spoken(endpoint: &Endpoint) -> String {
    match &endpoint.module {
        None => spoken_device(&endpoint.device),
        Some(module) => spoken_module(&endpoint.device, module),
    }
}

/// Queues a message under its hub's next number; gives that.
pub(crate) fn enqueue(
    session: &Session,
    hub: &HubHostName,
    endpoint: &Endpoint,
    message: &CloudMessage,
) -> Result<i64, Fault> {
    hold_endpoint(session, hub, endpoint)?;
    if waiting(session, hub, endpoint, message.enqueued)? >= MOST_QUEUED {
        let what = format!("the queue of {}", spoken(endpoint));
        return Err(Fault::Refused(CommitError::Full(what)));
    }
    let newest = session.first(
        "INSERT INTO hub_message_counts (hub, newest) VALUES ($1, 1)
         ON CONFLICT (hub) DO UPDATE SET newest = hub_message_counts.newest + 1
         RETURNING newest",
        &[hub.key().into()],
        |row| row.integer(0),
    )?;
    let sequence = newest.unwrap_or(1);
    let [hub_key, device, module] = place(hub, endpoint);
    session.execute(
        "INSERT INTO hub_messages
           (hub, device, module, sequence, expires, delivery_count, record, body)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        &[
            hub_key,
            device,
            module,
            sequence.into(),
            message.expires.unix_micros().into(),
            i64::from(message.delivery_count).into(),
            to_text(&MessageRecord::of(message))?.into(),
            Some(message.body.as_slice()).into(),
        ],
    )?;
    Ok(sequence)
}

/// How many messages wait for an endpoint.
fn waiting(
    session: &Session,
    hub: &HubHostName,
    endpoint: &Endpoint,
    now: Timestamp,
) -> Result<usize, Fault> {
    let [hub, device, module] = place(hub, endpoint);
    let waiting = session.first(
        "SELECT COUNT(*) FROM hub_messages
         WHERE hub = $1 AND device = $2 AND module = $3 AND expires > $4 AND delivery_count < $5",
        &[
            hub,
            device,
            module,
            now.unix_micros().into(),
            i64::from(MOST_DELIVERIES).into(),
        ],
        |row| row.integer(0),
    )?;
    Ok(usize::try_from(waiting.unwrap_or(0)).unwrap_or(usize::MAX))
}

/// Takes a message out of a queue.
pub(crate) fn remove(
    session: &Session,
    hub: &HubHostName,
    endpoint: &Endpoint,
    sequence: i64,
) -> Result<(), Fault> {
    let [hub, device, module] = place(hub, endpoint);
    session.execute(
        "DELETE FROM hub_messages
         WHERE hub = $1 AND device = $2 AND module = $3 AND sequence = $4",
        &[hub, device, module, sequence.into()],
    )?;
    Ok(())
}

/// Counts a delivery.
pub(crate) fn delivered(
    session: &Session,
    hub: &HubHostName,
    endpoint: &Endpoint,
    sequence: i64,
) -> Result<(), Fault> {
    let [hub, device, module] = place(hub, endpoint);
    session.execute(
        "UPDATE hub_messages SET delivery_count = delivery_count + 1
         WHERE hub = $1 AND device = $2 AND module = $3 AND sequence = $4",
        &[hub, device, module, sequence.into()],
    )?;
    Ok(())
}

/// Locks the first message that waits and is not locked, and counts a delivery of it.
pub(crate) fn lock(
    session: &Session,
    hub: &HubHostName,
    endpoint: &Endpoint,
    now: Timestamp,
    until: Timestamp,
) -> Result<Option<CloudMessage>, Fault> {
    hold_endpoint(session, hub, endpoint)?;
    let [hub_key, device, module] = place(hub, endpoint);
    session.first(
        "UPDATE hub_messages SET locked_until = $1, delivery_count = delivery_count + 1
         WHERE hub = $2 AND device = $3 AND module = $4 AND sequence =
           (SELECT sequence FROM hub_messages
            WHERE hub = $2 AND device = $3 AND module = $4 AND expires > $5
              AND delivery_count < $6 AND locked_until <= $5
            ORDER BY sequence LIMIT 1)
         RETURNING sequence, expires, delivery_count, record, body",
        &[
            until.unix_micros().into(),
            hub_key,
            device,
            module,
            now.unix_micros().into(),
            i64::from(MOST_DELIVERIES).into(),
        ],
        read,
    )
}

/// Takes a message that its endpoint locked out of its queue, or lets it wait again.
pub(crate) fn settle(
    session: &Session,
    hub: &HubHostName,
    endpoint: &Endpoint,
    lock: Lock,
    settlement: Settlement,
    now: Timestamp,
) -> Result<(), Fault> {
    let [hub_key, device, module] = place(hub, endpoint);
    let sql = match settlement {
        Settlement::Complete | Settlement::Reject => {
            "DELETE FROM hub_messages
             WHERE hub = $1 AND device = $2 AND module = $3 AND sequence = $4
               AND delivery_count = $5 AND locked_until > $6"
        }
        Settlement::Abandon => {
            "UPDATE hub_messages SET locked_until = 0
             WHERE hub = $1 AND device = $2 AND module = $3 AND sequence = $4
               AND delivery_count = $5 AND locked_until > $6"
        }
    };
    let held = session.execute(
        sql,
        &[
            hub_key,
            device,
            module,
            lock.sequence.into(),
            i64::from(lock.delivery).into(),
            now.unix_micros().into(),
        ],
    )?;
    if held > 0 {
        return Ok(());
    }
    let what = format!("the lock of a message of {}", spoken(endpoint));
    Err(Fault::Refused(CommitError::Changed(what)))
}

/// Empties a queue; gives how many waited.
pub(crate) fn clear(
    session: &Session,
    hub: &HubHostName,
    endpoint: &Endpoint,
    now: Timestamp,
) -> Result<usize, Fault> {
    let waited = waiting(session, hub, endpoint, now)?;
    session.execute(
        "DELETE FROM hub_messages WHERE hub = $1 AND device = $2 AND module = $3",
        &place(hub, endpoint),
    )?;
    Ok(waited)
}

/// Drops messages that wait no longer; gives how many.
pub(crate) fn purge(session: &Session, now: Timestamp, limit: usize) -> Result<usize, Fault> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let expired = session.execute(
        "DELETE FROM hub_messages WHERE (hub, device, module, sequence) IN
           (SELECT hub, device, module, sequence FROM hub_messages WHERE expires <= $1
            ORDER BY expires LIMIT $2)",
        &[now.unix_micros().into(), limit.into()],
    )?;
    // The condition stands as in the index.
    let given_up = session.execute(
        "DELETE FROM hub_messages WHERE (hub, device, module, sequence) IN
           (SELECT hub, device, module, sequence FROM hub_messages WHERE delivery_count >= 10
            ORDER BY sequence LIMIT $1)",
        &[limit.into()],
    )?;
    Ok(expired + given_up)
}

/// The messages that wait for an endpoint, after a number, in order.
pub(crate) fn after<'a>(
    hub: &'a HubHostName,
    endpoint: &'a Endpoint,
    after: i64,
    now: Timestamp,
    limit: usize,
) -> Read<'a, CloudMessage> {
    let [hub, device, module] = place(hub, endpoint);
    Read::new(
        "SELECT sequence, expires, delivery_count, record, body FROM hub_messages
         WHERE hub = $1 AND device = $2 AND module = $3 AND sequence > $4 AND expires > $5
           AND delivery_count < $6
         ORDER BY sequence LIMIT $7",
        vec![
            hub,
            device,
            module,
            after.into(),
            now.unix_micros().into(),
            i64::from(MOST_DELIVERIES).into(),
            i64::try_from(limit).unwrap_or(i64::MAX).into(),
        ],
        decode,
    )
}

fn decode(row: &Row<'_>, _: &Sealer) -> Result<CloudMessage, Fault> {
    read(row)
}

fn read(row: &Row<'_>) -> Result<CloudMessage, Fault> {
    let record: MessageRecord = from_text(TABLE, row.text(3)?)?;
    Ok(CloudMessage {
        sequence: row.integer(0)?,
        message_id: record.message_id,
        correlation_id: record.correlation_id,
        user_id: record.user_id,
        content_type: record.content_type,
        content_encoding: record.content_encoding,
        ack: record.ack.0,
        enqueued: record.enqueued.into(),
        expires: Timestamp::from_unix_micros(row.integer(1)?),
        delivery_count: u32::try_from(row.integer(2)?).unwrap_or(u32::MAX),
        properties: record.properties,
        body: row.bytes(4)?.unwrap_or_default().to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_of_deliveries_is_the_one_in_the_index() {
        assert_eq!(MOST_DELIVERIES, 10);
    }
}
