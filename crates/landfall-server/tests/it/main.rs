//! The server's promises, tested from outside with real clients.

#![expect(clippy::expect_used, reason = "what a test relies on may fail it")]

mod bench;
mod client_certificates;
mod command_line;
mod control_api;
mod hostile;
mod own_api;
mod postgres;
mod provisioning;
mod service_api;
