//! Cut at every step, and continued elsewhere: what one server wrote down and left is continued by
//! another on the same PostgreSQL database, and by none as long as the first holds on to it.

use serde_json::json;

use super::cut::{CUTS, ID, continues, ends_assigned, write_down};
use super::{Road, Visitor, key, keys};
use crate::bench::Bench;
use crate::postgres;

/// A server on a database of each version, with a device that may come.
async fn servers() -> Vec<(Road, Visitor)> {
    let mut servers = Vec::new();
    for url in postgres::databases() {
        let road = Road::with_hubs(Bench::on_postgres(url).await).await;
        road.put("/enrollments/dev-1", json!({"attestation": keys(1, 2)}))
            .await;
        let visitor = Visitor::with_key(&road, ID, &key(1));
        servers.push((road, visitor));
    }
    servers
}

impl Road {
    /// Another server on the same database.
    async fn beside(&self) -> Self {
        Self::on(self.bench.beside().await)
    }

    /// The server is gone, and its lease is over.
    async fn goes(self) {
        self.bench.backend.store.close().await;
    }
}

#[tokio::test]
async fn an_operation_cut_at_any_step_is_continued_by_another_server_of_the_database() {
    for cut in CUTS {
        for (road, visitor) in servers().await {
            let other = road.beside().await;
            let operation = write_down(&road, cut).await;
            assert_eq!(other.resume().await, 0, "it is the first server's");
            road.goes().await;
            continues(&other, &visitor, &operation).await;
        }
    }
}

#[tokio::test]
async fn a_returning_device_s_operation_is_continued_by_another_server_of_the_database() {
    for cut in CUTS {
        for (road, visitor) in servers().await {
            let other = road.beside().await;
            let first = road.provision(&visitor).await;
            let operation = write_down(&road, cut).await;
            road.goes().await;
            continues(&other, &visitor, &operation).await;
            let (_, body) = other.poll(&visitor, &operation).await.expect("known");
            let state = &body["registrationState"];
            assert_eq!(state["substatus"], "reprovisionedToInitialAssignment");
            assert_eq!(state["createdDateTimeUtc"], first["createdDateTimeUtc"]);
        }
    }
}

#[tokio::test]
async fn of_two_servers_that_could_continue_an_operation_one_does() {
    for cut in CUTS {
        for (road, visitor) in servers().await {
            let (one, other) = (road.beside().await, road.beside().await);
            let operation = write_down(&road, cut).await;
            road.goes().await;
            let (mine, theirs) = tokio::join!(one.resume(), other.resume());
            assert_eq!(mine + theirs, 1, "{mine} and {theirs} continued it");
            for server in [&one, &other] {
                ends_assigned(server, &visitor, &operation).await;
                assert_eq!(server.resume().await, 0, "nothing is left to continue");
            }
        }
    }
}

#[tokio::test]
async fn a_server_continues_no_operation_of_an_enrollment_that_another_closed() {
    for cut in CUTS {
        for (road, visitor) in servers().await {
            let other = road.beside().await;
            let operation = write_down(&road, cut).await;
            let closed = json!({"attestation": keys(1, 2), "provisioningStatus": "disabled"});
            other.put("/enrollments/dev-1", closed).await;
            road.goes().await;
            assert_eq!(other.resume().await, 1);
            let polled = other.poll(&visitor, &operation).await;
            let (status, body) = polled.expect("known, never 404");
            assert_eq!((status, body["status"].as_str()), (200, Some("disabled")));
            assert!(other.devices().await.is_empty());
        }
    }
}
