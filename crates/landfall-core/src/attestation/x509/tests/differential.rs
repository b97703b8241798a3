//! Our walk against rustls-webpki on generated chains: what webpki accepts we refuse only for the
//! reasons that x509.md §2.4 lists; what webpki refuses we accept only where §2 says so.

use proptest::prelude::*;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384,
    PKCS_ECDSA_P521_SHA512, PKCS_ED25519, SignatureAlgorithm,
};
use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use super::*;

/// What is drawn for one certificate of a chain.
#[derive(Debug, Clone)]
struct Plan {
    algorithm: u8,
    ca: Option<Option<u8>>,
    usage: u8,
    extended: u8,
    years: (i32, i32),
    /// Whether the certificate above it signs it; a namesake does otherwise.
    honest: bool,
    /// Whether the device sends it.
    sent: bool,
}

fn plan() -> impl Strategy<Value = Plan> {
    (
        0_u8..4,
        prop_oneof![
            1 => Just(None),
            6 => Just(Some(None)),
            2 => (0_u8..3).prop_map(|length| Some(Some(length))),
        ],
        prop_oneof![4 => Just(0_u8), 4 => Just(1), 1 => Just(2)],
        prop_oneof![6 => Just(0_u8), 2 => Just(1), 1 => Just(2)],
        prop_oneof![
            8 => Just((2039, 2042)),
            1 => Just((2037, 2039)),
            1 => Just((2041, 2042)),
        ],
        prop::bool::weighted(0.93),
        prop::bool::weighted(0.93),
    )
        .prop_map(
            |(algorithm, ca, usage, extended, years, honest, sent)| Plan {
                algorithm,
                ca,
                usage,
                extended,
                years,
                honest,
                sent,
            },
        )
}

fn algorithm(number: u8) -> &'static SignatureAlgorithm {
    match number {
        0 => &PKCS_ECDSA_P256_SHA256,
        1 => &PKCS_ECDSA_P384_SHA384,
        2 => &PKCS_ECDSA_P521_SHA512,
        _ => &PKCS_ED25519,
    }
}

fn params(name: &str, plan: &Plan, leaf: bool) -> CertificateParams {
    let mut params = CertificateParams::default();
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    params.distinguished_name = subject;
    params.not_before = rcgen::date_time_ymd(plan.years.0, 1, 1);
    params.not_after = rcgen::date_time_ymd(plan.years.1, 1, 1);
    params.is_ca = match (leaf, plan.ca) {
        (true, Some(Some(0))) | (false, Some(None)) => IsCa::Ca(BasicConstraints::Unconstrained),
        (false, Some(Some(length))) => IsCa::Ca(BasicConstraints::Constrained(length)),
        (true, _) => IsCa::NoCa,
        (false, None) => IsCa::ExplicitNoCa,
    };
    let right = if leaf {
        KeyUsagePurpose::DigitalSignature
    } else {
        KeyUsagePurpose::KeyCertSign
    };
    params.key_usages = match plan.usage {
        0 => vec![],
        1 => vec![right],
        _ => vec![KeyUsagePurpose::CrlSign],
    };
    params.extended_key_usages = match plan.extended {
        0 => vec![],
        1 => vec![ExtendedKeyUsagePurpose::ClientAuth],
        _ => vec![ExtendedKeyUsagePurpose::ServerAuth],
    };
    params
}

/// Builds a chain, leaf first and anchor last, from plans in the same order.
fn build(plans: &[Plan]) -> Vec<Certificate> {
    let mut built: Vec<Certificate> = Vec::new();
    let mut above: Option<(CertificateParams, KeyPair)> = None;
    for (position, plan) in plans.iter().enumerate().rev() {
        let name = if position == 0 {
            "dev1".to_owned()
        } else {
            format!("ca{position}")
        };
        let params = params(&name, plan, position == 0);
        let key = KeyPair::generate_for(algorithm(plan.algorithm)).expect("a key");
        let der = match &above {
            None => params.self_signed(&key).expect("a certificate"),
            Some((issuer, signer)) => {
                let stranger = KeyPair::generate().expect("a key");
                let signer = if plan.honest { signer } else { &stranger };
                params
                    .signed_by(&key, &Issuer::from_params(issuer, signer))
                    .expect("a certificate")
            }
        };
        built.push(Certificate::from_der(der.der()).expect("a certificate"));
        above = Some((params, key));
    }
    built.reverse();
    built
}

fn webpki_accepts(leaf: &Certificate, sent: &[Certificate], anchor: &Certificate) -> bool {
    let anchor = CertificateDer::from(anchor.der());
    let Ok(anchor) = anchor_from_trusted_cert(&anchor) else {
        return false;
    };
    let leaf = CertificateDer::from(leaf.der());
    let Ok(leaf) = EndEntityCert::try_from(&leaf) else {
        return false;
    };
    let sent: Vec<CertificateDer<'_>> = sent
        .iter()
        .map(|certificate| CertificateDer::from(certificate.der()))
        .collect();
    let seconds = u64::try_from(now().unix_seconds()).expect("after 1970");
    leaf.verify_for_usage(
        webpki::ALL_VERIFICATION_ALGS,
        &[anchor],
        &sent,
        UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds)),
        KeyUsage::client_auth(),
        None,
        None,
    )
    .is_ok()
}

/// The checks that webpki does not make (x509.md §2.4).
const ONLY_OURS: [&str; 4] = [
    // It ignores key usage.
    "x509.key_usage",
    "x509.issuer_key_usage",
    // It takes an anchor for a name and a key, whatever else its certificate says.
    "x509.issuer_validity",
    "x509.issuer_is_no_ca",
];

#[test]
fn both_accept_a_sound_chain() {
    let sound = Plan {
        algorithm: 0,
        ca: Some(None),
        usage: 1,
        extended: 1,
        years: (2039, 2042),
        honest: true,
        sent: true,
    };
    let built = build(&[sound.clone(), sound.clone(), sound]);
    assert!(webpki_accepts(&built[0], &built[1..2], &built[2]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn webpki_as_second_opinion(plans in proptest::collection::vec(plan(), 2..5)) {
        let built = build(&plans);
        let anchor = built.last().expect("an anchor");
        let leaf = built.first().expect("a leaf");
        let between: Vec<Certificate> = built
            .iter()
            .zip(&plans)
            .skip(1)
            .take(built.len() - 2)
            .filter(|(_, plan)| plan.sent)
            .map(|(certificate, _)| certificate.clone())
            .collect();
        let mut chain = vec![leaf.clone()];
        chain.extend(between.iter().cloned());
        let made = Anchor {
            certificate: anchor.clone(),
            group: EnrollmentGroupId::parse("g1").expect("a group id"),
            source: AnchorSource::SigningCertificate,
        };
        let ours = find(&chain, &[made]);
        let theirs = webpki_accepts(leaf, &between, anchor);
        match ours {
            Ok(found) => {
                prop_assert!(theirs, "only we accept {plans:?}");
                prop_assert_eq!(found.path.len(), built.len());
            }
            Err(finding) if theirs => {
                let anchor_path_length = finding.check == "x509.path_length"
                    && finding.expected.contains(anchor.subject_name());
                prop_assert!(
                    ONLY_OURS.contains(&finding.check) || anchor_path_length,
                    "webpki accepts what we refuse: {finding:?} {plans:?}"
                );
            }
            Err(_) => {}
        }
    }
}
