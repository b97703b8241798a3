//! MQTT 3.1.1 without sockets. [`session`] is one connection as a value: bytes in, events out, bytes to
//! write; [`client`] is the other end of one. [`provisioning`] is what the device API makes of those events, [`hub`] what a hub makes of them: user
//! names, topics, answers.
//!
//! Nothing here reads a clock: a time is the span since the connection began, handed in by whoever
//! moves the bytes.

pub mod client;
pub mod hub;
pub mod provisioning;
pub mod session;
