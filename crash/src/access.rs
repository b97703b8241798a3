//! What the clients of a lane know: where its server is, what they prove themselves by, and their calls.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use http::{HeaderValue, Method, StatusCode};
use landfall_core::clock::{Clock as _, Timestamp};
use landfall_core::sas;
use landfall_core::secret::SymmetricKey;
use landfall_server::client::mqtt::{Carrier, Connection};
use landfall_server::client::registration::{self, RegistrationError};
use landfall_server::client::tls::{Trust, settings};
use landfall_server::client::{Client, ClientError, Endpoint};
use landfall_server::time::{SystemClock, SystemEntropy};
use landfall_wire::client::connection_string::ConnectionString;
use landfall_wire::client::registering::{Assigned, Next, Registering};
use landfall_wire::client::{Authorization, hub as operator, service};
use landfall_wire::message::{Reply, Request};
use landfall_wire::mqtt::client::Introduction;
use landfall_wire::mqtt::{self, provisioning};
use landfall_wire::route::Collection;
use rustls::ClientConfig;
use serde_json::{Value as Json, json};

use crate::server::{FIRST_HUB, SECOND_HUB, SERVICE, Server};

/// The version that the devices speak.
const DEVICE_API: &str = "2021-06-01";
/// The group that lets in devices that stay on their hub.
const STAYING: &str = "staying";
/// The group whose hub an operator changes over and over, so that its devices move.
const MOVING: &str = "moving";
/// How the names of devices begin that move.
pub const MOVES: &str = "mover-";
/// How long a call may take; a server that lives answers in milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long tokens are good for: longer than any run.
const LIFE: Duration = Duration::from_secs(24 * 3600);

/// See the module.
#[derive(Clone)]
pub struct Access {
    tls: Arc<ClientConfig>,
    address: SocketAddr,
    id_scope: String,
    staying_key: SymmetricKey,
    moving_key: SymmetricKey,
    service: ConnectionString,
    hubs: [ConnectionString; 2],
    until: Timestamp,
}

impl Access {
    /// Gathers it of a server that runs for the first time: links a second hub and makes the group.
    ///
    /// # Errors
    /// When the server refuses any of it.
    pub async fn gather(server: &Server) -> anyhow::Result<Self> {
        let other = ["service", "create", "other", "--host", "other.crash.test"];
        server.command(&[&other[..], &["--hub-host", SECOND_HUB]].concat())?;
        server.command(&["linked-hub", "create", SECOND_HUB, "--service", "crash"])?;
        let told = server.command(&["service", "show", "crash", "--json"])?;
        let told: Json = serde_json::from_str(&told)?;
        let id_scope = told["idScope"].as_str().context("no id scope")?.to_owned();
        let string = |service: &str, words: &[&str]| -> anyhow::Result<ConnectionString> {
            let words = [&["connection-string", "--service", service], words].concat();
            Ok(ConnectionString::parse(server.command(&words)?.trim())?)
        };
        let trust = Trust::Shown(vec![server.fingerprint.clone()]);
        let access = Access {
            tls: settings(&trust, None)?,
            address: server.address,
            id_scope,
            staying_key: SymmetricKey::draw(&SystemEntropy, 64),
            moving_key: SymmetricKey::draw(&SystemEntropy, 64),
            service: string("crash", &[])?,
            hubs: [string("crash", &["--hub"])?, string("other", &["--hub"])?],
            until: SystemClock.now().plus(LIFE),
        };
        let staying = group(STAYING, &access.staying_key);
        let (groups, operator) = (Collection::Groups, access.operator());
        let request = service::put_enrollment(&operator, groups, STAYING, &staying, None);
        for request in [request, access.direct(0, None)] {
            let reply = access.client(SERVICE).call(request).await?;
            if reply.status != StatusCode::OK {
                bail!("a group: {}", told_by(&reply));
            }
        }
        Ok(access)
    }

    /// The same of another server on the same database.
    ///
    /// # Errors
    /// When its certificate cannot be told apart.
    pub fn at(&self, server: &Server) -> anyhow::Result<Self> {
        let trust = Trust::Shown(vec![server.fingerprint.clone()]);
        Ok(Access {
            tls: settings(&trust, None)?,
            address: server.address,
            ..self.clone()
        })
    }

    /// An operator sends the devices that move to one hub or the other.
    pub fn direct(&self, value: u64, etag: Option<&str>) -> Request {
        let mut record = group(MOVING, &self.moving_key);
        record["iotHubs"] = json!([if value.is_multiple_of(2) {
            FIRST_HUB
        } else {
            SECOND_HUB
        }]);
        record["initialTwin"] = json!({"tags": {"n": value}});
        service::put_enrollment(&self.operator(), Collection::Groups, MOVING, &record, etag)
    }

    /// An operator asks where those devices are sent.
    pub fn directed(&self) -> Request {
        service::enrollment(&self.operator(), Collection::Groups, MOVING)
    }

    /// A client of one of the server's names.
    pub fn client(&self, host: &str) -> Client {
        Client::new(self.endpoint(host), Arc::clone(&self.tls)).with_limit(PATIENCE)
    }

    fn endpoint(&self, host: &str) -> Endpoint {
        Endpoint::new(host, self.address.port()).through(&[self.address])
    }

    /// What an operator of the service proves himself by.
    pub fn operator(&self) -> Authorization {
        self.service.authorization(self.until)
    }

    /// What an operator of a hub proves himself by.
    pub fn operator_of(&self, hub: &str) -> Authorization {
        let [first, second] = &self.hubs;
        let string = if hub == second.host() { second } else { first };
        string.authorization(self.until)
    }

    /// A device registers.
    ///
    /// # Errors
    /// When no request comes of it.
    pub fn register(&self, id: &str) -> anyhow::Result<Request> {
        let resource = format!("{}/registrations/{id}", self.id_scope);
        let group = match id.starts_with(MOVES) {
            true => &self.moving_key,
            false => &self.staying_key,
        };
        let key = group.derive(id);
        let token = sas::sign(&resource, &key, Some("registration"), self.until);
        match Registering::new(&self.id_scope, id, Some(token), DEVICE_API, None).next() {
            Next::Send(request) => Ok(*request),
            _ => bail!("a registration does not begin with a request"),
        }
    }

    /// A device asks for its operation.
    ///
    /// # Errors
    /// When no request comes of it.
    pub fn poll(&self, id: &str, operation: &str) -> anyhow::Result<Request> {
        let mut request = self.register(id)?;
        request.method = Method::GET;
        request.path = format!(
            "/{}/registrations/{id}/operations/{operation}",
            self.id_scope
        );
        request.body.clear();
        Ok(request)
    }

    /// A device registers over MQTT, on a connection of its own.
    ///
    /// # Errors
    /// [`RegistrationError`] when it is not assigned.
    pub async fn provision(&self, id: &str) -> Result<Assigned, RegistrationError> {
        let scope = &self.id_scope;
        let resource = format!("{scope}/registrations/{id}");
        let key = self.staying_key.derive(id);
        let token = sas::sign(&resource, &key, Some("registration"), self.until);
        let introduction = Introduction {
            client_id: id.to_owned(),
            user_name: provisioning::device::user_name(scope, id, DEVICE_API),
            password: Some(token.clone()),
            clean_session: true,
            keep_alive: 0,
        };
        let registering = Registering::new(scope, id, Some(token), DEVICE_API, None);
        let (endpoint, carrier) = (self.endpoint(SERVICE), Carrier::Tls);
        registration::over_mqtt(&endpoint, &self.tls, carrier, introduction, registering).await
    }

    /// A device that was provisioned connects to its hub.
    ///
    /// # Errors
    /// [`ClientError`] when no connection comes about.
    pub async fn connect(
        &self,
        hub_host: &str,
        device: &landfall_hub::endpoint::Endpoint,
        keep_alive: u16,
    ) -> Result<Connection, ClientError> {
        let key = self.staying_key.derive(device.device.as_str());
        let resource = format!("{hub_host}{}", device.path());
        let introduction = Introduction {
            client_id: device.to_string(),
            user_name: mqtt::hub::device::user_name(hub_host, device),
            password: Some(sas::sign(&resource, &key, None, self.until)),
            clean_session: false,
            keep_alive,
        };
        let endpoint = self.endpoint(hub_host);
        Connection::open(&endpoint, &self.tls, Carrier::Tls, introduction).await
    }

    /// An operator changes a twin.
    pub fn patch_twin(&self, hub_host: &str, id: &str, value: u64) -> Request {
        let mut request = operator::twin(&self.operator_of(hub_host), id);
        request.method = Method::PATCH;
        request.body = json!({"properties": {"desired": {"n": value}}})
            .to_string()
            .into_bytes();
        let json = HeaderValue::from_static("application/json");
        request.headers.insert(http::header::CONTENT_TYPE, json);
        request
    }
}

fn group(name: &str, key: &SymmetricKey) -> Json {
    let key = key.to_base64();
    json!({
        "enrollmentGroupId": name,
        "allocationPolicy": "hashed",
        "attestation": {"type": "symmetricKey", "symmetricKey": {"primaryKey": &*key, "secondaryKey": &*key}},
    })
}

/// The body of a reply.
pub fn body(reply: &Reply) -> Json {
    serde_json::from_slice(&reply.body).unwrap_or_default()
}

/// Status and text of a reply, for whoever reads a failure.
pub fn told_by(reply: &Reply) -> String {
    format!("{} {}", reply.status, String::from_utf8_lossy(&reply.body))
}
