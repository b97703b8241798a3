//! Which chains and keys are taken, and what is said of those that are not.

use super::*;
use crate::tls::test_chains::{Ca, DAY, ecdsa, now, rsa};

fn refused(chain: &str, key: &str) -> String {
    let error = judged(chain, key, now()).expect_err("refused");
    assert!(!error.fix().is_empty());
    error.to_string()
}

#[test]
fn a_whole_chain_in_order_is_taken_with_its_root_and_without() {
    let root = Ca::root("root");
    let between = root.below("between");
    let own = between.issue(&["dps.example.net"], &ecdsa(), now());
    let two = format!("{}{}", own.certificate, between.pem());
    for chain in [&own.certificate, &two, &format!("{two}{}", root.pem())] {
        let judged = judged(chain, &own.key, now()).expect("taken");
        assert!(judged.leaf.subject_name().contains("server"));
        assert_eq!(judged.kind(), "ECDSA");
    }
    let rsa = root.issue(&["dps.example.net"], &rsa(), now());
    let judged = judged(&rsa.certificate, &rsa.key, now()).expect("taken");
    assert_eq!(judged.kind(), "RSA");
}

#[test]
fn a_chain_in_the_wrong_order_is_refused_with_the_place() {
    let root = Ca::root("root");
    let between = root.below("between");
    let own = between.issue(&["dps.example.net"], &ecdsa(), now());
    let (own, key, between, root) = (own.certificate, own.key, between.pem(), root.pem());
    let said = refused(&format!("{between}{own}"), &key);
    assert!(said.contains("certificate 2 of the file"), "{said}");
    let said = refused(&format!("{own}{root}{between}"), &key);
    assert!(
        said.contains("certificate 2 of the file (CN=root)"),
        "{said}"
    );
    assert!(said.contains("issuer is CN=between"), "{said}");
    // The name of the issuer alone proves nothing.
    let other = Ca::root("other").below("between").pem();
    let said = refused(&format!("{own}{other}"), &key);
    assert!(said.contains("did not sign"), "{said}");
}

#[test]
fn a_certificate_out_of_its_time_is_refused_and_a_link_out_of_it_is_named() {
    let root = Ca::root("root");
    let early = root.issue(&["a.b"], &ecdsa(), now().plus(DAY));
    assert!(refused(&early.certificate, &early.key).contains("not valid before Sat, 02 Jun 2040"));
    let late = root.issue(&["a.b"], &ecdsa(), now().minus(DAY * 91));
    assert!(refused(&late.certificate, &late.key).contains("expired on Thu, 31 May 2040"));
    let good = root.issue(&["a.b"], &ecdsa(), now().plus(DAY * 3630));
    let chain = format!("{}{}", good.certificate, root.pem());
    let judged = judged(&chain, &good.key, now().plus(DAY * 3640)).expect("taken");
    assert_eq!(judged.out_of_time, ["CN=root"]);
}

#[test]
fn keys_that_are_of_no_use_are_told_apart() {
    let root = Ca::root("root");
    let own = root.issue(&["a.b"], &ecdsa(), now());
    let other = root.issue(&["a.b"], &ecdsa(), now());
    assert!(refused(&own.certificate, &other.key).contains("does not go with"));
    assert!(refused(&own.certificate, &own.certificate).contains("key cannot be read"));
    assert!(refused(&own.key, &own.key).contains("certificate cannot be read"));
    assert!(refused("", &own.key).contains("no certificate in it"));
    let locked =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMII=\n-----END ENCRYPTED PRIVATE KEY-----\n";
    assert!(refused(&own.certificate, locked).contains("passphrase"));
    // A file that is being written ends anywhere.
    let half = &own.certificate[..own.certificate.len() / 2];
    assert!(refused(half, &own.key).contains("certificate cannot be read"));
}

#[test]
fn names_are_compared_as_clients_compare_them() {
    let own = Ca::root("root").issue(
        &["dps.example.net", "*.hubs.example.net", "192.0.2.1"],
        &ecdsa(),
        now(),
    );
    let key = certified_key(&own.certificate, &own.key).expect("a pair");
    for name in [
        "dps.example.net",
        "DPS.example.net",
        "a.hubs.example.net",
        "192.0.2.1",
    ] {
        assert!(carries(&key, name), "{name}");
    }
    for name in [
        "example.net",
        "a.b.hubs.example.net",
        "192.0.2.2",
        "server",
        "",
        "ö",
    ] {
        assert!(!carries(&key, name), "{name}");
    }
}
