//! Backups: everything comes back, of one moment, and whatever is not whole or does not fit is
//! refused without a trace.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a backup that cannot be made ends the test"
)]

use std::io::{self, BufReader};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use landfall_core::attestation::AttestationMechanism;
use landfall_core::clock::Timestamp;
use landfall_core::conformance::Samples;
use landfall_core::id::{DeviceId, RegistrationId};
use landfall_core::linked_hub::Manner;
use landfall_core::registration::Substatus;
use landfall_core::registration::operation::Progress;
use landfall_core::store::{Change, Expect, Store, Write};
use landfall_core::trace::DecisionTrace;
use landfall_hub::endpoint::Endpoint;
use landfall_hub::kept_session::NewSession;
use landfall_hub::store::{HubExpect, HubStore, HubWrite};
use landfall_store::dump::{
    BackupError, Database, RestoreError, Restored, Rows, Traces, backup, restore,
};
use landfall_store::secret::SealingKey;
use landfall_store::{PostgresUrl, SqlStore};

use crate::fixture::{
    Drawn, Folder, Ticking, hub_write, sealing_key, with_service, write, write_by_operator,
};
use crate::hub::{device, event, hub, message, module};
use crate::postgres;

const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

fn backed_up(database: &Path, traces: Traces) -> (Vec<u8>, Rows) {
    let mut bytes = Vec::new();
    let made =
        backup(Database::Sqlite(database), &mut bytes, NOW, "1.2.3", traces).expect("backed up");
    (bytes, made.rows)
}

fn restored(bytes: &[u8], database: &Path, key: &SealingKey) -> Result<Restored, RestoreError> {
    let clock = Ticking::default();
    restore(
        &mut BufReader::with_capacity(100, bytes),
        Database::Sqlite(database),
        key,
        &clock,
        Arc::new(Drawn),
    )
}

/// Why `bytes` are refused; nothing may be left of the attempt.
fn refused(bytes: &[u8]) -> RestoreError {
    refused_with(bytes, &sealing_key())
}

fn refused_with(bytes: &[u8], key: &SealingKey) -> RestoreError {
    let folder = Folder::new();
    let error = restored(bytes, &folder.database(), key).expect_err("refused");
    let left = std::fs::read_dir(folder.path()).expect("a folder").count();
    assert_eq!(left, 0, "{error} leaves something");
    error
}

/// Puts at least one row into every table.
async fn fill(store: &SqlStore) {
    let samples = Samples::new(&Drawn);
    let scope = with_service(store).await;
    let group = AttestationMechanism::SymmetricKey(samples.keys());
    let progress = Progress::Allocated(
        Box::new(samples.admission("dev")),
        Box::new(samples.placement(Manner::Create)),
        Substatus::InitialAssignment,
    );
    let operation = samples.operation(&scope, "dev", progress, 0);
    let by_certificate = samples.individual_by("leaf", samples.client(false));
    for one in [
        Write::PutIndividual(
            scope.clone(),
            Box::new(samples.individual("dev")),
            Expect::Absent,
        ),
        Write::PutIndividual(scope.clone(), Box::new(by_certificate), Expect::Absent),
        Write::PutGroup(
            scope.clone(),
            Box::new(samples.group("g", group)),
            Expect::Absent,
        ),
        Write::PutCertificate(
            scope.clone(),
            Box::new(samples.ca("ca", false)),
            Expect::Absent,
        ),
        Write::PutRegistration(
            scope.clone(),
            Box::new(samples.registration("dev", Some("g"))),
            Expect::Absent,
        ),
        Write::PutOperation(Box::new(operation)),
    ] {
        write(store, one).await.expect("kept");
    }
    let hub = hub("hub.example");
    let name = hub.host_name.clone();
    for one in [
        HubWrite::PutHub(Box::new(hub), HubExpect::Absent),
        HubWrite::PutDevice(name.clone(), Box::new(device("dev")), HubExpect::Absent),
        HubWrite::AppendEvent(name.clone(), Box::new(event("dev"))),
        HubWrite::Enqueue(
            name.clone(),
            Endpoint::device(DeviceId::parse("dev").expect("an id")),
            Box::new(message()),
        ),
        HubWrite::OpenSession(
            name.clone(),
            Endpoint::device(DeviceId::parse("dev").expect("an id")),
            NewSession {
                opened: NOW,
                clean: false,
            },
        ),
    ] {
        hub_write(store, one).await.expect("kept");
    }
    let module = HubWrite::PutModule(name, Box::new(module("dev", "mod")), HubExpect::Absent);
    write_by_operator(store, Change::of_hub(vec![module])).await;
    let trace = DecisionTrace {
        tracking_id: samples.tracking_id(),
        id_scope: Some(scope),
        registration_id: "dev".to_owned(),
        operation: None,
        action: "register".to_owned(),
        protocol: "https".to_owned(),
        peer: "192.0.2.1:5".to_owned(),
        started: NOW,
        stages: Vec::new(),
        outcome: "assigned".to_owned(),
        finding: None,
    };
    store
        .keep_traces(vec![trace], Timestamp::from_unix_seconds(0), 100)
        .await
        .expect("kept");
}

#[tokio::test]
async fn everything_comes_back_and_nothing_else() {
    let folder = Folder::new();
    let store = folder.open();
    fill(&store).await;
    // The server runs on; what it keeps is in the log beside the database.
    let (bytes, rows) = backed_up(&folder.database(), Traces::Kept);
    for (table, count) in &rows {
        assert!(
            *count > 0,
            "no row of {table} was made: the test shows nothing of it"
        );
    }

    // How tests/it/backups were made, each by the last build with its schema version.
    if let Some(keep) = std::env::var_os("LANDFALL_STORE_TEST_KEEP_BACKUP") {
        std::fs::write(keep, &bytes).expect("written");
    }
    let other = Folder::new();
    let restored = restored(&bytes, &other.database(), &sealing_key()).expect("restored");
    assert_eq!(restored.rows, rows);
    let (again, _) = backed_up(&other.database(), Traces::Kept);
    assert!(bytes == again, "a backup of what was restored is another");

    let copy = other.open();
    let services = copy.services().await.expect("reads");
    assert_eq!(services, store.services().await.expect("reads"));
    assert_eq!(copy.hubs().await, store.hubs().await, "with their keys");
    fill_more(&copy).await;
}

#[tokio::test]
async fn a_backup_of_an_older_schema_is_brought_up_to_date() {
    let bytes = include_bytes!("backups/schema-1.backup");
    let folder = Folder::new();
    let restored = restored(bytes, &folder.database(), &sealing_key()).expect("restored");
    assert_eq!(restored.header.schema_version, 1);
    let (again, rows) = backed_up(&folder.database(), Traces::Kept);
    let again = String::from_utf8(again).expect("text");
    assert_eq!(schema_of(&again), restored.schema.to_string());
    for (table, count) in restored.rows {
        assert_eq!(rows.get(&table), Some(&count), "{table}");
    }

    let store = folder.open();
    let scope = store.services().await.expect("reads")[0].id_scope.clone();
    let id = RegistrationId::parse("dev").expect("an id");
    let individual = store.individual(&scope, &id).await.expect("opens");
    assert!(individual.is_some());
    let registration = store.registration(&scope, &id).await.expect("reads");
    assert!(registration.is_some());
    assert_eq!(
        store.unfinished_operations(9).await.expect("opens").len(),
        1
    );
    let hubs = store.hubs().await.expect("opens");
    let device = DeviceId::parse("dev").expect("an id");
    let device = store.device(&hubs[0].host_name, &device).await;
    assert!(device.expect("opens").is_some());
    fill_more(&store).await;
}

/// What was restored takes more.
async fn fill_more(store: &SqlStore) {
    let scope = with_service(store).await;
    let one = Samples::new(&Drawn).registration("later", None);
    write(
        store,
        Write::PutRegistration(scope, Box::new(one), Expect::Absent),
    )
    .await
    .expect("kept");
}

#[tokio::test]
async fn a_backup_is_of_one_moment() {
    let folder = Folder::new();
    let store = Arc::new(folder.open());
    let scope = with_service(&store).await;
    let hub = hub("hub.example");
    let name = hub.host_name.clone();
    hub_write(&store, HubWrite::PutHub(Box::new(hub), HubExpect::Absent))
        .await
        .expect("a hub");
    let done = Arc::new(AtomicBool::new(false));
    let writing = tokio::spawn({
        let (store, done) = (Arc::clone(&store), Arc::clone(&done));
        async move {
            let samples = Samples::new(&Drawn);
            let mut made = 0;
            while !done.load(Ordering::Relaxed) {
                let id = format!("dev-{made}");
                let registration = samples.registration(&id, None);
                let mut change = Change::of(Write::PutRegistration(
                    scope.clone(),
                    Box::new(registration),
                    Expect::Absent,
                ));
                change.hub_writes.push(HubWrite::PutDevice(
                    name.clone(),
                    Box::new(device(&id)),
                    HubExpect::Absent,
                ));
                assert_eq!(store.commit(vec![change]).await, [Ok(())]);
                made += 1;
            }
            made
        }
    });
    let path = folder.database();
    let sizes = tokio::task::spawn_blocking(move || {
        let mut sizes = Vec::new();
        while sizes.len() < 20 || sizes.last() < Some(&20) {
            assert!(sizes.len() < 10_000, "nothing is written: {sizes:?}");
            let (bytes, rows) = backed_up(&path, Traces::Kept);
            assert_eq!(rows.get("registrations"), rows.get("devices"), "torn");
            let other = Folder::new();
            restored(&bytes, &other.database(), &sealing_key()).expect("restored");
            sizes.push(rows.get("devices").copied().unwrap_or(0));
        }
        sizes
    })
    .await
    .expect("no panic");
    done.store(true, Ordering::Relaxed);
    let made: u64 = writing.await.expect("no panic");
    assert!(sizes.is_sorted(), "{sizes:?}");
    assert!(
        sizes.first() < sizes.last(),
        "nothing was written meanwhile"
    );
    assert!(sizes.last() <= Some(&made));
}

#[tokio::test]
async fn what_was_cut_or_changed_anywhere_is_refused() {
    let folder = Folder::new();
    let store = folder.open();
    fill(&store).await;
    store.close().await;
    let (bytes, _) = backed_up(&folder.database(), Traces::Kept);
    let step = bytes.len() / 60;
    for at in (0..bytes.len()).step_by(step) {
        refused(&bytes[..at]);
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        refused(&changed);
    }
    let last = bytes.len() - 1;
    assert!(matches!(refused(&bytes[..last]), RestoreError::Cut(_)));
    let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    let without = |at: usize| [&lines[..at], &lines[at + 1..]].concat().concat();
    // Every line counts, wherever it stands.
    for at in 0..lines.len() {
        refused(&without(at));
    }
    let twice = [&bytes[..], lines[lines.len() - 1]].concat();
    for more in [twice, [&bytes[..], b"x"].concat()] {
        assert!(refused(&more).to_string().contains("more after the last"));
    }
}

#[tokio::test]
async fn a_line_too_long_is_not_taken_for_a_backup_that_was_cut_off() {
    let folder = Folder::new();
    folder.open().close().await;
    let (bytes, _) = backed_up(&folder.database(), Traces::Kept);
    let end = bytes.iter().position(|byte| *byte == b'\n').expect("lines") + 1;
    let mut long = bytes[..end].to_vec();
    long.resize(end + (64 << 20) + 1, b'x');
    let said = refused(&long).to_string();
    assert!(said.contains("line 2") && said.contains("longer"), "{said}");
}

#[tokio::test]
async fn what_does_not_fit_is_refused_and_named() {
    let folder = Folder::new();
    folder.open().close().await;
    let (bytes, _) = backed_up(&folder.database(), Traces::Kept);
    let text = String::from_utf8(bytes.clone()).expect("text");
    let with = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        refused(text.replacen(from, to, 1).as_bytes())
    };
    assert!(matches!(refused(b""), RestoreError::NoBackup));
    assert!(matches!(refused(b"{\"a\":1}\n"), RestoreError::NoBackup));
    assert!(matches!(
        with("\"formatVersion\":1", "\"formatVersion\":2"),
        RestoreError::NewerFormat { found: 2, .. }
    ));
    let schema = format!("\"schemaVersion\":{}", schema_of(&text));
    assert!(matches!(
        with(&schema, "\"schemaVersion\":99"),
        RestoreError::NewerSchema { found: 99, .. }
    ));
    let named = |error: RestoreError, word: &str| {
        let text = error.to_string();
        assert!(
            text.starts_with("line 2 of the backup: ") && text.contains(word),
            "{text}"
        );
    };
    named(
        with("{\"table\":\"store_facts\"", "{\"table\":\"store_fables\""),
        "'store_fables'",
    );
    named(
        with("\"row\":{\"name\":", "\"row\":{\"colour\":1,\"name\":"),
        "'colour'",
    );
    named(
        with("\"row\":{\"name\":\"key check\",", "\"row\":{"),
        "column name",
    );
    named(
        with("\"row\":{\"name\":\"key check\"", "\"row\":{\"name\":7"),
        "no text",
    );
    named(
        with(
            "{\"table\":\"store_facts\"",
            "{\"row\":{},\"table\":\"store_facts\"",
        ),
        "column",
    );
    let orphan = "{\"table\":\"registrations\",\"row\":{\"scope\":\"0neX\",\"key\":\"a\",\
                  \"etag\":\"e\",\"group_key\":\"\",\"record\":\"{}\"}}\n{\"table\":\"store_facts\"";
    named(with("{\"table\":\"store_facts\"", orphan), "is not there");

    let other = refused_with(&bytes, &SealingKey::generate(&Drawn));
    assert!(
        matches!(other, RestoreError::WrongSealingKey { .. }),
        "{other:?}"
    );
}

fn schema_of(text: &str) -> String {
    let (_, rest) = text.split_once("\"schemaVersion\":").expect("a version");
    rest.chars().take_while(char::is_ascii_digit).collect()
}

#[tokio::test]
async fn a_folder_with_a_database_is_left_alone_and_an_interrupted_attempt_is_cleared() {
    let folder = Folder::new();
    let store = folder.open();
    fill(&store).await;
    store.close().await;
    let (bytes, _) = backed_up(&folder.database(), Traces::Kept);
    let before = std::fs::read(folder.database()).expect("there");
    let occupied = restored(&bytes, &folder.database(), &sealing_key()).expect_err("refused");
    assert!(
        matches!(occupied, RestoreError::Occupied(_)),
        "{occupied:?}"
    );
    assert_eq!(std::fs::read(folder.database()).expect("there"), before);

    let other = Folder::new();
    let draft = other.path().join("landfall.db.restoring");
    std::fs::write(&draft, "half a database").expect("written");
    restored(&bytes, &other.database(), &sealing_key()).expect("restored");
    assert!(!draft.exists());
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(other.database())
        .expect("there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o077, 0, "{mode:o}");
    other.open().ready().await.expect("ready");
}

#[tokio::test]
async fn traces_are_left_out_when_asked_and_no_key_stands_in_the_file() {
    let folder = Folder::new();
    let store = folder.open();
    fill(&store).await;
    let (bytes, rows) = backed_up(&folder.database(), Traces::LeftOut);
    assert_eq!(rows.get("traces"), Some(&0));
    assert!(rows.get("registrations") > Some(&0));
    let other = Folder::new();
    let restored = restored(&bytes, &other.database(), &sealing_key()).expect("restored");
    assert_eq!(restored.header.left_out, ["traces"]);
    let text = String::from_utf8(bytes).expect("text");
    for service in store.services().await.expect("reads") {
        for policy in service.policies {
            assert!(!text.contains(&*policy.keys.primary.to_base64()));
        }
    }
    assert!(
        text.contains("2021-10-01"),
        "the search finds what is there"
    );
}

#[tokio::test]
async fn what_cannot_be_read_or_written_is_said() {
    let folder = Folder::new();
    let missing = backup(
        Database::Sqlite(&folder.database()),
        &mut Vec::new(),
        NOW,
        "1",
        Traces::Kept,
    );
    assert!(matches!(missing, Err(BackupError::Unavailable { .. })));
    assert!(!folder.database().exists(), "none is made");
    folder.open().close().await;
    struct Full;
    impl io::Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let full = backup(
        Database::Sqlite(&folder.database()),
        &mut Full,
        NOW,
        "1",
        Traces::Kept,
    );
    match full {
        Err(BackupError::Output(error)) => assert_eq!(error.kind(), io::ErrorKind::StorageFull),
        other => panic!("{other:?}"),
    }
    rusqlite::Connection::open(folder.database())
        .expect("opens")
        .execute(
            "INSERT INTO schema_versions (version, applied) VALUES (99, 0)",
            [],
        )
        .expect("a step from the future");
    let newer = backup(
        Database::Sqlite(&folder.database()),
        &mut io::sink(),
        NOW,
        "1",
        Traces::Kept,
    );
    assert!(matches!(
        newer,
        Err(BackupError::NewerSchema { found: 99, .. })
    ));
}

/// Does what waits for PostgreSQL, on a thread that may.
async fn waiting<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("no panic")
}

async fn restored_into(bytes: &[u8], url: &str) -> Result<Restored, RestoreError> {
    let (bytes, url) = (bytes.to_vec(), PostgresUrl::parse(url).expect("a URL"));
    waiting(move || {
        restore(
            &mut BufReader::with_capacity(100, &*bytes),
            Database::Postgres(&url),
            &sealing_key(),
            &Ticking::default(),
            Arc::new(Drawn),
        )
    })
    .await
}

async fn backed_up_from(url: &str) -> Vec<u8> {
    let url = PostgresUrl::parse(url).expect("a URL");
    waiting(move || {
        let mut bytes = Vec::new();
        let database = Database::Postgres(&url);
        backup(database, &mut bytes, NOW, "1.2.3", Traces::Kept).expect("backed up");
        bytes
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_moves_to_postgresql_and_back_byte_for_byte() {
    for server in postgres::servers() {
        let folder = Folder::new();
        let store = folder.open();
        fill(&store).await;
        let (bytes, rows) = backed_up(&folder.database(), Traces::Kept);

        let database = postgres::fresh(&server).await;
        let moved = restored_into(&bytes, &database).await.expect("restored");
        assert_eq!(moved.rows, rows);
        let again = backed_up_from(&database).await;
        assert!(bytes == again, "PostgreSQL gives back another backup");
        let copy = postgres::open(&database).await.expect("opens");
        assert_eq!(copy.services().await, store.services().await);
        assert_eq!(copy.hubs().await, store.hubs().await, "with their keys");
        assert_eq!(
            copy.unfinished_operations(9).await.expect("reads").len(),
            1,
            "what was unfinished is continued"
        );
        fill_more(&copy).await;

        let bytes = backed_up_from(&database).await;
        let other = Folder::new();
        restored(&bytes, &other.database(), &sealing_key()).expect("restored");
        let (again, _) = backed_up(&other.database(), Traces::Kept);
        assert!(bytes == again, "SQLite gives back another backup");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_backup_leaves_postgresql_empty_and_a_used_one_is_left_alone() {
    for server in postgres::servers() {
        let folder = Folder::new();
        fill(&folder.open()).await;
        let (bytes, _) = backed_up(&folder.database(), Traces::Kept);
        let database = postgres::fresh(&server).await;
        let cut = &bytes[..bytes.len() * 2 / 3];
        let refused = restored_into(cut, &database).await;
        assert!(refused.is_err(), "{refused:?}");
        restored_into(&bytes, &database)
            .await
            .expect("it is empty still");
        let again = restored_into(&bytes, &database).await;
        assert!(matches!(again, Err(RestoreError::NotEmpty(_))), "{again:?}");
        let older = include_bytes!("backups/schema-1.backup");
        let database = postgres::fresh(&server).await;
        restored_into(older, &database)
            .await
            .expect("brought up to date");
        let store = postgres::open(&database).await.expect("opens");
        assert_eq!(store.services().await.expect("reads").len(), 1);
    }
}
