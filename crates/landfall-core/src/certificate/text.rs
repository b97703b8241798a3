//! The text forms in which people and tools hand over a certificate.
//!
//! Source: docs/protocol/service-api.md §3.4 [R]: PEM, the base64 body alone, and the base64 of a
//! whole PEM file all occur. A private key is refused, and wiped from the copies made here.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use super::{Certificate, CertificateError, CertificateFile, der};
use crate::secret::repeated;

/// Longest text that is looked at: a PEM file of one certificate with its readable form, in base64.
const LONGEST: usize = 64 * 1024;

/// Longest file of certificates that is looked at.
const LONGEST_FILE: usize = 1024 * 1024;

/// Most characters of a block's label that are repeated to whoever sent it.
const LONGEST_LABEL: usize = 40;

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

/// The blocks of a PEM file: their labels and bodies. What stands outside of blocks is a comment.
fn blocks(text: &str) -> Result<Vec<(&str, &str)>, CertificateError> {
    let mut blocks = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once(BEGIN) {
        let (label, after) = after
            .split_once("-----")
            .ok_or(CertificateError::BrokenPem)?;
        let (body, after) = after.split_once(END).ok_or(CertificateError::BrokenPem)?;
        rest = after
            .strip_prefix(label)
            .and_then(|closing| closing.strip_prefix("-----"))
            .ok_or(CertificateError::BrokenPem)?;
        blocks.push((label, body));
    }
    Ok(blocks)
}

fn is_certificate(label: &str) -> bool {
    matches!(label, "CERTIFICATE" | "X509 CERTIFICATE")
}

fn no_certificate(blocks: &[(&str, &str)]) -> CertificateError {
    let label = blocks.last().map(|(label, _)| *label).unwrap_or_default();
    CertificateError::NoCertificate(repeated(label, LONGEST_LABEL))
}

fn pem(text: &str) -> Result<Certificate, CertificateError> {
    // A key that stands in a damaged block is a key all the same.
    if names_private_key(text) {
        return Err(CertificateError::PrivateKey);
    }
    let blocks = blocks(text)?;
    let bodies: Vec<&str> = blocks
        .iter()
        .filter(|(label, _)| is_certificate(label))
        .map(|(_, body)| *body)
        .collect();
    match bodies.as_slice() {
        [body] => plain(&decode(body).ok_or(CertificateError::BrokenPem)?),
        [] => Err(no_certificate(&blocks)),
        several => Err(CertificateError::Several(several.len())),
    }
}

fn names_private_key(text: &str) -> bool {
    text.split(BEGIN).skip(1).any(|block| {
        block
            .split_once("-----")
            .is_some_and(|(label, _)| label.contains("PRIVATE KEY"))
    })
}

/// Reads every certificate of a file that somebody inspects. Unlike an upload it may hold their key.
pub(super) fn read_file(bytes: &[u8]) -> Result<CertificateFile, CertificateError> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.trim_start_matches('\u{feff}').trim(),
        Err(_) => {
            return Ok(CertificateFile {
                certificates: vec![plain(bytes)?],
                is_der: true,
                holds_private_key: false,
            });
        }
    };
    if !text.contains(BEGIN) {
        return Ok(CertificateFile {
            certificates: vec![read(text)?],
            is_der: false,
            holds_private_key: false,
        });
    }
    if text.len() > LONGEST_FILE {
        return Err(CertificateError::FileTooLarge(text.len()));
    }
    let blocks = blocks(text)?;
    let holds_private_key = names_private_key(text);
    let bodies: Vec<&str> = blocks
        .iter()
        .filter(|(label, _)| is_certificate(label))
        .map(|(_, body)| *body)
        .collect();
    if bodies.is_empty() {
        return Err(if holds_private_key {
            CertificateError::PrivateKey
        } else {
            no_certificate(&blocks)
        });
    }
    let read = |(place, body): (usize, &&str)| {
        decode(body)
            .ok_or(CertificateError::BrokenPem)
            .and_then(|der| plain(&der))
            .map_err(|error| CertificateError::OfFile(place + 1, Box::new(error)))
    };
    Ok(CertificateFile {
        certificates: bodies
            .iter()
            .enumerate()
            .map(read)
            .collect::<Result<_, _>>()?,
        is_der: false,
        holds_private_key,
    })
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
