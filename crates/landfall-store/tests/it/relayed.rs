//! What two servers on one PostgreSQL database hand to each other.

#![expect(
    clippy::expect_used,
    reason = "a database that does not answer ends the test"
)]

use std::time::Duration;

use landfall_core::clock::Timestamp;
use landfall_core::id::{HubHostName, ModuleId};
use landfall_core::store::{Change, Store as _};
use landfall_hub::endpoint::Endpoint;
use landfall_hub::kept_session::NewSession;
use landfall_hub::relay::{Notice, Relayed, RelayedAnswer, RelayedCall};
use landfall_hub::store::{HubAnswer, HubExpect, HubStore, HubWrite};
use landfall_store::SqlStore;

use crate::fixture::{Folder, hub_write};
use crate::hub::{device, hub, module};
use crate::nodes::two;
use crate::postgres;

const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
const SOON: Timestamp = Timestamp::from_unix_seconds(1_800_000_060);

/// Two servers, a device with a module, and nobody connected.
struct Pair {
    here: SqlStore,
    there: SqlStore,
    database: String,
    hub: HubHostName,
    device: Endpoint,
    module: Endpoint,
}

impl Pair {
    async fn open(server: &str) -> Pair {
        let (here, there, database) = two(server).await;
        let hub = hub("hub.example");
        let name = hub.host_name.clone();
        let device = device("dev");
        let module = module("dev", "m");
        let pair = Pair {
            device: Endpoint::device(device.id.clone()),
            module: Endpoint {
                device: device.id.clone(),
                module: Some(ModuleId::parse("m").expect("an id")),
            },
            hub: name.clone(),
            here,
            there,
            database,
        };
        let absent = HubExpect::Absent;
        for put in [
            HubWrite::PutHub(Box::new(hub), absent),
            HubWrite::PutDevice(name.clone(), Box::new(device), absent),
            HubWrite::PutModule(name, Box::new(module), absent),
        ] {
            hub_write(&pair.here, put).await.expect("made");
        }
        pair
    }

    async fn connect(&self, store: &SqlStore, endpoint: &Endpoint) -> i64 {
        let new = NewSession {
            opened: NOW,
            clean: false,
        };
        let open = HubWrite::OpenSession(self.hub.clone(), endpoint.clone(), new);
        match store.carry_out(Change::of_hub(vec![open])).await.as_deref() {
            Ok([HubAnswer::Opened(opened)]) => opened.epoch,
            other => unreachable!("one session is one answer: {other:?}"),
        }
    }

    async fn tell(&self, store: &SqlStore, endpoint: &Endpoint, notice: &Notice) {
        let (hub, endpoint) = (self.hub.clone(), endpoint.clone());
        let tell = HubWrite::Tell(hub, endpoint, notice.clone(), SOON);
        hub_write(store, tell).await.expect("told");
    }

    fn notice(&self, endpoint: &Endpoint, epoch: i64, notice: Notice) -> Relayed {
        Relayed::Notice(self.hub.clone(), endpoint.clone(), epoch, notice)
    }
}

async fn taken(store: &SqlStore, now: Timestamp) -> Vec<Relayed> {
    let waits = store.is_handed_something(now).await.expect("reads");
    let taken = store.take_relayed(now, 100).await.expect("taken");
    assert_eq!(waits, !taken.is_empty());
    taken
}

#[tokio::test]
async fn a_notice_reaches_the_server_that_has_the_session() {
    for server in postgres::servers() {
        let pair = Pair::open(&server).await;
        let (here, there) = (&pair.here, &pair.there);
        let desired = |version| Notice::Desired(version, format!("{{\"$version\":{version}}}"));
        pair.tell(here, &pair.device, &desired(1)).await;
        assert_eq!(taken(there, NOW).await, [], "nobody is connected");
        let epoch = pair.connect(there, &pair.device).await;
        pair.tell(there, &pair.device, &desired(2)).await;
        pair.tell(here, &pair.module, &Notice::Messages).await;
        assert_eq!(taken(there, NOW).await, [], "it has the session itself");
        for version in 3..6 {
            pair.tell(here, &pair.device, &desired(version)).await;
        }
        pair.tell(here, &pair.device, &Notice::Messages).await;
        assert_eq!(taken(here, NOW).await, []);
        let first = there.take_relayed(NOW, 2).await.expect("taken");
        let of = |version| pair.notice(&pair.device, epoch, desired(version));
        assert_eq!(first, [of(3), of(4)]);
        let messages = pair.notice(&pair.device, epoch, Notice::Messages);
        assert_eq!(taken(there, NOW).await, [of(5), messages]);
        assert_eq!(taken(there, NOW).await, [], "each is taken once");
        pair.tell(here, &pair.device, &desired(6)).await;
        assert_eq!(taken(there, SOON).await, [], "too late");
        let left = async || {
            let rows = "SELECT COUNT(*) FROM hub_relayed";
            postgres::number(&pair.database, rows).await
        };
        assert_eq!(left().await, 1);
        assert_eq!(here.close_lost_sessions(SOON, 10).await, Ok(0));
        assert_eq!(left().await, 0, "what is worth nothing is dropped");
    }
}

#[tokio::test]
async fn an_end_reaches_every_server_that_has_a_session_of_the_device() {
    for server in postgres::servers() {
        let pair = Pair::open(&server).await;
        let (here, there) = (&pair.here, &pair.there);
        let device = pair.connect(there, &pair.device).await;
        let module = pair.connect(there, &pair.module).await;
        pair.tell(here, &pair.module, &Notice::Ended).await;
        let of_module = pair.notice(&pair.module, module, Notice::Ended);
        assert_eq!(taken(there, NOW).await, std::slice::from_ref(&of_module));
        pair.tell(here, &pair.device, &Notice::Ended).await;
        let of_device = pair.notice(&pair.device, device, Notice::Ended);
        let both = [of_device.clone(), of_module];
        assert_eq!(taken(there, NOW).await, both);
        // Who connects elsewhere ends the session that was there, and a server that was not heard of is told
        // when it is back.
        let next = pair.connect(here, &pair.device).await;
        assert_eq!(taken(there, NOW).await, [of_device]);
        assert_eq!(taken(here, NOW).await, []);
        let gone = format!(
            "UPDATE nodes SET lease_until = 0 WHERE node = '{}'",
            here.node()
        );
        postgres::run(&pair.database, &gone).await;
        assert_eq!(there.close_lost_sessions(NOW, 10).await, Ok(1));
        let ended = pair.notice(&pair.device, next, Notice::Ended);
        assert_eq!(taken(here, NOW).await, [ended]);
    }
}

#[tokio::test]
async fn a_call_is_answered_from_another_server() {
    for server in postgres::servers() {
        let pair = Pair::open(&server).await;
        let (here, there) = (&pair.here, &pair.there);
        let call = RelayedCall {
            asker: here.node(),
            call: "c-1".to_owned(),
            name: "reboot".to_owned(),
            payload: "{\"in\":3}".to_owned(),
            within: Duration::from_millis(30_500),
        };
        let called = async || {
            let (hub, of) = (pair.hub.clone(), pair.device.clone());
            let call = HubWrite::Call(hub, of, call.clone(), SOON);
            here.carry_out(Change::of_hub(vec![call])).await
        };
        assert_eq!(called().await, Ok(vec![HubAnswer::Called(false)]));
        pair.connect(here, &pair.device).await;
        assert_eq!(called().await, Ok(vec![HubAnswer::Called(false)]), "here");
        pair.connect(there, &pair.device).await;
        taken(here, NOW).await;
        assert_eq!(called().await, Ok(vec![HubAnswer::Called(true)]));
        let relayed = Relayed::Call(pair.hub.clone(), pair.device.clone(), call.clone());
        assert_eq!(taken(there, NOW).await, [relayed]);
        for outcome in [Some((200, vec![0xff, 0])), None] {
            let answer = RelayedAnswer {
                call: "c-1".to_owned(),
                outcome,
            };
            let reply = HubWrite::Reply(pair.hub.clone(), here.node(), answer.clone(), SOON);
            hub_write(there, reply).await.expect("answered");
            assert_eq!(taken(here, NOW).await, [Relayed::Answer(answer)]);
        }
    }
}

#[tokio::test]
async fn a_server_is_woken_when_something_is_handed_to_it() {
    for server in postgres::servers() {
        let pair = Pair::open(&server).await;
        let (here, there) = (&pair.here, &pair.there);
        pair.connect(there, &pair.device).await;
        // It looks once when it begins to listen.
        tokio::join!(there.woken(), here.woken());
        pair.tell(here, &pair.device, &Notice::Messages).await;
        there.woken().await;
        assert_eq!(taken(there, NOW).await.len(), 1);
        // The connection that listens is lost: the server looks when it listens again.
        let listening = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE query LIKE '%LISTEN landfall_relayed%' AND pid <> pg_backend_pid()";
        postgres::run(&pair.database, listening).await;
        pair.tell(here, &pair.device, &Notice::Messages).await;
        there.woken().await;
        assert_eq!(taken(there, NOW).await.len(), 1);
    }
}

#[tokio::test]
async fn where_there_is_one_server_nothing_is_handed_over() {
    let folder = Folder::new();
    let store = folder.open();
    let hub = hub("hub.example");
    let name = hub.host_name.clone();
    let device = device("dev");
    let endpoint = Endpoint::device(device.id.clone());
    let writes = vec![
        HubWrite::PutHub(Box::new(hub), HubExpect::Absent),
        HubWrite::PutDevice(name.clone(), Box::new(device), HubExpect::Absent),
        HubWrite::OpenSession(
            name.clone(),
            endpoint.clone(),
            NewSession {
                opened: NOW,
                clean: false,
            },
        ),
        HubWrite::Tell(name, endpoint, Notice::Messages, SOON),
    ];
    let done = store.commit(vec![Change::of_hub(writes)]).await;
    assert_eq!(done, [Ok(())]);
    assert_eq!(taken(&store, NOW).await, []);
    let woken = std::pin::pin!(store.woken());
    assert!(is_pending(woken), "nobody wakes it");
}

/// Whether a future is not ready at once.
fn is_pending<F: Future<Output = ()>>(mut future: std::pin::Pin<&mut F>) -> bool {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    future.as_mut().poll(&mut context).is_pending()
}
