//! Policies from making to removal, and the keys they go through.

use http::Method;
use landfall_core::secret::SymmetricKey;
use serde_json::{Value, json};

use super::{HUB, House, SERVICE_HOST};

const POLICIES: &str = "/landfall/services/factory/policies";
const HUB_POLICIES: &str = "/landfall/hubs/hub.test/policies";

fn key(text: &str) -> SymmetricKey {
    SymmetricKey::from_base64(text).expect("a key")
}

#[tokio::test]
async fn a_policy_lives_from_put_to_delete_on_a_service_and_on_a_hub() {
    let house = House::new().await;
    for (policies, right, other, probe) in [
        (
            POLICIES,
            "EnrollmentRead",
            "RegistrationStatusRead",
            "/enrollments/dev-1",
        ),
        (
            HUB_POLICIES,
            "RegistryRead",
            "ServiceConnect",
            "/devices/dev-1",
        ),
    ] {
        let path = format!("{policies}/Reader");
        let shown = format!("{path}?keys=true");
        let made = house
            .control(Method::PUT, &path, json!({ "rights": right }))
            .await;
        assert_eq!((made.status, made.text("rights")), (201, right.to_owned()));
        assert!(made.body.get("primaryKey").is_none(), "{:?}", made.body);
        assert_eq!(made.etag, Some(made.text("etag")));
        let again = house
            .control(Method::PUT, &path, json!({ "rights": right }))
            .await;
        assert_eq!(again.status, 409);
        let other_case = format!("{policies}/READER");
        let again = house
            .control(Method::PUT, &other_case, json!({ "rights": right }))
            .await;
        assert_eq!(
            (again.status, again.message()),
            (409, "Shared access policy 'READER' already exists.")
        );

        let read = house.control(Method::GET, &shown, Value::Null).await;
        let resource = if policies == POLICIES {
            SERVICE_HOST
        } else {
            HUB
        };
        let token = house.signed(resource, "reader", &key(&read.text("primaryKey")));
        let seen = house
            .call(Method::GET, probe, &token, None, Value::Null)
            .await;
        assert_eq!(seen.status, 404, "{:?}", seen.body);

        let stale = house
            .call(
                Method::PUT,
                &path,
                &house.bearer(),
                Some("c3RhbGU="),
                json!({ "rights": other }),
            )
            .await;
        assert_eq!(stale.status, 412);
        let etag = made.text("etag");
        let changed = house
            .call(
                Method::PUT,
                &path,
                &house.bearer(),
                Some(&etag),
                json!({ "rights": other }),
            )
            .await;
        assert_eq!(
            (changed.status, changed.text("rights")),
            (200, other.to_owned())
        );
        let refused = house
            .call(Method::GET, probe, &token, None, Value::Null)
            .await;
        assert_eq!(refused.status, 401);
        assert!(refused.message().contains(right), "{:?}", refused.body);

        let gone = house.control(Method::DELETE, &path, Value::Null).await;
        assert_eq!((gone.status, &gone.body), (204, &Value::Null));
        let refused = house
            .call(Method::GET, probe, &token, None, Value::Null)
            .await;
        assert_eq!(refused.status, 401);
        for method in [Method::GET, Method::DELETE] {
            let missing = house.control(method, &path, Value::Null).await;
            assert_eq!(missing.status, 404);
        }
        let missing = house
            .call(
                Method::PUT,
                &path,
                &house.bearer(),
                Some("*"),
                json!({ "rights": right }),
            )
            .await;
        assert_eq!(missing.status, 404);
    }
}

#[tokio::test]
async fn after_a_rotation_the_old_primary_opens_until_the_next_one() {
    let house = House::new().await;
    for (policies, name, resource, probe) in [
        (
            POLICIES,
            "provisioningserviceowner",
            SERVICE_HOST,
            "/enrollments/dev-1",
        ),
        (HUB_POLICIES, "iothubowner", HUB, "/devices/dev-1"),
    ] {
        let path = format!("{policies}/{name}?keys=true");
        let rotate = format!("{policies}/{name}/rotate?keys=true");
        let first = house.control(Method::GET, &path, Value::Null).await;
        let old_primary = house.signed(resource, name, &key(&first.text("primaryKey")));
        let old_secondary = house.signed(resource, name, &key(&first.text("secondaryKey")));
        let opens = async |token: &str| {
            house
                .call(Method::GET, probe, token, None, Value::Null)
                .await
                .status
                != 401
        };
        assert!(opens(&old_primary).await && opens(&old_secondary).await);

        let unsaid = house.control(Method::POST, &rotate, Value::Null).await;
        assert_eq!(
            (unsaid.status, unsaid.message()),
            (400, "An If-Match header is required.")
        );
        let etag = first.text("etag");
        let rotated = house
            .call(
                Method::POST,
                &rotate,
                &house.bearer(),
                Some(&etag),
                Value::Null,
            )
            .await;
        assert_eq!(rotated.status, 200, "{:?}", rotated.body);
        assert_eq!(rotated.text("secondaryKey"), first.text("primaryKey"));
        assert_ne!(rotated.text("primaryKey"), first.text("primaryKey"));
        assert!(
            opens(&old_primary).await,
            "the former primary is the secondary"
        );
        assert!(!opens(&old_secondary).await, "a token of a dead key");
        let new_primary = house.signed(resource, name, &key(&rotated.text("primaryKey")));
        assert!(opens(&new_primary).await);

        // Whoever read before the first rotation does not undo it with a second.
        let stale = house
            .call(
                Method::POST,
                &rotate,
                &house.bearer(),
                Some(&etag),
                Value::Null,
            )
            .await;
        assert_eq!(stale.status, 412);
        let ended = house
            .call(
                Method::POST,
                &rotate,
                &house.bearer(),
                Some("*"),
                json!({"rotation": "secondary"}),
            )
            .await;
        assert_eq!(ended.status, 200);
        assert!(!opens(&old_primary).await && opens(&new_primary).await);
    }
}

#[tokio::test]
async fn keys_that_are_given_are_taken_and_held_to_their_rule() {
    let house = House::new().await;
    let path = format!("{POLICIES}/given");
    let short = json!({"rights": "EnrollmentRead", "primaryKey": "c2VjcmV0"});
    let refused = house.control(Method::PUT, &path, short).await;
    assert_eq!(refused.status, 400);
    assert!(
        refused.message().contains("16 to 64 bytes") && !refused.message().contains("c2VjcmV0")
    );

    let primary = SymmetricKey::from_bytes(vec![7; 64]);
    let body = json!({"rights": ["EnrollmentRead"], "primaryKey": &**primary.to_base64()});
    let made = house
        .control(Method::PUT, &format!("{path}?keys=true"), body)
        .await;
    assert_eq!(
        (made.status, made.text("primaryKey")),
        (201, primary.to_base64().to_string())
    );
    let token = house.signed(SERVICE_HOST, "GIVEN", &primary);
    let seen = house
        .call(Method::GET, "/enrollments/dev-1", &token, None, Value::Null)
        .await;
    assert_eq!(seen.status, 404);

    let same = json!({"primaryKey": &**primary.to_base64()});
    let rotate = format!("{path}/rotate");
    let refused = house
        .call(Method::POST, &rotate, &house.bearer(), Some("*"), same)
        .await;
    assert_eq!(refused.status, 400);
    assert!(refused.message().contains("already"), "{:?}", refused.body);
}

#[tokio::test]
async fn names_are_held_to_their_rule_however_they_are_written() {
    let house = House::new().await;
    let rights = json!({"rights": "EnrollmentRead"});
    for good in ["a", "A%2Db", "x%40y.z_1", &"n".repeat(64)] {
        let made = house
            .control(Method::PUT, &format!("{POLICIES}/{good}"), rights.clone())
            .await;
        assert_eq!(made.status, 201, "{good}: {:?}", made.body);
    }
    for bad in [
        "%20",
        "a%20b",
        "a%2Fb",
        "a%00b",
        "a%0Ab",
        "%1B%5B2J",
        "a%3Bb",
        "a%3Db",
        "%C3%A4",
        "a%25b",
        &"n".repeat(65),
    ] {
        for path in [format!("{POLICIES}/{bad}"), format!("{HUB_POLICIES}/{bad}")] {
            let refused = house.control(Method::PUT, &path, rights.clone()).await;
            assert_eq!(refused.status, 400, "{bad}: {:?}", refused.body);
            assert!(!refused.message().chars().any(char::is_control), "{bad}");
        }
    }
    // What is no text at all is no path.
    let refused = house
        .control(Method::PUT, &format!("{POLICIES}/%ff"), rights.clone())
        .await;
    assert_eq!(refused.status, 404);
    let unknown = house
        .control(
            Method::PUT,
            &format!("{POLICIES}/other"),
            json!({"rights": "Everything"}),
        )
        .await;
    assert_eq!(unknown.status, 400);
    assert!(unknown.message().contains("ServiceConfig, EnrollmentRead"));
}

#[tokio::test]
async fn a_service_has_a_hundred_policies_at_most() {
    let house = House::new().await;
    let rights = json!({"rights": "EnrollmentRead"});
    for number in 1..100 {
        let path = format!("{POLICIES}/policy-{number}");
        assert_eq!(
            house
                .control(Method::PUT, &path, rights.clone())
                .await
                .status,
            201
        );
    }
    let refused = house
        .control(Method::PUT, &format!("{POLICIES}/more"), rights)
        .await;
    assert_eq!(refused.status, 400);
    assert!(refused.message().contains("100"), "{:?}", refused.body);
    let listed = house.control(Method::GET, POLICIES, Value::Null).await;
    assert_eq!(listed.body["value"].as_array().map(Vec::len), Some(100));
    assert!(
        !listed.body.to_string().contains("Key\":\""),
        "no key unless asked"
    );
}

#[tokio::test]
async fn the_last_policy_with_all_rights_stays_even_for_the_control_token() {
    let house = House::new().await;
    for (policies, name, weaker) in [
        (POLICIES, "provisioningserviceowner", "EnrollmentWrite"),
        (HUB_POLICIES, "iothubowner", "RegistryWrite"),
    ] {
        let path = format!("{policies}/{name}");
        let deleted = house.control(Method::DELETE, &path, Value::Null).await;
        let weakened = house
            .call(
                Method::PUT,
                &path,
                &house.bearer(),
                Some("*"),
                json!({ "rights": weaker }),
            )
            .await;
        for refused in [deleted, weakened] {
            assert_eq!(refused.status, 400, "{:?}", refused.body);
            assert!(
                refused
                    .message()
                    .contains("create another with all rights first")
            );
        }
    }
}
