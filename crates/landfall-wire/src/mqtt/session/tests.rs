//! One session and its peer, in memory, on a clock that is turned by hand.

use super::*;
use rmqtt_codec::v3::LastWill;

const PATIENCE: Duration = Duration::from_secs(10);
const LARGEST: u32 = 100_000;

/// The other end: makes packets, reads what came back.
struct Peer {
    codec: Codec,
    session: Session,
}

impl Peer {
    fn new() -> Self {
        Peer {
            codec: Codec::new(0),
            session: Session::new(PATIENCE),
        }
    }

    /// A peer that was let in with a keep-alive of `seconds`, at second 1.
    fn connected(seconds: u16) -> Self {
        let mut peer = Peer::new();
        let event = peer.sends(connect(seconds), 1).expect("read");
        assert!(matches!(event, Some(Event::Connect(_))), "{event:?}");
        peer.session.accept(LARGEST, false, Duration::from_secs(1));
        let answer = peer.reads();
        assert_eq!(
            answer,
            [Packet::ConnectAck(ConnectAck {
                return_code: ConnectAckReason::ConnectionAccepted,
                session_present: false,
            })]
        );
        peer
    }

    fn bytes(&mut self, packet: Packet) -> BytesMut {
        let mut bytes = BytesMut::new();
        self.codec.encode(packet, &mut bytes).expect("a packet");
        bytes
    }

    fn sends(&mut self, packet: Packet, second: u64) -> Result<Option<Event>, Broken> {
        let bytes = self.bytes(packet);
        self.sends_bytes(&bytes, second)
    }

    fn sends_bytes(&mut self, bytes: &[u8], second: u64) -> Result<Option<Event>, Broken> {
        self.session.receive(bytes, Duration::from_secs(second));
        self.session.next_event()
    }

    fn reads(&mut self) -> Vec<Packet> {
        let mut bytes = self.session.outgoing().split();
        let mut packets = Vec::new();
        while let Some((packet, _)) = self.codec.decode(&mut bytes).expect("our own packets") {
            packets.push(packet);
        }
        packets
    }
}

fn connect(keep_alive: u16) -> Packet {
    Connect {
        client_id: "d".into(),
        username: Some("u".into()),
        password: Some(Bytes::from_static(b"p")),
        clean_session: true,
        keep_alive,
        ..Connect::default()
    }
    .into()
}

fn publish(topic: &'static str, level: QoS, id: Option<u16>) -> Packet {
    Packet::Publish(Box::new(Publish {
        dup: false,
        retain: false,
        qos: level,
        topic: topic.into(),
        packet_id: id.and_then(NonZeroU16::new),
        payload: Bytes::from_static(b"x"),
        properties: None,
    }))
}

fn id(id: u16) -> NonZeroU16 {
    NonZeroU16::new(id).expect("not zero")
}

#[test]
fn packets_are_read_in_whatever_pieces_they_come() {
    let mut peer = Peer::new();
    let bytes = peer.bytes(connect(60));
    let (last, rest) = bytes.split_last().expect("bytes");
    for byte in rest {
        assert_eq!(peer.sends_bytes(&[*byte], 0), Ok(None));
    }
    let Ok(Some(Event::Connect(connecting))) = peer.sends_bytes(&[*last], 0) else {
        panic!("the last byte makes it whole");
    };
    assert_eq!(connecting.client_id, "d");
    assert_eq!(connecting.user_name.as_deref(), Some("u"));
    assert_eq!(connecting.password.as_deref(), Some(b"p".as_slice()));
    assert!(!format!("{connecting:?}").contains("\"p\""));
}

#[test]
fn what_comes_behind_connect_waits_until_the_peer_is_let_in() {
    let mut peer = Peer::new();
    let mut bytes = peer.bytes(connect(0));
    bytes.extend(peer.bytes(publish("t", QoS::AtLeastOnce, Some(7))));
    bytes.extend(peer.bytes(Packet::PingRequest));
    assert!(matches!(
        peer.sends_bytes(&bytes, 0),
        Ok(Some(Event::Connect(_)))
    ));
    assert_eq!(peer.session.next_event(), Ok(None));
    peer.session.accept(LARGEST, true, Duration::ZERO);
    let Ok(Some(Event::Message(message))) = peer.session.next_event() else {
        panic!("the message was there");
    };
    assert_eq!((&*message.topic, &*message.payload), ("t", b"x".as_slice()));
    peer.session.acknowledge(message.packet_id.expect("QoS 1"));
    let sent = peer
        .session
        .publish("a".to_owned(), "y", Delivery::AtLeastOnce);
    assert_eq!(peer.session.next_event(), Ok(None));
    let answers = peer.reads();
    assert!(matches!(&answers[0], Packet::ConnectAck(ack) if ack.session_present));
    assert_eq!(answers[1], Packet::PublishAck { packet_id: id(7) });
    assert!(matches!(&answers[2], Packet::Publish(publish)
        if publish.packet_id == sent && publish.qos == QoS::AtLeastOnce && !publish.retain));
    assert_eq!(answers[3], Packet::PingResponse);
}

#[test]
fn subscriptions_are_answered_filter_by_filter() {
    let mut peer = Peer::connected(60);
    let asked = Packet::Subscribe {
        packet_id: id(3),
        topic_filters: vec![
            ("a/#".into(), QoS::AtMostOnce),
            ("b/#".into(), QoS::ExactlyOnce),
            ("c".into(), QoS::AtLeastOnce),
        ],
    };
    let event = peer.sends(asked, 2).expect("read");
    let Some(Event::Subscribe { packet_id, filters }) = event else {
        panic!("{event:?}");
    };
    let deliveries: Vec<_> = filters.iter().map(|(_, delivery)| *delivery).collect();
    assert_eq!(
        deliveries,
        [
            Delivery::AtMostOnce,
            Delivery::AtLeastOnce,
            Delivery::AtLeastOnce
        ]
    );
    peer.session.granted(
        packet_id,
        &[
            Some(Delivery::AtMostOnce),
            Some(Delivery::AtLeastOnce),
            None,
        ],
    );
    let gone = Packet::Unsubscribe {
        packet_id: id(4),
        topic_filters: vec!["a/#".into()],
    };
    let event = peer.sends(gone, 2);
    assert_eq!(event, Ok(Some(Event::Unsubscribe(vec!["a/#".into()]))));
    assert_eq!(
        peer.reads(),
        [
            Packet::SubscribeAck {
                packet_id: id(3),
                status: vec![
                    SubscribeReturnCode::Success(QoS::AtMostOnce),
                    SubscribeReturnCode::Success(QoS::AtLeastOnce),
                    SubscribeReturnCode::Failure,
                ],
            },
            Packet::UnsubscribeAck { packet_id: id(4) },
        ]
    );
}

#[test]
fn another_version_is_told_so() {
    let mut of_31 = Peer::new();
    let bytes = b"\x10\x0f\x00\x06MQIsdp\x03\x02\x00\x3c\x00\x01d";
    assert_eq!(of_31.sends_bytes(bytes, 0), Err(Broken::Version));
    let mut of_5 = Peer::new();
    let bytes = b"\x10\x0e\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x01d";
    assert_eq!(of_5.sends_bytes(bytes, 0), Err(Broken::Version));
    let mut of_nothing = Peer::new();
    let bytes = b"\x10\x0d\x00\x04HTTP\x04\x02\x00\x3c\x00\x01d";
    assert_eq!(of_nothing.sends_bytes(bytes, 0), Err(Broken::Version));
    for mut peer in [of_31, of_5, of_nothing] {
        let told = peer.reads();
        assert!(
            matches!(told[..], [Packet::ConnectAck(ack)]
                if ack.return_code == ConnectAckReason::UnacceptableProtocolVersion),
            "{told:?}"
        );
    }
}

#[test]
fn a_refusal_is_the_last_word() {
    for (why, told) in [
        (Refused::ClientId, ConnectAckReason::IdentifierRejected),
        (Refused::Unavailable, ConnectAckReason::ServiceUnavailable),
        (
            Refused::BadUserName,
            ConnectAckReason::BadUserNameOrPassword,
        ),
        (Refused::NotAuthorized, ConnectAckReason::NotAuthorized),
    ] {
        let mut peer = Peer::new();
        let mut bytes = peer.bytes(connect(1));
        bytes.extend(peer.bytes(Packet::PingRequest));
        peer.sends_bytes(&bytes, 0).expect("read").expect("CONNECT");
        peer.session.refuse(why);
        assert_eq!(peer.session.next_event(), Ok(None));
        let answers = peer.reads();
        assert!(matches!(answers[..], [Packet::ConnectAck(ack)] if ack.return_code == told));
    }
}

#[test]
fn nothing_goes_before_connect_and_connect_comes_once() {
    let mut early = Peer::new();
    let sent = early.sends(publish("t", QoS::AtMostOnce, None), 0);
    assert_eq!(sent, Err(Broken::NotConnected));
    assert!(early.reads().is_empty());
    let mut twice = Peer::connected(60);
    assert_eq!(twice.sends(connect(60), 2), Err(Broken::ConnectedTwice));
    assert_eq!(twice.sends(Packet::PingRequest, 3), Ok(None));
    assert!(twice.reads().is_empty(), "nothing is read any more");
}

#[test]
fn packets_that_no_client_sends_end_the_connection() {
    for packet in [
        publish("t", QoS::ExactlyOnce, Some(1)),
        Packet::PublishReceived { packet_id: id(1) },
        Packet::PublishRelease { packet_id: id(1) },
        Packet::PublishComplete { packet_id: id(1) },
        Packet::UnsubscribeAck { packet_id: id(1) },
        Packet::SubscribeAck {
            packet_id: id(1),
            status: vec![SubscribeReturnCode::Failure],
        },
        Packet::ConnectAck(ConnectAck {
            return_code: ConnectAckReason::ConnectionAccepted,
            session_present: false,
        }),
        Packet::PingResponse,
    ] {
        let shown = format!("{packet:?}");
        let broken = Peer::connected(60).sends(packet, 2);
        assert!(
            matches!(broken, Err(Broken::Unexpected(_))),
            "{shown}: {broken:?}"
        );
    }
}

#[test]
fn malformed_packets_end_the_connection() {
    for (what, bytes) in [
        ("a wildcard in a topic", b"\x30\x04\x00\x02a+".as_slice()),
        ("another one", b"\x30\x04\x00\x02a#"),
        ("NUL in a topic", b"\x30\x04\x00\x02a\0"),
        ("no UTF-8 in a topic", b"\x30\x04\x00\x02a\xff"),
        ("an empty topic", b"\x30\x02\x00\x00"),
        ("packet id 0", b"\x32\x05\x00\x01a\x00\x00"),
        ("QoS 3", b"\x36\x05\x00\x01a\x00\x01"),
        ("a topic longer than the packet", b"\x30\x03\x00\x09a"),
        ("no filter", b"\x82\x02\x00\x01"),
        ("NUL in a filter", b"\x82\x07\x00\x01\x00\x02a\0\x00"),
        ("a filter of QoS 3", b"\x82\x06\x00\x01\x00\x01a\x03"),
        (
            "SUBSCRIBE with wrong flags",
            b"\x80\x06\x00\x01\x00\x01a\x00",
        ),
        ("a ping with a body", b"\xc0\x01\x00"),
        ("a farewell with a body", b"\xe0\x01\x00"),
        ("AUTH, which is of another version", b"\xf0\x00"),
        ("packet type 0", b"\x00\x00"),
        ("a length of five bytes", b"\x30\xff\xff\xff\xff\x01"),
    ] {
        let broken = Peer::connected(60).sends_bytes(bytes, 2);
        assert!(
            matches!(broken, Err(Broken::Malformed(_))),
            "{what}: {broken:?}"
        );
    }
}

#[test]
fn malformed_connects_are_not_answered() {
    for (what, bytes) in [
        (
            "a password without a user name",
            b"\x10\x10\x00\x04MQTT\x04\x42\x00\x3c\x00\x01d\x00\x01p".as_slice(),
        ),
        (
            "NUL in the client id",
            b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01\0",
        ),
        (
            "a reserved flag",
            b"\x10\x0d\x00\x04MQTT\x04\x03\x00\x3c\x00\x01d",
        ),
        (
            "the QoS of a will that is not there",
            b"\x10\x0d\x00\x04MQTT\x04\x0a\x00\x3c\x00\x01d",
        ),
        (
            "no client id to keep a session for",
            b"\x10\x0c\x00\x04MQTT\x04\x00\x00\x3c\x00\x00",
        ),
        (
            "a client id longer than the packet",
            b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x09d",
        ),
    ] {
        let mut peer = Peer::new();
        let broken = peer.sends_bytes(bytes, 0);
        assert!(
            matches!(broken, Err(Broken::Malformed(_))),
            "{what}: {broken:?}"
        );
        assert!(peer.reads().is_empty(), "{what}");
    }
}

#[test]
fn a_stranger_gets_less_room_than_who_was_let_in() {
    let announced = |size: u32| {
        let mut bytes = vec![0x30];
        let mut rest = size;
        while rest >= 0x80 {
            bytes.push(u8::try_from(rest & 0x7f).expect("seven bits") | 0x80);
            rest >>= 7;
        }
        bytes.push(u8::try_from(rest).expect("seven bits"));
        bytes
    };
    let too_large = |size, limit| Err(Broken::TooLarge { size, limit });
    let mut stranger = Peer::new();
    let size = LARGEST_FIRST + 1;
    assert_eq!(
        stranger.sends_bytes(&announced(size), 0),
        too_large(size, LARGEST_FIRST)
    );
    let mut known = Peer::connected(60);
    assert_eq!(known.sends_bytes(&announced(LARGEST), 2), Ok(None));
    let mut known = Peer::connected(60);
    let size = LARGEST + 1;
    assert_eq!(
        known.sends_bytes(&announced(size), 2),
        too_large(size, LARGEST)
    );
}

#[test]
fn silence_is_measured_from_what_last_came() {
    let mut peer = Peer::connected(10);
    assert_eq!(peer.session.deadline(), Duration::from_secs(16));
    peer.sends(Packet::PingRequest, 9).expect("read");
    assert_eq!(peer.session.deadline(), Duration::from_secs(24));
    assert_eq!(
        peer.session.silent(),
        Broken::Silent(Duration::from_secs(15))
    );
    assert_eq!(
        Peer::connected(0).session.deadline(),
        Duration::from_secs(1) + LONGEST_SILENCE
    );
    assert_eq!(
        Peer::connected(u16::MAX).session.deadline(),
        Duration::from_secs(1) + LONGEST_SILENCE
    );
}

#[test]
fn a_connect_that_trickles_in_buys_no_time() {
    let mut peer = Peer::new();
    let bytes = peer.bytes(connect(60));
    for (second, byte) in (0..).zip(&bytes[..9]) {
        assert_eq!(peer.sends_bytes(&[*byte], second), Ok(None));
        assert_eq!(peer.session.deadline(), PATIENCE);
    }
}

#[test]
fn packet_ids_of_sent_messages_pass_over_zero() {
    let mut peer = Peer::connected(0);
    let mut send = || {
        let sent = peer
            .session
            .publish("t".to_owned(), "x", Delivery::AtLeastOnce);
        peer.session.outgoing().clear();
        sent.expect("a packet id").get()
    };
    assert_eq!(send(), 1);
    let last = (2..=u16::MAX).map(|_| send()).last();
    assert_eq!(last, Some(u16::MAX));
    assert_eq!(send(), 1);
    assert_eq!(
        peer.session
            .publish("t".to_owned(), "x", Delivery::AtMostOnce),
        None
    );
}

#[test]
fn a_will_is_seen_and_a_farewell_is_the_end() {
    let mut peer = Peer::new();
    let with_will = Connect {
        client_id: "d".into(),
        clean_session: true,
        last_will: Some(LastWill {
            qos: QoS::AtMostOnce,
            retain: false,
            topic: "devices/d/messages/events/".into(),
            message: Bytes::new(),
        }),
        ..Connect::default()
    };
    let Ok(Some(Event::Connect(connecting))) = peer.sends(with_will.into(), 0) else {
        panic!("a CONNECT");
    };
    let will = connecting.will.expect("a will");
    assert_eq!(&*will.topic, "devices/d/messages/events/");
    peer.session.accept(LARGEST, false, Duration::ZERO);
    assert_eq!(
        peer.sends(Packet::Disconnect, 1),
        Ok(Some(Event::Disconnect))
    );
    assert_eq!(peer.session.next_event(), Ok(None));
}
