//! What kills real servers has in common: a server that can be killed, how its clients reach it, and chance that
//! can be repeated.

pub mod access;
pub mod chance;
pub mod server;
