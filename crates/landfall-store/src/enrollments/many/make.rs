//! Making many individual enrollments where there are none, each on its own: on SQLite by one insertion
//! each that finds out by itself whether there is one already, on PostgreSQL by one question about all and
//! one statement for each table.

use std::collections::{HashMap, HashSet};

use landfall_core::id::IdScope;
use landfall_core::store::CommitError;

use super::New;
use crate::dialect::{Columns as Arrays, Fault, Session, Value};
use crate::enrollments::Kind;
use crate::enrollments::identities::{held_by, identity_unused, keep_identities};
use crate::enrollments::write::{Columns, add_tags, insert_individual};

type Outcome = Result<(), CommitError>;

/// Makes all; gives what came of each, in their order.
pub(super) fn all(
    session: &Session,
    scope: &IdScope,
    rows: &[&New],
) -> Result<Vec<Outcome>, Fault> {
    match session {
        Session::Sqlite(_) => one_by_one(session, scope, rows),
        Session::Postgres(_) => together(session, scope, rows),
    }
}

fn one_by_one(session: &Session, scope: &IdScope, rows: &[&New]) -> Result<Vec<Outcome>, Fault> {
    let mut outcomes = Vec::with_capacity(rows.len());
    let mut leaves = Vec::new();
    for row in rows {
        let made = one(session, scope, row);
        if made.is_ok() {
            leaves.extend(leaves_of(row));
        }
        outcomes.push(made.map_or_else(Fault::refusal, |()| Ok(Ok(())))?);
    }
    // In the order of the index, so that neighbours find its pages at hand.
    leaves.sort_unstable();
    add_tags(session, Kind::Individual, scope, &leaves)?;
    Ok(outcomes)
}

/// The leaves of a row's tags, as the path table has them: path, value, key.
fn leaves_of(row: &New) -> impl Iterator<Item = [&str; 3]> {
    let leaves = row.leaves.iter();
    leaves.map(|(path, value)| [path.as_str(), value.as_str(), row.id.key()])
}

fn one(session: &Session, scope: &IdScope, row: &New) -> Result<(), Fault> {
    for identity in &row.identities {
        identity_unused(session, scope, &row.id, identity)?;
    }
    if !insert_individual(session, scope, row.id.key(), row.columns()?)? {
        return Err(Fault::Refused(row.exists()));
    }
    keep_identities(session, scope, row.id.key(), "", &row.identities)
}

impl New {
    fn columns(&self) -> Result<&Columns, Fault> {
        let columns = self.columns.as_ref();
        columns.map_err(|error| Fault::Refused(error.clone()))
    }

    fn exists(&self) -> CommitError {
        CommitError::Exists(Kind::Individual.spoken(self.id.as_str()))
    }
}

/// What stands in the database of what many new rows would come beside. Nobody else writes meanwhile.
#[derive(Default)]
struct Standing {
    keys: HashSet<String>,
    /// The identities that are held, and by whom: of several, the first.
    holders: HashMap<String, String>,
}

const KEYS: &str = "SELECT e.key FROM unnest($1::text[], $2::text[]) AS k (scope, key)
     JOIN individual_enrollments e ON e.scope = k.scope AND e.key = k.key";
const HOLDERS: &str = "SELECT i.identity, MIN(i.key)
     FROM unnest($1::text[], $2::text[]) AS k (scope, identity)
     JOIN individual_identities i ON i.scope = k.scope AND i.identity = k.identity
     GROUP BY i.identity";
const PUT_ROWS: &str = "INSERT INTO individual_enrollments (scope, key, etag, provisioning_status,
       attestation, allocation, identities, tags, record, secrets)
     SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],
       $7::text[], $8::text[], $9::text[], $10::bytea[])";
const PUT_IDENTITIES: &str = "INSERT INTO individual_identities (scope, identity, key)
     SELECT * FROM unnest($1::text[], $2::text[], $3::text[])";
const PUT_TAGS: &str = "INSERT INTO enrollment_tags (scope, kind, path, value, key)
     SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])
     ON CONFLICT (scope, kind, path, value, key) DO NOTHING";

impl Standing {
    fn read(session: &Session, scope: &IdScope, rows: &[&New]) -> Result<Self, Fault> {
        let mut standing = Standing::default();
        let keys = rows.iter().map(|row| (scope.key(), row.id.key())).collect();
        session.every_of(KEYS, &Arrays::of_pairs(&[keys]), |row| {
            standing.keys.insert(row.text(0)?.to_owned());
            Ok(())
        })?;
        let identities = rows.iter().flat_map(|row| &row.identities);
        let identities: Vec<_> = identities.map(|it| (scope.key(), it.as_str())).collect();
        if !identities.is_empty() {
            session.every_of(HOLDERS, &Arrays::of_pairs(&[identities]), |row| {
                let (identity, holder) = (row.text(0)?.to_owned(), row.text(1)?.to_owned());
                standing.holders.insert(identity, holder);
                Ok(())
            })?;
        }
        Ok(standing)
    }

    /// Takes a row in, as if it were written; refuses one that cannot be.
    fn take(&mut self, row: &New) -> Outcome {
        let holders = row.identities.iter().map(|it| self.holders.get(it));
        if let Some(holder) = holders.flatten().find(|holder| *holder != row.id.key()) {
            return Err(held_by(holder));
        }
        row.columns.as_ref().map_err(Clone::clone)?;
        if !self.keys.insert(row.id.key().to_owned()) {
            return Err(row.exists());
        }
        for identity in &row.identities {
            self.holders
                .insert(identity.clone(), row.id.key().to_owned());
        }
        Ok(())
    }
}

fn together(session: &Session, scope: &IdScope, rows: &[&New]) -> Result<Vec<Outcome>, Fault> {
    let mut standing = Standing::read(session, scope, rows)?;
    let (mut outcomes, mut taken) = (Vec::with_capacity(rows.len()), Vec::new());
    for row in rows {
        let outcome = standing.take(row);
        if outcome.is_ok() {
            taken.push(*row);
        }
        outcomes.push(outcome);
    }
    let (mut put, mut identities, mut leaves) = (Vec::new(), Vec::new(), Vec::new());
    // In the order of their keys, as every server writes them.
    taken.sort_unstable_by(|one, other| one.id.key().cmp(other.id.key()));
    for row in taken {
        let key = row.id.key();
        put.push(row.columns()?.values(scope, key));
        for identity in &row.identities {
            identities.push([scope.key(), identity.as_str(), key].map(Value::from));
        }
        leaves.extend(leaves_of(row));
    }
    leaves.sort_unstable();
    let kind = Kind::Individual.word();
    let tags: Vec<_> = leaves
        .into_iter()
        .map(|[path, value, key]| [scope.key(), kind, path, value, key].map(Value::from))
        .collect();
    session.execute_together(&[
        (PUT_ROWS, Arrays::of(&put)),
        (PUT_IDENTITIES, Arrays::of(&identities)),
        (PUT_TAGS, Arrays::of(&tags)),
    ])?;
    Ok(outcomes)
}
