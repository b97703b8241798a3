//! The text forms in which people and tools hand over a certificate.
//!
//! Source: docs/protocol/service-api.md §3.4 [R]: PEM, the base64 body alone, and the base64 of a
//! whole PEM file all occur. A private key is refused, and wiped from the copies made here.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use super::{Certificate, CertificateError, der};

/// Longest text that is looked at: a PEM file of one certificate with its readable form, in base64.
const LONGEST: usize = 64 * 1024;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";

pub(super) fn read(text: &str) -> Result<Certificate, CertificateError> {
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        return Err(CertificateError::Empty);
    }
    if text.len() > LONGEST {
        return Err(CertificateError::TooLarge(text.len()));
    }
    if text.contains(BEGIN) {
        return pem(text);
    }
    let bytes = decode(text).ok_or(CertificateError::NotText)?;
    match std::str::from_utf8(&bytes) {
        Ok(inner) if inner.contains(BEGIN) => pem(inner),
        _ => plain(&bytes),
    }
}

fn decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let packed: Zeroizing<Vec<u8>> =
        Zeroizing::new(text.bytes().filter(|b| !b.is_ascii_whitespace()).collect());
    BASE64.decode(&*packed).ok().map(Zeroizing::new)
}

/// Reads the certificate blocks of a PEM file. What stands outside of blocks is a comment.
fn pem(text: &str) -> Result<Certificate, CertificateError> {
    let mut bodies = Vec::new();
    let mut other = None;
    let mut rest = text;
    while let Some((_, after)) = rest.split_once(BEGIN) {
        let (label, after) = after
            .split_once("-----")
            .ok_or(CertificateError::BrokenPem)?;
        if label.contains("PRIVATE KEY") {
            return Err(CertificateError::PrivateKey);
        }
        let (body, after) = after.split_once(END).ok_or(CertificateError::BrokenPem)?;
        rest = after
            .strip_prefix(label)
            .and_then(|closing| closing.strip_prefix("-----"))
            .ok_or(CertificateError::BrokenPem)?;
        match label {
            "CERTIFICATE" | "X509 CERTIFICATE" => bodies.push(body),
            _ => other = Some(label),
        }
    }
    match bodies.as_slice() {
        [body] => plain(&decode(body).ok_or(CertificateError::BrokenPem)?),
        [] => Err(CertificateError::NoCertificate(
            other
                .unwrap_or_default()
                .chars()
                .filter(|c| !c.is_control())
                .take(40)
                .collect(),
        )),
        several => Err(CertificateError::Several(several.len())),
    }
}

fn plain(bytes: &[u8]) -> Result<Certificate, CertificateError> {
    if is_private_key(bytes) {
        return Err(CertificateError::PrivateKey);
    }
    Certificate::from_der(bytes)
}

/// Whether the bytes are a private key: all of its plain forms begin with a version number, where
/// a certificate has its signed part.
fn is_private_key(bytes: &[u8]) -> bool {
    der::read(bytes)
        .filter(|(outer, _)| outer.tag == der::SEQUENCE)
        .and_then(|(outer, _)| der::read(outer.content))
        .is_some_and(|(first, _)| first.tag == der::INTEGER)
}
