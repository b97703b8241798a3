//! MQTT of strangers: no bytes break the session, whatever pieces they come in, and what it says back is
//! bounded by what it was sent.

use std::sync::LazyLock;
use std::time::Duration;

use landfall_wire::mqtt::provisioning;
use landfall_wire::mqtt::session::{Broken, Delivery, Event, Session};

use crate::read_corpus;

static CORPUS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| read_corpus("mqtt"));

/// Most bytes that are written for one that is read: a SUBACK and an answer are shorter than their request.
const MOST_SAID: usize = 4;

/// What a session makes of bytes that come in pieces of `length`: its events, its end, and how much it said.
fn heard(bytes: &[u8], length: usize) -> (Vec<Event>, Option<Broken>, usize) {
    let mut session = Session::new(Duration::from_secs(10));
    let (mut events, mut said) = (Vec::new(), 0);
    for piece in bytes.chunks(length) {
        session.receive(piece, Duration::ZERO);
        loop {
            match session.next_event() {
                Ok(Some(event)) => {
                    answer(&mut session, &event);
                    events.push(event);
                }
                Ok(None) => break,
                Err(broken) => return (events, Some(broken), said + session.outgoing().len()),
            }
        }
        said += session.outgoing().split().len();
    }
    (events, None, said)
}

/// What the device API would do with it, its answers aside.
fn answer(session: &mut Session, event: &Event) {
    match event {
        Event::Connect(connecting) => match provisioning::named(connecting) {
            // One that is refused shows how little is read after that; half of them are let in.
            Err(unnamed) if connecting.client_id.len() % 2 == 0 => {
                session.refuse(unnamed.refusal());
            }
            Ok(_) | Err(_) => session.accept(8 * 1024, false, Duration::ZERO),
        },
        Event::Subscribe { packet_id, filters } => {
            let granted: Vec<_> = filters.iter().map(|(_, asked)| Some(*asked)).collect();
            session.granted(*packet_id, &granted);
        }
        Event::Message(message) => {
            if let Some(packet_id) = message.packet_id {
                session.acknowledge(packet_id);
            }
            if let Some(request) = provisioning::request(&message.topic) {
                session.publish(request.request_id, "", Delivery::AtLeastOnce);
            }
        }
        Event::Unsubscribe(_) | Event::Acknowledged(_) | Event::Disconnect => {}
    }
}

fn target(bytes: &[u8]) {
    let whole = heard(bytes, bytes.len().max(1));
    assert!(
        whole.2 <= MOST_SAID * bytes.len(),
        "{} said to {}",
        whole.2,
        bytes.len()
    );
    for length in [1, 7] {
        let pieces = heard(bytes, length);
        assert_eq!(pieces.0, whole.0);
        assert_eq!(pieces.1, whole.1);
    }
}

#[test]
fn no_bytes_break_a_session_and_their_pieces_do_not_matter() {
    feed!(CORPUS, target);
}
