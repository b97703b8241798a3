//! Registrations on SQLite: all that one rests on is held before anything of it is written, so that one that
//! does not hold leaves nothing behind without a savepoint. A savepoint copies each page that is touched under it.

use landfall_core::store::{Change, CommitError, Write};
use landfall_hub::store::HubWrite;

use crate::commit::apply;
use crate::commit::request::Request;
use crate::devices::{self, Standing};
use crate::dialect::{Fault, Session};
use crate::secret::Sealer;
use crate::{operations, registrations, revisions};

/// How many of the first requests are registrations.
pub(super) fn length(requests: &[Request]) -> usize {
    requests
        .iter()
        .take_while(|request| request.registration().is_some())
        .count()
}

/// Carries out one registration after the other; gives what came of each.
///
/// # Errors
/// What undid the whole group.
pub(super) fn carry_out(
    session: &Session,
    sealer: &Sealer,
    changes: &[&Change<HubWrite>],
) -> Result<Vec<Result<(), CommitError>>, Fault> {
    // Nothing is removed meanwhile.
    let removed = revisions::highest_removed(session)?;
    changes
        .iter()
        .map(|change| match hold(session, change) {
            Ok(standing) => write(session, sealer, change, standing, removed).map(Ok),
            Err(Fault::Refused(refusal)) => Ok(Err(refusal)),
            Err(fault) => Err(fault),
        })
        .collect()
}

/// Holds all that a registration rests on; gives what stands of its device.
fn hold(session: &Session, change: &Change<HubWrite>) -> Result<Standing, Fault> {
    for guard in &change.guards {
        apply::hold(session, guard)?;
    }
    for write in &change.writes {
        if let Write::PutRegistration(scope, registration, expect) = write {
            registrations::hold(session, scope, &registration.registration_id, expect)?;
        }
    }
    let mut standing = None;
    for write in &change.hub_writes {
        if let HubWrite::PutDevice(hub, device, expect) = write {
            standing = devices::hold_device(session, hub, &device.id, *expect)?;
        }
    }
    Ok(standing)
}

fn write(
    session: &Session,
    sealer: &Sealer,
    change: &Change<HubWrite>,
    mut standing: Standing,
    removed: i64,
) -> Result<(), Fault> {
    for write in &change.writes {
        match write {
            Write::PutRegistration(scope, registration, _) => {
                registrations::write(session, scope, registration)?;
            }
            Write::PutOperation(operation) => operations::put(session, sealer, operation)?,
            _ => {}
        }
    }
    for write in &change.hub_writes {
        if let HubWrite::PutDevice(hub, device, _) = write {
            let before = standing.take();
            let revision = before.as_ref().map_or(removed, |before| before.0);
            let next = revision.saturating_add(1);
            devices::write_device(session, sealer, hub, device, before, next)?;
        }
    }
    Ok(())
}
