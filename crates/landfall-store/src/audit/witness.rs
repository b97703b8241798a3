//! What a write is about to change: the records that stand there now, held against those that it
//! brings. The same commit carries the write out, so that what is told here is what happens.

use landfall_core::audit::difference::{
    Difference, Named, of_certificate, of_group, of_individual, of_registration, of_service,
};
use landfall_core::audit::{Action, Kind, Place};
use landfall_core::clock::Timestamp;
use landfall_core::id::{DeviceId, HubHostName, IdScope, RegistrationId};
use landfall_core::registration::EnrollmentRef;
use landfall_core::store::Write;
use landfall_hub::audit::{HubRecord, module_subject, of_device, of_hub, of_module};
use landfall_hub::store::HubWrite;

use crate::dialect::{Fault, Read, Session};
use crate::secret::Sealer;
use crate::{certificates, devices, enrollments, hubs, registrations, services};

/// Where a write changes something, and what.
type Witnessed = Result<(Place, Vec<Named<HubRecord>>), Fault>;

/// What a write of a provisioning service's records changes.
pub(super) fn of_write(session: &Session, sealer: &Sealer, write: &Write) -> Witnessed {
    let eye = Eye { session, sealer };
    let (scope, changes) = match write {
        Write::PutService(service, _) => {
            let subject = Subject::of(Kind::Service, &service.name, Action::Update);
            let read = services::one(&service.id_scope);
            let told = eye.tell(subject, &read, |before| of_service(before, Some(service)));
            (&service.id_scope, told?)
        }
        Write::DeleteService(scope, _) => (scope, eye.service_goes(scope)?),
        Write::PutIndividual(scope, enrollment, _) => {
            let id = &enrollment.registration_id;
            let subject = Subject::of(Kind::Enrollment, id, Action::Update);
            let told = eye.tell(subject, &enrollments::individual(scope, id), |before| {
                of_individual(before, Some(enrollment))
            });
            (scope, told?)
        }
        Write::DeleteIndividual(scope, id, _) => (scope, eye.individual_goes(scope, id)?),
        Write::PutGroup(scope, group, _) => {
            let subject = Subject::of(Kind::Group, &group.id, Action::Update);
            let told = eye.tell(subject, &enrollments::group(scope, &group.id), |before| {
                of_group(before, Some(group))
            });
            (scope, told?)
        }
        Write::DeleteGroup(scope, id, _) => {
            let subject = Subject::of(Kind::Group, id, Action::Delete);
            let read = enrollments::group(scope, id);
            (
                scope,
                eye.tell(subject, &read, |before| of_group(before, None))?,
            )
        }
        Write::PutCertificate(scope, ca, _) => {
            let subject = Subject::of(Kind::Certificate, &ca.name, Action::Update);
            let told = eye.tell(subject, &certificates::one(scope, &ca.name), |before| {
                of_certificate(before, Some(ca))
            });
            (scope, told?)
        }
        Write::DeleteCertificate(scope, name, _) => {
            let subject = Subject::of(Kind::Certificate, name, Action::Delete);
            let told = eye.tell(subject, &certificates::one(scope, name), |before| {
                of_certificate(before, None)
            });
            (scope, told?)
        }
        Write::PutRegistration(scope, registration, _) => {
            let id = &registration.registration_id;
            let subject = Subject::of(Kind::Registration, id, Action::Update);
            let told = eye.tell(subject, &registrations::one(scope, id), |before| {
                of_registration(before, Some(registration))
            });
            (scope, told?)
        }
        Write::DeleteRegistration(scope, id, _) => {
            let subject = Subject::of(Kind::Registration, id, Action::Delete);
            let told = eye.tell(subject, &registrations::one(scope, id), |before| {
                of_registration(before, None)
            });
            (scope, told?)
        }
        // No operator's call writes one.
        Write::PutOperation(operation) => (&operation.id_scope, Vec::new()),
    };
    Ok((Place::Service(scope.clone()), changes))
}

/// What a write of an embedded hub's records changes.
pub(super) fn of_hub_write(session: &Session, sealer: &Sealer, write: &HubWrite) -> Witnessed {
    let eye = Eye { session, sealer };
    let (hub, changes) = match write {
        HubWrite::PutHub(hub, _) => {
            let subject = Subject::of(Kind::Hub, &hub.host_name, Action::Update);
            let read = hubs::one(&hub.host_name);
            let told = eye.tell(subject, &read, |before| of_hub(before, Some(hub)));
            (&hub.host_name, told?)
        }
        HubWrite::DeleteHub(hub, _) => (hub, eye.hub_goes(hub)?),
        HubWrite::PutDevice(hub, device, _) => {
            let subject = Subject::of(Kind::Device, &device.id, Action::Update);
            let read = devices::device(hub, &device.id, Timestamp::NEVER);
            let told = eye.tell(subject, &read, |before| of_device(before, Some(device)));
            (hub, told?)
        }
        HubWrite::DeleteDevice(hub, id, _) => (hub, eye.device_goes(hub, id)?),
        HubWrite::PutModule(hub, module, _) => {
            let name = module_subject(&module.device_id, &module.id);
            let subject = Subject::of(Kind::Module, &name, Action::Update);
            let read = devices::module(hub, &module.device_id, &module.id, Timestamp::NEVER);
            let told = eye.tell(subject, &read, |before| of_module(before, Some(module)));
            (hub, told?)
        }
        HubWrite::DeleteModule(hub, device, id, _) => {
            let name = module_subject(device, id);
            let subject = Subject::of(Kind::Module, &name, Action::Delete);
            let read = devices::module(hub, device, id, Timestamp::NEVER);
            (
                hub,
                eye.tell(subject, &read, |before| of_module(before, None))?,
            )
        }
        // What happens to a device, and what it is told, is no change of a record.
        HubWrite::AppendEvent(hub, _)
        | HubWrite::Enqueue(hub, ..)
        | HubWrite::Complete(hub, ..)
        | HubWrite::Reject(hub, ..)
        | HubWrite::Delivered(hub, ..)
        | HubWrite::Lock(hub, ..)
        | HubWrite::Settle(hub, ..)
        | HubWrite::NoteVisit(hub, ..)
        | HubWrite::Tell(hub, ..)
        | HubWrite::Call(hub, ..)
        | HubWrite::Reply(hub, ..)
        | HubWrite::Purge(hub, ..)
        | HubWrite::OpenSession(hub, ..)
        | HubWrite::KeepSubscriptions(hub, ..)
        | HubWrite::NoteActivity(hub, ..)
        | HubWrite::CloseSession(hub, ..) => (hub, Vec::new()),
    };
    Ok((Place::Hub(hub.clone()), changes))
}

/// A record that a write is about, and what is told when the one that stands there is unreadable.
struct Subject {
    kind: Kind,
    id: String,
    action: Action,
}

impl Subject {
    fn of(kind: Kind, id: &impl ToString, action: Action) -> Self {
        Subject {
            kind,
            id: id.to_string(),
            action,
        }
    }
}

/// Looks at what stands in the database.
struct Eye<'a> {
    session: &'a Session,
    sealer: &'a Sealer,
}

impl Eye<'_> {
    /// Reads the record that stands there and says what becomes of it. One that cannot be read may
    /// still be replaced or removed; then no state of it is told.
    fn tell<T, Told>(
        &self,
        subject: Subject,
        read: &Read<'_, T>,
        difference: impl FnOnce(Option<&T>) -> Told,
    ) -> Result<Vec<Named<HubRecord>>, Fault>
    where
        Told: IntoIterator<Item = Named<HubRecord>>,
    {
        match self.session.one(read, self.sealer) {
            Ok(before) => Ok(difference(before.as_ref()).into_iter().collect()),
            Err(Fault::Record(_)) => {
                let what = Difference {
                    action: subject.action,
                    kind: subject.kind,
                    before: None,
                    after: None,
                    changed_secrets: Vec::new(),
                    taken_along: Vec::new(),
                };
                Ok(vec![(subject.id, what)])
            }
            Err(fault) => Err(fault),
        }
    }

    /// A service goes with everything in it: told by numbers.
    fn service_goes(&self, scope: &IdScope) -> Result<Vec<Named<HubRecord>>, Fault> {
        let subject = Subject::of(Kind::Service, scope, Action::Delete);
        let read = services::one(scope);
        let mut told = self.tell(subject, &read, |before| of_service(before, None))?;
        for (_, what) in &mut told {
            what.taken_along = self.counts(
                scope.key(),
                &[
                    (
                        Kind::Enrollment,
                        "SELECT COUNT(*) FROM individual_enrollments WHERE scope = $1",
                    ),
                    (
                        Kind::Group,
                        "SELECT COUNT(*) FROM enrollment_groups WHERE scope = $1",
                    ),
                    (
                        Kind::Certificate,
                        "SELECT COUNT(*) FROM ca_certificates WHERE scope = $1",
                    ),
                    (
                        Kind::Registration,
                        "SELECT COUNT(*) FROM registrations WHERE scope = $1",
                    ),
                ],
            )?;
        }
        Ok(told)
    }

    /// A hub goes with everything in it: told by numbers.
    fn hub_goes(&self, hub: &HubHostName) -> Result<Vec<Named<HubRecord>>, Fault> {
        let subject = Subject::of(Kind::Hub, hub, Action::Delete);
        let mut told = self.tell(subject, &hubs::one(hub), |before| of_hub(before, None))?;
        for (_, what) in &mut told {
            what.taken_along = self.counts(
                hub.key(),
                &[
                    (Kind::Device, "SELECT COUNT(*) FROM devices WHERE hub = $1"),
                    (Kind::Module, "SELECT COUNT(*) FROM modules WHERE hub = $1"),
                ],
            )?;
        }
        Ok(told)
    }

    /// An individual enrollment goes, and the registration that it let in.
    fn individual_goes(
        &self,
        scope: &IdScope,
        id: &RegistrationId,
    ) -> Result<Vec<Named<HubRecord>>, Fault> {
        let subject = Subject::of(Kind::Enrollment, id, Action::Delete);
        let read = enrollments::individual(scope, id);
        let mut told = self.tell(subject, &read, |before| of_individual(before, None))?;
        let subject = Subject::of(Kind::Registration, id, Action::Delete);
        told.extend(
            self.tell(subject, &registrations::one(scope, id), |before| {
                let own = before.filter(|before| before.enrollment == EnrollmentRef::Individual);
                of_registration(own, None)
            })?,
        );
        Ok(told)
    }

    /// A device goes, and its modules.
    fn device_goes(
        &self,
        hub: &HubHostName,
        id: &DeviceId,
    ) -> Result<Vec<Named<HubRecord>>, Fault> {
        let subject = Subject::of(Kind::Device, id, Action::Delete);
        let read = devices::device(hub, id, Timestamp::NEVER);
        let mut told = self.tell(subject, &read, |before| of_device(before, None))?;
        for module in devices::module_ids(self.session, hub, id)? {
            let name = module_subject(id, &module);
            let subject = Subject::of(Kind::Module, &name, Action::Delete);
            let read = devices::module(hub, id, &module, Timestamp::NEVER);
            told.extend(self.tell(subject, &read, |before| of_module(before, None))?);
        }
        Ok(told)
    }

    /// How many records of each kind there are; kinds of which there is none are left out.
    fn counts(
        &self,
        key: &str,
        questions: &[(Kind, &'static str)],
    ) -> Result<Vec<(Kind, u64)>, Fault> {
        let mut counts = Vec::new();
        for (kind, sql) in questions {
            let count = self
                .session
                .first(sql, &[key.into()], |row| row.integer(0))?;
            let count = count.and_then(|count| u64::try_from(count).ok());
            counts.extend(count.filter(|count| *count > 0).map(|count| (*kind, count)));
        }
        Ok(counts)
    }
}
