//! One test certificate and its key, made and held against its parent. No file is touched here.
//! Called by `landfall cert root`, `intermediate`, `device` and `verification`.

use std::time::Duration;

use landfall_core::certificate::Certificate;
use landfall_core::clock::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, RsaKeySize,
};
use zeroize::Zeroizing;

use super::files::Parent;
use super::{KeyType, Role};
use crate::command::outcome::{Exit, Failure};
use crate::dev_ca::{PemPair, date, named, positive};

/// A certificate is valid from so long before it is made, for clocks that are behind.
const BACKDATED: Duration = Duration::from_secs(24 * 3600);

/// What is to be made.
pub(super) struct Order<'a> {
    pub(super) role: Role,
    /// The common name, which is the whole subject.
    pub(super) subject: &'a str,
    pub(super) key_type: KeyType,
    /// How long it is valid, counted from `now`; cut to the end of its parent.
    pub(super) life: Duration,
    pub(super) serial: [u8; 16],
    pub(super) now: Timestamp,
}

/// Makes a certificate that `parent` signs, or that signs itself when there is none.
///
/// Shape: version 3. A CA's has `CA:TRUE` and may sign certificates, a client's has `CA:FALSE` and
/// authenticates clients: what the articles' tool asks for, and what a strict judge does.
///
/// # Errors
/// [`Failure`] when the parent is no CA, has ended, or its key is another one's.
pub(super) fn certificate(
    order: &Order<'_>,
    parent: Option<&Parent>,
) -> Result<(Certificate, PemPair), Failure> {
    if let Some(parent) = parent {
        check_parent(parent, order.now)?;
    }
    let key = match order.key_type {
        KeyType::Rsa => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048),
        KeyType::Ec => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256),
    }
    .map_err(not_made)?;
    let params = params(order, parent);
    let pem = match parent {
        None => params.self_signed(&key).map_err(not_made)?.pem(),
        Some(parent) => {
            let issuer_key = KeyPair::from_pem(&parent.key).map_err(|error| {
                Failure::usage(
                    format!(
                        "the key in {} cannot be used: {error}",
                        parent.key_file.display()
                    ),
                    "give the CA's key as PEM without a password: RSA or elliptic curve",
                )
            })?;
            let issuer = Issuer::from_ca_cert_pem(&parent.pem, issuer_key).map_err(not_made)?;
            params.signed_by(&key, &issuer).map_err(not_made)?.pem()
        }
    };
    let certificate =
        Certificate::from_text(&pem).map_err(|error| Failure::from(anyhow::Error::new(error)))?;
    if let Some(parent) = parent {
        check_made(&certificate, parent)?;
    }
    let key = Zeroizing::new(key.serialize_pem());
    Ok((
        certificate,
        PemPair {
            certificate: pem,
            key,
        },
    ))
}

fn params(order: &Order<'_>, parent: Option<&Parent>) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(order.subject);
    params.not_before = date(order.now.minus(BACKDATED));
    let end = order.now.plus(order.life);
    params.not_after = date(match parent {
        Some(parent) => end.min(parent.certificate.not_after()),
        None => end,
    });
    params.serial_number = Some(positive(order.serial));
    params.use_authority_key_identifier_extension = parent.is_some();
    match order.role {
        Role::Authority => {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        }
        Role::Client => {
            params.is_ca = IsCa::ExplicitNoCa;
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        }
    }
    params
}

fn check_parent(parent: &Parent, now: Timestamp) -> Result<(), Failure> {
    let file = parent.certificate_file.display();
    if !parent.certificate.is_ca() {
        return Err(Failure::usage(
            format!(
                "{file} is not a CA's certificate ('{}')",
                parent.certificate.subject_name()
            ),
            "name a parent made by `landfall cert root` or `landfall cert intermediate`",
        ));
    }
    if parent.certificate.not_after() < now {
        return Err(Failure::usage(
            format!(
                "{file} expired at {}",
                parent.certificate.not_after().to_wire_seconds()
            ),
            "make the parent anew, in another folder or after moving its files away",
        ));
    }
    Ok(())
}

/// The library takes any key for the parent's and writes the parent's name anew: both are checked.
fn check_made(made: &Certificate, parent: &Parent) -> Result<(), Failure> {
    if made.issuer_dn_raw() != parent.certificate.subject_dn_raw() {
        return Err(Failure::new(
            Exit::Refused,
            format!(
                "the subject of {} cannot be written as an issuer here",
                parent.certificate_file.display()
            ),
            "sign with openssl, or take a CA whose subject is a plain list of names",
        ));
    }
    made.signed_by(&parent.certificate).map_err(|fault| {
        Failure::usage(
            format!(
                "{} is not the key of {}: {fault}",
                parent.key_file.display(),
                parent.certificate_file.display()
            ),
            "name the key that belongs to the certificate",
        )
    })
}

fn not_made(error: rcgen::Error) -> Failure {
    Failure::from(anyhow::Error::new(error).context("the certificate cannot be made"))
}
