//! The self-check of `landfall dev`: enrolls a simulated device, registers it through the public
//! HTTPS port with verified TLS, reads its decision trace, and removes all of it again.

use std::time::Duration;

use anyhow::{Context, bail};
use landfall_core::clock::Clock;
use landfall_core::sas;
use landfall_core::secret::SymmetricKey;
use landfall_wire::client::connection_string::ConnectionString;
use landfall_wire::client::registering::{Next, Registering};
use landfall_wire::client::{Authorization, hub, own, read, service};
use landfall_wire::message::{Reply, Request};
use landfall_wire::route::Collection;
use serde_json::json;

use super::place::Place;
use super::soon;
use crate::client::Client;
use crate::client::tls::{Trust, settings};
use crate::time::{Stopwatch, SystemEntropy};

/// The simulated device. Removed again, so that a user finds an empty service.
const DEVICE: &str = "landfall-self-check";
const API_VERSION: &str = "2021-06-01";
const TOKEN_LIFE: Duration = Duration::from_secs(600);

/// The road that the simulated device took.
pub struct Road {
    /// The hub it was assigned to.
    pub hub: String,
    /// What the device itself measured: what it did and how long that took.
    pub device: Vec<(String, Duration)>,
    /// What the server noted while registering: stage, when, and what was decided.
    pub server: Vec<(String, Duration, String)>,
}

/// Provisions the simulated device and gives the road it took.
///
/// # Errors
/// The first call that did not go as it must.
pub async fn run(place: &Place, clock: &dyn Clock) -> anyhow::Result<Road> {
    let mut check = Check::new(place, clock)?;
    check.clear().await?;
    let key = check.enroll().await?;
    let mut road = check.register(&key).await?;
    road.server = check.trace().await?;
    check.clear().await?;
    Ok(road)
}

struct Check<'a> {
    place: &'a Place,
    clock: &'a dyn Clock,
    client: Client,
    operator: Authorization,
    hub_operator: Authorization,
    tracking_id: Option<String>,
}

impl<'a> Check<'a> {
    fn new(place: &'a Place, clock: &'a dyn Clock) -> anyhow::Result<Self> {
        let tls = settings(&Trust::File(place.ca_file.clone()), None)?;
        let expiry = soon(clock, TOKEN_LIFE);
        let authorize =
            |text: &str| ConnectionString::parse(text).map(|string| string.authorization(expiry));
        Ok(Check {
            place,
            clock,
            client: Client::new(place.endpoint(&place.service.host_name), tls),
            operator: authorize(&place.service_connection_string())?,
            hub_operator: authorize(&place.hub_connection_string())?,
            tracking_id: None,
        })
    }

    /// The host that the service is called by: what its tokens are signed for.
    async fn call(&mut self, request: Request) -> anyhow::Result<Reply> {
        self.client
            .call(request)
            .await
            .map_err(|error| anyhow::anyhow!("{error}: {}", error.fix()))
    }

    async fn enroll(&mut self) -> anyhow::Result<SymmetricKey> {
        let key = SymmetricKey::draw(&SystemEntropy, 64);
        let record = json!({
            "registrationId": DEVICE,
            "attestation": {
                "type": "symmetricKey",
                "symmetricKey": {"primaryKey": &**key.to_base64(), "secondaryKey": &**key.to_base64()},
            },
        });
        let request = service::put_enrollment(
            &self.operator,
            Collection::Individuals,
            DEVICE,
            &record,
            None,
        );
        let reply = self.call(request).await?;
        read(&reply).context("enrolling the simulated device")?;
        Ok(key)
    }

    /// Registers and polls. The wait between polls is left out: the server is this very process.
    async fn register(&mut self, key: &SymmetricKey) -> anyhow::Result<Road> {
        let scope = self.place.service.id_scope.as_str();
        let resource = format!("{scope}/registrations/{DEVICE}");
        let token = sas::sign(
            &resource,
            key,
            Some("registration"),
            soon(self.clock, TOKEN_LIFE),
        );
        let tls = settings(&Trust::File(self.place.ca_file.clone()), None)?;
        // A connection of its own, as a device has: its first step shows what TLS costs.
        let endpoint = self.place.endpoint(&self.place.service.host_name);
        let mut client = Client::new(endpoint, tls);
        let mut session = Registering::new(scope, DEVICE, Some(token), API_VERSION, None);
        let mut device = Vec::new();
        loop {
            match session.next() {
                Next::Send(request) => {
                    let what = if device.is_empty() {
                        "connect with TLS and register"
                    } else {
                        "poll"
                    };
                    let watch = Stopwatch::start();
                    let reply = client
                        .call(*request)
                        .await
                        .map_err(|error| anyhow::anyhow!("{error}: {}", error.fix()))?;
                    device.push((
                        format!("{what}: {}", reply.status.as_u16()),
                        watch.elapsed(),
                    ));
                    if self.tracking_id.is_none() {
                        let id = reply.headers.get("x-ms-request-id");
                        self.tracking_id = id.and_then(|id| id.to_str().ok()).map(str::to_owned);
                    }
                    session.received(&reply);
                }
                Next::Wait(_) => {}
                Next::Done(assigned) => {
                    return Ok(Road {
                        hub: assigned.hub,
                        device,
                        server: Vec::new(),
                    });
                }
                Next::Failed(failed) => bail!("{failed}"),
            }
        }
    }

    async fn trace(&mut self) -> anyhow::Result<Vec<(String, Duration, String)>> {
        let id = self
            .tracking_id
            .clone()
            .context("the reply carried no x-ms-request-id")?;
        let request = own::trace(&self.operator, &id);
        let reply = self.call(request).await?;
        let trace = read(&reply).context("reading the decision trace")?;
        let stages = trace["stages"]
            .as_array()
            .context("the decision trace has no stages")?;
        Ok(stages
            .iter()
            .map(|stage| {
                let text = |name: &str| stage[name].as_str().unwrap_or_default().to_owned();
                let at = Duration::from_micros(stage["atMicroseconds"].as_u64().unwrap_or(0));
                (text("stage"), at, text("note"))
            })
            .collect())
    }

    /// Removes the simulated device wherever an earlier start may have left it.
    async fn clear(&mut self) -> anyhow::Result<()> {
        let request =
            service::delete_enrollment(&self.operator, Collection::Individuals, DEVICE, None);
        self.call(request).await?;
        let request = hub::delete_device(&self.hub_operator, DEVICE);
        // The hub may share no name with the service: it is asked by its own.
        let tls = settings(&Trust::File(self.place.ca_file.clone()), None)?;
        let endpoint = self.place.endpoint(self.place.hub.host_name.as_str());
        let mut client = Client::new(endpoint, tls);
        client
            .call(request)
            .await
            .map_err(|error| anyhow::anyhow!("{error}: {}", error.fix()))?;
        Ok(())
    }
}
