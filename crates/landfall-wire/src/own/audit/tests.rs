//! The audit trail in its exact form.

use http::{HeaderMap, Method};
use landfall_core::audit::difference::Difference;
use landfall_core::audit::{Author, Origin};
use landfall_core::document::Document;
use landfall_core::id::{DeviceId, Etag, ModuleId, TrackingId};

use landfall_core::store::Kept;

use super::*;

fn request(query: &str) -> Request {
    Request {
        method: Method::GET,
        path: "/landfall/audit".to_owned(),
        query: Some(query.to_owned()),
        headers: HeaderMap::new(),
        body: Vec::new(),
    }
}

fn twin(tags: &str) -> Option<Record<HubRecord>> {
    Some(Record::Hub(HubRecord::Twin(Box::new(TwinRecord {
        device_id: DeviceId::parse("dev").expect("valid"),
        module_id: Some(ModuleId::parse("camera").expect("valid")),
        tags: Document::kept(tags),
        desired: Document::kept(r#"{"rate":1.50}"#),
        version: 3,
        etag: Etag::parse("AAAAAAAAAAM=").expect("valid"),
    }))))
}

fn kept() -> Kept<HubRecord> {
    let hub = HubHostName::parse("hub.example").expect("valid");
    let at = Timestamp::from_unix_micros(1_764_239_612_123_456);
    let origin = Origin {
        at,
        address: Some(IpAddr::from([192, 0, 2, 7])),
        tracking_id: TrackingId::parse("t-1").expect("valid"),
    };
    let policy = PolicyName::parse("service").expect("valid");
    let what = Difference::between(Kind::Twin, twin("{}"), twin(r#"{"floor":3}"#));
    let entry = AuditEntry {
        author: origin.author(Actor::HubPolicy(hub.clone(), policy)),
        place: Place::Hub(hub),
        what: what.expect("a difference"),
        subjects: vec!["dev/camera".to_owned()],
    };
    (Position { at, number: 1 }, entry)
}

fn of(entries: Vec<Kept<HubRecord>>, next: Option<Position>) -> AuditPage<HubRecord> {
    AuditPage { entries, next }
}

#[test]
fn an_entry_shows_who_what_and_both_states() {
    let state = |tags| {
        json!({"deviceId": "dev", "moduleId": "camera", "etag": "AAAAAAAAAAM=", "version": 3,
            "tags": tags, "properties": {"desired": {"rate": 1.50}}})
    };
    assert_eq!(
        page(&of(vec![kept()], None), &[]),
        json!({"value": [{
            "entry": "1764239612123456-1",
            "at": "2025-11-27T10:33:32.1234560Z",
            "actor": {"type": "hubPolicy", "policy": "service", "hub": "hub.example"},
            "address": "192.0.2.7",
            "trackingId": "t-1",
            "action": "update",
            "kind": "twin",
            "hub": "hub.example",
            "id": "dev/camera",
            "before": state(json!({})),
            "after": state(json!({"floor": 3})),
        }]})
    );
}

#[test]
fn a_page_says_where_the_next_begins() {
    let (position, _) = kept();
    let full = page(&of(vec![kept()], Some(position)), &[]);
    assert_eq!(full["continuation"], "1764239612123456-1");
    assert_eq!(page(&of(vec![], None), &[]), json!({"value": []}));
    assert_eq!(
        page(&of(vec![], Some(position)), &[]),
        json!({"value": [], "continuation": "1764239612123456-1"})
    );
}

#[test]
fn a_call_about_one_of_many_still_has_ids() {
    let (position, mut entry) = kept();
    entry.author = Author::of_bulk(&entry.author);
    entry.what.before = None;
    entry.what.after = None;
    entry.what.taken_along = vec![(Kind::Module, 2)];
    entry.what.changed_secrets = vec!["primaryKey".to_owned()];
    let shown = page(&of(vec![(position, entry)], None), &[])["value"][0].clone();
    assert_eq!(shown["ids"], json!(["dev/camera"]));
    assert_eq!(shown["count"], 1);
    assert_eq!(shown["takenAlong"], json!({"module": 2}));
    assert_eq!(shown["changedSecrets"], json!(["primaryKey"]));
    assert_eq!(shown.get("id"), None);
}

#[test]
fn filters_are_read_in_any_case_and_empty_ones_are_none() {
    let asked = parse_search(&request(
        "FROM=2025-11-27T00:00:00Z&Kind=TWIN&action=Delete&id=d%2Fm&address=::ffff:192.0.2.1&top=7&to=",
    ))
    .expect("well-formed");
    assert_eq!(
        asked.search,
        Search {
            from: Timestamp::parse("2025-11-27T00:00:00Z"),
            kind: Some(Kind::Twin),
            action: Some(Action::Delete),
            id: Some("d/m".to_owned()),
            address: Some(IpAddr::from([192, 0, 2, 1])),
            limit: 7,
            ..Search::default()
        }
    );
    let usual = parse_search(&request("api-version=2021-10-01")).expect("well-formed");
    assert_eq!(usual.search.limit, USUAL_ENTRIES);
}

#[test]
fn only_what_was_drawn_as_an_id_scope_passes_for_one_of_a_service_that_is_gone() {
    assert!(as_id_scope("0NE0000000A").is_some());
    for other in ["dev", "0n", "0ne/", ""] {
        assert!(as_id_scope(other).is_none(), "{other}");
    }
}
