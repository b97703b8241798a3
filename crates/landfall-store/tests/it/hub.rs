//! Hub records: revisions, what goes along with what, listings and counts.

#![expect(
    clippy::expect_used,
    reason = "a record that cannot be made ends the test"
)]

use landfall_core::clock::Timestamp;
use landfall_core::document::Document;
use landfall_core::id::{DeviceId, Etag, HubHostName, ModuleId};
use landfall_core::query::{IndexedTerm, Literal, Path};
use landfall_core::secret::KeyPair;
use landfall_core::store::{Change, CommitError, Store};
use landfall_hub::device::{Device, DeviceAuthentication, DeviceStatus, Hub, Module, Presence};
use landfall_hub::endpoint::Endpoint;
use landfall_hub::event::{EventKind, EventLimit, HubEvent};
use landfall_hub::kept_session::{KeptSubscription, NewSession};
use landfall_hub::message::{Ack, CloudMessage};
use landfall_hub::policy::default_policies;
use landfall_hub::store::{DeviceCounts, HubAnswer, HubExpect, HubSelection, HubStore, HubWrite};
use landfall_hub::twin::{Twin, TwinSection};
use landfall_store::SqlStore;

use crate::fixture::{Drawn, Folder, hub_write};

const THEN: Timestamp = Timestamp::from_unix_micros(1_657_056_436_812_323);

fn document(text: &str) -> Document {
    Document::parse(text).expect("JSON")
}

pub(crate) fn hub(name: &str) -> Hub {
    Hub {
        host_name: HubHostName::parse(name).expect("a name"),
        policies: default_policies(&Drawn),
        created: THEN,
        revision: 0,
    }
}

fn twin() -> Twin {
    let section = |version| TwinSection {
        properties: document(r#"{ "a" : 1.0 }"#),
        metadata: document(r#"{"$lastUpdated":"2020-01-01T00:00:00Z"}"#),
        version,
    };
    Twin {
        tags: document(r#"{"environment":"test"}"#),
        desired: section(3),
        reported: section(1),
        version: 9,
        etag: Etag::parse("AAAAAAAAAAE=").expect("an etag"),
    }
}

pub(crate) fn device(id: &str) -> Device {
    Device {
        id: DeviceId::parse(id).expect("an id"),
        generation_id: "637".to_owned(),
        etag: Etag::parse("MTIz").expect("an etag"),
        status: DeviceStatus::Enabled,
        status_reason: Some("new \"here\"".to_owned()),
        status_updated: Timestamp::NEVER,
        authentication: DeviceAuthentication::Sas(KeyPair::draw(&Drawn, 32)),
        iot_edge: false,
        device_scope: Some("ms-azure-iot-edge://x".to_owned()),
        parent_scopes: vec!["p".to_owned()],
        twin: twin(),
        presence: Presence::default(),
        created: THEN,
        revision: 1,
    }
}

pub(crate) fn module(device: &str, id: &str) -> Module {
    Module {
        device_id: DeviceId::parse(device).expect("an id"),
        id: ModuleId::parse(id).expect("an id"),
        generation_id: "638".to_owned(),
        etag: Etag::parse("MTI0").expect("an etag"),
        managed_by: Some("IotEdge".to_owned()),
        authentication: DeviceAuthentication::Sas(KeyPair::draw(&Drawn, 32)),
        twin: twin(),
        presence: Presence::default(),
        created: THEN,
        revision: 1,
    }
}

pub(crate) fn event(device: &str) -> HubEvent {
    HubEvent {
        endpoint: Endpoint::device(DeviceId::parse(device).expect("an id")),
        kind: EventKind::Telemetry,
        enqueued: THEN,
        properties: vec![("level".to_owned(), None)],
        body: vec![0, 1, 255],
    }
}

pub(crate) fn message() -> CloudMessage {
    CloudMessage {
        sequence: 0,
        message_id: Some("m-1".to_owned()),
        correlation_id: None,
        user_id: None,
        content_type: None,
        content_encoding: None,
        ack: Ack::Positive,
        enqueued: THEN,
        expires: Timestamp::from_unix_seconds(9_000_000_000),
        delivery_count: 0,
        properties: Vec::new(),
        body: b"\0hello".to_vec(),
    }
}

async fn with_hub(store: &SqlStore) -> HubHostName {
    let hub = hub("Hub.example");
    let name = hub.host_name.clone();
    hub_write(store, HubWrite::PutHub(Box::new(hub), HubExpect::Absent))
        .await
        .expect("a hub");
    name
}

fn put(hub: &HubHostName, device: &Device, expect: HubExpect) -> HubWrite {
    HubWrite::PutDevice(hub.clone(), Box::new(device.clone()), expect)
}

fn put_module(hub: &HubHostName, module: &Module, expect: HubExpect) -> HubWrite {
    HubWrite::PutModule(hub.clone(), Box::new(module.clone()), expect)
}

#[tokio::test]
async fn what_is_put_is_read_back() {
    let folder = Folder::new();
    let store = folder.open();
    let hub = hub("Hub.example");
    let name = hub.host_name.clone();
    hub_write(
        &store,
        HubWrite::PutHub(Box::new(hub.clone()), HubExpect::Absent),
    )
    .await
    .expect("kept");
    let hub = Hub { revision: 1, ..hub };
    assert_eq!(store.hub(&name).await, Ok(Some(hub.clone())));
    assert_eq!(store.hubs().await, Ok(vec![hub]));
    let mut one = device("Dev(1)");
    for authentication in [
        one.authentication.clone(),
        DeviceAuthentication::SelfSigned {
            primary: Some("A".repeat(64)),
            secondary: None,
        },
        DeviceAuthentication::CertificateAuthority,
        DeviceAuthentication::None,
    ] {
        one.authentication = authentication;
        hub_write(&store, put(&name, &one, HubExpect::Anything))
            .await
            .expect("kept");
        assert_eq!(store.device(&name, &one.id).await, Ok(Some(one.clone())));
        one.revision += 1;
    }
    let lower = DeviceId::parse("dev(1)").expect("an id");
    assert_eq!(store.device(&name, &lower).await, Ok(None), "case counts");
    let part = module("Dev(1)", "$edgeAgent");
    hub_write(&store, put_module(&name, &part, HubExpect::Absent))
        .await
        .expect("kept");
    let kept = store.module(&name, &part.device_id, &part.id).await;
    assert_eq!(kept, Ok(Some(part)));
}

#[tokio::test]
async fn revisions_count_writes_and_guard_them() {
    let folder = Folder::new();
    let store = folder.open();
    let hub = with_hub(&store).await;
    let mut one = device("dev");
    one.revision = 77;
    let refused = hub_write(&store, put(&hub, &one, HubExpect::Revision(77))).await;
    assert!(
        matches!(refused, Err(CommitError::Absent(_))),
        "{refused:?}"
    );
    hub_write(&store, put(&hub, &one, HubExpect::Absent))
        .await
        .expect("new");
    let refused = hub_write(&store, put(&hub, &one, HubExpect::Absent)).await;
    assert!(
        matches!(refused, Err(CommitError::Exists(_))),
        "{refused:?}"
    );
    let revision = async || {
        let kept = store.device(&hub, &one.id).await.expect("reads");
        kept.map(|device| device.revision)
    };
    assert_eq!(revision().await, Some(1), "whatever the record says");
    hub_write(&store, put(&hub, &one, HubExpect::Revision(1)))
        .await
        .expect("first");
    let refused = hub_write(&store, put(&hub, &one, HubExpect::Revision(1))).await;
    assert!(
        matches!(refused, Err(CommitError::Changed(_))),
        "{refused:?}"
    );
    hub_write(&store, put(&hub, &one, HubExpect::Anything))
        .await
        .expect("any");
    assert_eq!(revision().await, Some(3));
    let delete = |expect| HubWrite::DeleteDevice(hub.clone(), one.id.clone(), expect);
    let refused = hub_write(&store, delete(HubExpect::Revision(2))).await;
    assert!(
        matches!(refused, Err(CommitError::Changed(_))),
        "{refused:?}"
    );
    hub_write(&store, delete(HubExpect::Revision(3)))
        .await
        .expect("gone");
    hub_write(&store, delete(HubExpect::Anything))
        .await
        .expect("nothing to remove");
    hub_write(&store, put(&hub, &one, HubExpect::Absent))
        .await
        .expect("anew");
    assert_eq!(revision().await, Some(4), "no revision comes back");
}

#[tokio::test]
async fn who_read_a_device_before_it_was_made_anew_cannot_write_over_it() {
    let folder = Folder::new();
    let store = folder.open();
    let hub = with_hub(&store).await;
    let part = module("dev", "m");
    let make = || {
        let writes = vec![
            put(&hub, &device("dev"), HubExpect::Absent),
            put_module(&hub, &part, HubExpect::Absent),
        ];
        store.commit(vec![Change::of_hub(writes)])
    };
    assert_eq!(make().await, [Ok(())]);
    let read = async || {
        let device = store.device(&hub, &part.device_id).await.expect("reads");
        let module = store.module(&hub, &part.device_id, &part.id).await;
        (
            device.expect("a device"),
            module.expect("reads").expect("a module"),
        )
    };
    let delete = HubWrite::DeleteDevice(hub.clone(), part.device_id.clone(), HubExpect::Anything);
    // A device and its modules, then the whole hub.
    for removal in [
        delete,
        HubWrite::DeleteHub(hub.clone(), HubExpect::Anything),
    ] {
        let (slow, slow_part) = read().await;
        hub_write(&store, removal).await.expect("gone");
        if store.hub(&hub).await.expect("reads").is_none() {
            with_hub(&store).await;
        }
        assert_eq!(make().await, [Ok(())]);
        for late in [
            put(&hub, &slow, HubExpect::Revision(slow.revision)),
            put_module(&hub, &slow_part, HubExpect::Revision(slow_part.revision)),
        ] {
            let refused = hub_write(&store, late).await;
            assert!(
                matches!(refused, Err(CommitError::Changed(_))),
                "{refused:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_module_needs_its_device_and_a_device_its_hub() {
    let folder = Folder::new();
    let store = folder.open();
    let hub = with_hub(&store).await;
    let part = module("dev", "m");
    let refused = hub_write(&store, put_module(&hub, &part, HubExpect::Anything)).await;
    assert_eq!(refused, Err(CommitError::Absent("device 'dev'".to_owned())));
    let nowhere = HubHostName::parse("nowhere.example").expect("a name");
    let refused = hub_write(&store, put(&nowhere, &device("dev"), HubExpect::Anything)).await;
    let hub_absent = CommitError::Absent("hub 'nowhere.example'".to_owned());
    assert_eq!(refused, Err(hub_absent));
    // In one change the device comes first, and one refusal undoes both.
    let both = |module_expect| {
        Change::of_hub(vec![
            put(&hub, &device("dev"), HubExpect::Absent),
            put_module(&hub, &part, module_expect),
        ])
    };
    let refused = store.commit(vec![both(HubExpect::Revision(5))]).await;
    assert!(
        matches!(refused[..], [Err(CommitError::Absent(_))]),
        "{refused:?}"
    );
    assert_eq!(store.device_counts(&hub).await, Ok(DeviceCounts::default()));
    assert_eq!(store.commit(vec![both(HubExpect::Absent)]).await, [Ok(())]);
}

#[tokio::test]
async fn modules_and_tags_go_with_their_device_and_all_with_their_hub() {
    let folder = Folder::new();
    let store = folder.open();
    let hub = with_hub(&store).await;
    let (one, two) = (device("one"), device("two"));
    for write in [
        put(&hub, &one, HubExpect::Absent),
        put(&hub, &two, HubExpect::Absent),
        put_module(&hub, &module("one", "a"), HubExpect::Absent),
        put_module(&hub, &module("one", "b"), HubExpect::Absent),
        put_module(&hub, &module("two", "a"), HubExpect::Absent),
    ] {
        hub_write(&store, write).await.expect("kept");
    }
    let ids = async |device: &DeviceId| {
        let modules = store.modules_of(&hub, device).await.expect("reads");
        modules
            .into_iter()
            .map(|m| m.id.as_str().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(&one.id).await, ["a", "b"]);
    hub_write(
        &store,
        HubWrite::DeleteDevice(hub.clone(), one.id.clone(), HubExpect::Anything),
    )
    .await
    .expect("gone");
    assert_eq!(ids(&one.id).await, [""; 0]);
    assert_eq!(ids(&two.id).await, ["a"]);
    // Without its tags it is not found by them when it comes again.
    let mut bare = one.clone();
    bare.twin.tags = document("{}");
    hub_write(&store, put(&hub, &bare, HubExpect::Absent))
        .await
        .expect("anew");
    let tagged = selection(&[term(&["tags", "environment"], text("test"))], None, 10);
    assert_eq!(device_ids(&store, &hub, &tagged).await, ["two"]);
    assert_eq!(module_ids(&store, &hub, &tagged).await, ["two/a"]);
    hub_write(
        &store,
        HubWrite::DeleteHub(hub.clone(), HubExpect::Anything),
    )
    .await
    .expect("gone");
    assert_eq!(store.device(&hub, &two.id).await, Ok(None));
    with_hub(&store).await;
    assert_eq!(
        device_ids(&store, &hub, &selection(&[], None, 10)).await,
        [""; 0]
    );
    assert_eq!(device_ids(&store, &hub, &tagged).await, [""; 0]);
}

#[tokio::test]
async fn listings_page_by_key_and_answer_terms_from_an_index() {
    let folder = Folder::new();
    let store = folder.open();
    let hub = with_hub(&store).await;
    for n in 0..8 {
        let mut one = device(&format!("{}-{n}", if n % 2 == 0 { "Dev" } else { "dev" }));
        one.status = if n < 2 {
            DeviceStatus::Disabled
        } else {
            DeviceStatus::Enabled
        };
        one.iot_edge = n == 3;
        one.twin.tags = document(&format!(r#"{{"floor":{n},"half":{}}}"#, n >= 4));
        hub_write(&store, put(&hub, &one, HubExpect::Absent))
            .await
            .expect("kept");
        for m in ["x", "Y"] {
            let mut part = module(one.id.as_str(), m);
            part.twin.tags = one.twin.tags.clone();
            hub_write(&store, put_module(&hub, &part, HubExpect::Absent))
                .await
                .expect("kept");
        }
    }
    let all = [
        "Dev-0", "Dev-2", "Dev-4", "Dev-6", "dev-1", "dev-3", "dev-5", "dev-7",
    ];
    let plain = |after, limit| selection(&[], after, limit);
    assert_eq!(device_ids(&store, &hub, &plain(None, 100)).await, all);
    let page = plain(Some(("Dev-6", "")), 2);
    assert_eq!(device_ids(&store, &hub, &page).await, ["dev-1", "dev-3"]);
    let page = plain(Some(("Dev-6", "Y")), 2);
    assert_eq!(
        module_ids(&store, &hub, &page).await,
        ["Dev-6/x", "dev-1/Y"]
    );
    let cases: [(Vec<IndexedTerm>, &[&str]); 7] = [
        (vec![term(&["deviceId"], text("dev-5"))], &["dev-5"]),
        (
            vec![term(&["status"], text("Disabled"))],
            &["Dev-0", "dev-1"],
        ),
        (vec![term(&["status"], text("off"))], &[]),
        (
            vec![term(&["capabilities", "iotEdge"], Literal::Bool(true))],
            &["dev-3"],
        ),
        (
            vec![term(&["tags", "floor"], Literal::Number(6.0))],
            &["Dev-6"],
        ),
        (
            vec![
                term(&["tags", "half"], Literal::Bool(true)),
                term(&["tags", "floor"], Literal::Number(5.0)),
                term(&["status"], text("enabled")),
            ],
            &["dev-5"],
        ),
        (vec![term(&["etag"], text("nobody looks"))], &all),
    ];
    for (terms, wanted) in cases {
        let found = device_ids(&store, &hub, &selection(&terms, None, 100)).await;
        assert_eq!(found, wanted, "{terms:?}");
    }
    let half = [term(&["tags", "half"], Literal::Bool(true))];
    let page = selection(&half, Some(("dev-5", "Y")), 2);
    assert_eq!(
        module_ids(&store, &hub, &page).await,
        ["dev-5/x", "dev-7/Y"]
    );
    let counts = store.device_counts(&hub).await;
    assert_eq!(
        counts,
        Ok(DeviceCounts {
            total: 8,
            enabled: 6,
            disabled: 2
        })
    );
}

fn term(path: &[&str], value: Literal) -> IndexedTerm {
    IndexedTerm {
        path: Path(path.iter().map(|&name| name.to_owned()).collect()),
        value,
    }
}

fn text(value: &str) -> Literal {
    Literal::Text(value.to_owned())
}

fn selection(terms: &[IndexedTerm], after: Option<(&str, &str)>, limit: usize) -> HubSelection {
    HubSelection {
        terms: terms.to_vec(),
        after: after.map(|(device, module)| (device.to_owned(), module.to_owned())),
        limit,
    }
}

async fn device_ids(store: &SqlStore, hub: &HubHostName, wanted: &HubSelection) -> Vec<String> {
    let devices = store.devices(hub, wanted).await.expect("reads");
    devices
        .into_iter()
        .map(|d| d.id.as_str().to_owned())
        .collect()
}

async fn module_ids(store: &SqlStore, hub: &HubHostName, wanted: &HubSelection) -> Vec<String> {
    let modules = store.modules(hub, wanted).await.expect("reads");
    modules
        .into_iter()
        .map(|m| format!("{}/{}", m.device_id, m.id))
        .collect()
}

#[tokio::test]
async fn events_share_commits_and_go_on_counting_after_a_restart() {
    let folder = Folder::new();
    let store = folder.open();
    let hub = with_hub(&store).await;
    let append = || {
        let event = Box::new(event("dev"));
        Change::of_hub(vec![HubWrite::AppendEvent(hub.clone(), event)])
    };
    let before = store.commits();
    let answers = store.commit((0..640).map(|_| append()).collect()).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let commits = store.commits() - before;
    assert!(commits < 64, "{commits} commits for 640 events");
    let gone = store.purge_events(Timestamp::NEVER, 0, 1000).await;
    assert_eq!(gone, Ok(640));
    store.close().await;
    let store = folder.open();
    assert_eq!(store.commit(vec![append()]).await, [Ok(())]);
    let ends = store.event_ends(&hub).await.expect("the ends");
    assert_eq!((ends.oldest, ends.newest), (641, 641));
}

#[tokio::test]
async fn sessions_end_with_their_server_and_leave_their_subscriptions() {
    let folder = Folder::new();
    let store = folder.open();
    let hub = with_hub(&store).await;
    for id in ["here", "away"] {
        hub_write(&store, put(&hub, &device(id), HubExpect::Absent))
            .await
            .expect("kept");
    }
    let endpoint = |id: &str| Endpoint::device(DeviceId::parse(id).expect("an id"));
    let open = async |store: &SqlStore, id: &str| {
        let new = NewSession {
            opened: THEN,
            clean: false,
        };
        let open = HubWrite::OpenSession(hub.clone(), endpoint(id), new);
        let answers = store.carry_out(Change::of_hub(vec![open])).await;
        match answers.as_deref() {
            Ok([HubAnswer::Opened(opened)]) => opened.clone(),
            other => unreachable!("one session is one answer: {other:?}"),
        }
    };
    let (here, away) = (open(&store, "here").await, open(&store, "away").await);
    let filters = vec![KeptSubscription {
        filter: "devices/here/#".to_owned(),
        qos: 1,
    }];
    let keep =
        HubWrite::KeepSubscriptions(hub.clone(), endpoint("here"), here.epoch, filters.clone());
    hub_write(&store, keep).await.expect("kept");
    let close = |id: &str, epoch| HubWrite::CloseSession(hub.clone(), endpoint(id), epoch, THEN);
    hub_write(&store, close("away", away.epoch))
        .await
        .expect("ended");
    // As after a crash: nobody ended the other one.
    store.close().await;
    let store = folder.open();
    assert_eq!(store.connected_devices(&hub).await, Ok(0));
    let read = store.device(&hub, &endpoint("here").device).await;
    let presence = read.expect("reads").expect("a device").presence;
    assert!(!presence.connected && presence.connected_changed > THEN);
    assert_eq!(presence.last_activity, THEN, "it was not heard of since");
    let limit = EventLimit {
        events: 10,
        bytes: 10_000,
    };
    let events = store.events_after(&hub, 0, limit).await.expect("events");
    let told: Vec<_> = events
        .into_iter()
        .map(|kept| (kept.event.kind, kept.event.endpoint))
        .collect();
    assert_eq!(told, [(EventKind::DeviceDisconnected, endpoint("here"))]);
    let late = hub_write(&store, close("here", here.epoch)).await;
    assert!(matches!(late, Err(CommitError::Changed(_))), "{late:?}");
    let next = open(&store, "here").await;
    assert_eq!(next.subscriptions, Some(filters));
    assert_eq!(next.displaced, None);
}
