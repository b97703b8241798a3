//! The hub's queries on SQLite: pages, bounds, totals, and that an index never changes an answer.
#![expect(
    clippy::expect_used,
    reason = "this is a test binary: what must hold is stated"
)]

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use landfall_core::clock::{Clock as _, Entropy, Timestamp};
use landfall_core::document::{Json, JsonObject, parse};
use landfall_core::id::{DeviceId, Etag, HubHostName, ModuleId};
use landfall_core::query::{Comparison, Filter, Literal, Operand, Page, Path, TypeTest};
use landfall_core::store::{Change, Store as _};
use landfall_hub::device::{
    Device, DeviceAuthentication, DeviceStatus, Hub, Module, Presence,
};
use landfall_hub::query::{
    Aggregate, Expression, PageRequest, Position, Query, QueryError, Rendering, Select, Source,
    answer,
};
use landfall_hub::store::{HubExpect, HubWrite};
use landfall_hub::twin::{Twin, TwinContent};
use landfall_store::SqlStore;
use landfall_store::secret::SealingKey;

use crate::registry::{Counting, Noon};

/// A store with one hub, in a folder that goes with it.
struct House {
    store: SqlStore,
    hub: HubHostName,
    _folder: tempfile::TempDir,
}

impl House {
    /// A hub with these devices, made of id and tags, and these modules.
    async fn with(devices: Vec<Device>, modules: Vec<Module>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let entropy: Arc<dyn Entropy> = Arc::new(Counting(AtomicU64::new(1)));
        let store = SqlStore::sqlite(
            folder.path().join("landfall.db"),
            SealingKey::generate(&*entropy),
            Arc::new(Noon),
            entropy,
        )
        .expect("a store");
        let hub = HubHostName::parse("hub.example").expect("a name");
        let record = Hub {
            host_name: hub.clone(),
            policies: Vec::new(),
            created: Noon.now(),
            revision: 0,
        };
        let put_hub = HubWrite::PutHub(Box::new(record), HubExpect::Absent);
        let put_devices = devices
            .into_iter()
            .map(|device| HubWrite::PutDevice(hub.clone(), Box::new(device), HubExpect::Absent));
        let put_modules = modules
            .into_iter()
            .map(|module| HubWrite::PutModule(hub.clone(), Box::new(module), HubExpect::Absent));
        let writes = std::iter::once(put_hub)
            .chain(put_devices)
            .chain(put_modules)
            .collect();
        let outcomes = store.commit(vec![Change::of_hub(writes)]).await;
        assert_eq!(outcomes, [Ok(())]);
        House {
            store,
            hub,
            _folder: folder,
        }
    }

    async fn page(
        &self,
        query: &Query,
        size: usize,
        from: Option<&str>,
    ) -> Result<Page<Json>, QueryError> {
        let rendering = Rendering {
            device: &shown,
            module: &shown_module,
        };
        let from = from.map(Position::from_token).transpose()?;
        let page = PageRequest { size, from };
        answer(&self.store, &self.hub, query, &rendering, &page).await
    }

    /// All pages: the rows of each.
    async fn pages(&self, query: &Query, size: usize) -> Vec<Vec<Json>> {
        let mut pages = Vec::new();
        let mut from = None;
        loop {
            let page = self
                .page(query, size, from.as_deref())
                .await
                .expect("a page");
            pages.push(page.items);
            from = page.continuation;
            if from.is_none() {
                return pages;
            }
            assert!(pages.len() < 100, "the pages end");
        }
    }
}

fn twin(tags: &str, number: u32) -> Twin {
    let object = |text: &str| match parse(text) {
        Ok(Json::Object(members)) => members,
        other => panic!("{text}: {other:?}"),
    };
    let content = TwinContent {
        tags: object(tags),
        desired: object(&format!("{{\"n\":{number}}}")),
        ..TwinContent::default()
    };
    Twin::fresh(&content, Noon.now())
}

fn device(number: u32, tags: &str) -> Device {
    Device {
        id: DeviceId::parse(&format!("d{number:05}")).expect("an id"),
        generation_id: "1".into(),
        etag: Etag::parse("MQ==").expect("an etag"),
        status: if number.is_multiple_of(2) {
            DeviceStatus::Enabled
        } else {
            DeviceStatus::Disabled
        },
        status_reason: None,
        status_updated: Timestamp::NEVER,
        authentication: DeviceAuthentication::None,
        iot_edge: number.is_multiple_of(5),
        device_scope: None,
        parent_scopes: Vec::new(),
        twin: twin(tags, number),
        presence: Presence::default(),
        created: Noon.now(),
        revision: 1,
    }
}

fn devices(count: u32) -> Vec<Device> {
    (0..count)
        .map(|number| device(number, &format!("{{\"site\":\"s{}\"}}", number % 3)))
        .collect()
}

fn module(device: u32, name: &str) -> Module {
    Module {
        device_id: DeviceId::parse(&format!("d{device:05}")).expect("an id"),
        id: ModuleId::parse(name).expect("an id"),
        generation_id: "1".into(),
        etag: Etag::parse("MQ==").expect("an etag"),
        managed_by: None,
        authentication: DeviceAuthentication::None,
        twin: twin("{}", device),
        presence: Presence::default(),
        created: Noon.now(),
        revision: 1,
    }
}

fn document(id: &DeviceId, status: DeviceStatus, twin: &Twin) -> JsonObject {
    let status = match status {
        DeviceStatus::Enabled => "enabled",
        DeviceStatus::Disabled => "disabled",
    };
    JsonObject::from_iter([
        ("deviceId".to_owned(), Json::from(id.as_str())),
        ("status".to_owned(), Json::from(status)),
        ("tags".to_owned(), twin.tags.to_json()),
        ("desired".to_owned(), twin.desired.properties.to_json()),
    ])
}

fn shown(device: &Device) -> Json {
    let mut members = document(&device.id, device.status, &device.twin);
    let edge = JsonObject::from_iter([("iotEdge".to_owned(), Json::from(device.iot_edge))]);
    members.insert("capabilities".to_owned(), Json::Object(edge));
    Json::Object(members)
}

fn shown_module(device: Option<&Device>, module: &Module) -> Json {
    let status = device.map_or(DeviceStatus::Enabled, |device| device.status);
    let mut members = document(&module.device_id, status, &module.twin);
    members.insert("moduleId".to_owned(), Json::from(module.id.as_str()));
    Json::Object(members)
}

fn path(text: &str) -> Operand {
    Operand::Path(Path(text.split('.').map(str::to_owned).collect()))
}

fn equal(name: &str, literal: Literal) -> Filter {
    Filter::Compare(path(name), Comparison::Equal, Operand::Literal(literal))
}

fn text(value: &str) -> Literal {
    Literal::Text(value.to_owned())
}

fn everything(source: Source, filter: Filter, top: Option<u64>) -> Query {
    Query::new(Select::Everything, source, filter, Vec::new(), top).expect("a query")
}

fn counted(filter: Filter, by: Option<&str>) -> Query {
    let mut columns = vec![(
        Expression::Aggregate(Aggregate::Count(None)),
        Some("n".to_owned()),
    )];
    columns.extend(by.map(|by| (Expression::Value(path(by)), None)));
    let by = by.map(path).into_iter().collect();
    Query::new(Select::Columns(columns), Source::Devices, filter, by, None).expect("a query")
}

fn ids(rows: &[Json]) -> Vec<&str> {
    rows.iter()
        .filter_map(|row| row.get("deviceId")?.as_str())
        .collect()
}

fn lengths(pages: &[Vec<Json>]) -> Vec<usize> {
    pages.iter().map(Vec::len).collect()
}

#[tokio::test]
async fn pages_give_every_device_once_and_in_order() {
    let house = House::with(devices(250), Vec::new()).await;
    let all = everything(Source::Devices, Filter::Always, None);
    let pages = house.pages(&all, 0).await;
    assert_eq!(
        lengths(&pages),
        [100, 100, 50],
        "100 is the usual page, and the last one says that it is"
    );
    let rows = pages.concat();
    let expected: Vec<String> = (0..250).map(|number| format!("d{number:05}")).collect();
    assert_eq!(ids(&rows), expected);

    assert_eq!(lengths(&house.pages(&all, 125).await), [125, 125]);
    let enabled = everything(Source::Devices, equal("status", text("enabled")), None);
    assert_eq!(
        lengths(&house.pages(&enabled, 125).await),
        [125],
        "no further page is promised when no further device is found"
    );
    let odd = everything(
        Source::Devices,
        Filter::Not(Box::new(equal("status", text("enabled")))),
        None,
    );
    assert_eq!(lengths(&house.pages(&odd, 100).await), [100, 25]);
}

#[tokio::test]
async fn top_counts_over_all_pages() {
    let house = House::with(devices(250), Vec::new()).await;
    for (top, size, expected) in [
        (150, 100, vec![100, 50]),
        (100, 100, vec![100]),
        (7, 100, vec![7]),
        (300, 200, vec![200, 50]),
    ] {
        let query = everything(Source::Devices, Filter::Always, Some(top));
        assert_eq!(
            lengths(&house.pages(&query, size).await),
            expected,
            "TOP {top}"
        );
    }
}

#[tokio::test]
async fn a_page_looks_at_a_bounded_number_of_devices_unless_an_index_helps() {
    let mut all = devices(10_020);
    all.push(device(10_020, "{\"rare\":\"x\"}"));
    let house = House::with(all, Vec::new()).await;
    let last = Literal::Number(10_020.0);
    let scanned = everything(Source::Devices, equal("desired.n", last.clone()), None);
    assert_eq!(
        lengths(&house.pages(&scanned, 100).await),
        [0, 1],
        "the first page is empty and says where to go on"
    );
    let indexed = everything(Source::Devices, equal("tags.rare", text("x")), None);
    assert_eq!(lengths(&house.pages(&indexed, 100).await), [1]);

    let total = house
        .pages(&counted(equal("desired.n", last), None), 100)
        .await;
    assert_eq!(total, [vec![parse("{\"n\":1}").expect("json")]]);
}

#[tokio::test]
async fn totals_and_groups_are_made_of_all_devices_and_given_in_pages() {
    let house = House::with(devices(250), Vec::new()).await;
    let json = |text: &str| parse(text).expect("json");
    assert_eq!(
        house.pages(&counted(Filter::Always, None), 100).await,
        [vec![json("{\"n\":250}")]]
    );
    assert_eq!(
        house
            .pages(&counted(Filter::Always, Some("tags.site")), 2)
            .await,
        [
            vec![
                json("{\"n\":84,\"site\":\"s0\"}"),
                json("{\"n\":83,\"site\":\"s1\"}")
            ],
            vec![json("{\"n\":83,\"site\":\"s2\"}")]
        ]
    );
}

#[tokio::test]
async fn a_continuation_of_another_kind_of_query_is_refused() {
    let house = House::with(devices(3), Vec::new()).await;
    let group = Position::Group { given: 1 }.to_token();
    let record = Position::Record {
        after: ("d00000".into(), String::new()),
        given: 1,
    }
    .to_token();
    let all = everything(Source::Devices, Filter::Always, None);
    let total = counted(Filter::Always, None);
    for (query, token) in [(&all, &group), (&total, &record)] {
        let refused = house.page(query, 1, Some(token)).await;
        assert_eq!(refused, Err(QueryError::Continuation));
    }
    let next = house
        .page(&all, 1, Some(&record))
        .await
        .expect("the next page");
    assert_eq!(ids(&next.items), ["d00001"]);
}

#[tokio::test]
async fn modules_are_listed_with_what_their_device_says() {
    let names = ["$edgeAgent", "$edgeHub", "a"];
    let modules = (0..4)
        .flat_map(|device| names.map(|name| module(device, name)))
        .collect();
    let house = House::with(devices(4), modules).await;
    let all = everything(Source::Modules, Filter::Always, None);
    assert_eq!(lengths(&house.pages(&all, 5).await), [5, 5, 2]);
    let of_disabled = Filter::And(
        Box::new(equal("status", text("disabled"))),
        Box::new(equal("moduleId", text("a"))),
    );
    let found = house
        .pages(&everything(Source::Modules, of_disabled, None), 100)
        .await
        .concat();
    assert_eq!(ids(&found), ["d00001", "d00003"]);
}

#[tokio::test]
async fn an_index_never_changes_what_a_condition_finds() {
    let tags = [
        "{}",
        r#"{"x":null}"#,
        r#"{"x":true}"#,
        r#"{"x":1}"#,
        r#"{"x":1.0}"#,
        r#"{"x":1.5}"#,
        r#"{"x":"1"}"#,
        r#"{"x":"true"}"#,
        r#"{"x":"null"}"#,
        r#"{"x":""}"#,
        r#"{"x":{"y":"1"}}"#,
        r#"{"x":["1"]}"#,
        r#"{"x":"É"}"#,
        r#"{"x":9007199254740993}"#,
    ];
    let all: Vec<Device> = tags
        .iter()
        .zip(0..)
        .map(|(tags, number)| device(number, tags))
        .collect();
    let rows: Vec<Json> = all.iter().map(shown).collect();
    let house = House::with(all, Vec::new()).await;
    let literals = || {
        [
            Literal::Null,
            Literal::Bool(true),
            Literal::Bool(false),
            Literal::Number(1.0),
            Literal::Number(1.5),
            Literal::Number(9_007_199_254_740_992.0),
            text("1"),
            text("true"),
            text("null"),
            text(""),
            text("é"),
            text("É"),
            text("enabled"),
            text("Enabled"),
            text("d00003"),
            text("D00003"),
        ]
    };
    let mut conditions = Vec::new();
    for name in [
        "tags.x",
        "tags.x.y",
        "tags",
        "tags.absent",
        "deviceId",
        "status",
        "status.x",
        "capabilities.iotEdge",
        "capabilities",
    ] {
        for literal in literals() {
            let one = equal(name, literal);
            let Operand::Path(way) = path("tags.x") else {
                continue;
            };
            let more = Filter::Is(TypeTest::Defined, way);
            conditions.push(Filter::And(Box::new(one.clone()), Box::new(more)));
            conditions.push(Filter::And(
                Box::new(one.clone()),
                Box::new(equal("status", text("enabled"))),
            ));
            conditions.push(one);
        }
    }
    for condition in conditions {
        let expected: Vec<&str> = rows
            .iter()
            .filter(|row| condition.matches(row))
            .filter_map(|row| row.get("deviceId")?.as_str())
            .collect();
        let query = everything(Source::Devices, condition.clone(), None);
        let found = house.pages(&query, 100).await.concat();
        assert_eq!(ids(&found), expected, "{condition:?}");
    }
}
