//! The device API over MQTT: user name, password, topic and payload become an exchange. One connection is
//! one device; its credential is judged with each of its requests, so that a refusal reaches it as an
//! answer with a body.
//!
//! Source: docs/protocol/device-api.md §3.

use bytes::Bytes;
use landfall_core::attestation::Evidence;
use landfall_core::error::Error;
use landfall_core::exchange::{Action, Exchange};
use landfall_core::id::TrackingId;
use landfall_core::linked_hub::HubRegistry;
use landfall_core::sas::SasToken;
use landfall_core::store::Store;
use landfall_core::trace::{Finding, Stage};
use landfall_wire::device;
use landfall_wire::message::Reply;
use landfall_wire::mqtt::provisioning::{self, Named, Unnamed};
use landfall_wire::mqtt::session::{Broken, Connecting, Delivery, Event, Message};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{DeviceApi, transport_note};
use crate::connection::Link;
use crate::connection::mqtt::{Connection, Ended, broken_finding};
use crate::metrics::label::Asked;
use crate::telemetry::Attempt;

/// How much larger than its body a packet may be, in bytes: head, topic, and some to refuse a body that is
/// too large with an answer instead of the connection's end.
const AROUND_A_BODY: usize = 4096;

/// A device that was let in to ask.
struct Device {
    named: Named,
    password: Option<Bytes>,
    /// Who it said it is, unread, for traces of what is not read either.
    user_name: String,
    /// How answers are delivered, once it subscribed to them.
    subscribed: Option<Delivery>,
}

/// Why a device is sent away that was let in.
enum Away {
    Ended(Ended),
    /// It published to a topic that the service does not have.
    Topic(String),
}

impl From<Ended> for Away {
    fn from(ended: Ended) -> Self {
        Away::Ended(ended)
    }
}

impl<S, H> DeviceApi<S, H>
where
    S: Store,
    H: HubRegistry<Write = S::HubWrite>,
{
    /// Answers a device over MQTT that has just asked to be let in, to the end of its connection.
    pub async fn answer_mqtt<T>(
        &self,
        mut connection: Box<Connection<T>>,
        connecting: Connecting,
        link: &Link,
    ) where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        if let Some(mut device) = self.let_in(&mut connection, connecting, link) {
            let ended = self.converse_mqtt(&mut connection, link, &mut device).await;
            if let Err(away) = ended {
                self.note(away, link, &device.user_name);
            }
        }
        connection.close().await;
    }

    async fn converse_mqtt<T>(
        &self,
        connection: &mut Connection<T>,
        link: &Link,
        device: &mut Device,
    ) -> Result<(), Away>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        loop {
            match connection.next().await? {
                Event::Subscribe { packet_id, filters } => {
                    let granted: Vec<_> = filters
                        .iter()
                        .map(|(filter, delivery)| {
                            (&**filter == provisioning::ANSWERS).then_some(*delivery)
                        })
                        .collect();
                    let last = granted.iter().flatten().last();
                    device.subscribed = last.copied().or(device.subscribed);
                    connection.session().granted(packet_id, &granted);
                }
                Event::Unsubscribe(filters) => {
                    if filters
                        .iter()
                        .any(|filter| &**filter == provisioning::ANSWERS)
                    {
                        device.subscribed = None;
                    }
                }
                Event::Message(message) => {
                    self.answer_message(connection, message, device, link)
                        .await?;
                }
                // Answers are not sent again: whoever missed one asks again. The session lets in once.
                Event::Acknowledged(_) | Event::Connect(_) => {}
                Event::Disconnect => return Ok(()),
            }
        }
    }

    /// Says why a connection ended before its peer said who it is.
    pub fn note_stranger(&self, ended: Ended, link: &Link) {
        self.note(Away::Ended(ended), link, "");
    }

    /// Lets a peer in that names itself in the form of this service; else turns it away, with a trace.
    fn let_in<T>(
        &self,
        connection: &mut Connection<T>,
        connecting: Connecting,
        link: &Link,
    ) -> Option<Device>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        let named = provisioning::named(&connecting);
        let user_name = connecting.user_name.unwrap_or_default();
        match named {
            Ok(named) => {
                let largest = self.largest_body.saturating_add(AROUND_A_BODY);
                connection.accept(largest, false);
                Some(Device {
                    named,
                    password: connecting.password,
                    user_name,
                    subscribed: None,
                })
            }
            Err(unnamed) => {
                connection.session().refuse(unnamed.refusal());
                self.trace(
                    link,
                    &user_name,
                    &unnamed_finding(&unnamed),
                    &unnamed.to_string(),
                );
                None
            }
        }
    }

    /// Acknowledges a request, answers it, and sends the answer to a device that listens.
    async fn answer_message<T>(
        &self,
        connection: &mut Connection<T>,
        message: Message,
        device: &Device,
        link: &Link,
    ) -> Result<(), Away>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        let Some(request) = provisioning::request(&message.topic) else {
            return Err(Away::Topic(message.topic.to_string()));
        };
        // One client fails on anything but the acknowledgement while it waits for that.
        if let Some(packet_id) = message.packet_id {
            connection.session().acknowledge(packet_id);
            connection.flush().await?;
        }
        let reply = self
            .answer(device, &request.asked, &message.payload, link)
            .await;
        if let Some(delivery) = device.subscribed {
            let topic = provisioning::answer_topic(&reply, &request.request_id);
            connection.session().publish(topic, reply.body, delivery);
        }
        Ok(())
    }

    async fn answer(
        &self,
        device: &Device,
        asked: &provisioning::Asked,
        payload: &[u8],
        link: &Link,
    ) -> Reply {
        let mut attempt = self.attempt(link);
        let (word, counted) = match asked {
            provisioning::Asked::Register => ("register", Asked::Register),
            provisioning::Asked::OperationStatus(_) => ("operation status", Asked::Operation),
        };
        let (scope, id) = (&device.named.id_scope, &device.named.registration_id);
        attempt.asked(word, scope.as_str(), id.as_str());
        attempt.course().asks(counted, link.protocol);
        attempt.pass(Stage::Transport, transport_note(&link.chain));
        let exchange = self.read_message(device, asked, payload, link);
        let exchange = exchange.inspect_err(|error| {
            attempt.stop(Stage::Request, &super::unreadable(error));
        });
        self.converse(exchange, "", attempt).await
    }

    fn read_message(
        &self,
        device: &Device,
        asked: &provisioning::Asked,
        payload: &[u8],
        link: &Link,
    ) -> Result<Exchange, Error> {
        if payload.len() > self.largest_body {
            return Err(Error::TooLarge(self.largest_body));
        }
        let named = &device.named;
        let password = device.password.as_deref().map(String::from_utf8_lossy);
        let mut evidence = Evidence {
            token: password.as_deref().map(SasToken::parse),
            chain: link.chain.to_vec(),
            tpm: None,
        };
        let action = match asked {
            provisioning::Asked::Register => {
                let body = device::parse_body(payload, &named.registration_id)?;
                evidence.tpm = body.tpm;
                Action::Register {
                    payload: body.payload,
                }
            }
            // What clients send with it, a space or the body of register again, says nothing.
            provisioning::Asked::OperationStatus(operation) => {
                Action::OperationStatus(operation.clone().map_err(Error::Invalid)?)
            }
        };
        Ok(Exchange {
            id_scope: named.id_scope.clone(),
            registration_id: named.registration_id.clone(),
            action,
            evidence,
            api_version: named.api_version.as_str().to_owned(),
            protocol: link.protocol.word(),
        })
    }

    fn attempt(&self, link: &Link) -> Attempt {
        let now = self.backend.clock.now();
        let tracking_id = TrackingId::draw(now, &*self.backend.entropy);
        let protocol = link.protocol.word();
        Attempt::begin(tracking_id, protocol, link.peer.to_string(), now)
    }

    /// Says why a connection ended that its peer did not end in order: what the peer did wrong in a
    /// trace, all else in the log.
    fn note(&self, away: Away, link: &Link, user_name: &str) {
        let peer = link.peer;
        match away {
            Away::Topic(topic) => {
                let seen: String = topic.escape_debug().take(128).collect();
                self.trace(
                    link,
                    user_name,
                    &topic_finding(&seen),
                    "the topic is none of the service's",
                );
            }
            Away::Ended(Ended::Broken(broken @ Broken::Silent(_))) => {
                tracing::debug!(%peer, "MQTT connection closed: {broken}");
            }
            Away::Ended(Ended::Broken(broken)) => {
                self.trace(
                    link,
                    user_name,
                    &broken_finding(&broken),
                    &broken.to_string(),
                );
            }
            Away::Ended(Ended::Stuck) => {
                tracing::info!(%peer, "MQTT connection closed: its peer does not read");
            }
            Away::Ended(Ended::Gone | Ended::Stopping) => {}
            Away::Ended(Ended::Failed(error)) => {
                tracing::debug!(%peer, %error, "MQTT connection broke off");
            }
        }
    }

    /// Keeps the trace of a connection that was refused or ended for a fault of its peer.
    fn trace(&self, link: &Link, user_name: &str, finding: &Finding, outcome: &str) {
        let mut attempt = self.attempt(link);
        let (scope, id, _) = provisioning::parts(user_name).unwrap_or_default();
        attempt.asked("connect", scope, id);
        attempt.pass(Stage::Transport, transport_note(&link.chain));
        attempt.stop(Stage::Request, finding);
        attempt.end(format!("connection closed: {outcome}"));
        self.traces.keep(attempt);
    }
}

fn unnamed_finding(unnamed: &Unnamed) -> Finding {
    let (check, expected) = match unnamed {
        Unnamed::Form | Unnamed::Part(_) => (
            "mqtt.user_name",
            "{id scope}/registrations/{registration id}/api-version=…",
        ),
        Unnamed::ClientId => ("mqtt.client_id", "the registration id of the user name"),
        Unnamed::Will => ("mqtt.will", "no will"),
    };
    let fix =
        "Compare client id and user name with what docs/protocol/device-api.md says of CONNECT.";
    Finding::new(check, expected, unnamed.to_string(), fix)
}

fn topic_finding(topic: &str) -> Finding {
    Finding::new(
        "mqtt.topic",
        "$dps/registrations/PUT/iotdps-register/?$rid=…, or …/GET/iotdps-get-operationstatus/?$rid=…&operationId=…",
        topic,
        "Publish to the topics of the provisioning service only; telemetry goes to the assigned hub.",
    )
}
