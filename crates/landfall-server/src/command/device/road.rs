//! Where a simulated device finds the provisioning service and its hub, and whom it trusts there. Both are
//! asked at the same ports: every port of a server takes every face of it.

use crate::client::Endpoint;
use crate::client::mqtt::Carrier;
use crate::client::tls::{ClientCertificate, settings};
use crate::command::connect::{Connect, Road, named_host};
use crate::command::outcome::Failure;

/// The ports that official clients know.
const HTTPS: u16 = 443;
const MQTT: u16 = 8883;

/// Where to call.
pub struct Roads {
    /// The provisioning service's name among devices.
    pub id_scope: String,
    host: String,
    https: u16,
    mqtt: u16,
    by_hand: bool,
    connect: Connect,
}

impl Roads {
    /// The roads that the options name, else those to the server that `connect` finds.
    pub async fn of(
        connect: &Connect,
        id_scope: Option<&str>,
        host: Option<&str>,
    ) -> Result<Self, Failure> {
        if let (Some(id_scope), Some(host)) = (id_scope, host) {
            let (host, port) = named_host(host, "--host")?;
            return Ok(Roads {
                id_scope: id_scope.to_owned(),
                host,
                https: port.unwrap_or(HTTPS),
                mqtt: port.unwrap_or(MQTT),
                by_hand: true,
                connect: connect.clone(),
            });
        }
        let by_hand = connect.is_service_by_hand()?;
        let (id_scope, service) = match id_scope {
            // A connection string does not say the scope; here it need not.
            Some(id_scope) => (id_scope.to_owned(), connect.service_string().await?),
            None => {
                let facts = connect.facts().await?;
                (facts.id_scope, facts.service)
            }
        };
        let file = connect.server_file()?.filter(|_| !by_hand);
        let https = service.port().unwrap_or(HTTPS);
        Ok(Roads {
            id_scope,
            host: service.host().to_owned(),
            https,
            mqtt: file
                .and_then(|file| file.mqtt_port)
                .unwrap_or(if https == HTTPS { MQTT } else { https }),
            by_hand,
            connect: connect.clone(),
        })
    }

    /// The road to the provisioning service; without a carrier, over HTTPS.
    pub fn to_service(
        &self,
        carrier: Option<Carrier>,
        identity: Option<ClientCertificate>,
    ) -> Result<Road, Failure> {
        self.to(&self.host, carrier, identity)
    }

    /// The road to a hub.
    pub fn to_hub(
        &self,
        host: &str,
        carrier: Carrier,
        identity: Option<ClientCertificate>,
    ) -> Result<Road, Failure> {
        self.to(host, Some(carrier), identity)
    }

    fn to(
        &self,
        host: &str,
        carrier: Option<Carrier>,
        identity: Option<ClientCertificate>,
    ) -> Result<Road, Failure> {
        let port = match carrier {
            Some(Carrier::Tls) => self.mqtt,
            Some(Carrier::WebSocket) | None => self.https,
        };
        let endpoint = Endpoint::new(host, port);
        let (endpoint, trust) = self.connect.place(endpoint, self.by_hand)?;
        let tls = settings(&trust, identity)?;
        Ok(Road { endpoint, tls })
    }
}
