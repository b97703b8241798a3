//! Many requests at once for one id, and an operator who changes the enrollment meanwhile.

use std::collections::HashSet;
use std::sync::Arc;

use http::Method;
use landfall_core::error::Error;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{Road, Visitor, key, keys};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn racing_registrations_of_one_id_make_one_device() {
    let road = Arc::new(Road::new().await);
    road.put(
        "/enrollmentGroups/fleet",
        json!({"attestation": keys(7, 8)}),
    )
    .await;
    let visitor = Visitor::of_group(&road, "dev-1", &key(7));
    let mut racing = JoinSet::new();
    for _ in 0..40 {
        let (road, visitor) = (Arc::clone(&road), visitor.clone());
        racing.spawn(async move { road.register(&visitor).await });
    }
    let mut operations = HashSet::new();
    while let Some(ended) = racing.join_next().await {
        match ended.expect("no panic") {
            Ok(operation) => {
                operations.insert(operation);
            }
            // A device that is told to come back holds no operation id.
            Err(Error::Unavailable(_)) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(operations.len() > 1, "several were let in");
    let mut hubs = HashSet::new();
    for operation in &operations {
        let (status, body) = road.poll(&visitor, operation).await.expect("never 404");
        assert_eq!((status, body["status"].as_str()), (200, Some("assigned")));
        hubs.insert(
            body["registrationState"]["assignedHub"]
                .as_str()
                .map(str::to_owned),
        );
    }
    assert_eq!(hubs.len(), 1, "one hub");
    assert_eq!(road.devices().await.len(), 1, "one device");
}

/// How an operator ends a group's days.
#[derive(Debug, Clone, Copy)]
enum End {
    Deleted,
    Disabled,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_enters_after_the_operator_read_that_the_group_is_closed() {
    let road = Arc::new(Road::new().await);
    for (round, end) in [End::Deleted, End::Disabled]
        .into_iter()
        .cycle()
        .take(16)
        .enumerate()
    {
        let path = format!("/enrollmentGroups/fleet-{round}");
        let group_key = u8::try_from(round).expect("small") * 2 + 20;
        let open = json!({"attestation": keys(group_key, group_key + 1)});
        road.put(&path, open.clone()).await;
        let mut storm = JoinSet::new();
        for number in 0..24 {
            let road = Arc::clone(&road);
            storm.spawn(async move {
                let id = format!("dev-{round}-{number}");
                let visitor = Visitor::of_group(&road, &id, &key(group_key));
                road.register(&visitor).await
            });
        }
        match end {
            End::Deleted => {
                let gone = road
                    .bench
                    .call(Method::DELETE, &path, &[], Value::Null)
                    .await;
                assert_eq!(gone.status, 204);
            }
            End::Disabled => {
                let mut closed = open;
                closed["provisioningStatus"] = "disabled".into();
                road.put(&path, closed).await;
            }
        }
        let entered = road.devices().await.len();
        while let Some(ended) = storm.join_next().await {
            match ended.expect("no panic") {
                Ok(_) | Err(Error::Unauthorized) => {}
                Err(other) => panic!("{other:?}"),
            }
        }
        assert_eq!(
            road.devices().await.len(),
            entered,
            "{end:?}, round {round}"
        );
    }
}
