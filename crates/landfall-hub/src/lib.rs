//! What a hub does for its devices: identities, twins and queries, without sockets.
//!
//! [`registry`] keeps device and module identities for operators and fulfils the provisioning
//! service's [`landfall_core::linked_hub::HubRegistry`]; [`twin`] changes twins; [`query`] answers
//! the hub's query language. All of it reaches records through the [`store::HubStore`] port.

pub mod access;
pub mod audit;
#[cfg(feature = "conformance")]
#[expect(clippy::expect_used, reason = "a suite fails by panicking")]
pub mod conformance;
pub mod device;
pub mod endpoint;
pub mod error;
pub mod event;
pub mod kept_session;
pub mod message;
pub mod policies;
pub mod policy;
pub mod query;
pub mod registry;
pub mod relay;
pub mod store;
pub mod twin;
