//! No key stands readable in any file of the store.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use landfall_core::attestation::AttestationMechanism;
use landfall_core::audit::Search;
use landfall_core::conformance::Samples;
use landfall_core::linked_hub::{HubCredential, Manner};
use landfall_core::registration::Substatus;
use landfall_core::registration::operation::Progress;
use landfall_core::secret::KeyPair;
use landfall_core::store::{Change, Expect, Store, Write};
use landfall_hub::device::DeviceAuthentication;
use landfall_hub::store::{HubExpect, HubStore, HubWrite};

use crate::fixture::{
    Drawn, Folder, bytes_in, sealing_key, with_service, write, write_by_operator,
};
use crate::hub::{device, hub, module};

fn assert_hidden(bytes: &[u8], secret: &[u8], what: &str) {
    let found = bytes.windows(secret.len()).any(|window| window == secret);
    assert!(!found, "{what} stands readable in the store's files");
}

#[tokio::test]
async fn no_key_stands_in_any_file() {
    let folder = Folder::new();
    let store = folder.open();
    let samples = Samples::new(&Drawn);
    let mut secrets: Vec<KeyPair> = Vec::new();

    let scope = with_service(&store).await;
    let service = store.service(&scope).await.expect("reads").expect("there");
    secrets.extend(service.policies.into_iter().map(|policy| policy.keys));
    let individual = samples.individual("dev");
    let group = samples.group("g", AttestationMechanism::SymmetricKey(samples.keys()));
    for mechanism in [&individual.attestation, &group.attestation] {
        if let AttestationMechanism::SymmetricKey(keys) = mechanism {
            secrets.push(keys.clone());
        }
    }
    let admission = samples.admission("dev");
    let mut placement = samples.placement(Manner::Create);
    placement.credential = admission.credential.clone();
    if let HubCredential::Keys(keys) = &admission.credential {
        secrets.push(keys.clone());
    }
    let progress = Progress::Allocated(
        Box::new(admission),
        Box::new(placement),
        Substatus::InitialAssignment,
    );
    let operation = samples.operation(&scope, "dev", progress, 0);
    let renewed = samples.individual("dev");
    if let AttestationMechanism::SymmetricKey(keys) = &renewed.attestation {
        secrets.push(keys.clone());
    }
    for one in [
        Write::PutIndividual(scope.clone(), Box::new(individual), Expect::Absent),
        Write::PutIndividual(scope.clone(), Box::new(renewed), Expect::Present),
        Write::PutGroup(scope.clone(), Box::new(group), Expect::Absent),
        Write::PutOperation(Box::new(operation)),
    ] {
        write_by_operator(&store, Change::of(one)).await;
    }
    let (hub, device, module) = (hub("Hub.example"), device("dev"), module("dev", "mod"));
    secrets.extend(hub.policies.iter().map(|policy| policy.keys.clone()));
    for authentication in [&device.authentication, &module.authentication] {
        if let DeviceAuthentication::Sas(keys) = authentication {
            secrets.push(keys.clone());
        }
    }
    let name = hub.host_name.clone();
    for one in [
        HubWrite::PutHub(Box::new(hub), HubExpect::Absent),
        HubWrite::PutDevice(name.clone(), Box::new(device), HubExpect::Absent),
        HubWrite::PutModule(name.clone(), Box::new(module), HubExpect::Absent),
    ] {
        write_by_operator(&store, Change::of_hub(vec![one])).await;
    }
    assert_eq!(store.hubs().await.expect("reads").len(), 1);

    assert_eq!(secrets.len(), 2 + 2 + 1 + 1 + 5 + 2);
    let all = Search {
        limit: 100,
        ..Search::default()
    };
    // The audit trail tells of all of them.
    assert_eq!(store.audit(&all).await.expect("reads").len(), 6);
    let while_open = bytes_in(folder.path());
    store.close().await;
    for bytes in [while_open, bytes_in(folder.path())] {
        assert!(bytes.len() > 8192, "there is something to search");
        // The search finds what does stand there.
        assert!(bytes.windows(10).any(|window| window == b"2021-10-01"));
        for key in secrets
            .iter()
            .flat_map(|pair| [&pair.primary, &pair.secondary])
        {
            assert_hidden(&bytes, key.bytes(), "a key");
            assert_hidden(
                &bytes,
                STANDARD.encode(key.bytes()).as_bytes(),
                "a key in base64",
            );
            let bare = STANDARD_NO_PAD.encode(key.bytes());
            assert_hidden(&bytes, bare.as_bytes(), "a key in bare base64");
        }
        assert_hidden(&bytes, b"code=hush", "the key in a webhook's address");
        assert_hidden(&bytes, sealing_key().bytes(), "the sealing key");
    }
}

#[tokio::test]
async fn a_key_moved_to_another_row_does_not_open() {
    let folder = Folder::new();
    let store = folder.open();
    let samples = Samples::new(&Drawn);
    let scope = with_service(&store).await;
    let (victim, thief) = (samples.individual("victim"), samples.individual("thief"));
    for one in [&victim, &thief] {
        let put = Write::PutIndividual(scope.clone(), Box::new(one.clone()), Expect::Absent);
        write(&store, put).await.expect("kept");
    }
    rusqlite::Connection::open(folder.database())
        .expect("SQLite opens it")
        .execute(
            "UPDATE individual_enrollments SET secrets =
               (SELECT secrets FROM individual_enrollments WHERE key = 'victim')
             WHERE key = 'thief'",
            [],
        )
        .expect("moved");
    let refused = store.individual(&scope, &thief.registration_id).await;
    let error = refused.expect_err("not opened").0;
    assert!(error.contains("belongs to another row"), "{error}");
    let kept = store.individual(&scope, &victim.registration_id).await;
    assert_eq!(kept, Ok(Some(victim)));
}
