//! The public protocol: paths, bodies, headers and errors, without sockets.
//!
//! An adapter in the server turns bytes into a [`message::Request`], asks [`route`] whose path it
//! is, reads the body with the face's module, and writes a [`message::Reply`]. [`fault`] is the
//! only place that knows status codes and error numbers. [`client`] holds the other ends.

pub mod api_version;
pub mod client;
pub mod control;
pub mod device;
pub mod fault;
mod fields;
pub mod hub;
pub mod message;
pub mod mqtt;
pub mod own;
pub mod query;
pub mod route;
pub mod service;
pub mod status;
pub mod table;
