//! The audit trail: what is told of a change, who may read it, and what is asked of it.

use http::Method;
use landfall_core::store::{Change, Store as _};
use landfall_hub::store::{HubExpect, HubWrite};
use serde_json::{Value, json};

use super::{HUB, House, SERVICE, names};
use landfall_server::founding;

/// A call with a token; gives its status.
async fn call(house: &House, method: Method, path: &str, who: &str, body: Value) -> u16 {
    house.call(method, path, who, None, body).await.status
}

/// The entries of a listing, newest first.
async fn entries(house: &House, filters: &str) -> Vec<Value> {
    let path = format!("/landfall/audit?{filters}");
    let answer = house.control(Method::GET, &path, Value::Null).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    let value = answer.body.get("value").and_then(Value::as_array);
    value.expect("entries").clone()
}

/// Action, kind and id of each entry, oldest first.
fn told(entries: &[Value]) -> Vec<String> {
    let word = |entry: &Value, name: &str| entry[name].as_str().unwrap_or("?").to_owned();
    let words = |entry: &Value| {
        ["action", "kind", "id"]
            .map(|name| word(entry, name))
            .join(" ")
    };
    entries.iter().rev().map(words).collect()
}

#[tokio::test]
async fn a_change_is_told_with_who_where_from_and_what() {
    let house = House::new().await;
    house.enroll("dev-1").await;
    let changed = json!({
        "registrationId": "dev-1", "provisioningStatus": "disabled",
        "attestation": {"type": "symmetricKey", "symmetricKey": {
            "primaryKey": "AAAAAAAAAAAAAAAAAAAAAA==", "secondaryKey": "AAAAAAAAAAAAAAAAAAAAAA=="}},
        "initialTwin": {"tags": {"note": "\u{1b}[2J"}},
        "allocationPolicy": "custom",
        "customAllocationDefinition": {"webhookUrl": "https://f.example/hook?code=hush", "apiVersion": "2021-10-01"},
    });
    let put = house
        .call(
            Method::PUT,
            "/enrollments/dev-1",
            &house.owner(),
            Some("*"),
            changed,
        )
        .await;
    assert_eq!(put.status, 200);
    let found = entries(&house, "id=dev-1").await;
    assert_eq!(
        told(&found),
        ["create enrollment dev-1", "update enrollment dev-1"]
    );
    let entry = &found[0];
    assert_eq!(entry["address"], "127.0.0.1");
    assert_eq!(entry["service"], SERVICE);
    assert_eq!(entry["idScope"], house.service.id_scope.as_str());
    assert_eq!(
        entry["actor"],
        json!({"type": "servicePolicy", "policy": "provisioningserviceowner",
            "idScope": house.service.id_scope.as_str()})
    );
    assert!(
        entry["trackingId"]
            .as_str()
            .is_some_and(|id| id.len() == 36)
    );
    assert_eq!(
        entry["changedSecrets"],
        json!(["primaryKey", "secondaryKey"])
    );
    assert_eq!(entry["before"]["provisioningStatus"], "enabled");
    assert_eq!(entry["after"]["provisioningStatus"], "disabled");
    assert_eq!(
        entry["after"]["attestation"],
        json!({"type": "symmetricKey"})
    );
    assert_eq!(
        entry["after"]["customAllocationDefinition"]["webhookUrl"],
        "https://f.example/hook?(hidden)"
    );
    assert_eq!(entry["after"]["initialTwin"]["tags"]["note"], "\u{1b}[2J");
    let text = serde_json::to_string(&found).expect("JSON");
    for secret in ["primaryKey\":", "AAAAAAAAAAAA", "hush"] {
        assert!(!text.contains(secret), "{secret} stands in {text}");
    }
}

#[tokio::test]
async fn every_face_answers_for_its_changes_and_devices_do_not() {
    let house = House::new().await;
    let owner = house.of_hub("iothubowner");
    let put = json!({"deviceId": "on-hub"});
    assert_eq!(
        call(&house, Method::PUT, "/devices/on-hub", &owner, put).await,
        200
    );
    let patch = json!({"tags": {"room": "north"}});
    assert_eq!(
        call(&house, Method::PATCH, "/twins/on-hub", &owner, patch).await,
        200
    );
    let holder = format!("services/{SERVICE}");
    house.policy(&holder, "reader", "EnrollmentRead").await;
    house.enroll("dev-1").await;
    let before = entries(&house, "").await;
    assert_eq!(
        told(&before),
        [
            "create service factory",
            "create hub hub.test",
            "create device on-hub",
            "update twin on-hub",
            "create policy reader",
            "create enrollment dev-1",
        ]
    );
    assert_eq!(before[5]["actor"], json!({"type": "server"}));
    assert_eq!(before[5].get("address"), None);
    assert_eq!(
        before[3]["actor"],
        json!({"type": "hubPolicy", "policy": "iothubowner", "hub": HUB})
    );
    assert_eq!(before[2]["before"]["tags"], json!({}));
    assert_eq!(before[2]["after"]["tags"], json!({"room": "north"}));
    assert_eq!(before[1]["actor"], json!({"type": "controlToken"}));
    assert_eq!(
        before[1]["after"],
        json!({"keyName": "reader", "rights": "EnrollmentRead"})
    );

    // The device makes its registration and its hub device; then the operator ends both.
    assert_eq!(house.register("dev-1").await, 202);
    assert_eq!(entries(&house, "").await, before);
    let refused = house
        .call(
            Method::DELETE,
            "/enrollments/dev-1",
            &house.owner(),
            Some("c3RhbGU="),
            Value::Null,
        )
        .await;
    assert_eq!(refused.status, 412);
    assert_eq!(
        entries(&house, "").await,
        before,
        "a refused call changed nothing"
    );
    let owner = house.owner();
    let gone = call(
        &house,
        Method::DELETE,
        "/enrollments/dev-1",
        &owner,
        Value::Null,
    )
    .await;
    assert_eq!(gone, 204);
    let removed = entries(&house, "action=delete").await;
    assert_eq!(
        told(&removed),
        ["delete enrollment dev-1", "delete registration dev-1"]
    );
    assert_eq!(removed[0]["before"]["assignedHub"], HUB);
    assert_eq!(removed[0]["trackingId"], removed[1]["trackingId"]);
}

#[tokio::test]
async fn a_call_about_many_has_one_entry_with_their_ids() {
    let house = House::new().await;
    let item = |id: &str| json!({"registrationId": id, "attestation": {"type": "symmetricKey"}});
    house.enroll("there").await;
    let items = ["a", "b", "there", "c"].map(item);
    let body = json!({"mode": "create", "enrollments": items});
    let answer = house
        .call(Method::POST, "/enrollments", &house.owner(), None, body)
        .await;
    assert_eq!(answer.body["isSuccessful"], false);
    let found = entries(&house, "kind=enrollment").await;
    assert_eq!(found.len(), 2);
    assert_eq!(found[0]["ids"], json!(["a", "b", "c"]));
    assert_eq!(found[0]["count"], 3);
    assert_eq!(found[0].get("after"), None);
    assert_eq!(entries(&house, "id=b").await, found[..1]);
}

#[tokio::test]
async fn a_page_ends_with_a_continuation_and_filters_that_are_wrong_are_named() {
    let house = House::new().await;
    for id in ["a", "b", "c"] {
        house.enroll(id).await;
    }
    let page = async |after: &str| {
        let path = format!("/landfall/audit?kind=enrollment&top=2{after}");
        house.control(Method::GET, &path, Value::Null).await.body
    };
    let first = page("").await;
    let next = first["continuation"].as_str().expect("there is more");
    let second = page(&format!("&continuation={next}")).await;
    assert_eq!(second["value"].as_array().map(Vec::len), Some(1));
    assert_eq!(second.get("continuation"), None);

    let from = first["value"][1]["at"].as_str().expect("a time");
    let later = format!("kind=enrollment&from={from}");
    assert_eq!(entries(&house, &later).await.len(), 2);
    for (filters, named) in [
        ("since=2h", "'since'"),
        ("from=yesterday", "'from'"),
        ("to=1", "'to'"),
        ("top=0", "'top'"),
        ("top=201", "'top'"),
        ("kind=devices", "one of service, policy"),
        ("action=read", "one of create"),
        ("actor=me", "one of servicePolicy"),
        ("policy=a%20b", "'policy'"),
        ("address=here", "'address'"),
        ("id=a%0Ab", "'id'"),
        ("hub=", ""),
        ("hub=a%20b", "'hub'"),
        ("continuation=x", "'continuation'"),
        ("service=factory&hub=hub.test", "'service' or 'hub'"),
    ] {
        let path = format!("/landfall/audit?{filters}");
        let answer = house.control(Method::GET, &path, Value::Null).await;
        let wanted = if named.is_empty() { 200 } else { 400 };
        assert_eq!(answer.status, wanted, "{filters}: {:?}", answer.body);
        assert!(
            answer.message().contains(named),
            "{filters}: {}",
            answer.message()
        );
    }
    let post = house
        .control(Method::POST, "/landfall/audit", json!({}))
        .await;
    assert_eq!(post.status, 405);
}

#[tokio::test]
async fn a_services_policy_reads_its_own_part_and_only_with_the_right() {
    let house = House::new().await;
    let backend = &house.faces.backend;
    let other = names("second", "other.test", "other.hub.test");
    let (other, _) = founding::found(backend, other, backend.server())
        .await
        .expect("founded");
    house.enroll("dev-1").await;
    let ask = async |who: &str, filters: &str| {
        let path = format!("/landfall/audit?{filters}");
        house.call(Method::GET, &path, who, None, Value::Null).await
    };
    let own = ask(&house.owner(), "").await;
    assert_eq!(own.status, 200);
    let own = own.body["value"].as_array().expect("entries").clone();
    assert_eq!(
        told(&own),
        ["create service factory", "create enrollment dev-1"]
    );
    for named in [SERVICE, house.service.id_scope.as_str()] {
        let answer = ask(&house.owner(), &format!("service={named}")).await;
        assert_eq!(answer.body["value"].as_array().map(Vec::len), Some(2));
    }
    for (filters, status) in [
        ("service=second", 404),
        ("service=nobody", 404),
        ("hub=hub.test", 400),
    ] {
        assert_eq!(
            ask(&house.owner(), filters).await.status,
            status,
            "{filters}"
        );
    }
    let scope = format!("service={}", other.id_scope);
    assert_eq!(ask(&house.owner(), &scope).await.status, 404);
    assert_eq!(entries(&house, &scope).await.len(), 1);
    assert_eq!(entries(&house, "service=0neGONE").await, [] as [Value; 0]);
    assert_eq!(entries(&house, "hub=OTHER.hub.test").await.len(), 1);

    let reader = house
        .policy(&format!("services/{SERVICE}"), "reader", "EnrollmentRead")
        .await;
    let refused = ask(&reader, "").await;
    assert_eq!(refused.status, 401);
    assert!(
        refused.message().contains("ServiceConfig"),
        "{}",
        refused.message()
    );
    assert_eq!(ask(&house.of_hub("iothubowner"), "").await.status, 401);
    assert_eq!(ask("Bearer no", "").await.status, 401);
}

#[tokio::test]
async fn a_search_for_what_is_rare_goes_on_from_page_to_page() {
    let house = House::new().await;
    let backend = &house.faces.backend;
    let author = backend.server();
    // The founding of the service is older than these, and one call looks no further than at them.
    let changes = (0..10_000).map(|_| {
        let put = HubWrite::PutHub(Box::new(house.hub.clone()), HubExpect::Anything);
        Change::of_hub(vec![put]).by(author.clone())
    });
    let outcomes = backend.store.commit(changes.collect()).await;
    assert!(outcomes.iter().all(Result::is_ok));

    let page = async |path: &str| house.control(Method::GET, path, Value::Null).await.body;
    let first = page("/landfall/audit?kind=service").await;
    assert_eq!(first["value"], json!([]));
    let next = first["continuation"].as_str().expect("a next page");
    let second = page(&format!("/landfall/audit?kind=service&continuation={next}")).await;
    assert_eq!(second["value"][0]["kind"], "service");
    assert_eq!(second.get("continuation"), None);
    let by_id = page(&format!("/landfall/audit?id={SERVICE}")).await;
    assert_eq!(
        by_id["value"][0]["kind"], "service",
        "an index finds it at once"
    );
}
