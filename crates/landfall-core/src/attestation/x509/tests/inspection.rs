//! Inspections: what each link of a chain passed and failed. That they agree with the judge is checked
//! wherever the other tests judge.

use super::*;

/// The checks that a link failed, by place.
fn failures(inspection: &Inspection) -> Vec<Vec<&'static str>> {
    let failed = |link: &Link| {
        link.checks
            .iter()
            .filter(|checked| checked.finding.is_some())
            .map(|checked| checked.check)
            .collect()
    };
    inspection.links.iter().map(failed).collect()
}

fn names(link: &Link) -> Vec<&'static str> {
    link.checks.iter().map(|checked| checked.check).collect()
}

fn alone(made: &[&Made]) -> Inspection {
    inspect_unenrolled(&chain(made), None, now())
}

const LEAF: [&str; 9] = [
    "x509.key",
    "x509.common_name",
    "x509.validity",
    "x509.leaf_is_a_ca",
    "x509.key_usage",
    "x509.extended_key_usage",
    "x509.version",
    "x509.repeated_extension",
    "x509.critical_extension",
];

const PRESENTED: [&str; 10] = [
    "x509.issuer_signature",
    "x509.issuer_version",
    "x509.issuer_is_no_ca",
    "x509.issuer_key_usage",
    "x509.path_length",
    "x509.issuer_validity",
    "x509.issuer_extended_key_usage",
    "x509.repeated_extension",
    "x509.issuer_critical_extension",
    "x509.name_constraints",
];

#[test]
fn every_link_of_a_good_chain_passes_every_check_by_name() {
    let root = Forge::ca("root").self_signed();
    let intermediate = Forge::ca("intermediate").issued_by(&root);
    let leaf = Forge::leaf("dev1").issued_by(&intermediate);
    let inspection = alone(&[&leaf, &intermediate, &root]);
    assert_eq!(inspection.finding(), None);
    assert_eq!(inspection.hints, Vec::<String>::new());
    let [first, second, third] = inspection.links.as_slice() else {
        panic!("{inspection:?}");
    };
    assert_eq!(names(first), LEAF);
    assert_eq!(names(second), PRESENTED);
    assert_eq!(names(third), PRESENTED);
    assert_eq!(first.sent, Some(0));
}

#[test]
fn one_look_names_every_failure_not_only_the_first() {
    let root = Forge::ca("root").self_signed();
    let mut ended = Forge::leaf("intermediate");
    ended.to = "20400301000000Z".to_owned();
    let intermediate = ended.issued_by(&root);
    let mut late = Forge::leaf("DEV 2").uses(SERVER_AUTH);
    late.from = "20400901000000Z".to_owned();
    let leaf = late.issued_by(&intermediate);
    let inspection = inspect_unenrolled(
        &chain(&[&leaf, &intermediate, &root]),
        Some(&id("dev1")),
        now(),
    );
    assert_eq!(
        failures(&inspection),
        [
            vec![
                "x509.common_name",
                "x509.validity",
                "x509.extended_key_usage"
            ],
            vec!["x509.issuer_is_no_ca", "x509.issuer_validity"],
            vec![],
        ]
    );
    // The walk ends below a link that may not issue, as the judge's does.
    assert_eq!(names(&inspection.links[2]), Vec::<&str>::new());
}

#[test]
fn a_signature_by_a_namesake_is_a_failure_of_that_link_alone() {
    let real = Forge::ca("root").self_signed();
    let namesake = Forge::ca("root").self_signed();
    let leaf = Forge::leaf("dev1").issued_by(&real);
    let inspection = alone(&[&leaf, &namesake]);
    assert_eq!(
        failures(&inspection),
        [vec![], vec!["x509.issuer_signature"]]
    );
    let finding = inspection.finding().expect("a finding");
    assert!(finding.seen.contains("has another key"), "{finding:?}");
    // Beside the real one it does no harm.
    let inspection = alone(&[&leaf, &namesake, &real]);
    assert_eq!(inspection.finding(), None);
    assert_eq!(names(&inspection.links[1]), Vec::<&str>::new());
}

#[test]
fn what_the_server_adds_to_a_chain_is_shown_with_its_holder() {
    let root = Forge::ca("root").self_signed();
    let intermediate = Forge::ca("intermediate").issued_by(&root);
    let leaf = Forge::leaf("dev1").issued_by(&intermediate);
    let anchors = [group_by_reference("g1", &root, true)];
    let verified = [intermediate.certificate.clone()];
    let inspection = inspect_group(
        &chain(&[&leaf]),
        &anchors,
        &verified,
        &id("dev1"),
        now(),
        false,
    );
    let seen: Vec<_> = inspection
        .links
        .iter()
        .map(|link| (link.sent, link.holder.clone()))
        .collect();
    let g1 = EnrollmentGroupId::parse("g1").expect("an id");
    assert_eq!(
        seen,
        [
            (Some(0), None),
            (None, Some(Holder::Verified(None))),
            (None, Some(Holder::Group(g1)))
        ]
    );
    assert_eq!(inspection.finding(), None);
    let unproved = [group_by_reference("g1", &root, false)];
    let inspection = inspect_group(
        &chain(&[&leaf, &intermediate, &root]),
        &unproved,
        &[],
        &id("dev1"),
        now(),
        false,
    );
    let ca1 = CertificateName::parse("ca1").expect("a name");
    assert_eq!(inspection.links[2].holder, Some(Holder::Unverified(ca1)));
}

#[test]
fn a_single_self_signed_certificate_is_taken_for_an_individual_enrollment() {
    let own = Forge::ca("dev1").self_signed();
    let inspection = alone(&[&own]);
    assert_eq!(inspection.finding(), None);
    assert!(inspection.hints[0].contains("is a CA's certificate"));
    assert!(!names(&inspection.links[0]).contains(&"x509.thumbprint"));
    let nameless = Forge::leaf("no registration id").self_signed();
    let inspection = alone(&[&nameless]);
    let finding = inspection.finding().expect("a finding");
    assert_eq!(finding.check, "x509.common_name");
    let other = inspect_unenrolled(&chain(&[&own]), Some(&id("dev2")), now());
    assert_eq!(failures(&other), [vec!["x509.common_name"]]);
}

#[test]
fn an_individual_enrollment_shows_the_first_failure_and_all_others() {
    let ca = Forge::ca("factory").self_signed();
    let leaf = Forge::leaf("dev1").issued_by(&ca);
    let slots = Slots::new(Some(ca.certificate.clone()), None).expect("a slot");
    let sent = chain(&[&leaf, &ca]);
    let inspection = inspect_individual(&sent, &slots, &id("dev1"), now());
    let checks: Vec<_> = inspection.links[0]
        .checks
        .iter()
        .filter_map(|checked| checked.finding.as_ref())
        .map(|finding| finding.check)
        .collect();
    assert_eq!(checks, ["x509.enrolled_certificate_is_a_ca"]);
    assert!(inspection.hints[0].contains("the others are ignored"));
}

#[test]
fn hints_name_what_is_missing_and_what_stands_in_the_wrong_place() {
    let root = Forge::ca("root").self_signed();
    let intermediate = Forge::ca("intermediate").issued_by(&root);
    let leaf = Forge::leaf("dev1").issued_by(&intermediate);
    let hint = |made: &[&Made]| alone(made).hints.join(" ");
    assert!(hint(&[&root, &intermediate, &leaf]).contains("'CN=dev1' is number 3"));
    assert!(hint(&[&intermediate, &root]).contains("is missing: all 2 certificates are CAs'"));
    assert!(hint(&[&leaf, &root, &intermediate]).contains("not in the order"));
    assert_eq!(hint(&[&leaf, &intermediate]), "");
    let mut first_version = Forge::leaf("dev1");
    first_version.version = None;
    let old = first_version.issued_by(&intermediate);
    assert!(hint(&[&old, &intermediate]).contains("of version 1"));
    let shouting = Forge::leaf("DEV1").issued_by(&intermediate);
    let inspection = inspect_unenrolled(&chain(&[&shouting]), Some(&id("dev1")), now());
    assert_eq!(inspection.finding(), None);
    assert!(inspection.hints[0].contains("differ in case"));
}

#[test]
fn a_key_that_tls_refuses_is_named_before_everything_else() {
    let mut weak = Forge::leaf("dev1");
    // The key of another kind: P-256's identifier with a curve that nobody takes.
    weak.public_key = Some(sequence(&[
        sequence(&[
            tlv(0x06, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01]),
            tlv(0x06, &[0x2b, 0x81, 0x04, 0x00, 0x0a]),
        ]),
        tlv(0x03, &[0x00, 0x04]),
    ]));
    let made = weak.issued_by(&Forge::ca("root").self_signed());
    let inspection = alone(&[&made]);
    assert_eq!(
        inspection.finding().map(|finding| finding.check),
        Some("x509.key")
    );
}
