//! Individual enrollments: which leaf is let in, and what each refusal says.

use super::*;

fn slots(primary: Option<&Made>, secondary: Option<&Made>) -> Slots<Certificate> {
    Slots::new(
        primary.map(|made| made.certificate.clone()),
        secondary.map(|made| made.certificate.clone()),
    )
    .expect("a filled slot")
}

fn check(enrolled: &Slots<Certificate>, leaf: &Made) -> Result<(), Finding> {
    let judged = check_individual(enrolled, &leaf.certificate, &id("dev1"), now());
    let chain = [leaf.certificate.clone()];
    let inspection = inspect_individual(&chain, enrolled, &id("dev1"), now());
    agree(judged.as_ref().map(drop), &inspection);
    judged
}

#[test]
fn the_enrolled_certificate_is_let_in_from_either_slot() {
    let (one, two) = (
        Forge::leaf("dev1").self_signed(),
        Forge::leaf("DEV1").self_signed(),
    );
    assert_eq!(check(&slots(Some(&one), None), &one), Ok(()));
    assert_eq!(check(&slots(None, Some(&one)), &one), Ok(()));
    let both = slots(Some(&one), Some(&two));
    assert_eq!(check(&both, &one), Ok(()));
    assert_eq!(check(&both, &two), Ok(()));
}

#[test]
fn odd_certificates_are_let_in_when_they_are_the_enrolled_ones() {
    let mut first_version = Forge::leaf("dev1");
    first_version.version = None;
    let mut sha1 = Forge::leaf("dev1");
    sha1.algorithm = RSA_SHA1.to_vec();
    for odd in [
        first_version,
        sha1,
        Forge::ca("dev1"),
        Forge::leaf("dev1").with(UNHEARD_OF, true, vec![0x05, 0x00]),
        Forge::leaf("dev1").with(ALTERNATIVE_NAMES, true, vec![0x30, 0x05, 1]),
        Forge::leaf("dev1").uses(CLIENT_AUTH),
        Forge::leaf("dev1").uses(&[0x55, 0x1d, 0x25, 0x00]),
    ] {
        let made = odd.self_signed();
        assert_eq!(check(&slots(Some(&made), None), &made), Ok(()));
    }
}

#[test]
fn another_certificate_is_refused_by_its_thumbprint() {
    let (enrolled, other) = (
        Forge::leaf("dev1").self_signed(),
        Forge::leaf("dev1").self_signed(),
    );
    let finding = check(&slots(Some(&enrolled), None), &other).expect_err("refused");
    assert_eq!(finding.check, "x509.thumbprint");
    assert!(
        finding
            .expected
            .contains(&enrolled.certificate.sha256_hex())
    );
    assert!(finding.seen.contains(&other.certificate.sha256_hex()));
}

#[test]
fn a_renewal_with_the_enrolled_key_is_named_as_one() {
    let root = Forge::ca("root").self_signed();
    let enrolled = Forge::leaf("dev1").issued_by(&root);
    let again = KeyPairCopy::of(&enrolled);
    let renewed = Forge::leaf("dev1").issued_with(again, &root);
    let finding = check(&slots(Some(&enrolled), None), &renewed).expect_err("refused");
    assert_eq!(finding.check, "x509.thumbprint");
    assert!(finding.seen.contains("renewal"), "{}", finding.seen);
}

struct KeyPairCopy;

impl KeyPairCopy {
    fn of(made: &Made) -> rcgen::KeyPair {
        rcgen::KeyPair::from_pem(&made.key.serialize_pem()).expect("a key")
    }
}

#[test]
fn a_ca_certificate_enrolled_in_place_of_the_devices_own_is_named() {
    let root = Forge::ca("root").self_signed();
    let device = Forge::leaf("dev1").issued_by(&root);
    let finding = check(&slots(Some(&root), None), &device).expect_err("refused");
    assert_eq!(finding.check, "x509.enrolled_certificate_is_a_ca");
    assert!(finding.seen.contains("CN=root") && finding.seen.contains("issued"));

    let intermediate = Forge::ca("intermediate").issued_by(&root);
    let deeper = Forge::leaf("dev1").issued_by(&intermediate);
    let finding = check(&slots(Some(&root), None), &deeper).expect_err("refused");
    assert_eq!(finding.check, "x509.enrolled_certificate_is_a_ca");
}

#[test]
fn a_self_signed_ca_true_certificate_of_the_device_is_not_mistaken_for_a_ca() {
    let enrolled = Forge::ca("dev1").self_signed();
    let other = Forge::leaf("dev1").self_signed();
    let finding = check(&slots(Some(&enrolled), None), &other).expect_err("refused");
    assert_eq!(finding.check, "x509.thumbprint");
}

#[test]
fn a_common_name_that_is_not_the_registration_id_is_refused() {
    let made = Forge::leaf("Dev1").self_signed();
    let finding = check_individual(
        &slots(Some(&made), None),
        &made.certificate,
        &id("dev2"),
        now(),
    )
    .expect_err("refused");
    assert_eq!(finding.check, "x509.common_name");
    assert_eq!(finding.seen, "leaf CN `Dev1` is not registration id `dev2`");
}

#[test]
fn subjects_without_one_plain_common_name_are_refused() {
    let two = name(&[
        vec![attribute(3, UTF8, b"dev1")],
        vec![attribute(3, UTF8, b"dev1")],
    ]);
    let trailing = name(&[vec![attribute(3, UTF8, b"dev1 ")]]);
    let none = name(&[vec![attribute(10, UTF8, b"dev1")]]);
    let with_nul = name(&[vec![attribute(3, UTF8, b"dev1\0")]]);
    let look_alike = name(&[vec![attribute(3, UTF8, "dеv1".as_bytes())]]);
    for subject in [two, trailing, none, with_nul, look_alike] {
        let made = Forge::leaf("x").subject(subject).self_signed();
        let finding = check(&slots(Some(&made), None), &made).expect_err("refused");
        assert_eq!(finding.check, "x509.common_name");
    }
}

#[test]
fn alternative_names_do_not_stand_in_for_the_common_name() {
    let made = Forge::leaf("other")
        .with(ALTERNATIVE_NAMES, false, sequence(&[tlv(0x82, b"dev1")]))
        .self_signed();
    let finding = check(&slots(Some(&made), None), &made).expect_err("refused");
    assert_eq!(finding.check, "x509.common_name");
}

#[test]
fn a_leaf_out_of_its_time_is_refused_past_five_minutes() {
    for (from, to, fine) in [
        ("20400101000000Z", "20400531235500Z", true),
        ("20400101000000Z", "20400531235459Z", false),
        ("20400601000500Z", "20410101000000Z", true),
        ("20400601000501Z", "20410101000000Z", false),
    ] {
        let made = Forge::leaf("dev1").valid(from, to).self_signed();
        let result = check(&slots(Some(&made), None), &made);
        assert_eq!(result.is_ok(), fine, "{from} to {to}");
        if let Err(finding) = result {
            assert_eq!(finding.check, "x509.validity");
        }
    }
    let old = Forge::leaf("dev1")
        .valid("20390101000000Z", "20400531215600Z")
        .self_signed();
    let finding = check(&slots(Some(&old), None), &old).expect_err("refused");
    assert!(finding.seen.contains("2 h 4 min ago"), "{}", finding.seen);
}

#[test]
fn a_leaf_for_servers_only_is_refused() {
    let made = Forge::leaf("dev1").uses(SERVER_AUTH).self_signed();
    let finding = check(&slots(Some(&made), None), &made).expect_err("refused");
    assert_eq!(finding.check, "x509.extended_key_usage");
    let broken = Forge::leaf("dev1")
        .with(EXTENDED_KEY_USAGE, false, vec![0x02, 0x01, 0x01])
        .self_signed();
    let finding = check(&slots(Some(&broken), None), &broken).expect_err("refused");
    assert_eq!(finding.check, "x509.extended_key_usage");
}

#[test]
fn hub_credentials_are_sha256_thumbprints() {
    let (one, two) = (
        Forge::leaf("dev1").self_signed(),
        Forge::leaf("dev1").self_signed(),
    );
    let (first, second) = (one.certificate.sha256_hex(), two.certificate.sha256_hex());
    let thumbprints = |primary: &str, secondary: &str| HubCredential::Thumbprints {
        primary: primary.to_owned(),
        secondary: secondary.to_owned(),
    };
    assert_eq!(
        hub_credential(&one.certificate),
        thumbprints(&first, &first)
    );
    assert_eq!(
        hub_credential_of_slots(&slots(Some(&one), Some(&two))),
        Some(thumbprints(&first, &second))
    );
    assert_eq!(
        hub_credential_of_slots(&slots(None, Some(&two))),
        Some(thumbprints(&second, &second))
    );
}

fn reference(made: Option<&Made>, verified: bool) -> Reference {
    Reference {
        name: CertificateName::parse("ca1").expect("a name"),
        certificate: made.map(|made| made.certificate.clone()),
        verified,
    }
}

#[test]
fn an_individual_enrollment_by_reference_takes_any_leaf_below_a_verified_ca() {
    let root = Forge::ca("root").self_signed();
    let intermediate = Forge::ca("intermediate").issued_by(&root);
    let leaf = Forge::leaf("dev1").issued_by(&intermediate);
    let check = |chain: &[Certificate], references: &[Reference], name: &str| {
        check_individual_ca_reference(chain, references, &[], &id(name), now())
    };
    let full = chain(&[&leaf, &intermediate]);
    assert_eq!(
        check(&full, &[reference(Some(&root), true)], "dev1"),
        Ok(vec![
            "CN=dev1".to_owned(),
            "CN=intermediate".to_owned(),
            "CN=root".to_owned()
        ])
    );
    for (chain, reference, name, expected) in [
        (
            &full[..],
            reference(Some(&root), true),
            "dev2",
            "x509.common_name",
        ),
        (
            &full[..],
            reference(Some(&root), false),
            "dev1",
            "x509.ca_not_verified",
        ),
        (&full[..], reference(None, false), "dev1", "x509.chain"),
        (
            &full[..1],
            reference(Some(&root), true),
            "dev1",
            "x509.chain",
        ),
        (
            &[],
            reference(Some(&root), true),
            "dev1",
            "x509.no_certificate",
        ),
    ] {
        let finding = check(chain, &[reference], name).expect_err("refused");
        assert_eq!(finding.check, expected);
    }
    let gone = check(&full, &[reference(None, false)], "dev1").expect_err("refused");
    assert!(gone.seen.contains("'ca1', which is not uploaded"));
}
