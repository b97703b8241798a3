//! A provisioning service in a fresh database, and calls to its faces.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use landfall_core::audit::Origin;
use landfall_core::clock::{Entropy, Timestamp};
use landfall_core::enrollment::AllocationPolicy;
use landfall_core::id::{Etag, HubHostName, IdScope, PolicyName, ServiceName, TrackingId};
use landfall_core::linked_hub::LinkedHub;
use landfall_core::sas::sign;
use landfall_core::secret::{KeyPair, SymmetricKey};
use landfall_core::service::{AccessPolicy, ProvisioningService, Rights};
use landfall_core::store::{Change, Expect, Store, Write};
use landfall_server::backend::Backend;
use landfall_server::time::SystemEntropy;
use landfall_server::{control_api, service_api};
use landfall_store::secret::SealingKey;
use landfall_store::{PostgresUrl, SqlStore};
use landfall_wire::message::{Reply, Request};
use landfall_wire::route::{self, Route};
use serde_json::Value;
use tempfile::TempDir;

/// The host name that all services of these tests share.
pub const HOST: &str = "dps.test";

/// A store with services in it.
pub struct Bench {
    pub backend: Backend<SqlStore>,
    pub token: SymmetricKey,
    sealing: SealingKey,
    place: Place,
}

/// Where the store is.
#[derive(Clone)]
enum Place {
    Sqlite(Arc<TempDir>),
    Postgres(String),
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    /// Null when there was no body.
    pub body: Value,
}

impl Answer {
    fn of(reply: Reply) -> Self {
        let body = if reply.body.is_empty() {
            Value::Null
        } else {
            assert_eq!(
                reply.headers["content-type"],
                "application/json; charset=utf-8"
            );
            serde_json::from_slice(&reply.body).expect("a JSON body")
        };
        assert_eq!(reply.headers["x-ms-request-id"], "t-1");
        Answer {
            status: reply.status.as_u16(),
            headers: reply.headers,
            body,
        }
    }

    /// The status and the error number, for refusals.
    pub fn refusal(&self) -> (u16, u64) {
        let code = self.body["errorCode"].as_u64().expect("an error body");
        assert_eq!(self.headers["x-ms-error-code"], code.to_string().as_str());
        assert_eq!(self.body["trackingId"], "t-1");
        assert!(self.body["timestampUtc"].is_string());
        (self.status, code)
    }

    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The etag of the body.
    pub fn etag(&self) -> String {
        self.body["etag"].as_str().expect("an etag").to_owned()
    }
}

pub fn id_scope(text: &str) -> IdScope {
    IdScope::parse(text).expect("valid")
}

pub fn hub(name: &str) -> HubHostName {
    HubHostName::parse(name).expect("valid")
}

/// Policies of the services here, with their rights and the byte their keys are made of.
const POLICIES: [(&str, Rights, u8); 5] = [
    ("provisioningserviceowner", Rights::ALL, 1),
    ("reader", Rights::ENROLLMENT_READ, 3),
    ("writer", Rights::ENROLLMENT_WRITE, 5),
    ("statusreader", Rights::REGISTRATION_STATUS_READ, 7),
    ("statuswriter", Rights::REGISTRATION_STATUS_WRITE, 9),
];

fn key(byte: u8) -> SymmetricKey {
    SymmetricKey::from_bytes(vec![byte; 32])
}

/// A service whose keys differ from another's by `offset`.
fn service(scope: &str, offset: u8, entropy: &dyn Entropy) -> ProvisioningService {
    ProvisioningService {
        id_scope: id_scope(scope),
        name: ServiceName::parse(scope).expect("valid"),
        host_name: HOST.into(),
        policies: POLICIES
            .iter()
            .map(|(name, rights, byte)| AccessPolicy {
                name: PolicyName::parse(name).expect("valid"),
                keys: KeyPair {
                    primary: key(byte + offset),
                    secondary: key(byte + offset + 1),
                },
                rights: *rights,
            })
            .collect(),
        allocation: AllocationPolicy::Hashed,
        linked_hubs: ["hub.a", "hub.b"]
            .map(|name| LinkedHub {
                host_name: hub(name),
                allocation_weight: 1,
                apply_allocation_policy: true,
                location: String::new(),
            })
            .to_vec(),
        require_verified_chain: false,
        etag: Etag::draw(entropy),
        trust_version: 0,
        created: Timestamp::from_unix_seconds(1_700_000_000),
    }
}

async fn open(place: &Place, sealing: &SealingKey) -> Backend<SqlStore> {
    let sealing = sealing.clone();
    let opened = match place {
        Place::Sqlite(folder) => Backend::sqlite(folder.path().join("landfall.db"), sealing),
        Place::Postgres(url) => {
            let url = PostgresUrl::parse(url).expect("a URL");
            Backend::postgres(url, sealing).await
        }
    };
    opened.expect("a store")
}

impl Bench {
    /// A store with two services that share a host name: `0neA` and `0neB`. In a fresh SQLite database.
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self::at(Place::Sqlite(Arc::new(folder))).await
    }

    /// The same in an empty PostgreSQL database.
    pub async fn on_postgres(url: String) -> Self {
        Self::at(Place::Postgres(url)).await
    }

    async fn at(place: Place) -> Self {
        let sealing = SealingKey::generate(&SystemEntropy);
        let backend = open(&place, &sealing).await;
        let bench = Bench {
            token: SymmetricKey::draw(&*backend.entropy, 32),
            backend,
            sealing,
            place,
        };
        for (scope, offset) in [("0neA", 0), ("0neB", 100)] {
            let service = service(scope, offset, &*bench.backend.entropy);
            bench
                .write(Write::PutService(Box::new(service), Expect::Absent))
                .await;
        }
        bench
    }

    /// The same database in a process that knows nothing of the last one, which did not close it.
    pub async fn reopened(self) -> Self {
        drop(self.backend);
        Bench {
            backend: open(&self.place, &self.sealing).await,
            ..self
        }
    }

    /// The same database in another process beside this one.
    pub async fn beside(&self) -> Self {
        Bench {
            backend: open(&self.place, &self.sealing).await,
            token: self.token.clone(),
            sealing: self.sealing.clone(),
            place: self.place.clone(),
        }
    }

    /// Writes a record as the registering side does.
    pub async fn write(&self, write: Write) {
        self.write_all(vec![write]).await;
    }

    /// Writes many records in one durable commit.
    pub async fn write_all(&self, writes: Vec<Write>) {
        let changes = writes.into_iter().map(Change::of).collect();
        let done = self.backend.store.commit(changes).await;
        assert!(done.iter().all(Result::is_ok));
    }

    /// Where every request of these tests comes from.
    pub fn origin(&self) -> Origin {
        Origin {
            at: self.backend.clock.now(),
            address: Some(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7))),
            tracking_id: TrackingId::parse("t-1").expect("valid"),
        }
    }

    /// A token of a policy of `0neA`; the key is the one of that byte.
    pub fn signed(&self, resource: &str, policy: &str, byte: u8, lifetime: i64) -> String {
        let now = self.backend.clock.now().unix_seconds();
        let until = Timestamp::from_unix_seconds(now + lifetime);
        sign(resource, &key(byte), Some(policy), until)
    }

    /// A call of the service API by the owner of `0neA`.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Value,
    ) -> Answer {
        self.call_as("provisioningserviceowner", 1, method, path, headers, body)
            .await
    }

    /// A call of the service API by the holder of a policy.
    pub async fn call_as(
        &self,
        policy: &str,
        byte: u8,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Value,
    ) -> Answer {
        let token = self.signed(HOST, policy, byte, 3600);
        let mut headers = headers.to_vec();
        headers.push(("authorization", &token));
        let body = if body.is_null() {
            Vec::new()
        } else {
            body.to_string().into_bytes()
        };
        self.send(method, path, &headers, body).await
    }

    /// A call of the service API exactly as given.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Answer {
        let request = request(method, path, headers, body);
        let Some(Route::Service(route)) = route::parse(&request.path) else {
            panic!("{path} is no path of the service API")
        };
        let services = self.backend.store.services().await.expect("services");
        let origin = self.origin();
        let reply = service_api::answer(&self.backend, &services, &request, &route, &origin).await;
        Answer::of(reply)
    }

    /// A call of the control plane, bearing `token`.
    pub async fn control(
        &self,
        token: &str,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Value,
    ) -> Answer {
        let bearer = format!("Bearer {token}");
        let mut headers = headers.to_vec();
        headers.push(("authorization", &bearer));
        let body = if body.is_null() {
            Vec::new()
        } else {
            body.to_string().into_bytes()
        };
        let path = format!(
            "/subscriptions/s/resourceGroups/g/providers/Microsoft.Devices/\
             provisioningServices/{path}"
        );
        let request = request(method, &path, &headers, body);
        let Some(Route::Control(route)) = route::parse(&request.path) else {
            panic!("{path} is no path of the control plane")
        };
        let services = self.backend.store.services().await.expect("services");
        let reply = control_api::answer(
            &self.backend,
            &services,
            &request,
            &route,
            &self.token,
            &self.origin(),
        )
        .await;
        Answer::of(reply)
    }
}

fn request(method: Method, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Request {
    let (path, query) = match path.split_once('?') {
        Some((path, query)) => (path, query),
        None => (path, "api-version=2021-10-01"),
    };
    let mut map = HeaderMap::new();
    map.insert("host", HeaderValue::from_static("dps.test:8443"));
    // Several clients say so whether or not there is a body.
    map.insert(
        "content-type",
        HeaderValue::from_static("application/json; charset=utf-8"),
    );
    for (name, value) in headers {
        map.insert(
            name.parse::<HeaderName>().expect("a name"),
            HeaderValue::from_str(value).expect("a value"),
        );
    }
    Request {
        method,
        path: path.to_owned(),
        query: Some(query.to_owned()),
        headers: map,
        body,
    }
}

/// The time now, for records that tests write themselves.
pub fn now(bench: &Bench) -> Timestamp {
    bench.backend.clock.now().minus(Duration::from_secs(1))
}
