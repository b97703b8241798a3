//! One MQTT 3.1.1 connection as the server sees it: reads packets, holds the peer to their order and
//! their form, keeps time, and gathers what is to be written. What a CONNECT, a subscription or a message
//! is worth is for the caller to say.
//!
//! The packets are read and written by a kept codec. What that lets pass and the standard does not is
//! refused here. QoS 2 is refused, as the cloud service does.

use std::num::NonZeroU16;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use rmqtt_codec::error::DecodeError;
use rmqtt_codec::types::{Publish, QoS};
use rmqtt_codec::v3::{Codec, Connect, ConnectAck, ConnectAckReason, Packet, SubscribeReturnCode};
use tokio_util::codec::{Decoder as _, Encoder as _};

/// Largest packet of a peer that was not let in yet, in bytes.
const LARGEST_FIRST: u32 = 16 * 1024;
/// Longest silence of a peer, whatever keep-alive it asks for, and of one that asks for none.
///
/// Source: docs/protocol/hub-api.md §2.1 [D].
const LONGEST_SILENCE: Duration = Duration::from_secs(1767);
/// The version of MQTT that is spoken here, as CONNECT names it.
const LEVEL: u8 = 4;

/// How sure a message is to arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Delivery {
    /// Sent once, and not acknowledged.
    AtMostOnce,
    /// Acknowledged by whoever received it.
    AtLeastOnce,
}

/// What a peer that wants in shows of itself. `Debug` shows no password.
#[derive(Clone, PartialEq, Eq)]
pub struct Connecting {
    /// The client id.
    pub client_id: String,
    /// The user name, when there is one.
    pub user_name: Option<String>,
    /// The password, when there is one.
    pub password: Option<Bytes>,
    /// Whether nothing of earlier connections is to be kept.
    pub clean_session: bool,
    /// What is to be published for it when it goes without a word.
    pub will: Option<Message>,
}

impl std::fmt::Debug for Connecting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Connecting({:?}, {:?})", self.client_id, self.user_name)
    }
}

/// A message of the peer. `Debug` shows no payload.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// The topic it was published to, without wildcards.
    pub topic: ByteString,
    /// The payload.
    pub payload: Bytes,
    /// What to acknowledge, when the peer waits for that.
    pub packet_id: Option<NonZeroU16>,
    /// Whether it asks for the message to be kept for whoever subscribes later.
    pub retain: bool,
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Message({:?}, {} bytes)", self.topic, self.payload.len())
    }
}

/// What the peer did, for the caller to judge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It wants in: [`Session::accept`] or [`Session::refuse`] it.
    Connect(Box<Connecting>),
    /// It wants messages: say by [`Session::granted`] which.
    Subscribe {
        /// What the answer names.
        packet_id: NonZeroU16,
        /// The filters, each with the delivery that was asked for.
        filters: Vec<(ByteString, Delivery)>,
    },
    /// It wants no more messages of these filters; that was acknowledged.
    Unsubscribe(Vec<ByteString>),
    /// It sent a message.
    Message(Message),
    /// It has the message of that packet id.
    Acknowledged(NonZeroU16),
    /// It leaves in order.
    Disconnect,
}

/// Why a peer is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The server can serve nobody now.
    Unavailable,
    /// The client id is not the one that it may have.
    ClientId,
    /// User name or password have another form than the service reads.
    BadUserName,
    /// It does not prove who it is.
    NotAuthorized,
}

/// Why a connection ends that the peer did not end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// It speaks another version; it was told.
    #[error("it speaks another version than MQTT 3.1.1")]
    Version,
    /// A packet cannot be read.
    #[error("a packet is malformed: {0}")]
    Malformed(String),
    /// A packet is larger than the limit, in bytes.
    #[error("a packet of {size} bytes is larger than {limit}")]
    TooLarge {
        /// What its head announces.
        size: u32,
        /// What is read.
        limit: u32,
    },
    /// Something came before CONNECT.
    #[error("its first packet is no CONNECT")]
    NotConnected,
    /// CONNECT came twice.
    #[error("it sent CONNECT a second time")]
    ConnectedTwice,
    /// A packet that its side never sends, or not there, or one of QoS 2.
    #[error("it sent {0}, which has no place there")]
    Unexpected(&'static str),
    /// It was silent for longer than it said it would be.
    #[error("nothing came from it for {} s", .0.as_secs())]
    Silent(Duration),
}

/// One connection.
#[derive(Debug)]
pub struct Session {
    codec: Codec,
    incoming: BytesMut,
    outgoing: BytesMut,
    stage: Stage,
    /// How long it may be silent.
    silence: Duration,
    /// When something last came.
    heard: Duration,
    last_packet_id: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// CONNECT did not come yet.
    New,
    /// CONNECT came and waits for its answer.
    Asking,
    /// It was let in.
    Open,
    /// Nothing more is read.
    Over,
}

impl Session {
    /// A connection that begins now. The peer's CONNECT must be there within `patience`.
    pub fn new(patience: Duration) -> Self {
        Session {
            codec: Codec::new(LARGEST_FIRST),
            incoming: BytesMut::new(),
            outgoing: BytesMut::new(),
            stage: Stage::New,
            silence: patience,
            heard: Duration::ZERO,
            last_packet_id: 0,
        }
    }

    /// Takes bytes of the peer, which came at `now`.
    pub fn receive(&mut self, bytes: &[u8], now: Duration) {
        self.incoming.extend_from_slice(bytes);
        // Before it is let in, bytes that trickle in do not buy time.
        if self.stage == Stage::Open {
            self.heard = now;
        }
    }

    /// The next thing the peer did; `None` when more bytes are needed.
    ///
    /// # Errors
    /// [`Broken`] when the connection is to end, once [`Session::outgoing`] is written.
    pub fn next_event(&mut self) -> Result<Option<Event>, Broken> {
        loop {
            if matches!(self.stage, Stage::Asking | Stage::Over) {
                return Ok(None);
            }
            let decoded = self.codec.decode(&mut self.incoming);
            let (packet, length) = match decoded {
                Ok(Some(decoded)) => decoded,
                Ok(None) => {
                    // A connection that idles holds no buffer.
                    if self.incoming.is_empty() {
                        self.incoming = BytesMut::new();
                    }
                    return Ok(None);
                }
                Err(error) => return Err(self.unreadable(&error)),
            };
            if let Some(event) = self.take(packet, length).inspect_err(|_| {
                self.stage = Stage::Over;
            })? {
                return Ok(Some(event));
            }
        }
    }

    /// When the peer's silence ends the connection, unless something comes before.
    pub fn deadline(&self) -> Duration {
        self.heard.saturating_add(self.silence)
    }

    /// Why the connection ends at [`Session::deadline`].
    pub fn silent(&mut self) -> Broken {
        self.stage = Stage::Over;
        Broken::Silent(self.silence)
    }

    /// Lets the peer in at `now`, with packets of `largest` bytes, and says whether anything was kept for
    /// it.
    pub fn accept(&mut self, largest: u32, session_present: bool, now: Duration) {
        if self.stage == Stage::Asking {
            self.stage = Stage::Open;
            self.heard = now;
            self.codec.set_max_size(largest);
            self.acknowledge_connect(ConnectAckReason::ConnectionAccepted, session_present);
        }
    }

    /// Turns the peer away. Nothing more is read.
    pub fn refuse(&mut self, why: Refused) {
        if self.stage == Stage::Asking {
            self.stage = Stage::Over;
            let reason = match why {
                Refused::ClientId => ConnectAckReason::IdentifierRejected,
                Refused::Unavailable => ConnectAckReason::ServiceUnavailable,
                Refused::BadUserName => ConnectAckReason::BadUserNameOrPassword,
                Refused::NotAuthorized => ConnectAckReason::NotAuthorized,
            };
            self.acknowledge_connect(reason, false);
        }
    }

    /// Answers a subscription: one delivery for each of its filters, `None` for one that is refused.
    pub fn granted(&mut self, packet_id: NonZeroU16, filters: &[Option<Delivery>]) {
        let status = filters.iter().map(|granted| match granted {
            None => SubscribeReturnCode::Failure,
            Some(delivery) => SubscribeReturnCode::Success(qos(*delivery)),
        });
        let status = status.collect();
        self.write(Packet::SubscribeAck { packet_id, status });
    }

    /// Tells the peer that its message of this packet id is taken care of.
    pub fn acknowledge(&mut self, packet_id: NonZeroU16) {
        self.write(Packet::PublishAck { packet_id });
    }

    /// Sends a message, and gives the packet id that the peer will acknowledge, when it will.
    pub fn publish(
        &mut self,
        topic: String,
        payload: impl Into<Bytes>,
        delivery: Delivery,
    ) -> Option<NonZeroU16> {
        let packet_id = (delivery == Delivery::AtLeastOnce).then(|| self.draw_packet_id());
        self.write(published(topic, payload.into(), delivery, packet_id));
        packet_id
    }

    /// What is to be written to the peer. Whoever writes it takes it away.
    pub fn outgoing(&mut self) -> &mut BytesMut {
        &mut self.outgoing
    }

    fn draw_packet_id(&mut self) -> NonZeroU16 {
        self.last_packet_id = self.last_packet_id.wrapping_add(1);
        NonZeroU16::new(self.last_packet_id).unwrap_or_else(|| {
            self.last_packet_id = 1;
            NonZeroU16::MIN
        })
    }

    fn acknowledge_connect(&mut self, return_code: ConnectAckReason, session_present: bool) {
        self.write(Packet::ConnectAck(ConnectAck {
            return_code,
            session_present,
        }));
    }

    /// Appends a packet. The codec refuses none of those that are made here: their texts are shorter
    /// than a packet's may be, and a packet id stands where one must.
    fn write(&mut self, packet: Packet) {
        let length = self.outgoing.len();
        if self.codec.encode(packet, &mut self.outgoing).is_err() {
            self.outgoing.truncate(length);
        }
    }

    fn unreadable(&mut self, error: &DecodeError) -> Broken {
        let first = self.stage == Stage::New;
        self.stage = Stage::Over;
        match error {
            DecodeError::InvalidProtocol | DecodeError::UnsupportedProtocolLevel if first => {
                self.acknowledge_connect(ConnectAckReason::UnacceptableProtocolVersion, false);
                Broken::Version
            }
            DecodeError::MaxSizeExceeded { size, max } => Broken::TooLarge {
                size: *size,
                limit: *max,
            },
            other => Broken::Malformed(other.to_string()),
        }
    }

    /// Judges a packet by what the standard says of its order and form.
    fn take(&mut self, packet: Packet, length: u32) -> Result<Option<Event>, Broken> {
        if self.stage == Stage::New {
            return match packet {
                Packet::Connect(connect) => self.connecting(*connect).map(Some),
                _ => Err(Broken::NotConnected),
            };
        }
        Ok(Some(match packet {
            Packet::Connect(_) => return Err(Broken::ConnectedTwice),
            Packet::Publish(publish) => Event::Message(message(*publish)?),
            Packet::PublishAck { packet_id } => Event::Acknowledged(packet_id),
            Packet::Subscribe {
                packet_id,
                topic_filters,
            } => Event::Subscribe {
                packet_id,
                filters: topic_filters
                    .into_iter()
                    .map(|(filter, asked)| Ok((without_nul(filter)?, delivery(asked))))
                    .collect::<Result<_, Broken>>()?,
            },
            Packet::Unsubscribe {
                packet_id,
                topic_filters,
            } => {
                self.write(Packet::UnsubscribeAck { packet_id });
                Event::Unsubscribe(topic_filters)
            }
            Packet::PingRequest => {
                empty("PINGREQ", length)?;
                self.write(Packet::PingResponse);
                return Ok(None);
            }
            Packet::Disconnect => {
                empty("DISCONNECT", length)?;
                self.stage = Stage::Over;
                Event::Disconnect
            }
            Packet::PublishReceived { .. } => return Err(Broken::Unexpected("PUBREC")),
            Packet::PublishRelease { .. } => return Err(Broken::Unexpected("PUBREL")),
            Packet::PublishComplete { .. } => return Err(Broken::Unexpected("PUBCOMP")),
            Packet::ConnectAck(_) => return Err(Broken::Unexpected("CONNACK")),
            Packet::SubscribeAck { .. } => return Err(Broken::Unexpected("SUBACK")),
            Packet::UnsubscribeAck { .. } => return Err(Broken::Unexpected("UNSUBACK")),
            Packet::PingResponse => return Err(Broken::Unexpected("PINGRESP")),
        }))
    }

    fn connecting(&mut self, connect: Connect) -> Result<Event, Broken> {
        if connect.protocol.level() != LEVEL {
            self.acknowledge_connect(ConnectAckReason::UnacceptableProtocolVersion, false);
            return Err(Broken::Version);
        }
        if connect.password.is_some() && connect.username.is_none() {
            return Err(Broken::Malformed(
                "CONNECT has a password and no user name".to_owned(),
            ));
        }
        let text = |text: ByteString| without_nul(text).map(String::from);
        let will = connect.last_will.map(|will| {
            Ok(Message {
                topic: topic(will.topic)?,
                payload: will.message,
                packet_id: None,
                retain: will.retain,
            })
        });
        let connecting = Connecting {
            client_id: text(connect.client_id)?,
            user_name: connect.username.map(text).transpose()?,
            password: connect.password,
            clean_session: connect.clean_session,
            will: will.transpose()?,
        };
        self.silence = match connect.keep_alive {
            0 => LONGEST_SILENCE,
            seconds => LONGEST_SILENCE.min(Duration::from_millis(
                u64::from(seconds).saturating_mul(1500),
            )),
        };
        self.stage = Stage::Asking;
        Ok(Event::Connect(Box::new(connecting)))
    }
}

/// A message, unless it is of QoS 2 or its topic is none that can be published to.
pub(super) fn message(publish: Publish) -> Result<Message, Broken> {
    if publish.qos == QoS::ExactlyOnce {
        return Err(Broken::Unexpected("a message of QoS 2"));
    }
    Ok(Message {
        topic: topic(publish.topic)?,
        payload: publish.payload,
        packet_id: publish.packet_id,
        retain: publish.retain,
    })
}

/// The packet of a message.
pub(super) fn published(
    topic: String,
    payload: Bytes,
    delivery: Delivery,
    packet_id: Option<NonZeroU16>,
) -> Packet {
    Packet::Publish(Box::new(Publish {
        dup: false,
        retain: false,
        qos: qos(delivery),
        topic: topic.into(),
        packet_id,
        payload,
        properties: None,
    }))
}

fn topic(topic: ByteString) -> Result<ByteString, Broken> {
    if topic.contains(['+', '#', '\0']) {
        return Err(Broken::Malformed(
            "a message's topic has a wildcard or NUL".to_owned(),
        ));
    }
    Ok(topic)
}

fn without_nul(text: ByteString) -> Result<ByteString, Broken> {
    if text.contains('\0') {
        return Err(Broken::Malformed("a text has NUL".to_owned()));
    }
    Ok(text)
}

pub(super) fn empty(what: &str, length: u32) -> Result<(), Broken> {
    if length == 0 {
        return Ok(());
    }
    Err(Broken::Malformed(format!("{what} has a body")))
}

/// What is granted of a delivery that was asked for: QoS 2 is granted as 1.
pub(super) fn delivery(asked: QoS) -> Delivery {
    match asked {
        QoS::AtMostOnce => Delivery::AtMostOnce,
        QoS::AtLeastOnce | QoS::ExactlyOnce => Delivery::AtLeastOnce,
    }
}

pub(super) fn qos(delivery: Delivery) -> QoS {
    match delivery {
        Delivery::AtMostOnce => QoS::AtMostOnce,
        Delivery::AtLeastOnce => QoS::AtLeastOnce,
    }
}

#[cfg(test)]
mod tests;
