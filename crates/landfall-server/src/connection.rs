//! Connections that are not HTTP: what they came by, and the pumps that move bytes between a socket and a
//! session of `landfall-wire`. The listener hands them over; the faces say what their events are worth.

pub mod mqtt;
pub mod websocket;

use std::net::SocketAddr;
use std::time::Duration;

use crate::listener::Chain;
use crate::metrics::label::Protocol;
use crate::stop::Stop;

/// What is known of a connection before its peer says a word.
#[derive(Clone)]
pub struct Link {
    /// Where it comes from.
    pub peer: SocketAddr,
    /// The chain of its TLS session.
    pub chain: Chain,
    /// What it speaks.
    pub protocol: Protocol,
    /// How long it may take to say who it is.
    pub patience: Duration,
    /// The server's end.
    pub stop: Stop,
}
