//! What each right opens on each face, and what it does not; and that nobody gets further by way of
//! the policies themselves.

use http::Method;
use serde_json::{Value, json};

use super::{House, SERVICE};

fn individual(id: &str) -> Value {
    json!({"registrationId": id, "attestation": {"type": "symmetricKey"}})
}

#[tokio::test]
async fn each_right_of_a_service_opens_its_calls_and_no_other() {
    let house = House::new().await;
    house.enroll("dev-1").await;
    let group = json!({"enrollmentGroupId": "grp", "attestation": {"type": "symmetricKey"}});
    house
        .call(
            Method::PUT,
            "/enrollmentGroups/grp",
            &house.owner(),
            None,
            group,
        )
        .await;
    let holder = format!("services/{SERVICE}");
    const READ: &str = "EnrollmentRead";
    const WRITE: &str = "EnrollmentWrite";
    const STATUS_READ: &str = "RegistrationStatusRead";
    const STATUS_WRITE: &str = "RegistrationStatusWrite";
    const CONFIG: &str = "ServiceConfig";
    let calls = [
        (Method::GET, "/enrollments/dev-1", Value::Null, READ),
        (Method::GET, "/enrollmentGroups/grp", Value::Null, READ),
        (
            Method::POST,
            "/enrollments/query",
            json!({"query": "SELECT *"}),
            READ,
        ),
        (
            Method::POST,
            "/enrollments/dev-1/attestationmechanism",
            Value::Null,
            WRITE,
        ),
        (
            Method::POST,
            "/enrollmentGroups/grp/attestationmechanism",
            Value::Null,
            WRITE,
        ),
        (
            Method::PUT,
            "/enrollments/dev-2",
            individual("dev-2"),
            WRITE,
        ),
        (
            Method::POST,
            "/enrollments",
            json!({"mode": "create", "enrollments": [individual("dev-3")]}),
            WRITE,
        ),
        (Method::DELETE, "/enrollments/nobody", Value::Null, WRITE),
        (
            Method::GET,
            "/registrations/nobody",
            Value::Null,
            STATUS_READ,
        ),
        (
            Method::POST,
            "/registrations/grp/query",
            json!({"query": "SELECT *"}),
            STATUS_READ,
        ),
        (
            Method::GET,
            "/landfall/registrations/nobody/traces",
            Value::Null,
            STATUS_READ,
        ),
        (
            Method::DELETE,
            "/registrations/nobody",
            Value::Null,
            STATUS_WRITE,
        ),
        (Method::GET, "/landfall/services", Value::Null, CONFIG),
        (
            Method::GET,
            "/landfall/services/factory",
            Value::Null,
            CONFIG,
        ),
        (
            Method::PATCH,
            "/landfall/services/factory",
            json!({"requireVerifiedChain": false}),
            CONFIG,
        ),
        (
            Method::GET,
            "/landfall/services/factory/policies",
            Value::Null,
            CONFIG,
        ),
        (
            Method::DELETE,
            "/landfall/services/factory/policies/nobody",
            Value::Null,
            CONFIG,
        ),
    ];
    for (rights, opens) in [
        (READ, vec![READ]),
        (WRITE, vec![READ, WRITE]),
        (STATUS_READ, vec![STATUS_READ]),
        (STATUS_WRITE, vec![STATUS_READ, STATUS_WRITE]),
        (CONFIG, vec![CONFIG]),
        ("DeviceConnect", vec![]),
    ] {
        let token = house
            .policy(&holder, &format!("only-{rights}"), rights)
            .await;
        for (method, path, body, needed) in calls.clone() {
            let answer = house.call(method.clone(), path, &token, None, body).await;
            let may = opens.contains(&needed);
            assert_eq!(
                answer.status != 401,
                may,
                "{rights}: {method} {path}: {:?}",
                answer.body
            );
            if !may {
                let said = format!("Unauthorized: the policy lacks the right '{needed}'.");
                assert_eq!(answer.message(), said, "{rights}: {method} {path}");
            }
        }
    }
}

#[tokio::test]
async fn each_permission_of_a_hub_opens_its_calls_and_no_other() {
    let house = House::new().await;
    const READ: &str = "RegistryRead";
    const WRITE: &str = "RegistryWrite";
    const SERVICE_CONNECT: &str = "ServiceConnect";
    let device = |id: &str| json!({"deviceId": id});
    let made = house
        .call(
            Method::PUT,
            "/devices/dev-1",
            &house.of_hub("iothubowner"),
            None,
            device("dev-1"),
        )
        .await;
    assert_eq!(made.status, 200, "{:?}", made.body);
    let calls = [
        (Method::GET, "/devices", Value::Null, READ),
        (Method::GET, "/devices/dev-1", Value::Null, READ),
        (Method::PUT, "/devices/dev-2", device("dev-2"), WRITE),
        (Method::DELETE, "/devices/nobody", Value::Null, WRITE),
        (
            Method::POST,
            "/devices",
            json!([{"id": "dev-3", "importMode": "create"}]),
            WRITE,
        ),
        (Method::GET, "/twins/dev-1", Value::Null, SERVICE_CONNECT),
        (
            Method::PATCH,
            "/twins/dev-1",
            json!({"tags": {"a": 1}}),
            SERVICE_CONNECT,
        ),
        (
            Method::POST,
            "/devices/query",
            json!({"query": "SELECT * FROM devices"}),
            SERVICE_CONNECT,
        ),
    ];
    for (policy, opens) in [
        ("registryRead", vec![READ]),
        ("registryReadWrite", vec![READ, WRITE]),
        ("service", vec![SERVICE_CONNECT]),
        ("device", vec![]),
    ] {
        let token = house.of_hub(policy);
        for (method, path, body, needed) in calls.clone() {
            let answer = house.call(method.clone(), path, &token, None, body).await;
            let may = opens.contains(&needed);
            assert_eq!(
                answer.status != 401,
                may,
                "{policy}: {method} {path}: {:?}",
                answer.body
            );
            if !may {
                assert!(
                    answer.message().contains(&format!("'{needed}'")),
                    "{:?}",
                    answer.body
                );
            }
        }
        // Only the owner keeps the policies of a hub.
        let refused = house
            .call(
                Method::GET,
                "/landfall/hubs/hub.test/policies",
                &token,
                None,
                Value::Null,
            )
            .await;
        assert_eq!(refused.status, 401);
        assert!(
            refused.message().contains("lacks the right"),
            "{:?}",
            refused.body
        );
    }
    let seen = house
        .call(
            Method::GET,
            "/landfall/hubs/hub.test/policies?keys=true",
            &house.of_hub("iothubowner"),
            None,
            Value::Null,
        )
        .await;
    assert_eq!(
        seen.body["value"].as_array().map(Vec::len),
        Some(5),
        "{:?}",
        seen.body
    );
    assert!(seen.body["value"][4]["primaryKey"].is_string());
}

#[tokio::test]
async fn a_policy_that_may_configure_gives_sees_and_changes_no_more_than_it_has() {
    let house = House::new().await;
    let holder = format!("services/{SERVICE}");
    let token = house
        .policy(&holder, "config", "ServiceConfig, EnrollmentRead")
        .await;
    house.policy(&holder, "writer", "EnrollmentWrite").await;
    let policies = format!("/landfall/{holder}/policies");
    let by = async |method: Method, path: &str, if_match: Option<&str>, body: Value| {
        let path = format!("{policies}{path}");
        house.call(method, &path, &token, if_match, body).await
    };
    let reader = json!({"rights": "EnrollmentRead"});
    assert_eq!(
        by(Method::PUT, "/reader", None, reader.clone())
            .await
            .status,
        201
    );
    let wider = json!({"rights": "EnrollmentRead, RegistrationStatusRead"});
    for (method, path, if_match, body, lacks) in [
        (
            Method::PUT,
            "/wider",
            None,
            wider.clone(),
            "RegistrationStatusRead",
        ),
        (
            Method::PUT,
            "/reader",
            Some("*"),
            wider,
            "RegistrationStatusRead",
        ),
        (
            Method::PUT,
            "/config",
            Some("*"),
            json!({"rights": "DeviceConnect"}),
            "DeviceConnect",
        ),
        (
            Method::GET,
            "/writer?keys=true",
            None,
            Value::Null,
            "EnrollmentWrite",
        ),
        (Method::PUT, "/writer", Some("*"), reader, "EnrollmentWrite"),
        (
            Method::DELETE,
            "/writer",
            None,
            Value::Null,
            "EnrollmentWrite",
        ),
        (
            Method::POST,
            "/writer/rotate",
            Some("*"),
            Value::Null,
            "EnrollmentWrite",
        ),
        (
            Method::POST,
            "/provisioningserviceowner/rotate",
            Some("*"),
            Value::Null,
            "EnrollmentWrite",
        ),
    ] {
        let refused = by(method.clone(), path, if_match, body).await;
        let said = format!("Unauthorized: the policy lacks the right '{lacks}'.");
        assert_eq!(
            (refused.status, refused.message()),
            (401, &*said),
            "{method} {path}"
        );
    }
    let listed = by(Method::GET, "?keys=true", None, Value::Null).await;
    let shown: Vec<(&str, bool)> = listed.body["value"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| {
            (
                one["keyName"].as_str().expect("a name"),
                one["primaryKey"].is_string(),
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("provisioningserviceowner", false),
            ("config", true),
            ("writer", false),
            ("reader", true)
        ]
    );
    // Its own service shows it no stronger key either.
    let service = house
        .call(
            Method::GET,
            "/landfall/services/factory?keys=true",
            &token,
            None,
            Value::Null,
        )
        .await;
    assert_eq!(service.status, 200);
    assert!(
        service.body.get("serviceConnectionString").is_none(),
        "{:?}",
        service.body
    );
    let owner = house
        .call(
            Method::GET,
            "/landfall/services?keys=true",
            &house.owner(),
            None,
            Value::Null,
        )
        .await;
    assert!(owner.body["value"][0]["serviceConnectionString"].is_string());
    assert!(owner.body["value"][0].get("hubConnectionString").is_none());
}

#[tokio::test]
async fn a_policy_opens_its_own_service_only_and_strangers_learn_nothing() {
    let house = House::new().await;
    let second = json!({"name": "second", "hostName": "dps2.test", "hubHostName": "hub2.test"});
    let made = house
        .control(Method::POST, "/landfall/services", second)
        .await;
    assert_eq!(made.status, 201, "{:?}", made.body);
    let owner = house.owner();
    for path in [
        "/landfall/services/second",
        "/landfall/services/second/policies",
        "/landfall/services/nobody/policies",
    ] {
        let refused = house
            .call(Method::GET, path, &owner, None, Value::Null)
            .await;
        assert_eq!(refused.status, 404, "{path}");
    }
    let seen = house
        .call(Method::GET, "/landfall/services", &owner, None, Value::Null)
        .await;
    assert_eq!(seen.body["value"].as_array().map(Vec::len), Some(1));
    for (method, path) in [
        (Method::DELETE, "/landfall/services/factory"),
        (Method::POST, "/landfall/services"),
        (Method::GET, "/landfall/hubs/hub.test/policies"),
        (Method::GET, "/landfall/hubs/nobody.test/policies"),
    ] {
        let refused = house.call(method, path, &owner, None, json!({})).await;
        assert_eq!(
            (refused.status, refused.message()),
            (401, "Unauthorized"),
            "{path}"
        );
    }
    for change in [
        json!({"hostName": "other.test"}),
        json!({"linkedHubs": [{"hostName": "hub2.test"}]}),
    ] {
        let refused = house
            .call(
                Method::PATCH,
                "/landfall/services/factory",
                &owner,
                None,
                change,
            )
            .await;
        assert_eq!(refused.status, 401);
    }
    let other_hub = house.of_hub("iothubowner");
    let refused = house
        .call(
            Method::GET,
            "/landfall/hubs/hub2.test/policies",
            &other_hub,
            None,
            Value::Null,
        )
        .await;
    assert_eq!((refused.status, refused.message()), (401, "Unauthorized"));
}
