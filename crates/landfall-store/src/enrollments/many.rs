//! Many individual enrollments in one durable commit: what an import writes.
//!
//! Rows are made ready beside the writer, so that its thread does nothing but write. One that is
//! new costs one insertion that finds out by itself whether there is one already. All of a request
//! share one audit entry that counts them.

use landfall_core::audit::difference::Difference;
use landfall_core::audit::{Action, Author, Kind as AuditKind, Place};
use landfall_core::enrollment::IndividualEnrollment;
use landfall_core::id::IdScope;
use landfall_core::store::{CommitError, Expect};

use super::identities::{identities, identity_unused, keep_identities};
use super::write::{Columns, add_tags, insert_individual};
use super::{Kind, put_individual};
use crate::dialect::{Fault, Session};
use crate::secret::Sealer;
use crate::tags::Leaf;
use crate::{audit, services, tags};

/// Many enrollments of one service, ready to be written.
pub(crate) struct Many {
    scope: IdScope,
    rows: Vec<Row>,
    author: Author,
}

/// One of them.
struct Row {
    enrollment: IndividualEnrollment,
    expect: Expect,
    /// What is written of one that is to be new, or why it cannot be written.
    columns: Result<Columns, CommitError>,
    identities: Vec<String>,
    leaves: Vec<Leaf>,
}

impl Many {
    /// Makes the rows ready.
    pub(crate) fn ready(
        sealer: &Sealer,
        scope: IdScope,
        records: Vec<(IndividualEnrollment, Expect)>,
        author: Author,
    ) -> Self {
        let rows = records.into_iter().map(|(enrollment, expect)| {
            let columns = Columns::of_individual(sealer, &scope, &enrollment);
            let leaves = columns
                .as_ref()
                .map_or_else(|_| Vec::new(), |columns| tags::leaves(&columns.tags));
            Row {
                identities: identities(&enrollment.attestation),
                columns: columns.map_err(Fault::into_commit_error),
                leaves,
                enrollment,
                expect,
            }
        });
        Many {
            rows: rows.collect(),
            scope,
            author,
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }
}

/// What came of each of many, in their order.
pub(crate) type Outcomes = Vec<Result<(), CommitError>>;

/// Writes many, each on its own. A refused one has written nothing.
pub(crate) fn put_many(session: &Session, sealer: &Sealer, many: &Many) -> Result<Outcomes, Fault> {
    services::there(session, &many.scope)?;
    let mut outcomes = Vec::with_capacity(many.rows.len());
    let (mut made, mut changed) = (0, 0);
    for row in &many.rows {
        let outcome = match put(session, sealer, &many.scope, row) {
            Ok(()) => Ok(()),
            Err(Fault::Refused(error)) => Err(error),
            Err(fault) => return Err(fault),
        };
        match (&outcome, &row.expect) {
            (Ok(()), Expect::Absent) => made += 1,
            (Ok(()), _) => changed += 1,
            (Err(_), _) => {}
        }
        outcomes.push(outcome);
    }
    let place = Place::Service(many.scope.clone());
    for (action, count) in [(Action::Create, made), (Action::Update, changed)] {
        if count > 0 {
            let what = Difference {
                action,
                kind: AuditKind::Enrollment,
                before: None,
                after: None,
                changed_secrets: Vec::new(),
                taken_along: vec![(AuditKind::Enrollment, count)],
            };
            audit::count(session, &many.author, &place, &what)?;
        }
    }
    Ok(outcomes)
}

fn put(session: &Session, sealer: &Sealer, scope: &IdScope, row: &Row) -> Result<(), Fault> {
    let id = &row.enrollment.registration_id;
    for identity in &row.identities {
        identity_unused(session, scope, id, identity)?;
    }
    if row.expect != Expect::Absent {
        return put_individual(session, sealer, scope, &row.enrollment, &row.expect);
    }
    let columns = row
        .columns
        .as_ref()
        .map_err(|error| Fault::Refused(error.clone()))?;
    if !insert_individual(session, scope, id.key(), columns)? {
        return Err(Fault::Refused(CommitError::Exists(
            Kind::Individual.spoken(id.as_str()),
        )));
    }
    keep_identities(session, scope, id.key(), "", &row.identities)?;
    add_tags(session, Kind::Individual, scope, id.key(), &row.leaves)
}
