//! Bodies of the hub API: device, module and twin documents, bulk, statistics.
//!
//! Documents are read into typed inputs of `landfall-hub` and written from its records. Which call
//! does what is the server's `hub_api`; the query language is read in `query.rs`.

mod bulk;
mod command;
mod identity;
mod members;
mod method;
pub mod over_https;
pub mod reply;
mod request;
mod twin;

pub use bulk::{bulk_items, bulk_json};
pub use command::{cloud_message, purged, queued};
pub use identity::{AuthenticationWords, device_json, module_json};
pub use method::{MethodCall, method_call, method_reply};
pub use request::{device_request, if_match, module_request, read_json, twin_change};
pub use twin::{module_twin_json, own_twin_json, reported_patch, twin_json};

#[cfg(test)]
mod tests;
