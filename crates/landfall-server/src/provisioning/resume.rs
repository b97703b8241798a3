//! Continuing operations that were written down before their end: after a crash, or from another
//! node. Called by the worker.

use landfall_core::enrollment::ProvisioningStatus;
use landfall_core::error::Error;
use landfall_core::id::{IdScope, RegistrationId};
use landfall_core::linked_hub::HubRegistry;
use landfall_core::registration::operation::{Operation, Progress};
use landfall_core::registration::{EnrollmentRef, Registration};
use landfall_core::store::{Change, Expect, Guard, Store, Write};
use landfall_core::trace::Stage;

use super::findings::{self, unreadable};
use super::{Provisioning, Recorded, TRIES, enrollment_guards, expect};
use crate::backend::COME_BACK;
use crate::telemetry::Attempt;

impl<S, H> Provisioning<S, H>
where
    S: Store,
    H: HubRegistry<Write = S::HubWrite>,
{
    /// Continues an operation to its end. What was decided stays and nothing is asked twice, as long
    /// as its enrollment still lets the device in.
    ///
    /// # Errors
    /// `Unavailable` when the store cannot be used now; the operation stays as it was.
    pub async fn resume(&self, operation: Operation, attempt: &mut Attempt) -> Result<(), Error> {
        let store = &self.backend.store;
        let (scope, id) = (
            operation.id_scope.clone(),
            operation.registration_id.clone(),
        );
        let service = store
            .service(&scope)
            .await
            .map_err(|error| unreadable(Stage::Service, &error, attempt))?;
        let Some(service) = service else {
            return Ok(());
        };
        let counts = self.backend.metrics.services.of(service.name.as_str());
        attempt.course().is_for(counts);
        let (mut before, enrollment) = match &operation.progress {
            Progress::Accepted(admission) | Progress::Allocated(admission, _, _) => (
                expect(admission.before.as_ref()),
                admission.enrollment.clone(),
            ),
            Progress::Finished(_) => return Ok(()),
        };
        for _ in 0..TRIES {
            let Some(guards) = self.still_open(&scope, &id, &enrollment, attempt).await? else {
                return self.close(operation, &enrollment, attempt).await;
            };
            let change = Change {
                guards,
                ..Change::default()
            };
            let recorded = self
                .advance(operation.clone(), &service, change, before.clone(), attempt)
                .await?;
            if matches!(recorded, Recorded::Done) {
                return Ok(());
            }
            let current = store
                .registration(&scope, &id)
                .await
                .map_err(|error| unreadable(Stage::Record, &error, attempt))?;
            match current {
                // The hub's record changed, not the registration: the same step again.
                current if expect(current.as_ref()) == before => {}
                // Another registration of the same id ended meanwhile: its result is this one's too.
                Some(current) => return self.finish_as(operation, current, attempt).await,
                // An operator removed the registration that there was.
                None => before = Expect::Absent,
            }
        }
        attempt.stop(Stage::Record, &findings::contended(&id));
        Err(Error::Unavailable(COME_BACK))
    }

    /// The guards that keep the enrollment as it is now; `None` when it lets the device in no more:
    /// it is disabled or gone, or an enrollment of the device's own decides by now.
    async fn still_open(
        &self,
        scope: &IdScope,
        id: &RegistrationId,
        enrollment: &EnrollmentRef,
        attempt: &mut Attempt,
    ) -> Result<Option<Vec<Guard>>, Error> {
        let store = &self.backend.store;
        let individual = store
            .individual(scope, id)
            .await
            .map_err(|error| unreadable(Stage::Enrollment, &error, attempt))?;
        let terms = match (enrollment, individual) {
            (EnrollmentRef::Individual, individual) => individual.map(|one| one.terms),
            (EnrollmentRef::Group(_), Some(_)) => None,
            (EnrollmentRef::Group(group), None) => store
                .group(scope, group)
                .await
                .map_err(|error| unreadable(Stage::Enrollment, &error, attempt))?
                .map(|group| group.terms),
        };
        Ok(terms
            .filter(|terms| terms.status == ProvisioningStatus::Enabled)
            .map(|terms| enrollment_guards(scope, id, enrollment, &terms)))
    }

    /// Ends an operation whose enrollment was closed, without device and registration.
    async fn close(
        &self,
        operation: Operation,
        enrollment: &EnrollmentRef,
        attempt: &mut Attempt,
    ) -> Result<(), Error> {
        attempt.pass(
            Stage::Enrollment,
            format!("{} was closed meanwhile", enrollment.spoken()),
        );
        let closed = operation.disabled(self.etag(), self.backend.clock.now());
        self.write(closed, attempt).await
    }

    /// Ends an operation with the registration that another one left.
    async fn finish_as(
        &self,
        operation: Operation,
        registration: Registration,
        attempt: &mut Attempt,
    ) -> Result<(), Error> {
        let finished = Operation {
            progress: Progress::Finished(Box::new(registration)),
            updated: self.backend.clock.now(),
            ..operation
        };
        self.write(finished, attempt).await
    }

    async fn write(&self, operation: Operation, attempt: &mut Attempt) -> Result<(), Error> {
        let change = Change::of(Write::PutOperation(Box::new(operation)));
        self.record(change, attempt).await.map(|_| ())
    }
}
