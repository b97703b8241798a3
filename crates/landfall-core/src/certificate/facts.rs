//! What one certificate says, read once and owned. No judgement is made here.
//!
//! Two readers look at the bytes: the strict one of `der` splits them, and `x509_parser` reads
//! dates and extensions. Where both see a part they must see the same bytes.

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{ExtendedKeyUsage, ParsedExtension, X509Extension};
use x509_parser::prelude::FromDer;

use super::der::{self, Element};
use super::{CertificateError, name};
use crate::clock::Timestamp;

const KEY_CERT_SIGN: u16 = 1 << 5;
const DIGITAL_SIGNATURE: u16 = 1;

/// An extension that is absent, understood, or there without making sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Field<T> {
    Absent,
    Present(T),
    Malformed,
}

/// A distinguished name as it was encoded, and as people read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) raw: Box<[u8]>,
    pub(crate) shown: String,
}

/// What `basicConstraints` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BasicConstraints {
    pub(crate) ca: bool,
    pub(crate) path_length: Option<u32>,
}

/// What `keyUsage` allows, as far as anyone here asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyUsage {
    pub(crate) digital_signature: bool,
    pub(crate) certificate_sign: bool,
}

/// A signature over the certificate's own signed part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Signed {
    /// The signed part, as it stands.
    pub(crate) part: Box<[u8]>,
    /// Content of the AlgorithmIdentifier beside the signature.
    pub(crate) algorithm: Box<[u8]>,
    /// Whether the signed part names the same algorithm.
    pub(crate) algorithm_repeated: bool,
    /// The signature.
    pub(crate) value: Box<[u8]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    /// 1, 2 or 3.
    pub(crate) version: u32,
    pub(crate) serial: Box<[u8]>,
    pub(crate) issuer: Name,
    pub(crate) subject: Name,
    pub(crate) common_name: Result<String, name::CommonNameFault>,
    pub(crate) not_before: Timestamp,
    pub(crate) not_after: Timestamp,
    /// Content of the public key's AlgorithmIdentifier.
    pub(crate) key_algorithm: Box<[u8]>,
    /// The public key's bits.
    pub(crate) key_bits: Box<[u8]>,
    pub(crate) signed: Signed,
    pub(crate) basic_constraints: Field<BasicConstraints>,
    pub(crate) key_usage: Field<KeyUsage>,
    /// Whether the extended key usages allow a client to authenticate.
    pub(crate) client_use: Field<bool>,
    /// The names of the extended key usages, dotted where they have no short one.
    pub(crate) extended_uses: Vec<String>,
    /// The value of `nameConstraints`, and whether it is critical.
    pub(crate) name_constraints: Option<(Box<[u8]>, bool)>,
    /// The value of `subjectAltName`.
    pub(crate) alternative_names: Option<Box<[u8]>>,
    pub(crate) subject_key_id: Option<Box<[u8]>>,
    pub(crate) authority_key_id: Option<Box<[u8]>>,
    /// Dotted names of all critical extensions.
    pub(crate) critical: Vec<String>,
    /// The dotted name of an extension that occurs twice.
    pub(crate) repeated_extension: Option<String>,
}

/// The public key of a certificate, found by position alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey<'a> {
    /// Content of the AlgorithmIdentifier: what names the kind of key.
    pub algorithm: &'a [u8],
    /// The key's bits.
    pub bits: &'a [u8],
}

/// Finds the public key in the DER of a certificate, even of one that is odd elsewhere.
///
/// TLS proves possession of this key before anything else about the certificate is judged.
pub fn public_key(der: &[u8]) -> Option<PublicKey<'_>> {
    Frame::of(der)?.public_key()
}

/// A certificate split into its outer parts.
struct Frame<'a> {
    whole: Element<'a>,
    part: Element<'a>,
    algorithm: Element<'a>,
    signature: Element<'a>,
    serial: Element<'a>,
    inner_algorithm: Element<'a>,
    issuer: Element<'a>,
    subject: Element<'a>,
    key: Element<'a>,
}

impl<'a> Frame<'a> {
    fn of(der: &'a [u8]) -> Option<Self> {
        let whole = der::only(der, der::SEQUENCE)?;
        let [part, algorithm, signature] = *whole.children()?.as_slice() else {
            return None;
        };
        let fields = part.children()?;
        let fields = match fields.as_slice() {
            [version, rest @ ..] if version.tag == 0xa0 => rest,
            all => all,
        };
        let [serial, inner_algorithm, issuer, _validity, subject, key, ..] = *fields else {
            return None;
        };
        let tags = [
            (part, der::SEQUENCE),
            (algorithm, der::SEQUENCE),
            (signature, der::BIT_STRING),
            (serial, der::INTEGER),
            (inner_algorithm, der::SEQUENCE),
            (issuer, der::SEQUENCE),
            (subject, der::SEQUENCE),
            (key, der::SEQUENCE),
        ];
        tags.iter()
            .all(|(element, tag)| element.tag == *tag)
            .then_some(Frame {
                whole,
                part,
                algorithm,
                signature,
                serial,
                inner_algorithm,
                issuer,
                subject,
                key,
            })
    }

    fn public_key(&self) -> Option<PublicKey<'a>> {
        let [algorithm, bits] = *self.key.children()?.as_slice() else {
            return None;
        };
        (algorithm.tag == der::SEQUENCE).then_some(PublicKey {
            algorithm: algorithm.content,
            bits: whole_octets(&bits)?,
        })
    }
}

/// The octets of a bit string that leaves no bit unused.
fn whole_octets<'a>(bits: &Element<'a>) -> Option<&'a [u8]> {
    match bits.content {
        [0, octets @ ..] if bits.tag == der::BIT_STRING => Some(octets),
        _ => None,
    }
}

fn unreadable(what: &str) -> CertificateError {
    CertificateError::Unreadable(what.to_owned())
}

impl Facts {
    /// Reads a certificate that fills `der` completely.
    pub(crate) fn read(der: &[u8]) -> Result<Self, CertificateError> {
        // The strict reader: one whole frame, every part of it DER.
        let (_, rest) = der::read(der)
            .filter(|(whole, _)| whole.tag == der::SEQUENCE)
            .ok_or_else(|| unreadable("it is not DER"))?;
        if !rest.is_empty() {
            return Err(CertificateError::TrailingBytes(rest.len()));
        }
        let frame = Frame::of(der).ok_or_else(|| unreadable("it has not the parts of one"))?;
        if !der::well_formed(&frame.whole) {
            return Err(unreadable("a part of it is not DER"));
        }
        let key = frame
            .public_key()
            .ok_or_else(|| unreadable("its public key is malformed"))?;
        let signature = whole_octets(&frame.signature)
            .ok_or_else(|| unreadable("its signature is malformed"))?;
        // The tolerant reader must see the same parts.
        let (_, parsed) =
            X509Certificate::from_der(der).map_err(|e| unreadable(&parser_words(&e)))?;
        let same = parsed.tbs_certificate.as_ref() == frame.part.raw
            && parsed.subject().as_raw() == frame.subject.raw
            && parsed.issuer().as_raw() == frame.issuer.raw
            && parsed.public_key().raw == frame.key.raw;
        if !same {
            return Err(unreadable("its parts can be read in two ways"));
        }
        let version = parsed.version().0.saturating_add(1);
        if version > 3 {
            return Err(unreadable("its version is none of 1, 2 and 3"));
        }
        // What was read, then what the extensions add to it.
        let mut facts = Facts {
            version,
            serial: frame.serial.content.into(),
            issuer: named(&frame.issuer)?,
            subject: named(&frame.subject)?,
            common_name: name::common_name(frame.subject.raw),
            not_before: Timestamp::from_unix_seconds(parsed.validity().not_before.timestamp()),
            not_after: Timestamp::from_unix_seconds(parsed.validity().not_after.timestamp()),
            key_algorithm: key.algorithm.into(),
            key_bits: key.bits.into(),
            signed: Signed {
                part: frame.part.raw.into(),
                algorithm: frame.algorithm.content.into(),
                algorithm_repeated: frame.algorithm.raw == frame.inner_algorithm.raw,
                value: signature.into(),
            },
            basic_constraints: Field::Absent,
            key_usage: Field::Absent,
            client_use: Field::Absent,
            extended_uses: Vec::new(),
            name_constraints: None,
            alternative_names: None,
            subject_key_id: None,
            authority_key_id: None,
            critical: Vec::new(),
            repeated_extension: None,
        };
        let mut seen = Vec::new();
        for extension in parsed.extensions() {
            let oid = der::dotted(extension.oid.as_bytes());
            if seen.contains(&oid) {
                facts.repeated_extension = Some(oid.clone());
            }
            if extension.critical {
                facts.critical.push(oid.clone());
            }
            facts.take(&oid, extension);
            seen.push(oid);
        }
        Ok(facts)
    }

    fn take(&mut self, oid: &str, extension: &X509Extension<'_>) {
        use ParsedExtension as Parsed;
        match (oid, extension.parsed_extension()) {
            ("2.5.29.19", Parsed::BasicConstraints(value)) => {
                self.basic_constraints = Field::Present(BasicConstraints {
                    ca: value.ca,
                    path_length: value.path_len_constraint,
                });
            }
            ("2.5.29.19", _) => self.basic_constraints = Field::Malformed,
            ("2.5.29.15", Parsed::KeyUsage(value)) => {
                self.key_usage = Field::Present(KeyUsage {
                    digital_signature: value.flags & DIGITAL_SIGNATURE != 0,
                    certificate_sign: value.flags & KEY_CERT_SIGN != 0,
                });
            }
            ("2.5.29.15", _) => self.key_usage = Field::Malformed,
            ("2.5.29.37", Parsed::ExtendedKeyUsage(value)) => {
                self.client_use = Field::Present(value.client_auth || value.any);
                self.extended_uses = extended_uses(value);
            }
            ("2.5.29.37", _) => self.client_use = Field::Malformed,
            ("2.5.29.30", _) => {
                self.name_constraints = Some((extension.value.into(), extension.critical));
            }
            ("2.5.29.17", _) => self.alternative_names = Some(extension.value.into()),
            ("2.5.29.14", Parsed::SubjectKeyIdentifier(id)) => {
                self.subject_key_id = Some(id.0.into());
            }
            ("2.5.29.35", Parsed::AuthorityKeyIdentifier(id)) => {
                self.authority_key_id = id.key_identifier.as_ref().map(|id| id.0.into());
            }
            _ => {}
        }
    }
}

fn extended_uses(value: &ExtendedKeyUsage<'_>) -> Vec<String> {
    let known = [
        (value.any, "anyExtendedKeyUsage"),
        (value.client_auth, "clientAuth"),
        (value.server_auth, "serverAuth"),
        (value.code_signing, "codeSigning"),
        (value.email_protection, "emailProtection"),
        (value.time_stamping, "timeStamping"),
        (value.ocsp_signing, "OCSPSigning"),
    ];
    let known = known.into_iter().filter(|(there, _)| *there);
    let others = value.other.iter().map(|oid| der::dotted(oid.as_bytes()));
    known
        .map(|(_, name)| name.to_owned())
        .chain(others)
        .collect()
}

fn named(element: &Element<'_>) -> Result<Name, CertificateError> {
    Ok(Name {
        raw: element.raw.into(),
        shown: name::shown(element.raw).ok_or_else(|| unreadable("a name in it is malformed"))?,
    })
}

/// Says what the parser stumbled over, without the bytes it stood at.
fn parser_words<E: std::fmt::Display>(error: &x509_parser::nom::Err<E>) -> String {
    match error {
        x509_parser::nom::Err::Incomplete(_) => "it ends too early".to_owned(),
        x509_parser::nom::Err::Error(e) | x509_parser::nom::Err::Failure(e) => {
            e.to_string().chars().take(120).collect()
        }
    }
}
