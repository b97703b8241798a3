//! The one driver on a real database with real embedded hubs: whatever happens on the road, a device
//! that holds an operation id ends on one hub. Devices here speak in exchanges, without sockets.

mod cut;
mod elsewhere;
mod ended;
mod groups;
mod racing;
mod returning;

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use landfall_core::attestation::Evidence;
use landfall_core::certificate::Certificate;
use landfall_core::document::Json;
use landfall_core::error::Error;
use landfall_core::exchange::{Action, Exchange};
use landfall_core::id::{DeviceId, OperationId, RegistrationId, TrackingId};
use landfall_core::sas::{SasToken, sign};
use landfall_core::secret::SymmetricKey;
use landfall_core::store::{Change, Store};
use landfall_hub::device::{Device, Hub};
use landfall_hub::policy::default_policies;
use landfall_hub::registry::EmbeddedHubs;
use landfall_hub::store::{HubExpect, HubSelection, HubStore, HubWrite};
use landfall_server::provisioning::{Answer, Provisioning};
use landfall_server::telemetry::{Attempt, TraceRetention, Traces};
use landfall_server::worker;
use landfall_store::SqlStore;
use landfall_wire::device;
use serde_json::{Value, json};

use crate::bench::{Bench, hub, id_scope};

/// The id scope of the service that all these devices ask for. It is linked to both hubs.
const SCOPE: &str = "0neA";
const HUBS: [&str; 2] = ["hub.a", "hub.b"];

/// The bench with its two hubs, and the driver over them.
struct Road {
    bench: Bench,
    driver: Arc<Provisioning<SqlStore, EmbeddedHubs<SqlStore>>>,
    traces: Traces,
}

/// A device: its id, and what it shows of itself.
#[derive(Clone)]
struct Visitor {
    id: String,
    evidence: Evidence,
    api_version: &'static str,
}

/// What a device reads: the status code and the body.
type Read = (u16, Value);

fn key(byte: u8) -> SymmetricKey {
    SymmetricKey::from_bytes(vec![byte; 64])
}

fn keys(primary: u8, secondary: u8) -> Value {
    json!({
        "type": "symmetricKey",
        "symmetricKey": {
            "primaryKey": &*key(primary).to_base64(),
            "secondaryKey": &*key(secondary).to_base64(),
        },
    })
}

impl Visitor {
    /// A device with a key of its own.
    fn with_key(road: &Road, id: &str, key: &SymmetricKey) -> Self {
        let until = road
            .bench
            .backend
            .clock
            .now()
            .plus(Duration::from_secs(600));
        let resource = format!("{SCOPE}/registrations/{id}");
        let token = sign(&resource, key, Some("registration"), until);
        Visitor {
            id: id.to_owned(),
            evidence: Evidence {
                token: Some(SasToken::parse(&token)),
                ..Evidence::default()
            },
            api_version: "2021-06-01",
        }
    }

    /// A device with a key derived from its group's.
    fn of_group(road: &Road, id: &str, group: &SymmetricKey) -> Self {
        Self::with_key(road, id, &group.derive(id))
    }

    /// A device that shows a certificate in its TLS session.
    fn with_certificate(id: &str, der: &[u8]) -> Self {
        Visitor {
            id: id.to_owned(),
            evidence: Evidence {
                chain: vec![Certificate::from_der(der)],
                ..Evidence::default()
            },
            api_version: "2021-06-01",
        }
    }
}

impl Road {
    async fn new() -> Self {
        Self::with_hubs(Bench::new().await).await
    }

    async fn with_hubs(bench: Bench) -> Self {
        let hubs = HUBS.map(|name| {
            let hub = Hub {
                host_name: hub(name),
                policies: default_policies(&*bench.backend.entropy),
                created: bench.backend.clock.now(),
                revision: 0,
            };
            Change::of_hub(vec![HubWrite::PutHub(Box::new(hub), HubExpect::Absent)])
        });
        let done = bench.backend.store.commit(hubs.into()).await;
        assert!(done.iter().all(Result::is_ok));
        Self::on(bench)
    }

    fn on(bench: Bench) -> Self {
        let (store, clock) = (&bench.backend.store, &bench.backend.clock);
        let hubs = EmbeddedHubs::new(
            Arc::clone(store),
            Arc::clone(clock),
            Arc::clone(&bench.backend.entropy),
        );
        let retention = TraceRetention {
            age: Duration::from_secs(3600),
            count: 1000,
        };
        let (traces, _) = Traces::start(&bench.backend, retention);
        Road {
            driver: Arc::new(Provisioning::new(bench.backend.clone(), hubs)),
            traces,
            bench,
        }
    }

    /// The same database after the process was killed and started again.
    async fn after_a_kill(self) -> Self {
        let Road {
            bench,
            driver,
            traces,
        } = self;
        drop((driver, traces));
        Self::on(bench.reopened().await)
    }

    /// Writes an enrollment or group through the service API.
    async fn put(&self, path: &str, mut body: Value) -> Value {
        let (collection, id) = path[1..].split_once('/').expect("a record's path");
        let name = match collection {
            "enrollments" => "registrationId",
            _ => "enrollmentGroupId",
        };
        body[name] = id.into();
        let answer = self
            .bench
            .call(Method::PUT, path, &[("if-match", "*")], body.clone())
            .await;
        let answer = match answer.status {
            412 => self.bench.call(Method::PUT, path, &[], body).await,
            _ => answer,
        };
        assert_eq!(answer.status, 200, "{:?}", answer.body);
        answer.body
    }

    async fn exchange(
        &self,
        visitor: &Visitor,
        action: Action,
        attempt: &mut Attempt,
    ) -> Result<Answer, Error> {
        let exchange = Exchange {
            id_scope: id_scope(SCOPE),
            registration_id: RegistrationId::parse(&visitor.id).expect("valid"),
            action,
            evidence: visitor.evidence.clone(),
            api_version: visitor.api_version.to_owned(),
            protocol: "test",
        };
        self.driver.answer(&exchange, attempt).await
    }

    fn attempt(&self) -> Attempt {
        let now = self.bench.backend.clock.now();
        let tracking_id = TrackingId::draw(now, &*self.bench.backend.entropy);
        let mut attempt = Attempt::begin(tracking_id, "test", String::new(), now);
        attempt.asked("register", SCOPE, "");
        attempt
    }

    async fn register(&self, visitor: &Visitor) -> Result<OperationId, Error> {
        let action = Action::Register { payload: None };
        match self.exchange(visitor, action, &mut self.attempt()).await? {
            Answer::Accepted(id) => Ok(id),
            other => panic!("{other:?} is no answer to a registration"),
        }
    }

    async fn poll(&self, visitor: &Visitor, id: &OperationId) -> Result<Read, Error> {
        let action = Action::OperationStatus(id.clone());
        match self.exchange(visitor, action, &mut self.attempt()).await? {
            Answer::Operation(operation) => {
                let reply = device::operation(&operation, Duration::from_secs(2));
                let body = serde_json::from_slice(&reply.body).expect("JSON");
                Ok((reply.status.as_u16(), body))
            }
            other => panic!("{other:?} is no answer to a poll"),
        }
    }

    /// Registers and polls; gives the registration state that the device reads.
    async fn provision(&self, visitor: &Visitor) -> Value {
        let id = self.register(visitor).await.expect("let in");
        let (status, body) = self.poll(visitor, &id).await.expect("an answer");
        assert_eq!(status, 200);
        body["registrationState"].clone()
    }

    /// The check that kept a device out.
    async fn refusal(&self, visitor: &Visitor) -> (Error, String) {
        let mut attempt = self.attempt();
        let action = Action::Register { payload: None };
        let error = self
            .exchange(visitor, action, &mut attempt)
            .await
            .expect_err("kept out");
        let last = attempt.stages().last().expect("a stage");
        (error, last.note.clone())
    }

    /// Continues what a crash left. Gives how many operations were unfinished.
    async fn resume(&self) -> usize {
        worker::resume(
            &self.bench.backend,
            &*self.driver,
            &self.traces,
            Duration::ZERO,
        )
        .await
        .expect("a store that reads")
    }

    /// All device identities, with their hub.
    async fn devices(&self) -> Vec<(String, Device)> {
        let mut found = Vec::new();
        for name in HUBS {
            let selection = HubSelection {
                limit: 1000,
                ..HubSelection::default()
            };
            let devices = self
                .bench
                .backend
                .store
                .devices(&hub(name), &selection)
                .await;
            let devices = devices.expect("a store that reads");
            found.extend(devices.into_iter().map(|device| (name.to_owned(), device)));
        }
        found
    }

    async fn device(&self, hub_name: &str, id: &str) -> Option<Device> {
        let id = DeviceId::parse(id).expect("valid");
        let store = &self.bench.backend.store;
        store.device(&hub(hub_name), &id).await.expect("a read")
    }

    /// Writes a tag on a device as an operator would, so that a kept twin can be told from a new one.
    async fn mark(&self, hub_name: &str, mut device: Device) {
        let mut tags = device.twin.tags.to_object().expect("an object");
        tags.insert("marked".to_owned(), Json::Bool(true));
        device.twin.tags = landfall_core::document::Document::from_json(&Json::Object(tags));
        device.twin.version += 1;
        let expect = HubExpect::Revision(device.revision);
        let write = HubWrite::PutDevice(hub(hub_name), Box::new(device), expect);
        let done = self
            .bench
            .backend
            .store
            .commit(vec![Change::of_hub(vec![write])])
            .await;
        assert!(done.iter().all(Result::is_ok));
    }
}

/// Whether an operator's mark is on the twin.
fn marked(device: &Device) -> bool {
    device.twin.tags.as_str().contains("marked")
}
