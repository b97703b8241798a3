//! Landfall's own routes behind all faces of a server on a real database: services that change and
//! end, policies with fewer rights, keys that rotate.

mod audit;
mod policies;
mod races;
mod rights;
mod services;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use landfall_core::clock::Timestamp;
use landfall_core::id::{HubHostName, ServiceName};
use landfall_core::sas::sign;
use landfall_core::secret::SymmetricKey;
use landfall_core::service::ProvisioningService;
use landfall_hub::device::Hub;
use landfall_hub::registry::EmbeddedHubs;
use landfall_server::backend::Backend;
use landfall_server::device_api::DeviceApi;
use landfall_server::device_api::https::LARGEST_BODY;
use landfall_server::faces::AllFaces;
use landfall_server::feed::Feed;
use landfall_server::founding::{self, Names};
use landfall_server::hub_api::mqtt::HubDevices;
use landfall_server::listener::Faces as _;
use landfall_server::own_api::{Changes, Naming, OwnApi};
use landfall_server::provisioning::Provisioning;
use landfall_server::telemetry::{TraceRetention, Traces};
use landfall_server::time::SystemEntropy;
use landfall_server::tls::ServerIdentity;
use landfall_store::SqlStore;
use landfall_store::secret::SealingKey;
use landfall_wire::message::Request;
use serde_json::{Value, json};
use tempfile::TempDir;

const SERVICE: &str = "factory";
const SERVICE_HOST: &str = "dps.test";
const HUB: &str = "hub.test";

/// A server without sockets: its faces, and the service and hub it was founded with.
struct House {
    faces: AllFaces<SqlStore>,
    token: SymmetricKey,
    service: ProvisioningService,
    hub: Hub,
    _folder: TempDir,
}

/// What came back.
#[derive(Debug)]
struct Answer {
    status: u16,
    etag: Option<String>,
    body: Value,
}

impl Answer {
    fn message(&self) -> &str {
        let texts = [self.body.get("message"), self.body.get("Message")];
        texts
            .into_iter()
            .flatten()
            .find_map(Value::as_str)
            .unwrap_or_default()
    }

    fn text(&self, member: &str) -> String {
        let text = self.body.get(member).and_then(Value::as_str);
        text.unwrap_or_else(|| panic!("no {member} in {:?}", self.body))
            .to_owned()
    }
}

fn names(service: &str, host: &str, hub: &str) -> Names {
    Names {
        service: ServiceName::parse(service).expect("a name"),
        host: host.to_owned(),
        hub: HubHostName::parse(hub).expect("a name"),
    }
}

impl House {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let sealing = SealingKey::generate(&SystemEntropy);
        let backend = Backend::sqlite(folder.path().join("landfall.db"), sealing).expect("a store");
        let (service, hub) = founding::found(
            &backend,
            names(SERVICE, SERVICE_HOST, HUB),
            backend.server(),
        )
        .await
        .expect("founded");
        let token = SymmetricKey::draw(&*backend.entropy, 32);
        let embedded = EmbeddedHubs::new(
            Arc::clone(&backend.store),
            Arc::clone(&backend.clock),
            Arc::clone(&backend.entropy),
        );
        let retention = TraceRetention {
            age: Duration::from_secs(3600),
            count: 1000,
        };
        let (traces, _) = Traces::start(&backend, retention);
        let faces = AllFaces {
            backend: backend.clone(),
            hub: HubDevices {
                backend: backend.clone(),
                relay: Arc::default(),
                feed: Feed::default(),
                traces: traces.clone(),
            },
            device: DeviceApi {
                backend: backend.clone(),
                provisioning: Arc::new(Provisioning::new(backend.clone(), embedded.clone())),
                traces: traces.clone(),
                retry_after: Duration::from_secs(1),
                largest_body: LARGEST_BODY,
            },
            own: OwnApi {
                backend: backend.clone(),
                traces,
                control_token: token.clone(),
                naming: Naming::Given(ServerIdentity::new(Vec::new())),
                embedded,
                changing: tokio::sync::Mutex::new(()),
                changes: Changes::default(),
                feed: Feed::default(),
            },
            control_token: token.clone(),
        };
        House {
            faces,
            token,
            service,
            hub,
            _folder: folder,
        }
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", *self.token.to_base64())
    }

    /// A token that is good for an hour.
    fn signed(&self, resource: &str, policy: &str, key: &SymmetricKey) -> String {
        let now = self.faces.backend.clock.now().unix_seconds();
        let until = Timestamp::from_unix_seconds(now + 3600);
        sign(resource, key, Some(policy), until)
    }

    /// A token of the service's owner.
    fn owner(&self) -> String {
        let owner = self.service.policies.first().expect("the owner");
        self.signed(SERVICE_HOST, owner.name.as_str(), &owner.keys.primary)
    }

    /// A token of a policy of the founded hub.
    fn of_hub(&self, policy: &str) -> String {
        let found = self
            .hub
            .policies
            .iter()
            .find(|one| one.name.as_str() == policy);
        self.signed(HUB, policy, &found.expect("a policy").keys.primary)
    }

    /// One request to whichever face the path is of.
    async fn call(
        &self,
        method: Method,
        path: &str,
        who: &str,
        if_match: Option<&str>,
        body: Value,
    ) -> Answer {
        let host = match path.starts_with("/devices") || path.starts_with("/twins") {
            true => HUB,
            false => SERVICE_HOST,
        };
        let mut headers = HeaderMap::new();
        let mut put = |name: &'static str, value: &str| {
            let value = HeaderValue::from_str(value).expect("a value");
            headers.insert(HeaderName::from_static(name), value);
        };
        put("host", host);
        put("content-type", "application/json; charset=utf-8");
        put("authorization", who);
        if let Some(etag) = if_match {
            put("if-match", etag);
        }
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let request = Request {
            method,
            path: path.to_owned(),
            query: Some(format!("api-version=2021-10-01&{query}")),
            headers,
            body: match body {
                Value::Null => Vec::new(),
                body => body.to_string().into_bytes(),
            },
        };
        let peer = SocketAddr::from(([127, 0, 0, 1], 50_000));
        let reply = self
            .faces
            .answer(peer, Vec::new().into(), request, None)
            .await;
        let body = match reply.body.as_slice() {
            [] => Value::Null,
            body => serde_json::from_slice(body).expect("a JSON body"),
        };
        let etag = reply
            .headers
            .get("etag")
            .map(|etag| etag.to_str().expect("text"));
        Answer {
            status: reply.status.as_u16(),
            etag: etag.map(|etag| etag.trim_matches('"').to_owned()),
            body,
        }
    }

    /// A call with the control token.
    async fn control(&self, method: Method, path: &str, body: Value) -> Answer {
        self.call(method, path, &self.bearer(), None, body).await
    }

    /// Makes a policy with these rights and gives a token of it.
    async fn policy(&self, holder: &str, name: &str, rights: &str) -> String {
        let path = format!("/landfall/{holder}/policies/{name}?keys=true");
        let made = self
            .control(Method::PUT, &path, json!({ "rights": rights }))
            .await;
        assert_eq!(made.status, 201, "{:?}", made.body);
        let key = SymmetricKey::from_base64(&made.text("primaryKey")).expect("a key");
        let resource = if holder.starts_with("hubs") {
            HUB
        } else {
            SERVICE_HOST
        };
        self.signed(resource, name, &key)
    }

    /// Puts an enrollment with drawn keys, as the owner does.
    async fn enroll(&self, id: &str) {
        let body = json!({"registrationId": id, "attestation": {"type": "symmetricKey"}});
        let path = format!("/enrollments/{id}");
        let made = self
            .call(Method::PUT, &path, &self.owner(), None, body)
            .await;
        assert_eq!(made.status, 200, "{:?}", made.body);
    }

    /// Registers an enrolled device with its own key; gives the status of the answer.
    async fn register(&self, id: &str) -> u16 {
        let path = format!("/enrollments/{id}/attestationmechanism");
        let shown = self
            .call(Method::POST, &path, &self.owner(), None, Value::Null)
            .await;
        let key = shown
            .body
            .pointer("/symmetricKey/primaryKey")
            .and_then(Value::as_str);
        let key = SymmetricKey::from_base64(key.expect("a key")).expect("a key");
        self.register_with(id, &key).await
    }

    async fn register_with(&self, id: &str, key: &SymmetricKey) -> u16 {
        let scope = &self.service.id_scope;
        let token = self.signed(&format!("{scope}/registrations/{id}"), "registration", key);
        let path = format!("/{scope}/registrations/{id}/register");
        self.call(Method::PUT, &path, &token, None, json!({}))
            .await
            .status
    }
}
