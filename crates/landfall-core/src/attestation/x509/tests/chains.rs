//! Chains to groups: which certificate decides, and where a chain stops.

use super::*;

#[test]
fn a_leaf_alone_is_enough_under_an_intermediate_in_the_group() {
    let root = Forge::ca("root").self_signed();
    let intermediate = Forge::ca("intermediate").issued_by(&root);
    let leaf = Forge::leaf("dev1").issued_by(&intermediate);
    assert_eq!(
        find(&chain(&[&leaf]), &[group("g1", &intermediate)]),
        Ok(GroupMatch {
            group: EnrollmentGroupId::parse("g1").expect("a group id"),
            path: vec!["CN=dev1".to_owned(), "CN=intermediate".to_owned()],
        })
    );
}

#[test]
fn a_leaf_alone_under_a_root_names_the_missing_intermediate() {
    let root = Forge::ca("root").self_signed();
    let intermediate = Forge::ca("intermediate").issued_by(&root);
    let leaf = Forge::leaf("dev1").issued_by(&intermediate);
    let anchors = [group_by_reference("g1", &root, true)];
    let finding = find(&chain(&[&leaf]), &anchors).expect_err("refused");
    assert_eq!(finding.check, "x509.chain");
    assert!(
        finding
            .seen
            .contains("chain stops at 'CN=dev1', no verified CA")
    );
    assert!(finding.seen.contains("'CN=intermediate' was not sent"));
    assert!(finding.fix.contains("full chain"));
    let whole = find(&chain(&[&leaf, &intermediate]), &anchors).expect("a match");
    assert_eq!(whole.path.len(), 3);
}

#[test]
fn presented_intermediates_may_come_in_any_order_and_with_strangers() {
    let root = Forge::ca("root").self_signed();
    let upper = Forge::ca("upper").issued_by(&root);
    let lower = Forge::ca("lower").issued_by(&upper);
    let leaf = Forge::leaf("dev1").issued_by(&lower);
    let stranger = Forge::ca("stranger").self_signed();
    let found = find(
        &chain(&[&leaf, &root, &stranger, &upper, &lower, &lower]),
        &[group("g1", &root)],
    );
    assert_eq!(found.expect("a match").path.len(), 4);
}

#[test]
fn intermediates_known_here_need_not_be_sent() {
    let root = Forge::ca("root").self_signed();
    let intermediate = Forge::ca("intermediate").issued_by(&root);
    let leaf = Forge::leaf("dev1").issued_by(&intermediate);
    let verified = [intermediate.certificate.clone()];
    let found = find_group(
        &chain(&[&leaf]),
        &[group_by_reference("g1", &root, true)],
        &verified,
        &id("dev1"),
        now(),
        false,
    );
    assert!(found.is_ok(), "{found:?}");
}

#[test]
fn the_certificate_nearest_to_the_leaf_decides() {
    let root = Forge::ca("root").self_signed();
    let intermediate = Forge::ca("intermediate").issued_by(&root);
    let leaf = Forge::leaf("dev1").issued_by(&intermediate);
    let anchors = [group("upper", &root), group("lower", &intermediate)];
    let found = find(&chain(&[&leaf, &intermediate, &root]), &anchors).expect("a match");
    assert_eq!(found.group.as_str(), "lower");
}

#[test]
fn presented_roots_are_worth_nothing_by_themselves() {
    let root = Forge::ca("root").self_signed();
    let leaf = Forge::leaf("dev1").issued_by(&root);
    let other = Forge::ca("other").self_signed();
    let finding = find(&chain(&[&leaf, &root]), &[group("g1", &other)]).expect_err("refused");
    assert_eq!(finding.check, "x509.chain");
    assert!(
        finding
            .seen
            .contains("'CN=root', no verified CA: it is self-signed")
    );
    assert_eq!(refused(&chain(&[&leaf, &root]), &[]), "x509.chain");
}

#[test]
fn a_ca_of_the_same_name_with_another_key_is_not_the_issuer() {
    let real = Forge::ca("root").self_signed();
    let namesake = Forge::ca("root").self_signed();
    let leaf = Forge::leaf("dev1").issued_by(&namesake);
    assert_eq!(
        refused(&chain(&[&leaf]), &[group("g1", &real)]),
        "x509.issuer_signature"
    );
    assert_eq!(
        refused(&chain(&[&leaf, &namesake]), &[group("g1", &real)]),
        "x509.issuer_signature"
    );
    let anchors = [group("g1", &real), group("g2", &namesake)];
    let found = find(&chain(&[&leaf]), &anchors).expect("a match");
    assert_eq!(found.group.as_str(), "g2");
}

#[test]
fn an_unverified_reference_matches_nothing_and_says_so() {
    let root = Forge::ca("root").self_signed();
    let leaf = Forge::leaf("dev1").issued_by(&root);
    let finding = find(
        &chain(&[&leaf, &root]),
        &[group_by_reference("g1", &root, false)],
    )
    .expect_err("refused");
    assert_eq!(finding.check, "x509.ca_not_verified");
    assert!(finding.seen.contains("'ca1'"));
}

#[test]
fn a_verified_root_is_found_above_an_unverified_intermediate() {
    let root = Forge::ca("root").self_signed();
    let intermediate = Forge::ca("intermediate").issued_by(&root);
    let leaf = Forge::leaf("dev1").issued_by(&intermediate);
    let anchors = [
        group_by_reference("lower", &intermediate, false),
        group_by_reference("upper", &root, true),
    ];
    let found = find(&chain(&[&leaf]), &anchors).expect("a match");
    assert_eq!(found.group.as_str(), "upper");
}

#[test]
fn a_service_may_ask_that_every_chain_reaches_a_verified_ca() {
    let root = Forge::ca("root").self_signed();
    let intermediate = Forge::ca("intermediate").issued_by(&root);
    let leaf = Forge::leaf("dev1").issued_by(&intermediate);
    let anchors = [group("g1", &intermediate)];
    let strict = |chain: &[Certificate], verified: &[Certificate]| {
        find_group(chain, &anchors, verified, &id("dev1"), now(), true)
    };
    let alone = chain(&[&leaf]);
    let finding = strict(&alone, &[]).expect_err("refused");
    assert_eq!(finding.check, "x509.chain_not_verified");
    let by_root = strict(&alone, &chain(&[&root])).expect("a match");
    assert_eq!(by_root.group.as_str(), "g1");
    assert_eq!(by_root.path.len(), 2, "the path ends at the group");
    assert!(strict(&alone, &chain(&[&intermediate])).is_ok());
    let stranger = Forge::ca("root").self_signed();
    assert!(strict(&alone, &chain(&[&stranger])).is_err());
}

#[test]
fn a_stored_issuer_that_breaks_a_rule_is_not_evaded_by_a_presented_twin() {
    let upper = Forge::ca("upper").self_signed();
    let old = Forge::ca("ca")
        .valid("20390101000000Z", "20400101000000Z")
        .issued_by(&upper);
    let copy = rcgen::KeyPair::from_pem(&old.key.serialize_pem()).expect("a key");
    let twin = Forge::ca("ca").issued_with(copy, &upper);
    let leaf = Forge::leaf("dev1").issued_by(&twin);
    let anchors = [group("lower", &old), group("upper", &upper)];
    assert_eq!(
        refused(&chain(&[&leaf, &twin]), &anchors),
        "x509.issuer_validity"
    );
    let renewed = [group("lower", &old), group("lower", &twin)];
    assert!(find(&chain(&[&leaf]), &renewed).is_ok(), "rollover");
}

#[test]
fn cross_signed_issuers_are_tried_one_after_the_other() {
    let dead_end = Forge::ca("elsewhere").self_signed();
    let root = Forge::ca("root").self_signed();
    let first = Forge::ca("ca").issued_by(&dead_end);
    let copy = rcgen::KeyPair::from_pem(&first.key.serialize_pem()).expect("a key");
    let second = Forge::ca("ca").issued_with(copy, &root);
    let leaf = Forge::leaf("dev1").issued_by(&first);
    let found = find(&chain(&[&leaf, &first, &second]), &[group("g1", &root)]);
    assert_eq!(
        found.expect("a match").path,
        ["CN=dev1", "CN=ca", "CN=root"]
    );
}

#[test]
fn chains_that_loop_come_to_an_end() {
    let one = Forge::ca("one").self_signed();
    let two = Forge::ca("two").issued_by(&one);
    let copy = rcgen::KeyPair::from_pem(&one.key.serialize_pem()).expect("a key");
    let one_by_two = Forge::ca("one").issued_with(copy, &two);
    let leaf = Forge::leaf("dev1").issued_by(&one_by_two);
    let other = Forge::ca("root").self_signed();
    let finding =
        find(&chain(&[&leaf, &one_by_two, &two]), &[group("g1", &other)]).expect_err("refused");
    assert_eq!(finding.check, "x509.chain");
}

#[test]
fn a_walk_ends_after_ten_steps() {
    for (intermediates, fine) in [(9, true), (10, false)] {
        let root = Forge::ca("root").self_signed();
        let mut made = vec![Forge::ca("c0").issued_by(&root)];
        for depth in 1..intermediates {
            let next = Forge::ca(&format!("c{depth}")).issued_by(&made[depth - 1]);
            made.push(next);
        }
        let leaf = Forge::leaf("dev1").issued_by(&made[intermediates - 1]);
        let sent: Vec<&Made> = std::iter::once(&leaf).chain(&made).collect();
        let found = find(&chain(&sent), &[group("g1", &root)]);
        match found {
            Ok(found) => assert!(fine && found.path.len() == 11),
            Err(finding) => assert!(!fine && finding.check == "x509.chain_too_long"),
        }
    }
}

#[test]
fn many_namesakes_use_up_the_signature_budget_and_no_more() {
    let root = Forge::ca("root").self_signed();
    let mut sent = Vec::new();
    let mut below = Forge::leaf("dev1");
    // Each level has eight certificates of one name; the right one is the last that is tried.
    let mut issuer = root;
    let mut levels = Vec::new();
    for level in 0..5 {
        let name = format!("level{level}");
        let right = Forge::ca(&name).issued_by(&issuer);
        let wrong: Vec<Made> = (0..7).map(|_| Forge::ca(&name).self_signed()).collect();
        levels.push((wrong, right.certificate.clone()));
        issuer = right;
    }
    below.serial = vec![0x55];
    sent.push(below.issued_by(&issuer).certificate);
    for (wrong, right) in levels {
        sent.extend(wrong.into_iter().map(|made| made.certificate));
        sent.push(right);
    }
    let other = Forge::ca("other").self_signed();
    assert_eq!(
        refused(&sent, &[group("g1", &other)]),
        "x509.chain_too_long"
    );
}

#[test]
fn key_identifiers_choose_among_many_namesakes_and_decide_nothing() {
    let crowd: Vec<Made> = (0..12)
        .map(|n| {
            Forge::ca("root")
                .with(SUBJECT_KEY_ID, false, key_id(&[n]))
                .self_signed()
        })
        .collect();
    let anchors: Vec<Anchor> = crowd.iter().map(|made| group("g1", made)).collect();
    let last = crowd.last().expect("a CA");
    let hinted = Forge::leaf("dev1")
        .with(AUTHORITY_KEY_ID, false, authority_key_id(&[11]))
        .issued_by(last);
    assert!(find(&chain(&[&hinted]), &anchors).is_ok());
    let wrong = Forge::leaf("dev1")
        .with(AUTHORITY_KEY_ID, false, authority_key_id(&[0xee]))
        .issued_by(&crowd[0]);
    assert!(find(&chain(&[&wrong]), &anchors).is_ok(), "a wrong hint");
    let forged = Forge::leaf("dev1")
        .with(AUTHORITY_KEY_ID, false, authority_key_id(&[3]))
        .issued_by(&Forge::ca("root").self_signed());
    assert_eq!(
        refused(&chain(&[&forged]), &anchors),
        "x509.issuer_signature"
    );
}

#[test]
fn anchors_are_compared_by_their_whole_der() {
    let root = Forge::ca("root").self_signed();
    let copy = rcgen::KeyPair::from_pem(&root.key.serialize_pem()).expect("a key");
    let mut other = Forge::ca("sub");
    other.serial = vec![0x33];
    let intermediate = other.issued_by(&root);
    let leaf = Forge::leaf("dev1").issued_by(&intermediate);
    let look_alike = Forge::ca("sub").issued_with(copy, &root);
    assert_eq!(
        refused(&chain(&[&leaf, &intermediate]), &[group("g1", &look_alike)]),
        "x509.chain"
    );
}

// What a leaf of a group must be.

/// The check that refuses `leaf` directly below a group's certificate.
fn leaf_refused(leaf: &Forge) -> Result<(), &'static str> {
    let ca = Forge::ca("ca").self_signed();
    let leaf = leaf.issued_by(&ca);
    find(&chain(&[&leaf]), &[group("g1", &ca)])
        .map(drop)
        .map_err(|finding| finding.check)
}

#[test]
fn a_group_leaf_may_be_version_1_or_3_and_carry_known_critical_extensions() {
    let mut first_version = Forge::leaf("dev1");
    first_version.version = None;
    let usage = vec![0x03, 0x02, 0x07, 0x80];
    for fine in [
        first_version,
        Forge::leaf("DEV1"),
        Forge::leaf("dev1").uses(CLIENT_AUTH),
        Forge::leaf("dev1").with(KEY_USAGE, true, usage),
        Forge::leaf("dev1").with(BASIC_CONSTRAINTS, true, sequence(&[])),
        Forge::leaf("dev1").with(ALTERNATIVE_NAMES, true, vec![0x30, 0x05, 1]),
        Forge::leaf("dev1").with(DICE, true, vec![0x30, 0x00]),
        Forge::leaf("dev1").with(UNHEARD_OF, false, vec![0x05, 0x00]),
    ] {
        assert_eq!(leaf_refused(&fine), Ok(()));
    }
}

#[test]
fn a_group_leaf_that_is_a_ca_is_refused() {
    assert_eq!(leaf_refused(&Forge::ca("dev1")), Err("x509.leaf_is_a_ca"));
    let broken = Forge::leaf("dev1").with(BASIC_CONSTRAINTS, true, vec![0x02, 0x01, 0x01]);
    assert_eq!(leaf_refused(&broken), Err("x509.leaf_is_a_ca"));
}

#[test]
fn a_group_leaf_without_digital_signature_is_refused() {
    let encipher_only = Forge::leaf("dev1").with(KEY_USAGE, true, vec![0x03, 0x02, 0x05, 0x20]);
    assert_eq!(leaf_refused(&encipher_only), Err("x509.key_usage"));
}

#[test]
fn a_group_leaf_for_servers_only_is_refused() {
    let server = Forge::leaf("dev1").uses(SERVER_AUTH);
    assert_eq!(leaf_refused(&server), Err("x509.extended_key_usage"));
}

#[test]
fn a_group_leaf_with_an_unknown_critical_extension_is_refused() {
    let odd = Forge::leaf("dev1").with(UNHEARD_OF, true, vec![0x05, 0x00]);
    assert_eq!(leaf_refused(&odd), Err("x509.critical_extension"));
}

#[test]
fn a_group_leaf_with_an_extension_twice_is_refused() {
    let twice = Forge::leaf("dev1")
        .with(BASIC_CONSTRAINTS, false, sequence(&[]))
        .with(BASIC_CONSTRAINTS, false, sequence(&[]));
    let refusal = leaf_refused(&twice);
    assert!(refusal.is_err(), "{refusal:?}");
}

#[test]
fn a_group_leaf_of_version_2_is_refused() {
    let mut second = Forge::leaf("dev1");
    second.version = Some(1);
    assert_eq!(leaf_refused(&second), Err("x509.version"));
}

#[test]
fn a_group_leaf_out_of_its_time_is_refused() {
    let over = Forge::leaf("dev1").valid("20390101000000Z", "20400531235459Z");
    assert_eq!(leaf_refused(&over), Err("x509.validity"));
}

#[test]
fn a_group_leaf_with_another_common_name_is_refused() {
    assert_eq!(leaf_refused(&Forge::leaf("dev12")), Err("x509.common_name"));
}

#[test]
fn a_group_leaf_signed_with_sha1_is_refused() {
    let mut weak = Forge::leaf("dev1");
    weak.algorithm = RSA_SHA1.to_vec();
    assert_eq!(leaf_refused(&weak), Err("x509.signature_algorithm"));
}

#[test]
fn a_leaf_that_names_two_signature_algorithms_is_refused() {
    let mut two = Forge::leaf("dev1");
    two.other_algorithm = Some(RSA_SHA1.to_vec());
    assert_eq!(leaf_refused(&two), Err("x509.signature_algorithm"));
}

#[test]
fn a_self_signed_leaf_is_sent_to_an_individual_enrollment() {
    let ca = Forge::ca("ca").self_signed();
    let leaf = Forge::leaf("dev1").self_signed();
    let finding = find(&chain(&[&leaf]), &[group("g1", &ca)]).expect_err("refused");
    assert_eq!(finding.check, "x509.chain");
    assert!(finding.fix.contains("individual enrollment"));
}

#[test]
fn no_certificate_at_all_is_named() {
    assert_eq!(refused(&[], &[]), "x509.no_certificate");
}

// What an issuer must be: as an intermediate that the device sends, and as the anchor itself.

/// The checks that refuse `issuer` as an intermediate and as an anchor.
fn issuer_refused(issuer: &Forge) -> [Result<(), &'static str>; 2] {
    let root = Forge::ca("root").self_signed();
    let issuer = issuer.issued_by(&root);
    let leaf = Forge::leaf("dev1").issued_by(&issuer);
    let check = |chain: &[Certificate], anchor: &Made| {
        find(chain, &[group("g1", anchor)])
            .map(drop)
            .map_err(|finding| finding.check)
    };
    [
        check(&chain(&[&leaf, &issuer]), &root),
        check(&chain(&[&leaf]), &issuer),
    ]
}

#[test]
fn a_sound_issuer_passes_in_both_places() {
    for fine in [
        Forge::ca("ca"),
        Forge::ca("ca").path_length(0),
        Forge::ca("ca").without(KEY_USAGE),
        Forge::ca("ca").uses(CLIENT_AUTH),
    ] {
        assert_eq!(issuer_refused(&fine), [Ok(()); 2]);
    }
}

#[test]
fn an_issuer_that_is_no_ca_is_refused() {
    let says_no =
        Forge::ca("ca")
            .without(BASIC_CONSTRAINTS)
            .with(BASIC_CONSTRAINTS, true, sequence(&[]));
    let silent = Forge::ca("ca").without(BASIC_CONSTRAINTS);
    for issuer in [says_no, silent] {
        assert_eq!(issuer_refused(&issuer), [Err("x509.issuer_is_no_ca"); 2]);
    }
}

#[test]
fn an_issuer_of_version_1_is_refused() {
    let mut first = Forge::ca("ca");
    first.version = None;
    assert_eq!(issuer_refused(&first), [Err("x509.issuer_version"); 2]);
}

#[test]
fn an_issuer_without_key_cert_sign_is_refused() {
    let signs_only =
        Forge::ca("ca")
            .without(KEY_USAGE)
            .with(KEY_USAGE, true, vec![0x03, 0x02, 0x07, 0x80]);
    assert_eq!(
        issuer_refused(&signs_only),
        [Err("x509.issuer_key_usage"); 2]
    );
}

#[test]
fn an_issuer_out_of_its_time_is_refused_the_anchor_too() {
    let over = Forge::ca("ca").valid("20390101000000Z", "20400101000000Z");
    let early = Forge::ca("ca").valid("20400701000000Z", "20410101000000Z");
    for issuer in [over, early] {
        assert_eq!(issuer_refused(&issuer), [Err("x509.issuer_validity"); 2]);
    }
}

#[test]
fn an_issuer_with_an_unknown_critical_extension_is_refused() {
    let odd = Forge::ca("ca").with(UNHEARD_OF, true, vec![0x05, 0x00]);
    assert_eq!(
        issuer_refused(&odd),
        [Err("x509.issuer_critical_extension"); 2]
    );
}

#[test]
fn an_intermediate_for_servers_only_is_refused_and_an_anchor_is_vouched_for() {
    let server = Forge::ca("ca").uses(SERVER_AUTH);
    assert_eq!(
        issuer_refused(&server),
        [Err("x509.issuer_extended_key_usage"), Ok(())]
    );
}

#[test]
fn an_intermediate_signed_with_sha1_is_refused() {
    let mut weak = Forge::ca("ca");
    weak.algorithm = RSA_SHA1.to_vec();
    assert_eq!(
        issuer_refused(&weak),
        [Err("x509.signature_algorithm"), Ok(())],
        "an anchor's own signature says nothing"
    );
}

#[test]
fn path_lengths_are_kept_and_self_issued_renewals_do_not_count() {
    let root = Forge::ca("root").path_length(0).self_signed();
    let intermediate = Forge::ca("intermediate").issued_by(&root);
    let leaf = Forge::leaf("dev1").issued_by(&intermediate);
    assert_eq!(
        refused(&chain(&[&leaf, &intermediate]), &[group("g1", &root)]),
        "x509.path_length"
    );
    let renewed = Forge::ca("root").issued_by(&root);
    let leaf = Forge::leaf("dev1").issued_by(&renewed);
    assert!(find(&chain(&[&leaf, &renewed]), &[group("g1", &root)]).is_ok());
}

// Name constraints.

fn directory(name: &[u8]) -> Vec<u8> {
    sequence(&[tlv(0xa4, name)])
}

fn dns(name: &str) -> Vec<u8> {
    sequence(&[tlv(0x82, name.as_bytes())])
}

fn constrained(permitted: &[Vec<u8>], excluded: &[Vec<u8>]) -> Forge {
    let mut sides = Vec::new();
    if !permitted.is_empty() {
        sides.push(tlv(0xa0, &permitted.concat()));
    }
    if !excluded.is_empty() {
        sides.push(tlv(0xa1, &excluded.concat()));
    }
    Forge::ca("ca").with(NAME_CONSTRAINTS, true, sequence(&sides))
}

fn below(ca: &Forge, leaf: &Forge) -> Result<(), &'static str> {
    let ca = ca.self_signed();
    let leaf = leaf.issued_by(&ca);
    find(&chain(&[&leaf]), &[group("g1", &ca)])
        .map(drop)
        .map_err(|finding| finding.check)
}

fn of_organisation(organisation: &[u8], string_type: u8) -> Vec<u8> {
    name(&[
        vec![attribute(10, string_type, organisation)],
        vec![attribute(3, UTF8, b"dev1")],
    ])
}

const OUTSIDE: Result<(), &str> = Err("x509.name_constraints");

#[test]
fn subjects_stay_inside_permitted_directory_names() {
    let contoso = name(&[vec![attribute(10, UTF8, b"Contoso")]]);
    let ca = constrained(&[directory(&contoso)], &[]);
    let inside = Forge::leaf("x").subject(of_organisation(b"Contoso", UTF8));
    let spelt_otherwise = Forge::leaf("x").subject(of_organisation(b" CONTOSO ", PRINTABLE));
    let outside = Forge::leaf("x").subject(of_organisation(b"Fabrikam", UTF8));
    assert_eq!(below(&ca, &inside), Ok(()));
    assert_eq!(below(&ca, &spelt_otherwise), Ok(()));
    assert_eq!(below(&ca, &outside), OUTSIDE);
    assert_eq!(below(&ca, &Forge::leaf("dev1")), OUTSIDE);
}

#[test]
fn subjects_stay_out_of_excluded_directory_names_in_any_spelling() {
    let contoso = name(&[vec![attribute(10, UTF8, b"Contoso")]]);
    let ca = constrained(&[], &[directory(&contoso)]);
    let wide: Vec<u8> = "contoso"
        .encode_utf16()
        .flat_map(u16::to_be_bytes)
        .collect();
    for subject in [
        of_organisation(b"Contoso", UTF8),
        of_organisation(b"contoso", PRINTABLE),
        of_organisation(b"Contoso", TELETEX),
        of_organisation(&wide, BMP),
    ] {
        assert_eq!(below(&ca, &Forge::leaf("x").subject(subject)), OUTSIDE);
    }
    assert_eq!(below(&ca, &Forge::leaf("dev1")), Ok(()));
}

#[test]
fn dns_constraints_say_nothing_about_a_common_name_and_bind_alternative_names() {
    let ca = constrained(&[dns("example.com")], &[dns("bad.example.com")]);
    let named = |host: &str| {
        Forge::leaf("dev1").with(
            ALTERNATIVE_NAMES,
            false,
            sequence(&[tlv(0x82, host.as_bytes())]),
        )
    };
    assert_eq!(below(&ca, &Forge::leaf("dev1")), Ok(()));
    assert_eq!(below(&ca, &named("a.example.com")), Ok(()));
    assert_eq!(below(&ca, &named("Example.COM")), Ok(()));
    assert_eq!(below(&ca, &named("badexample.com")), OUTSIDE);
    assert_eq!(below(&ca, &named("x.bad.example.com")), OUTSIDE);
    assert_eq!(below(&ca, &named("other.net")), OUTSIDE);
}

#[test]
fn address_constraints_bind_alternative_names() {
    let network = sequence(&[tlv(0x87, &[10, 1, 0, 0, 255, 255, 0, 0])]);
    let ca = constrained(&[network], &[]);
    let at = |address: &[u8]| {
        Forge::leaf("dev1").with(ALTERNATIVE_NAMES, false, sequence(&[tlv(0x87, address)]))
    };
    assert_eq!(below(&ca, &at(&[10, 1, 2, 3])), Ok(()));
    assert_eq!(below(&ca, &at(&[10, 2, 2, 3])), OUTSIDE);
    assert_eq!(below(&ca, &at(&[0; 16])), OUTSIDE);
}

#[test]
fn critical_constraints_that_nobody_evaluates_refuse_the_chain() {
    let mail = sequence(&[tlv(0x81, b"example.com")]);
    let bounded = sequence(&[tlv(0x82, b"example.com"), tlv(0x80, &[1])]);
    for subtree in [mail.clone(), bounded] {
        let ca = constrained(&[subtree], &[]);
        assert_eq!(below(&ca, &Forge::leaf("dev1")), OUTSIDE);
    }
    let lenient = Forge::ca("ca").with(NAME_CONSTRAINTS, false, sequence(&[tlv(0xa0, &mail)]));
    assert_eq!(below(&lenient, &Forge::leaf("dev1")), Ok(()));
    let broken = Forge::ca("ca").with(NAME_CONSTRAINTS, true, vec![0x30, 0x03, 1]);
    assert_eq!(below(&broken, &Forge::leaf("dev1")), OUTSIDE);
}

#[test]
fn constraints_of_an_upper_ca_bind_intermediates_and_leaves() {
    let contoso = name(&[vec![attribute(10, UTF8, b"Contoso")]]);
    let root = constrained(&[directory(&contoso)], &[]).self_signed();
    let inside = Forge::ca("x")
        .subject(name(&[
            vec![attribute(10, UTF8, b"Contoso")],
            vec![attribute(3, UTF8, b"lower")],
        ]))
        .issued_by(&root);
    let outside = Forge::ca("lower").issued_by(&root);
    let fine = Forge::leaf("x").subject(of_organisation(b"Contoso", UTF8));
    let verdict = |intermediate: &Made, leaf: &Forge| {
        let leaf = leaf.issued_by(intermediate);
        find(&chain(&[&leaf, intermediate]), &[group("g1", &root)])
            .map(drop)
            .map_err(|finding| finding.check)
    };
    assert_eq!(verdict(&inside, &fine), Ok(()));
    assert_eq!(verdict(&inside, &Forge::leaf("dev1")), OUTSIDE);
    assert_eq!(verdict(&outside, &fine), OUTSIDE);
}

#[test]
fn a_missing_ca_certificate_is_named_where_the_chain_stops() {
    let ca = Forge::ca("ca").self_signed();
    let leaf = Forge::leaf("dev1").issued_by(&ca);
    let finding = find(&chain(&[&leaf]), &[]).expect_err("refused");
    let gone = [(
        EnrollmentGroupId::parse("g1").expect("a group id"),
        CertificateName::parse("ca1").expect("a name"),
    )];
    let finding = name_missing_references(finding, &gone);
    assert!(
        finding
            .seen
            .contains("enrollment group 'g1' names the CA certificate 'ca1'")
    );
}

#[test]
fn a_large_crowd_of_groups_costs_no_signatures() {
    let ca = Forge::ca("ca").self_signed();
    let leaf = Forge::leaf("dev1").issued_by(&ca);
    let others: Vec<Made> = (0..50)
        .map(|n| Forge::ca(&format!("ca{n}")).self_signed())
        .collect();
    let mut anchors: Vec<Anchor> = others.iter().map(|made| group("other", made)).collect();
    anchors.push(group("g1", &ca));
    let found = find(&chain(&[&leaf]), &anchors).expect("a match");
    assert_eq!(found.group.as_str(), "g1");
}
