//! Reading certificates in every form they come in, and refusing what is none.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::ca::*;
use super::forge::*;
use super::name::common_name;
use super::*;
use crate::clock::Entropy;
use crate::id::{CertificateName, Etag};

fn pem_of(der: &[u8], line_end: &str) -> String {
    let body = STANDARD.encode(der);
    let lines: Vec<&str> = body
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).expect("ASCII"))
        .collect();
    format!(
        "-----BEGIN CERTIFICATE-----{line_end}{}{line_end}-----END CERTIFICATE-----{line_end}",
        lines.join(line_end)
    )
}

#[test]
fn every_text_form_gives_the_same_certificate() {
    let made = Forge::leaf("dev1").self_signed().certificate;
    let pem = pem_of(made.der(), "\n");
    let body = STANDARD.encode(made.der());
    for text in [
        pem.clone(),
        pem_of(made.der(), "\r\n"),
        format!("  {pem}\r\n \t\n"),
        format!("\u{feff}{pem}"),
        format!("Bag Attributes\n    localKeyID: 01\n{pem}"),
        body.clone(),
        format!("{body}\n"),
        body.trim_end_matches('=').to_owned(),
        body.as_bytes()
            .chunks(76)
            .map(|line| String::from_utf8_lossy(line).into_owned() + "\r\n")
            .collect(),
        STANDARD.encode(&pem),
        STANDARD.encode(pem_of(made.der(), "\r\n")),
        STANDARD.encode(format!("\n\n{pem}\n\n")),
    ] {
        assert_eq!(Certificate::from_text(&text).as_ref(), Ok(&made), "{text}");
    }
}

#[test]
fn private_keys_are_refused_in_every_form_and_never_repeated() {
    let made = Forge::leaf("dev1").self_signed();
    let key_pem = made.key.serialize_pem();
    let certificate_pem = pem_of(made.certificate.der(), "\n");
    let secret = STANDARD.encode(made.key.serialized_der());
    for text in [
        key_pem.clone(),
        format!("{certificate_pem}{key_pem}"),
        format!("{key_pem}{certificate_pem}"),
        STANDARD.encode(&key_pem),
        secret.clone(),
        "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----".to_owned(),
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----"
            .to_owned(),
    ] {
        let refused = Certificate::from_text(&text).expect_err("a private key");
        assert_eq!(refused, CertificateError::PrivateKey);
        assert!(!format!("{refused} {refused:?}").contains(&secret[..24]));
    }
}

#[test]
fn texts_that_are_not_one_certificate_say_what_they_are() {
    let der = Forge::leaf("dev1").self_signed().certificate.der().to_vec();
    let pem = pem_of(&der, "\n");
    let mut followed = der.clone();
    followed.extend([0, 0, 0]);
    let request = "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----";
    let cut = "-----BEGIN CERTIFICATE-----\nMIIB";
    let holed = pem.replace("MII", "M*I");
    for (text, error) in [
        (String::new(), CertificateError::Empty),
        (" \r\n".to_owned(), CertificateError::Empty),
        ("hello, world!".to_owned(), CertificateError::NotText),
        (cut.to_owned(), CertificateError::BrokenPem),
        (holed, CertificateError::BrokenPem),
        (format!("{pem}{pem}"), CertificateError::Several(2)),
        (
            STANDARD.encode(&followed),
            CertificateError::TrailingBytes(3),
        ),
        (
            pem_of(&[der.clone(), der.clone()].concat(), "\n"),
            CertificateError::TrailingBytes(der.len()),
        ),
        (
            request.to_owned(),
            CertificateError::NoCertificate("CERTIFICATE REQUEST".to_owned()),
        ),
        (
            // A label is repeated without what may be a key or moves a cursor, and not at any length.
            request.replace(
                "CERTIFICATE REQUEST",
                "\u{9b}q7Zt0Vb3JmXk9LrYc2NwUe8HsDf5GaTi1PoMxB4QzKE=",
            ),
            CertificateError::NoCertificate("(hidden)".to_owned()),
        ),
        (
            request.replace("CERTIFICATE REQUEST", &"CRL ".repeat(100)),
            CertificateError::NoCertificate(format!("{}…", "CRL ".repeat(10))),
        ),
        (
            STANDARD.encode(vec![0x30; LONGEST + 1]),
            CertificateError::TooLarge(LONGEST + 1),
        ),
        ("A".repeat(70_000), CertificateError::TooLarge(70_000)),
    ] {
        assert_eq!(Certificate::from_text(&text), Err(error));
    }
    assert!(matches!(
        Certificate::from_text("AAAA"),
        Err(CertificateError::Unreadable(_))
    ));
}

#[test]
fn a_file_of_too_many_certificates_is_not_taken_for_one_that_is_too_long() {
    let one = pem_of(Forge::leaf("dev1").self_signed().certificate.der(), "\n");
    let many = one.repeat((1 << 20) / one.len() + 1);
    assert_eq!(
        Certificate::chain_from_file(many.as_bytes()).err(),
        Some(CertificateError::FileTooLarge(many.trim().len()))
    );
}

#[test]
fn indefinite_lengths_and_padded_serials_are_refused() {
    let der = Forge::leaf("dev1").self_signed().certificate.der().to_vec();
    let mut indefinite = vec![0x30, 0x80];
    indefinite.extend(&der[4..]);
    indefinite.extend([0, 0]);
    assert!(Certificate::from_der(&indefinite).is_err());
    let mut padded = Forge::leaf("dev1");
    padded.serial = vec![0x00, 0x11];
    let key = key();
    assert!(Certificate::from_der(&padded.der(&key, &cn("ca"), &key)).is_err());
}

#[test]
fn odd_but_sound_certificates_are_read() {
    let mut first_version = Forge::leaf("dev1");
    first_version.version = None;
    assert_eq!(first_version.self_signed().certificate.info().version, 1);
    let mut negative = Forge::leaf("dev1");
    negative.serial = vec![0x85, 0x01];
    assert_eq!(
        negative.self_signed().certificate.info().serial_number,
        "8501"
    );
    let mut huge = Forge::leaf("dev1");
    huge.serial = vec![0x77; 200];
    assert_eq!(
        huge.self_signed().certificate.info().serial_number.len(),
        400
    );
    let broken_names = Forge::leaf("dev1").with(ALTERNATIVE_NAMES, true, vec![0x30, 0x05, 1]);
    assert!(broken_names.self_signed().certificate.common_name().is_ok());
    let last_day = Forge::leaf("dev1").valid("20400101000000Z", "99991231235959Z");
    assert_eq!(
        last_day
            .self_signed()
            .certificate
            .not_after()
            .to_wire_seconds(),
        "9999-12-31T23:59:59Z"
    );
}

#[test]
fn info_shows_what_clients_expect() {
    let subject = name(&[
        vec![attribute(6, PRINTABLE, b"DE")],
        vec![attribute(10, UTF8, "Müller, Söhne".as_bytes())],
        vec![attribute(3, UTF8, b"dev1")],
    ]);
    let root = Forge::ca("root").self_signed();
    let made = Forge::leaf("x").subject(subject).issued_by(&root);
    let info = made.certificate.info();
    assert_eq!(info.subject_name, "CN=dev1, O=\"Müller, Söhne\", C=DE");
    assert_eq!(info.issuer_name, "CN=root");
    assert_eq!(info.serial_number, "11");
    assert_eq!(info.version, 3);
    assert_eq!(info.not_before.to_wire_seconds(), "2040-01-01T00:00:00Z");
    assert_eq!(info.not_after.to_wire_seconds(), "2041-01-01T00:00:00Z");
    assert_eq!(info.sha1_thumbprint.len(), 40);
    assert_eq!(info.sha256_thumbprint, made.certificate.sha256_hex());
    assert!(
        info.sha256_thumbprint
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(&b))
    );
    assert_eq!(info.sha256_thumbprint.len(), 64);
    assert!(!made.certificate.is_ca() && root.certificate.is_ca());
}

#[test]
fn thumbprints_are_the_digests_of_the_der() {
    let made = Forge::leaf("dev1").self_signed().certificate;
    let expected = digest::digest(&digest::SHA256, made.der());
    assert_eq!(made.sha256().as_slice(), expected.as_ref());
    assert_eq!(made.sha256_hex(), upper_hex(expected.as_ref()));
}

#[test]
fn common_names_that_readers_could_take_differently_are_refused() {
    let one = |tag: u8, text: &[u8]| name(&[vec![attribute(3, tag, text)]]);
    let wide: Vec<u8> = "dev1".encode_utf16().flat_map(u16::to_be_bytes).collect();
    for (subject, expected) in [
        (one(UTF8, b"dev1"), Ok("dev1".to_owned())),
        (one(PRINTABLE, b"dev1"), Ok("dev1".to_owned())),
        (one(IA5, b"dev1"), Ok("dev1".to_owned())),
        (one(UTF8, b"dev1 "), Ok("dev1 ".to_owned())),
        (
            name(&[vec![
                attribute(3, UTF8, b"dev1"),
                attribute(11, UTF8, b"unit"),
            ]]),
            Ok("dev1".to_owned()),
        ),
        (name(&[]), Err(CommonNameFault::Missing)),
        (
            name(&[vec![attribute(10, UTF8, b"dev1")]]),
            Err(CommonNameFault::Missing),
        ),
        (
            name(&[
                vec![attribute(3, UTF8, b"dev1")],
                vec![attribute(3, UTF8, b"dev2")],
            ]),
            Err(CommonNameFault::Repeated(2)),
        ),
        (
            name(&[vec![
                attribute(3, UTF8, b"dev1"),
                attribute(3, UTF8, b"dev1"),
            ]]),
            Err(CommonNameFault::Repeated(2)),
        ),
        (one(BMP, &wide), Err(CommonNameFault::Encoding("BMPString"))),
        (
            one(TELETEX, b"dev1"),
            Err(CommonNameFault::Encoding("TeletexString")),
        ),
        (one(UTF8, b"dev1\0.evil"), Err(CommonNameFault::Nul)),
        (
            one(UTF8, "d\u{435}v1".as_bytes()),
            Err(CommonNameFault::NotAscii),
        ),
        (one(UTF8, b""), Err(CommonNameFault::Empty)),
        (one(UTF8, &[b'x'; 64]), Ok("x".repeat(64))),
        (one(UTF8, &[b'x'; 65]), Err(CommonNameFault::Length(65))),
    ] {
        assert_eq!(common_name(&subject), expected);
    }
}

#[test]
fn certificates_are_equal_by_their_der_alone() {
    let root = Forge::ca("root").self_signed();
    let one = Forge::leaf("dev1").issued_by(&root).certificate;
    let other = Forge::leaf("dev1").issued_by(&root).certificate;
    assert_ne!(one, other, "same subject, issuer and serial number");
    assert_eq!(Certificate::from_der(one.der()), Ok(one));
}

#[test]
fn a_signature_that_was_found_counts_for_its_signer_alone() {
    let (ours, theirs) = (
        Forge::ca("root").self_signed(),
        Forge::ca("root").self_signed(),
    );
    let key = key();
    let der = Forge::leaf("dev1").der(&key, &cn("root"), &ours.key);
    let leaf = Certificate::from_der(&der).expect("a leaf");
    for _ in 0..3 {
        assert_eq!(
            leaf.signed_by(&theirs.certificate),
            Err(SignatureFault::Mismatch)
        );
        assert_eq!(leaf.signed_by(&ours.certificate), Ok(()));
    }
    // What is remembered of one certificate says nothing of a copy with another signature.
    let forged = Forge::leaf("dev1").der(&key, &cn("root"), &theirs.key);
    let forged = Certificate::from_der(&forged).expect("a leaf");
    assert_eq!(
        forged.signed_by(&ours.certificate),
        Err(SignatureFault::Mismatch)
    );
}

#[test]
fn debug_shows_thumbprint_and_subject_only() {
    let made = Forge::leaf("dev1").self_signed().certificate;
    assert_eq!(
        format!("{made:?}"),
        format!("Certificate(CN=dev1, {})", made.sha256_hex())
    );
}

#[test]
fn keys_are_found_even_in_certificates_that_are_odd_elsewhere() {
    let mut forge = Forge::leaf("dev1");
    forge.serial = vec![0x00, 0x11];
    let key = key();
    let der = forge.der(&key, &cn("ca"), &key);
    assert!(Certificate::from_der(&der).is_err());
    let found = public_key(&der).expect("a key");
    assert_eq!(found.bits, rcgen::PublicKeyData::der_bytes(&key));
    assert_eq!(public_key(b"nonsense"), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_bytes_end_in_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Certificate::from_der(&bytes);
        let _ = public_key(&bytes);
        let _ = Certificate::from_text(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn a_flipped_byte_never_reads_as_the_same_certificate(
        position in 0_usize..4096, value in any::<u8>()
    ) {
        static MADE: std::sync::LazyLock<Certificate> = std::sync::LazyLock::new(|| {
            let root = Forge::ca("root").self_signed();
            Forge::ca("dev1").uses(CLIENT_AUTH).issued_by(&root).certificate
        });
        let mut der = MADE.der().to_vec();
        let position = position % der.len();
        prop_assume!(der[position] != value);
        der[position] = value;
        if let Ok(read) = Certificate::from_der(&der) {
            prop_assert_ne!(&read, &*MADE);
            prop_assert_ne!(read.sha256_hex(), MADE.sha256_hex());
        }
    }
}

// Uploads and proof of possession.

const CODE: &str = "07F9332E108C7D24283FB6B8A05284E6B873D43686940ACE";

fn uploaded(certificate: &Certificate, code: Option<&str>) -> CaCertificate {
    CaCertificate {
        name: CertificateName::parse("ca1").expect("a name"),
        certificate: certificate.clone(),
        verified: false,
        verification_code: code.map(str::to_owned),
        etag: Etag::parse("e").expect("an etag"),
        created: now(),
        updated: now(),
    }
}

#[test]
fn only_a_ca_certificate_in_its_time_with_a_strong_key_can_be_uploaded() {
    let fine = Forge::ca("root").self_signed().certificate;
    assert_eq!(check_upload(&fine, now()), Ok(()));
    let leaf = Forge::leaf("dev1").self_signed().certificate;
    assert_eq!(check_upload(&leaf, now()), Err(UploadFault::NotCa));
    let over = Forge::ca("root")
        .valid("20390101000000Z", "20400101000000Z")
        .self_signed()
        .certificate;
    assert_eq!(
        check_upload(&over, now()),
        Err(UploadFault::Expired(over.not_after()))
    );
    let mut weak = Forge::ca("root");
    weak.public_key = Some(small_rsa_key());
    assert_eq!(
        check_upload(&weak.self_signed().certificate, now()),
        Err(UploadFault::Key(KeyFault::RsaSize(1024)))
    );
}

/// A public key of 1024 bits, as it stands in a certificate.
fn small_rsa_key() -> Vec<u8> {
    let mut modulus = vec![0x00];
    modulus.extend([0xff; 128]);
    let key = sequence(&[tlv(0x02, &modulus), tlv(0x02, &[1, 0, 1])]);
    let mut bits = vec![0];
    bits.extend(key);
    let algorithm = [
        0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
    ];
    sequence(&[tlv(0x30, &algorithm), tlv(0x03, &bits)])
}

#[test]
fn verification_codes_are_48_upper_case_hex_digits_of_entropy() {
    struct Counting;
    impl Entropy for Counting {
        fn fill(&self, buffer: &mut [u8]) {
            for (value, slot) in (0xa0_u8..).zip(buffer) {
                *slot = value;
            }
        }
    }
    assert_eq!(
        draw_verification_code(&Counting),
        "A0A1A2A3A4A5A6A7A8A9AAABACADAEAFB0B1B2B3B4B5B6B7"
    );
}

#[test]
fn a_certificate_for_the_code_signed_by_the_ca_proves_possession() {
    let root = Forge::ca("root").self_signed();
    let ca = uploaded(&root.certificate, Some(CODE));
    for name in [CODE.to_owned(), CODE.to_lowercase()] {
        let proof = Forge::leaf(&name).issued_by(&root).certificate;
        assert_eq!(verify_possession(&ca, &proof, now()), Ok(()));
    }
    let mut plain = Forge::leaf(CODE);
    plain.version = None;
    let proof = plain.issued_by(&root).certificate;
    assert_eq!(verify_possession(&ca, &proof, now()), Ok(()), "version 1");
}

#[test]
fn possession_is_not_proved_without_a_waiting_code() {
    let root = Forge::ca("root").self_signed();
    let proof = Forge::leaf(CODE).issued_by(&root).certificate;
    for code in [None, Some("")] {
        assert_eq!(
            verify_possession(&uploaded(&root.certificate, code), &proof, now()),
            Err(PossessionFault::NoCode)
        );
    }
}

#[test]
fn possession_is_not_proved_by_the_ca_certificate_itself() {
    let root = Forge::ca(CODE).self_signed();
    let ca = uploaded(&root.certificate, Some(CODE));
    assert_eq!(
        verify_possession(&ca, &root.certificate, now()),
        Err(PossessionFault::SameCertificate)
    );
}

#[test]
fn possession_is_not_proved_by_another_name() {
    let root = Forge::ca("root").self_signed();
    let ca = uploaded(&root.certificate, Some(CODE));
    for name in [&CODE[..47], "x", "0000"] {
        let proof = Forge::leaf(name).issued_by(&root).certificate;
        let refused = verify_possession(&ca, &proof, now()).expect_err("another code");
        assert_eq!(refused, PossessionFault::OtherCode);
        assert!(!refused.to_string().contains(CODE), "the code is repeated");
    }
    let longer = Forge::leaf(&format!("{CODE}0"))
        .issued_by(&root)
        .certificate;
    assert_eq!(
        verify_possession(&ca, &longer, now()),
        Err(PossessionFault::OtherCode)
    );
}

#[test]
fn possession_is_not_proved_by_a_code_elsewhere_or_twice() {
    let root = Forge::ca("root").self_signed();
    let ca = uploaded(&root.certificate, Some(CODE));
    let twice = name(&[
        vec![attribute(3, UTF8, CODE.as_bytes())],
        vec![attribute(3, UTF8, CODE.as_bytes())],
    ]);
    let as_unit = name(&[vec![attribute(11, UTF8, CODE.as_bytes())]]);
    for (subject, fault) in [
        (twice, CommonNameFault::Repeated(2)),
        (as_unit, CommonNameFault::Missing),
    ] {
        let proof = Forge::leaf("x")
            .subject(subject)
            .with(
                ALTERNATIVE_NAMES,
                false,
                sequence(&[tlv(0x82, CODE.as_bytes())]),
            )
            .issued_by(&root)
            .certificate;
        assert_eq!(
            verify_possession(&ca, &proof, now()),
            Err(PossessionFault::CommonName(fault))
        );
    }
}

#[test]
fn possession_is_not_proved_by_a_sibling_with_the_same_name() {
    let root = Forge::ca("root").self_signed();
    let sibling = Forge::ca("root").self_signed();
    let proof = Forge::leaf(CODE).issued_by(&sibling).certificate;
    assert_eq!(
        verify_possession(&uploaded(&root.certificate, Some(CODE)), &proof, now()),
        Err(PossessionFault::Signature(SignatureFault::Mismatch))
    );
}

#[test]
fn possession_is_not_proved_below_another_issuer() {
    let root = Forge::ca("root").self_signed();
    let intermediate = Forge::ca("intermediate").issued_by(&root);
    let proof = Forge::leaf(CODE).issued_by(&intermediate).certificate;
    assert!(matches!(
        verify_possession(&uploaded(&root.certificate, Some(CODE)), &proof, now()),
        Err(PossessionFault::OtherIssuer { .. })
    ));
}

#[test]
fn possession_is_not_proved_by_a_weak_signature() {
    let root = Forge::ca("root").self_signed();
    let mut weak = Forge::leaf(CODE);
    weak.algorithm = RSA_SHA1.to_vec();
    let proof = weak.issued_by(&root).certificate;
    assert_eq!(
        verify_possession(&uploaded(&root.certificate, Some(CODE)), &proof, now()),
        Err(PossessionFault::Signature(SignatureFault::WeakDigest))
    );
}

#[test]
fn possession_is_not_proved_by_a_certificate_out_of_its_time() {
    let root = Forge::ca("root").self_signed();
    let ca = uploaded(&root.certificate, Some(CODE));
    let over = Forge::leaf(CODE)
        .valid("20390101000000Z", "20400531235400Z")
        .issued_by(&root)
        .certificate;
    assert_eq!(
        verify_possession(&ca, &over, now()),
        Err(PossessionFault::Expired(over.not_after()))
    );
    let early = Forge::leaf(CODE)
        .valid("20400601000600Z", "20410101000000Z")
        .issued_by(&root)
        .certificate;
    assert_eq!(
        verify_possession(&ca, &early, now()),
        Err(PossessionFault::NotYetValid(early.not_before()))
    );
    let within_skew = Forge::leaf(CODE)
        .valid("20400601000400Z", "20410101000000Z")
        .issued_by(&root)
        .certificate;
    assert_eq!(verify_possession(&ca, &within_skew, now()), Ok(()));
}

#[test]
fn a_file_gives_all_its_certificates_in_order_whatever_its_form() {
    let (one, two) = (
        Forge::leaf("one").self_signed(),
        Forge::ca("two").self_signed(),
    );
    let block = |made: &Made| {
        let body = STANDARD.encode(made.certificate.der());
        format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\r\n")
    };
    let key = "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n";
    let read = |bytes: &[u8]| Certificate::chain_from_file(bytes);
    let both = read(format!("a note\n{}{key}{}", block(&one), block(&two)).as_bytes());
    let both = both.expect("a chain");
    assert_eq!(
        both.certificates,
        [one.certificate.clone(), two.certificate.clone()]
    );
    assert!(both.holds_private_key && !both.is_der);
    let der = read(one.certificate.der()).expect("a certificate");
    assert_eq!(der.certificates, std::slice::from_ref(&one.certificate));
    assert!(der.is_der && !der.holds_private_key);
    let bare = STANDARD.encode(one.certificate.der());
    assert_eq!(
        read(bare.as_bytes()).expect("one").certificates,
        std::slice::from_ref(&one.certificate)
    );

    let request = "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n";
    let damaged = format!(
        "{}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
        block(&one)
    );
    for (file, wanted) in [
        ("", CertificateError::Empty),
        (key, CertificateError::PrivateKey),
        (
            request,
            CertificateError::NoCertificate("CERTIFICATE REQUEST".to_owned()),
        ),
        ("certainly not a certificate!", CertificateError::NotText),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA",
            CertificateError::BrokenPem,
        ),
    ] {
        assert_eq!(read(file.as_bytes()), Err(wanted), "{file}");
    }
    let failure = read(damaged.as_bytes()).expect_err("refused").to_string();
    assert!(
        failure.starts_with("certificate 2 of the file: "),
        "{failure}"
    );
}

#[test]
fn a_profile_says_what_the_key_is_and_what_the_certificate_is_for() {
    let device = Forge::leaf("dev1").uses(CLIENT_AUTH).self_signed();
    let profile = device.certificate.profile();
    assert_eq!(profile.key, "P-256");
    assert_eq!(profile.extended_key_usages, ["clientAuth"]);
    assert!(!profile.is_ca && profile.path_length.is_none());
    assert!(Forge::ca("root").self_signed().certificate.profile().is_ca);
}
