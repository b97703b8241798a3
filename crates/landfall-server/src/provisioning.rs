//! The one driver of the road: reads what is in force, asks the engine for its step, performs it,
//! records it. Every transport ends here with an [`Exchange`] and leaves with an [`Answer`].
//!
//! An operation is written together with the registration and the device that it leaves. Only
//! before a step whose effect cannot be part of that commit it is written down first
//! (docs/decisions/0004-record-once-per-registration.md).

mod admission;
mod budget;
mod findings;
mod resume;
mod searches;
mod trust;
mod turns;

use landfall_core::enrollment::EnrollmentTerms;
use landfall_core::error::Error;
use landfall_core::exchange::{Action, Exchange};
use landfall_core::id::{Etag, IdScope, OperationId, RegistrationId};
use landfall_core::linked_hub::{HubRegistry, Placed};
use landfall_core::registration::operation::{Admission, Operation, Step};
use landfall_core::registration::{EnrollmentRef, Registration};
use landfall_core::service::ProvisioningService;
use landfall_core::store::{Change, CommitError, Expect, Guard, Store, Write};
use landfall_core::trace::Stage;

use crate::backend::{Backend, COME_BACK};
use crate::telemetry::Attempt;
use admission::Admitted;
pub(crate) use findings::disabled;
use findings::{placement_failure, unavailable};
use searches::Searches;
pub use searches::USUAL_SHARE;
use trust::TrustCache;

/// How often a registration begins anew because a record changed under it.
const TRIES: usize = 8;

/// What the road answers; the face of each transport renders it.
#[derive(Debug)]
pub enum Answer {
    /// The device is registering under this operation.
    Accepted(OperationId),
    /// How far an operation is.
    Operation(Operation),
    /// What became of the registration id.
    Registration(Registration),
}

/// The driver, over one store and the hubs it may place devices on.
pub struct Provisioning<S, H> {
    backend: Backend<S>,
    hubs: H,
    trust: TrustCache,
    searches: Searches,
}

/// What a commit of the road met.
enum Recorded {
    Done,
    /// A record changed meanwhile; read again and decide again.
    Again,
}

impl<S, H> Provisioning<S, H>
where
    S: Store,
    H: HubRegistry<Write = S::HubWrite>,
{
    /// Makes the driver.
    pub fn new(backend: Backend<S>, hubs: H) -> Self {
        Provisioning {
            backend,
            hubs,
            trust: TrustCache::default(),
            searches: Searches::new(USUAL_SHARE),
        }
    }

    /// The same, with another share of one processor for the group searches of each id scope, in
    /// hundredths.
    #[must_use]
    pub fn with_search_share(mut self, percent: u8) -> Self {
        self.searches = Searches::new(percent);
        self
    }

    /// Takes one exchange down the road.
    ///
    /// # Errors
    /// What the device may read; the reason is in `attempt`.
    pub async fn answer(
        &self,
        exchange: &Exchange,
        attempt: &mut Attempt,
    ) -> Result<Answer, Error> {
        match &exchange.action {
            Action::Register { .. } => self.register(exchange, attempt).await.map(Answer::Accepted),
            Action::OperationStatus(id) => {
                attempt.about(id);
                let admitted = self.admit(exchange, attempt).await?;
                let own =
                    |operation: &Operation| operation.registration_id == exchange.registration_id;
                let found = admitted.operation.filter(own);
                found.map(Answer::Operation).ok_or_else(|| {
                    let finding = findings::unknown_operation(&exchange.registration_id, id);
                    attempt.stop(Stage::Record, &finding);
                    Error::OtherNotFound("Operation".to_owned())
                })
            }
            Action::StatusLookup => {
                let admitted = self.admit(exchange, attempt).await?;
                admitted.before.map(Answer::Registration).ok_or_else(|| {
                    attempt.stop(
                        Stage::Record,
                        &findings::not_registered(&exchange.registration_id),
                    );
                    Error::NotFound(format!("Registration '{}'", exchange.registration_id))
                })
            }
        }
    }

    async fn register(
        &self,
        exchange: &Exchange,
        attempt: &mut Attempt,
    ) -> Result<OperationId, Error> {
        for _ in 0..TRIES {
            let admitted = self.admit(exchange, attempt).await?;
            let operation = self.begin(exchange, attempt, &admitted);
            let id = operation.id.clone();
            attempt.about(&id);
            let change = Change {
                guards: enrollment_guards(
                    &exchange.id_scope,
                    &exchange.registration_id,
                    admitted.verdict.attested.enrollment(),
                    &admitted.verdict.terms,
                ),
                ..Change::default()
            };
            let before = expect(admitted.before.as_ref());
            if let Recorded::Done = self
                .advance(operation, &admitted.service, change, before, attempt)
                .await?
            {
                return Ok(id);
            }
            attempt.pass(Stage::Record, "a record changed meanwhile: deciding again");
        }
        attempt.stop(
            Stage::Record,
            &findings::contended(&exchange.registration_id),
        );
        Err(Error::Unavailable(COME_BACK))
    }

    /// Begins the operation of a device that was let in, or ends it at once when its enrollment is
    /// disabled.
    fn begin(&self, exchange: &Exchange, attempt: &Attempt, admitted: &Admitted) -> Operation {
        let now = self.backend.clock.now();
        let payload = match &exchange.action {
            Action::Register { payload } => payload.clone(),
            _ => None,
        };
        let admission = Admission::new(
            &admitted.verdict.attested,
            admitted.verdict.terms.clone(),
            admitted.verdict.device_id.clone(),
            &exchange.api_version,
            payload,
            admitted.before.clone(),
        );
        let operation = Operation::begin(
            OperationId::draw(now, &*self.backend.entropy),
            exchange.id_scope.clone(),
            exchange.registration_id.clone(),
            attempt.tracking_id().clone(),
            admission,
            now,
        );
        if admitted.verdict.enabled() {
            operation
        } else {
            operation.disabled(self.etag(), now)
        }
    }

    /// Asks the engine for its steps and performs them, until the operation is written at its end.
    async fn advance(
        &self,
        mut operation: Operation,
        service: &ProvisioningService,
        mut change: Change<S::HubWrite>,
        before: Expect,
        attempt: &mut Attempt,
    ) -> Result<Recorded, Error> {
        loop {
            let now = self.backend.clock.now();
            operation = match operation.next() {
                Step::Allocate(_) => {
                    let (next, reason) = operation.allocate(
                        service.allocation,
                        &service.linked_hubs,
                        self.etag(),
                        now,
                    );
                    attempt.pass(Stage::Allocation, reason);
                    next
                }
                Step::Place(placement) => match self.hubs.place(placement).await {
                    Ok(placed) => {
                        let note = format!(
                            "{} '{}' on {}",
                            placement.manner.name(),
                            placement.device_id,
                            placement.hub
                        );
                        attempt.pass(Stage::Hub, note);
                        if let Placed::Writes(writes) = placed {
                            change.hub_writes.extend(writes);
                        }
                        operation.placed(self.etag(), now)
                    }
                    Err(error) => {
                        let failure = placement_failure(error, attempt)?;
                        operation.failed(failure, self.etag(), now)
                    }
                },
                Step::Nothing(registration) => {
                    let registration = Box::new(registration.clone());
                    let ending = attempt.course().ending(&registration);
                    let scope = operation.id_scope.clone();
                    change
                        .writes
                        .push(Write::PutRegistration(scope, registration, before));
                    change.writes.push(Write::PutOperation(Box::new(operation)));
                    let recorded = self.record(change, attempt).await?;
                    if let Recorded::Done = recorded {
                        attempt.course().ends(ending);
                    }
                    return Ok(recorded);
                }
            };
        }
    }

    async fn record(
        &self,
        change: Change<S::HubWrite>,
        attempt: &mut Attempt,
    ) -> Result<Recorded, Error> {
        match self.backend.store.commit(vec![change]).await.pop() {
            Some(Ok(())) => {
                attempt.pass(Stage::Record, "operation, registration and device written");
                Ok(Recorded::Done)
            }
            Some(Err(
                CommitError::Exists(_)
                | CommitError::Absent(_)
                | CommitError::Changed(_)
                | CommitError::Full(_),
            )) => Ok(Recorded::Again),
            Some(Err(CommitError::Unavailable(cause))) => {
                Err(unavailable(Stage::Record, &cause, attempt))
            }
            None => Err(unavailable(
                Stage::Record,
                "the store gave no answer",
                attempt,
            )),
        }
    }

    fn etag(&self) -> Etag {
        Etag::draw(&*self.backend.entropy)
    }
}

/// What the registration's row must still be when the operation that began from it ends.
fn expect(before: Option<&Registration>) -> Expect {
    before.map_or(Expect::Absent, |before| Expect::Etag(before.etag.clone()))
}

/// The enrollment must be the one that was judged: a change in between is judged again. So is an
/// individual enrollment that was made in between, which alone decides for its id.
fn enrollment_guards(
    scope: &IdScope,
    id: &RegistrationId,
    enrollment: &EnrollmentRef,
    terms: &EnrollmentTerms,
) -> Vec<Guard> {
    let judged = Expect::Etag(terms.etag.clone());
    let individual = |expect| Guard::Individual(scope.clone(), id.clone(), expect);
    match enrollment {
        EnrollmentRef::Individual => vec![individual(judged)],
        EnrollmentRef::Group(group) => vec![
            Guard::Group(scope.clone(), group.clone(), judged),
            individual(Expect::Absent),
        ],
    }
}

#[cfg(test)]
mod tests;
