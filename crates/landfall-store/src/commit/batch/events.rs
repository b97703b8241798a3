//! Many events without a savepoint for each: the count of each hub is looked at once and kept once. On
//! PostgreSQL all of them are one statement.

use std::collections::BTreeMap;

use landfall_core::id::HubHostName;
use landfall_core::store::{Change, CommitError};
use landfall_hub::event::HubEvent;
use landfall_hub::store::HubWrite;

use crate::commit::request::Request;
use crate::dialect::{Columns, Fault, Session, Value};
use crate::events;

/// How many of the first requests do nothing but keep events.
pub(super) fn length(requests: &[Request]) -> usize {
    requests
        .iter()
        .take_while(|request| request.events().is_some())
        .count()
}

/// Keeps the events of such requests; gives what came of each.
///
/// # Errors
/// What undid the whole group.
pub(super) fn carry_out(
    session: &Session,
    changes: &[&Change<HubWrite>],
) -> Result<Vec<Result<(), CommitError>>, Fault> {
    let mut counts: BTreeMap<&str, (&HubHostName, Option<i64>)> = BTreeMap::new();
    for (hub, _) in changes.iter().flat_map(|change| events_of(change)) {
        if !counts.contains_key(hub.key()) {
            let newest = match events::newest(session, hub) {
                Ok(newest) => Some(newest),
                Err(Fault::Refused(_)) => None,
                Err(fault) => return Err(fault),
            };
            counts.insert(hub.key(), (hub, newest));
        }
    }
    let mut outcomes = Vec::with_capacity(changes.len());
    let mut numbered = Vec::with_capacity(changes.len());
    for change in changes {
        let absent = events_of(change)
            .find(|(hub, _)| matches!(counts.get(hub.key()), None | Some((_, None))));
        if let Some((hub, _)) = absent {
            outcomes.push(Err(events::absent(hub).into_commit_error()));
            continue;
        }
        for (hub, event) in events_of(change) {
            if let Some((_, Some(newest))) = counts.get_mut(hub.key()) {
                *newest = newest.saturating_add(1);
                numbered.push((hub, *newest, event));
            }
        }
        outcomes.push(Ok(()));
    }
    let counted = counts
        .into_values()
        .filter_map(|(hub, newest)| Some((hub, newest?)));
    keep(session, &numbered, counted)?;
    Ok(outcomes)
}

fn events_of(change: &Change<HubWrite>) -> impl Iterator<Item = (&HubHostName, &HubEvent)> {
    change.hub_writes.iter().filter_map(|write| match write {
        HubWrite::AppendEvent(hub, event) => Some((hub, &**event)),
        _ => None,
    })
}

fn keep<'a>(
    session: &Session,
    numbered: &[(&'a HubHostName, i64, &'a HubEvent)],
    counted: impl Iterator<Item = (&'a HubHostName, i64)>,
) -> Result<(), Fault> {
    if let Session::Sqlite(_) = session {
        for (hub, sequence, event) in numbered {
            events::put(session, hub, *sequence, event)?;
        }
        for (hub, newest) in counted {
            events::keep_count(session, hub, newest)?;
        }
        return Ok(());
    }
    let rows = numbered
        .iter()
        .map(|(hub, sequence, event)| events::row(hub, *sequence, event))
        .collect::<Result<Vec<_>, _>>()?;
    let counts: Vec<[Value<'_>; 2]> = counted
        .map(|(hub, newest)| [hub.key().into(), newest.into()])
        .collect();
    session.execute_together(&[
        (events::COUNT_MANY, Columns::of(&counts)),
        (events::PUT_MANY, Columns::of(&rows)),
    ])
}
