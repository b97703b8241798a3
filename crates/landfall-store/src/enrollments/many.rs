//! Many individual enrollments in one durable commit: what an import writes.
//!
//! Rows are made ready beside the writer, so that its thread does nothing but write; how new ones are
//! written is `make`. All of a request share one audit entry that counts them.

mod make;

use landfall_core::audit::difference::Difference;
use landfall_core::audit::{Action, Author, Kind as AuditKind, Place};
use landfall_core::enrollment::IndividualEnrollment;
use landfall_core::id::{IdScope, RegistrationId};
use landfall_core::store::{CommitError, Expect};

use super::identities::identities;
use super::put_individual;
use super::write::Columns;
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
enum Row {
    /// One that is to be new.
    New(Box<New>),
    /// One that replaces what is there.
    Other(Box<IndividualEnrollment>, Expect),
}

/// What is written of one that is to be new.
struct New {
    id: RegistrationId,
    /// Or why it cannot be written.
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
            if expect != Expect::Absent {
                return Row::Other(Box::new(enrollment), expect);
            }
            let columns = Columns::of_individual(sealer, &scope, &enrollment);
            let leaves = columns
                .as_ref()
                .map_or_else(|_| Vec::new(), |columns| tags::leaves(&columns.tags));
            Row::New(Box::new(New {
                identities: identities(&enrollment.attestation),
                columns: columns.map_err(Fault::into_commit_error),
                leaves,
                id: enrollment.registration_id,
            }))
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
    let is_new = |row: &Row| matches!(row, Row::New(_));
    // Those that stand together and are new are written together.
    for rows in many.rows.chunk_by(|one, next| is_new(one) && is_new(next)) {
        if let [Row::Other(enrollment, expect)] = rows {
            let put = put_individual(session, sealer, &many.scope, enrollment, expect);
            let outcome = put.map_or_else(Fault::refusal, |()| Ok(Ok(())))?;
            changed += u64::from(outcome.is_ok());
            outcomes.push(outcome);
            continue;
        }
        let new = rows.iter().filter_map(|row| match row {
            Row::New(new) => Some(&**new),
            Row::Other(..) => None,
        });
        let told = make::all(session, &many.scope, &new.collect::<Vec<_>>())?;
        made += told.iter().filter(|outcome| outcome.is_ok()).count() as u64;
        outcomes.extend(told);
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

impl Fault {
    /// What came of one of many that met this: its refusal alone, or the end of all.
    fn refusal(self) -> Result<Result<(), CommitError>, Fault> {
        match self {
            Fault::Refused(error) => Ok(Err(error)),
            fault => Err(fault),
        }
    }
}
