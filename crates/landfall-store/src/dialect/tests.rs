//! Every read is answered from an index, in its order, without a sort.

use landfall_core::attestation::AttestationKind;
use landfall_core::audit::{Action, Place, Position, Search};
use landfall_core::clock::Timestamp;
use landfall_core::id::{
    CertificateName, DeviceId, EnrollmentGroupId, HubHostName, IdScope, ModuleId, OperationId,
    PolicyName, RegistrationId, TrackingId,
};
use landfall_core::query::{IndexedTerm, Literal, Path as TermPath};
use landfall_core::store::Selection;
use landfall_hub::endpoint::Endpoint;
use landfall_hub::store::HubSelection;

use super::*;
use crate::{
    audit, certificates, devices, enrollments, hubs, messages, migrate, operations, registrations,
    services, sessions, traces,
};

fn plan<T>(session: &Session, read: &Read<'_, T>) -> String {
    let sql = format!("EXPLAIN QUERY PLAN {}", read.sql);
    let steps = session
        .every(&sql, &read.values, |row| row.text(3).map(str::to_owned))
        .expect("a plan");
    format!("{steps:?} for {}", read.sql)
}

fn term(path: &[&str], value: Literal) -> IndexedTerm {
    IndexedTerm {
        path: TermPath(path.iter().map(|&name| name.to_owned()).collect()),
        value,
    }
}

fn text(value: &str) -> Literal {
    Literal::Text(value.to_owned())
}

fn selections() -> Vec<Selection> {
    let tag = |name| term(&["initialTwin", "tags", name], text("x"));
    [
        vec![],
        vec![term(&["registrationId"], text("x"))],
        vec![term(&["provisioningStatus"], text("enabled"))],
        vec![term(&["attestation", "type"], text("tpm"))],
        vec![term(&["allocationPolicy"], text("static"))],
        vec![tag("a")],
        vec![
            tag("a"),
            tag("b"),
            term(&["provisioningStatus"], text("enabled")),
        ],
    ]
    .into_iter()
    .map(|terms| Selection {
        terms,
        after: Some("a".to_owned()),
        limit: 100,
    })
    .collect()
}

fn hub_selections() -> Vec<HubSelection> {
    let tag = |name| term(&["tags", name], text("x"));
    [
        vec![],
        vec![term(&["deviceId"], text("x"))],
        vec![term(&["status"], text("disabled"))],
        vec![term(&["capabilities", "iotEdge"], Literal::Bool(true))],
        vec![tag("a")],
        vec![tag("a"), tag("b"), term(&["status"], text("enabled"))],
    ]
    .into_iter()
    .map(|terms| HubSelection {
        terms,
        after: Some(("a".to_owned(), "b".to_owned())),
        limit: 100,
    })
    .collect()
}

#[test]
fn every_read_is_answered_from_an_index() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let session =
        Sqlite::writing(&folder.path().join("plans.db"), Durability::Disk).expect("opens");
    migrate::migrate(&session, Timestamp::from_unix_seconds(1), || Ok(())).expect("the schema");
    let scope = IdScope::parse("0neA").expect("a scope");
    let hub = HubHostName::parse("hub.example").expect("a hub");
    let registration = RegistrationId::parse("dev").expect("an id");
    let group = EnrollmentGroupId::parse("g").expect("an id");
    let device = DeviceId::parse("dev").expect("an id");
    let module = ModuleId::parse("m").expect("an id");
    let operation = OperationId::parse("op").expect("an id");
    let certificate = CertificateName::parse("root").expect("a name");
    let tracking = TrackingId::parse("t").expect("an id");

    let mut plans = vec![
        plan(&session, &services::one(&scope)),
        plan(&session, &enrollments::individual(&scope, &registration)),
        plan(&session, &enrollments::group(&scope, &group)),
        plan(
            &session,
            &enrollments::groups_by_kind(&scope, AttestationKind::X509),
        ),
        plan(&session, &certificates::all(&scope)),
        plan(&session, &certificates::one(&scope, &certificate)),
        plan(&session, &registrations::one(&scope, &registration)),
        plan(&session, &operations::one(&scope, &operation)),
        plan(&session, &traces::one(&tracking)),
        plan(&session, &traces::of_registration(&scope, "dev", 10)),
        plan(&session, &hubs::one(&hub)),
        plan(&session, &devices::device(&hub, &device, Timestamp::NEVER)),
        plan(
            &session,
            &devices::module(&hub, &device, &module, Timestamp::NEVER),
        ),
        plan(
            &session,
            &devices::modules_of(&hub, &device, Timestamp::NEVER),
        ),
    ];
    let endpoint = Endpoint::device(device.clone());
    plans.push(plan(
        &session,
        &messages::after(&hub, &endpoint, 5, Timestamp::NEVER, 10),
    ));
    plans.push(plan(&session, &sessions::one(&hub, &endpoint)));
    plans.push(plan(&session, &sessions::connected(&hub)));
    for selection in &selections() {
        plans.push(plan(&session, &enrollments::individuals(&scope, selection)));
        plans.push(plan(&session, &enrollments::groups(&scope, selection)));
        plans.push(plan(
            &session,
            &registrations::of_group(&scope, &group, selection),
        ));
    }
    for selection in &hub_selections() {
        plans.push(plan(
            &session,
            &devices::devices(&hub, selection, Timestamp::NEVER),
        ));
        plans.push(plan(
            &session,
            &devices::modules(&hub, selection, Timestamp::NEVER),
        ));
    }
    for plan in &plans {
        assert!(plan.contains("SEARCH"), "{plan}");
        assert!(!plan.contains("SCAN"), "{plan}");
        assert!(!plan.contains("TEMP B-TREE"), "{plan}");
    }

    // Walks that a bound or a partial index keeps short.
    let unfinished = plan(&session, &operations::unfinished(10));
    assert!(unfinished.contains("operations_unfinished"), "{unfinished}");
    assert!(!unfinished.contains("TEMP B-TREE"), "{unfinished}");
    let counts = plan(&session, &hubs::counts(&hub));
    assert!(counts.contains("devices_disabled"), "{counts}");
    let [_, _, disabled, edge, ..] = &hub_selections()[..] else {
        panic!("the third and fourth selections are the rare ones");
    };
    for (selection, index) in [(disabled, "devices_disabled"), (edge, "devices_edge")] {
        let plan = plan(
            &session,
            &devices::devices(&hub, selection, Timestamp::NEVER),
        );
        assert!(plan.contains(index), "{plan}");
    }
}

#[test]
fn a_search_of_the_audit_trail_walks_by_its_leading_term() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let session =
        Sqlite::writing(&folder.path().join("plans.db"), Durability::Disk).expect("opens");
    session
        .execute_script(include_str!("../../migrations/sqlite/0002_audit.sql"))
        .expect("a schema");
    let scope = IdScope::parse("0neA").expect("a scope");
    let hub = HubHostName::parse("hub.example").expect("a hub");
    let whole = Search {
        id: Some("dev".to_owned()),
        place: Some(Place::Service(scope)),
        policy: PolicyName::parse("owner").ok(),
        address: "192.0.2.1".parse().ok(),
        action: Some(Action::Delete),
        limit: 100,
        ..Search::default()
    };
    let without_id = Search {
        id: None,
        ..whole.clone()
    };
    let on_hub = Search {
        place: Some(Place::Hub(hub)),
        ..without_id.clone()
    };
    let anywhere = Search {
        place: None,
        ..without_id.clone()
    };
    let by_anybody = Search {
        policy: None,
        ..anywhere.clone()
    };
    let position = Position {
        at: Timestamp::from_unix_seconds(0),
        number: 0,
    };
    let from_anywhere = Search {
        address: None,
        down_to: Some(position),
        ..by_anybody.clone()
    };
    for (search, walked) in [
        (whole, "s USING PRIMARY KEY (key=?)"),
        (without_id, "audit_by_scope"),
        (on_hub, "audit_by_hub"),
        (anywhere, "audit_by_policy"),
        (by_anybody, "audit_by_address"),
        (from_anywhere, "sqlite_autoindex_audit_entries_1"),
    ] {
        let plan = plan(&session, &audit::search(&search));
        let first = plan.split('"').nth(1).unwrap_or_default();
        assert!(first.starts_with("SEARCH"), "{plan}");
        assert!(first.contains(walked), "{plan}");
        assert!(!plan.contains("TEMP B-TREE"), "{plan}");
    }
}

#[test]
fn a_part_that_cannot_be_undone_undoes_its_whole_group() {
    let folder = tempfile::tempdir().expect("a folder");
    let session =
        Sqlite::writing(&folder.path().join("landfall.db"), Durability::Disk).expect("opens");
    session
        .execute_script("CREATE TABLE kept (name TEXT NOT NULL)")
        .expect("a table");
    session.begin(Turn::Alone).expect("begun");
    let outcome = session.whole_or_not_at_all(|| {
        session.execute("INSERT INTO kept (name) VALUES ('half')", &[])?;
        // What there is to go back to is gone.
        session.execute("RELEASE one", &[])?;
        Err::<(), _>(Fault::Orphan)
    });
    assert!(matches!(outcome, Err(Fault::Database(_))), "{outcome:?}");
    assert!(!session.in_group(), "nobody can commit the half");
    let rows = session
        .every("SELECT name FROM kept", &[], |_| Ok(()))
        .expect("reads");
    assert!(rows.is_empty());
}

#[test]
fn a_session_waits_for_the_disk_only_when_it_promised_that() {
    let folder = tempfile::tempdir().expect("a folder");
    for (durability, synchronous) in [(Durability::Disk, 2), (Durability::Process, 0)] {
        let path = folder.path().join(format!("{synchronous}.db"));
        let session = Sqlite::writing(&path, durability).expect("opens");
        let mode = || {
            let read = session.first("PRAGMA synchronous", &[], |row| row.integer(0));
            read.expect("reads").expect("a row")
        };
        assert_eq!(mode(), synchronous);
        session.lazily(|| Ok(())).expect("carried out");
        assert_eq!(mode(), synchronous);
    }
}
