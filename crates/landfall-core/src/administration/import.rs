//! Import: many records of another service, or of a file, each settled on its own. What is there
//! already and says the same is left as it is, so that an import may be given again.
//!
//! Where `bulk` refuses what is there, this looks at it. Called by Landfall's own route.

mod likeness;

use super::attestation::{AttestationRequest, Audience, SlotRequest};
use super::enrollments::{Enrollment, EnrollmentRequest};
use super::{Administration, STORE_WAIT};
use crate::attestation::{AttestationMechanism, X509Attestation};
use crate::enrollment::{EnrollmentGroup, IndividualEnrollment};
use crate::error::Error;
use crate::id::Etag;
use crate::store::{CommitError, Expect, Store};

use self::likeness::differences;
pub(super) use self::likeness::same_document;

/// What happens to a record of which there is one already that says something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnConflict {
    /// It is refused.
    #[default]
    Fail,
    /// What is there stays.
    Skip,
    /// It replaces what is there.
    Replace,
}

/// How records are imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Manner {
    /// What happens to what is there already.
    pub on_conflict: OnConflict,
    /// Whether nothing is written.
    pub dry_run: bool,
}

/// A record to import.
#[derive(Debug, Clone, PartialEq)]
pub struct Import<E: Enrollment> {
    /// What it says. Its etag is another service's and means nothing here.
    pub request: EnrollmentRequest<E>,
    /// Of the two certificate slots, the SHA-256 thumbprint (upper-case hex) of one that is shown
    /// and not given.
    pub shown: [Option<String>; 2],
}

/// A record of either kind.
#[derive(Debug, Clone, PartialEq)]
pub enum ImportRecord {
    /// One device's.
    Individual(Box<Import<IndividualEnrollment>>),
    /// Many devices'.
    Group(Box<Import<EnrollmentGroup>>),
}

/// What became of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// It was made.
    Created,
    /// It replaced what was there.
    Replaced,
    /// The same was there.
    Unchanged,
    /// Something else was there and was left.
    Skipped,
    /// It is not in; why.
    Refused(ImportRefusal),
}

/// Why a record is not in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportRefusal {
    /// It lacks keys.
    #[error("{0}")]
    NoKey(LackingKeys),
    /// It names a certificate that it does not hold.
    #[error(
        "it shows the certificate with SHA-256 thumbprint {0} and does not hold it, and none such is stored"
    )]
    NoCertificate(String),
    /// There is one that differs in these members.
    #[error("it is there already and differs in {0}")]
    Differs(String),
    /// It breaks a rule.
    #[error("{0}")]
    Rule(Error),
}

/// Which of its two keys a record lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LackingKeys {
    /// Both.
    #[error("it has no key, and a new one would lock its devices out")]
    Both,
    /// The first.
    #[error("it has no primary key, and a new one would lock out the devices that use it")]
    Primary,
    /// The second.
    #[error("it has no secondary key, and a new one would lock out the devices that use it")]
    Secondary,
}

impl LackingKeys {
    /// What a record lacks, by whether it has its primary and its secondary key.
    pub fn of(primary: bool, secondary: bool) -> Option<Self> {
        match (primary, secondary) {
            (true, true) => None,
            (false, true) => Some(Self::Primary),
            (true, false) => Some(Self::Secondary),
            (false, false) => Some(Self::Both),
        }
    }
}

impl<S: Store> Administration<'_, S> {
    /// Brings records in; gives what became of each, in their order. Those that are new share
    /// durable commits.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the store cannot read or write now; then some records may be in.
    pub async fn import(
        &self,
        records: Vec<ImportRecord>,
        manner: Manner,
    ) -> Result<Vec<Settled>, Error> {
        let mut settled: Vec<Option<Settled>> = records.iter().map(|_| None).collect();
        let (mut individuals, mut groups) = (Vec::new(), Vec::new());
        for (place, record) in records.into_iter().enumerate() {
            match record {
                ImportRecord::Individual(import) => individuals.push((place, *import)),
                ImportRecord::Group(import) => groups.push((place, *import)),
            }
        }
        let mut told = self.import_kind(individuals, manner).await?;
        told.extend(self.import_kind(groups, manner).await?);
        for (place, outcome) in told {
            if let Some(slot) = settled.get_mut(place) {
                *slot = Some(outcome);
            }
        }
        // Every record went into one of the two kinds, and every kind tells of all of its own.
        settled
            .into_iter()
            .collect::<Option<Vec<_>>>()
            .ok_or(Error::Internal)
    }

    async fn import_kind<E: Enrollment>(
        &self,
        imports: Vec<(usize, Import<E>)>,
        manner: Manner,
    ) -> Result<Vec<(usize, Settled)>, Error> {
        let mut settled = Vec::with_capacity(imports.len());
        let mut rows = Vec::with_capacity(imports.len());
        let mut to_make = Vec::with_capacity(imports.len());
        let mut to_look_at = Vec::new();
        for (place, import) in imports {
            if manner.dry_run || import.lack().is_some() {
                to_look_at.push((place, import, None));
                continue;
            }
            match self.assembled(&import, None).await {
                Ok(record) => {
                    rows.push((record, Expect::Absent));
                    to_make.push((place, import));
                }
                Err(error @ Error::Unavailable(_)) => return Err(error),
                Err(error) => settled.push((place, refused(ImportRefusal::Rule(error)))),
            }
        }
        // What is new.
        let outcomes = self.write(rows).await;
        for ((place, import), outcome) in to_make.into_iter().zip(outcomes) {
            match outcome {
                Ok(()) => settled.push((place, Settled::Created)),
                Err(CommitError::Exists(what)) => to_look_at.push((place, import, Some(what))),
                Err(error) => settled.push((place, ungiven(error)?)),
            }
        }
        // What is there.
        for (place, import, taken) in to_look_at {
            settled.push((place, self.look(&import, manner, taken).await?));
        }
        Ok(settled)
    }

    /// Settles a record by what is stored. `taken` is what the store said that already exists: the
    /// record, or its identity with another one.
    async fn look<E: Enrollment>(
        &self,
        import: &Import<E>,
        manner: Manner,
        taken: Option<String>,
    ) -> Result<Settled, Error> {
        let id = &import.request.id;
        let stored = E::stored(self.store, self.scope(), id).await?;
        let lack = import.lack();
        let Some(stored) = stored else {
            if let Some(lack) = lack {
                return Ok(refused(lack));
            }
            if taken.is_some() {
                return Ok(refused(ImportRefusal::Rule(identity_taken())));
            }
            return match self.assembled(import, None).await {
                Ok(_) => Ok(Settled::Created),
                Err(error @ Error::Unavailable(_)) => Err(error),
                Err(error) => Ok(refused(ImportRefusal::Rule(error))),
            };
        };
        if let Some(lack) = lack.filter(|_| !import.is_kept_by(stored.attestation())) {
            return Ok(refused(lack));
        }
        let record = match self.assembled(import, Some(&stored)).await {
            Ok(record) => record,
            Err(error @ Error::Unavailable(_)) => return Err(error),
            Err(error) => return Ok(refused(ImportRefusal::Rule(error))),
        };
        let different = differences(&record, &stored);
        if different.is_empty() {
            return Ok(Settled::Unchanged);
        }
        match manner.on_conflict {
            OnConflict::Skip => return Ok(Settled::Skipped),
            OnConflict::Fail => {
                return Ok(refused(ImportRefusal::Differs(different.join(", "))));
            }
            OnConflict::Replace if manner.dry_run => return Ok(Settled::Replaced),
            OnConflict::Replace => {}
        }
        let expect = Expect::Etag(stored.terms().etag.clone());
        match self.write(vec![(record, expect)]).await.pop() {
            Some(Ok(())) => Ok(Settled::Replaced),
            Some(Err(CommitError::Exists(_))) => Ok(refused(ImportRefusal::Rule(identity_taken()))),
            Some(Err(error)) => ungiven(error),
            None => Err(Error::Unavailable(STORE_WAIT)),
        }
    }

    /// The record that a request makes, held against every rule but those of the commit.
    async fn assembled<E: Enrollment>(
        &self,
        import: &Import<E>,
        stored: Option<&E>,
    ) -> Result<E, Error> {
        let request = &import.request;
        let created = stored.map_or(self.now, |stored| stored.terms().created);
        let etag = Etag::draw(self.entropy);
        let terms = request.terms.admit(self.service, etag, created, self.now)?;
        let attestation = request.attestation.admit(
            E::AUDIENCE,
            stored.map(E::attestation),
            self.now,
            self.entropy,
        )?;
        if let AttestationMechanism::X509(X509Attestation::CaReference(names)) = &attestation {
            self.check_references(names).await?;
        }
        let (id, details) = (request.id.clone(), request.details.clone());
        Ok(E::assemble(id, details, attestation, terms))
    }

    async fn write<E: Enrollment>(&self, rows: Vec<(E, Expect)>) -> Vec<Result<(), CommitError>> {
        if rows.is_empty() {
            return Vec::new();
        }
        let mut author = self.author.of_bulk();
        if E::AUDIENCE == Audience::Group {
            // Entries that name their records are those of one call of this, so that none grows
            // with the import.
            author.origin.at = self.now;
        }
        E::put_many(self.store, self.scope(), rows, &author).await
    }
}

impl<E: Enrollment> Import<E> {
    /// What it does not hold, and could only keep of what is stored.
    fn lack(&self) -> Option<ImportRefusal> {
        match &self.request.attestation {
            AttestationRequest::SymmetricKey { primary, secondary } => {
                LackingKeys::of(primary.is_some(), secondary.is_some()).map(ImportRefusal::NoKey)
            }
            AttestationRequest::ClientCertificates(slots)
            | AttestationRequest::SigningCertificates(slots) => {
                let kept = [&slots.primary, &slots.secondary]
                    .into_iter()
                    .zip(&self.shown)
                    .filter(|(slot, _)| **slot == SlotRequest::Kept)
                    .map(|(_, shown)| shown.as_deref().unwrap_or("unknown"));
                let kept: Vec<&str> = kept.collect();
                (!kept.is_empty()).then(|| ImportRefusal::NoCertificate(kept.join(" and ")))
            }
            AttestationRequest::Tpm(_) | AttestationRequest::CaReferences(_) => None,
        }
    }

    /// Whether what it does not hold is what is stored, as far as it says.
    fn is_kept_by(&self, stored: &AttestationMechanism) -> bool {
        match (&self.request.attestation, stored) {
            (AttestationRequest::SymmetricKey { .. }, AttestationMechanism::SymmetricKey(_)) => {
                true
            }
            (
                AttestationRequest::ClientCertificates(asked),
                AttestationMechanism::X509(X509Attestation::Client(slots)),
            )
            | (
                AttestationRequest::SigningCertificates(asked),
                AttestationMechanism::X509(X509Attestation::Signing(slots)),
            ) => [
                (&asked.primary, &slots.primary),
                (&asked.secondary, &slots.secondary),
            ]
            .into_iter()
            .zip(&self.shown)
            .all(|((slot, stored), shown)| {
                *slot != SlotRequest::Kept
                    || stored
                        .as_ref()
                        .zip(shown.as_ref())
                        .is_some_and(|(stored, shown)| {
                            stored.sha256_hex().eq_ignore_ascii_case(shown)
                        })
            }),
            _ => false,
        }
    }
}

fn refused(why: ImportRefusal) -> Settled {
    Settled::Refused(why)
}

fn identity_taken() -> Error {
    Error::Exists(
        "An individual enrollment with the same certificate or endorsement key".to_owned(),
    )
}

/// What became of a record whose write did not happen.
fn ungiven(error: CommitError) -> Result<Settled, Error> {
    let why = match error {
        CommitError::Unavailable(_) => return Err(Error::Unavailable(STORE_WAIT)),
        CommitError::Absent(_) => Error::ServiceNotFound,
        CommitError::Exists(what) => Error::Exists(what),
        CommitError::Changed(what) | CommitError::Full(what) => Error::PreconditionFailed(what),
    };
    Ok(refused(ImportRefusal::Rule(why)))
}

#[cfg(test)]
mod tests;
