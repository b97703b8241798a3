//! Bulk: hub-api.md §1.7.

use super::*;
use crate::registry::{BulkAsk, BulkItem, MOST_BULK_ITEMS};

pub(super) async fn run<S: HubStore>(house: &House<S>) {
    items_stand_each_on_their_own(house).await;
    items_of_one_device_are_carried_out_in_order(house).await;
    etags_guard_items(house).await;
    too_many_items_are_refused_whole(house).await;
}

fn item(id: &str, operation: &'static str, ask: BulkAsk) -> BulkItem {
    BulkItem {
        device_id: id.to_owned(),
        module_id: None,
        operation,
        ask: Ok(ask),
    }
}

fn create(id: &str, content: TwinContent) -> BulkItem {
    item(
        id,
        "create",
        BulkAsk::CreateDevice(Box::new(plain(id)), content),
    )
}

async fn items_stand_each_on_their_own<S: HubStore>(house: &House<S>) {
    house.device("there").await;
    let content = TwinContent {
        tags: object(r#"{"environment":"test"}"#),
        desired: object(r#"{"interval":5}"#),
        ..TwinContent::default()
    };
    let items = [
        create("new1", content),
        create("there", TwinContent::default()),
        BulkItem {
            ask: Err(HubError::ArgumentInvalid("unreadable".to_owned())),
            ..create("bad", TwinContent::default())
        },
        item(
            "nobody",
            "delete",
            BulkAsk::DeleteDevice(device_id("nobody"), IfMatch::Any),
        ),
        create("new2", TwinContent::default()),
    ];
    let mut failures = house.registry().bulk(&items).await.expect("a bulk call");
    failures.sort_by(|a, b| a.device_id.cmp(&b.device_id));
    let seen: Vec<_> = failures
        .into_iter()
        .map(|failure| (failure.device_id, failure.operation, failure.error))
        .collect();
    assert_eq!(
        seen,
        [
            (
                "bad".to_owned(),
                "create",
                HubError::ArgumentInvalid("unreadable".to_owned())
            ),
            (
                "nobody".to_owned(),
                "delete",
                HubError::DeviceNotFound(device_id("nobody"))
            ),
            (
                "there".to_owned(),
                "create",
                HubError::DeviceExists(device_id("there"))
            ),
        ]
    );
    let made = house.stored("new1").await;
    assert_eq!(made.twin.tags.as_str(), r#"{"environment":"test"}"#);
    assert_eq!(made.twin.desired.properties.as_str(), r#"{"interval":5}"#);
    assert_eq!(made.twin.desired.version, 1);
    house.stored("new2").await;
}

async fn items_of_one_device_are_carried_out_in_order<S: HubStore>(house: &House<S>) {
    let id = device_id("ordered");
    let items = [
        create("ordered", TwinContent::default()),
        item(
            "ordered",
            "updateTwin",
            BulkAsk::PatchTwin(id.clone(), tags(r#"{"a":1}"#), IfMatch::Any),
        ),
        item(
            "ordered",
            "updateTwin",
            BulkAsk::PatchTwin(id.clone(), tags(r#"{"b":2}"#), IfMatch::Any),
        ),
    ];
    let failures = house.registry().bulk(&items).await.expect("a bulk call");
    assert_eq!(failures, []);
    let twin = house.stored("ordered").await.twin;
    assert_eq!(twin.tags.as_str(), r#"{"a":1,"b":2}"#);
}

async fn etags_guard_items<S: HubStore>(house: &House<S>) {
    let made = house.device("guarded").await;
    let id = made.id.clone();
    let items = [
        item(
            "guarded",
            "updateTwinIfMatchETag",
            BulkAsk::PatchTwin(id.clone(), tags(r#"{"a":1}"#), other_etag()),
        ),
        item(
            "guarded",
            "updateIfMatchETag",
            BulkAsk::UpdateDevice(Box::new(plain("guarded")), IfMatch::Etag(made.etag.clone())),
        ),
        item(
            "guarded",
            "deleteIfMatchETag",
            BulkAsk::DeleteDevice(id, IfMatch::Etag(made.etag)),
        ),
    ];
    let failures = house.registry().bulk(&items).await.expect("a bulk call");
    let refused: Vec<_> = failures.iter().map(|failure| failure.operation).collect();
    assert_eq!(refused, ["updateTwinIfMatchETag", "deleteIfMatchETag"]);
    assert!(
        failures
            .iter()
            .all(|failure| matches!(failure.error, HubError::PreconditionFailed(_)))
    );
    house.stored("guarded").await;
}

async fn too_many_items_are_refused_whole<S: HubStore>(house: &House<S>) {
    let items: Vec<_> = (0..=MOST_BULK_ITEMS)
        .map(|number| create(&format!("many{number}"), TwinContent::default()))
        .collect();
    let refused = house.registry().bulk(&items).await;
    assert!(matches!(refused, Err(HubError::TooManyDevices(_))));
    let first = house.registry().device(&device_id("many0")).await;
    assert_eq!(first, Err(HubError::DeviceNotFound(device_id("many0"))));
    let failures = house
        .registry()
        .bulk(&items[..MOST_BULK_ITEMS])
        .await
        .expect("a bulk call");
    assert_eq!(failures, []);
}
