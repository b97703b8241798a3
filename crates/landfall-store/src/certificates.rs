//! CA certificates: rows, reads and writes. Every write advances the service's trust version.

use landfall_core::certificate::Certificate;
use landfall_core::certificate::ca::CaCertificate;
use landfall_core::id::{CertificateName, Etag, IdScope};
use landfall_core::store::{CommitError, Expect};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::dialect::{Fault, Read, Row, Session};
use crate::expectation::meets;
use crate::record::{AsText, Bytes, Micros, Version, from_text, id, to_text};
use crate::secret::Sealer;
use crate::services;

const TABLE: &str = "ca_certificates";

#[derive(Debug, Serialize, Deserialize)]
struct CertificateRecord {
    v: Version,
    name: AsText<CertificateName>,
    der: Bytes,
    verified: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    verification_code: Option<String>,
    created: Micros,
    updated: Micros,
}

impl CertificateRecord {
    fn of(ca: &CaCertificate) -> Self {
        CertificateRecord {
            v: Version,
            name: AsText(ca.name.clone()),
            der: der(&ca.certificate),
            verified: ca.verified,
            verification_code: ca.verification_code.clone(),
            created: ca.created.into(),
            updated: ca.updated.into(),
        }
    }

    fn read(self, etag: Etag) -> Result<CaCertificate, Fault> {
        Ok(CaCertificate {
            name: self.name.0,
            certificate: certificate(&self.der)?,
            verified: self.verified,
            verification_code: self.verification_code,
            etag,
            created: self.created.into(),
            updated: self.updated.into(),
        })
    }
}

/// A certificate with its etag.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WholeCertificate {
    certificate: CertificateRecord,
    etag: AsText<Etag>,
}

impl WholeCertificate {
    /// Writes it down.
    pub(crate) fn of(ca: &CaCertificate) -> Self {
        WholeCertificate {
            certificate: CertificateRecord::of(ca),
            etag: AsText(ca.etag.clone()),
        }
    }

    /// Reads it back.
    pub(crate) fn read(self) -> Result<CaCertificate, Fault> {
        self.certificate.read(self.etag.0)
    }
}

/// A certificate's bytes as records hold them.
pub(crate) fn der(certificate: &Certificate) -> Bytes {
    Bytes(Zeroizing::new(certificate.der().to_vec()))
}

/// Reads a certificate back.
pub(crate) fn certificate(der: &Bytes) -> Result<Certificate, Fault> {
    Certificate::from_der(&der.0).map_err(|e| Fault::Record(format!("in a record, {e}")))
}

/// Names a certificate in errors.
pub(crate) fn spoken(name: &str) -> String {
    format!("CA certificate '{name}'")
}

/// All certificates of a service, by name.
pub(crate) fn all(scope: &IdScope) -> Read<'_, CaCertificate> {
    Read::new(
        "SELECT etag, record FROM ca_certificates WHERE scope = $1 ORDER BY key",
        vec![scope.key().into()],
        decode,
    )
}

/// One certificate.
pub(crate) fn one<'a>(scope: &'a IdScope, name: &'a CertificateName) -> Read<'a, CaCertificate> {
    Read::new(
        "SELECT etag, record FROM ca_certificates WHERE scope = $1 AND key = $2",
        vec![scope.key().into(), name.key().into()],
        decode,
    )
}

fn decode(row: &Row<'_>, _: &Sealer) -> Result<CaCertificate, Fault> {
    let record: CertificateRecord = from_text(TABLE, row.text(1)?)?;
    record.read(id::<Etag>(row.text(0)?)?)
}

/// Makes or replaces a certificate.
pub(crate) fn put(
    session: &Session,
    scope: &IdScope,
    ca: &CaCertificate,
    expect: &Expect,
) -> Result<(), Fault> {
    check(session, scope, &ca.name, expect)?;
    let record = to_text(&CertificateRecord::of(ca))?;
    session.execute(
        "INSERT INTO ca_certificates (scope, key, etag, thumbprint, record)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (scope, key) DO UPDATE SET etag = excluded.etag,
           thumbprint = excluded.thumbprint, record = excluded.record",
        &[
            scope.key().into(),
            ca.name.key().into(),
            ca.etag.as_str().into(),
            ca.certificate.sha256_hex().to_ascii_uppercase().into(),
            record.into(),
        ],
    )?;
    services::advance_trust(session, scope)
}

/// Removes a certificate.
pub(crate) fn delete(
    session: &Session,
    scope: &IdScope,
    name: &CertificateName,
    expect: &Expect,
) -> Result<(), Fault> {
    check(session, scope, name, expect)?;
    session.execute(
        "DELETE FROM ca_certificates WHERE scope = $1 AND key = $2",
        &[scope.key().into(), name.key().into()],
    )?;
    services::advance_trust(session, scope)
}

/// Refuses when another name holds the certificate with this thumbprint.
pub(crate) fn unused(
    session: &Session,
    scope: &IdScope,
    name: &CertificateName,
    thumbprint: &str,
) -> Result<(), Fault> {
    let holder = session.first(
        "SELECT key FROM ca_certificates WHERE scope = $1 AND thumbprint = $2 AND key <> $3
         ORDER BY key LIMIT 1",
        &[
            scope.key().into(),
            thumbprint.to_ascii_uppercase().into(),
            name.key().into(),
        ],
        |row| row.text(0).map(spoken),
    )?;
    match holder {
        Some(holder) => Err(Fault::Refused(CommitError::Exists(holder))),
        None => Ok(()),
    }
}

fn check(
    session: &Session,
    scope: &IdScope,
    name: &CertificateName,
    expect: &Expect,
) -> Result<(), Fault> {
    if *expect == Expect::Anything {
        return Ok(());
    }
    let there = session.first(
        "SELECT etag FROM ca_certificates WHERE scope = $1 AND key = $2",
        &[scope.key().into(), name.key().into()],
        |row| row.text(0).map(str::to_owned),
    )?;
    meets(expect, there.as_deref(), || spoken(name.as_str()))
}
