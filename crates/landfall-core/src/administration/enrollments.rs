//! Individual enrollments and groups: read, put, delete. Both kinds share one path, because they
//! share every rule but a few; where they differ is `kind`.

mod kind;

use super::attestation::{AttestationRequest, Audience};
use super::terms::TermsRequest;
use super::{Administration, Condition, refused};
use crate::attestation::{AttestationMechanism, Slots, X509Attestation};
use crate::error::Error;
use crate::id::{CertificateName, Etag, RegistrationId};
use crate::store::{Change, CommitError, Expect, Guard, Store};

pub use self::kind::{DeviceDetails, Enrollment};

/// How often a put that replaces whatever is there is tried anew when others write meanwhile.
const TRIES: usize = 4;

/// An enrollment as it was asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct EnrollmentRequest<E: Enrollment> {
    /// Its id.
    pub id: E::Id,
    /// What only this kind has.
    pub details: E::Details,
    /// How its devices shall prove themselves.
    pub attestation: AttestationRequest,
    /// What its devices shall get.
    pub terms: TermsRequest,
    /// The state that the request was made from, when its body says so.
    pub etag: Option<Etag>,
}

/// A put that has passed every check but those of the commit.
pub(super) struct Prepared<E, H> {
    /// The record to be written.
    pub record: E,
    /// The change that writes it.
    pub change: Change<H>,
    /// Whether it replaces one.
    replaces: bool,
}

impl<S: Store> Administration<'_, S> {
    /// Reads an enrollment.
    ///
    /// # Errors
    /// [`Error::NotFound`] or [`Error::OtherNotFound`] when there is none.
    pub async fn enrollment<E: Enrollment>(&self, id: &E::Id) -> Result<E, Error> {
        E::stored(self.store, self.scope(), id)
            .await?
            .ok_or_else(|| E::absent(id))
    }

    /// Makes or replaces an enrollment, and gives it as it is stored.
    ///
    /// Source: docs/protocol/service-api.md §4.6, §5 [I].
    ///
    /// # Errors
    /// [`Error::Invalid`] for a broken rule, [`Error::Exists`] when there is one and nothing was
    /// said of it, or another enrollment holds the same certificate or endorsement key,
    /// [`Error::PreconditionFailed`] when it is not in the state asked for.
    pub async fn put<E: Enrollment>(
        &self,
        request: &EnrollmentRequest<E>,
        condition: &Condition,
    ) -> Result<E, Error> {
        let gone = || Error::PreconditionFailed(E::spoken(&request.id));
        self.put_or(request, condition, &gone).await
    }

    /// As [`Administration::put`]; `gone` is the error when there is none to be replaced.
    pub(super) async fn put_or<E: Enrollment>(
        &self,
        request: &EnrollmentRequest<E>,
        condition: &Condition,
        gone: &(dyn Fn() -> Error + Sync),
    ) -> Result<E, Error> {
        let mut last = Error::PreconditionFailed(E::spoken(&request.id));
        for _ in 0..TRIES {
            let prepared = self.prepare(request, condition, gone).await?;
            let replaces = prepared.replaces;
            let error = match self.commit(prepared.change).await {
                Ok(()) => return Ok(prepared.record),
                Err(error) => error,
            };
            let raced = matches!(error, CommitError::Changed(_));
            last = self.put_refused(request, error, replaces, gone).await?;
            if !(raced && *condition == Condition::Present) {
                break;
            }
        }
        Err(last)
    }

    /// Checks a put against the service and what is stored.
    pub(super) async fn prepare<E: Enrollment>(
        &self,
        request: &EnrollmentRequest<E>,
        condition: &Condition,
        gone: &(dyn Fn() -> Error + Sync),
    ) -> Result<Prepared<E, S::HubWrite>, Error> {
        let stored = E::stored(self.store, self.scope(), &request.id).await?;
        let created = stored.as_ref().map_or(self.now, |s| s.terms().created);
        let etag = Etag::draw(self.entropy);
        let terms = request.terms.admit(self.service, etag, created, self.now)?;
        let attestation = request.attestation.admit(
            E::AUDIENCE,
            stored.as_ref().map(E::attestation),
            self.now,
            self.entropy,
        )?;
        if let AttestationMechanism::X509(X509Attestation::CaReference(names)) = &attestation {
            self.check_references(names).await?;
        }

        let expect = expected(stored.as_ref(), condition, request.etag.as_ref(), gone)?;
        let guards = match E::AUDIENCE {
            Audience::Individual => self.identity_guards(E::key(&request.id), &attestation)?,
            Audience::Group => Vec::new(),
        };
        let record = E::assemble(
            request.id.clone(),
            request.details.clone(),
            attestation,
            terms,
        );
        let mut change = Change::of(record.clone().put(self.scope().clone(), expect));
        change.guards = guards;
        Ok(Prepared {
            record,
            change,
            replaces: stored.is_some(),
        })
    }

    /// Says in the caller's words why a prepared put did not happen.
    pub(super) async fn put_refused<E: Enrollment>(
        &self,
        request: &EnrollmentRequest<E>,
        error: CommitError,
        replaces: bool,
        gone: &(dyn Fn() -> Error + Sync),
    ) -> Result<Error, Error> {
        let what = E::spoken(&request.id);
        if matches!(error, CommitError::Exists(_)) {
            // Either the record itself came to be meanwhile, or the identity is used by another.
            let there = replaces
                || E::stored(self.store, self.scope(), &request.id)
                    .await?
                    .is_none();
            if there {
                return Ok(Error::Exists(
                    "An individual enrollment with the same certificate or endorsement key"
                        .to_owned(),
                ));
            }
        }
        Ok(refused(error, &what, gone()))
    }

    /// Removes an enrollment. An individual enrollment takes its registration along; the
    /// registrations of a group stay.
    ///
    /// Source: docs/protocol/service-api.md §4.5, §5 [D, I].
    ///
    /// # Errors
    /// [`Error::NotFound`] or [`Error::OtherNotFound`] when there is none,
    /// [`Error::PreconditionFailed`] when it is not in the state asked for.
    pub async fn delete<E: Enrollment>(
        &self,
        id: &E::Id,
        condition: &Condition,
    ) -> Result<(), Error> {
        self.commit(self.deletion::<E>(id, condition))
            .await
            .map_err(|error| refused(error, &E::spoken(id), E::absent(id)))
    }

    /// The change that removes an enrollment.
    pub(super) fn deletion<E: Enrollment>(
        &self,
        id: &E::Id,
        condition: &Condition,
    ) -> Change<S::HubWrite> {
        let expect = match condition {
            Condition::Unstated | Condition::Present => Expect::Present,
            Condition::Etag(etag) => Expect::Etag(etag.clone()),
        };
        Change::of(E::delete(self.scope().clone(), id.clone(), expect))
    }

    pub(super) async fn check_references(
        &self,
        names: &Slots<CertificateName>,
    ) -> Result<(), Error> {
        for name in names.iter() {
            let certificate = self.store.certificate(self.scope(), name).await?;
            let rule = match certificate {
                Some(certificate) if certificate.verified => continue,
                Some(_) => "is not verified; prove its possession first",
                None => "is not uploaded to the provisioning service",
            };
            return Err(Error::Invalid(format!("CA certificate '{name}' {rule}.")));
        }
        Ok(())
    }

    fn identity_guards(
        &self,
        key: &str,
        attestation: &AttestationMechanism,
    ) -> Result<Vec<Guard>, Error> {
        let identities = match attestation {
            AttestationMechanism::SymmetricKey(_) => Vec::new(),
            AttestationMechanism::Tpm(keys) => vec![keys.endorsement_key.clone()],
            AttestationMechanism::X509(X509Attestation::Client(slots)) => {
                slots.iter().map(|c| c.sha256_hex()).collect()
            }
            AttestationMechanism::X509(
                X509Attestation::Signing(_) | X509Attestation::CaReference(_),
            ) => Vec::new(),
        };
        let id = RegistrationId::parse(key).map_err(|e| Error::Invalid(format!("{e}.")))?;
        Ok(identities
            .into_iter()
            .map(|identity| Guard::IdentityUnused(self.scope().clone(), id.clone(), identity))
            .collect())
    }
}

/// What a put expects of the stored record.
///
/// Source: docs/protocol/service-api.md §5 [I].
fn expected<E: Enrollment>(
    stored: Option<&E>,
    condition: &Condition,
    body_etag: Option<&Etag>,
    gone: &(dyn Fn() -> Error + Sync),
) -> Result<Expect, Error> {
    let wanted = match condition {
        Condition::Unstated => body_etag,
        Condition::Present => None,
        Condition::Etag(etag) => Some(etag),
    };
    let Some(stored) = stored else {
        return match (condition, wanted) {
            (Condition::Unstated, None) => Ok(Expect::Absent),
            (Condition::Unstated | Condition::Present | Condition::Etag(_), _) => Err(gone()),
        };
    };
    let etag = &stored.terms().etag;
    match (condition, wanted) {
        (Condition::Unstated, None) => Err(Error::Exists(E::spoken(stored.id()))),
        (_, Some(wanted)) if wanted != etag => {
            Err(Error::PreconditionFailed(E::spoken(stored.id())))
        }
        // The record was read to keep its secrets, so it must still be the one that was read.
        (_, _) => Ok(Expect::Etag(etag.clone())),
    }
}

#[cfg(test)]
mod tests;
