//! The port every store keeps: changes that happen whole or not at all, and typed reads.

use std::future::Future;
use std::sync::Arc;

use crate::attestation::AttestationKind;
use crate::audit::{AuditEntry, Author, Position, Search};
use crate::certificate::ca::CaCertificate;
use crate::clock::Timestamp;
use crate::enrollment::{EnrollmentGroup, IndividualEnrollment};
use crate::id::{
    CertificateName, EnrollmentGroupId, Etag, HubHostName, IdScope, OperationId, RegistrationId,
    TrackingId,
};
use crate::query::{IndexedTerm, Page};
use crate::registration::Registration;
use crate::registration::operation::Operation;
use crate::service::ProvisioningService;
use crate::trace::DecisionTrace;

/// What a write expects of the record it replaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expect {
    /// Nothing.
    Anything,
    /// There is none.
    Absent,
    /// There is one.
    Present,
    /// There is one, in this state.
    Etag(Etag),
}

/// One write of a provisioning service's records.
#[derive(Debug, Clone)]
pub enum Write {
    /// Make or replace a provisioning service, by id scope. A changed one comes with another etag: a store
    /// may go on with what it read as long as etag and trust version stand.
    PutService(Box<ProvisioningService>, Expect),
    /// Remove a provisioning service and everything in it.
    DeleteService(IdScope, Expect),
    /// Make or replace an individual enrollment.
    PutIndividual(IdScope, Box<IndividualEnrollment>, Expect),
    /// Remove an individual enrollment; its registration goes with it.
    DeleteIndividual(IdScope, RegistrationId, Expect),
    /// Make or replace an enrollment group. Advances the service's trust version.
    PutGroup(IdScope, Box<EnrollmentGroup>, Expect),
    /// Remove an enrollment group; its registrations stay. Advances the trust version.
    DeleteGroup(IdScope, EnrollmentGroupId, Expect),
    /// Make or replace a CA certificate. Advances the trust version.
    PutCertificate(IdScope, Box<CaCertificate>, Expect),
    /// Remove a CA certificate. Advances the trust version.
    DeleteCertificate(IdScope, CertificateName, Expect),
    /// Make or replace a registration.
    PutRegistration(IdScope, Box<Registration>, Expect),
    /// Remove a registration.
    DeleteRegistration(IdScope, RegistrationId, Expect),
    /// Make or replace an operation.
    PutOperation(Box<Operation>),
}

/// A condition that must hold for a change to happen, on a record it does not write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Guard {
    /// The individual enrollment is in this state.
    Individual(IdScope, RegistrationId, Expect),
    /// The enrollment group is in this state.
    Group(IdScope, EnrollmentGroupId, Expect),
    /// No individual enrollment of the scope, other than the named one, holds a client certificate
    /// with this SHA-256 thumbprint (upper-case hex) or this endorsement key.
    IdentityUnused(IdScope, RegistrationId, String),
    /// No CA certificate of the scope under another name has this SHA-256 thumbprint.
    CertificateUnused(IdScope, CertificateName, String),
    /// The service has no enrollment, group, CA certificate or registration.
    NothingIn(IdScope),
    /// The embedded hub has no device.
    NoDeviceOn(HubHostName),
}

/// Guards and writes that happen together, or not at all.
#[derive(Debug, Clone)]
pub struct Change<H> {
    /// What must hold.
    pub guards: Vec<Guard>,
    /// What is written here.
    pub writes: Vec<Write>,
    /// What is written on embedded hubs.
    pub hub_writes: Vec<H>,
    /// Who answers for it; none for what a device does.
    pub author: Option<Author>,
}

impl<H> Default for Change<H> {
    fn default() -> Self {
        Change {
            guards: Vec::new(),
            writes: Vec::new(),
            hub_writes: Vec::new(),
            author: None,
        }
    }
}

impl<H> Change<H> {
    /// A change of one write.
    pub fn of(write: Write) -> Self {
        Change {
            writes: vec![write],
            ..Change::default()
        }
    }

    /// A change of hub writes only.
    pub fn of_hub(hub_writes: Vec<H>) -> Self {
        Change {
            hub_writes,
            ..Change::default()
        }
    }

    /// This change, answered for by `author`.
    pub fn by(mut self, author: Author) -> Self {
        self.author = Some(author);
        self
    }
}

/// Why a change did not happen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// A record that had to be absent is there.
    #[error("{0} already exists")]
    Exists(String),
    /// A record that had to be there is absent.
    #[error("{0} is not there")]
    Absent(String),
    /// A record is in another state.
    #[error("{0} has changed")]
    Changed(String),
    /// There is no room for another record.
    #[error("{0} is full")]
    Full(String),
    /// The store cannot write now; nothing of the change happened.
    #[error("the store cannot write now: {0}")]
    Unavailable(String),
}

/// The store cannot be read now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the store cannot be read now: {0}")]
pub struct ReadError(pub String);

/// How much there is in a provisioning service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Contents {
    /// Individual enrollments.
    pub individuals: u64,
    /// Enrollment groups.
    pub groups: u64,
    /// CA certificates.
    pub certificates: u64,
    /// Registrations.
    pub registrations: u64,
}

/// What is in force for one device.
#[derive(Debug, Clone, Default)]
pub struct InForce {
    /// The provisioning service. Without one there is nothing else.
    pub service: Option<Arc<ProvisioningService>>,
    /// The individual enrollment.
    pub individual: Option<IndividualEnrollment>,
    /// The registration. Left out where an operation is asked for and the device has an individual
    /// enrollment: then nothing rests on it.
    pub registration: Option<Registration>,
    /// The operation that was asked for.
    pub operation: Option<Operation>,
}

/// Which records a listing gives, in ascending key order.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Conditions that an index answers. A term whose path the store has no index for is ignored:
    /// callers filter what they get.
    pub terms: Vec<IndexedTerm>,
    /// Give records whose key is greater than this one.
    pub after: Option<String>,
    /// Give at most this many.
    pub limit: usize,
}

/// An audit entry, and where it stands.
pub type Kept<H> = (Position, AuditEntry<H>);

/// Keeps everything. Acknowledged means durable: when `commit` gives `Ok` for a change, that change
/// survives the loss of the process and of power.
pub trait Store: Send + Sync + 'static {
    /// A write of an embedded hub's records.
    type HubWrite: Send + 'static;
    /// A record of an embedded hub, as an audit entry keeps it.
    type HubRecord: Send + 'static;

    /// Carries out each change, whole or not at all, independent of the others; many callers'
    /// changes share one durable commit. The answers stand in the order of the changes.
    fn commit(
        &self,
        changes: Vec<Change<Self::HubWrite>>,
    ) -> impl Future<Output = Vec<Result<(), CommitError>>> + Send;

    /// Makes or replaces many individual enrollments of one service, each on its own, in one durable
    /// commit. One whose certificate or endorsement key another one holds is refused. The answers
    /// stand in the order of the records; a record that is named twice is written in that order.
    ///
    /// They share one audit entry of their author's request, which says how many they are and names
    /// none.
    fn put_individuals(
        &self,
        scope: &IdScope,
        records: Vec<(IndividualEnrollment, Expect)>,
        author: &Author,
    ) -> impl Future<Output = Vec<Result<(), CommitError>>> + Send;

    /// All provisioning services, by name.
    fn services(&self) -> impl Future<Output = Result<Vec<ProvisioningService>, ReadError>> + Send;

    /// The provisioning service with this id scope.
    fn service(
        &self,
        scope: &IdScope,
    ) -> impl Future<Output = Result<Option<ProvisioningService>, ReadError>> + Send;

    /// All that a request of a device rests on, with one of its operations if it names one.
    fn in_force(
        &self,
        scope: &IdScope,
        id: &RegistrationId,
        operation: Option<&OperationId>,
    ) -> impl Future<Output = Result<InForce, ReadError>> + Send;

    /// How much there is in the service; nothing, when there is no such service.
    fn contents(&self, scope: &IdScope)
    -> impl Future<Output = Result<Contents, ReadError>> + Send;

    /// The individual enrollment for a registration id.
    fn individual(
        &self,
        scope: &IdScope,
        id: &RegistrationId,
    ) -> impl Future<Output = Result<Option<IndividualEnrollment>, ReadError>> + Send;

    /// An enrollment group.
    fn group(
        &self,
        scope: &IdScope,
        id: &EnrollmentGroupId,
    ) -> impl Future<Output = Result<Option<EnrollmentGroup>, ReadError>> + Send;

    /// Individual enrollments in key order; keys are [`RegistrationId::key`].
    fn individuals(
        &self,
        scope: &IdScope,
        selection: &Selection,
    ) -> impl Future<Output = Result<Vec<IndividualEnrollment>, ReadError>> + Send;

    /// Enrollment groups in key order; keys are [`EnrollmentGroupId::key`].
    fn groups(
        &self,
        scope: &IdScope,
        selection: &Selection,
    ) -> impl Future<Output = Result<Vec<EnrollmentGroup>, ReadError>> + Send;

    /// All groups with one kind of attestation, for matching a device to its group.
    fn groups_by_kind(
        &self,
        scope: &IdScope,
        kind: AttestationKind,
    ) -> impl Future<Output = Result<Vec<EnrollmentGroup>, ReadError>> + Send;

    /// All CA certificates of a service, by name.
    fn certificates(
        &self,
        scope: &IdScope,
    ) -> impl Future<Output = Result<Vec<CaCertificate>, ReadError>> + Send;

    /// One CA certificate.
    fn certificate(
        &self,
        scope: &IdScope,
        name: &CertificateName,
    ) -> impl Future<Output = Result<Option<CaCertificate>, ReadError>> + Send;

    /// A registration.
    fn registration(
        &self,
        scope: &IdScope,
        id: &RegistrationId,
    ) -> impl Future<Output = Result<Option<Registration>, ReadError>> + Send;

    /// Registrations that came through one group, in key order.
    fn registrations_of_group(
        &self,
        scope: &IdScope,
        group: &EnrollmentGroupId,
        selection: &Selection,
    ) -> impl Future<Output = Result<Vec<Registration>, ReadError>> + Send;

    /// An operation.
    fn operation(
        &self,
        scope: &IdScope,
        id: &OperationId,
    ) -> impl Future<Output = Result<Option<Operation>, ReadError>> + Send;

    /// Operations that are not finished and are this server's to continue, oldest first: its own, and those
    /// of servers that share its database and are not heard of any more.
    fn unfinished_operations(
        &self,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Operation>, ReadError>> + Send;

    /// Removes finished operations last changed before `before`; gives how many.
    fn purge_operations(
        &self,
        before: Timestamp,
        limit: usize,
    ) -> impl Future<Output = Result<usize, ReadError>> + Send;

    /// Keeps decision traces, drops those begun before `oldest`, and of the rest the oldest past
    /// `most`. Not part of any registering commit.
    fn keep_traces(
        &self,
        traces: Vec<DecisionTrace>,
        oldest: Timestamp,
        most: usize,
    ) -> impl Future<Output = Result<(), ReadError>> + Send;

    /// The trace with this tracking id, whichever service it belongs to.
    fn trace(
        &self,
        id: &TrackingId,
    ) -> impl Future<Output = Result<Option<DecisionTrace>, ReadError>> + Send;

    /// The last traces of a registration id in a service, newest first. The id need not be valid.
    fn traces_of(
        &self,
        scope: &IdScope,
        registration_id: &str,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<DecisionTrace>, ReadError>> + Send;

    /// Audit entries and where they stand, newest first. A change that has an author is kept with
    /// its entries, in one commit: one for each record that it changes, or one for all changes of a
    /// bulk call that do the same to the same kind of record.
    fn audit(
        &self,
        search: &Search,
    ) -> impl Future<Output = Result<Vec<Kept<Self::HubRecord>>, ReadError>> + Send;

    /// Removes audit entries from before `before`; gives how many.
    fn purge_audit(
        &self,
        before: Timestamp,
        limit: usize,
    ) -> impl Future<Output = Result<usize, ReadError>> + Send;

    /// True when the store can commit now: the readiness check.
    fn ready(&self) -> impl Future<Output = Result<(), ReadError>> + Send;
}

/// Cuts a batch that was fetched with one item more than wanted into a page.
///
/// `items` holds at most `wanted + 1`; `key` names an item for the continuation.
pub fn into_page<T>(mut items: Vec<T>, wanted: usize, key: impl Fn(&T) -> String) -> Page<T> {
    let more = items.len() > wanted;
    items.truncate(wanted);
    let continuation = if more { items.last().map(key) } else { None };
    Page {
        items,
        continuation,
    }
}
