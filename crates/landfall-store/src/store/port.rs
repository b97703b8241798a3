//! The two ports, answered by the subject files.

use std::sync::Arc;
use std::time::Duration;

use landfall_core::attestation::AttestationKind;
use landfall_core::audit::{Author, Search};
use landfall_core::certificate::ca::CaCertificate;
use landfall_core::clock::Timestamp;
use landfall_core::enrollment::{EnrollmentGroup, IndividualEnrollment};
use landfall_core::id::{
    CertificateName, DeviceId, EnrollmentGroupId, HubHostName, IdScope, ModuleId, OperationId,
    RegistrationId, TrackingId,
};
use landfall_core::registration::Registration;
use landfall_core::registration::operation::Operation;
use landfall_core::service::ProvisioningService;
use landfall_core::store::{
    Change, CommitError, Contents, Expect, InForce, Kept, ReadError, Selection, Store,
};
use landfall_core::trace::DecisionTrace;
use landfall_hub::audit::HubRecord;
use landfall_hub::device::{Device, Hub, Module};
use landfall_hub::endpoint::Endpoint;
use landfall_hub::event::{EventEnds, EventLimit, KeptEvent};
use landfall_hub::kept_session::KeptSession;
use landfall_hub::message::CloudMessage;
use landfall_hub::relay::Relayed;
use landfall_hub::store::{DeviceCounts, HubAnswer, HubSelection, HubStore, HubWrite};
use tokio::sync::oneshot;

use super::SqlStore;
use crate::commit::{Request, closed};
use crate::dialect::patience;
use crate::enrollments::Many;
use crate::{
    audit, certificates, devices, enrollments, events, hubs, messages, operations, registrations,
    relayed, services, sessions, traces,
};

/// How long a caller waits for the writer, where a database elsewhere can keep it waiting: over a
/// fail-over, and not for a standby that stays away.
const ANSWERED_WITHIN: Duration = Duration::from_secs(15);

fn late() -> CommitError {
    CommitError::Unavailable("the database did not confirm the changes in time".to_owned())
}

fn read_error(error: CommitError) -> ReadError {
    match error {
        CommitError::Unavailable(cause) => ReadError(cause),
        other => ReadError(other.to_string()),
    }
}

impl SqlStore {
    /// Waits for the writer, but not past the bound where a database elsewhere can keep it waiting: who waits no
    /// longer is told to come back, and finds what became of it.
    async fn in_time<T>(&self, answer: impl Future<Output = T>) -> Option<T> {
        match self.source.is_shared() {
            true => patience::bounded(ANSWERED_WITHIN, answer).await,
            false => Some(answer.await),
        }
    }
}

impl Store for SqlStore {
    type HubWrite = HubWrite;
    type HubRecord = HubRecord;

    async fn commit(&self, changes: Vec<Change<HubWrite>>) -> Vec<Result<(), CommitError>> {
        // All are queued before the first answer is awaited, so that they share commits.
        let waiting: Vec<_> = changes
            .into_iter()
            .map(|change| {
                let (answer, answered) = oneshot::channel();
                let queued = self.queue(Request::Change(Box::new(change), answer));
                queued.then_some(answered)
            })
            .collect();
        let many = waiting.len();
        let mut answers = Vec::with_capacity(many);
        let all = async {
            for answered in waiting {
                answers.push(match answered {
                    Some(answered) => answered.await.unwrap_or_else(|_| Err(self.unanswered())),
                    None => Err(closed()),
                });
            }
        };
        let _ = self.in_time(all).await;
        answers.resize_with(many, || Err(late()));
        answers
    }

    async fn put_individuals(
        &self,
        scope: &IdScope,
        records: Vec<(IndividualEnrollment, Expect)>,
        author: &Author,
    ) -> Vec<Result<(), CommitError>> {
        let (many, sealer) = (records.len(), Arc::clone(self.readers.sealer()));
        let (scope, author) = (scope.clone(), author.clone());
        let ready = tokio::task::spawn_blocking(move || {
            Box::new(Many::ready(&sealer, scope, records, author))
        });
        let outcome = match ready.await {
            Ok(ready) => {
                let asked = self.ask(|answer| Request::Many(ready, answer));
                self.in_time(asked).await.unwrap_or_else(|| Err(late()))
            }
            Err(error) => Err(CommitError::Unavailable(error.to_string())),
        };
        outcome.unwrap_or_else(|error| vec![Err(error); many])
    }

    async fn services(&self) -> Result<Vec<ProvisioningService>, ReadError> {
        self.all(services::all()).await
    }

    async fn service(&self, scope: &IdScope) -> Result<Option<ProvisioningService>, ReadError> {
        self.one(&services::one(scope)).await
    }

    async fn in_force(
        &self,
        scope: &IdScope,
        id: &RegistrationId,
        operation: Option<&OperationId>,
    ) -> Result<InForce, ReadError> {
        let found = self.readers.in_force(&self.services, scope, id, operation);
        self.observed_read(found.await)
    }

    async fn contents(&self, scope: &IdScope) -> Result<Contents, ReadError> {
        let contents = self.all(services::contents(scope)).await?;
        Ok(contents.into_iter().next().unwrap_or_default())
    }

    async fn individual(
        &self,
        scope: &IdScope,
        id: &RegistrationId,
    ) -> Result<Option<IndividualEnrollment>, ReadError> {
        self.one(&enrollments::individual(scope, id)).await
    }

    async fn group(
        &self,
        scope: &IdScope,
        id: &EnrollmentGroupId,
    ) -> Result<Option<EnrollmentGroup>, ReadError> {
        self.one(&enrollments::group(scope, id)).await
    }

    async fn individuals(
        &self,
        scope: &IdScope,
        selection: &Selection,
    ) -> Result<Vec<IndividualEnrollment>, ReadError> {
        self.all(enrollments::individuals(scope, selection)).await
    }

    async fn groups(
        &self,
        scope: &IdScope,
        selection: &Selection,
    ) -> Result<Vec<EnrollmentGroup>, ReadError> {
        self.all(enrollments::groups(scope, selection)).await
    }

    async fn groups_by_kind(
        &self,
        scope: &IdScope,
        kind: AttestationKind,
    ) -> Result<Vec<EnrollmentGroup>, ReadError> {
        self.all(enrollments::groups_by_kind(scope, kind)).await
    }

    async fn certificates(&self, scope: &IdScope) -> Result<Vec<CaCertificate>, ReadError> {
        self.all(certificates::all(scope)).await
    }

    async fn certificate(
        &self,
        scope: &IdScope,
        name: &CertificateName,
    ) -> Result<Option<CaCertificate>, ReadError> {
        self.one(&certificates::one(scope, name)).await
    }

    async fn registration(
        &self,
        scope: &IdScope,
        id: &RegistrationId,
    ) -> Result<Option<Registration>, ReadError> {
        self.one(&registrations::one(scope, id)).await
    }

    async fn registrations_of_group(
        &self,
        scope: &IdScope,
        group: &EnrollmentGroupId,
        selection: &Selection,
    ) -> Result<Vec<Registration>, ReadError> {
        self.all(registrations::of_group(scope, group, selection))
            .await
    }

    async fn operation(
        &self,
        scope: &IdScope,
        id: &OperationId,
    ) -> Result<Option<Operation>, ReadError> {
        self.one(&operations::one(scope, id)).await
    }

    async fn unfinished_operations(&self, limit: usize) -> Result<Vec<Operation>, ReadError> {
        if self.source.is_shared() {
            let continued = self.ask(|answer| Request::Continue(limit, answer)).await;
            return continued.map_err(read_error);
        }
        self.all(operations::unfinished(limit)).await
    }

    async fn purge_operations(&self, before: Timestamp, limit: usize) -> Result<usize, ReadError> {
        self.ask(|answer| Request::Purge {
            before,
            limit,
            answer,
        })
        .await
        .map_err(read_error)
    }

    async fn keep_traces(
        &self,
        traces: Vec<DecisionTrace>,
        oldest: Timestamp,
        most: usize,
    ) -> Result<(), ReadError> {
        self.ask(|answer| Request::Traces {
            traces,
            oldest,
            most,
            answer,
        })
        .await
        .map_err(read_error)
    }

    async fn trace(&self, id: &TrackingId) -> Result<Option<DecisionTrace>, ReadError> {
        self.one(&traces::one(id)).await
    }

    async fn traces_of(
        &self,
        scope: &IdScope,
        registration_id: &str,
        limit: usize,
    ) -> Result<Vec<DecisionTrace>, ReadError> {
        self.all(traces::of_registration(scope, registration_id, limit))
            .await
    }

    async fn audit(&self, search: &Search) -> Result<Vec<Kept<HubRecord>>, ReadError> {
        self.all(audit::search(search)).await
    }

    async fn purge_audit(&self, before: Timestamp, limit: usize) -> Result<usize, ReadError> {
        self.ask(|answer| Request::PurgeAudit {
            before,
            limit,
            answer,
        })
        .await
        .map_err(read_error)
    }

    async fn ready(&self) -> Result<(), ReadError> {
        let now = self.clock.now();
        self.ask(|answer| Request::Ready(now, answer))
            .await
            .map_err(read_error)
    }
}

impl HubStore for SqlStore {
    async fn carry_out(&self, change: Change<HubWrite>) -> Result<Vec<HubAnswer>, CommitError> {
        let asked = self.ask(|answer| Request::Ask(Box::new(change), answer));
        if self.source.is_shared() {
            let answered = patience::bounded(ANSWERED_WITHIN, asked).await;
            return answered.unwrap_or_else(|| Err(late()));
        }
        asked.await
    }

    async fn hubs(&self) -> Result<Vec<Hub>, ReadError> {
        self.all(hubs::all()).await
    }

    async fn hub(&self, hub: &HubHostName) -> Result<Option<Hub>, ReadError> {
        self.one(&hubs::one(hub)).await
    }

    async fn device(&self, hub: &HubHostName, id: &DeviceId) -> Result<Option<Device>, ReadError> {
        self.one(&devices::device(hub, id, self.clock.now())).await
    }

    async fn devices(
        &self,
        hub: &HubHostName,
        selection: &HubSelection,
    ) -> Result<Vec<Device>, ReadError> {
        self.all(devices::devices(hub, selection, self.clock.now()))
            .await
    }

    async fn module(
        &self,
        hub: &HubHostName,
        device: &DeviceId,
        id: &ModuleId,
    ) -> Result<Option<Module>, ReadError> {
        self.one(&devices::module(hub, device, id, self.clock.now()))
            .await
    }

    async fn modules_of(
        &self,
        hub: &HubHostName,
        device: &DeviceId,
    ) -> Result<Vec<Module>, ReadError> {
        self.all(devices::modules_of(hub, device, self.clock.now()))
            .await
    }

    async fn modules(
        &self,
        hub: &HubHostName,
        selection: &HubSelection,
    ) -> Result<Vec<Module>, ReadError> {
        self.all(devices::modules(hub, selection, self.clock.now()))
            .await
    }

    async fn events_after(
        &self,
        hub: &HubHostName,
        after: i64,
        limit: EventLimit,
    ) -> Result<Vec<KeptEvent>, ReadError> {
        self.all(events::after(hub, after, limit)).await
    }

    async fn is_handed_something(&self, now: Timestamp) -> Result<bool, ReadError> {
        if !self.source.is_shared() {
            return Ok(false);
        }
        let waits = self.one(&relayed::waits(&self.node, now)).await?;
        Ok(waits.is_some())
    }

    async fn take_relayed(&self, now: Timestamp, limit: usize) -> Result<Vec<Relayed>, ReadError> {
        if !self.source.is_shared() {
            return Ok(Vec::new());
        }
        self.ask(|answer| Request::TakeRelayed { now, limit, answer })
            .await
            .map_err(read_error)
    }

    async fn woken(&self) {
        match &self.alarm {
            Some(alarm) => alarm.woken().await,
            None => std::future::pending().await,
        }
    }

    fn node(&self) -> String {
        self.node.clone()
    }

    async fn session(
        &self,
        hub: &HubHostName,
        endpoint: &Endpoint,
    ) -> Result<Option<KeptSession>, ReadError> {
        self.one(&sessions::one(hub, endpoint)).await
    }

    async fn connected_devices(&self, hub: &HubHostName) -> Result<u64, ReadError> {
        let connected = self.one(&sessions::connected(hub)).await?;
        Ok(connected.unwrap_or(0))
    }

    async fn close_lost_sessions(&self, now: Timestamp, limit: usize) -> Result<usize, ReadError> {
        if !self.source.is_shared() {
            return Ok(0);
        }
        self.ask(|answer| Request::CloseLost { now, limit, answer })
            .await
            .map_err(read_error)
    }

    async fn messages(
        &self,
        hub: &HubHostName,
        endpoint: &Endpoint,
        after: i64,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<CloudMessage>, ReadError> {
        self.all(messages::after(hub, endpoint, after, now, limit))
            .await
    }

    async fn purge_messages(&self, now: Timestamp, limit: usize) -> Result<usize, ReadError> {
        self.ask(|answer| Request::PurgeMessages { now, limit, answer })
            .await
            .map_err(read_error)
    }

    async fn event_ends(&self, hub: &HubHostName) -> Result<EventEnds, ReadError> {
        let ends = self.one(&events::ends(hub)).await?;
        Ok(ends.unwrap_or(EventEnds {
            oldest: 1,
            newest: 0,
        }))
    }

    async fn purge_events(
        &self,
        before: Timestamp,
        most: u64,
        limit: usize,
    ) -> Result<usize, ReadError> {
        self.ask(|answer| Request::PurgeEvents {
            before,
            most,
            limit,
            answer,
        })
        .await
        .map_err(read_error)
    }

    async fn device_counts(&self, hub: &HubHostName) -> Result<DeviceCounts, ReadError> {
        let counts = self.all(hubs::counts(hub)).await?;
        Ok(counts.into_iter().next().unwrap_or_default())
    }
}
