//! One MQTT 3.1.1 connection as a device sees it, the other end of [`session`]: introduces
//! itself, subscribes, sends and receives messages at QoS 0 and 1, and keeps the connection alive. No socket
//! and no clock; what a message means stands in [`provisioning`](super::provisioning) and
//! [`hub`](super::hub).
//!
//! Nothing outlives the connection here: what was not acknowledged at its end is for the caller to send again.

use std::collections::BTreeSet;
use std::num::NonZeroU16;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use rmqtt_codec::error::DecodeError;
use rmqtt_codec::v3::{Codec, Connect, ConnectAckReason, Packet, SubscribeReturnCode};
use tokio_util::codec::{Decoder as _, Encoder as _};

use super::session::{self, Broken, Delivery, Message, Refused};

/// Largest packet of a server, in bytes: a command with all its properties stays well below.
const LARGEST: u32 = 512 * 1024;
/// How long a server may take to answer CONNECT or a ping.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many packet ids there are: a caller keeps fewer messages and subscriptions unanswered.
pub const PACKET_IDS: usize = u16::MAX as usize;

/// What a device shows of itself. `Debug` shows no password.
#[derive(Clone)]
pub struct Introduction {
    /// The client id.
    pub client_id: String,
    /// The user name.
    pub user_name: String,
    /// The password; none where a client certificate proves who the device is.
    pub password: Option<String>,
    /// Whether nothing of earlier connections is wanted.
    pub clean_session: bool,
    /// After how many seconds without a packet the device is heard of again; 0 for never.
    pub keep_alive: u16,
}

impl std::fmt::Debug for Introduction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Introduction({:?}, {:?})",
            self.client_id, self.user_name
        )
    }
}

/// What the server did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It let the device in.
    Accepted {
        /// Whether it kept the subscriptions of an earlier connection.
        session_present: bool,
    },
    /// It did not.
    Refused(Refused),
    /// It answered a subscription.
    Subscribed {
        /// Which one.
        packet_id: NonZeroU16,
        /// What each of its filters was granted; `None` for one that was refused.
        granted: Vec<Option<Delivery>>,
    },
    /// It sent a message: [`Client::acknowledge`] one that has a packet id.
    Message(Message),
    /// It has taken care of the message of that packet id.
    Acknowledged(NonZeroU16),
}

/// One connection to a server.
#[derive(Debug)]
pub struct Client {
    codec: Codec,
    incoming: BytesMut,
    outgoing: BytesMut,
    stage: Stage,
    keep_alive: Option<Duration>,
    /// When something was last written.
    spoke: Duration,
    /// Since when an answer is waited for that must come.
    asked: Option<Duration>,
    last_packet_id: u16,
    /// Packet ids of what is not answered yet.
    unanswered: BTreeSet<NonZeroU16>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// CONNECT waits for its answer.
    Asking,
    /// The device was let in.
    Open,
    /// Nothing more is read.
    Over,
}

impl Client {
    /// A connection that begins now, with its CONNECT ready to be written.
    pub fn new(introduction: Introduction) -> Self {
        let mut client = Client {
            codec: Codec::new(LARGEST),
            incoming: BytesMut::new(),
            outgoing: BytesMut::new(),
            stage: Stage::Asking,
            keep_alive: (introduction.keep_alive > 0)
                .then(|| Duration::from_secs(introduction.keep_alive.into())),
            spoke: Duration::ZERO,
            asked: Some(Duration::ZERO),
            last_packet_id: 0,
            unanswered: BTreeSet::new(),
        };
        client.write(
            Connect {
                client_id: introduction.client_id.into(),
                username: Some(introduction.user_name.into()),
                password: introduction.password.map(Bytes::from),
                clean_session: introduction.clean_session,
                keep_alive: introduction.keep_alive,
                ..Connect::default()
            }
            .into(),
        );
        client
    }

    /// Takes bytes of the server.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.incoming.extend_from_slice(bytes);
    }

    /// The next thing the server did; `None` when more bytes are needed.
    ///
    /// # Errors
    /// [`Broken`] when the server broke the protocol.
    pub fn next_event(&mut self) -> Result<Option<Event>, Broken> {
        while self.stage != Stage::Over {
            let decoded = self.codec.decode(&mut self.incoming);
            let decoded = decoded.map_err(|error| self.over(unreadable(&error)))?;
            let Some((packet, length)) = decoded else {
                if self.incoming.is_empty() {
                    self.incoming = BytesMut::new();
                }
                return Ok(None);
            };
            let taken = self.take(packet, length);
            if let Some(event) = taken.map_err(|broken| self.over(broken))? {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    /// When [`Client::turn`] has something to do, unless the connection says something before.
    pub fn deadline(&self) -> Duration {
        let patience = self.asked.map(|asked| asked.saturating_add(PATIENCE));
        let ping = self.keep_alive.map(|span| self.spoke.saturating_add(span));
        match (patience, ping) {
            (Some(patience), _) => patience,
            (None, Some(ping)) => ping,
            (None, None) => Duration::MAX,
        }
    }

    /// Does what is due at `now`: asks whether the server is still there, or gives it up.
    ///
    /// # Errors
    /// [`Broken::Silent`] when it did not answer.
    pub fn turn(&mut self, now: Duration) -> Result<(), Broken> {
        if now < self.deadline() || self.stage == Stage::Over {
            return Ok(());
        }
        if self.asked.is_some() {
            return Err(self.over(Broken::Silent(PATIENCE)));
        }
        self.asked = Some(now);
        self.write(Packet::PingRequest);
        Ok(())
    }

    /// Notes that what was [`outgoing`](Client::outgoing) was written at `now`.
    pub fn written(&mut self, now: Duration) {
        self.spoke = now;
    }

    /// Subscribes to filters, and gives the packet id that the answer will name.
    pub fn subscribe(&mut self, filters: &[(String, Delivery)]) -> NonZeroU16 {
        let packet_id = self.draw_packet_id();
        let filters = filters
            .iter()
            .map(|(filter, delivery)| (ByteString::from(filter.as_str()), session::qos(*delivery)));
        let topic_filters = filters.collect();
        self.write(Packet::Subscribe {
            packet_id,
            topic_filters,
        });
        packet_id
    }

    /// Sends a message, and gives the packet id that the server will acknowledge, when it will.
    pub fn publish(
        &mut self,
        topic: String,
        payload: impl Into<Bytes>,
        delivery: Delivery,
    ) -> Option<NonZeroU16> {
        let packet_id = (delivery == Delivery::AtLeastOnce).then(|| self.draw_packet_id());
        self.write(session::published(
            topic,
            payload.into(),
            delivery,
            packet_id,
        ));
        packet_id
    }

    /// Tells the server that its message of this packet id is taken care of.
    pub fn acknowledge(&mut self, packet_id: NonZeroU16) {
        self.write(Packet::PublishAck { packet_id });
    }

    /// Leaves in order; the last that is to be written.
    pub fn disconnect(&mut self) {
        self.write(Packet::Disconnect);
        self.stage = Stage::Over;
    }

    /// How many messages and subscriptions wait for their answer.
    pub fn unanswered(&self) -> usize {
        self.unanswered.len()
    }

    /// What is to be written to the server. Whoever writes it takes it away.
    pub fn outgoing(&mut self) -> &mut BytesMut {
        &mut self.outgoing
    }

    /// The next packet id that nothing waits under; when all are taken, one that was.
    fn draw_packet_id(&mut self) -> NonZeroU16 {
        loop {
            self.last_packet_id = self.last_packet_id.wrapping_add(1);
            let Some(id) = NonZeroU16::new(self.last_packet_id) else {
                continue;
            };
            if self.unanswered.insert(id) || self.unanswered.len() >= PACKET_IDS {
                return id;
            }
        }
    }

    /// Appends a packet. The codec refuses none of those that are made here, unless a text of the caller's
    /// is longer than MQTT can say; then nothing is sent.
    fn write(&mut self, packet: Packet) {
        let length = self.outgoing.len();
        if self.codec.encode(packet, &mut self.outgoing).is_err() {
            self.outgoing.truncate(length);
        }
    }

    fn over(&mut self, broken: Broken) -> Broken {
        self.stage = Stage::Over;
        broken
    }

    fn take(&mut self, packet: Packet, length: u32) -> Result<Option<Event>, Broken> {
        if self.stage == Stage::Asking {
            let Packet::ConnectAck(answer) = packet else {
                return Err(Broken::Unexpected("something before CONNACK"));
            };
            self.asked = None;
            return Ok(Some(match refused(answer.return_code) {
                Some(why) => {
                    self.stage = Stage::Over;
                    Event::Refused(why)
                }
                None => {
                    self.stage = Stage::Open;
                    Event::Accepted {
                        session_present: answer.session_present,
                    }
                }
            }));
        }
        Ok(Some(match packet {
            Packet::Publish(publish) => Event::Message(session::message(*publish)?),
            Packet::PublishAck { packet_id } => {
                self.answered(packet_id)?;
                Event::Acknowledged(packet_id)
            }
            Packet::SubscribeAck { packet_id, status } => {
                self.answered(packet_id)?;
                Event::Subscribed {
                    packet_id,
                    granted: status.into_iter().map(granted).collect(),
                }
            }
            Packet::PingResponse => {
                session::empty("PINGRESP", length)?;
                self.asked = None;
                return Ok(None);
            }
            Packet::ConnectAck(_) => return Err(Broken::Unexpected("CONNACK a second time")),
            Packet::UnsubscribeAck { .. } => return Err(Broken::Unexpected("UNSUBACK")),
            Packet::PublishReceived { .. } => return Err(Broken::Unexpected("PUBREC")),
            Packet::PublishRelease { .. } => return Err(Broken::Unexpected("PUBREL")),
            Packet::PublishComplete { .. } => return Err(Broken::Unexpected("PUBCOMP")),
            Packet::Connect(_)
            | Packet::Subscribe { .. }
            | Packet::Unsubscribe { .. }
            | Packet::PingRequest
            | Packet::Disconnect => return Err(Broken::Unexpected("what only clients send")),
        }))
    }

    fn answered(&mut self, packet_id: NonZeroU16) -> Result<(), Broken> {
        if self.unanswered.remove(&packet_id) {
            return Ok(());
        }
        Err(Broken::Unexpected("an answer to what was not sent"))
    }
}

fn refused(reason: ConnectAckReason) -> Option<Refused> {
    match reason {
        ConnectAckReason::ConnectionAccepted => None,
        ConnectAckReason::IdentifierRejected => Some(Refused::ClientId),
        ConnectAckReason::BadUserNameOrPassword => Some(Refused::BadUserName),
        ConnectAckReason::NotAuthorized => Some(Refused::NotAuthorized),
        // Version 3.1.1 is the only one that this end speaks: whoever refuses it cannot serve it.
        _ => Some(Refused::Unavailable),
    }
}

fn granted(code: SubscribeReturnCode) -> Option<Delivery> {
    match code {
        SubscribeReturnCode::Failure => None,
        SubscribeReturnCode::Success(qos) => Some(session::delivery(qos)),
    }
}

fn unreadable(error: &DecodeError) -> Broken {
    match error {
        DecodeError::MaxSizeExceeded { size, max } => Broken::TooLarge {
            size: *size,
            limit: *max,
        },
        other => Broken::Malformed(other.to_string()),
    }
}

#[cfg(test)]
mod tests;
