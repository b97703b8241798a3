//! CA certificates of a provisioning service: upload, read, delete, and the proof of possession.

use super::{Administration, Condition, refused};
use crate::certificate::Certificate;
use crate::certificate::ca::{
    CaCertificate, check_upload, draw_verification_code, verify_possession,
};
use crate::error::Error;
use crate::id::{CertificateName, Etag};
use crate::store::{Change, CommitError, Expect, Guard, Store, Write};

/// A CA certificate as it was uploaded.
#[derive(Debug, Clone, PartialEq)]
pub struct CertificateUpload {
    /// The certificate.
    pub certificate: Certificate,
    /// Whether the operator vouches for its possession; absent means not said.
    pub verified: Option<bool>,
}

fn spoken(name: &CertificateName) -> String {
    format!("Certificate '{name}'")
}

fn absent(name: &CertificateName) -> Error {
    Error::OtherNotFound(spoken(name))
}

impl<S: Store> Administration<'_, S> {
    /// All CA certificates, by name.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the store cannot be read.
    pub async fn certificates(&self) -> Result<Vec<CaCertificate>, Error> {
        Ok(self.store.certificates(self.scope()).await?)
    }

    /// Reads a CA certificate; with a condition, only in the state asked for.
    ///
    /// # Errors
    /// [`Error::OtherNotFound`] when there is none, [`Error::PreconditionFailed`] when it is in
    /// another state.
    pub async fn certificate(
        &self,
        name: &CertificateName,
        condition: &Condition,
    ) -> Result<CaCertificate, Error> {
        let stored = self
            .store
            .certificate(self.scope(), name)
            .await?
            .ok_or_else(|| absent(name))?;
        match condition {
            Condition::Etag(etag) if *etag != stored.etag => {
                Err(Error::PreconditionFailed(spoken(name)))
            }
            Condition::Unstated | Condition::Present | Condition::Etag(_) => Ok(stored),
        }
    }

    /// Uploads a CA certificate under a name, or replaces it. Another certificate under the name
    /// is unverified again, unless the operator vouches for it.
    ///
    /// Source: docs/protocol/control-plane.md §5 [S, D, I]; docs/protocol/x509.md §3 rules 1, 4.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it may not be uploaded, or replaces one and nothing was said of
    /// that one's state; [`Error::Exists`] when it is there under another name;
    /// [`Error::PreconditionFailed`] when the one to be replaced is in another state.
    pub async fn put_certificate(
        &self,
        name: &CertificateName,
        upload: CertificateUpload,
        condition: &Condition,
    ) -> Result<CaCertificate, Error> {
        // May it be uploaded, and replace what is there?
        check_upload(&upload.certificate, self.now)
            .map_err(|error| Error::Invalid(format!("{error}.")))?;
        let stored = self.store.certificate(self.scope(), name).await?;
        if let Some(stored) = &stored {
            match condition {
                Condition::Unstated => {
                    return Err(Error::Invalid(format!(
                        "An If-Match header is required to update {}.",
                        spoken(name)
                    )));
                }
                Condition::Etag(etag) if *etag != stored.etag => {
                    return Err(Error::PreconditionFailed(spoken(name)));
                }
                Condition::Present | Condition::Etag(_) => {}
            }
        }
        // Possession that was proved stays proved for the same certificate only.
        let same = stored
            .as_ref()
            .filter(|stored| stored.certificate == upload.certificate);
        let verified = upload
            .verified
            .unwrap_or_else(|| same.is_some_and(|stored| stored.verified));
        let certificate = CaCertificate {
            name: name.clone(),
            verified,
            verification_code: same
                .filter(|_| !verified)
                .and_then(|stored| stored.verification_code.clone()),
            certificate: upload.certificate,
            etag: Etag::draw(self.entropy),
            created: stored.as_ref().map_or(self.now, |stored| stored.created),
            updated: self.now,
        };
        // The write holds only for the state that was read.
        let expect = match &stored {
            Some(stored) => Expect::Etag(stored.etag.clone()),
            None => Expect::Absent,
        };
        let thumbprint = certificate.certificate.sha256_hex();
        let write =
            Write::PutCertificate(self.scope().clone(), Box::new(certificate.clone()), expect);
        let mut change = Change::of(write);
        change.guards = vec![Guard::CertificateUnused(
            self.scope().clone(),
            name.clone(),
            thumbprint,
        )];
        match self.commit(change).await {
            Ok(()) => Ok(certificate),
            Err(CommitError::Exists(_)) => {
                let there = self.store.certificate(self.scope(), name).await?.is_some();
                Err(Error::Exists(if there && stored.is_none() {
                    spoken(name)
                } else {
                    "The same certificate under another name".to_owned()
                }))
            }
            Err(error) => Err(refused(
                error,
                &spoken(name),
                Error::PreconditionFailed(spoken(name)),
            )),
        }
    }

    /// Removes a CA certificate; false when there was none. Groups that name it may stay: that is
    /// how a compromised CA is cut off.
    ///
    /// # Errors
    /// [`Error::Invalid`] when nothing was said of its state, [`Error::PreconditionFailed`] when
    /// it is in another one.
    pub async fn delete_certificate(
        &self,
        name: &CertificateName,
        condition: &Condition,
    ) -> Result<bool, Error> {
        condition.required()?;
        let expect = match condition {
            Condition::Unstated | Condition::Present => Expect::Present,
            Condition::Etag(etag) => Expect::Etag(etag.clone()),
        };
        let write = Write::DeleteCertificate(self.scope().clone(), name.clone(), expect);
        match self.commit(Change::of(write)).await {
            Ok(()) => Ok(true),
            Err(CommitError::Absent(_)) => Ok(false),
            Err(error) => Err(refused(error, &spoken(name), absent(name))),
        }
    }

    /// Draws a new verification code for a CA certificate; the one before no longer counts.
    ///
    /// Source: docs/protocol/x509.md §3 rule 2 [R].
    ///
    /// # Errors
    /// As [`Administration::certificate`]; [`Error::Invalid`] when nothing was said of its state.
    pub async fn renew_verification_code(
        &self,
        name: &CertificateName,
        condition: &Condition,
    ) -> Result<CaCertificate, Error> {
        let mut certificate = self.conditioned(name, condition).await?;
        certificate.verification_code = Some(draw_verification_code(self.entropy));
        self.replace(certificate).await
    }

    /// Takes a certificate that the CA signed over the verification code as the proof of
    /// possession. The code counts once.
    ///
    /// Source: docs/protocol/x509.md §3 rule 3 [D].
    ///
    /// # Errors
    /// As [`Administration::certificate`]; [`Error::Invalid`] when the proof fails, or nothing was
    /// said of its state.
    pub async fn verify_certificate(
        &self,
        name: &CertificateName,
        proof: &Certificate,
        condition: &Condition,
    ) -> Result<CaCertificate, Error> {
        let mut certificate = self.conditioned(name, condition).await?;
        verify_possession(&certificate, proof, self.now)
            .map_err(|error| Error::Invalid(format!("{error}.")))?;
        certificate.verified = true;
        certificate.verification_code = None;
        self.replace(certificate).await
    }

    async fn conditioned(
        &self,
        name: &CertificateName,
        condition: &Condition,
    ) -> Result<CaCertificate, Error> {
        condition.required()?;
        self.certificate(name, condition).await
    }

    /// Writes a changed certificate over the state it was read in.
    async fn replace(&self, mut certificate: CaCertificate) -> Result<CaCertificate, Error> {
        let before = std::mem::replace(&mut certificate.etag, Etag::draw(self.entropy));
        certificate.updated = self.now;
        let name = certificate.name.clone();
        let write = Write::PutCertificate(
            self.scope().clone(),
            Box::new(certificate.clone()),
            Expect::Etag(before),
        );
        match self.commit(Change::of(write)).await {
            Ok(()) => Ok(certificate),
            Err(error) => Err(refused(error, &spoken(&name), absent(&name))),
        }
    }
}
