//! Many devices' registrations without a savepoint for each. On PostgreSQL one question for all that they rest
//! on, then one statement for each table; on SQLite (`in_turn`) one after the other. A registration that does
//! not hold is left out, and costs the others nothing. When a statement fails the whole group is carried out
//! again one by one, which finds out whose fault it is. Events, which rest on nothing but their hub, are kept
//! together likewise (`events`).

mod events;
mod in_turn;

use std::collections::{HashMap, HashSet};

use landfall_core::store::{Change, CommitError, Expect, Guard, Write};
use landfall_hub::store::HubWrite;

use super::request::Request;
use crate::dialect::{Columns, Fault, Session, Value};
use crate::enrollments::Kind;
use crate::expectation::{meets, meets_revision};
use crate::secret::Sealer;
use crate::{devices, operations, registrations, revisions, tags};

/// What the registrations of a batch rest on: enrollments, registrations and devices that stand, and the
/// highest revision that was removed.
const STANDING: &str =
    "SELECT 'individual', e.scope, e.key, e.etag, '', CAST(0 AS BIGINT), CAST(NULL AS BYTEA)
       FROM unnest($1::text[], $2::text[]) AS k (scope, key)
       JOIN individual_enrollments e ON e.scope = k.scope AND e.key = k.key
     UNION ALL SELECT 'group', e.scope, e.key, e.etag, '', 0, NULL
       FROM unnest($3::text[], $4::text[]) AS k (scope, key)
       JOIN enrollment_groups e ON e.scope = k.scope AND e.key = k.key
     UNION ALL SELECT 'registration', r.scope, r.key, r.etag, '', 0, NULL
       FROM unnest($5::text[], $6::text[]) AS k (scope, key)
       JOIN registrations r ON r.scope = k.scope AND r.key = k.key
     UNION ALL SELECT 'device', d.hub, d.device, '', d.tags, d.revision, NULL
       FROM unnest($7::text[], $8::text[]) AS k (hub, device)
       JOIN devices d ON d.hub = k.hub AND d.device = k.device
     UNION ALL SELECT 'removed', '', '', '', '', 0, f.value
       FROM store_facts f WHERE f.name = 'highest removed revision'";

/// Two texts that name a record: scope and key, or hub and device.
type Key<'a> = (&'a str, &'a str);

/// How many of the first requests can be carried out together: all that keep events, or registrations, of
/// which on PostgreSQL none touches what another of them touches.
pub(super) fn length(session: &Session, requests: &[Request]) -> usize {
    let keep_events = events::length(requests);
    if keep_events > 0 {
        return keep_events;
    }
    if let Session::Sqlite(_) = session {
        return in_turn::length(requests);
    }
    let mut touched = HashSet::new();
    for (at, request) in requests.iter().enumerate() {
        let fits = request
            .registration()
            .is_some_and(|change| keys(change).all(|key| touched.insert(key)));
        if !fits {
            return at;
        }
    }
    requests.len()
}

/// The records that a registration writes, by table.
fn keys(change: &Change<HubWrite>) -> impl Iterator<Item = (&'static str, Key<'_>)> {
    let writes = change.writes.iter().filter_map(|write| match write {
        Write::PutRegistration(scope, registration, _) => Some((
            "registration",
            (scope.key(), registration.registration_id.key()),
        )),
        Write::PutOperation(operation) => Some((
            "operation",
            (operation.id_scope.key(), operation.id.as_str()),
        )),
        _ => None,
    });
    let hub_writes = change.hub_writes.iter().filter_map(|write| match write {
        HubWrite::PutDevice(hub, device, _) => Some(("device", (hub.key(), device.id.as_str()))),
        _ => None,
    });
    writes.chain(hub_writes)
}

/// What stands in the database of what a batch rests on.
#[derive(Default)]
struct Standing {
    /// Etags, by table and key.
    etags: HashMap<(&'static str, String, String), String>,
    /// Revisions and tags of devices.
    devices: HashMap<(String, String), (i64, String)>,
    removed: i64,
}

impl Standing {
    fn read<'a>(session: &Session, changes: &[&'a Change<HubWrite>]) -> Result<Self, Fault> {
        let (mut individuals, mut groups) = (HashSet::new(), HashSet::new());
        let (mut registrations, mut devices) = (Vec::new(), Vec::new());
        for change in changes {
            for guard in &change.guards {
                match guard {
                    Guard::Individual(scope, id, _) => {
                        individuals.insert((scope.key(), id.key()));
                    }
                    Guard::Group(scope, id, _) => {
                        groups.insert((scope.key(), id.key()));
                    }
                    _ => {}
                }
            }
            for (table, key) in keys(change) {
                match table {
                    "registration" => registrations.push(key),
                    "device" => devices.push(key),
                    _ => {}
                }
            }
        }
        let asked: [Vec<Key<'a>>; 4] = [
            individuals.into_iter().collect(),
            groups.into_iter().collect(),
            registrations,
            devices,
        ];
        let columns = Columns::of_pairs(&asked);
        let mut standing = Standing::default();
        session.every_of(STANDING, &columns, |row| {
            let (first, second) = (row.text(1)?.to_owned(), row.text(2)?.to_owned());
            let etag = || row.text(3).map(str::to_owned);
            match row.text(0)? {
                "device" => {
                    let device = (row.integer(5)?, row.text(4)?.to_owned());
                    standing.devices.insert((first, second), device);
                }
                "removed" => standing.removed = revisions::read(row.bytes(6)?)?,
                table => {
                    let table = match table {
                        "individual" => "individual",
                        "group" => "group",
                        _ => "registration",
                    };
                    standing.etags.insert((table, first, second), etag()?);
                }
            }
            Ok(())
        })?;
        Ok(standing)
    }

    fn etag(&self, table: &'static str, (scope, key): Key<'_>) -> Option<&str> {
        let etag = self.etags.get(&(table, scope.to_owned(), key.to_owned()))?;
        Some(etag)
    }

    fn device(&self, (hub, device): Key<'_>) -> Option<&(i64, String)> {
        self.devices.get(&(hub.to_owned(), device.to_owned()))
    }

    /// Holds what a registration expects.
    fn hold(&self, change: &Change<HubWrite>) -> Result<(), Fault> {
        for guard in &change.guards {
            match guard {
                Guard::Individual(scope, id, expect) => {
                    let there = self.etag("individual", (scope.key(), id.key()));
                    meets(expect, there, || Kind::Individual.spoken(id.as_str()))?;
                }
                Guard::Group(scope, id, expect) => {
                    let there = self.etag("group", (scope.key(), id.key()));
                    meets(expect, there, || Kind::Group.spoken(id.as_str()))?;
                }
                _ => {}
            }
        }
        for write in &change.writes {
            if let Write::PutRegistration(scope, registration, expect) = write
                && *expect != Expect::Anything
            {
                let id = &registration.registration_id;
                let there = self.etag("registration", (scope.key(), id.key()));
                meets(expect, there, || registrations::spoken(id))?;
            }
        }
        for write in &change.hub_writes {
            if let HubWrite::PutDevice(hub, device, expect) = write {
                let there = self.device((hub.key(), device.id.as_str()));
                let revision = there.map(|there| there.0);
                meets_revision(*expect, revision, || devices::spoken_device(&device.id))?;
            }
        }
        Ok(())
    }
}

/// What is written, by table.
#[derive(Default)]
struct Rows<'a> {
    registrations: Vec<[Value<'a>; 5]>,
    operations: Vec<[Value<'a>; 8]>,
    devices: Vec<[Value<'a>; 8]>,
    tags_gone: Vec<[Value<'a>; 5]>,
    tags_come: Vec<[Value<'a>; 5]>,
}

impl<'a> Rows<'a> {
    fn add(
        &mut self,
        session: &'a Session,
        sealer: &Sealer,
        standing: &Standing,
        change: &'a Change<HubWrite>,
    ) -> Result<(), Fault> {
        for write in &change.writes {
            match write {
                Write::PutRegistration(scope, registration, _) => self
                    .registrations
                    .push(registrations::row(scope, registration)?),
                Write::PutOperation(operation) => {
                    self.operations
                        .push(operations::row(session.node(), sealer, operation)?)
                }
                _ => {}
            }
        }
        for write in &change.hub_writes {
            let HubWrite::PutDevice(hub, device, _) = write else {
                continue;
            };
            let (hub_key, id) = (hub.key(), device.id.as_str());
            let there = standing.device((hub_key, id));
            let revision = there.map_or(standing.removed, |there| there.0);
            self.devices.push(devices::device_row(
                sealer,
                hub,
                device,
                revision.saturating_add(1),
            )?);
            let before = there.map_or("", |there| there.1.as_str());
            let (gone, come) = tags::difference(before, device.twin.tags.as_str());
            let row = |(path, value): tags::Leaf| {
                [
                    hub_key.into(),
                    path.into(),
                    value.into(),
                    id.into(),
                    "".into(),
                ]
            };
            self.tags_gone.extend(gone.into_iter().map(row));
            self.tags_come.extend(come.into_iter().map(row));
        }
        Ok(())
    }

    /// Writes all, in the order of their keys, so that two servers lock the same rows in the same order.
    fn write(mut self, session: &Session) -> Result<(), Fault> {
        fn sorted<const N: usize>(rows: &mut [[Value<'_>; N]]) {
            rows.sort_by(|one, other| {
                let key = |row: &[Value<'_>; N]| -> Vec<String> {
                    row.iter()
                        .take(2)
                        .map(|value| value.words().to_owned())
                        .collect()
                };
                key(one).cmp(&key(other))
            });
        }
        sorted(&mut self.registrations);
        sorted(&mut self.operations);
        sorted(&mut self.devices);
        session.execute_together(&[
            (registrations::PUT_MANY, Columns::of(&self.registrations)),
            (operations::PUT_MANY, Columns::of(&self.operations)),
            (devices::PUT_MANY, Columns::of(&self.devices)),
            (devices::REMOVE_TAGS, Columns::of(&self.tags_gone)),
            (devices::ADD_TAGS, Columns::of(&self.tags_come)),
        ])
    }
}

/// Carries out the requests of a `length`; gives what came of each.
///
/// # Errors
/// What undid the whole group.
pub(super) fn carry_out(
    session: &Session,
    sealer: &Sealer,
    requests: &[Request],
) -> Result<Vec<Result<(), CommitError>>, Fault> {
    let changes: Vec<&Change<HubWrite>> = requests.iter().filter_map(Request::change).collect();
    if requests
        .first()
        .is_some_and(|first| first.events().is_some())
    {
        return events::carry_out(session, &changes);
    }
    if let Session::Sqlite(_) = session {
        return in_turn::carry_out(session, sealer, &changes);
    }
    let standing = Standing::read(session, &changes)?;
    let mut rows = Rows::default();
    let mut outcomes = Vec::with_capacity(changes.len());
    for change in changes {
        let held = standing.hold(change);
        if held.is_ok() {
            rows.add(session, sealer, &standing, change)?;
        }
        outcomes.push(held.map_err(Fault::into_commit_error));
    }
    rows.write(session)?;
    Ok(outcomes)
}
