//! Where individual enrollments and groups differ for whoever administers them: ids, records, writes.
//! `enrollments` and `bulk` are generic over it.

use std::future::Future;

use crate::administration::attestation::Audience;
use crate::administration::import::same_document;
use crate::attestation::AttestationMechanism;
use crate::audit::Author;
use crate::document::Document;
use crate::enrollment::{EnrollmentGroup, EnrollmentTerms, IndividualEnrollment};
use crate::error::Error;
use crate::id::{DeviceId, EnrollmentGroupId, IdScope, RegistrationId};
use crate::store::{Change, CommitError, Expect, ReadError, Selection, Store, Write};

/// Either kind of enrollment.
pub trait Enrollment: Clone + PartialEq + std::fmt::Debug + Send + Sync + 'static {
    /// Its id.
    type Id: Clone + PartialEq + std::fmt::Debug + Send + Sync;
    /// What only this kind has.
    type Details: Clone + PartialEq + std::fmt::Debug + Send + Sync;
    /// Which kind it is.
    const AUDIENCE: Audience;

    /// Its id.
    fn id(&self) -> &Self::Id;
    /// The text under which an id is unique, in whose order listings go.
    fn key(id: &Self::Id) -> &str;
    /// How its devices prove themselves.
    fn attestation(&self) -> &AttestationMechanism;
    /// What its devices get.
    fn terms(&self) -> &EnrollmentTerms;
    /// Names one in messages.
    fn spoken(id: &Self::Id) -> String;
    /// The error of one that is not there.
    fn absent(id: &Self::Id) -> Error;
    /// Puts one together.
    fn assemble(
        id: Self::Id,
        details: Self::Details,
        attestation: AttestationMechanism,
        terms: EnrollmentTerms,
    ) -> Self;
    /// The write that makes or replaces it.
    fn put(self, scope: IdScope, expect: Expect) -> Write;
    /// The write that removes one.
    fn delete(scope: IdScope, id: Self::Id, expect: Expect) -> Write;
    /// Reads one.
    fn stored<S: Store>(
        store: &S,
        scope: &IdScope,
        id: &Self::Id,
    ) -> impl Future<Output = Result<Option<Self>, ReadError>> + Send;
    /// Reads some, in key order.
    fn listed<S: Store>(
        store: &S,
        scope: &IdScope,
        selection: &Selection,
    ) -> impl Future<Output = Result<Vec<Self>, ReadError>> + Send;
    /// The members of this kind alone in which it differs from another, by their names on the wire.
    fn unlike(&self, other: &Self) -> Vec<&'static str>;
    /// Makes or replaces many, each on its own, in as few commits as may be; gives what came of
    /// each, in their order.
    fn put_many<S: Store>(
        store: &S,
        scope: &IdScope,
        records: Vec<(Self, Expect)>,
        author: &Author,
    ) -> impl Future<Output = Vec<Result<(), CommitError>>> + Send;
}

/// What only individual enrollments have.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DeviceDetails {
    /// See [`IndividualEnrollment::device_id`].
    pub device_id: Option<DeviceId>,
    /// See [`IndividualEnrollment::device_information`].
    pub device_information: Option<Document>,
}

impl Enrollment for IndividualEnrollment {
    type Id = RegistrationId;
    type Details = DeviceDetails;
    const AUDIENCE: Audience = Audience::Individual;

    fn id(&self) -> &RegistrationId {
        &self.registration_id
    }
    fn key(id: &RegistrationId) -> &str {
        id.key()
    }
    fn attestation(&self) -> &AttestationMechanism {
        &self.attestation
    }
    fn terms(&self) -> &EnrollmentTerms {
        &self.terms
    }
    fn spoken(id: &RegistrationId) -> String {
        format!("Enrollment '{id}'")
    }
    fn absent(id: &RegistrationId) -> Error {
        Error::NotFound(Self::spoken(id))
    }
    fn assemble(
        id: RegistrationId,
        details: DeviceDetails,
        attestation: AttestationMechanism,
        terms: EnrollmentTerms,
    ) -> Self {
        IndividualEnrollment {
            registration_id: id,
            device_id: details.device_id,
            device_information: details.device_information,
            attestation,
            terms,
        }
    }
    fn put(self, scope: IdScope, expect: Expect) -> Write {
        Write::PutIndividual(scope, Box::new(self), expect)
    }
    fn delete(scope: IdScope, id: RegistrationId, expect: Expect) -> Write {
        Write::DeleteIndividual(scope, id, expect)
    }
    fn stored<S: Store>(
        store: &S,
        scope: &IdScope,
        id: &RegistrationId,
    ) -> impl Future<Output = Result<Option<Self>, ReadError>> + Send {
        store.individual(scope, id)
    }
    fn listed<S: Store>(
        store: &S,
        scope: &IdScope,
        selection: &Selection,
    ) -> impl Future<Output = Result<Vec<Self>, ReadError>> + Send {
        store.individuals(scope, selection)
    }
    fn unlike(&self, other: &Self) -> Vec<&'static str> {
        // The device id that a device gets anyhow.
        let device = |it: &Self| {
            let own = it.device_id.as_ref().map(|id| id.as_str().to_owned());
            own.filter(|id| id != it.registration_id.as_str())
        };
        let information = same_document(
            self.device_information.as_ref(),
            other.device_information.as_ref(),
        );
        let device = (device(self) != device(other)).then_some("deviceId");
        let information = (!information).then_some("optionalDeviceInformation");
        device.into_iter().chain(information).collect()
    }
    fn put_many<S: Store>(
        store: &S,
        scope: &IdScope,
        records: Vec<(Self, Expect)>,
        author: &Author,
    ) -> impl Future<Output = Vec<Result<(), CommitError>>> + Send {
        store.put_individuals(scope, records, author)
    }
}

impl Enrollment for EnrollmentGroup {
    type Id = EnrollmentGroupId;
    type Details = ();
    const AUDIENCE: Audience = Audience::Group;

    fn id(&self) -> &EnrollmentGroupId {
        &self.id
    }
    fn key(id: &EnrollmentGroupId) -> &str {
        id.key()
    }
    fn attestation(&self) -> &AttestationMechanism {
        &self.attestation
    }
    fn terms(&self) -> &EnrollmentTerms {
        &self.terms
    }
    fn spoken(id: &EnrollmentGroupId) -> String {
        format!("Enrollment group '{id}'")
    }
    fn absent(id: &EnrollmentGroupId) -> Error {
        Error::OtherNotFound(Self::spoken(id))
    }
    fn assemble(
        id: EnrollmentGroupId,
        _details: (),
        attestation: AttestationMechanism,
        terms: EnrollmentTerms,
    ) -> Self {
        EnrollmentGroup {
            id,
            attestation,
            terms,
        }
    }
    fn put(self, scope: IdScope, expect: Expect) -> Write {
        Write::PutGroup(scope, Box::new(self), expect)
    }
    fn delete(scope: IdScope, id: EnrollmentGroupId, expect: Expect) -> Write {
        Write::DeleteGroup(scope, id, expect)
    }
    fn stored<S: Store>(
        store: &S,
        scope: &IdScope,
        id: &EnrollmentGroupId,
    ) -> impl Future<Output = Result<Option<Self>, ReadError>> + Send {
        store.group(scope, id)
    }
    fn listed<S: Store>(
        store: &S,
        scope: &IdScope,
        selection: &Selection,
    ) -> impl Future<Output = Result<Vec<Self>, ReadError>> + Send {
        store.groups(scope, selection)
    }
    fn unlike(&self, _: &Self) -> Vec<&'static str> {
        Vec::new()
    }
    fn put_many<S: Store>(
        store: &S,
        scope: &IdScope,
        records: Vec<(Self, Expect)>,
        author: &Author,
    ) -> impl Future<Output = Vec<Result<(), CommitError>>> + Send {
        let changes = records.into_iter().map(|(record, expect)| {
            Change::of(record.put(scope.clone(), expect)).by(author.clone())
        });
        store.commit(changes.collect())
    }
}
