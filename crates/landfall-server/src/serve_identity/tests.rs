//! Files that change under a running server, as people and programs change them.

use std::fs;

use super::*;
use crate::dev_ca::PemPair;
use crate::tls::test_chains::{Ca, DAY, HandClock, ecdsa, now};

/// A folder of certificate files, the identity that reads them, and the clock it goes by.
struct Bench {
    folder: tempfile::TempDir,
    clock: Arc<HandClock>,
    ca: Ca,
}

impl Bench {
    fn new() -> Self {
        let bench = Bench {
            folder: tempfile::tempdir().expect("a folder"),
            clock: HandClock::new(),
            ca: Ca::root("root"),
        };
        bench.write(&bench.pair("dps.example.net", now()));
        bench
    }

    fn pair(&self, name: &str, from: Timestamp) -> PemPair {
        self.ca.issue(&[name], &ecdsa(), from)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, pair: &PemPair) {
        fs::write(self.file("chain.pem"), &pair.certificate).expect("written");
        fs::write(self.file("key.pem"), pair.key.as_bytes()).expect("written");
    }

    fn https(&self) -> Https {
        Https {
            listen: Vec::new(),
            certificates: vec![CertificateFiles {
                chain: self.file("chain.pem"),
                key: self.file("key.pem"),
            }],
            ca_file: None,
        }
    }

    fn open(&self) -> Result<ServeIdentity, ServeIdentityError> {
        ServeIdentity::open(&self.https(), Arc::clone(&self.clock) as _)
    }
}

#[test]
fn a_pair_that_changed_is_shown_and_one_half_of_it_never() {
    let bench = Bench::new();
    let identity = bench.open().expect("opens");
    assert!(!identity.look(false), "nothing changed");
    let first = identity.fingerprints();
    let second = bench.pair("dps.example.net", now());
    fs::write(bench.file("chain.pem"), &second.certificate).expect("written");
    for at_once in [false, false, false, true] {
        assert!(!identity.look(at_once), "the key is still the old one");
        assert_eq!(identity.fingerprints(), first);
    }
    fs::write(bench.file("key.pem"), second.key.as_bytes()).expect("written");
    assert!(identity.look(false));
    assert_ne!(identity.fingerprints(), first);
}

#[test]
fn files_behind_links_are_followed_when_the_link_is_replaced() {
    use std::os::unix::fs::symlink;
    // As Kubernetes mounts a secret: file, to a link of the folder of now, to that folder.
    let bench = Bench::new();
    for name in ["chain.pem", "key.pem"] {
        fs::remove_file(bench.file(name)).expect("removed");
        symlink(Path::new("now").join(name), bench.file(name)).expect("linked");
    }
    let publish = |version: &str| {
        let pair = bench.pair("dps.example.net", now());
        fs::create_dir(bench.file(version)).expect("made");
        fs::write(bench.file(version).join("chain.pem"), &pair.certificate).expect("written");
        fs::write(bench.file(version).join("key.pem"), pair.key.as_bytes()).expect("written");
        symlink(version, bench.file("new")).expect("linked");
        fs::rename(bench.file("new"), bench.file("now")).expect("replaced");
    };
    publish("one");
    let identity = bench.open().expect("opens");
    let first = identity.fingerprints();
    publish("two");
    assert!(identity.look(false));
    assert_ne!(identity.fingerprints(), first);
}

#[test]
fn a_file_that_is_gone_or_bad_leaves_the_old_one_in_force() {
    let bench = Bench::new();
    let identity = bench.open().expect("opens");
    let first = identity.fingerprints();
    let early = bench.pair("dps.example.net", now().plus(DAY));
    bench.write(&early);
    assert!(!identity.look(true), "not valid yet");
    fs::remove_file(bench.file("key.pem")).expect("removed");
    assert!(!identity.look(true));
    assert_eq!(identity.fingerprints(), first);
    bench.write(&early);
    bench.clock.turn_to(now().plus(DAY));
    assert!(identity.look(false), "its day came");
}

#[test]
fn what_cannot_be_used_at_the_start_is_named_with_its_file_and_the_remedy() {
    let bench = Bench::new();
    let refused = || {
        let error = bench.open().err().expect("refused");
        assert!(!error.fix().is_empty());
        error.to_string()
    };
    bench.write(&bench.pair("dps.example.net", now().minus(DAY * 91)));
    let said = refused();
    assert!(
        said.contains("chain.pem") && said.contains("expired"),
        "{said}"
    );
    fs::remove_file(bench.file("key.pem")).expect("removed");
    let said = refused();
    assert!(said.contains("key.pem cannot be read"), "{said}");
    fs::write(bench.file("key.pem"), [0xff]).expect("written");
    assert!(refused().contains("no text"));
    bench.write(&bench.pair("dps.example.net", now()));
    let mut https = bench.https();
    https.ca_file = Some(bench.file("key.pem"));
    let error = ServeIdentity::open(&https, Arc::clone(&bench.clock) as _).err();
    assert!(error.is_some_and(|error| error.to_string().contains("authority")));
}

#[test]
fn the_authority_is_given_out_without_the_key_that_may_stand_beside_it() {
    let bench = Bench::new();
    let pair = bench.pair("x.y", now());
    let text = format!("{}{}", pair.key.as_str(), bench.ca.pem());
    fs::write(bench.file("root.pem"), text).expect("written");
    let mut https = bench.https();
    https.ca_file = Some(bench.file("root.pem"));
    let identity = ServeIdentity::open(&https, Arc::clone(&bench.clock) as _).expect("opens");
    let given = || identity.ca().load().as_deref().cloned().expect("a CA");
    assert_eq!(certificates(&given()), certificates(&bench.ca.pem()));
    assert!(!given().contains("PRIVATE"));
    let other = Ca::root("other").pem();
    fs::write(bench.file("root.pem"), &other).expect("written");
    assert!(identity.look(false));
    assert_eq!(certificates(&given()), certificates(&other));
}

#[test]
fn names_without_a_certificate_and_ends_that_are_near_are_remarked() {
    let bench = Bench::new();
    let identity = bench.open().expect("opens");
    let names = |list: &[&str]| {
        let pair = |name: &&str| ((*name).to_owned(), "service 'a'".to_owned());
        list.iter().map(pair).collect::<Vec<_>>()
    };
    assert_eq!(identity.remarks(&names(&["dps.example.net"])), []);
    let missing = identity.remarks(&names(&["hub.example.net"]));
    assert_eq!(missing.len(), 1);
    assert!(missing[0].text.contains("'hub.example.net'"));
    assert!(missing[0].text.contains("https.certificates"));
    bench.clock.turn_to(now().plus(DAY * 61));
    let soon = identity.remarks(&[]);
    assert!(
        !soon[0].urgent && soon[0].text.contains("in 29 d 0 h"),
        "{soon:?}"
    );
    bench.clock.turn_to(now().plus(DAY * 91));
    let over = identity.remarks(&[]);
    assert!(
        over[0].urgent && over[0].text.contains("expired"),
        "{over:?}"
    );
}
