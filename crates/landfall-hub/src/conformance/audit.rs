//! The audit entries of changes to devices, modules and twins.

use std::time::Duration;

use landfall_core::audit::record::Record;
use landfall_core::audit::{Action, Actor, Author, Kind, Origin, Place, Search};
use landfall_core::id::PolicyName;
use landfall_core::store::Kept;

use super::*;
use crate::audit::HubRecord;
use crate::registry::identity::ModuleRequest;
use crate::registry::{BulkAsk, BulkItem};
use crate::twin::TwinVerb;

pub(super) async fn run<S: HubStore>(house: &House<S>) {
    identity_and_twin_are_told_apart(house).await;
    a_bulk_call_has_one_entry_for_each_deed(house).await;
    what_devices_do_has_no_entry(house).await;
    policies_of_a_hub_are_told_one_by_one(house).await;
}

fn operator<S: HubStore>(house: &House<S>) -> Author {
    let policy = PolicyName::parse("iothubowner").expect("a name");
    let actor = Actor::HubPolicy(house.hub.clone(), policy);
    Origin::own(house.clock.now(), &*house.entropy).author(actor)
}

async fn about<S: HubStore>(house: &House<S>, id: &str) -> Vec<Kept<HubRecord>> {
    let search = Search {
        id: Some(id.to_owned()),
        place: Some(Place::Hub(house.hub.clone())),
        limit: 100,
        ..Search::default()
    };
    let mut found = house.store.audit(&search).await.expect("entries");
    found.reverse();
    found
}

fn told(entries: &[Kept<HubRecord>]) -> Vec<(Action, Kind, &str)> {
    entries
        .iter()
        .map(|(_, entry)| {
            (
                entry.what.action,
                entry.what.kind,
                entry.subjects[0].as_str(),
            )
        })
        .collect()
}

async fn identity_and_twin_are_told_apart<S: HubStore>(house: &House<S>) {
    let registry = || house.registry().by(operator(house));
    let id = device_id("Told");
    let mut request = plain("Told");
    request.iot_edge = Some(true);
    let made = registry()
        .create_device(&request, &TwinContent::default())
        .await;
    made.expect("a device");
    let patch = tags(r#"{"floor":3}"#);
    let patched = registry()
        .change_twin(&id, TwinVerb::Patch, &patch, &IfMatch::Any)
        .await;
    patched.expect("a twin");
    let fresh = house
        .registry()
        .update_device(&request, &IfMatch::Any)
        .await;
    fresh.expect("by a device, not told");
    let updated = registry().update_device(&request, &IfMatch::Any).await;
    updated.expect("an identity");
    let module = ModuleRequest {
        device_id: id.clone(),
        id: module_id("m"),
        managed_by: None,
        authentication: None,
    };
    let made = registry()
        .create_module(&module, &TwinContent::default())
        .await;
    made.expect("a module");
    let gone = registry().delete_device(&id, &IfMatch::Any).await;
    gone.expect("removed");

    let entries = about(house, "told").await;
    assert_eq!(
        told(&entries),
        [
            (Action::Create, Kind::Device, "Told"),
            (Action::Create, Kind::Module, "Told/$edgeAgent"),
            (Action::Create, Kind::Module, "Told/$edgeHub"),
            (Action::Update, Kind::Twin, "Told"),
            (Action::Update, Kind::Device, "Told"),
            (Action::Create, Kind::Module, "Told/m"),
            (Action::Delete, Kind::Device, "Told"),
            (Action::Delete, Kind::Module, "Told/$edgeAgent"),
            (Action::Delete, Kind::Module, "Told/$edgeHub"),
            (Action::Delete, Kind::Module, "Told/m"),
        ]
    );
    let tags = |state: &Option<Record<HubRecord>>| match state {
        Some(Record::Hub(HubRecord::Twin(twin))) => twin.tags.as_str().to_owned(),
        other => unreachable!("not a twin: {other:?}"),
    };
    let twin = &entries[3].1.what;
    assert_eq!(tags(&twin.before), "{}");
    assert_eq!(tags(&twin.after), r#"{"floor":3}"#);
    let only_the_module = about(house, "TOLD/M").await;
    assert_eq!(only_the_module.len(), 2);
}

async fn a_bulk_call_has_one_entry_for_each_deed<S: HubStore>(house: &House<S>) {
    let item = |id: &str, ask| BulkItem {
        device_id: id.to_owned(),
        module_id: None,
        operation: "",
        ask: Ok(ask),
    };
    let create = |id: &str| {
        let ask = BulkAsk::CreateDevice(Box::new(plain(id)), TwinContent::default());
        item(id, ask)
    };
    let items = [
        create("bulk1"),
        create("bulk2"),
        item(
            "bulk1",
            BulkAsk::PatchTwin(device_id("bulk1"), tags(r#"{"a":1}"#), IfMatch::Any),
        ),
        item(
            "nobody",
            BulkAsk::DeleteDevice(device_id("nobody"), IfMatch::Any),
        ),
    ];
    let registry = house.registry().by(operator(house));
    assert_eq!(registry.bulk(&items).await.expect("a call").len(), 1);
    let entries = about(house, "bulk1").await;
    let seen: Vec<_> = entries
        .iter()
        .map(|(_, entry)| (entry.what.action, entry.what.kind, entry.subjects.clone()))
        .collect();
    let both = vec!["bulk1".to_owned(), "bulk2".to_owned()];
    assert_eq!(
        seen,
        [
            (Action::Create, Kind::Device, both),
            (Action::Update, Kind::Twin, vec!["bulk1".to_owned()]),
        ]
    );
}

async fn what_devices_do_has_no_entry<S: HubStore>(house: &House<S>) {
    house.device("silent").await;
    assert_eq!(told(&about(house, "silent").await), []);
}

async fn policies_of_a_hub_are_told_one_by_one<S: HubStore>(house: &House<S>) {
    let before = house.store.hub(&house.hub).await.expect("reads");
    let mut hub = before.expect("a hub");
    hub.policies[1].keys.secondary = hub.policies[0].keys.primary.clone();
    let put = Change::of_hub(vec![HubWrite::PutHub(
        Box::new(hub.clone()),
        HubExpect::Anything,
    )]);
    let mut answers = house.store.commit(vec![put.by(operator(house))]).await;
    answers.pop().expect("one answer").expect("put");
    let entries = about(house, hub.policies[1].name.as_str()).await;
    assert_eq!(told(&entries), [(Action::Update, Kind::Policy, "service")]);
    assert_eq!(entries[0].1.what.changed_secrets, ["secondaryKey"]);

    let delete = Change::of_hub(vec![HubWrite::DeleteHub(
        house.hub.clone(),
        HubExpect::Anything,
    )]);
    let later = Author {
        origin: Origin {
            at: house.clock.now().plus(Duration::from_secs(1)),
            ..operator(house).origin
        },
        ..operator(house)
    };
    let mut answers = house.store.commit(vec![delete.by(later)]).await;
    answers.pop().expect("one answer").expect("removed");
    let entries = about(house, house.hub.as_str()).await;
    assert_eq!(entries[0].1.what.taken_along, [(Kind::Device, 3)]);
}
