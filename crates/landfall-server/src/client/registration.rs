//! A device's registration over HTTPS or MQTT: carries the steps of `landfall_wire::client::registering`, which
//! are the same for both. Called by `landfall device run` and by what puts load on a server.

use std::sync::Arc;

use landfall_wire::client::registering::{Assigned, Failed, Next, Registering};
use landfall_wire::message::{Reply, Request};
use landfall_wire::mqtt::client::{Event, Introduction};
use landfall_wire::mqtt::provisioning::{ANSWERS, device};
use landfall_wire::mqtt::session::{Delivery, Refused};
use rustls::ClientConfig;

use super::mqtt::{Carrier, Connection, Ended};
use super::{Client, ClientError, Endpoint, PATIENCE};
use crate::time;

/// Why a device was not assigned.
#[derive(Debug, thiserror::Error)]
pub enum RegistrationError {
    /// The service was not reached.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The connection ended before there was an answer.
    #[error("the connection to the provisioning service ended: {0}")]
    Ended(#[from] Ended),
    /// The service does not let the device speak.
    #[error("the provisioning service does not take this device's CONNECT: {0:?}")]
    Refused(Refused),
    /// The service answers something else than what was asked.
    #[error("the server does not answer as a provisioning service does: {0}")]
    NoService(&'static str),
    /// The service decided against it.
    #[error(transparent)]
    Failed(Box<Failed>),
}

/// Registers over HTTPS.
///
/// # Errors
/// [`RegistrationError`] when the device is not assigned.
pub async fn over_https(
    client: &mut Client,
    mut registering: Registering,
) -> Result<Assigned, RegistrationError> {
    loop {
        match registering.next() {
            Next::Send(request) => registering.received(&client.call(*request).await?),
            Next::Wait(span) => time::sleep(span).await,
            Next::Done(assigned) => return Ok(*assigned),
            Next::Failed(failed) => return Err(RegistrationError::Failed(failed)),
        }
    }
}

/// Registers over MQTT, on a connection of its own.
///
/// # Errors
/// [`RegistrationError`] when the device is not assigned.
pub async fn over_mqtt(
    endpoint: &Endpoint,
    tls: &Arc<ClientConfig>,
    carrier: Carrier,
    introduction: Introduction,
    mut registering: Registering,
) -> Result<Assigned, RegistrationError> {
    let mut asking = Asking::open(endpoint, tls, carrier, introduction).await?;
    loop {
        match registering.next() {
            Next::Send(request) => registering.received(&asking.call(&request).await?),
            Next::Wait(span) => time::sleep(span).await,
            Next::Done(assigned) => {
                asking.close().await;
                return Ok(*assigned);
            }
            Next::Failed(failed) => return Err(RegistrationError::Failed(failed)),
        }
    }
}

/// A connection to the provisioning service on which one question follows the other.
pub struct Asking {
    connection: Connection,
    endpoint: Endpoint,
    asked: u32,
}

impl Asking {
    /// Connects, is let in, and subscribes to the answers.
    ///
    /// # Errors
    /// [`RegistrationError`] when that does not come about.
    pub async fn open(
        endpoint: &Endpoint,
        tls: &Arc<ClientConfig>,
        carrier: Carrier,
        introduction: Introduction,
    ) -> Result<Self, RegistrationError> {
        let mut asking = Asking {
            connection: Connection::open(endpoint, tls, carrier, introduction).await?,
            endpoint: endpoint.clone(),
            asked: 0,
        };
        let begun = time::timeout(PATIENCE, asking.begin()).await;
        begun.map_err(|_| asking.late())??;
        Ok(asking)
    }

    /// Asks and waits for the answer.
    ///
    /// # Errors
    /// [`RegistrationError`] when none comes.
    pub async fn call(&mut self, request: &Request) -> Result<Reply, RegistrationError> {
        let reply = time::timeout(PATIENCE, self.answer(request)).await;
        reply.map_err(|_| self.late())?
    }

    /// Leaves in order.
    pub async fn close(self) {
        self.connection.close().await;
    }

    fn late(&self) -> ClientError {
        ClientError::TimedOut {
            endpoint: self.endpoint.clone(),
            limit: PATIENCE,
        }
    }

    async fn begin(&mut self) -> Result<(), RegistrationError> {
        match self.connection.next().await? {
            Event::Accepted { .. } => {}
            Event::Refused(why) => return Err(RegistrationError::Refused(why)),
            _ => return Err(RegistrationError::NoService("something before CONNACK")),
        }
        let answers = (ANSWERS.to_owned(), Delivery::AtLeastOnce);
        self.connection.client().subscribe(&[answers]);
        match self.connection.next().await? {
            Event::Subscribed { granted, .. } if granted.iter().all(Option::is_some) => Ok(()),
            _ => Err(RegistrationError::NoService("no answers can be had")),
        }
    }

    async fn answer(&mut self, request: &Request) -> Result<Reply, RegistrationError> {
        self.asked += 1;
        let request_id = self.asked.to_string();
        let Some((topic, body)) = device::asked(request, &request_id) else {
            return Err(RegistrationError::NoService("it names no operation"));
        };
        self.connection
            .client()
            .publish(topic, body, Delivery::AtLeastOnce);
        loop {
            let Event::Message(message) = self.connection.next().await? else {
                continue;
            };
            if let Some(packet_id) = message.packet_id {
                self.connection.client().acknowledge(packet_id);
            }
            match device::answer(&message.topic, &message.payload) {
                Some((answered, reply)) if answered == request_id => return Ok(reply),
                _ => {}
            }
        }
    }
}
