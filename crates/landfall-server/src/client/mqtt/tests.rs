//! The pumps of both ends, in memory: straight, and in a WebSocket.

use std::net::{Ipv4Addr, SocketAddr};

use landfall_wire::mqtt::session::{Delivery, Event as Seen};

use super::*;
use crate::connection::Link;
use crate::connection::mqtt::{Connection as Served, Ended as Over};
use crate::connection::websocket::Carried;
use crate::metrics::label::Protocol;
use crate::stop;

/// Smaller than most packets, so that each passes in pieces.
const PIPE: usize = 16;

fn introduction() -> Introduction {
    Introduction {
        client_id: "d".to_owned(),
        user_name: "hub.example.net/d/".to_owned(),
        password: None,
        clean_session: true,
        keep_alive: 60,
    }
}

/// A server that lets a device in, answers its message, and goes.
async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin) -> Vec<u8> {
    let (_stopper, stop) = stop::channel();
    let link = Link {
        peer: SocketAddr::from((Ipv4Addr::LOCALHOST, 1)),
        chain: Vec::new().into(),
        protocol: Protocol::Mqtt,
        patience: Duration::from_secs(60),
        stop,
    };
    let mut connection = Served::new(stream, &link);
    let Ok(Seen::Connect(_)) = connection.next().await else {
        panic!("CONNECT comes first");
    };
    connection.accept(1 << 20, false);
    let Ok(Seen::Message(message)) = connection.next().await else {
        panic!("a message comes");
    };
    let session = connection.session();
    session.acknowledge(message.packet_id.expect("an id"));
    session.publish("down".to_owned(), vec![9; 3000], Delivery::AtLeastOnce);
    let Ok(Seen::Acknowledged(_)) = connection.next().await else {
        panic!("the device has it");
    };
    assert!(matches!(connection.next().await, Ok(Seen::Disconnect)));
    assert!(matches!(connection.next().await, Err(Over::Gone)));
    message.payload.to_vec()
}

async fn live(stream: Box<dyn Stream>) -> Vec<u8> {
    let mut connection = Connection::over(stream, introduction());
    let accepted = connection.next().await.expect("an event");
    let session_present = false;
    assert_eq!(accepted, Event::Accepted { session_present });
    let id = connection
        .client()
        .publish("up".to_owned(), vec![7; 5000], Delivery::AtLeastOnce);
    let acknowledged = connection.next().await.expect("an event");
    assert_eq!(Some(acknowledged), id.map(Event::Acknowledged));
    let Ok(Event::Message(message)) = connection.next().await else {
        panic!("a message comes");
    };
    connection
        .client()
        .acknowledge(message.packet_id.expect("an id"));
    connection.close().await;
    message.payload.to_vec()
}

#[tokio::test]
async fn packets_pass_both_ways_straight_and_in_a_websocket() {
    let (near, far) = tokio::io::duplex(PIPE);
    let (up, down) = tokio::join!(serve(near), live(Box::new(far)));
    assert!(up == [7; 5000] && down == [9; 3000]);

    let (near, far) = tokio::io::duplex(PIPE);
    let (near, far) = (Carried::new(near).await, Carried::asked(far).await);
    let (up, down) = tokio::join!(serve(near), live(Box::new(far)));
    assert!(up == [7; 5000] && down == [9; 3000]);
}

#[tokio::test]
async fn a_server_that_goes_is_gone() {
    let (near, far) = tokio::io::duplex(PIPE);
    drop(near);
    let mut connection = Connection::over(Box::new(far), introduction());
    let ended = connection.next().await.expect_err("it is gone");
    assert!(matches!(ended, Ended::Gone | Ended::Failed(_)), "{ended}");
}
