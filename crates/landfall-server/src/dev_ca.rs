//! The development CA: made on first start, kept in the data folder, signs this server's own
//! certificate. For development and tests; a real service brings its own certificate.

use std::net::IpAddr;
use std::time::Duration;

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use landfall_core::certificate::Certificate;
use landfall_core::clock::{Entropy, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType, SerialNumber, string::Ia5String,
};
use time::OffsetDateTime;
use zeroize::Zeroizing;

/// What every development CA is called; letters of its serial number follow.
pub const CA_NAME: &str = "Landfall development CA";

const DAY: Duration = Duration::from_secs(24 * 3600);
/// How long a CA is valid.
const LIFE: Duration = Duration::from_secs(3650 * 24 * 3600);
/// A server certificate with less time than this left is made anew.
const RENEW_WITHIN: Duration = Duration::from_secs(30 * 24 * 3600);

/// A certificate and its key, as PEM text.
pub struct PemPair {
    /// The certificate, or the chain with the leaf first.
    pub certificate: String,
    /// The private key.
    pub key: Zeroizing<String>,
}

/// The CA or a certificate of it could not be made or read.
#[derive(Debug, thiserror::Error)]
#[error("the development CA cannot be used: {0}")]
pub struct DevCaError(#[from] rcgen::Error);

/// Makes a CA that is valid from a day before `now` for ten years. `serial` tells it from others.
///
/// # Errors
/// [`DevCaError`] when the library refuses.
pub fn make_ca(serial: [u8; 16], now: Timestamp) -> Result<PemPair, DevCaError> {
    ca_of(&KeyPair::generate()?, serial, now, LIFE)
}

/// Makes a CA whose key and serial number are those that `entropy` gives, with a validity that does
/// not depend on the day: of two that are made from the same bytes, only the signatures differ.
///
/// # Errors
/// [`DevCaError`] when the library refuses.
pub fn make_ca_of(entropy: &dyn Entropy) -> Result<PemPair, DevCaError> {
    let key = p256_key(entropy)?;
    let mut serial = [0; 16];
    entropy.fill(&mut serial);
    let begin = Timestamp::parse("2026-01-02T00:00:00Z").ok_or(rcgen::Error::Time)?;
    ca_of(&key, serial, begin, LIFE * 2)
}

/// A P-256 key of the first bytes that are one. All but one in 2³² are.
fn p256_key(entropy: &dyn Entropy) -> Result<KeyPair, DevCaError> {
    let mut private = Zeroizing::new([0; 32]);
    for _ in 0..16 {
        entropy.fill(&mut *private);
        let public = PrivateKey::from_private_key(&ECDH_P256, &*private)
            .ok()
            .and_then(|key| key.compute_public_key().ok());
        let Some(public) = public else {
            continue;
        };
        let pair = EcdsaKeyPair::from_private_key_and_public_key(
            &ECDSA_P256_SHA256_ASN1_SIGNING,
            &*private,
            public.as_ref(),
        );
        let document = pair.ok().and_then(|pair| pair.to_pkcs8v1().ok());
        let document = document.ok_or(rcgen::Error::KeyGenerationUnavailable)?;
        return Ok(KeyPair::try_from(document.as_ref())?);
    }
    Err(rcgen::Error::KeyGenerationUnavailable.into())
}

fn ca_of(
    key: &KeyPair,
    serial: [u8; 16],
    now: Timestamp,
    life: Duration,
) -> Result<PemPair, DevCaError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(&format!("{CA_NAME} {:02x}{:02x}", serial[0], serial[1]));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = date(now.minus(DAY));
    params.not_after = date(now.plus(life));
    params.serial_number = Some(positive(serial));
    let certificate = params.self_signed(key)?;
    Ok(PemPair {
        certificate: certificate.pem(),
        key: Zeroizing::new(key.serialize_pem()),
    })
}

/// Signs a server certificate for `names` (host names and addresses), valid from a day before `now`
/// for 396 days, but no longer than the CA. The chain ends at the CA itself, so that it can be handed to any client.
///
/// # Errors
/// [`DevCaError`] when the CA cannot be read or a name cannot stand in a certificate.
pub fn issue_server_certificate(
    ca: &PemPair,
    names: &[String],
    serial: [u8; 16],
    now: Timestamp,
) -> Result<PemPair, DevCaError> {
    let issuer = Issuer::from_ca_cert_pem(&ca.certificate, KeyPair::from_pem(&ca.key)?)?;
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.distinguished_name = named("Landfall development server");
    params.subject_alt_names = names
        .iter()
        .map(|name| match name.parse::<IpAddr>() {
            Ok(address) => Ok(SanType::IpAddress(address)),
            Err(_) => Ia5String::try_from(name.as_str()).map(SanType::DnsName),
        })
        .collect::<Result<_, _>>()?;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    params.not_before = date(now.minus(DAY));
    let ends = now.plus(DAY * 396);
    params.not_after = date(ends_of(&ca.certificate).map_or(ends, |of_ca| of_ca.min(ends)));
    params.serial_number = Some(positive(serial));
    let certificate = params.signed_by(&key, &issuer)?;
    Ok(PemPair {
        certificate: format!("{}{}", certificate.pem(), ca.certificate),
        key: Zeroizing::new(key.serialize_pem()),
    })
}

/// Whether a server certificate that ends at `ends` is to be made anew: it has no more than 30 days
/// left, and a new one would have more.
pub fn is_due(ends: Timestamp, ca_ends: Timestamp, now: Timestamp) -> bool {
    ends <= now.plus(RENEW_WITHIN) && ends < ca_ends
}

/// When the first certificate of the PEM text ends; `None` when none can be read.
pub fn ends_of(chain: &str) -> Option<Timestamp> {
    let first = chain
        .split_inclusive("-----END CERTIFICATE-----")
        .next()
        .unwrap_or_default();
    Certificate::from_text(first)
        .ok()
        .map(|certificate| certificate.not_after())
}

/// A subject that is a common name alone.
pub(crate) fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

/// A time as the certificate library takes it.
pub(crate) fn date(time: Timestamp) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(time.unix_seconds()).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// Serial numbers are positive: the first bit is off, and the first byte is not zero.
pub(crate) fn positive(mut serial: [u8; 16]) -> SerialNumber {
    serial[0] = serial[0] & 0x7f | 0x40;
    SerialNumber::from_slice(&serial)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seed;

    fn now() -> Timestamp {
        Timestamp::parse("2040-06-01T00:00:00Z").expect("a time")
    }

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|name| (*name).to_owned()).collect()
    }

    fn leaf(chain: &str) -> Certificate {
        let end = chain.find("-----END").expect("an end");
        let close = chain[end..].find('\n').expect("a line") + end;
        Certificate::from_text(&chain[..close]).expect("a certificate")
    }

    #[test]
    fn the_ca_issues_again_after_being_read_back() {
        let ca = make_ca([1; 16], now()).expect("a CA");
        let authority = Certificate::from_text(&ca.certificate).expect("a certificate");
        assert!(authority.is_ca());
        for serial in 2..4 {
            let wanted = names(&["localhost", "127.0.0.1", "::1"]);
            let issued = issue_server_certificate(&ca, &wanted, [serial; 16], now());
            let issued = issued.expect("a certificate");
            let server = leaf(&issued.certificate);
            assert_eq!(server.signed_by(&authority), Ok(()));
            assert_eq!(server.issuer_dn_raw(), authority.subject_dn_raw());
            assert!(!server.is_ca());
            assert!(server.not_after().since(server.not_before()) <= DAY * 397);
        }
        assert!(authority.not_after() > now().plus(DAY * 3649));
    }

    #[test]
    fn a_server_certificate_is_due_in_its_last_month_unless_the_ca_ends_with_it() {
        let ca = make_ca([1; 16], now()).expect("a CA");
        let ca_ends = ends_of(&ca.certificate).expect("an end");
        let issued = |at| {
            let chain = issue_server_certificate(&ca, &names(&["a"]), [2; 16], at);
            ends_of(&chain.expect("a certificate").certificate).expect("an end")
        };
        let ends = issued(now());
        assert_eq!(ends, now().plus(DAY * 396));
        assert!(!is_due(ends, ca_ends, now().plus(DAY * 365)));
        assert!(is_due(ends, ca_ends, now().plus(DAY * 367)));
        assert!(is_due(ends, ca_ends, now().plus(DAY * 400)));
        let last_year = now().plus(DAY * 3600);
        assert_eq!(issued(last_year), ca_ends);
        assert!(!is_due(ca_ends, ca_ends, last_year.plus(DAY * 40)));
        assert_eq!(ends_of("no certificate"), None);
    }

    #[test]
    fn a_ca_of_the_same_bytes_differs_in_its_signature_alone() {
        let made = || make_ca_of(&Seed::of_text("a text").stream("CA")).expect("a CA");
        let (one, other) = (made(), made());
        assert_eq!(*one.key, *other.key);
        let read = |pair: &PemPair| Certificate::from_text(&pair.certificate).expect("reads");
        let (certificate, again) = (read(&one), read(&other));
        assert_eq!(certificate.subject_dn_raw(), again.subject_dn_raw());
        assert_eq!(certificate.not_before(), again.not_before());
        assert_eq!(certificate.not_after(), again.not_after());
        let server = issue_server_certificate(&one, &names(&["a.test"]), [2; 16], now());
        let server = leaf(&server.expect("a certificate").certificate);
        assert_eq!(server.signed_by(&again), Ok(()));
        let another = make_ca_of(&Seed::of_text("another").stream("CA")).expect("a CA");
        assert_ne!(*another.key, *one.key);
        assert!(server.signed_by(&read(&another)).is_err());
    }

    #[test]
    fn names_that_cannot_stand_in_a_certificate_and_broken_cas_are_refused() {
        let ca = make_ca([1; 16], now()).expect("a CA");
        assert!(issue_server_certificate(&ca, &names(&["h\u{f6}st"]), [2; 16], now()).is_err());
        let broken = PemPair {
            certificate: ca.certificate.clone(),
            key: Zeroizing::default(),
        };
        assert!(issue_server_certificate(&broken, &names(&["a"]), [2; 16], now()).is_err());
    }
}
