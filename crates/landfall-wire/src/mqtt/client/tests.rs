//! Both ends of a connection in memory, on a clock that is turned by hand.

use super::*;
use crate::mqtt::session::{Event as Seen, Session};

/// A device's end and the server's, with the bytes between them.
struct Pair {
    device: Client,
    server: Session,
    now: Duration,
}

impl Pair {
    fn new(keep_alive: u16) -> Self {
        Pair {
            device: Client::new(Introduction {
                client_id: "d".to_owned(),
                user_name: "hub.example.net/d/".to_owned(),
                password: Some("SharedAccessSignature secret".to_owned()),
                clean_session: false,
                keep_alive,
            }),
            server: Session::new(Duration::from_secs(10)),
            now: Duration::ZERO,
        }
    }

    /// A pair whose device was let in.
    fn open(keep_alive: u16, session_present: bool) -> Self {
        let mut pair = Pair::new(keep_alive);
        assert!(matches!(pair.served(), Some(Seen::Connect(_))));
        pair.server.accept(1 << 20, session_present, pair.now);
        assert_eq!(pair.told(), Some(Event::Accepted { session_present }));
        pair
    }

    fn served(&mut self) -> Option<Seen> {
        let bytes = self.device.outgoing().split();
        if !bytes.is_empty() {
            self.device.written(self.now);
            self.server.receive(&bytes, self.now);
        }
        self.server.next_event().expect("what a client may send")
    }

    fn told(&mut self) -> Option<Event> {
        let bytes = self.server.outgoing().split();
        self.device.receive(&bytes);
        self.device.next_event().expect("what a server may send")
    }

    fn turn(&mut self, seconds: u64) -> Result<(), Broken> {
        self.now += Duration::from_secs(seconds);
        self.device.turn(self.now)
    }
}

#[test]
fn a_device_introduces_itself_and_is_let_in_or_not() {
    let mut pair = Pair::new(60);
    let Some(Seen::Connect(connecting)) = pair.served() else {
        panic!("CONNECT comes first");
    };
    assert_eq!(connecting.client_id, "d");
    assert_eq!(connecting.user_name.as_deref(), Some("hub.example.net/d/"));
    let password = connecting.password.as_deref();
    assert_eq!(password, Some(b"SharedAccessSignature secret".as_slice()));
    assert!(!connecting.clean_session && connecting.will.is_none());
    pair.server.accept(1 << 20, true, pair.now);
    let session_present = true;
    assert_eq!(pair.told(), Some(Event::Accepted { session_present }));

    for why in [
        Refused::Unavailable,
        Refused::ClientId,
        Refused::BadUserName,
        Refused::NotAuthorized,
    ] {
        let mut pair = Pair::new(60);
        pair.served();
        pair.server.refuse(why);
        assert_eq!(pair.told(), Some(Event::Refused(why)));
        assert_eq!(pair.told(), None);
    }
    let shown = format!("{:?}", Pair::new(0).device);
    let introduction = Introduction {
        client_id: "d".to_owned(),
        user_name: "u".to_owned(),
        password: Some("secret".to_owned()),
        clean_session: true,
        keep_alive: 0,
    };
    assert!(!format!("{introduction:?}{shown}").contains("\"secret\""));
}

#[test]
fn filters_are_granted_one_by_one() {
    let mut pair = Pair::open(60, false);
    let asked = ["a/#", "b/#", "c/#"].map(|filter| (filter.to_owned(), Delivery::AtLeastOnce));
    let asked_id = pair.device.subscribe(&asked);
    assert_eq!(pair.device.unanswered(), 1);
    let Some(Seen::Subscribe { packet_id, filters }) = pair.served() else {
        panic!("a subscription");
    };
    assert_eq!(filters.len(), 3);
    assert_eq!(
        filters.first(),
        Some(&("a/#".into(), Delivery::AtLeastOnce))
    );
    let granted = vec![
        Some(Delivery::AtMostOnce),
        None,
        Some(Delivery::AtLeastOnce),
    ];
    pair.server.granted(packet_id, &granted);
    assert_eq!(
        pair.told(),
        Some(Event::Subscribed {
            packet_id: asked_id,
            granted
        })
    );
    assert_eq!(pair.device.unanswered(), 0);
}

#[test]
fn messages_pass_both_ways_and_are_acknowledged() {
    let mut pair = Pair::open(60, false);
    let large = vec![7; 200_000];
    let once = pair
        .device
        .publish("a".to_owned(), large.clone(), Delivery::AtMostOnce);
    let sure = pair
        .device
        .publish("b".to_owned(), "x", Delivery::AtLeastOnce);
    assert_eq!(once, None);
    let Some(Seen::Message(first)) = pair.served() else {
        panic!("the first message");
    };
    assert_eq!((first.packet_id, &first.payload[..]), (None, &large[..]));
    let Some(Seen::Message(second)) = pair.served() else {
        panic!("the second message");
    };
    assert_eq!((&*second.topic, second.packet_id), ("b", sure));
    pair.server.acknowledge(second.packet_id.expect("an id"));
    assert_eq!(pair.told(), sure.map(Event::Acknowledged));

    let sent = pair
        .server
        .publish("c".to_owned(), "y", Delivery::AtLeastOnce);
    let Some(Event::Message(message)) = pair.told() else {
        panic!("a message of the server");
    };
    assert_eq!(
        (&*message.topic, &message.payload[..]),
        ("c", b"y".as_slice())
    );
    pair.device.acknowledge(message.packet_id.expect("an id"));
    assert_eq!(pair.served(), sent.map(Seen::Acknowledged));
    pair.device.disconnect();
    assert_eq!(pair.served(), Some(Seen::Disconnect));
}

#[test]
fn no_two_messages_wait_under_one_packet_id() {
    let mut pair = Pair::open(60, false);
    let publish = |pair: &mut Pair| {
        let id = pair
            .device
            .publish("a".to_owned(), "", Delivery::AtLeastOnce);
        assert!(matches!(pair.served(), Some(Seen::Message(_))));
        id.expect("an id")
    };
    let first = publish(&mut pair);
    for _ in 0..70_000 {
        let id = publish(&mut pair);
        assert_ne!(id, first, "the first was never acknowledged");
        pair.server.acknowledge(id);
        assert_eq!(pair.told(), Some(Event::Acknowledged(id)));
    }
    assert_eq!(pair.device.unanswered(), 1);
}

#[test]
fn a_device_is_heard_of_in_time_and_gives_up_a_silent_server() {
    let mut pair = Pair::open(60, false);
    assert_eq!(pair.device.deadline(), Duration::from_secs(60));
    assert_eq!(pair.turn(59), Ok(()));
    assert!(pair.device.outgoing().is_empty());
    assert_eq!(pair.turn(1), Ok(()));
    assert_eq!(pair.served(), None);
    assert_eq!(pair.told(), None, "PINGRESP is no event");
    assert_eq!(pair.device.deadline(), Duration::from_secs(120));
    assert!(pair.server.deadline() > pair.device.deadline());
    // A message is as good as a ping.
    pair.now = Duration::from_secs(100);
    pair.device
        .publish("a".to_owned(), "", Delivery::AtMostOnce);
    pair.served();
    assert_eq!(pair.device.deadline(), Duration::from_secs(160));
    assert_eq!(pair.turn(60), Ok(()));
    pair.served();
    assert_eq!(pair.turn(29), Ok(()));
    assert_eq!(pair.turn(1), Err(Broken::Silent(PATIENCE)));

    let mut unanswered = Pair::new(0);
    assert_eq!(unanswered.turn(30), Err(Broken::Silent(PATIENCE)));
    assert_eq!(Pair::open(0, false).device.deadline(), Duration::MAX);
}

#[test]
fn a_server_that_breaks_the_protocol_is_left() {
    let reads = |bytes: &[u8], open: bool| {
        let mut pair = if open {
            Pair::open(60, false)
        } else {
            Pair::new(60)
        };
        pair.device.receive(bytes);
        let broken = pair.device.next_event().expect_err("broken");
        assert_eq!(pair.device.next_event(), Ok(None), "nothing more is read");
        broken
    };
    for (bytes, open) in [
        (&[0xD0, 0][..], false),
        (&[0x20, 2, 0, 0], true),
        (&[0x40, 2, 0, 9], true),
        (&[0x90, 3, 0, 9, 0], true),
        (&[0xC0, 0], true),
        (&[0x34, 5, 0, 1, b'a', 0, 1], true),
    ] {
        let broken = reads(bytes, open);
        assert!(matches!(broken, Broken::Unexpected(_)), "{broken}");
    }
    let broken = reads(&[0x30, 0xFF, 0xFF, 0xFF, 0x7F], true);
    assert!(matches!(broken, Broken::TooLarge { .. }), "{broken}");
    for bytes in [&[0x00, 0][..], &[0x30, 4, 0, 2, b'a', b'#'], &[0xD0, 1, 0]] {
        let broken = reads(bytes, true);
        assert!(matches!(broken, Broken::Malformed(_)), "{broken}");
    }
}
