//! Databases that earlier builds made are brought up to date and read whole. The fixtures are made by
//! `fixtures/make.py`, each with the last build of its schema.

#![expect(
    clippy::expect_used,
    reason = "a fixture that cannot be read ends the test"
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use landfall_core::attestation::AttestationMechanism;
use landfall_core::audit::Search;
use landfall_core::clock::Timestamp;
use landfall_core::id::{DeviceId, HubHostName, IdScope, RegistrationId};
use landfall_core::store::{Change, Expect, Selection, Store, Write};
use landfall_hub::device::DeviceAuthentication;
use landfall_hub::endpoint::Endpoint;
use landfall_hub::event::EventLimit;
use landfall_hub::store::{HubSelection, HubStore};
use landfall_store::SqlStore;
use landfall_store::secret::SealingKey;
use rusqlite::Connection;
use serde_json::Value;

use crate::fixture::{Drawn, Folder, Ticking, write_by_operator};

/// The fixtures, and the version of each one's schema.
const SCHEMAS: [(&str, i64); 4] = [
    ("schema-1", 1),
    ("schema-2", 2),
    ("schema-3", 3),
    ("schema-4", 4),
];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

fn facts(schema: &str) -> Value {
    let text = std::fs::read(fixture(schema).join("facts.json")).expect("facts");
    serde_json::from_slice(&text).expect("JSON")
}

/// Loads a fixture into a folder, as the build that made it left it.
fn load(folder: &Folder, schema: &str) {
    let statements = std::fs::read_to_string(fixture(schema).join("landfall.sql"));
    let raw = Connection::open(folder.database()).expect("SQLite opens it");
    // The statements name tables before they make them.
    raw.pragma_update(None, "foreign_keys", false)
        .and_then(|()| raw.execute_batch(&statements.expect("a fixture")))
        .expect("statements");
}

fn opened(folder: &Folder, schema: &str) -> SqlStore {
    let text = std::fs::read_to_string(fixture(schema).join("sealing.key")).expect("a key");
    let key = STANDARD.decode(text.trim()).expect("base64");
    SqlStore::sqlite(
        folder.database(),
        SealingKey::from_bytes(&key).expect("32 bytes"),
        Arc::new(Ticking::default()),
        Arc::new(Drawn),
    )
    .expect("brought up to date")
}

#[tokio::test]
async fn a_database_of_an_earlier_schema_is_read_whole() {
    for (schema, version) in SCHEMAS {
        read_whole(schema, version).await;
    }
}

async fn read_whole(schema: &str, version: i64) {
    let folder = Folder::new();
    load(&folder, schema);
    let facts = facts(schema);
    assert_eq!(facts["schema"], version);
    let store = opened(&folder, schema);
    let count = |table: &str| facts["counts"][table].as_u64().expect("a count");
    let len = |items: usize| items as u64;
    let all = Selection {
        limit: 100,
        ..Selection::default()
    };

    let services = store.services().await.expect("services");
    assert_eq!(len(services.len()), count("services"));
    let scope = &services[0].id_scope;
    assert_eq!(
        *scope,
        IdScope::parse(text(&facts, "idScope")).expect("valid")
    );
    let owner = &services[0].policies[0].keys.primary;
    assert_eq!(owner.to_base64().as_str(), text(&facts, "serviceKey"));

    let individuals = store.individuals(scope, &all).await.expect("enrollments");
    assert_eq!(len(individuals.len()), count("individual_enrollments"));
    let by_key = individuals
        .iter()
        .find(|e| e.registration_id.as_str() == "by-key");
    let AttestationMechanism::SymmetricKey(keys) = &by_key.expect("there").attestation else {
        panic!("it has keys");
    };
    assert_eq!(keys.primary.to_base64().as_str(), text(&facts, "key"));
    let groups = store.groups(scope, &all).await.expect("groups");
    assert_eq!(len(groups.len()), count("enrollment_groups"));
    let webhook = groups
        .iter()
        .find_map(|g| g.terms.custom_allocation.as_ref());
    let address = &webhook.expect("one has a webhook").webhook_url;
    assert_eq!(address, "https://example.org/hook?code=hush");
    let certificates = store.certificates(scope).await.expect("certificates");
    assert_eq!(len(certificates.len()), count("ca_certificates"));
    for id in ["by-key", "of-open"] {
        let id = RegistrationId::parse(id).expect("valid");
        let registration = store.registration(scope, &id).await.expect("reads");
        assert!(registration.expect("there").assignment.is_some());
    }
    assert_eq!(store.unfinished_operations(9).await.expect("reads"), []);
    let traces = store.traces_of(scope, "by-key", 9).await.expect("traces");
    assert!(!traces.is_empty());

    let hub = HubHostName::parse(text(&facts, "hub")).expect("valid");
    let every = HubSelection {
        limit: 100,
        ..HubSelection::default()
    };
    let devices = store.devices(&hub, &every).await.expect("devices");
    assert_eq!(len(devices.len()), count("devices"));
    assert!(
        devices
            .iter()
            .all(|d| matches!(d.authentication, DeviceAuthentication::Sas(_)))
    );
    let modules = store.modules(&hub, &every).await.expect("modules");
    assert_eq!(len(modules.len()), count("modules"));
    if version >= 4 {
        assert!(count("hub_events") > 0 && count("hub_messages") > 0 && count("hub_sessions") > 0);
        read_what_devices_did(&store, &hub, &facts).await;
    }
}

async fn read_what_devices_did(store: &SqlStore, hub: &HubHostName, facts: &Value) {
    let limit = EventLimit {
        events: 100,
        bytes: usize::MAX,
    };
    let events = store.events_after(hub, 0, limit).await.expect("events");
    let events = i64::try_from(events.len()).expect("a few");
    assert_eq!(Some(events), facts["counts"]["hub_events"].as_i64());
    let talker = Endpoint::device(DeviceId::parse("talker").expect("valid"));
    let waiting = store.messages(hub, &talker, 0, Timestamp::NEVER, 100).await;
    let bodies = waiting.expect("messages").into_iter().map(|one| one.body);
    assert_eq!(bodies.collect::<Vec<_>>(), [b"turn on"]);
    let session = store.session(hub, &talker).await.expect("reads");
    assert_eq!(session.expect("a session").subscriptions.len(), 1);
}

#[tokio::test]
async fn what_an_earlier_schema_lacked_is_there_and_empty_and_then_used() {
    let folder = Folder::new();
    load(&folder, "schema-1");
    let store = opened(&folder, "schema-1");
    let all = Search {
        limit: 100,
        ..Search::default()
    };
    assert_eq!(store.audit(&all).await.expect("reads"), []);
    let mut service = store.services().await.expect("services").remove(0);
    service.host_name = "renamed.example".to_owned();
    let put = Write::PutService(Box::new(service), Expect::Present);
    write_by_operator(&store, Change::of(put)).await;
    assert_eq!(store.audit(&all).await.expect("reads").len(), 1);
    let late = Timestamp::from_unix_seconds(2_000_000_000);
    assert_eq!(store.purge_audit(late, 10).await, Ok(1));
}

#[tokio::test]
async fn an_upgrade_adds_and_takes_nothing_away() {
    for (schema, _) in SCHEMAS {
        compare(schema).await;
    }
}

async fn compare(schema: &str) {
    let folder = Folder::new();
    load(&folder, schema);
    let facts = facts(schema);
    opened(&folder, schema).close().await;
    let raw = Connection::open(folder.database()).expect("SQLite opens it");
    for (table, before) in facts["counts"].as_object().expect("counts") {
        let after: i64 = raw
            .query_row(&format!("SELECT COUNT(*) FROM {table}"), [], |row| {
                row.get(0)
            })
            .expect("the table is still there");
        let steps = 6 - facts["schema"].as_i64().expect("a version");
        let added = if table == "schema_versions" { steps } else { 0 };
        assert_eq!(Some(after), before.as_i64().map(|n| n + added), "{table}");
    }
}

fn text<'a>(facts: &'a Value, name: &str) -> &'a str {
    facts[name].as_str().expect("a text")
}
