//! What connected devices and modules hear of: every change that concerns them, once it is durable, and no other.

use std::sync::{Mutex, PoisonError};

use landfall_core::clock::Timestamp;

use super::*;
use crate::endpoint::Endpoint;
use crate::message::{Ack, CloudMessage};
use crate::registry::identity::ModuleRequest;
use crate::registry::{BulkAsk, BulkItem};
use crate::relay::{Notice, Relay};
use crate::twin::TwinVerb;

/// Remembers what was told.
#[derive(Default)]
struct Heard(Mutex<Vec<(String, Notice)>>);

impl Relay for Heard {
    fn tell(&self, _: &HubHostName, endpoint: &Endpoint, notice: &Notice) {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        heard.push((endpoint.to_string(), notice.clone()));
    }
}

impl Heard {
    /// What was told since it was last asked.
    fn told(&self) -> Vec<(String, Notice)> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn told(who: &str, notice: Notice) -> Vec<(String, Notice)> {
    vec![(who.to_owned(), notice)]
}

pub(super) async fn run<S: HubStore>(house: &House<S>) {
    let heard = Heard::default();
    let (now, entropy) = (house.clock.now(), &*house.entropy);
    let registry = Registry::new(&*house.store, &house.hub, now, entropy, &heard);
    twins_are_told_as_they_change(&registry, &heard).await;
    items_of_a_bulk_call_are_told_too(&registry, &heard).await;
    identities_end_sessions(&registry, &heard).await;
}

async fn twins_are_told_as_they_change<S: HubStore>(registry: &Registry<'_, S>, heard: &Heard) {
    let empty = TwinContent::default();
    let id = device_id("d");
    registry
        .create_device(&plain("d"), &empty)
        .await
        .expect("a device");
    let module = ModuleRequest {
        device_id: id.clone(),
        id: module_id("m"),
        managed_by: None,
        authentication: None,
    };
    registry
        .create_module(&module, &empty)
        .await
        .expect("a module");
    assert_eq!(heard.told(), [], "nobody is connected yet");
    let (patch, replace) = (TwinVerb::Patch, TwinVerb::Replace);
    let change = desired(r#"{"a": 1, "b": {"c": 2}}"#);
    let device = registry.change_twin(&id, patch, &change, &IfMatch::Any);
    let version = device.await.expect("changed").twin.desired.version;
    let text = format!(r#"{{"a":1,"b":{{"c":2}},"$version":{version}}}"#);
    assert_eq!(heard.told(), told("d", Notice::Desired(version, text)));
    let change = desired(r#"{"a": null}"#);
    let device = registry.change_twin(&id, patch, &change, &IfMatch::Any);
    assert_eq!(
        device.await.expect("changed").twin.desired.version,
        version + 1
    );
    let text = format!(r#"{{"a":null,"$version":{}}}"#, version + 1);
    assert_eq!(heard.told(), told("d", Notice::Desired(version + 1, text)));
    let change = desired(r#"{"only": true}"#);
    let module = registry.change_module_twin(&id, &module.id, replace, &change, &IfMatch::Any);
    let version = module.await.expect("changed").twin.desired.version;
    let text = format!(r#"{{"only":true,"$version":{version}}}"#);
    assert_eq!(heard.told(), told("d/m", Notice::Desired(version, text)));
    let tagged = tags(r#"{"t": 1}"#);
    let tagged = registry
        .change_twin(&id, patch, &tagged, &IfMatch::Any)
        .await;
    tagged.expect("changed");
    stale(
        registry
            .change_twin(&id, patch, &change, &other_etag())
            .await,
    );
    let endpoint = Endpoint::device(id);
    let reported = registry.report(&endpoint, &object(r#"{"r": 1}"#)).await;
    reported.expect("reported");
    assert_eq!(heard.told(), [], "none of it is a device's to hear");
    let message = CloudMessage {
        sequence: 0,
        message_id: None,
        correlation_id: None,
        user_id: None,
        content_type: None,
        content_encoding: None,
        ack: Ack::None,
        enqueued: Timestamp::from_unix_seconds(100),
        expires: Timestamp::from_unix_seconds(9_000_000_000),
        delivery_count: 0,
        properties: Vec::new(),
        body: Vec::new(),
    };
    let sent = registry.send_message(&endpoint, message).await;
    sent.expect("queued");
    assert_eq!(heard.told(), told("d", Notice::Messages));
}

async fn items_of_a_bulk_call_are_told_too<S: HubStore>(registry: &Registry<'_, S>, heard: &Heard) {
    let item = |id: &str, ask| BulkItem {
        device_id: id.to_owned(),
        module_id: None,
        operation: "",
        ask: Ok(ask),
    };
    let change = desired(r#"{"a": 2}"#);
    let items = [
        item(
            "new",
            BulkAsk::CreateDevice(Box::new(plain("new")), TwinContent::default()),
        ),
        item(
            "d",
            BulkAsk::PatchTwin(device_id("d"), change, IfMatch::Any),
        ),
        item("new", BulkAsk::DeleteDevice(device_id("new"), other_etag())),
        item("new", BulkAsk::DeleteDevice(device_id("new"), IfMatch::Any)),
    ];
    let failures = registry.bulk(&items).await.expect("carried out");
    assert_eq!(failures.len(), 1, "the one with an old etag");
    let heard = heard.told();
    assert!(
        matches!(
            &heard[..],
            [(d, Notice::Desired(..)), (new, Notice::Ended)] if d == "d" && new == "new"
        ),
        "{heard:?}"
    );
}

async fn identities_end_sessions<S: HubStore>(registry: &Registry<'_, S>, heard: &Heard) {
    let id = device_id("d");
    let module = ModuleRequest {
        device_id: id.clone(),
        id: module_id("m"),
        managed_by: None,
        authentication: None,
    };
    let updated = registry.update_module(&module, &IfMatch::Any).await;
    updated.expect("updated");
    assert_eq!(heard.told(), told("d/m", Notice::Ended));
    let deleted = registry.delete_module(&id, &module.id, &IfMatch::Any).await;
    deleted.expect("deleted");
    assert_eq!(heard.told(), told("d/m", Notice::Ended));
    stale(registry.update_device(&plain("d"), &other_etag()).await);
    assert_eq!(heard.told(), []);
    let updated = registry.update_device(&plain("d"), &IfMatch::Any).await;
    updated.expect("updated");
    assert_eq!(heard.told(), told("d", Notice::Ended));
    let deleted = registry.delete_device(&id, &IfMatch::Any).await;
    deleted.expect("deleted");
    assert_eq!(heard.told(), told("d", Notice::Ended));
}
