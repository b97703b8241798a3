//! The latest session of each device and module of embedded hubs. A session is written under its epoch alone;
//! epochs never come back, as revisions do not (`revisions`). Those of a server that is gone are closed by
//! another, or at the start where there is only one.

use landfall_core::clock::Timestamp;
use landfall_core::id::HubHostName;
use landfall_core::store::CommitError;
use landfall_hub::endpoint::Endpoint;
use landfall_hub::event::{EventKind, HubEvent};
use landfall_hub::kept_session::{Displaced, KeptSession, KeptSubscription, NewSession, Opened};
use landfall_hub::relay::RELAYED_FOR;

use crate::dialect::{Fault, Read, Row, Session};
use crate::messages::{hold_endpoint, place, spoken};
use crate::record::{from_text, id, to_text};
use crate::secret::Sealer;
use crate::{events, lease, relayed, revisions};

const TABLE: &str = "hub_sessions";

/// Subscriptions as they are kept: filter and quality of service.
type Subscriptions = Vec<(String, u8)>;

/// What stands of the last session.
struct Standing {
    epoch: i64,
    node: String,
    connected: bool,
    clean: bool,
    last_activity: i64,
    subscriptions: String,
}

fn standing(
    session: &Session,
    hub: &HubHostName,
    endpoint: &Endpoint,
) -> Result<Option<Standing>, Fault> {
    session.first(
        "SELECT epoch, node, connected, clean, last_activity, subscriptions FROM hub_sessions
         WHERE hub = $1 AND device = $2 AND module = $3",
        &place(hub, endpoint),
        |row| {
            Ok(Standing {
                epoch: row.integer(0)?,
                node: row.text(1)?.to_owned(),
                connected: row.integer(2)? == 1,
                clean: row.integer(3)? == 1,
                last_activity: row.integer(4)?,
                subscriptions: row.text(5)?.to_owned(),
            })
        },
    )
}

/// Begins a session, under the next epoch.
pub(crate) fn open(
    session: &Session,
    hub: &HubHostName,
    endpoint: &Endpoint,
    new: &NewSession,
) -> Result<Opened, Fault> {
    hold_endpoint(session, hub, endpoint)?;
    let before = standing(session, hub, endpoint)?;
    let epoch = revisions::next(session, before.as_ref().map(|before| before.epoch))?;
    let left = before.as_ref().filter(|before| !before.clean && !new.clean);
    let opened = new.opened.unix_micros();
    let heard = before
        .as_ref()
        .map_or(opened, |before| before.last_activity.max(opened));
    let owner = hub;
    let [hub, device, module] = place(hub, endpoint);
    session.execute(
        "INSERT INTO hub_sessions (hub, device, module, epoch, node, connected, clean, opened,
           changed, last_activity, subscriptions)
         VALUES ($1, $2, $3, $4, $5, 1, $6, $7, $7, $8, $9)
         ON CONFLICT (hub, device, module) DO UPDATE SET epoch = excluded.epoch,
           node = excluded.node, connected = 1, clean = excluded.clean, opened = excluded.opened,
           changed = excluded.changed, last_activity = excluded.last_activity,
           subscriptions = excluded.subscriptions",
        &[
            hub,
            device,
            module,
            epoch.into(),
            session.node().into(),
            i64::from(new.clean).into(),
            opened.into(),
            heard.into(),
            left.map_or("[]", |left| &left.subscriptions).into(),
        ],
    )?;
    let subscriptions = left.map(|left| read_subscriptions(&left.subscriptions));
    if let Some(before) = before.as_ref().filter(|before| before.connected)
        && before.node != session.node()
    {
        // The one that is displaced need not wait until it writes.
        let until = new.opened.plus(RELAYED_FOR);
        relayed::ended(session, owner, endpoint, &before.node, before.epoch, until)?;
    }
    Ok(Opened {
        epoch,
        subscriptions: subscriptions.transpose()?,
        displaced: before
            .filter(|before| before.connected)
            .map(|before| Displaced {
                epoch: before.epoch,
                node: before.node,
            }),
    })
}

fn read_subscriptions(text: &str) -> Result<Vec<KeptSubscription>, Fault> {
    let kept: Subscriptions = from_text(TABLE, text)?;
    let kept = kept
        .into_iter()
        .map(|(filter, qos)| KeptSubscription { filter, qos });
    Ok(kept.collect())
}

/// A session that another server has.
pub(crate) struct Elsewhere {
    /// The server.
    pub(crate) node: String,
    /// The module; empty for the device itself.
    pub(crate) module: String,
    /// The session's epoch.
    pub(crate) epoch: i64,
}

/// The session of an endpoint that another server has, if one has; with it those of a device's modules.
pub(crate) fn elsewhere(
    session: &Session,
    hub: &HubHostName,
    endpoint: &Endpoint,
    with_modules: bool,
) -> Result<Vec<Elsewhere>, Fault> {
    let [hub, device, module] = place(hub, endpoint);
    session.every(
        "SELECT node, module, epoch FROM hub_sessions
         WHERE hub = $1 AND device = $2 AND (module = $3 OR $4 = CAST(1 AS BIGINT)) AND connected = 1
           AND node <> $5 ORDER BY module",
        &[
            hub,
            device,
            module,
            i64::from(with_modules).into(),
            session.node().into(),
        ],
        |row| {
            Ok(Elsewhere {
                node: row.text(0)?.to_owned(),
                module: row.text(1)?.to_owned(),
                epoch: row.integer(2)?,
            })
        },
    )
}

/// Keeps what a session subscribed to.
pub(crate) fn keep_subscriptions(
    session: &Session,
    hub: &HubHostName,
    endpoint: &Endpoint,
    epoch: i64,
    subscriptions: &[KeptSubscription],
) -> Result<(), Fault> {
    let kept: Vec<(&str, u8)> = subscriptions
        .iter()
        .map(|subscription| (subscription.filter.as_str(), subscription.qos))
        .collect();
    let [hub_key, device, module] = place(hub, endpoint);
    let held = session.execute(
        "UPDATE hub_sessions SET subscriptions = $1
         WHERE hub = $2 AND device = $3 AND module = $4 AND epoch = $5",
        &[
            to_text(&kept)?.into(),
            hub_key,
            device,
            module,
            epoch.into(),
        ],
    )?;
    latest_if(held > 0, session, hub, endpoint)
}

/// Notes that the endpoint of a session was heard of.
pub(crate) fn note_activity(
    session: &Session,
    hub: &HubHostName,
    endpoint: &Endpoint,
    epoch: i64,
    at: Timestamp,
) -> Result<(), Fault> {
    let [hub_key, device, module] = place(hub, endpoint);
    let held = session.execute(
        "UPDATE hub_sessions SET
           last_activity = CASE WHEN last_activity < $1 THEN $1 ELSE last_activity END
         WHERE hub = $2 AND device = $3 AND module = $4 AND epoch = $5",
        &[
            at.unix_micros().into(),
            hub_key,
            device,
            module,
            epoch.into(),
        ],
    )?;
    latest_if(held > 0, session, hub, endpoint)
}

/// Notes that an endpoint was heard of outside of any session. One that never had a session gets the record of
/// one that is over and leaves nothing.
pub(crate) fn note_visit(
    session: &Session,
    hub: &HubHostName,
    endpoint: &Endpoint,
    at: Timestamp,
) -> Result<(), Fault> {
    hold_endpoint(session, hub, endpoint)?;
    let [hub_key, device, module] = place(hub, endpoint);
    let known = session.execute(
        "UPDATE hub_sessions SET
           last_activity = CASE WHEN last_activity < $1 THEN $1 ELSE last_activity END
         WHERE hub = $2 AND device = $3 AND module = $4",
        &[at.unix_micros().into(), hub_key, device, module],
    )?;
    if known > 0 {
        return Ok(());
    }
    let epoch = revisions::next(session, None)?;
    let [hub_key, device, module] = place(hub, endpoint);
    session.execute(
        "INSERT INTO hub_sessions (hub, device, module, epoch, node, connected, clean, opened,
           changed, last_activity, subscriptions)
         VALUES ($1, $2, $3, $4, '', 0, 1, $5, $6, $5, '[]')
         ON CONFLICT (hub, device, module) DO NOTHING",
        &[
            hub_key,
            device,
            module,
            epoch.into(),
            at.unix_micros().into(),
            Timestamp::NEVER.unix_micros().into(),
        ],
    )?;
    Ok(())
}

/// Ends a session. One that has ended stays as it is.
pub(crate) fn close(
    session: &Session,
    hub: &HubHostName,
    endpoint: &Endpoint,
    epoch: i64,
    at: Timestamp,
) -> Result<(), Fault> {
    let [hub_key, device, module] = place(hub, endpoint);
    let held = session.execute(
        "UPDATE hub_sessions SET
           changed = CASE WHEN connected = 1 THEN $1 ELSE changed END,
           last_activity = CASE WHEN connected = 1 AND last_activity < $1 THEN $1
             ELSE last_activity END,
           connected = 0
         WHERE hub = $2 AND device = $3 AND module = $4 AND epoch = $5",
        &[
            at.unix_micros().into(),
            hub_key,
            device,
            module,
            epoch.into(),
        ],
    )?;
    latest_if(held > 0, session, hub, endpoint)
}

/// Refuses what was written for a session that is not the latest.
fn latest_if(
    held: bool,
    session: &Session,
    hub: &HubHostName,
    endpoint: &Endpoint,
) -> Result<(), Fault> {
    if held {
        return Ok(());
    }
    let what = format!("the session of {}", spoken(endpoint));
    let refusal = match standing(session, hub, endpoint)? {
        Some(_) => CommitError::Changed(what),
        None => CommitError::Absent(what),
    };
    Err(Fault::Refused(refusal))
}

/// Removes what is kept of the session of an endpoint that goes; its epoch never comes back.
pub(crate) fn remove(
    session: &Session,
    hub: &HubHostName,
    endpoint: &Endpoint,
) -> Result<(), Fault> {
    let before = standing(session, hub, endpoint)?;
    revisions::retire(session, before.map(|before| before.epoch))?;
    session.execute(
        "DELETE FROM hub_sessions WHERE hub = $1 AND device = $2 AND module = $3",
        &place(hub, endpoint),
    )?;
    Ok(())
}

/// Ends at most `limit` sessions of servers whose lease is over, each under an epoch of its own, and keeps the
/// event of each; gives how many. Asked of a database that servers share.
pub(crate) fn close_lost(session: &Session, now: Timestamp, limit: usize) -> Result<usize, Fault> {
    let lost = session.every(
        "SELECT s.hub, s.device, s.module, s.node, s.epoch FROM hub_sessions s
         WHERE s.connected = 1 AND s.node <> $1 AND NOT EXISTS
           (SELECT 1 FROM nodes n WHERE n.node = s.node AND n.lease_until >= $2)
         ORDER BY s.hub, s.device, s.module LIMIT $3",
        &[
            session.node().into(),
            lease::now(session)?.into(),
            i64::try_from(limit).unwrap_or(i64::MAX).into(),
        ],
        |row| {
            let (hub, endpoint) = endpoint_of(row)?;
            Ok((hub, endpoint, row.text(3)?.to_owned(), row.integer(4)?))
        },
    )?;
    let until = now.plus(RELAYED_FOR);
    for (hub, endpoint, node, epoch) in &lost {
        // A server that was only away for a while lets its peers go, so that they come back.
        relayed::ended(session, hub, endpoint, node, *epoch, until)?;
    }
    let lost: Vec<_> = lost.into_iter().map(|(hub, of, ..)| (hub, of)).collect();
    end_each(session, &lost, now)
}

/// Ends every session, when the only server there is starts: it has none yet.
pub(crate) fn close_all(session: &Session, now: Timestamp) -> Result<usize, Fault> {
    let all = session.every(
        "SELECT hub, device, module FROM hub_sessions WHERE connected = 1
         ORDER BY hub, device, module",
        &[],
        endpoint_of,
    )?;
    end_each(session, &all, now)
}

fn endpoint_of(row: &Row<'_>) -> Result<(HubHostName, Endpoint), Fault> {
    let module = match row.text(2)? {
        "" => None,
        text => Some(id(text)?),
    };
    let endpoint = Endpoint {
        device: id(row.text(1)?)?,
        module,
    };
    Ok((id(row.text(0)?)?, endpoint))
}

/// Ends sessions that their servers could not end. Nobody knows since when their endpoints are away.
fn end_each(
    session: &Session,
    ended: &[(HubHostName, Endpoint)],
    now: Timestamp,
) -> Result<usize, Fault> {
    for (hub, endpoint) in ended {
        let [hub_key, device, module] = place(hub, endpoint);
        session.execute(
            "UPDATE hub_sessions SET epoch = epoch + 1, connected = 0, changed = $1
             WHERE hub = $2 AND device = $3 AND module = $4",
            &[now.unix_micros().into(), hub_key, device, module],
        )?;
        let event = HubEvent {
            endpoint: endpoint.clone(),
            kind: EventKind::DeviceDisconnected,
            enqueued: now,
            properties: Vec::new(),
            body: Vec::new(),
        };
        events::append(session, hub, &event)?;
    }
    Ok(ended.len())
}

/// The latest session of an endpoint.
pub(crate) fn one<'a>(hub: &'a HubHostName, endpoint: &'a Endpoint) -> Read<'a, KeptSession> {
    Read::new(
        "SELECT epoch, node, connected, clean, opened, changed, last_activity, subscriptions
         FROM hub_sessions WHERE hub = $1 AND device = $2 AND module = $3",
        place(hub, endpoint).into(),
        decode,
    )
}

fn decode(row: &Row<'_>, _: &Sealer) -> Result<KeptSession, Fault> {
    let time = |column| row.integer(column).map(Timestamp::from_unix_micros);
    Ok(KeptSession {
        epoch: row.integer(0)?,
        node: row.text(1)?.to_owned(),
        connected: row.integer(2)? == 1,
        clean: row.integer(3)? == 1,
        opened: time(4)?,
        changed: time(5)?,
        last_activity: time(6)?,
        subscriptions: read_subscriptions(row.text(7)?)?,
    })
}

/// How many devices of a hub are connected, without modules.
pub(crate) fn connected(hub: &HubHostName) -> Read<'_, u64> {
    Read::new(
        "SELECT COUNT(*) FROM hub_sessions WHERE connected = 1 AND hub = $1 AND module = ''",
        vec![hub.key().into()],
        |row, _| Ok(u64::try_from(row.integer(0)?).unwrap_or(0)),
    )
}
