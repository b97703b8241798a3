//! Certificates for tests, byte by byte: also those that no honest tool would issue.

use rcgen::{KeyPair, PublicKeyData, SigningKey};

use super::Certificate;
use crate::clock::Timestamp;

pub(crate) const ECDSA_SHA256: &[u8] =
    &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
pub(crate) const RSA_SHA1: &[u8] = &[
    0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x05, 0x05, 0x00,
];

pub(crate) const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
pub(crate) const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
pub(crate) const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
pub(crate) const NAME_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x1e];
pub(crate) const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 0x11];
pub(crate) const SUBJECT_KEY_ID: &[u8] = &[0x55, 0x1d, 0x0e];
pub(crate) const AUTHORITY_KEY_ID: &[u8] = &[0x55, 0x1d, 0x23];
pub(crate) const DICE: &[u8] = &[0x67, 0x81, 0x05, 0x05, 0x04, 0x01];
pub(crate) const UNHEARD_OF: &[u8] = &[0x2a, 0x03, 0x04, 0x05];

pub(crate) const SERVER_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01];
pub(crate) const CLIENT_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02];

pub(crate) const UTF8: u8 = 0x0c;
pub(crate) const PRINTABLE: u8 = 0x13;
pub(crate) const TELETEX: u8 = 0x14;
pub(crate) const IA5: u8 = 0x16;
pub(crate) const BMP: u8 = 0x1e;

/// The time at which the tests play, far from today.
pub(crate) fn now() -> Timestamp {
    Timestamp::parse("2040-06-01T00:00:00Z").expect("a time")
}

pub(crate) fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match content.len() {
        short @ 0..=0x7f => out.push(u8::try_from(short).expect("short")),
        medium @ 0x80..=0xff => out.extend([0x81, u8::try_from(medium).expect("medium")]),
        long => {
            out.push(0x82);
            out.extend(u16::try_from(long).expect("fits").to_be_bytes());
        }
    }
    out.extend(content);
    out
}

pub(crate) fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    tlv(0x30, &parts.concat())
}

/// One attribute of a name: type `2.5.4.kind`, with the string type given.
pub(crate) fn attribute(kind: u8, string_type: u8, text: &[u8]) -> Vec<u8> {
    sequence(&[tlv(0x06, &[0x55, 0x04, kind]), tlv(string_type, text)])
}

/// A name of relative names, each a set of attributes.
pub(crate) fn name(relative: &[Vec<Vec<u8>>]) -> Vec<u8> {
    sequence(
        &relative
            .iter()
            .map(|attributes| tlv(0x31, &attributes.concat()))
            .collect::<Vec<_>>(),
    )
}

pub(crate) fn cn(text: &str) -> Vec<u8> {
    name(&[vec![attribute(3, UTF8, text.as_bytes())]])
}

pub(crate) fn key() -> KeyPair {
    KeyPair::generate().expect("a P-256 key")
}

pub(crate) fn key_id(id: &[u8]) -> Vec<u8> {
    tlv(0x04, id)
}

pub(crate) fn authority_key_id(id: &[u8]) -> Vec<u8> {
    tlv(0x30, &tlv(0x80, id))
}

/// A certificate being made up.
#[derive(Clone)]
pub(crate) struct Forge {
    pub(crate) version: Option<u8>,
    pub(crate) serial: Vec<u8>,
    pub(crate) subject: Vec<u8>,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) algorithm: Vec<u8>,
    pub(crate) other_algorithm: Option<Vec<u8>>,
    pub(crate) public_key: Option<Vec<u8>>,
    pub(crate) extensions: Vec<(Vec<u8>, bool, Vec<u8>)>,
}

impl Forge {
    pub(crate) fn leaf(common_name: &str) -> Self {
        Forge {
            version: Some(2),
            serial: vec![0x11],
            subject: cn(common_name),
            from: "20400101000000Z".to_owned(),
            to: "20410101000000Z".to_owned(),
            algorithm: ECDSA_SHA256.to_vec(),
            other_algorithm: None,
            public_key: None,
            extensions: Vec::new(),
        }
    }

    pub(crate) fn ca(common_name: &str) -> Self {
        Forge::leaf(common_name)
            .with(BASIC_CONSTRAINTS, true, sequence(&[tlv(0x01, &[0xff])]))
            .with(KEY_USAGE, true, vec![0x03, 0x02, 0x02, 0x04])
    }

    pub(crate) fn with(mut self, oid: &[u8], critical: bool, value: Vec<u8>) -> Self {
        self.extensions.push((oid.to_vec(), critical, value));
        self
    }

    pub(crate) fn without(mut self, oid: &[u8]) -> Self {
        self.extensions.retain(|(kind, _, _)| kind != oid);
        self
    }

    pub(crate) fn subject(mut self, subject: Vec<u8>) -> Self {
        self.subject = subject;
        self
    }

    pub(crate) fn valid(mut self, from: &str, to: &str) -> Self {
        self.from = from.to_owned();
        self.to = to.to_owned();
        self
    }

    pub(crate) fn path_length(self, length: u8) -> Self {
        self.without(BASIC_CONSTRAINTS).with(
            BASIC_CONSTRAINTS,
            true,
            sequence(&[tlv(0x01, &[0xff]), tlv(0x02, &[length])]),
        )
    }

    pub(crate) fn uses(self, oid: &[u8]) -> Self {
        self.with(EXTENDED_KEY_USAGE, false, sequence(&[tlv(0x06, oid)]))
    }

    pub(crate) fn der(&self, key: &KeyPair, issuer: &[u8], issuer_key: &KeyPair) -> Vec<u8> {
        let mut parts = Vec::new();
        if let Some(version) = self.version {
            parts.push(tlv(0xa0, &tlv(0x02, &[version])));
        }
        parts.push(tlv(0x02, &self.serial));
        parts.push(tlv(0x30, &self.algorithm));
        parts.push(issuer.to_vec());
        parts.push(sequence(&[
            tlv(0x18, self.from.as_bytes()),
            tlv(0x18, self.to.as_bytes()),
        ]));
        parts.push(self.subject.clone());
        parts.push(
            self.public_key
                .clone()
                .unwrap_or_else(|| key.subject_public_key_info()),
        );
        if !self.extensions.is_empty() {
            let extensions: Vec<Vec<u8>> = self
                .extensions
                .iter()
                .map(|(oid, critical, value)| {
                    let mut parts = vec![tlv(0x06, oid)];
                    if *critical {
                        parts.push(tlv(0x01, &[0xff]));
                    }
                    parts.push(tlv(0x04, value));
                    sequence(&parts)
                })
                .collect();
            parts.push(tlv(0xa3, &sequence(&extensions)));
        }
        let part = sequence(&parts);
        let mut signature = vec![0];
        signature.extend(issuer_key.sign(&part).expect("a signature"));
        let beside = self.other_algorithm.as_ref().unwrap_or(&self.algorithm);
        sequence(&[part, tlv(0x30, beside), tlv(0x03, &signature)])
    }

    pub(crate) fn issued_by(&self, issuer: &Made) -> Made {
        self.issued_with(key(), issuer)
    }

    pub(crate) fn issued_with(&self, key: KeyPair, issuer: &Made) -> Made {
        let der = self.der(&key, issuer.certificate.subject_dn_raw(), &issuer.key);
        Made {
            certificate: Certificate::from_der(&der).expect("a certificate"),
            key,
        }
    }

    pub(crate) fn self_signed(&self) -> Made {
        let key = key();
        let der = self.der(&key, &self.subject, &key);
        Made {
            certificate: Certificate::from_der(&der).expect("a certificate"),
            key,
        }
    }
}

/// A certificate and its private key.
pub(crate) struct Made {
    pub(crate) certificate: Certificate,
    pub(crate) key: KeyPair,
}
