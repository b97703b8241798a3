//! One change, carried out inside its savepoint: first every guard, then every write.

use landfall_core::clock::Timestamp;
use landfall_core::store::{Change, Guard, Write};
use landfall_hub::store::{HubAnswer, HubWrite};

use crate::dialect::{Fault, Session};
use crate::secret::Sealer;
use crate::{
    audit, certificates, devices, enrollments, events, hubs, messages, operations, registrations,
    relayed, services, sessions,
};

/// Holds the guards, and carries out the writes with the audit entries that an author's have; gives what hub
/// writes gave. On an error the caller undoes what was written.
pub(super) fn change(
    session: &Session,
    sealer: &Sealer,
    change: &Change<HubWrite>,
) -> Result<Vec<HubAnswer>, Fault> {
    for guard in &change.guards {
        hold(session, guard)?;
    }
    for one in &change.writes {
        if let Some(author) = &change.author {
            audit::note(session, sealer, author, one)?;
        }
        write(session, sealer, one)?;
    }
    let mut answers = Vec::new();
    for one in &change.hub_writes {
        if let Some(author) = &change.author {
            audit::note_hub(session, sealer, author, one)?;
        }
        answers.extend(hub_write(session, sealer, one)?);
    }
    Ok(answers)
}

/// Writes the time, to show that writing works: a value that was there already would cost no write.
pub(super) fn sign_of_life(session: &Session, now: Timestamp) -> Result<(), Fault> {
    session.prove_room()?;
    session.execute(
        "INSERT INTO store_facts (name, value) VALUES ('sign of life', $1)
         ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        &[now.unix_micros().to_be_bytes().to_vec().into()],
    )?;
    Ok(())
}

/// Holds a guard.
pub(super) fn hold(session: &Session, guard: &Guard) -> Result<(), Fault> {
    match guard {
        Guard::Individual(scope, id, expect) => {
            enrollments::guard_individual(session, scope, id, expect)
        }
        Guard::Group(scope, id, expect) => enrollments::guard_group(session, scope, id, expect),
        Guard::IdentityUnused(scope, id, identity) => {
            enrollments::identity_unused(session, scope, id, identity)
        }
        Guard::CertificateUnused(scope, name, thumbprint) => {
            certificates::unused(session, scope, name, thumbprint)
        }
        Guard::NothingIn(scope) => services::empty(session, scope),
        Guard::NoDeviceOn(hub) => hubs::empty(session, hub),
    }
}

fn write(session: &Session, sealer: &Sealer, write: &Write) -> Result<(), Fault> {
    let (scope, outcome) = match write {
        Write::PutService(service, expect) => {
            return services::put(session, sealer, service, expect);
        }
        Write::DeleteService(scope, expect) => return services::delete(session, scope, expect),
        Write::PutIndividual(scope, enrollment, expect) => (
            scope,
            enrollments::put_individual(session, sealer, scope, enrollment, expect),
        ),
        Write::DeleteIndividual(scope, id, expect) => (
            scope,
            enrollments::delete_individual(session, scope, id, expect),
        ),
        Write::PutGroup(scope, group, expect) => (
            scope,
            enrollments::put_group(session, sealer, scope, group, expect),
        ),
        Write::DeleteGroup(scope, id, expect) => {
            (scope, enrollments::delete_group(session, scope, id, expect))
        }
        Write::PutCertificate(scope, ca, expect) => {
            (scope, certificates::put(session, scope, ca, expect))
        }
        Write::DeleteCertificate(scope, name, expect) => {
            (scope, certificates::delete(session, scope, name, expect))
        }
        Write::PutRegistration(scope, registration, expect) => (
            scope,
            registrations::put(session, scope, registration, expect),
        ),
        Write::DeleteRegistration(scope, id, expect) => {
            (scope, registrations::delete(session, scope, id, expect))
        }
        Write::PutOperation(operation) => (
            &operation.id_scope,
            operations::put(session, sealer, operation),
        ),
    };
    outcome.map_err(|fault| fault.orphan_of(|| services::spoken(scope)))
}

fn hub_write(
    session: &Session,
    sealer: &Sealer,
    write: &HubWrite,
) -> Result<Option<HubAnswer>, Fault> {
    match write {
        HubWrite::PutHub(hub, expect) => hubs::put(session, sealer, hub, *expect)?,
        HubWrite::DeleteHub(hub, expect) => hubs::delete(session, hub, *expect)?,
        HubWrite::PutDevice(hub, device, expect) => {
            devices::put_device(session, sealer, hub, device, *expect)?;
        }
        HubWrite::DeleteDevice(hub, id, expect) => {
            devices::delete_device(session, hub, id, *expect)?;
        }
        HubWrite::PutModule(hub, module, expect) => {
            devices::put_module(session, sealer, hub, module, *expect)?;
        }
        HubWrite::DeleteModule(hub, device, id, expect) => {
            devices::delete_module(session, hub, device, id, *expect)?;
        }
        HubWrite::AppendEvent(hub, event) => events::append(session, hub, event)?,
        HubWrite::Enqueue(hub, endpoint, message) => {
            let sequence = messages::enqueue(session, hub, endpoint, message)?;
            return Ok(Some(HubAnswer::Enqueued(sequence)));
        }
        HubWrite::Complete(hub, endpoint, sequence) | HubWrite::Reject(hub, endpoint, sequence) => {
            messages::remove(session, hub, endpoint, *sequence)?;
        }
        HubWrite::Delivered(hub, endpoint, sequence) => {
            messages::delivered(session, hub, endpoint, *sequence)?;
        }
        HubWrite::Lock(hub, endpoint, now, until) => {
            let locked = messages::lock(session, hub, endpoint, *now, *until)?;
            return Ok(Some(HubAnswer::Locked(locked.map(Box::new))));
        }
        HubWrite::Settle(hub, endpoint, lock, settlement, now) => {
            messages::settle(session, hub, endpoint, *lock, *settlement, *now)?;
        }
        HubWrite::Tell(hub, endpoint, notice, until) => {
            relayed::tell(session, hub, endpoint, notice, *until)?;
        }
        HubWrite::Call(hub, endpoint, call, until) => {
            let called = relayed::call(session, hub, endpoint, call, *until)?;
            return Ok(Some(HubAnswer::Called(called)));
        }
        HubWrite::Reply(_, node, answer, until) => relayed::answer(session, node, answer, *until)?,
        HubWrite::NoteVisit(hub, endpoint, at) => {
            sessions::note_visit(session, hub, endpoint, *at)?;
        }
        HubWrite::OpenSession(hub, endpoint, new) => {
            let opened = sessions::open(session, hub, endpoint, new)?;
            return Ok(Some(HubAnswer::Opened(opened)));
        }
        HubWrite::KeepSubscriptions(hub, endpoint, epoch, subscriptions) => {
            sessions::keep_subscriptions(session, hub, endpoint, *epoch, subscriptions)?;
        }
        HubWrite::NoteActivity(hub, endpoint, epoch, at) => {
            sessions::note_activity(session, hub, endpoint, *epoch, *at)?;
        }
        HubWrite::CloseSession(hub, endpoint, epoch, at) => {
            sessions::close(session, hub, endpoint, *epoch, *at)?;
        }
        HubWrite::Purge(hub, endpoint, now) => {
            let waited = messages::clear(session, hub, endpoint, *now)?;
            return Ok(Some(HubAnswer::Purged(waited)));
        }
    }
    Ok(None)
}
