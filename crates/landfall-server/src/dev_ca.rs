//! The development CA: made on first start, kept in the data folder, signs this server's own
//! certificate. For development and tests; a real service brings its own certificate.

use std::net::IpAddr;
use std::time::Duration;

use landfall_core::certificate::Certificate;
use landfall_core::clock::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType, SerialNumber, string::Ia5String,
};
use time::OffsetDateTime;
use zeroize::Zeroizing;

/// What every development CA is called; letters of its serial number follow.
pub const CA_NAME: &str = "Landfall development CA";

const DAY: Duration = Duration::from_secs(24 * 3600);
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
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.distinguished_name = named(&format!("{CA_NAME} {:02x}{:02x}", serial[0], serial[1]));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = date(now.minus(DAY));
    params.not_after = date(now.plus(DAY * 3650));
    params.serial_number = Some(positive(serial));
    let certificate = params.self_signed(&key)?;
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
