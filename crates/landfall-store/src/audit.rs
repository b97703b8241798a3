//! The audit trail: entries are written with the change that they tell of, read newest first, and
//! purged by age. What a write changes is found in `witness`, how entries are kept in `record`.

mod record;
mod witness;

use std::net::IpAddr;

use landfall_core::audit::difference::{Difference, Named};
use landfall_core::audit::{AuditEntry, Author, Leading, Place, Position, Search};
use landfall_core::clock::Timestamp;
use landfall_core::id::{HubHostName, IdScope, PolicyName};
use landfall_core::store::{Kept, Write};
use landfall_hub::audit::HubRecord;
use landfall_hub::store::HubWrite;

use self::record::EntryRecord;
use crate::dialect::{Fault, Read, Row, Session, Text};
use crate::record::{Kept as _, from_text, id, to_text};
use crate::secret::Sealer;

/// Notes what a write that is about to happen changes.
pub(crate) fn note(
    session: &Session,
    sealer: &Sealer,
    author: &Author,
    write: &Write,
) -> Result<(), Fault> {
    let (place, changes) = witness::of_write(session, sealer, write)?;
    changes
        .into_iter()
        .try_for_each(|change| keep(session, author, &place, change))
}

/// Notes what a hub write that is about to happen changes.
pub(crate) fn note_hub(
    session: &Session,
    sealer: &Sealer,
    author: &Author,
    write: &HubWrite,
) -> Result<(), Fault> {
    let (place, changes) = witness::of_hub_write(session, sealer, write)?;
    changes
        .into_iter()
        .try_for_each(|change| keep(session, author, &place, change))
}

/// The columns that hold a place: scope and hub, of which one is empty.
fn columns(place: &Place) -> (&str, &str) {
    match place {
        Place::Service(scope) => (scope.key(), ""),
        Place::Hub(hub) => ("", hub.key()),
    }
}

fn keep(
    session: &Session,
    author: &Author,
    place: &Place,
    (subject, mut what): Named<HubRecord>,
) -> Result<(), Fault> {
    let at = author.origin.at.unix_micros();
    let number = if author.bulk {
        what.before = None;
        what.after = None;
        what.changed_secrets = Vec::new();
        shared(session, author, place, &subject, &what)?
    } else {
        None
    };
    let number = match number {
        Some(number) => number,
        None => insert(session, author, place, &subject, &what)?,
    };
    for key in keys(&subject) {
        session.execute(
            "INSERT INTO audit_subjects (key, at, number) VALUES ($1, $2, $3)
             ON CONFLICT (key, at, number) DO NOTHING",
            &[key.into(), at.into(), number.into()],
        )?;
    }
    Ok(())
}

/// Counts records that are not named: adds them to the entry that the same request already has for
/// the same deed, or makes one.
pub(crate) fn count(
    session: &Session,
    author: &Author,
    place: &Place,
    what: &Difference<HubRecord>,
) -> Result<(), Fault> {
    let at = author.origin.at.unix_micros();
    let (scope, hub) = columns(place);
    let there = session.first(
        "SELECT number, record FROM audit_entries
         WHERE at = $1 AND tracking_id = $2 AND action = $3 AND kind = $4 AND scope = $5
           AND hub = $6 AND subjects = '' ORDER BY number LIMIT 1",
        &[
            at.into(),
            author.origin.tracking_id.as_str().into(),
            what.action.text().into(),
            what.kind.text().into(),
            scope.into(),
            hub.into(),
        ],
        |row| Ok((row.integer(0)?, row.text(1)?.to_owned())),
    )?;
    let Some((number, record)) = there else {
        return insert(session, author, place, "", what).map(drop);
    };
    let mut record: EntryRecord = from_text("audit_entries", &record)?;
    record.add(&what.taken_along);
    session.execute(
        "UPDATE audit_entries SET record = $1 WHERE at = $2 AND number = $3",
        &[to_text(&record)?.into(), at.into(), number.into()],
    )?;
    Ok(())
}

/// Adds the subject to the entry that the same call already has for the same deed; gives its number,
/// when there is one.
fn shared(
    session: &Session,
    author: &Author,
    place: &Place,
    subject: &str,
    what: &Difference<HubRecord>,
) -> Result<Option<i64>, Fault> {
    let at = author.origin.at.unix_micros();
    let (scope, hub) = columns(place);
    let there = session.first(
        "SELECT number, subjects FROM audit_entries
         WHERE at = $1 AND tracking_id = $2 AND action = $3 AND kind = $4 AND scope = $5
           AND hub = $6 ORDER BY number LIMIT 1",
        &[
            at.into(),
            author.origin.tracking_id.as_str().into(),
            what.action.text().into(),
            what.kind.text().into(),
            scope.into(),
            hub.into(),
        ],
        |row| Ok((row.integer(0)?, row.text(1)?.to_owned())),
    )?;
    let Some((number, mut subjects)) = there else {
        return Ok(None);
    };
    if subjects.lines().all(|known| known != subject) {
        subjects.push('\n');
        subjects.push_str(subject);
        session.execute(
            "UPDATE audit_entries SET subjects = $1 WHERE at = $2 AND number = $3",
            &[subjects.into(), at.into(), number.into()],
        )?;
    }
    Ok(Some(number))
}

fn insert(
    session: &Session,
    author: &Author,
    place: &Place,
    subject: &str,
    what: &Difference<HubRecord>,
) -> Result<i64, Fault> {
    let origin = &author.origin;
    let at = origin.at.unix_micros();
    let last = session.first(
        "SELECT number FROM audit_entries WHERE at = $1 ORDER BY number DESC LIMIT 1",
        &[at.into()],
        |row| row.integer(0),
    )?;
    let number = last.map_or(0, |last| last.saturating_add(1));
    let (scope, hub) = columns(place);
    let policy = author.actor.policy().map_or("", PolicyName::key);
    let address = origin.address.map(|address| address.to_string());
    session.execute(
        "INSERT INTO audit_entries (at, number, scope, hub, actor, policy, address, tracking_id,
           action, kind, subjects, record)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        &[
            at.into(),
            number.into(),
            scope.into(),
            hub.into(),
            author.actor.kind().text().into(),
            policy.into(),
            address.unwrap_or_default().into(),
            origin.tracking_id.as_str().into(),
            what.action.text().into(),
            what.kind.text().into(),
            subject.into(),
            to_text(&EntryRecord::of(author, place, what)?)?.into(),
        ],
    )?;
    Ok(number)
}

/// What an entry about this record is found by. Only the name of a module has two parts.
fn keys(subject: &str) -> Vec<String> {
    let whole = subject.to_ascii_lowercase();
    let device = whole.split_once('/').map(|(device, _)| device.to_owned());
    device.into_iter().chain([whole]).collect()
}

/// Entries that a search finds, newest first.
pub(crate) fn search(search: &Search) -> Read<'_, Kept<HubRecord>> {
    let mut text = Text::default();
    text.say(
        "SELECT e.at, e.number, e.address, e.tracking_id, e.action, e.kind, e.subjects, e.record
         FROM ",
    );
    // The order of this join is meant: few entries are about one record.
    let sorted = match &search.id {
        Some(id) => {
            text.say("audit_subjects s CROSS JOIN audit_entries e ");
            text.bind(
                "WHERE e.at = s.at AND e.number = s.number AND s.key = ",
                id.to_ascii_lowercase(),
            );
            "s"
        }
        None => {
            text.say("audit_entries e WHERE 1 = 1");
            "e"
        }
    };
    if let Some(from) = search.from {
        text.bind(&format!(" AND {sorted}.at >= "), from.unix_micros());
    }
    if let Some(to) = search.to {
        text.bind(&format!(" AND {sorted}.at < "), to.unix_micros());
    }
    if let Some(after) = search.after {
        text.bind(
            &format!(" AND ({sorted}.at, {sorted}.number) < ("),
            after.at.unix_micros(),
        );
        text.bind(", ", after.number);
        text.say(")");
    }
    if let Some(last) = search.down_to {
        text.bind(
            &format!(" AND ({sorted}.at, {sorted}.number) >= ("),
            last.at.unix_micros(),
        );
        text.bind(", ", last.number);
        text.say(")");
    }
    terms(&mut text, search);
    text.bind(
        &format!(" ORDER BY {sorted}.at DESC, {sorted}.number DESC LIMIT "),
        i64::try_from(search.limit).unwrap_or(i64::MAX),
    );
    if search.skip > 0 {
        text.bind(" OFFSET ", i64::try_from(search.skip).unwrap_or(i64::MAX));
    }
    text.read(decode)
}

/// What a search says of the columns. That a column is not empty is said for the index of the leading
/// term; no other term may choose the index, or the walk would not be the one that was bounded.
fn terms<'a>(text: &mut Text<'a>, search: &'a Search) {
    let leading = search.leading();
    let equals = |column: &str, term: Leading| {
        if leading == Some(term) {
            format!(" AND e.{column} <> '' AND e.{column} = ")
        } else {
            format!(" AND e.{column} || '' = ")
        }
    };
    match &search.place {
        Some(Place::Service(scope)) => {
            text.bind(&equals("scope", Leading::Place), IdScope::key(scope));
        }
        Some(Place::Hub(hub)) => {
            text.bind(&equals("hub", Leading::Place), HubHostName::key(hub));
        }
        None => {}
    }
    if let Some(policy) = &search.policy {
        text.bind(&equals("policy", Leading::Policy), policy.key());
    }
    if let Some(address) = search.address {
        text.bind(
            &equals("address", Leading::Address),
            address.to_canonical().to_string(),
        );
    }
    if let Some(actor) = &search.actor {
        text.bind(" AND e.actor = ", actor.text());
    }
    if let Some(action) = &search.action {
        text.bind(" AND e.action = ", action.text());
    }
    if let Some(kind) = &search.kind {
        text.bind(" AND e.kind = ", kind.text());
    }
}

fn decode(row: &Row<'_>, _: &Sealer) -> Result<Kept<HubRecord>, Fault> {
    let position = Position {
        at: Timestamp::from_unix_micros(row.integer(0)?),
        number: row.integer(1)?,
    };
    let address = row.text(2)?;
    let address = (!address.is_empty())
        .then(|| address.parse::<IpAddr>())
        .transpose()
        .map_err(|error| Fault::Record(format!("an audit entry's address: {error}")))?;
    let record: EntryRecord = from_text("audit_entries", row.text(7)?)?;
    let subjects: Vec<String> = row.text(6)?.lines().map(str::to_owned).collect();
    let entry: AuditEntry<HubRecord> = record.read(record::Columns {
        at: position.at,
        address,
        tracking_id: id(row.text(3)?)?,
        action: id(row.text(4)?)?,
        kind: id(row.text(5)?)?,
        subjects,
    })?;
    Ok((position, entry))
}

/// Removes the oldest entries from before a time; gives how many.
pub(crate) fn purge(session: &Session, before: Timestamp, limit: usize) -> Result<usize, Fault> {
    let old = session.every(
        "SELECT at, number, subjects FROM audit_entries WHERE at < $1
         ORDER BY at, number LIMIT $2",
        &[
            before.unix_micros().into(),
            i64::try_from(limit).unwrap_or(i64::MAX).into(),
        ],
        |row| Ok((row.integer(0)?, row.integer(1)?, row.text(2)?.to_owned())),
    )?;
    for (at, number, subjects) in &old {
        for key in subjects.lines().flat_map(keys) {
            session.execute(
                "DELETE FROM audit_subjects WHERE key = $1 AND at = $2 AND number = $3",
                &[key.into(), (*at).into(), (*number).into()],
            )?;
        }
        session.execute(
            "DELETE FROM audit_entries WHERE at = $1 AND number = $2",
            &[(*at).into(), (*number).into()],
        )?;
    }
    Ok(old.len())
}
