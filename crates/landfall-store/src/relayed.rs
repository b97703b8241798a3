//! What servers that share a database hand to each other: rows for the server that has a session, a wake-up with
//! the commit that brings them, and the rows again when that server takes them. A server has one name for each of
//! its runs, so that nothing waits for one that is gone longer than it is worth.

use std::time::Duration;

use landfall_core::clock::Timestamp;
use landfall_core::id::HubHostName;
use landfall_hub::endpoint::Endpoint;
use landfall_hub::relay::{Notice, Relayed, RelayedAnswer, RelayedCall};
use serde::{Deserialize, Serialize};

use crate::dialect::{Fault, Read, Row, Session};
use crate::record::{from_text, id, to_text};
use crate::sessions::{self, Elsewhere};

const TABLE: &str = "hub_relayed";

/// How a row says what it is; what is long stands in its body.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
enum What {
    /// Desired properties changed; the body is the change.
    Desired { version: i64 },
    /// A message waits.
    Messages,
    /// The session ended.
    Ended,
    /// A method; the body is its payload.
    Call {
        asker: String,
        call: String,
        name: String,
        within_millis: u64,
    },
    /// What came of a method; the body is its payload.
    Answer { call: String, status: i64 },
    /// Nobody was there for a method.
    NotOnline { call: String },
}

/// Where a row goes.
struct Address<'a> {
    node: &'a str,
    hub: &'a str,
    device: &'a str,
    module: &'a str,
    epoch: i64,
    until: Timestamp,
}

impl<'a> Address<'a> {
    /// That of a session on another server.
    fn of(
        hub: &'a HubHostName,
        endpoint: &'a Endpoint,
        elsewhere: &'a Elsewhere,
        until: Timestamp,
    ) -> Self {
        Address {
            node: &elsewhere.node,
            hub: hub.key(),
            device: endpoint.device.as_str(),
            module: &elsewhere.module,
            epoch: elsewhere.epoch,
            until,
        }
    }
}

/// Hands a notice to the servers that have the sessions it is for: that of the endpoint, and for an end those
/// of a device's modules.
pub(crate) fn tell(
    session: &Session,
    hub: &HubHostName,
    endpoint: &Endpoint,
    notice: &Notice,
    until: Timestamp,
) -> Result<(), Fault> {
    let with_modules = *notice == Notice::Ended && endpoint.module.is_none();
    let (what, body) = noticed(notice);
    for elsewhere in sessions::elsewhere(session, hub, endpoint, with_modules)? {
        let address = Address::of(hub, endpoint, &elsewhere, until);
        put(session, &address, &what, body)?;
    }
    Ok(())
}

fn noticed(notice: &Notice) -> (What, &[u8]) {
    match notice {
        Notice::Desired(version, change) => {
            (What::Desired { version: *version }, change.as_bytes())
        }
        Notice::Messages => (What::Messages, &[]),
        Notice::Ended => (What::Ended, &[]),
    }
}

/// Tells a server that a session of its own ended.
pub(crate) fn ended(
    session: &Session,
    hub: &HubHostName,
    endpoint: &Endpoint,
    node: &str,
    epoch: i64,
    until: Timestamp,
) -> Result<(), Fault> {
    let module = endpoint.module.as_ref();
    let address = Address {
        node,
        hub: hub.key(),
        device: endpoint.device.as_str(),
        module: module.map_or("", |module| module.as_str()),
        epoch,
        until,
    };
    put(session, &address, &What::Ended, &[])
}

/// Hands a method to the server that has the session; says whether one has.
pub(crate) fn call(
    session: &Session,
    hub: &HubHostName,
    endpoint: &Endpoint,
    call: &RelayedCall,
    until: Timestamp,
) -> Result<bool, Fault> {
    let elsewhere = sessions::elsewhere(session, hub, endpoint, false)?;
    let Some(elsewhere) = elsewhere.first() else {
        return Ok(false);
    };
    let address = Address::of(hub, endpoint, elsewhere, until);
    let what = What::Call {
        asker: call.asker.clone(),
        call: call.call.clone(),
        name: call.name.clone(),
        within_millis: u64::try_from(call.within.as_millis()).unwrap_or(u64::MAX),
    };
    put(session, &address, &what, call.payload.as_bytes())?;
    Ok(true)
}

/// Hands what came of a method to the server that waits for it.
pub(crate) fn answer(
    session: &Session,
    node: &str,
    answer: &RelayedAnswer,
    until: Timestamp,
) -> Result<(), Fault> {
    let address = Address {
        node,
        hub: "",
        device: "",
        module: "",
        epoch: 0,
        until,
    };
    let call = answer.call.clone();
    match &answer.outcome {
        Some((status, payload)) => {
            let status = *status;
            put(session, &address, &What::Answer { call, status }, payload)
        }
        None => put(session, &address, &What::NotOnline { call }, &[]),
    }
}

fn put(session: &Session, to: &Address<'_>, what: &What, body: &[u8]) -> Result<(), Fault> {
    session.execute(
        "INSERT INTO hub_relayed (node, hub, device, module, epoch, until, what, body)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        &[
            to.node.into(),
            to.hub.into(),
            to.device.into(),
            to.module.into(),
            to.epoch.into(),
            to.until.unix_micros().into(),
            to_text(what)?.into(),
            Some(body).into(),
        ],
    )?;
    session.wake(to.node)
}

/// Takes what was handed to this server, in its order, at most `limit`. What is worth nothing any more is
/// left to [`purge`].
pub(crate) fn take(session: &Session, now: Timestamp, limit: usize) -> Result<Vec<Relayed>, Fault> {
    let mut taken = session.every(
        "DELETE FROM hub_relayed WHERE number IN
           (SELECT number FROM hub_relayed WHERE node = $1 AND until > $2 ORDER BY number LIMIT $3)
         RETURNING number, hub, device, module, epoch, what, body",
        &[
            session.node().into(),
            now.unix_micros().into(),
            i64::try_from(limit).unwrap_or(i64::MAX).into(),
        ],
        |row| Ok((row.integer(0)?, decode(row)?)),
    )?;
    taken.sort_by_key(|(number, _)| *number);
    Ok(taken.into_iter().map(|(_, relayed)| relayed).collect())
}

fn decode(row: &Row<'_>) -> Result<Relayed, Fault> {
    let body = row.bytes(6)?.unwrap_or_default();
    let text = || {
        let text = std::str::from_utf8(body);
        text.map(str::to_owned)
            .map_err(|_| Fault::Record(format!("a body in {TABLE} is no text")))
    };
    let notice = |notice| {
        let (hub, endpoint) = endpoint_of(row)?;
        Ok(Relayed::Notice(hub, endpoint, row.integer(4)?, notice))
    };
    match from_text(TABLE, row.text(5)?)? {
        What::Desired { version } => notice(Notice::Desired(version, text()?)),
        What::Messages => notice(Notice::Messages),
        What::Ended => notice(Notice::Ended),
        What::Call {
            asker,
            call,
            name,
            within_millis,
        } => {
            let (hub, endpoint) = endpoint_of(row)?;
            let call = RelayedCall {
                asker,
                call,
                name,
                payload: text()?,
                within: Duration::from_millis(within_millis),
            };
            Ok(Relayed::Call(hub, endpoint, call))
        }
        What::Answer { call, status } => Ok(Relayed::Answer(RelayedAnswer {
            call,
            outcome: Some((status, body.to_vec())),
        })),
        What::NotOnline { call } => Ok(Relayed::Answer(RelayedAnswer {
            call,
            outcome: None,
        })),
    }
}

fn endpoint_of(row: &Row<'_>) -> Result<(HubHostName, Endpoint), Fault> {
    let module = match row.text(3)? {
        "" => None,
        text => Some(id(text)?),
    };
    let endpoint = Endpoint {
        device: id(row.text(2)?)?,
        module,
    };
    Ok((id(row.text(1)?)?, endpoint))
}

/// Drops what is worth nothing any more; gives how many rows went.
pub(crate) fn purge(session: &Session, now: Timestamp, limit: usize) -> Result<usize, Fault> {
    session.execute(
        "DELETE FROM hub_relayed WHERE number IN
           (SELECT number FROM hub_relayed WHERE until <= $1 ORDER BY until LIMIT $2)",
        &[
            now.unix_micros().into(),
            i64::try_from(limit).unwrap_or(i64::MAX).into(),
        ],
    )
}

/// Whether anything waits for a server.
pub(crate) fn waits(node: &str, now: Timestamp) -> Read<'_, ()> {
    Read::new(
        "SELECT 1 FROM hub_relayed WHERE node = $1 AND until > $2 LIMIT 1",
        vec![node.into(), now.unix_micros().into()],
        |_, _| Ok(()),
    )
}
